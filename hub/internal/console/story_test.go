package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/web/webtest"
)

func TestStoryOfWhatWasReleasedFurtherAndTakenBack(t *testing.T) {
	s := serve(t)
	id := s.Release(t, "other-source.example", release.Target{Provider: "alder", Services: contract.DNS})
	rita, path := s.client(t, "rita"), s.url+"/indicators/"+id.String()
	_, page := get(t, rita, path)
	if !strings.Contains(page, "Release to more providers or services") || !strings.Contains(page, "What speaks for and against it") {
		t.Fatalf("the story offers no further release, or does not say what speaks for it:\n%s", page)
	}
	webtest.Structure(t, "story of a released one", page)
	status, page := post(t, rita, path+"/extend", url.Values{"target": {"birch/dns"}, "reason": {hubtest.Why}})
	if status != http.StatusOK || !strings.Contains(page, "birch") {
		t.Fatalf("status %d\n%s", status, page)
	}
	rows, err := s.Desk.Ledger(t.Context(), s.DB, release.Filter{Item: id})
	if err != nil || len(rows) != 2 {
		t.Errorf("the ledger has %+v, %v", rows, err)
	}
	status, _ = post(t, s.client(t, "ann"), path+"/extend", url.Values{"target": {"birch/dns"}, "reason": {hubtest.Why}})
	if status != http.StatusForbidden {
		t.Errorf("a further release by an analyst: status %d, want 403", status)
	}

	// What was taken back stays in the story, with who and from where to where.
	abe, first := s.client(t, "abe"), s.Find(t, "first.example")
	path = s.url + "/indicators/" + first.ID.String()
	status, _ = post(t, abe, path+"/reject", url.Values{"code": {"false-positive"}, "reason": {""}})
	if status != http.StatusOK || s.Find(t, "first.example").State != indicator.Rejected {
		t.Fatalf("reject by code alone: status %d", status)
	}
	_, page = get(t, abe, path)
	if !strings.Contains(page, "Take your last decision back") || !strings.Contains(page, "Rejected: false positive") {
		t.Errorf("the story does not offer the undo, or not the code:\n%s", page)
	}
	status, page = post(t, abe, s.url+"/decisions/undo", url.Values{"item": {first.ID.String()}})
	if status != http.StatusOK || !strings.Contains(page, "Taken back: 1") {
		t.Fatalf("undo: status %d\n%s", status, page)
	}
	_, page = get(t, abe, path)
	for _, want := range []string{"Rejected: false positive, taken back", "A decision taken back", "Waits for first approval → Rejected", "Abe Analyst"} {
		if !strings.Contains(page, want) {
			t.Errorf("the story does not tell %q", want)
		}
	}
	webtest.Structure(t, "story with an undo", page)
}
