package door

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"ecs/contract"
	"ecs/internal/certs"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/taxii"
)

// log writes items, objects and entries as the release desk does.
type log struct {
	t     *testing.T
	db    *sqldb.DB
	added int64
	seq   map[string]int64
}

func newLog(t *testing.T, db *sqldb.DB) *log {
	return &log{t: t, db: db, added: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro(), seq: map[string]int64{}}
}

func itemID(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

func (l *log) exec(query string, args ...any) {
	l.t.Helper()
	must(l.t, l.db.Write(l.t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(l.t.Context(), query, args...)
		return err
	}))
}

func (l *log) item(n int) {
	l.exec(`INSERT INTO handling (number, digest, text) VALUES (1, 'x', 'U TLP:CLEAR'), (2, 'y', 'U TLP:AMBER+STRICT') ON CONFLICT DO NOTHING`)
	l.exec(`INSERT INTO item (number, pivot, handling, labels, id, state, version, pattern, pattern_key, kind, value, services, category, action, confidence, tlp,
				enforce, display, notify, disclosure, summary, context, privacy, submitter, valid_from, valid_until, observed, created, modified)
		VALUES ($3, '', 1, '', $1, 'RELEASED', 1, 'p', $1, 'k', 'v', 7, 0, 0, 0, 0, $2, $2, $2, 0, '', '', '', 's', 0, 0, 0, 0, 0)`, itemID(n), true, n+1)
}

// version adds a version of an item and names it in the logs of providers.
func (l *log) version(n, minute int, to map[string]contract.Services) taxii.Record {
	l.added += int64(1 + rand.N(1_000_000))
	at := time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)
	r := taxii.Record{
		ID: itemID(n), Version: at, Added: time.UnixMicro(l.added).UTC(),
		Body: json.RawMessage(fmt.Sprintf(`{"id":"%s","n":%d,"p":"<a>&b"}`, itemID(n), minute)),
	}
	l.exec(`INSERT INTO object (item, modified, body, added) VALUES ($1, $2, $3, $4)`, r.ID, at.UnixMicro(), string(r.Body), l.added)
	for provider, services := range to {
		l.seq[provider]++
		l.exec(`INSERT INTO entry (provider, seq, item, modified, services, leaf, until, at) VALUES ($1, $2, $3, $4, $5, '', 0, 0)`,
			provider, l.seq[provider], r.ID, at.UnixMicro(), int64(services))
	}
	return r
}

// companionRecord is what stands beside objects.
type companionRecord struct {
	taxii.Record
	item string
}

