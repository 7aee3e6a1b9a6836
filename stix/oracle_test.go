package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// The slow and obvious way to read JSON, to write it in canonical form and to
// read timestamps: what the fast way has to agree with, errors included.

type number string

// slowJSON reads one strict JSON value: map[string]any, []any, string, number,
// bool or nil.
func slowJSON(b []byte, depth int) (any, error) {
	if !utf8.Valid(b) {
		return nil, ErrUTF8
	}
	p := &slowParser{src: b}
	v, err := p.value(depth)
	if err != nil {
		return nil, &SyntaxError{Offset: p.pos, Err: err}
	}
	p.space()
	if p.pos != len(b) {
		return nil, &SyntaxError{Offset: p.pos, Err: errors.New("data after the value")}
	}
	return v, nil
}

type slowParser struct {
	src []byte
	pos int
}

func (p *slowParser) space() {
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
}

// peek gives the next byte, 0 at the end.
func (p *slowParser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

func (p *slowParser) value(depth int) (any, error) {
	p.space()
	switch c := p.peek(); {
	case c == '{' || c == '[':
		if depth == 0 {
			return nil, errDepth
		}
		if c == '{' {
			return p.object(depth - 1)
		}
		return p.array(depth - 1)
	case c == '"':
		return p.str()
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	}
	for _, w := range words {
		if bytes.HasPrefix(p.src[p.pos:], w.text) {
			p.pos += len(w.text)
			return w.value, nil
		}
	}
	return nil, errValue
}

var words = []struct {
	text  []byte
	value any
}{{[]byte("true"), true}, {[]byte("false"), false}, {[]byte("null"), nil}}

func (p *slowParser) object(depth int) (any, error) {
	out := make(map[string]any)
	p.pos++
	for {
		p.space()
		if p.peek() == '}' && len(out) == 0 {
			break
		}
		if p.peek() != '"' {
			return nil, errors.New("want a name in double quotes")
		}
		name, err := p.str()
		if err != nil {
			return nil, err
		}
		if _, twice := out[name]; twice {
			return nil, fmt.Errorf("name %q twice in one object", clip(name))
		}
		p.space()
		if p.peek() != ':' {
			return nil, errors.New("want a colon")
		}
		p.pos++
		out[name], err = p.value(depth)
		if err != nil {
			return nil, err
		}
		p.space()
		if p.peek() != ',' {
			break
		}
		p.pos++
	}
	if p.peek() != '}' {
		return nil, errors.New("want a comma or a closing brace")
	}
	p.pos++
	return out, nil
}

func (p *slowParser) array(depth int) (any, error) {
	out := []any{}
	p.pos++
	for {
		p.space()
		if p.peek() == ']' && len(out) == 0 {
			break
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		p.space()
		if p.peek() != ',' {
			break
		}
		p.pos++
	}
	if p.peek() != ']' {
		return nil, errors.New("want a comma or a closing bracket")
	}
	p.pos++
	return out, nil
}

func (p *slowParser) str() (string, error) {
	p.pos++
	from := p.pos
	for p.pos < len(p.src) && p.src[p.pos] != '"' && p.src[p.pos] != '\\' && p.src[p.pos] >= ' ' {
		p.pos++
	}
	if p.peek() == '"' {
		p.pos++
		return string(p.src[from : p.pos-1]), nil
	}
	out := append([]byte(nil), p.src[from:p.pos]...)
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		p.pos++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errors.New("control character in a string")
		case c != '\\':
			out = append(out, c)
		default:
			r, err := p.escape()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, r)
		}
	}
	return "", errors.New("string without its end")
}

