package inbox

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ecs/contract"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/taxii"
)

func TestMain(m *testing.M) {
	killed()
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"),
		goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"))
}

func openStore(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func execute(t testing.TB, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	}))
}

// world is a hub with sources "one", "two" and "late", whose authority has ended.
type world struct {
	db     *sqldb.DB
	intake *intake.Intake
	spool  string
}

func newWorld(t testing.TB, db *sqldb.DB) *world {
	t.Helper()
	execute(t, db, `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES
		('one', 'One', 'A', 'agreement 1', $1, 'protect', 3, 'B', 1), ('two', 'Two', 'B', 'agreement 2', $1, 'protect', 3, 'B', 1),
		('late', 'Late', 'C', 'agreement 3', $2, 'protect', 3, 'B', 1)`,
		sqldb.Time(time.Now().AddDate(1, 0, 0)), sqldb.Time(time.Now().AddDate(0, 0, -1)))
	check, err := policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	must(t, err)
	return &world{db: db, spool: filepath.Join(t.TempDir(), "pushed"), intake: intake.New(intake.Config{
		DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(t.TempDir(), "spool"), Ceiling: contract.Red,
	})}
}

// officer signs in by HTTP Basic as SOURCE-officer with password "pw".
func officer(r *http.Request) (source, login string, ok bool) {
	user, password, ok := r.BasicAuth()
	source, isOfficer := strings.CutSuffix(user, "-officer")
	return source, user, ok && isOfficer && password == "pw"
}

func (w *world) inbox(t testing.TB, change ...func(*Config)) *Inbox {
	t.Helper()
	cfg := Config{DB: w.db, Intake: w.intake, Authenticate: officer, Spool: w.spool}
	for _, c := range change {
		c(&cfg)
	}
	in, err := New(cfg)
	must(t, err)
	return in
}

// run runs an inbox until the test ends, or stop is called.
func run(t testing.TB, in *Inbox) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := in.Run(ctx)
		if err != nil {
			t.Error(err)
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

func serve(t testing.TB, h http.Handler) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func as(user string) *taxii.Client {
	return taxii.NewClient(taxii.ClientConfig{User: user, Password: "pw", Retries: -1})
}

func indicator(n int, value string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"2026-01-01T00:00:0%d.000Z","pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, n, n%10, value))
}

func id(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

// A source finds its collection, pushes, and reads what became of each object.
func TestPush(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		in := w.inbox(t)
		base := serve(t, in)
		c := as("one-officer")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		d, err := c.Discover(ctx, base)
		must(t, err)
		root := d.Default
		about, err := c.Root(ctx, root)
		if err != nil || about.MaxContentLength != MaxContent {
			t.Errorf("%+v, %v", about, err)
		}
		list, err := c.Collections(ctx, root)
		if err != nil || len(list) != 1 || list[0].CanRead || !list[0].CanWrite {
			t.Fatalf("%+v, %v", list, err)
		}
		objects := []json.RawMessage{
			indicator(1, "a.example"), indicator(2, "it's no pattern"), json.RawMessage(`{"type":"indicator","pattern":7}`), indicator(4, "d.example"),
			json.RawMessage(`{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-000000000005","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","is_family":true,"name":"m"}`),
		}
		st, err := c.Add(ctx, root, list[0].ID, objects)
		must(t, err)
		if st.State != taxii.Pending || st.Total != 5 || st.Pending != 5 || len(st.Pendings) != 5 || st.Pendings[0].Version != "2026-01-01T00:00:01.000000Z" {
			t.Errorf("%+v", st)
		}
		run(t, in)
		done, err := c.Await(ctx, root, st)
		must(t, err)
		if done.State != taxii.Complete || done.Total != 5 || done.Success != 3 || done.Failure != 2 || done.Pending != 0 {
			t.Errorf("%+v", done)
		}
		var failed []string
		for _, f := range done.Failures {
			code, _, _ := strings.Cut(f.Message, ":")
			failed = append(failed, f.ID+" "+code)
		}
		if len(failed) != 2 || failed[0] != id(2)+" "+intake.CodePattern || !strings.HasPrefix(failed[1], "object 3 ") {
			t.Errorf("%q", failed)
		}
		again, err := c.Add(ctx, root, "deliveries", objects)
		must(t, err)
		again, err = c.Await(ctx, root, again)
		if err != nil || again.ID == done.ID || again.Success != 3 || again.Failure != 2 {
			t.Errorf("an exact duplicate: %+v, %v", again, err)
		}
		var n int
		must(t, db.QueryRowContext(ctx, "SELECT count(*) FROM item").Scan(&n))
		if n != 2 {
			t.Errorf("%d indicators", n)
		}
		left, err := os.ReadDir(w.spool)
		if err != nil || len(left) != 0 {
			t.Errorf("the spool holds %v, %v", left, err)
		}
		b, err := intake.Batches(ctx, db, "one", time.Time{}, 10)
		if err != nil || len(b) != 1 || b[0].Submitter != "one-officer" {
			t.Errorf("%+v, %v", b, err)
		}

		// Another source knows nothing of it.
		_, err = as("two-officer").Status(ctx, root, done.ID)
		missing(t, err)
		_, err = as("two-officer").Add(ctx, root, list[0].ID, objects)
		missing(t, err)
		_, err = c.Status(ctx, root, "00000000-0000-4000-8000-000000000000")
		missing(t, err)

		st, err = as("late-officer").Add(ctx, root, "deliveries", objects[:1])
		must(t, err)
		st, err = as("late-officer").Await(ctx, root, st)
		if err != nil || st.Failure != 1 || !strings.Contains(st.Failures[0].Message, "AUTHORITY-LAPSED") {
			t.Errorf("of a source whose authority ended: %+v, %v", st, err)
		}
	})
}

