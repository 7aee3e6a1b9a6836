package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/web/webtest"
)

func TestRehearsal(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	status, page := get(t, ann, s.url+"/providers/birch/rehearsal")
	for _, want := range []string{
		"Rehearsal for", "the marking TLP:AMBER is above the provider&#39;s ceiling TLP:GREEN", "force.example", "first.example", "is REVOKED, not approved",
	} {
		if status != http.StatusOK || !strings.Contains(page, want) {
			t.Errorf("%d, the page lacks %q", status, want)
		}
	}
	status, page = get(t, ann, s.url+"/providers/alder/rehearsal?q="+url.QueryEscape("hxxp://nowhere.example"))
	if status != http.StatusOK || !strings.Contains(page, "Nothing that you may know of has this identifier or value") {
		t.Errorf("%d for what is not there", status)
	}
	id := s.Find(t, "force.example").ID
	for _, asked := range []string{"FORCE.example", id.String()} {
		status, page = get(t, ann, s.url+"/providers/alder/rehearsal?q="+url.QueryEscape(asked))
		for _, want := range []string{"/indicators/" + id.String(), "U TLP:AMBER", "the service cannot observe this pattern"} {
			if status != http.StatusOK || !strings.Contains(page, want) {
				t.Errorf("%s: %d, the page lacks %q", asked, status, want)
			}
		}
	}
	for login, want := range map[string]int{"gil": http.StatusForbidden, "otto": http.StatusForbidden} {
		status, _ = get(t, s.client(t, login), s.url+"/providers/alder/rehearsal")
		if status != want {
			t.Errorf("%s: %d, want %d", login, status, want)
		}
	}
	status, _ = get(t, ann, s.url+"/providers/nobody/rehearsal")
	if status != http.StatusNotFound {
		t.Errorf("no such provider: %d", status)
	}
}

// An official gives a clearance, and a provider's page shows it.
func TestAccreditWithClearance(t *testing.T) {
	s := serve(t)
	otto := s.client(t, "otto")
	form := url.Values{"service": {contract.DNS.String()}, "ceiling": {"amber"}, "clearance": {"s//si rel usa"}, "reason": {"the facility is cleared now"}}
	status, page := post(t, otto, s.url+"/providers/alder/accredit", form)
	if status != http.StatusOK || !strings.Contains(page, "S//SI REL USA TLP:AMBER") {
		t.Errorf("%d: the page does not show the clearance", status)
	}
	form.Set("clearance", "very secret")
	status, page = post(t, otto, s.url+"/providers/alder/accredit", form)
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "is not a level") {
		t.Errorf("a clearance that is none: %d", status)
	}
}

func TestRehearsalInABrowser(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	webtest.SignIn(t, ctx, s.url, "ann", s.Passwords["ann"])
	for name, path := range map[string]string{
		"rehearsal": "/providers/alder/rehearsal", "rehearsal-birch": "/providers/birch/rehearsal",
		"rehearsal-found": "/providers/alder/rehearsal?q=force.example", "rehearsal-nothing": "/providers/alder/rehearsal?q=nowhere.example",
	} {
		webtest.Open(t, ctx, s.url+path)
		webtest.Accessible(t, ctx, name)
		webtest.Shot(t, ctx, "hub-"+name)
		webtest.Reflows(t, ctx, "hub-"+name)
	}
}
