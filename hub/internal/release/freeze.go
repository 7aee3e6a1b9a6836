package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// A provider that is suspended keeps what it has and goes on reading its log, so
// that recalls reach it; what it was not handed yet is withheld (docs/program.md,
// mode freeze). From one that is leaving, and on an official's word from one that
// is suspended, everything is withdrawn.
const (
	suspended    = "SUSPENDED"
	terminating  = "TERMINATING"
	roleOfficial = "accrediting_official"
)

func frozen(state string) bool { return state == suspended || state == terminating }

// Withdraw takes everything out of force at a provider that is suspended or
// leaving, by an accrediting official. It returns when the log says so; a hub
// that dies in between goes on by itself. A provider that is reinstated gets its
// indicators again by [Desk.Extend].
func (d *Desk) Withdraw(ctx context.Context, acct signin.Account, provider, reason string) (int, error) {
	err := d.act(ctx, acct, reason, []string{roleOfficial}, func(tx *sql.Tx, reason string) error {
		state, err := stateOf(ctx, tx, provider)
		if err != nil {
			return err
		}
		if !frozen(state) {
			return fmt.Errorf("%w: %s is %s; suspend it first", ErrState, provider, state)
		}
		_, err = tx.ExecContext(ctx, `UPDATE provider SET withdrawn = $2 WHERE id = $1`, provider, sqldb.Time(d.clock.now()))
		if err != nil {
			return fmt.Errorf("release: withdraw from %s: %w", provider, err)
		}
		return audit.Append(ctx, tx, acct.Login, "provider.withdraw", provider, map[string]any{"reason": reason})
	})
	if err != nil {
		return 0, err
	}
	return d.withhold(ctx, provider)
}

// withholdAll does for all providers what is left to do since they were
// suspended, began to leave, or may have less than before.
func (d *Desk) withholdAll(ctx context.Context) error {
	ids, err := providerIDs(ctx, d.db)
	if err != nil {
		return err
	}
	for _, id := range ids {
		_, err = d.withhold(ctx, id)
		if err != nil && !errors.Is(err, ErrProvider) {
			return err
		}
	}
	return nil
}

func providerIDs(ctx context.Context, q sqldb.Querier) ([]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT id FROM provider ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("release: providers: %w", err)
	}
	return texts(rows)
}

// withhold writes into a provider's log that it may not have what it must not
// have, in portions, and tells how many items that were. It is called before each
// page, so that none gives anything away, and at each tick. Doing it again changes
// nothing.
func (d *Desk) withhold(ctx context.Context, provider string) (int, error) {
	state, err := stateOf(ctx, d.db, provider)
	if err != nil {
		return 0, err
	}
	total := 0
	for frozen(state) {
		at, err := standingOf(ctx, d.db, provider)
		if err != nil {
			return total, err
		}
		if d.quiet(provider, at) {
			break
		}
		n, err := d.withholdSome(ctx, provider)
		if err != nil {
			return total, fmt.Errorf("release: withhold from %s: %w", provider, err)
		}
		if n == 0 {
			d.settleAt(provider, at)
			break
		}
		total += n
		d.bell.ring(provider)
	}
	n, err := d.lower(ctx, provider)
	return total + n, err
}

func (d *Desk) withholdSome(ctx context.Context, provider string) (int, error) {
	now := d.clock.now()
	var gone []surplus
	err := d.db.Write(ctx, func(tx *sql.Tx) error {
		at, err := standingOf(ctx, tx, provider)
		if err != nil {
			return err
		}
		gone, err = excess(ctx, tx, provider, at, now)
		if err != nil {
			return err
		}
		return d.retireAll(ctx, tx, provider, gone, now, "delivery.withhold")
	})
	return len(gone), err
}

// retireAll takes items from a provider and says so in the audit log.
func (d *Desk) retireAll(ctx context.Context, tx *sql.Tx, provider string, gone []surplus, now time.Time, action string) error {
	if len(gone) == 0 {
		return nil
	}
	s := newShelf(now)
	for _, e := range gone {
		err := d.retire(ctx, tx, s, provider, e)
		if err != nil {
			return err
		}
	}
	err := s.flush(ctx, tx)
	if err != nil {
		return err
	}
	return audit.Append(ctx, tx, "system", action, provider, map[string]any{"items": len(gone)})
}

// standing is what decides whether anything is left to withhold.
type standing struct {
	state     string
	withdrawn int64
	head      int64
}

func standingOf(ctx context.Context, q sqldb.Querier, provider string) (standing, error) {
	var s standing
	err := q.QueryRowContext(ctx, `SELECT state, withdrawn, head FROM provider WHERE id = $1`, provider).Scan(&s.state, &s.withdrawn, &s.head)
	return s, err
}

// quiet reports whether nothing has happened since the last look that found
// nothing.
func (d *Desk) quiet(provider string, at standing) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.withheld[provider] == at
}

func (d *Desk) settleAt(provider string, at standing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.withheld[provider] = at
}

// surplus is an item that a frozen provider's log still has, and for which
// services it must not.
type surplus struct {
	id       contract.ID
	services contract.Services
}

// excess finds a portion of it: all that is in force when everything is
// withdrawn, else what was never handed out.
func excess(ctx context.Context, tx *sql.Tx, provider string, at standing, now time.Time) ([]surplus, error) {
	if !frozen(at.state) {
		return nil, nil
	}
	which := ` AND loaded = 0 AND delivered = 0 AND refused = 0`
	if at.withdrawn > 0 || at.state == terminating {
		which = ``
	}
	return surpluses(ctx, tx, `SELECT item, service FROM delivery WHERE provider = $1 AND until > $2
		AND removed = 0 AND remove_seq = 0`+which+` LIMIT $3`, provider, sqldb.Time(now), int64(4*portion))
}

// surpluses reads rows of item and service.
func surpluses(ctx context.Context, tx *sql.Tx, query string, args ...any) ([]surplus, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []surplus
	place := map[contract.ID]int{}
	for rows.Next() {
		var text string
		var svc contract.Services
		err = rows.Scan(&text, &svc)
		if err != nil {
			return nil, err
		}
		id, err := contract.ParseID(text)
		if err != nil {
			return nil, err
		}
		i, seen := place[id]
		if !seen {
			i, place[id] = len(out), len(out)
			out = append(out, surplus{id: id})
		}
		out[i].services |= svc
	}
	return out, rows.Err()
}

// retire takes some services of an item from a provider. The version that says so
// is in this provider's log alone; where nothing is left, it is a blank one.
func (d *Desk) retire(ctx context.Context, tx *sql.Tx, s *shelf, provider string, e surplus) error {
	had, err := reach(ctx, tx, e.id, provider)
	if err != nil {
		return err
	}
	left := had &^ e.services
	how := change(sameWords)
	if left == 0 {
		how = blank
	}
	x, body, err := nextVersion(ctx, tx, e.id, s.now, how)
	if err != nil {
		return err
	}
	if left == 0 {
		s.remove(x, body, []string{provider})
		return nil
	}
	s.narrow(x, body, Target{Provider: provider, Services: left}, e.services)
	return nil
}
