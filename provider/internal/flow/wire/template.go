package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// field is one field that is kept, or, in templates with variable lengths, any.
type field struct {
	off uint16 // from the beginning of the record; fixed-length templates only
	n   uint16 // length; variable: 0xffff
	op  op
	rev bool // belongs to the reverse half of a biflow
}

// template is a compiled template: which bytes of a record go where.
type template struct {
	fields   []field
	raw      []byte // the definition as it came, to save and to compare
	length   int    // of a record; the least where variable
	used     int64  // seconds since 1970
	id       uint16
	version  uint16
	options  bool
	variable bool
	flow     bool // has an address: its records are flows
	biflow   bool
}

const variableLength = 0xffff // RFC 7011 section 7

// parser walks template sets.
type parser struct {
	version uint16
	options bool
	limits  *Limits
	seen    []spec // scratch
}

type spec struct {
	id  uint16
	n   uint16
	pen uint32
}

// next reads one template record (RFC 3954 sections 5.2 and 6.1, RFC 7011
// section 3.4) and gives its length in bytes. A nil template without an error
// is a withdrawal of id (0: all of this set's kind, when all is true).
func (p *parser) next(b []byte) (t *template, id uint16, used int, err error) {
	if len(b) < 4 {
		return nil, 0, 0, ErrShort
	}
	id = binary.BigEndian.Uint16(b)
	count := int(binary.BigEndian.Uint16(b[2:]))
	at := 4
	switch {
	case p.version == 10 && count == 0:
		return nil, id, 4, nil // withdrawal, RFC 7011 section 8.1
	case p.options && p.version == 9:
		if len(b) < 6 {
			return nil, id, 0, ErrShort
		}
		scope, opts := count, int(binary.BigEndian.Uint16(b[4:])) // lengths in bytes
		if scope%4 != 0 || opts%4 != 0 {
			return nil, id, 0, ErrTemplate
		}
		count, at = (scope+opts)/4, 6
	case p.options:
		if len(b) < 6 {
			return nil, id, 0, ErrShort
		}
		scopes := int(binary.BigEndian.Uint16(b[4:]))
		if scopes == 0 || scopes > count { // RFC 7011 section 3.4.2.2
			return nil, id, 0, ErrTemplate
		}
		at = 6
	}
	scopes := 0
	if p.options && p.version == 9 {
		scopes = int(binary.BigEndian.Uint16(b[2:])) / 4
	}
	if count > p.limits.Fields {
		return nil, id, 0, ErrFields
	}
	p.seen = p.seen[:0]
	for i := range count {
		if len(b)-at < 4 {
			return nil, id, 0, ErrShort
		}
		s := spec{id: binary.BigEndian.Uint16(b[at:]), n: binary.BigEndian.Uint16(b[at+2:])}
		at += 4
		if p.version == 10 && s.id&0x8000 != 0 {
			if len(b)-at < 4 {
				return nil, id, 0, ErrShort
			}
			s.id &= 0x7fff
			s.pen = binary.BigEndian.Uint32(b[at:])
			at += 4
		}
		if i < scopes {
			s.pen = 1 // v9 scope types are numbers of their own (RFC 3954 section 6.1)
		}
		p.seen = append(p.seen, s)
	}
	if id < 256 || count == 0 {
		return nil, id, at, ErrTemplate
	}
	t, err = p.compile(id)
	if err != nil {
		return nil, id, at, err
	}
	t.raw = bytes.Clone(b[:at])
	return t, id, at, nil
}

// compile checks lengths and keeps what decoding needs.
func (p *parser) compile(id uint16) (*template, error) {
	t := &template{id: id, version: p.version, options: p.options}
	var four, six bool
	best := map[op]int{opOctets: 9, opPackets: 9}
	for _, s := range p.seen {
		if s.n == 0 && !p.options {
			return nil, ErrTemplate
		}
		if s.n == variableLength && p.version == 9 {
			return nil, ErrTemplate
		}
		t.variable = t.variable || s.n == variableLength
		if s.pen != 0 && s.pen != penReverse {
			continue
		}
		o := opOf(s.id, int(s.n), s.n == variableLength)
		four = four || o == opSrc4 || o == opDst4
		six = six || o == opSrc6 || o == opDst6
		b, ranked := best[o]
		if ranked && s.pen == 0 && rank(s.id) < b {
			best[o] = rank(s.id)
		}
	}
	for _, s := range p.seen {
		f := field{off: uint16(t.length), n: s.n, rev: s.pen == penReverse}
		if s.pen == 0 || f.rev {
			f.op = opOf(s.id, int(s.n), s.n == variableLength)
		}
		b, ranked := best[f.op]
		if ranked && s.pen == 0 && rank(s.id) != b {
			f.op = opSkip
		}
		f.op, f.rev = reverseOf(f.op, f.rev)
		if four && six {
			f.op = bothFamilies(f.op)
		}
		t.biflow = t.biflow || f.rev && f.op != opSkip
		if s.n == variableLength {
			t.length++
		} else {
			t.length += int(s.n)
		}
		if t.length > 0xffff {
			return nil, ErrTemplate
		}
		if f.op != opSkip || t.variable && s.n != 0 {
			t.fields = append(t.fields, f)
		}
	}
	if t.length == 0 {
		return nil, ErrTemplate
	}
	t.flow = (four || six) && !t.options
	if !t.variable { // times that count from the start are read after it
		slices.SortStableFunc(t.fields, func(a, b field) int { return started(b) - started(a) })
	}
	return t, nil
}

// reverseOf says what a field of the reverse half is good for: counts, flags and
// times; keys are the forward half's, swapped.
func reverseOf(o op, rev bool) (op, bool) {
	switch o {
	case opRevOctets:
		return opOctets, true
	case opRevPackets:
		return opPackets, true
	}
	if !rev {
		return o, false
	}
	switch o {
	case opOctets, opPackets, opFlags, opTOS, opFirstUptime, opLastUptime, opFirstSeconds, opLastSeconds,
		opFirstMilli, opLastMilli, opFirstNTP, opLastNTP, opFirstDelta, opLastDelta:
		return o, true
	default:
		return opSkip, false
	}
}

func started(f field) int {
	if f.op == opSystemInit {
		return 1
	}
	return 0
}

func bothFamilies(o op) op {
	switch o {
	case opSrc4:
		return opSrc4Set
	case opDst4:
		return opDst4Set
	case opSrc6:
		return opSrc6Set
	case opDst6:
		return opDst6Set
	default:
		return o
	}
}
