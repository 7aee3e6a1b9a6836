package console

import (
	"net/http"
	"net/url"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/web"
)

var statusOptions = []option{
	{"", "All states"},
	{string(release.Queued), "Queued"},
	{string(release.Delivered), "Delivered, not acknowledged"},
	{string(release.Overdue), "Overdue"},
	{string(release.Loaded), "In force"},
	{string(release.RefusedThere), "Refused"},
	{string(release.RemovalQueued), "Removal queued"},
	{string(release.RemovalSent), "Removal sent"},
	{string(release.RemovalOverdue), "Removal overdue"},
	{string(release.RemovedThere), "Removed"},
	{string(release.Ended), "Ended by itself"},
	{string(release.Lapsed), "Lapsed"},
}

type ledgerData struct {
	Provider     program.Provider
	Rows         []deliveryRow
	Statuses     []option
	Status       string
	At           string
	Moment       time.Time
	Balance      release.Balance
	Holds        bool
	Newer, Older string
	Link         bool
	Told         bool // the reader may see the numbers of the log
}

func (c *console) ledger(w http.ResponseWriter, r *http.Request) {
	x, err := program.GetProvider(r.Context(), c.DB, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/providers")
	p.Title, p.Wide = "Ledger of "+x.Name, true
	p.Lead = "For every indicator and service: what was released, delivered, loaded, refused and removed. It can be read as of any moment."
	p.Crumbs = []web.Link{{Text: "Providers", Href: "/providers"}, {Text: x.Name, Href: "/providers/" + url.PathEscape(x.ID)}}
	d := ledgerData{Provider: x, Statuses: statusOptions, Status: r.URL.Query().Get("status"), Link: mayIndicators(r)}
	d.Moment, d.At, err = c.moment(r)
	status := http.StatusOK
	if err != nil {
		p.Problems = append(p.Problems, web.Problem{Field: "at", Text: "Enter a moment such as 2026-03-03T12:00, in UTC"})
		status = http.StatusUnprocessableEntity
	}
	f := release.Filter{Provider: x.ID, Status: release.Status(d.Status), At: d.Moment, Limit: perPage + 1}
	may, err := access.Ledger(r.Context(), c.DB, account(r))
	if err == nil {
		f.After, err = may.Behind(r.Context(), c.DB, x.ID, r.URL.Query().Get("after"))
	}
	var rows []release.Delivery
	if err == nil {
		rows, err = may.Rows(r.Context(), c.DB, c.Desk, f)
	}
	if err == nil {
		d.Balance, err = may.Balance(r.Context(), c.Desk, x.ID, d.Moment)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d.Holds, d.Told = d.Balance.Holds(), may.Whole
	if f.After != nil {
		d.Newer = web.LinkWith(r, "after", "")
	}
	if len(rows) > perPage {
		rows = rows[:perPage]
		q := r.URL.Query()
		q.Set("after", access.Place(&rows[perPage-1]))
		q.Set("at", d.Moment.Format(time.RFC3339Nano))
		d.Older = r.URL.Path + "?" + q.Encode()
	}
	for _, row := range rows {
		d.Rows = append(d.Rows, deliveryRow{row, deliverySign(row.Status)})
	}
	p.Data = d
	c.pages.Render(w, status, "ledger", p)
}

type forceRow struct {
	release.InForce
	Value  string
	Hidden bool
	Known  bool // the reader may see the indicator
}

type forceData struct {
	Provider     program.Provider
	At           string
	Moment       time.Time
	Rows         []forceRow
	Balance      release.Balance
	Newer, Older string
}

// inForce answers the auditor's question: what was in force at this provider at
// that moment, and who approved it.
func (c *console) inForce(w http.ResponseWriter, r *http.Request) {
	x, err := program.GetProvider(r.Context(), c.DB, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/providers")
	p.Title, p.Wide = "In force at "+x.Name, true
	p.Crumbs = []web.Link{{Text: "Providers", Href: "/providers"}, {Text: x.Name, Href: "/providers/" + url.PathEscape(x.ID)}}
	d := forceData{Provider: x}
	d.Moment, d.At, err = c.moment(r)
	status := http.StatusOK
	if err != nil {
		p.Problems = append(p.Problems, web.Problem{Field: "at", Text: "Enter a moment such as 2026-03-03T12:00, in UTC"})
		status = http.StatusUnprocessableEntity
	}
	p.Lead = "What was in force there at the moment below, by the provider's own signed acknowledgments, and who approved it."
	after, err := contract.ParseID(r.URL.Query().Get("after"))
	if err == nil {
		d.Newer = web.LinkWith(r, "after", "")
	}
	may, err := access.Ledger(r.Context(), c.DB, account(r))
	var rows []release.InForce
	if err == nil {
		rows, err = may.InForce(r.Context(), c.Desk, x.ID, d.Moment, after, perPage+1)
	}
	if err == nil {
		d.Balance, err = may.Balance(r.Context(), c.Desk, x.ID, d.Moment)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(rows) > perPage {
		rows = rows[:perPage]
		q := r.URL.Query()
		q.Set("after", rows[perPage-1].ID.String())
		q.Set("at", d.Moment.Format(time.RFC3339Nano))
		d.Older = r.URL.Path + "?" + q.Encode()
	}
	for _, row := range rows {
		one := forceRow{InForce: row, Hidden: true}
		if mayIndicators(r) {
			it, err := indicator.Get(r.Context(), c.DB, row.ID)
			if err != nil {
				c.fail(w, r, err)
				return
			}
			one.Known, one.Hidden = true, access.Hidden(account(r), &it)
			if !one.Hidden && it.Display {
				one.Value = it.Value
			}
			one.Hidden = one.Value == ""
		}
		d.Rows = append(d.Rows, one)
	}
	p.Data = d
	c.pages.Render(w, status, "in-force", p)
}
