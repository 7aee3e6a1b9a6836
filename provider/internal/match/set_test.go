package match

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/observable"

	"pgregory.net/rapid"
)

// oracle is the slow, obvious set: a list that is walked.
type oracle []Item

func (o oracle) name(svc contract.Services, now int64, host string) map[*Entry]bool {
	for ; host != ""; _, host, _ = strings.Cut(host, ".") {
		hits := o.text(svc, now, observable.Domain, host)
		if len(hits) > 0 {
			return hits
		}
	}
	return nil
}

func (o oracle) names(svc contract.Services, now int64, host string) map[*Entry]bool {
	hits := map[*Entry]bool{}
	for ; host != ""; _, host, _ = strings.Cut(host, ".") {
		for e := range o.text(svc, now, observable.Domain, host) {
			hits[e] = true
		}
	}
	return hits
}

func (o oracle) text(svc contract.Services, now int64, k observable.Kind, v string) map[*Entry]bool {
	hits := map[*Entry]bool{}
	for _, it := range o {
		for _, a := range it.Atoms {
			if a.Kind == k && a.Value == v && it.Entry.In(svc, now) {
				hits[it.Entry] = true
			}
		}
	}
	return hits
}

func (o oracle) flow(now int64, ip netip.Addr, port uint16, proto uint8) map[*Entry]bool {
	hits := map[*Entry]bool{}
	for _, it := range o {
		for _, a := range it.Atoms {
			fits := (a.Port == 0 || a.Port == port) && (a.Proto == 0 || a.Proto == proto)
			switch a.Kind {
			case observable.Addr:
				fits = fits && netip.MustParseAddr(a.Value) == ip
			case observable.Prefix:
				fits = fits && netip.MustParsePrefix(a.Value).Contains(ip)
			case observable.Port:
				fits = fits && a.Port == port
			default:
				fits = false
			}
			if fits && it.Entry.In(contract.NetFlow, now) {
				hits[it.Entry] = true
			}
		}
	}
	return hits
}

var (
	labels   = rapid.SampledFrom([]string{"a", "b", "mail", "www", "x1"})
	genHost  = rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(labels, 1, 4).Draw(t, "labels"), ".") })
	genAddr4 = rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{192, 0, 2, rapid.ByteRange(0, 15).Draw(t, "last")})
	})
	genAddr6 = rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.MustParseAddr(fmt.Sprintf("2001:db8::%d:%x", rapid.IntRange(0, 2).Draw(t, "mid"), rapid.IntRange(0, 9).Draw(t, "last")))
	})
	genIP    = rapid.OneOf(genAddr4, genAddr6)
	genPort  = rapid.SampledFrom([]uint16{0, 53, 443})
	genProto = rapid.SampledFrom([]uint8{0, 6, 17})
	genAtom  = rapid.Custom(func(t *rapid.T) observable.Atom {
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return observable.Atom{Kind: observable.Domain, Value: genHost.Draw(t, "host")}
		case 1:
			return observable.Atom{Kind: observable.Subject, Value: genHost.Draw(t, "subject")}
		case 2:
			return observable.Atom{Kind: observable.Addr, Value: genIP.Draw(t, "ip").String(), Port: genPort.Draw(t, "port"), Proto: genProto.Draw(t, "proto")}
		case 3:
			ip := genIP.Draw(t, "ip")
			p, _ := ip.Prefix(ip.BitLen() - rapid.IntRange(1, 20).Draw(t, "short"))
			return observable.Atom{Kind: observable.Prefix, Value: p.String(), Port: genPort.Draw(t, "port")}
		default:
			return observable.Atom{Kind: observable.Port, Port: rapid.SampledFrom([]uint16{53, 443}).Draw(t, "port"), Proto: genProto.Draw(t, "proto")}
		}
	})
)

