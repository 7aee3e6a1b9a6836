package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
)

// terms are what a provider was accredited and cleared for.
type terms struct {
	services  contract.Services
	ceiling   contract.TLP
	clearance string
	version   int64 // terms may have been others in between, and be the same again
}

func termsOf(x *program.Provider) terms { return terms{x.Services, x.Ceiling, x.Clearance, x.Terms} }

// upheld is when a provider's log was last held against its terms, and which
// handlings were within them then.
type upheld struct {
	terms  terms
	at     time.Time
	within map[int64]bool
}

// lower takes from a provider what its terms do not permit any more: after its
// ceiling, its clearance or its services were lowered, and once a handling's own
// dates have run out. Nothing has to be looked at while neither changes, since every
// release is decided under the terms of its moment.
func (d *Desk) lower(ctx context.Context, provider string) (int, error) {
	x, err := program.GetProvider(ctx, d.db, provider)
	if err != nil {
		return 0, err
	}
	now, has := d.clock.now(), termsOf(&x)
	d.mu.Lock()
	was, looked := d.upheld[provider]
	d.mu.Unlock()
	looked = looked && was.terms == has
	if looked && now.Sub(was.at) < time.Minute {
		return 0, nil
	}
	p, err := decision.From(x)
	if err != nil {
		return 0, err
	}
	all, err := decision.Handlings(ctx, d.db)
	if err != nil {
		return 0, err
	}
	next := upheld{terms: has, at: now, within: make(map[int64]bool, len(all))}
	var gone []int64
	beyond := p.Beyond(all, now)
	for n := range all {
		next.within[n] = !beyond[n]
		if beyond[n] && (!looked || was.within[n]) {
			gone = append(gone, n)
		}
	}
	lost := contract.AllServices &^ has.services
	if looked {
		lost = 0
	}
	total := 0
	for len(gone) > 0 || lost != 0 {
		n, err := d.lowerSome(ctx, provider, has, gone, lost)
		if errors.Is(err, errMoved) {
			again, err := d.lower(ctx, provider)
			return total + again, err
		}
		if err != nil {
			return total, fmt.Errorf("release: lower what %s may have: %w", provider, err)
		}
		if n == 0 {
			break
		}
		total += n
		d.bell.ring(provider)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.upheld[provider] = next
	return total, nil
}

// lowerSome takes a portion of it, while the terms are still the same.
func (d *Desk) lowerSome(ctx context.Context, provider string, has terms, gone []int64, lost contract.Services) (int, error) {
	now := d.clock.now()
	marks, args := []string{"-1"}, []any{provider, sqldb.Time(now), int64(4 * portion), int64(lost)}
	for _, n := range gone {
		args = append(args, n)
		marks = append(marks, fmt.Sprintf("$%d", len(args)))
	}
	var out []surplus
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		x, err := program.GetProvider(ctx, tx, provider)
		if err != nil {
			return err
		}
		if has != termsOf(&x) {
			return errMoved
		}
		out, err = surpluses(ctx, tx, `SELECT d.item, d.service FROM delivery d WHERE d.provider = $1 AND d.until > $2
			AND d.removed = 0 AND d.remove_seq = 0 AND ((d.service & $4) <> 0
			OR (SELECT i.handling FROM item i WHERE i.id = d.item) IN (`+strings.Join(marks, ",")+`)) LIMIT $3`, args...)
		if err != nil {
			return err
		}
		return d.retireAll(ctx, tx, provider, out, now, "delivery.lower")
	})
	return len(out), err
}
