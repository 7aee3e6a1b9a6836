package intake

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"sync"
	"time"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
)

// maxSkipped bounds a portion of nothing but objects that nobody asked for, so
// that progress is shown.
const maxSkipped = 20_000

// producer reads and judges entries in a goroutine of its own, while the
// portions before are written.
type producer struct {
	in        *Intake
	src       source
	batch     Batch
	checker   *policy.Checker
	now       time.Time
	byDefault marking.Handling    // of a record without marks that say who may have it
	handled   map[string]*handled // by text
	prefix    [4]byte             // of the identifiers of this portion, see newID
	out       chan []outcome      // closed at the end
	err       error               // why it ended, nil for the end of the delivery; read after out is closed
	wg        sync.WaitGroup
}

// produce starts to read behind the batch's position. It ends with ctx; the
// caller waits for it by wait.
func (in *Intake) produce(ctx context.Context, src source, b Batch, c *content, now time.Time) *producer {
	p := &producer{in: in, src: src, batch: b, checker: in.cfg.Checker(), now: now, out: make(chan []outcome, 2)}
	p.begin()
	p.wg.Go(func() {
		defer close(p.out)
		p.err = p.run(ctx, c)
	})
	return p
}

// begin sets up what all records share.
func (p *producer) begin() {
	p.byDefault = marking.OfTLP(min(contract.Amber, p.src.ceiling, p.in.cfg.Ceiling)).Handling()
	p.handled = map[string]*handled{}
	_, _ = rand.Read(p.prefix[:]) // never fails
}

// newID gives an identifier that begins as all of its portion do: 90 bits of it are
// its own. The index of identifiers is then written in one place for a portion, not
// in one for each item. It tells nobody more than the moment of intake, which the
// items of a delivery share as well.
func (p *producer) newID() contract.ID {
	id := contract.NewID()
	copy(id[:], p.prefix[:])
	return id
}

func (p *producer) wait() { p.wg.Wait() }

// run sends portions until the content ends. What has been read before an error
// is sent first: good items stay.
func (p *producer) run(ctx context.Context, c *content) error {
	in, err := c.reader(p.in.cfg.MaxBytes)
	if err != nil {
		return err
	}
	r, err := p.open(in)
	if err != nil {
		var whole *format.Refused
		if errors.As(err, &whole) {
			return &Refused{Code: whole.Code, Reason: policy.Printable(whole.Reason, maxReason)}
		}
		return err
	}
	closer, ok := r.(io.Closer)
	if ok {
		defer func() { _ = closer.Close() }()
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
			_, _ = rand.Read(p.prefix[:]) // never fails
			return true
		case <-ctx.Done():
			return false
		}
	}
	number := int64(0)
	for {
		o, err := p.next(r, number+1)
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

// open reads the beginning, and gives the reader of the records.
func (p *producer) open(r io.Reader) (format.Reader, error) {
	open, err := opener(&p.batch, p.in.cfg.Demonstration)
	if err != nil {
		return nil, err
	}
	return open(r, p.in.limits())
}

// next reads one record. One that was committed before is read for what later ones
// need of it, such as the definitions of markings, and not judged again.
func (p *producer) next(r format.Reader, number int64) (outcome, error) {
	record, err := r.Next()
	if err != nil {
		var whole *format.Refused
		if errors.As(err, &whole) {
			return outcome{}, &Refused{Code: whole.Code, Reason: policy.Printable(whole.Reason, maxReason)}
		}
		return outcome{}, err
	}
	if number <= p.batch.Position {
		return outcome{}, nil
	}
	o := p.judge(record)
	o.number = number
	if o.refusal != nil {
		o.refusal.at(number, record.Place, record.Raw)
	}
	return o, nil
}