func genItem(t *rapid.T, id byte) Item {
	e := &Entry{
		ID: contract.ID{id}, Services: contract.Services(rapid.IntRange(1, 7).Draw(t, "services")),
		From: rapid.Int64Range(0, 3).Draw(t, "from"), Until: rapid.Int64Range(4, 9).Draw(t, "until"),
		Enforce: rapid.Bool().Draw(t, "enforce"), Action: contract.Action(rapid.IntRange(0, 3).Draw(t, "action")),
	}
	return Item{Entry: e, Atoms: rapid.SliceOfN(genAtom, 1, 3).Draw(t, "atoms")}
}

// TestSetAgainstOracle puts a random history of changes to a set and to a plain
// list, and asks both about everything.
func TestSetAgainstOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o oracle
		for i := range rapid.IntRange(0, 12).Draw(t, "base") {
			o = append(o, genItem(t, byte(i)))
		}
		s := Build(o)
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			old, before := s, len(o)
			add, remove := map[contract.ID]Item{}, []contract.ID(nil)
			for range rapid.IntRange(0, 3).Draw(t, "adds") {
				it := genItem(t, rapid.ByteRange(0, 20).Draw(t, "id"))
				add[it.Entry.ID] = it
			}
			for range rapid.IntRange(0, 3).Draw(t, "removes") {
				remove = append(remove, contract.ID{rapid.ByteRange(0, 20).Draw(t, "id")})
			}
			var items []Item
			next := slices.DeleteFunc(slices.Clone(o), func(it Item) bool {
				_, again := add[it.Entry.ID]
				return again || slices.Contains(remove, it.Entry.ID)
			})
			for _, it := range add {
				items = append(items, it)
			}
			next = append(next, items...)
			s = s.With(items, remove)
			o = next
			if old.Len() != before {
				t.Fatalf("the old set changed: %d entries, had %d", old.Len(), before)
			}
		}
		if rapid.Bool().Draw(t, "fold") && s.over != nil {
			s = &Set{base: merge(s.base, s.dead, s.over), live: s.live}
		}
		if s.Len() != len(o) {
			t.Fatalf("Len %d, want %d", s.Len(), len(o))
		}
		for _, it := range o {
			if s.ByID(it.Entry.ID) != it.Entry {
				t.Fatalf("ByID %v lost", it.Entry.ID)
			}
		}
		for range 20 {
			now := rapid.Int64Range(0, 10).Draw(t, "now")
			svc := rapid.SampledFrom([]contract.Services{contract.DNS, contract.SMTP}).Draw(t, "svc")
			host := genHost.Draw(t, "ask")
			agree(t, "name "+host, s.Host(svc, now, []byte(host)), o.name(svc, now, host))
			agreeAll(t, "all of text "+host, s.TextAll(nil, svc, now, observable.Subject, []byte(host)), o.text(svc, now, observable.Subject, host))
			agreeAll(t, "all of name "+host, s.HostAll(nil, svc, now, []byte(host)), o.names(svc, now, host))
			strongest(t, s.Text(svc, now, observable.Subject, []byte(host)), o.text(svc, now, observable.Subject, host))
			agree(t, "text "+host, s.Text(svc, now, observable.Subject, []byte(host)), o.text(svc, now, observable.Subject, host))
			ip, port, proto := genIP.Draw(t, "askIP"), genPort.Draw(t, "askPort"), rapid.SampledFrom([]uint8{6, 17, 1}).Draw(t, "askProto")
			agreeAll(t, fmt.Sprint("all of flow ", ip, port, proto), s.FlowAll(nil, now, ip, port, proto), o.flow(now, ip, port, proto))
			agree(t, fmt.Sprint("flow ", ip, port, proto), s.Flow(now, ip, port, proto), o.flow(now, ip, port, proto))
		}
	})
}

// strongest wants an entry that stops where there is one.
func strongest(t *rapid.T, got *Entry, all map[*Entry]bool) {
	t.Helper()
	for e := range all {
		if e.stops() && !got.stops() {
			t.Fatalf("%v stops, but %v was given", e.ID, got.ID)
		}
	}
}

