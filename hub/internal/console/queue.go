package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
	allAtOnce = 10_000 // bounds an act on all that wait. More is done again, or by the API
	perQueue  = 25     // entries of one page of the queue
)

// queueEntry is one thing to decide: an indicator, or many that are one question.
type queueEntry struct {
	review.Question // of a single indicator: what is known of it as one
	Field, Value    string
	Row             row           // of a single one
	Sheet           *review.Sheet // of a single one
	Sample          []sampled     // of many, the riskiest first
	Link            string        // to all of many
	Chosen          bool
}

// sampled is one of many.
type sampled struct {
	row
	Sheet *review.Sheet
}

type queueTab struct {
	step
	Count   int64
	Current bool
}

type queueData struct {
	Tabs     []queueTab
	Step     step
	Total    int64
	AllMost  int64  // how many an act on all would take now
	Each     bool   // one by one
	Only     string // a question's members only
	Text     string // searched for
	Entries  []queueEntry
	Held     int // questions that do not fit on the page
	Offers   []offer
	Last     map[string]bool // targets of the reader's last release
	Reasons  []reasonGroup
	Able     bool
	Older    string
	Newer    string
	Reason   string
	Code     string
	Chosen   map[string]bool
	All      bool
	Failed   []release.Failure
	UndoPath string
}

// reasonGroup are the reason codes for one act.
type reasonGroup struct {
	Act, Text string
	Codes     []review.Reason
}

func stepOf(key string) (step, bool) {
	for _, s := range steps {
		if s.Key == key {
			return s, true
		}
	}
	return step{}, false
}

// reasonsFor lists the codes of what can be decided at a step.
func reasonsFor(s step) []reasonGroup {
	main := map[string]string{"privacy": "To determine", "override": "To override", "first": "To approve", "second": "To approve and release"}
	return []reasonGroup{
		{s.Key, main[s.Key], review.Reasons(s.Key)},
		{indicator.KindReturn, "To return", codesFor(indicator.KindReturn)},
		{indicator.KindReject, "To reject", codesFor(indicator.KindReject)},
	}
}

// codesFor gives the desk's codes in the form of the others.
func codesFor(kind string) []review.Reason {
	var out []review.Reason
	for _, c := range release.Codes(kind) {
		out = append(out, review.Reason{Code: string(c), Text: c.Text()})
	}
	return out
}

func (c *console) queue(w http.ResponseWriter, r *http.Request) {
	c.showQueue(w, r, r.URL.Query(), http.StatusOK, func(*web.Page, *queueData) {})
}

