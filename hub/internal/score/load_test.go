package score_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/score"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

// desk writes rows as intake and the release desk do.
type desk struct {
	t        testing.TB
	tx       *sql.Tx
	handling int64
	mention  int64
}

func (d *desk) exec(query string, args ...any) {
	d.t.Helper()
	_, err := d.tx.ExecContext(d.t.Context(), query, args...)
	if err != nil {
		d.t.Fatal(err)
	}
}

func furnish(t testing.TB, db *sqldb.DB, f func(*desk)) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		d := &desk{t: t, tx: tx}
		var err error
		d.handling, err = indicator.Intern(t.Context(), tx, "TLP:AMBER")
		if err != nil {
			return err
		}
		f(d)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (d *desk) source(id, agency, reliability string) {
	d.exec(`INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES ($1, $1, $2, 'a', 0, 'p', 4, $3, 1)`, id, agency, reliability)
}

func (d *desk) batch(n int64, source string, at time.Time, accepted, duplicate, refused int64) {
	d.exec(`INSERT INTO batch (number, id, source, name, format, digest, bytes, submitter, received, accepted, duplicate, refused) VALUES
		($1, $2, $3, 'f', 'csv', $2, 1, 'gil', $4, $5, $6, $7)`, n, fmt.Sprint("batch", n), source, sqldb.Time(at), accepted, duplicate, refused)
}

func (d *desk) item(n int, change func(*indicator.Item)) *indicator.Item {
	it := &indicator.Item{
		ID: contract.ID{0: 1, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}, State: indicator.PendingFirst, Version: 1,
		Pattern: fmt.Sprintf("[domain-name:value = 'h%d.example']", n), Kind: observable.Domain, Value: fmt.Sprintf("h%d.example", n),
		Services: contract.DNS, Handling: d.handling, TLP: contract.Amber, Display: true, ValidFrom: now, ValidUntil: now.AddDate(0, 1, 0),
		Observed: now, Created: now.Add(-10 * day), Modified: now,
	}
	change(it)
	err := indicator.Insert(d.t.Context(), d.tx, it)
	if err != nil {
		d.t.Fatal(err)
	}
	return it
}

// named writes one mention: observed days ago, -1 for unsaid.
func (d *desk) named(it *indicator.Item, batch int64, source string, confidence, credibility int, observed float64, revoked bool) {
	d.mention++
	var seen int64
	if observed >= 0 {
		seen = sqldb.Time(now.Add(-time.Duration(observed * float64(day))))
	}
	d.exec(`INSERT INTO item_source (mention, number, batch, source, place, reference, reference_key, version, revoked, credibility, confidence, handling, observed, original, at)
		VALUES ($1, $2, $3, $4, 'line 1', 'r', 1, 0, $5, $6, $7, $8, $9, '', $10)`,
		d.mention, it.Number, batch, source, revoked, int64(credibility), int64(confidence), d.handling, seen, sqldb.Time(now.Add(-5*day)))
}

func (d *desk) decide(it *indicator.Item, kind, verdict string) {
	d.exec(`INSERT INTO decision (id, item, kind, verdict, login, person, reason, at) VALUES ($1, $2, $3, $4, 'rita', 'Rita', 'because', 1)`,
		fmt.Sprint(it.ID, kind), it.ID.String(), kind, verdict)
}

func (d *desk) reports(provider string, last contract.Day, cells ...[3]any) {
	d.exec(`INSERT INTO feedback_window (provider, day, service, rules, body, received) VALUES ($1, $2, 1, 1, '', 1)`, provider, int64(last))
	for i, c := range cells {
		d.exec(`INSERT INTO feedback_cell (provider, day, service, number, item, category, sector, action, events, customers, wrong, first_day, last_day)
			VALUES ($1, $2, 1, $3, $4, 0, 0, 0, $5, 5, $6, $2, $2)`, provider, int64(last), int64(i), c[0].(contract.ID).String(), int64(c[1].(int)), int64(c[2].(int)))
	}
}