func missing(t *testing.T, err error) {
	t.Helper()
	var e *taxii.Error
	if !errors.As(err, &e) || e.Status != "404" {
		t.Errorf("got %v, want 404", err)
	}
}

// What cannot be taken is refused before anything is kept.
func TestRefused(t *testing.T) {
	w := newWorld(t, sqldbtest.Lite(t, openStore))
	in := w.inbox(t, func(c *Config) { c.MaxContent, c.MaxObjects = 2000, 3 })
	at := Root + "collections/deliveries/objects/"
	for _, c := range []struct {
		name, method, path, user, media, body string
		status                                int
	}{
		{"nobody", "POST", at, "", taxii.MediaType, `{"objects":[{}]}`, 401},
		{"wrong password", "GET", Root, "mallory", "", "", 401},
		{"read", "GET", at, "one-officer", "", "", 403},
		{"manifest", "GET", Root + "collections/deliveries/manifest/", "one-officer", "", "", 403},
		{"delete", "DELETE", at + id(1) + "/", "one-officer", "", "", 403},
		{"other collection", "POST", Root + "collections/" + CollectionID("two") + "/objects/", "one-officer", taxii.MediaType, `{"objects":[{}]}`, 404},
		{"media type", "POST", at, "one-officer", "text/plain", `{"objects":[{}]}`, 415},
		{"too long", "POST", at, "one-officer", taxii.MediaType, `{"objects":[{"x":"` + strings.Repeat("x", 2000) + `"}]}`, 413},
		{"too many", "POST", at, "one-officer", taxii.MediaType, `{"objects":[{},{},{},{}]}`, 413},
		{"no envelope", "POST", at, "one-officer", taxii.MediaType, `[]`, 422},
		{"torn", "POST", at, "one-officer", taxii.MediaType, `{"objects":[{}`, 422},
		{"empty", "POST", at, "one-officer", taxii.MediaType, `{"objects":[]}`, 422},
	} {
		r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
		if c.user != "" {
			r.SetBasicAuth(c.user, "pw")
		}
		if c.media != "" {
			r.Header.Set("Content-Type", c.media)
		}
		got := httptest.NewRecorder()
		in.ServeHTTP(got, r)
		if got.Code != c.status || got.Header().Get("Content-Type") != taxii.MediaType || !json.Valid(got.Body.Bytes()) {
			t.Errorf("%s: %d %s", c.name, got.Code, got.Body)
		}
		if c.status == 401 && got.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: 401 without a challenge", c.name)
		}
	}
	left, err := os.ReadDir(w.spool)
	if err != nil || len(left) != 0 {
		t.Errorf("the spool holds %v, %v", left, err)
	}
	var n int
	must(t, w.db.QueryRowContext(t.Context(), "SELECT count(*) FROM push").Scan(&n))
	if n != 0 {
		t.Errorf("%d pushes are in the books", n)
	}
}

