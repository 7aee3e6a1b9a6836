package mail

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
	"ecs/provider/internal/store"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

// records is a recorder that can fail.
type records struct {
	mu   sync.Mutex
	ev   []sighting.Event
	fail error
}

func (r *records) Record(_ context.Context, e *sighting.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return r.fail
	}
	r.ev = append(r.ev, *e)
	return nil
}

func (r *records) take() []sighting.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.ev
	r.ev = nil
	return out
}

func (r *records) setFail(err error) {
	r.mu.Lock()
	r.fail = err
	r.mu.Unlock()
}

// room is a running mail room with customers of every kind:
// reject.example, hold.example, tag.example, watch.example, off.example.
type room struct {
	*Filter
	records *records
	hold    *quarantine.Store
	set     *match.Holder
	items   map[string]match.Item
	dir     string
}

func startRoom(t testing.TB, change func(*Config)) *room {
	t.Helper()
	db := sqldbtest.Lite(t, func(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) })
	var rows []customer.Row
	for i, c := range []struct {
		domain string
		p      customer.Policy
		a      customer.MailAction
	}{
		{"reject.example", customer.Block, customer.Reject},
		{"hold.example", customer.Block, customer.Quarantine},
		{"tag.example", customer.Block, customer.Tag},
		{"watch.example", customer.Watch, customer.Reject},
		{"off.example", customer.Off, customer.Reject},
	} {
		rows = append(rows, customer.Row{
			Customer: customer.Customer{ID: int32(i + 1), Name: c.domain, Mail: c.p, MailAction: c.a}, Domains: []string{c.domain},
		})
		err := db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec(`INSERT INTO customer (id, name, sector, dns_policy, dns_answer, mail_policy, mail_action, flow_policy, created)
				VALUES ($1, $2, 1, 0, 0, 2, 1, 0, 0)`, i+1, c.domain)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r := &room{records: &records{}, dir: t.TempDir(), set: match.NewHolder(), items: map[string]match.Item{
		"host":   entry(nil, atom(t, observable.Domain, "evil.example")),
		"sender": entry(nil, atom(t, observable.Mail, "bad@sender.example")),
		"weak":   entry(func(e *match.Entry) { e.Enforce = false }, atom(t, observable.Subject, "only watched")),
		"file":   entry(nil, atom(t, observable.SHA256, "a7a87c60021bd8ee01d83ca4ae5ac5f3d27ed7c0de6e6e7a4ba2c1b6a4cb0f5d")),
	}}
	var all []match.Item
	for _, it := range r.items {
		all = append(all, it)
	}
	r.set.Set(match.Build(all))
	book := customer.NewHolder()
	book.Set(customer.NewBook(rows))
	var err error
	r.hold, err = quarantine.New(quarantine.Config{DB: db, Dir: r.dir, Key: bytes.Repeat([]byte{1}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Listen: []string{"127.0.0.1:0"}, Set: r.set, Book: book, Recorder: r.records, Quarantine: r.hold}
	if change != nil {
		change(&cfg)
	}
	r.Filter, err = New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		err := <-done
		if err != nil {
			t.Error(err)
		}
	})
	select {
	case <-r.Ready():
	case err := <-done:
		t.Fatal(err)
	}
	return r
}

