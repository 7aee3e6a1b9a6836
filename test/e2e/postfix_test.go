package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// postfix is a real mail server of its own: own configuration, own queue, own
// port, our milter, and everything that it accepts goes to a sink.
type postfix struct{ addr, dir string }

const postfixMain = `compatibility_level = 3.6
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
myhostname = mx.example
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
smtpd_milters = inet:%[4]s
milter_default_action = tempfail
`

const postfixMaster = `127.0.0.1:%d inet n - n - - smtpd
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
`

func startPostfix(t *testing.T, milter, sink string) *postfix {
	t.Helper()
	if os.Geteuid() != 0 {
		missing(t, "Postfix needs root")
	}
	// Postfix's own user enters the folder, which t.TempDir would not let it.
	dir, err := os.MkdirTemp("", "ecs-e2e-postfix-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	etc := filepath.Join(dir, "etc")
	for _, d := range []string{etc, filepath.Join(dir, "queue"), filepath.Join(dir, "data")} {
		err = os.Mkdir(d, 0o755)
		if err != nil {
			t.Fatal(err)
		}
	}
	good(t, nil, "chown", "postfix", filepath.Join(dir, "data"))
	port := ports(t, 0)
	host, sinkPort, _ := net.SplitHostPort(sink)
	write(t, filepath.Join(etc, "main.cf"), fmt.Sprintf(postfixMain, dir, host, sinkPort, milter))
	write(t, filepath.Join(etc, "master.cf"), fmt.Sprintf(postfixMaster, port))
	_ = os.Chmod(filepath.Join(etc, "main.cf"), 0o644)
	_ = os.Chmod(filepath.Join(etc, "master.cf"), 0o644)
	good(t, nil, "postfix", "-c", etc, "start")
	t.Cleanup(func() {
		_ = exec.Command("postfix", "-c", etc, "abort").Run()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("Postfix's log:\n%s", tail(string(log), 6000))
		}
	})
	p := &postfix{addr: fmt.Sprintf("127.0.0.1:%d", port), dir: dir}
	until(t, "Postfix to listen", 30*time.Second, func() bool {
		c, err := net.Dial("tcp", p.addr)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return p
}

// swaks has a real client send a message; it gives what the server answered at
// the end: to DATA, or to the recipient that it refused.
func (p *postfix) swaks(t *testing.T, from, to, file string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(p.addr)
	r := run(t, nil, "swaks", "--server", host, "--port", port, "--helo", "client.example", "--from", from, "--to", to, "--data", "@"+file)
	last := ""
	for line := range strings.SplitSeq(r.out, "\n") {
		_, answer, ok := strings.Cut(line, "<** ")
		if ok {
			return strings.TrimSpace(answer)
		}
		_, answer, ok = strings.Cut(line, "<-  ")
		if ok && !strings.HasPrefix(answer, "221") {
			last = strings.TrimSpace(answer)
		}
	}
	if last == "" {
		t.Fatalf("swaks: %s%s", r.out, r.err)
	}
	return last
}

// sink is an SMTP server that takes everything.
type sink struct {
	addr string
	mu   sync.Mutex
	got  []letter
}

type letter struct {
	from string
	to   []string
	data string
}

func startSink(t *testing.T) *sink {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{addr: ln.Addr().String()}
	srv := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &sinkSession{sink: s}, nil }))
	srv.Domain, srv.ReadTimeout, srv.WriteTimeout = "sink.example", time.Minute, time.Minute
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

// with gives the letters whose text contains something.
func (s *sink) with(text string) []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []letter
	for _, l := range s.got {
		if strings.Contains(l.data, text) {
			out = append(out, l)
		}
	}
	return out
}

type sinkSession struct {
	sink *sink
	letter
}

func (s *sinkSession) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }
func (s *sinkSession) Rcpt(to string, _ *smtp.RcptOptions) error   { s.to = append(s.to, to); return nil }
func (s *sinkSession) Reset()                                      { s.letter = letter{} }
func (s *sinkSession) Logout() error                               { return nil }

func (s *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data = string(b)
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.got = append(s.sink.got, s.letter)
	return nil
}
