// Package hubtest furnishes a hub for the tests of what stands on top of it, the
// console and the JSON API: a real database with people, sources, two providers
// with an enrolled node each, and indicators at every step of their way, brought
// there by the packages that do it in production. It is not part of the program.
package hubtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/hub/internal/store"
	"ecs/internal/certs"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Hub is a furnished hub.
type Hub struct {
	DB        *sqldb.DB
	Desk      *release.Desk
	Program   *program.Program
	Intake    *intake.Intake
	Feedback  *feedback.Ledger
	Accounts  *signin.Service
	Passwords map[string]string // by login
	Log       *slog.Logger
	verifier  note.Verifier
	nodes     map[string]*node
	keys      keys
}

// keys are what the services of one program have in common.
type keys struct {
	signer    note.Signer
	public    string
	authority *certs.Authority
}

type node struct {
	key    *ecdsa.PrivateKey
	serial string
	seq    uint64
	acked  uint64
}

// Cleared is the clearance of [People]: all that the hub of the tests may hold.
const Cleared = "U TLP:RED"

// People are the accounts, one for each role, all with the same clearance.
var People = []signin.Account{
	{Login: "ann", Person: "Ann Analyst", Roles: []string{"pmo_analyst"}, Clearance: Cleared},
	{Login: "abe", Person: "Abe Analyst", Roles: []string{"pmo_analyst"}, Clearance: Cleared},
	{Login: "rita", Person: "Rita Release", Roles: []string{"release_authority"}, Clearance: Cleared},
	{Login: "paul", Person: "Paul Privacy", Roles: []string{"privacy_officer"}, Clearance: Cleared},
	{Login: "gil", Person: "Gil Source", Roles: []string{"gfi_officer"}, Scope: "cedar", Clearance: Cleared},
	{Login: "stella", Person: "Stella Sector", Roles: []string{"ssa_officer"}, Clearance: Cleared},
	{Login: "audrey", Person: "Audrey Auditor", Roles: []string{"auditor"}, Clearance: Cleared},
	{Login: "otto", Person: "Otto Official", Roles: []string{"accrediting_official"}, Clearance: Cleared},
	{Login: "asa", Person: "Asa Assessor", Roles: []string{"assessor"}, Clearance: Cleared},
	{Login: "root", Person: "Rory Root", Roles: []string{"system_admin"}, Clearance: Cleared},
}

// Account gives one of [People].
func Account(login string) signin.Account {
	for _, a := range People {
		if a.Login == login {
			return a
		}
	}
	panic("hubtest: no account " + login)
}

// Why is a reason that every act accepts.
const Why = "Seen in two incidents and checked by hand."

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// New makes a hub with people, sources, sectors, entities and providers "alder"
// (all services, ceiling RED) and "birch" (DNS, ceiling GREEN), without indicators.
// page is for [signin.Config.Page] and may be nil.
func New(t testing.TB, accounts signin.Config) *Hub {
	t.Helper()
	db, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "hub.db"))
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return On(t, db, accounts)
}

// On is [New] on an empty database that the test closes.
func On(t testing.TB, db *sqldb.DB, accounts signin.Config) *Hub {
	t.Helper()
	ctx := t.Context()
	secret, public, err := note.GenerateKey(rand.Reader, "ecs.test")
	must(t, err)
	h := &Hub{Passwords: map[string]string{}, nodes: map[string]*node{}, keys: keys{public: public}}
	h.keys.signer, err = note.NewSigner(secret)
	must(t, err)
	h.verifier, err = note.NewVerifier(public)
	must(t, err)
	h.keys.authority, err = certs.OpenAuthority(t.TempDir(), "Test Program")
	must(t, err)
	h.serve(t, db, accounts)
	for _, a := range People {
		h.Passwords[a.Login], err = h.Accounts.Create(ctx, a)
		must(t, err)
		must(t, access.Configure(ctx, db, a.Login, a.Clearance))
	}
	must(t, access.Prepare(ctx, db, marking.NewClearance(contract.Red, marking.Unclassified)))
	must(t, h.Program.Prepare(ctx))
	for _, s := range []program.Source{
		{ID: "cedar", Name: "Cedar Team", Agency: "Cedar Agency", Authority: "Agreement 12", AuthorityUntil: time.Now().AddDate(1, 0, 0), Purpose: "cyber defense", Ceiling: contract.Red, Reliability: "A"},
		{ID: "dogwood", Name: "Dogwood Laboratory", Agency: "Dogwood", Authority: "Agreement 15", AuthorityUntil: time.Now().AddDate(0, 6, 0), Purpose: "cyber defense", Ceiling: contract.Amber, Reliability: "B"},
	} {
		must(t, h.Program.PutSource(ctx, Account("ann"), s))
	}
	must(t, h.Program.Nominate(ctx, Account("stella"), program.Entity{ID: "north-grid", Name: "North Grid", Criterion: "critical infrastructure", Sectors: []contract.Sector{8}}))
	h.provider(t, "alder", "Alder Networks", contract.AllServices, contract.Red)
	h.provider(t, "birch", "Birch Telecom", contract.DNS, contract.Green)
	return h
}

