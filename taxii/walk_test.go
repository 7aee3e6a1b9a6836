package taxii

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// stamped is a server in memory with the faults of servers in use. Objects are in
// order of their dates, of which many may be the same.
type stamped struct {
	dates     []int // minutes since epoch
	page      int
	next      bool   // gives next, the same for the whole session
	inclusive bool   // takes added_after as "from", not "after"
	lies      bool   // says that each page is the last
	silent    bool   // tells no dates
	expire    int    // next is good for so many pages, then 400; 0 for ever
	digits    string // form of dates
	asked     int    // requests
	sessions  map[string]*session
	grow      func(s *stamped) // called at each request
}

type session struct{ at, pages int }

func (s *stamped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked++
	if s.grow != nil {
		s.grow(s)
	}
	q := r.URL.Query()
	start := 0
	if v := q.Get("added_after"); v != "" {
		after, err := time.Parse(time.RFC3339, v)
		if err != nil {
			http.Error(w, "bad added_after", http.StatusBadRequest)
			return
		}
		start, _ = slices.BinarySearchFunc(s.dates, after, func(m int, t time.Time) int {
			d := epoch.Add(time.Duration(m) * time.Minute)
			if d.Before(t) || d.Equal(t) && !s.inclusive {
				return -1
			}
			return 1
		})
	}
	name := q.Get("next")
	if name != "" {
		have := s.sessions[name]
		if have == nil || s.expire > 0 && have.pages >= s.expire {
			w.Header().Set("Content-Type", MediaType)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = fmt.Fprint(w, `{"title":"next is unknown"}`)
			return
		}
		have.pages++
		start = have.at
	}
	most := s.page
	if n, err := strconv.Atoi(q.Get("limit")); err == nil && !s.next {
		most = min(n, 100*s.page)
	}
	end := min(start+most, len(s.dates))
	var e envelope
	for i := start; i < end; i++ {
		e.Objects = append(e.Objects, json.RawMessage(fmt.Sprintf(`{"id":"x--%d"}`, i)))
	}
	e.More = end < len(s.dates) && !s.lies
	if s.next && e.More {
		if name == "" {
			name = fmt.Sprint(s.asked)
			s.sessions[name] = &session{}
		}
		s.sessions[name].at = end
		e.Next = name
	}
	if end > start && !s.silent {
		form := s.digits
		if form == "" {
			form = timeForm
		}
		w.Header().Set("X-TAXII-Date-Added-Last", epoch.Add(time.Duration(s.dates[end-1])*time.Minute).Format(form))
	}
	w.Header().Set("Content-Type", MediaType)
	_ = json.NewEncoder(w).Encode(e)
}

func dates(n int, date func(i int) int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = date(i)
	}
	return out
}

// walkAll reads everything, and gives how often each object came.
func walkAll(t testing.TB, c *Client, base string, f Filter) (got map[string]int, last time.Time, err error) {
	t.Helper()
	got = map[string]int{}
	for p, err := range c.Pages(t.Context(), base, "x", f) {
		if err != nil {
			return got, p.Last, err
		}
		for _, o := range p.Objects {
			got[string(o)]++
		}
		last = p.Last
	}
	return got, last, nil
}

