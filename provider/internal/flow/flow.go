package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"ecs/provider/internal/flow/store"
)

// Flow is the room. Make it with [New].
type Flow struct {
	cfg     Config
	c       counters
	store   *store.Store
	saved   *saved
	ask     []chan chan answer
	ready   chan struct{}
	done    chan struct{}
	mu      sync.Mutex
	addrs   []netip.AddrPort
	started bool
}

// New checks the configuration. It opens nothing.
func New(cfg Config) (*Flow, error) {
	cfg, err := cfg.defaults()
	if err != nil {
		return nil, err
	}
	f := &Flow{cfg: cfg, saved: &saved{path: cfg.State, of: map[[16]byte][]byte{}}, ready: make(chan struct{}), done: make(chan struct{})}
	if cfg.Store.Dir != "" {
		f.store = store.New(cfg.Store)
	}
	return f, nil
}

// Addrs waits until the room listens and gives the addresses, in the order of
// Config.Listen. It gives nil when Run ended without listening.
func (f *Flow) Addrs() []netip.AddrPort {
	select {
	case <-f.ready:
	case <-f.done:
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addrs
}

// Run listens, matches and stores until ctx ends; then it decodes what has been
// received, stores it, saves the templates, and returns. A Flow runs once.
func (f *Flow) Run(ctx context.Context) error {
	f.mu.Lock()
	if f.started {
		f.mu.Unlock()
		return errors.New("flow: Run was called before; make a new Flow")
	}
	f.started = true
	f.mu.Unlock()
	defer close(f.done)
	err := f.saved.load()
	if err != nil {
		f.cfg.Log.Warn("saved templates are not used; exporters will send them again", slog.Any("error", err))
	}
	var conns []*net.UDPConn
	var addrs []netip.AddrPort
	for _, a := range f.cfg.Listen {
		cs, err := f.open(ctx, a)
		if err != nil {
			closeAll(conns)
			return err
		}
		conns = append(conns, cs...)
		addrs = append(addrs, cs[0].LocalAddr().(*net.UDPAddr).AddrPort())
	}
	// The store outlives the workers, so that their last rows get in.
	storing, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	var stored chan error // nil without a store
	if f.store != nil {
		stored = make(chan error, 1)
		go func() { stored <- f.store.Run(storing) }()
	}

	var receivers, workers sync.WaitGroup
	failed := make(chan error, len(conns))
	stop := make(chan struct{})
	var asks []chan chan answer
	for _, c := range conns {
		r := newRing(f.cfg.Ring, f.cfg.MaxDatagram)
		rx := newReceiver(c, r, &f.c)
		w := f.worker(r)
		asks = append(asks, w.ask)
		receivers.Go(func() {
			err := rx.run()
			if err != nil {
				failed <- fmt.Errorf("flow: receiving: %w", err)
			}
		})
		workers.Go(func() { w.run(stop) })
	}
	f.mu.Lock()
	f.addrs, f.ask = addrs, asks
	f.mu.Unlock()
	close(f.ready)

	var first error
	ended := false
	save := time.NewTicker(time.Minute)
	defer save.Stop()
	for first == nil && !ended {
		select {
		case <-ctx.Done():
			ended = true
		case first = <-failed:
		case first = <-stored: // by itself it only ends when it cannot start
			stored = nil
			ended = true
		case <-save.C:
			f.saveTemplates()
		}
	}
	closeAll(conns)
	receivers.Wait()
	close(stop)
	workers.Wait()
	f.saveTemplates()
	stopStore()
	if stored != nil {
		first = errors.Join(first, <-stored)
	}
	return first
}

// Health says how the known exporters are, and which unknown ones sent lately.
// It asks the workers and waits for them.
func (f *Flow) Health(ctx context.Context) ([]Health, []netip.Addr, error) {
	f.mu.Lock()
	asks := f.ask
	f.mu.Unlock()
	var all []answer
	for _, ask := range asks {
		q := make(chan answer, 1)
		select {
		case ask <- q:
		case <-f.done:
			return nil, nil, errors.New("flow: the room has stopped")
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
		all = append(all, <-q)
	}
	known, strangers := merge(all)
	return known, strangers, nil
}

// Stored gives the counters of the store, nil when none is configured.
func (f *Flow) Stored() *store.Counters {
	if f.store == nil {
		return nil
	}
	return &f.store.Counters
}

func (f *Flow) saveTemplates() {
	err := f.saved.store()
	if err != nil {
		f.cfg.Log.Error("templates are not saved; after a restart exporters must send them again", slog.Any("error", err))
	}
}
