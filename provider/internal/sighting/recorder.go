package sighting

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/provider/internal/customer"
)

const (
	flushEvery = 200 * time.Millisecond // what a crash can lose of DNS and flow matches, at most
	flushSize  = 4096                   // distinct matches in one transaction, at most
)

// Withheld begins the text of a sighting whose value may not be shown; a keyed
// tag follows it.
const Withheld = "withheld:"

// Config is what a recorder needs.
type Config struct {
	DB        *sqldb.DB
	Queue     *Queue
	Customers *customer.Holder
	Secret    []byte               // keys the tags that stand for values that may not be shown
	DayLength func() time.Duration // of the feedback rules in force
	Stored    func()               // called after each transaction, for notices; may be nil
	Log       *slog.Logger
}

// Recorder takes events, merges what is the same within an hour, and stores it
// together with the counts from which feedback is made (of customers who have
// agreed at that moment, and of nobody else).
//
// When the database cannot be written (a full disk), events wait in memory up
// to the queue's size; beyond it they are dropped and counted.
type Recorder struct {
	cfg    Config
	direct chan request
	stored atomic.Uint64
	failed atomic.Uint64
}

type request struct {
	event Event
	done  chan error
}

// NewRecorder makes a recorder. Nothing is stored before Run.
func NewRecorder(cfg Config) *Recorder {
	return &Recorder{cfg: cfg, direct: make(chan request)}
}

