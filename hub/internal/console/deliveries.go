package console

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
	"ecs/web"
)

type deliveriesData struct {
	Rows         []access.Batch
	Sources      []program.Source
	Choices      []option
	Source       string
	Format       string
	Formats      []option
	MayDeliver   bool
	Newer, Older string
}

func (c *console) deliveries(w http.ResponseWriter, r *http.Request) {
	c.showDeliveries(w, r, http.StatusOK, nil)
}

func (c *console) showDeliveries(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	a := account(r)
	p := c.page(r, "/deliveries")
	p.Title, p.Wide, p.Problems = "Deliveries", true, problems
	p.Lead = "What sources have given, and what was refused of it and why."
	d := deliveriesData{MayDeliver: access.May(a, access.Deliver), Formats: []option{{intake.STIX, "STIX 2.1 bundle"}, {intake.CSV, "CSV"}}}
	only, limited := access.Source(a, access.Deliveries)
	var before time.Time
	n := web.QueryNumber(r, "before")
	if n > 0 {
		before = sqldb.FromTime(n)
		d.Newer = web.LinkWith(r, "before", "")
	}
	var err error
	d.Rows, err = access.Batches(r.Context(), c.DB, a, "", before, perPage+1)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = web.LinkWith(r, "before", strconv.FormatInt(sqldb.Time(d.Rows[perPage-1].Received), 10))
	}
	all, err := program.Sources(r.Context(), c.DB)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, s := range all {
		if limited && s.ID != only {
			continue
		}
		d.Sources = append(d.Sources, s)
		d.Choices = append(d.Choices, option{s.ID, s.Name})
	}
	p.Data = d
	c.pages.Render(w, status, "deliveries", p)
}

// deliver takes in a file from the form. The fields before the file have come
// when the file begins, so that it is read as it arrives.
func (c *console) deliver(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		c.showDeliveries(w, r, http.StatusBadRequest, []web.Problem{{Field: "file", Text: "Choose a file"}})
		return
	}
	d := intake.Delivery{Submitter: account(r).Login}
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
			}
			continue
		}
		d.Name = filepath.Base(strings.ReplaceAll(part.FileName(), `\`, "/"))
		if part.FileName() == "" {
			c.showDeliveries(w, r, http.StatusUnprocessableEntity, []web.Problem{{Field: "file", Text: "Choose a file"}})
			return
		}
		err = access.MayDeliver(account(r), d.Source)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		long := web.NewPatience(w)
		report, err := c.Intake.Submit(r.Context(), d, long.Reader(part), func(intake.Progress) { long.Progress() })
		if err != nil {
			x := c.explain(r, err)
			if x.Status >= 500 {
				c.fail(w, r, err)
				return
			}
			c.showDeliveries(w, r, x.Status, []web.Problem{{Field: "file", Text: x.Detail + " " + x.Next}})
			return
		}
		http.Redirect(w, r, "/deliveries/"+report.ID+"?done=delivered", http.StatusSeeOther)
		return
	}
}

func (c *console) delivery(w http.ResponseWriter, r *http.Request) {
	b, err := access.Delivery(r.Context(), c.DB, account(r), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	after := web.QueryNumber(r, "after")
	rows, err := access.Refusals(r.Context(), c.DB, b, after, perPage+1)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := struct {
		access.Batch
		Refusals     []intake.Refusal
		Newer, Older string
	}{Batch: b, Refusals: rows}
	if len(rows) > perPage {
		d.Refusals = rows[:perPage]
		d.Older = web.LinkWith(r, "after", strconv.FormatInt(rows[perPage-1].Number, 10))
	}
	if after > 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	p := c.page(r, "/deliveries")
	p.Title, p.Wide = b.Name, true
	p.Heading = "Delivery " + b.Name
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}}
	if b.Error != "" {
		p.Notes = []web.Note{{Kind: "error", Title: "This delivery was not taken completely", Text: b.Error}}
	}
	if b.Partial {
		p.Notes = append(p.Notes, web.Note{Kind: "info", Title: "What your clearance reaches", Text: "The page tells of the indicators that your clearance reaches. What was refused, the size and the digest are for those who may see all that this hub may hold."})
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "delivery", p)
}
