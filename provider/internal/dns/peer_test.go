package dns

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

// need finds a program, or skips the test; with CI=true it fails instead.
func need(t testing.TB, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err == nil {
		return path
	}
	_, err = os.Stat("/usr/sbin/" + program)
	if err == nil {
		return "/usr/sbin/" + program
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and CI may not skip", program)
	}
	t.Skipf("%s is not installed", program)
	return ""
}

// startUnbound runs a real resolver with a small zone of its own.
func startUnbound(t testing.TB) netip.AddrPort {
	t.Helper()
	bin := need(t, "unbound")
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().(*net.TCPAddr).AddrPort()
	_ = l.Close()
	dir := t.TempDir()
	long := strings.Repeat(strings.Repeat("x", 63)+".", 3)
	conf := fmt.Sprintf(`server:
  interface: 127.0.0.1@%d
  do-daemonize: no
  username: ""
  chroot: ""
  directory: %q
  pidfile: ""
  use-syslog: no
  verbosity: 0
  rrset-roundrobin: no
  num-threads: 1
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "." refuse
  local-zone: "example." static
  local-zone: "secret.example." refuse
  local-data: "example. 60 IN SOA ns.example. h.example. 1 2 3 4 5"
  local-data: "www.good.example. 60 IN A 198.51.100.7"
  local-data: "www.good.example. 60 IN AAAA 2001:db8::7"
  local-data: "good.example. 60 IN MX 10 mail.good.example."
  local-data: "good.example. 60 IN HTTPS 1 . alpn=h2 ipv4hint=198.51.100.7"
  local-data: "%sgood.example. 60 IN A 198.51.100.8"
`, addr.Port(), dir, long)
	for i := range 40 {
		conf += fmt.Sprintf("  local-data: '%s 60 IN TXT \"%d %s\"'\n", "big.good.example.", i, strings.Repeat("y", 100))
	}
	conf += "remote-control:\n  control-enable: no\n"
	file := filepath.Join(dir, "unbound.conf")
	err = os.WriteFile(file, []byte(conf), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd := exec.Command(bin, "-d", "-c", file)
	cmd.Stderr, cmd.Stdout = &log, &log
	err = cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		if probeOnce(t.Context(), addr) {
			return addr
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	t.Fatalf("unbound does not answer: %s", log.String())
	return addr
}

// dig runs dig against the room.
func dig(t testing.TB, r *Room, args ...string) string {
	t.Helper()
	bin := need(t, "dig")
	a := r.Addrs()[0]
	args = append([]string{"@" + a.Addr().String(), "-p", fmt.Sprint(a.Port()), "+time=3", "+tries=1"}, args...)
	out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
	if err != nil {
		return string(out) + err.Error()
	}
	return string(out)
}

func TestDig(t *testing.T) {
	t.Parallel()
	need(t, "dig")
	cfg := testConfig(t)
	cfg.Upstreams = []netip.AddrPort{startUnbound(t)}
	r := start(t, cfg)
	const soa = "sinkhole.invalid. hostmaster.sinkhole.invalid. 1 3600 600 86400 5"
	const ede = "EDE: 15 (Blocked): (Control server of a stealer)"
	type row struct {
		args string
		want []string
		not  []string
	}
	rows := []row{
		{"bad.example A", []string{"status: NOERROR", "flags: qr rd ra;", "bad.example.\t\t5\tIN\tA\t203.0.113.1", ede, "udp: 1232"}, nil},
		{"bad.example AAAA", []string{"5\tIN\tAAAA\t2001:db8::1", ede}, nil},
		{"x.y.bad.example A +tcp", []string{"5\tIN\tA\t203.0.113.1", ede, "(TCP)"}, nil},
		{"bad.example A +noedns", []string{"203.0.113.1"}, []string{"EDE", "OPT"}},
		{"bad.example A +dnssec", []string{"203.0.113.1", "flags: do;", ede}, []string{" ad"}},
		{"bad.example A +cd +norec", []string{"flags: qr ra cd;", "203.0.113.1"}, nil},
		{"bad.example A +edns=1 +noednsneg", []string{"status: BADVERS", "EDNS: version: 0"}, []string{"203.0.113.1"}},
		{"bad.example A +ednsopt=100:0011", []string{"status: NOERROR", "203.0.113.1"}, nil},
		{"bad.example A +ednsflags=0x40", []string{"status: NOERROR", "203.0.113.1"}, nil},
		{"bad.example A +opcode=status", []string{"status: NOTIMP", "opcode: STATUS"}, nil},
		{"bad.example A +opcode=15", []string{"status: NOTIMP"}, nil},
		{"bad.example A +header-only", []string{"status: FORMERR"}, nil},
		{"-c CH version.bind TXT", []string{"status: REFUSED"}, nil},
		{"bad.example AXFR +tcp", []string{"Transfer failed."}, nil},
		{"bad.example A +cookie=00112233445566778899aabbccddeeff", []string{"COOKIE: 00112233445566778899aabbccddeeff (good)", ede}, nil},
		{"bad.example A +padding=128", []string{"203.0.113.1"}, nil},
		{"www.good.example A", []string{"status: NOERROR", "198.51.100.7"}, []string{"EDE"}},
		{"www.good.example AAAA +tcp", []string{"2001:db8::7"}, nil},
		{"good.example HTTPS", []string{"ipv4hint=198.51.100.7"}, nil},
		{"nothing.example A", []string{"status: NXDOMAIN"}, nil},
		{"secret.example A", []string{"status: REFUSED"}, nil},
		{strings.Repeat(strings.Repeat("x", 63)+".", 3) + "good.example A", []string{"198.51.100.8"}, nil},
		{"big.good.example TXT", []string{"(TCP)", "ANSWER: 40", "Truncated, retrying in TCP mode"}, nil},
		{"big.good.example TXT +ignore", []string{"flags: qr aa tc"}, nil},
	}
	for _, typ := range []string{"MX", "TXT", "NS", "SOA", "SRV", "CAA", "HTTPS", "SVCB", "ANY", "DNSKEY", "DS", "RRSIG", "NSEC", "TLSA", "PTR", "CNAME", "NAPTR", "TYPE65280"} {
		for _, tcp := range []string{"+notcp", "+tcp"} {
			rows = append(rows, row{"bad.example " + typ + " " + tcp, []string{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1", soa, ede}, []string{"203.0.113.1"}})
		}
	}
	for _, c := range rows {
		out := dig(t, r, strings.Fields(c.args)...)
		for _, w := range c.want {
			if !strings.Contains(out, w) {
				t.Errorf("dig %s: no %q in\n%s", c.args, w, out)
			}
		}
		for _, w := range c.not {
			if strings.Contains(out, w) {
				t.Errorf("dig %s: %q in\n%s", c.args, w, out)
			}
		}
		if strings.Contains(out, "WARNING") || strings.Contains(out, "malformed") {
			t.Errorf("dig %s warns:\n%s", c.args, out)
		}
	}
}

// TestSameBytesAsUpstream asks the room and the resolver behind it the same,
// over UDP and TCP: what is not listed must come back byte for byte.
func TestSameBytesAsUpstream(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	up := startUnbound(t)
	cfg.Upstreams = []netip.AddrPort{up}
	r := start(t, cfg)
	names := []string{
		"www.good.example.", "WWW.gOOd.example.", "good.example.", "nothing.example.", "secret.example.", "elsewhere.invalid.", "big.good.example.", ".",
		"\\000\\255\\.x.good.example.", strings.Repeat(strings.Repeat("x", 63)+".", 3) + "good.example.",
	}
	types := []uint16{mdns.TypeA, mdns.TypeAAAA, mdns.TypeMX, mdns.TypeHTTPS, mdns.TypeTXT, mdns.TypeANY, mdns.TypeSOA, 65280}
	edits := []func(*mdns.Msg){
		func(*mdns.Msg) {},
		func(m *mdns.Msg) { m.SetEdns0(1232, false) },
		func(m *mdns.Msg) { m.SetEdns0(4096, true); m.CheckingDisabled = true },
		func(m *mdns.Msg) { m.RecursionDesired = false; m.SetEdns0(512, false) },
	}
	compared := 0
	for _, name := range names {
		for _, typ := range types {
			for i, edit := range edits {
				msg := query(t, name, typ, edit)
				for _, tcp := range []bool{false, true} {
					a, b := once(t, up, msg, tcp), once(t, r.Addrs()[0], msg, tcp)
					if !bytes.Equal(a, b) {
						t.Errorf("%s type %d edit %d tcp %v:\nupstream %.200x\nroom     %.200x", name, typ, i, tcp, a, b)
					}
					compared++
				}
			}
		}
	}
	t.Logf("%d answers compared", compared)
}

func once(t testing.TB, to netip.AddrPort, msg []byte, tcp bool) []byte {
	t.Helper()
	if !tcp {
		return ask(t, to, msg, 3*time.Second)
	}
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	_, err = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	if err != nil {
		t.Fatal(err)
	}
	return readTCP(c)
}
