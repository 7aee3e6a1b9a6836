package signin

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func open(dsn string) (*sqldb.DB, error) {
	return sqldb.Open(context.Background(), dsn, os.DirFS("../../provider/internal/store/migrations"))
}

// clock is a time that a test moves by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func service(db *sqldb.DB, cfg Config) (*Service, *clock) {
	c := &clock{now: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	cfg.Iterations, cfg.Now = 10, c.Now
	return New(db, cfg), c
}

var alice = Account{Login: "alice", Person: "Alice Example", Roles: []string{"pmo_analyst", "auditor"}, Scope: "north"}

func create(t *testing.T, s *Service, a Account) string {
	t.Helper()
	p, err := s.Create(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCheck(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		s, _ := service(db, Config{})
		p := create(t, s, alice)
		if !regexp.MustCompile(`^([a-km-np-z2-9]{4}-){4}[a-km-np-z2-9]{4}$`).MatchString(p) {
			t.Fatalf("password %q", p)
		}
		a, err := s.Check(t.Context(), "alice", p)
		if err != nil || a.Person != alice.Person || !a.Has("auditor") || a.Has("") || a.Scope != "north" {
			t.Fatalf("%+v, %v", a, err)
		}
		for name, in := range map[string][2]string{
			"wrong password": {"alice", p + "x"}, "no password": {"alice", ""}, "unknown": {"bob", p},
			"no login": {"", ""}, "long": {"alice", strings.Repeat("x", 300)}, "quote": {"alice' OR '1'='1", p},
		} {
			_, err = s.Check(t.Context(), in[0], in[1])
			if !errors.Is(err, ErrCredentials) {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err = s.Create(t.Context(), alice)
		if !errors.Is(err, ErrExists) {
			t.Fatalf("a second alice: %v", err)
		}
		err = s.Disable(t.Context(), "alice", true)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Check(t.Context(), "alice", p)
		if !errors.Is(err, ErrCredentials) {
			t.Fatalf("disabled: %v", err)
		}
		_, err = s.Change(t.Context(), "alice", "enable")
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Change(t.Context(), "alice", "delete")
		if err == nil {
			t.Fatal("a change that does not exist was made")
		}
		p2, err := s.Change(t.Context(), "alice", "reset")
		if err != nil || p2 == p {
			t.Fatalf("reset: %v", err)
		}
		_, err = s.Check(t.Context(), "alice", p)
		if !errors.Is(err, ErrCredentials) {
			t.Fatalf("old password: %v", err)
		}
		_, err = s.Check(t.Context(), "alice", p2)
		if err != nil {
			t.Fatalf("new password: %v", err)
		}
		list, err := s.List(t.Context())
		if err != nil || len(list) != 1 || list[0].Disabled || list[0].Created.IsZero() {
			t.Fatalf("%+v, %v", list, err)
		}
		n, err := audit.Verify(t.Context(), db)
		if err != nil || n != 4 {
			t.Fatalf("%d audit entries, %v", n, err)
		}
		if c := s.Counts(); c.Passed != 2 || c.Failed != 8 {
			t.Fatalf("counts %+v", c)
		}
	})
}

func TestCreateRefuses(t *testing.T) {
	s, _ := service(sqldbtest.Lite(t, open), Config{})
	for name, a := range map[string]Account{
		"no login": {Person: "P"}, "capital": {Login: "Alice", Person: "P"}, "no person": {Login: "a", Person: " "},
		"comma in role": {Login: "a", Person: "P", Roles: []string{"x,y"}}, "empty role": {Login: "a", Person: "P", Roles: []string{""}},
	} {
		_, err := s.Create(t.Context(), a)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRateLimit(t *testing.T) {
	s, c := service(sqldbtest.Lite(t, open), Config{})
	p := create(t, s, alice)
	for i := range triesByLogin {
		_, err := s.Check(t.Context(), "alice", "wrong")
		if !errors.Is(err, ErrCredentials) {
			t.Fatalf("try %d: %v", i, err)
		}
	}
	_, err := s.Check(t.Context(), "alice", p)
	if !errors.Is(err, ErrLimited) || s.Counts().Limited != 1 {
		t.Fatalf("the right password after too many: %v", err)
	}
	c.add(window)
	_, err = s.Check(t.Context(), "alice", p)
	if err != nil {
		t.Fatalf("after the window: %v", err)
	}
	// By address, over many logins.
	limited := 0
	for i := range triesByAddress + 5 {
		_, err = s.checkFrom(t.Context(), "user"+string(rune('a'+i%26))+string(rune('a'+i/26)), "x", "192.0.2.1")
		if errors.Is(err, ErrLimited) {
			limited++
		}
	}
	if limited != 5 {
		t.Fatalf("%d of 5 tries beyond the limit were refused", limited)
	}
	_, err = s.checkFrom(t.Context(), "alice", p, "192.0.2.2")
	if err != nil {
		t.Fatalf("another address: %v", err)
	}
}

func TestLimiterHasRoomForSoMany(t *testing.T) {
	c := &clock{now: time.Unix(1, 0)}
	l := newLimiter(2, time.Minute, 3, c.Now)
	for _, n := range []string{"a", "b", "c"} {
		if !l.allow(n) {
			t.Fatal(n)
		}
	}
	if l.allow("d") || !l.allow("a") {
		t.Fatal("a full limiter lets in who is new, or keeps out who is known")
	}
	c.add(time.Minute)
	if !l.allow("d") || len(l.tries) != 1 {
		t.Fatal("the old names are not swept")
	}
}

type browser struct {
	*http.Client
	base string
}

func site(t *testing.T, s *Service) *browser {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a, ok := From(r.Context())
		if !ok {
			a.Login = "nobody"
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+a.Login)
	})
	srv := httptest.NewServer(s.Wrap(mux))
	t.Cleanup(srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{base: srv.URL, Client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (b *browser) ask(t *testing.T, method, path string, form url.Values, change func(*http.Request)) (status int, body string, h http.Header) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if change != nil {
		change(req)
	}
	resp, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text), resp.Header
}

func TestSession(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		s, c := service(db, Config{Cookie: "ecs-hub", Public: []string{"/assets/"}})
		p := create(t, s, alice)
		b := site(t, s)
		status, _, h := b.ask(t, "GET", "/items?a=b", nil, nil)
		if status != 303 || h.Get("Location") != "/sign-in?next=%2Fitems%3Fa%3Db" {
			t.Fatalf("without session: %d %q", status, h.Get("Location"))
		}
		status, body, _ := b.ask(t, "GET", "/assets/x.css", nil, nil)
		if status != 200 || body != "GET /assets/x.css nobody" {
			t.Fatalf("public: %d %q", status, body)
		}
		status, body, _ = b.ask(t, "POST", "/sign-in", url.Values{"login": {"alice"}, "password": {"<wrong>"}, "next": {"/items"}}, nil)
		if status != 401 || !strings.Contains(body, "wrong.") || strings.Contains(body, "<wrong>") {
			t.Fatalf("wrong password: %d %q", status, body)
		}
		signIn := url.Values{"login": {" Alice "}, "password": {p}, "next": {"/items?a=b"}}
		status, _, h = b.ask(t, "POST", "/sign-in", signIn, nil)
		cookie := h.Get("Set-Cookie")
		if status != 303 || h.Get("Location") != "/items?a=b" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || !strings.HasPrefix(cookie, "ecs-hub=") {
			t.Fatalf("sign-in: %d %q %q", status, h.Get("Location"), cookie)
		}
		value, _, _ := strings.Cut(strings.TrimPrefix(cookie, "ecs-hub="), ";")
		var kept int
		err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM session WHERE token = $1", value).Scan(&kept)
		if err != nil || kept != 0 || len(value) != 43 {
			t.Fatalf("the database holds the cookie itself, or it is short (%d), %v", len(value), err)
		}
		status, body, _ = b.ask(t, "GET", "/items", nil, nil)
		if status != 200 || body != "GET /items alice" {
			t.Fatalf("with session: %d %q", status, body)
		}
		status, _, _ = b.ask(t, "POST", "/items", url.Values{}, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") })
		if status != 403 {
			t.Fatalf("from another origin: %d", status)
		}
		// Idle: kept alive while used, gone after half an hour without.
		for range 3 {
			c.add(25 * time.Minute)
			status, _, _ = b.ask(t, "GET", "/", nil, nil)
			if status != 200 {
				t.Fatalf("in use: %d", status)
			}
		}
		c.add(31 * time.Minute)
		status, _, _ = b.ask(t, "GET", "/", nil, nil)
		if status != 303 {
			t.Fatalf("idle: %d", status)
		}
		// Absolute: however busy.
		b.ask(t, "POST", "/sign-in", signIn, nil)
		for range 12*3 + 1 {
			c.add(20 * time.Minute)
			status, _, _ = b.ask(t, "GET", "/", nil, nil)
		}
		if status != 303 {
			t.Fatalf("after more than 12 hours: %d", status)
		}
		b.ask(t, "POST", "/sign-in", signIn, nil)
		status, _, _ = b.ask(t, "GET", "/sign-out", nil, nil)
		if status != 405 {
			t.Fatalf("sign-out by GET: %d", status)
		}
		old := b.Jar.Cookies(mustURL(t, b.base))
		status, _, _ = b.ask(t, "POST", "/sign-out", url.Values{}, nil)
		if status != 303 || len(b.Jar.Cookies(mustURL(t, b.base))) != 0 {
			t.Fatalf("sign-out: %d", status)
		}
		b.Jar.SetCookies(mustURL(t, b.base), old)
		status, _, _ = b.ask(t, "GET", "/", nil, nil)
		if status != 303 {
			t.Fatalf("the old cookie after sign-out: %d", status)
		}
	})
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestSecureCookie(t *testing.T) {
	s, _ := service(sqldbtest.Lite(t, open), Config{Cookie: "ecs-hub", Secure: true})
	w := httptest.NewRecorder()
	s.setCookie(w, "v")
	c := w.Header().Get("Set-Cookie")
	if !strings.HasPrefix(c, "__Host-ecs-hub=v; Path=/;") || !strings.Contains(c, "Secure") || strings.Contains(c, "Domain") {
		t.Fatal(c)
	}
}

func TestBasic(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	s, c := service(db, Config{})
	p := create(t, s, alice)
	b := site(t, s)
	auth := func(login, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(login, password) }
	}
	status, body, h := b.ask(t, "GET", "/api/v1/items", nil, nil)
	if status != 401 || !strings.HasPrefix(h.Get("WWW-Authenticate"), "Basic ") || !strings.Contains(body, `"type":"urn:ecs:problem:sign-in"`) {
		t.Fatalf("without: %d %q", status, body)
	}
	for range 5 {
		status, body, _ = b.ask(t, "GET", "/api/v1/items", nil, auth("alice", p))
		if status != 200 || body != "GET /api/v1/items alice" {
			t.Fatalf("with: %d %q", status, body)
		}
	}
	if n := s.Counts().Passed; n != 1 {
		t.Fatalf("the password was computed %d times for five requests", n)
	}
	c.add(proofLife)
	b.ask(t, "GET", "/api/v1/items", nil, auth("alice", p))
	if n := s.Counts().Passed; n != 2 {
		t.Fatalf("the proof outlived its minute: %d", n)
	}
	status, _, _ = b.ask(t, "GET", "/items", nil, auth("alice", p))
	if status != 303 {
		t.Fatalf("Basic on a page: %d", status)
	}
	_, err := s.Reset(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	status, _, _ = b.ask(t, "GET", "/api/v1/items", nil, auth("alice", p))
	if status != 401 {
		t.Fatalf("the old password after a reset: %d", status)
	}
	for range triesByLogin {
		status, _, _ = b.ask(t, "GET", "/api/v1/items", nil, auth("alice", "x"))
	}
	if status != 429 {
		t.Fatalf("too many: %d", status)
	}
}

func TestLocal(t *testing.T) {
	for in, want := range map[string]string{
		"/items?a=b": "/items?a=b", "": "/", "items": "/", "//evil.example/": "/", "/\\evil.example": "/",
		"https://evil.example/": "/", "/sign-out": "/", "/sign-in?next=/x": "/", "/a\r\nX: y": "/", "/\t/evil.example": "/",
	} {
		got := local(in)
		if got != want {
			t.Errorf("%q goes to %q", in, got)
		}
	}
}

// FuzzStored: whatever stands in the column, verify answers and does not panic.
func FuzzStored(f *testing.F) {
	f.Add("pbkdf2-sha256$10$AAAA$AAAA", "x")
	f.Add("pbkdf2-sha256$1$$", "")
	f.Fuzz(func(t *testing.T, stored, password string) {
		if strings.Count(stored, "$") == 3 && len(strings.Split(stored, "$")[1]) > 4 {
			return // many iterations are slow, not wrong
		}
		_, _ = verify(stored, password)
	})
}

func BenchmarkVerify(b *testing.B) {
	s := New(nil, Config{})
	p, stored, err := s.fresh()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		ok, err := verify(stored, p)
		if err != nil || !ok {
			b.Fatal(ok, err)
		}
	}
}
