package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
)

// Config says how the desk works. Only Signer and Creator have no default.
type Config struct {
	// Signer signs checkpoints and rules with the program's key. The key itself
	// never reaches the database.
	Signer note.Signer
	// Creator is the STIX identity (identity--UUID) of the program.
	Creator string
	// Marks says who is responsible for the program's markings: Custodian and Guide
	// for ACS 3.0, Since when they were created. Identity is Creator. Without a
	// custodian a statement carries what ACS would say. They never change: the
	// identifiers of markings follow from them.
	Marks marking.Author
	// Rules are the feedback rules handed to every provider; zero means
	// [contract.DefaultRules].
	Rules contract.Rules
	// CheckpointLife is how long a checkpoint may be believed; 1 h when zero. A
	// new one is issued when a quarter of it has passed.
	CheckpointLife time.Duration
	// Overdue is how long a release may wait for its receipt; 60 min when zero.
	Overdue time.Duration
	// Tick is how often Run expires items, and looks for log entries that another
	// hub on the same database has written; 1 s when zero.
	Tick time.Duration
	// Checker gives the checker for items that are made of others; when it is nil,
	// those with a new pattern are refused.
	Checker func() *policy.Checker
	// ShadowWarn and ShadowStop are from how many matches on the finding of a shadow run
	// warns and stops; 100 and 10,000 when zero. ShadowPatience is how long after its
	// end the result waits for feedback; 48 h when zero.
	ShadowWarn, ShadowStop int
	ShadowPatience         time.Duration
	// UndoWithin is how long a decision can be taken back; 10 min when zero.
	UndoWithin time.Duration
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
	// Log receives what an operator should know; discarded when nil.
	Log *slog.Logger
}

// Defaults of [Config].
const (
	DefaultCheckpointLife = time.Hour
	DefaultOverdue        = time.Hour
	DefaultTick           = time.Second
	DefaultUndoWithin     = 10 * time.Minute
)

// Desk releases, recalls, hands out and accounts. It is safe for concurrent use.
type Desk struct {
	db    *sqldb.DB
	cfg   Config
	rules string // signed note
	bell  bell
	clock clock

	mu    sync.Mutex
	lists map[string]*follower // by provider

	// Providers with receipts whose items are not all moved to IN_FORCE yet.
	unsettled map[string]struct{}
	retained  time.Time           // when the retention job last ran
	withheld  map[string]standing // frozen providers from which nothing is left to withhold
	settled   bool                // all providers were looked at once since the start
	upheld    map[string]upheld   // by provider
}

// New makes a desk on the hub's database.
func New(db *sqldb.DB, cfg Config) (*Desk, error) {
	if cfg.Signer == nil || cfg.Creator == "" {
		return nil, errors.New("release: Config needs a Signer and a Creator")
	}
	if cfg.Rules == (contract.Rules{}) {
		cfg.Rules = contract.DefaultRules
	}
	err := cfg.Rules.Check()
	if err != nil {
		return nil, fmt.Errorf("release: %w", err)
	}
	if cfg.CheckpointLife == 0 {
		cfg.CheckpointLife = DefaultCheckpointLife
	}
	if cfg.CheckpointLife < time.Second {
		return nil, errors.New("release: CheckpointLife below one second leaves no time to load a list")
	}
	if cfg.Overdue <= 0 {
		cfg.Overdue = DefaultOverdue
	}
	if cfg.Tick <= 0 {
		cfg.Tick = DefaultTick
	}
	if cfg.ShadowWarn <= 0 {
		cfg.ShadowWarn = DefaultShadowWarn
	}
	if cfg.ShadowStop <= 0 {
		cfg.ShadowStop = DefaultShadowStop
	}
	if cfg.ShadowPatience <= 0 {
		cfg.ShadowPatience = DefaultShadowPatience
	}
	if cfg.UndoWithin <= 0 {
		cfg.UndoWithin = DefaultUndoWithin
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	signed, err := note.Sign(&note.Note{Text: cfg.Rules.Text()}, cfg.Signer)
	if err != nil {
		return nil, fmt.Errorf("release: sign the feedback rules: %w", err)
	}
	return &Desk{
		db: db, cfg: cfg, rules: string(signed),
		clock: clock{wall: cfg.Now}, lists: map[string]*follower{},
		unsettled: map[string]struct{}{}, withheld: map[string]standing{}, upheld: map[string]upheld{},
	}, nil
}

// Rules gives the feedback rules that the desk hands out.
func (d *Desk) Rules() contract.Rules { return d.cfg.Rules }

// Run expires items, withholds from suspended providers, settles receipts and
// wakes waiters until ctx ends. What
// fails is logged and tried again at the next tick.
func (d *Desk) Run(ctx context.Context) error {
	t := time.NewTicker(d.cfg.Tick)
	defer t.Stop()
	for {
		d.tick(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (d *Desk) tick(ctx context.Context) {
	_, err := d.Expire(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: expire items", slog.Any("error", err))
	}
	err = d.recallUnratified(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: recall what nobody ratified", slog.Any("error", err))
	}
	err = d.withholdAll(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: withhold from providers", slog.Any("error", err))
	}
	err = d.settleShadows(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: close shadow runs", slog.Any("error", err))
	}
	err = d.purgeAll(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: purge", slog.Any("error", err))
	}
	err = d.raise(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: raise clocks", slog.Any("error", err))
	}
	err = d.settle(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: settle receipts", slog.Any("error", err))
	}
	err = d.look(ctx)
	if err != nil && ctx.Err() == nil {
		d.cfg.Log.Error("release: look for new log entries", slog.Any("error", err))
	}
}

// clock rises with each reading within this process, whatever the wall clock
// does, so that no two moments in the ledger are the same by chance.
type clock struct {
	wall func() time.Time
	mu   sync.Mutex
	last time.Time
}

// now gives the time in microseconds precision, UTC.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.wall().UTC().Truncate(time.Microsecond)
	if !t.After(c.last) {
		t = c.last.Add(time.Microsecond)
	}
	c.last = t
	return t
}
