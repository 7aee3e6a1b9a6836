// Package provider is the house that sees people's traffic: it takes the
// program's list from the hub, keeps it sealed, and protects its customers with
// it by DNS sinkholing, SMTP filtering and NetFlow analysis. What it sees stays
// here; the hub gets receipts, and anonymous counts of customers who agreed.
//
// Only this package's names are visible outside the house. [Run] wires it, from
// top to bottom.
package provider

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"ecs/contract"
	"ecs/internal/httpd"
	"ecs/internal/lifecycle"
	"ecs/internal/secret"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/provider/internal/anonymise"
	"ecs/provider/internal/console"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/dns"
	"ecs/provider/internal/flow"
	flowstore "ecs/provider/internal/flow/store"
	"ecs/provider/internal/link"
	"ecs/provider/internal/mail"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/match"
	"ecs/provider/internal/notice"
	"ecs/provider/internal/sighting"
	"ecs/provider/internal/store"
	"ecs/web"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Version is the program's, set when it is built.
var Version = "development"

// Up says where a running node is.
type Up struct {
	Console   string   // URL
	DNS       []string // addresses, UDP and TCP
	Mail      []string // milter sockets
	Flow      []string // addresses, UDP
	Passwords []Password
}

// Enroll gets this node its certificate, with the one-time token and the pin
// that the program office gave out. It is done once, before the first Run.
func Enroll(ctx context.Context, cfg Config, hubURL, node, token, pin string) error {
	_, err := link.Enroll(ctx, cfg.path("identity"), hubURL, node, token, pin)
	return err
}

// Enrolled reports whether this node has an identity.
func Enrolled(cfg Config) (bool, error) {
	_, err := link.LoadIdentity(cfg.path("identity"))
	if errors.Is(err, link.ErrNotEnrolled) {
		return false, nil
	}
	return err == nil, err
}

// Run runs a node until ctx ends. Ready is called once, when all rooms listen;
// it may be nil.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(Up)) error {
	h, err := build(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { _ = h.db.Close() }()
	err = h.console.Listen()
	if err == nil && h.metrics != nil {
		err = h.metrics.Listen()
	}
	if err == nil {
		err = h.link.Open(ctx) // the last good list is in force before the first packet
	}
	if err == nil {
		err = h.begin(ctx)
	}
	if err != nil {
		return errors.Join(err, h.console.Close())
	}
	h.start(ready)
	return h.group.Run(ctx)
}

// Check builds the whole node as Run does, and takes it down before the first
// socket is opened.
func Check(ctx context.Context, cfg Config, log *slog.Logger) error {
	h, err := build(ctx, cfg, log)
	if err != nil {
		return err
	}
	return h.db.Close()
}

// house is a node that has been built.
type house struct {
	cfg       Config
	db        *sqldb.DB
	set       *match.Holder
	customers *customer.Holder
	specs     *customer.Store
	queue     *sighting.Queue
	recorder  *sighting.Recorder
	notices   *notice.Service
	feedback  *anonymise.Service
	link      *link.Link
	held      *quarantine.Store
	dns       *dns.Room
	mail      *mail.Filter
	flow      *flow.Flow
	rooms     map[contract.Services]*prometheus.Registry
	console   *httpd.Server
	metrics   *httpd.Server
	passwords []Password
	begin     func(context.Context) error // makes accounts
	group     lifecycle.Group
	log       *slog.Logger
}

