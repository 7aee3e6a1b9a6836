package score

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// DefaultLimit is how many mentions a scorecard reads when nobody says another
// number: a few seconds of a busy machine, see docs/formats/score.md.
const DefaultLimit = 100_000

// VerdictFalsePositive is the verdict of a decision to recall or reject that calls
// the indicator a false positive.
const VerdictFalsePositive = "false-positive"

// Query asks for a scorecard.
type Query struct {
	Source string
	// From and To bound the time in which deliveries were received; To is not part of
	// it.
	From, To time.Time
	// Limit is how many mentions are read, the newest deliveries first; 0:
	// [DefaultLimit].
	Limit int64
	// Stale says how long ago a value of a kind may have been seen without being
	// stale.
	Stale func(observable.Kind) time.Duration
	// Public says whether a value stood on a public list when it was received; nil:
	// nobody knows.
	Public func(k observable.Kind, value string, at time.Time) Answer
}

// Load makes the scorecard of a source. It reads the deliveries of the time by
// batch_received, their mentions by item_source_batch, and for each mention looks
// up its item and the first mention of it; for what was released or has ended also
// decisions and feedback: some five look-ups by key a mention, whatever the size of
// the tables.
func Load(ctx context.Context, q sqldb.Querier, in Query) (Scorecard, error) {
	var recorded string
	err := q.QueryRowContext(ctx, `SELECT reliability FROM source WHERE id = $1`, in.Source).Scan(&recorded)
	if err != nil {
		return Scorecard{}, fmt.Errorf("score: source %s: %w", in.Source, err)
	}
	if in.Limit <= 0 {
		in.Limit = DefaultLimit
	}
	t := NewTally(in.Source, recorded, in.From, in.To, in.Stale)
	batches, err := deliveries(ctx, q, &in, t)
	if err != nil {
		return Scorecard{}, err
	}
	left := in.Limit
	const some = 100 // deliveries at once
	for len(batches) > 0 && left > 0 {
		n := min(some, len(batches))
		got, err := mentions(ctx, q, &in, t, batches[:n], left)
		if err != nil {
			return Scorecard{}, err
		}
		left -= got
		batches = batches[n:]
	}
	if left == 0 { // there may be more, in the last portion or behind it
		t.Partial()
	}
	return t.Card(), nil
}

