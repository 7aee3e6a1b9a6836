package indicator

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecs/internal/sqldb"
)

// Intern gives the number of a handling, by its canonical text; it adds one that
// was never seen. Distinct handlings are few, so that who may see what is decided
// once for each of them.
func Intern(ctx context.Context, tx *sql.Tx, text string) (int64, error) {
	var n int64
	sum := sha256.Sum256([]byte(text))
	digest := hex.EncodeToString(sum[:])
	err := tx.QueryRowContext(ctx, `SELECT number FROM handling WHERE digest = $1`, digest).Scan(&n)
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return n, wrap(err)
	}
	n, err = Next(ctx, tx, "handling", 1)
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO handling (number, digest, text) VALUES ($1, $2, $3)`, n, digest, text)
	return n, wrap(err)
}

// Handlings reads every handling that was ever seen, by its number.
func Handlings(ctx context.Context, q sqldb.Querier) (map[int64]string, error) {
	rows, err := q.QueryContext(ctx, `SELECT number, text FROM handling`)
	if err != nil {
		return nil, wrap(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[int64]string{}
	for rows.Next() {
		var n int64
		var text string
		err = rows.Scan(&n, &text)
		if err != nil {
			return nil, err
		}
		out[n] = text
	}
	return out, rows.Err()
}

// Next takes n numbers of a counter (see table counter) and gives the first.
func Next(ctx context.Context, tx *sql.Tx, counter string, n int64) (int64, error) {
	var last int64
	err := tx.QueryRowContext(ctx, `UPDATE counter SET value = value + $2 WHERE name = $1 RETURNING value`, counter, n).Scan(&last)
	if err != nil {
		return 0, fmt.Errorf("indicator: number of %s: %w", counter, err)
	}
	return last - n + 1, nil
}

func wrap(err error) error {
	if err != nil {
		return fmt.Errorf("indicator: handling: %w", err)
	}
	return nil
}

// Insert adds a new item and counts it. It takes the next number when the item has
// none.
func Insert(ctx context.Context, tx *sql.Tx, it *Item) error {
	if it.Number == 0 {
		n, err := Next(ctx, tx, "item", 1)
		if err != nil {
			return err
		}
		it.Number = n
	}
	values := it.Values()
	marks := make([]string, len(values))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO item (`+Columns+`) VALUES (`+strings.Join(marks, ", ")+`)`, values...)
	if err != nil {
		return fmt.Errorf("indicator: insert %s: %w", it.ID, err)
	}
	return Tally(ctx, tx, it.State, it.Handling, 1)
}

// Among gives the SQL condition that a column holds one of the handlings; nil means
// all, and none means that nothing fits. The numbers stand in the text: there may be
// more of them than a statement takes arguments.
func Among(column string, handlings []int64) string {
	if handlings == nil {
		return "1 = 1"
	}
	if len(handlings) == 0 {
		return "1 = 0"
	}
	out := []byte(column + " IN (")
	for i, n := range handlings {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ')'))
}

// Holds tells whether a handling is among those of a reader, which are in order; nil
// means all.
func Holds(handlings []int64, n int64) bool {
	if handlings == nil {
		return true
	}
	_, ok := slices.BinarySearch(handlings, n)
	return ok
}
