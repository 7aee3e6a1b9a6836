package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/taxii"
)

// Collector polls feeds. It is safe for concurrent use.
type Collector struct {
	cfg   Config
	feeds []*station
	slots chan struct{}
}

// station is one feed with what this hub knows of it.
type station struct {
	Feed
	busy  atomic.Bool
	count counters
}

// The errors of [Collector.Poll] that are not the feed's.
var (
	ErrUnknown = errors.New("there is no such feed in the configuration")
	ErrBusy    = errors.New("this feed is being read at this moment: wait until it is finished")
)

// New checks the configuration. It fetches nothing and reads no secret yet.
func New(cfg Config) (*Collector, error) {
	if cfg.DB == nil || cfg.Intake == nil {
		return nil, errors.New("collect: Config.DB and Config.Intake are needed")
	}
	if cfg.Submitter == "" {
		cfg.Submitter = "feed"
	}
	if cfg.Parallel <= 0 {
		cfg.Parallel = 4
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Collector{cfg: cfg, slots: make(chan struct{}, cfg.Parallel)}
	for _, f := range cfg.Feeds {
		err := f.check()
		if err != nil {
			return nil, fmt.Errorf("collect: %w", err)
		}
		if c.find(f.Source, f.Name) != nil {
			return nil, fmt.Errorf("collect: source %s has two feeds named %s", f.Source, f.Name)
		}
		c.feeds = append(c.feeds, &station{Feed: f})
	}
	return c, nil
}

func (c *Collector) find(source, name string) *station {
	i := slices.IndexFunc(c.feeds, func(s *station) bool { return s.Source == source && s.Name == name })
	if i < 0 {
		return nil
	}
	return c.feeds[i]
}

// tick is how often it is looked whether a feed is due.
const tick = 5 * time.Second

// Run polls each feed when it is due, until ctx ends. That a feed fails is no
// error: [Collector.List] tells.
func (c *Collector) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, s := range c.feeds {
		all.Go(func() { c.follow(ctx, s) })
	}
	all.Wait()
	return nil
}

