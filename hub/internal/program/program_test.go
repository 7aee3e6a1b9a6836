package program

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/store"
	"ecs/internal/audit"
	"ecs/internal/certs"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

var (
	analyst    = signin.Account{Login: "ana", Person: "Ana", Roles: []string{roleAnalyst}}
	assessor   = signin.Account{Login: "abe", Person: "Abe", Roles: []string{roleAssessor}}
	official   = signin.Account{Login: "ott", Person: "Ott", Roles: []string{roleAccreditor}}
	decider    = signin.Account{Login: "dee", Person: "Dee", Roles: []string{roleAccreditor}}
	everything = signin.Account{Login: "all", Person: "All", Roles: []string{roleAnalyst, roleAssessor, roleAccreditor, roleSSA, roleAdmin}}
)

type house struct {
	*Program
	now time.Time
	db  *sqldb.DB
}

func newHouse(t *testing.T, db *sqldb.DB) *house {
	t.Helper()
	ca, err := certs.OpenAuthority(t.TempDir(), "test program")
	if err != nil {
		t.Fatal(err)
	}
	h := &house{db: db, now: time.Now().Truncate(time.Microsecond)}
	ca.Now = func() time.Time { return h.now }
	h.Program, err = New(db, Config{Authority: ca, Verifier: "verifier", Now: func() time.Time { return h.now }})
	if err != nil {
		t.Fatal(err)
	}
	must(t, h.Prepare(t.Context()))
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) accredited(t *testing.T, id string) {
	t.Helper()
	must(t, h.Register(t.Context(), analyst, id, "Provider "+id))
	for _, s := range []struct {
		acct signin.Account
		to   State
	}{
		{analyst, EligibilityReview},
		{decider, Eligible},
		{analyst, MOANegotiation},
		{analyst, MOAInForce},
		{assessor, SecurityValidation},
		{assessor, Remediation},
		{assessor, SecurityValidation},
		{assessor, Validated},
	} {
		must(t, h.Move(t.Context(), s.acct, id, s.to, "as the test has it"))
	}
	must(t, h.Accredit(t.Context(), official, id, Accreditation{Services: contract.DNS | contract.SMTP, Ceiling: contract.Amber}, "as the test has it"))
}

func request(t *testing.T, node string) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := certs.NewKey()
	must(t, err)
	csr, err := certs.Request(key, node)
	must(t, err)
	return key, csr
}

func (h *house) enrolled(t *testing.T, provider, node string) *x509.Certificate {
	t.Helper()
	tok, err := h.NewToken(t.Context(), analyst, provider)
	must(t, err)
	_, csr := request(t, node)
	out, err := h.Enrol(t.Context(), contract.Enrolment{Token: tok.Text, CSR: csr})
	must(t, err)
	return parse(t, out)
}

func parse(t *testing.T, e *contract.Enrolled) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(e.Certificate[0])
	must(t, err)
	return c
}

func TestProviderWay(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.accredited(t, "north")
		err := h.Move(t.Context(), official, "north", Operational, "all tests passed")
		if !errors.Is(err, ErrGuard) {
			t.Fatalf("operational without a node: %v", err)
		}
		c := h.enrolled(t, "north", "node-1")
		must(t, h.Move(t.Context(), official, "north", Operational, "all tests passed"))
		must(t, h.Move(t.Context(), analyst, "north", Suspended, "provisional, 72 hours"))
		_, _, err = h.NodeByCertificate(t.Context(), db, c)
		if !errors.Is(err, ErrSuspended) {
			t.Fatalf("suspended: %v", err)
		}
		must(t, h.Move(t.Context(), official, "north", Operational, "corrected, tests repeated"))
		must(t, h.Move(t.Context(), official, "north", Terminating, "the provider gave notice"))
		_, _, err = h.NodeByCertificate(t.Context(), db, c)
		if err != nil {
			t.Fatalf("leaving, with removals still to come: %v", err)
		}
		_, err = h.NewToken(t.Context(), analyst, "north")
		if !errors.Is(err, ErrState) {
			t.Fatalf("a token for who is leaving: %v", err)
		}
		must(t, h.Move(t.Context(), official, "north", Terminated, "the purge is attested"))
		_, _, err = h.NodeByCertificate(t.Context(), db, c)
		if !errors.Is(err, ErrRevoked) {
			t.Fatalf("terminated: %v", err)
		}
		steps, err := Steps(t.Context(), db, "provider", "north")
		must(t, err)
		if len(steps) != 15 || steps[14].State != string(Terminated) || steps[14].Person != "Ott" {
			t.Fatalf("%d steps, the last %+v", len(steps), steps[len(steps)-1])
		}
		_, err = audit.Verify(t.Context(), db)
		must(t, err)
		p, err := GetProvider(t.Context(), db, "north")
		must(t, err)
		want := Provider{
			ID: "north", Name: "Provider north", State: Terminated, Services: contract.DNS | contract.SMTP, Ceiling: contract.Amber, Terms: 1,
			NotBefore: h.now.UTC(), NotAfter: h.now.UTC().AddDate(3, 0, 0), Created: h.now.UTC(),
		}
		if d := cmp.Diff(want, p); d != "" {
			t.Fatal(d)
		}
	})
}

