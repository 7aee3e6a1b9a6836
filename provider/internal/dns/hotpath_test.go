package dns

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"

	mdns "github.com/miekg/dns"
)

var (
	blockAddr  = netip.MustParseAddr("192.0.2.10")    // wants an address
	nxAddr     = netip.MustParseAddr("192.0.2.20")    // wants NXDOMAIN
	nodataAddr = netip.MustParseAddr("2001:db8::30")  // wants NODATA
	watchAddr  = netip.MustParseAddr("192.0.2.40")    // watches only
	offAddr    = netip.MustParseAddr("192.0.2.50")    // service off
	exceptAddr = netip.MustParseAddr("192.0.2.60")    // has an exception
	nobody     = netip.MustParseAddr("198.51.100.99") // no customer's
	noon       = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC).UnixMicro()
)

// entry makes an indicator in force all day.
func entry(edit func(*match.Entry)) *match.Entry {
	e := &match.Entry{
		ID: contract.NewID(), Services: contract.DNS, Category: contract.CommandAndControl,
		Action: contract.Sinkhole, Enforce: true, Display: true, Notify: true, Disclosure: 2,
		Summary: "Control server of a stealer", From: 1, Until: noon/1e6 + 1<<30,
	}
	if edit != nil {
		edit(e)
	}
	return e
}

func item(e *match.Entry, name string) match.Item {
	return match.Item{Entry: e, Atoms: []observable.Atom{{Kind: observable.Domain, Value: name}}}
}

