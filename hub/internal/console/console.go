package console

import (
	"log/slog"
	"net/http"
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
	"ecs/web"
)

// Config of the console. Every field but API and Now is needed.
type Config struct {
	Site     web.Site        // House must be "hub"
	Accounts *signin.Service // made with web.SignInPage, and with Public of this package in its Config
	DB       *sqldb.DB
	Desk     *release.Desk
	Program  *program.Program
	Intake   *intake.Intake
	Feedback *feedback.Ledger
	Feeds    Feeds            // what the hub polls; none when nil
	Review   *review.Desk     // one without warning lists when nil
	People   *people.Register // nil: roles are not kept here, and there is no page of them
	API      http.Handler     // what answers below /api/, behind the same sign-in
	Log      *slog.Logger
	Now      func() time.Time // time.Now when nil
}

// Public are the path prefixes that need no sign-in, for [signin.Config.Public].
var Public = []string{web.AssetPrefix}

type console struct {
	Config
	review *review.Desk
	pages  *web.Renderer
}

// perPage is how many rows a listing shows.
const perPage = 50

// New makes the console: the whole of what the hub's web address answers, sign-in
// and API included. Mount it at the root.
func New(cfg Config) (http.Handler, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pages, err := web.New("hub", cfg.Log)
	if err != nil {
		return nil, err
	}
	c := &console{Config: cfg, pages: pages, review: cfg.Review}
	if c.review == nil {
		c.review = review.New(review.Config{DB: cfg.DB, Now: cfg.Now})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.dashboard)
	mux.HandleFunc("GET /indicators", c.see(access.Indicators, c.indicators))
	mux.HandleFunc("GET /indicators/{id}", c.see(access.Indicators, c.story))
	mux.HandleFunc("GET /indicators/{id}/relations", c.see(access.Indicators, c.relations))
	mux.HandleFunc("GET /objects/{id}", c.see(access.Indicators, c.object))
	mux.HandleFunc("GET /search", c.see(access.Indicators, c.searchPage))
	mux.HandleFunc("POST /search/{act}", c.see(access.Indicators, c.searchAct))
	mux.HandleFunc("GET /tasks", c.tasks)
	mux.HandleFunc("POST /casework/{what}", c.caseworkAct)
	mux.HandleFunc("POST /casework/task/{id}", c.caseworkAct)
	mux.HandleFunc("POST /indicators/{id}/{act}", c.see(access.Indicators, c.act))
	mux.HandleFunc("GET /indicators/{id}/life", c.see(access.Indicators, c.life))
	mux.HandleFunc("POST /indicators/{id}/life/{act}", c.see(access.Indicators, c.lifeAct))
	mux.HandleFunc("GET /purges", c.purges)
	mux.HandleFunc("POST /purges/person", c.person)
	mux.HandleFunc("POST /purges/attest", c.attest)
	mux.HandleFunc("GET /queue", c.see(access.Indicators, c.queue))
	mux.HandleFunc("POST /queue", c.see(access.Indicators, c.bulk))
	mux.HandleFunc("GET /decisions", c.see(access.Indicators, c.decisions))
	mux.HandleFunc("POST /decisions/undo", c.see(access.Indicators, c.undo))
	mux.HandleFunc("GET /deliveries", c.see(access.Deliveries, c.deliveries))
	mux.HandleFunc("GET /deliveries/paste", c.see(access.Deliver, c.paste))
	mux.HandleFunc("GET /deliveries/{id}", c.see(access.Deliveries, c.delivery))
	mux.HandleFunc("GET /deliveries/{id}/refusals", c.see(access.Deliveries, c.refusalsFile))
	mux.HandleFunc("GET /deliveries/{id}/changes", c.see(access.Deliveries, c.changes))
	mux.HandleFunc("GET /deliveries/{id}/objects", c.see(access.Deliveries, c.objects))
	mux.HandleFunc("GET /uploads/{id}", c.see(access.Deliver, c.look))
	mux.HandleFunc("POST /uploads/{id}/{act}", c.see(access.Deliver, c.uploadAct))
	mux.HandleFunc("GET /sources", c.see(access.Deliveries, c.sources))
	mux.HandleFunc("GET /sources/{id}", c.see(access.Deliveries, c.sourcePage))
	mux.HandleFunc("GET /sources/{id}/mapping", c.see(access.Deliveries, c.mapping))
	mux.HandleFunc("POST /sources/{id}/mapping/{act}", c.see(access.Deliver, c.mappingAct))
	mux.HandleFunc("GET /feeds", c.see(access.Deliveries, c.feeds))
	mux.HandleFunc("POST /feeds/poll", c.see(access.Deliver, c.poll))
	mux.HandleFunc("GET /providers", c.see(access.Providers, c.providers))
	mux.HandleFunc("POST /providers", c.see(access.Providers, c.register))
	mux.HandleFunc("GET /providers/{id}", c.see(access.Providers, c.provider))
	mux.HandleFunc("POST /providers/{id}/token", c.see(access.Providers, c.token))
	mux.HandleFunc("POST /providers/{id}/state", c.see(access.Providers, c.move))
	mux.HandleFunc("POST /providers/{id}/withdraw", c.see(access.Providers, c.withdraw))
	mux.HandleFunc("POST /providers/{id}/accredit", c.see(access.Providers, c.accredit))
	mux.HandleFunc("POST /providers/{id}/revoke", c.see(access.Providers, c.revoke))
	mux.HandleFunc("GET /providers/{id}/ledger", c.see(access.Providers, c.ledger))
	mux.HandleFunc("GET /providers/{id}/in-force", c.see(access.Providers, c.inForce))
	mux.HandleFunc("GET /providers/{id}/rehearsal", c.see(access.Providers, c.rehearsal))
	mux.HandleFunc("GET /feedback", c.see(access.Feedback, c.feedbackPage))
	log := &web.AuditLog{
		DB: c.DB, Pages: pages, Fail: c.fail, Tell: "the auditor",
		Page: func(r *http.Request) *web.Page { return c.page(r, "/audit") },
	}
	mux.HandleFunc("GET /audit", c.see(access.Audit, log.List))
	mux.HandleFunc("POST /audit/verify", c.see(access.Audit, log.Verify))
	if c.People != nil {
		mux.HandleFunc("GET /people", c.people)
		mux.HandleFunc("POST /people/{act}", c.grant)
	}
	mux.HandleFunc("/", c.missing)

	all := http.NewServeMux()
	all.Handle(web.AssetPrefix, web.Assets())
	all.HandleFunc("POST /deliveries", c.see(access.Deliver, c.deliver))      // bounded by intake, not by the limit of forms
	all.HandleFunc("POST /deliveries/paste", c.see(access.Deliver, c.pasted)) // bounded by the length of a report
	if cfg.API != nil {
		all.Handle("/api/", cfg.API)
	}
	all.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, web.FormLimit)
		mux.ServeHTTP(w, r)
	}))
	return web.Secure(cfg.Accounts.Wrap(all)), nil
}

