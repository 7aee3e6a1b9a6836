package flow

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/flow/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"

	"github.com/google/go-cmp/cmp"
)

func id(n byte) contract.ID { return contract.ID{15: n} }

func item(n byte, atoms ...observable.Atom) match.Item {
	e := &match.Entry{ID: id(n), Services: contract.NetFlow, Category: contract.CommandAndControl, Display: true, Notify: true, Until: 1 << 40}
	return match.Item{Entry: e, Atoms: atoms}
}

func addr(s string) observable.Atom { return observable.Atom{Kind: observable.Addr, Value: s} }

func indicators() *match.Set {
	sealed := item(6, addr("203.0.113.6"))
	sealed.Entry.Display, sealed.Entry.Notify = false, false
	shadow := item(7, addr("203.0.113.7"))
	shadow.Entry.Action = contract.Shadow
	past := item(8, addr("203.0.113.8"))
	past.Entry.Until = 1
	other := item(9, addr("203.0.113.10"))
	other.Entry.Services = contract.DNS
	return match.Build([]match.Item{
		item(1, addr("203.0.113.1")),
		item(2, observable.Atom{Kind: observable.Prefix, Value: "198.51.100.0/28"}),
		item(3, observable.Atom{Kind: observable.Addr, Value: "203.0.113.3", Port: 443, Proto: 6}),
		item(4, observable.Atom{Kind: observable.Port, Port: 4444, Proto: 6}),
		item(5, addr("203.0.113.5")), sealed, shadow, past, other,
	})
}