func TestClearance(t *testing.T) {
	for _, c := range []struct {
		text    string
		ceiling contract.TLP
		want    string
		ok      bool
	}{
		{"", contract.Red, "", true},
		{" s//si rel usa ", contract.Amber, "S//SI REL USA TLP:AMBER", true},
		{"S TLP:AMBER", contract.Amber, "S TLP:AMBER", true},
		{"S TLP:RED", contract.Amber, "", false},
		{"secret", contract.Amber, "", false},
		{"U", contract.Clear, "U TLP:CLEAR", true},
	} {
		got, err := clearance(c.text, c.ceiling)
		if got != c.want || (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInput) {
			t.Errorf("%q under %s: %q, %v", c.text, c.ceiling, got, err)
		}
	}
}

func TestProviderRefusals(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	h := newHouse(t, db)
	ctx := t.Context()
	must(t, h.Register(ctx, analyst, "south", "South"))
	must(t, h.Move(ctx, everything, "south", EligibilityReview, "good reason"))
	must(t, h.Move(ctx, everything, "south", Eligible, "good reason"))
	must(t, h.Move(ctx, everything, "south", MOANegotiation, "good reason"))
	must(t, h.Move(ctx, everything, "south", MOAInForce, "good reason"))
	must(t, h.Move(ctx, everything, "south", SecurityValidation, "good reason"))
	terms := Accreditation{Services: contract.DNS, Ceiling: contract.Green}
	for name, c := range map[string]struct {
		err  error
		want error
	}{
		"taken name":          {h.Register(ctx, analyst, "south", "Other"), ErrExists},
		"bad name":            {h.Register(ctx, analyst, "South East", "Other"), ErrInput},
		"no role":             {h.Register(ctx, assessor, "west", "West"), ErrRole},
		"nobody":              {h.Register(ctx, signin.Account{Roles: []string{roleAnalyst}}, "west", "West"), ErrRole},
		"no such provider":    {h.Move(ctx, analyst, "east", EligibilityReview, "good reason"), ErrNotFound},
		"a leap":              {h.Move(ctx, analyst, "south", Operational, "good reason"), ErrState},
		"no reason":           {h.Move(ctx, analyst, "south", Withdrawn, "  "), ErrInput},
		"SOD-3, one person":   {h.Move(ctx, everything, "south", Validated, "good reason"), ErrPerson},
		"accredit by move":    {h.Move(ctx, official, "south", Accredited, "good reason"), ErrInput},
		"accredit too early":  {h.Accredit(ctx, official, "south", terms, "good reason"), ErrState},
		"accredit nothing":    {h.Accredit(ctx, official, "south", Accreditation{}, "good reason"), ErrInput},
		"accredit backwards":  {h.Accredit(ctx, official, "south", Accreditation{Services: contract.DNS, NotBefore: h.now, NotAfter: h.now.Add(-1)}, "good reason"), ErrInput},
		"token too early":     {func() error { _, err := h.NewToken(ctx, analyst, "south"); return err }(), ErrState},
		"token without role":  {func() error { _, err := h.NewToken(ctx, assessor, "south"); return err }(), ErrRole},
		"revoke what is not":  {h.Revoke(ctx, analyst, "00", "good reason"), ErrNotFound},
		"source without role": {h.PutSource(ctx, assessor, Source{ID: "x"}), ErrRole},
		"source without name": {h.PutSource(ctx, analyst, Source{ID: "x", Reliability: "A"}), ErrInput},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if got := Next(assessor, SecurityValidation); !cmp.Equal(got, []State{Remediation, Validated}) {
		t.Errorf("an assessor may go to %v", got)
	}
}

// Every state but the two ends has a way out, and every way begins and ends at
// a state that exists.
func TestWays(t *testing.T) {
	known, out := map[State]bool{}, map[State]bool{}
	for _, s := range States {
		known[s] = true
	}
	for _, w := range ways {
		if !known[w.from] || !known[w.to] || len(w.roles) == 0 {
			t.Errorf("way %+v", w)
		}
		out[w.from] = true
	}
	for s := range known {
		if out[s] == (s == Terminated || s == Withdrawn) {
			t.Errorf("%s: leaves %v", s, out[s])
		}
	}
}

func TestTokenOnce(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.accredited(t, "north")
		tok, err := h.NewToken(t.Context(), analyst, "north")
		must(t, err)
		const nodes = 8
		var wg sync.WaitGroup
		got := make(chan error, nodes)
		for i := range nodes {
			_, csr := request(t, fmt.Sprintf("node-%d", i))
			wg.Go(func() {
				_, err := h.Enrol(t.Context(), contract.Enrolment{Token: tok.Text, CSR: csr})
				got <- err
			})
		}
		wg.Wait()
		close(got)
		won := 0
		for err := range got {
			if err == nil {
				won++
			} else if !errors.Is(err, ErrToken) {
				t.Error(err)
			}
		}
		list, err := Nodes(t.Context(), db, "north")
		must(t, err)
		if won != 1 || len(list) != 1 {
			t.Fatalf("%d enrolments and %d nodes by one token", won, len(list))
		}
		var kept int
		must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM token WHERE hash = $1", tok.Text).Scan(&kept))
		if kept != 0 {
			t.Fatal("the token itself is stored")
		}
	})
}

