package dns

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"ecs/contract"
	"ecs/provider/internal/match"

	mdns "github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a room until the test ends.
func start(t testing.TB, cfg Config) *Room {
	t.Helper()
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	select {
	case <-r.Ready():
	case err := <-done:
		t.Fatalf("did not start: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
		}
	})
	return r
}

// fakeUpstream answers by a function: nil means silence. It serves UDP and TCP
// on one port.
type fakeUpstream struct {
	addr  netip.AddrPort
	asked atomic.Int64
	pc    net.PacketConn
	l     net.Listener
	mu    sync.Mutex
	ports map[uint16]bool
	seen  [][]byte
}

func newUpstream(t testing.TB, answer func(q []byte, tcp bool) []byte) *fakeUpstream {
	t.Helper()
	u := &fakeUpstream{ports: map[uint16]bool{}}
	for {
		pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp4", pc.LocalAddr().String())
		if err != nil {
			_ = pc.Close()
			continue
		}
		u.pc, u.l = pc, l
		break
	}
	u.addr = u.pc.LocalAddr().(*net.UDPAddr).AddrPort()
	var wg sync.WaitGroup
	wg.Go(func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := u.pc.ReadFrom(buf)
			if err != nil {
				return
			}
			u.asked.Add(1)
			q := bytes.Clone(buf[:n])
			u.mu.Lock()
			u.ports[from.(*net.UDPAddr).AddrPort().Port()] = true
			u.seen = append(u.seen, q)
			u.mu.Unlock()
			wg.Go(func() {
				a := answer(q, false)
				if a != nil {
					_, _ = u.pc.WriteTo(a, from)
				}
			})
		}
	})
	wg.Go(func() {
		for {
			c, err := u.l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(5 * time.Second))
				q := readTCP(c)
				if q == nil {
					return
				}
				a := answer(q, true)
				if a != nil {
					_, _ = c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
				}
			})
		}
	})
	t.Cleanup(func() { u.stop(); wg.Wait() })
	return u
}

func (u *fakeUpstream) stop() { _ = u.pc.Close(); _ = u.l.Close() }

func readTCP(c io.Reader) []byte {
	var size [2]byte
	_, err := io.ReadFull(c, size[:])
	if err != nil {
		return nil
	}
	b := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err = io.ReadFull(c, b)
	if err != nil {
		return nil
	}
	return b
}

// answerA answers any question with one address.
func answerA(addr string) func([]byte, bool) []byte {
	return func(q []byte, _ bool) []byte {
		m := new(mdns.Msg)
		if m.Unpack(q) != nil {
			return nil
		}
		r := new(mdns.Msg).SetReply(m)
		r.RecursionAvailable = true
		r.Answer = []mdns.RR{&mdns.A{Hdr: mdns.RR_Header{Name: m.Question[0].Name, Rrtype: mdns.TypeA, Class: 1, Ttl: 300}, A: net.ParseIP(addr)}}
		b, err := r.Pack()
		if err != nil {
			return nil
		}
		return b
	}
}

func silent([]byte, bool) []byte { return nil }

// ask sends one query over a fresh UDP socket and gives the answer's bytes.
func ask(t testing.TB, to netip.AddrPort, msg []byte, wait time.Duration) []byte {
	t.Helper()
	c, err := net.Dial("udp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = c.Write(msg)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func decode(t testing.TB, b []byte) *mdns.Msg {
	t.Helper()
	m := new(mdns.Msg)
	err := m.Unpack(b)
	if err != nil {
		t.Fatalf("answer %x: %v", b, err)
	}
	return m
}

func TestForwardsBytesUnchanged(t *testing.T) {
	t.Parallel()
	for _, oneByOne := range []bool{false, true} {
		t.Run(fmt.Sprintf("one by one %v", oneByOne), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var sent []byte
			u := newUpstream(t, func(q []byte, tcp bool) []byte {
				a := answerA("198.51.100.7")(q, tcp)
				mu.Lock()
				sent = a
				mu.Unlock()
				return a
			})
			cfg := testConfig(t)
			cfg.Upstreams = []netip.AddrPort{u.addr}
			cfg.OneByOne = oneByOne
			r := start(t, cfg)
			msg := query(t, "WwW.good.example.", mdns.TypeA, func(m *mdns.Msg) {
				m.SetEdns0(1400, true)
				m.IsEdns0().Option = []mdns.EDNS0{&mdns.EDNS0_NSID{Code: mdns.EDNS0NSID}}
			})
			got := ask(t, r.Addrs()[0], msg, 2*time.Second)
			mu.Lock()
			defer mu.Unlock()
			if len(got) < 12 || !bytes.Equal(got[:2], msg[:2]) || !bytes.Equal(got[2:], sent[2:]) {
				t.Fatalf("got %x, upstream sent %x", got, sent)
			}
			u.mu.Lock()
			defer u.mu.Unlock()
			if !bytes.Equal(u.seen[0][2:], msg[2:]) {
				t.Errorf("upstream got %x, client sent %x", u.seen[0], msg)
			}
		})
	}
}

