package door

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/certs"
	"ecs/internal/httpd"
	"ecs/internal/signin"
)

// list is what a node makes of the pages that it gets.
type list struct {
	*contract.List
	after, acked uint64
	verifier     note.Verifier
}

// take applies pages until the run ends, and checks the checkpoint as
// docs/formats/checkpoint.md has it.
func (l *list) take(t *testing.T, n *node, wait int) *contract.Checkpoint {
	t.Helper()
	for {
		q := "?after=" + strconv.FormatUint(l.after, 10) + "&limit=2&wait=" + strconv.Itoa(wait)
		status, body, _ := n.send(t, "GET", "/v1/changes"+q, nil)
		var page contract.Page
		must(t, json.Unmarshal(body, &page))
		if status != 200 {
			t.Fatalf("changes: %d %s", status, body)
		}
		for _, e := range page.Entries {
			x, err := contract.ParseIndicator(e.Object)
			must(t, err)
			if e.Services == 0 || x.Revoked {
				l.Remove(x.ID)
			} else {
				l.Put(x.ID, e.Leaf(), x.ValidUntil)
			}
			l.after = e.Seq
		}
		if page.More {
			wait = 0
			continue
		}
		signed, err := note.Open([]byte(page.Checkpoint), note.VerifierList(l.verifier))
		must(t, err)
		c, err := contract.ParseCheckpoint(signed.Text)
		must(t, err)
		l.Expire(c.Issued)
		if c.Count != l.Len() || c.Root != l.Root() {
			t.Fatalf("the checkpoint says %d, %s; the list is %d, %s", c.Count, c.Root, l.Len(), l.Root())
		}
		l.after = max(l.after, c.Sequence)
		return c
	}
}

func (l *list) ack(t *testing.T, n *node, c *contract.Checkpoint) {
	t.Helper()
	body, err := json.Marshal(contract.Ack{From: l.acked, Sequence: c.Sequence, Root: c.Root, At: time.Now().UTC()})
	must(t, err)
	sig, err := certs.Sign(n.key, contract.AckContext, body)
	must(t, err)
	for range 2 { // the answer to the first was lost
		status, text, _ := n.send(t, "POST", "/v1/acks", contract.SignedAck{Body: body, Signature: sig})
		if status != 204 {
			t.Fatalf("ack: %d %s", status, text)
		}
	}
	l.acked = c.Sequence
}

// The whole of the door with the real desk: enrol, load, acknowledge, recall,
// and the same by TAXII.
func TestWithTheDesk(t *testing.T) {
	real := hubtest.New(t, signin.Config{})
	real.Furnish(t)
	d, err := New(Config{DB: real.DB, Program: real.Program, Releases: real.Desk, Feedback: real.Feedback})
	must(t, err)
	server, err := certs.NewServer(real.Program.Authority(), []string{"127.0.0.1"})
	must(t, err)
	web := httpd.New(httpd.Config{Name: "door", Address: "127.0.0.1:0", TLS: server.Config(), Handler: d, Limit: Limit})
	must(t, web.Listen())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- web.Run(ctx) }()
	defer func() {
		cancel()
		must(t, <-done)
	}()
	h := &hub{db: real.DB, ca: real.Program.Authority(), program: real.Program, url: web.URL()}
	n := h.enrol(t, "alder")

	status, body, _ := n.send(t, "POST", "/v1/renew", contract.Enrolment{CSR: func() []byte {
		csr, err := certs.Request(n.key, "node-1")
		must(t, err)
		return csr
	}()})
	var enrolled contract.Enrolled
	must(t, json.Unmarshal(body, &enrolled))
	if status != 200 {
		t.Fatalf("renew: %d %s", status, body)
	}
	n = h.with(t, n.key, enrolled.Certificate[0])
	l := &list{List: contract.NewList()}
	l.verifier, err = note.NewVerifier(enrolled.Verifier)
	must(t, err)

	force := real.Find(t, "force.example").ID
	l.ack(t, n, l.take(t, n, 0))
	if l.Len() != 1 || !l.Has(force) {
		t.Fatalf("%d in force", l.Len())
	}
	// A release reaches a node that waits.
	begun := make(chan time.Time, 1)
	go func() {
		for len(d.waiting) == 0 {
			time.Sleep(time.Millisecond)
		}
		begun <- time.Now()
		_, err := real.Desk.Second(context.Background(), hubtest.Account("rita"), release.Ref{ID: real.Find(t, "second.example").ID}, hubtest.Why,
			[]release.Target{{Provider: "alder", Services: contract.DNS}})
		done <- err
	}()
	c := l.take(t, n, 50)
	t.Logf("release to the waiting node's checked list: %v", time.Since(<-begun))
	must(t, <-done)
	l.ack(t, n, c)
	second := real.Find(t, "second.example").ID
	if !l.Has(second) || l.Len() != 2 {
		t.Fatalf("%d in force", l.Len())
	}
	real.Settle(t, func() bool { return real.Find(t, "second.example").State == indicator.InForce })
	must(t, real.Desk.Recall(t.Context(), hubtest.Account("rita"), release.Ref{ID: second}, "A customer reported a false alarm."))
	l.ack(t, n, l.take(t, n, 50))
	if l.Has(second) || l.Len() != 1 {
		t.Fatalf("recalled and still there: %d in force", l.Len())
	}
	rows, err := real.Desk.Ledger(t.Context(), real.DB, release.Filter{Provider: "alder", Item: second})
	must(t, err)
	if len(rows) != 1 || rows[0].Status != release.RemovedThere {
		t.Fatalf("%+v", rows)
	}
	// A receipt with another node's signature is refused for good.
	other, err := certs.NewKey()
	must(t, err)
	text := []byte(`{"from":0,"sequence":0,"root":"` + strings.Repeat("0", 64) + `","at":"2026-01-01T00:00:00Z","problem":"none"}`)
	sig, err := certs.Sign(other, contract.AckContext, text)
	must(t, err)
	n.want(t, 422, "ack-refused", "POST", "/v1/acks", contract.SignedAck{Body: text, Signature: sig})
	n.want(t, 422, "feedback-schema", "POST", "/v1/feedback", []byte("{\"day\":1,\"service\":\"dns\",\"rules\":1,\"cells\":[]}\n"))

	status, body, _ = n.send(t, "GET", "/taxii2/alder/collections/dns/objects/"+second.String()+"/", nil)
	if status != 200 || !strings.Contains(string(body), `"revoked":true`) {
		t.Fatalf("TAXII: %d %s", status, body)
	}
	status, body, _ = n.send(t, "GET", "/taxii2/alder/checkpoint", nil)
	signed, err := note.Open(body, note.VerifierList(l.verifier))
	must(t, err)
	c, err = contract.ParseCheckpoint(signed.Text)
	if status != 200 || err != nil || c.Root != l.Root() || c.Count != 1 {
		t.Fatalf("checkpoint beside the collection: %d %+v %v", status, c, err)
	}
}
