package search

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

// baseBits is how many low bits of a number stand in a posting.
const baseBits = 16

const baseSize = 1 << baseBits

// set is a set of the low 16 bits of numbers within one base.
type set [baseSize / 64]uint64

func (s *set) add(low uint16) { s[low>>6] |= 1 << (low & 63) }

func (s *set) has(low uint16) bool { return s[low>>6]&(1<<(low&63)) != 0 }

func (s *set) and(o *set) {
	for i := range s {
		s[i] &= o[i]
	}
}

func (s *set) or(o *set) {
	for i := range s {
		s[i] |= o[i]
	}
}

func (s *set) empty() bool {
	for _, w := range s {
		if w != 0 {
			return false
		}
	}
	return true
}

// down calls f for each member, the greatest first, until f says false.
func (s *set) down(f func(low uint16) bool) {
	for i := len(s) - 1; i >= 0; i-- {
		for w := s[i]; w != 0; {
			b := 63 - bits.LeadingZeros64(w)
			w &^= 1 << b
			if !f(uint16(i<<6 | b)) { //nolint:gosec // below 65,536
				return
			}
		}
	}
}

// A posting is either a list, whose first byte is 0, of the differences between
// rising members as unsigned LEB128 numbers, or a bitmap, whose first byte is 1, of
// 8,192 bytes, the lowest bit of the first byte for 0.
const (
	asList   = 0
	asBitmap = 1
)

const mostListed = 4096 // beyond, a bitmap is shorter or nearly so

// pack writes rising members.
func pack(lows []uint16) []byte {
	if len(lows) > mostListed {
		out := make([]byte, 1+baseSize/8)
		out[0] = asBitmap
		for _, n := range lows {
			out[1+n>>3] |= 1 << (n & 7)
		}
		return out
	}
	out := make([]byte, 1, 1+2*len(lows))
	out[0] = asList
	last := uint16(0)
	for _, n := range lows {
		out = binary.AppendUvarint(out, uint64(n-last))
		last = n
	}
	return out
}

var errPosting = errors.New("search: a posting of the index cannot be read; index anew (docs/formats/search.md)")

// unpack adds the members of a posting to a set.
func unpack(b []byte, into *set) error {
	if len(b) == 0 {
		return errPosting
	}
	kind, b := b[0], b[1:]
	switch kind {
	case asList:
		at := uint64(0)
		for len(b) > 0 {
			d, n := binary.Uvarint(b)
			at += d
			if n <= 0 || d >= baseSize || at >= baseSize {
				return errPosting
			}
			into.add(uint16(at))
			b = b[n:]
		}
		return nil
	case asBitmap:
		if len(b) != baseSize/8 {
			return errPosting
		}
		for i := range into {
			into[i] |= binary.LittleEndian.Uint64(b[i*8:])
		}
		return nil
	default:
		return errPosting
	}
}
