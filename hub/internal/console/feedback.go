package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/feedback"
	"ecs/internal/signin"
	"ecs/web"
)

// itemFeedback is what providers told of one indicator.
type itemFeedback struct {
	Found bool
	Line  feedback.Line
	More  bool // it may be among the lines that were cut off
	Days  int
}

// storyDays is how far back an indicator's story looks for feedback.
const storyDays = 90

func (c *console) feedbackOf(ctx context.Context, a signin.Account, id contract.ID) ([]itemFeedback, error) {
	may, err := access.Ledger(ctx, c.DB, a)
	if err != nil {
		return nil, err
	}
	today := contract.DayOf(c.Now(), c.Desk.Rules().DayLength)
	t, err := c.Feedback.Tabulate(ctx, c.DB, may.Feedback(feedback.Query{By: feedback.ByIndicator, From: today - storyDays, To: today, Limit: 1000}))
	if err != nil {
		return nil, err
	}
	out := itemFeedback{More: t.More, Days: storyDays}
	for _, l := range t.Lines {
		if l.Indicator == id {
			out.Found, out.Line = true, l
		}
	}
	return []itemFeedback{out}, nil
}

type feedbackLine struct {
	feedback.Line
	Name        string
	Link        string
	First, Last time.Time
}

type feedbackTab struct {
	Text, Href string
	Current    bool
}

type feedbackWindow struct {
	feedback.Window
	Start time.Time
}

type feedbackData struct {
	Tabs     []feedbackTab
	By       string
	Lines    []feedbackLine
	Table    feedback.Table
	Days     []option
	Chosen   string
	Services []option
	Service  string
	Windows  []feedbackWindow
	Refusals []feedback.Refusal
	Rules    contract.Rules
	Most     int64
	Told     bool // the reader may see which windows came
}

var feedbackTabs = []struct {
	by   feedback.By
	text string
}{
	{feedback.ByIndicator, "By indicator"},
	{feedback.ByCategory, "By category"},
	{feedback.ByService, "By service"},
	{feedback.BySector, "By sector"},
}

func (c *console) feedbackPage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p := c.page(r, "/feedback")
	p.Title = "Feedback"
	p.Lead = "Anonymous counts from providers, of customers who agreed. Every count is a lower bound, in steps."
	d := feedbackData{
		By: q.Get("by"), Chosen: q.Get("days"), Service: q.Get("service"), Rules: c.Desk.Rules(),
		Days:     []option{{"7", "Last 7 windows"}, {"30", "Last 30 windows"}, {"90", "Last 90 windows"}, {"400", "Last 400 windows"}},
		Services: []option{{"", "All services"}, {"dns", "DNS sinkholing"}, {"smtp", "Mail filtering"}, {"netflow", "Flow analysis"}},
	}
	days, err := strconv.Atoi(d.Chosen)
	if err != nil || days < 1 || days > 400 {
		days, d.Chosen = 30, "30"
	}
	query := feedback.Query{By: feedback.ByIndicator, Limit: 100, To: contract.DayOf(c.Now(), d.Rules.DayLength)}
	query.From = query.To - contract.Day(days)
	for _, t := range feedbackTabs {
		if string(t.by) == d.By {
			query.By = t.by
		}
	}
	for _, t := range feedbackTabs {
		d.Tabs = append(d.Tabs, feedbackTab{t.text, web.LinkWith(r, "by", string(t.by)), t.by == query.By})
	}
	d.By = string(query.By)
	if d.Service != "" {
		query.Service, err = contract.ParseServices(d.Service)
		if err != nil {
			d.Service, query.Service = "", 0
		}
	}
	may, err := access.Ledger(r.Context(), c.DB, account(r))
	if err == nil {
		d.Table, err = c.Feedback.Tabulate(r.Context(), c.DB, may.Feedback(query))
	}
	d.Told = may.Whole
	var windows []feedback.Window
	if err == nil && may.Whole {
		windows, err = c.Feedback.Windows(r.Context(), c.DB, "", 30)
	}
	if err == nil && may.Whole {
		d.Refusals, err = c.Feedback.Refusals(r.Context(), c.DB, "", 30)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, x := range windows {
		d.Windows = append(d.Windows, feedbackWindow{x, x.Day.Start(d.Rules.DayLength)})
	}
	for _, l := range d.Table.Lines {
		d.Most = max(d.Most, int64(l.Events))
		line, err := c.nameLine(r, query.By, l)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		d.Lines = append(d.Lines, line)
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "feedback", p)
}

// nameLine says what a line is of, as the reader may see it.
func (c *console) nameLine(r *http.Request, by feedback.By, l feedback.Line) (feedbackLine, error) {
	length := c.Desk.Rules().DayLength
	out := feedbackLine{Line: l, First: l.First.Start(length), Last: l.Last.Start(length)}
	switch by {
	case feedback.ByCategory:
		out.Name = web.CategoryName(l.Category)
	case feedback.ByService:
		out.Name = web.ServiceName(l.Service)
	case feedback.BySector:
		out.Name = web.SectorName(l.Sector)
	default:
		out.Name = l.Indicator.String()
		if !mayIndicators(r) {
			return out, nil
		}
		it, err := access.Item(r.Context(), c.DB, account(r), l.Indicator)
		if err != nil {
			return out, fmt.Errorf("feedback of %s: %w", l.Indicator, err)
		}
		out.Link = "/indicators/" + it.ID.String()
		if it.Display {
			out.Name = it.Value
		}
	}
	return out, nil
}
