package release

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
)

// A release object has versions (STIX 2.1 section 3.6), and each has the same bytes
// for whoever sees it. A further version says what the newest one said, with one of
// these changes:
//   - the same words again, for a provider that gets it later, or for fewer services;
//   - revoked: for everybody and for ever, nothing follows it;
//   - blank: for one provider that may not have it any more. It tells nothing, not
//     even what the object was, and its validity is over. Later versions, for others
//     or for the same provider once it may have the object again, say everything.
type change func(x *contract.Indicator)

func sameWords(*contract.Indicator) {}

func revoked(x *contract.Indicator) { x.Revoked = true }

// withdrawn is the pattern of a blank version: RFC 2606 sees to it that nothing ever
// matches.
const withdrawn = "[domain-name:value = 'withdrawn.invalid']"

func blank(x *contract.Indicator) {
	*x = contract.Indicator{
		ID: x.ID, CreatedBy: x.CreatedBy, Created: x.Created, Modified: x.Modified, Pattern: withdrawn,
		ValidFrom: x.ValidFrom, ValidUntil: x.Modified, Marking: contract.Clear, Action: contract.Alert,
	}
	if !x.ValidFrom.Before(x.ValidUntil) {
		x.ValidFrom = x.ValidUntil.Add(-time.Millisecond)
	}
}

// nextVersion makes a further version of a released object: what the newest one
// says that is not blank, changed, and modified later than all.
func nextVersion(ctx context.Context, tx *sql.Tx, id contract.ID, now time.Time, how change) (*contract.Indicator, []byte, error) {
	body, err := newest(ctx, tx, id)
	if err != nil {
		return nil, nil, err
	}
	x, err := contract.ParseIndicator(body)
	if err != nil {
		return nil, nil, err
	}
	if x.Revoked {
		return nil, nil, fmt.Errorf("%w: %s was recalled, and a revoked object has no later version", ErrState, id)
	}
	var last int64
	err = tx.QueryRowContext(ctx, `SELECT max(modified) FROM object WHERE item = $1`, id.String()).Scan(&last)
	if err != nil {
		return nil, nil, fmt.Errorf("release: versions of %s: %w", id, err)
	}
	was := sqldb.FromTime(last)
	x.Modified = milli(now)
	if !x.Modified.After(was) {
		x.Modified = was.Add(time.Millisecond)
	}
	how(x)
	next, err := x.Canonical()
	return x, next, err
}

// newest gives the newest version of an object that is not blank.
func newest(ctx context.Context, q sqldb.Querier, id contract.ID) ([]byte, error) {
	var body string
	err := q.QueryRowContext(ctx, `SELECT body FROM object WHERE item = $1 AND NOT blank ORDER BY modified DESC LIMIT 1`, id.String()).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s was never released", ErrState, id)
	}
	if err != nil {
		return nil, fmt.Errorf("release: newest object of %s: %w", id, err)
	}
	return []byte(body), nil
}
