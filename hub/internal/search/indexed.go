package search

import (
	"bytes"
	"context"
	"math"
	"slices"
	"strconv"
	"strings"
)

// need is what one condition asks of the index: any of its alternatives, each of
// which asks for all of its terms.
type need [][]term

// term is a term, or the beginning of terms.
type term struct {
	text   string
	prefix bool
}

// needs turns the conditions that the index can answer into terms, and adds what the
// reader may see.
func (f *finder) needs() []need {
	var out []need
	for i := range f.query.clauses {
		c := &f.query.clauses[i]
		if c.not {
			continue
		}
		n := c.need()
		if n != nil {
			out = append(out, n)
		}
	}
	if f.reader.Limited {
		out = append(out, need{{{text: clip(termSource + f.reader.Source)}}})
	}
	if f.reader.Handlings != nil {
		n := need{}
		for _, h := range f.reader.Handlings {
			n = append(n, []term{{text: termHandling + strconv.FormatInt(h, 10)}})
		}
		out = append(out, n)
	}
	return out
}

// indexed reports whether the query itself asks for something of the index.
func (f *finder) indexed() bool {
	return f.reader.Limited || slices.ContainsFunc(f.query.clauses, func(c clause) bool { return !c.not && c.need() != nil })
}

// need gives the terms of a condition, nil when the index does not know them.
func (c *clause) need() need {
	letter, ok := map[string]string{
		fieldKind: termKind, fieldCategory: termCategory, fieldTLP: termTLP, fieldSource: termSource,
		fieldLabel: termLabel, fieldASN: termASN, fieldHost: termHost,
	}[c.field]
	var out need
	for i := range c.alts {
		a := &c.alts[i]
		switch {
		case ok:
			t := clip(letter + a.text)
			out = append(out, []term{{t, a.prefix || t != letter+a.text}})
		case c.field == fieldNet:
			ts := []term{{text: termNet + wide(a.text)}}
			if a.net.Addr().Is4() && a.net.Bits() >= 24 {
				for _, w := range words(a.net.Addr().String())[:3] {
					ts = append(ts, term{text: w})
				}
			}
			out = append(out, ts)
		case c.field == fieldUnder || c.field == "":
			ws := a.words
			if c.field == fieldUnder {
				ws = words(a.text)
			}
			var ts []term
			for j, w := range ws {
				ts = append(ts, term{w, a.prefix && j == len(ws)-1})
			}
			out = append(out, ts)
		}
	}
	return out
}

// indexed walks through the bases of the index, from the newest on.
type indexed struct {
	f        *finder
	needs    []need
	lead     []any // terms of which every item has at least one; read first
	exact    []any // the other terms
	prefixes []string
	bases    []base // falling
	tail     []int64
	done     int // bases that were read
	group    int
	loaded   map[int64]*set
}

type base struct {
	base  int64
	parts []int64
}

// mostBehind is how many items that are not indexed yet are looked at one by one.
const mostBehind = 500

// mostTerms is for how many terms the beginning of a word may stand, in one base.
const mostTerms = 500

func newIndexed(ctx context.Context, f *finder, needs []need) (candidates, error) {
	x := &indexed{f: f, needs: needs, group: 1, loaded: map[int64]*set{}}
	have := map[term]bool{}
	for _, t := range leading(needs) {
		if !have[t] {
			have[t] = true
			x.lead = append(x.lead, []byte(t.text))
		}
	}
	for _, n := range needs {
		for _, alt := range n {
			for _, t := range alt {
				if have[t] {
					continue
				}
				have[t] = true
				if t.prefix {
					x.prefixes = append(x.prefixes, t.text)
				} else {
					x.exact = append(x.exact, []byte(t.text))
				}
			}
		}
	}
	var position int64
	err := f.q.QueryRowContext(ctx, `SELECT position FROM search_state`).Scan(&position)
	if err != nil {
		return nil, err
	}
	all, err := parts(ctx, f.q)
	if err != nil {
		return nil, err
	}
	at := map[int64][]int64{}
	for _, p := range all {
		at[p.base] = append(at[p.base], p.part)
	}
	for b := position >> baseBits; b >= 0; b-- { // one without parts has late terms only
		x.bases = append(x.bases, base{b, at[b]})
	}
	x.tail, err = numbersOf(ctx, f.q, `SELECT number FROM item WHERE number > $1 ORDER BY number DESC LIMIT $2`, []any{position, int64(mostBehind + 1)})
	if err != nil {
		return nil, err
	}
	if len(x.tail) > mostBehind {
		f.out.Behind = true
		x.tail = nil
	}
	return x.next, nil
}

