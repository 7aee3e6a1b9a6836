package release

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// A delivery is judged from its moments alone, so that the answer for a past
// date never changes: $1 is that date, $2 the date before which what still
// waits is overdue.
const (
	// class tells loaded, refused, lapsed and open apart; Reconcile adds them up.
	// A row that went to the node and was recalled without any receipt is open:
	// the node may have it.
	class = `CASE
		WHEN d.loaded > 0 AND d.loaded <= $1 AND NOT (d.refused > d.loaded AND d.refused <= $1) THEN 'loaded'
		WHEN d.refused > 0 AND d.refused <= $1 THEN 'refused'
		WHEN d.until <= $1 OR (d.removed > 0 AND d.removed <= $1) THEN 'lapsed'
		WHEN d.removal_queued > 0 AND d.removal_queued <= $1 AND (d.delivered = 0 OR d.delivered > $1) THEN 'lapsed'
		ELSE 'open' END`
	removal = `CASE WHEN d.removal_queued <= $2 THEN 'REMOVAL_OVERDUE'
		WHEN d.removal_sent > 0 AND d.removal_sent <= $1 THEN 'REMOVAL_SENT' ELSE 'REMOVAL_QUEUED' END`
	status = `CASE ` + class + `
		WHEN 'loaded' THEN CASE
			WHEN d.removed > 0 AND d.removed <= $1 THEN 'REMOVED'
			WHEN d.until <= $1 THEN 'ENDED'
			WHEN d.removal_queued > 0 AND d.removal_queued <= $1 THEN ` + removal + `
			ELSE 'LOADED' END
		WHEN 'refused' THEN 'REFUSED'
		WHEN 'lapsed' THEN 'LAPSED'
		ELSE CASE
			WHEN d.removal_queued > 0 AND d.removal_queued <= $1 THEN ` + removal + `
			WHEN d.queued <= $2 THEN 'OVERDUE'
			WHEN d.delivered > 0 AND d.delivered <= $1 THEN 'DELIVERED'
			ELSE 'QUEUED' END
		END`
)

func (d *Desk) moments(at time.Time) (time.Time, []any) {
	if at.IsZero() {
		at = d.clock.now()
	}
	return at, []any{sqldb.Time(at), sqldb.Time(at.Add(-d.cfg.Overdue))}
}