// Record stores one event and returns when it is on the disk: for mail, whose
// verdict must not be given before.
func (r *Recorder) Record(ctx context.Context, e *Event) error {
	done := make(chan error, 1)
	select {
	case r.direct <- request{event: *e, done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Counts says how many events were stored and how many attempts to store failed.
func (r *Recorder) Counts() (stored, failed uint64) { return r.stored.Load(), r.failed.Load() }

// key is what makes two matches the same sighting.
type key struct {
	indicator contract.ID
	customer  int32
	service   contract.Services
	action    contract.Action
	client    netip.Addr
	peer      netip.Addr
	what      string
	hour      int64
}

type merged struct {
	category    contract.Category
	notify      bool
	count       int64
	first, last int64
	agreed      map[contract.Day]int64 // by day, for feedback
	sector      contract.Sector
}

// Run records until ctx ends, then stores what is still waiting.
func (r *Recorder) Run(ctx context.Context) error {
	batch := map[key]*merged{}
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	flush := func(ctx context.Context) {
		err := r.store(ctx, batch)
		if err != nil {
			r.failed.Add(1)
			r.cfg.Log.LogAttrs(ctx, slog.LevelError, "sightings not stored, will try again", slog.Int("waiting", len(batch)), slog.String("error", err.Error()))
			return
		}
		clear(batch)
	}
	for {
		// With a batch that could not be stored, take no more: the queue fills and
		// counts what it drops.
		in := r.cfg.Queue.C()
		if len(batch) >= flushSize {
			in = nil
		}
		select {
		case <-ctx.Done():
			return r.finish(batch, flush)
		case e := <-in:
			r.merge(batch, &e)
		case req := <-r.direct:
			r.now(ctx, req)
		case <-tick.C:
			if len(batch) > 0 {
				flush(ctx)
			}
		}
	}
}

// now stores an event that somebody waits for, together with what else is asking
// right now, so that one transaction serves many. It does not mix them with the
// queue's events: who is told that storing failed will report the match again.
func (r *Recorder) now(ctx context.Context, req request) {
	batch := map[key]*merged{}
	waiting := []chan error{req.done}
	r.merge(batch, &req.event)
	for more := true; more && len(batch) < flushSize; {
		select {
		case req = <-r.direct:
			r.merge(batch, &req.event)
			waiting = append(waiting, req.done)
		default:
			more = false
		}
	}
	err := r.store(ctx, batch)
	if err != nil {
		r.failed.Add(1)
	}
	for _, done := range waiting {
		done <- err
	}
}

func (r *Recorder) finish(batch map[key]*merged, flush func(context.Context)) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for {
		select {
		case e := <-r.cfg.Queue.C():
			r.merge(batch, &e)
			continue
		default:
		}
		if len(batch) > 0 {
			flush(ctx)
		}
		return nil
	}
}

func (r *Recorder) merge(batch map[key]*merged, e *Event) {
	k := key{
		indicator: e.Indicator, customer: e.Customer, service: e.Service, action: e.Action,
		client: e.Client, peer: e.Peer, what: r.what(e), hour: e.At / time.Hour.Microseconds(),
	}
	m := batch[k]
	if m == nil {
		m = &merged{category: e.Category, first: e.At, last: e.At}
		batch[k] = m
	}
	n := int64(max(e.Count, 1))
	m.count += n
	m.notify = m.notify || e.Notify
	m.first, m.last = min(m.first, e.At), max(m.last, e.At)
	c := r.cfg.Customers.Get().ByID(e.Customer)
	if c == nil || !c.Consent.Has(e.Service) {
		return
	}
	if m.agreed == nil {
		m.agreed = map[contract.Day]int64{}
	}
	m.sector = c.Sector
	m.agreed[contract.DayOf(time.UnixMicro(e.At), r.cfg.DayLength())] += n
}

// what gives the text of what was seen, or a keyed tag in its place when the
// marking does not let operators see the value. The tag is the same for the
// same value, so that sightings still merge, and tells nothing else.
func (r *Recorder) what(e *Event) string {
	raw := e.What[:e.Length]
	if len(raw) > 0 && !e.Display {
		h := hmac.New(sha256.New, r.cfg.Secret)
		h.Write(raw)
		return Withheld + hex.EncodeToString(h.Sum(nil)[:6])
	}
	switch e.Service {
	case contract.DNS:
		return nameText(raw)
	case contract.NetFlow:
		return fmt.Sprintf("protocol %d port %d", e.Proto, e.Port)
	default:
		return printable(raw)
	}
}

func (r *Recorder) store(ctx context.Context, batch map[key]*merged) error {
	if len(batch) == 0 {
		return nil
	}
	err := r.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var next int64
		err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM sighting`).Scan(&next)
		if err != nil {
			return err
		}
		for k, m := range batch {
			_, err = tx.ExecContext(ctx, `INSERT INTO sighting (id, service, indicator, category, customer, action, client, peer, what,
					hour, count, first, last, notify)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
				ON CONFLICT (indicator, customer, service, action, client, peer, what, hour) DO UPDATE SET
					count = sighting.count + excluded.count, notify = excluded.notify,
					last = CASE WHEN excluded.last > sighting.last THEN excluded.last ELSE sighting.last END`,
				next, k.service, k.indicator.String(), m.category, k.customer, k.action, addrText(k.client), addrText(k.peer), k.what,
				k.hour, m.count, m.first, m.last, m.notify)
			if err != nil {
				return err
			}
			next++
			for day, n := range m.agreed {
				_, err = tx.ExecContext(ctx, `INSERT INTO consented (day, service, indicator, category, action, customer, sector, count)
					VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
					ON CONFLICT (day, service, indicator, action, customer) DO UPDATE SET count = consented.count + excluded.count`,
					day, k.service, k.indicator.String(), m.category, k.action, k.customer, m.sector, n)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("sighting: %w", err)
	}
	r.stored.Add(uint64(len(batch)))
	if r.cfg.Stored != nil {
		r.cfg.Stored()
	}
	return nil
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// nameText gives a wire-form name in the presentation form of RFC 1035 section
// 5.1, without the trailing dot.
func nameText(wire []byte) string {
	var b strings.Builder
	for len(wire) > 1 {
		n := int(wire[0])
		if n == 0 || n >= len(wire) {
			break
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		for _, c := range wire[1 : 1+n] {
			switch {
			case c == '.' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < '!' || c > '~':
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		wire = wire[1+n:]
	}
	return b.String()
}

// printable makes text from traffic safe to show and to log.
func printable(raw []byte) string {
	s := strings.ToValidUTF8(string(raw), "\uFFFD")
	q := strconv.QuoteToGraphic(s)
	return q[1 : len(q)-1]
}
