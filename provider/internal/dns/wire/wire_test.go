package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"golang.org/x/net/dns/dnsmessage"
	"pgregory.net/rapid"
)

// pack makes a query with miekg/dns.
func pack(t testing.TB, name string, typ uint16, edit func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	m.Id = 0x1234
	if edit != nil {
		edit(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func withOpt(o ...dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(1232, true)
		m.IsEdns0().Option = o
	}
}

func TestParseFaults(t *testing.T) {
	t.Parallel()
	sound := pack(t, "www.example.com.", dns.TypeA, nil)
	edns := pack(t, "www.example.com.", dns.TypeA, withOpt())
	patch := func(b []byte, at int, v ...byte) []byte {
		out := bytes.Clone(b)
		copy(out[at:], v)
		return out
	}
	long := append(bytes.Clone(sound[:12]), bytes.Repeat(append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...), 4)...)
	long = append(long, 0, 0, 1, 0, 1)
	longest := append(bytes.Clone(sound[:12]), bytes.Repeat(append([]byte{63}, bytes.Repeat([]byte{'a'}, 63)...), 3)...)
	longest = append(append(append(longest, 61), bytes.Repeat([]byte{'b'}, 61)...), 0, 0, 1, 0, 1)
	twoOpt := append(patch(edns, 11, 2), edns[len(edns)-11:]...)
	for _, c := range []struct {
		name string
		msg  []byte
		want Fault
	}{
		{"sound", sound, OK},
		{"sound with EDNS", edns, OK},
		{"root", pack(t, ".", dns.TypeNS, nil), OK},
		{"longest name", longest, OK},
		{"empty", nil, TooShort},
		{"half a header", sound[:11], TooShort},
		{"response", patch(sound, 2, 0x81), IsResponse},
		{"status opcode", patch(sound, 2, 0x10), BadOpcode},
		{"update opcode", patch(sound, 2, 0x28), BadOpcode},
		{"no question", patch(sound, 5, 0), BadCount},
		{"two questions", patch(sound, 5, 2), BadCount},
		{"65,535 records", patch(sound, 10, 0xff, 0xff), BadCount},
		{"name cut off", sound[:20], BadQuestion},
		{"no type", sound[:len(sound)-3], BadQuestion},
		{"pointer to itself", patch(sound, 12, 0xc0, 12), BadQuestion},
		{"pointer into the header", patch(sound, 12, 0xc0, 0), BadQuestion},
		{"extended label", patch(sound, 12, 0x41), BadQuestion},
		{"name of 257 bytes", long, BadQuestion},
		{"bytes behind", append(bytes.Clone(sound), 0), BadRecord},
		{"record missing", patch(sound, 11, 1), BadRecord},
		{"record data cut off", patch(edns, len(edns)-1, 5), BadRecord},
		{"two OPT", twoOpt, BadOPT},
		{"OPT as an answer", patch(patch(edns, 11, 0), 7, 1), BadOPT},
		{"option cut off", append(patch(edns, len(edns)-1, 3), 0, 10, 0), BadOPT},
		{"option longer than the record", append(patch(edns, len(edns)-1, 4), 0, 10, 0, 9), BadOPT},
		{"two client subnets", append(patch(edns, len(edns)-1, 16), 0, 8, 0, 4, 0, 1, 0, 0, 0, 8, 0, 4, 0, 1, 0, 0), BadOPT},
		{"EDNS version 1", patch(edns, len(edns)-5, 1), BadVersion},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var q Query
			got := q.Parse(c.msg)
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			var err error = got
			if errors.Is(err, OK) && got != OK {
				t.Error("a fault equals OK")
			}
		})
	}
}

