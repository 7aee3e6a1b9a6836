package wire

import "encoding/binary"

// HeaderLen is the length of the message header (RFC 1035 section 4.1.1).
const HeaderLen = 12

// MaxRecords is how many records beside the question a query may hold: an OPT,
// a signature and, for incremental transfer, one SOA; twice that for what may
// come. More is refused as a malformed query.
const MaxRecords = 6

// The bits of the second and third byte of the header that matter here.
const (
	FlagQR = 1 << 15
	FlagAA = 1 << 10
	FlagTC = 1 << 9
	FlagRD = 1 << 8
	FlagRA = 1 << 7
	FlagAD = 1 << 5
	FlagCD = 1 << 4
)

// The response codes that this house gives (RFC 1035 section 4.1.1, RFC 6891
// section 9).
const (
	NoError  = 0
	FormErr  = 1
	ServFail = 2
	NXDomain = 3
	NotImp   = 4
	Refused  = 5
	BadVers  = 16
)

// The types and classes with a meaning of their own in a query.
const (
	TypeA    = 1
	TypeSOA  = 6
	TypeAAAA = 28
	TypeOPT  = 41
	TypeSIG  = 24
	TypeTKEY = 249
	TypeTSIG = 250
	TypeIXFR = 251
	TypeAXFR = 252
	TypeANY  = 255

	ClassIN = 1
)

// The EDNS options that are looked at.
const (
	optionECS    = 8  // RFC 7871
	optionCookie = 10 // RFC 7873
	optionEDE    = 15 // RFC 8914
)

// Fault says what is wrong with a query. It is an error without allocation.
type Fault uint8

// The faults, in the order in which they are looked for.
const (
	OK          Fault = iota
	TooShort          // no whole header: cannot be answered
	IsResponse        // QR set: must not be answered, or two servers answer each other for ever
	BadOpcode         // not a standard query
	BadCount          // not exactly one question, or more records than a query has
	BadQuestion       // the question is cut off, compressed or no name
	BadRecord         // a record is cut off, misplaced, or bytes follow the last one
	BadOPT            // two OPT records, an OPT with a name, or options that do not fit
	BadVersion        // an EDNS version other than 0; the question is sound
)

var faultText = [...]string{
	"sound", "shorter than a header", "a response", "unknown opcode", "wrong number of questions or records",
	"malformed question", "malformed record", "malformed OPT record", "unknown EDNS version",
}

// Error implements error.
func (f Fault) Error() string {
	if int(f) < len(faultText) {
		return "dns query: " + faultText[f]
	}
	return "dns query: unknown fault"
}

// Query is what the room needs to know of a query. It is reused: Parse sets
// every field that its result allows to be read. Offsets count from the
// beginning of the message.
type Query struct {
	ID    uint16
	Flags uint16
	Type  uint16
	Class uint16
	End   int // behind the question

	nameLen int
	low     [MaxName + 1]byte

	EDNS    bool
	DO      bool
	Signed  bool   // TSIG or SIG(0) present: the bytes must not be changed
	UDPSize uint16 // as the client advertises it; 512 without EDNS (RFC 1035 section 4.2.1)

	optData   int // the OPT record's data
	optLen    int
	ecs       int // the client-subnet option, 0 when absent
	ecsLen    int // with its four bytes of header
	cookie    int // the cookie option, 0 when absent or without a server's part
	cookieLen int // with its four bytes of header
}

// Name gives the query name in wire form and lower case. It is valid until the
// next Parse.
func (q *Query) Name() []byte { return q.low[:q.nameLen] }

// HasSubnet reports whether the query carries a client-subnet option.
func (q *Query) HasSubnet() bool { return q.ecs != 0 }

// Opcode gives the kind of query.
func (q *Query) Opcode() uint16 { return q.Flags >> 11 & 15 }

