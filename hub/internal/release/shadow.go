package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// CodeShadow is the finding that a shadow run leaves on the item that was counted.
const CodeShadow = "V7-SHADOW"

// Shadow thresholds of [Config], in matches, and how long feedback may take.
const (
	DefaultShadowWarn     = 100
	DefaultShadowStop     = 10_000
	DefaultShadowPatience = 48 * time.Hour
)

// roleSecurity is the provider's own officer, with the provider as scope.
const roleSecurity = "csp_security_officer"

// AgreeShadow writes down whether a provider agrees to shadow runs: by its own
// security officer, or an accrediting official who has it in writing. Runs that are
// under way go on.
func (d *Desk) AgreeShadow(ctx context.Context, acct signin.Account, provider string, agreed bool, reason string) error {
	return d.act(ctx, acct, reason, []string{roleSecurity, roleOfficial}, func(tx *sql.Tx, reason string) error {
		if !acct.Has(roleOfficial) && acct.Scope != provider {
			return fmt.Errorf("%w: the officer of %s has to agree", ErrRole, provider)
		}
		_, err := stateOf(ctx, tx, provider)
		if err != nil {
			return err
		}
		query := `DELETE FROM shadow_provider WHERE provider = $1`
		args := []any{provider}
		if agreed {
			query = `INSERT INTO shadow_provider (provider, login, at) VALUES ($1, $2, $3) ON CONFLICT (provider) DO NOTHING`
			args = append(args, acct.Login, sqldb.Time(d.clock.now()))
		}
		_, err = tx.ExecContext(ctx, query, args...)
		if err != nil {
			return fmt.Errorf("release: shadow runs of %s: %w", provider, err)
		}
		return audit.Append(ctx, tx, acct.Login, "provider.shadow", provider, map[string]any{"agreed": agreed, "reason": reason})
	})
}