func TestClientSubnetIsTakenOut(t *testing.T) {
	t.Parallel()
	for _, keep := range []bool{false, true} {
		u := newUpstream(t, answerA("198.51.100.7"))
		cfg := testConfig(t)
		cfg.Upstreams, cfg.KeepClientSubnet = []netip.AddrPort{u.addr}, keep
		r := start(t, cfg)
		ask(t, r.Addrs()[0], query(t, "good.example.", mdns.TypeA, func(m *mdns.Msg) {
			edns(m)
			m.IsEdns0().Option = []mdns.EDNS0{&mdns.EDNS0_SUBNET{Code: 8, Family: 1, SourceNetmask: 24, Address: net.IP{192, 0, 2, 0}}}
		}), 2*time.Second)
		u.mu.Lock()
		n := len(decode(t, u.seen[0]).IsEdns0().Option)
		u.mu.Unlock()
		if (n == 1) != keep {
			t.Errorf("keep %v: %d options reached the upstream", keep, n)
		}
	}
}

func TestFailOver(t *testing.T) {
	t.Parallel()
	good := answerA("198.51.100.7")
	refuse := func(q []byte, _ bool) []byte {
		m := decode(t, q)
		b, _ := new(mdns.Msg).SetRcode(m, mdns.RcodeRefused).Pack()
		return b
	}
	header := func(q []byte, _ bool) []byte {
		return []byte{q[0], q[1], 0x80, mdns.RcodeNotImplemented, 0, 0, 0, 0, 0, 0, 0, 0}
	}
	for _, c := range []struct {
		name  string
		first func([]byte, bool) []byte
		dead  bool
	}{{"silent", silent, false}, {"refuses", refuse, false}, {"gives a header only", header, false}, {"not there", silent, true}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad, ok := newUpstream(t, c.first), newUpstream(t, good)
			if c.dead {
				bad.stop()
			}
			cfg := testConfig(t)
			cfg.Upstreams = []netip.AddrPort{bad.addr, ok.addr}
			cfg.TryTimeout = 50 * time.Millisecond
			r := start(t, cfg)
			for i := range 40 {
				got := ask(t, r.Addrs()[0], query(t, fmt.Sprintf("n%d.good.example.", i), mdns.TypeA, nil), 3*time.Second)
				if got == nil || decode(t, got).Rcode != 0 {
					t.Fatalf("query %d: %x", i, got)
				}
			}
		})
	}
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		dead bool
		code uint16
	}{{"silence", false, mdns.ExtendedErrorCodeNoReachableAuthority}, {"port closed", true, mdns.ExtendedErrorCodeNetworkError}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			u := newUpstream(t, silent)
			if c.dead {
				u.stop()
			}
			cfg := testConfig(t)
			cfg.Upstreams, cfg.TryTimeout, cfg.Timeout = []netip.AddrPort{u.addr}, 50*time.Millisecond, 300*time.Millisecond
			r := start(t, cfg)
			got := ask(t, r.Addrs()[0], query(t, "good.example.", mdns.TypeA, edns), 3*time.Second)
			if got == nil {
				t.Fatal("no answer")
			}
			m := decode(t, got)
			if m.Rcode != mdns.RcodeServerFailure || m.IsEdns0() == nil || m.IsEdns0().Option[0].(*mdns.EDNS0_EDE).InfoCode != c.code {
				t.Errorf("answer %v", m)
			}
			if ask(t, r.Addrs()[0], query(t, "bad.example.", mdns.TypeA, nil), time.Second) == nil {
				t.Error("a listed name needs no upstream")
			}
			wait(t, func() bool { return r.pending.Load() == 0 })
		})
	}
}

