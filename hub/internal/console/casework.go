package console

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/casework"
	"ecs/web"
)

// commentRow is a comment as a page shows it.
type commentRow struct {
	casework.Comment
	Lines []string
}

// caseworkForm is what a refused form held.
type caseworkForm struct{ Text, Title, Assignee, Due string }

// caseworkData is the part of a page with comments and tasks on its subject.
type caseworkData struct {
	caseworkForm
	Subject  string
	Comments []commentRow
	Tasks    []casework.Task
	May      bool // write
}

// casework reads what colleagues say about a subject.
func (c *console) casework(r *http.Request, s casework.Subject, form caseworkForm) (*caseworkData, error) {
	a := account(r)
	d := &caseworkData{caseworkForm: form, Subject: s.String(), May: a.Any("pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer")}
	all, err := casework.Comments(r.Context(), c.DB, a, s)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		d.Comments = append(d.Comments, commentRow{x, strings.Split(x.Text, "\n")})
	}
	d.Tasks, err = casework.Of(r.Context(), c.DB, a, s)
	return d, err
}

func dayField(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, text)
}

// caseworkAct answers the forms of comments and tasks.
func (c *console) caseworkAct(w http.ResponseWriter, r *http.Request) {
	a, ctx := account(r), r.Context()
	err := r.ParseForm()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	form := caseworkForm{r.PostForm.Get("text"), r.PostForm.Get("title"), r.PostForm.Get("assignee"), r.PostForm.Get("due")}
	s, err := casework.ParseSubject(r.PostForm.Get("subject"))
	if err != nil {
		c.refuse(w, r, err)
		return
	}
	field, back := "text", place(s)
	switch {
	case r.PathValue("id") != "":
		field, back = "note-"+r.PathValue("id"), "/tasks"
		version, bad := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
		if bad != nil {
			version = 0
		}
		_, err = casework.Alter(ctx, c.DB, a, r.PathValue("id"), casework.Change{
			Version: version, State: casework.State(r.PostForm.Get("state")), Note: r.PostForm.Get("note"),
		}, c.Now())
	case r.PathValue("what") == "task":
		field = "title"
		var due time.Time
		due, err = dayField(form.Due)
		if err != nil {
			err = casework.ErrDue
		} else {
			_, err = casework.Give(ctx, c.DB, a, s, form.Title, form.Assignee, due, c.Now())
		}
	case r.PathValue("what") == "comment":
		_, err = casework.Say(ctx, c.DB, a, s, form.Text, c.Now())
	default:
		c.missing(w, r)
		return
	}
	if err == nil {
		http.Redirect(w, r, back+"?done=casework", http.StatusSeeOther)
		return
	}
	x, ok := explained(err)
	if !ok || x.Status == http.StatusForbidden || x.Status == http.StatusNotFound {
		c.refuse(w, r, err)
		return
	}
	problems := []web.Problem{{Field: field, Text: x.Detail + " " + x.Next}}
	id, idErr := contract.ParseID(s.ID)
	switch {
	case s.Kind == casework.Item && idErr == nil:
		c.showRelations(w, r, x.Status, problems, id, form)
	case s.Kind == casework.Object:
		c.showObject(w, r, x.Status, problems, s.ID, form)
	default:
		c.refuse(w, r, err)
	}
}

// place gives the page with the comments on a subject.
func place(s casework.Subject) string {
	if s.Kind == casework.Item {
		return s.Href() + "/relations"
	}
	return s.Href()
}

type duty struct {
	casework.Task
	Href string
}

// tasks shows what the reader shall do.
func (c *console) tasks(w http.ResponseWriter, r *http.Request) {
	list, err := casework.Mine(r.Context(), c.DB, account(r))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var rows []duty
	for _, t := range list {
		s, err := casework.ParseSubject(t.Subject)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		rows = append(rows, duty{t, place(s)})
	}
	p := c.page(r, "/tasks")
	p.Title, p.Lead = "My tasks", "What colleagues, or you yourself, asked you to do. The most urgent comes first."
	p.Data = struct{ Tasks []duty }{rows}
	c.pages.Render(w, http.StatusOK, "tasks", p)
}