// escape reads what follows a backslash.
func (p *slowParser) escape() (rune, error) {
	c := p.peek()
	p.pos++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		r, ok := p.hex4()
		if !ok {
			return 0, errors.New(`\u without four hexadecimal digits`)
		}
		if !utf16.IsSurrogate(r) {
			return r, nil
		}
		if p.pos+1 < len(p.src) && p.src[p.pos] == '\\' && p.src[p.pos+1] == 'u' {
			p.pos += 2
			low, ok := p.hex4()
			if r = utf16.DecodeRune(r, low); ok && r != utf8.RuneError {
				return r, nil
			}
		}
		return 0, errors.New("lone surrogate in a string")
	default:
		return 0, errors.New("unknown escape in a string")
	}
}

func (p *slowParser) hex4() (rune, bool) {
	if p.pos+4 > len(p.src) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.src[p.pos:p.pos+4]), 16, 16)
	p.pos += 4
	return rune(n), err == nil
}

func (p *slowParser) number() (any, error) {
	from := p.pos
	if p.peek() == '-' {
		p.pos++
	}
	first := p.pos
	ok := p.digits() && (p.src[first] != '0' || p.pos == first+1)
	if p.peek() == '.' {
		p.pos++
		ok = p.digits() && ok
	}
	if c := p.peek(); c == 'e' || c == 'E' {
		p.pos++
		if c := p.peek(); c == '+' || c == '-' {
			p.pos++
		}
		ok = p.digits() && ok
	}
	if !ok {
		return nil, errors.New("not a JSON number")
	}
	n := number(p.src[from:p.pos])
	_, err := n.float()
	return n, err
}

func (p *slowParser) digits() bool {
	from := p.pos
	for c := p.peek(); c >= '0' && c <= '9'; c = p.peek() {
		p.pos++
	}
	return p.pos > from
}

func (n number) float() (float64, error) {
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil || math.IsInf(f, 0) {
		return 0, errors.New("number outside the range of a double")
	}
	return f, nil
}

func slowCanonical(b []byte, v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		slices.SortFunc(names, slowCompare)
		b = append(b, '{')
		for i, n := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, n), ':')
			b = slowCanonical(b, v[n])
		}
		return append(b, '}')
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = slowCanonical(b, x)
		}
		return append(b, ']')
	case string:
		return appendString(b, v)
	case number:
		f, _ := v.float() // the parser has checked it
		return appendNumber(b, f)
	case bool:
		return strconv.AppendBool(b, v)
	default:
		return append(b, "null"...)
	}
}

