package console

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/web"
)

// Config of the console. Every field but Now and API is needed.
type Config struct {
	Site       web.Site        // House must be "provider"
	Accounts   *signin.Service // made with web.SignInPage, and with Public of this package in its Config
	Overview   Overview
	Sightings  Sightings
	Customers  Customers
	Quarantine Quarantine
	Notices    Notices
	Feedback   Feedback
	Audit      sqldb.Querier // the house's database, for its audit log; a *sqldb.DB
	Log        *slog.Logger
	Now        func() time.Time // time.Now when nil
}

// Public are the path prefixes that need no sign-in, for [signin.Config.Public]:
// the style sheets, and the page on which a customer acknowledges a notice.
var Public = []string{web.AssetPrefix, "/notice/"}

type console struct {
	Config
	pages *web.Renderer
}

// New makes the console: the whole of what the provider's web address answers,
// sign-in included. Mount it at the root.
func New(cfg Config) (http.Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pages, err := web.New("provider", cfg.Log)
	if err != nil {
		return nil, err
	}
	c := &console{Config: cfg, pages: pages}
	mux := http.NewServeMux()
	mux.Handle(web.AssetPrefix, web.Assets())
	mux.HandleFunc("GET /{$}", c.guard(seeStatus, c.overview))
	mux.HandleFunc("GET /sightings", c.guard(seeTraffic, c.sightings))
	mux.HandleFunc("POST /sightings/{id}/verdict", c.guard(judge, c.verdict))
	mux.HandleFunc("GET /customers", c.customers)
	mux.HandleFunc("GET /customers/new", c.guard(editCustomer, c.newCustomer))
	mux.HandleFunc("POST /customers/new", c.guard(editCustomer, c.saveCustomer))
	mux.HandleFunc("GET /customers/{id}", c.customer)
	mux.HandleFunc("POST /customers/{id}", c.guard(editCustomer, c.saveCustomer))
	mux.HandleFunc("POST /customers/{id}/consent", c.setConsent)
	mux.HandleFunc("POST /customers/{id}/exceptions", c.addException)
	mux.HandleFunc("POST /customers/{id}/exceptions/remove", c.removeException)
	mux.HandleFunc("GET /quarantine", c.guard(seeTraffic, c.quarantine))
	mux.HandleFunc("POST /quarantine/{id}/{act}", c.guard(settleMail, c.settleMail))
	mux.HandleFunc("GET /notices", c.guard(seeTraffic, c.notices))
	mux.HandleFunc("POST /notices/{id}/settle", c.guard(settleNotice, c.settleNotice))
	mux.HandleFunc("GET /notice/{token}", c.notice)
	mux.HandleFunc("POST /notice/{token}", c.acknowledge)
	mux.HandleFunc("GET /feedback", c.guard(seeTraffic, c.windows))
	mux.HandleFunc("GET /feedback/{day}/{service}", c.guard(seeTraffic, c.window))
	mux.HandleFunc("POST /feedback/{day}/{service}/approve", c.guard(approve, c.approve))
	log := &web.AuditLog{
		DB: c.Audit, Pages: pages, Fail: c.fail, Tell: "the security officer",
		Page: func(r *http.Request) *web.Page { return c.page(r, "/audit") },
	}
	mux.HandleFunc("GET /audit", c.guard(seeAudit, log.List))
	mux.HandleFunc("POST /audit/verify", c.guard(seeAudit, log.Verify))
	mux.HandleFunc("/", c.missing)
	limit := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, web.FormLimit)
		mux.ServeHTTP(w, r)
	})
	return web.Secure(cfg.Accounts.Wrap(limit)), nil
}

// guard lets only those through whose roles permit the act.
func (c *console) guard(what act, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a, _ := signin.From(r.Context())
		switch {
		case may(a, what):
			next(w, r)
		case what == seeStatus && a.Has("customer_contact"):
			http.Redirect(w, r, "/customers", http.StatusSeeOther) // a contact's first page
		default:
			c.forbid(w, r, what)
		}
	}
}