// Servers in use have these faults, which cost clients objects or let them run for
// ever. The names are threads of their users.
func TestFaultsOfServers(t *testing.T) {
	rising := func(n int) []int { return dates(n, func(i int) int { return i }) }
	same := func(n int) []int { return dates(n, func(int) int { return 7 }) }
	groups := func(n int) []int { return dates(n, func(i int) int { return i / 9 }) }
	for _, c := range []struct {
		name   string
		server stamped
		limit  int
		asked  int // most requests that it may cost
	}{
		{"OpenCTI 4537: no next", stamped{dates: rising(60), page: 7}, 0, 12},
		{"one date for a whole POST, with next: cti-taxii2 50", stamped{dates: same(60), page: 7, next: true}, 0, 12},
		{"one date for a whole POST, no next: medallion", stamped{dates: same(60), page: 7}, 0, 12},
		{"one date for a whole POST, no next, small limit", stamped{dates: same(60), page: 7}, 3, 12},
		{"groups of one date that end within pages", stamped{dates: groups(60), page: 7}, 7, 40},
		{"groups of one date, with next", stamped{dates: groups(60), page: 7, next: true}, 7, 12},
		{"connectors 7604: added_after is inclusive", stamped{dates: rising(60), page: 7, inclusive: true}, 0, 14},
		{"inclusive, groups", stamped{dates: groups(60), page: 7, inclusive: true}, 0, 40},
		{"OpenCTI 7793: more is false on a full page", stamped{dates: rising(60), page: 7, lies: true}, 7, 12},
		{"medallion 152: next expires", stamped{dates: rising(60), page: 7, next: true, expire: 2}, 0, 20},
		{"dates in milliseconds", stamped{dates: rising(60), page: 7, digits: "2006-01-02T15:04:05.000Z"}, 0, 12},
		{"dates without a fraction", stamped{dates: rising(60), page: 7, digits: "2006-01-02T15:04:05Z"}, 0, 12},
		{"no dates, but next", stamped{dates: rising(60), page: 7, next: true, silent: true}, 0, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.server.sessions = map[string]*session{}
			base := serve(t, &c.server)
			got, last, err := walkAll(t, NewClient(ClientConfig{PageLimit: c.limit}), base, Filter{})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 60 {
				if got[fmt.Sprintf(`{"id":"x--%d"}`, i)] == 0 {
					t.Errorf("object %d is missing", i)
				}
			}
			if len(got) != 60 || c.server.asked > c.asked {
				t.Errorf("%d objects by %d requests, want at most %d", len(got), c.server.asked, c.asked)
			}
			if c.server.silent != last.IsZero() {
				t.Errorf("last is %v", last)
			}
		})
	}
}

// A walk that is broken off at any page and begun again from where it was misses
// nothing, whatever dates there are, while objects are added at the end.
func TestBrokenOffAndGrowing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n, date := rapid.IntRange(0, 40).Draw(rt, "objects"), 0
		s := &stamped{
			page: rapid.IntRange(1, 6).Draw(rt, "page"), next: rapid.Bool().Draw(rt, "next"),
			inclusive: rapid.Bool().Draw(rt, "inclusive"), sessions: map[string]*session{},
		}
		for len(s.dates) < n {
			if rapid.Bool().Draw(rt, "later") {
				date++
			}
			s.dates = append(s.dates, date)
		}
		total := n + rapid.IntRange(0, 20).Draw(rt, "arrivals")
		s.grow = func(s *stamped) {
			for rapid.IntRange(0, 2).Draw(rt, "arrive") == 0 && len(s.dates) < total {
				date++ // strictly later than all before, as the standard has it
				s.dates = append(s.dates, date)
			}
		}
		base := serve(t, s)
		c := NewClient(ClientConfig{})
		got := map[string]int{}
		var last time.Time
		for walks := 0; len(got) < total; walks++ {
			if walks > 300 {
				rt.Fatalf("%d of %d objects came", len(got), total)
			}
			// Broken off after one page, two, and so on: to get behind a group of one date
			// it has to be read in one go.
			stop, pages := 1+walks%(total/s.page+2), 0
			for p, err := range c.Pages(t.Context(), base, "x", Filter{AddedAfter: last}) {
				if err != nil {
					rt.Fatal(err)
				}
				for _, o := range p.Objects {
					got[string(o)]++
				}
				if p.Last.Before(last) {
					rt.Fatalf("it went back from %v to %v", last, p.Last)
				}
				last = p.Last
				pages++
				if pages >= stop {
					break
				}
			}
		}
	})
}

