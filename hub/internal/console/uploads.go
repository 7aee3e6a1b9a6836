package console

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"ecs/hub/internal/access"
	"ecs/hub/internal/format"
	"ecs/hub/internal/format/report"
	"ecs/hub/internal/intake"
	"ecs/web"
)

// Bounds of what a page shows of an upload.
const (
	sampleRows    = 25    // of a table
	previewRows   = 40    // of anything but a report
	maxCandidates = 1_000 // of a report: each has a box to tick
)

// upload is what is known of an upload that is not taken in yet.
type upload struct {
	intake.Held
	FormatName string
	Preview    intake.Preview
	Table      *table       // of a table whose columns need a meaning
	Text       *text        // of a report
	Known      intake.Batch // the same file, read in the same way before
	Taking     bool
	Progress   intake.Progress
	Gone       bool // it was taken in meanwhile
	Counts     previewCounts
}

// previewCounts sum up a preview.
type previewCounts struct{ Good, Stopped, Refused, Objects, Skipped, Changed int }

func (u *upload) count() {
	for i := range u.Preview.Rows {
		row := &u.Preview.Rows[i]
		switch {
		case row.Refusal != nil:
			u.Counts.Refused++
		case row.Object != "":
			u.Counts.Objects++
		case row.Skipped || row.Takes:
			u.Counts.Skipped++
		case row.State == "PENDING_FIRST":
			u.Counts.Good++
		default:
			u.Counts.Stopped++
		}
		if row.Changed() {
			u.Counts.Changed++
		}
	}
}

// upload looks at an upload: its first records as they would be judged, and what a
// person may say about how it is read.
func (c *console) upload(r *http.Request, h intake.Held, rows int) (u upload, err error) {
	u = upload{Held: h, FormatName: formatName(h.Format)}
	f, err := c.Intake.OpenHeld(h)
	if err != nil {
		return u, err
	}
	defer func() { _ = f.Close() }()
	d := intake.Delivery{Source: h.Source, Name: h.Name, Format: h.Format, Mapping: h.Mapping, Submitter: h.Submitter}
	switch {
	case intake.Sheet(h.Format):
		err = c.lookTable(r.Context(), &u, &d, f, rows)
	case h.Format == intake.ReportText:
		err = c.lookText(r.Context(), &u, d, f)
	default:
		u.Preview, err = c.Intake.Preview(r.Context(), d, f, rows)
	}
	if err != nil {
		return u, err
	}
	u.count()
	known, err := intake.FindBatch(r.Context(), c.DB, d, h.Digest)
	if err == nil {
		_, err = access.Delivery(r.Context(), c.DB, account(r), known.ID)
		if err == nil {
			u.Known = known
		}
	}
	return u, nil
}

// text is a report of which values are to be chosen.
type text struct {
	report.Option
	Publishers string
	Candidates []candidate
	Labels     []string
	Markings   []string
	More       int // candidates that are not shown
	Taken      int
}

// candidate is one value of a report, with its verdict.
type candidate struct {
	report.Candidate
	Verdict intake.PreviewRow
}

// lookText finds the candidates of a report and judges each as if it were taken.
func (c *console) lookText(ctx context.Context, u *upload, d intake.Delivery, f *os.File) error {
	o, err := intake.ReportOption(d.Mapping, c.Site.Demonstration)
	if err != nil {
		u.Preview.Refused = err.Error()
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(f, report.MaxText))
	if err != nil {
		return err
	}
	found := report.Find(string(body), o)
	all := o
	for i := range found.Candidates {
		all.Take = append(all.Take, found.Candidates[i].Value)
	}
	all.Leave = nil
	d.Mapping = intake.ReportMapping(all)
	judged, err := c.Intake.Preview(ctx, d, f, maxCandidates)
	if err != nil {
		return err
	}
	u.Preview = judged
	u.Text = &text{Option: o, Publishers: strings.Join(o.Publisher, ", "), Labels: found.Labels, Markings: found.Markings}
	for i, x := range found.Candidates {
		if x.Take {
			u.Text.Taken++
		}
		if i >= len(judged.Rows) {
			u.Text.More++
			continue
		}
		u.Text.Candidates = append(u.Text.Candidates, candidate{x, judged.Rows[i]})
	}
	return nil
}

// showUpload shows an upload that waits.
func (c *console) showUpload(w http.ResponseWriter, r *http.Request, status int, h intake.Held, problems []web.Problem) {
	u, err := c.upload(r, h, previewRows)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/deliveries")
	p.Title, p.Wide, p.Problems = h.Name, true, problems
	p.Heading = "Look at " + h.Name
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}}
	u.Progress, u.Taking = c.Intake.Taking(h)
	if u.Known.ID != "" && !u.Taking {
		p.Notes = append(p.Notes, known(u.Known))
	}
	if h.Error != "" && !u.Taking {
		p.Notes = append(p.Notes, web.Note{Kind: "error", Title: "It was not taken in", Text: h.Error})
	}
	if u.Taking && r.URL.Query().Get("follow") != "" {
		w.Header().Set("Refresh", "2") // as the reader asked; the page has a link that ends it
	}
	p.Data = struct {
		upload
		Formats []option
		Follow  bool
	}{u, formats(false), r.URL.Query().Get("follow") != ""}
	c.pages.Render(w, status, "upload", p)
}

