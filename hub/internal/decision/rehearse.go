package decision

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
)

// Group is how many items there are in a state under a handling. Items are decided
// on by these groups, which are few, and not one by one.
type Group struct {
	State    indicator.State
	Handling int64
	N        int64
}

// Groups reads the groups of items under the given handlings; nil: all. See
// hub/internal/access for who may see which.
func Groups(ctx context.Context, q sqldb.Querier, handlings []int64) ([]Group, error) {
	rows, err := q.QueryContext(ctx, `SELECT state, handling, n FROM item_count WHERE n > 0 ORDER BY state, handling`)
	if err != nil {
		return nil, fmt.Errorf("decision: groups: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Group
	for rows.Next() {
		var g Group
		err = rows.Scan(&g.State, &g.Handling, &g.N)
		if err != nil {
			return nil, err
		}
		if handlings == nil || slices.Contains(handlings, g.Handling) {
			out = append(out, g)
		}
	}
	return out, rows.Err()
}

// Stage is how far items have come.
type Stage uint8

// The stages.
const (
	Current Stage = iota // released or in force
	Waiting              // not approved yet: decided on as if they were
	Over                 // recalled, expired, returned ...: nobody may have them
	stages
)

var stageNames = [stages]string{"current", "waiting", "over"}

// String gives the name.
func (s Stage) String() string {
	if s >= stages {
		return "unknown"
	}
	return stageNames[s]
}

// StageOf gives the stage of a state.
func StageOf(s indicator.State) Stage {
	switch {
	case s.Ended():
		return Over
	case s == indicator.Released || s == indicator.InForce:
		return Current
	default:
		return Waiting
	}
}

// Cause is a reason, how many items it holds for, and under which handlings.
type Cause struct {
	Reason
	N         int64
	Handlings []int64
}

// Outlook tells of the items of one stage which of them a provider may be handed.
// One item may be under several causes.
type Outlook struct {
	Stage     Stage
	N         int64
	May       int64 // may be handed over
	MayNot    int64
	Handlings []int64            // of those that may
	Why       []Cause            // of those that may not, the most frequent first
	Limits    map[Action][]Cause // of those that may: what the provider could not do with them
}

// limited are the actions that an outlook tells of.
var limited = []Action{Enforce, Show, Notify, NameSource}

// Rehearse tells what a provider may be handed of all these items, and why not of
// the others, without handing over anything. It speaks of what an item shares with
// its whole group; sources' authorities, validity, privacy and what a service can
// observe are decided item by item.
func Rehearse(p Provider, groups []Group, handlings map[int64]marking.Handling, now time.Time) [3]Outlook {
	var out [stages]Outlook
	why, limits := [stages]map[Reason]*Cause{}, [stages]map[Action]map[Reason]*Cause{}
	for s := range stages {
		why[s], limits[s] = map[Reason]*Cause{}, map[Action]map[Reason]*Cause{}
		for _, a := range limited {
			limits[s][a] = map[Reason]*Cause{}
		}
	}
	service := contract.DNS
	if each := p.Services.Each(); len(each) > 0 {
		service = each[0]
	}
	for _, g := range groups {
		s := StageOf(g.State)
		o := specimen(g.State, handlings[g.Handling], now)
		x := &out[s]
		x.N += g.N
		d := Decide(o, p, service, Receive, now)
		if !d.Allowed {
			x.MayNot += g.N
			count(why[s], d.Reasons, g)
			continue
		}
		x.May += g.N
		if !slices.Contains(x.Handlings, g.Handling) {
			x.Handlings = append(x.Handlings, g.Handling)
		}
		for _, a := range limited {
			d = Decide(o, p, service, a, now)
			count(limits[s][a], d.Reasons, g)
		}
	}
	for s := range stages {
		out[s].Stage, out[s].Why, out[s].Limits = s, causes(why[s]), map[Action][]Cause{}
		for _, a := range limited {
			if len(limits[s][a]) > 0 {
				out[s].Limits[a] = causes(limits[s][a])
			}
		}
	}
	return out
}

// specimen is an item of a group with which nothing else is wrong; one that waits is
// taken for approved.
func specimen(s indicator.State, h marking.Handling, now time.Time) Object {
	if StageOf(s) == Waiting {
		s = indicator.Approved
	}
	return Object{
		State: s, Handling: h, Services: contract.AllServices, Enforce: true, Display: true, Notify: true,
		Until: now.Add(time.Hour), Authority: true, Privacy: indicator.NotPresent,
	}
}

func count(into map[Reason]*Cause, reasons []Reason, g Group) {
	for _, r := range reasons {
		c := into[r]
		if c == nil {
			c = &Cause{Reason: r}
			into[r] = c
		}
		c.N += g.N
		if !slices.Contains(c.Handlings, g.Handling) {
			c.Handlings = append(c.Handlings, g.Handling)
		}
	}
}

func causes(m map[Reason]*Cause) []Cause {
	var out []Cause
	for _, c := range m {
		slices.Sort(c.Handlings)
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.N, a.N), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.Text, b.Text))
	})
	return out
}

