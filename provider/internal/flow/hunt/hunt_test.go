package hunt

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ecs/provider/internal/flow/store"

	gocmp "github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var begin = time.Now().Add(-48 * time.Hour).UnixMilli()

func rows(n int, seed uint64) []store.Row {
	r := rand.New(rand.NewPCG(seed, 9))
	out := make([]store.Row, n)
	for i := range out {
		x := &out[i]
		x.First, x.Duration = begin+int64(i)*10, r.Uint32N(5000)
		x.Bytes, x.Packets = r.Uint64N(10000), r.Uint64N(100)
		x.Local, x.Remote = four(0xc0000200+r.Uint32N(64)), four(0xcb007100+r.Uint32N(4096))
		if r.Uint32N(5) == 0 {
			binary.BigEndian.PutUint64(x.Remote[:], 0x20010db8<<32|uint64(r.Uint32N(64)))
			binary.BigEndian.PutUint64(x.Remote[8:], uint64(r.Uint32N(64)))
		}
		x.Customer = int32(1 + r.Uint32N(4))
		x.LocalPort, x.RemotePort = ports[r.IntN(len(ports))], ports[r.IntN(len(ports))]
		x.Proto = []uint8{6, 17, 1}[r.IntN(3)]
		x.Direction = store.Direction(r.Uint32N(4))
	}
	return out
}

var ports = []uint16{0, 53, 80, 443, 4444, 8080, 40000, 50000}

func four(a uint32) (b [16]byte) {
	b[10], b[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(b[12:], a)
	return b
}

// fill stores rows, the last ones left in a write-ahead file.
func fill(t testing.TB, dir string, all []store.Row, segment int) {
	t.Helper()
	s := store.New(store.Config{Dir: dir, SegmentRows: segment})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for len(all) > 0 {
		b := s.Batch()
		if b == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		b.N = copy(b.Rows[:], all)
		all = all[b.N:]
		s.Put(b)
	}
	cancel()
	err := <-done
	if err != nil {
		t.Fatal(err)
	}
}

// oracle looks at every row for every target.
func oracle(all []store.Row, q Query) []Hit {
	var out []Hit
	for i, x := range q.Targets {
		by := map[int32]*Hit{}
		for _, r := range all {
			if !q.Since.IsZero() && r.Last() < q.Since.UnixMilli() || !q.Until.IsZero() && r.First > q.Until.UnixMilli() {
				continue
			}
			if len(q.Customers) > 0 && !slices.Contains(q.Customers, r.Customer) {
				continue
			}
			lp, rp := r.LocalPort, r.RemotePort
			if r.Proto == 1 || r.Proto == 58 {
				lp, rp = 0, 0
			}
			end := func(a [16]byte, port, other uint16) bool {
				if x.Proto != 0 && x.Proto != r.Proto || x.Port != 0 && x.Port != port {
					return false
				}
				if x.Prefix.IsValid() {
					return x.Prefix.Contains(netip.AddrFrom16(a).Unmap())
				}
				return other == 0 || other >= 1024 || port < 1024 || port == other
			}
			if !end(r.Remote, rp, lp) && !end(r.Local, lp, rp) {
				continue
			}
			h := by[r.Customer]
			if h == nil {
				h = &Hit{Target: i, Customer: r.Customer, First: r.First, Last: r.Last()}
				by[r.Customer] = h
			}
			h.First, h.Last = min(h.First, r.First), max(h.Last, r.Last())
			h.Flows++
			h.Packets += r.Packets
			h.Bytes += r.Bytes
		}
		for _, h := range by {
			out = append(out, *h)
		}
	}
	slices.SortFunc(out, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Customer, b.Customer))
	})
	return out
}

func TestAgainstOracle(t *testing.T) {
	dir := t.TempDir()
	all := rows(60_000, 1)
	fill(t, dir, all, 20_000)
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.Custom(func(t *rapid.T) Target {
			var x Target
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				x.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, byte(113 + rapid.IntRange(0, 20).Draw(t, "c")), byte(rapid.IntRange(0, 255).Draw(t, "d"))}), rapid.SampledFrom([]int{32, 32, 28, 24, 20}).Draw(t, "bits"))
			case 1:
				a := [16]byte{0x20, 0x01, 0x0d, 0xb8, 7: byte(rapid.IntRange(0, 70).Draw(t, "net")), 15: byte(rapid.IntRange(0, 70).Draw(t, "host"))}
				x.Prefix = netip.PrefixFrom(netip.AddrFrom16(a), rapid.SampledFrom([]int{128, 128, 64, 60}).Draw(t, "bits"))
			case 2:
				x.Prefix = netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 80).Draw(t, "d"))}), rapid.SampledFrom([]int{32, 30}).Draw(t, "bits"))
			}
			if !x.Prefix.IsValid() || rapid.Bool().Draw(t, "with port") {
				x.Port = rapid.SampledFrom(ports[1:]).Draw(t, "port")
				x.Proto = rapid.SampledFrom([]uint8{0, 6, 17}).Draw(t, "proto")
			}
			return x
		})
		q := Query{Dir: dir, Targets: rapid.SliceOfN(target, 1, 6).Draw(t, "targets")}
		if rapid.Bool().Draw(t, "since") {
			q.Since = time.UnixMilli(begin + rapid.Int64Range(0, 600_000).Draw(t, "from"))
		}
		if rapid.Bool().Draw(t, "until") {
			q.Until = time.UnixMilli(begin + rapid.Int64Range(0, 600_000).Draw(t, "to"))
		}
		if rapid.Bool().Draw(t, "customers") {
			q.Customers = []int32{2, 3}
		}
		got, err := Run(context.Background(), q, nil)
		if err != nil || len(got.Bad) > 0 {
			t.Fatalf("Run: %v, bad %v", err, got.Bad)
		}
		diff := gocmp.Diff(oracle(all, q), got.Hits)
		if diff != "" {
			t.Fatalf("hunt and oracle disagree (-oracle +hunt):\n%s", diff)
		}
	})
}

