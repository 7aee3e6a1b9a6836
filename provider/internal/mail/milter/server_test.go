package milter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-message/textproto"
	client "github.com/emersion/go-milter"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder writes down what it is told and answers as a test wants.
type recorder struct {
	mu     sync.Mutex
	lines  []string
	reply  map[Stage]Reply
	modify func(*Modifier)
	macros []string
	slow   time.Duration
	closed chan struct{}
}

func (r *recorder) Event(_ context.Context, e *Event) Reply {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, fmt.Sprintf("%d %s|%s|%s", e.Stage, e.Name, e.Value, strings.ReplaceAll(string(e.Args), "\x00", ";")))
	for _, m := range r.macros {
		r.lines = append(r.lines, m+"="+e.Session.Macro(e.Stage, m))
	}
	if e.Stage == End {
		time.Sleep(r.slow)
		if r.modify != nil {
			r.modify(e.Modify)
		}
	}
	return r.reply[e.Stage]
}

func (r *recorder) Close() { close(r.closed) }

func serve(t *testing.T, network string, cfg Config, r *recorder) (string, *Server) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = t.TempDir() + "/s"
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	r.closed = make(chan struct{})
	cfg.Handler = func() Handler { return r }
	s := NewServer(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		err := <-done
		if err != nil {
			t.Error(err)
		}
	})
	return ln.Addr().String(), s
}

func open(t *testing.T, network, addr string, a client.OptAction, p client.OptProtocol) *client.ClientSession {
	t.Helper()
	c := client.NewClientWithOptions(network, addr, client.ClientOptions{
		ActionMask: a, ProtocolMask: p, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
	})
	s, err := c.Session()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func oneHeader(name, value string) textproto.Header {
	var h textproto.Header
	h.Add(name, value)
	return h
}

const everyOption = client.OptProtocol(0x1ff87f | 0x780)

// TestIndependentClient talks with another implementation of the protocol: two
// messages in one session, over both kinds of socket.
func TestIndependentClient(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			r := &recorder{reply: map[Stage]Reply{End: Accept}, macros: []string{"i", "j"}, modify: func(m *Modifier) {
				m.InsertHeader("X-A", "v")
				m.RemoveHeader(2, "X-B")
				m.RemoveRecipient("<b@example.org>")
			}}
			addr, srv := serve(t, network, Config{Actions: AddHeaders | ChangeHeaders | DeleteRecipient, Options: NoReplyHead | NoReplyBody | LeadingSpace}, r)
			s := open(t, network, addr, client.OptAddHeader|client.OptChangeHeader|client.OptRemoveRcpt, everyOption)
			must := func(a *client.Action, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				if a != nil && a.Code != client.ActContinue {
					t.Fatalf("%c", a.Code)
				}
			}
			must(nil, s.Macros(client.CodeConn, "j", "mx"))
			must(s.Conn("host.example", client.FamilyInet, 25, "192.0.2.7"))
			must(s.Helo("helo.example"))
			for n := 1; n <= 2; n++ {
				must(nil, s.Macros(client.CodeMail, "i", fmt.Sprint("Q", n)))
				must(s.Mail("a@example.org", []string{"SIZE=10"}))
				must(s.Rcpt("b@example.org", nil))
				must(s.Header(oneHeader("Subject", "x")))
				mods, act, err := s.BodyReadFrom(strings.NewReader("body\r\n"))
				if err != nil {
					t.Fatal(err)
				}
				if act.Code != client.ActAccept || len(mods) != 3 {
					t.Fatalf("%c with %+v", act.Code, mods)
				}
				if mods[0].HeaderName != "X-A" || mods[1].HeaderIndex != 2 {
					t.Errorf("%+v", mods)
				}
			}
			_ = s.Close()
			<-r.closed
			text := strings.Join(r.lines, "\n")
			for _, w := range []string{"0 host.example||", "1 helo.example||", "2 <a@example.org>||SIZE=10;", "3 <b@example.org>||", "5 Subject|x|", "7 |body\r\n|", "i=Q1", "i=Q2", "j=mx"} {
				if !strings.Contains(text, w) {
					t.Errorf("%q is missing in\n%s", w, text)
				}
			}
			if strings.Contains(text[strings.LastIndex(text, "2 <a@"):], "j=\n") {
				t.Error("the macros of connect were forgotten with the first message")
			}
			if n := srv.Counters().Messages.Load(); n != 2 {
				t.Errorf("%d messages counted", n)
			}
		})
	}
}

