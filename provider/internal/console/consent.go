package console

import (
	"errors"
	"net/http"
	"strings"

	"ecs/contract"
	"ecs/web"
)

func refused(err error) bool { return errors.Is(err, ErrInvalid) }

func (c *console) setConsent(w http.ResponseWriter, r *http.Request) {
	a, x, err := c.mine(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !mayOf(a, consent, &x) {
		c.forbid(w, r, consent)
		return
	}
	err = r.ParseForm()
	if err != nil {
		c.fail(w, r, ErrInvalid)
		return
	}
	var s contract.Services
	for _, v := range r.PostForm["consent"] {
		one, err := contract.ParseServices(v)
		if err != nil {
			c.fail(w, r, ErrInvalid)
			return
		}
		s |= one
	}
	err = c.Customers.SetConsent(r.Context(), a, x.ID, s)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	done := "consent"
	if s == 0 {
		done = "no-consent"
	}
	http.Redirect(w, r, "/customers/"+r.PathValue("id")+"?done="+done, http.StatusSeeOther)
}

func (c *console) addException(w http.ResponseWriter, r *http.Request) {
	a, x, err := c.mine(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !mayOf(a, except, &x) {
		c.forbid(w, r, except)
		return
	}
	p := c.customerPage(r, a, x)
	d := p.Data.(*customerData)
	d.Indicator, d.Reason = strings.TrimSpace(r.PostFormValue("indicator")), strings.TrimSpace(r.PostFormValue("reason"))
	id, err := contract.ParseID(d.Indicator)
	if err != nil {
		p.Problems = append(p.Problems, web.Problem{Field: "indicator", Text: "Enter the identifier of an indicator: it begins with indicator-- and a UUID follows"})
	}
	if d.Reason == "" {
		p.Problems = append(p.Problems, web.Problem{Field: "reason", Text: "Enter why the indicator shall not be applied to this customer"})
	}
	if len(p.Problems) == 0 {
		err = c.Customers.AddException(r.Context(), a, x.ID, id, d.Reason)
		if err == nil {
			http.Redirect(w, r, "/customers/"+r.PathValue("id")+"?done=exception", http.StatusSeeOther)
			return
		}
		if !refused(err) {
			c.fail(w, r, err)
			return
		}
		p.Problems = []web.Problem{{Field: "indicator", Text: sentence(err)}}
	}
	c.pages.Render(w, http.StatusUnprocessableEntity, "customer", p)
}

func (c *console) removeException(w http.ResponseWriter, r *http.Request) {
	a, x, err := c.mine(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !mayOf(a, except, &x) {
		c.forbid(w, r, except)
		return
	}
	id, err := contract.ParseID(r.PostFormValue("indicator"))
	if err != nil {
		c.fail(w, r, ErrNotFound)
		return
	}
	err = c.Customers.RemoveException(r.Context(), a, x.ID, id)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/customers/"+r.PathValue("id")+"?done=no-exception", http.StatusSeeOther)
}