// Answer is the whole decision on one object for one provider.
type Answer struct {
	Service   contract.Services
	Decisions []Decision // in the order of [Actions]
}

// Explain decides on everything: each service, each action.
func Explain(o Object, p Provider, now time.Time) []Answer {
	var out []Answer
	for _, svc := range contract.AllServices.Each() {
		x := Answer{Service: svc}
		for _, a := range Actions() {
			x.Decisions = append(x.Decisions, Decide(o, p, svc, a, now))
		}
		out = append(out, x)
	}
	return out
}

// Shelf is how much of each service is in a provider's list and collections now.
type Shelf struct {
	Service contract.Services
	N       int64
}

// Shelves counts, for each service, what a provider's log has in force of the items
// under the given handlings (nil: all) and what its collections therefore show of
// them: what it may no longer hold does not count.
func Shelves(ctx context.Context, q sqldb.Querier, p Provider, handlings []int64, now time.Time) ([]Shelf, error) {
	all, err := Handlings(ctx, q)
	if err != nil {
		return nil, err
	}
	beyond := p.Beyond(all, now)
	rows, err := q.QueryContext(ctx, `SELECT d.service, (SELECT i.handling FROM item i WHERE i.id = d.item) AS handling, count(*) FROM delivery d
		WHERE d.provider = $1 AND d.until > $2 AND d.removed = 0 AND d.remove_seq = 0 GROUP BY 1, 2`, p.ID, sqldb.Time(now))
	if err != nil {
		return nil, fmt.Errorf("decision: collections of %s: %w", p.ID, err)
	}
	defer func() { _ = rows.Close() }()
	n := map[contract.Services]int64{}
	for rows.Next() {
		var svc contract.Services
		var handling, c int64
		err = rows.Scan(&svc, &handling, &c)
		if err != nil {
			return nil, err
		}
		if !beyond[handling] && p.Services.Has(svc) && (handlings == nil || slices.Contains(handlings, handling)) {
			n[svc] += c
		}
	}
	var out []Shelf
	for _, svc := range slices.Sorted(maps.Keys(n)) {
		out = append(out, Shelf{svc, n[svc]})
	}
	return out, rows.Err()
}

// Standing says what stops everything new for a provider, whatever the item, and
// gives the provider as it were without.
func (p Provider) Standing(now time.Time) (well Provider, stopped []Reason) {
	var d Decision
	service := contract.DNS
	if each := p.Services.Each(); len(each) > 0 {
		service = each[0]
	}
	d.provider(&p, service, Receive, now)
	well = p
	well.State, well.Withdrawn, well.From, well.To = program.Operational, false, time.Time{}, time.Time{}
	if well.Services == 0 {
		well.Services = contract.AllServices
	}
	return well, d.Reasons
}

// InList tells for which services a provider's log has an item in force now.
func InList(ctx context.Context, q sqldb.Querier, id contract.ID, provider string) (contract.Services, error) {
	rows, err := q.QueryContext(ctx, `SELECT service FROM delivery WHERE item = $1 AND provider = $2 AND remove_seq = 0`, id.String(), provider)
	if err != nil {
		return 0, fmt.Errorf("decision: what %s has of %s: %w", provider, id, err)
	}
	defer func() { _ = rows.Close() }()
	var out contract.Services
	for rows.Next() {
		var svc contract.Services
		err = rows.Scan(&svc)
		if err != nil {
			return 0, err
		}
		out |= svc
	}
	return out, rows.Err()
}