func addrs(prefixes ...netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range prefixes {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

// testConfig is a configuration with one customer per policy and a small list.
func testConfig(t testing.TB) Config {
	t.Helper()
	excepted := entry(nil)
	matches := match.NewHolder()
	matches.Set(match.Build([]match.Item{
		item(entry(nil), "bad.example"),
		item(entry(func(e *match.Entry) { e.Disclosure = 1; e.Summary = "not for customers" }), "quiet.example"),
		item(entry(func(e *match.Entry) { e.Notify = false; e.Summary = "not for customers" }), "silent.example"),
		item(entry(func(e *match.Entry) { e.Enforce = false }), "noenforce.example"),
		item(entry(func(e *match.Entry) { e.Action = contract.Alert }), "alert.example"),
		item(entry(func(e *match.Entry) { e.Action = contract.Shadow }), "shadow.example"),
		item(entry(func(e *match.Entry) { e.Until = noon/1e6 - 1 }), "over.example"),
		item(entry(func(e *match.Entry) { e.Services = contract.SMTP }), "mailonly.example"),
		item(excepted, "mostly.good.example"),
		item(entry(nil), "example.test"),
	}))
	book := customer.NewHolder()
	book.Set(customer.NewBook([]customer.Row{
		{
			Customer: customer.Customer{ID: 1, DNS: customer.Block, Answer: customer.SinkholeAddress},
			Prefixes: append(addrs(blockAddr), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")),
		},
		{Customer: customer.Customer{ID: 2, DNS: customer.Block, Answer: customer.NXDomain}, Prefixes: addrs(nxAddr)},
		{Customer: customer.Customer{ID: 3, DNS: customer.Block, Answer: customer.NoData}, Prefixes: addrs(nodataAddr)},
		{Customer: customer.Customer{ID: 4, DNS: customer.Watch}, Prefixes: addrs(watchAddr)},
		{Customer: customer.Customer{ID: 5, DNS: customer.Off}, Prefixes: addrs(offAddr)},
		{Customer: customer.Customer{ID: 6, DNS: customer.Block, Answer: customer.NXDomain}, Prefixes: addrs(exceptAddr), Exceptions: []contract.ID{excepted.ID}},
	}))
	return Config{
		Listen:    []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")},
		Upstreams: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")},
		Sinkhole4: []netip.Addr{netip.MustParseAddr("203.0.113.1")},
		Sinkhole6: []netip.Addr{netip.MustParseAddr("2001:db8::1")},
		Matches:   matches, Customers: book, Sightings: sighting.NewQueue(1024),
	}
}

func newHot(t testing.TB, edit func(*Config)) *hot {
	t.Helper()
	cfg := testConfig(t)
	if edit != nil {
		edit(&cfg)
	}
	p, err := newPlan(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &hot{plan: p}
}

func query(t testing.TB, name string, typ uint16, edit func(*mdns.Msg)) []byte {
	t.Helper()
	m := new(mdns.Msg)
	m.SetQuestion(name, typ)
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edns(m *mdns.Msg) { m.SetEdns0(1232, false) }

// decide runs one query and decodes the answer.
func decide(t testing.TB, h *hot, msg []byte, from netip.Addr) (verdict, *mdns.Msg) {
	t.Helper()
	out := make([]byte, h.UDPSize)
	v, n := h.handle(msg, from, false, noon, out)
	if v != reply {
		return v, nil
	}
	m := new(mdns.Msg)
	err := m.Unpack(out[:n])
	if err != nil {
		t.Fatalf("answer %x: %v", out[:n], err)
	}
	return v, m
}

// event takes one event off the queue, nil when there is none.
func event(q *sighting.Queue) *sighting.Event {
	select {
	case e := <-q.C():
		return &e
	default:
		return nil
	}
}

func TestWhoIsAnsweredHow(t *testing.T) {
	t.Parallel()
	type want struct {
		v      verdict
		rcode  int
		data   string // of the one answer record
		action contract.Action
		event  bool
	}
	pass := want{v: forward}
	seen := func(a contract.Action) want { return want{v: forward, action: a, event: true} }
	hole := want{v: reply, data: "203.0.113.1", action: contract.Sinkhole, event: true}
	nx := want{v: reply, rcode: mdns.RcodeNameError, action: contract.Sinkhole, event: true}
	nodata := want{v: reply, action: contract.Sinkhole, event: true}
	for _, c := range []struct {
		name  string
		from  netip.Addr
		query string
		typ   uint16
		want  want
	}{
		{"listed, A", blockAddr, "bad.example.", mdns.TypeA, hole},
		{"listed, AAAA", blockAddr, "bad.example.", mdns.TypeAAAA, want{v: reply, data: "2001:db8::1", action: contract.Sinkhole, event: true}},
		{"below a listed name", blockAddr, "a.b.c.bad.example.", mdns.TypeA, hole},
		{"letter case", blockAddr, "A.bAd.eXample.", mdns.TypeA, hole},
		{"beside a listed name", blockAddr, "notbad.example.", mdns.TypeA, pass},
		{"above a listed name", blockAddr, "example.", mdns.TypeA, pass},
		{"root", blockAddr, ".", mdns.TypeNS, pass},
		{"listed, MX", blockAddr, "bad.example.", mdns.TypeMX, nodata},
		{"listed, HTTPS", blockAddr, "bad.example.", mdns.TypeHTTPS, nodata},
		{"listed, SVCB", blockAddr, "_dns.bad.example.", mdns.TypeSVCB, nodata},
		{"listed, ANY", blockAddr, "bad.example.", mdns.TypeANY, nodata},
		{"listed, TXT", blockAddr, "bad.example.", mdns.TypeTXT, nodata},
		{"listed, unknown type", blockAddr, "bad.example.", 65280, nodata},
		{"listed, DNSKEY", blockAddr, "bad.example.", mdns.TypeDNSKEY, nodata},
		{"wants NXDOMAIN", nxAddr, "bad.example.", mdns.TypeA, nx},
		{"wants NXDOMAIN, MX", nxAddr, "bad.example.", mdns.TypeMX, nx},
		{"wants NODATA", nodataAddr, "bad.example.", mdns.TypeA, nodata},
		{"watches", watchAddr, "bad.example.", mdns.TypeA, seen(contract.Alert)},
		{"service off", offAddr, "bad.example.", mdns.TypeA, pass},
		{"may not be enforced", blockAddr, "noenforce.example.", mdns.TypeA, seen(contract.Alert)},
		{"only to be alerted", blockAddr, "alert.example.", mdns.TypeA, seen(contract.Alert)},
		{"shadow", blockAddr, "shadow.example.", mdns.TypeA, seen(contract.Shadow)},
		{"shadow beats watch", watchAddr, "shadow.example.", mdns.TypeA, seen(contract.Shadow)},
		{"over", blockAddr, "over.example.", mdns.TypeA, pass},
		{"for another service", blockAddr, "mailonly.example.", mdns.TypeA, pass},
		{"exception", exceptAddr, "mostly.good.example.", mdns.TypeA, pass},
		{"exception, below", exceptAddr, "x.mostly.good.example.", mdns.TypeA, pass},
		{"exception of another customer", nxAddr, "mostly.good.example.", mdns.TypeA, nx},
		{"nobody's", nobody, "bad.example.", mdns.TypeA, want{v: reply, rcode: mdns.RcodeRefused}},
		{"nobody's, not listed", nobody, "good.example.", mdns.TypeA, want{v: reply, rcode: mdns.RcodeRefused}},
		{"transfer", blockAddr, "bad.example.", mdns.TypeAXFR, want{v: reply, rcode: mdns.RcodeRefused}},
		{"transfer of the unlisted", blockAddr, "good.example.", mdns.TypeIXFR, want{v: reply, rcode: mdns.RcodeRefused}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHot(t, nil)
			msg := query(t, c.query, c.typ, nil)
			v, m := decide(t, h, msg, c.from)
			e := event(h.Sightings)
			if v != c.want.v || (e != nil) != c.want.event || e != nil && e.Action != c.want.action {
				t.Fatalf("verdict %d event %+v, want %+v", v, e, c.want)
			}
			if e != nil && (e.Client != c.from || e.Count != 1 || e.Service != contract.DNS || string(e.What[:e.Length]) != strings.ToLower(string(msg[12:len(msg)-4]))) {
				t.Errorf("event %+v", e)
			}
			if v != reply {
				return
			}
			if m.Rcode != c.want.rcode || !m.RecursionAvailable || m.AuthenticatedData || m.Authoritative || !m.Response || m.Truncated {
				t.Errorf("header of %v", m)
			}
			checkRecords(t, m, c.want.data, c.want.event)
		})
	}
}

func checkRecords(t *testing.T, m *mdns.Msg, data string, blocked bool) {
	t.Helper()
	if data != "" {
		if len(m.Answer) != 1 || len(m.Ns) != 0 || m.Answer[0].Header().Ttl != 5 || !strings.HasSuffix(m.Answer[0].String(), "\t"+data) {
			t.Errorf("records of %v", m)
		}
		return
	}
	if len(m.Answer) != 0 || (len(m.Ns) == 1) != blocked {
		t.Fatalf("records of %v", m)
	}
	if !blocked {
		return
	}
	soa, ok := m.Ns[0].(*mdns.SOA)
	if !ok || soa.Minttl != 5 || soa.Hdr.Ttl != 5 || soa.Ns != "sinkhole.invalid." || soa.Hdr.Name != m.Question[0].Name {
		t.Errorf("SOA %v", m.Ns[0])
	}
}

func TestExtendedError(t *testing.T) {
	t.Parallel()
	neutral := "Blocked by your network's protection service"
	for _, c := range []struct {
		name, query, text string
	}{
		{"summary may be told", "bad.example.", "Control server of a stealer"},
		{"disclosure below 2", "quiet.example.", neutral},
		{"customer may not be notified", "silent.example.", neutral},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHot(t, nil)
			_, m := decide(t, h, query(t, c.query, mdns.TypeA, edns), blockAddr)
			opt := m.IsEdns0()
			if opt == nil || len(opt.Option) != 1 || opt.UDPSize() != 1232 || opt.Version() != 0 || opt.Do() {
				t.Fatalf("OPT %v", opt)
			}
			ede, ok := opt.Option[0].(*mdns.EDNS0_EDE)
			if !ok || ede.InfoCode != mdns.ExtendedErrorCodeBlocked || ede.ExtraText != c.text {
				t.Errorf("option %v", opt.Option[0])
			}
			_, m = decide(t, h, query(t, c.query, mdns.TypeA, nil), blockAddr)
			if m.IsEdns0() != nil {
				t.Error("OPT in the answer to a query without")
			}
		})
	}
}

func TestHeaderAndEDNS(t *testing.T) {
	t.Parallel()
	raw := func(b []byte, at int, v byte) []byte {
		out := bytes.Clone(b)
		out[at] = v
		return out
	}
	plain := query(t, "bad.example.", mdns.TypeA, nil)
	for _, c := range []struct {
		name  string
		from  netip.Addr
		msg   []byte
		check func(m *mdns.Msg) bool
	}{
		{
			"flags copied", blockAddr, query(t, "bad.example.", mdns.TypeA, func(m *mdns.Msg) { m.CheckingDisabled = true; m.RecursionDesired = false; m.AuthenticatedData = true }),
			func(m *mdns.Msg) bool {
				return m.CheckingDisabled && !m.RecursionDesired && !m.AuthenticatedData && len(m.Answer) == 1
			},
		},
		{
			"DO copied", blockAddr, query(t, "bad.example.", mdns.TypeA, func(m *mdns.Msg) { m.SetEdns0(4096, true) }),
			func(m *mdns.Msg) bool { return m.IsEdns0().Do() && !m.AuthenticatedData },
		},
		{
			"letter case echoed", blockAddr, query(t, "bAD.eXaMpLe.", mdns.TypeA, nil),
			func(m *mdns.Msg) bool {
				return m.Question[0].Name == "bAD.eXaMpLe." && m.Answer[0].Header().Name == "bAD.eXaMpLe."
			},
		},
		{"cookie given back", blockAddr, query(t, "bad.example.", mdns.TypeA, func(m *mdns.Msg) {
			edns(m)
			m.IsEdns0().Option = []mdns.EDNS0{&mdns.EDNS0_COOKIE{Code: mdns.EDNS0COOKIE, Cookie: "00112233445566778899aabbccddeeff"}}
		}), func(m *mdns.Msg) bool { return len(m.IsEdns0().Option) == 2 }},
		{
			"EDNS version 1", blockAddr, query(t, "bad.example.", mdns.TypeA, func(m *mdns.Msg) { edns(m); m.IsEdns0().SetVersion(1) }),
			func(m *mdns.Msg) bool {
				return m.Rcode == mdns.RcodeBadVers && m.IsEdns0().Version() == 0 && len(m.Answer) == 0
			},
		},
		{"opcode NOTIFY", blockAddr, raw(plain, 2, 0x20), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeNotImplemented && m.Opcode == mdns.OpcodeNotify }},
		{"opcode 15", blockAddr, raw(plain, 2, 0x78), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeNotImplemented && m.Opcode == 15 }},
		{"no question", blockAddr, raw(plain, 5, 0), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeFormatError }},
		{"two questions", blockAddr, raw(plain, 5, 2), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeFormatError }},
		{"bytes behind", blockAddr, append(bytes.Clone(plain), 1), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeFormatError }},
		{"class CH", blockAddr, raw(plain, len(plain)-1, 3), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeRefused && len(m.Question) == 1 }},
		{"class ANY", blockAddr, raw(plain, len(plain)-1, 255), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeRefused }},
		{"nobody's broken query", nobody, raw(plain, 5, 2), func(m *mdns.Msg) bool { return m.Rcode == mdns.RcodeRefused }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, m := decide(t, newHot(t, nil), c.msg, c.from)
			if v != reply || !c.check(m) {
				t.Errorf("verdict %d, answer %v", v, m)
			}
			if m != nil && m.Id != uint16(c.msg[0])<<8|uint16(c.msg[1]) {
				t.Errorf("identifier %d", m.Id)
			}
		})
	}
}

