package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"ecs/provider/internal/mail/milter"
)

// Filter is the mail room.
type Filter struct {
	cfg    Config
	server *milter.Server
	count  counters
	ready  chan struct{}
	mu     sync.Mutex
	addrs  []net.Addr
}

// New makes the mail room. It does nothing until [Filter.Run].
func New(cfg Config) (*Filter, error) {
	cfg, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	f := &Filter{cfg: cfg, ready: make(chan struct{})}
	f.server = milter.NewServer(milter.Config{
		Handler: func() milter.Handler { return &session{f: f} },
		Actions: wantActions, Options: wantOptions,
		MaxSessions: cfg.MaxSessions, ReadTimeout: cfg.ReadTimeout, WriteTimeout: cfg.WriteTimeout,
		Failed: func(err error) { cfg.Log.Warn("mail: a mail server's connection ended early", slog.Any("error", err)) },
	})
	return f, nil
}

// Run recovers the quarantine, listens, and serves until ctx ends.
func (f *Filter) Run(ctx context.Context) error {
	if f.cfg.Quarantine != nil {
		err := f.cfg.Quarantine.Recover(ctx)
		if err != nil {
			return fmt.Errorf("mail: %w", err)
		}
	}
	var listeners []net.Listener
	for _, a := range f.cfg.Listen {
		ln, err := f.listen(ctx, a)
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
			return fmt.Errorf("mail: %w", err)
		}
		listeners = append(listeners, ln)
	}
	f.mu.Lock()
	for _, l := range listeners {
		f.addrs = append(f.addrs, l.Addr())
	}
	f.mu.Unlock()
	close(f.ready)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	errs := make(chan error, len(listeners)+1)
	start := func(run func(context.Context) error) {
		all.Go(func() {
			err := run(ctx)
			if err != nil {
				errs <- err
			}
			cancel()
		})
	}
	for _, l := range listeners {
		start(func(ctx context.Context) error { return f.server.Serve(ctx, l) })
	}
	if f.cfg.Quarantine != nil {
		start(f.cfg.Quarantine.Run)
	}
	all.Wait()
	close(errs)
	return <-errs
}

// Ready is closed when all sockets are open; then [Filter.Addrs] names them.
func (f *Filter) Ready() <-chan struct{} { return f.ready }

// Addrs gives the sockets' addresses, in the order of [Config.Listen].
func (f *Filter) Addrs() []net.Addr {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.addrs
}

func (f *Filter) listen(ctx context.Context, a string) (net.Listener, error) {
	var lc net.ListenConfig
	path, ok := strings.CutPrefix(a, "unix:")
	if !ok {
		return lc.Listen(ctx, "tcp", strings.TrimPrefix(a, "inet:"))
	}
	// A socket that nobody answers on is what a crash left.
	d := net.Dialer{Timeout: time.Second}
	nc, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		_ = nc.Close()
		return nil, fmt.Errorf("socket %s is in use by another process", path)
	}
	st, err := os.Lstat(path)
	if err == nil && st.Mode()&os.ModeSocket != 0 {
		err = os.Remove(path)
		if err != nil {
			return nil, err
		}
	}
	ln, err := lc.Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	err = os.Chmod(path, f.cfg.SocketMode)
	if err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return ln, nil
}
