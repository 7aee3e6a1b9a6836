package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const nowMS = 1_700_000_000_000

func decode(t *testing.T, x *Exporter, b []byte) []Record {
	t.Helper()
	out := new(Batch)
	err := x.Decode(b, nowMS, out)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return out.Records[:out.N]
}

func TestDecode(t *testing.T) {
	want := Record{
		First: 1_699_999_991_000, Last: 1_699_999_993_000, Bytes: 4242, Packets: 7, Proto: 6, Flags: 0x1b,
		Src: sixteen("::ffff:192.0.2.1"), Dst: sixteen("::ffff:198.51.100.2"), SrcPort: 40000, DstPort: 443,
	}
	with := func(f func(*Record)) Record { r := want; f(&r); return r }
	rec := usualRecord("192.0.2.1", "198.51.100.2", 40000, 443, 4242)
	milli := []ie{
		{id: ieSrc6, n: 16},
		{id: ieDst6, n: 16},
		{id: ieSrcPort, n: 2},
		{id: ieDstPort, n: 2},
		{id: ieProtocol, n: 1},
		{id: ieTCPFlags, n: 2},
		{id: ieOctetDelta, n: 8},
		{id: iePacketDelta, n: 8},
		{id: ieFirstMilli, n: 8},
		{id: ieLastMilli, n: 8},
	}
	tests := []struct {
		name string
		in   [][]byte
		want []Record
	}{
		{
			"version 5",
			[][]byte{five(10_000, 1_700_000_000, 1, 0x4064, fiveRecord("192.0.2.1", "198.51.100.2", 40000, 443, 6, 0x1b, 7, 4242, 500, 2500))},
			[]Record{with(func(r *Record) {
				r.First, r.Last = 1_699_999_991_000, 1_699_999_993_000
				r.In, r.Out, r.TOS, r.Sampling = 3, 4, 0x10, 100
			})},
		},
		{"version 9, template first", [][]byte{nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, usual...)), set(300, rec, []byte{0, 0}))}, []Record{want}},
		{"version 9, template in an earlier datagram", [][]byte{
			nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, usual...))), nine(10_000, 1_700_000_000, 2, 7, set(300, rec, rec)),
		}, []Record{want, want}},
		{
			"version 9, uptime wrapped between flow and export",
			[][]byte{nine(8000, 1_700_000_000, 1, 7, set(0, templateRecord(300, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieFirstUptime, n: 4}, ie{id: ieLastUptime, n: 4})),
				set(300, v4("192.0.2.1"), v4("198.51.100.2"), be(4, 0xffff_ffff-999), be(4, 1000)))},
			[]Record{{First: 1_699_999_991_000, Last: 1_699_999_993_000, Src: want.Src, Dst: want.Dst}},
		},
		{
			"IPFIX with IPv6 and milliseconds",
			[][]byte{ten(1_700_000_000, 0, 7, set(2, templateRecord(256, milli...)),
				set(256, v6("2001:db8::1"), v6("2001:db8::2"), be(2, 40000), be(2, 443), be(1, 6), be(2, 0x1b), be(8, 4242), be(8, 7), be(8, 1_699_999_991_000), be(8, 1_699_999_993_000)))},
			[]Record{with(func(r *Record) { r.Src, r.Dst = sixteen("2001:db8::1"), sixteen("2001:db8::2") })},
		},
		{
			"IPFIX, numbers in fewer bytes than usual",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieOctetDelta, n: 3}, ie{id: iePacketDelta, n: 1}, ie{id: ieFirstSeconds, n: 4}, ie{id: ieDurationMilli, n: 2})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), be(3, 4242), be(1, 7), be(4, 1_699_999_991), be(2, 2000)))},
			[]Record{{First: want.First, Last: want.Last, Bytes: 4242, Packets: 7, Src: want.Src, Dst: want.Dst}},
		},
		{
			"IPFIX, variable length and enterprise fields are stepped over",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(2, templateRecord(256, ie{id: 460, n: 65535}, ie{id: ieSrc4, n: 4}, ie{id: 12, n: 65535, pen: 9}, ie{id: 8, n: 4, pen: 9}, ie{id: ieDst4, n: 4}, ie{id: iePacketDelta, n: 65535})),
				set(256, []byte{3}, []byte("abc"), v4("192.0.2.1"), []byte{255, 1, 0}, make([]byte, 256), be(4, 0xffffffff), v4("198.51.100.2"), []byte{2}, be(2, 7),
					[]byte{0}, v4("192.0.2.9"), []byte{0}, be(4, 0), v4("198.51.100.9"), []byte{0}))},
			[]Record{{First: nowMS, Last: nowMS, Packets: 7, Src: want.Src, Dst: want.Dst}, {First: nowMS, Last: nowMS, Src: sixteen("::ffff:192.0.2.9"), Dst: sixteen("::ffff:198.51.100.9")}},
		},
		{
			"IPFIX biflow is two flows",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieSrcPort, n: 2}, ie{id: ieDstPort, n: 2}, ie{id: ieProtocol, n: 1}, ie{id: ieOctetDelta, n: 4}, ie{id: iePacketDelta, n: 4},
					ie{id: ieOctetDelta, n: 4, pen: penReverse}, ie{id: iePacketDelta, n: 4, pen: penReverse})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), be(2, 40000), be(2, 443), be(1, 17), be(4, 10), be(4, 1), be(4, 20), be(4, 2),
					v4("192.0.2.1"), v4("198.51.100.2"), be(2, 40000), be(2, 443), be(1, 17), be(4, 10), be(4, 1), be(4, 0), be(4, 0)))},
			[]Record{
				{First: nowMS, Last: nowMS, Bytes: 10, Packets: 1, Proto: 17, Src: want.Src, Dst: want.Dst, SrcPort: 40000, DstPort: 443},
				{First: nowMS, Last: nowMS, Bytes: 20, Packets: 2, Proto: 17, Src: want.Dst, Dst: want.Src, SrcPort: 443, DstPort: 40000, Reverse: true},
				{First: nowMS, Last: nowMS, Bytes: 10, Packets: 1, Proto: 17, Src: want.Src, Dst: want.Dst, SrcPort: 40000, DstPort: 443},
			},
		},
		{
			"delta counts win over totals, whatever the order",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(2, templateRecord(256, ie{id: ieOctetTotal, n: 4}, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieOctetDelta, n: 4}, ie{id: iePostOctetDelta, n: 4})),
				set(256, be(4, 999), v4("192.0.2.1"), v4("198.51.100.2"), be(4, 5), be(4, 888)))},
			[]Record{{First: nowMS, Last: nowMS, Bytes: 5, Src: want.Src, Dst: want.Dst}},
		},
		{
			"ICMP type and code stand in the port",
			[][]byte{nine(0, 1_700_000_000, 1, 7,
				set(0, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieProtocol, n: 1}, ie{id: ieICMP4, n: 2})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), be(1, 1), be(2, 0x0801)))},
			[]Record{{First: nowMS, Last: nowMS, Proto: 1, DstPort: 0x0801, Src: want.Src, Dst: want.Dst}},
		},
		{
			"both families in one template",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieSrc6, n: 16}, ie{id: ieDst6, n: 16})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), make([]byte, 32), make([]byte, 8), v6("2001:db8::1"), v6("2001:db8::2")))},
			[]Record{{First: nowMS, Last: nowMS, Src: want.Src, Dst: want.Dst}, {First: nowMS, Last: nowMS, Src: sixteen("2001:db8::1"), Dst: sixteen("2001:db8::2")}},
		},
		{
			"version 9 sampling by sampler",
			[][]byte{nine(10_000, 1_700_000_000, 1, 7,
				set(1, be(2, 400), be(2, 4), be(2, 8), be(2, 1), be(2, 4), be(2, ieSamplerID), be(2, 1), be(2, ieSamplerInterval), be(2, 4)),
				set(400, be(4, 1), be(1, 5), be(4, 1000), be(4, 1), be(1, 6), be(4, 2000), []byte{0, 0}),
				set(0, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieSamplerID, n: 1})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), be(1, 6), v4("192.0.2.1"), v4("198.51.100.2"), be(1, 5)))},
			[]Record{{First: nowMS, Last: nowMS, Src: want.Src, Dst: want.Dst, Sampling: 2000}, {First: nowMS, Last: nowMS, Src: want.Src, Dst: want.Dst, Sampling: 1000}},
		},
		{
			"IPFIX sampling by interval and space, start of the exporter",
			[][]byte{ten(1_700_000_000, 0, 7,
				set(3, be(2, 400), be(2, 4), be(2, 1), be(2, ieSelectorID), be(2, 4), be(2, iePacketInterval), be(2, 4), be(2, iePacketSpace), be(2, 4), be(2, ieSystemInit), be(2, 8)),
				set(400, be(4, 1), be(4, 1), be(4, 99), be(8, 1_699_999_990_000)),
				set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4, n: 4}, ie{id: ieFirstUptime, n: 4}, ie{id: ieLastUptime, n: 4}, ie{id: ieSelectorID, n: 8})),
				set(256, v4("192.0.2.1"), v4("198.51.100.2"), be(4, 1000), be(4, 3000), be(8, 1)))},
			[]Record{{First: want.First, Last: want.Last, Src: want.Src, Dst: want.Dst, Sampling: 100}},
		},
		{"a template without addresses yields no flow", [][]byte{ten(1_700_000_000, 0, 7,
			set(2, templateRecord(256, ie{id: ieOctetDelta, n: 8})), set(256, be(8, 1), be(8, 2)))}, nil},
		{"a withdrawn template is gone", [][]byte{
			ten(1_700_000_000, 0, 7, set(2, templateRecord(256, usual...))), ten(1_700_000_000, 0, 7, set(2, be(2, 256), be(2, 0))), ten(1_700_000_000, 0, 7, set(256, rec)),
		}, nil},
		{"all templates withdrawn", [][]byte{
			ten(1_700_000_000, 0, 7, set(2, templateRecord(256, usual...))), ten(1_700_000_000, 0, 7, set(2, be(2, 2), be(2, 0))), ten(1_700_000_000, 0, 7, set(256, rec)),
		}, nil},
		{"templates of another domain do not apply", [][]byte{
			nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, usual...))), nine(10_000, 1_700_000_000, 2, 8, set(300, rec)),
		}, nil},
		{"a template may be replaced", [][]byte{
			nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, ie{id: ieDst4, n: 4}, ie{id: ieSrc4, n: 4})), set(300, v4("192.0.2.1"), v4("198.51.100.2"))),
			nine(10_000, 1_700_000_000, 2, 7, set(0, templateRecord(300, usual...)), set(300, rec)),
		}, []Record{want}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := NewExporter(Limits{})
			var got []Record
			for _, b := range tt.in {
				got = decode(t, x, b)
			}
			if len(tt.want) == 0 && len(got) == 0 {
				return
			}
			diff := cmp.Diff(tt.want, got)
			if diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	good := usualRecord("192.0.2.1", "198.51.100.2", 1, 2, 3)
	many := make([]ie, 257)
	for i := range many {
		many[i] = ie{id: 999, n: 1}
	}
	tests := []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, ErrShort},
		{"version 7", join(be(2, 7), make([]byte, 30)), ErrVersion},
		{"sFlow", join(be(4, 5), make([]byte, 30)), ErrVersion},
		{"version 5 header cut", five(0, 0, 0, 0)[:20], ErrShort},
		{"version 5 without records", five(0, 0, 0, 0), ErrCount},
		{"version 5 announces more than it has", join(five(0, 0, 0, 0, good[:0])[:24], good), ErrCount},
		{"version 9 header cut", nine(0, 0, 0, 0)[:19], ErrShort},
		{"set shorter than its header", nine(0, 0, 0, 0, be(2, 300), be(2, 3)), ErrLength},
		{"set longer than the datagram", nine(0, 0, 0, 0, be(2, 300), be(2, 30)), ErrShort},
		{"IPFIX longer than the datagram", join(be(2, 10), be(2, 40), make([]byte, 12)), ErrShort},
		{"IPFIX shorter than its header", join(be(2, 10), be(2, 15), make([]byte, 12)), ErrLength},
		{"template without fields", nine(0, 0, 0, 0, set(0, be(2, 256), be(2, 0))), ErrTemplate},
		{"template with a field of no length", nine(0, 0, 0, 0, set(0, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: ieDst4}))), ErrTemplate},
		{"version 9 template of variable length", nine(0, 0, 0, 0, set(0, templateRecord(256, ie{id: ieSrc4, n: 65535}))), ErrTemplate},
		{"template longer than any datagram", ten(0, 0, 0, set(2, templateRecord(256, ie{id: 999, n: 65000}, ie{id: 998, n: 1000}))), ErrTemplate},
		{"template number of a set", ten(0, 0, 0, set(2, templateRecord(255, usual...))), ErrTemplate},
		{"template cut", nine(0, 0, 0, 0, set(0, templateRecord(256, usual...)[:20])), ErrShort},
		{"template with too many fields", nine(0, 0, 0, 0, set(0, templateRecord(256, many...))), ErrFields},
		{"options template without scope", ten(0, 0, 0, set(3, be(2, 256), be(2, 1), be(2, 0), be(2, 34), be(2, 4))), ErrTemplate},
		{"options template of no length", nine(0, 0, 0, 0, set(1, be(2, 256), be(2, 4), be(2, 0), be(2, 1), be(2, 0))), ErrTemplate},
		{"options template with odd lengths", nine(0, 0, 0, 0, set(1, be(2, 256), be(2, 3), be(2, 0), be(2, 1), be(2, 0))), ErrTemplate},
		{"variable length beyond the set", ten(0, 0, 0, set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: 460, n: 65535})), set(256, v4("192.0.2.1"), []byte{9}, be(4, 0))), ErrShort},
		{"long form of variable length cut", ten(0, 0, 0, set(2, templateRecord(256, ie{id: ieSrc4, n: 4}, ie{id: 460, n: 65535})), set(256, v4("192.0.2.1"), []byte{255, 0})), ErrShort},
		{"more records than a datagram may yield", ten(0, 0, 0, set(2, templateRecord(256, ie{id: ieSrc4, n: 4})), set(256, make([]byte, 4*MaxRecords+4))), ErrRecords},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := NewExporter(Limits{})
			err := x.Decode(tt.in, nowMS, new(Batch))
			if !errors.Is(err, tt.want) {
				t.Fatalf("Decode: %v, want %v", err, tt.want)
			}
			var e *Error
			if !errors.As(err, &e) || e.Reason == 0 {
				t.Errorf("error is not typed: %T", err)
			}
			if x.Stats.Malformed != 1 {
				t.Errorf("Malformed = %d, want 1", x.Stats.Malformed)
			}
		})
	}
}

