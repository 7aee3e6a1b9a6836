package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/intake"
	"ecs/hub/internal/search"
	"ecs/web/webtest"
)

// indexed brings the index up to date.
func (s served) indexed(t *testing.T) {
	t.Helper()
	x := search.New(search.Config{DB: s.DB, Yield: time.Nanosecond, Gather: time.Nanosecond})
	for range 1000 {
		worked, err := x.Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !worked {
			return
		}
	}
	t.Fatal("the index does not come to an end")
}

func TestSearchPages(t *testing.T) {
	s := serve(t)
	s.indexed(t)
	c := s.client(t, "ann")
	item := s.Find(t, "first.example").ID.String()
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"/search":                                 {200, "No search is saved yet"},
		"/search?q=loader":                        {200, "first.example"},
		"/search?q=force.example":                 {200, "exactly what you asked for"},
		"/search?q=nothingatall":                  {200, "No indicator fits"},
		"/search?q=state:nowhere":                 {422, "At character 7"},
		"/search?q=kind:domain+category:phishing": {200, "recalled.example"},
		"/search?saved=none":                      {404, "No such saved search"},
		"/indicators/" + item + "/relations":      {200, "In common with others"},
		"/objects/malware--none":                  {404, "No such object"},
		"/tasks":                                  {200, "You have no open task"},
	} {
		status, page := get(t, c, s.url+path)
		if status != want.status || !strings.Contains(page, want.says) {
			t.Errorf("%s: status %d, want %d and %q", path, status, want.status, want.says)
		}
		webtest.Structure(t, path, page)
	}
}

func TestActOnWhatWasFound(t *testing.T) {
	s := serve(t)
	s.indexed(t)
	c := s.client(t, "ann")
	item := s.Find(t, "first.example").ID.String()
	act := func(form url.Values) (int, string) { return post(t, c, s.url+"/search/act", form) }
	for _, tt := range []struct {
		name   string
		form   url.Values
		status int
		says   string
	}{
		{"nothing chosen", url.Values{"act": {"label"}, "text": {"watch"}, "q": {"loader"}}, 422, "Choose at least one"},
		{"a label", url.Values{"act": {"label"}, "text": {"watch"}, "q": {"loader"}, "id": {item}}, 200, "Done for 1 indicators"},
		{"a comment with personal data", url.Values{"act": {"comment"}, "text": {"jane.doe@mail.example"}, "q": {"loader"}, "id": {item}}, 422, "personal data"},
		{"a task", url.Values{"act": {"task"}, "text": {"Look at it"}, "assignee": {"ann"}, "q": {"loader"}, "id": {item}}, 200, "Done for 1 indicators"},
		{"an approval", url.Values{"act": {"first"}, "text": {"Seen in two incidents and checked by hand."}, "q": {"loader"}, "id": {item}}, 200, "Done for 1 indicators"},
	} {
		status, page := act(tt.form)
		if status != tt.status || !strings.Contains(page, tt.says) {
			t.Errorf("%s: status %d, want %d and %q", tt.name, status, tt.status, tt.says)
		}
		webtest.Structure(t, tt.name, page)
	}
	if got := s.Find(t, "first.example"); got.Labels != "watch" || string(got.State) != "PENDING_SECOND" {
		t.Errorf("labels %q, state %s", got.Labels, got.State)
	}
	_, page := get(t, c, s.url+"/tasks")
	if !strings.Contains(page, "Look at it") {
		t.Error("the task is not among mine")
	}
	status, page := post(t, c, s.url+"/casework/comment", url.Values{"subject": {"item:" + item}, "text": {"First line.\nSecond <line>."}})
	if status != http.StatusOK || !strings.Contains(page, "First line.<br>Second &lt;line&gt;.") {
		t.Errorf("comment: status %d", status)
	}
	webtest.Structure(t, "relations with comments and tasks", page)
}

const related = `{"type":"bundle","id":"bundle--11111111-1111-4111-8111-1111111111b0","objects":[
{"type":"indicator","spec_version":"2.1","id":"indicator--11111111-1111-4111-8111-111111111111","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'graph.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"},
{"type":"malware","spec_version":"2.1","id":"malware--11111111-1111-4111-8111-111111111112","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"Loader of tests","is_family":true},
{"type":"relationship","spec_version":"2.1","id":"relationship--11111111-1111-4111-8111-111111111115","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","relationship_type":"indicates","source_ref":"indicator--11111111-1111-4111-8111-111111111111","target_ref":"malware--11111111-1111-4111-8111-111111111112"}]}`

