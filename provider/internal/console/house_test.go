package console

import (
	"cmp"
	"context"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/store"
	"ecs/web"
)

// house is a provider in memory: it satisfies every interface of need.go by the
// plainest code that obeys their comments.
type house struct {
	mu        sync.Mutex
	status    Status
	sightings []Sighting
	customers []Customer
	held      []Held
	notices   []Notice
	tokens    map[string]int64
	windows   []Window
}

func (h *house) Status(context.Context) (Status, error) { return h.status, nil }

func (h *house) Sightings(_ context.Context, f SightingFilter) ([]Sighting, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Sighting
	for _, s := range h.sightings {
		if (f.Service == 0 || s.Service == f.Service) && (f.Customer == 0 || s.Customer == f.Customer) &&
			(f.Indicator.IsZero() || s.Indicator == f.Indicator) && (!f.Unjudged || s.Verdict == "") && (f.Before == 0 || s.ID < f.Before) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b Sighting) int { return cmp.Compare(b.ID, a.ID) })
	return out[:min(len(out), f.Limit)], nil
}

func (h *house) SetVerdict(_ context.Context, _ signin.Account, id int64, v string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.sightings {
		if h.sightings[i].ID == id {
			h.sightings[i].Verdict = v
			return nil
		}
	}
	return ErrNotFound
}

func (h *house) Customers(context.Context) ([]Customer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.customers), nil
}

func (h *house) find(id int32) (*Customer, error) {
	for i := range h.customers {
		if h.customers[i].ID == id {
			return &h.customers[i], nil
		}
	}
	return nil, ErrNotFound
}

func (h *house) Customer(_ context.Context, id int32) (Customer, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(id)
	if err != nil {
		return Customer{}, err
	}
	return *c, nil
}

func (h *house) Save(_ context.Context, _ signin.Account, c Customer) (int32, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.ID == 0 {
		c.ID = int32(len(h.customers) + 1)
		h.customers = append(h.customers, c)
		return c.ID, nil
	}
	old, err := h.find(c.ID)
	if err != nil {
		return 0, err
	}
	c.Consent, c.ConsentBy, c.ConsentAt, c.Exceptions = old.Consent, old.ConsentBy, old.ConsentAt, old.Exceptions
	*old = c
	return c.ID, nil
}

func (h *house) SetConsent(_ context.Context, by signin.Account, id int32, s contract.Services) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(id)
	if err != nil {
		return err
	}
	c.Consent, c.ConsentBy, c.ConsentAt = s, by.Login, time.Now()
	return nil
}

func (h *house) AddException(_ context.Context, by signin.Account, id int32, x contract.ID, reason string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(id)
	if err != nil {
		return err
	}
	c.Exceptions = append(c.Exceptions, Exception{Indicator: x, Reason: reason, By: by.Login, At: time.Now()})
	return nil
}

func (h *house) RemoveException(_ context.Context, _ signin.Account, id int32, x contract.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	c, err := h.find(id)
	if err != nil {
		return err
	}
	c.Exceptions = slices.DeleteFunc(slices.Clone(c.Exceptions), func(e Exception) bool { return e.Indicator == x })
	return nil
}

func (h *house) Quarantine(_ context.Context, f HeldFilter) ([]Held, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Held
	for _, m := range h.held {
		if f.State == "" || m.State == f.State {
			out = append(out, m)
		}
	}
	return out, nil
}

func (h *house) settle(id, state, login string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.held {
		if h.held[i].ID == id {
			h.held[i].State, h.held[i].Settled, h.held[i].SettledBy = state, time.Now(), login
			return nil
		}
	}
	return ErrNotFound
}

func (h *house) Release(_ context.Context, by signin.Account, id string) error {
	return h.settle(id, "RELEASED", by.Login)
}

func (h *house) Delete(_ context.Context, by signin.Account, id string) error {
	return h.settle(id, "DELETED", by.Login)
}