// leading gives the terms of the condition that is likely the rarest, one of each of
// its alternatives: the longest word, else a label or the like.
func leading(needs []need) []term {
	var best []term
	most := 0
	for _, n := range needs {
		var lead []term
		least := math.MaxInt
		for _, alt := range n {
			var long term
			for _, t := range alt {
				if !t.prefix && weight(t.text) > weight(long.text) {
					long = t
				}
			}
			lead, least = append(lead, long), min(least, weight(long.text))
		}
		if len(n) > 0 && least > most {
			best, most = lead, least
		}
	}
	return best
}

// weight guesses how rare a term is.
func weight(t string) int {
	letter, _, filter := strings.Cut(t, ":")
	switch {
	case t == "":
		return 0
	case !filter:
		return 20 + len(t)
	case letter+":" == termHost:
		return 200
	case letter+":" == termNet, letter+":" == termASN:
		return 50
	case letter+":" == termLabel:
		return 20
	default:
		return 1
	}
}

// next implements candidates.
func (x *indexed) next(ctx context.Context, before int64, n int) ([]int64, error) {
	var out []int64
	for _, t := range x.tail {
		if t < before && len(out) < n {
			out = append(out, t)
		}
	}
	for i := 0; len(out) < n && i < len(x.bases); i++ {
		b := x.bases[i].base
		if b<<baseBits >= before {
			continue
		}
		if (b+1)<<baseBits <= x.f.opt.Floor {
			break
		}
		if i >= x.done {
			if x.f.left <= 0 {
				x.f.out.Stopped = true
				x.f.out.Next = (b + 1) << baseBits
				break
			}
			err := x.load(ctx, i)
			if err != nil {
				return nil, err
			}
		}
		s := x.loaded[b]
		if s == nil {
			continue
		}
		s.down(func(low uint16) bool {
			number := b<<baseBits | int64(low)
			if number < before {
				out = append(out, number)
			}
			return len(out) < n
		})
	}
	return out, nil
}

// load reads the postings of the next bases, the more the longer the search goes on.
func (x *indexed) load(ctx context.Context, from int) error {
	some := x.bases[from:min(len(x.bases), from+x.group)]
	x.done = from + len(some)
	x.group = min(2*x.group, 16)
	clear(x.loaded) // what is newer was looked at
	terms := map[int64]map[string]*set{}
	where := map[int64]int64{} // part: base
	var ids []any
	for _, b := range some {
		terms[b.base] = map[string]*set{}
		for _, p := range b.parts {
			where[p] = b.base
			ids = append(ids, p)
		}
	}
	put := func(b int64, t string) *set {
		s := terms[b][t]
		if s == nil {
			s = &set{}
			terms[b][t] = s
		}
		return s
	}
	low, high := some[len(some)-1].base<<baseBits, (some[0].base+1)<<baseBits-1
	exact := func(of []any) func(*conds) { return func(w *conds) { w.in("term", of) } }
	if len(x.lead) > 0 { // where none of these is, nothing else has to be read
		err := x.read(ctx, ids, low, high, where, put, exact(x.lead), "", math.MaxInt32)
		if err != nil {
			return err
		}
		ids = ids[:0]
		for _, b := range some {
			if len(terms[b.base]) == 0 {
				continue
			}
			for _, p := range b.parts {
				ids = append(ids, p)
			}
		}
		if !slices.ContainsFunc(some, func(b base) bool { return len(terms[b.base]) > 0 }) {
			return nil
		}
	}
	if len(x.exact) > 0 {
		err := x.read(ctx, ids, low, high, where, put, exact(x.exact), "", math.MaxInt32)
		if err != nil {
			return err
		}
	}
	for _, p := range x.prefixes {
		err := x.read(ctx, ids, low, high, where, put, func(w *conds) {
			w.and("term >= " + w.arg([]byte(p)) + " AND term < " + w.arg(after(p)))
		}, p, mostTerms*len(some))
		if err != nil {
			return err
		}
	}
	for _, b := range some {
		s := x.evaluate(terms[b.base])
		if s != nil {
			x.loaded[b.base] = s
		}
	}
	return nil
}

