package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecs/contract"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/taxii"
)

func TestMain(m *testing.M) {
	killed()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func openStore(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// addSource registers source "one", "late", whose authority has ended, beside it.
func addSource(t testing.TB, db *sqldb.DB) {
	t.Helper()
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES
			('one', 'Source one', 'A', 'agreement 1', $1, 'protect', 3, 'B', 1), ('late', 'Source two', 'A', 'agreement 2', $2, 'protect', 3, 'B', 1)`,
			sqldb.Time(time.Now().AddDate(1, 0, 0)), sqldb.Time(time.Now().AddDate(0, 0, -1)))
		return err
	}))
}

func newIntake(db *sqldb.DB, spool string) (*intake.Intake, error) {
	check, err := policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	if err != nil {
		return nil, err
	}
	return intake.New(intake.Config{DB: db, Checker: func() *policy.Checker { return check }, Spool: spool, Ceiling: contract.Red}), nil
}

// realIntake gives an intake on a database with source "one".
func realIntake(t testing.TB, db *sqldb.DB) *intake.Intake {
	t.Helper()
	addSource(t, db)
	in, err := newIntake(db, filepath.Join(t.TempDir(), "spool"))
	must(t, err)
	return in
}

func newCollector(t testing.TB, db *sqldb.DB, in Submitter, feeds ...Feed) *Collector {
	t.Helper()
	c, err := New(Config{DB: db, Intake: in, Feeds: feeds})
	must(t, err)
	return c
}

func stateOf(t testing.TB, c *Collector) State {
	t.Helper()
	list, err := c.List(t.Context())
	must(t, err)
	if len(list) != 1 {
		t.Fatalf("%d feeds", len(list))
	}
	return list[0]
}

func count(t testing.TB, db *sqldb.DB, query string) (n int) {
	t.Helper()
	must(t, db.QueryRowContext(t.Context(), query).Scan(&n))
	return n
}

// desk is an intake that keeps what it gets, and fails when it is told to.
type desk struct {
	mu    sync.Mutex
	got   []string          // names
	body  map[string]string // the last of each name
	all   []string          // bodies
	seen  map[[32]byte]bool
	fails func(d intake.Delivery, body []byte) error
	cut   string // Report.Error
}

func newDesk() *desk { return &desk{body: map[string]string{}, seen: map[[32]byte]bool{}} }

// Submit implements [Submitter].
func (d *desk) Submit(_ context.Context, del intake.Delivery, r io.Reader, _ func(intake.Progress)) (intake.Report, error) {
	body, err := io.ReadAll(r)
	if err != nil {
		return intake.Report{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fails != nil {
		err = d.fails(del, body)
		if err != nil {
			return intake.Report{}, err
		}
	}
	rep := intake.Report{Batch: intake.Batch{Position: int64(bytes.Count(body, []byte("--"))), Error: d.cut}}
	sum := sha256.Sum256(body)
	rep.Same = d.seen[sum]
	d.seen[sum] = true
	d.got = append(d.got, del.Name)
	d.body[del.Name] = string(body)
	d.all = append(d.all, string(body))
	return rep, nil
}

func (d *desk) names() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.got)
}

// ids gives the identifiers of all objects that came, with how often.
func (d *desk) ids(t testing.TB) map[string]int {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	out := map[string]int{}
	for _, b := range d.all {
		var e struct{ Objects []struct{ ID string } }
		must(t, json.Unmarshal([]byte(b), &e))
		for _, o := range e.Objects {
			out[o.ID]++
		}
	}
	return out
}

const shelf = "11111111-1111-4111-8111-111111111111"

// library is a TAXII server's store in memory.
type library struct {
	mu  sync.Mutex
	all []taxii.Record
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func indicator(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

func object(n int) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"%s","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z",`+
		`"pattern":"[domain-name:value = 'n%d.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","indicator_types":["malicious-activity"]}`, indicator(n), n)
}

func (l *library) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, taxii.Record{
		ID: indicator(n), Version: epoch, Added: epoch.Add(time.Duration(len(l.all)+1) * time.Microsecond), Body: json.RawMessage(object(n)),
	})
}

// Collections implements [taxii.Backend].
func (l *library) Collections(context.Context, string) ([]taxii.Collection, error) {
	return []taxii.Collection{{ID: shelf, Alias: "shelf", Title: "Shelf", CanRead: true}}, nil
}

// Objects implements [taxii.Backend].
func (l *library) Objects(_ context.Context, _, _ string, q taxii.Query) (taxii.Page, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return taxii.Select(l.all, q), nil
}

// serveLibrary serves a library with small pages, each answer changed by wrap.
func serveLibrary(t testing.TB, l *library, limit int, wrap func(http.Handler) http.Handler) Feed {
	t.Helper()
	s, err := taxii.NewServer(taxii.Config{Backend: l, PageLimit: limit, Identify: func(*http.Request) string { return "hub" }})
	must(t, err)
	var h http.Handler = s
	if wrap != nil {
		h = wrap(h)
	}
	return Feed{Source: "one", Name: "main", Kind: TAXII, URL: serve(t, h) + "/taxii2/api", Collection: shelf}
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func has(t testing.TB, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Errorf("got error %v, want one with %q", err, part)
	}
}
