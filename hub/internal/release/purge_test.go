package release

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
)

func codesOf(fs []PurgeFinding) (out []string) {
	for _, f := range fs {
		out = append(out, f.Code)
	}
	slices.Sort(out)
	return out
}

func TestOrderedPurge(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := []Target{{"alpha", contract.DNS}}
		one, two, kept := w.released(t, to...), w.released(t, to...), w.released(t, to...)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		waiting := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Summary = "call Jane Roe" })
		gate := w.item(t, indicator.PrivacyGate, nil)
		for name, by := range map[string]func() error{
			"an analyst":   func() error { return w.desk.Purge(ctx, ann, Ref{ID: one}, Why{Code: PersonalData}) },
			"an authority": func() error { return w.desk.Purge(ctx, bob, Ref{ID: one}, Why{Code: PersonalData}) },
		} {
			err := by()
			if !errors.Is(err, ErrRole) {
				t.Errorf("by %s: %v", name, err)
			}
		}
		for _, id := range []contract.ID{one, two, waiting, gate} {
			must(t, w.desk.Purge(ctx, carol, Ref{ID: id}, Why{Code: PersonalData}))
		}
		err := w.desk.Purge(ctx, carol, Ref{ID: one}, Why{Code: PersonalData})
		if !errors.Is(err, ErrState) {
			t.Errorf("ordered twice: %v", err)
		}
		if a, b, c := w.state(t, waiting), w.state(t, gate), w.state(t, one); a != indicator.Purged || b != indicator.Purged || c != indicator.Revoked {
			t.Fatalf("%s, %s, and before the removal is confirmed %s", a, b, c)
		}
		found := w.everywhere(t, waiting, "Jane Roe")
		if len(found) > 0 {
			t.Errorf("left in %v", found)
		}
		alpha.load(t, 0)
		alpha.ack(t)
		w.desk.tick(ctx)
		if got := w.state(t, one); got != indicator.Purged {
			t.Fatalf("the removal is confirmed: %s", got)
		}

		// What alpha has to attest, and what does not match.
		m, err := PurgeManifest(ctx, w.db, "alpha")
		must(t, err)
		if len(m.Items) != 2 || m.Counts["green"] != 2 || m.Manifest != ManifestOf(m.Items) {
			t.Fatalf("%+v", m)
		}
		m.Systems, m.Method, m.Date = []string{"resolver a"}, "overwritten", time.Now().UTC()
		for name, change := range map[string]func(a *Attestation){
			"digest":    func(a *Attestation) { a.Manifest = strings.Repeat("0", 64) },
			"order":     func(a *Attestation) { slices.Reverse(a.Items); a.Manifest = ManifestOf(a.Items) },
			"twice":     func(a *Attestation) { a.Items[1] = a.Items[0]; a.Manifest = ManifestOf(a.Items) },
			"systems":   func(a *Attestation) { a.Systems = nil },
			"method":    func(a *Attestation) { a.Method = " " },
			"tomorrow":  func(a *Attestation) { a.Date = time.Now().Add(24 * time.Hour) },
			"exception": func(a *Attestation) { a.Exceptions = []Exception{{Item: a.Items[0], Why: "a tape"}} },
			"nothing":   func(a *Attestation) { a.Items = nil; a.Manifest = ManifestOf(nil) },
		} {
			bad := m
			bad.Items = slices.Clone(m.Items)
			change(&bad)
			_, _, err = w.desk.Attest(ctx, sue, bad)
			if !errors.Is(err, ErrAttest) {
				t.Errorf("%s: %v", name, err)
			}
		}
		other := m
		other.Provider = "beta"
		_, _, err = w.desk.Attest(ctx, sue, other)
		if !errors.Is(err, ErrRole) {
			t.Errorf("for another provider: %v", err)
		}
		running, err := Clocks(ctx, w.db, "csp_security_officer/alpha")
		must(t, err)
		if len(running) != 2 {
			t.Fatalf("clocks: %+v", running)
		}
		first := m
		first.Items = []contract.ID{m.Items[0], kept, contract.NewID()}
		slices.SortFunc(first.Items, byID)
		first.Manifest, first.Counts, first.Exceptions = ManifestOf(first.Items), map[string]int{"green": 3}, []Exception{}
		_, fs, err := w.desk.Attest(ctx, sue, first)
		must(t, err)
		if got := codesOf(fs); !slices.Equal(got, []string{WrongCount, NeverDelivered, NotAttested, NotOrdered}) {
			t.Fatalf("findings %v", got)
		}

		// The rest comes signed by the node.
		m.Backups = true
		body, err := json.Marshal(m)
		must(t, err)
		sum := sha256.Sum256(append([]byte(AttestContext), body...))
		sig, err := ecdsa.SignASN1(rand.Reader, w.keys["alpha"], sum[:])
		must(t, err)
		_, _, err = w.desk.AttestSigned(ctx, "alpha", "serial-alpha", contract.SignedAck{Body: append(slices.Clone(body), ' '), Signature: sig})
		if !errors.Is(err, ErrAttest) {
			t.Errorf("changed after it was signed: %v", err)
		}
		_, _, err = w.desk.AttestSigned(ctx, "alpha", "serial-beta", contract.SignedAck{Body: body, Signature: sig})
		if !errors.Is(err, ErrAttest) {
			t.Errorf("by another's certificate: %v", err)
		}
		_, fs, err = w.desk.AttestSigned(ctx, "alpha", "serial-alpha", contract.SignedAck{Body: body, Signature: sig})
		must(t, err)
		if len(fs) != 0 {
			t.Fatalf("%+v", fs)
		}
		at, err := PurgeStandings(ctx, w.db)
		must(t, err)
		if len(at) != 1 || at[0].Open != 0 || at[0].Backups != 0 || at[0].Done != 2 || at[0].Findings != 4 {
			t.Fatalf("%+v", at)
		}
		running, err = Clocks(ctx, w.db)
		must(t, err)
		if len(running) != 0 {
			t.Fatalf("clocks run on: %+v", running)
		}
	})
}