// slow is an intake that waits, and fails when it is told to.
type slow struct {
	Submitter
	hold  chan struct{}
	fails atomic.Int32
	order []string
}

// Submit implements [Submitter].
func (s *slow) Submit(ctx context.Context, d intake.Delivery, r io.Reader, p func(intake.Progress)) (intake.Report, error) {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return intake.Report{}, ctx.Err()
		}
	}
	if s.fails.Add(-1) >= 0 {
		return intake.Report{}, errors.New("database is away")
	}
	s.order = append(s.order, d.Name)
	return s.Submitter.Submit(ctx, d, r, p)
}

// A hub that stops between the answer and the delivery delivers after the restart,
// the oldest first; what was never answered goes.
func TestRestart(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		in := w.inbox(t, func(c *Config) { c.Intake = &slow{Submitter: w.intake, hold: make(chan struct{})} })
		root := serve(t, in) + Root
		c := as("one-officer")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		stop := run(t, in)
		var all []taxii.Status
		for n := range 5 {
			st, err := c.Add(ctx, root, "deliveries", []json.RawMessage{indicator(n, fmt.Sprintf("n%d.example", n))})
			must(t, err)
			all = append(all, st)
		}
		stop()
		orphan := filepath.Join(w.spool, "00001700000000000000_00000000-0000-4000-8000-00000000000a")
		part := filepath.Join(w.spool, ".push-1.part")
		for _, p := range []string{orphan, part} {
			must(t, os.WriteFile(p, []byte("{"), 0o600))
			must(t, os.Chtimes(p, time.Time{}, time.Now().Add(-time.Hour)))
		}
		later := &slow{Submitter: w.intake}
		next := w.inbox(t, func(c *Config) { c.Intake = later })
		root = serve(t, next) + Root
		stop = run(t, next)
		var want []string
		for _, st := range all {
			done, err := c.Await(ctx, root, st)
			if err != nil || done.Success != 1 {
				t.Errorf("%+v, %v", done, err)
			}
			want = append(want, "push "+st.ID)
		}
		stop()
		if diff := cmp.Diff(want, later.order); diff != "" {
			t.Error(diff)
		}
		left, err := os.ReadDir(w.spool)
		if err != nil || len(left) != 0 {
			t.Errorf("the spool holds %v, %v", left, err)
		}
	})
}

// An error of the hub itself is not the push's fault: it waits, and those behind it
// of the same source, too.
func TestWaits(t *testing.T) {
	w := newWorld(t, sqldbtest.Lite(t, openStore))
	s := &slow{Submitter: w.intake}
	in := w.inbox(t, func(c *Config) { c.Intake, c.MaxWaiting = s, 3 })
	root := serve(t, in) + Root
	var first []taxii.Status
	for n := range 3 {
		st, err := as([]string{"one-officer", "one-officer", "two-officer"}[n]).Add(t.Context(), root, "deliveries", []json.RawMessage{indicator(n, fmt.Sprintf("n%d.example", n))})
		must(t, err)
		first = append(first, st)
	}
	_, err := as("two-officer").Add(t.Context(), root, "deliveries", []json.RawMessage{indicator(9, "n9.example")})
	var e *taxii.Error
	if !errors.As(err, &e) || e.Status != "503" || e.RetryAfter != time.Minute {
		t.Errorf("with a full spool: %v", err)
	}
	s.fails.Store(1)
	again, err := in.drain(t.Context())
	if !again || err == nil || !strings.Contains(err.Error(), "database is away") {
		t.Errorf("%t, %v", again, err)
	}
	if diff := cmp.Diff([]string{"push " + first[2].ID}, s.order); diff != "" {
		t.Error(diff)
	}
	again, err = in.drain(t.Context())
	if again || err != nil || len(s.order) != 3 || s.order[1] != "push "+first[0].ID {
		t.Errorf("%t, %v, %q", again, err, s.order)
	}
	if in.waiting.Load() != 0 {
		t.Errorf("%d are said to wait", in.waiting.Load())
	}
}

