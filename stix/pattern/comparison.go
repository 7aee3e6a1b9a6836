package pattern

import "strconv"

// comparisons reads comparisons joined by op, And or Or.
func (p *parser) comparisons(op Join) (Comparison, *Error) {
	first, err := p.comparison(op)
	if err != nil || !p.keyword(op.String()) {
		return first, err
	}
	out := &Logic{Op: op, Items: joined(nil, first, op)}
	for p.keyword(op.String()) {
		err = p.advance()
		if err != nil {
			return nil, err
		}
		next, err := p.comparison(op)
		if err != nil {
			return nil, err
		}
		out.Items = joined(out.Items, next, op)
	}
	return out, nil
}

// comparison reads one of those that op joins.
func (p *parser) comparison(op Join) (Comparison, *Error) {
	if op == Or {
		return p.comparisons(And)
	}
	return p.test()
}

// joined adds a comparison, or the items of one with the same operator.
func joined(items []Comparison, c Comparison, op Join) []Comparison {
	if l, ok := c.(*Logic); ok && l.Op == op {
		return append(items, l.Items...)
	}
	return append(items, c)
}

var operators = map[string]Op{
	"=": Equal, "==": Equal, "!=": NotEqual, "<>": NotEqual, ">": Greater, "<": Less, ">=": GreaterEqual,
	"<=": LessEqual, "IN": In, "LIKE": Like, "MATCHES": Matches, "ISSUBSET": IsSubset, "ISSUPERSET": IsSuperset,
}

// test reads one comparison, or several in parentheses.
func (p *parser) test() (Comparison, *Error) {
	err := p.node()
	if err != nil {
		return nil, err
	}
	t := &Test{Pos: p.tok.pos}
	switch {
	case p.symbol("("):
		err = p.enter()
		if err != nil {
			return nil, err
		}
		c, err := p.comparisons(Or)
		if err != nil {
			return nil, err
		}
		return c, p.leave()
	case p.keyword("EXISTS"):
		err = p.advance()
		if err != nil {
			return nil, err
		}
		t.Op = Exists
		t.Path, err = p.path()
		return t, err
	case p.tok.kind != tokName:
		return nil, fail(p.tok.pos, "want an object type or a parenthesis, got %s", p.tok)
	}
	t.Path, err = p.path()
	if err != nil {
		return nil, err
	}
	if p.keyword("NOT") {
		t.Not = true
		err = p.advance()
		if err != nil {
			return nil, err
		}
	}
	op, ok := operators[p.tok.text]
	if !ok || p.tok.kind != tokSymbol && p.tok.kind != tokKeyword {
		return nil, fail(p.tok.pos, "want a comparison operator, got %s", p.tok)
	}
	t.Op = op
	err = p.advance()
	if err != nil {
		return nil, err
	}
	return t, p.values(t)
}

// values reads the constant or constants after an operator.
func (p *parser) values(t *Test) *Error {
	if t.Op == In {
		return p.set(t)
	}
	pos := p.tok.pos
	v, err := p.literal()
	if err != nil {
		return err
	}
	switch t.Op {
	case Like, Matches, IsSubset, IsSuperset:
		if v.Kind != String {
			return fail(pos, "%s wants a string", t.Op)
		}
	case Greater, Less, GreaterEqual, LessEqual:
		if v.Kind == Bool {
			return fail(pos, "true and false have no order")
		}
	}
	t.Values = []Literal{v}
	return nil
}

func (p *parser) set(t *Test) *Error {
	err := p.expect("(")
	if err != nil {
		return err
	}
	for !p.symbol(")") {
		if len(t.Values) > 0 {
			err = p.expect(",")
			if err != nil {
				return err
			}
		}
		v, err := p.literal()
		if err != nil {
			return err
		}
		t.Values = append(t.Values, v)
	}
	return p.advance()
}

func (p *parser) path() (Path, *Error) {
	if p.tok.kind != tokName {
		return Path{}, fail(p.tok.pos, "want an object type, got %s", p.tok)
	}
	out := Path{Type: p.tok.text, Steps: make([]Step, 0, 2)}
	err := p.advance()
	if err != nil {
		return Path{}, err
	}
	err = p.expect(":")
	if err != nil {
		return Path{}, err
	}
	step, err := p.key()
	for {
		if err != nil {
			return Path{}, err
		}
		out.Steps = append(out.Steps, step)
		switch {
		case p.symbol("."):
			err = p.advance()
			if err == nil {
				step, err = p.key()
			}
		case p.symbol("["):
			step, err = p.index()
		default:
			return out, nil
		}
	}
}

// key reads the name of a property. One with a hyphen should stand in quotes, but
// the standard's own examples forget them, and so do people.
func (p *parser) key() (Step, *Error) {
	err := p.node()
	if err != nil {
		return Step{}, err
	}
	if p.tok.kind != tokString && p.tok.kind != tokName {
		return Step{}, fail(p.tok.pos, "want the name of a property, got %s", p.tok)
	}
	s := Step{Key: p.tok.text}
	return s, p.advance()
}

func (p *parser) index() (Step, *Error) {
	err := p.node()
	if err != nil {
		return Step{}, err
	}
	err = p.advance()
	if err != nil {
		return Step{}, err
	}
	s := Step{Kind: Any}
	if !p.symbol("*") {
		n, bad := strconv.Atoi(p.tok.text)
		if p.tok.kind != tokNumber || bad != nil || n < 0 {
			return Step{}, fail(p.tok.pos, "want * or the number of an element from 0, got %s", p.tok)
		}
		s = Step{Kind: Index, Index: n}
	}
	err = p.advance()
	if err != nil {
		return Step{}, err
	}
	return s, p.expect("]")
}
