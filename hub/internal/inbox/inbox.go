// Package inbox takes what sources push by TAXII 2.1: an API root with one
// write-only collection for each source, whose POSTs become deliveries of
// hub/internal/intake, and a status resource that says of each object what became
// of it. docs/formats/collect.md is the page for sources.
//
// It is NOT for giving anything out (hub/internal/door does, to providers), does not
// know accounts (the caller says who asks), and judges nothing.
//
// Invariants:
//   - What was answered with 202 is on disk and becomes a delivery, also when the hub
//     is killed the moment after.
//   - A source sees its own collection and the status of its own pushes; all else is
//     answered like what does not exist.
//   - Memory is bounded: by max_content_length times the requests at a time, and the
//     disk by the pushes that wait.
package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/taxii"
)

// Root is the path of the API root. Discovery is at /taxii2/.
const Root = "/taxii2/sources/"

// MaxContent is the most bytes of one push when Config says nothing.
const MaxContent = 16 << 20

// Submitter takes deliveries: an [intake.Intake].
type Submitter interface {
	Submit(ctx context.Context, d intake.Delivery, r io.Reader, progress func(intake.Progress)) (intake.Report, error)
}

// Config of an [Inbox].
type Config struct {
	// DB is the hub's database. Needed.
	DB *sqldb.DB
	// Intake takes what comes. Needed.
	Intake Submitter
	// Authenticate says for which source a request speaks, and under which login it
	// delivers; ok is false when for none. Needed.
	Authenticate func(r *http.Request) (source, login string, ok bool)
	// Spool is a folder of its own for pushes that are not deliveries yet. Needed; it
	// is made when absent.
	Spool string
	// Title of the API root, for people.
	Title string
	// MaxContent is the most bytes of one push, told as max_content_length; the
	// constant of that name when 0.
	MaxContent int64
	// MaxObjects is the most objects of one push; 10,000 when 0, of which intake keeps
	// every refusal.
	MaxObjects int
	// Posts is how many pushes are received at a time; 4 when 0. Others get 503.
	Posts int
	// MaxWaiting is how many pushes may wait in the spool; 256 when 0. Then 503.
	MaxWaiting int64
	// Keep is how long a status is kept; 48 h when 0, never below the 24 h of the
	// standard.
	Keep time.Duration
	// Log takes operational messages; never values of indicators. Nil: none.
	Log *slog.Logger
}

// Inbox answers sources. It is safe for concurrent use.
type Inbox struct {
	cfg     Config
	server  *taxii.Server
	posts   chan struct{}
	waiting atomic.Int64
	last    atomic.Int64 // moment of the newest push, microseconds since 1970
	wake    chan struct{}
	count   counters
}

// New makes an inbox. Pushes become deliveries only while [Inbox.Run] runs.
func New(cfg Config) (*Inbox, error) {
	if cfg.DB == nil || cfg.Intake == nil || cfg.Authenticate == nil || cfg.Spool == "" {
		return nil, errors.New("inbox: Config.DB, Intake, Authenticate and Spool are needed")
	}
	if cfg.MaxContent <= 0 {
		cfg.MaxContent = MaxContent
	}
	if cfg.MaxObjects <= 0 {
		cfg.MaxObjects = 10_000
	}
	if cfg.Posts <= 0 {
		cfg.Posts = 4
	}
	if cfg.MaxWaiting <= 0 {
		cfg.MaxWaiting = 256
	}
	if cfg.Keep <= 0 {
		cfg.Keep = 48 * time.Hour
	}
	cfg.Keep = max(cfg.Keep, 24*time.Hour)
	if cfg.Title == "" {
		cfg.Title = "Deliveries of sources"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	err := os.MkdirAll(cfg.Spool, 0o700)
	if err != nil {
		return nil, fmt.Errorf("inbox: spool: %w", err)
	}
	in := &Inbox{cfg: cfg, posts: make(chan struct{}, cfg.Posts), wake: make(chan struct{}, 1)}
	in.server, err = taxii.NewServer(taxii.Config{
		Backend: (*backend)(in), Title: cfg.Title, Path: Root, MaxContent: cfg.MaxContent, MaxObjects: cfg.MaxObjects,
		Description: "A source adds STIX 2.1 objects to its own collection and reads the status of what it added. Nothing is given out here.",
		Challenge:   `Basic realm="ecs", charset="UTF-8"`, Log: cfg.Log,
	})
	if err != nil {
		return nil, err
	}
	return in, nil
}

// Limit gives the most bytes of a request's body, for the listener.
func (in *Inbox) Limit(r *http.Request) int64 {
	if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/taxii2/") {
		return in.cfg.MaxContent + 1 // one more, so that it is this package that says 413
	}
	return 0
}

