package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
)

// Config of an [Intake].
type Config struct {
	// DB is the hub's database. Required.
	DB *sqldb.DB
	// Checker gives the checks that are now in force; it is asked once for each
	// delivery. Required.
	Checker func() *policy.Checker
	// Spool is a folder of its own for deliveries that cannot be read twice, such
	// as those by HTTP. Required; it is made when absent.
	Spool string
	// Ceiling is the strictest marking that this instance may hold, besides the
	// ceiling of each source. The zero value is TLP:CLEAR.
	Ceiling contract.TLP
	// Clearance is what this instance may hold of classifications, compartments and
	// audiences. Nil: unclassified, up to Ceiling.
	Clearance *marking.Clearance
	// MaxBytes of one delivery: what is behind them is not read, the items before
	// them stay. 0 means 1 GiB.
	MaxBytes int64
	// MaxItem is the most bytes of one item. 0 means 256 KiB.
	MaxItem int
	// MaxRefusals is how many refusals of one delivery are kept; further ones are
	// only counted. 0 means 10,000.
	MaxRefusals int64
	// Portion is how many items are committed at once. 0 means 2,000.
	Portion int
	// Demonstration takes names and addresses of documentation (RFC 2606, 5737, 3849)
	// in reports for what they stand for.
	Demonstration bool
	// FolderSubmitter is the login under which files of the watched folder are
	// submitted. Empty means "folder".
	FolderSubmitter string
	// Log takes operational messages; never values of indicators. Nil: none.
	Log *slog.Logger
}

// Delivery says what is delivered, and by whom.
type Delivery struct {
	Source    string // short name of the source
	Name      string // the file's name, for people
	Format    string // see [Formats]
	Mapping   string // how it is to be read: of a sheet JSON of sheet.Mapping, of a report JSON of report.Option; empty: see [Mapping]
	Submitter string // login of whoever delivers
}

// Progress of a delivery, so far.
type Progress struct {
	Bytes     int64
	Items     int64 // all that follow, together
	Accepted  int64 // new indicators
	Duplicate int64 // merged into indicators that were there
	Refused   int64
	Skipped   int64 // records that carry nothing for us
	Objects   int64 // STIX objects kept beside the indicators
	Canonical int64 // values that were brought into their canonical spelling
}

// Report says what became of a delivery.
type Report struct {
	Batch
	Same     bool                      // these bytes had been delivered before: nothing changed
	States   map[indicator.State]int64 // where the new items of this run stopped
	Cut      int64                     // items whose valid_until was cut to the ceiling of its kind
	Default  int64                     // items that got the default valid_until of its kind
	Refusals []Refusal                 // the first hundred; see [Refusals] for all
}

// Refused is the error of a delivery that was refused as a whole.
type Refused struct {
	Code   string // see the codes in refusal.go
	Reason string // what is wrong, and what to do
}

// Error implements error.
func (e *Refused) Error() string { return "the delivery is refused: " + e.Reason }

// ErrBusy says that the same delivery is being read at this moment.
var ErrBusy = errors.New("the same delivery is being read already: wait until it is finished")

// Intake takes in deliveries. It is safe for concurrent use.
type Intake struct {
	cfg     Config
	metrics counters
	reading atomic.Int64 // deliveries being read

	mu       sync.RWMutex
	handling map[string]int64 // handlings of committed portions, by text

	behind background
}

// Busy reports whether a delivery is being read at this moment.
func (in *Intake) Busy() bool { return in.reading.Load() > 0 }

// remember keeps the numbers of handlings that a committed portion used.
func (in *Intake) remember(fresh map[string]int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.handling) > maxHandlings {
		in.handling = map[string]int64{}
	}
	maps.Copy(in.handling, fresh)
}

func (in *Intake) interned(text string) (int64, bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	n, ok := in.handling[text]
	return n, ok
}

func (in *Intake) handlingText(number int64) (string, bool) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	for text, n := range in.handling {
		if n == number {
			return text, true
		}
	}
	return "", false
}

// maxHandlings is how many handlings are remembered; more are looked up.
const maxHandlings = 4096

type counters struct {
	deliveries, items, accepted, duplicate, refused, skipped, refusalsDropped, foldersSkipped atomic.Int64
}

// New makes an intake; it does nothing yet.
func New(cfg Config) *Intake {
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 1 << 30
	}
	if cfg.MaxItem <= 0 {
		cfg.MaxItem = 256 << 10
	}
	if cfg.MaxRefusals <= 0 {
		cfg.MaxRefusals = 10_000
	}
	if cfg.Portion <= 0 {
		cfg.Portion = 2000
	}
	if cfg.FolderSubmitter == "" {
		cfg.FolderSubmitter = "folder"
	}
	if cfg.Clearance == nil {
		c := marking.NewClearance(cfg.Ceiling, marking.Unclassified)
		cfg.Clearance = &c
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Intake{cfg: cfg, handling: map[string]int64{}}
}

