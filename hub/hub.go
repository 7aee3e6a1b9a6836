// Package hub is the house that decides what is bad: it receives indicators from
// government sources, minimizes, marks, checks, approves and releases them to
// accredited providers, and keeps the ledger of what is in force where. It never
// sees traffic; test/arch holds it to that.
//
// Only this package's names are visible outside the house. [Run] wires it, from
// top to bottom.
package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"ecs/hub/internal/access"
	"ecs/hub/internal/api"
	"ecs/hub/internal/collect"
	"ecs/hub/internal/console"
	"ecs/hub/internal/door"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/inbox"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/people"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/hub/internal/search"
	"ecs/hub/internal/store"
	"ecs/internal/certs"
	"ecs/internal/httpd"
	"ecs/internal/lifecycle"
	"ecs/internal/secret"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/web"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/mod/sumdb/note"
)

// Version is the program's, set when it is built.
var Version = "development"

// Up says where a running hub is.
type Up struct {
	Console   string // URL
	Door      string // URL
	Pin       string // of the program's certificate authority, for enrollment
	Passwords []Password
}

// Run runs a hub until ctx ends. Ready is called once, when both listeners are
// open; it may be nil.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(Up)) error {
	h, err := build(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { _ = h.db.Close() }()
	err = errors.Join(h.console.Listen(), h.door.Listen())
	if err == nil && h.metrics != nil {
		err = h.metrics.Listen()
	}
	if err == nil {
		err = h.begin(ctx)
	}
	if err != nil {
		return errors.Join(err, h.console.Close(), h.door.Close())
	}
	if ready != nil {
		ready(Up{Console: h.console.URL(), Door: h.door.URL(), Pin: h.authority.Pin(), Passwords: h.passwords})
	}
	return h.group.Run(ctx)
}

// Check builds the whole hub as Run does, and takes it down before the first
// socket is opened.
func Check(ctx context.Context, cfg Config, log *slog.Logger) error {
	h, err := build(ctx, cfg, log)
	if err != nil {
		return err
	}
	return h.db.Close()
}

// house is a hub that has been built.
type house struct {
	db        *sqldb.DB
	authority *certs.Authority
	console   *httpd.Server
	door      *httpd.Server
	metrics   *httpd.Server
	passwords []Password
	begin     func(context.Context) error // what changes state, once the listeners are open
	group     lifecycle.Group
}

