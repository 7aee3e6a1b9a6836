package feedback

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func openStore(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

var (
	now   = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	today = contract.DayOf(now, 24*time.Hour)
	id    = mustID("indicator--11111111-1111-4111-8111-111111111111") // released to alpha for DNS
	other = mustID("indicator--22222222-2222-4222-8222-222222222222") // released to alpha for SMTP
)

func mustID(s string) contract.ID {
	id, err := contract.ParseID(s)
	if err != nil {
		panic(err)
	}
	return id
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newLedger(t testing.TB, db *sqldb.DB) *Ledger {
	t.Helper()
	l, err := New(db, Config{Now: func() time.Time { return now }})
	must(t, err)
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		exec := func(q string, args ...any) {
			_, err := tx.ExecContext(t.Context(), q, args...)
			must(t, err)
		}
		for _, p := range []string{"alpha", "beta"} {
			exec(`INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ($1, $1, 'OPERATIONAL', 3, 0, 0, 0, 0)`, p)
		}
		exec(`INSERT INTO handling (number, digest, text) VALUES (1, 'x', 'TLP:CLEAR')`)
		for i, x := range []contract.ID{id, other} {
			exec(`INSERT INTO item (number, pivot, handling, labels, id, state, version, pattern, pattern_key, kind, value, services, category, action, confidence, tlp,
				enforce, display, notify, disclosure, summary, context, privacy, submitter, valid_from, valid_until, observed, created, modified)
				VALUES ($2, '', 1, '', $1, 'IN_FORCE', 1, 'p', $1, 'domain', 'v', 3, 2, 1, 50, 1, true, true, true, 0, '', '', '', '', 0, 0, 0, 0, 0)`, x.String(), i+1)
			for _, p := range []string{"alpha", "beta"} {
				exec(`INSERT INTO delivery (item, provider, service, add_seq, until, queued) VALUES ($1, $2, $3, $4, 0, $5)`,
					x.String(), p, int64(contract.DNS)<<i, i+1, sqldb.Time(now.Add(-10*24*time.Hour)))
			}
		}
		return nil
	}))
	return l
}

func cell(t testing.TB, x contract.ID, sector contract.Sector, events, customers, wrong contract.Bucket, day contract.Day) contract.Feedback {
	t.Helper()
	f, err := contract.NewFeedback(x, contract.Phishing, sector, contract.Sinkhole, events, customers, wrong, day, day)
	must(t, err)
	return f
}

func window(t testing.TB, day contract.Day, svc contract.Services, cells ...contract.Feedback) []byte {
	t.Helper()
	w := contract.Window{Day: day, Service: svc, Rules: 1, Cells: cells}
	b, err := w.Bytes()
	must(t, err)
	return b
}

