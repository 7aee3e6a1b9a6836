package release

import (
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/decision"
)

// judge splits the wanted targets into those that may receive the item by this act
// and those that may not, each with the reasons. It is pure.
func judge(o decision.Object, wanted []Target, providers map[string]decision.Provider, now time.Time) (ok []Target, refused []Refused) {
	for _, t := range wanted {
		if t.Services == 0 || t.Services&^contract.AllServices != 0 {
			refused = append(refused, Refused{Target: t, Reason: noService(o, providers[t.Provider], now)})
			continue
		}
		var yes contract.Services
		var no []Refused
		for _, svc := range t.Services.Each() {
			d := decision.Decide(o, providers[t.Provider], svc, decision.Receive, now)
			if d.Allowed {
				yes |= svc
				continue
			}
			no = together(no, Target{Provider: t.Provider, Services: svc}, d.Text())
		}
		if yes != 0 {
			ok = append(ok, Target{Provider: t.Provider, Services: yes})
		}
		refused = append(refused, no...)
	}
	return ok, refused
}

func noService(o decision.Object, p decision.Provider, now time.Time) string {
	d := decision.Decide(o, p, 0, decision.Receive, now)
	return d.Text()
}

// together joins the services that one provider is refused for one reason.
func together(all []Refused, t Target, why string) []Refused {
	for i := range all {
		if all[i].Reason == why {
			all[i].Services |= t.Services
			return all
		}
	}
	return append(all, Refused{Target: t, Reason: why})
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
