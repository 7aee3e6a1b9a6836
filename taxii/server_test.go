package taxii

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const (
	root    = "/taxii2/api/"
	objects = root + "collections/" + open + "/objects/"
	object1 = "indicator--00000000-0000-4000-8000-000000000001"
)

func TestAnswers(t *testing.T) {
	m := newMemory()
	m.add(open, 1, 1)
	m.add(open, 2, 2)
	m.add(open, 1, 3) // second version
	m.add(open, 3, 4)
	s := newServer(t, m, nil)
	const (
		collection = `{"id":"` + open + `","title":"Open","alias":"open","can_read":true,"can_write":false,"media_types":["application/stix+json;version=2.1"]}`
		first2     = "2024-01-01T00:00:00.000002Z"
		last4      = "2024-01-01T00:00:00.000004Z"
		body2      = `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000002","modified":"2024-01-01T00:02:00.000Z","name":"<a> & b"}`
		body1b     = `{"type":"indicator","spec_version":"2.1","id":"` + object1 + `","modified":"2024-01-01T00:03:00.000Z","name":"<a> & b"}`
		body3      = `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000003","modified":"2024-01-01T00:04:00.000Z","name":"<a> & b"}`
		all        = `{"objects":[` + body2 + `,` + body1b + `,` + body3 + `]}`
	)
	for _, c := range []struct {
		name, method, target string
		status               int
		body                 string // exact, or a part after "..."
		first, last          string // X-TAXII-Date-Added
	}{
		{"discovery", "GET", "/taxii2/", 200, `{"title":"Test","default":"/taxii2/api/","api_roots":["/taxii2/api/"]}`, "", ""},
		{"discovery without slash", "GET", "/taxii2", 200, `{"title":"Test","default":"/taxii2/api/","api_roots":["/taxii2/api/"]}`, "", ""},
		{"root", "GET", root, 200, `{"title":"Test","versions":["application/taxii+json;version=2.1"],"max_content_length":1}`, "", ""},
		{"collections", "GET", root + "collections/", 200, `..."collections":[` + collection + `,{"id":"33333333-`, "", ""},
		{"collection", "GET", root + "collections/" + open, 200, collection, "", ""},
		{"collection by alias", "GET", root + "collections/open/", 200, collection, "", ""},
		{"objects", "GET", objects, 200, all, first2, last4},
		{"objects without slash", "GET", strings.TrimSuffix(objects, "/"), 200, all, first2, last4},
		{"objects by alias", "GET", root + "collections/open/objects/", 200, all, first2, last4},
		{"head", "HEAD", objects, 200, all, first2, last4}, // net/http drops the body
		{"unknown parameter", "GET", objects + "?foo=1", 200, all, first2, last4},
		{"added after", "GET", objects + "?added_after=2024-01-01T00:00:00.000003Z", 200, `{"objects":[` + body3 + `]}`, last4, last4},
		{"added after, three digits", "GET", objects + "?added_after=2024-01-01T00:00:00.000Z", 200, all, first2, last4},
		{"added after, no digits", "GET", objects + "?added_after=2023-01-01T00:00:00Z", 200, all, first2, last4},
		{"added after the last", "GET", objects + "?added_after=" + last4, 200, `{}`, "", ""},
		{"limit", "GET", objects + "?limit=1", 200, `{"more":true,"next":"...`, first2, first2},
		{"limit exact", "GET", objects + "?limit=3", 200, all, first2, last4},
		{"limit huge", "GET", objects + "?limit=999999999999999999", 200, all, first2, last4},
		{"by id", "GET", objects + "?match[id]=" + object1 + ",indicator--x", 200, `{"objects":[` + body1b + `]}`, "2024-01-01T00:00:00.000003Z", "2024-01-01T00:00:00.000003Z"},
		{"by type", "GET", objects + "?match[type]=malware", 200, `{}`, "", ""},
		{"by types", "GET", objects + "?match%5Btype%5D=malware,indicator", 200, all, first2, last4},
		{"by specification", "GET", objects + "?match[spec_version]=2.0", 200, `{}`, "", ""},
		{"first version", "GET", objects + "?match[version]=first&match[id]=" + object1, 200, `..."2024-01-01T00:01:00.000Z"`, "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.000001Z"},
		{"version at a time", "GET", objects + "?match[version]=2024-01-01T00:01:00Z", 200, `..."2024-01-01T00:01:00.000Z"`, "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.000001Z"},
		{"all versions", "GET", objects + object1 + "/?match[version]=all", 200, `..."2024-01-01T00:03:00.000Z"`, "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.000003Z"},
		{"object", "GET", objects + object1 + "/", 200, `{"objects":[` + body1b + `]}`, "2024-01-01T00:00:00.000003Z", "2024-01-01T00:00:00.000003Z"},
		{"object, nothing newer", "GET", objects + object1 + "/?added_after=" + last4, 200, `{}`, "", ""},
		{"versions", "GET", objects + object1 + "/versions/", 200, `{"versions":["2024-01-01T00:01:00.000Z","2024-01-01T00:03:00.000Z"]}`, "2024-01-01T00:00:00.000001Z", "2024-01-01T00:00:00.000003Z"},
		{"manifest", "GET", root + "collections/" + open + "/manifest/?match[id]=" + object1, 200, `{"objects":[{"id":"` + object1 + `","date_added":"2024-01-01T00:00:00.000003Z","version":"2024-01-01T00:03:00.000Z","media_type":"application/stix+json;version=2.1"}]}`, "2024-01-01T00:00:00.000003Z", "2024-01-01T00:00:00.000003Z"},

		{"limit 0", "GET", objects + "?limit=0", 400, "...limit must", "", ""},
		{"limit negative", "GET", objects + "?limit=-1", 400, "...limit must", "", ""},
		{"limit text", "GET", objects + "?limit=ten", 400, "...limit must", "", ""},
		{"bad time", "GET", objects + "?added_after=yesterday", 400, "...added_after must", "", ""},
		{"two times", "GET", objects + "?added_after=2023-01-01T00:00:00Z&added_after=2024-01-01T00:00:00Z", 400, "...more than once", "", ""},
		{"match twice", "GET", objects + "?match[id]=a&match[id]=b", 400, "...more than once", "", ""},
		{"match empty", "GET", objects + "?match[id]=", 400, "...empty value", "", ""},
		{"match unknown", "GET", objects + "?match[name]=a", 400, "...does not filter", "", ""},
		{"id at an object", "GET", objects + object1 + "/?match[id]=a", 400, "...does not filter", "", ""},
		{"version at versions", "GET", objects + object1 + "/versions/?match[version]=all", 400, "...does not filter", "", ""},
		{"all with others", "GET", objects + "?match[version]=all,first", 400, "...stands alone", "", ""},
		{"bad version", "GET", objects + "?match[version]=newest", 400, "...match[version] takes", "", ""},
		{"bad next", "GET", objects + "?next=abc", 400, "...next belongs to another", "", ""},
		{"long filter", "GET", objects + "?match[id]=" + strings.Repeat("a", maxFilter), 400, "...too long", "", ""},
		{"bad query", "GET", objects + "?a=%zz", 400, "...percent-encoding", "", ""},
		{"unknown object", "GET", objects + "indicator--00000000-0000-4000-8000-000000000009/", 404, `..."http_status":"404"`, "", ""},
		{"unknown versions", "GET", objects + "indicator--00000000-0000-4000-8000-000000000009/versions/", 404, `..."http_status":"404"`, "", ""},
		{"unknown collection", "GET", root + "collections/x/", 404, `..."http_status":"404"`, "", ""},
		{"unknown path", "GET", root + "collections/" + open + "/foo/", 404, `..."http_status":"404"`, "", ""},
		{"too deep", "GET", objects + object1 + "/versions/x/", 404, `..."http_status":"404"`, "", ""},
		{"status", "GET", root + "status/2d086da7-4bdc-4f91-900e-d77486753710/", 404, `..."http_status":"404"`, "", ""},
		{"elsewhere", "GET", "/other/", 404, `..."http_status":"404"`, "", ""},
		{"not readable", "GET", root + "collections/" + shut + "/objects/", 403, "...can_read is false", "", ""},
		{"manifest not readable", "GET", root + "collections/" + shut + "/manifest/", 403, "...can_read is false", "", ""},
		{"post", "POST", objects, 403, "...can_write is false", "", ""},
		{"delete", "DELETE", objects + object1 + "/", 403, "...cannot be deleted", "", ""},
		{"put", "PUT", objects, 405, "...Use GET", "", ""},
		{"post to manifest", "POST", root + "collections/" + open + "/manifest/", 405, "...Use GET", "", ""},
		{"post to discovery", "POST", "/taxii2/", 405, "...Use GET", "", ""},
		{"backend fails", "GET", root + "collections/" + broken + "/objects/", 503, `..."http_status":"503"`, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(s, c.method, c.target, "alice")
			got := strings.TrimSpace(w.Body.String())
			if w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, got)
			}
			part, ok := strings.CutPrefix(c.body, "...")
			start, _, cut := strings.Cut(c.body, "...")
			switch {
			case ok && !strings.Contains(got, part),
				!ok && cut && !strings.HasPrefix(got, start),
				!ok && !cut && got != c.body:
				t.Errorf("got  %s\nwant %s", got, c.body)
			}
			if strings.Contains(got, "secret") {
				t.Errorf("the answer tells what failed: %s", got)
			}
			head := []string{w.Header().Get("X-TAXII-Date-Added-First"), w.Header().Get("X-TAXII-Date-Added-Last"), w.Header().Get("Content-Type")}
			if diff := cmp.Diff([]string{c.first, c.last, MediaType}, head); diff != "" {
				t.Error(diff)
			}
			if !json.Valid(w.Body.Bytes()) {
				t.Error("not JSON")
			}
			if c.status == 405 && w.Header().Get("Allow") != "GET, HEAD" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestAccess(t *testing.T) {
	m := newMemory()
	m.add(private, 1, 1)
	s := newServer(t, m, nil)
	w := ask(s, "GET", root, "")
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Basic realm="TAXII"` {
		t.Errorf("nobody: %d, %q", w.Code, w.Header().Get("WWW-Authenticate"))
	}
	for _, below := range []string{"", "objects/", "manifest/", "objects/" + object1 + "/", "objects/" + object1 + "/versions/"} {
		if w := ask(s, "GET", root+"collections/"+private+"/"+below, "bob"); w.Code != 200 {
			t.Errorf("bob, %q: %d", below, w.Code)
		}
		hidden := ask(s, "GET", root+"collections/"+private+"/"+below, "alice")
		absent := ask(s, "GET", root+"collections/55555555-5555-4555-8555-555555555555/"+below, "alice")
		if hidden.Code != 404 || hidden.Body.String() != absent.Body.String() {
			t.Errorf("alice can tell a hidden collection from none: %d %s", hidden.Code, hidden.Body)
		}
		if diff := cmp.Diff(absent.Header(), hidden.Header()); diff != "" {
			t.Error(diff)
		}
	}
	if w := ask(s, "POST", root+"collections/"+private+"/objects/", "alice"); w.Code != 404 {
		t.Errorf("POST to a hidden collection: %d", w.Code)
	}
	if w := ask(s, "GET", root+"collections/", "unlucky"); w.Code != 503 || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestClientFromContext(t *testing.T) {
	s := newServer(t, newMemory(), func(c *Config) { c.Identify = nil })
	if w := ask(s, "GET", root, ""); w.Code != 401 {
		t.Errorf("without a name: %d", w.Code)
	}
	named := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(WithClient(r.Context(), "alice")))
	})
	if w := ask(named, "GET", root, ""); w.Code != 200 {
		t.Errorf("with a name: %d", w.Code)
	}
}

func TestAccept(t *testing.T) {
	s := newServer(t, newMemory(), nil)
	for accept, want := range map[string]int{
		"application/taxii+json;version=2.1":   200,
		"application/taxii+json; version=2.1":  200,
		`application/taxii+json;version="2.1"`: 200,
		"application/taxii+json":               200,
		"*/*":                                  200,
		"application/*;q=0.5":                  200,
		"application/json":                     200,
		"text/html, application/taxii+json;version=2.1;q=0.9, */*;q=0.1":             200,
		"application/vnd.oasis.taxii+json; version=2.0, application/taxii+json; q=1": 200,
		"":                                   200,
		"text/html":                          406,
		"application/taxii+json;version=2.2": 406,
		"application/vnd.oasis.taxii+json; version=2.0":                                   406,
		"application/taxii+json;version=2.1;q=0":                                          406,
		"application/taxii+json;version=2.0, application/stix+json;version=2.1, text/xml": 406,
	} {
		w := ask(s, "GET", root, "alice", "Accept", accept)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", accept, w.Code, want)
		}
	}
	if w := ask(s, "GET", root, "alice", "Accept", "text/html", "Accept", "application/taxii+json"); w.Code != 200 {
		t.Errorf("two headers: %d", w.Code)
	}
	if w := ask(s, "GET", root, "alice"); w.Code != 200 {
		t.Errorf("no header: %d", w.Code)
	}
}

func TestNext(t *testing.T) {
	m := newMemory()
	for i := range 6 {
		m.add(open, i, i)
		m.add(private, i, i)
	}
	s := newServer(t, m, nil)
	page := func(s http.Handler, client, target string) (int, envelope) {
		w := ask(s, "GET", target, client)
		var e envelope
		err := json.Unmarshal(w.Body.Bytes(), &e)
		if err != nil {
			t.Fatal(err)
		}
		return w.Code, e
	}
	const filter = "match[type]=indicator&added_after=2024-01-01T00:00:00Z"
	_, e := page(s, "bob", objects+"?limit=2&"+filter)
	if len(e.Objects) != 2 || !e.More || e.Next == "" {
		t.Fatalf("%+v", e)
	}
	next := "next=" + url.QueryEscape(e.Next)
	replica := newServer(t, m, nil)
	other := newServer(t, m, func(c *Config) { c.Key = []byte("another key, 16+") })
	flipped := []byte(e.Next)
	flipped[len(flipped)-2] ^= 1
	for _, c := range []struct {
		name           string
		server         http.Handler
		client, target string
		status, count  int
	}{
		{"same query", s, "bob", objects + "?limit=2&" + filter + "&" + next, 200, 2},
		{"another limit", s, "bob", objects + "?limit=3&" + filter + "&" + next, 200, 3},
		{"no limit", s, "bob", objects + "?" + filter + "&" + next, 200, 4},
		{"filter left out", s, "bob", objects + "?" + next, 200, 4},
		{"by alias", s, "bob", root + "collections/open/objects/?" + next, 200, 4},
		{"another replica", replica, "bob", objects + "?" + next, 200, 4},
		{"another key", other, "bob", objects + "?" + next, 400, 0},
		{"another filter", s, "bob", objects + "?match[type]=malware&" + next, 400, 0},
		{"another client", s, "alice", objects + "?" + next, 400, 0},
		{"another collection", s, "bob", root + "collections/" + private + "/objects/?" + next, 400, 0},
		{"another endpoint", s, "bob", root + "collections/" + open + "/manifest/?" + next, 400, 0},
		{"changed", s, "bob", objects + "?next=" + url.QueryEscape(string(flipped)), 400, 0},
		{"empty", s, "bob", objects + "?next=", 400, 0},
	} {
		status, got := page(c.server, c.client, c.target)
		if status != c.status || len(got.Objects) != c.count {
			t.Errorf("%s: %d with %d objects, want %d with %d", c.name, status, len(got.Objects), c.status, c.count)
		}
	}
	for _, path := range []string{root + "collections/" + open + "/manifest/", objects + object1 + "/versions/"} {
		m.add(open, 1, 100)
		_, e := page(s, "bob", path+"?limit=1")
		if e.Next == "" || !e.More {
			t.Errorf("%s: no next", path)
			continue
		}
		status, e2 := page(s, "bob", path+"?limit=1&next="+url.QueryEscape(e.Next))
		if status != 200 || cmp.Equal(e, e2) {
			t.Errorf("%s: next gives %d %+v", path, status, e2)
		}
	}
}

func TestPageLimit(t *testing.T) {
	m := newMemory()
	for i := range 12 {
		m.add(open, i, i)
	}
	s := newServer(t, m, nil) // 10 on a page
	for _, query := range []string{"", "?limit=11", "?limit=9223372036854775807"} {
		w := ask(s, "GET", objects+query, "alice")
		var e envelope
		err := json.Unmarshal(w.Body.Bytes(), &e)
		if err != nil || len(e.Objects) != 10 || !e.More {
			t.Errorf("%q: %d objects, more %t, %v", query, len(e.Objects), e.More, err)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"no backend": {},
		"short key":  {Backend: newMemory(), Key: []byte("short")},
		"path":       {Backend: newMemory(), Path: "api"},
		"no slash":   {Backend: newMemory(), Path: "/api"},
		"discovery":  {Backend: newMemory(), Path: "/taxii2/"},
	} {
		_, err := NewServer(cfg)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestBodyThatIsNoJSON(t *testing.T) {
	m := newMemory()
	m.sets[open] = []Record{{ID: object1, Added: epoch, Version: epoch, Body: json.RawMessage("{")}}
	w := ask(newServer(t, m, nil), "GET", objects, "alice")
	if w.Code != 503 || w.Header().Get("X-TAXII-Date-Added-Last") != "" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestSelectPages pages through random sets by random limits and wants what one
// big page holds.
func TestSelectPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMemory()
		for range rapid.IntRange(0, 30).Draw(t, "records") {
			m.add(open, rapid.IntRange(0, 5).Draw(t, "object"), rapid.IntRange(0, 9).Draw(t, "minute"))
		}
		all := m.sets[open]
		q := Query{Limit: 1000, Version: Versions{All: rapid.Bool().Draw(t, "all"), First: rapid.Bool().Draw(t, "first")}}
		want := Select(all, q)
		if want.More {
			t.Fatal("more than everything")
		}
		var got []Record
		for {
			q.Limit = rapid.IntRange(1, 5).Draw(t, "limit")
			p := Select(all, q)
			if len(p.Records) > q.Limit {
				t.Fatal("page above its limit")
			}
			got = append(got, p.Records...)
			if !p.More {
				break
			}
			q.After = p.Records[len(p.Records)-1].Added
		}
		if diff := cmp.Diff(want.Records, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		"limit=5&added_after=2024-01-01T00:00:00.000001Z", "match[id]=a,b&match[version]=all", "next=AAAA", "match[version]=first,2024-01-01T00:00:00Z",
	} {
		f.Add(s)
	}
	s, err := NewServer(Config{Backend: newMemory()})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := &http.Request{URL: &url.URL{Path: objects, RawQuery: raw}}
		q, filter, problem := s.query(r, "scope", matchAll)
		if problem != nil {
			if problem.status() != 400 || problem.Description == "" {
				t.Fatalf("%+v", problem)
			}
			return
		}
		if q.Limit < 1 || q.Limit > s.cfg.PageLimit {
			t.Fatalf("limit %d", q.Limit)
		}
		at := epoch.Add(time.Hour)
		again := &http.Request{URL: &url.URL{Path: objects, RawQuery: "next=" + s.next("scope", filter, at)}}
		q2, filter2, problem := s.query(again, "scope", matchAll)
		if problem != nil || filter2 != filter || q2.After.Before(at) || !cmp.Equal(q2.Version, q.Version) || !cmp.Equal(q2.IDs, q.IDs) {
			t.Fatalf("%q: next gives %+v, %v; was %+v", raw, q2, problem, q)
		}
	})
}
