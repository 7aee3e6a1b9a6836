package contract

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Checkpoint states exactly which indicators are in force for one provider. It
// travels as a signed note (C2SP signed-note) whose text is [Checkpoint.Text];
// docs/formats/checkpoint.md gives it byte by byte.
type Checkpoint struct {
	Provider string    // the provider's short name
	Sequence uint64    // the highest log entry that the list includes
	Issued   time.Time // also the moment at which "in force" was judged
	Expires  time.Time // not to be believed from this moment on
	Count    int       // indicators in force
	Root     Digest    // see [List.Root]
}

const (
	checkpointTitle = "ecs checkpoint v1"
	noteTime        = "2006-01-02T15:04:05.000000Z"
)

// Text gives the text to be signed: seven lines, each ended by a line feed.
func (c *Checkpoint) Text() string {
	return fmt.Sprintf("%s\nprovider %s\nsequence %d\nissued %s\nexpires %s\ncount %d\nroot %s\n",
		checkpointTitle, c.Provider, c.Sequence,
		c.Issued.UTC().Format(noteTime), c.Expires.UTC().Format(noteTime), c.Count, c.Root)
}

// ParseCheckpoint reads the text of a note whose signature has been verified.
// Nothing may be missing, added, reordered or written differently.
func ParseCheckpoint(text string) (*Checkpoint, error) {
	f, err := noteFields(text, checkpointTitle, "provider", "sequence", "issued", "expires", "count", "root")
	if err != nil {
		return nil, err
	}
	c := &Checkpoint{Provider: f[0]}
	var errs [5]error
	c.Sequence, errs[0] = strconv.ParseUint(f[1], 10, 64)
	c.Issued, errs[1] = time.Parse(noteTime, f[2])
	c.Expires, errs[2] = time.Parse(noteTime, f[3])
	c.Count, errs[3] = strconv.Atoi(f[4])
	errs[4] = c.Root.UnmarshalText([]byte(f[5]))
	for _, e := range errs {
		if e != nil {
			return nil, fmt.Errorf("contract: checkpoint: %w", e)
		}
	}
	if c.Count < 0 || c.Text() != text {
		return nil, fmt.Errorf("contract: checkpoint is not in its one canonical form")
	}
	return c, nil
}

// Rules are what feedback has to obey before it may leave a provider. The hub
// signs them, the provider applies them, and the hub checks again on receipt.
type Rules struct {
	Version      uint64        // rises with each change
	MinCustomers int           // distinct consenting customers in a cell
	MinEvents    int           // events in a cell
	MaxShare     int           // percent of a cell's events that one customer may have
	DayLength    time.Duration // 24 h; shorter only in a demonstration, see [Day]
}

// DefaultRules are those of the program's design: five customers, ten events,
// no customer above 60 percent.
var DefaultRules = Rules{Version: 1, MinCustomers: 5, MinEvents: 10, MaxShare: 60, DayLength: 24 * time.Hour}

const rulesTitle = "ecs feedback rules v1"

// Text gives the text to be signed.
func (r *Rules) Text() string {
	return fmt.Sprintf("%s\nversion %d\nmin-customers %d\nmin-events %d\nmax-share %d\nday-seconds %d\n",
		rulesTitle, r.Version, r.MinCustomers, r.MinEvents, r.MaxShare, int64(r.DayLength/time.Second))
}

// ParseRules reads the text of a note whose signature has been verified. It
// refuses rules weaker than the floor below which counts are not anonymous.
func ParseRules(text string) (*Rules, error) {
	f, err := noteFields(text, rulesTitle, "version", "min-customers", "min-events", "max-share", "day-seconds")
	if err != nil {
		return nil, err
	}
	var n [5]int64
	for i := range n {
		n[i], err = strconv.ParseInt(f[i], 10, 64)
		if err != nil {
			return nil, fmt.Errorf("contract: rules: %w", err)
		}
	}
	r := &Rules{
		Version: uint64(n[0]), MinCustomers: int(n[1]), MinEvents: int(n[2]), MaxShare: int(n[3]),
		DayLength: time.Duration(n[4]) * time.Second,
	}
	if r.Text() != text {
		return nil, fmt.Errorf("contract: rules are not in their one canonical form")
	}
	return r, r.Check()
}

// Check refuses rules that would let a cell speak of too few customers.
func (r *Rules) Check() error {
	if r.MinCustomers < 5 || r.MinEvents < r.MinCustomers || r.MaxShare < 1 || r.MaxShare > 80 ||
		r.DayLength < time.Second || r.DayLength > 24*time.Hour {
		return fmt.Errorf("contract: feedback rules are weaker than the floor (5 customers, one event each, no customer above 80 percent, a day of at most 24 h)")
	}
	return nil
}

func noteFields(text, title string, names ...string) ([]string, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != len(names)+2 || lines[0] != title || lines[len(lines)-1] != "" {
		return nil, fmt.Errorf("contract: not a note of the form %q", title)
	}
	out := make([]string, len(names))
	for i, n := range names {
		v, ok := strings.CutPrefix(lines[i+1], n+" ")
		if !ok || v == "" {
			return nil, fmt.Errorf("contract: note lacks the field %q", n)
		}
		out[i] = v
	}
	return out, nil
}
