package review

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
	"ecs/observable"
)

const (
	maxAtoms  = 8   // of one pattern whose neighbors are looked for
	maxPivots = 256 // of one prefix: the networks of /24 in a /16
	maxNear   = 100 // living neighbors that are read for one pivot
)

// neighbors reads what the hub holds close to each of the items, for
// [policy.Checker.Impact]: living items that cover a value by their keys, and those
// that it may cover by what they share with it. Of what the reader may not know
// nothing is told.
func (s *sight) neighbors(ctx context.Context, q *sqldb.DB, items []indicator.Item, subjects []policy.Subject) ([][]policy.Neighbor, error) {
	var keys, pivots []string
	for i := range subjects {
		for _, a := range subjects[i].Atoms[:min(len(subjects[i].Atoms), maxAtoms)] {
			for _, x := range policy.Covers(a) {
				keys = append(keys, indicator.PatternKey(observable.Pattern(x)))
			}
			pivots = append(pivots, pivotsOf(a)...)
		}
	}
	slices.Sort(keys)
	slices.Sort(pivots)
	var all []policy.Neighbor
	for some := range slices.Chunk(slices.Compact(keys), q.Placeholders()) {
		marks := make([]string, len(some))
		args := make([]any, len(some))
		for i, v := range some {
			args[i], marks[i] = v, "$"+strconv.Itoa(i+1)
		}
		found, err := s.near(ctx, q, `i.pattern_key IN (`+strings.Join(marks, ", ")+`)`, args)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	// One by one: the index gives the newest of each without sorting all. It leaves out
	// the empty pivot, which a planner has to be told.
	for _, p := range slices.Compact(pivots) {
		found, err := s.near(ctx, q, `i.pivot = $1 AND i.pivot <> ''`, []any{p})
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	out := make([][]policy.Neighbor, len(items))
	for i := range items {
		seen := map[contract.ID]bool{items[i].ID: true}
		for _, n := range all { // those that are apart say nothing
			if !seen[n.ID] {
				seen[n.ID] = true
				out[i] = append(out[i], n)
			}
		}
	}
	return out, nil
}

func (s *sight) near(ctx context.Context, q sqldb.Querier, where string, args []any) ([]policy.Neighbor, error) {
	rows, err := q.QueryContext(ctx, `SELECT i.id, i.kind, i.value, i.state, i.services FROM item i
		WHERE `+where+` AND i.ended = 0 AND `+s.items("i", &args)+` ORDER BY i.number DESC LIMIT `+strconv.Itoa(maxNear), args...)
	if err != nil {
		return nil, fmt.Errorf("review: neighbors: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []policy.Neighbor
	for rows.Next() {
		n := policy.Neighbor{Standing: policy.Living}
		var id, kind, value string
		err = rows.Scan(&id, &kind, &value, &n.State, &n.Services)
		if err != nil {
			return nil, err
		}
		n.ID, err = contract.ParseID(id)
		if err != nil {
			return nil, err
		}
		n.Atom = atomOf(kind, value)
		out = append(out, n)
	}
	return out, rows.Err()
}

// atomOf gives the atom of a stored value, which may be narrowed to a port.
func atomOf(kind, value string) observable.Atom {
	k, err := observable.ParseKind(kind)
	if err != nil {
		return observable.Atom{}
	}
	if strings.Contains(value, " ") && (k == observable.Addr || k == observable.Prefix) {
		a, err := observable.FromValue(value)
		if err == nil {
			return a
		}
	}
	return observable.Atom{Kind: k, Value: value}
}

// pivotsOf gives what the neighbors of a value share: for a prefix broader than a
// pivot, each of those in it, if they are few.
func pivotsOf(a observable.Atom) []string {
	p := indicator.Pivot(a.Kind, a.Value)
	if p != "" {
		return []string{p}
	}
	if a.Kind != observable.Prefix {
		return nil
	}
	whole, err := netip.ParsePrefix(a.Value)
	if err != nil {
		return nil
	}
	bits := 24
	if whole.Addr().Is6() {
		bits = 48
	}
	n := bits - whole.Bits()
	if n < 0 || 1<<n > maxPivots {
		return nil
	}
	out := make([]string, 0, 1<<n)
	b := whole.Masked().Addr().AsSlice()
	at := bits/8 - 1
	for range 1 << n {
		addr, _ := netip.AddrFromSlice(b)
		out = append(out, netip.PrefixFrom(addr, bits).String())
		for i := at; i >= 0; i-- { // the next network
			b[i]++
			if b[i] != 0 {
				break
			}
		}
	}
	return out
}