func build(ctx context.Context, cfg Config, log *slog.Logger) (h *house, err error) {
	err = cfg.Check()
	if err != nil {
		return nil, fmt.Errorf("provider: configuration: %w", err)
	}
	err = os.MkdirAll(cfg.Data, 0o700)
	if err != nil {
		return nil, fmt.Errorf("provider: %w", err)
	}
	identity, err := link.LoadIdentity(cfg.path("identity"))
	if err != nil {
		return nil, err
	}
	h = &house{
		cfg: cfg, set: match.NewHolder(), customers: customer.NewHolder(),
		rooms: map[contract.Services]*prometheus.Registry{}, log: log,
	}
	h.db, err = store.Open(ctx, cfg.database())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = h.db.Close()
		}
	}()
	err = h.buildRecords(ctx)
	if err != nil {
		return nil, err
	}
	err = h.buildRooms()
	if err != nil {
		return nil, err
	}
	vaultKey, err := secret.Key(cfg.path("keys"), "vault.key", 32)
	if err != nil {
		return nil, err
	}
	h.link = link.New(link.Config{
		Identity: identity, Services: cfg.services(), VaultDir: cfg.path("vault"), VaultKey: vaultKey,
		Set: h.set, DB: h.db, Feedback: h.feedback, Rules: h.takeRules, Log: log,
	})
	return h, h.buildConsole(ctx)
}

// buildRecords makes what keeps and tells of matches.
func (h *house) buildRecords(ctx context.Context) error {
	cfg := h.cfg
	h.specs = customer.NewStore(h.db, h.customers)
	h.feedback = anonymise.New(anonymise.Config{
		DB: h.db, Rules: contract.DefaultRules, Ready: func() { h.link.Wake() }, Log: h.log,
	})
	h.specs.Revoked = h.feedback.Withdraw
	err := h.specs.Load(ctx)
	if err == nil {
		err = h.configured(ctx)
	}
	if err != nil {
		return err
	}
	tags, err := secret.Key(cfg.path("keys"), "tags.key", 32)
	if err != nil {
		return err
	}
	publicURL := cfg.PublicURL
	if publicURL == "" {
		publicURL = "http://" + cfg.Console
	}
	h.notices = notice.New(notice.Config{
		DB: h.db, Set: h.set, Provider: cfg.Name, PublicURL: publicURL,
		Mail:      notice.MailConfig{Server: cfg.Notices.Mail, From: cfg.Notices.From},
		AckWithin: cfg.Notices.AckWithin, Log: h.log,
	})
	size := cfg.Queue
	if size == 0 {
		size = 65_536
	}
	h.queue = sighting.NewQueue(size)
	h.recorder = sighting.NewRecorder(sighting.Config{
		DB: h.db, Queue: h.queue, Customers: h.customers, Secret: tags,
		DayLength: h.feedback.DayLength, Stored: h.notices.Wake, Log: h.log,
	})
	return nil
}

// buildRooms makes the services that have an address to listen on.
func (h *house) buildRooms() (err error) {
	cfg := h.cfg
	services := cfg.services()
	if services.Has(contract.DNS) {
		strangers := map[string]dns.Stranger{"": dns.Refuse, "refuse": dns.Refuse, "forward": dns.PassThrough, "ignore": dns.Ignore}
		unready := dns.FailOpen
		if cfg.DNS.FailClosed {
			unready = dns.FailClosed
		}
		h.dns, err = dns.New(dns.Config{
			Listen: cfg.DNS.Listen, Upstreams: cfg.DNS.Upstreams, Sinkhole4: cfg.DNS.Sinkhole4, Sinkhole6: cfg.DNS.Sinkhole6,
			TTL: cfg.DNS.TTL, Strangers: strangers[cfg.DNS.Strangers], Unready: unready,
			Matches: h.set, Customers: h.customers, Sightings: h.queue, Log: h.log,
		})
		if err != nil {
			return err
		}
		h.room(contract.DNS, h.dns)
	}
	if services.Has(contract.SMTP) {
		key, err := secret.Key(cfg.path("keys"), "quarantine.key", 32)
		if err != nil {
			return err
		}
		h.held, err = quarantine.New(quarantine.Config{
			DB: h.db, Dir: cfg.path("quarantine"), Key: key, MaxBytes: cfg.Mail.HoldBytes, Retention: cfg.Mail.Hold,
			NextHop: cfg.Mail.NextHop, Log: h.log,
		})
		if err != nil {
			return err
		}
		h.mail, err = mail.New(mail.Config{
			Listen: cfg.Mail.Listen, Set: h.set, Book: h.customers, Recorder: h.recorder, Quarantine: h.held,
			FailClosed: cfg.Mail.FailClosed, Log: h.log,
		})
		if err != nil {
			return err
		}
		h.room(contract.SMTP, h.mail.Collector())
	}
	if services.Has(contract.NetFlow) {
		key, err := secret.Key(cfg.path("keys"), "flows.key", 32)
		if err != nil {
			return err
		}
		h.flow, err = flow.New(flow.Config{
			Listen: cfg.Flow.Listen, Exporters: cfg.Flow.Exporters, State: cfg.path("templates"),
			Store: flowstore.Config{Dir: cfg.path("flows"), Key: key, Keep: cfg.Flow.Keep, MaxBytes: cfg.Flow.KeepBytes, Log: h.log},
			Match: h.set, Customers: h.customers, Events: h.queue, Log: h.log,
		})
		if err != nil {
			return err
		}
		h.room(contract.NetFlow, h.flow.Collector())
	}
	return nil
}

