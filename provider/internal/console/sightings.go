package console

import (
	"net/http"
	"strconv"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/web"
)

// perPage is how many rows a listing shows.
const perPage = 50

// option is one choice of a select field.
type option struct{ Value, Text string }

var serviceOptions = []option{{"", "All services"}, {"dns", "DNS sinkholing"}, {"smtp", "Mail filtering"}, {"netflow", "Flow analysis"}}

type sightingsData struct {
	Rows         []Sighting
	Customers    []option
	Services     []option
	Service      string
	Customer     string
	Indicator    string
	Unjudged     bool
	Newer, Older string
	MayJudge     bool
	Back         string
}

func (c *console) sightings(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p := c.page(r, "/sightings")
	p.Title, p.Wide = "Sightings", true
	p.Lead = "Matches of indicators in customers’ traffic. They stay here: the hub never sees them."
	d := sightingsData{Service: q.Get("service"), Customer: q.Get("customer"), Indicator: q.Get("indicator"), Unjudged: q.Get("unjudged") != "", Services: serviceOptions}
	f := SightingFilter{Unjudged: d.Unjudged, Before: web.QueryNumber(r, "before"), Customer: int32(min(web.QueryNumber(r, "customer"), 1<<31-1)), Limit: perPage + 1}
	var err error
	if d.Service != "" {
		f.Service, err = contract.ParseServices(d.Service)
		if err != nil {
			p.Problems = append(p.Problems, web.Problem{Field: "service", Text: "There is no such service: choose one from the list."})
		}
	}
	if d.Indicator != "" {
		f.Indicator, err = contract.ParseID(d.Indicator)
		if err != nil {
			p.Problems = append(p.Problems, web.Problem{Field: "indicator", Text: "That is not an indicator’s identifier: it begins with indicator-- and a UUID follows."})
		}
	}
	status := http.StatusOK
	if len(p.Problems) > 0 {
		status = http.StatusUnprocessableEntity
	} else {
		d.Rows, err = c.Sightings.Sightings(r.Context(), f)
		if err != nil {
			c.fail(w, r, err)
			return
		}
	}
	all, err := c.Customers.Customers(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d.Customers = customerOptions(all)
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = web.LinkWith(r, "before", strconv.FormatInt(d.Rows[perPage-1].ID, 10))
	}
	if f.Before > 0 {
		d.Newer = web.LinkWith(r, "before", "")
	}
	a, _ := signin.From(r.Context())
	d.MayJudge, d.Back = may(a, judge), r.URL.RequestURI()
	p.Data = d
	c.pages.Render(w, status, "sightings", p)
}

func customerOptions(all []Customer) []option {
	out := []option{{"", "All customers"}}
	for i := range all {
		out = append(out, option{strconv.Itoa(int(all[i].ID)), all[i].Name})
	}
	return out
}

func (c *console) verdict(w http.ResponseWriter, r *http.Request) {
	id, err := number(r, "id")
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v := r.PostFormValue("verdict")
	if v != "true" && v != "false" && v != "" {
		c.fail(w, r, ErrInvalid)
		return
	}
	a, _ := signin.From(r.Context())
	err = c.Sightings.SetVerdict(r.Context(), a, id, v)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, web.Back(r, "/sightings", "verdict"), http.StatusSeeOther)
}
