package access

import (
	"context"
	"fmt"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Batch is a delivery as one reader may see it.
type Batch struct {
	intake.Batch
	// Partial says that the reader may not know of all that it brought: Accepted and
	// Objects count what is left, no further than indicator.MaxCount; the other
	// counts, the size, the digest and what was refused are left out.
	Partial bool `json:"partial,omitempty"`
}

// Batches reads deliveries of which the account may know, newest first, of one source
// unless that is empty, received before a moment unless that is zero.
func Batches(ctx context.Context, q sqldb.Querier, a signin.Account, source string, before time.Time, limit int) ([]Batch, error) {
	return batches(ctx, q, a, intake.BatchFilter{Source: source, Before: before, Limit: limit})
}

// Delivery reads one delivery, if the account may know of it.
func Delivery(ctx context.Context, q sqldb.Querier, a signin.Account, id string) (Batch, error) {
	var found []Batch
	var err error
	if id != "" {
		found, err = batches(ctx, q, a, intake.BatchFilter{ID: id, Limit: 1})
	}
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("%w: %s", intake.ErrNoBatch, id)
	}
	if err != nil {
		return Batch{}, err
	}
	return found[0], nil
}

func batches(ctx context.Context, q sqldb.Querier, a signin.Account, f intake.BatchFilter) ([]Batch, error) {
	err := Need(a, Deliveries)
	if err != nil {
		return nil, err
	}
	v, err := viewOf(ctx, q, a)
	if err != nil {
		return nil, err
	}
	only, limited := Source(a, Deliveries)
	if limited {
		if f.Source != "" && f.Source != only {
			return nil, nil
		}
		f.Source = only
	}
	f.Reader = a.Login
	if !v.whole {
		f.Handlings = v.handlings
	}
	rows, err := intake.BatchesOf(ctx, q, f)
	if err != nil {
		return nil, err
	}
	out := make([]Batch, len(rows))
	for i := range rows {
		out[i] = Batch{Batch: rows[i]}
		if v.whole || rows[i].Submitter == a.Login { // who handed it in knows what is in it
			continue
		}
		err = out[i].cut(ctx, q, v.handlings)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// cut leaves of a delivery what somebody may know who is cleared for some handlings.
func (b *Batch) cut(ctx context.Context, q sqldb.Querier, handlings []int64) error {
	was := b.Batch
	b.Partial = true
	b.Batch = intake.Batch{
		Number: was.Number, ID: was.ID, Source: was.Source, Name: was.Name, Format: was.Format,
		Submitter: was.Submitter, Received: was.Received, Finished: was.Finished,
	}
	err := q.QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM (SELECT 1 FROM item_source s JOIN item i ON i.number = s.number
			WHERE s.batch = $1 AND `+indicator.Among("i.handling", handlings)+` LIMIT $2) AS x),
		(SELECT count(*) FROM (SELECT 1 FROM source_object o
			WHERE o.batch = $1 AND o.held = '' AND `+indicator.Among("o.handling", handlings)+` LIMIT $2) AS y)`,
		was.Number, int64(indicator.MaxCount)).Scan(&b.Accepted, &b.Objects)
	if err != nil {
		return fmt.Errorf("access: delivery: %w", err)
	}
	return nil
}

// Refusals reads what was refused of a delivery of which the account may know. What
// was refused has no marking that could be judged, so that it is for those who may
// know of all of it.
func Refusals(ctx context.Context, q sqldb.Querier, b Batch, after int64, limit int) ([]intake.Refusal, error) {
	if b.Partial {
		return nil, nil
	}
	return intake.Refusals(ctx, q, b.ID, after, limit)
}
