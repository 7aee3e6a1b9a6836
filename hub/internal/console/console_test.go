package console

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/web"
	"ecs/web/webtest"
)

type served struct {
	*hubtest.Hub
	url string
}

func serve(t *testing.T) served {
	t.Helper()
	return serveWith(t, func(*hubtest.Hub, *Config) {})
}

// serveWith is serve with a changed configuration.
func serveWith(t *testing.T, change func(*hubtest.Hub, *Config)) served {
	t.Helper()
	site := web.Site{House: "hub", Name: "ECS Hub", Owner: "Sample Program", Demonstration: true, Version: "test"}
	var h *hubtest.Hub
	page, err := web.SignInPage(site, discard)
	if err != nil {
		t.Fatal(err)
	}
	h = hubtest.New(t, signin.Config{Cookie: "h", Page: page, Public: Public})
	h.Furnish(t)
	cfg := Config{Site: site, Accounts: h.Accounts, DB: h.DB, Desk: h.Desk, Program: h.Program, Intake: h.Intake, Feedback: h.Feedback, Log: h.Log}
	change(h, &cfg)
	handler, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return served{h, srv.URL}
}

func (s served) client(t *testing.T, login string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	status, page := post(t, c, s.url+"/sign-in", url.Values{"login": {login}, "password": {s.Passwords[login]}, "next": {"/"}})
	if status != http.StatusOK {
		t.Fatalf("sign-in of %s: %d\n%s", login, status, page)
	}
	return c
}

func get(t *testing.T, c *http.Client, address string) (int, string) {
	t.Helper()
	r, err := c.Get(address)
	return answer(t, r, err)
}

func post(t *testing.T, c *http.Client, address string, form url.Values) (int, string) {
	t.Helper()
	r, err := c.PostForm(address, form)
	return answer(t, r, err)
}

func answer(t *testing.T, r *http.Response, err error) (int, string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	csp := r.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(csp, "default-src 'none'; style-src 'self'") || strings.Contains(csp, "unsafe") {
		t.Errorf("%s: content security policy %q", r.Request.URL.Path, csp)
	}
	return r.StatusCode, string(b)
}

func (s served) pages(t *testing.T) map[string]string {
	t.Helper()
	at := time.Now().UTC().Add(time.Second).Format(second)
	return map[string]string{
		"dashboard": "/", "indicators": "/indicators", "search": "/indicators?q=force&state=IN_FORCE", "bad-search": "/indicators?state=NONE",
		"story-in-force": "/indicators/" + s.Find(t, "force.example").ID.String(), "story-recalled": "/indicators/" + s.Find(t, "recalled.example").ID.String(),
		"story-stopped": "/indicators/" + s.Find(t, "jane.doe@mail.example").ID.String(), "story-first": "/indicators/" + s.Find(t, "first.example").ID.String(),
		"life": "/indicators/" + s.Find(t, "force.example").ID.String() + "/life", "purges": "/purges",
		"queue": "/queue", "queue-privacy": "/queue?step=privacy", "queue-override": "/queue?step=override", "queue-first": "/queue?step=first", "queue-second": "/queue?step=second",
		"providers": "/providers", "provider": "/providers/alder", "ledger": "/providers/alder/ledger", "in-force": "/providers/alder/in-force?at=" + at,
		"feedback": "/feedback", "feedback-sector": "/feedback?by=sector", "missing": "/nowhere",
	}
}

func TestPagesAreWellBuilt(t *testing.T) {
	s := serve(t)
	for _, login := range []string{"ann", "rita", "paul", "otto"} {
		c := s.client(t, login)
		for name, p := range s.pages(t) {
			status, page := get(t, c, s.url+p)
			if status >= 500 {
				t.Errorf("%s for %s: status %d", p, login, status)
			}
			webtest.Structure(t, name+" for "+login, page)
		}
	}
	c := s.client(t, "audrey")
	for _, p := range []string{"/deliveries", "/audit"} {
		_, page := get(t, c, s.url+p)
		webtest.Structure(t, p, page)
	}
}

