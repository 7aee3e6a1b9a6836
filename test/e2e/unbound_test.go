package e2e

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startUnbound runs a real resolver with a zone of its own. The listed name of
// the tests is in it, so that one can see when it is no longer blocked.
func startUnbound(t *testing.T) string {
	t.Helper()
	dir, port := t.TempDir(), ports(t, 0)
	file := filepath.Join(dir, "unbound.conf")
	write(t, file, fmt.Sprintf(`server:
  interface: 127.0.0.1@%d
  do-daemonize: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  num-threads: 1
  module-config: "iterator"
  local-zone: "." refuse
  local-zone: "example." static
  local-data: "example. 60 IN SOA ns.example. h.example. 1 2 3 4 5"
  local-data: "c2.example. 60 IN A 203.0.113.80"
  local-data: "www.c2.example. 60 IN A 203.0.113.80"
  local-data: "clean.example. 60 IN A 203.0.113.81"
  local-data: "clean.example. 60 IN AAAA 2001:db8::81"
  local-data: "clean.example. 60 IN MX 10 mail.clean.example."
  local-data: 'clean.example. 60 IN TXT "hello"'
  local-data: "clean.example. 60 IN HTTPS 1 . alpn=h2"
remote-control:
  control-enable: no
`, port, dir))
	at := fmt.Sprintf("127.0.0.1:%d", port)
	start(t, filepath.Join(dir, "log"), "/usr/sbin/unbound", "-c", file)
	until(t, "unbound to listen", 20*time.Second, func() bool {
		c, err := net.Dial("tcp", at)
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	return at
}

// dug is what dig printed: the header's code, the records, and the extended
// error when there is one.
type dug struct{ status, answer, ede string }

// dig has the real client ask the node, from an address of a customer.
func (n *node) dig(t *testing.T, client, name, kind string, more ...string) dug {
	t.Helper()
	host, port, _ := net.SplitHostPort(n.dns)
	args := append([]string{"dig", "@" + host, "-p", port, "-b", client, "+time=3", "+tries=2", name, kind}, more...)
	out := good(t, nil, args...)
	var d dug
	section := false
	for line := range strings.SplitSeq(out, "\n") {
		_, rest, ok := strings.Cut(line, "status: ")
		if ok {
			d.status, _, _ = strings.Cut(rest, ",")
		}
		_, rest, ok = strings.Cut(line, "EDE: ")
		if ok {
			d.ede = rest
		}
		switch {
		case strings.HasPrefix(line, ";; ANSWER SECTION"):
			section = true
		case line == "" || strings.HasPrefix(line, ";;"):
			section = false
		case section:
			f := strings.Fields(line)
			d.answer = strings.TrimSpace(d.answer + "\n" + strings.Join(f[3:], " "))
		}
	}
	return d
}