// A status is kept for a day at least, then it goes.
func TestKept(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		in := w.inbox(t, func(c *Config) { c.Keep = time.Minute })
		root := serve(t, in) + Root
		st, err := as("one-officer").Add(t.Context(), root, "deliveries", []json.RawMessage{indicator(1, "a.example")})
		must(t, err)
		_, err = in.drain(t.Context())
		must(t, err)
		for _, hours := range []int{23, 25} {
			execute(t, db, "UPDATE push SET received = $1", sqldb.Time(time.Now().Add(-time.Duration(hours)*time.Hour)))
			_, err = in.drain(t.Context())
			must(t, err)
			_, err = as("one-officer").Status(t.Context(), root, st.ID)
			if hours < 24 {
				must(t, err)
			} else {
				missing(t, err)
			}
		}
	})
}

// Too many at a time get 503; the listener's own limit becomes 413.
func TestBounds(t *testing.T) {
	w := newWorld(t, sqldbtest.Lite(t, openStore))
	in := w.inbox(t, func(c *Config) { c.Posts, c.MaxContent = 1, 100 })
	body, feed := io.Pipe()
	begun := make(chan struct{})
	done := make(chan int)
	go func() {
		r := httptest.NewRequest(http.MethodPost, Root+"collections/deliveries/objects/", readFirst{begun, body})
		r.SetBasicAuth("one-officer", "pw")
		r.Header.Set("Content-Type", taxii.MediaType)
		got := httptest.NewRecorder()
		in.ServeHTTP(got, r)
		done <- got.Code
	}()
	<-begun
	r := httptest.NewRequest(http.MethodPost, Root+"collections/deliveries/objects/", strings.NewReader("{}"))
	r.SetBasicAuth("two-officer", "pw")
	got := httptest.NewRecorder()
	in.ServeHTTP(got, r)
	if got.Code != 503 || got.Header().Get("Retry-After") != "5" || !json.Valid(got.Body.Bytes()) {
		t.Errorf("a second one: %d %s", got.Code, got.Body)
	}
	_, _ = feed.Write(bytes.Repeat([]byte(" "), 101))
	_ = feed.Close()
	if code := <-done; code != 413 {
		t.Errorf("a body longer than its limit: %d", code)
	}
	if in.Limit(r) != 101 || in.Limit(httptest.NewRequest(http.MethodGet, Root, nil)) != 0 || in.Limit(httptest.NewRequest(http.MethodPost, "/deliveries", nil)) != 0 {
		t.Error("the limit for the listener is wrong")
	}
	r = httptest.NewRequest(http.MethodPost, Root+"collections/deliveries/objects/", nil)
	r.Body = http.MaxBytesReader(nil, io.NopCloser(strings.NewReader(strings.Repeat(" ", 50))), 10)
	r.ContentLength = -1
	r.SetBasicAuth("one-officer", "pw")
	r.Header.Set("Content-Type", taxii.MediaType)
	got = httptest.NewRecorder()
	in.ServeHTTP(got, r)
	if got.Code != 413 {
		t.Errorf("at the listener's limit: %d", got.Code)
	}
}

// readFirst says when it is read for the first time.
type readFirst struct {
	begun chan struct{}
	io.Reader
}

// Read implements io.Reader.
func (r readFirst) Read(p []byte) (int, error) {
	select {
	case <-r.begun:
	default:
		close(r.begun)
	}
	return r.Reader.Read(p)
}