func TestSkips(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, rows(50_000, 2), 10_000)
	absent := Target{Prefix: netip.MustParsePrefix("198.51.100.1/32")}
	got, err := Run(t.Context(), Query{Dir: dir, Targets: []Target{absent}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hits) != 0 || got.Read != 0 || got.Skipped != got.Files || got.Files < 4 {
		t.Errorf("an address that nobody talked to: %d hits, %d rows read, %d of %d files skipped", len(got.Hits), got.Read, got.Skipped, got.Files)
	}
	early, err := Run(t.Context(), Query{Dir: dir, Targets: []Target{{Port: 443}}, Until: time.UnixMilli(begin + 1)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if early.Skipped != early.Files-1 {
		t.Errorf("%d of %d files skipped by time, want all but one", early.Skipped, early.Files)
	}
}

func TestOpenFlowsAndProgress(t *testing.T) {
	dir := t.TempDir()
	s := store.New(store.Config{Dir: dir, SegmentRows: 10_000})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	all := rows(3*store.BatchRows+100, 3)
	for rest := all; len(rest) > 0; {
		b := s.Batch()
		b.N = copy(b.Rows[:], rest)
		rest = rest[b.N:]
		s.Put(b)
	}
	for s.Counters.Rows.Load() != uint64(len(all)) {
		time.Sleep(time.Millisecond)
	}
	q := Query{Dir: dir, Targets: []Target{{Prefix: netip.MustParsePrefix("192.0.2.7/32")}}, Samples: 3}
	var seen []int
	got, err := Run(t.Context(), q, func(n, total int) { seen = append(seen, n, total) })
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Hits) == 0 || len(got.Hits[0].Samples) != 3 {
		t.Fatalf("hits %+v", got.Hits)
	}
	plain := slices.Clone(got.Hits)
	for i := range plain {
		for _, r := range plain[i].Samples {
			if r.Local != four(0xc0000207) && r.Remote != four(0xc0000207) || r.Customer != plain[i].Customer {
				t.Errorf("sample %+v is not of the hit", r)
			}
		}
		plain[i].Samples = nil
	}
	diff := gocmp.Diff(oracle(all, q), plain)
	if diff != "" {
		t.Errorf("flows of the last minutes (-oracle +hunt):\n%s", diff)
	}
	if len(seen) != 2*got.Files || seen[len(seen)-2] != got.Files {
		t.Errorf("progress %v for %d files", seen, got.Files)
	}
	cancel()
	err = <-done
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFile(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, rows(40_000, 4), 10_000)
	names, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0x55
	}
	err = os.WriteFile(names[0], b, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	err = os.Remove(names[1] + ".sum")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(t.Context(), Query{Dir: dir, Targets: []Target{{Port: 443}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Bad) != 2 || len(got.Hits) == 0 {
		t.Fatalf("bad %v, %d hits; want two bad files and the hits of the others", got.Bad, len(got.Hits))
	}
	if !errors.Is(errors.Join(got.Bad...), store.ErrTorn) || !errors.Is(errors.Join(got.Bad...), store.ErrNotOurs) {
		t.Errorf("bad: %v", got.Bad)
	}
}

func TestRefusedQueries(t *testing.T) {
	for _, q := range []Query{{}, {Targets: []Target{{Proto: 6}}}} {
		_, err := Run(t.Context(), q, nil)
		if !errors.Is(err, errNothing) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	_, err := Run(t.Context(), Query{Dir: filepath.Join(t.TempDir(), "none"), Targets: []Target{{Port: 1}}}, nil)
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("folder that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := t.TempDir()
	fill(t, dir, rows(1000, 5), 1000)
	_, err = Run(ctx, Query{Dir: dir, Targets: []Target{{Port: 443}}}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
