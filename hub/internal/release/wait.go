package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// bell wakes those who wait for a provider's log to grow.
type bell struct {
	mu    sync.Mutex
	rings map[string]*ring
}

type ring struct {
	c       chan struct{} // closed when the log has grown
	waiting int
	head    uint64 // as the first of them saw it
}

// wait gives the channel that the next ring closes. Every wait needs a leave.
func (b *bell) wait(provider string) *ring {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rings == nil {
		b.rings = map[string]*ring{}
	}
	r := b.rings[provider]
	if r == nil {
		r = &ring{c: make(chan struct{})}
		b.rings[provider] = r
	}
	r.waiting++
	return r
}

func (b *bell) leave(provider string, r *ring) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.waiting--
	if r.waiting == 0 && b.rings[provider] == r {
		delete(b.rings, provider)
	}
}

func (b *bell) ring(provider string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.rings[provider]
	if r != nil {
		close(r.c)
		delete(b.rings, provider)
	}
}

// seen notes the head that a waiter found, so that look can tell growth.
func (b *bell) seen(r *ring, head uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.head = max(r.head, head)
}

// heads copies what waiters have seen.
func (b *bell) heads() map[string]uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make(map[string]uint64, len(b.rings))
	for p, r := range b.rings {
		out[p] = r.head
	}
	return out
}

// Wait returns nil as soon as the provider's log has entries after a sequence
// number, and ctx's error when ctx ends first. It does not poll: a release on
// this hub wakes it, one on another hub of the same database is found by Run.
func (d *Desk) Wait(ctx context.Context, provider string, after uint64) error {
	for {
		r := d.bell.wait(provider) // before the look at the log: no growth is missed
		head, err := d.head(ctx, provider)
		if err != nil || head > after {
			d.bell.leave(provider, r)
			return err
		}
		d.bell.seen(r, head)
		select {
		case <-ctx.Done():
			d.bell.leave(provider, r)
			return ctx.Err()
		case <-r.c:
			d.bell.leave(provider, r)
		}
	}
}

func (d *Desk) head(ctx context.Context, provider string) (uint64, error) {
	var head int64
	err := d.db.QueryRowContext(ctx, `SELECT head FROM provider WHERE id = $1`, provider).Scan(&head)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("%w: %s", ErrProvider, provider)
	}
	return uint64(head), err
}

// look finds what other hubs on the same database have released, while anybody
// waits: one small query for all waiters.
func (d *Desk) look(ctx context.Context) error {
	waiting := d.bell.heads()
	if len(waiting) == 0 {
		return nil
	}
	rows, err := d.db.QueryContext(ctx, `SELECT id, head FROM provider`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		var head int64
		err = rows.Scan(&id, &head)
		if err != nil {
			return err
		}
		was, ok := waiting[id]
		if ok && uint64(head) > was {
			d.bell.ring(id)
		}
	}
	return rows.Err()
}
