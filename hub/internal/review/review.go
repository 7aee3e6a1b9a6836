package review

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/score"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Config of a [Desk].
type Config struct {
	// DB is the hub's database.
	DB *sqldb.DB
	// Checker gives the checks with the protected names of the moment; it is asked at
	// most once a minute. Nil: checks without lists.
	Checker func() *policy.Checker
	// Model makes the scores; [score.DefaultModel] when nil.
	Model *score.Model
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
}

// Desk gathers. It is safe for concurrent use.
type Desk struct {
	db    *sqldb.DB
	model *score.Model
	now   func() time.Time

	mu      sync.Mutex
	fresh   func() *policy.Checker
	checker *policy.Checker
	asked   time.Time
}

// checkerLife is for how long protected names are not read again: they are what an
// approver is shown, and the checks of intake have them fresh.
const checkerLife = time.Minute

// New makes a desk; it does nothing by itself.
func New(cfg Config) *Desk {
	d := &Desk{db: cfg.DB, model: cfg.Model, now: cfg.Now, fresh: cfg.Checker}
	if d.model == nil {
		d.model = score.DefaultModel()
	}
	if d.now == nil {
		d.now = time.Now
	}
	if d.fresh == nil {
		d.fresh = func() *policy.Checker {
			c, _ := policy.New(policy.Config{}) // an empty configuration has nothing to refuse
			return c
		}
	}
	return d
}

func (d *Desk) check() *policy.Checker {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checker == nil || d.now().Sub(d.asked) >= checkerLife {
		d.checker, d.asked = d.fresh(), d.now()
	}
	return d.checker
}

// Mention is the newest word of one source on an indicator.
type Mention struct {
	Source      string
	Reliability string // of the source, Admiralty scale A to F
	Credibility int    // of the information, 1 to 6; 0 when it did not say
	Confidence  int    // -1 when it did not say
	Batch       string // identifier of the delivery
	BatchName   string
	Observed    time.Time // zero when it did not say
	At          time.Time
	Revoked     bool
}

// Sheet is what a person needs to decide about one indicator.
type Sheet struct {
	Findings   []indicator.Finding
	Asks       []Ask
	Checks     []policy.Check
	Impact     policy.Impact
	Score      score.Score
	Mentions   []Mention
	Precedents []Precedent
	Suggestion Suggestion
	Usual      string // the code that an approval begins with
	Clock      Clock
}

// MaxSheets bounds how many indicators [Desk.Sheets] takes at once.
const MaxSheets = 100

// Sheets gathers for indicators that the reader may know of, in their order. Of an
// indicator whose value is hidden from the reader the sheet tells only codes, clock
// and sources: all else would tell of the value.
func (d *Desk) Sheets(ctx context.Context, who signin.Account, items []indicator.Item) ([]Sheet, error) {
	if len(items) > MaxSheets {
		return nil, fmt.Errorf("review: %d sheets at once, limit %d", len(items), MaxSheets)
	}
	out := make([]Sheet, len(items))
	if len(items) == 0 {
		return out, nil
	}
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return nil, err
	}
	found, err := s.findings(ctx, d.db, items)
	if err != nil {
		return nil, err
	}
	named, err := s.mentions(ctx, d.db, items)
	if err != nil {
		return nil, err
	}
	subjects := make([]policy.Subject, len(items))
	for i := range items {
		subjects[i] = subject(&items[i], named[items[i].Number])
	}
	near, err := s.neighbors(ctx, d.db, items, subjects)
	if err != nil {
		return nil, err
	}
	worth, err := d.scores(ctx, who, items, named)
	if err != nil {
		return nil, err
	}
	past, err := s.precedents(ctx, d.db, items, found)
	if err != nil {
		return nil, err
	}
	check, now := d.check(), d.now()
	for i := range items {
		it, x := &items[i], &out[i]
		x.Findings, x.Mentions = found[it.Number], named[it.Number]
		x.Clock = clockOf(it, now)
		if access.Hidden(who, it) {
			x.Findings = withoutDetail(x.Findings)
			x.Asks, x.Usual = asks(x.Findings), Usual(distinct(x.Findings))
			x.Impact.Sentence = "Hidden with the value."
			continue
		}
		x.Asks, x.Usual = asks(x.Findings), Usual(distinct(x.Findings))
		x.Checks = check.Checked(&subjects[i], x.Findings)
		x.Impact = check.Impact(&subjects[i], x.Findings, near[i])
		x.Score, x.Precedents = worth[i], past[i]
		x.Suggestion = suggest(it, x)
	}
	return out, nil
}