func (h *house) Notices(_ context.Context, f NoticeFilter) ([]Notice, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []Notice
	for _, n := range h.notices {
		if f.State == "" || n.State == f.State {
			out = append(out, n)
		}
	}
	return out, nil
}

func (h *house) notice(id int64) (*Notice, error) {
	for i := range h.notices {
		if h.notices[i].ID == id {
			return &h.notices[i], nil
		}
	}
	return nil, ErrNotFound
}

func (h *house) ByToken(_ context.Context, token string) (Notice, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.notice(h.tokens[token])
	if err != nil {
		return Notice{}, err
	}
	return *n, nil
}

func (h *house) Acknowledge(_ context.Context, token string, rating int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.notice(h.tokens[token])
	if err != nil {
		return err
	}
	n.State, n.Settled, n.SettledBy, n.Rating = "ACKNOWLEDGED", time.Now(), "customer", rating
	return nil
}

func (h *house) Settle(_ context.Context, by signin.Account, id int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, err := h.notice(id)
	if err != nil {
		return err
	}
	n.State, n.Settled, n.SettledBy = "ACKNOWLEDGED", time.Now(), by.Login
	return nil
}

func (h *house) Windows(context.Context, int) ([]Window, error) { return h.windows, nil }

func (h *house) Window(_ context.Context, d contract.Day, s contract.Services) (Window, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, w := range h.windows {
		if w.Day == d && w.Service == s {
			return w, nil
		}
	}
	return Window{}, ErrNotFound
}

func (h *house) Approve(_ context.Context, by signin.Account, d contract.Day, s contract.Services, seen string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.windows {
		if h.windows[i].Day == d && h.windows[i].Service == s && Digest(h.windows[i].Body) == seen {
			h.windows[i].State, h.windows[i].ReviewedBy = "REVIEWED", by.Login
			return nil
		}
	}
	return ErrNotFound
}

