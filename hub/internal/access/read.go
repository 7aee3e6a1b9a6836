package access

import (
	"context"
	"database/sql"

	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// What a reader looks at indicators for, as the audit log has it.
const (
	ForList   = "list"   // in a listing or a search
	ForStory  = "story"  // one indicator, with all that is known of it
	ForReview = "review" // to decide on it
)

// Read records that the account is shown the values of indicators whose marking
// forbids display, one entry for each: call it before they are shown, with whatever
// is on the page. Others, and those whose value stays hidden, are left out. by says
// through what: "console", "api".
func Read(ctx context.Context, db *sqldb.DB, a signin.Account, purpose, by string, items ...indicator.Item) error {
	var shown []string
	for i := range items {
		if !items[i].Display && !Hidden(a, &items[i]) {
			shown = append(shown, items[i].ID.String())
		}
	}
	if len(shown) == 0 {
		return nil
	}
	return db.Write(ctx, func(tx *sql.Tx) error {
		for _, id := range shown {
			err := audit.Append(ctx, tx, a.Login, "item.read", id, map[string]string{"purpose": purpose, "by": by})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