// Endless servers end in an error within a few requests.
func TestEndless(t *testing.T) {
	var asked atomic.Int32
	endless := func(f func(n int32, w http.ResponseWriter) string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", MediaType)
			n := asked.Add(1)
			_, _ = fmt.Fprint(w, f(n, w))
		}
	}
	added := func(w http.ResponseWriter, t time.Time) { w.Header().Set("X-TAXII-Date-Added-Last", formatTime(t)) }
	mux := http.NewServeMux()
	mux.HandleFunc("/empty/", endless(func(n int32, _ http.ResponseWriter) string { return fmt.Sprintf(`{"more":true,"next":"%d"}`, n) }))
	mux.HandleFunc("/same/", endless(func(n int32, _ http.ResponseWriter) string {
		return fmt.Sprintf(`{"more":true,"next":"%d","objects":[{"id":"a"}]}`, n)
	}))
	mux.HandleFunc("/circle/", endless(func(n int32, _ http.ResponseWriter) string {
		return fmt.Sprintf(`{"more":true,"next":"%d","objects":[{"id":"%d"}]}`, n%3, n%3)
	}))
	mux.HandleFunc("/dateless/", endless(func(n int32, _ http.ResponseWriter) string {
		return fmt.Sprintf(`{"more":true,"objects":[{"id":"%d"}]}`, n)
	}))
	mux.HandleFunc("/backwards/", endless(func(n int32, w http.ResponseWriter) string {
		added(w, epoch.Add(-time.Duration(n)*time.Minute))
		return fmt.Sprintf(`{"more":true,"objects":[{"id":"%d"}]}`, n)
	}))
	mux.HandleFunc("/new/", endless(func(n int32, w http.ResponseWriter) string {
		added(w, epoch.Add(time.Duration(n)*time.Minute))
		return fmt.Sprintf(`{"more":true,"objects":[{"id":"%d"}]}`, n)
	}))
	mux.HandleFunc("/future/", endless(func(n int32, w http.ResponseWriter) string {
		added(w, time.Now().AddDate(100, 0, 0))
		return fmt.Sprintf(`{"objects":[{"id":"%d"}]}`, n)
	}))
	base := serve(t, mux)
	for _, c := range []struct {
		path string
		want error
		most int32
	}{
		{"/empty/", ErrStuck, 4},
		{"/same/", ErrStuck, 5},
		{"/circle/", ErrStuck, 7},
		{"/dateless/", ErrStuck, 2},
		{"/backwards/", ErrStuck, 10},
		{"/new/", ErrStuck, 30},
		{"/future/", ErrFuture, 1},
	} {
		asked.Store(0)
		_, last, err := walkAll(t, NewClient(ClientConfig{MaxPages: 30}), base+c.path, Filter{})
		if !errors.Is(err, c.want) || asked.Load() > c.most {
			t.Errorf("%s: %v after %d requests", c.path, err, asked.Load())
		}
		if last.After(time.Now()) {
			t.Errorf("%s: goes on from %v", c.path, last)
		}
	}
}

