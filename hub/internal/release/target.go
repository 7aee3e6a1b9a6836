package release

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
)

// provider is what decides whether an item may go there.
type provider struct {
	state     string
	services  contract.Services
	ceiling   contract.TLP
	notBefore time.Time
	notAfter  time.Time
}

func readProviders(ctx context.Context, q sqldb.Querier) (map[string]provider, error) {
	rows, err := q.QueryContext(ctx, `SELECT id, state, services, ceiling, not_before, not_after FROM provider`)
	if err != nil {
		return nil, fmt.Errorf("release: providers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]provider{}
	for rows.Next() {
		var p provider
		var id string
		var from, to int64
		err = rows.Scan(&id, &p.state, &p.services, &p.ceiling, &from, &to)
		if err != nil {
			return nil, err
		}
		p.notBefore, p.notAfter = sqldb.FromTime(from), sqldb.FromTime(to)
		out[id] = p
	}
	return out, rows.Err()
}

// judge splits the wanted targets into those that may receive the item now and
// those that may not, each with the reason. It is pure.
func judge(it *indicator.Item, wanted []Target, providers map[string]provider, now time.Time) (ok []Target, refused []Refused) {
	no := func(t Target, svc contract.Services, format string, args ...any) {
		refused = append(refused, Refused{Target: Target{Provider: t.Provider, Services: svc}, Reason: fmt.Sprintf(format, args...)})
	}
	for _, t := range wanted {
		p, found := providers[t.Provider]
		switch {
		case !found:
			no(t, t.Services, "there is no such provider")
		case t.Services == 0 || t.Services&^contract.AllServices != 0:
			no(t, t.Services, "no service of the program is named")
		case p.state != "OPERATIONAL" && p.state != "ACCREDITED":
			no(t, t.Services, "the provider is %s, not accredited and operational", p.state)
		case now.Before(p.notBefore):
			no(t, t.Services, "the accreditation begins on %s", p.notBefore.Format(time.DateOnly))
		case !p.notAfter.IsZero() && !now.Before(p.notAfter):
			no(t, t.Services, "the accreditation ended on %s", p.notAfter.Format(time.DateOnly))
		case it.TLP > p.ceiling:
			no(t, t.Services, "the marking %s is above the provider's ceiling %s", it.TLP, p.ceiling)
		default:
			left := t.Services
			blind := left &^ it.Services
			if blind != 0 {
				no(t, blind, "%s cannot observe this pattern", blind)
			}
			left &^= blind
			missing := left &^ p.services
			if missing != 0 {
				no(t, missing, "the provider is not accredited for %s", missing)
			}
			left &^= missing
			if left != 0 {
				ok = append(ok, Target{Provider: t.Provider, Services: left})
			}
		}
	}
	return ok, refused
}

// merge puts targets in order of provider, with the services of one provider
// together: locks are taken in one order, and a provider gets one entry.
func merge(targets []Target) []Target {
	at := map[string]int{}
	var out []Target
	for _, t := range targets {
		i, seen := at[t.Provider]
		if seen {
			out[i].Services |= t.Services
			continue
		}
		at[t.Provider] = len(out)
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b Target) int { return strings.Compare(a.Provider, b.Provider) })
	return out
}

// authorized reports whether a source under a living authority named the item.
func authorized(ctx context.Context, tx *sql.Tx, id contract.ID, now time.Time) (bool, error) {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM item_source i JOIN source s ON s.id = i.source
		WHERE i.number = (SELECT number FROM item WHERE id = $1) AND (s.authority_until = 0 OR s.authority_until > $2)`, id.String(), sqldb.Time(now)).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("release: authority: %w", err)
	}
	return n > 0, nil
}
