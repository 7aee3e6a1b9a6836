package quarantine

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/provider/internal/store"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	if os.Getenv("QUARANTINE_CHILD") != "" {
		child()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func openDB(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

func addCustomers(t testing.TB, db *sqldb.DB) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		for i := 1; i <= 2; i++ {
			_, err := tx.Exec(`INSERT INTO customer (id, name, sector, dns_policy, dns_answer, mail_policy, mail_action, flow_policy, created)
				VALUES ($1, $2, 1, 0, 0, 2, 1, 0, 0)`, i, fmt.Sprint("customer ", i))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var key = bytes.Repeat([]byte{7}, 32)

func newStore(t testing.TB, db *sqldb.DB, dir string, change func(*Config)) *Store {
	t.Helper()
	cfg := Config{DB: db, Dir: dir, Key: key}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func spool(t testing.TB, s *Store, body string) *Spool {
	t.Helper()
	p := s.NewSpool()
	t.Cleanup(p.Close)
	for i := 0; i < len(body); i += 50_000 {
		_, err := p.Write([]byte(body[i:min(i+50_000, len(body))]))
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

func items(n int) []Item {
	out := make([]Item, n)
	for i := range out {
		out[i] = Item{Customer: int32(i + 1), Indicator: contract.NewID(), Sender: "s@example.org", Recipients: []string{fmt.Sprintf("r%d@example.com", i)}}
	}
	return out
}

func read(t testing.TB, s *Store, id string) string {
	t.Helper()
	r, err := s.Open(t.Context(), id, "operator", "test")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Close() }()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func files(t testing.TB, dir string) []string {
	t.Helper()
	out, err := filepath.Glob(dir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var big = strings.Repeat("0123456789abcde\n", 50_000) // 800,000 bytes: goes to disk

func TestHoldOpenDelete(t *testing.T) {
	sqldbtest.Each(t, openDB, func(t *testing.T, db *sqldb.DB) {
		addCustomers(t, db)
		for name, body := range map[string]string{"empty": "", "small": "Subject: x\r\n\r\nsecret words\r\n", "one chunk": big[:chunkSize], "large": big} {
			t.Run(name, func(t *testing.T) {
				dir := t.TempDir()
				s := newStore(t, db, dir, nil)
				base := s.Bytes()
				it := items(2)
				ids, err := s.Hold(t.Context(), it, spool(t, s, body))
				if err != nil {
					t.Fatal(err)
				}
				for i, id := range ids {
					if read(t, s, id) != body {
						t.Error("not the bytes that came")
					}
					m, err := s.Get(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
					want := Message{ID: id, Customer: it[i].Customer, Indicator: it[i].Indicator, Sender: it[i].Sender, Recipients: it[i].Recipients, Bytes: int64(len(body)), State: Held, Received: m.Received}
					if d := cmp.Diff(want, m); d != "" {
						t.Error(d)
					}
				}
				for _, f := range files(t, dir) {
					b, _ := os.ReadFile(f)
					if bytes.Contains(b, []byte("secret words")) || bytes.Contains(b, []byte("example.com")) {
						t.Errorf("%s holds plain text", f)
					}
				}
				for _, id := range ids {
					err = s.Delete(t.Context(), id, "operator", "spam")
					if err != nil {
						t.Fatal(err)
					}
					_, err = s.Open(t.Context(), id, "operator", "test")
					if !errors.Is(err, ErrSettled) {
						t.Errorf("opened a deleted message: %v", err)
					}
					if !errors.Is(s.Delete(t.Context(), id, "operator", ""), ErrSettled) {
						t.Error("deleted twice")
					}
				}
				if s.Bytes() != base {
					t.Errorf("%d bytes held", s.Bytes()-base)
				}
			})
		}
		_, err := audit.Verify(t.Context(), db)
		if err != nil {
			t.Error(err)
		}
	})
}

// TestTornFile checks that no changed, cut or exchanged byte goes unseen.
func TestTornFile(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	dir := t.TempDir()
	s := newStore(t, db, dir, nil)
	ids, err := s.Hold(t.Context(), items(1), spool(t, s, big[:200_000]))
	if err != nil {
		t.Fatal(err)
	}
	path := s.path(ids[0], fileSuffix)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		b := bytes.Clone(whole)
		if rapid.Bool().Draw(rt, "cut") {
			b = b[:rapid.IntRange(0, len(b)-1).Draw(rt, "at")]
		} else {
			b[rapid.IntRange(0, len(b)-1).Draw(rt, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
		}
		err := os.WriteFile(path, b, 0o600)
		if err != nil {
			rt.Fatal(err)
		}
		r, _, err := s.open(ids[0])
		if err == nil {
			_, err = io.Copy(io.Discard, r)
			_ = r.Close()
		}
		if !errors.Is(err, ErrTorn) {
			rt.Fatalf("%v", err)
		}
	})
}

// TestCrash stops a hold, a release and a delete at each point and looks at
// what the next start finds.
func TestCrash(t *testing.T) {
	hop := startHop(t)
	for _, c := range []struct {
		point string
		do    func(*Store, string) error
		held  int // messages that must be there afterwards, beside the one held before
		state State
	}{
		{"written", nil, 0, Held},
		{"synced", nil, 0, Held},
		{"committed", nil, 1, Held},
		{"renamed", nil, 1, Held},
		{"releasing", func(s *Store, id string) error { return s.Release(context.Background(), id, "operator") }, 0, Released},
		{"sent", func(s *Store, id string) error { return s.Release(context.Background(), id, "operator") }, 0, Released},
		{"deleted", func(s *Store, id string) error { return s.Delete(context.Background(), id, "operator", "") }, 0, Deleted},
	} {
		t.Run(c.point, func(t *testing.T) {
			db := sqldbtest.Lite(t, openDB)
			addCustomers(t, db)
			dir := t.TempDir()
			set := func(cfg *Config) { cfg.NextHop = hop.addr }
			s := newStore(t, db, dir, set)
			first, err := s.Hold(t.Context(), items(1), spool(t, s, "first"))
			if err != nil {
				t.Fatal(err)
			}
			p := spool(t, s, "second")
			s.point = func(at string) {
				if at == c.point {
					panic("killed")
				}
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the point was not reached")
					}
				}()
				if c.do != nil {
					err = c.do(s, first[0])
				} else {
					_, err = s.Hold(t.Context(), items(1), p)
				}
				t.Errorf("came back with %v", err)
			}()
			again := newStore(t, db, dir, set)
			again.finish(t.Context())
			m, err := again.Get(t.Context(), first[0])
			if err != nil {
				t.Fatal(err)
			}
			if m.State != c.state {
				t.Errorf("state %s, want %s", m.State, c.state)
			}
			held, err := again.List(t.Context(), Filter{State: Held})
			if err != nil {
				t.Fatal(err)
			}
			want := c.held
			if c.state == Held {
				want++
			}
			if len(held) != want {
				t.Errorf("%d messages held, want %d", len(held), want)
			}
			for _, m := range held {
				if b := read(t, again, m.ID); b != "first" && b != "second" {
					t.Errorf("message says %q", b)
				}
			}
			if n := len(files(t, dir)); n != want {
				t.Errorf("%d files, want %d: %v", n, want, files(t, dir))
			}
		})
	}
}

// TestRowsLost checks that whole files are adopted when the database is older
// than the folder, and that nothing is done twice.
func TestRowsLost(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	dir := t.TempDir()
	s := newStore(t, db, dir, nil)
	it := items(1)
	ids, err := s.Hold(t.Context(), it, spool(t, s, big))
	if err != nil {
		t.Fatal(err)
	}
	other := sqldbtest.Lite(t, openDB)
	addCustomers(t, other)
	for range 2 {
		s = newStore(t, other, dir, nil)
	}
	m, err := s.Get(t.Context(), ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if m.Indicator != it[0].Indicator || m.Bytes != int64(len(big)) || read(t, s, ids[0]) != big {
		t.Errorf("%+v", m)
	}
	if s.Bytes() != int64(len(big)) {
		t.Errorf("%d bytes", s.Bytes())
	}
}

// failing is a file on a disk that gets full.
type failing struct {
	file
	left *atomic.Int64
	sync error
}

func (f failing) Write(b []byte) (int, error) {
	if f.left.Add(-int64(len(b))) < 0 {
		return 0, syscall.ENOSPC
	}
	return f.file.Write(b)
}

func (f failing) Sync() error { return errors.Join(f.sync, f.file.Sync()) }

func TestFullDisk(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	for name, c := range map[string]struct {
		left int64
		sync error
	}{"first byte": {0, nil}, "middle": {100_000, nil}, "second copy": {1_000_000, nil}, "while spooling": {-1, nil}, "sync": {1 << 40, syscall.EIO}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := newStore(t, db, dir, nil)
			before := s.Bytes()
			real, left := s.create, new(atomic.Int64)
			left.Store(c.left)
			broken := func(name string) (file, error) {
				f, err := real(name)
				return failing{f, left, c.sync}, err
			}
			if c.left < 0 {
				s.create = broken
			}
			p := s.NewSpool()
			for i := 0; i < len(big); i += 10_000 {
				_, _ = p.Write([]byte(big[i : i+10_000]))
			}
			s.create = broken
			_, err := s.Hold(t.Context(), items(2), p)
			if err == nil {
				t.Fatal("held on a full disk")
			}
			p.Close()
			if n := files(t, dir); len(n) != 0 {
				t.Errorf("left behind: %v", n)
			}
			left.Store(1 << 40)
			s.create = real
			ids, err := s.Hold(t.Context(), items(1), spool(t, s, "fits"))
			if err != nil {
				t.Fatal(err)
			}
			if s.Bytes()-before != 4 {
				t.Errorf("%d bytes counted", s.Bytes()-before)
			}
			_ = s.Delete(t.Context(), ids[0], "operator", "")
		})
	}
}

func TestQuota(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	s := newStore(t, db, t.TempDir(), func(c *Config) { c.MaxBytes = 10 })
	_, err := s.Hold(t.Context(), items(2), spool(t, s, "123456"))
	if !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	_, err = s.Hold(t.Context(), items(1), spool(t, s, "123456"))
	if err != nil {
		t.Error(err)
	}
}

func TestRetention(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	dir := t.TempDir()
	s := newStore(t, db, dir, func(c *Config) { c.Retention, c.Forget = time.Hour, 2*time.Hour })
	_, err := s.Hold(t.Context(), items(2), spool(t, s, "x"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after      time.Duration
		rows, file int
	}{{30 * time.Minute, 2, 2}, {61 * time.Minute, 2, 0}, {4 * time.Hour, 0, 0}} {
		err = s.Retain(t.Context(), time.Now().Add(c.after))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.List(t.Context(), Filter{})
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != c.rows || len(files(t, dir)) != c.file {
			t.Errorf("after %s: %d rows, %d files", c.after, len(rows), len(files(t, dir)))
		}
	}
}

// hop is an SMTP server that keeps what it gets.
type hop struct {
	addr   string
	refuse atomic.Bool
	got    chan string
}

func startHop(t *testing.T) *hop {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hop{addr: ln.Addr().String(), got: make(chan string, 100)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			h.serve(c)
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return h
}

func (h *hop) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	_, _ = io.WriteString(c, "220 hop\r\n")
	r := bufio.NewReader(c)
	var env strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch {
		case strings.HasPrefix(line, "DATA"):
			_, _ = io.WriteString(c, "354 go\r\n")
			for {
				line, err = r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				env.WriteString(strings.TrimPrefix(line, "."))
			}
			h.got <- env.String()
			_, _ = io.WriteString(c, "250 kept\r\n")
		case strings.HasPrefix(line, "RCPT") && h.refuse.Load():
			_, _ = io.WriteString(c, "550 no\r\n")
		case strings.HasPrefix(line, "QUIT"):
			_, _ = io.WriteString(c, "221 bye\r\n")
			return
		default:
			env.WriteString(line)
			_, _ = io.WriteString(c, "250 ok\r\n")
		}
	}
}

func TestRelease(t *testing.T) {
	db := sqldbtest.Lite(t, openDB)
	addCustomers(t, db)
	h := startHop(t)
	dir := t.TempDir()
	s := newStore(t, db, dir, func(c *Config) { c.NextHop = h.addr })
	body := "Subject: x\r\n\r\n.dot\r\nend\r\n"
	ids, err := s.Hold(t.Context(), items(1), spool(t, s, body))
	if err != nil {
		t.Fatal(err)
	}
	h.refuse.Store(true)
	err = s.Release(t.Context(), ids[0], "operator")
	if err == nil {
		t.Fatal("released although the next hop refused it")
	}
	m, err := s.Get(t.Context(), ids[0])
	if err != nil || m.State != Held || m.SettledBy != "" {
		t.Fatalf("%+v, %v", m, err)
	}
	h.refuse.Store(false)
	err = s.Release(t.Context(), ids[0], "operator")
	if err != nil {
		t.Fatal(err)
	}
	got := <-h.got
	for _, w := range []string{"MAIL FROM:<s@example.org>", "RCPT TO:<r0@example.com>", "X-ECS-Released: " + ids[0] + "\r\n" + body} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is missing in %q", w, got)
		}
	}
	if !errors.Is(s.Release(t.Context(), ids[0], "operator"), ErrSettled) {
		t.Error("released twice")
	}
	if n := files(t, dir); len(n) != 0 {
		t.Errorf("left behind: %v", n)
	}
}

// child holds messages and says which, until it is killed.
func child() {
	dir := os.Getenv("QUARANTINE_CHILD")
	db, err := openDB(dir + "/db")
	if err != nil {
		panic(err)
	}
	s, err := New(Config{DB: db, Dir: dir + "/q", Key: key})
	if err != nil {
		panic(err)
	}
	err = s.Recover(context.Background())
	if err != nil {
		panic(err)
	}
	for {
		p := s.NewSpool()
		_, _ = io.WriteString(p, big[:300_000])
		ids, err := s.Hold(context.Background(), items(2), p)
		if err != nil {
			panic(err)
		}
		p.Close()
		fmt.Println(strings.Join(ids, "\n"))
	}
}

// TestKilled kills a process that holds messages, again and again, and checks
// that each message it spoke of is there and whole, and nothing else.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	db, err := openDB(dir + "/db")
	if err != nil {
		t.Fatal(err)
	}
	addCustomers(t, db)
	told := map[string]bool{}
	for i := range 12 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "QUARANTINE_CHILD="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		err = cmd.Start()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(time.Duration(60+i*17) * time.Millisecond)
			_ = cmd.Process.Kill()
		}()
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			if len(sc.Text()) == 36 {
				told[sc.Text()] = true
			}
		}
		_ = cmd.Wait()
	}
	if len(told) == 0 {
		t.Fatal("no message was held")
	}
	s := newStore(t, db, dir+"/q", nil)
	rows, err := s.List(t.Context(), Filter{State: Held})
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, m := range rows {
		have[m.ID] = true
		if read(t, s, m.ID) != big[:300_000] {
			t.Errorf("%s is not whole", m.ID)
		}
	}
	for id := range told {
		if !have[id] && len(rows) < 1000 {
			t.Errorf("%s is lost", id)
		}
	}
	if n := len(files(t, dir+"/q")); n != len(rows) && len(rows) < 1000 {
		t.Errorf("%d files, %d rows", n, len(rows))
	}
	t.Logf("%d messages told of, %d kept", len(told), len(rows))
	err = db.Close()
	if err != nil {
		t.Error(err)
	}
}
