package feedback

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// By names what the lines of a table are.
type By string

// The tables.
const (
	ByIndicator By = "indicator"
	ByCategory  By = "category"
	ByService   By = "service"
	BySector    By = "sector"
)

// Query asks for a table over all providers.
type Query struct {
	By       By
	From, To contract.Day      // both included
	Service  contract.Services // zero: all
	Limit    int               // lines; 100 when zero, at most 1000
	// Handlings are those that whoever asks is cleared for; nil: all. Otherwise cells
	// of which providers did not tell the indicator do not count either: they may be of
	// any. See hub/internal/access.
	Handlings []int64
}

// Line is one line of a table: a lower bound over all providers. Customers adds
// up, over the providers, the largest number of distinct customers that one
// cell of theirs spoke of.
type Line struct {
	Indicator contract.ID // by indicator
	Category  contract.Category
	Service   contract.Services
	Sector    contract.Sector
	Events    contract.Bucket
	Customers contract.Bucket
	Wrong     contract.Bucket // confirmed false positives
	Providers int
	First     contract.Day
	Last      contract.Day
}

// Table is what may be shown. Withheld says which part of all events stands in
// no line, in percent, rounded up to a multiple of five so that it gives away
// no single cell: events below the thresholds here, or told by the provider
// without the detail that the table asks for. Silence is not safety: with few
// customers nearly everything may be withheld.
type Table struct {
	Lines    []Line
	More     bool // lines beyond Limit
	Withheld int
	Cells    int64 // cells that went into it
}