func TestBudgets(t *testing.T) {
	out := new(Batch)
	x := NewExporter(Limits{Domains: 2, Templates: 3})
	for i := range 3 {
		err := x.Decode(nine(0, 0, 0, 7, set(0, templateRecord(uint16(256+i), usual...))), nowMS, out)
		if err != nil {
			t.Fatal(err)
		}
	}
	fourth := nine(0, 0, 0, 7, set(0, templateRecord(400, usual...)))
	err := x.Decode(fourth, nowMS, out)
	if !errors.Is(err, ErrTemplates) {
		t.Fatalf("fourth template: %v", err)
	}
	err = x.Decode(fourth, nowMS+(stale+1)*1000, out)
	if err != nil {
		t.Fatalf("a stale template must make room: %v", err)
	}
	_ = x.Decode(nine(0, 0, 0, 8), nowMS+(stale+1)*1000, out)
	err = x.Decode(nine(0, 0, 0, 9), nowMS+(stale+1)*1000, out)
	if !errors.Is(err, ErrDomains) {
		t.Fatalf("third domain: %v", err)
	}
	err = x.Decode(nine(0, 0, 0, 9), nowMS+3*stale*1000, out)
	if err != nil {
		t.Fatalf("a stale domain must make room: %v", err)
	}
}

