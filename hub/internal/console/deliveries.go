package console

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/format/report"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
	"ecs/web"
)

// patience is how long a page waits for an upload to be taken in before it shows how
// far that is.
const patience = 4 * time.Second

type deliveriesData struct {
	Rows         []access.Batch
	Held         []intake.Held // of the reader, not taken in yet
	Choices      []option
	Source       string
	Format       string
	Formats      []option
	Straight     bool
	MayDeliver   bool
	Newer, Older string
}

// formatNames are what people call the formats.
var formatNames = map[string]string{
	intake.Auto: "Find out", intake.STIX: "STIX 2.1 or 2.0", intake.CSV: "Table: CSV", intake.XLSX: "Table: Excel workbook (XLSX)",
	intake.MISP: "MISP event", intake.ReportText: "Report: text that people wrote", "list": "Plain list, one value a line", "hosts": "Hosts file",
	"rpz": "Response policy zone (RPZ)", "suricata": "Suricata or Snort rules", "dataset": "Suricata dataset", "zeek": "Zeek intelligence file",
	"maltrail": "Maltrail trails",
}

// formatName gives a format's name for people.
func formatName(format string) string {
	name, ok := formatNames[format]
	if !ok {
		return format
	}
	return name
}

// formats are the choices of a form.
func formats(auto bool) []option {
	var out []option
	for _, f := range intake.Formats() {
		if f != intake.Auto || auto {
			out = append(out, option{f, formatName(f)})
		}
	}
	return out
}

func (c *console) deliveries(w http.ResponseWriter, r *http.Request) {
	c.showDeliveries(w, r, http.StatusOK, nil)
}

func (c *console) showDeliveries(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	a := account(r)
	p := c.page(r, "/deliveries")
	p.Title, p.Wide, p.Problems = "Deliveries", true, problems
	p.Lead = "What sources have given, and what was refused of it and why."
	d := deliveriesData{MayDeliver: access.May(a, access.Deliver), Formats: formats(true), Format: intake.Auto}
	var before time.Time
	n := web.QueryNumber(r, "before")
	if n > 0 {
		before = sqldb.FromTime(n)
		d.Newer = web.LinkWith(r, "before", "")
	}
	var err error
	d.Rows, err = access.Batches(r.Context(), c.DB, a, r.URL.Query().Get("source"), before, perPage+1)
	if err == nil && d.MayDeliver {
		d.Choices, err = c.sourceChoices(r)
	}
	if err == nil && d.MayDeliver {
		d.Held, err = c.Intake.HeldBy(a.Login)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = web.LinkWith(r, "before", strconv.FormatInt(sqldb.Time(d.Rows[perPage-1].Received), 10))
	}
	p.Data = d
	c.pages.Render(w, status, "deliveries", p)
}

// sourceChoices are the sources for which the account delivers.
func (c *console) sourceChoices(r *http.Request) ([]option, error) {
	all, err := program.Sources(r.Context(), c.DB)
	if err != nil {
		return nil, err
	}
	var out []option
	for _, s := range all {
		if access.MayDeliver(account(r), s.ID) == nil {
			out = append(out, option{s.ID, s.Name})
		}
	}
	return out, nil
}

// deliver keeps a file from the form. The fields before the file have come when the
// file begins, so that it is read as it arrives.
func (c *console) deliver(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		c.showDeliveries(w, r, http.StatusBadRequest, []web.Problem{{Field: "file", Text: "Choose a file"}})
		return
	}
	d := intake.Delivery{Submitter: account(r).Login, Format: intake.Auto}
	straight := false
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			c.showDeliveries(w, r, http.StatusUnprocessableEntity, []web.Problem{{Field: "file", Text: "Choose a file"}})
			return
		}
		if err != nil {
			c.showDeliveries(w, r, http.StatusBadRequest, []web.Problem{{Text: "The form did not arrive completely. Send it again."}})
			return
		}
		if part.FormName() != "file" {
			text, err := io.ReadAll(io.LimitReader(part, 200))
			if err != nil {
				continue // NextPart will tell
			}
			switch part.FormName() {
			case "source":
				d.Source = string(text)
			case "format":
				d.Format = string(text)
			case "straight":
				straight = len(text) > 0
			}
			continue
		}
		d.Name = filepath.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
		if part.FileName() == "" {
			c.showDeliveries(w, r, http.StatusUnprocessableEntity, []web.Problem{{Field: "file", Text: "Choose a file"}})
			return
		}
		long := web.NewPatience(w)
		c.hold(w, r, d, long.Reader(part), straight, func(status int, problem string) {
			c.showDeliveries(w, r, status, []web.Problem{{Field: "file", Text: problem}})
		})
		return
	}
}

