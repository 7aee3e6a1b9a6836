package console

import (
	"log/slog"
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/release"
	"ecs/web"
)

// longRun is from how many indicators on an act is told of while it is done.
const longRun = 500

// telling is how often a long act is told of, so that a screen reader can follow.
const telling = 2 * time.Second

type runData struct {
	Step  step
	Total int
	release.Bulk
	Stopped string // why the rest was not tried
}

// longRun does an act on many indicators, and tells how far it is on a page that is
// sent meanwhile. Whoever closes the page stops it after the portion that is being
// done: what is done stays done, and the rest goes on waiting.
func (c *console) longRun(w http.ResponseWriter, r *http.Request, s step, what string, ids []contract.ID, why release.Why) {
	p := c.page(r, "/queue")
	p.Title = "Deciding about many indicators"
	p.Crumbs = []web.Link{{Text: "Approval queue", Href: "/queue?step=" + s.Key}}
	d := runData{Step: s, Total: len(ids)}
	p.Data = &d
	patience := web.NewPatience(w)
	patience.Progress()
	page, err := c.pages.Begin(w, "run", p)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	told := c.Now()
	d.Bulk, err = c.many(r.Context(), r, what, ids, why, func(done, total int) {
		patience.Progress()
		if done == total || c.Now().Sub(told) < telling {
			return
		}
		told = c.Now()
		n, _ := web.Number(done) // an int has a text
		_ = page.Say(n + " done")
	})
	if err != nil {
		x, ok := access.Explain(err)
		if !ok {
			c.Log.ErrorContext(r.Context(), "a long run stopped", slog.Any("error", err))
		}
		d.Stopped = x.Detail + " " + x.Next
	}
	err = page.End(c.pages, "run", "run-end", &d)
	if err != nil {
		c.Log.WarnContext(r.Context(), "nobody reads the end of a long run", slog.Any("error", err))
	}
}
