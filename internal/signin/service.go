package signin

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"ecs/internal/sqldb"
)

// Config of a [Service]. The zero value is right for production but for Cookie
// and Page.
type Config struct {
	Cookie     string        // name of the session's cookie, different for each house: cookies do not tell ports apart
	Secure     bool          // the console is served by TLS: the cookie is sent by TLS alone and gets the prefix __Host-
	Idle       time.Duration // a session ends when nothing is asked for so long; 30 min when zero
	Absolute   time.Duration // and so long after it began, at the latest; 12 h when zero
	Iterations int           // of PBKDF2 for new passwords; 600,000 when zero, fewer in tests only
	Public     []string      // path prefixes that need no sign-in, such as "/assets/"
	Now        func() time.Time

	// Effective gives the account as it counts at this moment, for each request: with
	// the roles that are granted now and the clearance. An account without roles may
	// still sign in and see why it may do nothing. Nil: as it is on record.
	Effective func(ctx context.Context, a Account) (Account, error)

	// Page renders the sign-in page and answers with this status (200, 400, 401,
	// 429 or 503). A plain page is used when nil.
	Page func(w http.ResponseWriter, r *http.Request, status int, p Page)
}

// Page is what the sign-in page shows. The form posts the fields "login",
// "password" and "next" to /sign-in.
type Page struct {
	Error string // why the last try failed, in words for the reader
	Login string // what was typed before
	Next  string // where to go afterwards
}

// Counts of what happened since the start.
type Counts struct {
	Passed, Failed, Limited, Busy, Sessions uint64
}

// Service knows accounts and sessions. It is safe for concurrent use and starts
// no goroutine.
type Service struct {
	db        *sqldb.DB
	cfg       Config
	origin    *http.CrossOriginProtection
	byLogin   *limiter
	byAddress *limiter
	slots     chan struct{} // password computations at a time
	nobody    string        // stored password of an account that does not exist

	secret   [32]byte // keys the digests in verified, new with each start
	mu       sync.Mutex
	verified map[[32]byte]proof

	count struct{ passed, failed, limited, busy, sessions atomic.Uint64 }
}

const (
	window         = 5 * time.Minute
	triesByLogin   = 10
	triesByAddress = 50
	namesAtMost    = 20_000
	computeAtMost  = 2
)

// New makes the service.
func New(db *sqldb.DB, cfg Config) *Service {
	if cfg.Cookie == "" {
		cfg.Cookie = "ecs"
	}
	if cfg.Secure {
		cfg.Cookie = "__Host-" + cfg.Cookie
	}
	if cfg.Idle == 0 {
		cfg.Idle = 30 * time.Minute
	}
	if cfg.Absolute == 0 {
		cfg.Absolute = 12 * time.Hour
	}
	if cfg.Iterations == 0 {
		cfg.Iterations = 600_000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Page == nil {
		cfg.Page = plainPage
	}
	s := &Service{
		db: db, cfg: cfg, origin: http.NewCrossOriginProtection(),
		byLogin:   newLimiter(triesByLogin, window, namesAtMost, cfg.Now),
		byAddress: newLimiter(triesByAddress, window, namesAtMost, cfg.Now),
		slots:     make(chan struct{}, computeAtMost),
		nobody:    fmt.Sprintf("%s$%d$AAAAAAAAAAAAAAAAAAAAAA$%s", scheme, cfg.Iterations, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		verified:  map[[32]byte]proof{},
	}
	_, _ = rand.Read(s.secret[:])
	return s
}

// Counts gives the counters.
func (s *Service) Counts() Counts {
	return Counts{
		Passed: s.count.passed.Load(), Failed: s.count.failed.Load(), Limited: s.count.limited.Load(),
		Busy: s.count.busy.Load(), Sessions: s.count.sessions.Load(),
	}
}
