package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// Code is why an item was returned, rejected or recalled, from a closed list. It is
// the verdict of the decision; statistics of sources count by it.
type Code string

// The codes.
const (
	FalsePositive Code = "false-positive"
	Outdated      Code = "expired-intelligence"
	PersonalData  Code = "personal-data"
	SourceRequest Code = "source-request"
	Duplicate     Code = "duplicate"
	Collateral    Code = "collateral"
	Incomplete    Code = "incomplete"
	Unmarked      Code = "marking"
	Unobservable  Code = "unobservable"
	Other         Code = "other"
)

// codes lists them with their words, and for which kinds of decision they are.
var codes = []struct {
	code  Code
	text  string
	kinds []string
}{
	{FalsePositive, "it is harmless: a false positive", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{Outdated, "the intelligence is out of date", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{PersonalData, "it holds personal data that is not needed", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{SourceRequest, "the source asked for it", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{Duplicate, "another indicator says the same or includes it", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{Collateral, "it would stop what must not be stopped", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{Incomplete, "context is missing that a decision needs", []string{indicator.KindReturn, indicator.KindReject}},
	{Unmarked, "the marking is missing, unclear or forbids it", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
	{Unobservable, "no service of the program can observe it", []string{indicator.KindReturn, indicator.KindReject}},
	{Other, "for the reason that is written", []string{indicator.KindReturn, indicator.KindReject, indicator.KindRecall}},
}

// Codes lists the codes for a kind of decision: [indicator.KindReturn], KindReject
// or KindRecall.
func Codes(kind string) []Code {
	var out []Code
	for _, c := range codes {
		if slices.Contains(c.kinds, kind) {
			out = append(out, c.code)
		}
	}
	return out
}

// Text gives the words of a code; empty for one that is none.
func (c Code) Text() string {
	for _, x := range codes {
		if x.code == c {
			return x.text
		}
	}
	return ""
}

// Why is the reason of an act: a code and words. With a code other than [Other] the
// words may be left out; then they are those of the code.
type Why struct {
	Code Code
	Text string
}

func (w Why) check(kind string) (string, error) {
	if !slices.Contains(Codes(kind), w.Code) {
		return "", fmt.Errorf("%w: %q is no reason code of a %s", ErrReason, w.Code, kind)
	}
	text := strings.TrimSpace(w.Text)
	if text == "" && w.Code != Other {
		text = w.Code.Text()
	}
	return text, nil
}

// deed is what all decisions of one act share; it goes with the context of the act.
type deed struct {
	bulk string
	kind string // of the decisions whose verdict the code is
	code Code
}

type deedKey struct{}

func deedOf(ctx context.Context) deed {
	x, _ := ctx.Value(deedKey{}).(deed)
	return x
}

func (x deed) in(ctx context.Context) context.Context { return context.WithValue(ctx, deedKey{}, x) }

// because puts a code into the context of an act and gives the words.
func because(ctx context.Context, kind string, why Why) (context.Context, string, error) {
	text, err := why.check(kind)
	x := deedOf(ctx)
	x.kind, x.code = kind, why.Code
	return x.in(ctx), text, err
}

// ReturnFor is [Desk.Return] with a reason code.
func (d *Desk) ReturnFor(ctx context.Context, acct signin.Account, ref Ref, why Why) error {
	ctx, text, err := because(ctx, indicator.KindReturn, why)
	if err != nil {
		return err
	}
	return d.Return(ctx, acct, ref, text)
}

// RejectFor is [Desk.Reject] with a reason code.
func (d *Desk) RejectFor(ctx context.Context, acct signin.Account, ref Ref, why Why) error {
	ctx, text, err := because(ctx, indicator.KindReject, why)
	if err != nil {
		return err
	}
	return d.Reject(ctx, acct, ref, text)
}

// RecallFor is [Desk.Recall] with a reason code.
func (d *Desk) RecallFor(ctx context.Context, acct signin.Account, ref Ref, why Why) error {
	ctx, text, err := because(ctx, indicator.KindRecall, why)
	if err != nil {
		return err
	}
	return d.Recall(ctx, acct, ref, text)
}

// RecallAllFor is [Desk.RecallAll] with a reason code.
func (d *Desk) RecallAllFor(ctx context.Context, acct signin.Account, ids []contract.ID, why Why, progress func(done, total int)) (Bulk, error) {
	ctx, text, err := because(ctx, indicator.KindRecall, why)
	if err != nil {
		return Bulk{}, err
	}
	return d.RecallAll(ctx, acct, ids, text, progress)
}