func customers() *customer.Book {
	return customer.NewBook([]customer.Row{
		{Customer: customer.Customer{ID: 1, Flow: customer.Watch}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/26")}, Exceptions: []contract.ID{id(5)}},
		{Customer: customer.Customer{ID: 2, Flow: customer.Block}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.64/26")}},
		{Customer: customer.Customer{ID: 3, Flow: customer.Off}, Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.128/26")}},
		{Customer: customer.Customer{ID: 4, Flow: customer.Watch}, Prefixes: []netip.Prefix{netip.MustParsePrefix("198.51.100.128/26")}, Exporters: []netip.Addr{netip.MustParseAddr("127.0.0.4")}},
	})
}

func testWorker(tb testing.TB, set *match.Set, st *store.Store) *worker {
	tb.Helper()
	h, b := match.NewHolder(), customer.NewHolder()
	h.Set(set)
	b.Set(customers())
	f, err := New(Config{
		Listen: []string{"127.0.0.1:0"}, Exporters: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Match: h, Customers: b,
		Events: sighting.NewQueue(1024), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	f.store = st
	w := f.worker(newRing(64, 2048))
	w.now = time.Now().UnixMilli()
	return w
}

var (
	known    = [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	ofFour   = [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 4}
	stranger = [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 99}
)

// seen is an event as the tables of expectations write it.
type seen struct {
	Indicator    byte
	Customer     int32
	Client, Peer string
	Port         uint16
}

func drainEvents(w *worker) []seen {
	var out []seen
	for {
		select {
		case e := <-w.events.C():
			s := seen{Indicator: e.Indicator[15], Customer: e.Customer, Client: e.Client.String(), Port: e.Port}
			if e.Peer.IsValid() {
				s.Peer = e.Peer.String()
			}
			out = append(out, s)
		default:
			return out
		}
	}
}

func TestIngest(t *testing.T) {
	secs := uint32(time.Now().Unix())
	one := func(f ...testFlow) [][]byte { return [][]byte{v5(secs, 1, f...)} }
	tests := []struct {
		name string
		from [16]byte
		in   [][]byte
		want []seen
	}{
		{"out to an address", known, one(testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}), []seen{{1, 1, "192.0.2.1", "203.0.113.1", 443}}},
		{"in from an address", known, one(testFlow{"203.0.113.1", "192.0.2.1", 443, 40000, 6, 9}), []seen{{1, 1, "192.0.2.1", "203.0.113.1", 443}}},
		{
			"both directions are one conversation", known, one(testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}, testFlow{"203.0.113.1", "192.0.2.1", 443, 40000, 6, 9}),
			[]seen{{1, 1, "192.0.2.1", "203.0.113.1", 443}},
		},
		{"policy Block alerts as Watch does", known, one(testFlow{"192.0.2.65", "203.0.113.1", 40000, 443, 6, 9}), []seen{{1, 2, "192.0.2.65", "203.0.113.1", 443}}},
		{"policy Off sees nothing", known, one(testFlow{"192.0.2.129", "203.0.113.1", 40000, 443, 6, 9}), nil},
		{"nobody's flow", known, one(testFlow{"192.0.2.200", "203.0.113.1", 40000, 443, 6, 9}), nil},
		{"an address beside the listed one", known, one(testFlow{"192.0.2.1", "203.0.113.2", 40000, 443, 6, 9}), nil},
		{"prefix", known, one(testFlow{"192.0.2.1", "198.51.100.9", 40000, 80, 6, 9}), []seen{{2, 1, "192.0.2.1", "198.51.100.9", 80}}},
		{"address with its port", known, one(testFlow{"192.0.2.1", "203.0.113.3", 40000, 443, 6, 9}), []seen{{3, 1, "192.0.2.1", "203.0.113.3", 443}}},
		{"address with another port", known, one(testFlow{"192.0.2.1", "203.0.113.3", 40000, 80, 6, 9}), nil},
		{"address with another protocol", known, one(testFlow{"192.0.2.1", "203.0.113.3", 40000, 443, 17, 9}), nil},
		{"the customer's port is not the listed peer's", known, one(testFlow{"192.0.2.1", "203.0.113.3", 443, 50000, 6, 9}), nil},
		{"port served outside", known, one(testFlow{"192.0.2.1", "203.0.113.77", 40000, 4444, 6, 9}), []seen{{4, 1, "192.0.2.1", "203.0.113.77", 4444}}},
		{"port served inside", known, one(testFlow{"203.0.113.77", "192.0.2.1", 40000, 4444, 6, 9}), []seen{{4, 1, "192.0.2.1", "203.0.113.77", 4444}}},
		{"port of a passing client", known, one(testFlow{"192.0.2.1", "203.0.113.77", 4444, 443, 6, 9}), nil},
		{"ICMP type and code are no port", known, one(testFlow{"192.0.2.1", "203.0.113.77", 0, 4444, 1, 9}), nil},
		{"local exception", known, one(testFlow{"192.0.2.1", "203.0.113.5", 40000, 443, 6, 9}), nil},
		{"an exception holds for one customer", known, one(testFlow{"192.0.2.65", "203.0.113.5", 40000, 443, 6, 9}), []seen{{5, 2, "192.0.2.65", "203.0.113.5", 443}}},
		{"a sealed value is not shown", known, one(testFlow{"192.0.2.1", "203.0.113.6", 40000, 443, 6, 9}), []seen{{6, 1, "192.0.2.1", "", 0}}},
		{"past its time", known, one(testFlow{"192.0.2.1", "203.0.113.8", 40000, 443, 6, 9}), nil},
		{"for another service", known, one(testFlow{"192.0.2.1", "203.0.113.10", 40000, 443, 6, 9}), nil},
		{
			"between two customers, each sees its own", known, one(testFlow{"192.0.2.1", "192.0.2.65", 40000, 4444, 6, 9}),
			[]seen{{4, 1, "192.0.2.1", "192.0.2.65", 4444}, {4, 2, "192.0.2.65", "192.0.2.1", 4444}},
		},
		{"unknown exporter", stranger, one(testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}), nil},
		{"a customer's exporter, address in no prefix", ofFour, one(testFlow{"10.1.1.1", "203.0.113.1", 40000, 443, 6, 9}), []seen{{1, 4, "10.1.1.1", "203.0.113.1", 443}}},
		{"a customer's exporter tells nobody else", ofFour, one(testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}), []seen{{1, 4, "192.0.2.1", "203.0.113.1", 443}}},
		{"version 9", known, [][]byte{v9(secs, 1, true), v9(secs, 2, false, testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9})}, []seen{{1, 1, "192.0.2.1", "203.0.113.1", 443}}},
		{
			"two indicators in one flow", known, one(testFlow{"192.0.2.1", "203.0.113.1", 4444, 40000, 6, 9}),
			[]seen{{1, 1, "192.0.2.1", "203.0.113.1", 40000}, {4, 1, "192.0.2.1", "203.0.113.1", 4444}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := testWorker(t, indicators(), nil)
			for _, b := range tt.in {
				w.ingest(b, &tt.from, w.now)
			}
			diff := cmp.Diff(tt.want, drainEvents(w))
			if diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventFields(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	secs := uint32(w.now / 1000)
	w.ingest(v5(secs, 1, testFlow{"192.0.2.1", "203.0.113.7", 40000, 53, 17, 9}), &known, w.now)
	e := <-w.events.C()
	want := sighting.Event{
		At: int64(secs) * 1e6, Indicator: id(7), Service: contract.NetFlow, Category: contract.CommandAndControl, Action: contract.Shadow,
		Display: true, Notify: true, Customer: 1, Count: 1, Client: netip.MustParseAddr("192.0.2.1"), Peer: netip.MustParseAddr("203.0.113.7"), Proto: 17, Port: 53,
	}
	if e != want {
		t.Errorf("event %+v, want %+v", e, want)
	}
}

func TestOnceAMinute(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	w.now -= w.now % 60_000
	f := testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}
	for k := range 180 {
		now := w.now + int64(k)*1000
		w.ingest(v5(uint32(now/1000), uint32(k), f), &known, now)
	}
	if n := len(drainEvents(w)); n != 3 {
		t.Errorf("%d events in three minutes, want 3", n)
	}
	if w.n.matched != 180 || w.n.repeated != 177 || w.n.events != 3 {
		t.Errorf("matched %d, repeated %d, events %d", w.n.matched, w.n.repeated, w.n.events)
	}
}

func TestRecentIsBounded(t *testing.T) {
	r := newRecent()
	var n tally
	again := 0
	for round := range 2 {
		for k := range 200_000 {
			a := netip.AddrFrom4([4]byte{10, byte(k >> 16), byte(k >> 8), byte(k)})
			if r.first(1, id(1), a, a, 5, &n) && round == 1 {
				again++
			}
		}
	}
	if n.forgotten == 0 || again == 0 {
		t.Fatal("a full table must forget, and count it")
	}
	if len(r.slots) != recentSlots {
		t.Error("the table grew")
	}
}

func TestQueueFull(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	w.events = sighting.NewQueue(1)
	secs := uint32(w.now / 1000)
	w.ingest(v5(secs, 1, testFlow{"192.0.2.1", "203.0.113.1", 1, 2, 6, 9}, testFlow{"192.0.2.2", "203.0.113.1", 1, 2, 6, 9}), &known, w.now)
	if w.n.events != 2 || w.n.eventsLost != 1 {
		t.Errorf("events %d, lost %d; want 2, 1", w.n.events, w.n.eventsLost)
	}
}

func TestSkew(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	now := w.now
	r := wire.Record{First: now - 1000, Last: now}
	tests := []struct {
		name    string
		in      wire.Record
		want    [2]int64
		counted uint64
	}{
		{"true", r, [2]int64{now - 1000, now}, 0},
		{"a day ahead", wire.Record{First: now + 86_400_000 - 500, Last: now + 86_400_000}, [2]int64{now - 500, now}, 1},
		{"from 1970", wire.Record{First: 5, Last: 10}, [2]int64{now - 5, now}, 1},
		{"an hour behind is late, not wrong", wire.Record{First: now - 3_700_000, Last: now - 3_600_000}, [2]int64{now - 3_700_000, now - 3_600_000}, 0},
		{"numbers at their ends", wire.Record{First: 1, Last: 1<<63 - 1}, [2]int64{now - 7*86_400_000, now}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w.n = tally{}
			w.settle(&tt.in, now)
			if got := [2]int64{tt.in.First, tt.in.Last}; got != tt.want || w.n.skewed != tt.counted {
				t.Errorf("times %v, skewed %d; want %v, %d", got, w.n.skewed, tt.want, tt.counted)
			}
		})
	}
}

func TestBookChanges(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	secs := uint32(w.now / 1000)
	w.ingest(v5(secs, 1, testFlow{"10.1.1.1", "203.0.113.1", 1, 2, 6, 9}), &ofFour, w.now)
	if n := len(drainEvents(w)); n != 1 {
		t.Fatalf("%d events, want 1", n)
	}
	w.customers.Set(customer.NewBook(nil)) // the customer has left
	w.ingest(v5(secs, 2, testFlow{"10.1.1.2", "203.0.113.1", 1, 2, 6, 9}), &ofFour, w.now)
	if n := len(drainEvents(w)); n != 0 || w.n.refused != 1 || len(w.exporters) != 0 {
		t.Errorf("%d events, %d refused, %d exporters after the customer left", n, w.n.refused, len(w.exporters))
	}
}

func TestExporterBudget(t *testing.T) {
	w := testWorker(t, indicators(), nil)
	w.known = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	w.maxExporters = 2
	for k := range byte(4) {
		from := known
		from[15] = k + 10
		w.ingest(v5(uint32(w.now/1000), 1, testFlow{"192.0.2.1", "203.0.113.1", 1, 2, 6, 9}), &from, w.now)
	}
	if len(w.exporters) != 2 || w.n.overBudget != 2 {
		t.Errorf("%d exporters, %d over budget; want 2, 2", len(w.exporters), w.n.overBudget)
	}
	w.now += 2 * 3_600_000
	w.ingest(v5(uint32(w.now/1000), 1, testFlow{"192.0.2.1", "203.0.113.1", 1, 2, 6, 9}), &known, w.now)
	if len(w.exporters) != 2 || w.exporters[known] == nil {
		t.Error("a silent exporter does not make room")
	}
}

func manyFlows(n int) []testFlow {
	out := make([]testFlow, n)
	for k := range out {
		out[k] = testFlow{"192.0.2.1", netip.AddrFrom4([4]byte{10, 0, byte(k >> 8), byte(k)}).String(), 40000, 443, 6, 9}
	}
	return out
}

func TestIngestAllocates(t *testing.T) {
	secs := uint32(time.Now().Unix())
	flows := append(manyFlows(24), testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9})
	st := store.New(store.Config{Dir: "not used", Batches: 600})
	for _, tt := range []struct {
		name string
		st   *store.Store
		in   []byte
		from [16]byte
	}{
		{"version 5", nil, v5(secs, 1, flows...), known},
		{"version 9", nil, v9(secs, 1, true, flows...), known},
		{"version 5, stored", st, v5(secs, 1, flows...), known},
		{"unknown exporter", nil, v5(secs, 1, flows...), stranger},
		{"malformed", nil, v9(secs, 1, true, flows...)[:100], known},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := testWorker(t, indicators(), tt.st)
			minute := w.now
			n := testing.AllocsPerRun(500, func() {
				minute += 60_000 // so that each run reports an event
				w.ingest(tt.in, &tt.from, minute)
			})
			if n != 0 {
				t.Errorf("%v allocations a datagram, want 0", n)
			}
			if w.n.unstored != 0 {
				t.Errorf("%d rows found no batch", w.n.unstored)
			}
		})
	}
}

