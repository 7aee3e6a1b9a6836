package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const drop = "66666666-6666-4666-8666-666666666666" // collection that alice writes

// box is a backend that takes objects, and answers after a while.
type box struct {
	*memory
	mu    sync.Mutex
	got   []Posted
	asked int
	err   error
}

// Collections implements [Backend].
func (b *box) Collections(ctx context.Context, client string) ([]Collection, error) {
	list, err := b.memory.Collections(ctx, client)
	return append(list, Collection{ID: drop, Alias: "drop", Title: "Drop", CanWrite: true}), err
}

// Add implements [Inbox].
func (b *box) Add(_ context.Context, client, collection string, p Posted) (Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || client != "alice" || collection != drop {
		return Status{}, errors.Join(b.err, fmt.Errorf("%s adds to %s", client, collection))
	}
	b.got = append(b.got, p)
	return Status{ID: "s1", State: Pending, Total: len(p.Objects), Pending: len(p.Objects)}, nil
}

// Status implements [Inbox].
func (b *box) Status(_ context.Context, client, id string) (Status, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	switch {
	case client != "alice" || id != "s1":
		return Status{}, ErrNotFound
	case b.asked < 3:
		return Status{ID: id, State: Pending, Total: 1, Pending: 1}, nil
	}
	return Status{ID: id, State: Complete, Total: 1, Success: 1, Successes: []StatusDetail{{ID: "a", Version: "2026-01-01T00:00:00.000000Z"}}}, nil
}

