// Package anonymise is the only way from a sighting to the hub: it makes the
// cells of feedback ([contract.Feedback], which no other package may make) from
// counts of customers who had agreed when it happened. What would speak of too
// few customers is made coarser (all sectors together, then the category instead
// of the indicator) and, if that does not help, withheld.
//
// A window is a day that is over, of one service. It is made once, shown to an
// operator as the exact bytes that would leave, and sent only after review. When
// a customer withdraws consent, what has not been sent is made anew without it.
//
// What it does not promise: counts of this kind do not hide a customer from
// somebody who already knows all other customers' counts. With few customers
// most cells are withheld, and the console says so.
package anonymise

import (
	"cmp"
	"slices"

	"ecs/contract"
)

// count is one consenting customer's matches of one indicator on one day.
type count struct {
	indicator contract.ID
	category  contract.Category
	action    contract.Action
	customer  int32
	sector    contract.Sector
	events    int64
	wrong     int64 // confirmed false positives among them
}

// Withheld says what was not told, for the operator's eyes only.
type Withheld struct {
	Indicator string            `json:"indicator"`
	Category  contract.Category `json:"category"`
	Action    contract.Action   `json:"action"`
	Why       string            `json:"why"`
	Instead   string            `json:"instead"` // what is told in its place
}

// group is a candidate cell.
type group struct {
	indicator contract.ID // zero for a category
	category  contract.Category
	sector    contract.Sector
	action    contract.Action
	by        map[int32]int64 // events by customer
	wrong     int64
}

func (g *group) add(c count) {
	if g.by == nil {
		g.by = map[int32]int64{}
	}
	g.by[c.customer] += c.events
	g.wrong += c.wrong
}

// short says why the rules do not let a cell be told, or nothing.
func (g *group) short(r contract.Rules) string {
	var total, top int64
	for _, n := range g.by {
		total += n
		top = max(top, n)
	}
	switch {
	case len(g.by) < r.MinCustomers:
		return "too few customers"
	case total < int64(r.MinEvents):
		return "too few events"
	case top*100 > total*int64(r.MaxShare):
		return "one customer has most of the events"
	}
	return ""
}

func (g *group) cell(day contract.Day) (contract.Feedback, error) {
	var total int64
	for _, n := range g.by {
		total += n
	}
	return contract.NewFeedback(g.indicator, g.category, g.sector, g.action,
		contract.BucketOf(int(min(total, 1<<31-1))), contract.BucketOf(len(g.by)), contract.BucketOf(int(min(g.wrong, 1<<31-1))), day, day)
}

// cells applies the rules to a day's counts.
//
// Each (indicator, action) is told by sector only if every one of its sectors
// passes; otherwise as one cell for all sectors; otherwise it joins the other
// such indicators of its category in one cell; otherwise it is withheld. So the
// events of one indicator are never split between what is told and what is not,
// and no cell contains another: nothing can be found out by subtraction.
func cells(counts []count, day contract.Day, r contract.Rules) ([]contract.Feedback, []Withheld, error) {
	type what struct {
		indicator contract.ID
		action    contract.Action
	}
	type kind struct {
		category contract.Category
		action   contract.Action
	}
	byWhat := map[what][]count{}
	for _, c := range counts {
		k := what{c.indicator, c.action}
		byWhat[k] = append(byWhat[k], c)
	}
	var tell []group
	var withheld []Withheld
	merged := map[kind]*group{}
	held := map[kind][]int{} // places in withheld
	for k, list := range byWhat {
		sectors := map[contract.Sector]*group{}
		all := group{indicator: k.indicator, category: list[0].category, action: k.action}
		for _, c := range list {
			s := sectors[c.sector]
			if s == nil {
				s = &group{indicator: k.indicator, category: c.category, sector: c.sector, action: k.action}
				sectors[c.sector] = s
			}
			s.add(c)
			all.add(c)
		}
		why := ""
		for _, s := range sectors {
			if s.sector == contract.AllSectors {
				why = "a customer without a sector"
			} else if w := s.short(r); w != "" {
				why = w
			}
		}
		if why == "" {
			for _, s := range sectors {
				tell = append(tell, *s)
			}
			continue
		}
		note := Withheld{Indicator: k.indicator.String(), Category: all.category, Action: k.action, Why: "by sector: " + why}
		w := all.short(r)
		if w == "" {
			note.Instead = "all sectors together"
			withheld = append(withheld, note)
			tell = append(tell, all)
			continue
		}
		note.Why = w
		in := kind{all.category, k.action}
		if merged[in] == nil {
			merged[in] = &group{category: in.category, action: in.action}
		}
		for _, c := range list {
			merged[in].add(c)
		}
		held[in] = append(held[in], len(withheld))
		withheld = append(withheld, note)
	}
	for in, g := range merged {
		instead := "nothing"
		if g.short(r) == "" && len(held[in]) > 1 {
			instead = "the category, with others"
			tell = append(tell, *g)
		}
		for _, i := range held[in] {
			withheld[i].Instead = instead
		}
	}
	out := make([]contract.Feedback, 0, len(tell))
	for i := range tell {
		f, err := tell[i].cell(day)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b contract.Feedback) int {
		ai, bi := a.Indicator(), b.Indicator()
		return cmp.Or(slices.Compare(ai[:], bi[:]), cmp.Compare(a.Category(), b.Category()),
			cmp.Compare(a.Action(), b.Action()), cmp.Compare(a.Sector(), b.Sector()))
	})
	slices.SortFunc(withheld, func(a, b Withheld) int {
		return cmp.Or(cmp.Compare(a.Indicator, b.Indicator), cmp.Compare(a.Action, b.Action))
	})
	return out, withheld, nil
}
