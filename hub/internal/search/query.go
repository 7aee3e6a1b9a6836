package search

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Bounds of a query.
const (
	MaxQuery   = 1000 // bytes
	maxClauses = 32
	maxAlts    = 32 // alternatives of a filter
	minPrefix  = 2  // letters before a star
)

// SyntaxError says what is wrong with a query, and where.
type SyntaxError struct {
	Pos  int    // byte offset, from 0
	What string // a sentence without its period
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("search: at character %d: %s", e.Pos+1, e.What)
}

// Query is a query that was read. The zero value finds everything.
type Query struct {
	text    string
	clauses []clause
}

// String gives the query as it was written.
func (q *Query) String() string { return q.text }

// clause is one condition; an item meets it by any of its alternatives.
type clause struct {
	field string // empty: words
	not   bool
	alts  []alt
	pos   int
}

// alt is one alternative of a clause.
type alt struct {
	text   string   // of a filter, canonical
	words  []string // of a text, in their order
	prefix bool     // the last word, or the text, may go on
	net    netip.Prefix
	from   time.Time // of since and until
}

// Fields of filters.
const (
	fieldID       = "id"
	fieldValue    = "value"
	fieldState    = "state"
	fieldKind     = "kind"
	fieldCategory = "category"
	fieldTLP      = "tlp"
	fieldSource   = "source"
	fieldLabel    = "label"
	fieldASN      = "asn"
	fieldHost     = "host"
	fieldUnder    = "under"
	fieldNet      = "net"
	fieldBatch    = "batch"
	fieldObject   = "object"
	fieldSince    = "since"
	fieldUntil    = "until"
)

// Fields lists the names of filters in the order in which the documentation has them.
var Fields = []string{
	fieldValue, fieldID, fieldHost, fieldUnder, fieldNet, fieldKind, fieldState, fieldCategory, fieldTLP,
	fieldSource, fieldLabel, fieldASN, fieldBatch, fieldObject, fieldSince, fieldUntil,
}

// Parse reads a query. The error is a *[SyntaxError].
func Parse(text string) (*Query, error) {
	if len(text) > MaxQuery {
		return nil, &SyntaxError{MaxQuery, fmt.Sprintf("the query is longer than %d bytes", MaxQuery)}
	}
	if !utf8.ValidString(text) {
		return nil, &SyntaxError{0, "the query is not UTF-8"}
	}
	p := parser{text: text}
	q := &Query{text: strings.TrimSpace(text)}
	for {
		p.space()
		if p.end() {
			return q, nil
		}
		c, err := p.clause()
		if err != nil {
			return nil, err
		}
		if len(q.clauses) == maxClauses {
			return nil, &SyntaxError{c.pos, fmt.Sprintf("there are more than %d conditions: leave some out", maxClauses)}
		}
		q.clauses = append(q.clauses, c)
	}
}

type parser struct {
	text string
	at   int
}

func (p *parser) end() bool { return p.at >= len(p.text) }

func (p *parser) space() {
	for !p.end() {
		r, n := utf8.DecodeRuneInString(p.text[p.at:])
		if !unicode.IsSpace(r) {
			return
		}
		p.at += n
	}
}

func (p *parser) clause() (clause, error) {
	c := clause{pos: p.at}
	if p.text[p.at] == '-' {
		c.not = true
		p.at++
		if p.end() || p.text[p.at] == ' ' {
			return c, &SyntaxError{c.pos, "a minus needs what to leave out right behind it; put it in quotes to look for itself"}
		}
	}
	c.field = p.field()
	for {
		begin := p.at
		raw, quoted, err := p.token(c.field != "")
		if err != nil {
			return c, err
		}
		a, err := c.alt(raw, quoted, begin)
		if err != nil {
			return c, err
		}
		if len(c.alts) == maxAlts {
			return c, &SyntaxError{begin, fmt.Sprintf("there are more than %d alternatives", maxAlts)}
		}
		c.alts = append(c.alts, a)
		if c.field == "" || p.end() || p.text[p.at] != ',' {
			return c, nil
		}
		p.at++
	}
}

