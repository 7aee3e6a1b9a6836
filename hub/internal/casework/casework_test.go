package casework

import (
	"errors"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func furnished(t *testing.T) (*hubtest.Hub, Subject) {
	t.Helper()
	h := hubtest.New(t, signin.Config{})
	h.Furnish(t)
	return h, Subject{Item, h.Find(t, "other-source.example").ID.String()} // of dogwood
}

func TestComments(t *testing.T) {
	h, s := furnished(t)
	now := time.Now()
	for _, tt := range []struct {
		name, login, text string
		want              error
	}{
		{"an analyst", "ann", "Seen again at two customers.\nAsk the source.", nil},
		{"an auditor reads only", "audrey", "Why?", ErrRole},
		{"an officer of another source", "gil", "Is it ours?", indicator.ErrNotFound},
		{"nothing", "ann", " \n ", ErrText},
		{"too much", "ann", strings.Repeat("a ", maxText), ErrText},
		{"a control character", "ann", "a\x1bb", ErrText},
		{"a mail address", "ann", "Ask john.miller@mail.example about it.", ErrPersonal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Say(t.Context(), h.DB, hubtest.Account(tt.login), s, tt.text, now)
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	list, err := Comments(t.Context(), h.DB, hubtest.Account("abe"), s)
	must(t, err)
	if len(list) != 1 || list[0].Person != "Ann Analyst" || !strings.Contains(list[0].Text, "\n") {
		t.Errorf("comments: %+v", list)
	}
	_, err = Comments(t.Context(), h.DB, hubtest.Account("gil"), s)
	if !errors.Is(err, indicator.ErrNotFound) {
		t.Errorf("an officer of another source reads: %v", err)
	}
}

func TestTasks(t *testing.T) {
	h, s := furnished(t)
	now := time.Now()
	ann, abe := hubtest.Account("ann"), hubtest.Account("abe")
	task, err := Give(t.Context(), h.DB, ann, s, "Ask the laboratory for the sample", "abe", now.AddDate(0, 0, 3), now)
	must(t, err)
	mine, err := Mine(t.Context(), h.DB, abe)
	must(t, err)
	if len(mine) != 1 || mine[0].ID != task.ID || mine[0].Late(now) || !mine[0].Late(now.AddDate(0, 0, 5)) {
		t.Fatalf("my tasks: %+v", mine)
	}
	for _, tt := range []struct {
		name   string
		change Change
		want   error
	}{
		{"an old version", Change{Version: 7, State: Doing}, ErrVersion},
		{"begin", Change{Version: 1, State: Doing, Note: "called"}, nil},
		{"nothing new", Change{State: Doing}, ErrState},
		{"to nobody", Change{Assignee: "nobody"}, ErrPerson},
		{"a past day", Change{Due: now.AddDate(0, 0, -9)}, ErrDue},
		{"to a colleague, later", Change{Assignee: "gil", Due: now.AddDate(0, 1, 0)}, nil},
		{"done", Change{State: Done}, nil},
		{"not from done to work", Change{State: Doing}, ErrState},
		{"again", Change{State: Open}, nil},
		{"a note with personal data", Change{State: Done, Note: "john.miller@mail.example"}, ErrPersonal},
	} {
		_, err := Alter(t.Context(), h.DB, abe, task.ID, tt.change, now)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	list, err := Of(t.Context(), h.DB, ann, s)
	must(t, err)
	if len(list) != 1 || len(list[0].Steps) != 6 || list[0].Steps[1].Note != "called" || list[0].Steps[1].Person != "Abe Analyst" {
		t.Errorf("history: %+v", list)
	}
	// It is gil's now, who may not know of the indicator: no read up by a task.
	mine, err = Mine(t.Context(), h.DB, hubtest.Account("gil"))
	must(t, err)
	if len(mine) != 0 {
		t.Errorf("an officer learns of another source's indicator by a task: %+v", mine)
	}
	_, err = Alter(t.Context(), h.DB, hubtest.Account("gil"), task.ID, Change{State: Done}, now)
	if !errors.Is(err, ErrNoTask) {
		t.Errorf("the officer's change: %v", err)
	}
}

func TestLabels(t *testing.T) {
	h, _ := furnished(t)
	it := h.Find(t, "other-source.example")
	must(t, Label(t.Context(), h.DB, hubtest.Account("ann"), it.ID, "watch", time.Now()))
	must(t, Label(t.Context(), h.DB, hubtest.Account("ann"), it.ID, "watch", time.Now()))
	got := h.Find(t, "other-source.example")
	if got.Labels != "watch" || got.Version != it.Version+1 {
		t.Errorf("labels %q, version %d after %d", got.Labels, got.Version, it.Version)
	}
	err := Label(t.Context(), h.DB, hubtest.Account("gil"), it.ID, "ours", time.Now())
	if !errors.Is(err, indicator.ErrNotFound) {
		t.Errorf("a label by an officer of another source: %v", err)
	}
	err = Label(t.Context(), h.DB, hubtest.Account("ann"), h.Find(t, "recalled.example").ID, "late", time.Now())
	if !errors.Is(err, ErrLabels) {
		t.Errorf("a label on what has ended: %v", err)
	}
}

func TestSubjects(t *testing.T) {
	h, _ := furnished(t)
	for text, want := range map[string]bool{
		"source:cedar": true, "source:none": false, "item:x": false, "object:malware--1": false, "batch:none": false, "person:x": false, "item:": false, "": false,
	} {
		s, err := ParseSubject(text)
		if err == nil {
			err = See(t.Context(), h.DB, hubtest.Account("ann"), s)
		}
		if (err == nil) != want {
			t.Errorf("%q: %v", text, err)
		}
		_, ok := Explain(err)
		if err != nil && !ok && !unknown(err) {
			t.Errorf("%q: nobody explains %v", text, err)
		}
	}
}