func TestHostileDatagramsAreDroppedAndCounted(t *testing.T) {
	t.Parallel()
	h := newHot(t, nil)
	plain := query(t, "bad.example.", mdns.TypeA, nil)
	response := bytes.Clone(plain)
	response[2] |= 0x80
	loop := bytes.Clone(plain)
	loop[12], loop[13] = 0xc0, 12
	for i, msg := range [][]byte{nil, plain[:11], plain[:15], response, loop} {
		v, _ := decide(t, h, msg, blockAddr)
		if v != drop || h.tally[droppedMalformed] != uint32(i+1) {
			t.Errorf("datagram %d: verdict %d, counted %d", i, v, h.tally[droppedMalformed])
		}
	}
}

func TestStrangers(t *testing.T) {
	t.Parallel()
	msg := query(t, "bad.example.", mdns.TypeA, nil)
	for s, want := range map[Stranger]verdict{Refuse: reply, PassThrough: forward, Ignore: drop} {
		h := newHot(t, func(c *Config) { c.Strangers = s })
		v, _ := decide(t, h, msg, nobody)
		if v != want || event(h.Sightings) != nil {
			t.Errorf("strangers %d: verdict %d, want %d and no event", s, v, want)
		}
	}
}

// TestNoAmplification holds that an address that is nobody's, and so may be
// forged, is never sent more than came.
func TestNoAmplification(t *testing.T) {
	t.Parallel()
	h := newHot(t, nil)
	out := make([]byte, 4096)
	for _, msg := range [][]byte{
		query(t, "bad.example.", mdns.TypeANY, nil),
		query(t, "bad.example.", mdns.TypeANY, edns),
		query(t, ".", mdns.TypeANY, func(m *mdns.Msg) { edns(m); m.IsEdns0().SetVersion(3) }),
	} {
		_, n := h.handle(msg, nobody, false, noon, out)
		if n > len(msg) {
			t.Errorf("%d bytes to a query of %d", n, len(msg))
		}
	}
}

