// Package door serves what passes between the hub and the providers' nodes:
// enrolment, the log of changes with its signed checkpoint, receipts and
// feedback, and the same indicators as a TAXII 2.1 collection for each
// provider. docs/formats/door.md describes every endpoint.
//
// It translates HTTP and decides nothing: who may receive what is decided in
// hub/internal/release, whose certificate is good in hub/internal/program, what
// feedback is accepted in hub/internal/feedback.
//
// Invariants: but for /v1/enrol, nothing is answered without a certificate that
// the program's authority signed and that is not revoked, asked anew at each
// request and once a second while a request waits; a provider sees its own log
// alone; no content of a request is ever logged.
package door

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/program"
	"ecs/internal/sqldb"
)

// Releases is the desk as the door needs it. Its errors are those of
// hub/internal/release.
type Releases interface {
	// Changes gives the page of the provider's log after a sequence number.
	Changes(ctx context.Context, provider string, after uint64, limit int) (contract.Page, error)
	// Wait returns nil when the log has grown beyond a sequence number, or the
	// context's error.
	Wait(ctx context.Context, provider string, after uint64) error
	// Acknowledge books a receipt signed by the node with this certificate.
	Acknowledge(ctx context.Context, provider, serial string, ack contract.SignedAck) error
}

// Feedback takes the exact bytes of a [contract.Window]. A refusal is a
// *feedback.Refused.
type Feedback interface {
	Accept(ctx context.Context, provider string, body []byte) error
}

// Config of a [Door]. DB, Program, Releases and Feedback are needed.
type Config struct {
	DB       *sqldb.DB        // read by TAXII and for certificates
	Program  *program.Program // certificates and states
	Releases Releases
	Feedback Feedback
	// Refused maps further errors of Releases or Feedback to answers, before those
	// that the door knows; nil for none. An error that nobody knows becomes 503.
	Refused func(err error) (p Problem, ok bool)
	// NextKey authenticates the paging of TAXII; hubs on one database share it. A
	// random one is made when empty; else at least 16 bytes.
	NextKey []byte
	// Waiting is how many requests may wait for changes at a time; 4096 when zero.
	// Those beyond are answered at once and counted.
	Waiting int
	// Log receives what an operator should know; discarded when nil.
	Log *slog.Logger
}

// Door is the handler for mutual TLS. It starts no goroutine.
type Door struct {
	cfg     Config
	mux     *http.ServeMux
	waiting chan struct{}
	enrol   *throttle
	count   counters
}

// Bounds of the endpoints, see docs/formats/door.md.
const (
	MaxWait     = 55 * time.Second
	MaxLimit    = 10_000
	maxEnrol    = 64 << 10
	maxAck      = 24 << 20 // the receipt's 16 MiB, in base64
	maxFeedback = 32 << 20
)

// New makes the door.
func New(cfg Config) (*Door, error) {
	if cfg.DB == nil || cfg.Program == nil || cfg.Releases == nil || cfg.Feedback == nil {
		return nil, errors.New("door: Config needs DB, Program, Releases and Feedback")
	}
	if cfg.Refused == nil {
		cfg.Refused = func(error) (Problem, bool) { return Problem{}, false }
	}
	if len(cfg.NextKey) == 0 {
		cfg.NextKey = make([]byte, 32)
		_, _ = rand.Read(cfg.NextKey) // never fails: crypto/rand aborts the process instead
	}
	if len(cfg.NextKey) < 16 {
		return nil, errors.New("door: Config.NextKey is shorter than 16 bytes")
	}
	if cfg.Waiting == 0 {
		cfg.Waiting = 4096
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	d := &Door{
		cfg: cfg, mux: http.NewServeMux(), waiting: make(chan struct{}, cfg.Waiting),
		enrol: newThrottle(20, time.Minute, 10_000),
	}
	d.mux.Handle("/v1/enrol", d.only(http.MethodPost, http.HandlerFunc(d.postEnrol)))
	d.mux.Handle("/v1/renew", d.only(http.MethodPost, http.HandlerFunc(d.postRenew)))
	d.mux.Handle("/v1/changes", d.only(http.MethodGet, d.nodeEvenSuspended(d.getChanges)))
	d.mux.Handle("/v1/acks", d.only(http.MethodPost, d.nodeEvenSuspended(d.postAck)))
	d.mux.Handle("/v1/feedback", d.only(http.MethodPost, d.node(d.postFeedback)))
	d.mux.HandleFunc("/taxii2/", d.taxii)
	d.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, Problem{http.StatusNotFound, "not-found", "There is nothing at this path.", "See docs/formats/door.md for the endpoints."})
	})
	return d, nil
}

// ServeHTTP implements [http.Handler].
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	d.mux.ServeHTTP(w, r)
}

// Limit gives the bound of a request's body, for httpd.Config.Limit.
func Limit(r *http.Request) int64 {
	switch r.URL.Path {
	case "/v1/acks":
		return maxAck
	case "/v1/feedback":
		return maxFeedback
	}
	return maxEnrol
}

// only answers 405 to other methods; HEAD goes with GET.
func (d *Door) only(method string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			d.fail(w, r, Problem{http.StatusMethodNotAllowed, "method", "This path takes " + method + ".", "Use " + method + "."})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// caller is who asks: a good certificate and its provider.
type caller struct {
	node     program.Node
	provider program.Provider
}

// who finds the caller. The certificate's signature was checked by TLS.
func (d *Door) who(r *http.Request) (caller, error) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return caller{}, errNoCertificate
	}
	n, p, err := d.cfg.Program.NodeByCertificate(r.Context(), d.cfg.DB, r.TLS.PeerCertificates[0])
	return caller{node: n, provider: p}, err
}

func (d *Door) whoEvenSuspended(r *http.Request) (caller, error) {
	c, err := d.who(r)
	if errors.Is(err, program.ErrSuspended) {
		err = nil
	}
	return c, err
}

func (d *Door) node(next func(http.ResponseWriter, *http.Request, caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := d.who(r)
		if err != nil {
			d.failWith(w, r, err)
			return
		}
		next(w, r, c)
	})
}

// nodeEvenSuspended is for the log and for receipts: recalls still have to reach
// a suspended provider, and it still says what it loaded and removed. The desk
// sees to it that the log gives it nothing new.
func (d *Door) nodeEvenSuspended(next func(http.ResponseWriter, *http.Request, caller)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := d.whoEvenSuspended(r)
		if err != nil {
			d.failWith(w, r, err)
			return
		}
		next(w, r, c)
	})
}

// isJSON accepts application/json with parameters, and no type at all.
func isJSON(r *http.Request) bool {
	t, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	t = strings.TrimSpace(t)
	return t == "" || strings.EqualFold(t, "application/json")
}
