package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/people"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Config of the API. Every field but Now is needed.
type Config struct {
	DB       *sqldb.DB
	Desk     *release.Desk
	Program  *program.Program
	Intake   *intake.Intake
	Feedback *feedback.Ledger
	Feeds    Feeds            // what the hub polls; none when nil
	Review   *review.Desk     // one without warning lists when nil
	People   *people.Register // nil: roles are not kept here
	Log      *slog.Logger
	Now      func() time.Time // time.Now when nil
}

type api struct {
	Config
	limits *limits
}

const (
	bodyLimit = 8 << 20 // bytes of a request that is not a delivery: 100,000 identifiers fit
	pageLimit = 1000    // rows of a listing
)

// New makes the handler for /api/. Mount it behind [signin.Service.Wrap].
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Review == nil {
		cfg.Review = review.New(review.Config{DB: cfg.DB, Now: cfg.Now})
	}
	a := &api{cfg, newLimits()}
	mux := http.NewServeMux()
	// The routes are in routes.go: a feature adds a line there and says in its own file
	// what it answers.
	routes := a.routes()
	for i := range routes {
		r := &routes[i]
		mux.HandleFunc(r.Method+" "+prefix+r.Path, a.serve(r))
	}
	mux.HandleFunc("GET "+prefix+"/openapi.json", serveDocument(document(routes, newSchemas())))
	mux.HandleFunc("GET "+prefix+"/{$}", serveOverview(routes))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, access.Explanation{
			Status: http.StatusNotFound, Code: "no-such-address", Title: "No such address",
			Detail: r.Method + " " + r.URL.Path + " is not part of the API.", Next: "GET /api/v1/ lists the addresses and their methods.",
		})
	})
	return mux
}

// serve asks for the right to see, calls the handler, and writes what it gives.
func (a *api) serve(to *route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, ok := signin.From(r.Context())
		if !ok {
			problem(w, access.Explanation{Status: http.StatusUnauthorized, Code: "sign-in", Title: "Sign in first", Detail: "Nobody is signed in.", Next: "Send login and password by HTTP Basic."})
			return
		}
		wait, ok := a.limits.take(who.Login)
		if !ok {
			tooMany(w, wait)
			return
		}
		defer a.limits.give(who.Login)
		if !to.Free {
			r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
		}
		var err error
		if to.Sees != "" {
			err = access.Enter(r.Context(), a.DB, who, to.Sees)
		}
		if err == nil {
			err = to.needs(r)
		}
		var out any
		if err == nil {
			if to.Again != nil {
				out, err = a.once(w, r, who, to)
			} else {
				out, err = to.do(w, r, who)
			}
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		if _, done := out.(written); done {
			return
		}
		if x, has := out.(tagged); has {
			w.Header().Set("ETag", x.etag())
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out) // the caller went away: nothing to be done
	}
}

// toldError is an error whose words are chosen already.
type toldError struct{ access.Explanation }

func (e *toldError) Error() string { return e.Detail }

// badRequest is a request that cannot be understood.
type badRequest struct{ detail, next string }

func (b *badRequest) Error() string { return b.detail }

func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	var bad *badRequest
	if errors.As(err, &bad) {
		problem(w, access.Explanation{Status: http.StatusBadRequest, Code: "bad-request", Title: "The request cannot be understood", Detail: bad.detail, Next: bad.next})
		return
	}
	var told *toldError
	if errors.As(err, &told) {
		problem(w, told.Explanation)
		return
	}
	x, ok := explain(err)
	if !ok {
		a.Log.ErrorContext(r.Context(), "API request failed", slog.Any("path", r.URL.Path), slog.Any("error", err))
	}
	problem(w, x)
}

// problem writes problem details (RFC 9457), with the member "next".
func problem(w http.ResponseWriter, x access.Explanation) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(x.Status)
	_ = json.NewEncoder(w).Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Next   string `json:"next"`
	}{"urn:ecs:problem:" + x.Code, x.Title, x.Status, x.Detail, x.Next})
}

// read decodes the body of a request: one JSON object with known fields only.
func read(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		_, err = d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the object")
		}
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		return err
	}
	return &badRequest{"The body is not what this address takes: " + err.Error() + ".", "Send one JSON object with the fields that docs/formats/api.md names."}
}

func limitOf(r *http.Request) (int, error) {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return 100, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > pageLimit {
		return 0, &badRequest{fmt.Sprintf("limit %q is not a number from 1 to %d.", text, pageLimit), "Ask for fewer and go on with \"after\"."}
	}
	return n, nil
}

func momentOf(r *http.Request, name string, otherwise time.Time) (time.Time, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return otherwise, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, &badRequest{fmt.Sprintf("%s %q is not a moment.", name, text), "Write it like 2026-03-03T12:00:00Z."}
	}
	return t.UTC(), nil
}

// stamp is a moment in JSON: null for never.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
