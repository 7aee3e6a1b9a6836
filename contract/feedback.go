package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Day numbers a fixed window of feedback: days since 1970-01-01 UTC. Under the
// rules of a demonstration a day may be shorter ([Rules.DayLength]).
type Day int32

// DayOf gives the day in which t falls.
func DayOf(t time.Time, length time.Duration) Day {
	return Day(t.Unix() / int64(length/time.Second))
}

// Start gives the first moment of the day.
func (d Day) Start(length time.Duration) time.Time {
	return time.Unix(int64(d)*int64(length/time.Second), 0).UTC()
}

// Bucket is a count in steps too coarse to tell one event from the next. It
// holds the lower end of its step; zero means none, or withheld.
type Bucket uint32

// steps are the lower ends of all buckets above zero.
var steps = [...]Bucket{5, 10, 20, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000}

// BucketOf rounds a count down to the lower end of its step; counts below the
// first step are zero.
func BucketOf(n int) Bucket {
	var b Bucket
	for _, s := range steps {
		if n >= int(s) {
			b = s
		}
	}
	return b
}

func (b Bucket) valid() bool { return b == BucketOf(int(b)) }

// String gives the bucket as a range, such as "20-49".
func (b Bucket) String() string {
	for i, s := range steps {
		if s != b {
			continue
		}
		if i+1 == len(steps) {
			return fmt.Sprintf("%d or more", s)
		}
		return fmt.Sprintf("%d-%d", s, steps[i+1]-1)
	}
	return "0"
}

// Sector is one of a program's sectors by number, 1 to 16 in the set of
// Presidential Policy Directive 21; 0 stands for all of them.
type Sector uint8

// AllSectors is the sector of a cell that does not tell sectors apart.
const AllSectors Sector = 0

// Feedback is one cell of a window: how often an indicator fired at a provider,
// over all customers who agreed, in steps. It has no exported field and no room
// for text; [NewFeedback] is called by the provider's anonymise package alone.
type Feedback struct {
	indicator ID       // zero when only the category is told
	category  Category // of the indicator
	sector    Sector
	action    Action
	events    Bucket
	customers Bucket
	wrong     Bucket // confirmed false positives
	first     Day
	last      Day
}

// NewFeedback makes a cell. Counts must be buckets already, days in order.
func NewFeedback(indicator ID, category Category, sector Sector, action Action, events, customers, wrong Bucket, first, last Day) (Feedback, error) {
	f := Feedback{
		indicator: indicator, category: category, sector: sector, action: action,
		events: events, customers: customers, wrong: wrong, first: first, last: last,
	}
	return f, f.check()
}

func (f Feedback) check() error {
	switch {
	case !f.events.valid() || !f.customers.valid() || !f.wrong.valid():
		return errors.New("contract: feedback with a count that is not a bucket")
	case f.events == 0 || f.customers == 0:
		return errors.New("contract: feedback below the lowest bucket")
	case f.first > f.last:
		return errors.New("contract: feedback whose last day is before its first")
	case int(f.category) >= len(categoryNames) || int(f.action) >= len(actionNames) || f.sector > 16:
		return errors.New("contract: feedback outside the closed lists")
	}
	return nil
}

// Indicator names the indicator, or is zero.
func (f Feedback) Indicator() ID { return f.indicator }

// Category gives the indicator's category.
func (f Feedback) Category() Category { return f.category }

// Sector gives the sector, or [AllSectors].
func (f Feedback) Sector() Sector { return f.sector }

// Action says what was done.
func (f Feedback) Action() Action { return f.action }

// Events counts matches, in steps.
func (f Feedback) Events() Bucket { return f.events }

// Customers counts distinct customers, in steps.
func (f Feedback) Customers() Bucket { return f.customers }

// Wrong counts confirmed false positives, in steps.
func (f Feedback) Wrong() Bucket { return f.wrong }

// Days gives the first and the last day of the matches.
func (f Feedback) Days() (first, last Day) { return f.first, f.last }

// Window is everything that one provider says of one service and one day. The
// hub keeps the first that it gets for a (provider, day, service).
type Window struct {
	Day     Day
	Service Services // exactly one
	Rules   uint64   // version of the rules applied
	Cells   []Feedback
}

// MaxCells bounds a window.
const MaxCells = 100_000

type wireCell struct {
	Indicator *ID      `json:"indicator,omitempty"`
	Category  Category `json:"category"`
	Sector    Sector   `json:"sector"`
	Action    Action   `json:"action"`
	Events    Bucket   `json:"events"`
	Customers Bucket   `json:"customers"`
	Wrong     Bucket   `json:"wrong"`
	First     Day      `json:"first"`
	Last      Day      `json:"last"`
}

type wireWindow struct {
	Day     Day        `json:"day"`
	Service Services   `json:"service"`
	Rules   uint64     `json:"rules"`
	Cells   []wireCell `json:"cells"`
}

// Bytes gives the exact bytes that leave the provider, which are also what its
// operator reviews: JSON, one cell a line.
func (w *Window) Bytes() ([]byte, error) {
	err := w.check()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"day\":%d,\"service\":\"%s\",\"rules\":%d,\"cells\":[", w.Day, w.Service, w.Rules)
	for i, f := range w.Cells {
		c := wireCell{
			Category: f.category, Sector: f.sector, Action: f.action, Events: f.events,
			Customers: f.customers, Wrong: f.wrong, First: f.first, Last: f.last,
		}
		if !f.indicator.IsZero() {
			c.Indicator = &f.indicator
		}
		line, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]}\n")
	return b.Bytes(), nil
}

// ParseWindow reads what [Window.Bytes] wrote. The schema is closed: an unknown
// field, a count that is not a bucket, or anything that would not be written
// again byte for byte makes the whole window fail.
func ParseWindow(body []byte) (*Window, error) {
	var in wireWindow
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&in)
	if err != nil {
		return nil, fmt.Errorf("contract: feedback: %w", err)
	}
	_, err = d.Token()
	if !errors.Is(err, io.EOF) {
		return nil, errors.New("contract: feedback is followed by something else")
	}
	w := &Window{Day: in.Day, Service: in.Service, Rules: in.Rules}
	for _, c := range in.Cells {
		var id ID
		if c.Indicator != nil {
			id = *c.Indicator
		}
		w.Cells = append(w.Cells, Feedback{
			indicator: id, category: c.Category, sector: c.Sector, action: c.Action, events: c.Events,
			customers: c.Customers, wrong: c.Wrong, first: c.First, last: c.Last,
		})
	}
	again, err := w.Bytes()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, body) {
		return nil, errors.New("contract: feedback is not in its one canonical form")
	}
	return w, nil
}

func (w *Window) check() error {
	if len(w.Service.Each()) != 1 || len(w.Cells) > MaxCells {
		return fmt.Errorf("contract: a window is of one service and at most %d cells", MaxCells)
	}
	for _, f := range w.Cells {
		err := f.check()
		if err != nil {
			return err
		}
	}
	return nil
}