// serve makes the services of the house on a database.
func (h *Hub) serve(t testing.TB, db *sqldb.DB, accounts signin.Config) {
	t.Helper()
	h.DB, h.Log = db, slog.New(slog.DiscardHandler)
	accounts.Iterations = 1000
	if accounts.Effective == nil {
		accounts.Effective = access.Effective(db)
	}
	h.Accounts = signin.New(db, accounts)
	var err error
	h.Desk, err = release.New(db, release.Config{Signer: h.keys.signer, Creator: "identity--8f9f2b0c-6c7e-4f5c-9d53-0d3f0f6a7b11"})
	must(t, err)
	h.Program, err = program.New(db, program.Config{Authority: h.keys.authority, Verifier: h.keys.public, OperateOnEnrol: true})
	must(t, err)
	check, err := policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	must(t, err)
	h.Intake = intake.New(intake.Config{DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(t.TempDir(), "spool"), Ceiling: contract.Red, Demonstration: true})
	h.Feedback, err = feedback.New(db, feedback.Config{})
	must(t, err)
}

// Twin makes the services once more on another database that holds the same as this
// hub's: from then on the two go different ways.
func (h *Hub) Twin(t testing.TB, db *sqldb.DB, accounts signin.Config) *Hub {
	t.Helper()
	out := &Hub{Passwords: h.Passwords, verifier: h.verifier, keys: h.keys, nodes: map[string]*node{}}
	for id, n := range h.nodes {
		same := *n
		out.nodes[id] = &same
	}
	out.serve(t, db, accounts)
	return out
}

func (h *Hub) provider(t testing.TB, id, name string, services contract.Services, ceiling contract.TLP) {
	t.Helper()
	ctx := t.Context()
	must(t, h.DB.Write(ctx, func(tx *sql.Tx) error { // the way to the accreditation is program's own matter
		_, err := tx.ExecContext(ctx, `INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ($1, $2, 'ACCREDITED', $3, $4, $5, $6, $5)`,
			id, name, int64(services), int64(ceiling), sqldb.Time(time.Now().Add(-time.Hour)), sqldb.Time(time.Now().AddDate(3, 0, 0)))
		return err
	}))
	token, err := h.Program.NewToken(ctx, Account("ann"), id)
	must(t, err)
	key, err := certs.NewKey()
	must(t, err)
	csr, err := certs.Request(key, "node1")
	must(t, err)
	got, err := h.Program.Enrol(ctx, contract.Enrolment{Token: token.Text, CSR: csr})
	must(t, err)
	leaf, err := x509.ParseCertificate(got.Certificate[0])
	must(t, err)
	h.nodes[id] = &node{key: key, serial: certs.Serial(leaf.SerialNumber)}
}

// Deliver takes in a delivery of a source, in CSV.
func (h *Hub) Deliver(t testing.TB, source, name, text string) intake.Report {
	t.Helper()
	r, err := h.Intake.Submit(t.Context(), intake.Delivery{Source: source, Name: name, Format: intake.CSV, Submitter: "gil"}, strings.NewReader(text), nil)
	must(t, err)
	return r
}

// Find gives the indicator with a value.
func (h *Hub) Find(t testing.TB, value string) indicator.Item {
	t.Helper()
	items, err := indicator.List(t.Context(), h.DB, indicator.Filter{Text: value})
	must(t, err)
	for _, it := range items {
		if it.Value == value {
			return it
		}
	}
	t.Fatalf("there is no indicator %q", value)
	return indicator.Item{}
}

// Release gives an indicator both approvals for the targets.
func (h *Hub) Release(t testing.TB, value string, targets ...release.Target) contract.ID {
	t.Helper()
	id := h.Find(t, value).ID
	must(t, h.Desk.First(t.Context(), Account("ann"), release.Ref{ID: id}, Why))
	_, err := h.Desk.Second(t.Context(), Account("rita"), release.Ref{ID: id}, Why, targets)
	must(t, err)
	return id
}