// follow polls one feed for ever.
func (c *Collector) follow(ctx context.Context, s *station) {
	for {
		_, err := c.poll(ctx, s, false)
		if err != nil && !errors.Is(err, ErrBusy) && ctx.Err() == nil {
			c.cfg.Log.Warn("a feed could not be read; it will be tried again",
				slog.Any("source", s.Source), slog.Any("feed", s.Name), slog.Any("error", err))
		}
		timer := time.NewTimer(tick/2 + rand.N(tick))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// Poll reads a feed now, whether it is due or not, and gives what it brought. The
// error is what kept it from being read to its end, with what to do.
func (c *Collector) Poll(ctx context.Context, source, name string) (Result, error) {
	s := c.find(source, name)
	if s == nil {
		return Result{}, ErrUnknown
	}
	return c.poll(ctx, s, true)
}

// Result is what one poll brought.
type Result struct {
	Deliveries int64 `json:"deliveries"`
	Items      int64 `json:"items"`
	Accepted   int64 `json:"accepted"`
	Duplicate  int64 `json:"duplicate"`
	Refused    int64 `json:"refused"`
}

// poll reads a feed if it is due.
func (c *Collector) poll(ctx context.Context, s *station, force bool) (Result, error) {
	if !force {
		due, err := c.due(ctx, s)
		if err != nil || !due {
			return Result{}, err
		}
	}
	if !s.busy.CompareAndSwap(false, true) {
		return Result{}, ErrBusy
	}
	defer s.busy.Store(false)
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	r, ok, err := claim(ctx, c.cfg.DB, &s.Feed, now(), force)
	if err != nil || !ok {
		return Result{}, err
	}
	run := &run{c: c, feed: s, row: r}
	s.count.polls.Add(1)
	err = run.read(ctx)
	if ctx.Err() != nil {
		return run.result, ctx.Err() // stopped, not failed: the lease ends by itself
	}
	return run.result, errors.Join(err, run.settle(ctx, err))
}

func (c *Collector) due(ctx context.Context, s *station) (bool, error) {
	r, err := load(ctx, c.cfg.DB, &s.Feed)
	return err == nil && (r.target != s.target() || !r.nextTry.After(now())), err
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// run is one poll.
type run struct {
	c      *Collector
	feed   *station
	row    row
	reach  *reach
	result Result
}

func (r *run) read(ctx context.Context) error {
	var err error
	r.reach, err = open(&r.feed.Feed)
	if err != nil {
		return err
	}
	defer r.reach.close()
	switch r.feed.Kind {
	case TAXII:
		return r.readCollection(ctx)
	case MISP:
		return r.readEvents(ctx)
	default:
		return r.readFile(ctx)
	}
}

// partial is the error of a poll that brought all it could, but for some events.
type partial struct{ err error }

// Error implements error.
func (p *partial) Error() string { return p.err.Error() }

// Unwrap gives what went wrong.
func (p *partial) Unwrap() error { return p.err }

// settle stores how the poll ended.
func (r *run) settle(ctx context.Context, err error) error {
	at, every := now(), r.feed.Interval
	r.row.lastError = ""
	var part *partial
	switch {
	case err == nil || errors.As(err, &part):
		r.row.lastOK, r.row.failures = at, 0
		r.row.nextTry = at.Add(jitter(every, 10))
	default:
		r.feed.count.failures.Add(1)
		r.row.failures++
		r.row.nextTry = at.Add(max(backOff(r.row.failures, every), asked(err)))
	}
	if err != nil {
		r.row.lastError = policy.Printable(err.Error(), maxError)
	}
	return finish(ctx, r.c.cfg.DB, &r.feed.Feed, &r.row)
}

// maxError is how much of an error is kept; parts of it are a stranger's.
const maxError = 500

// Pauses after failures: half a minute, doubled each time, up to the feed's own
// interval and an hour at least, a fifth more or less so that hubs and feeds do not
// come all at once.
const (
	firstPause   = 30 * time.Second
	longestPause = time.Hour
	longestAsked = 24 * time.Hour
)

func backOff(failures int64, every time.Duration) time.Duration {
	most := max(every, longestPause)
	pause := firstPause << min(max(failures-1, 0), 20)
	return jitter(min(pause, most), 20)
}

// jitter changes d by up to so many percent.
func jitter(d time.Duration, percent int64) time.Duration {
	span := d / 100 * time.Duration(percent)
	return d - span + rand.N(2*span+1)
}

// asked is how long the server asks to wait, a day at most.
func asked(err error) time.Duration {
	var a *taxii.Error
	var b *fetchError
	switch {
	case errors.As(err, &a):
		return min(a.RetryAfter, longestAsked)
	case errors.As(err, &b):
		return min(b.wait, longestAsked)
	}
	return 0
}

// List says how all feeds are doing, in the order of the configuration.
func (c *Collector) List(ctx context.Context) ([]State, error) {
	var out []State
	for _, s := range c.feeds {
		r, err := load(ctx, c.cfg.DB, &s.Feed)
		if err != nil {
			return nil, err
		}
		st := State{Source: s.Source, Name: s.Name, Kind: s.Kind, Interval: s.Interval, Running: s.busy.Load()}
		u, err := url.Parse(s.URL)
		if err == nil {
			st.Host = u.Host
		}
		st.Deliveries, st.Items, st.LastTry = r.deliveries, r.items, r.lastTry
		if r.target == s.target() {
			st.LastOK, st.LastError, st.NextTry, st.Failures, st.ReadUpTo = r.lastOK, r.lastError, r.nextTry, r.failures, r.position
		}
		out = append(out, st)
	}
	return out, nil
}

// delivered is what a delivery came to.
func (r *run) delivered(rep intake.Report) {
	r.result.Deliveries++
	r.result.Items += rep.Position
	r.result.Accepted += rep.Accepted
	r.result.Duplicate += rep.Duplicate
	r.result.Refused += rep.Refused
	r.feed.count.deliveries.Add(1)
	r.feed.count.items.Add(rep.Position)
}
