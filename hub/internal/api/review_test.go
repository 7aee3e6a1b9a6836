package api

import (
	"net/http"
	"net/url"
	"slices"
	"testing"

	"ecs/hub/internal/review"
)

func TestQuestionsAndSheets(t *testing.T) {
	s := serve(t)
	var page questionsJSON
	s.got(t, "ann", "/api/v1/questions?state=PENDING_FIRST", http.StatusOK, &page)
	id := s.Find(t, "other-source.example").ID
	i := slices.IndexFunc(page.Questions, func(q questionJSON) bool { return q.Source == "dogwood" })
	if i < 0 || page.Questions[i].Count != 1 || page.Questions[i].Sample[0] != id {
		t.Fatalf("questions %+v", page.Questions)
	}
	q := page.Questions[i]
	var members membersJSON
	at := "/api/v1/questions/members?" + url.Values{"state": {"PENDING_FIRST"}, "key": {q.Key}, "last": {q.Last.String()}}.Encode()
	s.got(t, "ann", at, http.StatusOK, &members)
	if len(members.IDs) != 1 || members.IDs[0] != id {
		t.Errorf("members %+v", members)
	}
	s.got(t, "gil", at, http.StatusNotFound, nil)
	s.got(t, "ann", "/api/v1/questions?state=RELEASED", http.StatusBadRequest, nil)
	var sheet sheetJSON
	s.got(t, "ann", "/api/v1/items/"+id.String()+"/review", http.StatusOK, &sheet)
	if len(sheet.Checks) == 0 || sheet.Sentence == "" || sheet.Suggestion != review.Approve || sheet.Due == nil {
		t.Errorf("sheet %+v", sheet)
	}
	hidden := s.Find(t, "hidden.example").ID
	s.got(t, "stella", "/api/v1/items/"+hidden.String()+"/review", http.StatusOK, &sheet)
	if !sheet.Hidden || len(sheet.Lists) != 0 {
		t.Errorf("a sheet of a hidden value %+v", sheet)
	}
	s.got(t, "gil", "/api/v1/items/"+id.String()+"/review", http.StatusNotFound, nil)
}

// got fetches and compares the status.
func (s served) got(t *testing.T, login, path string, status int, into any) {
	t.Helper()
	if got := s.call(t, login, http.MethodGet, path, "", into); got != status {
		t.Fatalf("%s for %s: status %d, want %d", path, login, got, status)
	}
}