func TestSlowAnswerToAnEarlierTryIsTaken(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(q []byte, tcp bool) []byte {
		time.Sleep(150 * time.Millisecond)
		return answerA("198.51.100.7")(q, tcp)
	})
	cfg := testConfig(t)
	cfg.Upstreams, cfg.TryTimeout = []netip.AddrPort{u.addr}, 40*time.Millisecond
	r := start(t, cfg)
	began := time.Now()
	got := ask(t, r.Addrs()[0], query(t, "good.example.", mdns.TypeA, nil), 3*time.Second)
	if got == nil || decode(t, got).Rcode != 0 || time.Since(began) > 240*time.Millisecond {
		t.Errorf("answer %x after %v", got, time.Since(began))
	}
}

// TestForgedAnswersAreNotTaken: an upstream that answers another question first
// (what a forger would have to send) changes nothing.
func TestForgedAnswersAreNotTaken(t *testing.T) {
	t.Parallel()
	var u *fakeUpstream
	edits := []func(m *mdns.Msg){
		func(m *mdns.Msg) { m.Question[0].Name = "evil.example." },
		func(m *mdns.Msg) { m.Question[0].Name = "wWw.good.example." },
		func(m *mdns.Msg) { m.Question[0].Qtype = mdns.TypeAAAA },
		func(m *mdns.Msg) { m.Response = false },
		func(m *mdns.Msg) { m.Id++ },
	}
	u = newUpstream(t, func(q []byte, _ bool) []byte {
		good := answerA("198.51.100.7")(q, false)
		for _, edit := range edits {
			m := decode(t, good)
			m.Answer[0].(*mdns.A).A = net.IP{203, 0, 113, 66}
			edit(m)
			b, err := m.Pack()
			if err != nil {
				t.Error(err)
			}
			u.mu.Lock()
			for p := range u.ports {
				_, _ = u.pc.WriteTo(b, &net.UDPAddr{IP: net.IP{127, 0, 0, 1}, Port: int(p)})
			}
			u.mu.Unlock()
		}
		time.Sleep(20 * time.Millisecond)
		return good
	})
	cfg := testConfig(t)
	cfg.Upstreams = []netip.AddrPort{u.addr}
	r := start(t, cfg)
	got := ask(t, r.Addrs()[0], query(t, "www.good.example.", mdns.TypeA, nil), 3*time.Second)
	if got == nil || decode(t, got).Answer[0].(*mdns.A).A.String() != "198.51.100.7" {
		t.Fatalf("answer %x", got)
	}
	if n := r.counts[strays].Load(); n != uint64(len(edits)) {
		t.Errorf("%d forged answers counted, want %d", n, len(edits))
	}
}

func TestSameQuestionsAreMerged(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	u := newUpstream(t, func(q []byte, tcp bool) []byte { <-release; return answerA("198.51.100.7")(q, tcp) })
	cfg := testConfig(t)
	cfg.Upstreams, cfg.Workers, cfg.MaxMerged = []netip.AddrPort{u.addr}, 1, 8
	cfg.TryTimeout, cfg.Timeout = 4*time.Second, 4*time.Second
	r := start(t, cfg)
	var wg sync.WaitGroup
	var ok atomic.Int64
	for i := range 16 {
		msg := query(t, "good.example.", mdns.TypeA, nil)
		binary.BigEndian.PutUint16(msg, uint16(1000+i))
		wg.Go(func() {
			got := ask(t, r.Addrs()[0], msg, 3*time.Second)
			if len(got) > 2 && bytes.Equal(got[:2], msg[:2]) {
				ok.Add(1)
			}
		})
	}
	for r.counts[merged].Load()+r.counts[forwarded].Load() < 16 {
		time.Sleep(time.Millisecond)
	}
	close(release)
	wg.Wait()
	if ok.Load() != 16 || u.asked.Load() != 2 {
		t.Errorf("%d clients answered, upstream asked %d times, want 16 and 2 (8 at a time)", ok.Load(), u.asked.Load())
	}
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, silent)
	cfg := testConfig(t)
	cfg.Upstreams, cfg.Workers, cfg.MaxPending = []netip.AddrPort{u.addr}, 1, 4
	r := start(t, cfg)
	c, err := net.Dial("udp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for i := range 10 {
		_, _ = c.Write(query(t, fmt.Sprintf("n%d.good.example.", i), mdns.TypeA, nil))
	}
	wait(t, func() bool { return r.Dropped()["pending_full"] == 6 && r.pending.Load() == 4 })
}

