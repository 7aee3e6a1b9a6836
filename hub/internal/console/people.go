package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/people"
	"ecs/web"
)

type peopleData struct {
	Mine      []people.Grant // of the reader, ended ones left out
	Name      string
	Training  time.Time
	People    []people.Person // for those who give roles and for the auditor
	Waiting   []people.Grant
	Attention people.Attention
	Gives     bool // may ask for, approve and review
	Audits    bool
	Roles     []option
	Logins    []option
	Own       []option // roles that the reader may delegate
	Persons   []option
}

// people shows who holds which role. Everybody sees their own roles and why one of
// them rests; the whole is for those who give roles, and for the auditor.
func (c *console) people(w http.ResponseWriter, r *http.Request) {
	c.showPeople(w, r, http.StatusOK, nil)
}

func (c *console) showPeople(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	a := account(r)
	all, err := c.People.List(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := peopleData{Name: a.Person, Gives: a.Any("system_admin", "accrediting_official"), Audits: a.Has("auditor")}
	for _, p := range all {
		for _, login := range p.Logins {
			if p.Name != a.Person {
				d.Logins = append(d.Logins, option{login, login + " (" + p.Name + ")"})
			}
		}
		if p.Name != a.Person {
			d.Persons = append(d.Persons, option{p.Name, p.Name})
		} else {
			d.Training = p.Training
		}
		for _, g := range p.Grants {
			switch {
			case g.Status == people.Waiting:
				d.Waiting = append(d.Waiting, g)
			case p.Name == a.Person && g.Status != people.Over:
				d.Mine = append(d.Mine, g)
				if g.Login == a.Login && g.Kind == people.Standing && g.Status == people.Active {
					d.Own = append(d.Own, option{g.Role, web.Words(g.Role)})
				}
			}
		}
	}
	if d.Gives || d.Audits {
		d.People = all
		d.Attention, err = c.People.Attention(r.Context())
		if err != nil {
			c.fail(w, r, err)
			return
		}
	} else { // what waits concerns others only when they may answer it
		d.Waiting = emergencies(d.Waiting, len(a.Roles) > 0)
	}
	for _, role := range people.Roles {
		d.Roles = append(d.Roles, option{role, web.Words(role)})
	}
	p := c.page(r, "/people")
	p.Title, p.Wide, p.Problems = "People and roles", true, problems
	p.Lead = "Every role is given by two persons and reviewed every 90 days. It rests while its holder’s training has run out."
	if d.Audits && d.Attention.Emergencies > 0 {
		p.Notes = append(p.Notes, web.Note{Kind: "warning", Title: "Roles were given in an emergency", Text: strconv.FormatInt(d.Attention.Emergencies, 10) + " of them no auditor has looked at yet. They are in the table below."})
	}
	p.Data = d
	c.pages.Render(w, status, "people", p)
}

// emergencies keeps what anybody with a role may approve.
func emergencies(waiting []people.Grant, may bool) []people.Grant {
	var out []people.Grant
	for _, g := range waiting {
		if may && g.Kind == people.Emergency {
			out = append(out, g)
		}
	}
	return out
}

// grant answers the forms of the page of people.
func (c *console) grant(w http.ResponseWriter, r *http.Request) {
	a, ctx := account(r), r.Context()
	field := func(name string) string { return strings.TrimSpace(r.PostFormValue(name)) }
	want := people.Wanted{Login: field("login"), Role: field("role"), Reason: field("reason")}
	act := r.PathValue("act")
	var err error
	switch act {
	case "request":
		want.Until, err = day(field("until"))
		if err == nil {
			_, err = c.People.Request(ctx, a, want)
		}
	case "delegate":
		want.Until, err = day(field("until"))
		if err == nil {
			_, err = c.People.Delegate(ctx, a, want, c.Now())
		}
	case "emergency":
		var hours int
		hours, err = strconv.Atoi(field("hours"))
		if err != nil || hours < 1 || hours > 4 {
			err = fmt.Errorf("%w: choose between one and four hours", people.ErrInput)
			break
		}
		want.Until = c.Now().Add(time.Duration(hours) * time.Hour)
		_, err = c.People.Emergency(ctx, a, want)
	case "approve":
		err = c.People.Approve(ctx, a, field("id"), want.Reason)
	case "revoke":
		err = c.People.Revoke(ctx, a, field("id"), want.Reason)
	case "review":
		err = c.People.Review(ctx, a, field("id"), want.Reason)
	case "train":
		var until time.Time
		until, err = day(field("until"))
		if err == nil {
			err = c.People.Train(ctx, a, field("person"), until)
		}
	default:
		c.missing(w, r)
		return
	}
	if err == nil {
		http.Redirect(w, r, "/people?done=people-"+act, http.StatusSeeOther)
		return
	}
	x, known := people.Explain(err)
	if !known {
		c.fail(w, r, err)
		return
	}
	c.showPeople(w, r, x.Status, []web.Problem{{Text: x.Text + " " + x.Next}})
}

// day reads a date, whose last moment is meant; empty is the zero time.
func day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, errors.Join(people.ErrInput, err)
	}
	return t.Add(24*time.Hour - time.Second), nil
}