func withoutDetail(fs []indicator.Finding) []indicator.Finding {
	out := slices.Clone(fs)
	for i := range out {
		out[i].Detail = "hidden"
	}
	return out
}

// subject is an indicator as the checks look at it.
func subject(it *indicator.Item, named []Mention) policy.Subject {
	out := policy.Subject{
		Pattern: it.Pattern, Services: it.Services, Action: it.Action, Summary: it.Summary, Context: it.Context,
		Observed: it.Observed,
	}
	if it.Labels != "" {
		out.Labels = strings.Split(it.Labels, "\n")
	}
	a, err := observable.Analyze(it.Pattern)
	if err == nil { // a purged one has no pattern
		out.Atoms = a.Atoms
	}
	for _, m := range named {
		if out.Reliability == "" || m.Reliability < out.Reliability {
			out.Reliability = m.Reliability
		}
	}
	return out
}

// scores judges the indicators by what the reader may know: statements of sources
// and reports of providers that the reader may not see do not count.
func (d *Desk) scores(ctx context.Context, who signin.Account, items []indicator.Item, named map[int64][]Mention) ([]score.Score, error) {
	evidence, err := score.Gather(ctx, d.db, items)
	if err != nil {
		return nil, err
	}
	out := make([]score.Score, len(items))
	for i := range items {
		e := &evidence[i]
		e.Statements = slices.DeleteFunc(e.Statements, func(s score.Statement) bool {
			return !slices.ContainsFunc(named[items[i].Number], func(m Mention) bool { return m.Source == s.Source })
		})
		if !access.May(who, access.Feedback) {
			e.Reports, e.FalsePositives = nil, nil
		}
		out[i] = d.model.Score(e, d.now())
	}
	return out, nil
}

// sight is what one reader may see.
type sight struct {
	who       signin.Account
	handlings []int64
	source    string // the only source of which the reader may know, if limited
	limited   bool
}

func (d *Desk) sightOf(ctx context.Context, who signin.Account) (sight, error) {
	s := sight{who: who}
	err := access.Need(who, access.Indicators)
	if err != nil {
		return s, err
	}
	s.handlings, err = access.Handlings(ctx, d.db, who)
	s.source, s.limited = access.Source(who, access.Indicators)
	return s, err
}

// items gives the condition that the reader may know of an item, whose table has
// this alias. An argument of the source is added when it is needed.
func (s *sight) items(alias string, args *[]any) string {
	out := indicator.Among(alias+".handling", s.handlings)
	if s.limited {
		*args = append(*args, s.source)
		out += ` AND EXISTS (SELECT 1 FROM item_source o WHERE o.number = ` + alias + `.number AND o.source = $` + strconv.Itoa(len(*args)) + `)`
	}
	return out
}

// named gives the condition on mentions, whose table has this alias.
func (s *sight) named(alias string, args *[]any) string {
	out := indicator.Among(alias+".handling", s.handlings)
	if s.limited {
		*args = append(*args, s.source)
		out += ` AND ` + alias + `.source = $` + strconv.Itoa(len(*args))
	}
	return out
}

