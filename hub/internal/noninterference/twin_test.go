package noninterference

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/release"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Those who are cleared for everything fill the hub; [hubtest.People] are cleared for
// [low]. What is above them is TLP:AMBER, which may be released.
const low = "U TLP:GREEN"

var (
	hugo = signin.Account{Login: "hugo", Person: "Hugo Higher", Roles: []string{"pmo_analyst"}}
	hope = signin.Account{Login: "hope", Person: "Hope High", Roles: []string{"pmo_analyst"}}
	rosa = signin.Account{Login: "rosa", Person: "Rosa Red", Roles: []string{"release_authority"}}
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// common is what both hubs hold: what the readers may see, and something above.
func common(t *testing.T, db *sqldb.DB) *hubtest.Hub {
	t.Helper()
	h := hubtest.On(t, db, signin.Config{Cookie: "h"})
	for _, a := range hubtest.People {
		must(t, access.Configure(t.Context(), db, a.Login, low))
	}
	for _, a := range []signin.Account{hugo, hope, rosa} {
		var err error
		h.Passwords[a.Login], err = h.Accounts.Create(t.Context(), a)
		must(t, err)
		must(t, access.Configure(t.Context(), db, a.Login, hubtest.Cleared))
	}
	h.Furnish(t)
	deliver(t, h, "cedar", "context.json", intake.STIX, "gil", bundle("low", "00", green))
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		// Whoever hands a delivery in knows what is in it: no reader here has.
		_, err := tx.ExecContext(t.Context(), `UPDATE batch SET submitter = 'hugo' WHERE name = 'week-47.csv'`)
		if err != nil {
			return err
		}
		return window(t, tx, h, contract.DNS, "other-source.example")
	}))
	h.Release(t, "other-source.example", release.Target{Provider: "alder", Services: contract.DNS})
	h.Load(t, "alder")
	h.Settle(t, func() bool { return h.Find(t, "other-source.example").State == "IN_FORCE" })
	return h
}

const (
	green = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	amber = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
)

// bundle is a campaign with an indicator, as a source would send it; two hexadecimal
// digits make its identifiers.
func bundle(name, digits, marking string) string {
	id := func(kind string) string {
		return kind + "--" + strings.Repeat(digits, 4) + "-0000-4000-8000-000000000001"
	}
	common := `"spec_version":"2.1","created":"2026-03-01T00:00:00.000Z","modified":"2026-03-01T00:00:00.000Z","object_marking_refs":["` + marking + `"]`
	until := begun.AddDate(0, 1, 0).Format("2006-01-02T15:04:05.000Z")
	return `{"type":"bundle","id":"` + id("bundle") + `","objects":[
		{"type":"malware","id":"` + id("malware") + `","name":"` + name + ` loader","is_family":true,` + common + `},
		{"type":"campaign","id":"` + id("campaign") + `","name":"` + name + ` campaign",` + common + `},
		{"type":"indicator","id":"` + id("indicator") + `","name":"c2","pattern":"[domain-name:value = '` + name + `-bundle.example']","pattern_type":"stix","valid_from":"2026-03-01T00:00:00Z","valid_until":"` + until + `","indicator_types":["malicious-activity"],` + common + `},
		{"type":"relationship","id":"` + id("relationship") + `","relationship_type":"indicates","source_ref":"` + id("indicator") + `","target_ref":"` + id("malware") + `",` + common + `}]}`
}

// malware gives the identifier of a bundle's malware.
func malware(digits string) string {
	return "malware--" + strings.Repeat(digits, 4) + "-0000-4000-8000-000000000001"
}

func deliver(t *testing.T, h *hubtest.Hub, source, name, format, by, text string) intake.Report {
	t.Helper()
	r, err := h.Intake.Submit(t.Context(), intake.Delivery{Source: source, Name: name, Format: format, Submitter: by}, strings.NewReader(text), nil)
	must(t, err)
	return r
}

