package e2e

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// server is a PostgreSQL of one test, which it can take away.
type server struct {
	dir, bin string
	cmd      *exec.Cmd
	done     chan struct{}
}

func startServer(t *testing.T) *server {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		missing(t, "PostgreSQL is not installed")
	}
	dir, err := os.MkdirTemp("/tmp", "ecs-pg-") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &server{dir: dir, bin: filepath.Dir(found[len(found)-1])}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
	})
	if os.Getuid() == 0 {
		out, err := exec.Command("chown", "postgres", dir).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	out, err := s.as("initdb", "-D", filepath.Join(dir, "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions").CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	s.start(t)
	db := s.open(t, "postgres")
	_, err = db.ExecContext(t.Context(), "CREATE DATABASE hub")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// as runs a program of PostgreSQL, which refuses to run as root.
func (s *server) as(name string, arg ...string) *exec.Cmd {
	arg = append([]string{filepath.Join(s.bin, name)}, arg...)
	if os.Getuid() == 0 {
		arg = append([]string{"setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--"}, arg...)
	}
	cmd := exec.Command(arg[0], arg[1:]...)
	cmd.Dir = s.dir
	return cmd
}

func (s *server) start(t *testing.T) {
	t.Helper()
	s.cmd = s.as("postgres", "-D", filepath.Join(s.dir, "data"), "-k", s.dir, "-c", "listen_addresses=")
	err := s.cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.cmd, s.done)
	db := s.open(t, "postgres")
	until(t, "PostgreSQL to answer", 30*time.Second, func() bool { return db.PingContext(t.Context()) == nil })
}

// kill ends it as a power cut would, by its "immediate" way: no connection is told
// goodbye, and the log is replayed at the next start.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		<-s.done
	}
}

func (s *server) dsn(database string) string {
	return "postgres:///" + database + "?" + url.Values{"host": {s.dir}, "user": {"postgres"}}.Encode()
}

