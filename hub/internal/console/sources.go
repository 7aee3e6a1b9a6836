package console

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/format/sheet"
	"ecs/hub/internal/inbox"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/program"
	"ecs/hub/internal/score"
	"ecs/observable"
	"ecs/web"
)

// Times of a scorecard: what counts now, and the time before it to compare with.
const cardDays = 90

// sourceRow is a source with how long its authority still holds.
type sourceRow struct {
	program.Source
	Sign sign
}

// authority says how long a source may still give.
func authority(s program.Source, now time.Time) sign {
	switch {
	case !s.Alive(now):
		return sign{"bad", "Lapsed: nothing is taken or released"}
	case s.AuthorityUntil.IsZero():
		return sign{"good", "Holds, without an end"}
	case s.AuthorityUntil.Sub(now) < 30*24*time.Hour:
		return sign{"wait", "Ends in " + web.Span(s.AuthorityUntil.Sub(now))}
	}
	return sign{"good", "Holds"}
}

func (c *console) sources(w http.ResponseWriter, r *http.Request) {
	all, err := program.Sources(r.Context(), c.DB)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	only, limited := access.Source(account(r), access.Deliveries)
	var rows []sourceRow
	for _, s := range all {
		if !limited || s.ID == only {
			rows = append(rows, sourceRow{s, authority(s, c.Now())})
		}
	}
	p := c.page(r, "/sources")
	p.Title, p.Wide = "Sources", true
	p.Lead = "Who gives indicators, under which authority, and what they have been worth."
	p.Data = struct{ Rows []sourceRow }{rows}
	c.pages.Render(w, http.StatusOK, "sources", p)
}

// trend is one figure of the scorecard beside that of the time before.
type trend struct {
	score.Metric
	Now, Before string
	Word        string // more, less, the same; empty: nothing to compare
}

type sourceData struct {
	sourceRow
	Card       *score.Scorecard // nil: not for this reader
	Trends     []trend
	Days       int
	Collection string
	Inbox      string // path of the collection's objects
	Mappings   []intake.Mapping
	MaySave    bool
}

// source reads the source that the address names, if the reader may know of it.
func (c *console) source(r *http.Request) (program.Source, error) {
	only, limited := access.Source(account(r), access.Deliveries)
	if limited && r.PathValue("id") != only {
		return program.Source{}, program.ErrNotFound
	}
	return program.GetSource(r.Context(), c.DB, r.PathValue("id"))
}

