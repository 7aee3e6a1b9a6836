package mime

import (
	"strings"
	"sync/atomic"

	"ecs/observable"
)

// Budget bounds the work on one message. Zero fields get the stated default.
type Budget struct {
	Bytes        int64 // of the message as it came; 5 GiB
	Decoded      int64 // after transfer encodings and inflating, all parts together; 8 GiB
	Parts        int   // 10,000
	Depth        int   // multiparts, messages and archives within each other; 50
	HeaderBytes  int   // of all header blocks together; 4 MiB
	Finds        int   // things handed over; 200,000
	ArchiveBytes int64 // of one archive as it came, kept until its end; 32 MiB
	Inflated     int64 // of all archive members together; 256 MiB
	Members      int   // archive members; 2,000
	ArchiveDepth int   // archives within archives; 3
	Shared       *Pool // memory for archives of all messages together; nil: no common bound
}

func (b Budget) filled() Budget {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	set64 := func(p *int64, v int64) {
		if *p <= 0 {
			*p = v
		}
	}
	set64(&b.Bytes, 5<<30)
	set64(&b.Decoded, 8<<30)
	set(&b.Parts, 10_000)
	set(&b.Depth, 50)
	set(&b.HeaderBytes, 4<<20)
	set(&b.Finds, 200_000)
	set64(&b.ArchiveBytes, 32<<20)
	set64(&b.Inflated, 256<<20)
	set(&b.Members, 2_000)
	set(&b.ArchiveDepth, 3)
	return b
}

// Pool bounds the memory that the archives of all messages under way may hold.
type Pool struct {
	left atomic.Int64
}

// NewPool makes a pool of so many bytes.
func NewPool(bytes int64) *Pool {
	p := &Pool{}
	p.left.Store(bytes)
	return p
}

func (p *Pool) take(n int64) bool {
	if p == nil {
		return true
	}
	if p.left.Add(-n) >= 0 {
		return true
	}
	p.left.Add(n)
	return false
}

func (p *Pool) give(n int64) {
	if p != nil {
		p.left.Add(n)
	}
}

// Limits is a set of budgets that a message went beyond.
type Limits uint16

// The limits, in the order of [Budget].
const (
	OverBytes Limits = 1 << iota
	OverDecoded
	OverParts
	OverDepth
	OverHeader
	OverFinds
	OverArchive
	OverInflated
	OverMembers
	OverArchiveDepth
)

var limitNames = []string{
	"bytes", "decoded", "parts", "depth", "header", "finds", "archive", "inflated", "members", "archive-depth",
}

// String names the limits, joined by commas.
func (l Limits) String() string { return bits(uint(l), limitNames) }

// Signs is a set of things that two mail readers may understand differently,
// or that only the recipient's reader can open.
type Signs uint16

// The signs.
const (
	TwiceHeader  Signs = 1 << iota // a header that may be there once is there twice with different values
	BadHeader                      // a line within a header that is none
	NoBoundary                     // multipart without a boundary, or whose boundary never came
	BadEncoding                    // characters within base64 or quoted-printable that do not belong there
	OddEncoding                    // an unknown Content-Transfer-Encoding
	BadCharset                     // unknown character set
	BadArchive                     // an archive whose directory and contents disagree, or that is torn
	Encrypted                      // an archive member that needs a password
	PartialPart                    // message/partial: the rest is in other messages
	OutsideParts                   // text before the first or after the last part
)

var signNames = []string{
	"header-twice", "bad-header", "no-boundary", "bad-encoding", "odd-encoding", "bad-charset", "bad-archive",
	"encrypted-archive", "partial", "outside-parts",
}

// String names the signs, joined by commas.
func (s Signs) String() string { return bits(uint(s), signNames) }

func bits(v uint, names []string) string {
	var out []string
	for i, n := range names {
		if v&(1<<i) != 0 {
			out = append(out, n)
		}
	}
	return strings.Join(out, ",")
}

// Place says where in a message something was found.
type Place uint8

// The places.
const (
	Envelope Place = iota // not found by this package: the sender's address in SMTP
	From
	Sender
	ReplyTo
	ReturnPath
	Subject
	HeaderURL
	BodyURL
	BodyHost
	AttachmentName
	AttachmentDigest
	MemberName
	MemberDigest
)

var placeNames = []string{
	"envelope-from", "from", "sender", "reply-to", "return-path", "subject", "header-url", "url", "host",
	"attachment-name", "attachment", "archive-member-name", "archive-member",
}

// String gives the place's name.
func (p Place) String() string {
	if int(p) < len(placeNames) {
		return placeNames[p]
	}
	return "unknown"
}

// Visitor is told what was found. v is valid until it returns, and is as
// written in the message but decoded to UTF-8: kinds are Mail (an address),
// Subject, URL, Domain (a host name), FileName and the digests (hexadecimal,
// lower case). An URL may lack its scheme.
type Visitor interface {
	Find(p Place, k observable.Kind, v []byte)
}

// Digests is a set of the digests to compute.
type Digests uint8

// The digests.
const (
	MD5 Digests = 1 << iota
	SHA1
	SHA256
	SHA512

	AllDigests = MD5 | SHA1 | SHA256 | SHA512
)

// Result is what a walk says beside its finds.
type Result struct {
	Bytes   int64 // read
	Decoded int64
	Parts   int
	Finds   int
	Over    Limits
	Signs   Signs
}
