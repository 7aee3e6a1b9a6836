package store

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epoch   = 1_700_000_000_000
	forever = 100 * 365 * 24 * time.Hour
)

func sample(n int, seed uint64) []Row {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([]Row, n)
	for i := range rows {
		x := &rows[i]
		x.First = epoch + int64(i)*3
		x.Duration = r.Uint32N(60_000)
		x.Bytes, x.Packets = r.Uint64N(1<<30), r.Uint64N(1<<20)
		x.Local = v4(0xc0000200 | r.Uint32N(256))
		x.Remote = v4(0xcb007100 | r.Uint32N(256))
		if i%7 == 0 {
			binary.BigEndian.PutUint64(x.Remote[:], 0x20010db8<<32|uint64(r.Uint32N(1000)))
		}
		x.Exporter = v4(0x7f000001)
		x.In, x.Out, x.Sampling = r.Uint32N(4), r.Uint32(), 100
		x.Customer = int32(1 + r.Uint32N(3))
		x.LocalPort, x.RemotePort = uint16(r.Uint32N(65536)), uint16(r.Uint32N(65536))
		x.Proto, x.Flags, x.TOS, x.Direction = 6, uint8(r.Uint32N(64)), 0, Direction(r.Uint32N(4))
	}
	return rows
}

func v4(a uint32) (b [16]byte) {
	b[10], b[11] = 0xff, 0xff
	binary.BigEndian.PutUint32(b[12:], a)
	return b
}

// all reads everything in a folder, sorted.
func all(t *testing.T, dir string, key []byte) []Row {
	t.Helper()
	l, err := List(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Bad) > 0 {
		t.Fatalf("bad files: %v", l.Bad)
	}
	var rows []Row
	for _, i := range l.Files {
		f, err := OpenFile(i)
		if err != nil {
			t.Fatal(err)
		}
		for g := range f.Groups() {
			err = f.Rows(g, 0, f.GroupRows(g), func(r *Row) bool { rows = append(rows, *r); return true })
			if err != nil {
				t.Fatal(err)
			}
		}
		err = f.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range l.Open {
		r, err := ReadWAL(p)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, r...)
	}
	return sorted(rows)
}

func sorted(rows []Row) []Row {
	rows = slices.Clone(rows)
	slices.SortFunc(rows, func(a, b Row) int { return order(&a, &b) })
	return rows
}

func put(t *testing.T, s *Store, rows []Row) {
	t.Helper()
	for len(rows) > 0 {
		b := s.Batch()
		if b == nil {
			time.Sleep(time.Millisecond)
			continue
		}
		b.N = copy(b.Rows[:], rows)
		rows = rows[b.N:]
		s.Put(b)
	}
}

