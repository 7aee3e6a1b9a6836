// Package lifecycle runs the parts of a role together: started in order,
// stopped in reverse, and when one fails all stop. Each part is a function that
// works until its context ends; this package owns its goroutine.
//
// It does not restart anything: a part that can go on after an error handles it
// itself, and a process that cannot is restarted by systemd.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Group is a set of parts. The zero value is usable.
type Group struct {
	// Grace is how long a part may take to end; 15 s when zero. Run then goes on
	// without it and reports it.
	Grace time.Duration

	parts []*part
}

type part struct {
	name  string
	run   func(ctx context.Context, ready func()) error
	stop  context.CancelFunc
	ready chan struct{}
	done  chan struct{}
	err   error
}

// ErrStuck says that a part did not end in time.
var ErrStuck = errors.New("did not stop in time")

// Add adds a part that counts as started at once.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.AddReady(name, func(ctx context.Context, ready func()) error {
		ready()
		return run(ctx)
	})
}

// AddReady adds a part after which the next is started only when it calls
// ready, or ends.
func (g *Group) AddReady(name string, run func(ctx context.Context, ready func()) error) {
	g.parts = append(g.parts, &part{name: name, run: run})
}

// Run starts the parts and waits until the context ends, a part fails, or all
// have ended. Then it stops them, the last first, and gives the errors joined.
// That a context ended is no error. A group runs once.
func (g *Group) Run(ctx context.Context) error {
	failed := make(chan struct{}, len(g.parts))
	ended := make(chan struct{}, len(g.parts))
	started := 0
	for _, p := range g.parts {
		if !g.start(ctx, p, failed, ended) {
			started++
			break
		}
		started++
	}
	for left := started; left > 0; {
		select {
		case <-ended:
			left--
			continue
		case <-failed:
		case <-ctx.Done():
		}
		break
	}
	return g.stop(g.parts[:started])
}

// start reports whether the next part may start.
func (g *Group) start(ctx context.Context, p *part, failed, ended chan<- struct{}) bool {
	// Not derived from ctx's end: parts stop one by one, in reverse.
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stop, p.ready, p.done = cancel, make(chan struct{}), make(chan struct{})
	var once bool
	go func() {
		defer close(p.done)
		err := p.run(own, func() {
			if !once {
				once = true
				close(p.ready)
			}
		})
		if err != nil && !errors.Is(err, context.Canceled) {
			p.err = fmt.Errorf("%s: %w", p.name, err)
			failed <- struct{}{}
		}
		ended <- struct{}{}
	}()
	select {
	case <-p.ready:
		return true
	case <-p.done:
		return p.err == nil
	case <-ctx.Done():
		return false
	}
}

func (g *Group) stop(parts []*part) error {
	grace := g.Grace
	if grace == 0 {
		grace = 15 * time.Second
	}
	var errs []error
	for i := len(parts) - 1; i >= 0; i-- {
		p := parts[i]
		p.stop()
		t := time.NewTimer(grace)
		select {
		case <-p.done:
			errs = append(errs, p.err)
		case <-t.C:
			slog.Error("part did not stop", slog.String("part", p.name), slog.Duration("after", grace))
			errs = append(errs, fmt.Errorf("%s: %w", p.name, ErrStuck))
		}
		t.Stop()
	}
	return errors.Join(errs...)
}
