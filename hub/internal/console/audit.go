package console

import (
	"errors"
	"net/http"
	"strconv"

	"ecs/internal/audit"
	"ecs/web"
)

type auditData struct {
	Rows         []audit.Entry
	Subject      string
	Newer, Older string
}

func (c *console) audit(w http.ResponseWriter, r *http.Request) {
	c.auditPage(w, r, http.StatusOK, nil)
}

func (c *console) auditPage(w http.ResponseWriter, r *http.Request, status int, notes []web.Note) {
	p := c.page(r, "/audit")
	p.Title, p.Wide, p.Notes = "Audit log", true, notes
	p.Lead = "Who did what, in order. Nobody can change or remove an entry without breaking the chain."
	d := auditData{Subject: r.URL.Query().Get("subject")}
	f := audit.Filter{Subject: d.Subject, Before: queryNumber(r, "before"), Limit: perPage + 1}
	var err error
	d.Rows, err = audit.List(r.Context(), c.DB, f)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = linkWith(r, "before", strconv.FormatInt(d.Rows[perPage-1].Seq, 10))
	}
	if f.Before > 0 {
		d.Newer = linkWith(r, "before", "")
	}
	p.Data = d
	c.pages.Render(w, status, "audit", p)
}

func (c *console) verifyAudit(w http.ResponseWriter, r *http.Request) {
	n, err := audit.Verify(r.Context(), c.DB)
	var broken *audit.Broken
	switch {
	case errors.As(err, &broken):
		c.auditPage(w, r, http.StatusOK, []web.Note{{
			Kind: "error", Title: "The audit log does not hold",
			Text: "Entry " + strconv.FormatInt(broken.Seq, 10) + " and all after it cannot be trusted: " + broken.Why + ". Keep the database as it is and tell the auditor.",
		}})
	case err != nil:
		c.fail(w, r, err)
	default:
		http.Redirect(w, r, "/audit?done=verified&n="+strconv.FormatInt(n, 10), http.StatusSeeOther)
	}
}