// ShadowRun asks for a shadow run of an item that waits for people: providers that
// agreed count what it would have matched, for life (1 to 24 h), and block nothing.
// The analyst's word is the first of two; a release authority gives the second by
// [Desk.ShadowStart]. What runs is an item of its own, so that it has its own ledger
// rows and ends by both houses' clocks. Until its result is there the item that is
// counted cannot be approved.
func (d *Desk) ShadowRun(ctx context.Context, acct signin.Account, ref Ref, life time.Duration, targets []Target, reason string) (contract.ID, error) {
	if life < indicator.MinShadow || life > indicator.MaxShadow || life%time.Hour != 0 {
		return contract.ID{}, fmt.Errorf("%w: a shadow run lasts 1 to 24 whole hours", ErrState)
	}
	var id contract.ID
	err := d.act(ctx, acct, reason, []string{roleAnalyst}, func(tx *sql.Tx, reason string) error {
		err := mayStart(ctx, tx, acct)
		if err != nil {
			return err
		}
		origin, err := open(ctx, tx, ref, indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
		if err == nil {
			err = alone(ctx, tx, &origin, indicator.Shadow)
		}
		if err != nil {
			return err
		}
		counted, err := indicator.Counted(ctx, tx, origin.ID)
		if err != nil {
			return err
		}
		if counted {
			return fmt.Errorf("%w: a shadow run of %s has no result yet", ErrState, origin.ID)
		}
		id, err = d.shadowItem(ctx, tx, acct, &origin, life, merge(targets), reason)
		return err
	})
	return id, err
}

func (d *Desk) shadowItem(ctx context.Context, tx *sql.Tx, acct signin.Account, origin *indicator.Item, life time.Duration, targets []Target, reason string) (contract.ID, error) {
	now := d.clock.now()
	it := *origin
	it.ID, it.Number, it.Version, it.State = contract.NewID(), 0, 1, indicator.PendingFirst
	it.Created, it.Modified, it.Released, it.Ended = now, now, time.Time{}, time.Time{}
	it.Action, it.Notify, it.Disclosure = contract.Shadow, false, 0
	it.Summary, it.Context, it.Labels = "", "", ""
	it.ValidFrom, it.ValidUntil = now.Add(-time.Second), now.Add(indicator.MaxShadow) // to be started within a day
	o := indicator.Origin{Of: origin.ID, Kind: indicator.Shadow}
	err := indicator.Derive(ctx, tx, &it, o, 0)
	if err != nil {
		return it.ID, err
	}
	for _, t := range targets {
		var n int
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM shadow_provider WHERE provider = $1`, t.Provider).Scan(&n)
		if err != nil {
			return it.ID, fmt.Errorf("release: shadow runs of %s: %w", t.Provider, err)
		}
		if n == 0 {
			return it.ID, fmt.Errorf("%w: %s has not agreed to shadow runs", ErrNoTarget, t.Provider)
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO target (item, provider, services) VALUES ($1, $2, $3)`, it.ID.String(), t.Provider, int64(t.Services))
		if err != nil {
			return it.ID, fmt.Errorf("release: targets: %w", err)
		}
	}
	if len(targets) == 0 {
		return it.ID, fmt.Errorf("%w: no provider is named", ErrNoTarget)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO shadow_run (item, hours) VALUES ($1, $2)`, it.ID.String(), int64(life/time.Hour))
	if err != nil {
		return it.ID, fmt.Errorf("release: shadow run: %w", err)
	}
	_, err = duties(ctx, tx, &it, acct, indicator.KindFirst)
	if err != nil {
		return it.ID, err
	}
	err = d.step(ctx, tx, acct, &it, indicator.KindFirst, indicator.Approve, reason, func() error {
		return indicator.Move(ctx, tx, &it, indicator.PendingSecond, acct.Login, reason)
	})
	if err != nil {
		return it.ID, err
	}
	return it.ID, audit.Append(ctx, tx, acct.Login, "item.shadow", origin.ID.String(),
		map[string]any{"run": it.ID, "hours": int64(life / time.Hour), "reason": reason})
}

// ShadowStart is the second person's word on a shadow run: it begins now, at the
// providers that the analyst named, and ends by itself.
func (d *Desk) ShadowStart(ctx context.Context, acct signin.Account, ref Ref, reason string) (Outcome, error) {
	targets, err := shadowTargets(ctx, d.db, ref.ID)
	if err != nil {
		return Outcome{}, err
	}
	return d.releasing(ctx, acct, reason, targets, func(r *session) (Outcome, error) {
		out := Outcome{ID: ref.ID, At: r.now}
		it, err := open(ctx, r.tx, ref, indicator.PendingSecond)
		if err != nil {
			return out, err
		}
		var hours, started int64
		err = r.tx.QueryRowContext(ctx, `SELECT hours, started FROM shadow_run WHERE item = $1`, it.ID.String()).Scan(&hours, &started)
		if errors.Is(err, sql.ErrNoRows) || err == nil && started > 0 {
			return out, fmt.Errorf("%w: %s is no shadow run that waits to begin", ErrState, it.ID)
		}
		if err != nil {
			return out, fmt.Errorf("release: shadow run: %w", err)
		}
		it.ValidUntil = r.now.Add(time.Duration(hours) * time.Hour).Truncate(time.Millisecond)
		err = r.mayRelease(ctx, &it, indicator.KindSecond)
		if err != nil {
			return out, err
		}
		_, err = r.tx.ExecContext(ctx, `UPDATE shadow_run SET started = $2, ends = $3 WHERE item = $1`, it.ID.String(), sqldb.Time(r.now), sqldb.Time(it.ValidUntil))
		if err != nil {
			return out, fmt.Errorf("release: shadow run: %w", err)
		}
		return r.publish(ctx, &it, indicator.KindSecond, out)
	})
}

func shadowTargets(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Target, error) {
	rows, err := q.QueryContext(ctx, `SELECT provider, services FROM target WHERE item = $1 ORDER BY provider`, id.String())
	if err != nil {
		return nil, fmt.Errorf("release: targets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Target
	for rows.Next() {
		var t Target
		err = rows.Scan(&t.Provider, &t.Services)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// ShadowStop ends a shadow run before its time, or calls it off before it began; what
// was told until then is its result.
func (d *Desk) ShadowStop(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	err := needRole(acct, roleAnalyst, roleAuthority)
	if err != nil {
		return err
	}
	o, err := indicator.OriginOf(ctx, d.db, ref.ID)
	if err != nil {
		return err
	}
	if o.Kind != indicator.Shadow {
		return fmt.Errorf("%w: %s is no shadow run", ErrState, ref.ID)
	}
	it, err := indicator.Get(ctx, d.db, ref.ID)
	if err != nil {
		return err
	}
	why := Why{Code: Other, Text: reason}
	if it.Released.IsZero() {
		err = d.RejectFor(ctx, acct, ref, why)
	} else {
		err = d.RecallFor(ctx, acct, ref, why)
	}
	if err != nil {
		return err
	}
	return d.settleShadows(ctx)
}

// ShadowResult is what is known of a shadow run.
type ShadowResult struct {
	Run     contract.ID // the item that ran
	Of      contract.ID // the item that is counted
	State   indicator.State
	Hours   int
	Started time.Time // zero: waits for the second person
	Ends    time.Time
	Closed  time.Time       // zero: no result yet
	Events  contract.Bucket // in all; zero: none told
	Told    int             // providers that told a count
	Targets []Target
}

// Shadows reads the shadow runs of an item, oldest first.
func Shadows(ctx context.Context, q sqldb.Querier, of contract.ID) ([]ShadowResult, error) {
	made, err := indicator.MadeOf(ctx, q, of)
	if err != nil {
		return nil, err
	}
	var out []ShadowResult
	for _, m := range made {
		if m.Kind != indicator.Shadow {
			continue
		}
		s := ShadowResult{Run: m.Item, Of: of}
		var started, ends, closed int64
		err = q.QueryRowContext(ctx, `SELECT i.state, r.hours, r.started, r.ends, r.closed, r.events, r.told
			FROM shadow_run r JOIN item i ON i.id = r.item WHERE r.item = $1`, m.Item.String()).
			Scan(&s.State, &s.Hours, &started, &ends, &closed, &s.Events, &s.Told)
		if err != nil {
			return nil, fmt.Errorf("release: shadow run: %w", err)
		}
		s.Started, s.Ends, s.Closed = sqldb.FromTime(started), sqldb.FromTime(ends), sqldb.FromTime(closed)
		s.Targets, err = shadowTargets(ctx, q, m.Item)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

// settleShadows closes the runs that are over and of which all is told that will be:
// each becomes a finding of the item that was counted.
func (d *Desk) settleShadows(ctx context.Context) error {
	rows, err := d.db.QueryContext(ctx, `SELECT r.item FROM shadow_run r JOIN item i ON i.id = r.item WHERE r.closed = 0 AND i.ended > 0 ORDER BY r.ends LIMIT 100`)
	if err != nil {
		return fmt.Errorf("release: shadow runs: %w", err)
	}
	ids, err := texts(rows)
	if err != nil {
		return err
	}
	for _, text := range ids {
		id, err := contract.ParseID(text)
		if err != nil {
			return err
		}
		err = d.db.Write(ctx, func(tx *sql.Tx) error { return d.settleShadow(ctx, tx, id) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Desk) settleShadow(ctx context.Context, tx *sql.Tx, run contract.ID) error {
	var hours int
	var started, ends, closed int64
	err := tx.QueryRowContext(ctx, `SELECT hours, started, ends, closed FROM shadow_run WHERE item = $1`, run.String()).Scan(&hours, &started, &ends, &closed)
	if err != nil || closed > 0 {
		return err
	}
	it, err := indicator.Get(ctx, tx, run)
	if err != nil {
		return err
	}
	now := d.clock.now()
	silent, err := d.silent(ctx, tx, run, sqldb.FromTime(ends))
	if err != nil {
		return err
	}
	if started > 0 && it.State == indicator.Expired && silent > 0 && now.Before(sqldb.FromTime(ends).Add(d.cfg.ShadowPatience)) {
		return nil // feedback comes when its day is over
	}
	var events, told int64
	err = tx.QueryRowContext(ctx, `SELECT coalesce(sum(events), 0), count(DISTINCT provider) FROM feedback_cell WHERE item = $1 AND action = $2`,
		run.String(), int64(contract.Shadow)).Scan(&events, &told)
	if err != nil {
		return fmt.Errorf("release: feedback of a shadow run: %w", err)
	}
	total := contract.BucketOf(int(min(events, 1<<30)))
	_, err = tx.ExecContext(ctx, `UPDATE shadow_run SET closed = $2, events = $3, told = $4 WHERE item = $1`, run.String(), sqldb.Time(now), int64(total), told)
	if err != nil {
		return fmt.Errorf("release: close a shadow run: %w", err)
	}
	o, err := indicator.OriginOf(ctx, tx, run)
	if err != nil {
		return err
	}
	if started > 0 {
		err = d.shadowFinding(ctx, tx, o.Of, hours, total, int(told), now)
		if err != nil {
			return err
		}
	}
	return audit.Append(ctx, tx, "system", "item.shadow-result", o.Of.String(), map[string]any{"run": run, "matches": total.String(), "providers": told})
}

// silent counts the targets of a run that have not given feedback for the day on
// which it ended.
func (d *Desk) silent(ctx context.Context, tx *sql.Tx, run contract.ID, ends time.Time) (int, error) {
	day := contract.DayOf(ends.Add(-time.Millisecond), d.cfg.Rules.DayLength)
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM target t WHERE t.item = $1
		AND NOT EXISTS (SELECT 1 FROM feedback_window w WHERE w.provider = t.provider AND w.day >= $2)`, run.String(), int64(day)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("release: feedback of a shadow run: %w", err)
	}
	return n, nil
}

func (d *Desk) shadowFinding(ctx context.Context, tx *sql.Tx, of contract.ID, hours int, total contract.Bucket, told int, now time.Time) error {
	it, err := indicator.Get(ctx, tx, of)
	if err != nil || it.State.Ended() {
		return err
	}
	f := indicator.Finding{Item: of, Code: CodeShadow, Severity: indicator.Warn, At: now}
	switch {
	case total == 0:
		f.Detail = fmt.Sprintf("shadow run of %d h: no provider told of matches; fewer than the thresholds of feedback are not told", hours)
	default:
		f.Detail = fmt.Sprintf("shadow run of %d h: %s matches, told by %d providers", hours, total, told)
	}
	if int(total) >= d.cfg.ShadowStop {
		f.Severity = indicator.Stop
		f.Detail += fmt.Sprintf("; %d and more stop it", d.cfg.ShadowStop)
	} else if int(total) < d.cfg.ShadowWarn && total > 0 {
		f.Detail += fmt.Sprintf("; below the %d from which it is to be feared that it stops what is wanted", d.cfg.ShadowWarn)
	}
	return indicator.AddFinding(ctx, tx, f)
}