func TestWithoutAList(t *testing.T) {
	t.Parallel()
	for u, want := range map[Empty]verdict{FailOpen: forward, FailClosed: reply} {
		h := newHot(t, func(c *Config) { c.Unready = u; c.Matches = match.NewHolder() })
		v, m := decide(t, h, query(t, "good.example.", mdns.TypeA, edns), blockAddr)
		if v != want {
			t.Fatalf("policy %d: verdict %d", u, v)
		}
		if m != nil && (m.Rcode != mdns.RcodeServerFailure || m.IsEdns0().Option[0].(*mdns.EDNS0_EDE).InfoCode != mdns.ExtendedErrorCodeNotReady) {
			t.Errorf("answer %v", m)
		}
		v, _ = decide(t, h, query(t, "good.example.", mdns.TypeA, nil), offAddr)
		if v != forward {
			t.Error("a customer without the service is held up for want of a list")
		}
	}
}

func TestFamilyWithoutSinkholeGetsNoData(t *testing.T) {
	t.Parallel()
	h := newHot(t, func(c *Config) { c.Sinkhole6 = nil })
	_, m := decide(t, h, query(t, "bad.example.", mdns.TypeAAAA, nil), blockAddr)
	if m.Rcode != 0 || len(m.Answer) != 0 || len(m.Ns) != 1 {
		t.Errorf("answer %v", m)
	}
}

