// Package notice tells customers what was stopped for them. A notice is made
// from sightings, never by the hub; what it may say is limited by the
// indicator's marking and disclosure level. It counts as told only when the
// customer has acknowledged it; when nobody does in time, or it cannot be
// delivered, it is escalated to the provider's operators. States:
//
//	QUEUED → DISPATCHED → ACKNOWLEDGED
//	   └─────────┴──────→ ESCALATED → ACKNOWLEDGED
//
// Delivery is at least once, with the notice's number in it so that a repetition
// is seen as one. One open notice tells of all sightings of one indicator by one
// service at one customer.
package notice

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/provider/internal/match"
)

// State is where a notice stands.
type State string

// The states.
const (
	Queued       State = "QUEUED"
	Dispatched   State = "DISPATCHED"
	Acknowledged State = "ACKNOWLEDGED"
	Escalated    State = "ESCALATED"
)

// Config is what the service needs.
type Config struct {
	DB        *sqldb.DB
	Set       *match.Holder // for category, disclosure and summary of an indicator
	Provider  string        // the provider's name, as customers know it
	PublicURL string        // where customers acknowledge: PublicURL + "/notice/" + token
	Mail      MailConfig
	AckWithin time.Duration // unacknowledged after this: escalated; 24 h when zero
	Repeat    time.Duration // a settled notice is followed by another no sooner; 24 h when zero
	Log       *slog.Logger
	Now       func() time.Time // nil: time.Now
}

// Service makes and delivers notices.
type Service struct {
	cfg       Config
	wake      chan struct{}
	made      atomic.Uint64
	delivered atomic.Uint64
	failed    atomic.Uint64
}

// New makes the service. Nothing happens before Run.
func New(cfg Config) *Service {
	if cfg.AckWithin == 0 {
		cfg.AckWithin = 24 * time.Hour
	}
	if cfg.Repeat == 0 {
		cfg.Repeat = 24 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, wake: make(chan struct{}, 1)}
}

// Wake makes the service look for new sightings now. It never waits.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Counts says how many notices were made, delivered, and how many deliveries failed.
func (s *Service) Counts() (made, delivered, failed uint64) {
	return s.made.Load(), s.delivered.Load(), s.failed.Load()
}

// Run makes and delivers notices until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		err := s.Once(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "notices not made, will try again", slog.String("error", err.Error()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// Once makes what is due, delivers it and escalates what nobody acknowledged.
func (s *Service) Once(ctx context.Context) error {
	return errors.Join(s.gather(ctx), s.deliver(ctx), s.escalate(ctx))
}

// told is a group of sightings that one notice tells of.
type told struct {
	customer    int32
	name        string
	indicator   string
	service     contract.Services
	category    contract.Category
	count       int64
	first, last int64
	clients     string
	channel     string
}

