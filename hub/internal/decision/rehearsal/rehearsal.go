// Package rehearsal shows, for one provider, what it may have of what the hub holds,
// and why not the rest, before anything is released: to the page and to the API, as
// far as whoever asks may know of it.
//
// It is NOT a decision of its own: it asks hub/internal/decision, and
// hub/internal/access for what the reader may see. It releases nothing.
//
// Invariant: items that the reader may not know of count nowhere; their handlings
// are not named.
package rehearsal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Bounds: examples come out of the newest items of each state, so that looking for
// them is no search through all.
const (
	newest      = 500
	maxExamples = 3
	maxFound    = 10
)

// Example is an item that a cause holds for.
type Example struct {
	ID    contract.ID     `json:"id"`
	Value string          `json:"value,omitempty"` // empty: hidden from the reader
	State indicator.State `json:"state"`
}

// Cause is a reason and how many of the items it holds for.
type Cause struct {
	Action   string        `json:"action,omitempty"` // of a limit: what cannot be done
	Code     decision.Code `json:"code"`
	Text     string        `json:"text"`
	N        int64         `json:"items"`
	Examples []Example     `json:"examples"`
}

// Outlook is one stage: current, waiting, over.
type Outlook struct {
	Stage  string  `json:"stage"`
	N      int64   `json:"items"`
	May    int64   `json:"may"`
	MayNot int64   `json:"may_not"`
	Why    []Cause `json:"why"`    // of those that may not
	Limits []Cause `json:"limits"` // of those that may: what could not be done with them
}

// Shelf is one of the provider's lists and TAXII collections.
type Shelf struct {
	Service contract.Services `json:"service"`
	N       int64             `json:"items"`
}

// Found is an item that was asked for by its identifier or value.
type Found struct {
	ID       contract.ID       `json:"id"`
	Value    string            `json:"value,omitempty"`
	State    indicator.State   `json:"state"`
	Handling string            `json:"handling"`
	InList   contract.Services `json:"in_list"`  // services for which the provider's log has it now
	Rehearse bool              `json:"rehearse"` // decided on as if it were approved, since it waits
	Services []Service         `json:"services"`
}

// Service is what one service may do with it.
type Service struct {
	Service contract.Services `json:"service"`
	Actions []Verdict         `json:"actions"`
}

// Verdict is the decision on one action.
type Verdict struct {
	Action  decision.Action   `json:"action"`
	Allowed bool              `json:"allowed"`
	Reasons []decision.Reason `json:"reasons"`
}

// View is the whole answer.
type View struct {
	Provider  string    `json:"provider"`
	At        time.Time `json:"at"`
	Clearance string    `json:"clearance"` // in effect: the lower of clearance and ceiling
	Standing  []string  `json:"standing"`  // what stops everything, whatever the item; empty: nothing
	Stages    []Outlook `json:"stages"`
	Shelves   []Shelf   `json:"collections"`
	Asked     string    `json:"asked,omitempty"`
	Found     []Found   `json:"found"`
}

// Look answers for a provider as the reader may know it. Asked is an identifier or a
// value, or empty. The error is one of hub/internal/access or
// hub/internal/program.ErrNotFound.
func Look(ctx context.Context, db *sqldb.DB, who signin.Account, provider, asked string, now time.Time) (View, error) {
	v := View{Provider: provider, At: now, Asked: strings.TrimSpace(asked), Standing: []string{}, Shelves: []Shelf{}, Found: []Found{}}
	err := errors.Join(access.Need(who, access.Providers), access.Need(who, access.Indicators))
	if err != nil {
		return v, err
	}
	p, err := decision.Get(ctx, db, provider)
	if err != nil {
		return v, err
	}
	var f indicator.Filter
	err = access.Narrow(ctx, db, who, &f)
	if err != nil {
		return v, err
	}
	if f.Source != "" { // of one source alone: counts by group are of all sources
		f.Handlings = []int64{}
	}
	v.Clearance = p.Clearance.String()
	handlings, err := decision.Handlings(ctx, db)
	if err != nil {
		return v, err
	}
	groups, err := decision.Groups(ctx, db, f.Handlings)
	if err != nil {
		return v, err
	}
	err = v.count(ctx, db, who, p, groups, handlings)
	if err != nil {
		return v, err
	}
	shelves, err := decision.Shelves(ctx, db, p, f.Handlings, now)
	if err != nil {
		return v, err
	}
	for _, s := range shelves {
		v.Shelves = append(v.Shelves, Shelf(s))
	}
	return v, v.find(ctx, db, who, p, handlings)
}

