package release

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/sqldb"
)

// shelf collects what one transaction publishes and writes it in few, wide
// statements at the end. Nothing of it may be seen outside before the commit.
type shelf struct {
	now     time.Time
	objects [][]any            // item, modified, body, blank; added comes with flush
	entries map[string][]entry // by provider

	companions map[string]map[string]companion // by provider and identifier
}

type entry struct {
	item     string
	modified int64
	services contract.Services // 0 takes out of force
	fresh    contract.Services // those of them that get a row in the ledger
	gone     contract.Services // services whose rows in the ledger end here
	leaf     string
	until    int64
}

func newShelf(now time.Time) *shelf { return &shelf{now: now, entries: map[string][]entry{}} }

// object makes the bytes of an item's first released version. It says what the
// item's markings permit to every provider alike; what may not be enforced is for
// alerts.
func (d *Desk) object(it *indicator.Item, h marking.Handling, marks []string, now time.Time) (*contract.Indicator, []byte, error) {
	terms := decision.Of(it, h, true).Terms(it.Disclosure, now)
	x := &contract.Indicator{
		ID: it.ID, CreatedBy: d.cfg.Creator,
		Created: milli(it.Created), Modified: milli(now), Pattern: it.Pattern,
		ValidFrom: milli(it.ValidFrom), ValidUntil: milli(it.ValidUntil), Confidence: it.Confidence, Marking: max(it.TLP, h.TLP()), Markings: marks,
		Category: it.Category, Action: it.Action, Summary: it.Summary, Disclosure: terms.Disclosure,
		Enforce: terms.Enforce, Display: terms.Display, Notify: terms.Notify,
	}
	if !x.Enforce && x.Action != contract.Shadow {
		x.Action = contract.Alert
	}
	if x.Modified.Before(x.Created) { // the clock went back: STIX 2.1 section 3.2 has modified >= created
		x.Modified = x.Created
	}
	body, err := x.Canonical()
	return x, body, err
}

// version stores a version of an object.
func (s *shelf) version(x *contract.Indicator, body []byte) {
	s.objects = append(s.objects, []any{x.ID.String(), sqldb.Time(x.Modified), string(body), x.Pattern == withdrawn})
}

// add stores an object and puts it in force for the targets.
func (s *shelf) add(x *contract.Indicator, body []byte, targets []Target) {
	s.version(x, body)
	for _, t := range targets {
		s.enter(x, body, t, t.Services)
	}
}

// enter puts an object that is on the shelf in force for one target; fresh are the services that the target did not have.
func (s *shelf) enter(x *contract.Indicator, body []byte, t Target, fresh contract.Services) {
	leaf := (&contract.Entry{Services: t.Services, Object: body}).Leaf()
	s.entries[t.Provider] = append(s.entries[t.Provider], entry{
		item: x.ID.String(), modified: sqldb.Time(x.Modified), services: t.Services, fresh: fresh,
		leaf: leaf.String(), until: sqldb.Time(x.ValidUntil),
	})
}

// remove takes an item out of force at the providers.
func (s *shelf) remove(x *contract.Indicator, body []byte, providers []string) {
	s.version(x, body)
	for _, p := range providers {
		s.entries[p] = append(s.entries[p], entry{
			item: x.ID.String(), modified: sqldb.Time(x.Modified), gone: contract.AllServices, until: sqldb.Time(x.ValidUntil),
		})
	}
}

// narrow leaves an item in force at a provider for fewer services than before.
func (s *shelf) narrow(x *contract.Indicator, body []byte, t Target, gone contract.Services) {
	s.version(x, body)
	s.enter(x, body, t, 0)
	es := s.entries[t.Provider]
	es[len(es)-1].gone = gone
}

// flush numbers and writes everything. Providers are taken in one order, so
// that two hubs cannot wait for each other.
func (s *shelf) flush(ctx context.Context, tx *sql.Tx) error {
	now := sqldb.Time(s.now)
	err := s.store(ctx, tx, now)
	if err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(s.entries)) {
		err = s.book(ctx, tx, p, s.entries[p], now)
		if err != nil {
			return fmt.Errorf("release: log of %s: %w", p, err)
		}
	}
	return nil
}

