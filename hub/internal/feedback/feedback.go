// Package feedback receives the anonymous counts that providers hand in, checks
// them again, keeps them, and makes the tables that the console shows.
//
// It is not where counts are made anonymous: that is the provider's anonymise
// package. It never sees an event, only cells.
//
// Invariants: the first window for a (provider, day, service) stands and is
// never replaced; a window is accepted whole or refused whole; of a refused one
// only its digest and the reason are kept; no error or log line repeats what a
// refused window said; every table applies the thresholds again and says which
// share it withholds.
package feedback

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Config says how windows are judged.
type Config struct {
	// Rules are those that the hub signs and hands out (release.Desk.Rules); zero
	// means [contract.DefaultRules].
	Rules contract.Rules
	// MaxAge is how old a window's day may be; 35 days when zero.
	MaxAge time.Duration
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
	// Log is told of refusals, by code; discarded when nil.
	Log *slog.Logger
}

// Limits.
const (
	DefaultMaxAge = 35 * 24 * time.Hour
	MaxBody       = 32 << 20 // bytes of a window
	maxRefusals   = 1000     // kept for each provider, newest first
)

// Code says why a window was refused. It is all that is kept in words.
type Code string

// The codes.
const (
	TooBig        Code = "too-big"        // over MaxBody bytes
	Forbidden     Code = "forbidden-text" // bytes that could be an address, a mail address, a host name or any free text
	Schema        Code = "schema"         // not the one canonical form of a window
	WrongRules    Code = "rules"          // made under rules that this hub never signed
	BelowMinimum  Code = "below-minimum"  // a cell below the rules' minima
	NotOver       Code = "day-not-over"   // the day is not over by the hub's clock
	TooOld        Code = "too-old"        // the day is too long ago
	WrongDays     Code = "days"           // a cell's days do not fit the window
	NotReleased   Code = "not-released"   // an indicator that was never released to the provider for the service
	WrongCategory Code = "category"       // not the indicator's category
	NotAccredited Code = "not-accredited" // the provider does not run the service
	Doubled       Code = "doubled"        // two cells for the same thing
	Implausible   Code = "implausible"    // fewer events than customers, or than false positives
	Conflict      Code = "conflict"       // another window for this day and service stands already
)

// Refused says that a window was refused, and at which cell (from 1; 0 for the
// window as a whole). The text never repeats what the window said.
type Refused struct {
	Code Code
	Cell int
}

// Error implements error.
func (r *Refused) Error() string {
	if r.Cell > 0 {
		return fmt.Sprintf("feedback: window refused: %s, cell %d", r.Code, r.Cell)
	}
	return fmt.Sprintf("feedback: window refused: %s", r.Code)
}

// ErrProvider means that there is no such provider.
var ErrProvider = errors.New("feedback: no such provider")

// Ledger receives and tabulates. It is safe for concurrent use.
type Ledger struct {
	db  *sqldb.DB
	cfg Config
}

// New makes a ledger on the hub's database.
func New(db *sqldb.DB, cfg Config) (*Ledger, error) {
	if cfg.Rules == (contract.Rules{}) {
		cfg.Rules = contract.DefaultRules
	}
	err := cfg.Rules.Check()
	if err != nil {
		return nil, fmt.Errorf("feedback: %w", err)
	}
	if cfg.MaxAge <= 0 {
		cfg.MaxAge = DefaultMaxAge
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Ledger{db: db, cfg: cfg}, nil
}

// Accept checks a window and keeps it. The same bytes again are fine; other
// bytes for the same day and service are refused. A refusal is *[Refused] and
// is kept as digest and code; any other error means: try again later.
func (l *Ledger) Accept(ctx context.Context, provider string, body []byte) error {
	var services contract.Services
	err := l.db.QueryRowContext(ctx, `SELECT services FROM provider WHERE id = $1`, provider).Scan(&services)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %s", ErrProvider, provider)
	}
	if err != nil {
		return fmt.Errorf("feedback: provider %s: %w", provider, err)
	}
	w, err := l.read(body, services)
	if err == nil {
		err = l.db.Write(ctx, func(tx *sql.Tx) error { return l.keep(ctx, tx, provider, w, body) })
	}
	var r *Refused
	if errors.As(err, &r) {
		l.cfg.Log.Warn("feedback: window refused", slog.Any("provider", provider), slog.Any("code", string(r.Code)), slog.Any("cell", r.Cell))
		bookErr := l.db.Write(ctx, func(tx *sql.Tx) error { return l.refuse(ctx, tx, provider, body, r) })
		if bookErr != nil {
			return errors.Join(err, bookErr)
		}
	}
	return err
}

// read makes every check that needs no database.
func (l *Ledger) read(body []byte, services contract.Services) (*contract.Window, error) {
	if len(body) > MaxBody {
		return nil, &Refused{Code: TooBig}
	}
	if !clean(body) {
		return nil, &Refused{Code: Forbidden}
	}
	w, err := contract.ParseWindow(body)
	if err != nil {
		return nil, &Refused{Code: Schema} // its words may repeat the body's
	}
	if !services.Has(w.Service) {
		return nil, &Refused{Code: NotAccredited}
	}
	if w.Rules == 0 || w.Rules > l.cfg.Rules.Version {
		return nil, &Refused{Code: WrongRules}
	}
	now := l.cfg.Now()
	switch {
	case (w.Day + 1).Start(l.cfg.Rules.DayLength).After(now):
		return nil, &Refused{Code: NotOver}
	case now.Sub(w.Day.Start(l.cfg.Rules.DayLength)) > l.cfg.MaxAge:
		return nil, &Refused{Code: TooOld}
	}
	return w, l.cells(w)
}

