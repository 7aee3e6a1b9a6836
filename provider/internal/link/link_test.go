package link

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/certs"
	"ecs/provider/internal/match"
	"ecs/provider/internal/store"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeHub is a hub that can also misbehave.
type fakeHub struct {
	t      *testing.T
	signer note.Signer
	public string // verifier key
	ca     *certs.Authority
	down   atomic.Bool
	server *httptest.Server

	mu      sync.Mutex
	log     []contract.Entry
	tree    *contract.List
	changed chan struct{}
	acks    []contract.Ack
	windows []string
	lose    int // acks to be answered with 500 after they were taken
	limit   int
	alter   func(*contract.Page) // misbehavior, applied to the last page
	life    time.Duration
	issued  time.Time
}

func newFakeHub(t *testing.T) *fakeHub {
	t.Helper()
	secret, public, err := note.GenerateKey(nil, "program.example")
	if err != nil {
		t.Fatal(err)
	}
	h := &fakeHub{t: t, public: public, tree: contract.NewList(), changed: make(chan struct{}), limit: 3, life: time.Hour}
	h.signer, err = note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	return h
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.down.Load() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/v1/changes":
		h.changes(w, r)
	case "/v1/acks":
		var s contract.SignedAck
		var a contract.Ack
		err := json.NewDecoder(r.Body).Decode(&s)
		if err == nil {
			err = json.Unmarshal(s.Body, &a)
		}
		if err != nil {
			h.t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.acks = append(h.acks, a)
		if h.lose > 0 {
			h.lose--
			w.WriteHeader(http.StatusInternalServerError)
		}
	case "/v1/feedback":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			h.t.Error(err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.windows = append(h.windows, string(body))
	case "/v1/renew":
		h.renew(w, r)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (h *fakeHub) renew(w http.ResponseWriter, r *http.Request) {
	var e contract.Enrolment
	err := json.NewDecoder(r.Body).Decode(&e)
	if err != nil {
		h.t.Error(err)
	}
	issued, err := h.ca.IssueNode(e.CSR, "north", time.Hour)
	if err != nil {
		h.t.Error(err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// It also tries to have itself trusted for more than before.
	_ = json.NewEncoder(w).Encode(contract.Enrolled{
		Provider: "south", Certificate: [][]byte{issued.DER}, Authority: []byte("another"), Verifier: "another", Services: contract.AllServices,
	})
}

func (h *fakeHub) changes(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseUint(r.FormValue("after"), 10, 64)
	wait, _ := strconv.Atoi(r.FormValue("wait"))
	h.mu.Lock()
	for wait > 0 && uint64(len(h.log)) <= after && h.alter == nil {
		c := h.changed
		h.mu.Unlock()
		select {
		case <-c:
		case <-r.Context().Done():
			return
		}
		h.mu.Lock()
		wait = 0
	}
	defer h.mu.Unlock()
	p := contract.Page{Entries: slices.Clone(h.log[min(int(after), len(h.log)):])}
	if len(p.Entries) > h.limit {
		p.Entries, p.More = p.Entries[:h.limit], true
	} else {
		p.Checkpoint = h.sign(h.checkpoint())
	}
	if h.alter != nil && !p.More {
		h.alter(&p)
	}
	_ = json.NewEncoder(w).Encode(p)
}

func (h *fakeHub) checkpoint() contract.Checkpoint {
	issued := h.issued
	if issued.IsZero() {
		issued = time.Now()
	}
	issued = issued.UTC().Truncate(time.Microsecond)
	h.tree.Expire(issued)
	return contract.Checkpoint{
		Provider: "north", Sequence: uint64(len(h.log)), Issued: issued, Expires: issued.Add(h.life),
		Count: h.tree.Len(), Root: h.tree.Root(),
	}
}

func (h *fakeHub) sign(c contract.Checkpoint) string {
	signed, err := note.Sign(&note.Note{Text: c.Text()}, h.signer)
	if err != nil {
		h.t.Error(err)
	}
	return string(signed)
}

// put adds or, with until zero, revokes the indicator with this number.
func (h *fakeHub) put(n int, services contract.Services, until time.Time) contract.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := time.Now().Add(-time.Hour)
	x := contract.Indicator{
		ID: contract.ID{byte(n), 7, 1}, CreatedBy: "identity--1", Created: at, Modified: at, ValidFrom: at, ValidUntil: until,
		Pattern: fmt.Sprintf("[domain-name:value = 'n%d.example']", n), Enforce: true,
	}
	if until.IsZero() {
		x.Revoked, x.ValidUntil = true, at.Add(100*time.Hour)
	}
	body, err := x.Canonical()
	if err != nil {
		h.t.Fatal(err)
	}
	e := contract.Entry{Seq: uint64(len(h.log) + 1), Services: services, Object: body}
	h.log = append(h.log, e)
	if x.Revoked {
		h.tree.Remove(x.ID)
	} else {
		h.tree.Put(x.ID, e.Leaf(), x.ValidUntil.Truncate(time.Millisecond))
	}
	close(h.changed)
	h.changed = make(chan struct{})
	return x.ID
}

func (h *fakeHub) misbehave(f func(*contract.Page)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alter = f
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *fakeHub) received() []contract.Ack {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]contract.Ack(nil), h.acks...)
}

// node is a provider's node that can be stopped and started again.
type node struct {
	t     *testing.T
	link  *Link
	set   *match.Holder
	dir   string
	hub   *fakeHub
	ident *Identity

	outgoing Outgoing

	stop func()
}

func newNode(t *testing.T, h *fakeHub, life time.Duration) *node {
	t.Helper()
	dir := t.TempDir()
	key, err := nodeKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := certs.OpenAuthority(t.TempDir(), "program.example")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := certs.Request(key, "node-1")
	if err != nil {
		t.Fatal(err)
	}
	h.ca = ca
	issued, err := ca.IssueNode(csr, "north", life)
	if err != nil {
		t.Fatal(err)
	}
	id := &Identity{dir: dir, hub: h.server.URL, node: "node-1", key: key}
	err = id.adopt(contract.Enrolled{
		Provider: "north", Certificate: [][]byte{issued.DER}, Authority: ca.Certificate().Raw,
		Verifier: h.public, Services: contract.AllServices,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &node{t: t, dir: t.TempDir(), hub: h, ident: id}
}

func (n *node) start() {
	n.t.Helper()
	db, err := store.Open(n.t.Context(), filepath.Join(n.dir, "state.db"))
	if err != nil {
		n.t.Fatal(err)
	}
	n.set = match.NewHolder()
	n.link = New(Config{
		Identity: n.ident, Services: contract.DNS | contract.SMTP, VaultDir: n.dir, VaultKey: make([]byte, 32),
		Set: n.set, DB: db, Feedback: n.outgoing, Log: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(context.Background())
	err = n.link.Open(ctx)
	if err != nil {
		n.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- n.link.Run(ctx) }()
	stopped := false
	n.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		err := <-done
		if err != nil {
			n.t.Error(err)
		}
		_ = db.Close()
	}
	n.t.Cleanup(n.stop)
}

func (n *node) has(host string) bool {
	return n.set.Get().Host(contract.DNS, time.Now().Unix(), []byte(host)) != nil
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 400 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

var later = time.Now().Add(24 * time.Hour)

func setup(t *testing.T) (*fakeHub, *node) {
	t.Helper()
	h := newFakeHub(t)
	return h, newNode(t, h, time.Hour)
}

func TestFollowsReleasesAndRecalls(t *testing.T) {
	h, n := setup(t)
	for i := range 10 {
		h.put(i, contract.DNS, later)
	}
	n.start()
	eventually(t, "the initial load, in pages", func() bool { return n.has("n0.example") && n.has("x.n9.example") })
	h.put(11, contract.DNS, later)
	eventually(t, "a release", func() bool { return n.has("n11.example") })
	h.put(3, contract.DNS, time.Time{})
	eventually(t, "a recall", func() bool { return !n.has("n3.example") })
	eventually(t, "the receipt", func() bool {
		acks := h.received()
		return len(acks) > 0 && acks[len(acks)-1].Sequence == 12 && acks[len(acks)-1].Root == h.tree.Root()
	})
}

func TestRestartWithoutHub(t *testing.T) {
	h, n := setup(t)
	h.put(1, contract.DNS, later)
	h.put(2, contract.DNS, time.Now().Add(1500*time.Millisecond))
	n.start()
	eventually(t, "both in force", func() bool { return n.has("n1.example") && n.has("n2.example") })
	n.stop()
	h.server.CloseClientConnections()
	h.down.Store(true)
	n.start()
	if !n.has("n1.example") {
		t.Error("the last good list is not in force before the hub was reached")
	}
	eventually(t, "the end of an indicator by the node's own clock", func() bool { return !n.has("n2.example") })
	if !n.has("n1.example") {
		t.Error("the other indicator went as well")
	}
	eventually(t, "the console saying so", func() bool { return n.link.Status().Error != "" })
	h.down.Store(false)
	h.put(5, contract.DNS, later)
	eventually(t, "catching up by itself", func() bool { return n.has("n5.example") && n.link.Status().Error == "" })
}

// TestRefusesBadLists plays a hostile hub or cache: each time the old list
// stays, the console has the reason, the hub is told, and an honest list is
// taken again afterwards.
func TestRefusesBadLists(t *testing.T) {
	tests := []struct {
		name  string
		want  contract.Problem
		alter func(h *fakeHub) func(*contract.Page)
	}{
		{"signature of somebody else", contract.BadNote, func(h *fakeHub) func(*contract.Page) {
			other := newFakeHub(h.t)
			return func(p *contract.Page) { p.Checkpoint = other.sign(h.checkpoint()) }
		}},
		{"checkpoint altered", contract.BadNote, func(h *fakeHub) func(*contract.Page) {
			return func(p *contract.Page) { p.Checkpoint = strings.Replace(p.Checkpoint, "count 2", "count 3", 1) }
		}},
		{"of another provider", contract.BadNote, func(h *fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				c := h.checkpoint()
				c.Provider = "south"
				p.Checkpoint = h.sign(c)
			}
		}},
		{"no checkpoint", contract.BadNote, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) { p.Checkpoint = "" }
		}},
		{"entry left out", contract.WrongList, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) { p.Entries = nil }
		}},
		{"entry altered", contract.WrongList, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				for i := range p.Entries {
					p.Entries[i].Object = []byte(strings.Replace(string(p.Entries[i].Object), "n2.example", "ok.example", 1))
				}
			}
		}},
		{"entry of another service", contract.WrongList, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				for i := range p.Entries {
					p.Entries[i].Services = contract.SMTP
				}
			}
		}},
		{"rolled back", contract.Older, func(h *fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				c := h.checkpoint()
				c.Sequence = 0
				p.Entries, p.Checkpoint = nil, h.sign(c)
			}
		}},
		{"frozen", contract.Expired, func(h *fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				c := h.checkpoint()
				c.Expires = time.Now().Add(-time.Second).UTC().Truncate(time.Microsecond)
				p.Checkpoint = h.sign(c)
			}
		}},
		{"from the future", contract.FutureTime, func(h *fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				c := h.checkpoint()
				c.Issued = time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
				c.Expires = c.Issued.Add(time.Hour)
				p.Checkpoint = h.sign(c)
			}
		}},
		{"not an indicator", contract.Unreadable, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) {
				for i := range p.Entries {
					p.Entries[i].Object = []byte(`{"id":7}`)
				}
			}
		}},
		{"more without entries", contract.Unreadable, func(*fakeHub) func(*contract.Page) {
			return func(p *contract.Page) { p.Entries, p.More, p.Checkpoint = nil, true, "" }
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h, n := setup(t)
			h.put(1, contract.DNS, later)
			n.start()
			eventually(t, "the first list", func() bool { return n.has("n1.example") })
			alter := test.alter(h)
			h.mu.Lock()
			h.alter = alter
			h.mu.Unlock()
			h.put(2, contract.DNS, later)
			eventually(t, "the refusal on the console", func() bool { return n.link.Status().Problem == test.want })
			eventually(t, "the hub being told", func() bool {
				for _, a := range h.received() {
					if a.Problem == test.want && a.Sequence == 1 {
						return true
					}
				}
				return false
			})
			if !n.has("n1.example") || n.has("n2.example") || n.has("ok.example") {
				t.Error("the old list did not stay as it was")
			}
			h.misbehave(nil)
			eventually(t, "the honest list", func() bool { return n.has("n2.example") && n.link.Status().Problem == contract.None })
		})
	}
}

