package contract

import (
	"bytes"
	"container/heap"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"sort"
	"time"
)

// Digest is a SHA-256 value.
type Digest [sha256.Size]byte

// String gives the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements [encoding.TextMarshaler].
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := hex.DecodeString(string(b))
	if err != nil || len(v) != len(d) {
		return errors.New("contract: a digest is 64 hexadecimal digits")
	}
	copy(d[:], v)
	return nil
}

// Entry is one line of the log that the hub keeps for a provider: from this
// sequence number on, the object may be used for these services. The entry with
// the highest number speaks for its indicator; no services, or a revoked
// object, takes the indicator out of force.
type Entry struct {
	Seq      uint64          `json:"seq"`
	Services Services        `json:"services"`
	Object   json.RawMessage `json:"object"` // canonical bytes, see [Indicator.Canonical]
}

// Leaf gives the entry's digest in the tree of a checkpoint. The sequence
// number is no part of it: the tree says what is in force, not how it came to be.
func (e *Entry) Leaf() Digest {
	h := sha256.New()
	h.Write([]byte{0x00, byte(e.Services)})
	h.Write(e.Object)
	var d Digest
	h.Sum(d[:0])
	return d
}

// Page is a run of log entries. The last page of a run (More is false) carries
// the signed checkpoint of exactly the list that its entries complete.
type Page struct {
	Entries    []Entry `json:"entries"`
	More       bool    `json:"more"`
	Checkpoint string  `json:"checkpoint,omitempty"` // signed note, see [Checkpoint]
	Rules      string  `json:"rules,omitempty"`      // signed note, see [Rules]
}

const (
	treeDepth = 16
	buckets   = 1 << treeDepth
)

// List is the set that a checkpoint speaks of: which indicators are in force,
// with a Merkle tree over them that follows each change at the cost of one
// bucket and sixteen inner nodes. Both houses run this code, so that equal
// lists have equal roots. It is not safe for concurrent use.
//
// The tree has 65,536 buckets, chosen by the first two bytes of the identifier.
// A bucket's value is SHA-256(0x02, leaves in order of identifier), an inner
// node's SHA-256(0x01, left, right), an empty bucket's all zero; a subtree of
// empty buckets is computed like any other.
type List struct {
	bucket [][]leaf         // buckets, each sorted by identifier
	node   []Digest         // inner nodes and buckets; 1 is the root, node i has 2i and 2i+1
	dirty  map[int]struct{} // buckets changed since the last Root
	due    expiries
	count  int
}

type leaf struct {
	id    ID
	hash  Digest
	until int64 // microseconds since 1970
}

// NewList makes an empty list.
func NewList() *List {
	l := &List{bucket: make([][]leaf, buckets), node: make([]Digest, 2*buckets), dirty: map[int]struct{}{}}
	level := Digest{}
	for width := buckets; width > 1; width /= 2 {
		level = inner(level, level)
		for i := width / 2; i < width; i++ {
			l.node[i] = level
		}
	}
	return l
}

// Put brings an indicator in force, or replaces what is there under its
// identifier.
func (l *List) Put(id ID, hash Digest, until time.Time) {
	b := bucketOf(id)
	at, found := l.find(b, id)
	x := leaf{id: id, hash: hash, until: until.UnixMicro()}
	if found {
		l.bucket[b][at] = x
	} else {
		l.bucket[b] = slices.Insert(l.bucket[b], at, x)
		l.count++
	}
	l.dirty[b] = struct{}{}
	heap.Push(&l.due, expiry{until: x.until, id: id})
}

// Remove takes an indicator out of force. It reports whether it was there.
func (l *List) Remove(id ID) bool {
	b := bucketOf(id)
	at, found := l.find(b, id)
	if !found {
		return false
	}
	l.bucket[b] = slices.Delete(l.bucket[b], at, at+1)
	l.count--
	l.dirty[b] = struct{}{}
	return true
}

// Expire removes what is no longer valid at t (valid_until is the first moment
// at which an indicator is not valid, STIX 2.1 section 4.7) and names it.
func (l *List) Expire(t time.Time) []ID {
	var gone []ID
	now := t.UnixMicro()
	for len(l.due) > 0 && l.due[0].until <= now {
		e := heap.Pop(&l.due).(expiry)
		b := bucketOf(e.id)
		at, found := l.find(b, e.id)
		if found && l.bucket[b][at].until <= now {
			l.Remove(e.id)
			gone = append(gone, e.id)
		}
	}
	return gone
}

// Has reports whether the indicator is in force.
func (l *List) Has(id ID) bool {
	_, found := l.find(bucketOf(id), id)
	return found
}

// Len counts the indicators in force.
func (l *List) Len() int { return l.count }

// Root gives the root of the tree over all indicators in force.
func (l *List) Root() Digest {
	if len(l.dirty) > 0 {
		parents := make(map[int]struct{}, len(l.dirty))
		for b := range l.dirty {
			l.node[buckets+b] = bucketHash(l.bucket[b])
			parents[(buckets+b)/2] = struct{}{}
		}
		for len(parents) > 0 {
			up := make(map[int]struct{}, len(parents))
			for i := range parents {
				l.node[i] = inner(l.node[2*i], l.node[2*i+1])
				if i > 1 {
					up[i/2] = struct{}{}
				}
			}
			parents = up
		}
		clear(l.dirty)
	}
	return l.node[1]
}

func (l *List) find(b int, id ID) (int, bool) {
	s := l.bucket[b]
	at := sort.Search(len(s), func(i int) bool { return bytes.Compare(s[i].id[:], id[:]) >= 0 })
	return at, at < len(s) && s[at].id == id
}

func bucketOf(id ID) int { return int(id[0])<<8 | int(id[1]) }

func bucketHash(leaves []leaf) Digest {
	if len(leaves) == 0 {
		return Digest{}
	}
	h := sha256.New()
	h.Write([]byte{0x02})
	for i := range leaves {
		h.Write(leaves[i].hash[:])
	}
	var d Digest
	h.Sum(d[:0])
	return d
}

func inner(left, right Digest) Digest {
	var b [1 + 2*sha256.Size]byte
	b[0] = 0x01
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

type expiry struct {
	until int64
	id    ID
}

type expiries []expiry

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].until < e[j].until }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *expiries) Push(x any)        { *e = append(*e, x.(expiry)) }
func (e *expiries) Pop() any {
	old := *e
	x := old[len(old)-1]
	*e = old[:len(old)-1]
	return x
}
