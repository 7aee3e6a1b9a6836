package casework

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

const (
	maxLabel  = 100 // letters
	maxLabels = 100 // of an item
)

// ErrLabels says that an indicator has as many labels as it may have, or has ended.
var ErrLabels = errors.New("casework: the indicator takes no further label: it has ended, or has a hundred")

// Label adds a label to an indicator; one that it has changes nothing.
func Label(ctx context.Context, db *sqldb.DB, a signin.Account, id contract.ID, label string, now time.Time) error {
	err := may(a)
	if err == nil {
		label, err = screen(label, maxLabel, false, now)
	}
	if err == nil {
		_, err = access.Item(ctx, db, a, id)
	}
	if err != nil {
		return err
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		it, err := indicator.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		var have []string
		if it.Labels != "" {
			have = strings.Split(it.Labels, "\n")
		}
		if slices.Contains(have, label) {
			return nil
		}
		if it.State.Ended() || len(have) >= maxLabels {
			return fmt.Errorf("%w: %s", ErrLabels, id)
		}
		have = append(have, label)
		slices.Sort(have)
		it.Labels = strings.Join(have, "\n")
		return indicator.Update(ctx, tx, &it, a.Login, search.Added)
	})
}
