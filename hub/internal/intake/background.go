package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// background are the uploads that are being taken in while nobody waits for them.
type background struct {
	mu     sync.Mutex
	work   map[string]*taking // by identifier of the upload
	became map[string]string  // the deliveries of some that were taken in, for who asks next
	closed bool
}

// taking is one of them.
type taking struct {
	cancel   context.CancelFunc
	done     chan struct{}
	progress atomic.Pointer[Progress]
	report   Report // these two once done is closed
	err      error
}

// errStopping says that the hub is being stopped.
var errStopping = errors.New("intake: the hub is being stopped: take the upload in when it is back")

// Take takes an upload in as [Intake.Submit] does, and comes back when that is over
// or after patience, whichever is first: finished says which. What goes on is ended
// by [Intake.Run] when the hub stops, and by nothing else; the upload stays held
// until it was taken in, so that it can be taken in again from where it was.
func (in *Intake) Take(ctx context.Context, h Held, patience time.Duration) (rep Report, finished bool, err error) {
	t, err := in.begun(ctx, h)
	if err != nil {
		return Report{}, false, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-t.done:
		return t.report, true, t.err
	case <-timer.C:
	case <-ctx.Done():
	}
	return Report{}, false, nil
}

// begun gives the work on an upload; it begins it if nobody has.
func (in *Intake) begun(ctx context.Context, h Held) (*taking, error) {
	in.behind.mu.Lock()
	defer in.behind.mu.Unlock()
	if in.behind.closed {
		return nil, errStopping
	}
	t := in.behind.work[h.ID]
	if t != nil {
		return t, nil
	}
	f, err := in.OpenHeld(h)
	if err != nil {
		return nil, err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	t = &taking{cancel: cancel, done: make(chan struct{})}
	if in.behind.work == nil {
		in.behind.work = map[string]*taking{}
	}
	in.behind.work[h.ID] = t
	go func() {
		defer close(t.done)
		defer cancel()
		d := Delivery{Source: h.Source, Name: h.Name, Format: h.Format, Mapping: h.Mapping, Submitter: h.Submitter}
		// Without its Seek, the file is copied to the spool: what was begun goes on by
		// itself after a restart.
		t.report, t.err = in.Submit(work, d, struct{ io.Reader }{f}, func(p Progress) { t.progress.Store(&p) })
		_ = f.Close()
		in.settle(h, t)
	}()
	return t, nil
}

// settle ends the work on an upload: it is not needed any more when it was taken in.
func (in *Intake) settle(h Held, t *taking) {
	var whole *Refused
	switch {
	case t.err == nil:
		in.remove(h.ID)
	case errors.Is(t.err, context.Canceled):
	case errors.As(t.err, &whole):
		h.Error = whole.Reason
		err := in.KeepHeld(h)
		if err != nil {
			in.cfg.Log.Error("an upload cannot be marked as refused", slog.Any("error", err))
		}
	default:
		in.cfg.Log.Error("an upload could not be taken in; it is still there", slog.String("source", h.Source), slog.Any("error", t.err))
	}
	in.behind.mu.Lock()
	defer in.behind.mu.Unlock()
	delete(in.behind.work, h.ID)
	if t.err != nil {
		return
	}
	if in.behind.became == nil || len(in.behind.became) >= maxBecame {
		in.behind.became = map[string]string{}
	}
	in.behind.became[h.ID] = t.report.ID
}

// maxBecame bounds the memory of uploads that are gone; who looks for one that is
// forgotten finds the delivery in the list.
const maxBecame = 1000

// Became gives the delivery of an upload that was taken in a short while ago, empty
// when nobody remembers. Whether the asker may see it is to be asked of
// hub/internal/access.
func (in *Intake) Became(upload string) string {
	in.behind.mu.Lock()
	defer in.behind.mu.Unlock()
	return in.behind.became[upload]
}

func (in *Intake) takingOf(id string) *taking {
	in.behind.mu.Lock()
	defer in.behind.mu.Unlock()
	return in.behind.work[id]
}

// Taking reports whether an upload is being taken in at this moment, and how far
// that is.
func (in *Intake) Taking(h Held) (Progress, bool) {
	t := in.takingOf(h.ID)
	if t == nil {
		return Progress{}, false
	}
	p := t.progress.Load()
	if p == nil {
		return Progress{Bytes: h.Bytes}, true
	}
	return *p, true
}

// Run owns what [Intake.Take] leaves behind: it waits until ctx ends, and then ends
// that, too. What was being read is gone on with at the next start.
func (in *Intake) Run(ctx context.Context) error {
	<-ctx.Done()
	in.behind.mu.Lock()
	in.behind.closed = true
	var all []*taking
	for _, t := range in.behind.work {
		all = append(all, t)
	}
	in.behind.mu.Unlock()
	for _, t := range all {
		t.cancel()
	}
	for _, t := range all {
		<-t.done
	}
	return nil
}