// other finds the indicators that a finding speaks of.
var other = regexp.MustCompile(`indicator--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// findings reads those of many indicators, stops first, as access.Findings does for
// one: what names an indicator of which the reader may not know is left out whole.
func (s *sight) findings(ctx context.Context, q *sqldb.DB, items []indicator.Item) (map[int64][]indicator.Finding, error) {
	out, err := findings(ctx, q, items)
	if err != nil || s.handlings == nil && !s.limited {
		return out, err
	}
	asked := map[string]bool{}
	for _, fs := range out {
		for i := range fs {
			for _, id := range other.FindAllString(fs[i].Detail, -1) {
				asked[id] = false
			}
		}
	}
	for some := range slices.Chunk(slices.Sorted(maps.Keys(asked)), q.Placeholders()/2) {
		err = s.known(ctx, q, some, asked)
		if err != nil {
			return nil, err
		}
	}
	for n, fs := range out {
		out[n] = slices.DeleteFunc(fs, func(f indicator.Finding) bool {
			return slices.ContainsFunc(other.FindAllString(f.Detail, -1), func(id string) bool { return !asked[id] })
		})
	}
	return out, nil
}

// known marks those of some indicators of which the reader may know.
func (s *sight) known(ctx context.Context, q sqldb.Querier, ids []string, into map[string]bool) error {
	args := make([]any, len(ids))
	marks := make([]string, len(ids))
	for i, id := range ids {
		args[i], marks[i] = id, "$"+strconv.Itoa(i+1)
	}
	rows, err := q.QueryContext(ctx, `SELECT i.id FROM item i WHERE i.id IN (`+strings.Join(marks, ", ")+`) AND `+s.items("i", &args), args...)
	if err != nil {
		return fmt.Errorf("review: findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id string
		err = rows.Scan(&id)
		if err != nil {
			return err
		}
		into[id] = true
	}
	return rows.Err()
}

// findings reads those of many indicators, stops first, whoever may see them.
func findings(ctx context.Context, q sqldb.Querier, items []indicator.Item) (map[int64][]indicator.Finding, error) {
	ids := make(map[int64]contract.ID, len(items))
	for i := range items {
		ids[items[i].Number] = items[i].ID
	}
	rows, err := q.QueryContext(ctx, `SELECT number, code, severity, detail, at FROM finding WHERE `+numbered("number", items)+`
		ORDER BY number, CASE severity WHEN 'stop' THEN 0 ELSE 1 END, code, detail`)
	if err != nil {
		return nil, fmt.Errorf("review: findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64][]indicator.Finding{}
	for rows.Next() {
		var f indicator.Finding
		var number, at int64
		err = rows.Scan(&number, &f.Code, &f.Severity, &f.Detail, &at)
		if err != nil {
			return nil, err
		}
		f.Item, f.At = ids[number], sqldb.FromTime(at)
		out[number] = append(out[number], f)
	}
	return out, rows.Err()
}

// numbered gives the condition that a column is the number of one of the items.
func numbered(column string, items []indicator.Item) string {
	of := make([]int64, len(items))
	for i := range items {
		of[i] = items[i].Number
	}
	return indicator.Among(column, of)
}

// mentions reads the newest word of each source that the reader may know of.
func (s *sight) mentions(ctx context.Context, q sqldb.Querier, items []indicator.Item) (map[int64][]Mention, error) {
	var args []any
	rows, err := q.QueryContext(ctx, `SELECT m.number, m.source, s.reliability, m.credibility, m.confidence, b.id, b.name, m.observed, m.at, m.revoked
		FROM (SELECT max(x.mention) AS newest FROM item_source x WHERE `+numbered("x.number", items)+` AND `+s.named("x", &args)+` GROUP BY x.number, x.source) g
		JOIN item_source m ON m.mention = g.newest JOIN source s ON s.id = m.source JOIN batch b ON b.number = m.batch
		ORDER BY m.number, m.mention`, args...)
	if err != nil {
		return nil, fmt.Errorf("review: mentions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64][]Mention{}
	for rows.Next() {
		var m Mention
		var number, observed, at int64
		err = rows.Scan(&number, &m.Source, &m.Reliability, &m.Credibility, &m.Confidence, &m.Batch, &m.BatchName, &observed, &at, &m.Revoked)
		if err != nil {
			return nil, err
		}
		m.Observed, m.At = sqldb.FromTime(observed), sqldb.FromTime(at)
		out[number] = append(out[number], m)
	}
	return out, rows.Err()
}
