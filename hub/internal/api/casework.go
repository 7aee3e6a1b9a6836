package api

import (
	"net/http"
	"time"

	"ecs/hub/internal/casework"
	"ecs/internal/signin"
)

type commentList struct {
	Comments []casework.Comment `json:"comments"` // oldest first
}

type commentOrder struct {
	Subject string `json:"subject"` // item:, object:, batch: or source: and its identifier
	Text    string `json:"text"`
}

type taskList struct {
	Tasks []casework.Task `json:"tasks"`
}

type taskOrder struct {
	Subject  string `json:"subject"` // item:, object:, batch: or source: and its identifier
	Title    string `json:"title"`
	Assignee string `json:"assignee"`      // login
	Due      string `json:"due,omitempty"` // day, 2026-03-01; none when absent
}

type taskChange struct {
	Version  int64  `json:"version,omitempty"` // as it was seen; whatever it is when absent
	State    string `json:"state,omitempty"`   // open, doing, done, dropped
	Assignee string `json:"assignee,omitempty"`
	Due      string `json:"due,omitempty"`
	Note     string `json:"note,omitempty"`
}

func (a *api) caseworkRoutes() []route {
	const g = "Casework"
	subject := param{Name: "subject", Need: true, About: "item:, object:, batch: or source: and its identifier."}
	mine := subject
	mine.Need, mine.About = false, mine.About+" My open tasks when absent."
	return []route{
		{Method: "GET", Path: "/comments", ID: "listComments", Group: g, Title: "Read what was said about a subject", Out: commentList{}, Query: []param{subject}, By: "whoever may see the subject", do: a.comments},
		{Method: "POST", Path: "/comments", ID: "comment", Group: g, Title: "Comment on a subject", About: "A text with personal data is refused.", In: commentOrder{}, Out: casework.Comment{}, By: "whoever may see the subject, but auditors", do: a.comment},
		{Method: "GET", Path: "/tasks", ID: "listTasks", Group: g, Title: "List tasks", Out: taskList{}, Query: []param{mine}, By: "whoever may see the subject", do: a.tasks},
		{Method: "POST", Path: "/tasks", ID: "giveTask", Group: g, Title: "Give somebody a task", In: taskOrder{}, Out: casework.Task{}, By: "whoever may see the subject, but auditors", do: a.giveTask},
		{Method: "POST", Path: "/tasks/{id}", ID: "changeTask", Group: g, Title: "Change a task", In: taskChange{}, Out: casework.Task{}, By: "whoever may see the subject, but auditors", do: a.changeTask},
	}
}

func toldCase(err error) error {
	x, ok := casework.Explain(err)
	if ok {
		return &toldError{x}
	}
	return toldGraph(err)
}

func dayOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, &badRequest{"due is no day.", "Write it like 2026-03-01."}
	}
	return t, nil
}

func (a *api) comments(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	s, err := casework.ParseSubject(r.URL.Query().Get("subject"))
	if err != nil {
		return nil, toldCase(err)
	}
	list, err := casework.Comments(r.Context(), a.DB, who, s)
	return commentList{list}, toldCase(err)
}

func (a *api) comment(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o commentOrder
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	s, err := casework.ParseSubject(o.Subject)
	if err != nil {
		return nil, toldCase(err)
	}
	c, err := casework.Say(r.Context(), a.DB, who, s, o.Text, a.Now())
	return c, toldCase(err)
}

func (a *api) tasks(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	text := r.URL.Query().Get("subject")
	if text == "" {
		list, err := casework.Mine(r.Context(), a.DB, who)
		return taskList{list}, err
	}
	s, err := casework.ParseSubject(text)
	if err != nil {
		return nil, toldCase(err)
	}
	list, err := casework.Of(r.Context(), a.DB, who, s)
	return taskList{list}, toldCase(err)
}

func (a *api) giveTask(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o taskOrder
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	due, err := dayOf(o.Due)
	if err != nil {
		return nil, err
	}
	s, err := casework.ParseSubject(o.Subject)
	if err != nil {
		return nil, toldCase(err)
	}
	t, err := casework.Give(r.Context(), a.DB, who, s, o.Title, o.Assignee, due, a.Now())
	return t, toldCase(err)
}

func (a *api) changeTask(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o taskChange
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	due, err := dayOf(o.Due)
	if err != nil {
		return nil, err
	}
	t, err := casework.Alter(r.Context(), a.DB, who, r.PathValue("id"), casework.Change{
		Version: o.Version, State: casework.State(o.State), Assignee: o.Assignee, Due: due, Note: o.Note,
	}, a.Now())
	return t, toldCase(err)
}
