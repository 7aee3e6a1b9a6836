package search

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"ecs/internal/sqldb"
)

// Config of the indexer.
type Config struct {
	DB  *sqldb.DB
	Log *slog.Logger // none when nil
	// Poll is how long it waits when there is nothing to do; 0 means half a second.
	Poll time.Duration
	// Yield is how long it waits after each transaction, so that others get in
	// between; 0 means 5 ms.
	Yield time.Duration
	// Busy says that something more urgent writes, such as an import: then a step is
	// made once a minute only, as long as it lasts. Nil: never.
	Busy func() bool
	// Gather is how long texts that were taken back are collected before their base
	// is indexed anew; 0 means 10 seconds.
	Gather time.Duration
	// Many is how many new items are a part of their own; fewer are added one by one.
	// 0 means 2,048.
	Many int64
	Now  func() time.Time // time.Now when nil
}

// Index is the indexer.
type Index struct {
	cfg   Config
	owner string
	meter meter
	// weighed is when late terms were counted last: there may be many.
	weighed time.Time
}

// New makes the indexer. It does nothing until [Index.Run].
func New(cfg Config) *Index {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Poll <= 0 {
		cfg.Poll = 500 * time.Millisecond
	}
	if cfg.Yield <= 0 {
		cfg.Yield = 5 * time.Millisecond
	}
	if cfg.Gather <= 0 {
		cfg.Gather = 10 * time.Second
	}
	if cfg.Many <= 0 {
		cfg.Many = 2048
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Index{cfg: cfg, owner: rand.Text()}
}

// Run indexes until ctx ends. An error, such as a database that is away, is logged
// and tried again: without the index searches show less, and nothing else fails.
func (x *Index) Run(ctx context.Context) error {
	defer x.release()
	var last time.Time // that a step was made
	for {
		wait := x.cfg.Poll
		if x.cfg.Busy != nil && x.cfg.Busy() && time.Since(last) < patience {
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			continue
		}
		worked, err := x.Step(ctx)
		last = time.Now()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, errLease):
			x.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "indexing failed, tried again in five seconds", slog.String("error", err.Error()))
			x.meter.failures.Add(1)
			wait = 10 * x.cfg.Poll
		case err == nil && worked:
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// patience is for how long the indexer lets what is more urgent go first.
const patience = time.Minute

// errLease says that another process indexes.
var errLease = errors.New("search: another hub indexes")

// lease is for how long an indexer that was heard of keeps others away.
const lease = 30 * time.Second

// state is the row of search_state.
type state struct{ position, mention, seq int64 }

// hold takes or keeps the lease, in each transaction of the indexer.
func (x *Index) hold(ctx context.Context, tx *sql.Tx) (state, error) {
	var s state
	now := x.cfg.Now()
	err := tx.QueryRowContext(ctx, `UPDATE search_state SET owner = $1, until = $2 WHERE owner = $1 OR until < $3 RETURNING position, mention, seq`,
		x.owner, sqldb.Time(now.Add(lease)), sqldb.Time(now)).Scan(&s.position, &s.mention, &s.seq)
	if noRows(err) {
		return s, errLease
	}
	return s, err
}

// release gives the lease back, so that the next one need not wait for its end.
func (x *Index) release() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := x.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE search_state SET until = 0 WHERE owner = $1`, x.owner)
		return err
	})
	if err != nil { // it ends by itself
		x.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "the lease of the index is kept to its end", slog.String("error", err.Error()))
	}
}

// write runs one transaction of the indexer under the lease, and lets others work
// afterwards.
func (x *Index) write(ctx context.Context, f func(*sql.Tx, state) error) error {
	err := x.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		s, err := x.hold(ctx, tx)
		if err != nil {
			return err
		}
		return f(tx, s)
	})
	if err != nil {
		return fmt.Errorf("search: index: %w", err)
	}
	select {
	case <-ctx.Done():
	case <-time.After(x.cfg.Yield):
	}
	return ctx.Err()
}

// Step does the most urgent piece of work, and reports whether there was any: new
// items first, then what changed, then what makes searching cheaper.
func (x *Index) Step(ctx context.Context) (worked bool, err error) {
	var s state
	err = x.write(ctx, func(_ *sql.Tx, now state) error { s = now; return nil })
	if err != nil {
		return false, err
	}
	for _, f := range []func(context.Context, state) (bool, error){x.fresh, x.audited, x.mentioned, x.erase, x.tidy, x.sweep} {
		worked, err = f(ctx, s)
		if worked || err != nil {
			return worked, err
		}
	}
	return false, nil
}

// fresh indexes items that came since: as a part when they are many or the base is
// full, else one by one.
func (x *Index) fresh(ctx context.Context, s state) (bool, error) {
	head, err := headOf(ctx, x.cfg.DB)
	if err != nil || head <= s.position {
		return false, err
	}
	low := s.position + 1
	high := min(head, (low>>baseBits+1)<<baseBits-1)
	if high-low+1 >= x.cfg.Many || high < head {
		return true, x.build(ctx, low, high)
	}
	docs, err := loadRange(ctx, x.cfg.DB, low, high)
	if err != nil {
		return true, err
	}
	return true, x.write(ctx, func(tx *sql.Tx, now state) error {
		if now.position != s.position {
			return errLease
		}
		err := x.late(ctx, tx, docs)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE search_state SET position = $1`, high)
		return err
	})
}

// late adds the terms of items one by one.
func (x *Index) late(ctx context.Context, tx *sql.Tx, docs []doc) error {
	var rows []any
	for i := range docs {
		terms, dropped := docs[i].terms()
		x.meter.dropped.Add(int64(dropped))
		for _, t := range terms {
			rows = append(rows, []byte(t), docs[i].Number)
		}
	}
	return insert(ctx, tx, "search_late (term, number)", 2, rows, " ON CONFLICT DO NOTHING")
}

// insert adds rows of some width, many by each statement.
func insert(ctx context.Context, tx *sql.Tx, into string, width int, values []any, tail string) error {
	const most = 400 // rows of a statement
	for len(values) > 0 {
		some := values[:min(len(values), most*width)]
		values = values[len(some):]
		var w where
		text := "INSERT INTO " + into + " VALUES "
		var rows []byte
		for i := 0; i < len(some); i += width {
			if i > 0 {
				rows = append(rows, ", "...)
			}
			rows = append(rows, w.list(some[i:i+width])...)
		}
		_, err := tx.ExecContext(ctx, text+string(rows)+tail, w.args...)
		if err != nil {
			return err
		}
	}
	return nil
}