func (c *console) forbid(w http.ResponseWriter, r *http.Request, what act) {
	var names []string
	for _, role := range permits[what] {
		names = append(names, web.Role(role))
	}
	c.pages.Fail(w, c.page(r, ""), http.StatusForbidden, "Not permitted",
		"Your roles do not permit you to "+string(what)+".", "Ask somebody with one of these roles: "+strings.Join(names, ", ")+".")
}

func (c *console) missing(w http.ResponseWriter, r *http.Request) {
	c.pages.Fail(w, c.page(r, ""), http.StatusNotFound, "Page not found", "There is no page at this address.", "Choose a page from the navigation.")
}

// fail answers an error of one of the interfaces.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := c.page(r, "")
	switch {
	case errors.Is(err, ErrNotFound):
		c.pages.Fail(w, p, http.StatusNotFound, "Not found", "What you asked for is not here. It may have been removed since the list was made.", "Go back to the list and open it again.")
	case errors.Is(err, ErrInvalid):
		c.pages.Fail(w, p, http.StatusUnprocessableEntity, "Refused", sentence(err), "Go back, change what you entered, and send it again.")
	default:
		c.Log.ErrorContext(r.Context(), "console request failed", slog.Any("path", r.URL.Path), slog.Any("error", err))
		c.pages.Fail(w, p, http.StatusInternalServerError, "Something failed", "The program could not do this. Nothing was changed.", "Try again; if it fails again, the operator's log says why.")
	}
}

// sentence gives what an [ErrInvalid] says to the person.
func sentence(err error) string {
	s := strings.TrimPrefix(err.Error(), ErrInvalid.Error())
	s = strings.TrimLeft(s, ": ")
	if s == "" {
		return "The program refused it."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// page begins a page of the section that begins at href.
func (c *console) page(r *http.Request, section string) *web.Page {
	p := &web.Page{Site: c.Site, Section: section, Now: c.Now().UTC(), Done: web.DoneText(r, sentences)}
	a, ok := signin.From(r.Context())
	if !ok {
		return p
	}
	p.Person = &web.Person{Login: a.Login, Name: a.Person, Roles: a.Roles}
	var s Status
	if may(a, seeStatus) {
		var err error
		s, err = c.Overview.Status(r.Context())
		if err != nil { // the navigation can do without its numbers
			c.Log.WarnContext(r.Context(), "status cannot be read", slog.Any("error", err))
		}
	}
	add := func(what act, text, href, icon string, waiting int64) {
		if may(a, what) {
			p.Nav = append(p.Nav, web.NavItem{Text: text, Href: href, Icon: icon, Waiting: waiting})
		}
	}
	add(seeStatus, "Overview", "/", "assessment", 0)
	add(seeTraffic, "Sightings", "/sightings", "visibility", 0)
	if may(a, seeCustomers) || a.Has("customer_contact") {
		p.Nav = append(p.Nav, web.NavItem{Text: "Customers", Href: "/customers", Icon: "groups"})
	}
	add(seeTraffic, "Quarantine", "/quarantine", "mail_outline", s.MailHeld)
	add(seeTraffic, "Notices", "/notices", "campaign", s.NoticesWaiting+s.NoticesEscalated)
	add(seeTraffic, "Feedback", "/feedback", "forum", s.FeedbackWaiting)
	add(seeAudit, "Audit log", "/audit", "history", 0)
	return p
}

// sentences are what a page says after something was done, see web.DoneText.
var sentences = map[string]string{
	"verdict":      "The verdict is recorded.",
	"customer":     "The customer is saved. The services use it from now on.",
	"consent":      "Consent is recorded. It counts for traffic from this moment on.",
	"no-consent":   "Consent is withdrawn. Feedback that has not left yet will not contain this customer.",
	"exception":    "The exception is in force: this indicator is no longer applied to the customer.",
	"no-exception": "The exception is removed: the indicator is applied to the customer again.",
	"release":      "The message is released to its recipients.",
	"delete":       "The message is deleted.",
	"settle":       "The notice is settled.",
	"approve":      "Approved. Exactly these bytes leave for the hub.",
	"verified":     "The audit log holds: %n entries, each bound to the one before it.",
}

func number(r *http.Request, name string) (int64, error) {
	n, err := strconv.ParseInt(r.PathValue(name), 10, 64)
	if err != nil {
		return 0, ErrNotFound
	}
	return n, nil
}