func TestAccept(t *testing.T) {
	day := today - 1
	good := func(t *testing.T) []byte { return window(t, day, contract.DNS, cell(t, id, 3, 20, 5, 0, day)) }
	tests := []struct {
		name string
		body func(t *testing.T) []byte
		want Code
	}{
		{"a good window", good, ""},
		{"no cells at all", func(t *testing.T) []byte { return window(t, day-1, contract.SMTP) }, ""},
		{"only the category told", func(t *testing.T) []byte {
			return window(t, day-2, contract.DNS, cell(t, contract.ID{}, 0, 20, 5, 0, day-2))
		}, ""},
		{"a late event of the day before", func(t *testing.T) []byte { return window(t, day-3, contract.DNS, cell(t, id, 0, 20, 5, 0, day-4)) }, ""},
		{"other bytes for the same day", func(t *testing.T) []byte { return window(t, day, contract.DNS, cell(t, id, 3, 50, 5, 0, day)) }, Conflict},
		{"today", func(t *testing.T) []byte { return window(t, today, contract.DNS, cell(t, id, 3, 20, 5, 0, today)) }, NotOver},
		{"too long ago", func(t *testing.T) []byte {
			return window(t, today-36, contract.DNS, cell(t, id, 3, 20, 5, 0, today-36))
		}, TooOld},
		{"too few events", func(t *testing.T) []byte { return window(t, day, contract.SMTP, cell(t, other, 3, 5, 5, 0, day)) }, BelowMinimum},
		{"more customers than events", func(t *testing.T) []byte { return window(t, day, contract.SMTP, cell(t, other, 3, 10, 20, 0, day)) }, Implausible},
		{"days after the window", func(t *testing.T) []byte { return window(t, day, contract.SMTP, cell(t, other, 3, 20, 5, 0, today)) }, WrongDays},
		{"an indicator for another service", func(t *testing.T) []byte { return window(t, day, contract.SMTP, cell(t, id, 3, 20, 5, 0, day)) }, NotReleased},
		{"an indicator nobody has", func(t *testing.T) []byte {
			return window(t, day, contract.SMTP, cell(t, contract.NewID(), 3, 20, 5, 0, day))
		}, NotReleased},
		{"before it was released", func(t *testing.T) []byte {
			return window(t, today-20, contract.DNS, cell(t, id, 3, 20, 5, 0, today-20))
		}, NotReleased},
		{"another category", func(t *testing.T) []byte {
			f, err := contract.NewFeedback(other, contract.Scanning, 3, contract.Alert, 20, 5, 0, day, day)
			must(t, err)
			return window(t, day, contract.SMTP, f)
		}, WrongCategory},
		{"the same cell twice", func(t *testing.T) []byte {
			return window(t, day, contract.SMTP, cell(t, other, 3, 20, 5, 0, day), cell(t, other, 3, 50, 5, 0, day))
		}, Doubled},
		{"a service that it does not run", func(t *testing.T) []byte { return window(t, day, contract.NetFlow) }, NotAccredited},
		{"rules of the future", func(t *testing.T) []byte {
			return bytes.Replace(window(t, day, contract.SMTP), []byte(`"rules":1`), []byte(`"rules":2`), 1)
		}, WrongRules},
		{"a client address", func(t *testing.T) []byte {
			return bytes.Replace(good(t), []byte(`"day"`), []byte(`"client":"192.0.2.7","day"`), 1)
		}, Forbidden},
		{"a mail address for an identifier", func(t *testing.T) []byte {
			return bytes.Replace(good(t), []byte(id.String()), []byte("someone@example.com"), 1)
		}, Forbidden},
		{"a bare IPv6 address", func(t *testing.T) []byte {
			return bytes.Replace(good(t), []byte(`20,`), []byte(`2001:0db8:0000:0000:0000:0000:0000:0001,`), 1)
		}, Forbidden},
		{"a fraction", func(t *testing.T) []byte { return bytes.Replace(good(t), []byte(`20,`), []byte(`20.5,`), 1) }, Forbidden},
		{"a known field twice", func(t *testing.T) []byte {
			return bytes.Replace(good(t), []byte(`"rules":1`), []byte(`"rules":1,"rules":1`), 1)
		}, Schema},
		{"a count that is no bucket", func(t *testing.T) []byte {
			return bytes.Replace(good(t), []byte(`"events":20`), []byte(`"events":21`), 1)
		}, Schema},
		{"cut short", func(t *testing.T) []byte { b := good(t); return b[:len(b)-9] }, Schema},
	}
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l := newLedger(t, db)
		refused := 0
		for _, c := range tests {
			body := c.body(t)
			for range 2 { // the second time changes nothing
				err := l.Accept(t.Context(), "alpha", body)
				var r *Refused
				errors.As(err, &r)
				switch {
				case c.want == "" && err != nil:
					t.Fatalf("%s: %v", c.name, err)
				case c.want != "" && (r == nil || r.Code != c.want):
					t.Fatalf("%s: got %v, want %s", c.name, err, c.want)
				}
			}
			if c.want != "" {
				refused++
			}
		}
		got, err := l.Refusals(t.Context(), db, "", 1000)
		must(t, err)
		if len(got) != refused {
			t.Fatalf("%d refusals kept, want %d", len(got), refused)
		}
		ws, err := l.Windows(t.Context(), db, "alpha", 0)
		must(t, err)
		if len(ws) != 4 {
			t.Fatalf("%d windows kept", len(ws))
		}
		body, err := l.Body(t.Context(), db, "alpha", day, contract.DNS)
		must(t, err)
		if !bytes.Equal(body, good(t)) {
			t.Fatalf("kept %q", body)
		}
		err = l.Accept(t.Context(), "nobody", good(t))
		if !errors.Is(err, ErrProvider) {
			t.Fatal(err)
		}
	})
}