func TestEachRoleSeesItsPagesOnly(t *testing.T) {
	s := serve(t)
	all := []string{"/indicators", "/queue", "/deliveries", "/providers", "/feedback", "/audit"}
	tests := []struct {
		login string
		sees  []string
	}{
		{"ann", []string{"/indicators", "/queue", "/deliveries", "/providers", "/feedback"}},
		{"rita", []string{"/indicators", "/queue", "/providers", "/feedback"}},
		{"paul", all},
		{"gil", []string{"/indicators", "/queue", "/deliveries"}},
		{"stella", []string{"/indicators", "/queue", "/feedback"}},
		{"audrey", all},
		{"otto", []string{"/providers", "/feedback"}},
		{"asa", []string{"/providers"}},
		{"root", []string{"/providers"}},
	}
	for _, tt := range tests {
		t.Run(tt.login, func(t *testing.T) {
			c := s.client(t, tt.login)
			for _, p := range all {
				want := http.StatusForbidden
				for _, x := range tt.sees {
					if x == p {
						want = http.StatusOK
					}
				}
				status, _ := get(t, c, s.url+p)
				if status != want {
					t.Errorf("%s: status %d, want %d", p, status, want)
				}
			}
		})
	}
}

func TestStoryTellsEverything(t *testing.T) {
	s := serve(t)
	_, page := get(t, s.client(t, "audrey"), s.url+"/indicators/"+s.Find(t, "force.example").ID.String())
	for _, want := range []string{
		"force.example", "source cedar", "C-1", "First approval", "Ann Analyst", "Second approval", "Rita Release", hubtest.Why,
		"DNS sinkholing", "Mail filtering", "alder", "In force", "Found in a memory dump", "Where this indicator was in force, over time",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the story does not tell %q", want)
		}
	}
	if strings.Contains(page, "Your decision") {
		t.Error("an auditor is offered a decision")
	}
}

func TestHiddenValueIsShownOnlyToRolesThatMay(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "hidden.example")
	for _, tt := range []struct {
		login string
		shown bool
	}{{"ann", true}, {"gil", true}, {"audrey", true}, {"stella", false}} {
		c := s.client(t, tt.login)
		for _, p := range []string{"/indicators", "/indicators/" + it.ID.String(), "/queue?step=first"} {
			_, page := get(t, c, s.url+p)
			if strings.Contains(page, "hidden.example") != tt.shown {
				t.Errorf("%s at %s: the value is shown: %v, want %v", tt.login, p, !tt.shown, tt.shown)
			}
			if strings.Contains(page, "Sensitive origin") && !tt.shown {
				t.Errorf("%s at %s: the analysts' context is shown", tt.login, p)
			}
		}
	}
	// Nor can it be found out by searching.
	status, page := get(t, s.client(t, "stella"), s.url+"/indicators?q=hidden")
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "whole identifier") {
		t.Errorf("a search in values by a role that may not see them: status %d", status)
	}
	// Who saw it is in the audit log.
	_, page = get(t, s.client(t, "audrey"), s.url+"/audit?subject="+it.ID.String())
	if !strings.Contains(page, "item.read") {
		t.Error("the reading of a sensitive indicator is not in the audit log")
	}
}

func TestSourceOfficerLearnsNothingOfOtherSources(t *testing.T) {
	s := serve(t)
	c := s.client(t, "gil")
	other := s.Find(t, "other-source.example")
	for _, p := range []string{"/", "/indicators", "/indicators?q=other", "/indicators?source=dogwood", "/queue?step=first", "/deliveries"} {
		_, page := get(t, c, s.url+p)
		if strings.Contains(page, "other-source") || strings.Contains(page, other.ID.String()) || strings.Contains(page, "lab.csv") {
			t.Errorf("%s tells of another source", p)
		}
	}
	status, page := get(t, c, s.url+"/indicators/"+other.ID.String())
	absent := contract.NewID()
	status2, page2 := get(t, c, s.url+"/indicators/"+absent.String())
	page2 = strings.ReplaceAll(page2, absent.String(), other.ID.String())
	cut := func(p string) string { return p[:strings.Index(p, "<footer")] }
	if status != http.StatusNotFound || status2 != http.StatusNotFound || cut(page) != cut(page2) {
		t.Errorf("another source's indicator (%d) and none (%d) are told apart", status, status2)
	}
	for _, act := range []string{"first", "recall", "reject"} {
		status, _ = post(t, c, s.url+"/indicators/"+other.ID.String()+"/"+act, url.Values{"reason": {hubtest.Why}})
		if status != http.StatusNotFound {
			t.Errorf("%s of another source's indicator: status %d, want 404", act, status)
		}
	}
}