func TestEnrolment(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	h := newHouse(t, db)
	h.accredited(t, "north")
	ctx := t.Context()
	tok, err := h.NewToken(ctx, analyst, "north")
	must(t, err)
	if !strings.HasPrefix(tok.Pin, "sha256:") || len(tok.Text) != 39 {
		t.Fatalf("token %q, pin %q", tok.Text, tok.Pin)
	}
	key, csr := request(t, "node-1")
	_, bad := request(t, "node-1")
	bad[len(bad)-1] ^= 1
	_, err = h.Enrol(ctx, contract.Enrolment{Token: tok.Text, CSR: bad})
	if !errors.Is(err, ErrInput) {
		t.Fatalf("a request whose signature is wrong: %v", err)
	}
	// Typed with blanks and capitals; and again, since the answer was lost.
	for range 2 {
		out, err := h.Enrol(ctx, contract.Enrolment{Token: " " + strings.ToUpper(strings.ReplaceAll(tok.Text, "-", " ")), CSR: csr})
		must(t, err)
		c := parse(t, out)
		if out.Provider != "north" || out.Services != contract.DNS|contract.SMTP || out.Verifier != "verifier" || !key.PublicKey.Equal(c.PublicKey) {
			t.Fatalf("%+v", out)
		}
		n, p, err := h.NodeByCertificate(ctx, db, c)
		if err != nil || n.Name != "node-1" || p.ID != "north" {
			t.Fatalf("%+v %+v %v", n, p, err)
		}
	}
	h.now = h.now.Add(25 * time.Hour)
	_, err = h.Enrol(ctx, contract.Enrolment{Token: tok.Text, CSR: csr})
	if !errors.Is(err, ErrToken) {
		t.Fatalf("a token after its end: %v", err)
	}
	tok, err = h.NewToken(ctx, analyst, "north")
	must(t, err)
	must(t, h.move(ctx, systemAccount, "north", Operational, "for the test"))
	must(t, h.Move(ctx, analyst, "north", Suspended, "good reason"))
	_, err = h.Enrol(ctx, contract.Enrolment{Token: tok.Text, CSR: csr})
	if !errors.Is(err, ErrSuspended) {
		t.Fatalf("suspended: %v", err)
	}
	must(t, h.Move(ctx, official, "north", Operational, "good reason"))
	_, err = h.Enrol(ctx, contract.Enrolment{Token: tok.Text, CSR: csr})
	must(t, err) // the refusal did not use the token up
}

