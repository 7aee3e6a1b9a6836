package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Ledgers is what a reader may know of the providers' ledgers and of feedback: what
// is about indicators under handlings that the reader is cleared for.
type Ledgers struct {
	handlings []int64 // nil: all
	// Whole says that the reader may see what is about the whole of a list: numbers of
	// its log, checkpoints, receipts, windows of feedback.
	Whole bool
}

// Ledger gives what the account may know of ledgers.
func Ledger(ctx context.Context, q sqldb.Querier, a signin.Account) (Ledgers, error) {
	v, err := viewOf(ctx, q, a)
	if err != nil {
		return Ledgers{handlings: []int64{}}, err
	}
	return Ledgers{handlings: v.handlings, Whole: v.whole && permits(a, allFacts, Totals)}, nil
}

// Rows reads rows of a ledger. Without [Ledgers.Whole] they are without the numbers
// of the provider's log, by which one could count what is between.
func (l Ledgers) Rows(ctx context.Context, q sqldb.Querier, d *release.Desk, f release.Filter) ([]release.Delivery, error) {
	f.Handlings = l.handlings
	rows, err := d.Ledger(ctx, q, f)
	if l.Whole {
		return rows, err
	}
	for i := range rows {
		rows[i].AddSeq, rows[i].RemoveSeq = 0, 0
	}
	return rows, err
}

// Balance adds up a provider's ledger.
func (l Ledgers) Balance(ctx context.Context, d *release.Desk, provider string, at time.Time) (release.Balance, error) {
	return d.ReconcileAmong(ctx, provider, at, l.handlings)
}

// InForce lists what was in force at a provider.
func (l Ledgers) InForce(ctx context.Context, d *release.Desk, provider string, at time.Time, after contract.ID, limit int) ([]release.InForce, error) {
	return d.InForceAmong(ctx, provider, at, after, limit, l.handlings)
}

// Node leaves of where a provider stands what the reader may know: without
// [Ledgers.Whole] its name alone, since every release and recall shows in the rest.
func (l Ledgers) Node(n release.Node) release.Node {
	if l.Whole {
		return n
	}
	return release.Node{Provider: n.Provider}
}

// Receipts reads a provider's newest receipts; none without [Ledgers.Whole].
func (l Ledgers) Receipts(ctx context.Context, d *release.Desk, provider string, limit int) ([]release.Receipt, error) {
	if !l.Whole {
		return nil, nil
	}
	return d.Receipts(ctx, provider, limit)
}

// Feedback narrows a table of feedback.
func (l Ledgers) Feedback(in feedback.Query) feedback.Query {
	in.Handlings = l.handlings
	return in
}

// Place names a row, to go on behind it: by what the row shows anyway.
func Place(d *release.Delivery) string {
	return d.Item.String() + "." + strconv.Itoa(int(d.Service)) + "." + strconv.FormatInt(sqldb.Time(d.Queued), 10)
}

// Behind reads what [Place] wrote: the row of a provider's ledger behind which a
// listing goes on; nil for the beginning. A row of which the reader may not know is
// no place, nor is one that never was.
func (l Ledgers) Behind(ctx context.Context, q sqldb.Querier, provider, place string) (*release.Delivery, error) {
	if place == "" {
		return nil, nil //nolint:nilnil // the beginning is a place
	}
	none := fmt.Errorf("%w: %q", ErrCursor, place)
	parts := strings.Split(place, ".")
	if len(parts) != 3 {
		return nil, none
	}
	id, err := contract.ParseID(parts[0])
	if err != nil {
		return nil, none
	}
	service, err := strconv.ParseUint(parts[1], 10, 8)
	if err != nil {
		return nil, none
	}
	queued, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil {
		return nil, none
	}
	var seq int64
	err = q.QueryRowContext(ctx, `SELECT d.add_seq FROM delivery d JOIN item i ON i.id = d.item
		WHERE d.provider = $1 AND d.item = $2 AND d.service = $3 AND d.queued = $4 AND `+indicator.Among("i.handling", l.handlings),
		provider, id.String(), int64(service), queued).Scan(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, none
	}
	if err != nil {
		return nil, fmt.Errorf("access: ledger: %w", err)
	}
	return &release.Delivery{Provider: provider, AddSeq: uint64(seq), Service: contract.Services(service)}, nil
}