func TestReplies(t *testing.T) {
	for _, c := range []struct {
		at   Stage
		r    Reply
		want client.ActionCode
	}{
		{Mail, Reject, client.ActReject},
		{Rcpt, Tempfail, client.ActTempFail},
		{Rcpt, Code(550, "5.7.1", "no\r\n100%"), client.ActReplyCode},
		{End, Discard, client.ActDiscard},
		{End, Code(451, "4.3.0", "later"), client.ActReplyCode},
	} {
		t.Run(c.r.String(), func(t *testing.T) {
			r := &recorder{reply: map[Stage]Reply{c.at: c.r}, modify: func(m *Modifier) { m.InsertHeader("X", "y") }}
			addr, _ := serve(t, "tcp", Config{Actions: AddHeaders}, r)
			s := open(t, "tcp", addr, client.OptAddHeader, 0)
			act, err := s.Mail("a@b.example", nil)
			if err == nil && c.at >= Rcpt {
				act, err = s.Rcpt("c@d.example", nil)
			}
			if err == nil && c.at == End {
				_, _ = s.Header(oneHeader("A", "b"))
				_, act, err = s.BodyReadFrom(strings.NewReader("x"))
			}
			if err != nil {
				t.Fatal(err)
			}
			if act.Code != c.want {
				t.Errorf("%c, want %c", act.Code, c.want)
			}
			if strings.ContainsAny(act.SMTPText, "%\r\n") {
				t.Errorf("text %q", act.SMTPText)
			}
		})
	}
}

// raw sends packets and reads what comes back until the peer closes or waits.
func raw(t *testing.T, addr string, out []byte) ([]byte, error) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	_, err = nc.Write(out)
	if err != nil {
		return nil, err
	}
	_ = nc.SetReadDeadline(time.Now().Add(time.Second))
	return io.ReadAll(nc)
}

func optneg(version uint32, a Actions, o Options) []byte {
	return offer{version: version, actions: a, options: o}.append(nil)
}

func TestNegotiation(t *testing.T) {
	for _, c := range []struct {
		name string
		in   offer
		want offer
	}{
		{"version 2", offer{2, 0x3f, 0x7f}, offer{2, AddHeaders, 0}},
		{"version 4", offer{4, 0x1ff, 0x3ff}, offer{4, AddHeaders, NoReplyHead}},
		{"version 6", offer{6, 0x1ff, 0x1fffff}, offer{6, AddHeaders, NoReplyHead | NoReplyBody | LeadingSpace}},
		{"a later version", offer{9, 0x1ff, 0xffffffff}, offer{6, AddHeaders, NoReplyHead | NoReplyBody | LeadingSpace}},
		{"nothing offered", offer{6, 0, 0}, offer{6, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{}
			addr, _ := serve(t, "tcp", Config{Actions: AddHeaders, Options: NoReplyHead | NoReplyBody | LeadingSpace}, r)
			got, _ := raw(t, addr, append(optneg(c.in.version, c.in.actions, c.in.options), appendPacket(nil, cmdQuit)...))
			if len(got) != 17 {
				t.Fatalf("% x", got)
			}
			o, err := parseOffer(got[5:])
			if err != nil {
				t.Fatal(err)
			}
			if o != c.want {
				t.Errorf("%+v, want %+v", o, c.want)
			}
		})
	}
}

func TestHostilePackets(t *testing.T) {
	start := optneg(6, 0, 0)
	mail := appendPacket(start, cmdMail, []byte("<a>\x00"))
	huge := binary.BigEndian.AppendUint32(nil, 1<<31)
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"nothing agreed", appendPacket(nil, cmdHelo, []byte("x\x00"))},
		{"huge packet", append(start[:len(start):len(start)], huge...)},
		{"empty packet", append(start[:len(start):len(start)], 0, 0, 0, 0)},
		{"version 1", optneg(1, 0, 0)},
		{"short options", appendPacket(nil, cmdOptions, []byte("abc"))},
		{"agreed twice", append(start[:len(start):len(start)], start...)},
		{"unknown command", appendPacket(start[:len(start):len(start)], '?')},
		{"helo without end", appendPacket(start[:len(start):len(start)], cmdHelo, []byte("x"))},
		{"header outside of a message", appendPacket(start[:len(start):len(start)], cmdHeader, []byte("a\x00b\x00"))},
		{"header without value", appendPacket(mail[:len(mail):len(mail)], cmdHeader, []byte("a\x00b"))},
		{"end outside of a message", appendPacket(start[:len(start):len(start)], cmdBodyEnd)},
		{"macro without value", appendPacket(start[:len(start):len(start)], cmdMacro, []byte("Ca\x00"))},
		{"too many macros", appendPacket(start[:len(start):len(start)], cmdMacro, []byte("C"+strings.Repeat("a", maxMacros)+"\x00b\x00"))},
		{"connect without family", appendPacket(start[:len(start):len(start)], cmdConnect, []byte("h\x00"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &recorder{}
			var got error
			seen := make(chan struct{})
			addr, s := serve(t, "tcp", Config{Failed: func(err error) { got = err; close(seen) }}, r)
			_, _ = raw(t, addr, c.in)
			<-seen
			var pe *ProtocolError
			if !errors.As(got, &pe) {
				t.Errorf("%v is not a protocol error", got)
			}
			if s.Counters().Broken.Load() != 1 {
				t.Error("not counted")
			}
		})
	}
}

