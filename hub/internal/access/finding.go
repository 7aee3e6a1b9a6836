package access

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// named finds the indicators that a finding speaks of.
var named = regexp.MustCompile(`indicator--[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// Findings reads the findings of an indicator of which the account may know. One that
// names another indicator, of which it may not, is left out whole: that there is
// such a finding tells of the other.
func Findings(ctx context.Context, q sqldb.Querier, a signin.Account, id contract.ID) ([]indicator.Finding, error) {
	all, err := indicator.Findings(ctx, q, id)
	if err != nil {
		return nil, err
	}
	var others []string
	for _, f := range all {
		others = append(others, named.FindAllString(f.Detail, -1)...)
	}
	known, err := knownOf(ctx, q, a, others)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(f indicator.Finding) bool {
		return slices.ContainsFunc(named.FindAllString(f.Detail, -1), func(other string) bool { return !known[other] })
	}), nil
}

// knownOf tells of which of some indicators the account may know.
func knownOf(ctx context.Context, q sqldb.Querier, a signin.Account, ids []string) (out map[string]bool, err error) {
	out = map[string]bool{}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return out, nil
	}
	var f indicator.Filter
	err = Narrow(ctx, q, a, &f)
	if err != nil {
		return nil, err
	}
	for some := range slices.Chunk(ids, 500) {
		marks := make([]string, len(some))
		args := make([]any, len(some))
		for i, id := range some {
			marks[i], args[i] = "$"+strconv.Itoa(i+1), id
		}
		query := `SELECT id FROM item WHERE id IN (` + strings.Join(marks, ", ") + `) AND ` + indicator.Among("handling", f.Handlings)
		if f.Source != "" {
			args = append(args, f.Source)
			query += ` AND EXISTS (SELECT 1 FROM item_source s WHERE s.number = item.number AND s.source = $` + strconv.Itoa(len(args)) + `)`
		}
		err = knownAmong(ctx, q, query, args, out)
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func knownAmong(ctx context.Context, q sqldb.Querier, query string, args []any, into map[string]bool) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("access: indicators: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		err = rows.Scan(&id)
		if err != nil {
			return err
		}
		into[id] = true
	}
	return rows.Err()
}