// Parse reads a query. After TooShort nothing may be read; after IsResponse only
// ID and Flags; after BadQuestion the same; after BadOpcode, BadCount, BadRecord
// and BadOPT also EDNS, as far as it was understood, but not the question; after
// BadVersion and OK everything.
func (q *Query) Parse(msg []byte) Fault {
	if len(msg) < HeaderLen {
		return TooShort
	}
	q.ID = binary.BigEndian.Uint16(msg)
	q.Flags = binary.BigEndian.Uint16(msg[2:])
	q.EDNS, q.DO, q.Signed, q.UDPSize = false, false, false, 512
	q.optData, q.optLen, q.ecs, q.ecsLen, q.cookie, q.cookieLen = 0, 0, 0, 0, 0, 0
	if q.Flags&FlagQR != 0 {
		return IsResponse
	}
	questions := int(binary.BigEndian.Uint16(msg[4:]))
	before := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:]))
	records := before + int(binary.BigEndian.Uint16(msg[10:]))
	fault := OK
	switch {
	case q.Opcode() != 0:
		fault = BadOpcode
	case questions != 1 || records > MaxRecords:
		fault = BadCount
	}
	if questions > 1 || records > MaxRecords {
		return fault
	}
	rest := q.sections(msg, questions, before, records)
	if fault != OK {
		return fault
	}
	return rest
}

// sections reads what follows the header: at most one question, and records, of
// which so many come before the additional section.
func (q *Query) sections(msg []byte, questions, before, records int) Fault {
	q.nameLen, q.End = 0, HeaderLen
	if questions == 1 {
		end := nameEnd(msg, HeaderLen)
		if end < 0 || end+4 > len(msg) {
			return BadQuestion
		}
		q.nameLen = end - HeaderLen
		lower(&q.low, msg[HeaderLen:end])
		q.Type = binary.BigEndian.Uint16(msg[end:])
		q.Class = binary.BigEndian.Uint16(msg[end+2:])
		q.End = end + 4
	}
	at := q.End
	fault := OK
	for i := 0; i < records; i++ {
		owner := at
		at = skipName(msg, at)
		if at < 0 || at+10 > len(msg) {
			return BadRecord
		}
		typ := binary.BigEndian.Uint16(msg[at:])
		class := binary.BigEndian.Uint16(msg[at+2:])
		ttl := binary.BigEndian.Uint32(msg[at+4:])
		data := at + 10
		n := int(binary.BigEndian.Uint16(msg[at+8:]))
		at = data + n
		if at > len(msg) {
			return BadRecord
		}
		switch typ {
		case TypeOPT:
			if i < before || q.EDNS || msg[owner] != 0 {
				return BadOPT
			}
			q.EDNS = true
			q.UDPSize = max(class, 512) // RFC 6891 section 6.2.3
			q.DO = ttl&0x8000 != 0
			q.optData, q.optLen = data, n
			if ttl>>16&0xff != 0 {
				fault = BadVersion
				continue // the options of another version may mean anything
			}
			if !q.options(msg) {
				return BadOPT
			}
		case TypeTSIG, TypeSIG:
			q.Signed = true
		}
	}
	if at != len(msg) {
		return BadRecord
	}
	return fault
}

// options walks the EDNS options. It reports false when they do not fill the
// record's data exactly.
func (q *Query) options(msg []byte) bool {
	at, end := q.optData, q.optData+q.optLen
	for at < end {
		if at+4 > end {
			return false
		}
		n := int(binary.BigEndian.Uint16(msg[at+2:])) + 4
		if at+n > end {
			return false
		}
		switch binary.BigEndian.Uint16(msg[at:]) {
		case optionECS:
			if q.ecs != 0 {
				return false // a second one would go on to others unseen
			}
			q.ecs, q.ecsLen = at, n
		case optionCookie:
			// RFC 7873 section 4: 8 bytes of the client's, then 8 to 32 of a server's.
			if q.cookie == 0 && n >= 4+16 && n <= 4+40 {
				q.cookie, q.cookieLen = at, n
			}
		}
		at += n
	}
	return true
}

// AppendWithoutSubnet appends the message to dst without its client-subnet
// option. Call it only on the message that was parsed, and only
// when [Query.HasSubnet].
func (q *Query) AppendWithoutSubnet(dst, msg []byte) []byte {
	base := len(dst)
	dst = append(dst, msg[:q.ecs]...)
	dst = append(dst, msg[q.ecs+q.ecsLen:]...)
	binary.BigEndian.PutUint16(dst[base+q.optData-2:], uint16(q.optLen-q.ecsLen))
	return dst
}