// slowCompare orders by UTF-16 code units (RFC 8785 section 3.2.3).
func slowCompare(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func slowTime(s string) (time.Time, error) {
	const form = "2006-01-02T15:04:05"
	bad := fmt.Errorf("%q is not a STIX timestamp: want 2006-01-02T15:04:05.000Z", clip(s))
	rest, ok := strings.CutSuffix(s, "Z")
	if !ok || len(rest) < len(form) {
		return time.Time{}, bad
	}
	t, err := time.Parse(form, rest[:len(form)])
	if err != nil {
		return time.Time{}, bad
	}
	fraction := rest[len(form):]
	if fraction == "" {
		return t, nil
	}
	if fraction[0] != '.' || len(fraction) == 1 {
		return time.Time{}, bad
	}
	unit := time.Second
	for _, c := range []byte(fraction[1:]) {
		if c < '0' || c > '9' {
			return time.Time{}, bad
		}
		unit /= 10
		t = t.Add(time.Duration(c-'0') * unit)
	}
	return t, nil
}

// fromValue gives a value as slowJSON does.
func fromValue(v Value) any {
	switch v.Kind() {
	case Members:
		out := map[string]any{}
		for n, x := range v.Members() {
			out[n] = fromValue(x)
		}
		return out
	case Items:
		out := []any{}
		for _, x := range v.Items() {
			out = append(out, fromValue(x))
		}
		return out
	case String:
		return v.Str()
	case Number:
		return number(v.Raw())
	case Bool:
		b, _ := v.Flag()
		return b
	default:
		return nil
	}
}

// sameAsSlow compares all that can be asked of a text with the slow way.
func sameAsSlow(t interface {
	Fatalf(format string, args ...any)
	Helper()
}, in []byte,
) {
	t.Helper()
	want, wantErr := slowJSON(in, maxDepth)
	v, err := ParseValue(in)
	if fmt.Sprint(err) != fmt.Sprint(wantErr) {
		t.Fatalf("%q: got error %v, want %v", in, err, wantErr)
	}
	if err != nil {
		return
	}
	if diff := cmp.Diff(want, fromValue(v)); diff != "" {
		t.Fatalf("%q: %s", in, diff)
	}
	canonical := slowCanonical(nil, want)
	if !bytes.Equal(canonical, v.Canonical()) {
		t.Fatalf("%q: canonical form %s, want %s", in, v.Canonical(), canonical)
	}
	for n, x := range v.Members() {
		if !v.Get(n).Ok() || !bytes.Equal(v.Get(n).Raw(), x.Raw()) {
			t.Fatalf("%q: member %q is not found", in, n)
		}
	}
}

// jsonText draws texts that are JSON, or nearly.
var jsonText = rapid.Custom(func(t *rapid.T) string {
	var b strings.Builder
	drawJSON(t, &b, 5)
	text := b.String()
	if len(text) > 0 && rapid.IntRange(0, 3).Draw(t, "spoil") == 0 {
		at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
		with := rapid.SampledFrom([]string{"", "\"", "\\", ",", "}", "]", "\x00", "\xff", "\n", "e9", "{"}).Draw(t, "with")
		text = text[:at] + with + text[at+rapid.IntRange(0, 1).Draw(t, "cut"):]
	}
	return text
})

func drawJSON(t *rapid.T, b *strings.Builder, depth int) {
	space := func() { b.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\n\t"}).Draw(t, "space")) }
	kinds := 6
	if depth == 0 {
		kinds = 4
	}
	space()
	switch rapid.IntRange(0, kinds).Draw(t, "kind") {
	case 0:
		b.WriteString(rapid.SampledFrom([]string{"true", "false", "null", "nul", "-0", "0", "01", "1.", "-1.5e-7", "1e400", "1E3", "123456789012345678", "0.10"}).Draw(t, "word"))
	case 1:
		b.WriteString(strconv.FormatFloat(rapid.Float64().Draw(t, "number"), 'g', -1, 64))
	case 2, 3, 4:
		drawString(t, b)
	case 5:
		b.WriteByte('[')
		for i := range rapid.IntRange(0, 4).Draw(t, "items") {
			if i > 0 {
				b.WriteByte(',')
			}
			drawJSON(t, b, depth-1)
			space()
		}
		b.WriteByte(']')
	default:
		b.WriteByte('{')
		most := rapid.SampledFrom([]int{3, 3, 3, 40}).Draw(t, "most")
		for i := range rapid.IntRange(0, most).Draw(t, "members") {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			drawString(t, b)
			space()
			b.WriteByte(':')
			drawJSON(t, b, max(0, depth-2))
		}
		b.WriteByte('}')
	}
	space()
}

func drawString(t *rapid.T, b *strings.Builder) {
	b.WriteByte('"')
	part := rapid.SampledFrom([]string{"a", "b", "id", "type", "ä", "\uffff", "\ue000", "😀", `\u0061`, `\n`, `\/`, `\"`, `\ud83d\ude00`, `\ud83d`, `\x`, "twelve letters", "\x7f"})
	for _, p := range rapid.SliceOfN(part, 0, 4).Draw(t, "string") {
		b.WriteString(p)
	}
	b.WriteByte('"')
}

func TestFastIsSlow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { sameAsSlow(t, []byte(jsonText.Draw(t, "text"))) })
}

func TestTwiceAmongMany(t *testing.T) {
	for _, n := range []int{2, few - 1, few, few + 1, 5000} {
		for _, last := range []string{"k0", `\u006b0`, "new"} {
			var b strings.Builder
			b.WriteByte('{')
			for i := range n {
				fmt.Fprintf(&b, `"k%d":{"k0":1},`, i)
			}
			b.WriteString(`"` + last + `":0}`)
			sameAsSlow(t, []byte(b.String()))
			_, err := ParseValue([]byte(b.String()))
			if (err == nil) != (last == "new") {
				t.Errorf("%d names and %s: %v", n, last, err)
			}
		}
	}
}

