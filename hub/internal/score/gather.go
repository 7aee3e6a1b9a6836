package score

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// unsaidConfidence is that of a source that does not say (docs/formats/intake.md).
const unsaidConfidence = 50

// portion bounds how many indicators one query asks for.
const portion = 500

// Gather reads the evidence about indicators, in their order: the newest statement
// of each source that has not taken it back, and what providers reported. Sources
// of one agency count as one origin. The items are distinct. It takes two queries for 500 indicators, by
// keys alone.
func Gather(ctx context.Context, q sqldb.Querier, items []indicator.Item) ([]Evidence, error) {
	out := make([]Evidence, len(items))
	for begin := 0; begin < len(items); begin += portion {
		end := min(begin+portion, len(items))
		err := gather(ctx, q, items[begin:end], out[begin:end])
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func gather(ctx context.Context, q sqldb.Querier, items []indicator.Item, out []Evidence) error {
	byNumber, byID := map[int64]*Evidence{}, map[string]*Evidence{}
	numbers, ids := make([]any, len(items)), make([]any, len(items))
	marks := make([]string, len(items))
	for i := range items {
		it := &items[i]
		out[i] = Evidence{Kind: it.Kind, Created: it.Created}
		numbers[i], ids[i], marks[i] = it.Number, it.ID.String(), "$"+strconv.Itoa(i+1)
		byNumber[it.Number], byID[it.ID.String()] = &out[i], &out[i]
	}
	list := strings.Join(marks, ", ")
	err := stated(ctx, q, list, numbers, byNumber)
	if err != nil {
		return fmt.Errorf("score: statements: %w", err)
	}
	err = reported(ctx, q, list, ids, byID)
	if err != nil {
		return fmt.Errorf("score: feedback: %w", err)
	}
	return nil
}

// stated adds what the sources say: of each its newest words, and the latest moment
// at which it saw or named the indicator.
func stated(ctx context.Context, q sqldb.Querier, list string, args []any, of map[int64]*Evidence) error {
	rows, err := q.QueryContext(ctx, `SELECT m.number, m.source, s.agency, s.reliability, m.credibility, m.confidence, g.seen
		FROM (SELECT max(mention) AS newest, max(CASE WHEN observed > 0 THEN observed ELSE at END) AS seen
			FROM item_source WHERE number IN (`+list+`) GROUP BY number, source) g
		JOIN item_source m ON m.mention = g.newest JOIN source s ON s.id = m.source
		WHERE NOT m.revoked ORDER BY m.number, m.source`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s Statement
		var number, seen int64
		err = rows.Scan(&number, &s.Source, &s.Origin, &s.Reliability, &s.Credibility, &s.Confidence, &seen)
		if err != nil {
			return err
		}
		s.At = sqldb.FromTime(seen)
		if s.Confidence < 0 {
			s.Confidence = unsaidConfidence
		}
		e := of[number]
		e.Statements = append(e.Statements, s)
	}
	return rows.Err()
}

// reported adds what providers reported. False positives are no matches.
func reported(ctx context.Context, q sqldb.Querier, list string, args []any, of map[string]*Evidence) error {
	rows, err := q.QueryContext(ctx, `SELECT item, provider, service, last_day, sum(events), sum(wrong) FROM feedback_cell
		WHERE item IN (`+list+`) GROUP BY item, provider, service, last_day ORDER BY item, last_day, provider, service`, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s Report
		var item string
		var service contract.Services
		var last contract.Day
		var wrong int64
		err = rows.Scan(&item, &s.Observer, &service, &last, &s.Events, &wrong)
		if err != nil {
			return err
		}
		s.At = last.Start(day)
		s.Observer += " " + service.String()
		s.Events -= wrong
		e := of[item]
		if s.Events > 0 {
			e.Reports = append(e.Reports, s)
		}
		if wrong > 0 {
			e.FalsePositives = append(e.FalsePositives, FalsePositive{Count: wrong, Confirmed: true})
		}
	}
	return rows.Err()
}