// see lets only those through who may see something.
func (c *console) see(what access.What, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := access.Enter(r.Context(), c.DB, account(r), what)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		next(w, r)
	}
}

func account(r *http.Request) signin.Account {
	a, _ := signin.From(r.Context()) // Wrap lets nobody through without
	return a
}

func (c *console) missing(w http.ResponseWriter, r *http.Request) {
	c.pages.Fail(w, c.page(r, ""), http.StatusNotFound, "Page not found", "There is no page at this address.", "Choose a page from the navigation.")
}

// fail answers an error with a page.
func (c *console) fail(w http.ResponseWriter, r *http.Request, err error) {
	x := c.explain(r, err)
	c.pages.Fail(w, c.page(r, ""), x.Status, x.Title, x.Detail, x.Next)
}

func (c *console) explain(r *http.Request, err error) access.Explanation {
	x, ok := access.Explain(err)
	if !ok {
		c.Log.ErrorContext(r.Context(), "console request failed", slog.Any("path", r.URL.Path), slog.Any("error", err))
	}
	return x
}

// page begins a page of the section that begins at href.
func (c *console) page(r *http.Request, section string) *web.Page {
	p := &web.Page{Site: c.Site, Section: section, Now: c.Now().UTC(), Done: web.DoneText(r, sentences)}
	a := account(r)
	if a.Login == "" {
		return p
	}
	p.Person = &web.Person{Login: a.Login, Name: a.Person, Roles: a.Roles}
	add := func(what access.What, text, href, icon string, waiting int64) {
		if access.May(a, what) {
			p.Nav = append(p.Nav, web.NavItem{Text: text, Href: href, Icon: icon, Waiting: waiting})
		}
	}
	p.Nav = append(p.Nav, web.NavItem{Text: "Dashboard", Href: "/", Icon: "assessment"})
	add(access.Indicators, "Approval queue", "/queue", "check_circle_outline", c.mine(r, a))
	add(access.Indicators, "Indicators", "/indicators", "security", 0)
	add(access.Indicators, "Search", "/search", "search", 0)
	add(access.Indicators, "My tasks", "/tasks", "list", 0)
	add(access.Deliveries, "Deliveries", "/deliveries", "file_download", 0)
	add(access.Deliveries, "Sources", "/sources", "account_balance", 0)
	add(access.Providers, "Providers", "/providers", "connect_without_contact", 0)
	add(access.Feedback, "Feedback", "/feedback", "forum", 0)
	add(access.Providers, "Purges", "/purges", "delete", 0)
	add(access.Audit, "Audit log", "/audit", "history", 0)
	if c.People != nil {
		p.Nav = append(p.Nav, web.NavItem{Text: "People", Href: "/people", Icon: "people"})
	}
	return p
}