// receiveWithin is how long one push may take to arrive.
const receiveWithin = 5 * time.Minute

// ServeHTTP implements [http.Handler], at and below /taxii2/.
func (in *Inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	source, login, ok := in.cfg.Authenticate(r)
	if !ok || source == "" || login == "" {
		in.server.ServeHTTP(w, r.WithContext(taxii.WithClient(r.Context(), "")))
		return
	}
	if r.Method == http.MethodPost {
		select {
		case in.posts <- struct{}{}:
			defer func() { <-in.posts }()
		default:
			in.count.busy.Add(1)
			w.Header().Set("Content-Type", taxii.MediaType)
			w.Header().Set("Retry-After", "5")
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(taxii.Error{
				Title: "Busy", Description: "Too many deliveries at a time. Try again in a moment.", Code: "busy", Status: "503",
			})
			return
		}
		// A test's recorder has no deadlines; a real connection has.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(receiveWithin))
	}
	ctx := context.WithValue(taxii.WithClient(r.Context(), source), loginKey{}, login)
	in.server.ServeHTTP(w, r.WithContext(ctx))
}

type loginKey struct{}

// CollectionID gives the identifier of a source's collection, a UUID (version 5).
func CollectionID(source string) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("ecs:source/"+source))
	return uuid.NewSHA1(space, []byte("collection/deliveries")).String()
}

// backend is what the TAXII server asks.
type backend Inbox

var (
	_ taxii.Backend = (*backend)(nil)
	_ taxii.Inbox   = (*backend)(nil)
)

// Collections implements [taxii.Backend].
func (*backend) Collections(_ context.Context, source string) ([]taxii.Collection, error) {
	return []taxii.Collection{{
		ID: CollectionID(source), Alias: "deliveries", Title: "Deliveries of " + source, CanWrite: true,
		Description: "Add STIX 2.1 objects here. It cannot be read.",
		MediaTypes:  []string{"application/stix+json;version=2.1"},
	}}, nil
}

// Objects implements [taxii.Backend]; the collection cannot be read, so that nobody
// asks.
func (*backend) Objects(context.Context, string, string, taxii.Query) (taxii.Page, error) {
	return taxii.Page{}, taxii.ErrNotFound
}

// Add implements [taxii.Inbox].
func (b *backend) Add(ctx context.Context, source, collection string, p taxii.Posted) (taxii.Status, error) {
	in := (*Inbox)(b)
	login, _ := ctx.Value(loginKey{}).(string)
	if collection != CollectionID(source) || login == "" {
		return taxii.Status{}, taxii.ErrNotFound
	}
	if in.waiting.Load() >= in.cfg.MaxWaiting {
		in.count.busy.Add(1)
		return taxii.Status{}, &taxii.Error{
			Title: "Busy", Description: "Too many deliveries wait to be read. Try again later.", Code: "waiting",
			Status: "503", RetryAfter: time.Minute,
		}
	}
	return in.receive(ctx, source, login, p)
}

// Status implements [taxii.Inbox].
func (b *backend) Status(ctx context.Context, source, id string) (taxii.Status, error) {
	return (*Inbox)(b).status(ctx, source, id)
}
