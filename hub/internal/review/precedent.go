package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
)

// Precedent is what was decided about an indicator that is like this one.
type Precedent struct {
	Item    contract.ID
	Value   string // empty when its marking forbids display
	Kind    string // see the Kind constants of hub/internal/indicator
	Verdict string // the code of the reason, for a return, a rejection and a recall
	Person  string
	Reason  string
	At      time.Time
	Alike   []string // in what, in words
	weight  int
}

// No reports whether the decision was against the indicator.
func (p *Precedent) No() bool {
	return p.Kind == indicator.KindReturn || p.Kind == indicator.KindReject || p.Kind == indicator.KindRecall
}

const (
	perPivot      = 50  // newest items of a pivot whose decisions are looked at
	recent        = 500 // newest returns, rejections, recalls and overrides that are compared
	maxPrecedents = 5   // of one indicator
)

// told are the kinds of decision that are precedents.
const told = `('first', 'second', 'override', 'return', 'reject', 'recall')`

// decided is a decision with what the indicators are compared by.
type decided struct {
	Precedent
	number   int64
	pivot    string
	labels   []string
	category contract.Category
	codes    string
}

// precedents finds for each item what was decided in like cases: the same pivot
// (registrable domain, /24, /48), the same family or campaign, or the same findings
// in the same category. It looks at the newest items of each pivot, and at the newest
// decisions against something or in spite of something.
func (s *sight) precedents(ctx context.Context, q sqldb.Querier, items []indicator.Item, found map[int64][]indicator.Finding) ([][]Precedent, error) {
	var past []decided
	asked := map[string]bool{"": true}
	for i := range items {
		p := items[i].Pivot
		if asked[p] {
			continue
		}
		asked[p] = true
		args := []any{p}
		some, err := s.decided(ctx, q, `(SELECT * FROM item x WHERE x.pivot = $1 AND x.pivot <> '' ORDER BY x.number DESC LIMIT `+fmt.Sprint(perPivot)+`) i
			JOIN decision d ON d.item = i.id`, `d.kind IN `+told, args)
		if err != nil {
			return nil, err
		}
		past = append(past, some...)
	}
	some, err := s.decided(ctx, q, `(SELECT * FROM decision x WHERE x.kind IN ('return', 'reject', 'recall', 'override')
		ORDER BY x.at DESC LIMIT `+fmt.Sprint(recent)+`) d JOIN item i ON i.id = d.item`, `1 = 1`, nil)
	if err != nil {
		return nil, err
	}
	past = append(past, some...)
	err = withCodes(ctx, q, past)
	if err != nil {
		return nil, err
	}
	out := make([][]Precedent, len(items))
	for i := range items {
		out[i] = alike(&items[i], found[items[i].Number], past)
	}
	return out, nil
}