func build(ctx context.Context, cfg Config, log *slog.Logger) (h *house, err error) {
	err = cfg.Check()
	if err != nil {
		return nil, fmt.Errorf("hub: configuration: %w", err)
	}
	err = os.MkdirAll(cfg.Data, 0o700)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}

	// Keys.
	h = &house{}
	h.authority, err = certs.OpenAuthority(filepath.Join(cfg.Data, "keys"), cfg.Program)
	if err != nil {
		return nil, err
	}
	signer, verifier, err := signingKey(cfg)
	if err != nil {
		return nil, err
	}

	// State.
	h.db, err = store.Open(ctx, cfg.database())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = h.db.Close()
		}
	}()
	registry, err := program.New(h.db, program.Config{
		Authority: h.authority, Verifier: verifier, NodeLife: cfg.NodeLife, OperateOnEnrol: cfg.Demonstration,
	})
	if err != nil {
		return nil, err
	}
	err = registry.Prepare(ctx)
	if err != nil {
		return nil, err
	}
	lists, err := warningLists(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	check := checker(h.db, cfg, lists, log)
	desk, err := release.New(h.db, release.Config{
		Signer: signer, Creator: cfg.Identity, Rules: cfg.rules(),
		CheckpointLife: cfg.CheckpointLife, Overdue: cfg.Overdue, Checker: check, Log: log,
	})
	if err != nil {
		return nil, err
	}
	holds, err := cfg.holds()
	if err != nil {
		return nil, err
	}
	in := intake.New(intake.Config{
		DB: h.db, Clearance: &holds, Checker: check, Spool: filepath.Join(cfg.Data, "spool"),
		Ceiling: cfg.Ceiling, MaxBytes: cfg.MaxDelivery, FolderSubmitter: cfg.WatchAs, Demonstration: cfg.Demonstration, Log: log,
	})

	// People.
	site := web.Site{House: "hub", Name: "ECS Hub", Owner: cfg.Program, Demonstration: cfg.Demonstration, Version: Version}
	page, err := web.SignInPage(site, log)
	if err != nil {
		return nil, err
	}
	tlsConsole, err := consoleTLS(cfg)
	if err != nil {
		return nil, err
	}
	register := people.New(people.Config{DB: h.db, Log: log})
	staff := signin.New(h.db, signin.Config{
		Cookie: "ecs-hub", Secure: tlsConsole != nil, Public: console.Public, Page: page, Effective: effective(register, h.db),
	})
	counts, err := feedback.New(h.db, feedback.Config{Rules: cfg.rules(), Log: log})
	if err != nil {
		return nil, err
	}
	feeds, err := collect.New(collect.Config{DB: h.db, Intake: in, Feeds: cfg.Feeds, Log: log})
	if err != nil {
		return nil, fmt.Errorf("hub: configuration: feeds: %w", err)
	}
	gathers := review.New(review.Config{DB: h.db, Checker: check})
	calls := api.New(api.Config{DB: h.db, Desk: desk, Program: registry, Intake: in, Feedback: counts, Feeds: feeds, Review: gathers, People: register, Log: log})
	pages, err := console.New(console.Config{
		Site: site, Accounts: staff, DB: h.db, Desk: desk, Program: registry, Intake: in, Feedback: counts, Feeds: feeds, People: register, API: calls, Log: log,
		Review: gathers,
	})
	if err != nil {
		return nil, err
	}
	box, err := inbox.New(inbox.Config{
		DB: h.db, Intake: in, Authenticate: officer(staff), Spool: filepath.Join(cfg.Data, "pushed"), Log: log,
	})
	if err != nil {
		return nil, err
	}
	listens := http.NewServeMux()
	listens.Handle("/taxii2/", box) // signs officers in by itself: it has no pages
	listens.Handle("/", pages)
	h.console = httpd.New(httpd.Config{
		Name: "console", Address: cfg.Console, Handler: listens, TLS: tlsConsole,
		Limit: func(r *http.Request) int64 { return max(deliveryLimit(r), box.Limit(r)) },
	})

	// Providers.
	server, err := certs.NewServer(h.authority, cfg.DoorNames)
	if err != nil {
		return nil, err
	}
	nodes, err := door.New(door.Config{DB: h.db, Program: registry, Releases: desk, Feedback: counts, Log: log})
	if err != nil {
		return nil, err
	}
	h.door = httpd.New(httpd.Config{Name: "door", Address: cfg.Door, Handler: nodes, TLS: server.Config(), Limit: door.Limit})

	index := search.New(search.Config{DB: h.db, Busy: in.Busy, Log: log})
	if cfg.Metrics != "" {
		all := prometheus.NewRegistry()
		all.MustRegister(in.Collector(), index.Collector(), staff, nodes, feeds.Collector(), box.Collector())
		h.metrics = httpd.New(httpd.Config{Name: "metrics", Address: cfg.Metrics, Handler: promhttp.HandlerFor(all, promhttp.HandlerOpts{})})
		h.group.Add("metrics", h.metrics.Run)
	}

	// What a start changes, and Check does not: a password that nobody has seen
	// would be lost.
	h.begin = func(ctx context.Context) error {
		var err error
		err = access.Prepare(ctx, h.db, holds)
		if err == nil {
			h.passwords, err = accounts(ctx, staff, cfg.Accounts)
			if err == nil {
				err = register.Bootstrap(ctx, listed(cfg.Accounts))
			}
		}
		if err == nil {
			err = clearances(ctx, h.db, cfg.Accounts)
		}
		if err == nil {
			err = sources(ctx, h.db, registry, cfg.Sources)
		}
		if err == nil && cfg.Demonstration {
			err = sample(ctx, h.db, registry)
		}
		if err == nil {
			err = in.Resume(ctx) // a delivery that the last process left half read
		}
		return err
	}

	// What runs.
	h.group.Add("program", registry.Run)
	h.group.Add("release", desk.Run)
	h.group.Add("search index", index.Run)
	h.group.Add("intake", in.Run)
	h.group.Add("feeds", feeds.Run)
	h.group.Add("inbox", box.Run)
	h.group.Add("certificate", server.Run)
	if cfg.Watch != "" {
		h.group.Add("watched folder", func(ctx context.Context) error { return in.Watch(ctx, cfg.Watch) })
	}
	h.group.Add("door", h.door.Run)
	h.group.Add("console", h.console.Run)
	return h, nil
}

