package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"ecs/hub/internal/access"
	"ecs/hub/internal/collect"
	"ecs/web"
)

// Feeds are the feeds that the hub polls: a *collect.Collector.
type Feeds interface {
	List(ctx context.Context) ([]collect.State, error)
	Poll(ctx context.Context, source, name string) (collect.Result, error)
}

// feedRow is a feed as a page shows it.
type feedRow struct {
	collect.State
	Sign sign
	May  bool // the reader may have it polled
}

func (c *console) feeds(w http.ResponseWriter, r *http.Request) {
	c.showFeeds(w, r, http.StatusOK, nil)
}

func (c *console) showFeeds(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	var all []collect.State
	var err error
	if c.Feeds != nil {
		all, err = c.Feeds.List(r.Context())
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	only, limited := access.Source(account(r), access.Deliveries)
	whole, err := access.Whole(r.Context(), c.DB, account(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var rows []feedRow
	for _, f := range all {
		if limited && f.Source != only {
			continue
		}
		if !whole { // how much came tells of what the reader may not know
			f.Items, f.Deliveries, f.ReadUpTo = -1, -1, ""
		}
		rows = append(rows, feedRow{f, feedSign(f), access.MayDeliver(account(r), f.Source) == nil})
	}
	p := c.page(r, "/sources")
	p.Title, p.Wide, p.Problems = "Feeds", true, problems
	p.Lead = "What the hub fetches from sources by itself. Feeds are set up in the hub’s configuration."
	p.Crumbs = []web.Link{{Text: "Sources", Href: "/sources"}}
	p.Data = struct {
		Rows  []feedRow
		Whole bool
	}{rows, whole}
	c.pages.Render(w, status, "feeds", p)
}

func feedSign(f collect.State) sign {
	switch {
	case f.Running:
		return sign{"wait", "Being polled"}
	case f.LastError != "" && f.LastOK.IsZero():
		return sign{"bad", "Has never been read"}
	case f.LastError != "":
		return sign{"bad", "Failed"}
	case f.LastTry.IsZero():
		return sign{"wait", "Not polled yet"}
	}
	return sign{"good", "Read"}
}

// poll reads a feed now, and waits for it as long as it makes sense to keep a page
// waiting: what is not done then goes on by itself at the next poll.
func (c *console) poll(w http.ResponseWriter, r *http.Request) {
	source, name := r.PostFormValue("source"), r.PostFormValue("name")
	err := access.MayDeliver(account(r), source)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if c.Feeds == nil {
		c.missing(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), web.Standstill)
	defer cancel()
	long := web.NewPatience(w)
	long.Progress()
	got, err := c.Feeds.Poll(ctx, source, name)
	switch {
	case errors.Is(err, collect.ErrUnknown):
		c.missing(w, r)
		return
	case err != nil:
		c.showFeeds(w, r, http.StatusConflict, []web.Problem{{Text: "Feed " + name + " of " + source + ": " + err.Error()}})
		return
	}
	q := url.Values{"done": {"polled"}, "n": {strconv.FormatInt(got.Items, 10)}}
	http.Redirect(w, r, "/feeds?"+q.Encode(), http.StatusSeeOther)
}
