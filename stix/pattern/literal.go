package pattern

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// literal reads one constant.
func (p *parser) literal() (Literal, *Error) {
	err := p.node()
	if err != nil {
		return Literal{}, err
	}
	v, err := p.tok.literal()
	if err != nil {
		return Literal{}, err
	}
	return v, p.advance()
}

func (t token) literal() (Literal, *Error) {
	switch t.kind {
	case tokString:
		return Literal{Kind: String, Text: t.text}, nil
	case tokNumber:
		return t.number()
	case tokBinary:
		b, err := base64.StdEncoding.DecodeString(t.text)
		if err != nil || t.text == "" || strings.ContainsAny(t.text, "\r\n") {
			return Literal{}, fail(t.pos, "b'...' does not hold base64")
		}
		return Literal{Kind: Binary, Bytes: b}, nil
	case tokHex:
		b, err := hex.DecodeString(t.text)
		if err != nil {
			return Literal{}, fail(t.pos, "h'...' does not hold pairs of hexadecimal digits")
		}
		return Literal{Kind: Hex, Bytes: b}, nil
	case tokTime:
		return t.time()
	case tokKeyword:
		if t.text == "true" || t.text == "false" {
			return Literal{Kind: Bool, Bool: t.text == "true"}, nil
		}
	}
	return Literal{}, fail(t.pos, "want a constant, got %s", t)
}

func (t token) number() (Literal, *Error) {
	if !strings.Contains(t.text, ".") {
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			return Literal{}, fail(t.pos, "integer outside 64 bits")
		}
		return Literal{Kind: Int, Int: n}, nil
	}
	f, err := strconv.ParseFloat(t.text, 64)
	if err != nil {
		return Literal{}, fail(t.pos, "float outside 64 bits")
	}
	return Literal{Kind: Float, Float: f + 0}, nil // no negative zero
}

// time reads STIX 2.1 section 3.11: UTC, "T" and "Z" in upper case, any number
// of digits in a fraction, of which nine may be other than zero. A leap second is
// the first moment of the next minute, as in POSIX.
func (t token) time() (Literal, *Error) {
	const form = "2006-01-02T15:04:05Z"
	text, fraction, found := strings.Cut(t.text, ".")
	digits := ""
	if found {
		digits, found = strings.CutSuffix(fraction, "Z")
		text += "Z"
		if !found || digits == "" || strings.Trim(digits, "0123456789") != "" {
			return Literal{}, fail(t.pos, "timestamp with a bad fraction; want t'2006-01-02T15:04:05.000Z'")
		}
		digits = strings.TrimRight(digits, "0")
		if len(digits) > 9 {
			return Literal{}, fail(t.pos, "timestamp finer than nanoseconds")
		}
	}
	leap := strings.HasSuffix(text, ":60Z")
	if leap {
		text = strings.TrimSuffix(text, "60Z") + "59Z"
	}
	v, err := time.Parse(form, text)
	if err != nil || len(text) != len(form) {
		return Literal{}, fail(t.pos, "not a timestamp; want t'2006-01-02T15:04:05.000Z'")
	}
	if leap {
		v = v.Add(time.Second)
	}
	if digits != "" {
		n, err := strconv.Atoi((digits + "00000000")[:9])
		if err != nil {
			return Literal{}, fail(t.pos, "timestamp with a bad fraction")
		}
		v = v.Add(time.Duration(n))
	}
	if v.Year() > 9999 {
		return Literal{}, fail(t.pos, "timestamp after the year 9999")
	}
	return Literal{Kind: Timestamp, Time: v}, nil
}