func run(t *testing.T, s *Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return func() {
		cancel()
		err := <-done
		if err != nil {
			t.Errorf("Run: %v", err)
		}
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

func TestRoundTrip(t *testing.T) {
	for _, key := range [][]byte{nil, []byte("0123456789abcdef0123456789abcdef")} {
		dir := t.TempDir()
		rows := sample(300_000, 1)
		s := New(Config{Dir: dir, SegmentRows: 200_000, Key: key, Keep: forever})
		stop := run(t, s)
		put(t, s, rows)
		stop()
		got, want := all(t, dir, key), sorted(rows)
		if !slices.Equal(got, want) {
			t.Fatalf("rows changed on the way: %d of %d, %+v", len(got), len(want), got[:min(1, len(got))])
		}
		l, _ := List(dir, key)
		if len(l.Files) != 2 || len(l.Open) != 0 || s.Counters.Files.Load() != 2 {
			t.Errorf("%d files, %d open, counter %d; want 2, 0, 2", len(l.Files), len(l.Open), s.Counters.Files.Load())
		}
		t.Logf("%.1f bytes a flow", float64(s.Counters.Bytes.Load())/float64(len(rows)))
	}
}

func TestColumns(t *testing.T) {
	dir := t.TempDir()
	rows := sorted(sample(200_000, 2))
	i, err := writeFile(dir, nil, 1, slices.Clone(rows))
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(i)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := 0
	for g := range f.Groups() {
		remote, err := f.Addresses(g, ColRemote, nil)
		if err != nil {
			t.Fatal(err)
		}
		local, err := f.Addresses(g, ColLocal, nil)
		if err != nil {
			t.Fatal(err)
		}
		rport, err := f.Ports(g, ColRemotePort, nil)
		if err != nil {
			t.Fatal(err)
		}
		lport, err := f.Ports(g, ColLocalPort, nil)
		if err != nil {
			t.Fatal(err)
		}
		low, high, ok := f.Bounds(g, ColRemote)
		if !ok || low != remote[0] || high != remote[len(remote)-1] {
			t.Errorf("group %d: bounds %x %x %v, want %x %x", g, low, high, ok, remote[0], remote[len(remote)-1])
		}
		for k := range remote {
			r := rows[at+k]
			if remote[k] != r.Remote || local[k] != r.Local || rport[k] != r.RemotePort || lport[k] != r.LocalPort {
				t.Fatalf("row %d differs", at+k)
			}
		}
		for _, k := range []int{0, 77, len(remote) - 1} {
			may, err := f.May(g, ColRemote, &remote[k])
			if !may || err != nil {
				t.Errorf("Bloom filter denies an address that is there: %v", err)
			}
		}
		no := 0
		for k := range 1000 {
			a := v4(0x0a000000 + uint32(k))
			may, _ := f.May(g, ColRemote, &a)
			if !may {
				no++
			}
		}
		if no < 950 {
			t.Errorf("Bloom filter denies %d of 1000 addresses that are not there", no)
		}
		at += len(remote)
	}
}

func TestDamage(t *testing.T) {
	key := []byte("k")
	tests := []struct {
		name   string
		damage func(t *testing.T, path string)
		want   error
	}{
		{"one bit of a page", flip(0.3), ErrTorn},
		{"one bit of the footer", flip(0.9999), ErrTorn},
		{"cut", func(t *testing.T, p string) { must(t, os.Truncate(p, 1000)) }, ErrTorn},
		{"without sidecar", func(t *testing.T, p string) { must(t, os.Remove(p+sumSuffix)) }, ErrNotOurs},
		{"sidecar cut", func(t *testing.T, p string) { must(t, os.Truncate(p+sumSuffix, 60)) }, ErrNotOurs},
		{"somebody else's sidecar", func(t *testing.T, p string) {
			i, err := ReadInfo(p, key)
			must(t, err)
			must(t, os.WriteFile(p+sumSuffix, i.encode([]byte("other")), 0o600))
		}, ErrNotOurs},
		{"a sidecar without key", func(t *testing.T, p string) {
			i, err := ReadInfo(p, key)
			must(t, err)
			must(t, os.WriteFile(p+sumSuffix, i.encode(nil), 0o600))
		}, ErrNotOurs},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i, err := writeFile(t.TempDir(), key, 1, sample(20_000, 3))
			must(t, err)
			tt.damage(t, i.Path)
			err = readAll(i.Path, key)
			if !errors.Is(err, tt.want) {
				t.Fatalf("reading: %v, want %v", err, tt.want)
			}
		})
	}
}

