package console

import (
	"net/http"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/web"
)

// objectRow is a STIX object of a delivery as a page shows it.
type objectRow struct {
	intake.Object
	Changed time.Time
}

// objects shows the STIX objects that a delivery brought beside its indicators. They
// are kept whole; one in which personal data was found is for a privacy officer.
func (c *console) objects(w http.ResponseWriter, r *http.Request) {
	a := account(r)
	b, err := access.Delivery(r.Context(), c.DB, a, r.PathValue("id"))
	ask := intake.Brought{Batch: b.Number, Limit: perPage + 1, Held: access.May(a, access.Held)}
	if err == nil {
		err = c.seesItems(r, &ask)
	}
	after := r.URL.Query().Get("after")
	if err == nil && after != "" {
		ask.After, err = intake.ObjectPlace(r.Context(), c.DB, ask, after)
	}
	var all []intake.Object
	if err == nil {
		all, err = intake.Objects(r.Context(), c.DB, ask)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := struct {
		access.Batch
		Rows         []objectRow
		Newer, Older string
	}{Batch: b}
	if len(all) > perPage {
		all = all[:perPage]
		d.Older = web.LinkWith(r, "after", all[perPage-1].ID)
	}
	if ask.After > 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	for _, o := range all {
		d.Rows = append(d.Rows, objectRow{o, sqldb.FromTime(o.Modified)})
	}
	p := c.page(r, "/deliveries")
	p.Title, p.Wide = "Objects", true
	p.Lead = "What the source says about its indicators: malware, campaigns, actors, reports, relationships. Kept whole for analysts, never released as it is."
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}, {Text: b.Name, Href: "/deliveries/" + b.ID}}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "objects", p)
}
