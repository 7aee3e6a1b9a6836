package notice_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/observable"
	"ecs/provider/internal/match"
	"ecs/provider/internal/notice"
	"ecs/provider/internal/store/storetest"

	"github.com/emersion/go-smtp"
)

// relay is an SMTP server that keeps what it gets.
type relay struct {
	mu   sync.Mutex
	got  []string
	deny bool
}

func (r *relay) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{relay: r}, nil }

func (r *relay) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

type delivery struct {
	relay *relay
	to    string
}

func (d *delivery) Reset()                                    {}
func (d *delivery) Logout() error                             { return nil }
func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }
func (d *delivery) Data(r io.Reader) error {
	body, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.relay.mu.Lock()
	defer d.relay.mu.Unlock()
	if d.relay.deny {
		return &smtp.SMTPError{Code: 451, Message: "later"}
	}
	d.relay.got = append(d.relay.got, d.to+"\n"+string(body))
	return nil
}

func startRelay(t *testing.T) (*relay, string) {
	t.Helper()
	r := &relay{}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(r)
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return r, ln.Addr().String()
}

var id = contract.ID{9}

type fixture struct {
	t   *testing.T
	db  *sqldb.DB
	svc *notice.Service
	now time.Time
}

func setup(t *testing.T, db *sqldb.DB, relay, column, value string, disclosure uint8) *fixture {
	t.Helper()
	f := &fixture{t: t, db: db, now: time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)}
	set := match.NewHolder()
	set.Set(match.Build([]match.Item{{
		Entry: &match.Entry{ID: id, Category: contract.CommandAndControl, Disclosure: disclosure, Summary: "Known control server.", Until: 1 << 40},
		Atoms: []observable.Atom{{Kind: observable.Domain, Value: "secret.example"}},
	}}))
	f.svc = notice.New(notice.Config{
		DB: db, Set: set, Provider: "Northnet", PublicURL: "https://north.example/",
		Mail: notice.MailConfig{Server: relay, From: "soc@north.example"},
		Log:  slog.New(slog.DiscardHandler), Now: func() time.Time { return f.now },
	})
	f.exec(`INSERT INTO customer (id, name, sector, dns_policy, dns_answer, mail_policy, mail_action, flow_policy, created) VALUES (1, 'Clinic', 1, 0, 0, 0, 0, 0, 0)`)
	if column != "" {
		f.exec(`UPDATE customer SET ` + column + ` = '` + value + `'`)
	}
	return f
}