func TestTimeIsSlow(t *testing.T) {
	same := func(t interface{ Fatalf(string, ...any) }, s string) {
		want, wantErr := slowTime(s)
		got, err := ParseTime(s)
		if !got.Equal(want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Fatalf("%q: got %v, %v, want %v, %v", s, got, err, want, wantErr)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-62135596800, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos")).UTC()
		s := at.Format(rapid.SampledFrom([]string{time.RFC3339Nano, "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05Z"}).Draw(t, "form"))
		same(t, s)
		k := rapid.IntRange(0, len(s)-1).Draw(t, "at")
		same(t, s[:k]+rapid.StringMatching("[0-9:.TZ+ -]{0,2}").Draw(t, "with")+s[k+1:])
	})
	for _, s := range []string{"2023-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2024-04-31T00:00:00Z", "2024-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "2016-01-01T00:00:00.Z"} {
		same(t, s)
	}
}

// readBoth reads a stream in pieces of one byte, for which nothing is ever ahead,
// and at once.
func readBoth(t interface {
	Fatalf(format string, args ...any)
	Helper()
}, in []byte, lim Limits,
) {
	t.Helper()
	a, b := NewReader(bytes.NewReader(in), lim), NewReader(iotest.OneByteReader(bytes.NewReader(in)), lim)
	for {
		x, errA := a.Next()
		y, errB := b.Next()
		if diff := cmp.Diff(x, y, cmpopts.IgnoreUnexported(Object{})); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
		var p, q *ObjectError
		errors.As(errA, &p)
		errors.As(errB, &q)
		if diff := cmp.Diff(p, q, cmpopts.IgnoreFields(ObjectError{}, "Err")); diff != "" {
			t.Fatalf("%q: %s", in, diff)
		}
		if fmt.Sprint(errA) != fmt.Sprint(errB) || a.Offset() != b.Offset() {
			t.Fatalf("%q: got %v at %d, want %v at %d", in, errA, a.Offset(), errB, b.Offset())
		}
		if errA != nil && p == nil {
			if !errors.Is(errA, io.EOF) && !errors.As(errA, new(*StreamError)) {
				t.Fatalf("untyped error %v", errA)
			}
			return
		}
	}
}

func TestReaderAtOnceAndByByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b strings.Builder
		b.WriteString("{\"objects\":[\n")
		for i := range rapid.IntRange(0, 5).Draw(t, "objects") {
			if i > 0 {
				b.WriteString(" ,\n")
			}
			b.WriteString(rapid.OneOf(jsonText, rapid.SampledFrom([]string{identity(idA), indicator, acs, "\n" + identity(idB)})).Draw(t, "object"))
		}
		b.WriteString("]}")
		lim := Limits{Object: rapid.SampledFrom([]int{100, 400, 3000}).Draw(t, "limit"), Depth: rapid.IntRange(1, 4).Draw(t, "depth")}
		readBoth(t, []byte(b.String()), lim)
	})
}

func FuzzParseObject(f *testing.F) {
	for _, s := range []string{identity(idA), indicator, acs, `{"\u0069d":"x","type":5}`, `{"a":[1,-0,1e5,"\ud83d\ude00"]}`, `{"a":1,"\u0061":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		sameAsSlow(t, in)
		o, err := ParseObject(in)
		if err != nil {
			return
		}
		again, err := ParseObject(o.Canonical())
		if err != nil {
			t.Fatalf("%s: %v", o.Canonical(), err)
		}
		if diff := cmp.Diff(o, again, cmpopts.IgnoreUnexported(Object{}), cmpopts.IgnoreFields(Object{}, "Raw")); diff != "" {
			t.Fatal(diff)
		}
	})
}
