package review

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// MaxOverdue is how far overdue indicators are counted: more is many.
const MaxOverdue = 1000

// Overdue tells how late a step is.
type Overdue struct {
	Oldest time.Time // when the oldest that waits came; zero when nothing waits
	Due    time.Time // when that one should have been decided
	Late   int       // how many are past their clock
	More   bool      // there are more than Late
}

// Overdue counts what is past the clock of a step, as far as the reader may know of
// it. It reads the oldest that wait, since they came in the order of their numbers.
func (d *Desk) Overdue(ctx context.Context, who signin.Account, state indicator.State) (Overdue, error) {
	var out Overdue
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return out, err
	}
	args := []any{string(state)}
	rows, err := d.db.QueryContext(ctx, `SELECT i.created FROM item i WHERE i.state = $1 AND `+s.items("i", &args)+`
		ORDER BY i.number LIMIT `+strconv.Itoa(MaxOverdue+1), args...)
	if err != nil {
		return out, fmt.Errorf("review: overdue: %w", err)
	}
	defer func() { _ = rows.Close() }()
	now := d.now()
	since := Since(state, now)
	for rows.Next() {
		var at int64
		err = rows.Scan(&at)
		if err != nil {
			return out, err
		}
		came := sqldb.FromTime(at)
		if out.Oldest.IsZero() {
			out.Oldest, out.Due = came, Due(state, came)
		}
		if came.After(since) {
			return out, nil
		}
		if out.Late == MaxOverdue {
			out.More = true
			return out, nil
		}
		out.Late++
	}
	return out, rows.Err()
}

// Emergency is a release that a second person has to ratify.
type Emergency struct {
	Item   contract.ID
	By     string // person
	Until  time.Time
	Reason string
}

// Unratified gives the emergency releases that nobody has ratified, the most urgent
// first.
func (d *Desk) Unratified(ctx context.Context, who signin.Account) ([]Emergency, error) {
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return nil, err
	}
	// Whatever is older than this was ratified or has been recalled by itself. CROSS
	// keeps SQLite to this order: the few emergencies first, and not all that is in
	// force, which at ten million took most of a second.
	args := []any{sqldb.Time(d.now().Add(-2 * release.RatifyWithin)), string(indicator.Released), string(indicator.InForce)}
	rows, err := d.db.QueryContext(ctx, `SELECT i.id, d.person, d.at, d.reason FROM decision d CROSS JOIN item i
		WHERE i.id = d.item AND d.kind = 'emergency' AND d.at >= $1 AND i.state IN ($2, $3) AND `+s.items("i", &args)+`
		AND NOT EXISTS (SELECT 1 FROM decision r WHERE r.item = d.item AND r.kind = 'ratify') ORDER BY d.at LIMIT 50`, args...)
	if err != nil {
		return nil, fmt.Errorf("review: emergencies: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Emergency
	for rows.Next() {
		var e Emergency
		var id string
		var at int64
		err = rows.Scan(&id, &e.By, &at, &e.Reason)
		if err != nil {
			return nil, err
		}
		e.Item, err = contract.ParseID(id)
		if err != nil {
			return nil, err
		}
		e.Until = sqldb.FromTime(at).Add(release.RatifyWithin)
		out = append(out, e)
	}
	return out, rows.Err()
}

// Feed is a feed that cannot be read at present.
type Feed struct {
	Source, Name string
	Error        string
	Failures     int
	LastOK, Next time.Time
}

// Failed gives the feeds whose last reading failed, as far as the reader may see
// deliveries.
func (d *Desk) Failed(ctx context.Context, who signin.Account) ([]Feed, error) {
	if !access.May(who, access.Deliveries) {
		return nil, nil
	}
	only, limited := access.Source(who, access.Deliveries)
	rows, err := d.db.QueryContext(ctx, `SELECT source, name, last_error, failures, last_ok, next_try FROM feed WHERE failures > 0
		ORDER BY last_ok, source, name LIMIT 200`)
	if err != nil {
		return nil, fmt.Errorf("review: feeds: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Feed
	for rows.Next() {
		var f Feed
		var ok, next int64
		err = rows.Scan(&f.Source, &f.Name, &f.Error, &f.Failures, &ok, &next)
		if err != nil {
			return nil, err
		}
		f.LastOK, f.Next = sqldb.FromTime(ok), sqldb.FromTime(next)
		if !limited || f.Source == only {
			out = append(out, f)
		}
	}
	return out, rows.Err()
}

// Ending is an authority or an accreditation that ends soon, or has ended.
type Ending struct {
	What  string // source or provider
	ID    string
	Name  string
	Under string // the agreement of a source
	At    time.Time
	Over  bool
}

// Soon is how long before its end an authority or accreditation is told of.
const Soon = 90 * 24 * time.Hour

// Endings gives what ends within [Soon], the first to end first.
func (d *Desk) Endings(ctx context.Context, who signin.Account) ([]Ending, error) {
	now := d.now()
	var out []Ending
	add := func(e Ending) {
		if !e.At.IsZero() && e.At.Before(now.Add(Soon)) && e.At.After(now.Add(-Soon)) {
			e.Over = !now.Before(e.At)
			out = append(out, e)
		}
	}
	if access.May(who, access.Deliveries) {
		only, limited := access.Source(who, access.Deliveries)
		all, err := program.Sources(ctx, d.db)
		if err != nil {
			return nil, err
		}
		for _, s := range all {
			if !limited || s.ID == only {
				add(Ending{What: "source", ID: s.ID, Name: s.Name, Under: s.Authority, At: s.AuthorityUntil})
			}
		}
	}
	if access.May(who, access.Providers) {
		all, err := program.Providers(ctx, d.db)
		if err != nil {
			return nil, err
		}
		for _, p := range all {
			if p.State == program.Operational || p.State == program.Accredited {
				add(Ending{What: "provider", ID: p.ID, Name: p.Name, At: p.NotAfter})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Ending) int { return a.At.Compare(b.At) })
	return out, nil
}