// showQueue shows one step of the queue as the address asks; change may add what a
// refused form held.
func (c *console) showQueue(w http.ResponseWriter, r *http.Request, q url.Values, status int, change func(*web.Page, *queueData)) {
	a := account(r)
	count, err := access.Count(r.Context(), c.DB, a)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	s, ok := stepOf(q.Get("step"))
	if !ok {
		s = firstStep(a, count)
	}
	p := c.page(r, "/queue")
	p.Title, p.Heading, p.Wide = "Approval queue: "+s.Name, "Approval queue", true
	p.Lead = "Every release needs two persons. Nobody decides twice on one indicator."
	d := &queueData{
		Step: s, Total: count[s.State], AllMost: min(count[s.State], allAtOnce), Able: a.Any(s.Roles...), Chosen: map[string]bool{},
		Each: q.Get("view") == "each" || q.Get("q") != "" || q.Get("question") != "", Only: q.Get("question"), Text: strings.TrimSpace(q.Get("q")),
		Reasons: reasonsFor(s),
	}
	for _, x := range steps {
		d.Tabs = append(d.Tabs, queueTab{x, count[x.State], x.Key == s.Key})
	}
	change(p, d)
	switch {
	case d.Only != "":
		err = c.members(r, q, d)
	case d.Each:
		err = c.each(r, q, p, d)
	default:
		err = c.questions(r, q, d)
	}
	if err == nil && s.Key == "second" && d.Able {
		d.Offers, err = c.offers(r.Context(), nil)
		if err == nil {
			d.Last, err = c.review.LastTargets(r.Context(), a)
		}
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	err = access.Read(r.Context(), c.DB, a, access.ForReview, "console", shown(d.Entries)...)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p.Marking, p.Data = markingOf(d.Entries), d
	c.pages.Render(w, status, "queue", p)
}

// firstStep is the first at which something waits for this reader.
func firstStep(a signinAccount, count map[indicator.State]int64) step {
	s, any := steps[2], false
	for _, x := range steps {
		if !a.Any(x.Roles...) {
			continue
		}
		if count[x.State] > 0 {
			return x
		}
		if !any {
			s, any = x, true
		}
	}
	return s
}

func markingOf(entries []queueEntry) string {
	if len(entries) == 0 {
		return ""
	}
	most := entries[0].TLP
	for i := range entries {
		most = max(most, entries[i].TLP)
	}
	return most.String()
}

// shown gives the indicators that entries show.
func shown(entries []queueEntry) []indicator.Item {
	var out []indicator.Item
	for i := range entries {
		if entries[i].Sheet != nil {
			out = append(out, entries[i].Row.Item)
		}
		for j := range entries[i].Sample {
			out = append(out, entries[i].Sample[j].Item)
		}
	}
	return out
}

// questions shows what waits, put together.
func (c *console) questions(r *http.Request, q url.Values, d *queueData) error {
	after, err := cursor(q.Get("after"))
	if err != nil {
		return err
	}
	page, err := c.review.Questions(r.Context(), account(r), d.Step.State, after)
	if err != nil {
		return err
	}
	here := page.Questions[:min(len(page.Questions), perQueue)]
	d.Held = len(page.Questions) - len(here)
	if !page.Next.IsZero() {
		d.Older = "/queue?step=" + d.Step.Key + "&after=" + page.Next.String()
	}
	if !after.IsZero() {
		d.Newer = "/queue?step=" + d.Step.Key
	}
	d.Entries, err = c.entries(r, here)
	for i := range d.Entries {
		e := &d.Entries[i]
		e.Chosen = d.Chosen[e.Value]
		if e.Count > 1 {
			e.Link = "/queue?" + url.Values{"step": {d.Step.Key}, "question": {e.Key}, "last": {e.Last.String()}}.Encode()
		}
	}
	return err
}

func cursor(text string) (contract.ID, error) {
	if text == "" {
		return contract.ID{}, nil
	}
	id, err := contract.ParseID(text)
	if err != nil {
		return id, fmt.Errorf("%w: %q", access.ErrCursor, text)
	}
	return id, nil
}

// each shows what waits one by one, or what of it fits a search.
func (c *console) each(r *http.Request, q url.Values, p *web.Page, d *queueData) error {
	f := indicator.Filter{States: []indicator.State{d.Step.State}, Limit: perQueue + 1, Text: d.Text}
	if problem := c.searchable(r, d.Text); problem != "" {
		p.Problems = append(p.Problems, web.Problem{Field: "q", Text: problem})
		return nil
	}
	err := access.Narrow(r.Context(), c.DB, account(r), &f)
	if err == nil {
		f.After, err = access.After(r.Context(), c.DB, account(r), q.Get("after"))
	}
	if err != nil {
		return err
	}
	items, err := indicator.List(r.Context(), c.DB, f)
	if err != nil {
		return err
	}
	here := url.Values{"step": {d.Step.Key}, "view": {"each"}}
	if d.Text != "" {
		here.Set("q", d.Text)
	}
	if f.After != 0 {
		d.Newer = "/queue?" + here.Encode()
	}
	if len(items) > perQueue {
		items = items[:perQueue]
		here.Set("after", items[perQueue-1].ID.String())
		d.Older = "/queue?" + here.Encode()
	}
	return c.single(r, items, d)
}

// searchable says why the reader may not search for a text, or nothing.
func (c *console) searchable(r *http.Request, text string) string {
	_, err := contract.ParseID(text)
	switch {
	case len(text) > 500:
		return "Search for at most 500 letters"
	case text != "" && err != nil && !access.May(account(r), access.Values):
		return "Your roles permit a search by a whole identifier only"
	}
	return ""
}

// members shows those of one question, the riskiest first.
func (c *console) members(r *http.Request, q url.Values, d *queueData) error {
	last, err := contract.ParseID(q.Get("last"))
	if err != nil {
		return fmt.Errorf("%w: %q", access.ErrCursor, q.Get("last"))
	}
	items, err := c.review.Members(r.Context(), account(r), d.Step.State, d.Only, last, review.Looked)
	if err == nil {
		err = c.review.Rank(r.Context(), account(r), items)
	}
	if err != nil {
		return err
	}
	from := max(0, min(int(web.QueryNumber(r, "from")), len(items)))
	to := min(from+perQueue, len(items))
	here := url.Values{"step": {d.Step.Key}, "question": {d.Only}, "last": {q.Get("last")}}
	if from > 0 {
		d.Newer = "/queue?" + here.Encode()
	}
	if to < len(items) {
		here.Set("from", strconv.Itoa(to))
		d.Older = "/queue?" + here.Encode()
	}
	return c.single(r, items[from:to], d)
}

// single makes an entry of each indicator.
func (c *console) single(r *http.Request, items []indicator.Item, d *queueData) error {
	sheets, err := c.review.Sheets(r.Context(), account(r), items)
	if err != nil {
		return err
	}
	rows := c.rows(r, items)
	for i := range rows {
		e := queueEntry{Question: review.Question{Count: 1}, Field: "id", Value: rows[i].ID.String(), Row: rows[i], Sheet: &sheets[i]}
		e.TLP, e.Category, e.Last, e.Oldest, e.Clock = rows[i].TLP, rows[i].Category, rows[i].ID, rows[i].Created, sheets[i].Clock
		e.Chosen = d.Chosen[e.Value]
		d.Entries = append(d.Entries, e)
	}
	return nil
}

// entries makes an entry of each question, with the sheets of what it shows.
func (c *console) entries(r *http.Request, qs []review.Question) ([]queueEntry, error) {
	var items []indicator.Item
	for i := range qs {
		items = append(items, qs[i].Sample...)
	}
	var sheets []review.Sheet
	for len(sheets) < len(items) {
		some, err := c.review.Sheets(r.Context(), account(r), items[len(sheets):min(len(items), len(sheets)+review.MaxSheets)])
		if err != nil {
			return nil, err
		}
		sheets = append(sheets, some...)
	}
	rows := c.rows(r, items)
	out := make([]queueEntry, len(qs))
	n := 0
	for i := range qs {
		e := queueEntry{Question: qs[i], Field: "question", Value: qs[i].Key + " " + qs[i].Last.String()}
		for range qs[i].Sample {
			e.Sample = append(e.Sample, sampled{rows[n], &sheets[n]})
			n++
		}
		if e.Count == 1 {
			e.Field, e.Value = "id", e.Sample[0].ID.String()
			e.Row, e.Sheet, e.Sample = e.Sample[0].row, e.Sample[0].Sheet, nil
		}
		out[i] = e
	}
	return out, nil
}

// bulk does one thing to many indicators: the chosen ones and questions, or all that
// wait.
func (c *console) bulk(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	what := r.PostForm.Get("act")
	s, ok := stepOf(r.PostForm.Get("step"))
	if !ok {
		c.missing(w, r)
		return
	}
	refuse := func(status int, failed []release.Failure, problems ...web.Problem) {
		c.showQueue(w, r, backTo(r, s), status, func(p *web.Page, d *queueData) {
			p.Problems, d.Failed, d.All = problems, failed, r.PostForm.Get("which") == "all"
			d.Reason, d.Code = strings.TrimSpace(r.PostForm.Get("reason")), r.PostForm.Get("code")
			for _, field := range []string{"id", "question", "target"} {
				for _, v := range r.PostForm[field] {
					d.Chosen[v] = true
				}
			}
		})
	}
	why, bad := reasonOf(what, r.PostForm)
	ids, err := c.chosen(r, s)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(ids) == 0 {
		bad = append([]web.Problem{{Field: "which-checked", Text: "Choose at least one indicator"}}, bad...)
	}
	if len(bad) > 0 {
		refuse(http.StatusUnprocessableEntity, nil, bad...)
		return
	}
	if len(ids) > longRun {
		c.longRun(w, r, s, what, ids, why)
		return
	}
	long := web.NewPatience(w)
	b, err := c.many(r.Context(), r, what, ids, why, func(int, int) { long.Progress() })
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
	q := backTo(r, s)
	q.Set("done", "bulk")
	q.Set("n", strconv.Itoa(b.Done))
	http.Redirect(w, r, "/queue?"+q.Encode(), http.StatusSeeOther)
}

// backTo gives the view of the queue from which a form came.
func backTo(r *http.Request, s step) url.Values {
	q := url.Values{"step": {s.Key}}
	for _, name := range []string{"view", "q"} {
		if v := r.PostForm.Get(name); v != "" {
			q.Set(name, v)
		}
	}
	return q
}

// reasonOf reads the reason of a form: a code of the act's list, words, or both.
func reasonOf(what string, form url.Values) (release.Why, []web.Problem) {
	why := release.Why{Code: release.Code(form.Get("code")), Text: strings.TrimSpace(form.Get("reason"))}
	stop := what == indicator.KindReturn || what == indicator.KindReject
	if why.Code == "" && why.Text == "" {
		return why, []web.Problem{{Field: "reason", Text: "Choose a reason, or write one: at least one short sentence"}}
	}
	if stop {
		if why.Code == "" {
			why.Code = release.Other
		}
		return why, nil
	}
	if why.Code == "" {
		return why, nil
	}
	for _, x := range review.Reasons(what) {
		if x.Code == string(why.Code) {
			// The list is ours and the desk keeps sentences: the code stands before it.
			if why.Text == "" {
				why.Text = x.Text
			}
			why.Text = x.Code + ": " + why.Text
			return why, nil
		}
	}
	return why, []web.Problem{{Field: "code", Text: "This reason is for another act: choose one of this act’s"}}
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
	for _, v := range r.PostForm["question"] {
		key, last, _ := strings.Cut(v, " ")
		id, err := contract.ParseID(last)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", indicator.ErrNotFound, last)
		}
		items, err := c.review.Members(r.Context(), account(r), s.State, key, id, 0)
		if err != nil {
			return nil, err
		}
		for i := range items {
			out = append(out, items[i].ID)
		}
	}
	return out, nil
}

// many hands an act on many indicators to the desk.
func (c *console) many(ctx context.Context, r *http.Request, what string, ids []contract.ID, why release.Why, progress func(done, total int)) (release.Bulk, error) {
	a := account(r)
	switch what {
	case "first":
		return c.Desk.FirstAll(ctx, a, ids, why.Text, progress)
	case "second":
		targets, err := targetsOf(r.PostForm["target"])
		if err != nil {
			return release.Bulk{}, err
		}
		return c.Desk.SecondAll(ctx, a, ids, why.Text, targets, progress)
	case indicator.KindReturn:
		return c.Desk.ReturnAll(ctx, a, ids, why, progress)
	case indicator.KindReject:
		return c.Desk.RejectAll(ctx, a, ids, why, progress)
	}
	// The others have no bulk form at the desk: one after the other.
	var b release.Bulk
	for i, id := range ids {
		progress(i, len(ids))
		_, err := c.do(ctx, a, what, release.Ref{ID: id}, map[string][]string{"reason": {why.Text}, "determination": r.PostForm["determination"]})
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