// officer says for which source an officer's request speaks.
func officer(staff *signin.Service) func(r *http.Request) (source, login string, ok bool) {
	return func(r *http.Request) (string, string, bool) {
		a, err := staff.Basic(r)
		if err != nil || !a.Has("gfi_officer") || a.Scope == "" {
			return "", "", false
		}
		return a.Scope, a.Login, true
	}
}

// deliveryLimit lets deliveries through whole: intake bounds them itself, item by
// item, and keeps the good items of one that is too long.
func deliveryLimit(r *http.Request) int64 {
	if r.Method == http.MethodPost && (r.URL.Path == "/deliveries" || r.URL.Path == "/api/v1/batches") {
		return math.MaxInt64
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		return 8 << 20
	}
	return 0
}

// signingKey gives the key that signs checkpoints and rules, made at the first
// start: two lines, as golang.org/x/mod/sumdb/note writes them.
func signingKey(cfg Config) (note.Signer, string, error) {
	text, err := secret.Load(filepath.Join(cfg.Data, "keys"), "program.key", func() ([]byte, error) {
		private, public, err := note.GenerateKey(nil, cfg.Key)
		return []byte(private + "\n" + public + "\n"), err
	})
	if err != nil {
		return nil, "", err
	}
	private, public, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	signer, err := note.NewSigner(private)
	if err != nil {
		return nil, "", fmt.Errorf("hub: program.key: %w", err)
	}
	if signer.Name() != cfg.Key {
		return nil, "", fmt.Errorf("hub: program.key is named %q, the configuration says key: %s; providers trust the former", signer.Name(), cfg.Key)
	}
	return signer, public, nil
}

func consoleTLS(cfg Config) (*tls.Config, error) {
	if cfg.ConsoleCertificate == "" {
		return nil, nil //nolint:nilnil // plain HTTP, which httpd allows on loopback alone
	}
	pair, err := tls.LoadX509KeyPair(cfg.ConsoleCertificate, cfg.ConsoleKey)
	if err != nil {
		return nil, fmt.Errorf("hub: console certificate: %w", err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}, nil
}

func accounts(ctx context.Context, staff *signin.Service, list []Account) ([]Password, error) {
	var out []Password
	for _, a := range list {
		password, err := staff.Create(ctx, signin.Account{Login: a.Login, Person: a.Person, Roles: a.Roles, Scope: a.Scope})
		if errors.Is(err, signin.ErrExists) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("hub: account %s: %w", a.Login, err)
		}
		out = append(out, Password{Login: a.Login, Person: a.Person, Password: password, Roles: a.Roles})
	}
	return out, nil
}

// effective gives what an account counts for now: the roles that are granted, and
// the clearance.
func effective(register *people.Register, db *sqldb.DB) func(context.Context, signin.Account) (signin.Account, error) {
	cleared := access.Effective(db)
	return func(ctx context.Context, a signin.Account) (signin.Account, error) {
		a, err := register.Effective(ctx, a)
		if err != nil {
			return a, err
		}
		return cleared(ctx, a)
	}
}

func listed(list []Account) []signin.Account {
	out := make([]signin.Account, len(list))
	for i, a := range list {
		out[i] = signin.Account{Login: a.Login, Person: a.Person, Roles: a.Roles, Scope: a.Scope}
	}
	return out
}

