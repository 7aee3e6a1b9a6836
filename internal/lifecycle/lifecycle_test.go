package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"ecs/internal/lifecycle"
)

// diary notes what happens, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) part(name string, fail error) func(context.Context) error {
	return func(ctx context.Context) error {
		d.add("+" + name)
		if fail != nil {
			return fail
		}
		<-ctx.Done()
		d.add("-" + name)
		return ctx.Err()
	}
}

func (d *diary) String() string { return strings.Join(d.lines, " ") }

func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g lifecycle.Group
		d := &diary{}
		for _, n := range []string{"a", "b", "c"} {
			g.AddReady(n, func(ctx context.Context, ready func()) error {
				time.Sleep(time.Second) // the next waits for this
				d.add("+" + n)
				ready()
				ready() // twice does no harm
				<-ctx.Done()
				time.Sleep(time.Second) // the one before waits for this
				d.add("-" + n)
				return nil
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := g.Run(ctx)
		if err != nil || d.String() != "+a +b +c -c -b -a" {
			t.Fatalf("%v: %s", err, d)
		}
	})
}

func TestFirstFailureStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var g lifecycle.Group
		d := &diary{}
		g.Add("a", d.part("a", nil))
		g.AddReady("b", func(context.Context, func()) error { return fmt.Errorf("start: %w", broken) })
		g.Add("c", d.part("c", nil))
		err := g.Run(t.Context())
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "b: start") || d.String() != "+a -a" {
			t.Fatalf("%v: %s", err, d)
		}
	})
}

func TestLaterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		var g lifecycle.Group
		d := &diary{}
		g.Add("a", d.part("a", nil))
		g.Add("b", func(context.Context) error {
			time.Sleep(time.Minute)
			return broken
		})
		err := g.Run(t.Context())
		if !errors.Is(err, broken) || d.String() != "+a -a" {
			t.Fatalf("%v: %s", err, d)
		}
	})
}

func TestAllEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g lifecycle.Group
		g.Add("a", func(context.Context) error { return nil })
		g.Add("b", func(context.Context) error { return nil })
		err := g.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestStuckPartIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := lifecycle.Group{Grace: time.Second}
		release := make(chan struct{})
		g.Add("deaf", func(context.Context) error {
			<-release
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := g.Run(ctx)
		if !errors.Is(err, lifecycle.ErrStuck) || !strings.Contains(err.Error(), "deaf") {
			t.Fatal(err)
		}
		close(release)
		synctest.Wait()
	})
}