func wait(t testing.TB, cond func() bool) {
	t.Helper()
	for range 500 {
		if cond() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("what should happen did not within 5 s")
}

func TestTruncation(t *testing.T) {
	t.Parallel()
	big := func(q []byte, tcp bool) []byte {
		m := decode(t, q)
		r := new(mdns.Msg).SetReply(m)
		for range 30 {
			r.Answer = append(r.Answer, &mdns.TXT{Hdr: mdns.RR_Header{Name: m.Question[0].Name, Rrtype: mdns.TypeTXT, Class: 1}, Txt: []string{string(bytes.Repeat([]byte{'x'}, 200))}})
		}
		lies := m.Question[0].Name == "lies.good.example."
		if !tcp && !lies {
			r.Answer, r.Truncated = nil, true
		}
		if lies {
			r.Answer = r.Answer[:4]
		}
		b, err := r.Pack()
		if err != nil {
			t.Error(err)
		}
		return b
	}
	u := newUpstream(t, big)
	cfg := testConfig(t)
	cfg.Upstreams = []netip.AddrPort{u.addr}
	r := start(t, cfg)
	m := decode(t, ask(t, r.Addrs()[0], query(t, "good.example.", mdns.TypeTXT, nil), 2*time.Second))
	if !m.Truncated || len(m.Answer) != 0 {
		t.Errorf("over UDP: %v", m)
	}
	m = decode(t, ask(t, r.Addrs()[0], query(t, "lies.good.example.", mdns.TypeTXT, nil), 2*time.Second))
	if !m.Truncated || len(m.Answer) != 0 || len(m.Question) != 1 {
		t.Errorf("upstream that sends more than was asked for: %v", m)
	}
	c := &mdns.Client{Net: "tcp"}
	q := new(mdns.Msg).SetQuestion("good.example.", mdns.TypeTXT)
	m, _, err := c.Exchange(q, r.Addrs()[0].String())
	if err != nil || m.Truncated || len(m.Answer) != 30 {
		t.Errorf("over TCP: %v, %v", m, err)
	}
}

func TestPortsAndIdentifiersVary(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, answerA("198.51.100.7"))
	cfg := testConfig(t)
	cfg.Upstreams, cfg.Workers, cfg.SourcePorts, cfg.Rotate = []netip.AddrPort{u.addr}, 1, 4, time.Second
	r := start(t, cfg)
	end := time.Now().Add(2200 * time.Millisecond)
	for i := 0; time.Now().Before(end); i++ {
		got := ask(t, r.Addrs()[0], query(t, fmt.Sprintf("n%d.good.example.", i), mdns.TypeA, nil), 2*time.Second)
		if got == nil {
			t.Fatal("a query was lost while ports changed")
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	ids := map[string]bool{}
	for _, q := range u.seen {
		ids[string(q[:2])] = true
	}
	if len(u.ports) < 6 || len(ids) < len(u.seen)*9/10 && len(u.seen) < 5000 {
		t.Errorf("%d ports, %d identifiers for %d queries", len(u.ports), len(ids), len(u.seen))
	}
}

// TestPortsChangeUnderLoad: readers of ports that are being closed are busy. A
// lock held while closing would stop everything for ever.
func TestPortsChangeUnderLoad(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, answerA("198.51.100.7"))
	cfg := testConfig(t)
	cfg.Upstreams, cfg.SourcePorts, cfg.Rotate = []netip.AddrPort{u.addr}, 16, time.Second
	r := start(t, cfg)
	end := time.Now().Add(4 * time.Second)
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := 0; time.Now().Before(end); i++ {
				if ask(t, r.Addrs()[0], query(t, fmt.Sprintf("n%d.g%d.good.example.", i, g), mdns.TypeA, nil), 3*time.Second) == nil {
					t.Error("a query was lost while ports changed")
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestUpstreamComesBack(t *testing.T) {
	t.Parallel()
	var up atomic.Bool
	u := newUpstream(t, func(q []byte, tcp bool) []byte {
		if !up.Load() {
			return nil
		}
		return answerA("198.51.100.7")(q, tcp)
	})
	cfg := testConfig(t)
	cfg.Upstreams, cfg.TryTimeout, cfg.Timeout = []netip.AddrPort{u.addr}, 20*time.Millisecond, 100*time.Millisecond
	r := start(t, cfg)
	wait(t, func() bool {
		ask(t, r.Addrs()[0], query(t, "good.example.", mdns.TypeA, nil), time.Second)
		return r.ups[0].down.Load()
	})
	up.Store(true)
	wait(t, func() bool { return !r.ups[0].down.Load() })
}

// TestChangesUnderLoad puts lists in force and takes them back while queries
// run: each answer agrees with a list that was in force while it was made, and
// a change is in force for the very next query.
func TestChangesUnderLoad(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, answerA("198.51.100.7"))
	cfg := testConfig(t)
	cfg.Upstreams = []netip.AddrPort{u.addr}
	r := start(t, cfg)
	to := r.Addrs()[0]
	with := cfg.Matches.Get()
	e := entry(nil)
	name := func(b []byte) string { return decode(t, b).Answer[0].(*mdns.A).A.String() }
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := ask(t, to, query(t, "a.bad.example.", mdns.TypeA, nil), 2*time.Second); got == nil || name(got) != "203.0.113.1" {
					t.Errorf("a name in every list: %x", got)
					return
				}
			}
		})
	}
	for range 200 {
		cfg.Matches.Set(with.With([]match.Item{item(e, "now.example")}, nil))
		if got := ask(t, to, query(t, "now.example.", mdns.TypeA, nil), 2*time.Second); got == nil || name(got) != "203.0.113.1" {
			t.Fatalf("added, and not in force: %x", got)
		}
		cfg.Matches.Set(with.With(nil, []contract.ID{e.ID}))
		if got := ask(t, to, query(t, "now.example.", mdns.TypeA, nil), 2*time.Second); got == nil || name(got) != "198.51.100.7" {
			t.Fatalf("recalled, and still in force: %x", got)
		}
	}
	close(stop)
	wg.Wait()
}