// hold keeps an upload, and shows it; straight takes it in at once when it can be
// read as it is.
func (c *console) hold(w http.ResponseWriter, r *http.Request, d intake.Delivery, from io.Reader, straight bool, again func(status int, problem string)) {
	err := access.MayDeliver(account(r), d.Source)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	h, err := c.Intake.Hold(r.Context(), d, from)
	if err != nil {
		x := c.explain(r, err)
		if x.Status >= 500 {
			c.fail(w, r, err)
			return
		}
		again(x.Status, x.Detail+" "+x.Next)
		return
	}
	if straight {
		u, err := c.upload(r, h, 1)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		if u.Preview.Refused == "" {
			c.takeHeld(w, r, h)
			return
		}
	}
	http.Redirect(w, r, "/uploads/"+h.ID, http.StatusSeeOther)
}

type pasteData struct {
	Choices           []option
	Formats           []option
	Source, Name      string
	Format, Text      string
	Publisher         string
	TextMost, Present int
}

func (c *console) paste(w http.ResponseWriter, r *http.Request) {
	c.showPaste(w, r, http.StatusOK, pasteData{Format: intake.Auto, Source: r.URL.Query().Get("source")}, nil)
}

func (c *console) showPaste(w http.ResponseWriter, r *http.Request, status int, d pasteData, problems []web.Problem) {
	var err error
	d.Choices, err = c.sourceChoices(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d.Formats = slices.DeleteFunc(formats(true), func(o option) bool { return o.Value == intake.XLSX })
	p := c.page(r, "/deliveries")
	p.Title, p.Problems = "Paste text", problems
	p.Lead = "A report, a mail, a list or a table, as it is: defanged values are read. Nothing is taken in before you have seen what was found."
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}}
	p.Data = d
	c.pages.Render(w, status, "paste", p)
}

// pasteLimit is the most bytes of the form: a report at most, and the other fields.
const pasteLimit = report.MaxText + 64<<10

// pasted keeps a text from the form.
func (c *console) pasted(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, pasteLimit)
	err := r.ParseMultipartForm(pasteLimit)
	if err != nil {
		c.showPaste(w, r, http.StatusBadRequest, pasteData{Format: intake.Auto}, []web.Problem{
			{Field: "text", Text: "The text did not arrive completely, or is longer than a report may be (4 MiB). Deliver it as a file."},
		})
		return
	}
	d := pasteData{
		Source: r.PostFormValue("source"), Format: r.PostFormValue("format"), Name: strings.TrimSpace(r.PostFormValue("name")), Text: r.PostFormValue("text"),
	}
	if strings.TrimSpace(d.Text) == "" {
		c.showPaste(w, r, http.StatusUnprocessableEntity, d, []web.Problem{{Field: "text", Text: "Paste a text first"}})
		return
	}
	name := d.Name
	if name == "" {
		name = "pasted " + c.Now().UTC().Format("2006-01-02 15:04")
	}
	delivery := intake.Delivery{Source: d.Source, Name: name, Format: d.Format, Submitter: account(r).Login}
	text := strings.ReplaceAll(d.Text, "\r\n", "\n") // forms send line ends of their own
	c.hold(w, r, delivery, strings.NewReader(text), false, func(status int, problem string) {
		c.showPaste(w, r, status, d, []web.Problem{{Field: "text", Text: problem}})
	})
}

// takeHeld takes an upload in, and goes to what became of it.
func (c *console) takeHeld(w http.ResponseWriter, r *http.Request, h intake.Held) {
	rep, finished, err := c.Intake.Take(r.Context(), h, patience)
	if err != nil {
		x := c.explain(r, err)
		if x.Status >= 500 {
			c.fail(w, r, err)
			return
		}
		c.showUpload(w, r, x.Status, h, []web.Problem{{Text: x.Detail + " " + x.Next}})
		return
	}
	q := url.Values{}
	switch {
	case !finished:
		http.Redirect(w, r, "/uploads/"+h.ID+"?follow=1", http.StatusSeeOther)
		return
	case rep.Same:
		q.Set("done", "same")
	default:
		q.Set("done", "delivered")
	}
	http.Redirect(w, r, "/deliveries/"+rep.ID+"?"+q.Encode(), http.StatusSeeOther)
}