func TestParseFields(t *testing.T) {
	t.Parallel()
	msg := pack(t, "WwW.ExAmPlE.cOm.", dns.TypeHTTPS, withOpt(
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "00112233445566778899aabbccddeeff"},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}}))
	var q Query
	f := q.Parse(msg)
	if f != OK {
		t.Fatal(f)
	}
	if got, want := string(q.Name()), "\x03www\x07example\x03com\x00"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
	if q.Type != dns.TypeHTTPS || q.Class != ClassIN || !q.EDNS || !q.DO || q.UDPSize != 1232 || !q.HasSubnet() || q.Signed {
		t.Errorf("fields: %+v", q)
	}
	var m dns.Msg
	err := m.Unpack(q.AppendWithoutSubnet(nil, msg))
	if err != nil {
		t.Fatal(err)
	}
	opts := m.IsEdns0().Option
	if len(opts) != 1 || opts[0].Option() != dns.EDNS0COOKIE {
		t.Errorf("options left: %v", opts)
	}
	if m.Question[0].Name != "WwW.ExAmPlE.cOm." {
		t.Errorf("question changed: %v", m.Question)
	}
}

func TestSmallSizesAreRaised(t *testing.T) {
	t.Parallel()
	var q Query
	if q.Parse(pack(t, "example.com.", 1, func(m *dns.Msg) { m.SetEdns0(100, false) })) != OK || q.UDPSize != 512 {
		t.Errorf("size %d", q.UDPSize)
	}
}

// TestLowerAgainstOracle compares the eight-at-a-time lower case with the
// obvious one.
func TestLowerAgainstOracle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.SliceOfN(rapid.Byte(), 0, MaxName).Draw(t, "name")
		var got [MaxName + 1]byte
		lower(&got, in)
		want := bytes.Clone(in)
		for i, c := range want {
			if c >= 'A' && c <= 'Z' {
				want[i] = c + 'a' - 'A'
			}
		}
		if !bytes.Equal(got[:len(in)], want) {
			t.Fatalf("lower(%x) = %x", in, got[:len(in)])
		}
	})
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"example.com":                    "\x07example\x03com\x00",
		"Example.COM.":                   "\x07example\x03com\x00",
		".":                              "\x00",
		"":                               "",
		"a..b":                           "",
		".a":                             "",
		"a b":                            "",
		strings.Repeat("a", 64) + ".b":   "",
		strings.Repeat("abc.", 64):       "",
		strings.Repeat("abc.", 63) + "a": strings.Repeat("\x03abc", 63) + "\x01a\x00",
	} {
		got, ok := ParseName(in)
		if string(got) != want || ok != (want != "") {
			t.Errorf("ParseName(%q) = %q, %v", in, got, ok)
		}
	}
}

// TestOwnAnswersFitEverybody writes the largest of each kind of answer: none
// may exceed what the smallest client takes.
func TestOwnAnswersFitEverybody(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 63)
	name := strings.Join([]string{label, label, label, label[:61]}, ".") + "."
	msg := pack(t, name, dns.TypeAAAA, func(m *dns.Msg) {
		m.SetEdns0(512, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("ab", 40)}}
	})
	var q Query
	if f := q.Parse(msg); f != OK {
		t.Fatal(f)
	}
	soa, ok := SOA(bytes.Repeat([]byte{0}, 54), bytes.Repeat([]byte{0}, 54), 5)
	if !ok || len(soa) != MaxSOA {
		t.Fatalf("SOA of %d bytes, %v", len(soa), ok)
	}
	for _, negative := range []bool{true, false} {
		buf := make([]byte, 4096)
		var r Reply
		r.Begin(buf, msg, &q, 0)
		if negative {
			r.Negative(soa, 5)
		} else {
			r.Addresses(TypeAAAA, 16, make([]byte, 16*MaxAddresses), 5)
		}
		n := r.End(msg, &q, 0, 1232, EDEBlocked, strings.Repeat("é", 400), 512)
		if n > MaxOwn {
			t.Errorf("negative %v: %d bytes", negative, n)
		}
		if negative {
			continue // its SOA is no record, only as long as one may be
		}
		var m dns.Msg
		err := m.Unpack(buf[:n])
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Answer) != MaxAddresses || len(m.IsEdns0().Option) != 2 {
			t.Errorf("answer: %v", &m)
		}
	}
}

