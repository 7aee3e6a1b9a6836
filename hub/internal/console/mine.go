package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/web"
)

const (
	mineDays = 30
	mineMost = 100
)

type mineRow struct {
	review.Decided
	What string
	Sign sign
}

type mineData struct {
	Rows   []mineRow
	Days   int
	Failed []release.Failure
}

// decisions shows what the reader decided, with what can be taken back.
func (c *console) decisions(w http.ResponseWriter, r *http.Request) {
	c.showDecisions(w, r, http.StatusOK, nil)
}

func (c *console) showDecisions(w http.ResponseWriter, r *http.Request, status int, failed []release.Failure, problems ...web.Problem) {
	p := c.page(r, "/decisions")
	p.Title, p.Lead, p.Wide, p.Problems = "My decisions", "What you decided last. Within ten minutes you can take it back, as long as nobody has acted on it.", true, problems
	all, err := c.review.Mine(r.Context(), account(r), mineDays, mineMost)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := mineData{Days: mineDays, Failed: failed}
	for _, x := range all {
		k := decisionWords[x.Kind]
		if k.what == "" {
			k.what = web.Words(x.Kind)
		}
		d.Rows = append(d.Rows, mineRow{x, k.what, signOf(x.State)})
	}
	p.Data = d
	c.pages.Render(w, status, "decisions", p)
}

// undo takes a decision back, or what is left of a bulk act.
func (c *console) undo(w http.ResponseWriter, r *http.Request) {
	const reason = "Taken back by the person who decided."
	a := account(r)
	bulk := r.PostFormValue("bulk")
	if bulk != "" {
		long := web.NewPatience(w)
		b, err := c.Desk.UndoAll(r.Context(), a, bulk, reason, func(int, int) { long.Progress() })
		if err != nil {
			c.refuseUndo(w, r, err)
			return
		}
		if b.Failed > 0 {
			c.showDecisions(w, r, http.StatusConflict, b.Failures,
				web.Problem{Text: fmt.Sprintf("%d of %d could not be taken back; the reasons are listed below", b.Failed, b.Failed+b.Done)})
			return
		}
		http.Redirect(w, r, "/decisions?done=undone&n="+strconv.Itoa(b.Done), http.StatusSeeOther)
		return
	}
	id, err := contract.ParseID(r.PostFormValue("item"))
	if err != nil {
		c.fail(w, r, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PostFormValue("item")))
		return
	}
	_, err = access.Item(r.Context(), c.DB, a, id)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	version, err := strconv.ParseInt(r.PostFormValue("version"), 10, 64)
	if err != nil {
		version = 0
	}
	err = c.Desk.Undo(r.Context(), a, release.Ref{ID: id, Version: version}, reason)
	if err != nil {
		c.refuseUndo(w, r, err)
		return
	}
	http.Redirect(w, r, "/decisions?done=undone&n=1", http.StatusSeeOther)
}

func (c *console) refuseUndo(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, release.ErrUndo) {
		c.showDecisions(w, r, http.StatusConflict, nil, web.Problem{Text: "It cannot be taken back: " + strings.TrimPrefix(err.Error(), "release: ")})
		return
	}
	x := c.explain(r, err)
	if x.Status == http.StatusForbidden || x.Status >= 500 {
		c.fail(w, r, err)
		return
	}
	c.showDecisions(w, r, x.Status, nil, web.Problem{Text: x.Detail + " " + x.Next})
}
