package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// The Extended DNS Error codes that this house gives (RFC 8914 section 4).
const (
	NoEDE          = -1
	EDENotReady    = 14
	EDEBlocked     = 15
	EDEProhibited  = 18
	EDENoReachable = 22
	EDENetwork     = 23
)

// MaxOwn is a length that no answer written by this package exceeds, as long as
// its parts keep to [MaxSOA] and [MaxAddresses]: it fits every client without
// truncation, the smallest included (RFC 1035 section 4.2.1). Only the text of
// an Extended DNS Error goes beyond, and that is cut to the client's size.
const MaxOwn = 512

// MaxSOA bounds the data of the SOA record that refusals carry, MaxAddresses
// the number of sinkhole addresses of one family.
const (
	MaxSOA       = 128
	MaxAddresses = 6
)

// Reply is an answer being written into a buffer of the caller's, which must
// hold at least MaxOwn bytes. Use: Begin, then at most one of Addresses and
// Negative, then End.
type Reply struct {
	buf []byte
	n   int
}

// Begin writes the header and echoes the question byte for byte, so that a
// client that mixes upper and lower case finds its own spelling again. RD and
// CD are copied, RA is set, AD and AA never are.
func (r *Reply) Begin(buf, query []byte, q *Query, rcode int) {
	r.buf = buf
	r.n = copy(buf, query[:q.End])
	header(buf, q, rcode)
	binary.BigEndian.PutUint16(buf[4:], 1)
}

// header writes a header with no counts.
func header(buf []byte, q *Query, rcode int) {
	binary.BigEndian.PutUint16(buf, q.ID)
	flags := FlagQR | FlagRA | q.Flags&(FlagRD|FlagCD|15<<11) | uint16(rcode&15)
	binary.BigEndian.PutUint16(buf[2:], flags)
	clear(buf[4:HeaderLen])
}

// Bare writes an answer without a question, for a query whose question cannot
// be echoed, and gives its length. An OPT record is given back (RFC 6891 section
// 7): it tells the client that EDNS is not what failed.
func Bare(buf, query []byte, q *Query, rcode int, size uint16) int {
	header(buf, q, rcode)
	if q.Opcode() != 0 {
		// The flags of other opcodes mean other things: copy none of them.
		binary.BigEndian.PutUint16(buf[2:], FlagQR|q.Flags&(15<<11)|uint16(rcode&15))
	}
	r := Reply{buf: buf, n: HeaderLen}
	return r.End(query, q, rcode, size, NoEDE, "", 0)
}

// Addresses writes one A or AAAA record for each address of a list of addresses
// laid end to end, 4 or 16 bytes each.
func (r *Reply) Addresses(typ uint16, each int, list []byte, ttl uint32) {
	count := uint16(0)
	for len(list) >= each {
		r.record(typ, ttl, each)
		r.n += copy(r.buf[r.n:], list[:each])
		list = list[each:]
		count++
	}
	binary.BigEndian.PutUint16(r.buf[6:], count)
}

// Negative writes the SOA record that lets a refusal be remembered for ttl
// seconds and no longer (RFC 2308 section 5). Its owner is the query name: a
// name further up would put a false SOA of somebody else's zone into caches.
func (r *Reply) Negative(soa []byte, ttl uint32) {
	r.record(TypeSOA, ttl, len(soa))
	r.n += copy(r.buf[r.n:], soa)
	binary.BigEndian.PutUint16(r.buf[8:], 1)
}

// record writes a record's head; its owner points to the question.
func (r *Reply) record(typ uint16, ttl uint32, n int) {
	b := r.buf[r.n : r.n+12]
	b[0], b[1] = 0xc0, HeaderLen
	binary.BigEndian.PutUint16(b[2:], typ)
	binary.BigEndian.PutUint16(b[4:], ClassIN)
	binary.BigEndian.PutUint32(b[6:], ttl)
	binary.BigEndian.PutUint16(b[10:], uint16(n))
	r.n += 12
}

// End writes the OPT record when the query had one, with an Extended DNS Error
// when ede is not NoEDE, and gives the length of the answer. The text is cut at
// a character so that the answer keeps to limit bytes. A cookie that holds a
// server's part is given back as it came: its client got it from the upstream
// and would discard an answer without it (RFC 7873 section 5.3).
func (r *Reply) End(query []byte, q *Query, rcode int, size uint16, ede int, text string, limit int) int {
	if !q.EDNS {
		return r.n
	}
	b := r.buf[r.n:]
	b[0] = 0
	binary.BigEndian.PutUint16(b[1:], TypeOPT)
	binary.BigEndian.PutUint16(b[3:], size)
	b[5], b[6], b[7], b[8] = byte(rcode>>4), 0, 0, 0
	if q.DO {
		b[7] = 0x80
	}
	n := 11
	if q.cookie != 0 {
		n += copy(b[n:], query[q.cookie:q.cookie+q.cookieLen])
	}
	if ede != NoEDE {
		limit = min(limit, len(r.buf))
		text = cut(text, limit-r.n-n-6)
		binary.BigEndian.PutUint16(b[n:], optionEDE)
		binary.BigEndian.PutUint16(b[n+2:], uint16(2+len(text)))
		binary.BigEndian.PutUint16(b[n+4:], uint16(ede))
		n += 6
		n += copy(b[n:], text)
	}
	binary.BigEndian.PutUint16(b[9:], uint16(n-11))
	binary.BigEndian.PutUint16(r.buf[10:], 1)
	r.n += n
	return r.n
}

// cut shortens text to at most n bytes without splitting a character.
func cut(text string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// SOA makes the data of the SOA record of refusals: primary server, contact,
// and ttl as the time that a refusal may be remembered. It reports false when
// the two names are longer than [MaxSOA] allows.
func SOA(primary, contact []byte, ttl uint32) ([]byte, bool) {
	if len(primary)+len(contact)+20 > MaxSOA {
		return nil, false
	}
	b := append(append([]byte(nil), primary...), contact...)
	for _, v := range [5]uint32{1, 3600, 600, 86400, ttl} { // serial, refresh, retry, expire, minimum
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b, true
}

// Belongs reports whether msg is a response to the query sent: same question,
// letter for letter, and exactly one. The identifier is not compared: the
// caller found the query by it.
func Belongs(msg, sent []byte, end int) bool {
	return len(msg) >= end && msg[2]&0x80 != 0 && msg[2]>>3&15 == 0 &&
		binary.BigEndian.Uint16(msg[4:]) == 1 &&
		string(msg[HeaderLen:end]) == string(sent[HeaderLen:end])
}

// Truncate writes the answer that sends a client to TCP: the response's header
// with TC set and counts of nothing but the question, and an OPT record when
// the query had one. It gives the length. The response must belong to a
// question that ends at end.
func Truncate(buf, response []byte, end int, edns, do bool, size uint16) int {
	n := copy(buf, response[:end])
	buf[2] |= FlagTC >> 8
	clear(buf[6:HeaderLen])
	if edns {
		b := buf[n:]
		b[0] = 0
		binary.BigEndian.PutUint16(b[1:], TypeOPT)
		binary.BigEndian.PutUint16(b[3:], size)
		clear(b[5:11])
		if do {
			b[7] = 0x80
		}
		n += 11
		buf[11] = 1
	}
	return n
}
