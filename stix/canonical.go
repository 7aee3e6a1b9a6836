package stix

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxDepth is how deep values may nest where no [Limits] say otherwise.
const maxDepth = 64

// CanonicalJSON gives the one form of a JSON text (RFC 8785, JCS). It refuses
// what RFC 7493 (I-JSON) refuses, and values nested deeper than 64.
func CanonicalJSON(text []byte) ([]byte, error) { return AppendCanonical(nil, text) }

// AppendCanonical appends the canonical form of a JSON text, see [CanonicalJSON].
func AppendCanonical(dst, text []byte) ([]byte, error) {
	v, err := ParseValue(text)
	if err != nil {
		return dst, fmt.Errorf("stix: JSON: %w", err)
	}
	return v.t.appendCanonical(slices.Grow(dst, len(text)), 0), nil
}

func (t *tape) appendCanonical(b []byte, i uint32) []byte {
	n := &t.nodes[i]
	switch n.kind {
	case Members:
		return t.appendMembers(b, i)
	case Items:
		b = append(b, '[')
		for at := i + 1; at < n.next; at = t.nodes[at].next {
			if at > i+1 {
				b = append(b, ',')
			}
			b = t.appendCanonical(b, at)
		}
		return append(b, ']')
	case String:
		return t.appendText(b, n)
	case Number:
		return appendWritten(b, t.text[n.off:n.end])
	default:
		return append(b, t.text[n.off:n.end]...)
	}
}

// appendText writes a string. One without a backslash has nothing in it that
// would need one, and stays.
func (t *tape) appendText(b []byte, n *node) []byte {
	if !n.escaped {
		return append(b, t.text[n.off-1:n.end+1]...)
	}
	return appendString(b, unescape(t.text[n.off:n.end]))
}

func (t *tape) appendMembers(b []byte, i uint32) []byte {
	var room [few]uint32
	order := room[:0]
	for at := i + 1; at < t.nodes[i].next; at = t.nodes[at].next {
		order = append(order, at)
	}
	t.sort(order)
	b = append(b, '{')
	for k, at := range order {
		if k > 0 {
			b = append(b, ',')
		}
		b = append(t.appendText(b, &t.nodes[at]), ':')
		b = t.appendCanonical(b, at+1)
	}
	return append(b, '}')
}

// sort orders names: few by insertion, since they mostly come in order already.
func (t *tape) sort(order []uint32) {
	if len(order) > few {
		slices.SortFunc(order, t.compare)
		return
	}
	for k := 1; k < len(order); k++ {
		x := order[k]
		at := k
		for ; at > 0 && t.compare(order[at-1], x) > 0; at-- {
			order[at] = order[at-1]
		}
		order[at] = x
	}
}

func (t *tape) compare(i, j uint32) int { return compareUTF16(t.name(i), t.name(j)) }

// name gives a name, sharing the text wherever it can.
func (t *tape) name(i uint32) string {
	n := &t.nodes[i]
	if n.escaped {
		return unescape(t.text[n.off:n.end])
	}
	return t.text[n.off:n.end]
}

// compareUTF16 orders by UTF-16 code units (RFC 8785 section 3.2.3). They order
// as code points do, but that those above U+FFFF come before U+E000 to U+FFFF.
func compareUTF16(a, b string) int {
	n := min(len(a), len(b))
	k := 0
	for k < n && a[k] == b[k] {
		k++
	}
	if k == n {
		return len(a) - len(b)
	}
	if x, y := a[k] >= 0xf0, b[k] >= 0xf0; x != y && min(a[k], b[k]) >= 0xee {
		return int(b[k]) - int(a[k])
	}
	return int(a[k]) - int(b[k])
}

// appendString is RFC 8785 section 3.2.2.2.
func appendString(b []byte, s string) []byte {
	const digits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= ' ':
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', digits[c>>4], digits[c&15])
		}
	}
	return append(b, '"')
}

// appendWritten writes a number as it should have been written. Short whole
// numbers are.
func appendWritten(b []byte, text string) []byte {
	if len(text) <= 15 && text != "-0" && !strings.ContainsAny(text, ".eE") {
		return append(b, text...)
	}
	f, _ := float(text) // the scanner has checked it
	return appendNumber(b, f)
}

// appendNumber writes a double as ECMAScript does (RFC 8785 section 3.2.2.3).
func appendNumber(b []byte, f float64) []byte {
	if f == 0 {
		return append(b, '0') // also for negative zero
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if n := len(b); b[n-2] == '0' && (b[n-3] == '-' || b[n-3] == '+') {
		b[n-2] = b[n-1] // e-09 is e-9
		b = b[:n-1]
	}
	return b
}