// store writes the objects and what stands beside them, each with a moment of its
// own, later than all before: TAXII pages by it. Definitions of markings come before
// the objects that name them, relationships after.
func (s *shelf) store(ctx context.Context, tx *sql.Tx, now int64) error {
	if len(s.objects) == 0 && len(s.companions) == 0 {
		return nil
	}
	var last, beside int64
	err := tx.QueryRowContext(ctx, `SELECT coalesce(max(added), 0), (SELECT coalesce(max(added), 0) FROM companion) FROM object`).Scan(&last, &beside)
	if err != nil {
		return fmt.Errorf("release: newest object: %w", err)
	}
	next, err := s.accompany(ctx, tx, "marking-definition", max(now, last+1, beside+1))
	if err != nil {
		return err
	}
	for i := range s.objects {
		s.objects[i] = append(s.objects[i], next)
		next++
	}
	err = insert(ctx, tx, `INSERT INTO object (item, modified, body, blank, added) VALUES `, s.objects, ``)
	if err != nil {
		return fmt.Errorf("release: objects: %w", err)
	}
	_, err = s.accompany(ctx, tx, "relationship", next)
	return err
}

// book writes a provider's log entries and ledger rows.
func (s *shelf) book(ctx context.Context, tx *sql.Tx, provider string, es []entry, now int64) error {
	var head int64
	err := tx.QueryRowContext(ctx, `UPDATE provider SET head = head + $2 WHERE id = $1 RETURNING head`, provider, int64(len(es))).Scan(&head)
	if err != nil {
		return err
	}
	seq := head - int64(len(es))
	var lines, rows [][]any
	for _, e := range es {
		seq++
		lines = append(lines, []any{provider, seq, e.item, e.modified, int64(e.services), e.leaf, e.until, now})
		for _, svc := range e.fresh.Each() {
			rows = append(rows, []any{e.item, provider, int64(svc), seq, e.until, now})
		}
		if e.gone == 0 {
			continue
		}
		_, err = tx.ExecContext(ctx, `UPDATE delivery SET remove_seq = $3, removal_queued = $4
			WHERE item = $1 AND provider = $2 AND remove_seq = 0 AND (service & $5) <> 0`, e.item, provider, seq, now, int64(e.gone))
		if err != nil {
			return err
		}
	}
	err = insert(ctx, tx, `INSERT INTO entry (provider, seq, item, modified, services, leaf, until, at) VALUES `, lines, ``)
	if err != nil {
		return err
	}
	return insert(ctx, tx, `INSERT INTO delivery (item, provider, service, add_seq, until, queued) VALUES `, rows, ``)
}

// insert writes many rows with few statements; both engines take more than the
// 8,000 parameters that one of them has here at most.
func insert(ctx context.Context, tx *sql.Tx, head string, rows [][]any, tail string) error {
	const most = 8000
	for len(rows) > 0 {
		width := len(rows[0])
		n := min(len(rows), most/width)
		var b strings.Builder
		b.WriteString(head)
		args := make([]any, 0, n*width)
		for i, row := range rows[:n] {
			for j := range row {
				switch {
				case j > 0:
					b.WriteByte(',')
				case i > 0:
					b.WriteString(",(")
				default:
					b.WriteByte('(')
				}
				b.WriteByte('$')
				b.WriteString(strconv.Itoa(len(args) + j + 1))
			}
			b.WriteByte(')')
			args = append(args, row...)
		}
		b.WriteString(tail)
		_, err := tx.ExecContext(ctx, b.String(), args...)
		if err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// milli cuts to the precision that an object has.
func milli(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func parseLeaf(text string) (contract.Digest, error) {
	var d contract.Digest
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("release: stored leaf is not a digest")
	}
	copy(d[:], b)
	return d, nil
}