// Tabulate makes a table, the most events first, and applies the thresholds
// again to every line.
func (l *Ledger) Tabulate(ctx context.Context, q sqldb.Querier, in Query) (Table, error) {
	column, ok := map[By]string{
		ByIndicator: "item", ByCategory: "CAST(category AS text)", ByService: "CAST(service AS text)", BySector: "CAST(sector AS text)",
	}[in.By]
	if !ok {
		return Table{}, fmt.Errorf("feedback: no table by %q", in.By)
	}
	limit := in.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	known := "1 = 1"
	if in.Handlings != nil {
		known = `EXISTS (SELECT 1 FROM item i WHERE i.id = feedback_cell.item AND ` + indicator.Among("i.handling", in.Handlings) + `)`
	}
	rows, err := q.QueryContext(ctx, `SELECT k, sum(ev), sum(cu), sum(wr), count(*), min(fi), max(la), sum(n), min(ca) FROM (
			SELECT `+column+` AS k, provider, sum(events) AS ev, max(customers) AS cu, sum(wrong) AS wr,
				min(first_day) AS fi, max(last_day) AS la, count(*) AS n, min(category) AS ca
			FROM feedback_cell WHERE day >= $1 AND day <= $2 AND ($3 = 0 OR service = $3) AND `+known+`
			GROUP BY `+column+`, provider) AS p
		GROUP BY k ORDER BY sum(ev) DESC, k`, int64(in.From), int64(in.To), int64(in.Service))
	if err != nil {
		return Table{}, fmt.Errorf("feedback: table: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out Table
	var total, withheld int64
	for rows.Next() {
		var key string
		var events, customers, wrong, first, last, cells int64
		var line Line
		err = rows.Scan(&key, &events, &customers, &wrong, &line.Providers, &first, &last, &cells, &line.Category)
		if err != nil {
			return Table{}, err
		}
		out.Cells += cells
		total += events
		told, err := line.name(in.By, key)
		if err != nil {
			return Table{}, err
		}
		if !told || events < int64(l.cfg.Rules.MinEvents) || customers < int64(l.cfg.Rules.MinCustomers) {
			withheld += events
			continue
		}
		if len(out.Lines) == limit {
			out.More = true
			continue
		}
		line.Events, line.Customers, line.Wrong = bucket(events), bucket(customers), bucket(wrong)
		line.First, line.Last = contract.Day(first), contract.Day(last)
		out.Lines = append(out.Lines, line)
	}
	if total > 0 {
		out.Withheld = int((withheld*100 + total*5 - 1) / (total * 5) * 5)
	}
	return out, rows.Err()
}

// name fills in what the line is of, and reports false where providers left it
// untold.
func (x *Line) name(by By, key string) (told bool, err error) {
	if by == ByIndicator {
		if key == "" {
			return false, nil
		}
		x.Indicator, err = contract.ParseID(key)
		return true, err
	}
	x.Category = 0
	n, err := strconv.ParseUint(key, 10, 8)
	if err != nil {
		return false, err
	}
	switch by {
	case ByCategory:
		x.Category = contract.Category(n)
	case ByService:
		x.Service = contract.Services(n)
	default:
		x.Sector = contract.Sector(n)
		return x.Sector != contract.AllSectors, nil
	}
	return true, nil
}

func bucket(n int64) contract.Bucket { return contract.BucketOf(int(min(n, 1<<30))) }

// Window is one accepted window, without its cells.
type Window struct {
	Provider string
	Day      contract.Day
	Service  contract.Services
	Rules    uint64
	Cells    int64
	Received time.Time
}

// Windows lists accepted windows, newest first, of all providers when provider
// is empty; 100 when limit is zero, at most 1000.
func (l *Ledger) Windows(ctx context.Context, q sqldb.Querier, provider string, limit int) ([]Window, error) {
	if limit <= 0 {
		limit = 100
	}
	rows, err := q.QueryContext(ctx, `SELECT w.provider, w.day, w.service, w.rules, w.received,
			(SELECT count(*) FROM feedback_cell c WHERE c.provider = w.provider AND c.day = w.day AND c.service = w.service)
		FROM feedback_window w WHERE ($1 = '' OR w.provider = $1)
		ORDER BY w.received DESC, w.provider, w.service LIMIT $2`, provider, int64(min(limit, 1000)))
	if err != nil {
		return nil, fmt.Errorf("feedback: windows: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Window
	for rows.Next() {
		var w Window
		var received int64
		err = rows.Scan(&w.Provider, &w.Day, &w.Service, &w.Rules, &received, &w.Cells)
		if err != nil {
			return nil, err
		}
		w.Received = sqldb.FromTime(received)
		out = append(out, w)
	}
	return out, rows.Err()
}

// Body gives the exact bytes of an accepted window.
func (l *Ledger) Body(ctx context.Context, q sqldb.Querier, provider string, day contract.Day, svc contract.Services) ([]byte, error) {
	var body string
	err := q.QueryRowContext(ctx, `SELECT body FROM feedback_window WHERE provider = $1 AND day = $2 AND service = $3`,
		provider, int64(day), int64(svc)).Scan(&body)
	if err != nil {
		return nil, fmt.Errorf("feedback: window of %s, day %d, %s: %w", provider, day, svc, err)
	}
	return []byte(body), nil
}

// Refusal is what is kept of a refused window.
type Refusal struct {
	Provider string
	Digest   string // SHA-256 of the bytes, which are not kept
	Reason   string // code, and the cell if it was one
	Received time.Time
}

// Refusals lists refused windows, newest first, of all providers when provider
// is empty; 100 when limit is zero, at most 1000.
func (l *Ledger) Refusals(ctx context.Context, q sqldb.Querier, provider string, limit int) ([]Refusal, error) {
	if limit <= 0 {
		limit = 100
	}
	rows, err := q.QueryContext(ctx, `SELECT provider, digest, reason, received FROM feedback_refusal
		WHERE ($1 = '' OR provider = $1) ORDER BY received DESC, provider, digest LIMIT $2`, provider, int64(min(limit, 1000)))
	if err != nil {
		return nil, fmt.Errorf("feedback: refusals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Refusal
	for rows.Next() {
		var r Refusal
		var received int64
		err = rows.Scan(&r.Provider, &r.Digest, &r.Reason, &received)
		if err != nil {
			return nil, err
		}
		r.Received = sqldb.FromTime(received)
		out = append(out, r)
	}
	return out, rows.Err()
}
