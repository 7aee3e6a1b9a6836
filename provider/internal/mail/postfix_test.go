package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// postfix is a real mail server of its own: own configuration, own queue, own
// ports, relaying everything to a sink of ours.
type postfix struct {
	dir  string
	addr string
}

// need skips a test whose peer is missing, and fails it where nothing may be
// skipped.
func need(t testing.TB, programs ...string) {
	t.Helper()
	miss := ""
	for _, p := range programs {
		_, err := exec.LookPath(p)
		if err != nil {
			miss = p + " is not installed"
		}
	}
	if os.Geteuid() != 0 {
		miss = "not run as root, which Postfix needs"
	}
	if miss == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(miss)
	}
	t.Skip(miss)
}

func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

// startPostfix starts Postfix with our milter at the given address.
func startPostfix(t testing.TB, milter, sink, extra string) *postfix {
	t.Helper()
	need(t, "postfix", "swaks")
	// The daemon directory is entered by Postfix's own user.
	dir, err := os.MkdirTemp("", "ecs-postfix-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755)
	for _, d := range []string{"etc", "queue", "data"} {
		err := os.Mkdir(filepath.Join(dir, d), 0o755)
		if err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	run("chown", "postfix", filepath.Join(dir, "data"))
	port := freePort(t)
	host, sinkPort, _ := net.SplitHostPort(sink)
	main := fmt.Sprintf(`compatibility_level = 3.6
queue_directory = %[1]s/queue
data_directory = %[1]s/data
maillog_file = %[1]s/log
maillog_file_prefixes = %[1]s
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test
mydestination =
mynetworks = 127.0.0.0/8
relay_domains = static:all
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [%[2]s]:%[3]s
smtp_dns_support_level = disabled
smtp_host_lookup = native
alias_maps =
alias_database =
local_recipient_maps =
smtpd_milters = %[4]s
milter_default_action = tempfail
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
%[5]s
`, dir, host, sinkPort, milter, extra)
	master := fmt.Sprintf(`127.0.0.1:%s inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
showq unix n - n - - showq
flush unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
`, port)
	for name, text := range map[string]string{"main.cf": main, "master.cf": master} {
		err := os.WriteFile(filepath.Join(dir, "etc", name), []byte(text), 0o644)
		if err != nil {
			t.Fatal(err)
		}
	}
	etc := filepath.Join(dir, "etc")
	run("postfix", "-c", etc, "start")
	t.Cleanup(func() {
		_ = exec.Command("postfix", "-c", etc, "abort").Run()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Postfix's log:\n%s", log)
		}
	})
	p := &postfix{dir: dir, addr: "127.0.0.1:" + port}
	for range 200 {
		nc, err := net.Dial("tcp", p.addr)
		if err == nil {
			_ = nc.Close()
			return p
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatal("Postfix does not listen")
	return nil
}

// swaks sends a message and gives the whole conversation.
func (p *postfix) swaks(t testing.TB, from, to, data string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "message")
	err := os.WriteFile(file, []byte(data), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(p.addr)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "swaks", "--server", host, "--port", port, "--helo", "client.test",
		"--from", from, "--to", to, "--data", "@"+file).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out)
}

// delivered is a message that reached the sink.
type delivered struct {
	from string
	to   []string
	data string
}

// sink is an SMTP server that takes everything.
type sink struct {
	addr string
	got  chan delivered
}

func startSink(t testing.TB) *sink {
	t.Helper()
	s := &sink{got: make(chan delivered, 1000)}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: s}, nil }))
	srv.Domain, srv.ReadTimeout, srv.WriteTimeout = "sink.test", time.Minute, time.Minute
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(ln)
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return s
}

// next gives the next message that reached the sink, or fails.
func (s *sink) next(t testing.TB) delivered {
	t.Helper()
	select {
	case d := <-s.got:
		return d
	case <-time.After(20 * time.Second):
		t.Fatal("no message reached the sink")
		return delivered{}
	}
}

// none checks that nothing reaches the sink for a while.
func (s *sink) none(t testing.TB) {
	t.Helper()
	select {
	case d := <-s.got:
		t.Errorf("delivered to %v:\n%s", d.to, d.data)
	case <-time.After(700 * time.Millisecond):
	}
}

type sinkSession struct {
	sink *sink
	delivered
}

func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = append(s.to, to); return nil }
func (s *sinkSession) Reset()                                      { s.delivered = delivered{} }
func (s *sinkSession) Logout() error                               { return nil }

func (s *sinkSession) Data(r io.Reader) error {
	var b strings.Builder
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	d := s.delivered
	d.data = b.String()
	s.sink.got <- d
	return nil
}