func flip(where float64) func(*testing.T, string) {
	return func(t *testing.T, p string) {
		b, err := os.ReadFile(p)
		must(t, err)
		b[int(float64(len(b))*where)] ^= 4
		must(t, os.WriteFile(p, b, 0o600))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func readAll(path string, key []byte) error {
	i, err := ReadInfo(path, key)
	if err != nil {
		return err
	}
	f, err := OpenFile(i)
	if err != nil {
		return err
	}
	defer f.Close()
	for g := range f.Groups() {
		err = f.Rows(g, 0, f.GroupRows(g), func(*Row) bool { return true })
		if err != nil {
			return err
		}
	}
	return nil
}

// TestCrash copies the folder while the store writes, which is what a killed
// process leaves, and starts a new store on the copy: every row that was counted
// as stored is there, once.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	s := New(Config{Dir: dir, SegmentRows: 50_000, Keep: forever})
	stop := run(t, s)
	rows := sample(400_000, 4)
	for k := range rows {
		rows[k].Bytes = uint64(k) // names the row
	}
	go put(t, s, rows)
	for round := range 8 {
		want := uint64(len(rows)) * uint64(round+1) / 10
		wait(t, "rows", func() bool { return s.Counters.Rows.Load() >= want })
		before := s.Counters.Rows.Load()
		crashed := t.TempDir()
		copyFolder(t, dir, crashed)
		again := New(Config{Dir: crashed, SegmentRows: 50_000, Keep: forever})
		run(t, again)()
		got := all(t, crashed, nil)
		seen := map[uint64]bool{}
		for _, r := range got {
			if seen[r.Bytes] {
				t.Fatalf("round %d: row %d is there twice", round, r.Bytes)
			}
			seen[r.Bytes] = true
		}
		for k := range before {
			if !seen[k] {
				t.Fatalf("round %d: row %d of %d stored ones is lost", round, k, before)
			}
		}
	}
	wait(t, "all rows", func() bool { return s.Counters.Rows.Load() == uint64(len(rows)) })
	stop()
}

// copyFolder copies as a crash would leave it: write-ahead files before Parquet
// files, so that a file that changes its kind meanwhile is there at least once.
func copyFolder(t *testing.T, from, to string) {
	t.Helper()
	for _, pattern := range []string{"open-*", "*" + sumSuffix, "*" + parquetSuffix} {
		names, err := filepath.Glob(filepath.Join(from, pattern))
		must(t, err)
		for _, n := range names {
			b, err := os.ReadFile(n)
			if errors.Is(err, os.ErrNotExist) {
				continue
			}
			must(t, err)
			must(t, os.WriteFile(filepath.Join(to, filepath.Base(n)), b, 0o600))
			if pattern == "*"+parquetSuffix { // its sidecar may have come after we looked
				b, err = os.ReadFile(n + sumSuffix)
				must(t, err)
				must(t, os.WriteFile(filepath.Join(to, filepath.Base(n)+sumSuffix), b, 0o600))
			}
		}
	}
}

func TestTornWAL(t *testing.T) {
	dir := t.TempDir()
	l, err := createWAL(filepath.Join(dir, walName(7)), Config{}.defaults().open)
	must(t, err)
	rows := sample(100, 5)
	must(t, l.add(rows[:60]))
	whole := l.good
	must(t, l.add(rows[60:]))
	must(t, l.f.Close())
	b, err := os.ReadFile(l.path)
	must(t, err)
	for _, cut := range []int{len(b) - 1, int(whole) + walFrame + 3, int(whole) + 5, int(whole)} {
		got, err := decodeWAL(b[:cut])
		must(t, err)
		if diff := cmp.Diff(rows[:60], got); diff != "" {
			t.Fatalf("cut at %d:\n%s", cut, diff)
		}
	}
	b[int(whole)+walFrame+50] ^= 1
	must(t, os.WriteFile(l.path, b, 0o600))
	run(t, New(Config{Dir: dir, Keep: forever}))()
	if diff := cmp.Diff(sorted(rows[:60]), all(t, dir, nil)); diff != "" {
		t.Fatalf("after recovery:\n%s", diff)
	}
}

func FuzzWAL(f *testing.F) {
	f.Add([]byte(walMagic + "FRAM\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte(walMagic + "FRAM\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		rows, err := decodeWAL(b)
		if err == nil && len(rows)*rowSize > len(b) {
			t.Fatalf("%d rows from %d bytes", len(rows), len(b))
		}
	})
}

func FuzzSidecar(f *testing.F) {
	i := Info{Number: 1, Rows: 1, Size: 3, blocks: make([]byte, digestSize)}
	f.Add(i.encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := decodeSidecar(b, nil)
		if err == nil && string(i.encode(nil)) != string(b) {
			t.Fatal("a sidecar reads back differently")
		}
	})
}

func TestRetention(t *testing.T) {
	dir := t.TempDir()
	now := time.UnixMilli(epoch)
	for n := range 6 {
		rows := sample(1000, uint64(n))
		for k := range rows {
			rows[k].First = epoch - int64(n)*24*3600*1000
			rows[k].Duration = 0
		}
		_, err := writeFile(dir, nil, uint64(100-n), rows)
		must(t, err)
	}
	l, err := List(dir, nil)
	must(t, err)
	one := l.Files[0].Size
	tests := []struct {
		name             string
		cfg              Config
		files            int
		expired, evicted uint64
	}{
		{"nothing to do", Config{Keep: 30 * 24 * time.Hour}, 6, 0, 0},
		{"too old", Config{Keep: 3*24*time.Hour + time.Hour}, 4, 2, 0},
		{"too big", Config{Keep: 30 * 24 * time.Hour, MaxBytes: 2*one + one/2}, 2, 0, 2},
	}
	for _, tt := range tests { // one after the other on the same folder
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Dir = dir
			tt.cfg.now = func() time.Time { return now }
			s := New(tt.cfg)
			run(t, s)()
			l, err := List(dir, nil)
			must(t, err)
			if len(l.Files) != tt.files || s.Counters.Expired.Load() != tt.expired || s.Counters.Evicted.Load() != tt.evicted {
				t.Errorf("%d files, %d expired, %d evicted; want %d, %d, %d", len(l.Files), s.Counters.Expired.Load(), s.Counters.Evicted.Load(), tt.files, tt.expired, tt.evicted)
			}
			sums, _ := filepath.Glob(filepath.Join(dir, "*"+sumSuffix))
			if len(sums) != tt.files {
				t.Errorf("%d sidecars for %d files", len(sums), tt.files)
			}
			for _, i := range l.Files[max(0, len(l.Files)-2):] {
				if i.Number < 99 {
					t.Errorf("a newer file went before file %d", i.Number)
				}
			}
		})
	}
}