// field reads the name of a filter with its colon. A word with a colon that is no
// filter, as in a URL or an IPv6 address, is text.
func (p *parser) field() string {
	name, _, ok := strings.Cut(p.text[p.at:], ":")
	if !ok {
		return ""
	}
	low := strings.ToLower(name)
	if !slices.Contains(Fields, low) {
		return ""
	}
	p.at += len(name) + 1
	return low
}

// token reads a word or what stands in quotes; in a filter it also ends at a comma.
func (p *parser) token(list bool) (raw string, quoted bool, err error) {
	begin := p.at
	if !p.end() && p.text[p.at] == '"' {
		end := strings.IndexByte(p.text[p.at+1:], '"')
		if end < 0 {
			return "", false, &SyntaxError{begin, "the quotation mark is not closed"}
		}
		raw = p.text[begin+1 : begin+1+end]
		p.at = begin + end + 2
		if !p.end() && p.text[p.at] == '*' {
			p.at++
			raw += "*"
		}
		if !p.end() && !p.stop(list) {
			return "", false, &SyntaxError{p.at, "a space has to follow the quotation mark"}
		}
		return raw, true, nil
	}
	for !p.end() && !p.stop(list) {
		_, n := utf8.DecodeRuneInString(p.text[p.at:])
		p.at += n
	}
	return p.text[begin:p.at], false, nil
}

func (p *parser) stop(list bool) bool {
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return unicode.IsSpace(r) || list && r == ','
}

// alt reads one alternative of a clause.
func (c *clause) alt(raw string, quoted bool, pos int) (alt, error) {
	if strings.TrimSpace(raw) == "" || raw == "*" {
		what := "there is nothing to look for in the quotation marks"
		if c.field != "" {
			what = "a value has to follow " + c.field + ":"
		} else if raw == "*" {
			what = "letters have to stand before the star"
		}
		return alt{}, &SyntaxError{pos, what}
	}
	if c.field == "" {
		return wordAlt(raw, pos)
	}
	fail := func(format string, args ...any) (alt, error) {
		return alt{}, &SyntaxError{pos, fmt.Sprintf(format, args...)}
	}
	low := strings.ToLower(strings.TrimSpace(raw))
	switch c.field {
	case fieldID:
		id, err := contract.ParseID(low)
		if err != nil {
			return fail("%q is no identifier: write indicator-- and a UUID", raw)
		}
		return alt{text: id.String()}, nil
	case fieldValue:
		return valueAlt(raw, pos)
	case fieldState:
		name := strings.ToUpper(strings.ReplaceAll(low, "-", "_"))
		s, err := indicator.ParseState(name)
		if err != nil {
			return fail("there is no state %q; there are %s", raw, list(indicator.States, func(s indicator.State) string { return strings.ToLower(string(s)) }))
		}
		return alt{text: string(s)}, nil
	case fieldKind:
		k, err := observable.ParseKind(low)
		if err != nil {
			return fail("there is no kind %q; there are %s", raw, list(kinds(), observable.Kind.String))
		}
		return alt{text: k.String()}, nil
	case fieldCategory:
		var v contract.Category
		err := v.UnmarshalText([]byte(low))
		if err != nil {
			return fail("there is no category %q: %s", raw, err)
		}
		return alt{text: v.String()}, nil
	case fieldTLP:
		var v contract.TLP
		err := v.UnmarshalText([]byte(strings.ReplaceAll(low, "-", "+")))
		if err != nil {
			return fail("there is no TLP %q; there are clear, green, amber, amber+strict and red", raw)
		}
		return alt{text: v.String()}, nil
	case fieldSource, fieldBatch:
		return alt{text: low}, nil
	case fieldObject:
		return alt{text: strings.TrimSpace(raw)}, nil
	case fieldLabel:
		return labelAlt(raw, quoted, pos)
	case fieldASN:
		n, ok := asn(low)
		if !ok {
			n, ok = asn("as" + low)
		}
		if !ok {
			return fail("%q is no number of an autonomous system", raw)
		}
		return alt{text: n}, nil
	case fieldHost, fieldUnder:
		return hostAlt(c.field, low, pos)
	case fieldNet:
		return netAlt(low, pos)
	default:
		t, err := time.Parse(time.DateOnly, low)
		if err != nil {
			return fail("%q is no day: write it like 2026-03-01", raw)
		}
		if c.field == fieldUntil {
			t = t.AddDate(0, 0, 1) // the day is part of it
		}
		return alt{from: t, text: low}, nil
	}
}

