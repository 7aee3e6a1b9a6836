package pattern

import (
	"slices"
	"unicode/utf8"
)

// Limits bounds what a pattern may ask of its reader. A zero field takes the
// value of [DefaultLimits].
type Limits struct {
	Bytes int // length of the text
	Depth int // nested parentheses
	Nodes int // observations, qualifiers, comparisons, path steps and constants in all
}

// DefaultLimits are far above what people and tools write.
var DefaultLimits = Limits{Bytes: 64 << 10, Depth: 64, Nodes: 10000}

// Parse reads a pattern under [DefaultLimits]. The error is an [*Error].
func Parse(text string) (*Pattern, error) { return DefaultLimits.Parse(text) }

// Parse reads a pattern. The error is an [*Error].
func (lim Limits) Parse(text string) (*Pattern, error) {
	if lim.Bytes == 0 {
		lim.Bytes = DefaultLimits.Bytes
	}
	if lim.Depth == 0 {
		lim.Depth = DefaultLimits.Depth
	}
	if lim.Nodes == 0 {
		lim.Nodes = DefaultLimits.Nodes
	}
	if len(text) > lim.Bytes {
		return nil, tooBig(lim.Bytes, "pattern of %d bytes, limit %d", len(text), lim.Bytes)
	}
	if !utf8.ValidString(text) {
		return nil, fail(invalidAt(text), "not valid UTF-8")
	}
	p := &parser{lex: lexer{src: text}, lim: lim}
	root, err := p.pattern()
	if err != nil {
		return nil, err
	}
	return &Pattern{Root: root}, nil
}

func invalidAt(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return len(s)
}

type parser struct {
	lex   lexer
	tok   token // the one to be looked at
	lim   Limits
	depth int
	nodes int
}

func (p *parser) pattern() (Observation, *Error) {
	err := p.advance()
	if err != nil {
		return nil, err
	}
	root, err := p.followed()
	if err != nil {
		return nil, err
	}
	if p.tok.kind != tokEnd {
		return nil, fail(p.tok.pos, "want AND, OR, FOLLOWEDBY, a qualifier or the end, got %s", p.tok)
	}
	return root, nil
}

func (p *parser) advance() *Error {
	t, err := p.lex.next()
	p.tok = t
	return err
}

func (p *parser) symbol(s string) bool  { return p.tok.kind == tokSymbol && p.tok.text == s }
func (p *parser) keyword(s string) bool { return p.tok.kind == tokKeyword && p.tok.text == s }

// expect passes a symbol or a keyword.
func (p *parser) expect(s string) *Error {
	if p.symbol(s) || p.keyword(s) {
		return p.advance()
	}
	return fail(p.tok.pos, "want %s, got %s", s, p.tok)
}

// node counts against the budget.
func (p *parser) node() *Error {
	p.nodes++
	if p.nodes > p.lim.Nodes {
		return tooBig(p.tok.pos, "pattern with more than %d parts", p.lim.Nodes)
	}
	return nil
}

// enter passes an opening parenthesis, leave the closing one.
func (p *parser) enter() *Error {
	p.depth++
	if p.depth > p.lim.Depth {
		return tooBig(p.tok.pos, "parentheses nested deeper than %d", p.lim.Depth)
	}
	return p.advance()
}

func (p *parser) leave() *Error {
	p.depth--
	return p.expect(")")
}

// followed reads observations joined by FOLLOWEDBY, which binds least.
func (p *parser) followed() (Observation, *Error) {
	first, err := p.observations(Or)
	if err != nil || !p.keyword("FOLLOWEDBY") {
		return first, err
	}
	out := &Combined{Op: FollowedBy}
	if c, ok := first.(*Combined); ok && c.Op == FollowedBy {
		out.Items = c.Items
	} else {
		out.Items = []Observation{first}
	}
	for p.keyword("FOLLOWEDBY") {
		err = p.advance()
		if err != nil {
			return nil, err
		}
		next, err := p.observations(Or)
		if err != nil {
			return nil, err
		}
		out.Items = append(out.Items, next)
	}
	return out, nil
}