func TestSequence(t *testing.T) {
	rec := usualRecord("192.0.2.1", "198.51.100.2", 1, 2, 3)
	tmpl := set(0, templateRecord(300, usual...))
	v5 := func(seq uint32) []byte {
		r := fiveRecord("192.0.2.1", "198.51.100.2", 1, 2, 6, 0, 1, 1, 0, 0)
		return five(0, 0, seq, 0, r, r)
	}
	v9 := func(up, seq uint32) []byte { return nine(up, 0, seq, 7, tmpl, set(300, rec)) }
	v10 := func(seq uint32, n int) []byte {
		var recs []byte
		for range n {
			recs = append(recs, rec...)
		}
		return ten(0, seq, 7, set(2, templateRecord(300, usual...)), set(300, recs))
	}
	tests := []struct {
		name                              string
		in                                [][]byte
		flows, datagrams, late, restarted uint64
	}{
		{"version 5 in order", [][]byte{v5(10), v5(12), v5(14)}, 0, 0, 0, 0},
		{"version 5 lost one datagram of two", [][]byte{v5(10), v5(14)}, 2, 0, 0, 0},
		{"version 5 wraps", [][]byte{v5(0xffff_ffff), v5(1), v5(5)}, 2, 0, 0, 0},
		{"version 5 late", [][]byte{v5(10), v5(14), v5(12), v5(16)}, 2, 0, 1, 0},
		{"version 9 lost three", [][]byte{v9(1, 1), v9(1, 5)}, 0, 3, 0, 0},
		{"version 9 restarted", [][]byte{v9(900_000, 5000), v9(10, 1), v9(20, 2)}, 0, 0, 0, 1},
		{"version 9 uptime wraps", [][]byte{v9(0xffff_0000, 5), v9(10, 6), v9(20, 7)}, 0, 0, 0, 0},
		{"IPFIX counts records", [][]byte{v10(0, 3), v10(3, 2), v10(5, 1)}, 0, 0, 0, 0},
		{"IPFIX lost four", [][]byte{v10(0, 3), v10(7, 2)}, 4, 0, 0, 0},
		{"IPFIX cannot count without a template", [][]byte{v10(0, 3), ten(0, 3, 7, set(999, rec)), v10(50, 1), v10(51, 1)}, 0, 0, 0, 0},
		{"a leap is a restart and no loss", [][]byte{v10(0, 3), v10(1<<30, 1), v10(1<<30+1, 1)}, 0, 0, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := NewExporter(Limits{})
			for _, b := range tt.in {
				decode(t, x, b)
			}
			got := [4]uint64{x.Stats.LostFlows, x.Stats.LostDatagrams, x.Stats.Reordered, x.Stats.Restarts}
			want := [4]uint64{tt.flows, tt.datagrams, tt.late, tt.restarted}
			if got != want {
				t.Errorf("flows, datagrams, late, restarts = %v, want %v", got, want)
			}
		})
	}
}