func TestRelationPages(t *testing.T) {
	s := serve(t)
	_, err := s.Intake.Submit(t.Context(), intake.Delivery{Source: "cedar", Name: "related.json", Format: "stix", Submitter: "gil"}, strings.NewReader(related), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.indexed(t)
	c := s.client(t, "ann")
	item := s.Find(t, "graph.example").ID.String()
	for path, want := range map[string][]string{
		"/indicators/" + item + "/relations":                             {"Loader of tests", "Indicates", "<svg", "named by the same source"},
		"/objects/malware--11111111-1111-4111-8111-111111111112":         {"graph.example", "Indicates, from the other side", "Nobody has said anything yet"},
		"/objects/malware--11111111-1111-4111-8111-111111111112?depth=2": {"Only its own neighbors"},
	} {
		status, page := get(t, c, s.url+path)
		for _, text := range want {
			if status != http.StatusOK || !strings.Contains(page, text) {
				t.Errorf("%s: status %d, without %q", path, status, text)
			}
		}
		webtest.Structure(t, path, page)
	}
	status, page := post(t, c, s.url+"/casework/comment", url.Values{"subject": {"object:malware--11111111-1111-4111-8111-111111111112"}, "text": {"write to jane.doe@mail.example"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "personal data") {
		t.Errorf("a comment with personal data: status %d", status)
	}
	webtest.Structure(t, "refused comment", page)
	status, _ = get(t, s.client(t, "root"), s.url+"/objects/malware--11111111-1111-4111-8111-111111111112")
	if status != http.StatusForbidden {
		t.Errorf("an administrator reads an object: status %d", status)
	}
}

func TestSavedSearches(t *testing.T) {
	s := serve(t)
	s.indexed(t)
	c := s.client(t, "ann")
	form := url.Values{"q": {"category:phishing"}, "name": {"Phishing"}, "shared": {"yes"}}
	status, page := post(t, c, s.url+"/search/save", form)
	if status != http.StatusOK || !strings.Contains(page, "The search is saved") {
		t.Fatalf("saving: status %d", status)
	}
	status, page = post(t, c, s.url+"/search/save", form)
	if status != http.StatusConflict || !strings.Contains(page, "Choose another") {
		t.Errorf("saving under the same name: status %d", status)
	}
	_, page = get(t, s.client(t, "abe"), s.url+"/search")
	if !strings.Contains(page, "shared by ann") {
		t.Error("a colleague does not see the shared search")
	}
	_, saved, ok := strings.Cut(page, "/search?saved=")
	if !ok {
		t.Fatal("no link to the saved search")
	}
	saved, _, _ = strings.Cut(saved, `"`)
	status, page = get(t, c, s.url+"/search?saved="+saved)
	if status != http.StatusOK || !strings.Contains(page, "<span>New</span>") {
		t.Errorf("the first look: status %d", status)
	}
	_, page = get(t, c, s.url+"/search?saved="+saved)
	if strings.Contains(page, "<span>New</span>") {
		t.Error("at the second look something is still new")
	}
	status, _ = post(t, s.client(t, "abe"), s.url+"/search/remove", url.Values{"id": {saved}})
	if status != http.StatusNotFound {
		t.Errorf("removing a colleague's search: status %d", status)
	}
	status, page = post(t, c, s.url+"/search/remove", url.Values{"id": {saved}})
	if status != http.StatusOK || !strings.Contains(page, "is removed") {
		t.Errorf("removing: status %d", status)
	}
}

// An officer finds what the own source named, and who may not see values does not
// find them.
func TestSearchShowsWhatTheReaderMayKnow(t *testing.T) {
	s := serve(t)
	s.indexed(t)
	for _, tt := range []struct {
		login, q, value string
		found           bool
	}{
		{"ann", "other-source.example", "other-source.example", true},
		{"gil", "other-source.example", "other-source.example", false},
		{"gil", "kind:domain", "other-source.example", false},
		{"gil", "kind:domain", "first.example", true},
		{"stella", "hidden.example", "No indicator fits", true},
		{"stella", "hidden", "No indicator fits", true},
		{"stella", "category:exfiltration", "hidden value", true},
	} {
		_, page := get(t, s.client(t, tt.login), s.url+"/search?q="+url.QueryEscape(tt.q))
		_, result, _ := strings.Cut(page, "</form>") // without the field
		if strings.Contains(result, ">"+tt.value+"<") != tt.found && strings.Contains(result, tt.value) != tt.found {
			t.Errorf("%s looks for %s: %s shown %t", tt.login, tt.q, tt.value, !tt.found)
		}
	}
}
