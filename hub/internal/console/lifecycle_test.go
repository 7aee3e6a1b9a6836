package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/web/webtest"
)

func form(pairs ...string) url.Values {
	out := url.Values{"reason": {hubtest.Why}}
	for i := 0; i+1 < len(pairs); i += 2 {
		out.Add(pairs[i], pairs[i+1])
	}
	return out
}

// The further life of an indicator by its page: a new version, a tear line with both
// sides, a shadow run, a purge.
func TestLifePage(t *testing.T) {
	s := serve(t)
	ann, abe, rita, paul, gil := s.client(t, "ann"), s.client(t, "abe"), s.client(t, "rita"), s.client(t, "paul"), s.client(t, "gil")
	old := s.Find(t, "force.example")
	path := s.url + "/indicators/" + old.ID.String() + "/life"
	for name, c := range map[string]*http.Client{"ann": ann, "rita": rita, "paul": paul, "gil": gil} {
		status, page := get(t, c, path)
		if status != http.StatusOK {
			t.Fatalf("%s: status %d", name, status)
		}
		webtest.Structure(t, "life for "+name, page)
	}
	status, page := post(t, ann, path+"/replace", form())
	if status != http.StatusOK {
		t.Fatalf("replace: %d\n%s", status, page)
	}
	if !strings.Contains(page, "The new version is drafted") || !strings.Contains(page, "Replaces") {
		t.Errorf("the draft's page does not say what it is\n%s", page)
	}
	status, page = post(t, ann, path+"/replace", url.Values{"reason": {"no"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#replace-reason"`) {
		t.Errorf("a short reason: %d", status)
	}
	made, err := indicator.MadeOf(t.Context(), s.DB, old.ID)
	if err != nil || len(made) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	next := s.url + "/indicators/" + made[0].Item.String()
	status, page = post(t, abe, next+"/first", form())
	if status != http.StatusOK {
		t.Fatalf("first approval: %d\n%s", status, page)
	}
	_, page = get(t, rita, next+"/life")
	webtest.Structure(t, "a new version", page)
	if !strings.Contains(page, "Approve and replace") {
		t.Error("the authority is not offered to replace")
	}
	status, page = post(t, rita, next+"/life/supersede", form())
	if status != http.StatusOK || !strings.Contains(page, "in the place of the old version") {
		t.Fatalf("supersede: %d\n%s", status, page)
	}

	path = next + "/life"
	status, page = post(t, ann, path+"/tear", form("markings", "TLP:RED", "category", "phishing", "act-on", "alert"))
	if status != http.StatusConflict || !strings.Contains(page, "not lower") {
		t.Errorf("not lower: %d\n%s", status, page)
	}
	webtest.Structure(t, "no tear line", page)
	status, page = post(t, ann, path+"/tear", form("markings", "TLP:CLEAR", "category", "phishing", "act-on", "alert", "summary", "a site"))
	if status != http.StatusOK || !strings.Contains(page, "Said below, though it stands above the line") {
		t.Fatalf("tear: %d\n%s", status, page)
	}
	webtest.Structure(t, "tear line", page)
	made, err = indicator.MadeOf(t.Context(), s.DB, made[0].Item)
	if err != nil || len(made) != 1 {
		t.Fatalf("%+v, %v", made, err)
	}
	low := s.url + "/indicators/" + made[0].Item.String() + "/life"
	_, page = get(t, gil, low)
	webtest.Structure(t, "tear line for the officer", page)
	if !strings.Contains(page, "Consent for your source") {
		t.Error("the officer is not asked to consent")
	}
	status, page = post(t, gil, low+"/consent", form("field", "pattern"))
	if status != http.StatusOK || !strings.Contains(page, "finds nothing of the upper part") {
		t.Fatalf("consent: %d\n%s", status, page)
	}
	status, page = post(t, abe, low+"/reading", form())
	if status != http.StatusOK || !strings.Contains(page, "Abe Analyst") {
		t.Fatalf("reading: %d\n%s", status, page)
	}
	status, _ = post(t, ann, low+"/nothing", form())
	if status != http.StatusNotFound {
		t.Errorf("no such act: %d", status)
	}

	status, page = post(t, paul, path+"/purge", form("code", "personal-data"))
	if status != http.StatusOK || !strings.Contains(page, "The purge is ordered") {
		t.Fatalf("purge: %d\n%s", status, page)
	}
}

func TestPurgesPage(t *testing.T) {
	s := serve(t)
	for login, want := range map[string]int{"paul": 200, "audrey": 200, "gil": 403} {
		status, page := get(t, s.client(t, login), s.url+"/purges")
		if status != want {
			t.Errorf("%s: status %d, want %d", login, status, want)
		}
		webtest.Structure(t, "purges for "+login, page)
	}
	paul := s.client(t, "paul")
	status, page := post(t, paul, s.url+"/purges/person", form("text", "jane.doe"))
	if status != http.StatusOK || !strings.Contains(page, s.Find(t, "jane.doe@mail.example").ID.String()) {
		t.Fatalf("search: %d\n%s", status, page)
	}
	webtest.Structure(t, "found", page)
	status, page = post(t, paul, s.url+"/purges/person", form("text", "j"))
	if status != http.StatusUnprocessableEntity {
		t.Errorf("one letter: %d", status)
	}
	webtest.Structure(t, "not found", page)
	status, _ = post(t, s.client(t, "ann"), s.url+"/purges/person", form("text", "jane.doe"))
	if status != http.StatusForbidden {
		t.Errorf("by an analyst: %d", status)
	}
	status, _ = post(t, paul, s.url+"/purges/attest", form("statement", "{}"))
	if status != http.StatusForbidden {
		t.Errorf("attested by the hub: %d", status)
	}
}