func TestRestartForgetsTemplates(t *testing.T) {
	x := NewExporter(Limits{})
	rec := usualRecord("192.0.2.1", "198.51.100.2", 1, 2, 3)
	decode(t, x, nine(900_000, 0, 5000, 7, set(0, templateRecord(300, usual...)), set(300, rec)))
	got := decode(t, x, nine(10, 0, 1, 7, set(300, rec)))
	if len(got) != 0 || x.Stats.NoTemplate != 1 {
		t.Errorf("%d records decoded with the template of another life, NoTemplate = %d", len(got), x.Stats.NoTemplate)
	}
}

func TestState(t *testing.T) {
	x := NewExporter(Limits{})
	decode(t, x, nine(10_000, 1_700_000_000, 1, 7, set(0, templateRecord(300, usual...)),
		set(1, be(2, 400), be(2, 4), be(2, 4), be(2, 1), be(2, 4), be(2, ieSamplingInterval), be(2, 4)), set(400, be(4, 1), be(4, 50))))
	decode(t, x, ten(1_700_000_000, 0, 9, set(2, templateRecord(301, ie{id: 460, n: 65535}, ie{id: ieSrc4, n: 4}, ie{id: 1, n: 4, pen: 9}))))
	if !x.Dirty() || x.Dirty() {
		t.Fatal("Dirty must be true once")
	}
	saved := x.Save(nil)
	y := NewExporter(Limits{})
	err := y.Restore(saved, 0)
	if err != nil {
		t.Fatal(err)
	}
	again := y.Save(nil)
	if string(again) != string(saved) {
		t.Error("what was restored saves differently")
	}
	got := decode(t, y, nine(10_000, 1_700_000_000, 99, 7, set(300, usualRecord("192.0.2.1", "198.51.100.2", 1, 2, 3))))
	if len(got) != 1 || got[0].Sampling != 50 {
		t.Fatalf("restored exporter decodes %v", got)
	}
	for n := range len(saved) {
		err = NewExporter(Limits{}).Restore(saved[:n], 0)
		if !errors.Is(err, ErrState) {
			t.Fatalf("state cut at %d of %d: %v", n, len(saved), err)
		}
	}
	old := NewExporter(Limits{})
	err = old.Restore(saved, nowMS/1000+1)
	if err != nil {
		t.Fatal(err)
	}
	got = decode(t, old, nine(10_000, 1_700_000_000, 99, 7, set(300, usualRecord("192.0.2.1", "198.51.100.2", 1, 2, 3))))
	if len(got) != 0 {
		t.Error("a template older than asked for came back")
	}
}