func TestPost(t *testing.T) {
	b := &box{memory: newMemory()}
	s := newServer(t, b, func(c *Config) { c.MaxContent, c.MaxObjects = 500, 3 })
	at := root + "collections/" + drop + "/objects/"
	const good = ` {"objects":[{"id":"a","modified":"2026-01-01T00:00:00Z"}, {"id":"b","created":"2026-01-02T00:00:00.123456Z"},{"id":7}],"x":1}`
	for _, c := range []struct {
		name, path, client, media, body string
		status                          int
		want                            string
	}{
		{"taken", at, "alice", MediaType, good, 202, `{"id":"s1","status":"pending","total_count":3,"success_count":0,"failure_count":0,"pending_count":3}`},
		{"without slash", strings.TrimSuffix(at, "/"), "alice", MediaType, good, 202, ""},
		{"by alias", root + "collections/drop/objects/", "alice", MediaType, good, 202, ""},
		{"media type without version", at, "alice", "application/taxii+json", good, 202, ""},
		{"media type with a space", at, "alice", "application/taxii+json; version=2.1", good, 202, ""},
		{"media type JSON", at, "alice", "application/json", good, 202, ""},
		{"nobody", at, "", MediaType, good, 401, "unauthorized"},
		{"read-only", root + "collections/" + open + "/objects/", "alice", MediaType, good, 403, "can_write"},
		{"no collection", root + "collections/x/objects/", "alice", MediaType, good, 404, "not-found"},
		{"no media type", at, "alice", "", good, 415, "media-type"},
		{"STIX", at, "alice", "application/stix+json;version=2.1", good, 415, "media-type"},
		{"TAXII 2.0", at, "alice", "application/taxii+json;version=2.0", good, 415, "media-type"},
		{"too long", at, "alice", MediaType, good + strings.Repeat(" ", 500), 413, "500 bytes"},
		{"too many", at, "alice", MediaType, `{"objects":[{},{},{},{}]}`, 413, "3 objects"},
		{"no JSON", at, "alice", MediaType, `nothing`, 422, "not-an-envelope"},
		{"a list", at, "alice", MediaType, `[{}]`, 422, "not-an-envelope"},
		{"torn", at, "alice", MediaType, `{"objects":[{"id":"a"}`, 422, "not-an-envelope"},
		{"two", at, "alice", MediaType, good + good, 422, "follows"},
		{"no list", at, "alice", MediaType, `{"objects":{"id":"a"}}`, 422, "no list"},
		{"no objects", at, "alice", MediaType, `{"objects":["a"]}`, 422, "no object"},
		{"empty", at, "alice", MediaType, `{}`, 422, "no-objects"},
		{"nothing", at, "alice", MediaType, ``, 422, "not-an-envelope"},
		{"deep", at, "alice", MediaType, `{"objects":` + strings.Repeat("[", 400), 422, "not-an-envelope"},
	} {
		b.got = nil
		r := httptest.NewRequest(http.MethodPost, c.path, strings.NewReader(c.body))
		r.Header.Set("X-Client", c.client)
		if c.media != "" {
			r.Header.Set("Content-Type", c.media)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		got := strings.TrimSpace(w.Body.String())
		if w.Code != c.status || !strings.Contains(got, c.want) || !json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != MediaType {
			t.Errorf("%s: %d %s", c.name, w.Code, got)
		}
		if (c.status == 202) != (len(b.got) == 1) {
			t.Errorf("%s: the backend got %d envelopes", c.name, len(b.got))
		}
	}
	if w := post(s, at, good, "Content-Encoding", "gzip"); w.Code != 415 {
		t.Errorf("compressed: %d %s", w.Code, w.Body)
	}
	b.got = nil
	post(s, at, good)
	p := b.got[0]
	want := []PostedObject{
		{ID: "a", Version: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Raw: []byte(`{"id":"a","modified":"2026-01-01T00:00:00Z"}`)},
		{ID: "b", Version: time.Date(2026, 1, 2, 0, 0, 0, 123456000, time.UTC), Raw: []byte(`{"id":"b","created":"2026-01-02T00:00:00.123456Z"}`)},
		{Raw: []byte(`{"id":7}`)},
	}
	if diff := cmp.Diff(want, p.Objects); diff != "" || string(p.Body) != good {
		t.Errorf("%s, body %s", diff, p.Body)
	}
}

func post(s http.Handler, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("X-Client", "alice")
	r.Header.Set("Content-Type", MediaType)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPostFails(t *testing.T) {
	b := &box{memory: newMemory()}
	s := newServer(t, b, nil)
	at := root + "collections/" + drop + "/objects/"
	b.err = errors.New("secret detail")
	if w := post(s, at, `{"objects":[{}]}`); w.Code != 503 || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Retry-After") != "10" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	b.err = &Error{Title: "Busy", Status: "503", RetryAfter: 90 * time.Second}
	if w := post(s, at, `{"objects":[{}]}`); w.Code != 503 || !strings.Contains(w.Body.String(), "Busy") || w.Header().Get("Retry-After") != "90" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := ask(s, "GET", root, "alice"); !strings.Contains(w.Body.String(), `"max_content_length":16777216`) {
		t.Errorf("%s", w.Body)
	}
	for target, want := range map[string]int{
		root + "status/s1/": 200, root + "status/s1": 200, root + "status/s2/": 404, root + "status/": 404, root + "status/s1/x/": 404,
		at: 403, root + "collections/" + drop + "/manifest/": 403, at + object1 + "/": 403,
	} {
		if w := ask(s, "GET", target, "alice"); w.Code != want {
			t.Errorf("GET %s: %d, want %d", target, w.Code, want)
		}
	}
	if w := ask(s, "GET", root+"status/s1/", "bob"); w.Code != 404 {
		t.Errorf("bob reads alice's status: %d", w.Code)
	}
	if w := ask(s, "DELETE", at+object1+"/", "alice"); w.Code != 403 {
		t.Errorf("DELETE where one may write: %d", w.Code)
	}
	if w := ask(s, "DELETE", root+"collections/"+shut+"/objects/"+object1+"/", "alice"); w.Code != 404 {
		t.Errorf("DELETE where one may do nothing: %d", w.Code)
	}
}

func TestClientAdds(t *testing.T) {
	b := &box{memory: newMemory()}
	base := serve(t, newServer(t, b, func(c *Config) { c.MaxContent = 100 }))
	c := NewClient(ClientConfig{HTTP: &http.Client{Transport: as("alice")}})
	st, err := c.Add(t.Context(), base+root, "drop", []json.RawMessage{json.RawMessage(`{"id":"a"}`), json.RawMessage(`{"id":"b"}`)})
	if err != nil || st.ID != "s1" || st.State != Pending || st.Total != 2 || string(b.got[0].Body) != `{"objects":[{"id":"a"},{"id":"b"}]}` {
		t.Fatalf("%+v, %v", st, err)
	}
	st, err = c.Await(t.Context(), base+root, st)
	if err != nil || st.State != Complete || st.Successes[0].ID != "a" || b.asked != 3 {
		t.Errorf("%+v, %v", st, err)
	}
	var e *Error // OpenCTI 8697
	_, err = c.Add(t.Context(), base+root, "drop", []json.RawMessage{json.RawMessage(`{"id":"` + strings.Repeat("a", 100) + `"}`)})
	if !errors.As(err, &e) || e.Status != "413" || !strings.Contains(e.Description, "100 bytes") {
		t.Errorf("too long: %v", err)
	}
	_, err = c.Add(t.Context(), base+root, "drop", nil)
	if err == nil {
		t.Error("nothing was added without an error")
	}
	b.asked = -1000
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	st, err = c.Await(ctx, base+root, Status{ID: "s1", State: Pending})
	if !errors.Is(err, context.DeadlineExceeded) || st.State != Pending {
		t.Errorf("%+v, %v", st, err)
	}
}

func TestClientAddsToBrokenServers(t *testing.T) {
	answer := ""
	tries := 0
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", MediaType)
		tries++
		if tries == 1 {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, answer)
	}))
	for text, want := range map[string]string{
		`{"id":"a","status":"complete"}`: "", `{"status":"complete"}`: "", `{"id":"a","status":"pending"}`: "",
		`{"status":"pending"}`: "without id", `{}`: "want complete or pending", `<html>`: "invalid character",
	} {
		answer, tries = text, 0
		_, err := NewClient(ClientConfig{}).Add(t.Context(), base, "x", []json.RawMessage{json.RawMessage("{}")})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) || tries != 2 {
			t.Errorf("%s: %v after %d tries", text, err, tries)
		}
	}
}

func TestClientToken(t *testing.T) {
	base := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", MediaType)
		_, _ = fmt.Fprintf(w, `{"title":%q}`, r.Header.Get("Authorization"))
	}))
	got, err := NewClient(ClientConfig{Token: "t0"}).Root(t.Context(), base)
	if err != nil || got.Title != "Bearer t0" {
		t.Errorf("%+v, %v", got, err)
	}
	_, err = NewClient(ClientConfig{Token: "t0"}).Root(t.Context(), "http://taxii.example/")
	if err == nil || !strings.Contains(err.Error(), "without TLS") {
		t.Errorf("a token in the clear: %v", err)
	}
}
