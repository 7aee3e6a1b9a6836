package console

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/web/webtest"
)

// client is signed in as somebody, as a browser without script would be.
func (s served) client(t *testing.T, login string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	if login != "" {
		status, page := post(t, c, s.url+"/sign-in", url.Values{"login": {login}, "password": {s.passwords[login]}, "next": {"/"}})
		if status != http.StatusOK && status != http.StatusForbidden {
			t.Fatalf("sign-in of %s: %d\n%s", login, status, page)
		}
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

func (s served) pages() []string {
	day := s.windows[0]
	return []string{
		"/", "/sightings", "/sightings?service=dns&customer=1", "/sightings?indicator=nonsense", "/customers", "/customers/1", "/customers/2", "/customers/new",
		"/quarantine", "/quarantine?state=", "/notices", "/feedback", "/feedback/" + itoa(int64(day.Day)) + "/dns", "/notice/s3cret", "/nowhere",
	}
}

func itoa(n int64) string {
	var b [20]byte
	i := len(b)
	for ; n > 0 || i == len(b); n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	return string(b[i:])
}

func TestPagesAreWellBuilt(t *testing.T) {
	s := serve(t)
	operator, auditor := s.client(t, "oscar"), s.client(t, "audrey")
	for _, p := range s.pages() {
		_, page := get(t, operator, s.url+p)
		webtest.Structure(t, p, page)
	}
	_, page := get(t, auditor, s.url+"/audit")
	webtest.Structure(t, "/audit", page)
	_, page = get(t, s.client(t, ""), s.url+"/sign-in")
	webtest.Structure(t, "/sign-in", page)
}

func TestEachRoleSeesItsPagesOnly(t *testing.T) {
	s := serve(t)
	tests := []struct {
		login   string
		allowed []string
		refused []string
	}{
		{"oscar", []string{"/", "/sightings", "/customers", "/quarantine", "/notices", "/feedback"}, []string{"/audit"}},
		{"sam", []string{"/", "/sightings", "/customers", "/audit"}, []string{"/customers/new"}},
		{"audrey", []string{"/", "/sightings", "/customers", "/feedback", "/audit"}, []string{"/customers/new"}},
		{"root", []string{"/"}, []string{"/sightings", "/customers", "/quarantine", "/notices", "/feedback", "/audit"}},
		{"dana", []string{"/customers", "/customers/1"}, []string{"/sightings", "/quarantine", "/notices", "/feedback", "/audit", "/customers/new"}},
	}
	for _, tt := range tests {
		t.Run(tt.login, func(t *testing.T) {
			c := s.client(t, tt.login)
			for _, p := range tt.allowed {
				status, _ := get(t, c, s.url+p)
				if status != http.StatusOK {
					t.Errorf("%s: status %d, want 200", p, status)
				}
			}
			for _, p := range tt.refused {
				status, page := get(t, c, s.url+p)
				if status != http.StatusForbidden {
					t.Errorf("%s: status %d, want 403", p, status)
				}
				if !strings.Contains(page, "Ask somebody with one of these roles") {
					t.Errorf("%s: the refusal does not say who can help", p)
				}
			}
		})
	}
}

func TestContactLearnsNothingOfOthers(t *testing.T) {
	s := serve(t)
	c := s.client(t, "dana")
	status, other := get(t, c, s.url+"/customers/2")
	missing, none := get(t, c, s.url+"/customers/999")
	if status != http.StatusNotFound || missing != http.StatusNotFound {
		t.Fatalf("status %d and %d, want 404 for both", status, missing)
	}
	cut := func(page string) string { i := strings.Index(page, "<footer"); return page[:i] } // the footer has the time
	if cut(other) != cut(none) {
		t.Error("the page for another's customer differs from the page for none")
	}
}

func TestOnlyTheContactGivesConsent(t *testing.T) {
	s := serve(t)
	tests := []struct {
		login, path string
		want        int
	}{
		{"oscar", "/customers/1/consent", http.StatusForbidden},
		{"sam", "/customers/1/consent", http.StatusForbidden},
		{"audrey", "/customers/1/consent", http.StatusForbidden},
		{"dana", "/customers/2/consent", http.StatusNotFound},
		{"dana", "/customers/1/consent", http.StatusOK},
	}
	for _, tt := range tests {
		status, page := post(t, s.client(t, tt.login), s.url+tt.path, url.Values{"consent": {"netflow"}})
		if status != tt.want {
			t.Errorf("%s at %s: status %d, want %d\n%s", tt.login, tt.path, status, tt.want, page)
		}
	}
	if s.customers[0].Consent != contract.NetFlow || s.customers[0].ConsentBy != "dana" || s.customers[1].Consent != 0 {
		t.Errorf("consent is %v by %q and %v", s.customers[0].Consent, s.customers[0].ConsentBy, s.customers[1].Consent)
	}
}

func TestDecisionsOfAnOperator(t *testing.T) {
	s := serve(t)
	c := s.client(t, "oscar")
	window := s.windows[0]
	tests := []struct {
		path string
		form url.Values
		says string
		done func() bool
	}{
		{"/sightings/1/verdict", url.Values{"verdict": {"false"}, "back": {"/sightings?service=dns"}}, "The verdict is recorded", func() bool { return s.sightings[0].Verdict == "false" }},
		{"/quarantine/q1/release", nil, "released to its recipients", func() bool { return s.held[0].State == "RELEASED" }},
		{"/notices/5/settle", nil, "The notice is settled", func() bool { return s.notices[0].SettledBy == "oscar" }},
		{"/customers/1/exceptions", url.Values{"indicator": {idA.String()}, "reason": {"Their own test name"}}, "The exception is in force", func() bool { return len(s.customers[0].Exceptions) == 1 }},
		{"/customers/2/exceptions/remove", url.Values{"indicator": {idA.String()}}, "The exception is removed", func() bool { return len(s.customers[1].Exceptions) == 0 }},
		{"/feedback/" + itoa(int64(window.Day)) + "/dns/approve", url.Values{"seen": {Digest(window.Body)}}, "Exactly these bytes leave", func() bool { return s.windows[0].State == "REVIEWED" }},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			status, page := post(t, c, s.url+tt.path, tt.form)
			if status != http.StatusOK || !strings.Contains(page, tt.says) {
				t.Errorf("status %d; the page does not say %q:\n%s", status, tt.says, page)
			}
			if !tt.done() {
				t.Error("nothing was done")
			}
		})
	}
}

