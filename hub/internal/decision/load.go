package decision

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
)

func upper(t contract.TLP) string { return strings.ToUpper(t.String()) }

// From gives what of a provider of the registry counts. A clearance that cannot be
// read is an error: the provider then gets nothing.
func From(x program.Provider) (Provider, error) {
	p := Provider{
		ID: x.ID, State: x.State, Services: x.Services, Ceiling: x.Ceiling, Clearance: marking.NewClearance(x.Ceiling, marking.Unclassified),
		From: x.NotBefore, To: x.NotAfter, Withdrawn: !x.Withdrawn.IsZero(),
	}
	if x.Clearance == "" {
		return p, nil
	}
	var err error
	p.Clearance, err = marking.ParseClearance(x.Clearance)
	if err != nil {
		return Provider{}, fmt.Errorf("decision: the clearance of %s: %w; accredit it again", x.ID, err)
	}
	return p, nil
}

// Get reads one provider; the error wraps [program.ErrNotFound] when there is none.
func Get(ctx context.Context, q sqldb.Querier, id string) (Provider, error) {
	x, err := program.GetProvider(ctx, q, id)
	if err != nil {
		return Provider{}, err
	}
	return From(x)
}

// Providers reads all providers by short name.
func Providers(ctx context.Context, q sqldb.Querier) (map[string]Provider, error) {
	all, err := program.Providers(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make(map[string]Provider, len(all))
	for _, x := range all {
		p, err := From(x)
		if err != nil {
			return nil, err
		}
		out[x.ID] = p
	}
	return out, nil
}

// Handlings reads every handling by its number. One whose text cannot be read is
// the zero Handling, which permits nothing.
func Handlings(ctx context.Context, q sqldb.Querier) (map[int64]marking.Handling, error) {
	texts, err := indicator.Handlings(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]marking.Handling, len(texts))
	for n, text := range texts {
		h, err := marking.ParseHandling(text)
		if err != nil {
			h = marking.Handling{}
		}
		out[n] = h
	}
	return out, nil
}

// Authorized reports whether a source under a living authority named the item of
// this number.
func Authorized(ctx context.Context, q sqldb.Querier, number int64, now time.Time) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM item_source i JOIN source s ON s.id = i.source
		WHERE i.number = $1 AND (s.authority_until = 0 OR s.authority_until > $2)`, number, sqldb.Time(now)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("decision: authority: %w", err)
	}
	return n > 0, nil
}

// Beyond tells of each handling whether the provider may hold what is under it no
// matter for which service: not while its own state, and that of an item, permit it,
// but by markings, ceiling and clearance alone.
func (p Provider) Beyond(handlings map[int64]marking.Handling, now time.Time) map[int64]bool {
	p.State, p.Services, p.Withdrawn = program.Operational, contract.AllServices, false
	out := make(map[int64]bool, len(handlings))
	for n, h := range handlings {
		o := Object{State: indicator.InForce, Handling: h, Services: contract.AllServices, Until: now.Add(time.Hour)}
		d := Decide(o, p, contract.DNS, Hold, now)
		out[n] = !d.Allowed
	}
	return out
}