func (f *fixture) exec(query string, args ...any) {
	f.t.Helper()
	err := f.db.Write(f.t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(f.t.Context(), query, args...)
		return err
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) sight(n int, notify bool) {
	f.t.Helper()
	f.exec(`INSERT INTO sighting (id, service, indicator, category, customer, action, client, peer, what, hour, count, first, last, notify)
		VALUES ($1, 1, $2, 1, 1, 1, '192.0.2.1', '', 'x.secret.example', $1, 3, 1, 2, $3)`, n, id.String(), notify)
}

func (f *fixture) once() {
	f.t.Helper()
	err := f.svc.Once(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) all() []notice.Notice {
	f.t.Helper()
	out, err := notice.List(f.t.Context(), f.db, notice.Filter{})
	if err != nil {
		f.t.Fatal(err)
	}
	return out
}

func TestMailUntilAcknowledged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r, addr := startRelay(t)
		f := setup(t, db, addr, "notice_mail", "it@clinic.example", 2)
		f.sight(1, true)
		f.sight(2, true)
		f.sight(3, false)
		f.once()
		f.sight(4, true) // joins the open notice
		f.once()
		ns := f.all()
		if len(ns) != 1 || ns[0].State != notice.Dispatched {
			t.Fatalf("%+v", ns)
		}
		got := r.messages()
		if len(got) != 1 || !strings.HasPrefix(got[0], "it@clinic.example\n") {
			t.Fatalf("mailed: %q", got)
		}
		for _, want := range []string{"Clinic", "192.0.2.1", "Category:   c2", "Known control server.", "https://north.example/notice/" + ns[0].Token, "Times:      6"} {
			if !strings.Contains(got[0], want) {
				t.Errorf("the mail lacks %q:\n%s", want, got[0])
			}
		}
		if strings.Contains(got[0], "secret") {
			t.Error("the mail tells the indicator's value")
		}
		var waiting int
		err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM sighting WHERE notice = 0`).Scan(&waiting)
		if err != nil || waiting != 1 {
			t.Errorf("%d sightings without notice, %v: want the one that may not be told", waiting, err)
		}
		err = f.svc.Acknowledge(t.Context(), ns[0].Token, "customer", 4)
		if err != nil {
			t.Fatal(err)
		}
		if n := f.all()[0]; n.State != notice.Acknowledged || n.Rating != 4 || n.Settled.IsZero() {
			t.Errorf("%+v", n)
		}
		err = f.svc.Acknowledge(t.Context(), "nonsense", "customer", 4)
		if !errors.Is(err, notice.ErrUnknown) {
			t.Errorf("a made-up token: %v", err)
		}
	})
}

func TestDisclosureZeroTellsOnlyThatItHappened(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := setup(t, db, "", "", "", 0)
		f.sight(1, true)
		f.once()
		n := f.all()[0]
		if n.State != notice.Escalated || n.Channel != "operator" {
			t.Errorf("with no contact the operators must tell: %+v", n)
		}
		if strings.Contains(n.Body, "Category") || strings.Contains(n.Body, "Known") {
			t.Errorf("it tells more than level 0 allows:\n%s", n.Body)
		}
	})
}

func TestEscalatesWhatCannotBeDeliveredOrIsNotAcknowledged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		r, addr := startRelay(t)
		r.deny = true
		f := setup(t, db, addr, "notice_mail", "it@clinic.example", 2)
		f.sight(1, true)
		for range 8 {
			f.once()
			f.now = f.now.Add(time.Hour)
		}
		if n := f.all()[0]; n.State != notice.Escalated || n.Attempts != 8 || !strings.Contains(n.Error, "later") {
			t.Errorf("after eight failures: %+v", n)
		}
		f.exec(`UPDATE notice SET state = 'DISPATCHED'`)
		f.now = f.now.Add(24 * time.Hour)
		f.once()
		if n := f.all()[0]; n.State != notice.Escalated {
			t.Errorf("after a day in silence: %+v", n)
		}
	})
}

func TestWebhookAndSyslog(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var got struct {
			Notice      int64
			Acknowledge string
		}
		hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			err := json.NewDecoder(r.Body).Decode(&got)
			if err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, `{"acknowledged":true}`)
		}))
		defer hook.Close()
		f := setup(t, db, "", "notice_hook", hook.URL, 2)
		f.sight(1, true)
		f.once()
		n := f.all()[0]
		if n.State != notice.Acknowledged || n.SettledBy != "webhook" || got.Notice != n.ID || !strings.HasSuffix(got.Acknowledge, n.Token) {
			t.Errorf("%+v, hook got %+v", n, got)
		}

		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = ln.Close() }()
		line := make(chan string, 1)
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(bufio.NewReader(c))
			line <- string(b)
		}()
		f.exec(`UPDATE customer SET notice_hook = '', notice_syslog = $1`, ln.Addr().String())
		f.now = f.now.Add(48 * time.Hour)
		f.sight(2, true)
		f.once()
		m := <-line
		if n = f.all()[0]; n.State != notice.Dispatched || !strings.Contains(m, " <36>1 ") || !strings.Contains(m, n.Token) {
			t.Errorf("%+v, syslog got %q", n, m)
		}
	})
}

func TestRunEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := setup(t, db, "", "", "", 0)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		f.svc.Wake()
		err := f.svc.Run(ctx)
		if err != nil {
			t.Error(err)
		}
	})
}
