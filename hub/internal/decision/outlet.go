package decision

import (
	"context"
	"slices"
	"time"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
)

// Offer is a provider to which an item could be released, for which services, or why
// for none.
type Offer struct {
	program.Provider
	Services []contract.Services // instead of those that it is accredited for
	Why      string              // set when Services is empty
}

// Offers tells for every provider what it could receive of an item if it were
// approved now; of no item in particular when it is nil.
func Offers(ctx context.Context, q sqldb.Querier, it *indicator.Item, now time.Time) ([]Offer, error) {
	o := specimen(indicator.Approved, marking.Open(), now)
	if it != nil {
		all, err := Handlings(ctx, q)
		if err != nil {
			return nil, err
		}
		alive, err := Authorized(ctx, q, it.Number, now)
		if err != nil {
			return nil, err
		}
		o = Of(it, all[it.Handling], alive)
		if StageOf(o.State) == Waiting {
			o.State = indicator.Approved
		}
	}
	providers, err := program.Providers(ctx, q)
	if err != nil {
		return nil, err
	}
	var out []Offer
	for _, x := range providers {
		p, err := From(x)
		if err != nil {
			return nil, err
		}
		out = append(out, offer(o, p, x, now))
	}
	return out, nil
}

func offer(o Object, p Provider, x program.Provider, now time.Time) Offer {
	out := Offer{Provider: x}
	all := Decision{}
	for _, svc := range contract.AllServices.Each() {
		d := Decide(o, p, svc, Receive, now)
		if d.Allowed {
			out.Services = append(out.Services, svc)
			continue
		}
		for _, r := range d.Reasons {
			if !slices.Contains(all.Reasons, r) && (p.Services.Has(svc) || p.Services == 0) { // what it is not accredited for is nothing about the item
				all.Reasons = append(all.Reasons, r)
			}
		}
	}
	if len(out.Services) == 0 {
		out.Why = all.Text()
	}
	return out
}

// ForExport decides on the rows of an export that is made for a provider, for
// [export.Options.May]. The rows have to be those of the provider's list
// ([indicator.Filter].Provider): a file is no way round two approvals. An item that
// the provider may not hold leaves no trace; what it may hold and may not be given
// in readable form is withheld under the reason.
func ForExport(p Provider, now time.Time) func(*export.Row) (ok bool, why string) {
	return func(row *export.Row) (bool, string) {
		o := Of(&row.Item, row.Handling, true) // asked when it was released
		var why Decision
		held := false
		for _, svc := range row.Item.Services.Each() {
			held = held || Decide(o, p, svc, Hold, now).Allowed
			d := Decide(o, p, svc, Export, now)
			if d.Allowed {
				return true, ""
			}
			if len(why.Reasons) == 0 {
				why = d
			}
		}
		if !held {
			return false, ""
		}
		return false, why.Text()
	}
}