func BenchmarkIngest(b *testing.B) {
	items := make([]match.Item, 1_000_000)
	for k := range items {
		items[k] = match.Item{
			Entry: &match.Entry{ID: contract.NewID(), Services: contract.NetFlow, Until: 1 << 40},
			Atoms: []observable.Atom{addr(netip.AddrFrom4([4]byte{byte(100 + k>>20), byte(k >> 12), byte(k >> 4), byte(k << 4)}).String())},
		}
	}
	set := match.Build(items)
	secs := uint32(time.Now().Unix())
	for _, version := range []string{"v5", "v9"} {
		b.Run(version, func(b *testing.B) {
			w := testWorker(b, set, nil)
			in := make([][]byte, 512)
			for k := range in {
				flows := make([]testFlow, 25)
				for j := range flows {
					x := uint32(k*25+j) * 2654435761
					flows[j] = testFlow{netip.AddrFrom4([4]byte{192, 0, 2, byte(x) & 63}).String(), netip.AddrFrom4([4]byte{byte(x >> 24), byte(x >> 16), byte(x >> 8), byte(x)}).String(), 40000, 443, 6, 9}
				}
				in[k] = v5(secs, uint32(k), flows...)
				if version == "v9" {
					in[k] = v9(secs, uint32(k), k == 0, flows...)
				}
			}
			b.ReportAllocs()
			k := 0
			for b.Loop() {
				w.ingest(in[k&511], &known, w.now)
				k++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/25, "ns/record")
		})
	}
}