// What servers make of single requests.
func TestTolerated(t *testing.T) {
	mux := http.NewServeMux()
	page := func(media, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", media)
			_, _ = fmt.Fprint(w, body)
		}
	}
	mux.HandleFunc("/plain/", page("application/json", `{"objects":[{"id":"a"}]}`))
	mux.HandleFunc("/spaced/", page("application/taxii+json; version=2.1; charset=utf-8", `{"objects":[{"id":"a"}]}`))
	mux.HandleFunc("/number/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("next") == "2" {
			page(MediaType, `{"objects":[{"id":"a"}],"next":null,"more":null}`)(w, r)
			return
		}
		page(MediaType, `{"more":true,"next":2,"objects":[]}`)(w, r)
	})
	mux.HandleFunc("/none/", page(MediaType, `{}`)) // OpenCTI 7755: objects is left out
	mux.HandleFunc("/null/", page(MediaType, `{"objects":null}`))
	mux.HandleFunc("/fussy/", func(w http.ResponseWriter, r *http.Request) { // OpenCTI 4246, cti-taxii-client 99
		if !strings.Contains(r.Header.Get("Accept"), "; version=2.1") {
			w.WriteHeader(http.StatusNotAcceptable)
			return
		}
		page(MediaType, `{"objects":[{"id":"a"}]}`)(w, r)
	})
	mux.HandleFunc("/moved/collections/x/objects/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/plain/", http.StatusMovedPermanently)
	})
	elsewhere := serve(t, page(MediaType, `{"objects":[{"id":"stolen"}]}`))
	mux.HandleFunc("/elsewhere/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })
	mux.HandleFunc("/round/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) })
	mux.HandleFunc("/old/", page("application/vnd.oasis.taxii+json; version=2.0", `{}`))
	mux.HandleFunc("/version/", page("application/taxii+json;version=2.0", `{}`))
	mux.HandleFunc("/list/", page(MediaType, `{"objects":{"id":"a"}}`))
	mux.HandleFunc("/member/", page(MediaType, `{"objects":["a"]}`))
	mux.HandleFunc("/twice/", page(MediaType, `{"objects":[],"objects":[]}`))
	mux.HandleFunc("/later/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", time.Now().Add(3*time.Hour).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusTooManyRequests)
	})
	base := serve(t, mux)
	for path, want := range map[string]string{
		"/plain/": "1", "/plain": "1", "/spaced/": "1", "/number/": "1", "/none/": "0", "/null/": "0", "/fussy/": "1", "/moved/": "1",
		"/elsewhere/": "redirects to another place", "/round/": "again and again", "/old/": "media type", "/version/": "only 2.1",
		"/list/": "is no list", "/member/": "is no object", "/twice/": "twice", "/later/": "Too Many Requests",
	} {
		got, _, err := walkAll(t, NewClient(ClientConfig{}), base+path, Filter{})
		if err == nil && fmt.Sprint(len(got)) != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %s", path, got, err, want)
		}
		var e *Error
		if path == "/later/" && (!errors.As(err, &e) || e.RetryAfter < 2*time.Hour || e.RetryAfter > 3*time.Hour) {
			t.Errorf("asked to wait: %v", e)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999": 30 * 24 * time.Hour,
		"Thu, 01 Jan 2026 00:02:00 GMT": 2 * time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0, "Thu, 01 Jan 2099 00:00:00 GMT": 30 * 24 * time.Hour,
	} {
		got := RetryAfter(http.Header{"Retry-After": {v}}, now)
		if got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

// FuzzEnvelope looks that what is taken of an envelope is what encoding/json finds,
// and nothing else.
func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		`{"objects":[{"id":"a"},{"id":"b","x":[1,{}]}],"more":true,"next":"n"}`, `{"next":7,"more":null,"objects":null}`, `{}`, `[]`, `{"objects":[1]}`,
		"{\"objects\":[ {} ,\n{\"\\u0000\":\"\xff\"} ]} ", `{"objects":[{}`, `{"objects":[],"objects":[]}`, `{"x":{"objects":[{}]}}x`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := readEnvelope(body, 8)
		if err != nil {
			if len(p.objects) > 8 {
				t.Fatalf("%d objects", len(p.objects))
			}
			return
		}
		var want map[string]json.RawMessage
		err = json.Unmarshal(body, &want)
		if err != nil {
			t.Fatalf("taken, but no JSON: %v", err)
		}
		var list []json.RawMessage
		if want["objects"] != nil {
			err = json.Unmarshal(want["objects"], &list)
			if err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(len(list), len(p.objects)); diff != "" {
			t.Fatal(diff)
		}
		for i, o := range p.objects {
			if string(o) != string(list[i]) {
				t.Fatalf("object %d is %q, want %q", i, o, list[i])
			}
			got := posted(o)
			if string(got.Raw) != string(o) {
				t.Fatal("an object has changed")
			}
		}
	})
}