// Load does what a provider's node does: it reads its log to the end and gives a
// signed receipt.
func (h *Hub) Load(t testing.TB, provider string) {
	t.Helper()
	n := h.nodes[provider]
	for {
		page, err := h.Desk.Changes(t.Context(), provider, n.seq, 0)
		must(t, err)
		for _, e := range page.Entries {
			n.seq = e.Seq
		}
		if page.More {
			continue
		}
		signed, err := note.Open([]byte(page.Checkpoint), note.VerifierList(h.verifier))
		must(t, err)
		c, err := contract.ParseCheckpoint(signed.Text)
		must(t, err)
		h.ack(t, provider, contract.Ack{From: n.acked, Sequence: c.Sequence, Root: c.Root, At: time.Now().UTC()})
		n.acked = c.Sequence
		return
	}
}

// Refuse gives a receipt that says that the newest list was not taken.
func (h *Hub) Refuse(t testing.TB, provider string, why contract.Problem) {
	t.Helper()
	n := h.nodes[provider]
	h.ack(t, provider, contract.Ack{From: n.acked, Sequence: n.acked, At: time.Now().UTC(), Problem: why})
}

func (h *Hub) ack(t testing.TB, provider string, a contract.Ack) {
	t.Helper()
	n := h.nodes[provider]
	body, err := json.Marshal(a)
	must(t, err)
	sig, err := certs.Sign(n.key, contract.AckContext, body)
	must(t, err)
	must(t, h.Desk.Acknowledge(t.Context(), provider, n.serial, contract.SignedAck{Body: body, Signature: sig}))
}

// Settle runs the desk for a moment, so that receipts are booked.
func (h *Hub) Settle(t testing.TB, until func() bool) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Desk.Run(ctx) }()
	for range 500 {
		if until() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	<-done
	if !until() {
		t.Fatal("the desk did not settle what was awaited")
	}
}

// Furnish brings indicators to every step of their way. Their values are under
// the names that the steps suggest: force.example, first.example, and so on.
func (h *Hub) Furnish(t testing.TB) {
	t.Helper()
	until := time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339)
	seen := time.Now().Add(-24 * time.Hour).UTC().Format(time.RFC3339)
	var b strings.Builder
	_, _ = io.WriteString(&b, "value,type,category,confidence,tlp,valid_until,observed,summary,context,display,reference\n")
	for _, r := range []string{
		"force.example,domain,c2,90,amber,UNTIL,SEEN,Command and control of a botnet,Found in a memory dump,true,C-1",
		"recalled.example,domain,phishing,60,green,UNTIL,SEEN,Phishing for payroll accounts,,true,C-2",
		"second.example,domain,phishing,75,green,UNTIL,SEEN,Phishing,,true,C-3",
		"first.example,domain,delivery,70,amber,UNTIL,SEEN,Delivers a loader,,true,C-4",
		"192.0.2.66,address,c2,80,amber,UNTIL,SEEN,Control server,,true,C-5",
		"hidden.example,domain,exfiltration,85,red,UNTIL,SEEN,,Sensitive origin,false,C-6",
		"jane.doe@mail.example,mail-address,phishing,70,green,UNTIL,SEEN,Sender of phishing,,true,C-7",
		"not a value at all,domain,c2,70,green,UNTIL,SEEN,,,true,C-8",
		"198.51.0.0/12,prefix,scanning,50,green,UNTIL,SEEN,Scans,,true,C-9",
	} {
		_, _ = io.WriteString(&b, strings.NewReplacer("UNTIL", until, "SEEN", seen).Replace(r)+"\n")
	}
	h.Deliver(t, "cedar", "week-47.csv", b.String())
	h.Deliver(t, "dogwood", "lab.csv", "value,type,category,confidence,tlp,valid_until,observed\nother-source.example,domain,c2,70,green,"+until+","+seen+"\n")
	h.Release(t, "recalled.example", release.Target{Provider: "alder", Services: contract.DNS})
	h.Release(t, "force.example", release.Target{Provider: "alder", Services: contract.DNS | contract.SMTP})
	h.Load(t, "alder")
	must(t, h.Desk.Recall(t.Context(), Account("rita"), release.Ref{ID: h.Find(t, "recalled.example").ID}, "A customer reported a false alarm, confirmed."))
	h.Load(t, "alder")
	must(t, h.Desk.First(t.Context(), Account("ann"), release.Ref{ID: h.Find(t, "second.example").ID}, Why))
	h.Settle(t, func() bool { return h.Find(t, "force.example").State == indicator.InForce })
}