func (c *console) sourcePage(w http.ResponseWriter, r *http.Request) {
	s, err := c.source(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := sourceData{sourceRow: sourceRow{s, authority(s, c.Now())}, Days: cardDays, MaySave: access.MayDeliver(account(r), s.ID) == nil}
	d.Collection = inbox.CollectionID(s.ID)
	d.Inbox = inbox.Root + "collections/" + d.Collection + "/objects/"
	d.Mappings, err = intake.Mappings(r.Context(), c.DB, s.ID)
	var whole bool
	if err == nil {
		whole, err = access.Whole(r.Context(), c.DB, account(r))
	}
	if err == nil && whole {
		err = c.card(r, &d)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/sources")
	p.Title, p.Heading = s.Name, "Source "+s.Name
	p.Crumbs = []web.Link{{Text: "Sources", Href: "/sources"}}
	p.Wide = true
	p.Data = d
	c.pages.Render(w, http.StatusOK, "source", p)
}

// card makes the scorecard of the last days, and compares it with the days before.
func (c *console) card(r *http.Request, d *sourceData) error {
	now := c.Now().UTC()
	ask := score.Query{Source: d.ID, From: now.AddDate(0, 0, -cardDays), To: now, Stale: stale}
	card, err := score.Load(r.Context(), c.DB, ask)
	if err != nil {
		return err
	}
	ask.From, ask.To = ask.From.AddDate(0, 0, -cardDays), ask.From
	before, err := score.Load(r.Context(), c.DB, ask)
	if err != nil {
		return err
	}
	d.Card = &card
	for i := range card.Metrics {
		m := &card.Metrics[i]
		x := trend{Metric: *m, Now: m.String()}
		old := before.Metric(m.Name)
		if old != nil {
			x.Before = old.String()
			x.Word = compared(m, old)
		}
		d.Trends = append(d.Trends, x)
	}
	return nil
}

// compared says how a figure moved; nothing when one of the two is of too few.
func compared(now, before *score.Metric) string {
	a, ok := now.Percent()
	b, known := before.Percent()
	if now.Median > 0 || before.Median > 0 {
		a, b, ok, known = float64(now.Median), float64(before.Median), now.Denominator >= score.Few, before.Denominator >= score.Few
	}
	switch {
	case !ok || !known:
		return ""
	case a > b*1.1+0.5:
		return "more"
	case a < b*0.9-0.5:
		return "less"
	}
	return "about the same"
}

// stale says after how long a value is too old to be of use: as the checks do.
func stale(k observable.Kind) time.Duration {
	l, ok := policy.DefaultLifetimes[k]
	if !ok {
		return 365 * 24 * time.Hour
	}
	return l.Age
}

// mapping shows a saved mapping, to be changed.
func (c *console) mapping(w http.ResponseWriter, r *http.Request) {
	s, err := c.source(r)
	var m intake.Mapping
	if err == nil {
		m, err = intake.GetMapping(r.Context(), c.DB, s.ID, r.URL.Query().Get("name"))
	}
	var parsed *sheet.Mapping
	if err == nil {
		parsed, err = sheet.ParseMapping([]byte(m.Body))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.showMapping(w, r, http.StatusOK, s, m, parsed, nil)
}

func (c *console) showMapping(w http.ResponseWriter, r *http.Request, status int, s program.Source, m intake.Mapping, parsed *sheet.Mapping, problems []web.Problem) {
	t := newTable(parsed)
	t.Saved = m.Name
	p := c.page(r, "/sources")
	p.Title, p.Problems, p.Wide = m.Name, problems, true
	p.Heading = "Mapping " + m.Name
	p.Lead = "How the columns of this source’s files are read. The next file with these columns is read by it, whichever way it comes."
	p.Crumbs = []web.Link{{Text: "Sources", Href: "/sources"}, {Text: s.Name, Href: "/sources/" + s.ID}}
	p.Data = struct {
		intake.Mapping
		Table   *table
		MaySave bool
	}{m, t, access.MayDeliver(account(r), s.ID) == nil}
	c.pages.Render(w, status, "mapping", p)
}

// mappingAct saves a changed mapping, or removes it.
func (c *console) mappingAct(w http.ResponseWriter, r *http.Request) {
	s, err := c.source(r)
	if err == nil {
		err = access.MayDeliver(account(r), s.ID)
	}
	var m intake.Mapping
	if err == nil {
		m, err = intake.GetMapping(r.Context(), c.DB, s.ID, r.PostFormValue("name"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	to := "/sources/" + url.PathEscape(s.ID)
	switch r.PathValue("act") {
	case "remove":
		err = c.Intake.RemoveMapping(r.Context(), s.ID, m.Name, account(r).Login)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		http.Redirect(w, r, to+"?done=unmapped", http.StatusSeeOther)
	case "save":
		parsed, err := sheet.ParseMapping([]byte(m.Body))
		if err != nil {
			c.fail(w, r, err)
			return
		}
		problems := mapped(r, parsed)
		body, err := parsed.JSON()
		if err != nil {
			problems = append(problems, web.Problem{Field: "columns", Text: err.Error()})
		}
		if len(problems) == 0 {
			err = c.rename(r, m, string(body))
			if errors.Is(err, intake.ErrMapping) {
				problems = append(problems, web.Problem{Field: "save", Text: err.Error()})
			} else if err != nil {
				c.fail(w, r, err)
				return
			}
		}
		if len(problems) > 0 {
			c.showMapping(w, r, http.StatusUnprocessableEntity, s, m, parsed, problems)
			return
		}
		http.Redirect(w, r, to+"?done=mapped", http.StatusSeeOther)
	default:
		c.missing(w, r)
	}
}

// rename saves a mapping, under another name if one is given.
func (c *console) rename(r *http.Request, m intake.Mapping, body string) error {
	name := strings.Join(strings.Fields(r.PostFormValue("save")), " ")
	if name == "" {
		name = m.Name
	}
	err := c.Intake.SaveMapping(r.Context(), intake.Mapping{Source: m.Source, Name: name, Body: body, Login: account(r).Login})
	if err == nil && name != m.Name {
		err = c.Intake.RemoveMapping(r.Context(), m.Source, m.Name, account(r).Login)
	}
	return err
}
