package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const providerAccounts = `accounts:
  - {login: olga, person: Olga Petrova, roles: [csp_operator]}
  - {login: stefan, person: Stefan Brandt, roles: [csp_security_officer]}
`

// Customers of the tests, one for each thing that can be done with mail and
// names.
const customers = `customers:
  - {name: Reject Power, sector: 8, prefixes: [127.0.11.0/24, 192.0.2.16/28], domains: [reject.example], dns: block, mail: block, flow: watch, contact: {mail: security@reject.example}}
  - {name: Hold Water, sector: 16, prefixes: [127.0.12.0/24, 192.0.2.32/28], domains: [hold.example], dns: block, dns_answer: nxdomain, mail: block, mail_action: quarantine, flow: watch, contact: {mail: security@hold.example}}
  - {name: Tag College, sector: 11, prefixes: [127.0.13.0/24, 192.0.2.48/28], domains: [tag.example], dns: block, dns_answer: nodata, mail: block, mail_action: tag, flow: watch, contact: {mail: security@tag.example}}
  - {name: Watch Rail, sector: 15, prefixes: [127.0.14.0/24, 192.0.2.64/28], domains: [watch.example], dns: watch, mail: watch, flow: watch, contact: {mail: security@watch.example}}
  - {name: Off Clinic, sector: 12, prefixes: [127.0.15.0/24, 192.0.2.80/28], domains: [off.example], dns: "off", mail: "off", flow: "off"}
`

// sinkhole is where blocked names lead.
const sinkhole = "192.0.2.253"

// node is a provider's node as a process of its own.
type node struct {
	*process
	dir, config, upstream     string
	url, dns, milter, netflow string
	passwords                 map[string]string
	sessions                  map[string]*http.Client
}

// newNode writes a configuration, with placeholders for what does not exist.
func newNode(t *testing.T, upstream, nextHop, noticesAt, extra string) *node {
	t.Helper()
	base := ports(t, 100, 153, 155, 191)
	at := func(n int) string { return fmt.Sprintf("127.0.0.1:%d", base+n) }
	n := &node{dir: t.TempDir(), upstream: upstream, url: "http://" + at(100), dns: at(153), netflow: at(155), milter: at(191), sessions: map[string]*http.Client{}}
	n.config = filepath.Join(n.dir, "provider.yaml")
	write(t, n.config, fmt.Sprintf(`name: Northnet Communications
data: %s/data
console: %s
dns:
  listen: ["%s"]
  upstreams: ["%s"]
  sinkhole4: [%s]
  sinkhole6: ["2001:db8::253"]
mail:
  listen: ["inet:%s"]
  next_hop: %s
flow:
  listen: ["%s"]
  exporters: [127.0.0.1/32]
notices:
  mail: %s
  from: soc@northnet.example
demonstration: true
%s%s`, n.dir, at(100), n.dns, upstream, sinkhole, n.milter, nextHop, n.netflow, noticesAt, providerAccounts, extra))
	return n
}

// enroll enrolls the node with a token and the pin, by the command line.
func (n *node) enroll(t *testing.T, h *hub) {
	t.Helper()
	var token struct{ Token, Pin string }
	decode(t, good(t, h.as("carl"), ecs, "token", "--json", "northnet"), &token)
	if token.Pin != h.pin {
		t.Fatalf("the token's pin is %s, the hub's %s", token.Pin, h.pin)
	}
	good(t, []string{"ECS_TOKEN=" + token.Token}, ecs, "provider", "enroll", "-c", n.config, "--hub", h.door, "--node", "node-1", "--pin", token.Pin)
	// The same node may repeat itself, because an answer may be lost. Nobody else.
	thief := newNode(t, n.upstream, n.dns, n.dns, "")
	again := run(t, []string{"ECS_TOKEN=" + token.Token}, ecs, "provider", "enroll", "-c", thief.config, "--hub", h.door, "--node", "node-1", "--pin", token.Pin)
	if again.code == 0 {
		t.Error("a one-time token was taken by two nodes")
	}
	stranger := run(t, []string{"ECS_TOKEN=" + token.Token}, ecs, "provider", "enroll", "-c", thief.config, "--hub", h.door, "--node", "node-1", "--pin", "sha256:"+strings.Repeat("0", 64))
	if stranger.code == 0 || !strings.Contains(stranger.err, "pin") {
		t.Errorf("a hub with another pin was believed: %s", stranger.err)
	}
}

func (n *node) run(t *testing.T) {
	t.Helper()
	n.process = start(t, filepath.Join(n.dir, "log"), ecs, "-v", "provider", "run", "-c", n.config)
	n.ready(t)
	n.passwords = map[string]string{}
	for _, m := range account.FindAllStringSubmatch(n.all(), -1) {
		n.passwords[m[1]] = m[2]
	}
}

func (n *node) ready(t *testing.T) {
	t.Helper()
	n.wait(t, "provider: ready")
	answers(t, n.url)
}

// startNode starts an enrolled node with the customers of the tests.
func startNode(t *testing.T, h *hub, upstream, nextHop, noticesAt string) *node {
	t.Helper()
	n := newNode(t, upstream, nextHop, noticesAt, customers)
	n.enroll(t, h)
	n.run(t)
	return n
}

func (n *node) session(t *testing.T, login string) *http.Client {
	t.Helper()
	if n.sessions[login] == nil {
		n.sessions[login] = signIn(t, n.url, login, n.passwords[login])
	}
	return n.sessions[login]
}

// page reads a page of the provider's console.
func (n *node) page(t *testing.T, login, path string) string {
	t.Helper()
	return read(t, n.session(t, login), n.url+path)
}

// press sends a form of the provider's console.
func (n *node) press(t *testing.T, login, path string, form url.Values) int {
	t.Helper()
	resp, err := n.session(t, login).PostForm(n.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// lookup asks the node for a name's address, from a client's address, and gives
// the answer's code and addresses.
func (n *node) lookup(client, name string) (string, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	c := dns.Client{Timeout: 2 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(client)}}}
	r, _, err := c.ExchangeContext(context.Background(), m, n.dns)
	if err != nil {
		return "", err
	}
	words := []string{dns.RcodeToString[r.Rcode]}
	for _, rr := range r.Answer {
		a, ok := rr.(*dns.A)
		if ok {
			words = append(words, a.A.String())
		}
	}
	return strings.Join(words, " "), nil
}

// blocked tells whether the node sends Reject Power to the sinkhole for a name.
func (n *node) blocked(t *testing.T, name string) bool {
	t.Helper()
	var got string
	until(t, "an answer for "+name, 15*time.Second, func() bool {
		var err error
		got, err = n.lookup("127.0.11.1", name)
		return err == nil
	})
	return got == "NOERROR "+sinkhole
}

// clear is the answer of the resolver behind the node.
const clearAnswer = "203.0.113.80"

// resolver is a resolver that knows one address for every name; tests that need
// no real one use it.
func resolver(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &dns.Server{PacketConn: c, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.ParseIP(clearAnswer)})
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ActivateAndServe()
	}()
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-done
	})
	return c.LocalAddr().String()
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	err := json.Unmarshal([]byte(text), into)
	if err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}
}