// Submit takes in one delivery. It reads r twice when r can seek, else it keeps
// a copy in the spool meanwhile. progress may be nil; it is called after each
// portion, from the caller's goroutine.
//
// The error is a *[Refused] when the whole was refused, [ErrBusy], or what kept
// the hub from going on (then the same delivery, or [Intake.Resume], continues).
// A delivery that was cut short, by its own fault, is no error: Report.Error
// tells.
func (in *Intake) Submit(ctx context.Context, d Delivery, r io.Reader, progress func(Progress)) (Report, error) {
	if !slices.Contains(Formats(), d.Format) {
		return Report{}, unknownFormat(d.Format)
	}
	if d.Submitter == "" {
		return Report{}, errors.New("intake: a delivery needs a submitter")
	}
	d.Name = policy.Printable(d.Name, 255)
	src, err := readSource(ctx, in.cfg.DB, d.Source)
	if err != nil {
		return Report{}, err
	}
	in.metrics.deliveries.Add(1)
	c, err := in.take(r)
	if err != nil {
		return Report{}, err
	}
	defer c.release()
	if d.Format == Auto {
		err = c.detect(&d)
		if err != nil {
			return Report{}, err
		}
	}
	err = in.readBy(ctx, &d, c)
	if err != nil {
		return Report{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Report{}, err
	}
	err = c.keep(id.String()) // before the row: a file without one is removed at the next start, a row without one would wait for ever
	if err != nil {
		return Report{}, err
	}
	b, err := in.begin(ctx, d, c, id.String())
	if err != nil {
		return Report{}, err
	}
	if b.done() {
		c.done = true
		rep, err := in.report(ctx, b, nil)
		rep.Same = true
		return rep, err
	}
	err = c.keep(b.ID) // that of an earlier try, if there was one
	if err != nil {
		return Report{}, err
	}
	return in.run(ctx, src, b, c, progress)
}

// Resume goes on with deliveries that a stopped hub had in its spool. Call it
// once at start, before the first Submit. Files of the watched folder are not
// in the spool: [Intake.Watch] finds them itself.
func (in *Intake) Resume(ctx context.Context) error {
	ids, err := in.spooled()
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range ids {
		err = in.resume(ctx, id)
		if err != nil {
			errs = append(errs, fmt.Errorf("intake: resume %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}

func (in *Intake) resume(ctx context.Context, id string) error {
	b, err := GetBatch(ctx, in.cfg.DB, id)
	if errors.Is(err, ErrNoBatch) || err == nil && b.done() {
		return in.unspool(id)
	}
	if err != nil {
		return err
	}
	src, err := readSource(ctx, in.cfg.DB, b.Source)
	if err != nil {
		return err
	}
	c, err := in.reopen(id)
	if err != nil {
		return err
	}
	defer c.release()
	rep, err := in.run(ctx, src, b, c, nil)
	if err == nil {
		in.cfg.Log.Info("delivery resumed", slog.Any("batch", id), slog.Any("accepted", rep.Accepted), slog.Any("refused", rep.Refused))
	}
	return err
}

// run reads the content from the batch's position on, and writes it portion by
// portion.
func (in *Intake) run(ctx context.Context, src source, b Batch, c *content, progress func(Progress)) (Report, error) {
	// The moment of a delivery is that of its receipt: what is counted from it, such as
	// the end of a validity, is the same however often the hub is stopped meanwhile.
	now := b.Received
	in.reading.Add(1)
	defer in.reading.Add(-1)
	reading, cancel := context.WithCancel(ctx)
	p := in.produce(reading, src, b, c, now)
	defer p.wait() // after cancel: the reader's goroutine ends before the content is closed
	defer cancel()
	prefixes, err := livingPrefixes(ctx, in.cfg.DB)
	if err != nil {
		return Report{}, fmt.Errorf("intake: prefixes: %w", err)
	}
	t := tally{states: map[indicator.State]int64{}}
	for portion := range p.out {
		w := writer{in: in, src: src, batch: b, now: now, checker: p.checker, prefixes: prefixes}
		next, err := w.write(ctx, portion)
		if err != nil {
			return Report{}, err
		}
		b = next
		t.add(portion, w.states)
		if progress != nil {
			progress(b.progress())
		}
		if b.Error != "" {
			break // the source's authority ended meanwhile
		}
	}
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	cancel()
	p.wait()
	why := b.Error
	if why == "" && p.err != nil {
		var whole *Refused
		if !errors.As(p.err, &whole) {
			return Report{}, p.err // reading failed: disk or network, not the delivery's fault
		}
		why = whole.Reason
	}
	b, err = in.finish(ctx, b, why)
	if err != nil {
		return Report{}, err
	}
	c.done = true
	rep, err := in.report(ctx, b, &t)
	if err != nil {
		return Report{}, err
	}
	var whole *Refused
	if errors.As(p.err, &whole) && b.Position == 0 {
		return rep, whole
	}
	return rep, nil
}

// tally sums up what a run did, for its report.
type tally struct {
	states     map[indicator.State]int64
	cut, given int64
}

func (t *tally) add(p []outcome, states map[indicator.State]int64) {
	for s, n := range states {
		t.states[s] += n
	}
	for i := range p {
		if p[i].ready == nil {
			continue
		}
		if p[i].ready.cut {
			t.cut++
		}
		if p[i].ready.defaulted {
			t.given++
		}
	}
}