func (h *house) room(s contract.Services, c prometheus.Collector) {
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	h.rooms[s] = r
}

func (h *house) buildConsole(ctx context.Context) error {
	cfg := h.cfg
	site := web.Site{House: "provider", Name: "ECS Provider", Owner: cfg.Name, Demonstration: cfg.Demonstration, Version: Version}
	page, err := web.SignInPage(site, h.log)
	if err != nil {
		return err
	}
	var secure *tls.Config
	if cfg.ConsoleCertificate != "" {
		pair, err := tls.LoadX509KeyPair(cfg.ConsoleCertificate, cfg.ConsoleKey)
		if err != nil {
			return fmt.Errorf("provider: console certificate: %w", err)
		}
		secure = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{pair}}
	}
	people := signin.New(h.db, signin.Config{Cookie: "ecs-provider", Secure: secure != nil, Public: console.Public, Page: page})
	// Accounts are made when the node starts, not when it is checked: a password
	// that nobody has seen would be lost.
	h.begin = func(ctx context.Context) error {
		for _, a := range cfg.Accounts {
			password, err := people.Create(ctx, signin.Account{Login: a.Login, Person: a.Person, Roles: a.Roles, Scope: a.Scope})
			if errors.Is(err, signin.ErrExists) {
				continue
			}
			if err != nil {
				return fmt.Errorf("provider: account %s: %w", a.Login, err)
			}
			h.passwords = append(h.passwords, Password{Login: a.Login, Person: a.Person, Password: password, Roles: a.Roles})
		}
		return nil
	}
	p := pages{h}
	handler, err := console.New(console.Config{
		Site: site, Accounts: people, Overview: p, Sightings: p, Customers: p, Quarantine: p, Notices: p, Feedback: p,
		Audit: h.db, Log: h.log,
	})
	if err != nil {
		return err
	}
	h.console = httpd.New(httpd.Config{Name: "console", Address: cfg.Console, Handler: handler, TLS: secure})
	if cfg.Metrics != "" {
		own := prometheus.NewRegistry()
		own.MustRegister(gauges{h})
		all := prometheus.Gatherers{own}
		for _, r := range h.rooms {
			all = append(all, r)
		}
		h.metrics = httpd.New(httpd.Config{Name: "metrics", Address: cfg.Metrics, Handler: promhttp.HandlerFor(all, promhttp.HandlerOpts{})})
	}
	return nil
}