// gather puts sightings that no notice tells of yet under an open notice, or
// under a new one.
func (s *Service) gather(ctx context.Context) error {
	now := s.cfg.Now()
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		groups, err := untold(ctx, tx)
		if err != nil {
			return err
		}
		for _, g := range groups {
			var id int64
			err = tx.QueryRowContext(ctx, `SELECT id FROM notice WHERE customer = $1 AND indicator = $2 AND service = $3
				AND (state IN ($4, $5) OR created > $6) ORDER BY id DESC LIMIT 1`,
				g.customer, g.indicator, g.service, Queued, Dispatched, sqldb.Time(now.Add(-s.cfg.Repeat))).Scan(&id)
			if errors.Is(err, sql.ErrNoRows) {
				id, err = s.create(ctx, tx, g, now)
			}
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `UPDATE sighting SET notice = $1
				WHERE notice = 0 AND notify AND customer = $2 AND indicator = $3 AND service = $4`,
				id, g.customer, g.indicator, g.service)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func untold(ctx context.Context, tx *sql.Tx) ([]told, error) {
	rows, err := tx.QueryContext(ctx, `SELECT s.customer, c.name, s.indicator, s.service, max(s.category), sum(s.count),
			min(s.first), max(s.last), min(s.client), count(DISTINCT s.client),
			max(c.notice_mail), max(c.notice_hook), max(c.notice_syslog)
		FROM sighting s JOIN customer c ON c.id = s.customer
		WHERE s.notice = 0 AND s.notify GROUP BY s.customer, c.name, s.indicator, s.service`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []told
	for rows.Next() {
		var g told
		var clients int
		var client, mail, hook, syslog string
		err = rows.Scan(&g.customer, &g.name, &g.indicator, &g.service, &g.category, &g.count, &g.first, &g.last,
			&client, &clients, &mail, &hook, &syslog)
		if err != nil {
			return nil, err
		}
		g.clients = client
		if clients > 1 {
			g.clients = fmt.Sprintf("%s and %d more", client, clients-1)
		}
		switch {
		case hook != "":
			g.channel = "webhook"
		case mail != "":
			g.channel = "mail"
		case syslog != "":
			g.channel = "syslog"
		default:
			g.channel = "operator"
		}
		out = append(out, g)
	}
	return out, rows.Err()
}

func (s *Service) create(ctx context.Context, tx *sql.Tx, g told, now time.Time) (int64, error) {
	var id int64
	err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM notice`).Scan(&id)
	if err != nil {
		return 0, err
	}
	token := rand.Text()
	state := Queued
	if g.channel == "operator" {
		state = Escalated // there is nobody to send it to but the operators
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO notice (id, customer, indicator, service, channel, state, body, token, next, created)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		id, g.customer, g.indicator, g.service, g.channel, state, s.body(g), token, 0, sqldb.Time(now))
	if err != nil {
		return 0, err
	}
	s.made.Add(1)
	return id, audit.Append(ctx, tx, audit.System, "notice.make", g.indicator, map[string]any{
		"notice": id, "customer": g.customer, "service": g.service.String(), "channel": g.channel,
	})
}

// body says what the customer may be told: always that it happened and to whom
// of its own, and more only as the disclosure level allows.
func (s *Service) body(g told) string {
	var b strings.Builder
	what := map[contract.Services]string{
		contract.DNS: "a look-up of a name", contract.SMTP: "a message", contract.NetFlow: "a connection",
	}[g.service]
	fmt.Fprintf(&b, "%s: %s that matches a threat indicator of the program was seen at %s.\n\n", s.cfg.Provider, what, g.name)
	fmt.Fprintf(&b, "Service:    %s\n", g.service)
	fmt.Fprintf(&b, "Your side:  %s\n", orNone(g.clients))
	fmt.Fprintf(&b, "First seen: %s\n", sqldb.FromTime(g.first).Format(time.RFC3339))
	fmt.Fprintf(&b, "Last seen:  %s\n", sqldb.FromTime(g.last).Format(time.RFC3339))
	fmt.Fprintf(&b, "Times:      %d\n", g.count)
	fmt.Fprintf(&b, "Reference:  %s\n", g.indicator)
	id, err := contract.ParseID(g.indicator)
	if err != nil {
		return b.String()
	}
	e := s.cfg.Set.Get().ByID(id)
	if e == nil {
		return b.String()
	}
	if e.Disclosure >= 1 {
		fmt.Fprintf(&b, "Category:   %s\n", e.Category)
	}
	if e.Disclosure >= 2 && e.Summary != "" {
		fmt.Fprintf(&b, "\n%s\n", e.Summary)
	}
	b.WriteString("\n" + advice[g.service] + "\n")
	return b.String()
}

var advice = map[contract.Services]string{
	contract.DNS:     "What to do: find the host at the address above and look for malware on it. The look-up itself was handled as your policy says.",
	contract.SMTP:    "What to do: tell the recipient not to act on similar messages. The message was handled as your policy says.",
	contract.NetFlow: "What to do: find the host at the address above and look for malware on it. Nothing was blocked: flow analysis only watches.",
}

func orNone(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}

// escalate hands to the operators what was not acknowledged in time.
func (s *Service) escalate(ctx context.Context) error {
	now := s.cfg.Now()
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `UPDATE notice SET state = $1 WHERE state IN ($2, $3) AND created < $4 RETURNING id, indicator`,
			Escalated, Queued, Dispatched, sqldb.Time(now.Add(-s.cfg.AckWithin)))
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		late := map[int64]string{}
		for rows.Next() {
			var id int64
			var indicator string
			err = rows.Scan(&id, &indicator)
			if err != nil {
				return err
			}
			late[id] = indicator
		}
		err = errors.Join(rows.Err(), rows.Close())
		if err != nil {
			return err
		}
		for id, indicator := range late {
			err = audit.Append(ctx, tx, audit.System, "notice.escalate", indicator, map[string]any{"notice": id})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