func list[T any](of []T, name func(T) string) string {
	out := make([]string, len(of))
	for i, x := range of {
		out[i] = name(x)
	}
	return strings.Join(out, ", ")
}

func kinds() []observable.Kind {
	var out []observable.Kind
	for k := observable.Domain; k <= observable.SHA512; k++ {
		out = append(out, k)
	}
	return out
}

// wordAlt reads words. Several, as in evil.example or in quotes, stand for a phrase.
func wordAlt(raw string, pos int) (alt, error) {
	raw, star := strings.CutSuffix(raw, "*")
	a := alt{text: raw, words: words(raw), prefix: star}
	if len(a.words) == 0 {
		return a, &SyntaxError{pos, fmt.Sprintf("there is neither letter nor digit in %q", raw)}
	}
	last := a.words[len(a.words)-1]
	if star && utf8.RuneCountInString(last) < minPrefix {
		return a, &SyntaxError{pos, fmt.Sprintf("at least %d letters have to stand before the star", minPrefix)}
	}
	if strings.Contains(raw, "*") {
		return a, &SyntaxError{pos, "a star stands at the end of a word only"}
	}
	return a, nil
}

func labelAlt(raw string, quoted bool, pos int) (alt, error) {
	text, star := strings.CutSuffix(raw, "*")
	a := alt{text: fold(text), prefix: star}
	if star && utf8.RuneCountInString(a.text) < minPrefix {
		return a, &SyntaxError{pos, fmt.Sprintf("at least %d letters have to stand before the star", minPrefix)}
	}
	if strings.Contains(text, "*") && !quoted {
		return a, &SyntaxError{pos, "a star stands at the end of a label only"}
	}
	return a, nil
}

// valueAlt brings a value into its canonical spelling, as far as it can be told what
// it is.
func valueAlt(raw string, pos int) (alt, error) {
	v := strings.TrimSpace(raw)
	a, err := observable.FromValue(v)
	if err == nil {
		return alt{text: a.Value, words: []string{v}}, nil
	}
	if strings.HasSuffix(v, "*") {
		return alt{}, &SyntaxError{pos, "value: takes a whole value; without value: a star finds words that begin so"}
	}
	return alt{text: v, words: []string{strings.ToLower(v)}}, nil
}

func hostAlt(field, low string, pos int) (alt, error) {
	name, err := observable.Canonical(observable.Domain, low)
	if err == nil {
		return alt{text: name}, nil
	}
	addr, err2 := netip.ParseAddr(low)
	if field == fieldHost && err2 == nil {
		return alt{text: addr.Unmap().String()}, nil
	}
	return alt{}, &SyntaxError{pos, fmt.Sprintf("%q is no name of a host", low)}
}

func netAlt(low string, pos int) (alt, error) {
	p, err := netip.ParsePrefix(low)
	if err != nil {
		a, err := netip.ParseAddr(low)
		if err != nil {
			return alt{}, &SyntaxError{pos, fmt.Sprintf("%q is no network: write it like 192.0.2.0/24", low)}
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	p = p.Masked()
	if wide(p.String()) == "" {
		return alt{}, &SyntaxError{pos, "the network is too broad: /16 is the broadest of IPv4, /32 of IPv6"}
	}
	return alt{text: p.String(), net: p}, nil
}
