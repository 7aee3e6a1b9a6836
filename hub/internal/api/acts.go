package api

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

// act is something that a person may do with an indicator. The desk decides whether
// it is permitted; this only says what it is called.
type act struct {
	name string
	by   string // who may, in words
	when string // in which state, in words
	one  func(a *api, ctx context.Context, who signin.Account, ref release.Ref, o *order) (release.Outcome, error)
	// many is the bulk form; without it one is called for each.
	many func(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(done, total int)) (release.Bulk, error)
}

type simple func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error

// plain makes the single form of an act that gives nothing but an error.
func plain(do simple) func(*api, context.Context, signin.Account, release.Ref, *order) (release.Outcome, error) {
	return func(a *api, ctx context.Context, who signin.Account, ref release.Ref, o *order) (release.Outcome, error) {
		return release.Outcome{}, do(a.Desk, ctx, who, ref, o)
	}
}

// acts are all of them, in the order of an indicator's way.
var acts = []act{
	{
		name: "privacy", by: "privacy_officer", when: "PRIVACY_GATE",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			if indicator.Determination(o.Determination) == indicator.Removed {
				return d.Redact(ctx, who, ref, release.Redaction{Summary: o.Summary, Context: o.Context}, o.Reason)
			}
			return d.Privacy(ctx, who, ref, indicator.Determination(o.Determination), o.Reason)
		}),
	},
	{
		name: "hold", by: "privacy_officer", when: "before release: back to the gate, approvals void",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.Hold(ctx, who, ref, o.Reason)
		}),
	},
	{
		name: "override", by: "pmo_analyst or release_authority, then a second person, a release_authority", when: "with stops",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.Override(ctx, who, ref, o.Reason)
		}),
	},
	{
		name: "first", by: "pmo_analyst", when: "PENDING_FIRST",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.First(ctx, who, ref, o.Reason)
		}),
		many: func(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(int, int)) (release.Bulk, error) {
			return a.Desk.FirstAll(ctx, who, ids, o.Reason, progress)
		},
	},
	{
		name: "second", by: "release_authority", when: "PENDING_SECOND",
		one: func(a *api, ctx context.Context, who signin.Account, ref release.Ref, o *order) (release.Outcome, error) {
			return a.Desk.Second(ctx, who, ref, o.Reason, targetsOf(o.Targets))
		},
		many: func(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(int, int)) (release.Bulk, error) {
			return a.Desk.SecondAll(ctx, who, ids, o.Reason, targetsOf(o.Targets), progress)
		},
	},
	{
		name: "extend", by: "release_authority", when: "released or in force: to more providers or services",
		one: func(a *api, ctx context.Context, who signin.Account, ref release.Ref, o *order) (release.Outcome, error) {
			return a.Desk.Extend(ctx, who, ref, o.Reason, targetsOf(o.Targets))
		},
		many: func(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(int, int)) (release.Bulk, error) {
			return a.Desk.ExtendAll(ctx, who, ids, o.Reason, targetsOf(o.Targets), progress)
		},
	},
	{
		name: "emergency", by: "one release_authority", when: "PENDING_FIRST; recalled by itself unless ratified within an hour",
		one: func(a *api, ctx context.Context, who signin.Account, ref release.Ref, o *order) (release.Outcome, error) {
			return a.Desk.Emergency(ctx, who, ref, o.Reason, targetsOf(o.Targets), time.Duration(min(o.Minutes, 1<<20))*time.Minute)
		},
	},
	{
		name: "ratify", by: "pmo_analyst or release_authority, a second person", when: "released by emergency, within the hour",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.Ratify(ctx, who, ref, o.Reason)
		}),
	},
	{
		name: "return", by: "pmo_analyst, release_authority or privacy_officer", when: "before release: back to the source",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.ReturnFor(ctx, who, ref, o.why())
		}),
	},
	{
		name: "reject", by: "pmo_analyst, release_authority or privacy_officer", when: "before release: for good",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.RejectFor(ctx, who, ref, o.why())
		}),
	},
	{
		name: "recall", by: "release_authority, privacy_officer or pmo_analyst; gfi_officer the own", when: "released or in force",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.RecallFor(ctx, who, ref, o.why())
		}),
		many: func(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(int, int)) (release.Bulk, error) {
			return a.Desk.RecallAllFor(ctx, who, ids, o.why(), progress)
		},
	},
	{
		name: "undo", by: "the person who decided last", when: "shortly after, and nothing has built on the decision",
		one: plain(func(d *release.Desk, ctx context.Context, who signin.Account, ref release.Ref, o *order) error {
			return d.Undo(ctx, who, ref, o.Reason)
		}),
	},
}

// all does the act on many indicators. Each succeeds or fails by itself; an error
// says why the rest was not tried.
func (x *act) all(a *api, ctx context.Context, who signin.Account, ids []contract.ID, o *order, progress func(done, total int)) (release.Bulk, error) {
	if x.many != nil {
		return x.many(a, ctx, who, ids, o, progress)
	}
	var b release.Bulk
	for i, id := range ids {
		if i%100 == 0 {
			progress(i, len(ids))
		}
		out, err := x.one(a, ctx, who, release.Ref{ID: id}, o)
		_, known := explain(err)
		switch {
		case err == nil:
			b.Done++
			for _, t := range out.Refused {
				if b.Refused == nil {
					b.Refused = map[string]int{}
				}
				b.Refused[t.Provider+" ("+t.Services.String()+"): "+t.Reason]++
			}
		case !known || errors.Is(err, release.ErrRole) || errors.Is(err, release.ErrReason):
			return b, err
		default:
			b.Failed++
			if len(b.Failures) < release.MaxReported {
				b.Failures = append(b.Failures, release.Failure{ID: id, Err: err})
			}
		}
	}
	return b, nil
}

// why is the reason with its code. Without a code the words have to do.
func (o *order) why() release.Why {
	return release.Why{Code: cmp.Or(o.Code, release.Other), Text: o.Reason}
}

// actNames lists the acts.
func actNames() []string {
	var out []string
	for i := range acts {
		out = append(out, acts[i].name)
	}
	return out
}

func actNamed(name string) (*act, error) {
	i := slices.IndexFunc(acts, func(x act) bool { return x.name == name })
	if i < 0 {
		return nil, &badRequest{"There is no such act.", "Use one of: " + strings.Join(actNames(), ", ") + "."}
	}
	return &acts[i], nil
}

// actsHelp says who may do what, for the document.
func actsHelp() string {
	var b strings.Builder
	b.WriteString("Who may, and in which state:\n")
	for i := range acts {
		b.WriteString("\n- " + acts[i].name + ": " + acts[i].by + "; " + acts[i].when)
	}
	return b.String()
}
