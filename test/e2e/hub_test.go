package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const hubAccounts = `accounts:
  - {login: grace, person: Grace Lindqvist, roles: [gfi_officer], scope: national-cert}
  - {login: alice, person: Alice Rivera, roles: [pmo_analyst]}
  - {login: bruno, person: Bruno Costa, roles: [pmo_analyst, release_authority]}
  - {login: rosa, person: Rosa Haddad, roles: [release_authority]}
  - {login: priya, person: Priya Menon, roles: [privacy_officer]}
  - {login: omar, person: Omar Diallo, roles: [auditor]}
  - {login: carl, person: Carl Weber, roles: [accrediting_official]}
`

// hub is a hub as a process of its own.
type hub struct {
	*process
	dir, url, door, pin string
	passwords           map[string]string
	sessions            map[string]*http.Client
}

var (
	account = regexp.MustCompile(`new account (\S+) .*password, shown once: (\S+)`)
	pin     = regexp.MustCompile(`hub: pin +(\S+)`)
	quick   = &http.Client{Timeout: 30 * time.Second}
)

// startHub writes a configuration and starts a hub with it.
func startHub(t *testing.T, extra string) *hub {
	t.Helper()
	base := ports(t, 0, 43)
	h := &hub{dir: t.TempDir(), url: fmt.Sprintf("http://127.0.0.1:%d", base), door: fmt.Sprintf("https://127.0.0.1:%d", base+43)}
	file := filepath.Join(h.dir, "hub.yaml")
	write(t, file, fmt.Sprintf(`program: Sample Sharing Program
key: program.example
identity: identity--4f1d9c3e-8a57-4c1b-9d57-6f0c7d1f2a10
data: %[1]s/data
console: 127.0.0.1:%[2]d
door: 127.0.0.1:%[3]d
door_names: [127.0.0.1]
watch: %[1]s/inbox
watch_as: grace
ceiling: amber+strict
%[4]s%[5]s`, h.dir, base, base+43, hubAccounts, extra))
	makeDir(t, filepath.Join(h.dir, "inbox", "national-cert"))
	h.process = start(t, filepath.Join(h.dir, "log"), ecs, "-v", "hub", "-c", file)
	h.ready(t)
	h.passwords = map[string]string{}
	for _, m := range account.FindAllStringSubmatch(h.all(), -1) {
		h.passwords[m[1]] = m[2]
	}
	h.pin = pin.FindStringSubmatch(h.all())[1]
	h.sessions = map[string]*http.Client{}
	return h
}

// ready waits until the present run answers.
func (h *hub) ready(t *testing.T) {
	t.Helper()
	h.wait(t, "hub: pin ")
	answers(t, h.url)
}

func answers(t *testing.T, base string) {
	t.Helper()
	until(t, base+" to answer", 30*time.Second, func() bool {
		resp, err := quick.Get(base + "/sign-in")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// as is the environment in which the command line speaks for somebody.
func (h *hub) as(login string) []string {
	return []string{"ECS_HUB=" + h.url, "ECS_USER=" + login, "ECS_PASSWORD=" + h.passwords[login]}
}

// ask calls the API and gives the status; 0 when there was no answer.
func (h *hub) ask(login, method, path string, in, out any) (int, error) {
	var body io.Reader
	switch x := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(x)
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return 0, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, h.url+"/api/v1"+path, body)
	if err != nil {
		return 0, err
	}
	req.SetBasicAuth(login, h.passwords[login])
	resp, err := quick.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode == http.StatusTooManyRequests { // as a client of ours does
		time.Sleep(time.Second)
		return h.ask(login, method, path, in, out)
	}
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, b)
	}
	if out == nil {
		return resp.StatusCode, nil
	}
	return resp.StatusCode, json.Unmarshal(b, out)
}

// must is ask for what has to succeed.
func (h *hub) must(t *testing.T, login, method, path string, in, out any) {
	t.Helper()
	_, err := h.ask(login, method, path, in, out)
	if err != nil {
		t.Fatal(err)
	}
}

// item is what the tests read of an indicator.
type item struct {
	ID         string
	State      string
	Value      string
	Pattern    string
	Kind       string
	Deliveries []struct{ Provider, Service, Status string }
}

func (h *hub) items(t *testing.T, q url.Values) []item {
	t.Helper()
	var all []item
	q.Set("limit", "1000")
	for {
		var page struct {
			Items []item
			Next  string
		}
		h.must(t, "bruno", "GET", "/items?"+q.Encode(), nil, &page)
		all = append(all, page.Items...)
		if page.Next == "" {
			return all
		}
		q.Set("after", page.Next)
	}
}

// find gives the one indicator with a value.
func (h *hub) find(t *testing.T, value string) item {
	t.Helper()
	for _, it := range h.items(t, url.Values{"q": {value}}) {
		if it.Value == value {
			return it
		}
	}
	t.Fatalf("the hub has no indicator %q", value)
	return item{}
}

// deliver submits a file by the command line.
func (h *hub) deliver(t *testing.T, name, text string) ran {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	write(t, file, text)
	return run(t, h.as("grace"), ecs, "submit", "-s", "national-cert", "--json", file)
}

// decide decides by the command line.
func (h *hub) decide(t *testing.T, login, act string, args ...string) string {
	t.Helper()
	return good(t, h.as(login), append([]string{ecs, "decide", act, "-r", "Looked at it, and compared it with what is known; the address itself is what attacks."}, args...)...)
}

// release takes an indicator from wherever it is to its release for all services.
func (h *hub) release(t *testing.T, value string) string {
	t.Helper()
	it := h.find(t, value)
	if it.State == "PRIVACY_GATE" {
		h.decide(t, "priya", "privacy", "--determination", "NECESSARY", it.ID)
	}
	h.decide(t, "bruno", "first", it.ID)
	h.decide(t, "rosa", "second", "--to", "northnet=all", it.ID)
	return it.ID
}

// ledger waits until all of an indicator's deliveries have a status.
func (h *hub) ledger(t *testing.T, id, status string) time.Duration {
	t.Helper()
	return until(t, "the ledger to say "+status, 60*time.Second, func() bool {
		var it item
		_, err := h.ask("rosa", "GET", "/items/"+id, nil, &it)
		n := 0
		for _, d := range it.Deliveries {
			if strings.EqualFold(d.Status, status) {
				n++
			}
		}
		return err == nil && n > 0 && n == len(it.Deliveries)
	})
}

// page reads a page of the hub's console.
func (h *hub) page(t *testing.T, login, path string) string {
	t.Helper()
	if h.sessions[login] == nil {
		h.sessions[login] = signIn(t, h.url, login, h.passwords[login])
	}
	return read(t, h.sessions[login], h.url+path)
}

// signIn signs in to a console and gives a client that holds the session.
func signIn(t *testing.T, base, login, password string) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	resp, err := c.PostForm(base+"/sign-in", url.Values{"login": {login}, "password": {password}, "next": {"/"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK || strings.HasSuffix(resp.Request.URL.Path, "/sign-in") {
		t.Fatalf("%s cannot sign in: %s", login, resp.Status)
	}
	return c
}

func read(t *testing.T, c *http.Client, at string) string {
	t.Helper()
	resp, err := c.Get(at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || resp.Request.URL.Path == "/sign-in" {
		t.Fatalf("%s led to %s: %s, %v", at, resp.Request.URL, resp.Status, err)
	}
	return string(b)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	err := os.WriteFile(file, []byte(text), 0o600)
	if err != nil {
		t.Fatal(err)
	}
}

func makeDir(t *testing.T, dir string) {
	t.Helper()
	err := os.MkdirAll(dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
}