func TestReceiptsAreRepeatedUntilConfirmed(t *testing.T) {
	h, n := setup(t)
	h.lose = 2
	h.put(1, contract.DNS, later)
	h.put(2, contract.NetFlow, later) // this node does not run it, nor could it observe a name
	n.start()
	eventually(t, "the confirmation", func() bool { return n.link.Status().Confirmed == 2 })
	acks := h.received()
	if len(acks) < 3 {
		t.Fatalf("%d receipts, want the lost ones repeated", len(acks))
	}
	for _, a := range acks {
		if a.From != 0 || a.Sequence != 2 || len(a.Refused) != 1 || a.Refused[0].Reason != contract.NotAccredited {
			t.Errorf("receipt %+v", a)
		}
	}
	n.stop()
	h.put(3, contract.DNS, later)
	n.start()
	eventually(t, "a receipt for what is new only", func() bool {
		acks = h.received()
		last := acks[len(acks)-1]
		return last.From == 2 && last.Sequence == 3 && len(last.Refused) == 0
	})
}

func TestRenewsItsCertificateByItself(t *testing.T) {
	h := newFakeHub(t)
	n := newNode(t, h, time.Second)
	h.put(1, contract.DNS, later)
	n.start()
	eventually(t, "the renewal", func() bool { return time.Until(n.link.Status().NotAfter) > 50*time.Minute })
	if n.ident.Provider() != "north" || n.ident.enrolled.Verifier != h.public {
		t.Error("a renewal changed whom the node trusts, or who it is")
	}
	saved, err := LoadIdentity(n.ident.dir)
	if err != nil || time.Until(saved.NotAfter()) < 50*time.Minute {
		t.Errorf("the renewed certificate is not kept: %v", err)
	}
	h.put(2, contract.DNS, later)
	eventually(t, "the list going on", func() bool { return n.has("n2.example") })
}

// box is feedback that waits to be sent.
type box struct {
	mu      sync.Mutex
	waiting [][]byte
	refused map[string]string
}

func (b *box) Reviewed(context.Context) ([][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([][]byte(nil), b.waiting...), nil
}

func (b *box) Answered(_ context.Context, body []byte, refused string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refused[string(body)] = refused
	b.waiting = slices.DeleteFunc(b.waiting, func(w []byte) bool { return string(w) == string(body) })
	return nil
}

func TestOnlyWindowsOfTheClosedSchemaLeave(t *testing.T) {
	h, n := setup(t)
	w := contract.Window{Day: 20_000, Service: contract.DNS, Rules: 1}
	good, err := w.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	bad := strings.Replace(string(good), `"cells"`, `"client":"192.0.2.1","cells"`, 1)
	b := &box{waiting: [][]byte{[]byte(bad), good}, refused: map[string]string{}}
	n.outgoing = b
	n.start()
	n.link.Wake()
	eventually(t, "both being settled", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.refused) == 2
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.windows) != 1 || h.windows[0] != string(good) {
		t.Errorf("what left: %q", h.windows)
	}
	if b.refused[bad] == "" || b.refused[string(good)] != "" {
		t.Errorf("answers: %q", b.refused)
	}
}