// What a refused window said must not come back in a reason, a log or a table.
func TestRefusalRepeatsNothing(t *testing.T) {
	db := sqldbtest.Lite(t, openStore)
	l := newLedger(t, db)
	for _, secret := range []string{"smuggled.example", "192.0.2.99", "Jane Doe"} {
		err := l.Accept(t.Context(), "alpha", []byte(`{"`+secret+`":1}`))
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Fatalf("error: %v", err)
		}
		var n int
		must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM feedback_refusal WHERE reason LIKE $1`, "%"+secret+"%").Scan(&n))
		if n != 0 {
			t.Fatal("the reason repeats it")
		}
	}
}

func TestTabulate(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l := newLedger(t, db)
		day := today - 1
		must(t, l.Accept(t.Context(), "alpha", window(t, day, contract.DNS,
			cell(t, id, 3, 20, 5, 0, day), cell(t, id, 0, 50, 10, 5, day), cell(t, contract.ID{}, 0, 100, 5, 0, day))))
		must(t, l.Accept(t.Context(), "alpha", window(t, day-1, contract.DNS, cell(t, id, 3, 20, 5, 0, day-1))))
		must(t, l.Accept(t.Context(), "beta", window(t, day, contract.DNS, cell(t, id, 4, 20, 10, 0, day))))
		tests := []struct {
			by   By
			want Table
		}{
			{ByIndicator, Table{Withheld: 50, Cells: 5, Lines: []Line{
				{Indicator: id, Category: contract.Phishing, Events: 100, Customers: 20, Wrong: 5, Providers: 2, First: day - 1, Last: day},
			}}},
			{ByService, Table{Cells: 5, Lines: []Line{
				{Service: contract.DNS, Events: 100, Customers: 20, Wrong: 5, Providers: 2, First: day - 1, Last: day},
			}}},
			{ByCategory, Table{Cells: 5, Lines: []Line{
				{Category: contract.Phishing, Events: 100, Customers: 20, Wrong: 5, Providers: 2, First: day - 1, Last: day},
			}}},
			{BySector, Table{Withheld: 75, Cells: 5, Lines: []Line{
				{Sector: 3, Events: 20, Customers: 5, Providers: 1, First: day - 1, Last: day},
				{Sector: 4, Events: 20, Customers: 10, Providers: 1, First: day, Last: day},
			}}},
		}
		for _, c := range tests {
			got, err := l.Tabulate(t.Context(), db, Query{By: c.by, From: day - 5, To: day})
			must(t, err)
			d := cmp.Diff(c.want, got)
			if d != "" {
				t.Fatalf("%s (-want +got):\n%s", c.by, d)
			}
		}
		// Stricter rules later: what was accepted under the old ones is thresholded again.
		l.cfg.Rules.MinCustomers = 10
		got, err := l.Tabulate(t.Context(), db, Query{By: BySector, From: day - 5, To: day})
		must(t, err)
		if len(got.Lines) != 1 || got.Lines[0].Sector != 4 || got.Withheld != 95 {
			t.Fatalf("%+v", got)
		}
	})
}

func TestRefusalsAreBounded(t *testing.T) {
	db := sqldbtest.Lite(t, openStore)
	l := newLedger(t, db)
	at := now
	l.cfg.Now = func() time.Time { at = at.Add(time.Second); return at }
	for i := range maxRefusals + 20 {
		err := l.Accept(t.Context(), "alpha", []byte(fmt.Sprint("x", i)))
		if err == nil {
			t.Fatal("accepted")
		}
	}
	var n int
	must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM feedback_refusal`).Scan(&n))
	if n != maxRefusals {
		t.Fatalf("%d refusals kept", n)
	}
}

// Whatever comes: no panic, and what passes both checks is canonical and holds
// none of the signs that an address or a name would need.
func FuzzRead(f *testing.F) {
	w := contract.Window{Day: today - 1, Service: contract.DNS, Rules: 1}
	c, err := contract.NewFeedback(id, contract.Phishing, 1, contract.Sinkhole, 20, 5, 0, today-1, today-1)
	if err != nil {
		f.Fatal(err)
	}
	w.Cells = append(w.Cells, c)
	body, err := w.Bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"day":1,"service":"dns","rules":1,"cells":[]}`))
	f.Add([]byte(`{"a.example":"x@y"}`))
	l, err := New(nil, Config{Now: func() time.Time { return now }})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := l.read(body, contract.AllServices)
		if err != nil {
			return
		}
		again, err := w.Bytes()
		if err != nil || !bytes.Equal(again, body) || bytes.ContainsAny(body, ".@/\\%") {
			t.Fatalf("accepted %q", body)
		}
	})
}