// count fills in the stages. What concerns the provider as a whole is said once,
// and the items are then counted as if it stood well.
func (v *View) count(ctx context.Context, db *sqldb.DB, who signin.Account, p decision.Provider, groups []decision.Group, handlings map[int64]marking.Handling) error {
	var stopped []decision.Reason
	p, stopped = p.Standing(v.At)
	for _, r := range stopped {
		v.Standing = append(v.Standing, r.Text)
	}
	recent, err := recentOf(ctx, db, who, groups)
	if err != nil {
		return err
	}
	for _, x := range decision.Rehearse(p, groups, handlings, v.At) {
		o := Outlook{Stage: x.Stage.String(), N: x.N, May: x.May, MayNot: x.MayNot, Why: []Cause{}, Limits: []Cause{}}
		for _, c := range x.Why {
			o.Why = append(o.Why, causeOf("", c, x.Stage, who, recent))
		}
		for _, a := range decision.Actions() {
			for _, c := range x.Limits[a] {
				o.Limits = append(o.Limits, causeOf(a.String(), c, x.Stage, who, recent))
			}
		}
		v.Stages = append(v.Stages, o)
	}
	return nil
}

// recentOf gives the newest items of each state of which there are some.
func recentOf(ctx context.Context, db *sqldb.DB, who signin.Account, groups []decision.Group) ([]indicator.Item, error) {
	seen := map[indicator.State]bool{}
	var out []indicator.Item
	for _, g := range groups {
		if seen[g.State] || g.State == indicator.Purged {
			continue
		}
		seen[g.State] = true
		f := indicator.Filter{States: []indicator.State{g.State}, Newest: true, Limit: newest}
		err := access.Narrow(ctx, db, who, &f)
		if err != nil {
			return nil, err
		}
		some, err := indicator.List(ctx, db, f)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out, nil
}

func causeOf(action string, c decision.Cause, stage decision.Stage, who signin.Account, recent []indicator.Item) Cause {
	out := Cause{Action: action, Code: c.Code, Text: c.Text, N: c.N, Examples: []Example{}}
	for i := range recent {
		it := &recent[i]
		if len(out.Examples) == maxExamples {
			break
		}
		if decision.StageOf(it.State) != stage || !slices.Contains(c.Handlings, it.Handling) {
			continue
		}
		if c.Code == decision.CodeState && !strings.Contains(c.Text, string(it.State)) {
			continue
		}
		out.Examples = append(out.Examples, Example{ID: it.ID, Value: shown(who, it), State: it.State})
	}
	return out
}

// shown gives a value that may be shown to the reader without a purpose.
func shown(who signin.Account, it *indicator.Item) string {
	if access.Hidden(who, it) || !it.Display {
		return ""
	}
	return it.Value
}

// find looks up what was asked for.
func (v *View) find(ctx context.Context, db *sqldb.DB, who signin.Account, p decision.Provider, handlings map[int64]marking.Handling) error {
	items, err := lookUp(ctx, db, who, v.Asked)
	if err != nil {
		return err
	}
	for i := range items {
		it := &items[i]
		h := handlings[it.Handling]
		alive, err := decision.Authorized(ctx, db, it.Number, v.At)
		if err != nil {
			return err
		}
		o := decision.Of(it, h, alive)
		x := Found{ID: it.ID, Value: shown(who, it), State: it.State, Handling: h.String(), Rehearse: decision.StageOf(it.State) == decision.Waiting}
		if x.Rehearse {
			o.State = indicator.Approved
		}
		x.InList, err = decision.InList(ctx, db, it.ID, p.ID)
		if err != nil {
			return err
		}
		for _, a := range decision.Explain(o, p, v.At) {
			s := Service{Service: a.Service}
			for n, d := range a.Decisions {
				s.Actions = append(s.Actions, Verdict{Action: decision.Actions()[n], Allowed: d.Allowed, Reasons: append([]decision.Reason{}, d.Reasons...)})
			}
			x.Services = append(x.Services, s)
		}
		v.Found = append(v.Found, x)
	}
	return nil
}

// lookUp finds items by identifier or by value in any spelling.
func lookUp(ctx context.Context, db *sqldb.DB, who signin.Account, asked string) ([]indicator.Item, error) {
	if asked == "" {
		return nil, nil
	}
	id, err := contract.ParseID(asked)
	if err == nil {
		it, err := access.Item(ctx, db, who, id)
		if errors.Is(err, indicator.ErrNotFound) {
			return nil, nil
		}
		return []indicator.Item{it}, err
	}
	f := indicator.Filter{Value: asked, Newest: true, Limit: maxFound}
	a, err := observable.FromValue(asked)
	if err == nil {
		f.Value = a.String()
	}
	err = access.Narrow(ctx, db, who, &f)
	if err != nil {
		return nil, err
	}
	found, err := indicator.List(ctx, db, f)
	if err != nil {
		return nil, fmt.Errorf("rehearsal: %w", err)
	}
	return slices.DeleteFunc(found, func(it indicator.Item) bool { return shown(who, &it) == "" }), nil
}
