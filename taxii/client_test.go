package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestClientWalks(t *testing.T) {
	m := newMemory()
	for i := range 25 {
		m.add(open, i, i)
	}
	base := serve(t, newServer(t, m, nil))
	c := NewClient(ClientConfig{HTTP: &http.Client{Transport: as("bob")}})
	ctx := t.Context()
	d, err := c.Discover(ctx, base)
	if err != nil {
		t.Fatal(err)
	}
	want := Discovery{Title: "Test", Default: base + root, Roots: []string{base + root}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Error(diff)
	}
	info, err := c.Root(ctx, d.Default)
	if err != nil || info.Versions[0] != MediaType {
		t.Errorf("%+v, %v", info, err)
	}
	list, err := c.Collections(ctx, strings.TrimSuffix(d.Default, "/"))
	if err != nil || len(list) != 4 || list[0].ID != open || list[1].ID != private {
		t.Errorf("%+v, %v", list, err)
	}
	n, pages := 0, 0
	var last time.Time
	for p, err := range c.Pages(ctx, d.Default, open, Filter{Types: []string{"indicator"}}) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(p.Objects)
		last = p.Last
		pages++
	}
	if n != 25 || pages != 3 || !last.Equal(epoch.Add(25*time.Microsecond)) {
		t.Errorf("%d objects on %d pages up to %v", n, pages, last)
	}
	r := m.add(open, 99, 99)
	for p, err := range c.Pages(ctx, d.Default, open, Filter{AddedAfter: last, Versions: []string{"all"}}) {
		if err != nil || len(p.Objects) != 1 || string(p.Objects[0]) != string(r.Body) {
			t.Errorf("after %v: %s, %v", last, p.Objects, err)
		}
	}
}

// noNext is a server that leaves next out, as many do.
func noNext(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		var e envelope
		err := json.Unmarshal(rec.Body.Bytes(), &e)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		e.Next = ""
		for k, v := range rec.Header() {
			if k != "Content-Length" {
				w.Header()[k] = v
			}
		}
		w.WriteHeader(rec.Code)
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(e)
	})
}

// TestNoneMissedNoneTwice reads, by next and by date, while other goroutines add
// objects and new versions. Each version that was there at the end must come
// exactly once when all are asked for.
func TestNoneMissedNoneTwice(t *testing.T) {
	for name, wrap := range map[string]func(http.Handler) http.Handler{
		"next":   func(h http.Handler) http.Handler { return h },
		"header": noNext,
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory()
			for i := range 100 {
				m.add(open, i, i)
			}
			base := serve(t, wrap(newServer(t, m, func(c *Config) { c.PageLimit = 7 })))
			c := NewClient(ClientConfig{HTTP: &http.Client{Transport: as("alice")}})
			var adders sync.WaitGroup
			var done atomic.Bool
			for a := range 3 {
				adders.Go(func() {
					for i := range 400 {
						m.add(open, i%150, 1000+3*i+a)
						time.Sleep(20 * time.Microsecond)
					}
				})
			}
			go func() { adders.Wait(); done.Store(true) }()
			seen := map[string]int{}
			var last time.Time
			for finished := false; !finished; {
				finished = done.Load() // then one more round sees all
				for p, err := range c.Pages(t.Context(), base+root, open, Filter{AddedAfter: last, Versions: []string{"all"}}) {
					if err != nil {
						t.Fatal(err)
					}
					for _, o := range p.Objects {
						seen[string(o)]++
					}
					last = p.Last
				}
			}
			wrong := 0
			for _, r := range m.sets[open] {
				if seen[string(r.Body)] != 1 {
					wrong++
				}
			}
			if wrong > 0 || len(seen) != 1300 || len(m.sets[open]) != 1300 {
				t.Errorf("of %d versions %d came, %d of them not exactly once", len(m.sets[open]), len(seen), wrong)
			}
		})
	}
}

// TestLastVersionWhilePaging asks for last versions only: of each object the one
// that was last at the end must have come.
func TestLastVersionWhilePaging(t *testing.T) {
	m := newMemory()
	for i := range 50 {
		m.add(open, i, i)
	}
	base := serve(t, newServer(t, m, func(c *Config) { c.PageLimit = 5 }))
	c := NewClient(ClientConfig{HTTP: &http.Client{Transport: as("alice")}})
	held := map[string]string{}
	n := 0
	for p, err := range c.Pages(t.Context(), base+root, open, Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range p.Objects {
			var x struct{ ID, Modified string }
			err := json.Unmarshal(o, &x)
			if err != nil {
				t.Fatal(err)
			}
			held[x.ID] = x.Modified
		}
		if n++; n < 5 {
			for i := range 50 {
				if i%n == 0 {
					m.add(open, i, 100*n+i)
				}
			}
		}
	}
	for _, r := range Select(m.sets[open], Query{Limit: 1000}).Records {
		if held[r.ID] != formatVersion(r.Version) {
			t.Errorf("%s: holds %s, want %s", r.ID, held[r.ID], formatVersion(r.Version))
		}
	}
}