func TestFullQueueIsCountedNotWaitedFor(t *testing.T) {
	t.Parallel()
	h := newHot(t, func(c *Config) { c.Sightings = sighting.NewQueue(1) })
	msg := query(t, "bad.example.", mdns.TypeA, nil)
	for range 3 {
		v, _ := decide(t, h, msg, blockAddr)
		if v != reply {
			t.Fatal("not answered")
		}
	}
	if h.tally[droppedSightings] != 2 || h.tally[blocked] != 3 {
		t.Errorf("dropped %d of %d", h.tally[droppedSightings], h.tally[blocked])
	}
}

func TestExceptionLetsAParentMatch(t *testing.T) {
	t.Parallel()
	child := entry(nil)
	h := newHot(t, nil)
	h.Matches.Set(match.Build([]match.Item{item(child, "www.bad.example"), item(entry(nil), "bad.example")}))
	h.Customers.Set(customer.NewBook([]customer.Row{{
		Customer: customer.Customer{ID: 1, DNS: customer.Block}, Prefixes: addrs(blockAddr), Exceptions: []contract.ID{child.ID},
	}}))
	v, _ := decide(t, h, query(t, "x.www.bad.example.", mdns.TypeA, nil), blockAddr)
	e := event(h.Sightings)
	if v != reply || e == nil || e.Indicator == child.ID {
		t.Errorf("verdict %d, event %+v", v, e)
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	h := newHot(t, nil)
	out := make([]byte, h.UDPSize)
	for _, name := range []string{"a.bad.example.", "a.good.example."} {
		for _, from := range []netip.Addr{blockAddr, nxAddr, nodataAddr, watchAddr, exceptAddr, nobody} {
			msg := query(t, name, mdns.TypeA, edns)
			n := testing.AllocsPerRun(200, func() {
				h.handle(msg, from, false, noon, out)
				event2(h.Sightings)
			})
			if n != 0 {
				t.Errorf("%s from %s: %v allocations", name, from, n)
			}
		}
	}
}

func event2(q *sighting.Queue) {
	select {
	case <-q.C():
	default:
	}
}

// TestHotPathTakesNoLock reads what the hot path imports and calls: nothing of
// it may wait, log, format or reach the outside.
func TestHotPathTakesNoLock(t *testing.T) {
	t.Parallel()
	allowed := map[string]bool{
		"net/netip": true, "unicode/utf8": true, "encoding/binary": true, "ecs/contract": true,
		"ecs/provider/internal/customer": true, "ecs/provider/internal/dns/wire": true,
		"ecs/provider/internal/match": true, "ecs/provider/internal/sighting": true,
	}
	for _, file := range []string{"hotpath.go", "wire/query.go", "wire/answer.go", "wire/name.go"} {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			path, err := strconv.Unquote(imp.Path.Value)
			if err != nil || !allowed[path] {
				t.Errorf("%s imports %s, which is not on the list of what cannot wait", file, imp.Path.Value)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if strings.Contains(n.Sel.Name, "Lock") {
					t.Errorf("%s calls %s", file, n.Sel.Name)
				}
			case *ast.SendStmt, *ast.SelectStmt, *ast.GoStmt, *ast.DeferStmt:
				t.Errorf("%s: statement of kind %T", file, n)
			}
			return true
		})
	}
}