type conds = where

// after gives the least bytes that are greater than all that begin with p.
func after(p string) []byte {
	b := []byte(p)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] < 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return bytes.Repeat([]byte{0xff}, maxTerm+1)
}

// read adds postings and late terms of some bases. Under is the beginning of words
// under which they are collected, empty for each under itself.
func (x *indexed) read(ctx context.Context, ids []any, low, high int64, baseOf map[int64]int64, put func(int64, string) *set, terms func(*conds), under string, most int) error {
	name := func(t []byte) string {
		if under != "" {
			return under + "*"
		}
		return string(t)
	}
	count := 0
	if len(ids) > 0 {
		var w where
		w.in("part", ids)
		terms(&w)
		rows, err := x.f.q.QueryContext(ctx, `SELECT part, term, items FROM search_posting`+w.String()+` LIMIT `+w.arg(int64(most)), w.args...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var part int64
			var t, items []byte
			err = rows.Scan(&part, &t, &items)
			if err == nil {
				err = unpack(items, put(baseOf[part], name(t)))
			}
			if err != nil {
				return err
			}
			count++
			x.f.left -= 1 + len(items)/2048
		}
		err = rows.Err()
		if err != nil {
			return err
		}
	}
	if count >= most {
		x.f.out.Common = true
	}
	var w where
	terms(&w)
	w.and("number >= " + w.arg(low))
	w.and("number <= " + w.arg(high))
	most = min(most, 40*mostTerms)
	rows, err := x.f.q.QueryContext(ctx, `SELECT term, number FROM search_late`+w.String()+` LIMIT `+w.arg(int64(most)), w.args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	count = 0
	for rows.Next() {
		var t []byte
		var number int64
		err = rows.Scan(&t, &number)
		if err != nil {
			return err
		}
		put(number>>baseBits, name(t)).add(uint16(number & (baseSize - 1))) //nolint:gosec // 16 bits
		count++
	}
	x.f.left -= count / 16
	if count >= most {
		x.f.out.Common = true
	}
	return rows.Err()
}

// evaluate gives what all needs have in common in one base, nil for nothing.
func (x *indexed) evaluate(terms map[string]*set) *set {
	var all *set
	for _, n := range x.needs {
		var any *set
		for _, alt := range n {
			s := common(terms, alt)
			if s == nil {
				continue
			}
			if any == nil {
				any = s
			} else {
				any.or(s)
			}
		}
		switch {
		case any == nil:
			return nil
		case all == nil:
			all = any
		default:
			all.and(any)
		}
	}
	if all == nil || all.empty() {
		return nil
	}
	return all
}

// common gives a new set of what all of some terms have.
func common(terms map[string]*set, alt []term) *set {
	var out *set
	for _, t := range alt {
		name := t.text
		if t.prefix {
			name = strings.TrimSuffix(t.text, "*") + "*"
		}
		s := terms[name]
		if s == nil {
			return nil
		}
		if out == nil {
			copied := *s
			out = &copied
		} else {
			out.and(s)
		}
	}
	return out
}
