package web

import (
	"errors"
	"net/http"
	"strconv"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// AuditLog are the two handlers of a console's audit log, which is the same in
// both houses. Who may see it is decided before.
type AuditLog struct {
	DB    sqldb.Querier // the house's database; a *sqldb.DB
	Pages *Renderer
	Page  func(*http.Request) *Page // begins the page
	Fail  func(http.ResponseWriter, *http.Request, error)
	Tell  string // whom to tell when the chain is broken, such as "the auditor"
}

const auditRows = 50

// List shows the log, the newest entries first.
func (l *AuditLog) List(w http.ResponseWriter, r *http.Request) { l.show(w, r, nil) }

func (l *AuditLog) show(w http.ResponseWriter, r *http.Request, notes []Note) {
	p := l.Page(r)
	p.Title, p.Wide, p.Notes = "Audit log", true, notes
	p.Lead = "Who did what, in order. Nobody can change or remove an entry without breaking the chain."
	f := audit.Filter{Subject: r.URL.Query().Get("subject"), Before: QueryNumber(r, "before"), Limit: auditRows + 1}
	rows, err := audit.List(r.Context(), l.DB, f)
	if err != nil {
		l.Fail(w, r, err)
		return
	}
	d := struct {
		Rows         []audit.Entry
		Subject      string
		Newer, Older string
	}{Rows: rows, Subject: f.Subject}
	if len(rows) > auditRows {
		d.Rows = rows[:auditRows]
		d.Older = LinkWith(r, "before", strconv.FormatInt(rows[auditRows-1].Seq, 10))
	}
	if f.Before > 0 {
		d.Newer = LinkWith(r, "before", "")
	}
	p.Data = d
	l.Pages.Render(w, http.StatusOK, "audit", p)
}

// Verify follows the whole chain and says whether it holds.
func (l *AuditLog) Verify(w http.ResponseWriter, r *http.Request) {
	n, err := audit.Verify(r.Context(), l.DB)
	var broken *audit.Broken
	switch {
	case errors.As(err, &broken):
		l.show(w, r, []Note{{
			Kind: "error", Title: "The audit log does not hold",
			Text: "Entry " + strconv.FormatInt(broken.Seq, 10) + " and all after it cannot be trusted: " + broken.Why +
				". Keep the database as it is and tell " + l.Tell + ".",
		}})
	case err != nil:
		l.Fail(w, r, err)
	default:
		http.Redirect(w, r, "/audit?done=verified&n="+strconv.FormatInt(n, 10), http.StatusSeeOther)
	}
}

// QueryNumber reads a number of the address; 0 when there is none.
func QueryNumber(r *http.Request, name string) int64 {
	n, err := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// LinkWith gives the address of this page with one parameter set.
func LinkWith(r *http.Request, name, value string) string {
	q := r.URL.Query()
	q.Del("done")
	q.Del("n")
	q.Set(name, value)
	return r.URL.Path + "?" + q.Encode()
}