var (
	idA = mustID("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
	idB = mustID("indicator--0f5c3c5e-6f4a-4d2a-9d51-9b1f0b3f2a11")
)

func mustID(s string) contract.ID {
	id, err := contract.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

// furnish gives a house with something of everything in it.
func furnish(t *testing.T) *house {
	t.Helper()
	now := time.Now().UTC()
	day := contract.DayOf(now, 24*time.Hour) - 1
	cell, err := contract.NewFeedback(idA, contract.CommandAndControl, 8, contract.Sinkhole, contract.BucketOf(130), contract.BucketOf(7), 0, day, day)
	if err != nil {
		t.Fatal(err)
	}
	w := contract.Window{Day: day, Service: contract.DNS, Rules: 1, Cells: []contract.Feedback{cell}}
	body, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return &house{
		status: Status{
			Provider: "alder",
			List:     List{Sequence: 1204, Count: 100312, Loaded: now.Add(-3 * time.Minute), Confirmed: now.Add(-8 * time.Second), Issued: now.Add(-4 * time.Minute), Expires: now.Add(56 * time.Minute), CertificateEnds: now.Add(60 * time.Hour)},
			Rooms: []Room{
				{Service: contract.DNS, Running: true, Address: "127.0.0.1:5353", Customers: 4, Counters: []Counter{{"Queries", 1204551, false}, {"Sinkholed", 1204, false}, {"Dropped: queue full", 0, true}}},
				{Service: contract.SMTP, Running: true, Address: "127.0.0.1:8891", Customers: 3, Counters: []Counter{{"Messages", 88211, false}, {"Quarantined", 12, false}}},
				{Service: contract.NetFlow, Running: true, Address: "127.0.0.1:2055", Customers: 2, Counters: []Counter{{"Flows", 9120551, false}, {"Alerts", 31, false}, {"Dropped: socket", 17, true}}},
			},
			Offered: 1247, NoticesWaiting: 2, NoticesEscalated: 1, FeedbackWaiting: 1, MailHeld: 1,
		},
		sightings: []Sighting{
			{ID: 1, Service: contract.DNS, Indicator: idA, Category: contract.CommandAndControl, Summary: "Command and control of a botnet", Customer: 1, Name: "Riverside Hospital", Action: contract.Sinkhole, Client: "192.0.2.17", What: "login.bad.example", Count: 12, First: now.Add(-50 * time.Minute), Last: now.Add(-2 * time.Minute), Notice: "DISPATCHED"},
			{ID: 2, Service: contract.NetFlow, Indicator: idB, Category: contract.Exfiltration, Customer: 2, Name: "Harbor Water", Action: contract.Alert, Client: "198.51.100.4", Peer: "203.0.113.9", Hidden: true, Count: 1, First: now, Last: now},
		},
		customers: []Customer{
			{ID: 1, Name: "Riverside Hospital", Sector: 12, DNS: customer.Block, Mail: customer.Block, MailAction: customer.Quarantine, Flow: customer.Watch, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}, Domains: []string{"riverside.example"}, Consent: contract.DNS | contract.SMTP, ConsentBy: "dana", ConsentAt: now.Add(-30 * time.Hour), NoticeMail: "soc@riverside.example"},
			{ID: 2, Name: "Harbor Water", Sector: 16, DNS: customer.Watch, Flow: customer.Watch, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}, Exporters: []netip.Addr{netip.MustParseAddr("198.51.100.1")}, Exceptions: []Exception{{Indicator: idA, Reason: "Blocked the control room's time server", By: "oscar", At: now.Add(-time.Hour)}}},
		},
		held:    []Held{{ID: "q1", Customer: 1, Name: "Riverside Hospital", Indicator: idB, Sender: "billing@bad.example", Recipients: []string{"front@riverside.example"}, Bytes: 48211, State: "HELD", Received: now.Add(-time.Hour)}},
		notices: []Notice{{ID: 5, Customer: 1, Name: "Riverside Hospital", Indicator: idA, Service: contract.DNS, Channel: "mail", State: "DISPATCHED", Body: "A machine of yours (192.0.2.17) asked for a name that is used to control malware.\nWhat to do: isolate the machine.", Created: now.Add(-time.Hour), Dispatched: now.Add(-time.Hour)}},
		tokens:  map[string]int64{"s3cret": 5},
		windows: []Window{{Day: day, Start: day.Start(24 * time.Hour), Length: 24 * time.Hour, Service: contract.DNS, State: "READY", Body: body, Cells: 1, Withheld: []Withheld{{What: idB.String() + " in Water and Wastewater Systems", Reason: "2 customers, at least 5 are needed", Merged: true}}, Made: now}},
	}
}

type served struct {
	*house
	url       string
	passwords map[string]string
}

// serve runs the console on a real database for accounts and audit.
func serve(t *testing.T) served {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "provider.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	site := web.Site{House: "provider", Name: "ECS Provider", Owner: "Alder Networks", Demonstration: true, Version: "test"}
	log := slog.New(slog.DiscardHandler)
	page, err := web.SignInPage(site, log)
	if err != nil {
		t.Fatal(err)
	}
	accounts := signin.New(db, signin.Config{Cookie: "p", Page: page, Public: Public, Iterations: 1000})
	s := served{house: furnish(t), passwords: map[string]string{}}
	for _, a := range []signin.Account{
		{Login: "oscar", Person: "Oscar Operator", Roles: []string{"csp_operator"}},
		{Login: "sam", Person: "Sam Security", Roles: []string{"csp_security_officer"}},
		{Login: "dana", Person: "Dana Contact", Roles: []string{"customer_contact"}, Scope: "Riverside Hospital"},
		{Login: "audrey", Person: "Audrey Auditor", Roles: []string{"auditor"}},
		{Login: "root", Person: "Rory Root", Roles: []string{"system_admin"}},
	} {
		s.passwords[a.Login], err = accounts.Create(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
	}
	h, err := New(Config{Site: site, Accounts: accounts, Overview: s.house, Sightings: s.house, Customers: s.house, Quarantine: s.house, Notices: s.house, Feedback: s.house, Audit: db, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	return s
}