func TestRenewAndRevoke(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		h.accredited(t, "north")
		ctx := t.Context()
		c := h.enrolled(t, "north", "node-1")
		_, csr := request(t, "node-1")
		_, other := request(t, "node-2")
		_, err := h.Renew(ctx, c, other)
		if !errors.Is(err, ErrInput) {
			t.Fatalf("under another name: %v", err)
		}
		h.now = h.now.Add(7 * 24 * time.Hour)
		_, _, err = h.NodeByCertificate(ctx, db, c)
		if !errors.Is(err, ErrExpired) {
			t.Fatalf("after its end: %v", err)
		}
		out, err := h.Renew(ctx, c, csr)
		must(t, err)
		next := parse(t, out)
		_, _, err = h.NodeByCertificate(ctx, db, next)
		must(t, err)
		h.now = h.now.Add(40 * 24 * time.Hour)
		_, err = h.Renew(ctx, next, csr)
		if !errors.Is(err, ErrTooLate) {
			t.Fatalf("much later: %v", err)
		}
		last := h.enrolled(t, "north", "node-1")
		n, _, err := h.NodeByCertificate(ctx, db, last)
		must(t, err)
		must(t, h.Revoke(ctx, analyst, n.Serial, "the machine was lost"))
		_, _, err = h.NodeByCertificate(ctx, db, last)
		if !errors.Is(err, ErrRevoked) {
			t.Fatalf("revoked: %v", err)
		}
		_, err = h.Renew(ctx, last, csr)
		if !errors.Is(err, ErrRevoked) {
			t.Fatalf("renewed though revoked: %v", err)
		}
		stranger := newHouse(t, sqldbtest.Lite(t, open))
		stranger.accredited(t, "north")
		_, _, err = h.NodeByCertificate(ctx, db, stranger.enrolled(t, "north", "node-1"))
		if !errors.Is(err, ErrUnknown) {
			t.Fatalf("of another authority: %v", err)
		}
	})
}

func TestOperateOnEnrol(t *testing.T) {
	h := newHouse(t, sqldbtest.Lite(t, open))
	h.cfg.OperateOnEnrol = true
	h.accredited(t, "north")
	h.enrolled(t, "north", "a")
	h.enrolled(t, "north", "b")
	p, err := GetProvider(t.Context(), h.db, "north")
	if err != nil || p.State != Operational {
		t.Fatalf("%s, %v", p.State, err)
	}
}

func TestSweep(t *testing.T) {
	h := newHouse(t, sqldbtest.Lite(t, open))
	h.accredited(t, "north")
	h.enrolled(t, "north", "a")
	must(t, h.Move(t.Context(), official, "north", Operational, "good reason"))
	h.now = h.now.AddDate(3, 0, 13)
	must(t, h.sweep(t.Context()))
	p, _ := GetProvider(t.Context(), h.db, "north")
	if p.State != Operational {
		t.Fatalf("within the grace: %s", p.State)
	}
	h.now = h.now.AddDate(0, 0, 2)
	must(t, h.sweep(t.Context()))
	p, _ = GetProvider(t.Context(), h.db, "north")
	if p.State != Suspended {
		t.Fatalf("after the grace: %s", p.State)
	}
	var n int
	must(t, h.db.QueryRowContext(t.Context(), "SELECT count(*) FROM token").Scan(&n))
	if n != 0 {
		t.Fatalf("%d old tokens", n)
	}
}

