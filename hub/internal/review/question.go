package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Question is waiting indicators that are the same question: they came in one
// delivery, and have one category, one marking and one set of finding codes. What
// would hit many, and what may be personal data, is a question of its own each.
type Question struct {
	Key      string // for [Desk.Members]; tells nothing but what the reader sees
	Source   string
	Batch    string // identifier of the delivery
	Name     string // of the delivery
	Category contract.Category
	TLP      contract.TLP
	Codes    []string // finding codes, none for clean ones
	Usual    string   // the code that an approval begins with
	Single   bool     // decided by itself: it would hit many, or may be personal data
	High     bool     // it would hit many
	Count    int      // among those that were looked at
	More     bool     // the delivery may have more of it than were looked at
	Oldest   time.Time
	Clock    Clock // of the oldest
	// Last is the newest that was looked at: a decision is about those up to it, so
	// that nobody decides about what came afterwards.
	Last contract.ID
	// Sample are the riskiest, the first that a person should look at.
	Sample []indicator.Item
}

const (
	// Looked is how many waiting indicators one page of questions looks at.
	Looked = 1000
	// SampleSize is how many indicators of a question are shown with it.
	SampleSize = 5
	// MaxMembers is the most indicators that one decision takes.
	MaxMembers = 100_000
)

// ErrQuestion says that a question cannot be read; the page was made by another hub
// or changed on its way.
var ErrQuestion = fmt.Errorf("review: %w: this is no question of the queue; open the queue again", access.ErrCursor)

// key is what makes indicators the same question.
type key struct {
	batch    string
	category contract.Category
	handling string // short digest: numbers of handlings would tell of others
	codes    string
	single   contract.ID // of what is decided one by one
}

func (k *key) String() string {
	single := "-"
	if !k.single.IsZero() {
		single = k.single.String()
	}
	return strings.Join([]string{k.batch, strconv.Itoa(int(k.category)), k.handling, single, k.codes}, "|")
}