func TestCustomerFormNamesWhatIsWrong(t *testing.T) {
	s := serve(t)
	c := s.client(t, "oscar")
	form := url.Values{
		"name": {""}, "sector": {"99"}, "dns": {"2"}, "answer": {"0"}, "mail": {"1"}, "mail-action": {"0"}, "flow": {"2"},
		"prefixes": {"192.0.2.0/24\n192.0.2.0/240"}, "domains": {"a@b"}, "exporters": {"one"}, "notice-mail": {"soc"}, "notice-hook": {"http://hook.example/"},
	}
	status, page := post(t, c, s.url+"/customers/new", form)
	if status != http.StatusUnprocessableEntity {
		t.Fatalf("status %d, want 422", status)
	}
	webtest.Structure(t, "refused form", page)
	for _, want := range []string{"There are 8 problems", `href="#prefixes"`, "Source prefix 2 is not a prefix", `href="#flow"`, "<title>Error: "} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %q", want)
		}
	}
	form = url.Values{"name": {"North Grid"}, "sector": {"8"}, "dns": {"2"}, "answer": {"1"}, "mail": {"0"}, "mail-action": {"0"}, "flow": {"1"}, "prefixes": {"203.0.113.9/24"}}
	status, page = post(t, c, s.url+"/customers/new", form)
	if status != http.StatusOK || !strings.Contains(page, "The customer is saved") {
		t.Fatalf("status %d\n%s", status, page)
	}
	if got := s.customers[2].Prefixes[0].String(); got != "203.0.113.0/24" {
		t.Errorf("prefix is kept as %s, want it masked", got)
	}
}

func TestProblemsAreSaidInPlainWords(t *testing.T) {
	for p := contract.BadNote; p <= contract.NoStorage; p++ {
		text := ProblemText(p)
		if strings.Contains(text, "not known") || len(text) < 40 {
			t.Errorf("problem %s: %q is not plain words", p, text)
		}
	}
	s := serve(t)
	s.status.List.Problem = contract.Older
	s.status.Rooms[1].Fault = "Port 8891 is in use."
	_, page := get(t, s.client(t, "oscar"), s.url+"/")
	for _, want := range []string{"the list before it stays in force", "replaying an old list", "Mail filtering does not run", "Port 8891 is in use."} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview does not say %q", want)
		}
	}
}

func TestNoticeIsAcknowledgedWithoutAccount(t *testing.T) {
	s := serve(t)
	c := s.client(t, "")
	status, _ := get(t, c, s.url+"/notice/guess")
	if status != http.StatusNotFound {
		t.Errorf("a guessed token: status %d, want 404", status)
	}
	status, page := post(t, c, s.url+"/notice/s3cret", url.Values{"rating": {"4"}})
	if status != http.StatusOK || !strings.Contains(page, "nothing more is needed") || s.notices[0].Rating != 4 {
		t.Errorf("status %d, rating %d\n%s", status, s.notices[0].Rating, page)
	}
}

func TestHiddenValueIsNotOnThePage(t *testing.T) {
	s := serve(t)
	_, page := get(t, s.client(t, "oscar"), s.url+"/sightings")
	if !strings.Contains(page, "the marking forbids showing it") {
		t.Error("the page does not say that something is hidden")
	}
}

func TestFormsOfAnotherSiteAreRefused(t *testing.T) {
	s := serve(t)
	c := s.client(t, "oscar")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/quarantine/q1/release", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	got, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = got.Body.Close()
	if got.StatusCode != http.StatusForbidden || s.held[0].State != "HELD" {
		t.Errorf("status %d, message %s: want 403 and HELD", got.StatusCode, s.held[0].State)
	}
}