func (s *sight) decided(ctx context.Context, q sqldb.Querier, from, where string, args []any) ([]decided, error) {
	rows, err := q.QueryContext(ctx, `SELECT i.number, i.id, i.value, i.pivot, i.labels, i.category, i.display,
		d.kind, d.verdict, d.person, d.reason, d.at FROM `+from+` WHERE d.undone = 0 AND `+where+` AND `+s.items("i", &args)+`
		ORDER BY d.at DESC LIMIT `+fmt.Sprint(recent), args...)
	if err != nil {
		return nil, fmt.Errorf("review: precedents: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []decided
	for rows.Next() {
		var d decided
		var id, labels string
		var it indicator.Item
		var at int64
		err = rows.Scan(&d.number, &id, &d.Value, &d.pivot, &labels, &d.category, &it.Display,
			&d.Kind, &d.Verdict, &d.Person, &d.Reason, &at)
		if err != nil {
			return nil, err
		}
		d.Item, err = contract.ParseID(id)
		if err != nil {
			return nil, err
		}
		d.At = sqldb.FromTime(at)
		if labels != "" {
			d.labels = strings.Split(labels, "\n")
		}
		if !it.Display { // shown on its own page, where its reading is recorded
			d.Value = ""
		}
		if access.Hidden(s.who, &it) {
			d.pivot, d.Reason = "", "" // nor may a like value or a sentence tell of it
		}
		out = append(out, d)
	}
	return out, rows.Err()
}

// withCodes adds the finding codes of the indicators.
func withCodes(ctx context.Context, q sqldb.Querier, past []decided) error {
	items := make([]indicator.Item, 0, len(past))
	for i := range past {
		items = append(items, indicator.Item{Number: past[i].number, ID: past[i].Item})
	}
	found, err := findings(ctx, q, items)
	if err != nil {
		return err
	}
	for i := range past {
		past[i].codes = codesOf(found[past[i].number])
	}
	return nil
}

// distinct gives the codes of findings, each once.
func distinct(fs []indicator.Finding) []string {
	codes := make([]string, len(fs))
	for i := range fs {
		codes[i] = fs[i].Code
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// codesOf gives the distinct codes of findings as one word.
func codesOf(fs []indicator.Finding) string {
	return strings.Join(distinct(fs), ",")
}

// alike picks the decisions that are most like an item, the likest and newest first.
func alike(it *indicator.Item, fs []indicator.Finding, past []decided) []Precedent {
	codes := codesOf(fs)
	var labels []string
	if it.Labels != "" {
		labels = strings.Split(it.Labels, "\n")
	}
	type key struct {
		item contract.ID
		kind string
	}
	seen := map[key]bool{}
	var out []Precedent
	for i := range past {
		d := &past[i]
		k := key{d.Item, d.Kind}
		if d.Item == it.ID || seen[k] {
			continue
		}
		p := d.Precedent
		if d.pivot != "" && d.pivot == it.Pivot {
			p.weight += 4
			p.Alike = append(p.Alike, "also of "+d.pivot)
		}
		for _, l := range labels {
			if slices.Contains(d.labels, l) {
				p.weight += 2
				p.Alike = append(p.Alike, "also “"+l+"”")
				break
			}
		}
		if codes != "" && codes == d.codes && it.Category == d.category {
			p.weight += 2
			p.Alike = append(p.Alike, "same category and findings")
		}
		if p.weight > 0 {
			seen[k] = true
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Precedent) int { return cmp.Or(cmp.Compare(b.weight, a.weight), b.At.Compare(a.At)) })
	return out[:min(len(out), maxPrecedents)]
}

// Suggestion is the choice that a form begins with, and why. It is empty when there
// is no reason for one.
type Suggestion struct {
	Act  string // approve, return or reject
	Code string // of the reason
	Why  string
}

// The acts that are suggested.
const (
	Approve = "approve"
	Return  = "return"
	Reject  = "reject"
)

// suggest looks at what was decided before: one rejection or return that nobody has
// decided against since weighs more than what the checks say.
func suggest(it *indicator.Item, x *Sheet) Suggestion {
	if it.State != indicator.PendingFirst && it.State != indicator.PendingSecond && it.State != indicator.TechValidation {
		return Suggestion{}
	}
	no, yes := 0, 0
	var first *Precedent
	for i := range x.Precedents {
		p := &x.Precedents[i]
		switch {
		case p.weight < 4:
		case p.No():
			no++
			if first == nil {
				first = p
			}
		default:
			yes++
		}
	}
	dead := pointless(x.Findings)
	switch {
	case dead.Act != "":
		return dead
	case no > yes:
		act := Reject
		if first.Kind == indicator.KindReturn {
			act = Return
		}
		return Suggestion{Act: act, Code: first.Verdict, Why: fmt.Sprintf("%d of %d like it went this way, the last by %s.", no, no+yes, first.Person)}
	case Usual(distinct(x.Findings)) == Clear && x.Impact.Level == policy.NoImpact && it.State != indicator.TechValidation:
		return Suggestion{Act: Approve, Code: Clear, Why: "All checks were made and found nothing."}
	}
	return Suggestion{}
}

// pointless suggests to send back what could be approved and go to nobody.
func pointless(fs []indicator.Finding) Suggestion {
	for _, f := range fs {
		switch {
		case f.Code == intake.CodeMarking && strings.HasPrefix(f.Detail, marking.PassOn.No()):
			return Suggestion{Act: Return, Code: "marking", Why: "Its markings let no provider have it; its source can mark it anew."}
		case f.Code == intake.CodeUnseen:
			return Suggestion{Act: Return, Code: "unobservable", Why: "No service can honor it; its source can say it more simply."}
		}
	}
	return Suggestion{}
}