// agreeAll wants exactly the oracle's entries, each as often as its atoms say.
func agreeAll(t *rapid.T, what string, got []*Entry, want map[*Entry]bool) {
	t.Helper()
	seen := map[*Entry]bool{}
	for _, e := range got {
		seen[e] = true
	}
	if len(seen) != len(want) {
		t.Fatalf("%s: %d entries, oracle has %d", what, len(seen), len(want))
	}
	for e := range seen {
		if !want[e] {
			t.Fatalf("%s: found %v, oracle does not", what, e.ID)
		}
	}
}

func agree(t *rapid.T, what string, got *Entry, want map[*Entry]bool) {
	t.Helper()
	if got == nil && len(want) > 0 {
		t.Fatalf("%s: nothing found, oracle has %d", what, len(want))
	}
	if got != nil && !want[got] {
		t.Fatalf("%s: found %v, oracle does not", what, got.ID)
	}
}

func TestLookupsDoNotAllocate(t *testing.T) {
	s := numbered(100_000)
	s = s.With([]Item{{Entry: entry(1 << 20), Atoms: []observable.Atom{{Kind: observable.Domain, Value: "over.example"}}}}, nil)
	hit, miss := []byte("a.b.n77.test"), []byte("www.example.com")
	ip := netip.MustParseAddr("198.51.100.7")
	n := testing.AllocsPerRun(1000, func() {
		if s.Host(contract.DNS, 1, hit) == nil || s.Host(contract.DNS, 1, miss) != nil {
			t.Fatal("wrong answer")
		}
		s.Flow(1, ip, 443, 6)
		s.Text(contract.SMTP, 1, observable.URL, miss)
	})
	if n != 0 {
		t.Errorf("%v allocations in a look-up, want none", n)
	}
}

func TestOverlayIsFoldedIn(t *testing.T) {
	s := numbered(10)
	for i := range overlayFloor + 1 {
		s = s.With([]Item{{Entry: entry(1000 + i), Atoms: []observable.Atom{{Kind: observable.Domain, Value: fmt.Sprintf("o%d.test", i)}}}}, nil)
		if i > 5 && i < overlayFloor-5 {
			continue
		}
		if s.Host(contract.DNS, 1, []byte("x.o0.test")) == nil {
			t.Fatalf("after %d changes the first is gone", i+1)
		}
	}
	if s.over != nil {
		t.Errorf("overlay of %d entries was not folded in", len(s.over.ents))
	}
	if s.Len() != 10+overlayFloor+1 {
		t.Errorf("Len %d", s.Len())
	}
}

func entry(i int) *Entry {
	return &Entry{ID: contract.ID{byte(i >> 16), byte(i >> 8), byte(i)}, Services: contract.AllServices, Until: 1 << 40}
}

func numbered(n int) *Set {
	items := make([]Item, n)
	for i := range items {
		items[i] = Item{Entry: entry(i), Atoms: []observable.Atom{{Kind: observable.Domain, Value: fmt.Sprintf("n%d.test", i)}}}
	}
	return Build(items)
}

func BenchmarkHost(b *testing.B) {
	s := numbered(1_000_000)
	names := make([][]byte, 4096)
	for i := range names {
		names[i] = fmt.Appendf(nil, "www.name%d.example", i)
		if i%10 == 0 {
			names[i] = fmt.Appendf(nil, "www.n%d.test", i*199)
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Host(contract.DNS, 1, names[i&4095])
	}
}

func BenchmarkWith(b *testing.B) {
	s := numbered(100_000)
	for i := 0; b.Loop(); i++ {
		s = s.With([]Item{{Entry: entry(200_000 + i), Atoms: []observable.Atom{{Kind: observable.Domain, Value: fmt.Sprintf("o%d.test", i)}}}}, nil)
	}
}