func parseKey(text string) (key, error) {
	var k key
	p := strings.Split(text, "|")
	if len(p) != 5 || len(text) > 4096 {
		return k, ErrQuestion
	}
	k.batch, k.handling, k.codes = p[0], p[2], p[4]
	n, err := strconv.ParseUint(p[1], 10, 8)
	k.category = contract.Category(n)
	if err == nil && p[3] != "-" {
		k.single, err = contract.ParseID(p[3])
	}
	if err != nil {
		return k, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	return k, nil
}

// Page is some questions of a step, and where the next ones begin.
type Page struct {
	Questions []Question
	Looked    int
	Next      contract.ID // behind which to go on; zero when everything was looked at
}

// Questions puts the waiting indicators of a state together, beginning behind one of
// which the reader may know (zero: with the oldest). It looks at [Looked] of them.
func (d *Desk) Questions(ctx context.Context, who signin.Account, state indicator.State, after contract.ID) (Page, error) {
	var page Page
	f := indicator.Filter{States: []indicator.State{state}, Limit: Looked}
	err := access.Narrow(ctx, d.db, who, &f)
	if err == nil && !after.IsZero() {
		f.After, err = access.After(ctx, d.db, who, after.String())
	}
	if err != nil {
		return page, err
	}
	items, err := indicator.List(ctx, d.db, f)
	if err != nil || len(items) == 0 {
		return page, err
	}
	page.Looked = len(items)
	if len(items) == Looked {
		page.Next = items[len(items)-1].ID
	}
	page.Questions, err = d.group(ctx, who, items)
	for i := range page.Questions {
		page.Questions[i].More = !page.Next.IsZero() && !page.Questions[i].Single
	}
	return page, err
}

// group puts items together, in the order of the first of each question.
func (d *Desk) group(ctx context.Context, who signin.Account, items []indicator.Item) ([]Question, error) {
	ks, origins, risks, err := d.keys(ctx, who, items)
	if err != nil {
		return nil, err
	}
	now := d.now()
	at := map[key]int{}
	var out []Question
	members := map[int][]int{}
	for i := range items {
		n, known := at[ks[i]]
		if !known {
			n = len(out)
			at[ks[i]] = n
			o := origins[items[i].Number]
			q := Question{
				Key: ks[i].String(), Source: o.source, Batch: o.batch, Name: o.name, Category: items[i].Category, TLP: items[i].TLP,
				Single: !ks[i].single.IsZero(), High: risks[i].high(), Oldest: items[i].Created, Clock: clockOf(&items[i], now),
			}
			if ks[i].codes != "" {
				q.Codes = strings.Split(ks[i].codes, ",")
			}
			q.Usual = Usual(q.Codes)
			out = append(out, q)
		}
		out[n].Count++
		out[n].Last = items[i].ID
		members[n] = append(members[n], i)
	}
	for n := range out {
		m := members[n]
		slices.SortStableFunc(m, func(a, b int) int { return cmp.Compare(risks[b], risks[a]) })
		for _, i := range m[:min(len(m), SampleSize)] {
			out[n].Sample = append(out[n].Sample, items[i])
		}
	}
	return out, nil
}

// risk orders members of a question: what would hit most comes first.
type risk int64

func (r risk) high() bool { return r >= 1<<40 }

func riskOf(it *indicator.Item, im *policy.Impact) risk {
	r := risk(100 - it.Confidence)
	switch im.Level {
	case policy.HighImpact:
		r += 1 << 40
	case policy.LowImpact:
		r += 1 << 30
	}
	if n := min(nonzero(im.Rank), nonzero(im.Parent)); n > 0 && n < 10_000_000 {
		r += risk(10_000_000-n) << 4
	}
	if len(im.Near) > 0 {
		r += 1 << 20
	}
	if it.Value == "" || it.Atoms > 1 { // many values are more to be wrong about
		r += 1 << 10
	}
	return r
}

func nonzero(rank int) int {
	if rank == 0 {
		return 1 << 30
	}
	return rank
}

type origin struct{ batch, name, source string }

// keys gives what each item is the same question by, where it came from, and its
// risk.
func (d *Desk) keys(ctx context.Context, who signin.Account, items []indicator.Item) ([]key, map[int64]origin, []risk, error) {
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return nil, nil, nil, err
	}
	found, err := s.findings(ctx, d.db, items)
	if err != nil {
		return nil, nil, nil, err
	}
	from, err := s.origins(ctx, d.db, items)
	if err != nil {
		return nil, nil, nil, err
	}
	digests, err := digestsOf(ctx, d.db)
	if err != nil {
		return nil, nil, nil, err
	}
	check := d.check()
	ks, risks := make([]key, len(items)), make([]risk, len(items))
	for i := range items {
		it := &items[i]
		var im policy.Impact
		if !access.Hidden(who, it) { // whom a hidden value would hit tells of it
			sub := subject(it, nil)
			im = check.Impact(&sub, found[it.Number], nil)
		}
		risks[i] = riskOf(it, &im)
		ks[i] = key{batch: from[it.Number].batch, category: it.Category, handling: digests[it.Handling], codes: codesOf(found[it.Number])}
		if risks[i].high() || personal(found[it.Number]) {
			ks[i].single = it.ID
		}
	}
	return ks, from, risks, nil
}

// personal reports findings of personal data, other than the choice of the sample.
func personal(fs []indicator.Finding) bool {
	return slices.ContainsFunc(fs, func(f indicator.Finding) bool { return indicator.IsPrivacy(f.Code) && f.Code != policy.CodeSample })
}

