package match

import (
	"fmt"
	"regexp"
	"regexp/syntax"

	"ecs/stix/pattern"
)

// Bounds of a regular expression. Its time is linear in the text times the size
// of its program, and that product is what it costs in steps.
const (
	MaxExpression   = 1024 // bytes of the expression
	maxInstructions = 10_000
)

// expression is a regular expression. The standard wants Perl-compatible ones;
// taken are those that a machine without backtracking can run.
type expression struct {
	re   *regexp.Regexp
	size int64 // instructions
}

func newExpression(text string, pos int) (*expression, error) {
	if len(text) > MaxExpression {
		return nil, &pattern.Error{Pos: pos, Msg: fmt.Sprintf("regular expression of %d bytes, limit %d", len(text), MaxExpression)}
	}
	const flags = syntax.Perl | syntax.DotNL
	tree, err := syntax.Parse(text, flags)
	if err != nil {
		return nil, refused(err, pos)
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, refused(err, pos)
	}
	if len(program.Inst) > maxInstructions {
		return nil, &pattern.Error{Pos: pos, Msg: fmt.Sprintf("regular expression of %d instructions, limit %d; use smaller repetitions", len(program.Inst), maxInstructions)}
	}
	re, err := regexp.Compile(tree.String())
	if err != nil {
		return nil, refused(err, pos)
	}
	return &expression{re, int64(len(program.Inst))}, nil
}

// refused says why an expression is not taken, which is either that it is none or
// that only a backtracking machine can run it.
func refused(err error, pos int) error {
	return &pattern.Error{Pos: pos, Msg: fmt.Sprintf(
		"regular expression: %v; lookaround, back references, atomic groups and possessive repetitions are not taken, since their time has no bound", err)}
}

func (e *expression) matches(s string, most int64) (bool, int64) {
	steps := e.size*int64(len(s)) + 1
	return steps <= most && e.re.MatchString(s), steps
}

// like tells whether s is as the LIKE constant says, where "%" stands for any
// number of characters and "_" for one.
func like(want, s []rune, most int64) (bool, int64) {
	w, i := 0, 0
	star, mark := -1, 0 // the last % met, and where its run ends
	steps := int64(1)
	for i < len(s) && steps <= most {
		steps++
		switch {
		case w < len(want) && want[w] == '%':
			star, mark = w, i
			w++
		case w < len(want) && (want[w] == '_' || want[w] == s[i]):
			w++
			i++
		case star >= 0:
			mark++
			w, i = star+1, mark
		default:
			return false, steps
		}
	}
	for w < len(want) && want[w] == '%' {
		w++
	}
	return i == len(s) && w == len(want), steps
}
