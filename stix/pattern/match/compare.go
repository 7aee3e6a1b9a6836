package match

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"strconv"
	"strings"

	"ecs/stix"
	"ecs/stix/pattern"
)

// Test is one comparison made ready. It may be used by several goroutines.
type Test struct {
	of     *pattern.Test
	nfc    func(string) string
	like   []rune
	expr   *expression
	subnet netip.Prefix
}

// NewTest makes a comparison ready; see [New] for nfc. The error is a
// [*pattern.Error].
func NewTest(t *pattern.Test, nfc func(string) string) (*Test, error) {
	out := &Test{of: t, nfc: nfc}
	switch t.Op {
	case pattern.Like, pattern.Matches:
		if nfc == nil {
			return nil, &pattern.Error{Pos: t.Pos, Msg: t.Op.String() + " compares in Unicode normalization form C, and there is no function that brings strings into it"}
		}
		if t.Op == pattern.Like {
			out.like = []rune(nfc(t.Values[0].Text))
			return out, nil
		}
		var err error
		out.expr, err = newExpression(nfc(t.Values[0].Text), t.Pos)
		if err != nil {
			return nil, err
		}
	case pattern.In:
		for i := range t.Values {
			if family(t.Values[i].Kind) != family(t.Values[0].Kind) {
				return nil, &pattern.Error{Pos: t.Pos, Msg: "IN wants constants of one type"}
			}
		}
	case pattern.IsSubset, pattern.IsSuperset:
		var ok bool
		out.subnet, ok = subnet(t.Values[0].Text)
		if !ok {
			return nil, &pattern.Error{Pos: t.Pos, Msg: t.Op.String() + " wants an IPv4 or IPv6 address or prefix"}
		}
	}
	return out, nil
}

// family puts integers and floats together, and both spellings of octets.
func family(k pattern.LiteralKind) pattern.LiteralKind {
	switch k {
	case pattern.Float:
		return pattern.Int
	case pattern.Hex:
		return pattern.Binary
	default:
		return k
	}
}

// Holds tells whether a value that the path leads to satisfies the test, and how
// many steps that took; when these are more than most, the answer is void. Values
// are as encoding/json gives them (string, bool,
// json.Number or float64, nil, []any, map[string]any), int64, or octets. With a
// value of a type that the operator cannot compare, a test does not hold, but for
// "!="; NOT turns the answer round (section 9.6.1).
func (t *Test) Holds(v any, most int64) (ok bool, steps int64) {
	ok, steps = t.positive(v, most)
	return ok != t.of.Not, steps
}

func (t *Test) positive(v any, most int64) (ok bool, steps int64) {
	steps = 1 + size(v)
	if steps > most {
		return false, steps
	}
	switch t.of.Op {
	case pattern.Exists:
		return true, steps
	case pattern.In:
		one := steps
		for i := range t.of.Values {
			c, comparable := compare(v, &t.of.Values[i])
			if comparable && c == 0 {
				return true, steps
			}
			steps += one
			if steps > most {
				break
			}
		}
		return false, steps
	case pattern.Like, pattern.Matches:
		s, ok := text(v)
		if !ok {
			return false, steps
		}
		s = t.nfc(s)
		if t.of.Op == pattern.Like {
			ok, more := like(t.like, []rune(s), most-steps)
			return ok, steps + more
		}
		ok, more := t.expr.matches(s, most-steps)
		return ok, steps + more
	case pattern.IsSubset, pattern.IsSuperset:
		s, _ := v.(string)
		p, ok := subnet(s)
		if t.of.Op == pattern.IsSubset {
			return ok && covers(t.subnet, p), steps
		}
		return ok && covers(p, t.subnet), steps
	}
	c, comparable := compare(v, &t.of.Values[0])
	if !comparable {
		return t.of.Op == pattern.NotEqual, steps
	}
	_, isBool := v.(bool)
	switch t.of.Op {
	case pattern.Equal:
		return c == 0, steps
	case pattern.NotEqual:
		return c != 0, steps
	case pattern.Greater:
		return c > 0 && !isBool, steps
	case pattern.Less:
		return c < 0 && !isBool, steps
	case pattern.GreaterEqual:
		return c >= 0 && !isBool, steps
	default:
		return c <= 0 && !isBool, steps
	}
}

// size is what a long value costs to look at once, in steps.
func size(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v) / 16)
	case []byte:
		return int64(len(v) / 16)
	}
	return 0
}

// compare orders a value and a constant. It says no when their types cannot be
// compared. Strings compare by code point and are not normalized; a string and
// octets compare as octets if each character of the string fits into one.
func compare(v any, l *pattern.Literal) (order int, comparable bool) {
	switch l.Kind {
	case pattern.Int, pattern.Float:
		n, ok := number(v)
		if !ok {
			return 0, false
		}
		return compareNumbers(n, l), true
	case pattern.Bool:
		b, ok := v.(bool)
		if b == l.Bool {
			return 0, ok
		}
		return 1, ok
	case pattern.Timestamp:
		s, ok := v.(string)
		if !ok {
			return 0, false
		}
		t, err := stix.ParseTime(s)
		return t.Compare(l.Time), err == nil
	case pattern.String:
		if s, ok := v.(string); ok {
			return strings.Compare(s, l.Text), true
		}
		b, ok := v.([]byte)
		want, fits := octets(l.Text)
		return bytes.Compare(b, want), ok && fits
	default:
		b, ok := v.([]byte)
		if s, isString := v.(string); isString {
			b, ok = octets(s)
		}
		return bytes.Compare(b, l.Bytes), ok
	}
}

// number gives an int64 or a float64.
func number(v any) (any, bool) {
	switch v := v.(type) {
	case int64, float64:
		return v, true
	case json.Number:
		i, err := strconv.ParseInt(string(v), 10, 64)
		if err == nil {
			return i, true
		}
		f, err := strconv.ParseFloat(string(v), 64)
		return f, err == nil
	}
	return nil, false
}

func compareNumbers(v any, l *pattern.Literal) int {
	i, whole := v.(int64)
	f, _ := v.(float64)
	switch {
	case whole && l.Kind == pattern.Int:
		return cmp.Compare(i, l.Int)
	case !whole && l.Kind == pattern.Float:
		return cmp.Compare(f, l.Float)
	case whole:
		return exact(i).Cmp(big.NewFloat(l.Float))
	case math.IsNaN(f):
		return 1
	default:
		return big.NewFloat(f).Cmp(exact(l.Int))
	}
}

// exact holds any int64 without rounding it.
func exact(i int64) *big.Float { return new(big.Float).SetInt64(i) }

// octets gives the octets of a string whose characters all fit into one.
func octets(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

// text gives a string as it is and octets as characters of one octet each, as
// LIKE and MATCHES read them.
func text(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case []byte:
		var b strings.Builder
		for _, c := range v {
			b.WriteRune(rune(c))
		}
		return b.String(), true
	}
	return "", false
}

// subnet reads an address or a prefix; bits below the length are passed over.
func subnet(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, false
	}
	return p.Masked(), true
}

// covers tells whether all of b is in a; of two that are equal, each covers the
// other.
func covers(a, b netip.Prefix) bool {
	return a.Addr().BitLen() == b.Addr().BitLen() && a.Bits() <= b.Bits() && a.Contains(b.Addr())
}