// diskFile is a file on a disk that can be full: half of what does not fit is
// written, as a real disk does.
type diskFile struct {
	*os.File
	full *atomic.Bool
}

func (d diskFile) Write(p []byte) (int, error) {
	if d.full.Load() {
		n, _ := d.File.Write(p[:len(p)/2])
		return n, syscall.ENOSPC
	}
	return d.File.Write(p)
}

func TestFullDisk(t *testing.T) {
	var full atomic.Bool
	cfg := Config{Dir: t.TempDir(), Keep: forever}
	cfg.open = func(p string) (file, error) {
		f, err := os.OpenFile(p, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
		return diskFile{f, &full}, err
	}
	var skip atomic.Int64
	cfg.now = func() time.Time { return time.Now().Add(time.Duration(skip.Load())) }
	s := New(cfg)
	stop := run(t, s)
	rows := sample(3*BatchRows, 6)
	put(t, s, rows[:BatchRows])
	wait(t, "the first batch", func() bool { return s.Counters.Rows.Load() == BatchRows })
	full.Store(true)
	put(t, s, rows[BatchRows:2*BatchRows])
	wait(t, "the alarm", s.Counters.Full.Load)
	if s.Counters.LostFull.Load() != BatchRows {
		t.Errorf("LostFull = %d, want %d", s.Counters.LostFull.Load(), BatchRows)
	}
	for range 1000 { // whoever puts is never made to wait
		if b := s.Batch(); b != nil {
			s.Put(b)
		}
	}
	full.Store(false)
	skip.Store(int64(10 * time.Second))
	wait(t, "the end of the alarm", func() bool { return !s.Counters.Full.Load() })
	put(t, s, rows[2*BatchRows:])
	wait(t, "the last batch", func() bool { return s.Counters.Rows.Load() == 2*BatchRows })
	stop()
	want := sorted(append(slices.Clone(rows[:BatchRows]), rows[2*BatchRows:]...))
	if diff := cmp.Diff(want, all(t, cfg.Dir, nil)); diff != "" {
		t.Errorf("what was stored around the full disk:\n%.2000s", diff)
	}
}

func TestMinFree(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), MinFree: 100}
	cfg.free = func(string) (uint64, error) { return 99, nil }
	s := New(cfg)
	stop := run(t, s)
	wait(t, "the alarm", s.Counters.Full.Load)
	stop()
}

func TestTwoStores(t *testing.T) {
	dir := t.TempDir()
	s := New(Config{Dir: dir})
	stop := run(t, s)
	put(t, s, sample(1, 7))
	wait(t, "the first to run", func() bool { return s.Counters.Rows.Load() == 1 })
	err := New(Config{Dir: dir}).Run(t.Context())
	if err == nil {
		t.Error("a second store on the same folder ran")
	}
	stop()
}

func TestBehind(t *testing.T) {
	s := New(Config{Dir: t.TempDir(), Batches: 2})
	a, b := s.Batch(), s.Batch()
	if a == nil || b == nil || s.Batch() != nil {
		t.Fatal("want two batches and no third")
	}
	s.Drop(5)
	if s.Counters.LostBehind.Load() != 5 {
		t.Error("Drop does not count")
	}
}

func BenchmarkWriteFile(b *testing.B) {
	dir := b.TempDir()
	rows := sample(1_000_000, 8)
	work := make([]Row, len(rows))
	b.ReportAllocs()
	var size int64
	for b.Loop() {
		copy(work, rows)
		i, err := writeFile(dir, nil, 1, work)
		if err != nil {
			b.Fatal(err)
		}
		size = i.Size
	}
	b.ReportMetric(float64(len(rows))*float64(b.N)/b.Elapsed().Seconds(), "flows/s")
	b.ReportMetric(float64(size)/float64(len(rows)), "bytes/flow")
}