// begun is the moment from which deliveries count: the same for both hubs.
var begun = time.Now().UTC()

// table writes a delivery in CSV.
func table(tlp string, values ...string) string {
	until, seen := begun.AddDate(0, 1, 0).Format(time.RFC3339), begun.Add(-24*time.Hour).Format(time.RFC3339)
	var b strings.Builder
	b.WriteString("value,category,confidence,tlp,valid_until,observed,summary\n")
	for _, v := range values {
		b.WriteString(v + ",c2,80," + tlp + "," + until + "," + seen + ",Control server\n")
	}
	return b.String()
}

// window adds feedback of a provider on an indicator.
func window(t *testing.T, tx *sql.Tx, h *hubtest.Hub, service contract.Services, value string) error {
	t.Helper()
	day := int64(contract.DayOf(time.Now(), 24*time.Hour)) - 2
	_, err := tx.ExecContext(t.Context(), `INSERT INTO feedback_window (provider, day, service, rules, body, received) VALUES ('alder', $1, $2, 1, '{}', $3)`,
		day, int64(service), sqldb.Time(time.Now()))
	if err != nil {
		return err
	}
	for n, item := range []string{h.Find(t, value).ID.String(), ""} {
		_, err = tx.ExecContext(t.Context(), `INSERT INTO feedback_cell (provider, day, service, number, item, category, sector, action, events, customers, wrong, first_day, last_day)
			VALUES ('alder', $1, $2, $3, $4, 1, 8, 0, 500, 50, 0, $1, $1)`, day, int64(service), int64(n+1), item)
		if err != nil {
			return err
		}
	}
	return nil
}

// above fills a hub with what the readers may not know of. It gives the identifiers of
// indicators and deliveries of which they must not learn.
func above(t *testing.T, h *hubtest.Hub) (items, batches []string) {
	t.Helper()
	ctx := t.Context()
	secret := []string{"high-parent.example", "high-1.example", "high-2.example", "high-3.example", "high-4.example", "high-5.example", "203.0.113.66", "kate.roe@high-mail.example"}
	r := deliver(t, h, "cedar", "high.csv", intake.CSV, "hugo", table("amber", secret...)+"not a value,c2,80,amber,,,\n")
	batches = append(batches, r.ID)
	r = deliver(t, h, "cedar", "high.json", intake.STIX, "hugo", bundle("high", "ff", amber))
	batches = append(batches, r.ID)
	for _, v := range append(secret, "high-bundle.example") {
		items = append(items, h.Find(t, v).ID.String())
	}
	for _, v := range secret[1:4] {
		ref := release.Ref{ID: h.Find(t, v).ID}
		must(t, h.Desk.First(ctx, hope, ref, hubtest.Why))
		_, err := h.Desk.Second(ctx, rosa, ref, hubtest.Why, []release.Target{{Provider: "alder", Services: contract.DNS}})
		must(t, err)
	}
	h.Load(t, "alder")
	must(t, h.Desk.Recall(ctx, rosa, release.Ref{ID: h.Find(t, secret[2]).ID}, hubtest.Why))
	h.Load(t, "alder")
	h.Refuse(t, "alder", contract.NoStorage)
	h.Settle(t, func() bool { return h.Find(t, secret[1]).State == "IN_FORCE" })
	must(t, h.Desk.Reject(ctx, hope, release.Ref{ID: h.Find(t, secret[5]).ID}, hubtest.Why))
	must(t, h.DB.Write(ctx, func(tx *sql.Tx) error {
		err := window(t, tx, h, contract.SMTP, secret[1])
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO feedback_refusal (provider, digest, reason, received) VALUES ('alder', 'aa', 'rules', $1)`, sqldb.Time(time.Now()))
		if err != nil {
			return err
		}
		// A delivery of which the readers know a part has more above their clearance.
		_, err = tx.ExecContext(ctx, `UPDATE batch SET accepted = accepted + 7, duplicate = 5, refused = refused + 1, bytes = bytes * 2, digest = 'bb', objects = 3,
			canonical = 2, position = position + 16 WHERE name = 'week-47.csv'`)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO refusal (batch, number, place, code, reason, excerpt)
			SELECT number, 99, 'line 99', 'BAD-VALUE', 'not a value', 'high-6.example' FROM batch WHERE name = 'week-47.csv'`)
		return err
	}))
	return items, batches
}