// FuzzHandle feeds any datagram from any kind of client.
func FuzzHandle(f *testing.F) {
	f.Add(query(f, "bad.example.", mdns.TypeA, edns), uint8(0))
	f.Add(query(f, "a.good.example.", mdns.TypeANY, nil), uint8(1))
	from := []netip.Addr{blockAddr, nxAddr, nodataAddr, watchAddr, offAddr, exceptAddr, nobody}
	f.Fuzz(func(t *testing.T, msg []byte, who uint8) {
		h := newHot(t, nil)
		v, m := decide(t, h, msg, from[int(who)%len(from)])
		if v == reply && (m.Id != h.q.ID || !m.Response || m.AuthenticatedData) {
			t.Fatalf("answer %v to %x", m, msg)
		}
	})
}

// BenchmarkHandle measures the decision with a list of a million names.
func BenchmarkHandle(b *testing.B) {
	h := newHot(b, func(c *Config) { c.Sightings = sighting.NewQueue(1 << 10) })
	items := make([]match.Item, 1_000_000)
	names := make([]string, len(items))
	for i := range items {
		names[i] = "n" + strconv.Itoa(i*7919%len(items)) + ".list.example"
		items[i] = item(entry(nil), names[i])
	}
	h.Matches.Set(match.Build(items))
	clear(items) // a million names less while measuring
	var listed, below, other [][]byte
	for i := range 4096 {
		listed = append(listed, query(b, names[i*241]+".", mdns.TypeA, edns))
		below = append(below, query(b, "www."+names[i*241]+".", mdns.TypeA, edns))
		other = append(other, query(b, "www.host"+strconv.Itoa(i)+".good.example.", mdns.TypeA, edns))
	}
	out := make([]byte, h.UDPSize)
	for _, c := range []struct {
		name string
		qs   [][]byte
	}{{"listed", listed}, {"below", below}, {"other", other}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				h.handle(c.qs[i&4095], blockAddr, false, noon, out)
				event2(h.Sightings)
				i++
			}
		})
	}
}