func TestLoad(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		today := contract.DayOf(now, day)
		var force *indicator.Item
		furnish(t, db, func(d *desk) {
			d.source("cedar", "Cedar Agency", "B")
			d.source("dogwood", "Dogwood", "A")
			d.source("mirror", "Cedar Agency", "A")
			d.exec(`INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ('alder', 'Alder', 'OPERATIONAL', 7, 4, 1, 2, 1), ('birch', 'Birch', 'OPERATIONAL', 7, 4, 1, 2, 1)`)
			d.batch(1, "cedar", now.Add(-40*day), 2, 0, 9) // before the time
			d.batch(2, "dogwood", now.Add(-6*day), 30, 0, 0)
			d.batch(3, "cedar", now.Add(-5*day), 7, 1, 3)
			d.batch(4, "cedar", now.Add(-4*day), 1, 1, 0)
			for i, code := range []string{"SYNTAX", "SYNTAX"} { // of three, two were kept
				d.exec(`INSERT INTO refusal (batch, number, place, code, reason, excerpt) VALUES (3, $1, 'line 1', $2, '', '')`, int64(i), code)
			}
			released := func(state indicator.State, hours int) func(*indicator.Item) {
				return func(it *indicator.Item) {
					it.State, it.Released = state, now.Add(-5*day).Add(time.Duration(hours)*time.Hour)
					if state.Ended() {
						it.Ended = now
					}
				}
			}
			ended := func(state indicator.State) func(*indicator.Item) {
				return func(it *indicator.Item) { it.State, it.Ended = state, now }
			}
			older := d.item(1, func(*indicator.Item) {})
			d.named(older, 1, "cedar", 50, 0, 41, false)
			known := d.item(2, func(*indicator.Item) {})
			d.named(known, 2, "dogwood", 90, 1, 7, false)
			force = d.item(3, released(indicator.InForce, 2))
			force.Category = contract.Phishing
			wrong, recalled, silent := d.item(4, released(indicator.Revoked, 4)), d.item(5, released(indicator.Revoked, 6)), d.item(6, released(indicator.InForce, 8))
			rejected, returned := d.item(7, ended(indicator.Rejected)), d.item(8, func(it *indicator.Item) {
				it.State, it.Ended, it.Value = indicator.Purged, now, ""
			})
			d.named(older, 3, "cedar", 50, 0, 6, false) // again
			d.named(known, 3, "cedar", -1, 0, -1, false)
			d.named(force, 3, "cedar", 80, 2, 200, false)
			d.named(wrong, 3, "cedar", 70, 0, 6, false)
			d.named(recalled, 3, "cedar", 70, 0, 6, false)
			d.named(silent, 3, "cedar", 70, 0, 6, false)
			d.named(rejected, 3, "cedar", 70, 0, 6, false)
			d.named(returned, 3, "cedar", 70, 0, 6, false)
			d.named(force, 2, "dogwood", 60, 3, 3, false)
			d.named(force, 4, "cedar", 85, 2, 4, false) // again, and sure of more
			d.named(rejected, 4, "cedar", 70, 0, 6, true)
			d.named(force, 2, "mirror", 70, 0, 1, false)
			d.named(force, 2, "mirror", 70, 0, 1, true) // and took it back
			d.decide(wrong, indicator.KindRecall, score.VerdictFalsePositive)
			d.decide(recalled, indicator.KindRecall, indicator.KindRecall)
			d.decide(returned, indicator.KindReturn, indicator.KindReturn)
			for _, it := range []*indicator.Item{force, wrong, recalled} {
				d.exec(`INSERT INTO target (item, provider, services) VALUES ($1, 'alder', 1)`, it.ID.String())
			}
			d.exec(`INSERT INTO target (item, provider, services) VALUES ($1, 'birch', 1)`, silent.ID.String())
			d.reports("birch", today-30) // before it was released
			d.reports("alder", today-2, [3]any{force.ID, 100, 5}, [3]any{wrong.ID, 20, 20})
		})
		in := score.Query{Source: "cedar", From: now.Add(-30 * day), To: now, Stale: fresh, Public: func(_ observable.Kind, v string, _ time.Time) score.Answer {
			return score.Known(v == "h3.example")
		}}
		c, err := score.Load(t.Context(), db, in)
		if err != nil {
			t.Fatal(err)
		}
		figure(t, &c, score.MetricStale, 1, 8, 1)
		figure(t, &c, score.MetricNew, 6, 7, 0)
		figure(t, &c, score.MetricNovel, 4, 6, 1)
		figure(t, &c, score.MetricDuplicate, 2, 9, 0)
		figure(t, &c, score.MetricRefused, 3, 12, 0)
		figure(t, &c, score.MetricWrong, 3, 5, 2)
		figure(t, &c, score.MetricFalsePositives, 1, 3, 1)
		figure(t, &c, score.MetricRejected, 1, 5, 2)
		figure(t, &c, score.MetricReturned, 1, 5, 2)
		figure(t, &c, score.MetricFired, 2, 3, 1)
		figure(t, &c, score.MetricConcentration, 10, 40, 0)
		if m := figure(t, &c, score.MetricRelease, 0, 4, 3); m.Median != 4*time.Hour {
			t.Errorf("median %s", m.Median)
		}
		if diff := cmp.Diff([]score.Count{{Name: "SYNTAX", N: 2}, {Name: "not kept", N: 1}}, c.Refusals); diff != "" || c.Partial || c.Recorded != "B" {
			t.Errorf("%+v: %s", c, diff)
		}
		in.Limit = 2
		c, err = score.Load(t.Context(), db, in)
		if err != nil || !c.Partial {
			t.Errorf("two of nine: partial %t, %v", c.Partial, err)
		}
		figure(t, &c, score.MetricDuplicate, 1, 2, 0) // the newest delivery first
		_, err = score.Load(t.Context(), db, score.Query{Source: "nobody"})
		if err == nil {
			t.Error("a source that is not there has a scorecard")
		}

		other := *force
		other.ID, other.Number = contract.ID{0: 9}, 999
		got, err := score.Gather(t.Context(), db, append(slices.Repeat([]indicator.Item{other}, 600), *force))
		if err != nil {
			t.Fatal(err)
		}
		e := got[600]
		if diff := cmp.Diff(score.Evidence{Kind: observable.Domain, Created: force.Created}, got[0]); diff != "" {
			t.Error(diff)
		}
		want := score.Evidence{
			Kind: observable.Domain, Created: force.Created,
			Statements: []score.Statement{
				{Source: "cedar", Origin: "Cedar Agency", Reliability: "B", Credibility: 2, Confidence: 85, At: now.Add(-4 * day)},
				{Source: "dogwood", Origin: "Dogwood", Reliability: "A", Credibility: 3, Confidence: 60, At: now.Add(-3 * day)},
			},
			Reports:        []score.Report{{Observer: "alder dns", At: (today - 2).Start(day), Events: 95}},
			FalsePositives: []score.FalsePositive{{Count: 5, Confirmed: true}},
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Error(diff)
		}
	})
}

// 50,000 mentions of 100,000 stored, half of them released.
func BenchmarkLoad(b *testing.B) {
	db := sqldbtest.Lite(b, open)
	const n = 50_000
	furnish(b, db, func(d *desk) {
		d.source("cedar", "Cedar Agency", "B")
		d.source("dogwood", "Dogwood", "A")
		d.batch(1, "dogwood", now.Add(-6*day), n, 0, 0)
		d.batch(2, "cedar", now.Add(-5*day), n, 0, 0)
		for i := range n {
			it := d.item(i, func(it *indicator.Item) {
				if i%2 == 0 {
					it.State, it.Released = indicator.InForce, now
				}
			})
			d.named(it, 1, "dogwood", 50, 0, 7, false)
			d.named(it, 2, "cedar", 50, 0, 6, false)
		}
	})
	in := score.Query{Source: "cedar", From: now.Add(-30 * day), To: now, Stale: fresh}
	for b.Loop() {
		c, err := score.Load(b.Context(), db, in)
		if err != nil || c.Metric(score.MetricNew).Denominator != n {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/mention")
}