// configured brings the customers of the configuration into the database.
func (h *house) configured(ctx context.Context) error {
	by := customer.Actor{Login: "configuration", Roles: []string{"csp_operator"}}
	for _, c := range h.cfg.Customers {
		_, err := h.specs.Put(ctx, by, customer.Spec{
			Row: customer.Row{
				Customer: customer.Customer{
					Name: c.Name, Sector: contract.Sector(c.Sector), DNS: c.DNS, Answer: c.Answer,
					Mail: c.Mail, MailAction: c.Action, Flow: c.Flow,
				},
				Prefixes: c.Prefixes, Domains: c.Domains, Exporters: c.Exporters,
			},
			Contact: customer.Contact{Mail: c.Contact.Mail, Hook: c.Contact.Hook, Syslog: c.Contact.Syslog},
		})
		if err != nil {
			return err
		}
	}
	specs, err := h.specs.List(ctx)
	if err != nil {
		return err
	}
	for _, name := range h.cfg.SampleConsent {
		for _, c := range specs {
			if c.Name != name || !c.ConsentAt.IsZero() {
				continue
			}
			contact := customer.Actor{Login: "sample contact of " + name, Roles: []string{"customer_contact"}, Scope: name}
			err = h.specs.Consent(ctx, contact, c.ID, contract.AllServices)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// start puts the parts in the order in which they run; they stop in reverse, so
// that the rooms have gone before the recorder takes its last matches.
func (h *house) start(ready func(Up)) {
	h.group.Add("console", h.console.Run)
	if h.metrics != nil {
		h.group.Add("metrics", h.metrics.Run)
	}
	h.group.Add("notices", h.notices.Run)
	h.group.Add("feedback", h.feedback.Run)
	h.group.Add("sightings", h.recorder.Run)
	h.group.Add("retention", h.forget)
	h.group.Add("link", h.link.Run)
	up := Up{Console: h.console.URL(), Passwords: h.passwords}
	if h.mail != nil {
		h.group.AddReady("mail", whenReady(h.mail.Run, h.mail.Ready(), func() {
			for _, a := range h.mail.Addrs() {
				up.Mail = append(up.Mail, a.Network()+":"+a.String())
			}
		}))
	}
	if h.flow != nil {
		h.group.AddReady("flow", func(ctx context.Context, ready func()) error {
			go func() {
				for _, a := range h.flow.Addrs() {
					up.Flow = append(up.Flow, a.String())
				}
				ready()
			}()
			return h.flow.Run(ctx)
		})
	}
	if h.dns != nil {
		h.group.AddReady("dns", whenReady(h.dns.Run, h.dns.Ready(), func() {
			for _, a := range h.dns.Addrs() {
				up.DNS = append(up.DNS, a.String())
			}
		}))
	}
	h.group.Add("up", func(ctx context.Context) error {
		if ready != nil {
			ready(up)
		}
		<-ctx.Done()
		return nil
	})
}

// whenReady tells the group that a room listens as soon as it does.
func whenReady(run func(context.Context) error, listens <-chan struct{}, then func()) func(context.Context, func()) error {
	return func(ctx context.Context, ready func()) error {
		done := make(chan struct{})
		defer close(done)
		go func() {
			select {
			case <-listens:
				then()
				ready()
			case <-done:
			}
		}()
		return run(ctx)
	}
}

// takeRules takes the rules of feedback, but a day that is none only in a
// demonstration: short windows would tell when something happened.
func (h *house) takeRules(r contract.Rules) {
	if r.DayLength != 24*time.Hour && !h.cfg.Demonstration {
		h.log.LogAttrs(context.Background(), slog.LevelError, "feedback rules refused: a day shorter than 24 hours is for demonstrations; those in force stay",
			slog.Uint64("version", r.Version), slog.Duration("day", r.DayLength))
		return
	}
	h.feedback.SetRules(r)
}

// forget deletes old sightings once an hour.
func (h *house) forget(ctx context.Context) error {
	keep := h.cfg.KeepSightings
	if keep == 0 {
		keep = 90 * 24 * time.Hour
	}
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		n, err := sighting.Forget(ctx, h.db, time.Now().Add(-keep))
		switch {
		case err != nil && ctx.Err() == nil:
			h.log.LogAttrs(ctx, slog.LevelError, "old sightings not deleted, will try again", slog.String("error", err.Error()))
		case n > 0:
			h.log.LogAttrs(ctx, slog.LevelInfo, "old sightings deleted", slog.Int64("count", n))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
