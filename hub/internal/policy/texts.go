package policy

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"strings"

	"ecs/observable"
)

// texts holds what is found anywhere in a value: entries of lists of type
// substring and regex. A value is asked at each of its bytes for the first bytes
// of the entries, behind a filter of 8 KiB that says no to nearly all of it.
type texts struct {
	filter  [1 << 10]uint64 // one bit for the hash of the first four bytes of an entry
	four    map[[4]byte][]piece
	eight   map[[8]byte][]piece // entries of eight bytes and more, of which many begin alike
	short   []piece             // entries of less than four bytes
	regexes []expression
}

type piece struct {
	text string
	list uint16
}

type expression struct {
	re      *regexp.Regexp
	literal string // in lower case; every match has it
	text    string
	list    uint16
}

func newTexts() texts {
	return texts{four: map[[4]byte][]piece{}, eight: map[[8]byte][]piece{}}
}

// gram gives word and bit of the filter for four bytes.
func gram(b string) (int, uint64) {
	h := (uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24) * 0x9E3779B1 >> 16
	return int(h >> 6), 1 << (h & 63)
}

// add takes an entry in lower case.
func (t *texts) add(e string, list uint16) {
	if len(e) < 4 {
		t.short = append(t.short, piece{e, list})
		return
	}
	w, bit := gram(e)
	t.filter[w] |= bit
	if len(e) < 8 {
		k := [4]byte([]byte(e[:4]))
		t.four[k] = append(t.four[k], piece{e, list})
		return
	}
	k := [8]byte([]byte(e[:8]))
	t.eight[k] = append(t.eight[k], piece{e, list})
}

func (l *Lists) checkText(h *hitSet, k observable.Kind, v string) {
	t := &l.texts
	low := strings.ToLower(v)
	for i := 0; i+4 <= len(low); i++ {
		w, bit := gram(low[i:])
		if t.filter[w]&bit == 0 {
			continue
		}
		var key [8]byte
		copy(key[:], low[i:])
		l.pieces(h, k, low[i:], t.four[[4]byte(key[:4])])
		if i+8 <= len(low) {
			l.pieces(h, k, low[i:], t.eight[key])
		}
	}
	for _, p := range t.short {
		if l.applies(p.list, k) && strings.Contains(low, p.text) {
			h.add(l, p.list, p.text, false)
		}
	}
	for i := range t.regexes {
		e := &t.regexes[i]
		if !l.applies(e.list, k) || e.literal != "" && ascii(v) && !strings.Contains(low, e.literal) {
			continue
		}
		if e.re.MatchString(v) {
			h.add(l, e.list, e.text, false)
		}
	}
}

func (l *Lists) pieces(h *hitSet, k observable.Kind, from string, ps []piece) {
	for _, p := range ps {
		if l.applies(p.list, k) && strings.HasPrefix(from, p.text) {
			h.add(l, p.list, p.text, false)
		}
	}
}

// ascii reports a text whose letters have one other case only.
func ascii(s string) bool {
	for len(s) >= 8 {
		if binary.LittleEndian.Uint64([]byte(s[:8]))&0x8080808080808080 != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// literal gives the longest text, in lower case, that every match of an
// expression has in it; empty when there is none.
func literal(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		s := strings.ToLower(string(re.Rune))
		if !ascii(s) {
			return ""
		}
		return s
	case syntax.OpCapture, syntax.OpPlus:
		return literal(re.Sub[0])
	case syntax.OpRepeat:
		if re.Min > 0 {
			return literal(re.Sub[0])
		}
	case syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			s := literal(sub)
			if len(s) > len(best) {
				best = s
			}
		}
		return best
	}
	return ""
}
