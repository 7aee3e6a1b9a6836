package export

import (
	"context"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/sqldb"
)

// Fill makes rows of items that somebody else has selected, such as a page of a
// search, by three queries.
func Fill(ctx context.Context, q sqldb.Querier, items []indicator.Item) ([]Row, error) {
	return fill(ctx, q, items, map[int64]marking.Handling{})
}