func (r *room) held(t testing.TB) []quarantine.Message {
	t.Helper()
	out, err := r.hold.List(t.Context(), quarantine.Filter{State: quarantine.Held})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range out {
		err = r.hold.Delete(t.Context(), m.ID, "test", "")
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

const (
	clean = "From: a@friend.example\nSubject: hello\n\nnothing to see\n"
	bad   = "From: a@friend.example\nSubject: look\nX-ECS: forged\nX-ECS: forged again\nx-ecs-more: and this\n\nhttp://www.evil.example/x\n"
)

// TestPostfix sends mail through a real Postfix to customers of every kind.
func TestPostfix(t *testing.T) {
	for _, network := range []string{"inet", "unix"} {
		t.Run(network, func(t *testing.T) {
			need(t, "postfix", "swaks")
			socket, err := os.MkdirTemp("", "ecs-milter-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(socket) })
			_ = os.Chmod(socket, 0o755)
			r := startRoom(t, func(c *Config) {
				if network == "unix" {
					c.Listen, c.SocketMode = []string{"unix:" + socket + "/s"}, 0o666
				}
			})
			at := "inet:" + r.Addrs()[0].String()
			if network == "unix" {
				at = "unix:" + socket + "/s"
			}
			s := startSink(t)
			p := startPostfix(t, at, s.addr, "")
			id := r.items["host"].Entry.ID.String()

			t.Run("clean", func(t *testing.T) {
				out := p.swaks(t, "a@friend.example", "x@reject.example,y@hold.example", clean)
				if d := s.next(t); len(d.to) != 2 || strings.Contains(d.data, "X-ECS") {
					t.Errorf("%+v\n%s", d, out)
				}
				if ev := r.records.take(); len(ev) != 0 {
					t.Errorf("%d sightings", len(ev))
				}
			})
			t.Run("rejected", func(t *testing.T) {
				out := p.swaks(t, "a@friend.example", "x@reject.example", bad)
				if !strings.Contains(out, "550 5.7.1 Message refused by security policy, reference "+id) || strings.Contains(strings.SplitN(out, "<** 550", 2)[1], "evil.example") {
					t.Error(out)
				}
				s.none(t)
				ev := r.records.take()
				if len(ev) != 1 || ev[0].Action != contract.Quarantine || ev[0].Customer != 1 || ev[0].Peer.String() != "127.0.0.1" || string(ev[0].What[:ev[0].Length]) != "url: http://www.evil.example/x" {
					t.Errorf("%+v", ev)
				}
			})
			t.Run("held", func(t *testing.T) {
				out := p.swaks(t, "a@friend.example", "y@hold.example,z@hold.example", bad)
				if !strings.Contains(out, "250 2.0.0 Ok") {
					t.Error(out)
				}
				s.none(t)
				rows, err := r.hold.List(t.Context(), quarantine.Filter{State: quarantine.Held})
				if err != nil || len(rows) != 1 || strings.Join(rows[0].Recipients, " ") != "y@hold.example z@hold.example" || rows[0].Sender != "a@friend.example" {
					t.Fatalf("%+v %v", rows, err)
				}
				rd, err := r.hold.Open(t.Context(), rows[0].ID, "test", "")
				if err != nil {
					t.Fatal(err)
				}
				b, _ := io.ReadAll(rd)
				_ = rd.Close()
				// Postfix adds Message-Id and Date to what lacks them, swaks an empty line.
				head, body, _ := strings.Cut(strings.ReplaceAll(bad, "\n", "\r\n"), "\r\n\r\n")
				if !strings.HasPrefix(string(b), head) || !strings.HasSuffix(string(b), "\r\n\r\n"+body+"\r\n") {
					t.Errorf("kept %q", b)
				}
				r.held(t)
				r.records.take()
			})
			t.Run("held for some, tagged for others", func(t *testing.T) {
				out := p.swaks(t, "a@friend.example", "x@reject.example,y@hold.example,t@tag.example,n@nobody.example", bad)
				d := s.next(t)
				slices.Sort(d.to)
				if strings.Join(d.to, " ") != "n@nobody.example t@tag.example" {
					t.Errorf("delivered to %v\n%s", d.to, out)
				}
				if strings.Count(d.data, "X-ECS") != 1 || !strings.Contains(d.data, "X-ECS: match; indicator="+id) || strings.Contains(d.data, "forged") || strings.Contains(d.data, "x-ecs-more") {
					t.Error(d.data)
				}
				if h := r.held(t); len(h) != 2 {
					t.Errorf("%d held", len(h))
				}
				if ev := r.records.take(); len(ev) != 3 {
					t.Errorf("%d sightings", len(ev))
				}
			})
			t.Run("sender refused for one recipient alone", func(t *testing.T) {
				out := p.swaks(t, "bad@sender.example", "x@reject.example", clean)
				if !strings.Contains(out, "<** 550 5.7.1 Message refused by security policy, reference "+r.items["sender"].Entry.ID.String()) {
					t.Error(out)
				}
				if ev := r.records.take(); len(ev) != 1 || string(ev[0].What[:ev[0].Length]) != "envelope-from: bad@sender.example" {
					t.Errorf("%+v", ev)
				}
				s.none(t)
			})
			t.Run("only watched", func(t *testing.T) {
				p.swaks(t, "a@friend.example", "w@watch.example", bad)
				if d := s.next(t); strings.Contains(d.data, "X-ECS") {
					t.Error(d.data)
				}
				p.swaks(t, "a@friend.example", "x@reject.example", strings.Replace(clean, "hello", "only watched", 1))
				s.next(t)
				ev := r.records.take()
				if len(ev) != 2 || ev[0].Action != contract.Alert || ev[1].Action != contract.Alert {
					t.Errorf("%+v", ev)
				}
			})
			t.Run("off and nobody", func(t *testing.T) {
				p.swaks(t, "a@friend.example", "o@off.example", bad)
				p.swaks(t, "a@friend.example", "n@nobody.example", bad)
				s.next(t)
				s.next(t)
				if ev := r.records.take(); len(ev) != 0 {
					t.Errorf("%+v", ev)
				}
			})
			t.Run("cannot be recorded", func(t *testing.T) {
				r.records.setFail(errors.New("disk full"))
				defer r.records.setFail(nil)
				for _, to := range []string{"x@reject.example", "y@hold.example"} {
					out := p.swaks(t, "a@friend.example", to, bad)
					if !strings.Contains(out, "<** 451 4.3.0") {
						t.Error(out)
					}
				}
				if h := r.held(t); len(h) != 0 {
					t.Errorf("%d held", len(h))
				}
				p.swaks(t, "a@friend.example", "w@watch.example", bad)
				s.next(t) // what is only watched passes
			})
			t.Run("recalled", func(t *testing.T) {
				old := r.set.Get()
				defer r.set.Set(old)
				r.set.Set(old.With(nil, []contract.ID{r.items["host"].Entry.ID}))
				p.swaks(t, "a@friend.example", "x@reject.example", bad)
				s.next(t)
			})
			t.Run("several messages in one session", func(t *testing.T) {
				testSession(t, p, r, s)
			})
			t.Run("large", func(t *testing.T) {
				head := "From: a@friend.example\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\nContent-Type: application/x\n\n"
				body := head + strings.Repeat(strings.Repeat("QUJD", 19)+"\n", 40_000) + "--b\n\nhttp://evil.example/\n--b--\n"
				out := p.swaks(t, "a@friend.example", "y@hold.example", body)
				h, err := r.hold.List(t.Context(), quarantine.Filter{State: quarantine.Held})
				if err != nil || len(h) != 1 {
					t.Fatalf("%v %v\n%.2000s", h, err, out)
				}
				rd, err := r.hold.Open(t.Context(), h[0].ID, "test", "")
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(rd)
				_ = rd.Close()
				_, body, _ = strings.Cut(strings.ReplaceAll(body, "\n", "\r\n"), "\r\n\r\n")
				if err != nil || !strings.HasSuffix(string(b), "\r\n\r\n"+body+"\r\n") {
					t.Errorf("%d bytes kept of %d, %v", len(b), len(body), err)
				}
				r.held(t)
				entries, _ := os.ReadDir(r.dir)
				if len(entries) != 0 {
					t.Errorf("left behind: %v", entries)
				}
			})
			t.Run("figures", func(t *testing.T) {
				reg := prometheus.NewRegistry()
				reg.MustRegister(r.Collector())
				_, err := reg.Gather()
				if err != nil {
					t.Error(err)
				}
				if r.count.panics.Load() != 0 || r.server.Counters().Broken.Load() != 0 {
					t.Errorf("panics %d, broken sessions %d", r.count.panics.Load(), r.server.Counters().Broken.Load())
				}
			})
		})
	}
}

// testSession sends a clean, a bad and a clean message over one connection.
func testSession(t *testing.T, p *postfix, r *room, s *sink) {
	c := dialSMTP(t, p.addr)
	defer func() { _ = c.Close() }()
	for i, m := range []string{clean, bad, clean} {
		err := c.SendMail("a@friend.example", []string{"x@reject.example"}, strings.NewReader(strings.ReplaceAll(m, "\n", "\r\n")))
		if (err != nil) != (i == 1) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	s.next(t)
	s.next(t)
	s.none(t)
	if ev := r.records.take(); len(ev) != 1 {
		t.Errorf("%d sightings", len(ev))
	}
}

// TestFailClosed judges with indicators that make the walk panic: a fault of
// ours must neither end the process nor lose the message.
func TestFailClosed(t *testing.T) {
	for _, closed := range []bool{false, true} {
		t.Run(fmt.Sprint("closed=", closed), func(t *testing.T) {
			r := startRoom(t, func(c *Config) { c.FailClosed = closed; c.Budget = mime.Budget{} })
			r.cfg.Recorder = nil // the next sighting is a nil pointer
			want := "accept"
			if closed {
				want = "451"
			}
			got := overMilter(t, r, "w@watch.example", bad)
			if !strings.Contains(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			if r.count.panics.Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

func TestOverBudget(t *testing.T) {
	for _, c := range []struct {
		refuse bool
		want   string
	}{{false, "accept"}, {true, "554"}} {
		t.Run(c.want, func(t *testing.T) {
			r := startRoom(t, func(cfg *Config) { cfg.RefuseOver = c.refuse; cfg.Budget = mime.Budget{Parts: 3} })
			body := "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 9)
			got := overMilter(t, r, "x@reject.example", body)
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if r.count.over.Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

// TestQuarantineFull checks that a message that cannot be held is not taken.
func TestQuarantineFull(t *testing.T) {
	r := startRoom(t, nil)
	err := os.RemoveAll(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	got := overMilter(t, r, "y@hold.example", bad)
	if !strings.Contains(got, "451") {
		t.Errorf("%q", got)
	}
	if ev := r.records.take(); len(ev) != 0 {
		t.Errorf("%d sightings of a message that was not stopped", len(ev))
	}
	err = os.MkdirAll(r.dir, 0o700)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Millisecond)
	if got = overMilter(t, r, "y@hold.example", bad); got != "discard" {
		t.Errorf("%q", got)
	}
}