func TestSectorsAndCoverage(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		must(t, h.Prepare(t.Context())) // the second start
		ctx := t.Context()
		sectors, err := Sectors(ctx, db)
		must(t, err)
		two := 0
		for i, s := range sectors {
			if s.Number != contract.Sector(i+1) || len(s.Agencies) == 0 {
				t.Errorf("sector %+v", s)
			}
			if len(s.Agencies) == 2 {
				two++
			}
		}
		if len(sectors) != 16 || two != 3 || sectors[7].Name != "Energy" || sectors[7].Agencies[0] != "DOE" {
			t.Fatalf("%d sectors, %d with two agencies", len(sectors), two)
		}
		must(t, h.Nominate(ctx, analyst, Entity{ID: "grid", Name: "Grid", Criterion: "critical infrastructure", Sectors: []contract.Sector{8, 3, 8}}))
		must(t, h.Nominate(ctx, analyst, Entity{ID: "dam", Name: "Dam", Sectors: []contract.Sector{5}}))
		must(t, h.Nominate(ctx, analyst, Entity{ID: "bank", Name: "Bank", Sectors: []contract.Sector{9}}))
		for _, s := range []EntityState{Submitted, Determination} {
			must(t, h.MoveEntity(ctx, analyst, "grid", s, "good reason"))
			must(t, h.MoveEntity(ctx, analyst, "bank", s, "good reason"))
		}
		must(t, h.MoveEntity(ctx, everything, "grid", EntityValidated, "criterion 1, basis stated"))
		must(t, h.MoveEntity(ctx, everything, "bank", NotValidated, "criterion 1 is not met"))
		for name, c := range map[string]struct{ err, want error }{
			"leap":      {h.MoveEntity(ctx, analyst, "dam", EntityValidated, "good reason"), ErrState},
			"no entity": {h.MoveEntity(ctx, analyst, "x", Submitted, "good reason"), ErrNotFound},
			"no sector": {h.Nominate(ctx, analyst, Entity{ID: "x", Name: "X"}), ErrInput},
			"sector 17": {h.Nominate(ctx, analyst, Entity{ID: "x", Name: "X", Sectors: []contract.Sector{17}}), ErrInput},
			"taken":     {h.Nominate(ctx, analyst, Entity{ID: "dam", Name: "X", Sectors: []contract.Sector{1}}), ErrExists},
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%s: %v", name, c.err)
			}
		}
		must(t, h.MoveEntity(ctx, analyst, "bank", Determination, "it appeals"))
		err = h.MoveEntity(ctx, everything, "bank", EntityValidated, "on second thought")
		if !errors.Is(err, ErrPerson) {
			t.Fatalf("an appeal to the same person: %v", err)
		}
		list, err := Entities(ctx, db)
		must(t, err)
		if len(list) != 3 || list[2].ID != "grid" || !cmp.Equal(list[2].Sectors, []contract.Sector{3, 8}) {
			t.Fatalf("%+v", list)
		}
		cover, err := CoverageBySector(ctx, db)
		must(t, err)
		got := map[contract.Sector][3]int{}
		for _, c := range cover {
			got[c.Number] = [3]int{c.Candidates, c.Validated, c.NotValidated}
		}
		want := map[contract.Sector][3]int{}
		for i := range 16 {
			want[contract.Sector(i+1)] = [3]int{}
		}
		want[3], want[8], want[5], want[9] = [3]int{0, 1, 0}, [3]int{0, 1, 0}, [3]int{1, 0, 0}, [3]int{1, 0, 0}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
}

func TestSources(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := newHouse(t, db)
		s := Source{
			ID: "agency-a", Name: "Agency A", Agency: "A", Authority: "agreement 1", AuthorityUntil: h.now.Add(time.Hour).UTC(),
			Purpose: "network defense", Ceiling: contract.AmberStrict, Reliability: "B",
		}
		must(t, h.PutSource(t.Context(), analyst, s))
		s.AuthorityUntil = h.now.Add(2 * time.Hour).UTC()
		created := h.now.UTC()
		h.now = h.now.Add(90 * time.Minute)
		must(t, h.PutSource(t.Context(), analyst, s))
		got, err := GetSource(t.Context(), db, "agency-a")
		must(t, err)
		s.Created = created
		if d := cmp.Diff(s, got); d != "" {
			t.Fatal(d)
		}
		if !got.Alive(h.now) || got.Alive(h.now.Add(time.Hour)) {
			t.Fatal("the authority does not end when it ends")
		}
		all, err := Sources(t.Context(), db)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d sources, %v", len(all), err)
		}
		_, err = GetSource(t.Context(), db, "x")
		if !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	})
}