// At their disposition date items go by themselves; a dry run only says so.
func TestRetention(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		to := []Target{{"alpha", contract.DNS}}
		due, later, open := w.released(t, to...), w.item(t, indicator.PendingFirst, nil), w.item(t, indicator.PendingFirst, nil)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		dispose := func(id contract.ID, at time.Time) {
			must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
				n, err := indicator.Intern(ctx, tx, "U TLP:GREEN dispose="+at.UTC().Format(time.RFC3339)+` how="destruction"`)
				must(t, err)
				it, err := indicator.Get(ctx, tx, id)
				must(t, err)
				it.Handling = n
				return indicator.Update(ctx, tx, &it, "system", "marking")
			}))
		}
		dispose(due, time.Now().Add(-time.Hour))
		dispose(later, time.Now().Add(time.Hour))
		r, err := w.desk.Retention(ctx, true)
		must(t, err)
		if len(r.Due) != 1 || r.Due[0].N != 1 || r.Due[0].State != indicator.InForce || !slices.Equal(r.Due[0].How, []string{"destruction"}) || w.state(t, due) != indicator.InForce {
			t.Fatalf("%+v", r)
		}
		r, err = w.desk.Retention(ctx, false)
		must(t, err)
		if r.Ordered != 1 || w.state(t, due) != indicator.Revoked {
			t.Fatalf("%+v, %s", r, w.state(t, due))
		}
		alpha.load(t, 0)
		alpha.ack(t)
		w.desk.tick(ctx)
		if a, b, c := w.state(t, due), w.state(t, later), w.state(t, open); a != indicator.Purged || b != indicator.PendingFirst || c != indicator.PendingFirst {
			t.Fatalf("%s %s %s", a, b, c)
		}
		r, err = w.desk.Retention(ctx, false)
		must(t, err)
		if len(r.Due) != 0 {
			t.Fatalf("again: %+v", r)
		}
		w.cfg.Now = func() time.Time { return time.Now().Add(PurgeLive + time.Hour) }
		w.restart(t)
		must(t, w.desk.unattested(ctx))
		fs, err := PurgeFindings(ctx, w.db, "alpha", 10)
		must(t, err)
		if len(fs) != 1 || fs[0].Code != Overdue72 || fs[0].Detail != due.String() {
			t.Fatalf("%+v", fs)
		}
	})
}

func TestFindPerson(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		id := w.held(t, "context: a telephone number")
		by := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Labels = "campaign of JANE ROE" })
		w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Summary = "100% harmless" })
		_, err := w.desk.FindPerson(ctx, ann, "Jane Roe", why, nil, 0)
		if !errors.Is(err, ErrRole) {
			t.Errorf("by an analyst: %v", err)
		}
		_, err = w.desk.FindPerson(ctx, carol, "J. R", why, nil, 0)
		if !errors.Is(err, ErrText) {
			t.Errorf("two letters: %v", err)
		}
		got, err := w.desk.FindPerson(ctx, carol, " jane ROE ", why, nil, 0)
		must(t, err)
		if len(got.Hits) != 2 || got.Next != 0 || got.Hits[0].Item != id || got.Hits[1].Item != by ||
			!slices.Equal(got.Hits[0].Fields, []string{"summary", "context", "mention"}) || !slices.Equal(got.Hits[1].Fields, []string{"labels"}) {
			t.Fatalf("%+v", got)
		}
		got, err = w.desk.FindPerson(ctx, carol, "100%_harm", why, nil, 0)
		must(t, err)
		if len(got.Hits) != 0 {
			t.Fatalf("a sign stands for itself: %+v", got)
		}
		got, err = w.desk.FindPerson(ctx, carol, "Jane Roe", why, []int64{}, 0)
		must(t, err)
		if len(got.Hits) != 0 {
			t.Fatalf("cleared for nothing: %+v", got)
		}
		log, err := audit.List(ctx, w.db, audit.Filter{Subject: "carol", Limit: 10})
		must(t, err)
		if len(log) != 3 || strings.Contains(strings.ToLower(string(log[2].Detail)), "jane") {
			t.Fatalf("%+v", log)
		}
	})
}

// The example of the manual is a statement that this program takes.
func TestAttestationOfTheManual(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "formats", "purge.md"))
	must(t, err)
	_, rest, _ := strings.Cut(string(page), "```json\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the page has no example")
	}
	a, err := ParseAttestation([]byte(example))
	must(t, err)
	must(t, a.check(a.Date.Add(time.Hour)))
	if len(a.Items) != 1 || a.Counts["green"] != 1 {
		t.Fatalf("%+v", a)
	}
	_, err = ParseAttestation([]byte(strings.Replace(example, "{", `{"more":1,`, 1)))
	if !errors.Is(err, ErrAttest) {
		t.Fatalf("an unknown field: %v", err)
	}
}
