package release

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/observable"
)

const creator = "identity--8f9f2b0c-6c7e-4f5c-9d53-0d3f0f6a7b11"

func openStore(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

// The cast. Analyst and authority of the same person are two accounts.
var (
	ann   = signin.Account{Login: "ann", Person: "Ann", Roles: []string{"pmo_analyst"}}
	bob   = signin.Account{Login: "bob", Person: "Bob", Roles: []string{"release_authority"}}
	carol = signin.Account{Login: "carol", Person: "Carol", Roles: []string{"privacy_officer"}}
	dave  = signin.Account{Login: "dave", Person: "Dave", Roles: []string{"pmo_analyst"}}
	ann2  = signin.Account{Login: "ann.authority", Person: "Ann", Roles: []string{"release_authority"}}
	carl2 = signin.Account{Login: "carol.authority", Person: "Carol", Roles: []string{"release_authority"}}
	gil   = signin.Account{Login: "gil", Person: "Gil", Roles: []string{"gfi_officer"}, Scope: "nsa"}
	subs  = signin.Account{Login: "sam", Person: "Sam", Roles: []string{"pmo_analyst", "release_authority"}}
	olga  = signin.Account{Login: "olga", Person: "Olga", Roles: []string{"accrediting_official"}}
	root  = signin.Account{Login: "root", Person: "Rita", Roles: []string{"system_admin"}}
)

const why = "seen in two incidents, checked by hand"

// world is a hub's database with people, sources, providers and their nodes.
type world struct {
	db     *sqldb.DB
	desk   *Desk
	cfg    Config
	verify note.Verifier
	keys   map[string]*ecdsa.PrivateKey
	n      int
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	skey, vkey, err := note.GenerateKey(rand.Reader, "ecs.test")
	must(t, err)
	signer, err := note.NewSigner(skey)
	must(t, err)
	verifier, err := note.NewVerifier(vkey)
	must(t, err)
	w := &world{db: db, cfg: Config{Signer: signer, Creator: creator}, verify: verifier, keys: map[string]*ecdsa.PrivateKey{}}
	w.restart(t)
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		for _, a := range []signin.Account{ann, bob, carol, dave, ann2, carl2, gil, subs, olga, root} {
			w.exec(t, tx, `INSERT INTO account (login, person, roles, scope, password, created) VALUES ($1, $2, $3, $4, '', 0)`,
				a.Login, a.Person, strings.Join(a.Roles, ","), a.Scope)
		}
		for name, until := range map[string]int64{"nsa": 0, "lapsed": 1} {
			w.exec(t, tx, `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created)
				VALUES ($1, $1, $1, 'agreement', $2, 'defence', 4, 'A', 0)`, name, until)
			w.exec(t, tx, `INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received)
				SELECT count(*) + 1, $1, $1, 'f', 'csv', $1, 1, 'sam', 0 FROM batch`, name)
		}
		return nil
	}))
	w.provider(t, "alpha", "OPERATIONAL", contract.AllServices, contract.AmberStrict)
	w.provider(t, "beta", "ACCREDITED", contract.DNS, contract.Green)
	return w
}

// restart makes a new desk on the same database: all memory is lost.
func (w *world) restart(t testing.TB) {
	t.Helper()
	var err error
	w.desk, err = New(w.db, w.cfg)
	must(t, err)
}

func (w *world) exec(t testing.TB, tx *sql.Tx, query string, args ...any) {
	t.Helper()
	_, err := tx.ExecContext(t.Context(), query, args...)
	must(t, err)
}