func TestClientErrors(t *testing.T) {
	var tries atomic.Int32
	mux := http.NewServeMux()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			tries.Add(1)
			w.Header().Set("Content-Type", MediaType)
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("/denied/", answer(403, `{"title":"No","description":"not you","http_status":"403"}`))
	mux.HandleFunc("/plain/", answer(404, `nothing`))
	mux.HandleFunc("/busy/", answer(503, `{"title":"Busy"}`))
	mux.HandleFunc("/big/", answer(200, `{"title":"`+strings.Repeat("x", 5000)+`"}`))
	mux.HandleFunc("/torn/", answer(200, `{"title":`))
	mux.HandleFunc("/stuck/", answer(200, `{"more":true,"objects":[{}]}`))
	mux.HandleFunc("/loop/", answer(200, `{"more":true,"next":"same","objects":[{}]}`))
	mux.HandleFunc("/html/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html>")
	})
	mux.HandleFunc("/slow/", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	base := serve(t, mux)
	c := NewClient(ClientConfig{MaxBody: 4000, Timeout: 300 * time.Millisecond})
	for _, tc := range []struct {
		path, want string
		tries      int32
	}{
		{"/denied/", "taxii: No: not you (HTTP 403)", 1},
		{"/plain/", "taxii: Not Found (HTTP 404)", 1},
		{"/busy/", "taxii: Busy (HTTP 503)", 4},
		{"/big/", "above 4000 bytes", 1},
		{"/torn/", "unexpected end", 1},
		{"/html/", `media type "text/html"`, 0},
		{"/slow/", "deadline exceeded", 0},
	} {
		tries.Store(0)
		_, err := c.Root(t.Context(), base+tc.path)
		if err == nil || !strings.Contains(err.Error(), tc.want) || tries.Load() != tc.tries {
			t.Errorf("%s: got %v after %d tries", tc.path, err, tries.Load())
		}
	}
	var e *Error
	_, err := c.Root(t.Context(), base+"/denied/")
	if !errors.As(err, &e) || e.Status != "403" {
		t.Errorf("got %#v", err)
	}
	for path, pages := range map[string]int{"/stuck/": 1, "/loop/": 1} {
		n := 0
		for p, err := range c.Pages(t.Context(), base+path, "x", Filter{}) {
			if err != nil {
				if !errors.Is(err, ErrStuck) {
					t.Errorf("%s: %v", path, err)
				}
				break
			}
			n += len(p.Objects)
		}
		if n != pages {
			t.Errorf("%s: %d objects before it gave up", path, n)
		}
	}
	for _, base := range []string{"", "example.com", "ftp://example.com/", "http://%zz/"} {
		_, err := c.Root(t.Context(), base)
		if err == nil {
			t.Errorf("%q accepted", base)
		}
	}
}

func TestClientPassword(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.Header().Set("Content-Type", MediaType)
		_, _ = fmt.Fprintf(w, `{"title":%q}`, user+"/"+password+"/"+r.URL.Path)
	})
	c := NewClient(ClientConfig{User: "u", Password: "p"})
	got, err := c.Root(t.Context(), serve(t, h)+"/api")
	if err != nil || got.Title != "u/p//api/" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = c.Root(t.Context(), "http://taxii.example/api/")
	if err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("password in the clear: %v", err)
	}
}

func TestClientStops(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := NewClient(ClientConfig{}).Root(ctx, serve(t, h))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// BenchmarkWalk reads 10,000 indicators of 490 bytes in pages of 1,000 over
// loopback, client and server in one process, backend in memory.
func BenchmarkWalk(b *testing.B) {
	m := newMemory()
	for i := range 10000 {
		m.add(open, i, i)
		last := &m.sets[open][i]
		last.Body = append(last.Body[:len(last.Body)-1], []byte(`,"description":"`+strings.Repeat("x", 490-len(last.Body)-17)+`"}`)...)
	}
	s, err := NewServer(Config{Backend: m, Identify: func(*http.Request) string { return "alice" }})
	if err != nil {
		b.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	c := NewClient(ClientConfig{HTTP: h.Client()})
	for b.Loop() {
		n := 0
		for p, err := range c.Pages(b.Context(), h.URL+root, open, Filter{}) {
			if err != nil {
				b.Fatal(err)
			}
			n += len(p.Objects)
		}
		if n != 10000 {
			b.Fatal(n)
		}
	}
	b.ReportMetric(10000*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
}
