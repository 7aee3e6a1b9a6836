package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"ecs/hub/internal/marking"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Handlings gives the handlings that the account's clearance holds, in order, for
// indicator.Filter and its like. Nil means all that there are and that there will
// be; an empty list means none.
func Handlings(ctx context.Context, q sqldb.Querier, a signin.Account) ([]int64, error) {
	v, err := viewOf(ctx, q, a)
	return v.handlings, err
}

// Whole reports whether the account may see numbers over everything: it is cleared
// for all that this hub may hold. That depends on nothing that the hub holds now, so
// that it tells nobody of anything.
func Whole(ctx context.Context, q sqldb.Querier, a signin.Account) (bool, error) {
	v, err := viewOf(ctx, q, a)
	return v.whole && permits(a, allFacts, Totals), err
}

// ClearanceError says that something needs a clearance for all that the hub may hold.
type ClearanceError struct{ What What }

// Error implements error.
func (e *ClearanceError) Error() string {
	return "to " + string(e.What) + " takes a clearance for all that this hub may hold"
}

// Enter is [Need] for what is about everything at once, such as [Audit]: besides the
// role it takes the clearance. For anything else it is Need.
func Enter(ctx context.Context, q sqldb.Querier, a signin.Account, w What) error {
	err := Need(a, w)
	if err != nil || permits(a, allFacts&^whole, w) {
		return err
	}
	all, err := Whole(ctx, q, a)
	if err == nil && !all {
		err = &ClearanceError{What: w}
	}
	return err
}

// view is what a clearance reaches in one database.
type view struct {
	handlings []int64 // nil: all
	whole     bool
}

// reach is what is known of a clearance: the handlings up to a number that it holds.
// Handlings are never changed, and their numbers rise in the order of their commits.
type reach struct {
	upTo int64
	held []int64
	all  bool // every handling up to there is held
}

// reaches remembers them, for each database and clearance.
var reaches = struct {
	sync.Mutex
	of map[reachKey]reach
}{of: map[reachKey]reach{}}

type reachKey struct{ instance, clearance string }

// maxReaches bounds the memory: clearances are few, and what is forgotten is
// computed again.
const maxReaches = 1000

func viewOf(ctx context.Context, q sqldb.Querier, a signin.Account) (view, error) {
	c, err := ParseClearance(a.Clearance)
	if err != nil {
		return view{handlings: []int64{}}, err
	}
	var newest int64
	var instance, holds string
	err = q.QueryRowContext(ctx, `SELECT n.value, coalesce(i.mark, ''), coalesce(i.clearance, '')
		FROM counter n LEFT JOIN instance i ON i.one = 1 WHERE n.name = 'handling'`).Scan(&newest, &instance, &holds)
	if err != nil {
		return view{handlings: []int64{}}, fmt.Errorf("access: handlings: %w", err)
	}
	r, err := reachOf(ctx, q, c, reachKey{instance, c.String()}, newest)
	if err != nil {
		return view{handlings: []int64{}}, err
	}
	out := view{handlings: r.held}
	if holds != "" {
		h, err := ParseClearance(holds)
		if err != nil {
			return view{handlings: []int64{}}, err
		}
		out.whole = c.Covers(h)
	}
	// What is marked while a page is made would be shown by "all": only who is cleared
	// for whatever may come is asked nothing.
	if out.whole && r.all {
		out.handlings = nil
	}
	return out, nil
}

// reachOf judges the handlings that were added since the clearance was last asked
// for. What is read in a transaction is not remembered: the transaction may end
// without it, and its numbers be given again.
func reachOf(ctx context.Context, q sqldb.Querier, c marking.Clearance, key reachKey, newest int64) (reach, error) {
	reaches.Lock()
	r, known := reaches.of[key]
	reaches.Unlock()
	if !known {
		r = reach{held: []int64{}, all: true}
	}
	if r.upTo >= newest {
		return r, nil
	}
	added, err := handlingsAfter(ctx, q, r.upTo)
	if err != nil {
		return r, err
	}
	r.held = slices.Clip(r.held)
	for _, h := range added {
		ok, _ := h.handling.Holds(c)
		if ok {
			r.held = append(r.held, h.number)
		}
		r.all = r.all && ok
		r.upTo = h.number
	}
	_, direct := q.(*sqldb.DB)
	if direct && key.instance != "" {
		reaches.Lock()
		if len(reaches.of) >= maxReaches {
			clear(reaches.of)
		}
		if reaches.of[key].upTo < r.upTo {
			reaches.of[key] = r
		}
		reaches.Unlock()
	}
	return r, nil
}

type numbered struct {
	number   int64
	handling marking.Handling
}

// handlingsAfter reads the handlings behind a number, in order. One that cannot be
// read any more permits nothing.
func handlingsAfter(ctx context.Context, q sqldb.Querier, after int64) (out []numbered, err error) {
	rows, err := q.QueryContext(ctx, `SELECT number, text FROM handling WHERE number > $1 ORDER BY number`, after)
	if err != nil {
		return nil, fmt.Errorf("access: handlings: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var n numbered
		var text string
		err = rows.Scan(&n.number, &text)
		if err != nil {
			return nil, err
		}
		n.handling, err = marking.ParseHandling(text)
		if err != nil {
			n.handling = marking.Handling{}
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