// observations reads observations joined by op, And or Or.
func (p *parser) observations(op Join) (Observation, *Error) {
	first, err := p.observation(op)
	if err != nil || !p.keyword(op.String()) {
		return first, err
	}
	out := &Combined{Op: op, Items: combined(nil, first, op)}
	for p.keyword(op.String()) {
		err = p.advance()
		if err != nil {
			return nil, err
		}
		next, err := p.observation(op)
		if err != nil {
			return nil, err
		}
		out.Items = combined(out.Items, next, op)
	}
	return out, nil
}

// observation reads one of those that op joins.
func (p *parser) observation(op Join) (Observation, *Error) {
	if op == Or {
		return p.observations(And)
	}
	return p.qualified()
}

// combined adds an observation, or the items of one with the same operator.
func combined(items []Observation, o Observation, op Join) []Observation {
	if c, ok := o.(*Combined); ok && c.Op == op {
		return append(items, c.Items...)
	}
	return append(items, o)
}

// qualified reads one observation, or several in parentheses, and qualifiers.
func (p *parser) qualified() (Observation, *Error) {
	err := p.node()
	if err != nil {
		return nil, err
	}
	var o Observation
	simple := p.symbol("[")
	switch {
	case simple:
		pos := p.tok.pos
		err = p.advance()
		if err != nil {
			return nil, err
		}
		expr, err := p.comparisons(Or)
		if err != nil {
			return nil, err
		}
		err = p.expect("]")
		if err != nil {
			return nil, err
		}
		o = &Observe{Expr: expr, Pos: pos}
	case p.symbol("("):
		err = p.enter()
		if err != nil {
			return nil, err
		}
		o, err = p.followed()
		if err != nil {
			return nil, err
		}
		err = p.leave()
		if err != nil {
			return nil, err
		}
	default:
		return nil, fail(p.tok.pos, "want an observation in brackets, got %s", p.tok)
	}
	var seen []string // parentheses allow a second qualifier of a name
	for p.keyword("WITHIN") || p.keyword("REPEATS") || p.keyword("START") {
		pos, name := p.tok.pos, p.tok.text
		if simple && slices.Contains(seen, name) {
			return nil, fail(pos, "%s twice on one observation", name)
		}
		seen = append(seen, name)
		err = p.node()
		if err != nil {
			return nil, err
		}
		q, err := p.qualifier()
		if err != nil {
			return nil, err
		}
		o = &Qualified{Of: o, With: q, Pos: pos}
	}
	return o, nil
}

func (p *parser) qualifier() (Qualifier, *Error) {
	name := p.tok.text
	err := p.advance()
	if err != nil {
		return nil, err
	}
	pos := p.tok.pos
	first, err := p.literal()
	if err != nil {
		return nil, err
	}
	switch name {
	case "WITHIN":
		if !(first.Kind == Int && first.Int > 0 || first.Kind == Float && first.Float > 0) {
			return nil, fail(pos, "WITHIN wants a number above zero")
		}
		return Within{first}, p.expect("SECONDS")
	case "REPEATS":
		if first.Kind != Int || first.Int < 1 {
			return nil, fail(pos, "REPEATS wants an integer above zero")
		}
		return Repeats{first.Int}, p.expect("TIMES")
	default:
		err = p.expect("STOP")
		if err != nil {
			return nil, err
		}
		stop, err := p.literal()
		if err != nil {
			return nil, err
		}
		first, stop = moment(first), moment(stop)
		if first.Kind != Timestamp || stop.Kind != Timestamp || !stop.Time.After(first.Time) {
			return nil, fail(pos, "START and STOP want two timestamps, t'...', the second one later")
		}
		return StartStop{first.Time, stop.Time}, nil
	}
}

// moment takes a timestamp written as a string, which STIX 2.0 has after START
// and STOP.
func moment(v Literal) Literal {
	if v.Kind != String {
		return v
	}
	t, err := token{kind: tokTime, text: v.Text}.time()
	if err != nil {
		return v
	}
	return t
}