// after is delivered to both hubs when one of them holds more: what has come between
// must not show, not in numbers and not in what the checks find.
func after(t *testing.T, h *hubtest.Hub) (ids []string) {
	t.Helper()
	r := deliver(t, h, "cedar", "late.csv", intake.CSV, "gil", table("green", "late.example", "below.high-parent.example"))
	at := sqldb.Time(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))
	must(t, h.DB.Write(t.Context(), func(tx *sql.Tx) error {
		late := ` IN (SELECT s.number FROM item_source s JOIN batch b ON b.number = s.batch WHERE b.name = 'late.csv')`
		for _, q := range []string{
			`UPDATE item SET created = $1, modified = $1, valid_from = $1 WHERE number` + late,
			`UPDATE finding SET at = $1 WHERE number` + late,
			`UPDATE item_source SET at = $1 WHERE number` + late,
			`UPDATE batch SET received = $1, finished = $1 WHERE name = 'late.csv'`,
		} {
			_, err := tx.ExecContext(t.Context(), q, at)
			if err != nil {
				return err
			}
		}
		return nil
	}))
	return []string{r.ID, h.Find(t, "late.example").ID.String(), h.Find(t, "below.high-parent.example").ID.String()}
}

// rename gives what [after] brought the identifiers that it has in the other hub: they
// are random, and would be the only difference.
func rename(t *testing.T, db *sqldb.DB, from, to []string) {
	t.Helper()
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		for i := range from {
			table := "item"
			if i == 0 {
				table = "batch"
			}
			_, err := tx.ExecContext(t.Context(), `UPDATE `+table+` SET id = $2 WHERE id = $1`, from[i], to[i])
			if err != nil {
				return err
			}
		}
		return nil
	}))
}

// index brings the index of the search up to date.
func index(t *testing.T, db *sqldb.DB) {
	t.Helper()
	x := search.New(search.Config{DB: db, Many: 4})
	for range 1000 {
		worked, err := x.Step(t.Context())
		must(t, err)
		if !worked {
			return
		}
	}
	t.Fatal("the index is never up to date")
}

var tables = regexp.MustCompile(`(?m)^CREATE TABLE (\w+)`)

// twin copies a hub's database, row by row.
func twin(t *testing.T, from, to *sqldb.DB) {
	t.Helper()
	files, err := filepath.Glob("../store/migrations/*.sql")
	must(t, err)
	var names []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		must(t, err)
		for _, m := range tables.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	must(t, to.Write(t.Context(), func(tx *sql.Tx) error {
		for _, name := range slices.Backward(names) {
			_, err := tx.ExecContext(t.Context(), `DELETE FROM `+name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for _, name := range names {
			err := rows(t, from, tx, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	}))
}

func rows(t *testing.T, from *sqldb.DB, tx *sql.Tx, name string) error {
	t.Helper()
	all, err := from.QueryContext(t.Context(), `SELECT * FROM `+name)
	if err != nil {
		return err
	}
	defer func() { _ = all.Close() }()
	columns, err := all.Columns()
	if err != nil {
		return err
	}
	marks := make([]string, len(columns))
	for i := range marks {
		marks[i] = fmt.Sprintf("$%d", i+1)
	}
	insert := `INSERT INTO ` + name + ` (` + strings.Join(columns, ", ") + `) VALUES (` + strings.Join(marks, ", ") + `)`
	for all.Next() {
		values, places := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			places[i] = &values[i]
		}
		err = all.Scan(places...)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(t.Context(), insert, values...)
		if err != nil {
			return err
		}
	}
	return all.Err()
}