// deliveries counts what was taken and refused, and gives the source's deliveries,
// newest first.
func deliveries(ctx context.Context, q sqldb.Querier, in *Query, t *Tally) ([]int64, error) {
	from, to := sqldb.Time(in.From), sqldb.Time(in.To)
	rows, err := q.QueryContext(ctx, `SELECT number, source, accepted + duplicate, refused FROM batch
		WHERE received >= $1 AND received < $2 ORDER BY number DESC`, from, to)
	if err != nil {
		return nil, fmt.Errorf("score: deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	var own, all, refused int64
	for rows.Next() {
		var number, taken, bad int64
		var source string
		err = rows.Scan(&number, &source, &taken, &bad)
		if err != nil {
			return nil, err
		}
		all += taken
		if source != in.Source {
			continue
		}
		own, refused = own+taken, refused+bad
		out = append(out, number)
	}
	err = rows.Err()
	if err != nil {
		return nil, fmt.Errorf("score: deliveries: %w", err)
	}
	t.All(own, all)
	return out, refusals(ctx, q, in, t, refused)
}

// refusals counts what was refused by its code. A delivery keeps only so many
// refused records; the others are counted without a code.
func refusals(ctx context.Context, q sqldb.Querier, in *Query, t *Tally, all int64) error {
	rows, err := q.QueryContext(ctx, `SELECT r.code, count(*) FROM batch b JOIN refusal r ON r.batch = b.number
		WHERE b.received >= $1 AND b.received < $2 AND b.source = $3 GROUP BY r.code`, sqldb.Time(in.From), sqldb.Time(in.To), in.Source)
	if err != nil {
		return fmt.Errorf("score: refusals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var code string
		var n int64
		err = rows.Scan(&code, &n)
		if err != nil {
			return err
		}
		t.Refused(code, n)
		all -= n
	}
	if all > 0 {
		t.Refused("not kept", all)
	}
	return rows.Err()
}

// mentions adds the mentions of some deliveries, at most limit of them.
func mentions(ctx context.Context, q sqldb.Querier, in *Query, t *Tally, batches []int64, limit int64) (int64, error) {
	args := []any{VerdictFalsePositive, limit}
	marks := make([]string, len(batches))
	for i, b := range batches {
		args = append(args, b)
		marks[i] = "$" + strconv.Itoa(len(args))
	}
	// first and again compare with the oldest mention: of anybody, and of this source.
	rows, err := q.QueryContext(ctx, `SELECT i.kind, i.value, i.state, i.released, i.category, i.summary <> '', i.context <> '', i.labels <> '',
			m.at, m.observed, m.confidence, m.credibility, m.reference <> '',
			(SELECT min(e.mention) FROM item_source e WHERE e.number = m.number) = m.mention,
			(SELECT min(e.mention) FROM item_source e WHERE e.source = m.source AND e.number = m.number) < m.mention,
			CASE WHEN i.ended > 0 THEN EXISTS (SELECT 1 FROM decision d WHERE d.item = i.id AND d.kind = 'return' AND d.undone = 0) ELSE false END,
			CASE WHEN i.ended > 0 THEN EXISTS (SELECT 1 FROM decision d WHERE d.item = i.id AND d.kind IN ('recall', 'reject') AND d.verdict = $1 AND d.undone = 0) ELSE false END,
			CASE WHEN i.ended > 0 THEN EXISTS (SELECT 1 FROM decision d WHERE d.item = i.id AND d.kind = 'recall' AND d.verdict = 'recall' AND d.undone = 0) ELSE false END,
			CASE WHEN i.released > 0 THEN EXISTS (SELECT 1 FROM feedback_cell f WHERE f.item = i.id) ELSE false END,
			CASE WHEN i.released > 0 THEN EXISTS (SELECT 1 FROM target g JOIN feedback_window w ON w.provider = g.provider
				WHERE g.item = i.id AND w.day >= i.released / 86400000000) ELSE false END
		FROM item_source m JOIN item i ON i.number = m.number
		WHERE m.batch IN (`+strings.Join(marks, ", ")+`) AND NOT m.revoked
		ORDER BY m.batch DESC, m.number DESC LIMIT $2`, args...)
	if err != nil {
		return 0, fmt.Errorf("score: mentions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var n int64
	for rows.Next() {
		m, value, err := scanMention(rows.Scan)
		if err != nil {
			return n, err
		}
		if in.Public != nil && value != "" {
			m.Public = in.Public(m.Kind, value, m.At)
		}
		t.Add(&m)
		n++
	}
	return n, rows.Err()
}

func scanMention(scan func(dest ...any) error) (m Mention, value string, err error) {
	var kind string
	var released, at, observed int64
	var category contract.Category
	var confidence, credibility int
	var summary, context, labels, reference, wrong, unsaid, fired, asked bool
	err = scan(&kind, &value, &m.State, &released, &category, &summary, &context, &labels,
		&at, &observed, &confidence, &credibility, &reference, &m.First, &m.Again, &m.Returned, &wrong, &unsaid, &fired, &asked)
	if err != nil {
		return m, "", fmt.Errorf("score: mention: %w", err)
	}
	if kind != observable.None.String() {
		m.Kind, err = observable.ParseKind(kind)
		if err != nil {
			return m, "", fmt.Errorf("score: mention: %w", err)
		}
	}
	m.At, m.Observed, m.Released = sqldb.FromTime(at), sqldb.FromTime(observed), sqldb.FromTime(released)
	m.FalsePositive = No
	switch {
	case wrong:
		m.FalsePositive = Yes
	case unsaid:
		m.FalsePositive = Unknown
	}
	if fired || asked {
		m.Fired = Known(fired)
	}
	for i, has := range []bool{observed != 0, confidence >= 0, credibility > 0, category != contract.Other, summary, context, labels, reference} {
		if has {
			m.Has |= 1 << i
		}
	}
	return m, value, nil
}