func TestTextIsCutAtACharacter(t *testing.T) {
	t.Parallel()
	for n := -1; n < 9; n++ {
		got := cut("aéé漢", n)
		if len(got) > max(n, 0) || !strings.HasPrefix("aéé漢", got) || strings.ContainsRune(got, '\uFFFD') {
			t.Errorf("cut to %d: %q", n, got)
		}
	}
}

func TestBelongs(t *testing.T) {
	t.Parallel()
	sent := pack(t, "www.Example.com.", 1, nil)
	good := bytes.Clone(sent)
	good[2] |= 0x80
	edit := func(at int, v byte) []byte {
		b := bytes.Clone(good)
		b[at] = v
		return b
	}
	for _, c := range []struct {
		name string
		msg  []byte
		want bool
	}{
		{"answer", good, true},
		{"query", sent, false},
		{"other letter case", edit(17, 'e'), false},
		{"other name", edit(17, 'F'), false},
		{"other type", edit(len(good)-3, 28), false},
		{"other class", edit(len(good)-1, 3), false},
		{"no question", edit(5, 0), false},
		{"other opcode", edit(2, 0xa8), false},
		{"cut off", good[:len(good)-1], false},
		{"empty", nil, false},
	} {
		if got := Belongs(c.msg, sent, len(sent)); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// FuzzParse compares the question parser with two independent libraries: what
// it takes they must take, with the same meaning; what it refuses they refuse
// too, but for what this package refuses on purpose.
func FuzzParse(f *testing.F) {
	f.Add(pack(f, "www.example.com.", 1, nil))
	f.Add(pack(f, ".", 2, withOpt()))
	f.Add(pack(f, "WWW.Example.", 65, withOpt(&dns.EDNS0_COOKIE{Code: 10, Cookie: "0011223344556677"})))
	f.Add(pack(f, "a.b.", 255, withOpt(&dns.EDNS0_SUBNET{Code: 8, Family: 2, SourceNetmask: 56, Address: make([]byte, 16)})))
	f.Add([]byte("\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		var q Query
		fault := q.Parse(msg)
		if fault == OK || fault == BadVersion {
			checkAccepted(t, &q, msg)
			return
		}
		var p dnsmessage.Parser
		h, err := p.Start(msg)
		if err != nil || h.Response || h.OpCode != 0 {
			return
		}
		qs, err := p.AllQuestions()
		if err != nil || len(qs) != 1 {
			return
		}
		// dnsmessage takes this question; only these reasons are left to refuse.
		switch fault {
		case BadCount, BadRecord, BadOPT:
		case BadQuestion:
			if nameEnd(msg, HeaderLen) > 0 {
				t.Fatalf("refused %x, whose name is sound", msg)
			}
		default:
			t.Fatalf("refused %x for %v", msg, fault)
		}
	})
}

func checkAccepted(t *testing.T, q *Query, msg []byte) {
	t.Helper()
	var p dnsmessage.Parser
	_, err := p.Start(msg)
	if err != nil {
		t.Fatalf("took %x, dnsmessage: %v", msg, err)
	}
	qs, err := p.AllQuestions()
	if bytes.IndexByte(msg[HeaderLen:q.End-4], '.') >= 0 {
		qs, err = nil, nil // dnsmessage refuses dots inside labels and, with them, legal names
	}
	if err != nil {
		t.Fatalf("took %x, dnsmessage: %v", msg, err)
	}
	if len(qs) == 1 && (uint16(qs[0].Type) != q.Type || uint16(qs[0].Class) != q.Class) {
		t.Fatalf("took %x as type %d class %d, dnsmessage: %v", msg, q.Type, q.Class, qs)
	}
	name, end, err := dns.UnpackDomainName(msg, HeaderLen)
	if err != nil || end+4 != q.End {
		t.Fatalf("took %x, miekg/dns: %q ends at %d, %v", msg, name, end, err)
	}
	var again [MaxName + 1]byte
	n, err := dns.PackDomainName(name, again[:], 0, nil, false)
	if err != nil || !bytes.EqualFold(again[:n], q.Name()) && !bytes.Equal(bytes.ToLower(again[:n]), bytes.ToLower(q.Name())) {
		t.Fatalf("took %x as %x, miekg/dns packs %x, %v", msg, q.Name(), again[:n], err)
	}
	if q.HasSubnet() {
		less := q.AppendWithoutSubnet(nil, msg)
		var q2 Query
		f := q2.Parse(less)
		if f != OK || q2.End != q.End || len(less) >= len(msg) {
			t.Fatalf("without subnet: %x, %v", less, f)
		}
	}
	// Every answer to it is one that an independent library can read.
	var buf [1232]byte
	var r Reply
	r.Begin(buf[:], msg, q, NXDomain)
	soa, _ := SOA([]byte{0}, []byte{0}, 5)
	r.Negative(soa, 5)
	size := r.End(msg, q, NXDomain, 1232, EDEBlocked, "text", 512)
	var m dns.Msg
	err = m.Unpack(buf[:size])
	if err != nil {
		t.Fatalf("answer %x to %x: %v", buf[:size], msg, err)
	}
	if m.Rcode != dns.RcodeNameError || !m.Response || m.AuthenticatedData || len(m.Ns) != 1 || (m.IsEdns0() != nil) != q.EDNS {
		t.Fatalf("answer to %x: %v", msg, &m)
	}
	if string(buf[HeaderLen:q.End]) != string(msg[HeaderLen:q.End]) {
		t.Fatalf("question not echoed: %x to %x", buf[:size], msg)
	}
}

// FuzzBelongs feeds the only judgement on bytes from upstreams.
func FuzzBelongs(f *testing.F) {
	f.Add([]byte("\x00\x00\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01"))
	sent := pack(f, "a.", 1, nil)
	f.Fuzz(func(t *testing.T, msg []byte) {
		if !Belongs(msg, sent, len(sent)) {
			return
		}
		var q dns.Msg
		err := q.Unpack(msg[:min(len(msg), len(sent))])
		_ = err // records behind the question may be cut off by the slice
		if binary.BigEndian.Uint16(msg[4:]) != 1 || !bytes.Equal(msg[HeaderLen:len(sent)], sent[HeaderLen:]) {
			t.Fatalf("took %x", msg)
		}
		var buf [MaxOwn]byte
		n := Truncate(buf[:], msg, len(sent), true, true, 1232)
		var m dns.Msg
		err = m.Unpack(buf[:n])
		if err != nil || !m.Truncated || len(m.Answer)+len(m.Ns) != 0 {
			t.Fatalf("truncated to %x: %v", buf[:n], err)
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	msg := pack(t, "www.example.com.", 1, withOpt())
	var q Query
	var buf [MaxOwn]byte
	soa, _ := SOA([]byte{0}, []byte{0}, 5)
	n := testing.AllocsPerRun(1000, func() {
		if q.Parse(msg) != OK {
			t.Fatal("not sound")
		}
		var r Reply
		r.Begin(buf[:], msg, &q, NXDomain)
		r.Negative(soa, 5)
		r.End(msg, &q, NXDomain, 1232, EDEBlocked, "because", 512)
	})
	if diff := cmp.Diff(0.0, n); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkParse, EPYC (2 cores), Go 1.26: see README.md of the room.
func BenchmarkParse(b *testing.B) {
	msg := pack(b, "some-host.www.example.com.", 1, withOpt())
	var q Query
	b.ReportAllocs()
	for b.Loop() {
		_ = q.Parse(msg)
	}
}