func TestSilenceAndCrowd(t *testing.T) {
	r := &recorder{}
	addr, s := serve(t, "tcp", Config{ReadTimeout: 50 * time.Millisecond, MaxSessions: 1}, r)
	first, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	for s.Counters().Open.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	second, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	for _, c := range []net.Conn{second, first} {
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, err = c.Read(make([]byte, 1))
		if !errors.Is(err, io.EOF) {
			t.Errorf("%v, want the end of the connection", err)
		}
	}
	<-r.closed
	if s.Counters().Refused.Load() != 1 {
		t.Error("the second session was not counted as refused")
	}
	for range 100 {
		if s.Counters().Silent.Load() == 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("the silent session was not counted")
}

// TestProgress checks that a mail server is kept waiting, and that the answer
// still comes last and whole.
func TestProgress(t *testing.T) {
	r := &recorder{reply: map[Stage]Reply{End: Accept}, slow: 120 * time.Millisecond}
	addr, _ := serve(t, "tcp", Config{Progress: 20 * time.Millisecond, Options: ^Options(0)}, r)
	in := optneg(6, 0, Options(0x1fffff))
	in = appendPacket(in, cmdMail, []byte("<a>\x00"))
	in = appendPacket(in, cmdBodyEnd)
	in = appendPacket(in, cmdQuit)
	got, err := raw(t, addr, in)
	if err != nil {
		t.Fatal(err)
	}
	got = got[17:]
	waits := strings.Count(string(got), "\x00\x00\x00\x01p")
	if waits < 2 {
		t.Errorf("%d progress packets", waits)
	}
	if d := cmp.Diff("\x00\x00\x00\x01a", string(got[len(got)-5:])); d != "" {
		t.Error(d)
	}
}

// TestQuitNew checks that a new SMTP session on the same connection knows
// nothing of the one before.
func TestQuitNew(t *testing.T) {
	r := &recorder{macros: []string{"j"}}
	addr, _ := serve(t, "tcp", Config{Options: ^Options(0)}, r)
	in := optneg(6, 0, Options(0x1fffff))
	in = appendPacket(in, cmdMacro, []byte("Cj\x00mx\x00"))
	in = appendPacket(in, cmdConnect, []byte("h\x004\x00\x19192.0.2.1\x00"))
	in = appendPacket(in, cmdQuitNew)
	in = appendPacket(in, cmdConnect, []byte("k\x00U"))
	in = appendPacket(in, cmdQuit)
	_, _ = raw(t, addr, in)
	<-r.closed
	if d := cmp.Diff([]string{"0 h||", "j=mx", "0 k||", "j="}, r.lines); d != "" {
		t.Error(d)
	}
}

// pipeConn is a connection that reads from memory.
type pipeConn struct {
	net.Conn
	in io.Reader
}

func (p pipeConn) Read(b []byte) (int, error)       { return p.in.Read(b) }
func (p pipeConn) Write(b []byte) (int, error)      { return len(b), nil }
func (p pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (p pipeConn) SetWriteDeadline(time.Time) error { return nil }
func (p pipeConn) Close() error                     { return nil }

type quiet struct{ n int }

func (q *quiet) Event(_ context.Context, e *Event) Reply {
	q.n += len(e.Name) + len(e.Value) + len(e.Args) + len(e.Session.Macro(e.Stage, "i"))
	if e.Stage == End {
		e.Modify.InsertHeader("a", "b")
	}
	return Continue
}
func (q *quiet) Close() {}

func FuzzSession(f *testing.F) {
	m := optneg(6, 0x1ff, 0x1fffff)
	m = appendPacket(m, cmdMacro, []byte("Mi\x00Q\x00"))
	m = appendPacket(m, cmdConnect, []byte("h\x006\x00\x19IPv6:2001:db8::1\x00"))
	m = appendPacket(m, cmdMail, []byte("<a>\x00SIZE=1\x00"))
	m = appendPacket(m, cmdRcpt, []byte("<b>\x00"))
	m = appendPacket(m, cmdData)
	m = appendPacket(m, cmdHeader, []byte("A\x00b\x00"))
	m = appendPacket(m, cmdEndHead)
	m = appendPacket(m, cmdBody, []byte("text"))
	m = appendPacket(m, cmdBodyEnd, []byte("end"))
	f.Add(m)
	f.Add(optneg(2, 0, 0))
	f.Fuzz(func(t *testing.T, in []byte) {
		cfg := NewServer(Config{Actions: AddHeaders, Options: NoReplyHead, MaxPacket: 1 << 17}).cfg
		var n Counters
		c := &conn{nc: pipeConn{in: strings.NewReader(string(in))}, cfg: &cfg, count: &n, handler: &quiet{}, buf: make([]byte, firstBuffer)}
		err := c.serve(context.Background())
		if len(c.buf) > cfg.MaxPacket+4 {
			t.Fatalf("buffer of %d bytes", len(c.buf))
		}
		var pe *ProtocolError
		if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &pe) {
			t.Fatalf("%v is not a typed error", err)
		}
	})
}
