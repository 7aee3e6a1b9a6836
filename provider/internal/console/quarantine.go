package console

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"ecs/internal/signin"
	"ecs/web"
)

var heldStates = []option{{"HELD", "Held"}, {"RELEASED", "Released"}, {"DELETED", "Deleted"}, {"", "All"}}

type heldData struct {
	Rows         []Held
	States       []option
	State        string
	MaySettle    bool
	Newer, Older string
	Back         string
}

func (c *console) quarantine(w http.ResponseWriter, r *http.Request) {
	p := c.page(r, "/quarantine")
	p.Title, p.Wide = "Quarantine", true
	p.Lead = "Mail that matched an indicator and is held, encrypted, until somebody decides."
	a, _ := signin.From(r.Context())
	d := heldData{States: heldStates, State: stateOf(r, heldStates), MaySettle: may(a, settleMail), Back: r.URL.RequestURI()}
	f := HeldFilter{State: d.State, Limit: perPage + 1}
	before := web.QueryNumber(r, "before")
	if before > 0 {
		f.Before = time.UnixMicro(before).UTC()
		d.Newer = web.LinkWith(r, "before", "")
	}
	var err error
	d.Rows, err = c.Quarantine.Quarantine(r.Context(), f)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = web.LinkWith(r, "before", strconv.FormatInt(d.Rows[perPage-1].Received.UnixMicro(), 10))
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "quarantine", p)
}

// stateOf gives the chosen state: that of the query when it is one of the
// choices, the first choice otherwise.
func stateOf(r *http.Request, choices []option) string {
	q := r.URL.Query()
	v := q.Get("state")
	if q.Has("state") && slices.ContainsFunc(choices, func(o option) bool { return o.Value == v }) {
		return v
	}
	return choices[0].Value
}

func (c *console) settleMail(w http.ResponseWriter, r *http.Request) {
	a, _ := signin.From(r.Context())
	id, what := r.PathValue("id"), r.PathValue("act")
	var err error
	switch what {
	case "release":
		err = c.Quarantine.Release(r.Context(), a, id)
	case "delete":
		err = c.Quarantine.Delete(r.Context(), a, id)
	default:
		err = ErrNotFound
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, web.Back(r, "/quarantine", what), http.StatusSeeOther)
}
