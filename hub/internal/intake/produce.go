package intake

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"ecs/hub/internal/policy"
)

// maxSkipped bounds a portion of nothing but objects that nobody asked for, so
// that progress is shown.
const maxSkipped = 20_000

// producer reads and judges entries in a goroutine of its own, while the
// portions before are written.
type producer struct {
	in    *Intake
	src   source
	batch Batch
	check *policy.Checker
	now   time.Time
	out   chan []outcome // closed at the end
	err   error          // why it ended, nil for the end of the delivery; read after out is closed
	wg    sync.WaitGroup
}

// produce starts to read behind the batch's position. It ends with ctx; the
// caller waits for it by wait.
func (in *Intake) produce(ctx context.Context, src source, b Batch, c *content, now time.Time) *producer {
	p := &producer{in: in, src: src, batch: b, check: in.cfg.Checker(), now: now, out: make(chan []outcome, 2)}
	p.wg.Go(func() {
		defer close(p.out)
		p.err = p.run(ctx, c)
	})
	return p
}

func (p *producer) wait() { p.wg.Wait() }

// run sends portions until the content ends. What has been read before an error
// is sent first: good items stay.
func (p *producer) run(ctx context.Context, c *content) error {
	r, err := c.reader(p.in.cfg.MaxBytes)
	if err != nil {
		return err
	}
	next, err := p.open(r)
	if err != nil {
		return err
	}
	var portion []outcome
	kept := 0
	send := func() bool {
		if len(portion) == 0 {
			return true
		}
		select {
		case p.out <- portion:
			portion, kept = nil, 0
			return true
		case <-ctx.Done():
			return false
		}
	}
	number := int64(0)
	for {
		o, err := next(number + 1)
		if err != nil {
			if !send() {
				return ctx.Err()
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		number++
		if number <= p.batch.Position {
			if number%1024 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			continue // committed before
		}
		portion = append(portion, o)
		if !o.skipped {
			kept++
		}
		if kept >= p.in.cfg.Portion || len(portion) >= maxSkipped {
			if !send() {
				return ctx.Err()
			}
		}
	}
}

// open reads the beginning, and gives the function that reads item by item.
func (p *producer) open(r io.Reader) (func(number int64) (outcome, error), error) {
	if p.batch.Format == CSV {
		c := newCSVReader(r, p.in.cfg.MaxItem)
		return func(number int64) (outcome, error) { return p.record(c, number) }, c.begin()
	}
	b := newBundleReader(r, p.in.cfg.MaxItem)
	return func(number int64) (outcome, error) { return p.object(b, number) }, nil
}

func (p *producer) record(c *csvReader, number int64) (outcome, error) {
	for {
		el, read, err := c.next()
		if err != nil {
			return outcome{}, err
		}
		if !read {
			continue
		}
		place := lineOf(el.line)
		if el.refuse != nil {
			return outcome{number: number, refusal: el.refuse.at(number, place, el.raw)}, nil
		}
		if number <= p.batch.Position {
			return outcome{}, nil
		}
		e, bad := c.entry(el)
		if bad != nil {
			return outcome{number: number, refusal: bad.at(number, place, el.raw)}, nil
		}
		e.place = place
		return p.judged(e, el, number), nil
	}
}

// object reads also what was committed before, for its marking definitions.
func (p *producer) object(b *bundleReader, number int64) (outcome, error) {
	el, o, err := b.next()
	if err != nil {
		return outcome{}, err
	}
	place := objectAt(number, el.line)
	if validID(el.id) {
		place = el.id
	}
	bad := el.refuse
	var e *entry
	if o != nil {
		e, bad = b.entry(o)
	}
	switch {
	case number <= p.batch.Position:
		return outcome{}, nil
	case bad != nil:
		return outcome{number: number, refusal: bad.at(number, place, el.raw)}, nil
	case e == nil:
		return outcome{number: number, skipped: true}, nil
	}
	e.place = place
	return p.judged(e, el, number), nil
}

func (p *producer) judged(e *entry, el element, number int64) outcome {
	r, bad := p.judge(e, el.raw)
	if bad != nil {
		return outcome{number: number, refusal: bad.at(number, e.place, el.raw)}
	}
	return outcome{number: number, ready: r}
}
