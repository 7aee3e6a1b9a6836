package console

import (
	"net/http"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/observable"
	"ecs/web"
)

// row is an indicator in a listing, as one reader may see it.
type row struct {
	indicator.Item
	Sign   sign
	Hidden bool
}

func (c *console) rows(r *http.Request, items []indicator.Item) []row {
	a := account(r)
	out := make([]row, len(items))
	for i := range items {
		out[i] = row{Item: items[i], Sign: signOf(items[i].State), Hidden: access.Hidden(a, &items[i])}
		if out[i].Hidden {
			out[i].Value, out[i].Pattern, out[i].Context = "", "", ""
		}
	}
	return out
}

// marking gives the strictest marking of what a page shows.
func marking(rows []row) string {
	if len(rows) == 0 {
		return ""
	}
	most := rows[0].TLP
	for i := range rows {
		most = max(most, rows[i].TLP)
	}
	return most.String()
}

type listData struct {
	Rows                                 []row
	More                                 bool // there are more than Total: no further is counted
	Total                                int64
	Text, State, Provider, Source, Order string
	States, Providers, Sources, Orders   []option
	Newer, Older                         string
	Limited                              bool // to the officer's own source
}

func stateOptions() []option {
	out := []option{{"", "All states"}}
	for _, s := range indicator.States {
		out = append(out, option{string(s), signOf(s).Text})
	}
	return out
}

// filter reads the filter of a listing from the address. What cannot be is a
// problem of a field.
func (c *console) filter(r *http.Request) (indicator.Filter, []web.Problem) {
	q := r.URL.Query()
	f := indicator.Filter{
		Text: strings.TrimSpace(q.Get("q")), Provider: q.Get("provider"), Source: q.Get("source"), Batch: q.Get("batch"),
		Newest: q.Get("order") != "oldest", Limit: perPage + 1,
	}
	var bad []web.Problem
	if q.Get("state") != "" {
		s, err := indicator.ParseState(q.Get("state"))
		if err != nil {
			bad = append(bad, web.Problem{Field: "state", Text: "There is no such state: choose one from the list"})
		}
		f.States = []indicator.State{s}
	}
	if q.Get("kind") != "" {
		k, err := observable.ParseKind(q.Get("kind"))
		if err != nil {
			bad = append(bad, web.Problem{Field: "q", Text: "There is no such kind of observable"})
		}
		f.Kind = k
	}
	// A search in values would tell a reader who may not see a hidden one whether
	// it contains the text.
	_, err := contract.ParseID(f.Text)
	switch {
	case len(f.Text) > 500:
		bad = append(bad, web.Problem{Field: "q", Text: "Search for at most 500 letters"})
	case f.Text != "" && err != nil && !access.May(account(r), access.Values):
		bad = append(bad, web.Problem{Field: "q", Text: "Your roles permit a search by a whole identifier only"})
	}
	return f, bad
}

func (c *console) indicators(w http.ResponseWriter, r *http.Request) {
	a := account(r)
	p := c.page(r, "/indicators")
	p.Title, p.Wide = "Indicators", true
	f, bad := c.filter(r)
	p.Problems = bad
	q := r.URL.Query()
	d := listData{Text: f.Text, State: q.Get("state"), Provider: f.Provider, Source: f.Source, Order: q.Get("order"), States: stateOptions(), Orders: []option{{"", "Newest first"}, {"oldest", "Oldest first"}}}
	d.Providers, d.Sources = []option{{"", "Anywhere or nowhere"}}, []option{{"", "All sources"}}
	providers, err := program.Providers(r.Context(), c.DB)
	if err == nil && access.May(a, access.Providers) {
		for _, x := range providers {
			d.Providers = append(d.Providers, option{x.ID, x.Name})
		}
	}
	sources, err2 := program.Sources(r.Context(), c.DB)
	_, d.Limited = access.Source(a, access.Indicators)
	if err2 == nil && !d.Limited {
		for _, x := range sources {
			d.Sources = append(d.Sources, option{x.ID, x.Name})
		}
	}
	if err != nil || err2 != nil {
		c.fail(w, r, firstOf(err, err2))
		return
	}
	err = access.Narrow(r.Context(), c.DB, a, &f)
	if err == nil {
		f.After, err = access.After(r.Context(), c.DB, a, q.Get("after"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	status := http.StatusOK
	if len(bad) > 0 {
		status = http.StatusUnprocessableEntity
	} else {
		items, err := indicator.List(r.Context(), c.DB, f)
		if err == nil {
			d.Total, d.More, err = indicator.CountMatching(r.Context(), c.DB, f)
		}
		if err == nil {
			err = access.Read(r.Context(), c.DB, a, access.ForList, "console", items[:min(len(items), perPage)]...)
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if len(items) > perPage {
			items = items[:perPage]
			d.Older = web.LinkWith(r, "after", items[perPage-1].ID.String())
		}
		d.Rows = c.rows(r, items)
	}
	if f.After != 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	p.Marking = marking(d.Rows)
	p.Data = d
	c.pages.Render(w, status, "indicators", p)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
