package wire

import (
	"bytes"
	"testing"
)

func seeds() [][]byte {
	rec := usualRecord("192.0.2.1", "198.51.100.2", 40000, 443, 4242)
	return [][]byte{
		five(10_000, 1_700_000_000, 1, 0x4064, fiveRecord("192.0.2.1", "198.51.100.2", 40000, 443, 6, 0x1b, 7, 4242, 500, 2500)),
		nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, usual...)), set(300, rec, rec)),
		nine(0, 0, 0, 0, set(1, be(2, 400), be(2, 4), be(2, 8), be(2, 1), be(2, 4), be(2, 48), be(2, 1), be(2, 50), be(2, 4)), set(400, be(4, 1), be(1, 5), be(4, 1000))),
		ten(1_700_000_000, 0, 7, set(2, templateRecord(256, ie{id: 460, n: 65535}, ie{id: 8, n: 4}, ie{id: 12, n: 4}, ie{id: 1, n: 4, pen: penReverse}, ie{id: 8, n: 4, pen: 9})),
			set(256, []byte{3}, []byte("abc"), v4("192.0.2.1"), v4("198.51.100.2"), be(4, 9), be(4, 1)), set(2, be(2, 256), be(2, 0))),
		ten(0, 0, 0, set(3, be(2, 400), be(2, 2), be(2, 1), be(2, 302), be(2, 65535), be(2, 305), be(2, 4)), set(400, []byte{1, 1}, be(4, 7))),
	}
}

// FuzzDecode sends two datagrams to one exporter, so that templates of the first
// meet data of the second. What must hold: no panic, no more records than bytes
// allow, times in order.
func FuzzDecode(f *testing.F) {
	all := seeds()
	for i, s := range all {
		f.Add(s, all[(i+1)%len(all)])
		f.Add(s, s)
	}
	out := new(Batch)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		x := NewExporter(Limits{Domains: 4, Templates: 8, Fields: 64})
		for _, d := range [][]byte{a, b, a} {
			err := x.Decode(d, nowMS, out)
			if out.N > len(d) {
				t.Fatalf("%d records from %d bytes", out.N, len(d))
			}
			_ = err
			for _, r := range out.Records[:out.N] {
				if r.Last < r.First && r.First > 0 && r.Last > 0 {
					t.Fatalf("flow ends at %d before it begins at %d", r.Last, r.First)
				}
			}
		}
		saved := x.Save(nil)
		y := NewExporter(Limits{Domains: 4, Templates: 8, Fields: 64})
		err := y.Restore(saved, 0)
		if err != nil {
			t.Fatalf("own state does not restore: %v", err)
		}
		if !bytes.Equal(saved, y.Save(nil)) {
			t.Fatal("state changed by a round trip")
		}
	})
}

// FuzzRestore reads saved templates that nobody saved.
func FuzzRestore(f *testing.F) {
	for _, s := range seeds() {
		x := NewExporter(Limits{})
		_ = x.Decode(s, nowMS, new(Batch))
		f.Add(x.Save(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		x := NewExporter(Limits{Domains: 4, Templates: 8, Fields: 64})
		err := x.Restore(b, 0)
		if err != nil && len(x.domains) != 0 {
			t.Fatal("half of a torn state was kept")
		}
		_ = x.Decode(seeds()[1], nowMS, new(Batch))
	})
}
