package release

import (
	"context"
	"fmt"
	"slices"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// Earlier is an item with the same pattern that ended before another one came.
type Earlier struct {
	ID     contract.ID
	State  indicator.State
	Kind   string // return, reject, recall; empty when nobody decided
	Code   Code   // of a closed list; empty of decisions without one
	Reason string
	By     string // person
	At     time.Time
	// Same tells that a source of the newer item had named this one too: it delivered
	// again what it got back.
	Same bool
}

// maxEarlier bounds how many earlier items are listed.
const maxEarlier = 50

// Again lists the items of the same pattern that were returned, rejected, recalled or
// ended before this one, newest first. Whether each may be seen is for the caller to
// ask.
func Again(ctx context.Context, q sqldb.Querier, it *indicator.Item) ([]Earlier, error) {
	return alike(ctx, q, it, `i.number < $2`)
}

// Resubmitted lists the items of the same pattern that came after this one.
func Resubmitted(ctx context.Context, q sqldb.Querier, it *indicator.Item) ([]Earlier, error) {
	return alike(ctx, q, it, `i.number > $2`)
}

func alike(ctx context.Context, q sqldb.Querier, it *indicator.Item, which string) ([]Earlier, error) {
	if it.Value == "" {
		return nil, nil // purged: its pattern is gone
	}
	rows, err := q.QueryContext(ctx, `SELECT i.id, i.pattern, i.state, i.ended, EXISTS (SELECT 1 FROM item_source a JOIN item_source b ON b.source = a.source
			WHERE a.number = i.number AND b.number = $2)
		FROM item i WHERE i.value = $1 AND `+which+` AND NOT EXISTS (SELECT 1 FROM derivation d WHERE d.item = i.id)
		ORDER BY i.number DESC LIMIT $3`, it.Value, it.Number, int64(maxEarlier))
	if err != nil {
		return nil, fmt.Errorf("release: earlier items: %w", err)
	}
	var out []Earlier
	for rows.Next() {
		var e Earlier
		var id, pattern string
		var ended int64
		err = rows.Scan(&id, &pattern, &e.State, &ended, &e.Same)
		if err != nil {
			break
		}
		e.ID, err = contract.ParseID(id)
		if err != nil {
			break
		}
		e.At = sqldb.FromTime(ended)
		if pattern == it.Pattern {
			out = append(out, e)
		}
	}
	err = closed(rows, err)
	if err != nil {
		return nil, err
	}
	for i := range out {
		err = out[i].explain(ctx, q)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// explain says who ended it and why.
func (e *Earlier) explain(ctx context.Context, q sqldb.Querier) error {
	ds, err := indicator.Decisions(ctx, q, e.ID)
	if err != nil {
		return err
	}
	x, ok := Ending(ds)
	if ok {
		e.Kind, e.Code, e.Reason, e.By, e.At = x.Kind, CodeOf(x), x.Reason, x.Person, x.At
	}
	return nil
}

// Ending gives the decision that returned, rejected or recalled an item.
func Ending(ds []indicator.Decision) (indicator.Decision, bool) {
	for _, d := range slices.Backward(ds) {
		if d.Undone.IsZero() && (d.Kind == indicator.KindReturn || d.Kind == indicator.KindReject || d.Kind == indicator.KindRecall) {
			return d, true
		}
	}
	return indicator.Decision{}, false
}

// CodeOf gives the reason code of a decision; empty when it has none.
func CodeOf(d indicator.Decision) Code {
	c := Code(d.Verdict)
	if c.Text() == "" {
		return ""
	}
	return c
}

// Count is how often something of a source ended for one reason.
type Count struct {
	Kind string // return, reject, recall
	Code Code   // empty: without one
	N    int64
}

// Reasons counts for what reasons the items that a source named in a time (To is not
// part of it) were returned, rejected and recalled. Decisions that were taken back do
// not count. It reads the decisions of these kinds by their moment.
func Reasons(ctx context.Context, q sqldb.Querier, source string, from, to time.Time) ([]Count, error) {
	rows, err := q.QueryContext(ctx, `SELECT d.kind, d.verdict, count(DISTINCT d.item) FROM decision d JOIN item i ON i.id = d.item
		WHERE d.kind IN ('return', 'reject', 'recall') AND d.undone = 0 AND d.at >= $2 AND d.at < $3
		AND EXISTS (SELECT 1 FROM item_source s WHERE s.number = i.number AND s.source = $1)
		AND NOT EXISTS (SELECT 1 FROM derivation v WHERE v.item = i.id)
		GROUP BY d.kind, d.verdict ORDER BY d.kind, d.verdict`, source, sqldb.Time(from), sqldb.Time(to))
	if err != nil {
		return nil, fmt.Errorf("release: reasons: %w", err)
	}
	var out []Count
	for rows.Next() {
		var c Count
		var verdict string
		err = rows.Scan(&c.Kind, &verdict, &c.N)
		if err != nil {
			break
		}
		c.Code = CodeOf(indicator.Decision{Verdict: verdict})
		out = append(out, c)
	}
	return out, closed(rows, err)
}

// Link is an item that another one was made of, or that was made of it.
type Link struct {
	ID    contract.ID
	Kind  string // indicator.Supersedes, TearLine or Shadow
	State indicator.State
	At    time.Time
}

// Life is what belongs to an item before, beside and after it.
type Life struct {
	Origin  []Link // of which it was made: one at most
	Made    []Link
	Earlier []Earlier // of the same pattern, ended before it came
	Later   []Earlier
	Shadows []ShadowResult
}

// LifeOf reads the life of an item, as far as may says that the reader may know of
// the others.
func LifeOf(ctx context.Context, q sqldb.Querier, it *indicator.Item, may func(contract.ID) bool) (Life, error) {
	var l Life
	add := func(to *[]Link, id contract.ID, o indicator.Origin) error {
		if !may(id) {
			return nil
		}
		other, err := indicator.Get(ctx, q, id)
		*to = append(*to, Link{ID: id, Kind: o.Kind, State: other.State, At: o.At})
		return err
	}
	o, err := indicator.OriginOf(ctx, q, it.ID)
	if err == nil && o.Kind != "" {
		err = add(&l.Origin, o.Of, o)
	}
	if err != nil {
		return l, err
	}
	made, err := indicator.MadeOf(ctx, q, it.ID)
	if err != nil {
		return l, err
	}
	for _, m := range made {
		err = add(&l.Made, m.Item, m)
		if err != nil {
			return l, err
		}
	}
	l.Earlier, err = Again(ctx, q, it)
	if err == nil {
		l.Later, err = Resubmitted(ctx, q, it)
	}
	if err == nil {
		l.Shadows, err = Shadows(ctx, q, it.ID)
	}
	hidden := func(e Earlier) bool { return !may(e.ID) }
	l.Earlier, l.Later = slices.DeleteFunc(l.Earlier, hidden), slices.DeleteFunc(l.Later, hidden)
	return l, err
}
