package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/casework"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
	"ecs/web"
)

// found is an indicator in the result of a search.
type found struct {
	row
	LabelList []string
	New       bool // came since the saved search was looked at last
}

type searchData struct {
	Query        string
	Asked        bool
	Rows         []found
	Newer, Older string
	Says         []string // about the answer
	Help         []option
	Saved        []search.Saved
	Login        string
	Formats      []option
	Acts         []option
	May          bool
	Chosen       map[string]bool
	Text         string // what a refused form held
	Assignee     string
	Name         string
}

var searchHelp = []option{
	{"emotet loader", "both words, anywhere"},
	{`"command and control"`, "the words one behind the other"},
	{"emo*", "words that begin so"},
	{"evil.example", "exactly this value when there is one; in quotes those that contain it"},
	{"under:evil.example", "the name and all names below it"},
	{"net:192.0.2.0/24", "addresses and networks in it"},
	{"state:pending_first,in_force", "either state"},
	{"kind:url category:phishing tlp:amber", "all three"},
	{"source:cedar label:emotet asn:64500", "by source, label, autonomous system"},
	{"since:2026-03-01 until:2026-03-31", "by the day of receipt"},
	{"-label:emotet", "without this label"},
}

// searchPage finds indicators by the language of docs/formats/search.md.
func (c *console) searchPage(w http.ResponseWriter, r *http.Request) {
	d := searchData{Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	var since int64 = -1
	id := r.URL.Query().Get("saved")
	if id != "" {
		s, number, err := search.Look(r.Context(), c.DB, account(r), id, c.Now())
		if err != nil {
			c.refuse(w, r, err)
			return
		}
		d.Query, d.Name, since = s.Query, s.Name, number
	}
	c.showSearch(w, r, http.StatusOK, nil, d, since)
}

func (c *console) showSearch(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem, d searchData, since int64) {
	a := account(r)
	p := c.page(r, "/search")
	p.Title, p.Wide, p.Problems = "Search", true, problems
	d.Help, d.Login, d.May = searchHelp, a.Login, a.Any("pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer")
	d.Acts = actsOf(a)
	for _, f := range export.Formats {
		d.Formats = append(d.Formats, option{f.Name, map[string]string{"stix": "STIX 2.1", "misp": "MISP", "csv": "CSV", "list": "plain list"}[f.Name]})
	}
	if d.Chosen == nil {
		d.Chosen = map[string]bool{}
	}
	if d.Query != "" {
		err := c.find(r, &d, since)
		x, ok := search.Explain(err)
		switch {
		case ok:
			p.Problems = append(p.Problems, web.Problem{Field: "q", Text: x.Detail})
			status = http.StatusUnprocessableEntity
		case err != nil:
			c.fail(w, r, err)
			return
		}
	}
	var err error
	d.Saved, err = search.List(r.Context(), c.DB, a)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	rows := make([]row, len(d.Rows))
	for i := range d.Rows {
		rows[i] = d.Rows[i].row
	}
	p.Marking = marking(rows)
	p.Data = d
	c.pages.Render(w, status, "search", p)
}

// find runs the search of a page.
func (c *console) find(r *http.Request, d *searchData, since int64) error {
	ctx, a := r.Context(), account(r)
	q, err := search.Parse(d.Query)
	if err != nil {
		return err
	}
	reader, err := search.ReaderOf(ctx, c.DB, a)
	if err != nil {
		return err
	}
	opt := search.Options{Limit: perPage}
	if r.Method == http.MethodGet {
		opt.After, err = search.ParseCursor(ctx, c.DB, a, r.URL.Query().Get("after"))
		if err != nil {
			return err
		}
	}
	res, err := search.Find(ctx, c.DB, reader, q, opt)
	if err == nil {
		err = access.Read(ctx, c.DB, a, access.ForList, "console", res.Items...)
	}
	if err != nil {
		return err
	}
	d.Asked = true
	for i, x := range c.rows(r, res.Items) {
		f := found{row: x, New: since >= 0 && res.Items[i].Number > since}
		if x.Labels != "" {
			f.LabelList = strings.Split(x.Labels, "\n")
		}
		d.Rows = append(d.Rows, f)
	}
	if res.Next != 0 {
		d.Older = web.LinkWith(r, "after", res.Cursor())
	}
	if opt.After != 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	for _, s := range []struct {
		is  bool
		say string
	}{
		{res.Exact, "This is exactly what you asked for. Put it in quotes to find what contains it."},
		{res.Stopped, "The search has looked at as much as one page may. Go on with the next page, or add a condition."},
		{res.Behind, "The newest indicators are still being indexed and may be missing."},
		{res.Common, "The beginning of a word stands for too many words: some were left out. Write more of it."},
	} {
		if s.is {
			d.Says = append(d.Says, s.say)
		}
	}
	return nil
}

// refuse answers an error of the packages behind these pages with a page.
func (c *console) refuse(w http.ResponseWriter, r *http.Request, err error) {
	x, ok := explained(err)
	if !ok {
		c.fail(w, r, err)
		return
	}
	c.pages.Fail(w, c.page(r, ""), x.Status, x.Title, x.Detail, x.Next)
}

func actsOf(a signin.Account) []option {
	out := []option{{"label", "Add the label"}, {"comment", "Comment"}, {"task", "Give a task"}}
	if a.Has("pmo_analyst") {
		out = append(out, option{"first", "First approval"})
	}
	if a.Any("pmo_analyst", "release_authority", "privacy_officer") {
		out = append(out, option{"return", "Return to the source"})
	}
	return out
}

// searchAct does one thing with the chosen indicators, saves a search, or removes one.
func (c *console) searchAct(w http.ResponseWriter, r *http.Request) {
	a, ctx := account(r), r.Context()
	err := r.ParseForm()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	form := r.PostForm
	d := searchData{Query: form.Get("q"), Text: form.Get("text"), Assignee: form.Get("assignee"), Name: form.Get("name"), Chosen: map[string]bool{}}
	done, field := 1, ""
	switch r.PathValue("act") {
	case "save":
		field = "name"
		_, err = search.Save(ctx, c.DB, a, d.Name, d.Query, form.Get("shared") == "yes", c.Now())
	case "remove":
		err = search.Remove(ctx, c.DB, a, form.Get("id"))
		d.Query = ""
	case "act":
		field = "text"
		done, err = c.actOnChosen(r, &d)
	default:
		c.missing(w, r)
		return
	}
	if err != nil {
		x, ok := explained(err)
		if !ok {
			x = c.explain(r, err)
		}
		if x.Status >= 500 || x.Status == http.StatusForbidden {
			c.refuse(w, r, err)
			return
		}
		c.showSearch(w, r, x.Status, []web.Problem{{Field: field, Text: x.Detail + " " + x.Next}}, d, -1)
		return
	}
	to := url.Values{"done": {map[string]string{"save": "kept", "remove": "forgotten", "act": "acted"}[r.PathValue("act")]}, "n": {strconv.Itoa(done)}}
	if d.Query != "" {
		to.Set("q", d.Query)
	}
	http.Redirect(w, r, "/search?"+to.Encode(), http.StatusSeeOther)
}

var errNoneChosen = errors.New("console: nothing was chosen")

// explained gives the words for errors of search, graph and casework.
func explained(err error) (access.Explanation, bool) {
	if errors.Is(err, errNoneChosen) {
		return access.Explanation{Status: http.StatusUnprocessableEntity, Title: "Nothing was chosen", Detail: "Nothing was chosen.", Next: "Choose at least one indicator."}, true
	}
	x, ok := search.Explain(err)
	if !ok {
		x, ok = casework.Explain(err)
	}
	if !ok {
		x, ok = graphExplain(err)
	}
	return x, ok
}

// actOnChosen does one act to each of the chosen indicators, and tells for how many it
// was done. The first refusal ends it, what was done before stays.
func (c *console) actOnChosen(r *http.Request, d *searchData) (int, error) {
	ctx, a, form := r.Context(), account(r), r.PostForm
	var ids []contract.ID
	for _, text := range form["id"] {
		id, err := contract.ParseID(text)
		if err == nil {
			_, err = access.Item(ctx, c.DB, a, id)
		}
		if err != nil {
			return 0, indicator.ErrNotFound
		}
		ids, d.Chosen[text] = append(ids, id), true
	}
	if len(ids) == 0 {
		return 0, errNoneChosen
	}
	if form.Get("act") == "first" {
		b, err := c.Desk.FirstAll(ctx, a, ids, d.Text, nil)
		return b.Done, firstFailure(b, err)
	}
	for i, id := range ids {
		var err error
		subject := casework.Subject{Kind: casework.Item, ID: id.String()}
		switch form.Get("act") {
		case "label":
			err = casework.Label(ctx, c.DB, a, id, d.Text, c.Now())
		case "comment":
			_, err = casework.Say(ctx, c.DB, a, subject, d.Text, c.Now())
		case "task":
			_, err = casework.Give(ctx, c.DB, a, subject, d.Text, d.Assignee, time.Time{}, c.Now())
		case "return":
			err = c.Desk.Return(ctx, a, release.Ref{ID: id}, d.Text)
		default:
			err = errNoneChosen
		}
		if err != nil {
			return i, err
		}
	}
	return len(ids), nil
}

// firstFailure makes an error of a bulk act of which nothing succeeded.
func firstFailure(b release.Bulk, err error) error {
	if err == nil && b.Done == 0 && len(b.Failures) > 0 {
		return b.Failures[0].Err
	}
	return err
}
