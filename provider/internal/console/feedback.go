package console

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/web"
)

func (c *console) windows(w http.ResponseWriter, r *http.Request) {
	p := c.page(r, "/feedback")
	p.Title = "Feedback"
	p.Lead = "Anonymous counts for the hub: only of customers who agreed, only above the thresholds, and only after you have seen the exact bytes."
	rows, err := c.Feedback.Windows(r.Context(), 200)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p.Data = struct{ Rows []Window }{rows}
	c.pages.Render(w, http.StatusOK, "feedback", p)
}

// windowOf reads day and service of the path.
func windowOf(r *http.Request) (contract.Day, contract.Services, error) {
	n, err := strconv.ParseInt(r.PathValue("day"), 10, 32)
	if err != nil {
		return 0, 0, ErrNotFound
	}
	s, err := contract.ParseServices(r.PathValue("service"))
	if err != nil || len(s.Each()) != 1 {
		return 0, 0, ErrNotFound
	}
	return contract.Day(n), s, nil
}

// Digest names the bytes of a window.
func Digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

type windowData struct {
	Window
	Text       string
	Size       int64
	Seen       string // SHA-256 of the bytes shown, which approval names
	List       []contract.Feedback
	MayApprove bool
}

func (c *console) window(w http.ResponseWriter, r *http.Request) {
	day, service, err := windowOf(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	x, err := c.Feedback.Window(r.Context(), day, service)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	a, _ := signin.From(r.Context())
	d := windowData{Window: x, Text: string(x.Body), Size: int64(len(x.Body)), Seen: Digest(x.Body), MayApprove: may(a, approve) && x.State == "READY"}
	p := c.page(r, "/feedback")
	p.Title = web.ServiceName(service) + ", " + x.Start.UTC().Format("Jan 2, 2006, 15:04")
	p.Heading = "Feedback preview: " + p.Title
	p.Crumbs = []web.Link{{Text: "Feedback", Href: "/feedback"}}
	if len(x.Body) > 0 {
		parsed, err := contract.ParseWindow(x.Body)
		if err != nil {
			p.Notes = append(p.Notes, web.Note{Kind: "error", Title: "These bytes would be refused by the hub", Text: err.Error()})
			d.MayApprove = false
		} else {
			d.List = parsed.Cells
		}
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "window", p)
}

func (c *console) approve(w http.ResponseWriter, r *http.Request) {
	day, service, err := windowOf(r)
	if err == nil {
		a, _ := signin.From(r.Context())
		err = c.Feedback.Approve(r.Context(), a, day, service, r.PostFormValue("seen"))
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/feedback/"+r.PathValue("day")+"/"+r.PathValue("service")+"?done=approve", http.StatusSeeOther)
}