// beside adds a marking definition, or a relationship that begins at an item.
func (l *log) beside(provider string, minute int, item string) companionRecord {
	l.added += int64(1 + rand.N(1_000_000))
	typ := "marking-definition"
	if item != "" {
		typ = "relationship"
	}
	at := time.Date(2026, 1, 1, 0, minute, 0, 0, time.UTC)
	id := fmt.Sprintf("%s--00000000-0000-4000-8000-%012d", typ, minute)
	r := taxii.Record{ID: id, Version: at, Added: time.UnixMicro(l.added).UTC(), Body: json.RawMessage(`{"id":"` + id + `"}`)}
	l.exec(`INSERT INTO companion (provider, id, type, item, modified, body, added) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		provider, id, typ, item, at.UnixMicro(), string(r.Body), l.added)
	return companionRecord{r, item}
}

// The statement agrees with taxii.Select, for random logs and random queries.
func TestObjectsAgainstSelect(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		l := newLog(t, db)
		for _, p := range []string{"north", "south"} {
			l.exec(`INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ($1, $1, 'OPERATIONAL', 7, 0, 0, 0, 0)`, p)
		}
		held := map[string]map[contract.Services][]taxii.Record{"north": {}, "south": {}}
		had := map[string]contract.Services{} // provider and item: services of all entries so far
		newest := map[string]contract.Services{}
		taken := map[string]bool{}    // provider and item: the newest entry is of a blank version
		origin := map[string]string{} // of a relationship: provider and item
		isBlank, strict := map[string]bool{}, map[string]bool{}
		const items = 12
		for n := range items {
			l.item(n)
			if n%4 == 0 {
				l.exec(`UPDATE item SET handling = 2 WHERE id = $1`, itemID(n))
				strict[itemID(n)] = true
			}
		}
		l.exec(`UPDATE provider SET ceiling = 4 WHERE id = 'north'`)
		l.exec(`UPDATE provider SET services = 5 WHERE id = 'south'`)
		accredited := map[string]contract.Services{"north": 7, "south": 5}
		for minute := 1; minute < 50; minute++ {
			n, to := rand.N(items), map[string]contract.Services{}
			for p := range held {
				if rand.N(4) > 0 {
					to[p] = contract.Services(rand.N(8))
				}
			}
			if rand.N(5) == 0 {
				to = map[string]contract.Services{"south": 0}
			}
			r := l.version(n, minute, to)
			if len(to) == 1 && to["south"] == 0 && rand.N(3) > 0 {
				l.exec(`UPDATE object SET blank = true WHERE item = $1 AND modified = $2`, r.ID, r.Version.UnixMicro())
				isBlank[r.ID+r.Version.String()] = true
			}
			for p, s := range to {
				key := p + r.ID
				for _, shelf := range shelves {
					if s&shelf.services&accredited[p] != 0 || (s == 0 && had[key]&shelf.services != 0) {
						held[p][shelf.services] = append(held[p][shelf.services], r)
					}
				}
				had[key] |= s
				newest[key], taken[key] = s, isBlank[r.ID+r.Version.String()]
			}
			if minute%7 == 0 {
				c := l.beside("south", minute, []string{"", itemID(n)}[rand.N(2)])
				for _, shelf := range shelves {
					held["south"][shelf.services] = append(held["south"][shelf.services], c.Record)
				}
				if c.item != "" {
					origin[c.ID] = "south" + c.item
				}
			}
		}
		for p, all := range held {
			for services, records := range all {
				all[services] = slices.DeleteFunc(records, func(r taxii.Record) bool {
					if key := origin[r.ID]; key != "" {
						return newest[key] == 0
					}
					return !isBlank[r.ID+r.Version.String()] && (taken[p+r.ID] || p == "south" && strict[r.ID])
				})
			}
		}
		lib := &library{db: db}
		for range 400 {
			p, shelf := []string{"north", "south"}[rand.N(2)], shelves[rand.N(len(shelves))]
			q := taxii.Query{Limit: 1 + rand.N(20), Bodies: rand.N(2) == 0}
			if rand.N(2) == 0 {
				q.After = time.Date(2026, 1, 1, 0, 0, rand.N(25), 0, time.UTC)
			}
			for range rand.N(3) {
				q.IDs = append(q.IDs, itemID(rand.N(items+1)))
			}
			if rand.N(4) == 0 {
				q.Types = []string{"relationship", "marking-definition", "indicator", "malware"}[rand.N(4):]
				q.SpecVersions = []string{"2.1", "2.0"}[rand.N(2):]
			}
			q.Version = taxii.Versions{All: rand.N(4) == 0, First: rand.N(4) == 0, Last: rand.N(4) == 0}
			for range rand.N(3) {
				q.Version.At = append(q.Version.At, time.Date(2026, 1, 1, 0, rand.N(50), 0, rand.N(2), time.UTC))
			}
			want := taxii.Select(held[p][shelf.services], q)
			got, err := lib.Objects(t.Context(), p, collectionID(p, shelf.alias), q)
			must(t, err)
			if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%s %s %+v: %s", p, shelf.alias, q, d)
			}
		}
		_, err := lib.Objects(t.Context(), "north", collectionID("south", "dns"), taxii.Query{Limit: 1})
		if err != taxii.ErrNotFound { //nolint:errorlint // exactly this
			t.Fatalf("another provider's collection: %v", err)
		}
	})
}

// A TAXII client with a node's certificate reads what its provider has, and a
// recalled indicator as revoked.
func TestTAXII(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	north, south := h.enrol(t, "north"), h.enrol(t, "south")
	l := newLog(t, h.db)
	for n := range 25 {
		l.item(n)
		to := map[string]contract.Services{"north": contract.DNS}
		if n < 2 {
			to["south"] = contract.SMTP
		}
		l.version(n, 0, to)
	}
	recalled := l.version(3, 9, map[string]contract.Services{"north": 0})

	read := func(n *node, provider, collection string) (ids []string, last taxii.Objects) {
		c := taxii.NewClient(taxii.ClientConfig{HTTP: n.http, PageLimit: 10})
		found, err := c.Discover(t.Context(), h.url)
		must(t, err)
		if len(found.Roots) != 1 || found.Default != h.url+"/taxii2/"+provider+"/" {
			t.Fatalf("discovery: %+v", found)
		}
		list, err := c.Collections(t.Context(), found.Default)
		must(t, err)
		if len(list) != 4 || !slices.IsSortedFunc(list, func(a, b taxii.Collection) int { return strings.Compare(a.ID, b.ID) }) {
			t.Fatalf("collections: %+v", list)
		}
		for page, err := range c.Pages(t.Context(), found.Default, collection, taxii.Filter{}) {
			must(t, err)
			for _, o := range page.Objects {
				var x struct{ ID string }
				must(t, json.Unmarshal(o, &x))
				ids = append(ids, x.ID)
			}
			last = page
		}
		return ids, last
	}
	ids, last := read(north, "north", "dns")
	if len(ids) != 25 || ids[24] != recalled.ID || string(last.Objects[len(last.Objects)-1]) != string(recalled.Body) {
		t.Fatalf("north's DNS: %d %v", len(ids), ids)
	}
	ids, _ = read(north, "north", "smtp")
	if len(ids) != 0 {
		t.Fatalf("north's SMTP: %v", ids)
	}
	ids, _ = read(south, "south", "indicators")
	if !slices.Equal(ids, []string{itemID(0), itemID(1)}) {
		t.Fatalf("south: %v", ids)
	}
	// What is another's is answered like what does not exist.
	for _, path := range []string{
		"/taxii2/north/", "/taxii2/north/collections/", "/taxii2/south/collections/" + collectionID("north", "dns") + "/objects/",
		"/taxii2/north/checkpoint", "/taxii2/nobody/",
	} {
		status, body, head := south.send(t, "GET", path, nil)
		_, nothing, _ := south.send(t, "GET", "/taxii2/never/", nil)
		if status != 404 || string(body) != string(nothing) || head.Get("Content-Type") != taxii.MediaType {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	status, body, head := north.send(t, "GET", "/taxii2/north/checkpoint", nil)
	if status != 200 || string(body) != "note for north\n" || head.Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("checkpoint: %d %s", status, body)
	}
	bare := &node{hub: h, http: &http.Client{Transport: north.http.Transport.(*http.Transport).Clone()}}
	bare.http.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = nil
	t.Cleanup(bare.http.CloseIdleConnections)
	status, body, head = bare.send(t, "GET", "/taxii2/", nil)
	if status != 401 || head.Get("WWW-Authenticate") == "" || head.Get("Content-Type") != taxii.MediaType {
		t.Fatalf("without certificate: %d %s", status, body)
	}
	must(t, h.program.Revoke(t.Context(), staff, serial(south), "the machine was lost"))
	status, body, _ = south.send(t, "GET", "/taxii2/", nil)
	if status != 403 {
		t.Fatalf("revoked: %d %s", status, body)
	}
}

func serial(n *node) string { return certs.Serial(n.cert.SerialNumber) }

// BenchmarkObjects reads a page of 1000 from the middle of 20,000 objects.
func BenchmarkObjects(b *testing.B) {
	db := sqldbtest.Lite(b, open)
	ctx := context.Background()
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO provider (id, name, state, services, ceiling, not_before, not_after, created) VALUES ('north', 'N', 'OPERATIONAL', 7, 0, 0, 0, 0)`)
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT INTO handling (number, digest, text) VALUES (1, 'x', 'U TLP:CLEAR')`)
		}
		for n := 0; n < 20_000 && err == nil; n++ {
			_, err = tx.ExecContext(ctx, `INSERT INTO item (number, pivot, handling, labels, id, state, version, pattern, pattern_key, kind, value, services, category, action, confidence, tlp,
				enforce, display, notify, disclosure, summary, context, privacy, submitter, valid_from, valid_until, observed, created, modified)
				VALUES ($2, '', 1, '', $1, 'RELEASED', 1, 'p', $1, 'k', 'v', 7, 0, 0, 0, 0, true, true, true, 0, '', '', '', 's', 0, 0, 0, 0, 0)`, itemID(n), n+1)
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO object (item, modified, body, added) VALUES ($1, 1000, '{}', $2)`, itemID(n), int64(n+1)*1000)
			}
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO entry (provider, seq, item, modified, services, leaf, until, at) VALUES ('north', $1, $2, 1000, 1, '', 0, 0)`, n+1, itemID(n))
			}
		}
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	lib := &library{db: db}
	for b.Loop() {
		p, err := lib.Objects(ctx, "north", collectionID("north", "dns"), taxii.Query{Limit: 1000, After: time.UnixMicro(10_000_000), Bodies: true})
		if err != nil || len(p.Records) != 1000 {
			b.Fatal(len(p.Records), err)
		}
	}
}
