package flow

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/hunt"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// room starts a room with the indicators and customers of the hot path's tests.
func room(t *testing.T, change func(*Config)) (f *Flow, q *sighting.Queue, stop func()) {
	t.Helper()
	h, b := match.NewHolder(), customer.NewHolder()
	h.Set(indicators())
	b.Set(customers())
	q = sighting.NewQueue(1 << 16)
	cfg := Config{
		Listen: []string{"127.0.0.1:0"}, Workers: 1, Exporters: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		Match: h, Customers: b, Events: q, Log: slog.New(slog.DiscardHandler), ReceiveBuffer: 1 << 20,
	}
	if change != nil {
		change(&cfg)
	}
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	if f.Addrs() == nil {
		t.Fatalf("Run: %v", <-done)
	}
	return f, q, func() {
		cancel()
		err := <-done
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func dial(t *testing.T, from string, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from)), net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func send(t *testing.T, c *net.UDPConn, b []byte) {
	t.Helper()
	_, err := c.Write(b)
	if err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, what string, f func() bool) {
	t.Helper()
	for range 1000 {
		if f() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited ten seconds for: %s", what)
}

func TestJourney(t *testing.T) {
	dir := t.TempDir()
	f, q, stop := room(t, func(c *Config) { c.Store = store.Config{Dir: dir} })
	c := dial(t, "127.0.0.1:0", f.Addrs()[0])
	secs := uint32(time.Now().Unix())
	send(t, c, v5(secs, 0, testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 900}, testFlow{"192.0.2.2", "203.0.113.200", 40000, 443, 6, 100}))
	select {
	case e := <-q.C():
		if e.Indicator != id(1) || e.Customer != 1 {
			t.Errorf("event %+v", e)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no event in ten seconds")
	}
	wait(t, "both flows in the store", func() bool { return f.Stored().Rows.Load() == 2 })
	look := func(when string) {
		r, err := hunt.Run(t.Context(), hunt.Query{Dir: dir, Targets: []hunt.Target{{Prefix: netip.MustParsePrefix("203.0.113.200/32")}}}, nil)
		if err != nil || len(r.Hits) != 1 || r.Hits[0].Customer != 1 || r.Hits[0].Flows != 1 || r.Hits[0].Bytes != 100 {
			t.Errorf("hunt %s: %+v, %v", when, r, err)
		}
	}
	look("while the flows are in the write-ahead file")
	stop()
	look("after they went into a Parquet file")
}

func TestUnknownExporter(t *testing.T) {
	f, _, stop := room(t, nil)
	c := dial(t, "127.0.0.77:0", f.Addrs()[0])
	for range 5 {
		send(t, c, v5(0, 0, testFlow{"192.0.2.1", "203.0.113.1", 1, 2, 6, 9}))
	}
	wait(t, "the refusals", func() bool { return f.Totals().Refused == 5 })
	known, strangers, err := f.Health(t.Context())
	if err != nil || len(known) != 0 || len(strangers) != 1 || strangers[0] != netip.MustParseAddr("127.0.0.77") {
		t.Errorf("health %v, strangers %v, %v", known, strangers, err)
	}
	stop()
	if f.Totals().Records != 0 {
		t.Error("flows of an unknown exporter were decoded")
	}
}

func TestTemplatesSurviveRestart(t *testing.T) {
	state := filepath.Join(t.TempDir(), "templates")
	with := func(c *Config) { c.State = state }
	secs := uint32(time.Now().Unix())
	f, _, stop := room(t, with)
	send(t, dial(t, "127.0.0.1:0", f.Addrs()[0]), v9(secs, 1, true))
	wait(t, "the template", func() bool { return f.Totals().Datagrams == 1 })
	stop()
	f, q, stop := room(t, with)
	send(t, dial(t, "127.0.0.1:0", f.Addrs()[0]), v9(secs, 2, false, testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}))
	wait(t, "a record decoded with a template of before", func() bool { return f.Totals().Events == 1 && len(q.C()) == 1 })
	stop()

	b, err := os.ReadFile(state)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	err = os.WriteFile(state, b, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f, _, stop = room(t, with) // starts all the same
	send(t, dial(t, "127.0.0.1:0", f.Addrs()[0]), v9(secs, 3, false, testFlow{"192.0.2.1", "203.0.113.1", 40000, 443, 6, 9}))
	wait(t, "the datagram", func() bool { return f.Totals().Datagrams == 1 })
	stop()
	if f.Totals().Records != 0 {
		t.Error("a torn file of templates was used")
	}
}

// TestOneExporterOneWorker sends each exporter's template from one port and its
// data from others: all must meet in one worker.
func TestOneExporterOneWorker(t *testing.T) {
	f, _, stop := room(t, func(c *Config) {
		c.Workers = 4
		c.Exporters = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	const exporters, ports = 16, 8
	secs := uint32(time.Now().Unix())
	for e := range exporters {
		from := fmt.Sprintf("127.0.1.%d:0", e+1)
		send(t, dial(t, from, f.Addrs()[0]), v9(secs, 1, true))
		for p := range ports {
			send(t, dial(t, from, f.Addrs()[0]), v9(secs, uint32(2+p), false, testFlow{"192.0.2.1", "203.0.113.99", 40000, 443, 6, 9}))
		}
	}
	wait(t, "all datagrams", func() bool { return f.Totals().Datagrams == exporters*(ports+1) })
	known, _, err := f.Health(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(known) != exporters || f.Totals().Records != exporters*ports {
		t.Errorf("%d exporter states, %d records; want %d, %d", len(known), f.Totals().Records, exporters, exporters*ports)
	}
	for _, h := range known {
		if h.NoTemplate != 0 || h.LostDatagrams != 0 {
			t.Errorf("exporter %v: %d sets without template, %d lost", h.Address, h.NoTemplate, h.LostDatagrams)
		}
	}
	stop()
}

func TestIPv6Steering(t *testing.T) {
	f, _, stop := room(t, func(c *Config) {
		c.Workers = 2
		c.Listen = []string{"[::1]:0"}
		c.Exporters = []netip.Prefix{netip.MustParsePrefix("::1/128")}
	})
	secs := uint32(time.Now().Unix())
	for k := range 8 {
		send(t, dial(t, "[::1]:0", f.Addrs()[0]), v9(secs, uint32(k), k == 0, testFlow{"192.0.2.1", "203.0.113.99", 40000, 443, 6, 9}))
	}
	wait(t, "all records", func() bool { return f.Totals().Records == 8 })
	stop()
}

// TestOverload has more sent than can be decoded: every datagram is decoded or
// counted as dropped, in one of the two places where that can happen.
func TestOverload(t *testing.T) {
	f, _, stop := room(t, func(c *Config) {
		c.Ring = 64
		c.ReceiveBuffer = 64 << 10
	})
	old := runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(old)
	c := dial(t, "127.0.0.1:0", f.Addrs()[0])
	secs := uint32(time.Now().Unix())
	in := v5(secs, 0, manyFlows(29)...)
	const sent = 30_000
	for range sent {
		send(t, c, in)
	}
	// One more after the flood brings the kernel's count along.
	wait(t, "everything decoded or counted", func() bool {
		time.Sleep(20 * time.Millisecond)
		send(t, c, v5(secs, 1, manyFlows(1)...))
		n := f.Totals()
		return n.Datagrams+n.RingDropped+n.KernelDropped >= sent && n.Received == n.Datagrams+n.RingDropped
	})
	n := f.Totals()
	t.Logf("decoded %d, dropped by the ring %d, by the kernel %d", n.Datagrams, n.RingDropped, n.KernelDropped)
	stop()
}

func TestTooLong(t *testing.T) {
	f, _, stop := room(t, func(c *Config) { c.MaxDatagram = 512 })
	send(t, dial(t, "127.0.0.1:0", f.Addrs()[0]), v5(0, 0, manyFlows(20)...))
	wait(t, "the refusal", func() bool { return f.Totals().TooLong == 1 })
	stop()
}

func TestConfigRefused(t *testing.T) {
	good := Config{Listen: []string{"127.0.0.1:0"}, Match: match.NewHolder(), Customers: customer.NewHolder(), Events: sighting.NewQueue(1)}
	tests := []struct {
		name   string
		change func(*Config)
	}{
		{"no address", func(c *Config) { c.Listen = nil }},
		{"no indicators", func(c *Config) { c.Match = nil }},
		{"odd ring", func(c *Config) { c.Ring = 1000 }},
		{"tiny datagrams", func(c *Config) { c.MaxDatagram = 100 }},
		{"crowd", func(c *Config) { c.Workers = 1000 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.change(&c)
			_, err := New(c)
			if err == nil {
				t.Error("New took it")
			}
		})
	}
	c := good
	c.Listen = []string{"192.0.2.1:2055"} // not of this machine
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Run(t.Context())
	if err == nil || f.Addrs() != nil {
		t.Errorf("Run on a foreign address: %v", err)
	}
	if f.Run(t.Context()) == nil {
		t.Error("Run ran twice")
	}
}

func TestCollector(t *testing.T) {
	f, _, stop := room(t, func(c *Config) { c.Store = store.Config{Dir: t.TempDir()} })
	defer stop()
	r := prometheus.NewPedanticRegistry()
	err := r.Register(f.Collector())
	if err != nil {
		t.Fatal(err)
	}
	got, err := r.Gather()
	if err != nil || len(got) != 10 {
		t.Errorf("%d metric families, %v; want 10", len(got), err)
	}
}

func FuzzSaved(f *testing.F) {
	f.Add(encodeSaved(map[[16]byte][]byte{{1}: []byte("state")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		of, err := decodeSaved(b)
		if err != nil {
			return
		}
		again, err := decodeSaved(encodeSaved(of))
		if err != nil || len(again) != len(of) {
			t.Fatalf("does not read back: %v", err)
		}
	})
}