// TestForwardingAllocatesNothing holds the table of what waits, after the first
// use of its parts.
func TestForwardingAllocatesNothing(t *testing.T) {
	cfg := testConfig(t)
	hole, err := net.ListenPacket("udp4", "127.0.0.1:0") // nobody reads from it
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	cfg.Upstreams, cfg.Workers = []netip.AddrPort{hole.LocalAddr().(*net.UDPAddr).AddrPort()}, 1
	r := start(t, cfg)
	sh := r.shards[0]
	h := newHot(t, nil)
	msg := query(t, "good.example.", mdns.TypeA, edns)
	out := make([]byte, 1232)
	sock := (*r.socks.Load())[0]
	n := testing.AllocsPerRun(500, func() {
		v, _ := h.handle(msg, blockAddr, false, noon, out)
		if v != forward {
			t.Fatal("not forwarded")
		}
		sh.mu.Lock()
		sh.ask(&h.q, msg, &waiter{id: h.q.ID, sock: sock}, now())
		sh.send()
		p := sh.rings[0].prev
		sh.release(p)
		sh.mu.Unlock()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(t))
	ask(t, r.Addrs()[0], query(t, "bad.example.", mdns.TypeA, nil), time.Second)
	reg := prometheus.NewPedanticRegistry()
	err := reg.Register(r)
	if err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 9 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
	wait(t, func() bool { return r.counts[blocked].Load() == 1 && r.counts[queriesUDP].Load() == 1 })
	for i, c := range counterText {
		if c.metric == "" || c.label == "" {
			t.Errorf("counter %d has no name", i)
		}
	}
}

// TestAnswersComeFromTheAddressAsked: bound to all addresses, the room answers
// from the one that the client asked.
func TestAnswersComeFromTheAddressAsked(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		for _, oneByOne := range []bool{false, true} {
			u := newUpstream(t, answerA("198.51.100.7"))
			cfg := testConfig(t)
			cfg.Listen = []netip.AddrPort{netip.MustParseAddrPort(listen)}
			cfg.Upstreams, cfg.OneByOne = []netip.AddrPort{u.addr}, oneByOne
			r := start(t, cfg)
			to := netip.MustParseAddr("127.0.0.5")
			if r.Addrs()[0].Addr().Is6() {
				to = netip.IPv6Loopback()
			}
			for _, name := range []string{"bad.example.", "good.example."} {
				// A connected socket takes answers from the address asked only.
				got := ask(t, netip.AddrPortFrom(to, r.Addrs()[0].Port()), query(t, name, mdns.TypeA, nil), 2*time.Second)
				if got == nil || decode(t, got).Rcode != 0 {
					t.Errorf("%s one by one %v: no answer for %s", listen, oneByOne, name)
				}
			}
		}
	}
}
