package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// An act whose answer is lost is sent again, with the same key and body; what is not
// an act is not.
func TestActsAreSentAgainWithTheirKey(t *testing.T) {
	var mu sync.Mutex
	var keys, bodies []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		keys, bodies = append(keys, r.Header.Get("Idempotency-Key")), append(bodies, string(b))
		n := len(keys)
		mu.Unlock()
		switch {
		case r.URL.Path == "/api/v1/items/x/first" && n == 1:
			panic(http.ErrAbortHandler) // the answer is lost
		case r.URL.Path == "/api/v1/items/x/first" && n == 2:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = w.Write([]byte(`{"title":"Too many requests"}`))
		case strings.HasSuffix(r.URL.Path, "/tokens"):
			panic(http.ErrAbortHandler)
		default:
			_, _ = w.Write([]byte(`{"item":{"state":"PENDING_SECOND"}}`))
		}
	}))
	defer srv.Close()
	c := newClient(srv.URL, "ann", "secret")
	a, err := c.act(t.Context(), "x", "first", order{Reason: "Seen in two incidents."})
	if err != nil || a.Item.State != "PENDING_SECOND" {
		t.Fatalf("%+v, %v", a, err)
	}
	mu.Lock()
	if len(keys) != 3 || keys[0] == "" || keys[1] != keys[0] || keys[2] != keys[0] || bodies[2] != bodies[0] {
		t.Errorf("keys %q, bodies %q", keys, bodies)
	}
	mu.Unlock()
	_, err = c.token(t.Context(), "alder")
	mu.Lock()
	defer mu.Unlock()
	if err == nil || len(keys) != 4 || keys[3] != "" {
		t.Errorf("a token was asked for %d times, with key %q: %v", len(keys)-3, keys[3], err)
	}
}

// Where no hub is, that is said at once and with what to do.
func TestNoHub(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	srv.Close()
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	_, err := newClient(srv.URL, "ann", "secret").act(ctx, "x", "first", order{})
	if err == nil || !strings.Contains(err.Error(), "ECS_HUB") || ctx.Err() != nil {
		t.Errorf("%v", err)
	}
}

func TestReadIDs(t *testing.T) {
	tests := []struct {
		name, in string
		want     string // joined; "error" when it is refused
	}{
		{"nothing", "", ""},
		{"words", "indicator--1\n  indicator--2 PENDING_FIRST\nindicator--3\tdomain\n\n# a comment\n", "indicator--1 indicator--2 indicator--3"},
		{"JSON lines", `{"id":"indicator--1","value":"a"}` + "\n" + `{"id":"indicator--2"}`, "indicator--1 indicator--2"},
		{"JSON without an id", `{"value":"a"}`, "error"},
		{"broken JSON", `{"id":`, "error"},
		{"a line without end", strings.Repeat("x", 2<<20), "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readIDs(strings.NewReader(tt.in))
			text := strings.Join(got, " ")
			if err != nil {
				text = "error"
			}
			if text != tt.want {
				t.Errorf("%q, %v; want %q", text, err, tt.want)
			}
		})
	}
}

func TestRefanged(t *testing.T) {
	for in, want := range map[string]string{
		" bad[.]example ":            "bad.example",
		"hxxps://bad(.)example/a":    "https://bad.example/a",
		"someone[@]bad[.]example":    "someone@bad.example",
		"http://bad.example/x?[a]=b": "http://bad.example/x?[a]=b",
		"indicator[.]hxxp.example":   "indicator.hxxp.example",
		"192[.]0[.]2[.]1":            "192.0.2.1",
	} {
		if got := refanged(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
