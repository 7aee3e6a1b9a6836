package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
	"ecs/web"
)

type searchPage struct {
	Items   []itemJSON `json:"items"`
	Next    string     `json:"next,omitempty"`    // for "after"
	Stopped bool       `json:"stopped,omitempty"` // the budget was spent before the page was full
	Exact   bool       `json:"exact,omitempty"`   // exactly this value or identifier
	Behind  bool       `json:"behind,omitempty"`  // newer ones may not be indexed yet
	Common  bool       `json:"common,omitempty"`  // the beginning of a word stands for too many words
}

type savedList struct {
	Searches []search.Saved `json:"searches"`
}

type saveOrder struct {
	Name   string `json:"name"`
	Query  string `json:"query"`
	Shared bool   `json:"shared,omitempty"` // with everybody who may search
}

type doneJSON struct {
	Done bool `json:"done"`
}

var queryParam = param{Name: "q", Need: true, About: "What to search for, in the language of docs/formats/search.md."}

func (a *api) searchRoutes() []route {
	const g = "Search"
	return []route{
		{
			Method: "GET", Path: "/search", ID: "search", Group: g, Title: "Find indicators by words and filters, newest first", Sees: access.Indicators, Out: searchPage{}, do: a.search,
			Query: []param{queryParam, afterParam, limitParam},
		},
		{Method: "GET", Path: "/searches", ID: "listSearches", Group: g, Title: "List saved searches, with what is new", Sees: access.Indicators, Out: savedList{}, do: a.saved},
		{Method: "POST", Path: "/searches", ID: "saveSearch", Group: g, Title: "Save a search", Sees: access.Indicators, In: saveOrder{}, Out: search.Saved{}, do: a.save},
		{Method: "DELETE", Path: "/searches/{id}", ID: "removeSearch", Group: g, Title: "Remove a saved search of one's own", Sees: access.Indicators, Out: doneJSON{}, do: a.unsave},
		{
			Method: "GET", Path: "/export", ID: "exportSearch", Group: g, Title: "Export what a search finds", Sees: access.Indicators, Gives: exportTypes(), Out: written{}, do: a.export,
			About: fmt.Sprintf("At most %d indicators. What a marking forbids to pass on or to display is withheld, and counted in the output and in the trailer Ecs-Export.", maxExport),
			Query: []param{queryParam, {Name: "format", Need: true, Enum: exportNames(), About: "How it is written."}},
		},
	}
}

func exportNames() []string {
	var out []string
	for _, f := range export.Formats {
		out = append(out, f.Name)
	}
	return out
}

func exportTypes() []string {
	var out []string
	for _, f := range export.Formats {
		out = append(out, f.MediaType)
	}
	return out
}

// queryOf reads the query of an address.
func queryOf(text string) (*search.Query, error) {
	q, err := search.Parse(text)
	var bad *search.SyntaxError
	if errors.As(err, &bad) {
		return nil, &badRequest{fmt.Sprintf("The query cannot be read at character %d: %s.", bad.Pos+1, bad.What), "Correct it; docs/formats/search.md has the language."}
	}
	return q, err
}

func (a *api) search(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q, err := queryOf(r.URL.Query().Get("q"))
	if err != nil {
		return nil, err
	}
	reader, err := search.ReaderOf(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	var opt search.Options
	opt.Limit, err = limitOf(r)
	if err == nil {
		opt.After, err = search.ParseCursor(r.Context(), a.DB, who, r.URL.Query().Get("after"))
	}
	if err != nil {
		return nil, err
	}
	res, err := search.Find(r.Context(), a.DB, reader, q, opt)
	if err == nil {
		err = access.Read(r.Context(), a.DB, who, access.ForList, "api", res.Items...)
	}
	if err != nil {
		return nil, err
	}
	out := searchPage{Items: []itemJSON{}, Next: res.Cursor(), Stopped: res.Stopped, Exact: res.Exact, Behind: res.Behind, Common: res.Common}
	for i := range res.Items {
		out.Items = append(out.Items, itemOf(who, &res.Items[i]))
	}
	return out, nil
}

func (a *api) saved(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	list, err := search.List(r.Context(), a.DB, who)
	if list == nil {
		list = []search.Saved{}
	}
	return savedList{list}, err
}

func (a *api) save(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o saveOrder
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	_, err = queryOf(o.Query)
	if err != nil {
		return nil, err
	}
	s, err := search.Save(r.Context(), a.DB, who, o.Name, o.Query, o.Shared, a.Now())
	return s, toldSearch(err)
}

func (a *api) unsave(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return doneJSON{true}, toldSearch(search.Remove(r.Context(), a.DB, who, r.PathValue("id")))
}

func toldSearch(err error) error {
	x, ok := search.Explain(err)
	if ok {
		return &toldError{x}
	}
	return err
}

// maxExport is how many indicators one export takes.
const maxExport = 100_000

// export writes what a search finds, page by page as it is read.
func (a *api) export(w http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q, err := queryOf(r.URL.Query().Get("q"))
	if err != nil {
		return nil, err
	}
	format, err := export.ByName(r.URL.Query().Get("format"))
	if err != nil {
		return nil, &badRequest{"There is no such format.", "Use stix, misp, csv or list."}
	}
	rows, err := a.selection(r.Context(), who, q)
	if err != nil {
		return nil, err
	}
	h := w.Header()
	h.Set("Content-Type", format.MediaType)
	h.Set("Content-Disposition", `attachment; filename="indicators`+format.Ending+`"`)
	h.Set("Trailer", "Ecs-Export")
	long := web.NewPatience(w)
	report, err := format.Write(w, patient(rows, long.Progress), exportOptions(a.Desk.Author(), "search", a.Now()))
	if err != nil { // the output has begun: breaking it off is the only way to say that it is not whole
		panic(http.ErrAbortHandler)
	}
	h.Set("Ecs-Export", report.String())
	return written{}, nil
}

// patient tells of progress at each row.
func patient(rows iter.Seq2[export.Row, error], progress func()) iter.Seq2[export.Row, error] {
	return func(yield func(export.Row, error) bool) {
		n := 0
		for row, err := range rows {
			n++
			if n%1000 == 0 {
				progress()
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// selection gives the rows of an export of what a search finds for an account.
func (a *api) selection(ctx context.Context, who signin.Account, q *search.Query) (iter.Seq2[export.Row, error], error) {
	reader, err := search.ReaderOf(ctx, a.DB, who)
	if err != nil {
		return nil, err
	}
	return func(yield func(export.Row, error) bool) {
		opt := search.Options{Limit: indicator.MaxLimit}
		for n := 0; n < maxExport; {
			res, err := search.Find(ctx, a.DB, reader, q, opt)
			var rows []export.Row
			if err == nil {
				rows, err = export.Fill(ctx, a.DB, res.Items)
			}
			if err != nil {
				yield(export.Row{}, err)
				return
			}
			for i := range rows {
				if n >= maxExport || !yield(rows[i], nil) {
					return
				}
				n++
			}
			if res.Next == 0 {
				return
			}
			opt.After = res.Next
		}
	}, nil
}

// exportOptions decide on each row: it leaves only when its markings permit to pass
// it on.
func exportOptions(program marking.Author, title string, now time.Time) export.Options {
	return export.Options{
		May: func(row *export.Row) (bool, string) {
			if !row.Handling.May(marking.PassOn, now).Yes {
				return false, "its marking does not permit to pass it on"
			}
			return true, ""
		},
		Program: export.Identity{ID: program.Identity, Name: "Program", Created: program.Since}, // so that its markings have the identifiers of released ones
		At:      now, Title: title,
	}
}
