package console

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/web"
)

// stop is how many indicators of a delivery are in a state now.
type stop struct {
	sign
	State indicator.State
	N     int64
	More  bool // there are more than were counted
}

type batchData struct {
	access.Batch
	FormatName   string
	Took         time.Duration
	Rate         int64 // records a second
	Follow       bool
	Stops        []stop
	Codes        []intake.Tally
	Refusals     []intake.Refusal
	Newer, Older string
}

func (c *console) delivery(w http.ResponseWriter, r *http.Request) {
	a := account(r)
	b, err := access.Delivery(r.Context(), c.DB, a, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := batchData{Batch: b, FormatName: formatName(b.Format), Follow: r.URL.Query().Get("follow") != "" && b.Finished.IsZero()}
	d.pace(c.Now())
	after := web.QueryNumber(r, "after")
	d.Refusals, err = access.Refusals(r.Context(), c.DB, b, after, perPage+1)
	if err == nil && !b.Partial {
		d.Codes, err = intake.RefusedCodes(r.Context(), c.DB, b.Number)
	}
	if err == nil && access.May(a, access.Indicators) {
		d.Stops, err = c.stops(r, b.ID)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Refusals) > perPage {
		d.Refusals = d.Refusals[:perPage]
		d.Older = web.LinkWith(r, "after", strconv.FormatInt(d.Refusals[perPage-1].Number, 10))
	}
	if after > 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	p := c.page(r, "/deliveries")
	p.Title, p.Wide = b.Name, true
	p.Heading = "Delivery " + b.Name
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}}
	switch {
	case b.Error != "":
		p.Notes = []web.Note{{Kind: "error", Title: "This delivery was not taken completely", Text: b.Error + " Deliver the same file again when the cause is gone: it goes on where it stopped."}}
	case b.Finished.IsZero() && !b.Partial:
		p.Notes = []web.Note{{Kind: "info", Title: "This delivery is being read", Text: "What was read stays whatever happens. When the number of records stands still, deliver the same file again: it goes on where it stopped."}}
	}
	if d.Follow {
		w.Header().Set("Refresh", "2") // as the reader asked; the page has a link that ends it
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "delivery", p)
}

// pace says how long it took, or takes, and how fast that was.
func (d *batchData) pace(now time.Time) {
	if d.Partial {
		return
	}
	end := d.Finished
	if end.IsZero() {
		end = now
	}
	d.Took = max(end.Sub(d.Received), 0)
	if d.Took > 0 && d.Position > 0 {
		d.Rate = int64(float64(d.Position) / d.Took.Seconds())
	}
}

// stops counts where the indicators of a delivery are now.
func (c *console) stops(r *http.Request, batch string) ([]stop, error) {
	var f indicator.Filter
	err := access.Narrow(r.Context(), c.DB, account(r), &f)
	if err != nil {
		return nil, err
	}
	f.Batch = batch
	var out []stop
	for _, s := range indicator.States {
		f.States = []indicator.State{s}
		n, more, err := indicator.CountMatching(r.Context(), c.DB, f)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			out = append(out, stop{sign: itemSigns[s], State: s, N: n, More: more})
		}
	}
	return out, nil
}

// refusalsFile gives all that was refused of a delivery as a file.
func (c *console) refusalsFile(w http.ResponseWriter, r *http.Request) {
	b, err := access.Delivery(r.Context(), c.DB, account(r), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	as := r.URL.Query().Get("as")
	if as != "csv" && as != "json" {
		c.missing(w, r)
		return
	}
	kind := map[string]string{"csv": "text/csv; charset=utf-8", "json": "application/json"}[as]
	begin := func() {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Disposition", `attachment; filename="refused-`+b.ID+`.`+as+`"`)
	}
	table := csv.NewWriter(w)
	separator := "["
	for after, first := int64(0), true; ; first = false {
		rows, err := access.Refusals(r.Context(), c.DB, b, after, 1000)
		if err != nil && first {
			c.fail(w, r, err)
			return
		}
		if err != nil {
			panic(http.ErrAbortHandler) // a part must not look like the whole
		}
		if first {
			begin()
			if as == "csv" {
				_ = table.Write([]string{"item", "place", "code", "reason", "excerpt"})
			}
		}
		for _, x := range rows {
			after = x.Number
			if as == "csv" {
				_ = table.Write([]string{strconv.FormatInt(x.Number, 10), inert(x.Place), x.Code, inert(x.Reason), inert(x.Excerpt)})
				continue
			}
			body, err := json.Marshal(x)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write([]byte(separator + "\n"))
			_, _ = w.Write(body)
			separator = ","
		}
		if len(rows) == 0 {
			break
		}
	}
	if as == "csv" {
		table.Flush()
		return
	}
	if separator == "[" {
		_, _ = w.Write([]byte("["))
	}
	_, _ = w.Write([]byte("\n]\n"))
}

// inert keeps a spreadsheet from taking foreign text for a formula.
func inert(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// changes shows values that were brought into their canonical spelling.
func (c *console) changes(w http.ResponseWriter, r *http.Request) {
	b, err := access.Delivery(r.Context(), c.DB, account(r), r.PathValue("id"))
	ask := intake.Brought{Batch: b.Number, Limit: perPage}
	if err == nil {
		err = c.seesItems(r, &ask)
	}
	if err == nil {
		ask.After, err = access.After(r.Context(), c.DB, account(r), r.URL.Query().Get("after"))
	}
	var rows []intake.Respelling
	var next string
	if err == nil && !b.Partial { // the words of a source are for who may know all of them
		rows, next, err = intake.Respellings(r.Context(), c.DB, ask)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := struct {
		access.Batch
		Rows         []intake.Respelling
		Newer, Older string
	}{Batch: b, Rows: rows}
	if next != "" {
		d.Older = web.LinkWith(r, "after", next)
	}
	if ask.After > 0 {
		d.Newer = web.LinkWith(r, "after", "")
	}
	p := c.page(r, "/deliveries")
	p.Title, p.Wide = "Changed spellings", true
	p.Lead = "What the source wrote, and the one spelling in which the hub keeps it: the same value is found again however it is written."
	p.Crumbs = []web.Link{{Text: "Deliveries", Href: "/deliveries"}, {Text: b.Name, Href: "/deliveries/" + b.ID}}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "changes", p)
}

// seesItems limits what a delivery brought to what the reader may know of.
func (c *console) seesItems(r *http.Request, ask *intake.Brought) error {
	err := access.Need(account(r), access.Indicators)
	if err == nil {
		ask.Handlings, err = access.Handlings(r.Context(), c.DB, account(r))
	}
	return err
}