// mine counts what waits for the roles of the account.
func (c *console) mine(r *http.Request, a signin.Account) int64 {
	count, err := access.Count(r.Context(), c.DB, a)
	if err != nil { // the navigation can do without its number
		c.Log.WarnContext(r.Context(), "items cannot be counted", slog.Any("error", err))
		return 0
	}
	var n int64
	for _, s := range steps {
		if a.Any(s.Roles...) {
			n += count[s.State]
		}
	}
	return n
}

// sentences are what a page says after something was done, see web.DoneText.
var sentences = map[string]string{
	"privacy":      "The determination is recorded.",
	"first":        "The first approval is recorded. The indicator now waits for a release authority.",
	"second":       "Approved and released. The providers' acknowledgments will show below.",
	"extend":       "Released to these as well. Their acknowledgments will show below.",
	"emergency":    "Released in an emergency. A second person has to ratify it within the hour, or it is recalled by itself.",
	"ratify":       "Ratified. It stays in force until the end that the emergency release gave it.",
	"override":     "Your override is recorded. It counts when two persons have given one.",
	"return":       "The indicator is returned to its source, with your reason.",
	"reject":       "The indicator is rejected, with your reason.",
	"recall":       "Recalled. The removal is on its way to every provider that had it.",
	"replace":      "The new version is drafted. It waits for its own way through gate, checks and approvals.",
	"supersede":    "Released in the place of the old version.",
	"tear":         "The lower part is drafted. Its source has to consent.",
	"consent":      "Your consent is recorded.",
	"reading":      "Your reading is recorded. It can be approved now.",
	"shadow":       "The shadow run is asked for. A release authority has to begin it.",
	"shadow-start": "The shadow run has begun and ends by itself.",
	"shadow-stop":  "The shadow run is over.",
	"purge":        "The purge is ordered. The tombstone is left when no provider can have it in force any more.",
	"attested":     "Your attestation is recorded and compared with the ledger.",
	"hold":         "The indicator is back at the privacy gate.",
	"bulk":         "Done for %n indicators.",
	"undone":       "Taken back: %n. It waits again where it was.",
	"register":     "The provider is registered. Next, open its eligibility review.",
	"state":        "The provider's new state is recorded.",
	"accredit":     "The accreditation is recorded.",
	"withdraw":     "Everything is withdrawn: %n indicators were taken off this provider’s list. Its acknowledgment will show in the ledger.",
	"withdrawn":    "Everything is withdrawn from this provider’s list.",
	"revoke":       "The certificate is revoked. The node cannot follow the hub any more.",
	"verified":     "The audit log holds: %n entries, each bound to the one before it.",
	"delivered":    "The delivery is taken in.",
	"casework":     "Your colleagues can see it now.",
	"kept":         "The search is saved.",
	"forgotten":    "The saved search is removed.",
	"acted":        "Done for %n indicators.",
	"same":         "The same file was taken in before, read in the same way: nothing changed.",
	"dropped":      "The upload is dropped. Nothing of it was taken in.",
	"mapped":       "The mapping is saved. The next file with these columns is read by it.",
	"unmapped":     "The mapping is removed. What was read by it stays as it is.",
	"polled":       "The feed is read: %n records came.",

	"people-request":   "Asked for. Another person has to approve it.",
	"people-delegate":  "The delegation waits for another person’s approval.",
	"people-emergency": "Asked for. It counts when another person has approved it; the auditor will be told.",
	"people-approve":   "Approved: the role counts from now on, as far as its holder’s training is good.",
	"people-revoke":    "The role is taken away.",
	"people-review":    "Reviewed.",
	"people-train":     "The training is recorded.",
}

// option is one choice of a select field.
type option struct{ Value, Text string }