func TestNoAllocation(t *testing.T) {
	rec := usualRecord("192.0.2.1", "198.51.100.2", 40000, 443, 4242)
	variable := set(256, []byte{3}, []byte("abc"), v4("192.0.2.1"))
	tests := []struct {
		name string
		in   []byte
	}{
		{"version 5", five(0, 0, 1, 0, fiveRecord("192.0.2.1", "198.51.100.2", 1, 2, 6, 0, 1, 1, 0, 0))},
		{"version 9 with its template", nine(0, 0, 1, 7, set(0, templateRecord(300, usual...)), set(300, rec, rec))},
		{"IPFIX with its template", ten(0, 1, 7, set(2, templateRecord(300, usual...)), set(300, rec, rec))},
		{"IPFIX of variable length", ten(0, 1, 7, set(2, templateRecord(256, ie{id: 460, n: 65535}, ie{id: ieSrc4, n: 4})), variable)},
		{"malformed", nine(0, 0, 0, 0, be(2, 300), be(2, 3))},
		{"unknown template", nine(0, 0, 0, 0, set(999, rec))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, out := NewExporter(Limits{}), new(Batch)
			n := testing.AllocsPerRun(200, func() { _ = x.Decode(tt.in, nowMS, out) })
			if n != 0 {
				t.Errorf("%v allocations a datagram, want 0", n)
			}
		})
	}
}
