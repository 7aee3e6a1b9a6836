package console

import (
	"errors"
	"net/http"
	"strconv"

	"ecs/internal/signin"
	"ecs/web"
)

var noticeStates = []option{{"", "All"}, {"QUEUED", "Queued"}, {"DISPATCHED", "Sent"}, {"ESCALATED", "Escalated"}, {"ACKNOWLEDGED", "Acknowledged"}}

type noticesData struct {
	Rows         []Notice
	States       []option
	State        string
	MaySettle    bool
	Newer, Older string
	Back         string
}

func (c *console) notices(w http.ResponseWriter, r *http.Request) {
	p := c.page(r, "/notices")
	p.Title, p.Wide = "Notices", true
	p.Lead = "What customers were told. A notice counts as given when the customer has acknowledged it; otherwise it comes back here."
	a, _ := signin.From(r.Context())
	d := noticesData{States: noticeStates, State: stateOf(r, noticeStates), MaySettle: may(a, settleNotice), Back: r.URL.RequestURI()}
	f := NoticeFilter{State: d.State, Before: web.QueryNumber(r, "before"), Limit: perPage + 1}
	var err error
	d.Rows, err = c.Notices.Notices(r.Context(), f)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if len(d.Rows) > perPage {
		d.Rows = d.Rows[:perPage]
		d.Older = web.LinkWith(r, "before", strconv.FormatInt(d.Rows[perPage-1].ID, 10))
	}
	if f.Before > 0 {
		d.Newer = web.LinkWith(r, "before", "")
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "notices", p)
}

func (c *console) settleNotice(w http.ResponseWriter, r *http.Request) {
	id, err := number(r, "id")
	if err == nil {
		a, _ := signin.From(r.Context())
		err = c.Notices.Settle(r.Context(), a, id)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, web.Back(r, "/notices", "settle"), http.StatusSeeOther)
}

// notice is the one page of a customer's user who has no account: the address
// with the secret came with the notice.
func (c *console) notice(w http.ResponseWriter, r *http.Request) {
	n, err := c.Notices.ByToken(r.Context(), r.PathValue("token"))
	if err != nil {
		c.noNotice(w, r, err)
		return
	}
	p := c.page(r, "")
	p.Title, p.Lead = "Security notice", "Your service provider stopped or saw something that concerns you."
	p.Data = struct {
		Notice
		Token   string
		Ratings []option
	}{n, r.PathValue("token"), []option{{"5", "5: very useful"}, {"4", "4"}, {"3", "3"}, {"2", "2"}, {"1", "1: of no use"}}}
	c.pages.Render(w, http.StatusOK, "notice", p)
}

func (c *console) acknowledge(w http.ResponseWriter, r *http.Request) {
	rating, err := strconv.Atoi(r.PostFormValue("rating"))
	if err != nil || rating < 1 || rating > 5 {
		rating = 0
	}
	token := r.PathValue("token")
	err = c.Notices.Acknowledge(r.Context(), token, rating)
	if err != nil {
		c.noNotice(w, r, err)
		return
	}
	http.Redirect(w, r, "/notice/"+token, http.StatusSeeOther)
}

func (c *console) noNotice(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, ErrNotFound) {
		c.fail(w, r, err)
		return
	}
	c.pages.Fail(w, c.page(r, ""), http.StatusNotFound, "Notice not found", "This address does not belong to any notice.",
		"Open the address exactly as it stands in the notice, or ask your service provider.")
}