// origins gives the delivery in which each item came first, as far as the reader may
// know of it.
func (s *sight) origins(ctx context.Context, q sqldb.Querier, items []indicator.Item) (map[int64]origin, error) {
	var args []any
	rows, err := q.QueryContext(ctx, `SELECT m.number, m.source, b.id, b.name
		FROM (SELECT min(x.mention) AS oldest FROM item_source x WHERE `+numbered("x.number", items)+` AND `+s.named("x", &args)+` GROUP BY x.number) g
		JOIN item_source m ON m.mention = g.oldest JOIN batch b ON b.number = m.batch`, args...)
	if err != nil {
		return nil, fmt.Errorf("review: deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]origin{}
	for rows.Next() {
		var n int64
		var o origin
		err = rows.Scan(&n, &o.source, &o.batch, &o.name)
		if err != nil {
			return nil, err
		}
		out[n] = o
	}
	return out, rows.Err()
}

func digestsOf(ctx context.Context, q sqldb.Querier) (map[int64]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT number, digest FROM handling`)
	if err != nil {
		return nil, fmt.Errorf("review: handlings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]string{}
	for rows.Next() {
		var n int64
		var digest string
		err = rows.Scan(&n, &digest)
		if err != nil {
			return nil, err
		}
		out[n] = digest[:min(len(digest), 16)]
	}
	return out, rows.Err()
}

// Members gives the indicators that are this question now, oldest first, up to and
// with the one named last; at most [MaxMembers] and at most limit (0: no limit). It
// walks the delivery, however many others wait.
func (d *Desk) Members(ctx context.Context, who signin.Account, state indicator.State, text string, last contract.ID, limit int) ([]indicator.Item, error) {
	want, err := parseKey(text)
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > MaxMembers {
		limit = MaxMembers
	}
	end, err := access.Item(ctx, d.db, who, last)
	if err != nil {
		return nil, err
	}
	if !want.single.IsZero() {
		it, err := access.Item(ctx, d.db, who, want.single)
		if err != nil {
			return nil, err
		}
		return d.these(ctx, who, state, want, []indicator.Item{it})
	}
	var out []indicator.Item
	for after := int64(0); len(out) < limit; {
		numbers, err := d.walk(ctx, want.batch, after, end.Number)
		if err != nil || len(numbers) == 0 {
			return out, err
		}
		after = numbers[len(numbers)-1]
		items, err := d.waiting(ctx, who, state, numbers)
		if err != nil {
			return nil, err
		}
		some, err := d.these(ctx, who, state, want, items)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
	return out[:min(len(out), limit)], nil
}

// Rank orders indicators that the reader may know of, what would hit most first.
func (d *Desk) Rank(ctx context.Context, who signin.Account, items []indicator.Item) error {
	_, _, risks, err := d.keys(ctx, who, items)
	if err != nil {
		return err
	}
	of := make(map[int64]risk, len(items))
	for i := range items {
		of[items[i].Number] = risks[i]
	}
	slices.SortStableFunc(items, func(a, b indicator.Item) int { return cmp.Compare(of[b.Number], of[a.Number]) })
	return nil
}

// these keeps what is the question.
func (d *Desk) these(ctx context.Context, who signin.Account, state indicator.State, want key, items []indicator.Item) ([]indicator.Item, error) {
	items = slices.DeleteFunc(items, func(it indicator.Item) bool { return it.State != state })
	if len(items) == 0 {
		return nil, nil
	}
	ks, _, _, err := d.keys(ctx, who, items)
	if err != nil {
		return nil, err
	}
	var out []indicator.Item
	for i := range items {
		if ks[i] == want {
			out = append(out, items[i])
		}
	}
	return out, nil
}

// walk gives the next numbers of items that a delivery named, in order.
func (d *Desk) walk(ctx context.Context, batch string, after, last int64) ([]int64, error) {
	rows, err := d.db.QueryContext(ctx, `SELECT DISTINCT number FROM item_source WHERE batch = (SELECT number FROM batch WHERE id = $1)
		AND number > $2 AND number <= $3 ORDER BY number LIMIT `+strconv.Itoa(indicator.MaxLimit), batch, after, last)
	if err != nil {
		return nil, fmt.Errorf("review: delivery: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var n int64
		err = rows.Scan(&n)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// waiting reads those of the numbered items that wait at a state and of which the
// reader may know.
func (d *Desk) waiting(ctx context.Context, who signin.Account, state indicator.State, numbers []int64) ([]indicator.Item, error) {
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return nil, err
	}
	args := []any{string(state)}
	rows, err := d.db.QueryContext(ctx, `SELECT `+indicator.Columns+` FROM item WHERE `+indicator.Among("number", numbers)+`
		AND state = $1 AND `+s.items("item", &args)+` ORDER BY number`, args...)
	if err != nil {
		return nil, fmt.Errorf("review: members: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []indicator.Item
	for rows.Next() {
		it, err := indicator.Scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
	}
	return out, rows.Err()
}