// clearances brings those of the configuration's accounts up to date.
func clearances(ctx context.Context, db *sqldb.DB, list []Account) error {
	for _, a := range list {
		err := access.Configure(ctx, db, a.Login, a.Clearance)
		if err != nil {
			return fmt.Errorf("hub: account %s: %w", a.Login, err)
		}
	}
	return nil
}

// sources brings those of the configuration into the registry.
func sources(ctx context.Context, db *sqldb.DB, registry *program.Program, list []Source) error {
	by := signin.Account{Login: "configuration", Person: "configuration", Roles: []string{"system_admin"}}
	for _, c := range list {
		want := program.Source{
			ID: c.ID, Name: c.Name, Agency: c.Agency, Authority: c.Authority, AuthorityUntil: c.AuthorityUntil.UTC(),
			Purpose: c.Purpose, Ceiling: c.Ceiling, Reliability: c.Reliability,
		}
		have, err := program.GetSource(ctx, db, c.ID)
		if err != nil && !errors.Is(err, program.ErrNotFound) {
			return err
		}
		want.Created = have.Created
		if err == nil && have.AuthorityUntil.Equal(want.AuthorityUntil) {
			want.AuthorityUntil = have.AuthorityUntil
			if have == want {
				continue
			}
		}
		err = registry.PutSource(ctx, by, want)
		if err != nil {
			return fmt.Errorf("hub: configuration: sources: %w", err)
		}
	}
	return nil
}

func warningLists(ctx context.Context, cfg Config, log *slog.Logger) (*policy.Lists, error) {
	if cfg.WarningLists == "" {
		log.LogAttrs(ctx, slog.LevelWarn, "no warning lists are configured: popular names are not recognized (warning_lists)")
		return nil, nil //nolint:nilnil // none is a choice
	}
	lists, problems, err := policy.LoadLists(os.DirFS(cfg.WarningLists), nil)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		log.LogAttrs(ctx, slog.LevelWarn, "part of a warning list is not used", slog.Any("problem", p))
	}
	return lists, nil
}

// checker gives the checks with the protected names of the moment. When these
// cannot be read it gives the last ones: a check is never skipped.
func checker(db *sqldb.DB, cfg Config, lists *policy.Lists, log *slog.Logger) func() *policy.Checker {
	made := func(protected []policy.Protected) (*policy.Checker, error) {
		return policy.New(policy.Config{Demonstration: cfg.Demonstration, Lists: lists, Protected: protected})
	}
	var mu sync.Mutex
	last, err := made(nil)
	return func() *policy.Checker {
		mu.Lock()
		defer mu.Unlock()
		ctx := context.Background()
		protected, loadErr := policy.LoadProtected(ctx, db)
		if loadErr == nil {
			var next *policy.Checker
			next, err = made(protected)
			if err == nil {
				last = next
			}
		}
		if e := errors.Join(loadErr, err); e != nil {
			log.LogAttrs(ctx, slog.LevelError, "protected names not read anew, the last ones hold", slog.String("error", e.Error()))
		}
		return last
	}
}

// ChangeAccount resets a password (change "reset"; the new one is given back), or
// shuts an account out or lets it in again ("disable", "enable"). It is for whoever
// runs the machine and may be used beside a running hub; the audit log has it.
func ChangeAccount(ctx context.Context, cfg Config, login, change string) (password string, err error) {
	db, err := store.Open(ctx, cfg.database())
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	return signin.New(db, signin.Config{}).Change(ctx, login, change)
}

// Recertify reviews what an account holds and renews its person's training, in the
// name of two people: for whoever runs the machine, when nobody is left who could
// by the console. The audit log has both names.
func Recertify(ctx context.Context, cfg Config, login string, persons [2]string) error {
	db, err := store.Open(ctx, cfg.database())
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	return people.New(people.Config{DB: db}).Recertify(ctx, login, persons)
}
