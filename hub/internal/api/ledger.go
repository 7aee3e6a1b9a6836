package api

import (
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

type deliveryJSON struct {
	Item          contract.ID       `json:"item"`
	Provider      string            `json:"provider"`
	Service       contract.Services `json:"service"`
	Status        release.Status    `json:"status"`
	Reason        string            `json:"reason,omitempty"`
	Until         *time.Time        `json:"until"`
	AddSeq        uint64            `json:"add_seq,omitempty"` // to those who may see totals over everything
	RemoveSeq     uint64            `json:"remove_seq,omitempty"`
	Queued        *time.Time        `json:"queued"`
	Delivered     *time.Time        `json:"delivered"`
	Loaded        *time.Time        `json:"loaded"`
	Refused       *time.Time        `json:"refused"`
	RemovalQueued *time.Time        `json:"removal_queued"`
	RemovalSent   *time.Time        `json:"removal_sent"`
	Removed       *time.Time        `json:"removed"`
}

func deliveryOf(d *release.Delivery) deliveryJSON {
	return deliveryJSON{
		d.Item, d.Provider, d.Service, d.Status, d.Reason, stamp(d.Until), d.AddSeq, d.RemoveSeq, stamp(d.Queued), stamp(d.Delivered),
		stamp(d.Loaded), stamp(d.Refused), stamp(d.RemovalQueued), stamp(d.RemovalSent), stamp(d.Removed),
	}
}

type ledgerPage struct {
	At         *time.Time     `json:"at"`
	Deliveries []deliveryJSON `json:"deliveries"`
	Next       string         `json:"next,omitempty"`
}

func (a *api) ledger(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q := r.URL.Query()
	x, err := program.GetProvider(r.Context(), a.DB, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	f := release.Filter{Provider: x.ID, Status: release.Status(q.Get("status")), Limit: limit}
	f.At, err = momentOf(r, "at", a.Now().UTC())
	if err != nil {
		return nil, err
	}
	if q.Get("item") != "" {
		f.Item, err = contract.ParseID(q.Get("item"))
		if err != nil {
			return nil, &badRequest{err.Error() + ".", "Send the identifier of an indicator."}
		}
	}
	may, err := access.Ledger(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	f.After, err = may.Behind(r.Context(), a.DB, x.ID, q.Get("after"))
	if err != nil {
		return nil, err
	}
	rows, err := may.Rows(r.Context(), a.DB, a.Desk, f)
	if err != nil {
		return nil, err
	}
	out := ledgerPage{At: stamp(f.At), Deliveries: []deliveryJSON{}}
	for i := range rows {
		out.Deliveries = append(out.Deliveries, deliveryOf(&rows[i]))
	}
	if len(rows) == limit {
		out.Next = access.Place(&rows[limit-1])
	}
	return out, nil
}

type balanceJSON struct {
	Provider string     `json:"provider"`
	At       *time.Time `json:"at"`
	Holds    bool       `json:"holds"`
	Released int64      `json:"released"`
	Loaded   int64      `json:"loaded"`
	Refused  int64      `json:"refused"`
	Overdue  int64      `json:"overdue"`
	Pending  int64      `json:"pending"`
	Lapsed   int64      `json:"lapsed"`
	InForce  int64      `json:"in_force"`
	Removing int64      `json:"removing"`
	Ended    int64      `json:"ended"`
	Removed  int64      `json:"removed"`
}

func (a *api) reconcile(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	at, err := momentOf(r, "at", a.Now().UTC())
	if err != nil {
		return nil, err
	}
	_, err = program.GetProvider(r.Context(), a.DB, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	may, err := access.Ledger(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	b, err := may.Balance(r.Context(), a.Desk, r.PathValue("id"), at)
	return balanceJSON{b.Provider, stamp(b.At), b.Holds(), b.Released, b.Loaded, b.Refused, b.Overdue, b.Pending, b.Lapsed, b.InForce, b.Removing, b.Ended, b.Removed}, err
}

type forceJSON struct {
	ID        contract.ID       `json:"id"`
	Services  contract.Services `json:"services"`
	Loaded    *time.Time        `json:"loaded"`
	Until     *time.Time        `json:"until"`
	Recalled  *time.Time        `json:"recalled"`
	Approvals []decisionJSON    `json:"approvals"`
}

type forcePage struct {
	At    *time.Time  `json:"at"`
	Items []forceJSON `json:"items"`
	Next  string      `json:"next,omitempty"`
}

func (a *api) inForce(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	at, err := momentOf(r, "at", a.Now().UTC())
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	var after contract.ID
	if r.URL.Query().Get("after") != "" {
		after, err = contract.ParseID(r.URL.Query().Get("after"))
		if err != nil {
			return nil, &badRequest{"after is not an identifier.", "Send what the last answer gave as next."}
		}
	}
	_, err = program.GetProvider(r.Context(), a.DB, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	may, err := access.Ledger(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	rows, err := may.InForce(r.Context(), a.Desk, r.PathValue("id"), at, after, limit)
	if err != nil {
		return nil, err
	}
	out := forcePage{At: stamp(at), Items: []forceJSON{}}
	for _, x := range rows {
		one := forceJSON{ID: x.ID, Services: x.Services, Loaded: stamp(x.Loaded), Until: stamp(x.Until), Recalled: stamp(x.Recalled), Approvals: []decisionJSON{}}
		for _, d := range x.Approvals {
			one.Approvals = append(one.Approvals, decisionJSON{Kind: d.Kind, Verdict: "approve", Login: d.Login, Person: d.Person, Reason: d.Reason, At: stamp(d.At)})
		}
		out.Items = append(out.Items, one)
	}
	if len(rows) == limit {
		out.Next = rows[limit-1].ID.String()
	}
	return out, nil
}
