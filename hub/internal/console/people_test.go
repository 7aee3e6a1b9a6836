package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/people"
	"ecs/web/webtest"
)

// TestPeople asks for a role by the page, approves it as another person, delegates,
// breaks the glass and looks at it as the auditor.
func TestPeople(t *testing.T) {
	s := servePeople(t)
	otto, root, ann, audrey := s.client(t, "otto"), s.client(t, "root"), s.client(t, "ann"), s.client(t, "audrey")
	_, page := get(t, ann, s.url+"/people")
	webtest.Structure(t, "people, as an analyst", page)
	if !strings.Contains(page, "Your roles") || strings.Contains(page, "Ask for a role") {
		t.Errorf("an analyst's page:\n%s", page)
	}
	form := url.Values{"login": {"stella"}, "role": {"pmo_analyst"}, "reason": {hubtest.Why}}
	status, _ := post(t, ann, s.url+"/people/request", form)
	if status != http.StatusForbidden {
		t.Errorf("a request by an analyst: %d", status)
	}
	status, page = post(t, otto, s.url+"/people/request", form)
	if status != http.StatusOK || !strings.Contains(page, "Another person has to approve it") {
		t.Fatalf("request: %d\n%s", status, page)
	}
	id := regexp.MustCompile(`action="/people/approve"><input type="hidden" name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("no form to approve it:\n%s", page)
	}
	grant := url.Values{"id": {id[1]}, "reason": {hubtest.Why}}
	status, page = post(t, otto, s.url+"/people/approve", grant)
	if status != http.StatusConflict || !strings.Contains(page, "has asked for it") {
		t.Errorf("approved by who asked: %d\n%s", status, page)
	}
	status, page = post(t, root, s.url+"/people/approve", grant)
	if status != http.StatusOK {
		t.Fatalf("approve: %d\n%s", status, page)
	}
	webtest.Structure(t, "people, as an administrator", page)
	_, page = get(t, s.client(t, "stella"), s.url+"/people")
	if !strings.Contains(page, "<th scope=\"row\">Pmo analyst") && !strings.Contains(page, "PMO analyst") {
		t.Errorf("Stella's roles:\n%s", page)
	}
	status, page = post(t, ann, s.url+"/people/emergency", url.Values{"login": {"abe"}, "role": {"release_authority"}, "hours": {"5"}, "reason": {hubtest.Why}})
	if status != http.StatusUnprocessableEntity {
		t.Errorf("five hours: %d\n%s", status, page)
	}
	_, _ = post(t, ann, s.url+"/people/emergency", url.Values{"login": {"abe"}, "role": {"release_authority"}, "hours": {"2"}, "reason": {hubtest.Why}})
	rita := s.client(t, "rita")
	_, page = get(t, rita, s.url+"/people")
	id = regexp.MustCompile(`action="/people/approve"><input type="hidden" name="id" value="([^"]+)"`).FindStringSubmatch(page)
	if id == nil {
		t.Fatalf("nobody can approve the emergency:\n%s", page)
	}
	status, page = post(t, rita, s.url+"/people/approve", url.Values{"id": {id[1]}, "reason": {hubtest.Why}})
	if status != http.StatusOK {
		t.Fatalf("approve the emergency: %d\n%s", status, page)
	}
	_, page = get(t, audrey, s.url+"/people")
	if !strings.Contains(page, "Roles were given in an emergency") {
		t.Errorf("the auditor is not told:\n%s", page)
	}
	webtest.Structure(t, "people, as the auditor", page)
	status, _ = post(t, audrey, s.url+"/people/review", url.Values{"id": {id[1]}, "reason": {hubtest.Why}})
	if status != http.StatusOK {
		t.Errorf("the auditor's look: %d", status)
	}
}

// servePeople is serve with a register of roles.
func servePeople(t *testing.T) served {
	t.Helper()
	var register *people.Register
	s := serveWith(t, func(h *hubtest.Hub, cfg *Config) {
		register = people.New(people.Config{DB: h.DB})
		cfg.People = register
	})
	err := register.Bootstrap(t.Context(), hubtest.People)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