func TestWayOfAnIndicatorThroughForms(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "first.example")
	path := s.url + "/indicators/" + it.ID.String()
	ann, rita := s.client(t, "ann"), s.client(t, "rita")
	status, page := post(t, ann, path+"/first", url.Values{"reason": {"no"}, "version": {fmt.Sprint(it.Version)}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#reason"`) {
		t.Fatalf("a short reason: status %d\n%s", status, page)
	}
	webtest.Structure(t, "refused approval", page)
	status, page = post(t, ann, path+"/first", url.Values{"reason": {hubtest.Why}, "version": {fmt.Sprint(it.Version)}})
	if status != http.StatusOK || !strings.Contains(page, "The first approval is recorded") {
		t.Fatalf("first approval: status %d\n%s", status, page)
	}
	status, page = post(t, ann, path+"/first", url.Values{"reason": {hubtest.Why}, "version": {fmt.Sprint(it.Version)}})
	if status != http.StatusConflict || !strings.Contains(page, "changed since you looked") {
		t.Errorf("a stale form: status %d", status)
	}
	status, _ = post(t, ann, path+"/second", url.Values{"reason": {hubtest.Why}, "target": {"alder/dns"}})
	if status != http.StatusForbidden {
		t.Errorf("second approval by an analyst: status %d, want 403", status)
	}
	status, page = post(t, rita, path+"/second", url.Values{"reason": {hubtest.Why}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "no provider was chosen") {
		t.Errorf("no target: status %d", status)
	}
	status, page = post(t, rita, path+"/second", url.Values{"reason": {hubtest.Why}, "target": {"alder/dns", "alder/smtp", "birch/dns"}})
	if status != http.StatusOK || !strings.Contains(page, "above the provider") {
		t.Fatalf("second approval with one impossible target: status %d\n%s", status, page)
	}
	webtest.Structure(t, "released in part", page)
	status, page = post(t, rita, path+"/recall", url.Values{"reason": {hubtest.Why}})
	if status != http.StatusOK || !strings.Contains(page, "Recalled. The removal is on its way") {
		t.Fatalf("recall: status %d\n%s", status, page)
	}
	if got := s.Find(t, "first.example").State; got != indicator.Revoked {
		t.Errorf("the indicator is %s", got)
	}
}

func TestBulkQueue(t *testing.T) {
	s := serve(t)
	ann, rita, paul := s.client(t, "ann"), s.client(t, "rita"), s.client(t, "paul")
	privacy := s.Find(t, "jane.doe@mail.example")
	status, page := post(t, paul, s.url+"/queue", url.Values{"step": {"privacy"}, "act": {"privacy"}, "which": {"checked"}, "id": {privacy.ID.String()}, "determination": {"NECESSARY"}, "reason": {"The address is the sender that has to be blocked."}})
	if status != http.StatusOK || !strings.Contains(page, "Done for 1 indicators") {
		t.Fatalf("privacy: status %d\n%s", status, page)
	}
	status, page = post(t, ann, s.url+"/queue", url.Values{"step": {"first"}, "act": {"first"}, "which": {"checked"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, "Choose at least one indicator") || !strings.Contains(page, `href="#reason"`) {
		t.Errorf("an empty form: status %d", status)
	}
	webtest.Structure(t, "refused bulk", page)
	status, page = post(t, ann, s.url+"/queue", url.Values{"step": {"first"}, "act": {"first"}, "which": {"all"}, "reason": {hubtest.Why}})
	if status != http.StatusOK || !strings.Contains(page, "Done for ") {
		t.Fatalf("first approval of all: status %d\n%s", status, page)
	}
	status, page = post(t, rita, s.url+"/queue", url.Values{"step": {"second"}, "act": {"second"}, "which": {"checked"}, "id": {s.Find(t, "second.example").ID.String(), s.Find(t, "192.0.2.66").ID.String()}, "target": {"alder/dns", "alder/netflow"}, "reason": {hubtest.Why}})
	if status != http.StatusOK || !strings.Contains(page, "Done for 2 indicators") {
		t.Fatalf("second approval: status %d\n%s", status, page)
	}
	rows, err := s.Desk.Ledger(t.Context(), s.DB, release.Filter{Provider: "alder", Item: s.Find(t, "192.0.2.66").ID})
	if err != nil || len(rows) != 1 || rows[0].Service != contract.NetFlow {
		t.Errorf("the ledger has %+v, %v", rows, err)
	}
}

func TestDeliveryByForm(t *testing.T) {
	s := serve(t)
	send := func(c *http.Client, source, text string) (int, string) {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for k, v := range map[string]string{"source": source, "format": "csv", "straight": "1"} {
			if err := m.WriteField(k, v); err != nil {
				t.Fatal(err)
			}
		}
		f, err := m.CreateFormFile("file", `C:\lists\new.csv`)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(f, text)
		_ = m.Close()
		r, err := c.Post(s.url+"/deliveries", m.FormDataContentType(), &b)
		return answer(t, r, err)
	}
	gil := s.client(t, "gil")
	status, page := send(gil, "cedar", "value,type\nfresh.example,domain\n;;;,domain\n")
	if status != http.StatusOK || !strings.Contains(page, "Delivery new.csv") || !strings.Contains(page, "Refused, and why") {
		t.Fatalf("status %d\n%s", status, page)
	}
	webtest.Structure(t, "delivery", page)
	status, _ = send(gil, "dogwood", "value,type\nx.example,domain\n")
	if status != http.StatusForbidden {
		t.Errorf("delivery for another source: status %d, want 403", status)
	}
	status, page = send(gil, "cedar", "nonsense")
	if status != http.StatusOK || !strings.Contains(page, "It cannot be read like this") {
		t.Errorf("a file that is no list: status %d\n%s", status, page)
	}
	status, page = send(gil, "cedar", "")
	if status != http.StatusOK || !strings.Contains(page, "It cannot be read like this") {
		t.Errorf("an empty file: status %d\n%s", status, page)
	}
	status, _ = send(s.client(t, "rita"), "cedar", "value,type\nx.example,domain\n")
	if status != http.StatusForbidden {
		t.Errorf("delivery by a release authority: status %d, want 403", status)
	}
}

func TestProviderPages(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	status, page := post(t, ann, s.url+"/providers/alder/token", nil)
	if status != http.StatusOK || !strings.Contains(page, "copy it now") || !strings.Contains(page, "sha256:") {
		t.Fatalf("token: status %d\n%s", status, page)
	}
	webtest.Structure(t, "token", page)
	_, page = get(t, ann, s.url+"/providers/alder")
	if strings.Contains(page, "copy it now") {
		t.Error("the token can be seen again")
	}
	s.Refuse(t, "alder", contract.Older)
	_, page = get(t, ann, s.url+"/providers/alder")
	if !strings.Contains(page, "older than one that was loaded before") {
		t.Error("a refused list is not told in plain words")
	}
	status, page = post(t, ann, s.url+"/providers", url.Values{"id": {"Oak !"}, "name": {"Oak"}})
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a bad short name: status %d\n%s", status, page)
	}
	status, page = post(t, ann, s.url+"/providers", url.Values{"id": {"oak"}, "name": {"Oak Fiber"}})
	if status != http.StatusOK || !strings.Contains(page, "The provider is registered") {
		t.Errorf("register: status %d\n%s", status, page)
	}
	status, page = post(t, ann, s.url+"/providers/oak/state", url.Values{"state": {"ELIGIBILITY_REVIEW"}, "reason": {hubtest.Why}})
	if status != http.StatusOK || !strings.Contains(page, "new state is recorded") {
		t.Errorf("state: status %d\n%s", status, page)
	}
}

func TestAuditorSeesAPastMoment(t *testing.T) {
	s := serve(t)
	c := s.client(t, "audrey")
	now, before := time.Now().UTC(), time.Now().UTC().Add(-time.Hour)
	_, page := get(t, c, s.url+"/providers/alder/in-force?at="+url.QueryEscape(now.Format(time.RFC3339Nano)))
	for _, want := range []string{"force.example", "Ann Analyst", "Rita Release"} {
		if !strings.Contains(page, want) {
			t.Errorf("in force now: %q is not told", want)
		}
	}
	_, page = get(t, c, s.url+"/providers/alder/in-force?at="+url.QueryEscape(before.Format(time.RFC3339Nano)))
	if !strings.Contains(page, "Nothing was in force there then") {
		t.Error("an hour before the release something was in force")
	}
	status, page := get(t, c, s.url+"/providers/alder/in-force?at=yesterday")
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#at"`) {
		t.Errorf("a bad moment: status %d", status)
	}
	status, page = post(t, c, s.url+"/audit/verify", nil)
	if status != http.StatusOK || !strings.Contains(page, "The audit log holds") {
		t.Errorf("verify: status %d\n%s", status, page)
	}
}