// cells checks each cell by itself and against the others.
func (l *Ledger) cells(w *contract.Window) error {
	type key struct {
		id       contract.ID
		category contract.Category
		sector   contract.Sector
		action   contract.Action
	}
	seen := make(map[key]struct{}, len(w.Cells))
	oldest := w.Day - contract.Day(l.cfg.MaxAge/l.cfg.Rules.DayLength)
	for i, c := range w.Cells {
		no := func(code Code) error { return &Refused{Code: code, Cell: i + 1} }
		first, last := c.Days()
		k := key{c.Indicator(), c.Category(), c.Sector(), c.Action()}
		_, again := seen[k]
		seen[k] = struct{}{}
		switch {
		case again:
			return no(Doubled)
		case c.Customers() < contract.BucketOf(l.cfg.Rules.MinCustomers), c.Events() < contract.BucketOf(l.cfg.Rules.MinEvents):
			return no(BelowMinimum)
		case c.Customers() > c.Events(), c.Wrong() > c.Events():
			return no(Implausible)
		case last > w.Day, first < oldest: // late events belong to the next window, with their own days
			return no(WrongDays)
		}
	}
	return nil
}

// keep stores a checked window, if its indicators were really released there.
func (l *Ledger) keep(ctx context.Context, tx *sql.Tx, provider string, w *contract.Window, body []byte) error {
	var was string
	err := tx.QueryRowContext(ctx, `SELECT body FROM feedback_window WHERE provider = $1 AND day = $2 AND service = $3`,
		provider, int64(w.Day), int64(w.Service)).Scan(&was)
	if err == nil {
		if was == string(body) {
			return nil
		}
		return &Refused{Code: Conflict}
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("feedback: look for the window: %w", err)
	}
	err = released(ctx, tx, provider, w, (w.Day + 1).Start(l.cfg.Rules.DayLength))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO feedback_window (provider, day, service, rules, body, received) VALUES ($1, $2, $3, $4, $5, $6)`,
		provider, int64(w.Day), int64(w.Service), int64(w.Rules), string(body), sqldb.Time(l.cfg.Now()))
	if err != nil {
		return fmt.Errorf("feedback: keep the window: %w", err)
	}
	for at := 0; at < len(w.Cells); at += 500 {
		err = insertCells(ctx, tx, provider, w, at, min(at+500, len(w.Cells)))
		if err != nil {
			return fmt.Errorf("feedback: keep cells: %w", err)
		}
	}
	return audit.Append(ctx, tx, provider, "feedback.accept", provider, map[string]any{
		"day": w.Day, "service": w.Service, "cells": len(w.Cells), "sha256": digest(body),
	})
}

func insertCells(ctx context.Context, tx *sql.Tx, provider string, w *contract.Window, from, to int) error {
	var b strings.Builder
	b.WriteString(`INSERT INTO feedback_cell (provider, day, service, number, item, category, sector, action,
		events, customers, wrong, first_day, last_day) VALUES `)
	var args []any
	for i := from; i < to; i++ {
		c := w.Cells[i]
		first, last := c.Days()
		item := ""
		if !c.Indicator().IsZero() {
			item = c.Indicator().String()
		}
		row := []any{
			provider, int64(w.Day), int64(w.Service), int64(i + 1), item, int64(c.Category()), int64(c.Sector()), int64(c.Action()),
			int64(c.Events()), int64(c.Customers()), int64(c.Wrong()), int64(first), int64(last),
		}
		sign := "("
		if i > from {
			sign = ",("
		}
		for j := range row {
			b.WriteString(sign + "$" + strconv.Itoa(len(args)+j+1))
			sign = ","
		}
		b.WriteByte(')')
		args = append(args, row...)
	}
	_, err := tx.ExecContext(ctx, b.String(), args...)
	return err
}

// refuse keeps digest and reason, and forgets the oldest when there are too many.
func (l *Ledger) refuse(ctx context.Context, tx *sql.Tx, provider string, body []byte, r *Refused) error {
	reason := string(r.Code)
	if r.Cell > 0 {
		reason += ", cell " + strconv.Itoa(r.Cell)
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO feedback_refusal (provider, digest, reason, received) VALUES ($1, $2, $3, $4)
		ON CONFLICT (provider, digest) DO NOTHING`, provider, digest(body), reason, sqldb.Time(l.cfg.Now()))
	if err != nil {
		return fmt.Errorf("feedback: keep the refusal: %w", err)
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM feedback_refusal WHERE provider = $1 AND received <
		(SELECT min(received) FROM (SELECT received FROM feedback_refusal WHERE provider = $1 ORDER BY received DESC LIMIT $2) AS newest)`,
		provider, int64(maxRefusals))
	if err != nil {
		return fmt.Errorf("feedback: forget old refusals: %w", err)
	}
	return audit.Append(ctx, tx, provider, "feedback.refuse", provider, map[string]any{"reason": reason, "sha256": digest(body)})
}

func digest(body []byte) string {
	d := sha256.Sum256(body)
	return hex.EncodeToString(d[:])
}
