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
	"ecs/web"
)

// allAtOnce bounds an act on all that wait. More is done again, or by the API.
const allAtOnce = 10_000

type queueRow struct {
	row
	Findings []indicator.Finding
	Stops    int
	Sources  []string
}

type queueTab struct {
	step
	Count   int64
	Current bool
}

type queueData struct {
	Tabs    []queueTab
	Step    step
	Total   int64
	AllMost int64 // how many an act on all would take now
	Rows    []queueRow
	Offers  []offer
	Able    bool
	Older   string
	Newer   string
	Reason  string
	Checked map[string]bool
	Chosen  map[string]bool
	All     bool
	Failed  []release.Failure
}

func stepOf(key string) (step, bool) {
	for _, s := range steps {
		if s.Key == key {
			return s, true
		}
	}
	return step{}, false
}

func (c *console) queue(w http.ResponseWriter, r *http.Request) {
	c.showQueue(w, r, r.URL.Query().Get("step"), http.StatusOK, func(*web.Page, *queueData) {})
}

// showQueue shows one step of the queue; change may add what a refused form held.
func (c *console) showQueue(w http.ResponseWriter, r *http.Request, key string, status int, change func(*web.Page, *queueData)) {
	a := account(r)
	count, err := access.Count(r.Context(), c.DB, a)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	s, ok := stepOf(key)
	if !ok {
		s = steps[2]
		for _, x := range steps { // the first step at which something waits for this reader
			if a.Any(x.Roles...) && (count[x.State] > 0 || !ok) {
				s, ok = x, count[x.State] > 0
				if ok {
					break
				}
			}
		}
	}
	p := c.page(r, "/queue")
	p.Title, p.Heading, p.Wide = "Approval queue: "+s.Name, "Approval queue", true
	p.Lead = "Every release needs two persons. Nobody decides twice on one indicator."
	d := &queueData{Step: s, Total: count[s.State], AllMost: min(count[s.State], allAtOnce), Able: a.Any(s.Roles...), Checked: map[string]bool{}, Chosen: map[string]bool{}}
	for _, x := range steps {
		d.Tabs = append(d.Tabs, queueTab{x, count[x.State], x.Key == s.Key})
	}
	f := indicator.Filter{States: []indicator.State{s.State}, Limit: perPage + 1}
	err = access.Narrow(r.Context(), c.DB, a, &f)
	if err == nil {
		f.After, err = access.After(r.Context(), c.DB, a, r.URL.Query().Get("after"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	items, err := indicator.List(r.Context(), c.DB, f)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(items) > perPage {
		items = items[:perPage]
		d.Older = "/queue?step=" + s.Key + "&after=" + items[perPage-1].ID.String()
	}
	if f.After != 0 {
		d.Newer = "/queue?step=" + s.Key
	}
	rows := c.rows(r, items)
	for i := range rows {
		x := queueRow{row: rows[i]}
		x.Findings, err = access.Findings(r.Context(), c.DB, a, rows[i].ID)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		x.Stops = len(indicator.Stops(x.Findings))
		if x.Hidden {
			for j := range x.Findings {
				x.Findings[j].Detail = "hidden"
			}
		}
		x.Sources, err = c.sourcesOf(r, rows[i].ID)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		d.Rows = append(d.Rows, x)
	}
	if s.Key == "second" && d.Able {
		d.Offers, err = c.offers(r.Context(), nil)
		if err != nil {
			c.fail(w, r, err)
			return
		}
	}
	p.Marking, p.Data = marking(rows), d
	change(p, d)
	c.pages.Render(w, status, "queue", p)
}

// sourcesOf names the sources of an item that the reader may know of, once each.
func (c *console) sourcesOf(r *http.Request, id contract.ID) ([]string, error) {
	all, err := access.Sources(r.Context(), c.DB, account(r), id)
	if err != nil {
		return nil, err
	}
	var out []string
	seen := map[string]bool{}
	for _, s := range all {
		if !seen[s.Source] {
			seen[s.Source] = true
			out = append(out, s.Source)
		}
	}
	return out, nil
}

// bulk does one thing to many indicators: the checked ones, or all that wait.
func (c *console) bulk(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	key, what, reason := r.PostForm.Get("step"), r.PostForm.Get("act"), strings.TrimSpace(r.PostForm.Get("reason"))
	s, ok := stepOf(key)
	if !ok {
		c.missing(w, r)
		return
	}
	refuse := func(status int, failed []release.Failure, problems ...web.Problem) {
		c.showQueue(w, r, key, status, func(p *web.Page, d *queueData) {
			p.Problems, d.Reason, d.Failed, d.All = problems, reason, failed, r.PostForm.Get("which") == "all"
			for _, v := range r.PostForm["id"] {
				d.Checked[v] = true
			}
			for _, v := range r.PostForm["target"] {
				d.Chosen[v] = true
			}
		})
	}
	ids, err := c.chosen(r, s)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var bad []web.Problem
	if len(ids) == 0 {
		bad = append(bad, web.Problem{Field: "which-checked", Text: "Choose at least one indicator"})
	}
	if reason == "" {
		bad = append(bad, web.Problem{Field: "reason", Text: "Write a reason: at least one short sentence"})
	}
	if len(bad) > 0 {
		refuse(http.StatusUnprocessableEntity, nil, bad...)
		return
	}
	b, err := c.many(r, what, ids, reason, web.NewPatience(w))
	if errors.Is(err, errNoAct) {
		c.missing(w, r)
		return
	}
	if err != nil {
		x := c.explain(r, err)
		if x.Status == http.StatusForbidden || x.Status >= 500 {
			c.fail(w, r, err)
			return
		}
		refuse(x.Status, nil, web.Problem{Text: x.Detail + " " + x.Next})
		return
	}
	if b.Failed > 0 {
		text := fmt.Sprintf("%d of %d indicators were left as they were; the reasons are listed below", b.Failed, b.Failed+b.Done)
		refuse(http.StatusConflict, b.Failures, web.Problem{Text: text})
		return
	}
	http.Redirect(w, r, "/queue?step="+key+"&done=bulk&n="+strconv.Itoa(b.Done), http.StatusSeeOther)
}

// chosen gives the indicators that a form means, as far as the reader may know
// of them.
func (c *console) chosen(r *http.Request, s step) ([]contract.ID, error) {
	var out []contract.ID
	if r.PostForm.Get("which") == "all" {
		f := indicator.Filter{States: []indicator.State{s.State}, Limit: indicator.MaxLimit}
		err := access.Narrow(r.Context(), c.DB, account(r), &f)
		if err != nil {
			return nil, err
		}
		for len(out) < allAtOnce {
			items, err := indicator.List(r.Context(), c.DB, f)
			if err != nil {
				return nil, err
			}
			for i := range items {
				out = append(out, items[i].ID)
				f.After = items[i].Number
			}
			if len(items) < indicator.MaxLimit {
				break
			}
		}
		return out[:min(len(out), allAtOnce)], nil
	}
	for _, v := range r.PostForm["id"] {
		id, err := contract.ParseID(v)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", indicator.ErrNotFound, v)
		}
		_, err = access.Item(r.Context(), c.DB, account(r), id)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

func (c *console) many(r *http.Request, what string, ids []contract.ID, reason string, long web.Patience) (release.Bulk, error) {
	a, ctx := account(r), r.Context()
	progress := func(int, int) { long.Progress() }
	switch what {
	case "first":
		return c.Desk.FirstAll(ctx, a, ids, reason, progress)
	case "second":
		targets, err := targetsOf(r.PostForm["target"])
		if err != nil {
			return release.Bulk{}, err
		}
		return c.Desk.SecondAll(ctx, a, ids, reason, targets, progress)
	}
	// The others have no bulk form at the desk: one after the other.
	var b release.Bulk
	for _, id := range ids {
		long.Progress()
		_, err := c.do(ctx, a, what, release.Ref{ID: id}, map[string][]string{"reason": {reason}, "determination": r.PostForm["determination"]})
		switch {
		case errors.Is(err, errNoAct), errors.Is(err, release.ErrRole), errors.Is(err, release.ErrReason):
			return b, err
		case err != nil:
			x, ok := access.Explain(err)
			if !ok {
				return b, err
			}
			b.Failed++
			if len(b.Failures) < release.MaxReported {
				b.Failures = append(b.Failures, release.Failure{ID: id, Err: errors.New(x.Detail)})
			}
		default:
			b.Done++
		}
	}
	return b, nil
}