// known says that the same file was here before.
func known(b intake.Batch) web.Note {
	n := web.Note{Kind: "info", Title: "This file was delivered before", Text: "On " + b.Received.Format("2006-01-02 15:04") + " UTC, as " + b.Name + ". Taking it in again changes nothing, unless you change how it is read."}
	if b.Finished.IsZero() || b.Error != "" {
		n.Text = "On " + b.Received.Format("2006-01-02 15:04") + " UTC, as " + b.Name + ", and not to its end. Taking it in goes on where it stopped."
	}
	return n
}

// held reads the upload that the address names, if it is the reader's and the reader
// may still deliver for its source.
func (c *console) held(r *http.Request) (intake.Held, error) {
	h, err := c.Intake.GetHeld(account(r).Login, r.PathValue("id"))
	if err == nil {
		err = access.MayDeliver(account(r), h.Source)
	}
	return h, err
}

func (c *console) look(w http.ResponseWriter, r *http.Request) {
	h, err := c.held(r)
	if err != nil {
		batch := c.Intake.Became(r.PathValue("id"))
		if batch != "" {
			http.Redirect(w, r, "/deliveries/"+batch+"?done=delivered", http.StatusSeeOther)
			return
		}
		c.fail(w, r, err)
		return
	}
	c.showUpload(w, r, http.StatusOK, h, nil)
}

// uploadAct obeys the form of an upload.
func (c *console) uploadAct(w http.ResponseWriter, r *http.Request) {
	h, err := c.held(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	act := r.PathValue("act")
	if act == "drop" {
		err = c.Intake.DropHeld(h)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		http.Redirect(w, r, "/deliveries?done=dropped", http.StatusSeeOther)
		return
	}
	if act != "look" && act != "take" {
		c.missing(w, r)
		return
	}
	problems, err := c.said(r, &h)
	if err == nil {
		err = c.Intake.KeepHeld(h)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	switch {
	case len(problems) > 0:
		c.showUpload(w, r, http.StatusUnprocessableEntity, h, problems)
	case act == "look":
		http.Redirect(w, r, "/uploads/"+url.PathEscape(h.ID), http.StatusSeeOther)
	default:
		c.takeHeld(w, r, h)
	}
}

// said takes over what a person has said about how an upload is read.
func (c *console) said(r *http.Request, h *intake.Held) ([]web.Problem, error) {
	h.Error = ""
	format := r.PostFormValue("format")
	if format != "" && format != h.Format {
		h.Format, h.Detected, h.Mapping, h.Saved = format, false, "", ""
		return nil, nil // what else the form says is about the old one
	}
	switch {
	case intake.Sheet(h.Format) && r.PostFormValue("columns") != "":
		return c.saidTable(r, h)
	case h.Format == intake.ReportText:
		return nil, c.saidText(r, h)
	}
	return nil, nil
}

// saidText takes over which values of a report are meant.
func (c *console) saidText(r *http.Request, h *intake.Held) error {
	f, err := c.Intake.OpenHeld(*h)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	body, err := io.ReadAll(io.LimitReader(f, report.MaxText))
	if err != nil {
		return err
	}
	was, err := intake.ReportOption(h.Mapping, c.Site.Demonstration)
	if err != nil {
		return err
	}
	was.Take, was.Leave = nil, nil
	o := report.Option{Demonstration: c.Site.Demonstration, Fanged: r.PostFormValue("fanged") != "", FileNames: r.PostFormValue("file_names") != ""}
	for name := range strings.SplitSeq(r.PostFormValue("publisher"), ",") {
		name = strings.TrimSpace(name)
		if name != "" && len(o.Publisher) < 20 {
			o.Publisher = append(o.Publisher, name)
		}
	}
	ticked, shown := map[string]bool{}, map[string]bool{}
	for _, v := range r.PostForm["take"] {
		ticked[v] = true
	}
	for _, v := range r.PostForm["shown"] {
		shown[v] = true
	}
	// A box says something where it differs from what was proposed beside it.
	for _, x := range report.Extract(string(body), was) {
		switch {
		case !shown[x.Value] || ticked[x.Value] == x.Take:
		case x.Take:
			o.Leave = append(o.Leave, x.Value)
		default:
			o.Take = append(o.Take, x.Value)
		}
	}
	h.Mapping = intake.ReportMapping(o)
	return nil
}

// limits are those of a look at an upload.
func limits() format.Limits { return format.Limits{Record: 256 << 10, Total: 1 << 30} }