// Ledger lists deliveries as they stood at Filter.At, in the order of provider,
// log entry and service.
func (d *Desk) Ledger(ctx context.Context, q sqldb.Querier, f Filter) ([]Delivery, error) {
	at, args := d.moments(f.At)
	where := []string{`d.queued <= $1`}
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if f.Provider != "" {
		where = append(where, `d.provider = `+arg(f.Provider))
	}
	if !f.Item.IsZero() {
		where = append(where, `d.item = `+arg(f.Item.String()))
	}
	if f.Service != 0 {
		where = append(where, `d.service = `+arg(int64(f.Service)))
	}
	if f.Handlings != nil {
		where = append(where, among(f.Handlings))
	}
	if f.Status != "" {
		where = append(where, status+` = `+arg(string(f.Status)))
	}
	if f.After != nil {
		p, s, v := arg(f.After.Provider), arg(int64(f.After.AddSeq)), arg(int64(f.After.Service))
		where = append(where, `(d.provider, d.add_seq, d.service) > (`+p+`, `+s+`, `+v+`)`)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 100
	}
	rows, err := q.QueryContext(ctx, `SELECT d.item, d.provider, d.service, `+status+`, d.reason, d.until, d.add_seq, d.remove_seq,
		d.queued, d.delivered, d.loaded, d.refused, d.removal_queued, d.removal_sent, d.removed
		FROM delivery d WHERE `+strings.Join(where, " AND ")+
		` ORDER BY d.provider, d.add_seq, d.service LIMIT `+arg(int64(min(limit, 10_000))), args...)
	if err != nil {
		return nil, fmt.Errorf("release: ledger: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Delivery
	for rows.Next() {
		r, err := scanDelivery(rows, at)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// scanDelivery reads a row as it stood at a moment: what came later is not told.
func scanDelivery(rows *sql.Rows, at time.Time) (Delivery, error) {
	var r Delivery
	var item string
	var add, remove, until int64
	var t [7]int64
	err := rows.Scan(&item, &r.Provider, &r.Service, &r.Status, &r.Reason, &until, &add, &remove,
		&t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6])
	if err != nil {
		return r, err
	}
	r.Item, err = contract.ParseID(item)
	if err != nil {
		return r, err
	}
	r.AddSeq, r.Until = uint64(add), sqldb.FromTime(until)
	for i, p := range []*time.Time{&r.Queued, &r.Delivered, &r.Loaded, &r.Refused, &r.RemovalQueued, &r.RemovalSent, &r.Removed} {
		if t[i] <= sqldb.Time(at) {
			*p = sqldb.FromTime(t[i])
		}
	}
	if !r.RemovalQueued.IsZero() {
		r.RemoveSeq = uint64(remove)
	}
	if r.Refused.IsZero() {
		r.Reason = ""
	}
	return r, nil
}

// among asks for deliveries of items under one of the handlings; nil: all.
func among(handlings []int64) string {
	if handlings == nil {
		return "1 = 1"
	}
	return `EXISTS (SELECT 1 FROM item i WHERE i.id = d.item AND ` + indicator.Among("i.handling", handlings) + `)`
}

// Reconcile balances what was ever released to a provider, as of any date.
func (d *Desk) Reconcile(ctx context.Context, provider string, at time.Time) (Balance, error) {
	return d.ReconcileAmong(ctx, provider, at, nil)
}

// ReconcileAmong is [Desk.Reconcile] over the items under some handlings (nil: all),
// for a reader who may know of no others.
func (d *Desk) ReconcileAmong(ctx context.Context, provider string, at time.Time, handlings []int64) (Balance, error) {
	at, args := d.moments(at)
	b := Balance{Provider: provider, At: at}
	rows, err := d.db.QueryContext(ctx, `SELECT c, s, count(*) FROM (
		SELECT `+class+` AS c, `+status+` AS s FROM delivery d WHERE d.provider = $3 AND d.queued <= $1 AND `+among(handlings)+`) AS x GROUP BY c, s`,
		append(args, provider)...)
	if err != nil {
		return b, fmt.Errorf("release: reconcile: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var c string
		var s Status
		var n int64
		err = rows.Scan(&c, &s, &n)
		if err != nil {
			return b, err
		}
		b.take(c, s, n)
	}
	return b, rows.Err()
}

func (b *Balance) take(c string, s Status, n int64) {
	b.Released += n
	switch c {
	case "refused":
		b.Refused += n
	case "lapsed":
		b.Lapsed += n
	case "loaded":
		b.Loaded += n
		switch s {
		case RemovedThere:
			b.Removed += n
		case Ended:
			b.Ended += n
		case Loaded:
			b.InForce += n
		default:
			b.Removing += n
		}
	default:
		if s == Overdue || s == RemovalOverdue {
			b.Overdue += n
		} else {
			b.Pending += n
		}
	}
}

// InForce lists what was in force at a provider, by its receipts and the
// clock, as of any date, and who approved it: at most limit items (100 when
// zero, at most 1000) after an identifier, in order of identifier.
func (d *Desk) InForce(ctx context.Context, provider string, at time.Time, after contract.ID, limit int) ([]InForce, error) {
	return d.InForceAmong(ctx, provider, at, after, limit, nil)
}

// InForceAmong is [Desk.InForce] over the items under some handlings (nil: all), for
// a reader who may know of no others.
func (d *Desk) InForceAmong(ctx context.Context, provider string, at time.Time, after contract.ID, limit int, handlings []int64) ([]InForce, error) {
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	at, args := d.moments(at)
	from := ""
	if !after.IsZero() {
		from = after.String()
	}
	var out []InForce
	err := d.db.Read(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT d.item, d.service, d.loaded, d.until,
			CASE WHEN d.removal_queued <= $1 THEN d.removal_queued ELSE 0 END
			FROM delivery d WHERE d.provider = $3 AND d.item > $4 AND d.queued <= $1 AND `+among(handlings)+`
			AND `+class+` = 'loaded' AND d.until > $1 AND NOT (d.removed > 0 AND d.removed <= $1) AND $2 <= $1
			ORDER BY d.item, d.service LIMIT $5`, append(args, provider, from, int64(3*(limit+1)))...)
		if err != nil {
			return fmt.Errorf("release: in force: %w", err)
		}
		out, err = gather(rows, limit)
		if err != nil {
			return err
		}
		for i := range out {
			out[i].Approvals, err = approvals(ctx, tx, out[i].ID, at)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// gather puts the services of one item together, at most limit items.
func gather(rows *sql.Rows, limit int) ([]InForce, error) {
	defer func() { _ = rows.Close() }()
	var out []InForce
	for rows.Next() {
		var item string
		var svc contract.Services
		var loaded, until, recalled int64
		err := rows.Scan(&item, &svc, &loaded, &until, &recalled)
		if err != nil {
			return nil, err
		}
		id, err := contract.ParseID(item)
		if err != nil {
			return nil, err
		}
		if len(out) > 0 && out[len(out)-1].ID == id {
			last := &out[len(out)-1]
			last.Services |= svc
			if sqldb.FromTime(loaded).Before(last.Loaded) {
				last.Loaded = sqldb.FromTime(loaded)
			}
			continue
		}
		if len(out) == limit {
			return out, nil
		}
		out = append(out, InForce{
			ID: id, Services: svc, Loaded: sqldb.FromTime(loaded), Until: sqldb.FromTime(until), Recalled: sqldb.FromTime(recalled),
		})
	}
	return out, rows.Err()
}

func approvals(ctx context.Context, tx *sql.Tx, id contract.ID, at time.Time) ([]Approval, error) {
	ds, err := indicator.Decisions(ctx, tx, id)
	if err != nil {
		return nil, err
	}
	var out []Approval
	for _, x := range indicator.Standing(ds) {
		if !x.At.After(at) {
			out = append(out, Approval{Kind: x.Kind, Login: x.Login, Person: x.Person, Reason: x.Reason, At: x.At})
		}
	}
	return out, nil
}

// Targets lists where the second approval sent an item.
func (d *Desk) Targets(ctx context.Context, q sqldb.Querier, id contract.ID) ([]Target, error) {
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
