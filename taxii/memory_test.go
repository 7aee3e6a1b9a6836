package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

const (
	open    = "11111111-1111-4111-8111-111111111111" // collection that "alice" and "bob" read
	private = "22222222-2222-4222-8222-222222222222" // bob's alone
	shut    = "33333333-3333-4333-8333-333333333333" // seen by all, read by nobody
	broken  = "44444444-4444-4444-8444-444444444444" // fails
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// memory is a backend for tests.
type memory struct {
	mu   sync.Mutex
	sets map[string][]Record
}

func newMemory() *memory { return &memory{sets: map[string][]Record{}} }

// add appends a version of object n, of the given minute, a microsecond after
// what was added before.
func (m *memory) add(collection string, n, minute int) Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := epoch.Add(time.Duration(minute) * time.Minute)
	id := fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n)
	body := fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"%s","modified":"%s","name":"<a> & b"}`, id, formatVersion(v))
	set := m.sets[collection]
	r := Record{ID: id, Version: v, Added: epoch.Add(time.Duration(len(set)+1) * time.Microsecond), Body: json.RawMessage(body)}
	m.sets[collection] = append(set, r)
	return r
}

func (m *memory) Collections(_ context.Context, client string) ([]Collection, error) {
	if client == "unlucky" {
		return nil, errors.New("secret detail")
	}
	out := []Collection{{ID: open, Title: "Open", Alias: "open", CanRead: true, MediaTypes: []string{stixType}}}
	if client == "bob" {
		out = append(out, Collection{ID: private, Title: "Private", CanRead: true})
	}
	return append(out, Collection{ID: shut, Title: "Shut"}, Collection{ID: broken, Title: "Broken", CanRead: true}), nil
}

func (m *memory) Objects(_ context.Context, client, collection string, q Query) (Page, error) {
	if collection == broken {
		return Page{}, errors.New("secret detail")
	}
	if collection == private && client != "bob" {
		return Page{}, ErrNotFound
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return Select(m.sets[collection], q), nil
}

func newServer(t *testing.T, m Backend, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{
		Backend: m, Title: "Test", PageLimit: 10, Key: []byte("0123456789abcdef"),
		Identify: func(r *http.Request) string { return r.Header.Get("X-Client") },
	}
	if change != nil {
		change(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(s http.Handler, method, target, client string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	if client != "" {
		r.Header.Set("X-Client", client)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// as gives a client whose requests say who asks.
type as string

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Client", string(a))
	return http.DefaultTransport.RoundTrip(r)
}
