package anonymise

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// State is where a window stands.
type State string

// The states. A window with no cell is Empty and is not sent: silence tells the
// hub no more than an empty list would.
const (
	Ready     State = "READY"    // made, waits for review
	Reviewed  State = "REVIEWED" // may be sent
	Accepted  State = "ACCEPTED"
	Refused   State = "REFUSED"
	Empty     State = "EMPTY"
	Discarded State = "DISCARDED" // an operator decided not to send it
)

// keepDays is how many days of counts are kept after their window was made.
const keepDays = 35

// Config is what the service needs.
type Config struct {
	DB    *sqldb.DB
	Rules contract.Rules // until the hub's signed rules arrive; DefaultRules in production
	Ready func()         // called when a reviewed window may be sent; may be nil
	Log   *slog.Logger
	Now   func() time.Time // nil: time.Now
}

// Service makes windows and keeps their state.
type Service struct {
	cfg   Config
	fresh chan struct{} // rules have come that Run has not seen
	mu    sync.Mutex
	rules contract.Rules
}

// New makes the service. Nothing happens before Run.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, fresh: make(chan struct{}, 1), rules: cfg.Rules}
}

// SetRules takes the hub's rules; link has verified their signature.
func (s *Service) SetRules(r contract.Rules) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = r
	select {
	case s.fresh <- struct{}{}:
	default:
	}
}

// Rules gives the rules in force.
func (s *Service) Rules() contract.Rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rules
}

// DayLength gives the length of a window.
func (s *Service) DayLength() time.Duration { return s.Rules().DayLength }

// Run makes the window of each day when it is over, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	for {
		err := s.Once(ctx)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.LogAttrs(ctx, slog.LevelError, "feedback not made, will try again", slog.String("error", err.Error()))
		}
		wait := min(s.DayLength()/10, time.Minute)
		select {
		case <-ctx.Done():
			return nil
		case <-s.fresh: // a day may be shorter than Run thought
		case <-time.After(max(wait, time.Second)):
		}
	}
}

// grace is how long after a day's end its window is made, so that the last
// matches have been stored.
func grace(day time.Duration) time.Duration { return min(day/20, 10*time.Minute) }

// Once makes the windows of all days that are over and have none, and forgets
// old counts. A match that is stored after its window was made is counted with
// no window: it is never sent, so that no two windows can be subtracted.
func (s *Service) Once(ctx context.Context) error {
	r := s.Rules()
	now := s.cfg.Now()
	today := contract.DayOf(now.Add(-grace(r.DayLength)), r.DayLength)
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `SELECT DISTINCT c.day, c.service FROM consented c
			LEFT JOIN feedback_window w ON w.day = c.day AND w.service = c.service
			WHERE c.day < $1 AND c.day >= $2 AND w.day IS NULL ORDER BY c.day, c.service`, today, today-keepDays)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		type key struct {
			day     contract.Day
			service contract.Services
		}
		var due []key
		for rows.Next() {
			var k key
			err = rows.Scan(&k.day, &k.service)
			if err != nil {
				return err
			}
			due = append(due, k)
		}
		err = errors.Join(rows.Err(), rows.Close())
		if err != nil {
			return err
		}
		for _, k := range due {
			err = s.make(ctx, tx, k.day, k.service, r, now)
			if err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM consented WHERE day < $1`, today-keepDays)
		return err
	})
}

func (s *Service) make(ctx context.Context, tx *sql.Tx, day contract.Day, service contract.Services, r contract.Rules, now time.Time) error {
	counts, err := load(ctx, tx, day, service, r)
	if err != nil {
		return err
	}
	tell, withheld, err := cells(counts, day, r)
	if err != nil {
		return err
	}
	w := contract.Window{Day: day, Service: service, Rules: r.Version, Cells: tell}
	body, err := w.Bytes()
	if err != nil {
		return err
	}
	why, err := json.Marshal(withheld)
	if err != nil {
		return err
	}
	state := Ready
	if len(tell) == 0 {
		state = Empty
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO feedback_window (day, service, state, body, withheld, made) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (day, service) DO UPDATE SET state = excluded.state, body = excluded.body, withheld = excluded.withheld,
			made = excluded.made, reviewed_by = ''`, day, service, state, string(body), string(why), sqldb.Time(now))
	if err != nil {
		return err
	}
	return audit.Append(ctx, tx, audit.System, "feedback.make", fmt.Sprintf("%d/%s", day, service), map[string]int{
		"cells": len(tell), "withheld": len(withheld),
	})
}

func load(ctx context.Context, tx *sql.Tx, day contract.Day, service contract.Services, r contract.Rules) ([]count, error) {
	from, to := sqldb.Time(day.Start(r.DayLength)), sqldb.Time((day + 1).Start(r.DayLength))
	rows, err := tx.QueryContext(ctx, `SELECT c.indicator, c.category, c.action, c.customer, c.sector, c.count,
			(SELECT coalesce(sum(s.count), 0) FROM sighting s WHERE s.indicator = c.indicator AND s.customer = c.customer
				AND s.service = c.service AND s.action = c.action AND s.verdict = 'false' AND s.first >= $3 AND s.first < $4)
		FROM consented c WHERE c.day = $1 AND c.service = $2`, day, service, from, to)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []count
	for rows.Next() {
		var c count
		var id string
		err = rows.Scan(&id, &c.category, &c.action, &c.customer, &c.sector, &c.events, &c.wrong)
		if err != nil {
			return nil, err
		}
		c.indicator, err = contract.ParseID(id)
		if err != nil {
			return nil, err
		}
		c.wrong = min(c.wrong, c.events)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Withdraw removes what has not been sent of a customer who no longer agrees,
// and makes the windows that still wait anew without it.
func (s *Service) Withdraw(ctx context.Context, customer int32, services contract.Services) error {
	r := s.Rules()
	now := s.cfg.Now()
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		for _, svc := range services.Each() {
			_, err := tx.ExecContext(ctx, `DELETE FROM consented WHERE customer = $1 AND service = $2`, customer, svc)
			if err != nil {
				return err
			}
			rows, err := tx.QueryContext(ctx, `SELECT day FROM feedback_window WHERE service = $1 AND state IN ($2, $3)`, svc, Ready, Reviewed)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }() // again below, before the next query
			var days []contract.Day
			for rows.Next() {
				var d contract.Day
				err = rows.Scan(&d)
				if err != nil {
					return errors.Join(err, rows.Close())
				}
				days = append(days, d)
			}
			err = errors.Join(rows.Err(), rows.Close())
			if err != nil {
				return err
			}
			for _, d := range days {
				err = s.make(ctx, tx, d, svc, r, now)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}