func (s *server) open(t *testing.T, database string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", s.dsn(database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// one reads one number.
func one(t *testing.T, db *sql.DB, query string) int {
	t.Helper()
	var n int
	err := db.QueryRowContext(t.Context(), query).Scan(&n)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func names(n int, zone string) string {
	var b strings.Builder
	b.WriteString("value,category,tlp\n")
	for i := range n {
		fmt.Fprintf(&b, "n%d.%s,c2,green\n", i, zone)
	}
	return b.String()
}

// approvals approves indicators one by one, each until the hub has said that it is
// done; it gives the identifiers of those that were confirmed.
func approvals(h *hub, login string, list []item) (confirmed []string, wrong error) {
	for _, it := range list {
		for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			status, err := h.ask(login, "POST", "/items/"+it.ID+"/first", map[string]string{"reason": "Looked at it."}, nil)
			if status == http.StatusOK {
				confirmed = append(confirmed, it.ID)
				break
			}
			if status == http.StatusConflict { // done by somebody, or by a call whose answer was lost
				break
			}
			if time.Now().After(end) {
				return confirmed, fmt.Errorf("%s stays unapproved: %d, %w", it.ID, status, err)
			}
		}
	}
	return confirmed, nil
}

// TestPostgresRestarts kills PostgreSQL three times while a big file is read from
// the watched folder and people approve. Nobody touches the hub: it goes on.
func TestPostgresRestarts(t *testing.T) {
	pg := startServer(t)
	h := startHub(t, "demonstration: true\ndatabase: "+pg.dsn("hub")+"\n")
	const few, many = 300, 40_000
	r := h.deliver(t, "few.csv", names(few, "few.example"))
	if r.code != 0 {
		t.Fatalf("%s%s", r.out, r.err)
	}
	db := pg.open(t, "hub")
	_, err := db.ExecContext(t.Context(), `UPDATE item SET state = 'PENDING_FIRST' WHERE state = 'PRIVACY_GATE'`) // samples of the gate
	if err == nil {
		_, err = db.ExecContext(t.Context(), `DELETE FROM item_count`)
	}
	if err == nil {
		_, err = db.ExecContext(t.Context(), `INSERT INTO item_count SELECT state, handling, count(*) FROM item GROUP BY state, handling`)
	}
	if err != nil {
		t.Fatal(err)
	}
	list := h.items(t, url.Values{"state": {"PENDING_FIRST"}})
	if len(list) != few {
		t.Fatalf("%d wait for approval, want %d", len(list), few)
	}
	inbox := filepath.Join(h.dir, "inbox", "national-cert")
	write(t, filepath.Join(inbox, "many.csv"), names(many, "many.example"))

	var people sync.WaitGroup
	var confirmed []string
	var wrong error
	people.Go(func() { confirmed, wrong = approvals(h, "alice", list) })
	for i := range 3 {
		until(t, "the delivery to go on", 2*time.Minute, func() bool { return one(t, db, `SELECT count(*) FROM item`) > few+i*many/5 })
		pg.kill()
		time.Sleep(700 * time.Millisecond)
		pg.start(t)
		until(t, "the database to answer", time.Minute, func() bool { return db.PingContext(t.Context()) == nil })
	}
	until(t, "the file to be done", 4*time.Minute, func() bool {
		_, err := os.Stat(filepath.Join(inbox, "done", "many.csv"))
		return err == nil
	})
	people.Wait()
	if wrong != nil {
		t.Error(wrong)
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM item`:                                                                    few + many,
		`SELECT count(*) FROM item_source`:                                                             few + many,
		`SELECT sum(n) FROM item_count`:                                                                few + many,
		`SELECT count(*) FROM batch WHERE finished > 0 AND error = ''`:                                 2,
		`SELECT count(*) FROM item WHERE state = 'PENDING_SECOND'`:                                     few,
		`SELECT n FROM (SELECT sum(n) AS n FROM item_count WHERE state = 'PENDING_SECOND') AS counted`: few,
		`SELECT count(*) FROM decision WHERE kind = 'first'`:                                           few,
		`SELECT count(DISTINCT item) FROM decision WHERE kind = 'first'`:                               few,
		`SELECT count(*) FROM object`:                                                                  0,
	} {
		if got := one(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	for _, id := range confirmed {
		var n int
		err = db.QueryRowContext(t.Context(), `SELECT count(*) FROM decision WHERE item = $1 AND kind = 'first'`, id).Scan(&n)
		if err != nil || n != 1 {
			t.Errorf("%s was confirmed and has %d approvals, %v", id, n, err)
		}
	}
	h.must(t, "omar", "POST", "/audit/verify", nil, nil)
	t.Logf("%d of %d approvals were confirmed at the first answer", len(confirmed), few)
}

// TestTwoHubs lets two hubs on one PostgreSQL take in the same file at once, and
// two persons approve the same indicators there: everything happens once.
func TestTwoHubs(t *testing.T) {
	pg := startServer(t)
	extra := "demonstration: true\ndatabase: " + pg.dsn("hub") + "\n"
	a := startHub(t, extra)
	b := startHub(t, extra)
	for login, password := range a.passwords {
		b.passwords[login] = password // the accounts are in the database
	}
	const n = 6000
	file := []byte(names(n, "both.example"))
	var senders sync.WaitGroup
	errs := make([]error, 2)
	for i, h := range []*hub{a, b} {
		senders.Go(func() {
			for range 600 {
				var status int
				status, errs[i] = h.ask("grace", "POST", "/batches?source=national-cert&name=both.csv&format=csv", file, nil)
				if errs[i] == nil || status != http.StatusConflict && status != http.StatusServiceUnavailable {
					return
				}
				time.Sleep(100 * time.Millisecond) // the other one is reading it
			}
		})
	}
	senders.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	db := pg.open(t, "hub")
	for query, want := range map[string]int{
		`SELECT count(*) FROM item`: n, `SELECT count(*) FROM item_source`: n, `SELECT count(*) FROM batch`: 1, `SELECT sum(n) FROM item_count`: n,
	} {
		if got := one(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	list := a.items(t, url.Values{"state": {"PENDING_FIRST"}})
	if len(list) < n*8/10 {
		t.Fatalf("only %d wait for approval", len(list))
	}
	list = list[:400]
	confirmed := make([][]string, 2)
	var people sync.WaitGroup
	for i, h := range []*hub{a, b} {
		people.Go(func() { confirmed[i], errs[i] = approvals(h, []string{"alice", "bruno"}[i], list) })
	}
	people.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if len(confirmed[0])+len(confirmed[1]) != len(list) {
		t.Errorf("%d and %d approvals confirmed of %d", len(confirmed[0]), len(confirmed[1]), len(list))
	}
	for query, want := range map[string]int{
		`SELECT count(*) FROM decision WHERE kind = 'first'`: len(list), `SELECT count(DISTINCT item) FROM decision WHERE kind = 'first'`: len(list),
		`SELECT count(*) FROM item WHERE state = 'PENDING_SECOND'`: len(list),
	} {
		if got := one(t, db, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
	b.must(t, "omar", "POST", "/audit/verify", nil, nil)
	t.Logf("%d and %d approvals", len(confirmed[0]), len(confirmed[1]))
}

// TestDiskFull fills the hub's disk in the middle of a delivery. Whoever delivers
// is told, nothing is released of it, the hub answers on, and with room again the
// same delivery goes on where it stopped.
func TestDiskFull(t *testing.T) {
	small := t.TempDir()
	err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=24m")
	if err != nil {
		missing(t, "a small file system cannot be mounted (it takes root): "+err.Error())
	}
	t.Cleanup(func() {
		err := syscall.Unmount(small, syscall.MNT_DETACH)
		if err != nil {
			t.Error(err)
		}
	})
	db := filepath.Join(small, "hub")
	h := startHub(t, "demonstration: true\n")
	h.kill()
	config, err := os.ReadFile(filepath.Join(h.dir, "hub.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.dir, "hub.yaml"), strings.Replace(string(config), "data: "+h.dir+"/data", "data: "+db, 1))
	h.process.start(t)
	h.ready(t)
	for _, m := range account.FindAllStringSubmatch(h.printed(), -1) {
		h.passwords[m[1]] = m[2]
	}
	const n = 60_000
	file := []byte(names(n, "full.example"))
	submit := func() (int, map[string]any, error) {
		var out map[string]any
		status, err := h.ask("grace", "POST", "/batches?source=national-cert&name=full.csv&format=csv", file, &out)
		return status, out, err
	}
	status, _, err := submit()
	if status != http.StatusInsufficientStorage || !strings.Contains(fmt.Sprint(err), "disk") {
		t.Fatalf("the disk is full, and the hub says %d, %v", status, err)
	}
	t.Logf("said: %v", err)
	var page struct{ Total int }
	for _, state := range []string{"APPROVED", "RELEASED", "IN_FORCE"} {
		h.must(t, "bruno", "GET", "/items?state="+state, nil, &page)
		if page.Total != 0 {
			t.Errorf("%d indicators are %s", page.Total, state)
		}
	}
	err = syscall.Mount("tmpfs", small, "tmpfs", syscall.MS_REMOUNT, "size=600m")
	if err != nil {
		t.Fatal(err)
	}
	status, out, err := submit()
	if err != nil {
		t.Fatalf("with room again: %d, %v", status, err)
	}
	said, _ := json.Marshal(out)
	if out["accepted"] != float64(n) || out["duplicate"] != float64(0) || out["items"] != float64(n) {
		t.Errorf("with room again: %s", said)
	}
	h.must(t, "omar", "POST", "/audit/verify", nil, nil)
}