func (w *world) provider(t testing.TB, id, state string, services contract.Services, ceiling contract.TLP) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	w.keys[id] = key
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	must(t, err)
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ($1, $1, $2, $3, $4, 0, 0, 0)`,
			id, state, int64(services), int64(ceiling))
		w.exec(t, tx, `INSERT INTO node (serial, provider, name, certificate, not_after, issued) VALUES ($1, $2, $2, $3, 0, 0)`,
			"serial-"+id, id, base64.StdEncoding.EncodeToString(der))
		return nil
	}))
}

func (w *world) setState(t testing.TB, provider, state string) {
	t.Helper()
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `UPDATE provider SET state = $2, withdrawn = 0 WHERE id = $1`, provider, state)
		return nil
	}))
}

// item stores an item in a state, as intake would have.
func (w *world) item(t testing.TB, state indicator.State, change func(*indicator.Item)) contract.ID {
	t.Helper()
	var id contract.ID
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		id = w.put(t, tx, state, "nsa", change)
		return nil
	}))
	return id
}

func (w *world) put(t testing.TB, tx *sql.Tx, state indicator.State, source string, change func(*indicator.Item)) contract.ID {
	t.Helper()
	w.n++
	name := fmt.Sprintf("host%d.example", w.n)
	now := time.Now().UTC().Truncate(time.Microsecond)
	it := indicator.Item{
		ID: contract.NewID(), State: state, Version: 1, Pattern: "[domain-name:value = '" + name + "']",
		Kind: observable.Domain, Value: name, Atoms: 1, Services: contract.DNS | contract.SMTP,
		Category: contract.Phishing, Action: contract.Sinkhole, Confidence: 80, TLP: contract.Green,
		Enforce: true, Display: true, Notify: true, Disclosure: 2, Summary: "phishing",
		Privacy: indicator.NotPresent, Submitter: "sam",
		ValidFrom: now.Add(-time.Hour), ValidUntil: now.Add(24 * time.Hour), Observed: now, Created: now, Modified: now,
	}
	if change != nil {
		change(&it)
	}
	var err error
	it.Handling, err = indicator.Intern(t.Context(), tx, "U TLP:"+strings.ToUpper(it.TLP.String()))
	must(t, err)
	must(t, indicator.Insert(t.Context(), tx, &it))
	mention, err := indicator.Next(t.Context(), tx, "mention", 1)
	must(t, err)
	w.exec(t, tx, `INSERT INTO item_source (mention, number, batch, source, place, reference, credibility, confidence, handling, observed, original, at)
		SELECT $4, $1, number, source, '1', '', 0, -1, $3, 0, '', 0 FROM batch WHERE id = $2`, it.Number, source, it.Handling, mention)
	return it.ID
}

// released gives an item that went through both approvals.
func (w *world) released(t testing.TB, targets ...Target) contract.ID {
	t.Helper()
	id := w.item(t, indicator.PendingFirst, nil)
	must(t, w.desk.First(t.Context(), ann, Ref{ID: id}, why))
	_, err := w.desk.Second(t.Context(), bob, Ref{ID: id}, why, targets)
	must(t, err)
	return id
}

func (w *world) state(t testing.TB, id contract.ID) indicator.State {
	t.Helper()
	it, err := indicator.Get(t.Context(), w.db, id)
	must(t, err)
	return it.State
}

// node is a provider that applies pages as the door's words say.
type node struct {
	w        *world
	provider string
	list     *contract.List
	objects  map[contract.ID]*contract.Indicator
	services map[contract.ID]contract.Services
	seq      uint64 // up to where pages were read
	acked    uint64
	point    *contract.Checkpoint
}

func (w *world) node(provider string) *node {
	return &node{w: w, provider: provider, list: contract.NewList(), objects: map[contract.ID]*contract.Indicator{}, services: map[contract.ID]contract.Services{}}
}

// load reads pages up to a checkpoint and fails when list and checkpoint differ.
func (n *node) load(t testing.TB, limit int) {
	t.Helper()
	for n.page(t, limit) {
	}
}

// page applies one page and reports whether more follow.
func (n *node) page(t testing.TB, limit int) (more bool) {
	t.Helper()
	page, err := n.w.desk.Changes(t.Context(), n.provider, n.seq, limit)
	must(t, err)
	n.apply(t, page)
	return page.More
}

func (n *node) apply(t testing.TB, page contract.Page) {
	t.Helper()
	for _, e := range page.Entries {
		if e.Seq <= n.seq {
			t.Fatalf("entry %d after %d", e.Seq, n.seq)
		}
		n.seq = e.Seq
		x, err := contract.ParseIndicator(e.Object)
		must(t, err)
		if e.Services == 0 || x.Revoked {
			n.list.Remove(x.ID)
			delete(n.objects, x.ID)
			delete(n.services, x.ID)
			continue
		}
		n.list.Put(x.ID, e.Leaf(), x.ValidUntil)
		n.objects[x.ID], n.services[x.ID] = x, e.Services
	}
	if page.More {
		if page.Checkpoint != "" {
			t.Fatal("a checkpoint before the last page")
		}
		return
	}
	open, err := note.Open([]byte(page.Checkpoint), note.VerifierList(n.w.verify))
	must(t, err)
	c, err := contract.ParseCheckpoint(open.Text)
	must(t, err)
	if n.point != nil && (c.Sequence < n.point.Sequence || c.Issued.Before(n.point.Issued)) {
		t.Fatalf("checkpoint went back: %+v after %+v", c, n.point)
	}
	for _, id := range n.list.Expire(c.Issued) {
		delete(n.objects, id)
		delete(n.services, id)
	}
	if c.Provider != n.provider || c.Sequence != n.seq || c.Count != n.list.Len() || c.Root != n.list.Root() {
		t.Fatalf("checkpoint %+v does not fit seq %d, count %d, root %s", c, n.seq, n.list.Len(), n.list.Root())
	}
	rules, err := note.Open([]byte(page.Rules), note.VerifierList(n.w.verify))
	must(t, err)
	_, err = contract.ParseRules(rules.Text)
	must(t, err)
	n.point = c
}

func (n *node) sign(t testing.TB, a contract.Ack) contract.SignedAck {
	t.Helper()
	body, err := json.Marshal(a)
	must(t, err)
	sum := sha256.Sum256(append([]byte(contract.AckContext), body...))
	sig, err := ecdsa.SignASN1(rand.Reader, n.w.keys[n.provider], sum[:])
	must(t, err)
	return contract.SignedAck{Body: body, Signature: sig}
}

// receipt makes the ack for what was loaded since the last one.
func (n *node) receipt(t testing.TB, refused ...contract.Refusal) contract.SignedAck {
	t.Helper()
	a := contract.Ack{From: n.acked, Sequence: n.point.Sequence, Root: n.point.Root, At: time.Now().UTC(), Refused: refused}
	n.acked = n.point.Sequence
	return n.sign(t, a)
}

func (n *node) ack(t testing.TB, refused ...contract.Refusal) {
	t.Helper()
	must(t, n.w.desk.Acknowledge(t.Context(), n.provider, "serial-"+n.provider, n.receipt(t, refused...)))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
