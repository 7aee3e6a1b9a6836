package observable

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/stix/pattern"
)

// MaxAtoms bounds what one pattern may compile into.
const MaxAtoms = 1000

// maxWork bounds the combinations that are looked at for one pattern.
const maxWork = 100_000

// maxJoined is more comparisons than can narrow one atom in any way.
const maxJoined = 8

// Compiled is a pattern in the form that services match.
type Compiled struct {
	// Pattern is canonical: values in canonical spelling, each once, in order,
	// grouped by path. Two patterns with the same atoms have the same Pattern.
	Pattern string
	// Atoms are sorted, without doubles. The pattern is in force when any of
	// them is seen.
	Atoms []Atom
	// Services are all that can see at least one of the atoms. A service uses
	// the atoms that it can see ([Kind.Services]) and passes over the others: the
	// atoms are alternatives, so what it reports is true, if not the whole.
	Services contract.Services
}

// Unobservable says why no service can observe a pattern, and which part of it
// is the cause.
type Unobservable struct {
	Part string // the comparison or operator, canonical
	Pos  int    // byte offset in the pattern, -1 for the whole
	Why  string // for people
}

// Error implements error.
func (u *Unobservable) Error() string {
	if u.Part == "" {
		return "no service can observe this pattern: " + u.Why
	}
	return fmt.Sprintf("no service can observe %s: %s", u.Part, u.Why)
}

// Compile breaks a STIX pattern down into atoms and is for those who put it in
// force; [Analyze] is for those who want to know what can be done with any
// pattern. Whatever cannot be matched
// exactly is refused as a whole with an [*Unobservable]: a pattern half in force
// would mean something that its author did not say. Bad syntax is a
// [*pattern.Error].
//
// Observed are, joined by OR in or between brackets, and by "=" or IN:
//
//	domain-name:value                              Domain, and the names below it
//	ipv4-addr:value, ipv6-addr:value               Addr; "=" with a prefix and ISSUBSET: Prefix
//	network-traffic:dst_ref.value, src_ref.value   the same
//	network-traffic:dst_port, src_port             Port
//	url:value                                      URL
//	email-addr:value                               Mail
//	email-message:from_ref.value, sender_ref.value Mail
//	email-message:subject                          Subject
//	file:name                                      FileName
//	file:hashes.MD5, 'SHA-1', 'SHA-256', 'SHA-512' the hashes; SHA256, sha-256 and the like pass
//
// In one observation, address and port at the same end of network-traffic, and
// protocols[*] with one transport protocol, may be joined by AND; that gives one
// narrowed atom. A *_ref.type that repeats the family of the address is allowed.
//
// Source and destination are not told apart: an exporter reports a conversation
// as two flows, one each way, and a service matches either end of a flow. The
// canonical pattern speaks of the destination.
func Compile(text string) (Compiled, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		return Compiled{}, err
	}
	return compile(text, p)
}

func compile(text string, p *pattern.Pattern) (Compiled, error) {
	c := compiler{text: text}
	err := c.observation(p.Root)
	if err != nil {
		return Compiled{}, err
	}
	slices.SortFunc(c.atoms, Compare)
	out := Compiled{Atoms: slices.Compact(c.atoms)}
	for _, a := range out.Atoms {
		out.Services |= a.Kind.Services()
	}
	out.Pattern = PatternOf(out.Atoms)
	if len(out.Pattern) > contract.MaxPattern {
		return Compiled{}, &Unobservable{Pos: -1, Why: fmt.Sprintf(
			"its canonical form has %d bytes, limit %d; split it into several indicators", len(out.Pattern), contract.MaxPattern)}
	}
	return out, nil
}

// Compare orders atoms by kind, value, port, protocol.
func Compare(a, b Atom) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value), cmp.Compare(a.Port, b.Port), cmp.Compare(a.Proto, b.Proto))
}

type compiler struct {
	text  string
	atoms []Atom
	work  int // combinations looked at
}

// spend counts combinations against the budget.
func (c *compiler) spend(n int) error {
	c.work += n
	if c.work > maxWork {
		return &Unobservable{Pos: -1, Why: fmt.Sprintf("more than %d combinations of its parts would have to be looked at; split it into several indicators", maxWork)}
	}
	return nil
}

// part shortens a part of a pattern for messages.
func part(s string) string {
	if len(s) > 200 {
		return clip(s)
	}
	return s
}

func refuse(t *pattern.Test, format string, args ...any) error {
	return &Unobservable{Part: part(pattern.Write(t)), Pos: t.Pos, Why: fmt.Sprintf(format, args...)}
}

func (c *compiler) add(a Atom) error {
	c.atoms = append(c.atoms, a)
	if len(c.atoms) > MaxAtoms {
		return tooMany()
	}
	return nil
}

func tooMany() error {
	return &Unobservable{Pos: -1, Why: fmt.Sprintf("it has more than %d alternatives; split it into several indicators", MaxAtoms)}
}

func (c *compiler) observation(o pattern.Observation) error {
	switch o := o.(type) {
	case *pattern.Observe:
		alternatives, err := c.expand(o.Expr)
		if err != nil {
			return err
		}
		for _, all := range alternatives {
			err = c.conjunction(all)
			if err != nil {
				return err
			}
		}
		return nil
	case *pattern.Combined:
		if o.Op != pattern.Or {
			return &Unobservable{
				Part: o.Op.String() + " between observations", Pos: -1,
				Why: noMemory,
			}
		}
		for _, item := range o.Items {
			err := c.observation(item)
			if err != nil {
				return err
			}
		}
		return nil
	case *pattern.Qualified:
		part := c.text[o.Pos:]
		part, _, _ = strings.Cut(part, " ")
		return &Unobservable{
			Part: "the qualifier " + clip(part), Pos: o.Pos,
			Why: noMemory,
		}
	default:
		return &Unobservable{Pos: -1, Why: "unknown form of observation"}
	}
}

// expand brings an expression into alternatives of comparisons that must all
// hold.
func (c *compiler) expand(e pattern.Comparison) ([][]*pattern.Test, error) {
	l, ok := e.(*pattern.Logic)
	if !ok {
		return [][]*pattern.Test{{e.(*pattern.Test)}}, nil
	}
	if l.Op == pattern.And && len(l.Items) <= maxJoined {
		tests := plainTests(l)
		if tests != nil {
			return [][]*pattern.Test{tests}, nil
		}
	}
	var out [][]*pattern.Test
	for i, item := range l.Items {
		next, err := c.expand(item)
		if err != nil {
			return nil, err
		}
		size := len(next)
		if l.Op == pattern.And && i > 0 {
			size *= len(out)
		}
		if size > MaxAtoms {
			return nil, tooMany()
		}
		err = c.spend(size)
		if err != nil {
			return nil, err
		}
		if l.Op == pattern.Or || i == 0 {
			out = append(out, next...)
		} else {
			var product [][]*pattern.Test
			for _, a := range out {
				for _, b := range next {
					if len(a)+len(b) > maxJoined {
						return nil, refuse(b[0], "more than %d comparisons are joined by AND", maxJoined)
					}
					product = append(product, append(slices.Clip(a), b...))
				}
			}
			out = product
		}
		if len(out) > MaxAtoms {
			return nil, tooMany()
		}
	}
	return out, nil
}

// plainTests gives the items if all are single comparisons, else nil.
func plainTests(l *pattern.Logic) []*pattern.Test {
	out := make([]*pattern.Test, len(l.Items))
	for i, item := range l.Items {
		t, ok := item.(*pattern.Test)
		if !ok {
			return nil
		}
		out[i] = t
	}
	return out
}

// conjunction adds the atoms of comparisons that must all hold on one object.
func (c *compiler) conjunction(tests []*pattern.Test) error {
	if len(tests) == 1 && !narrows(tests[0]) {
		return c.single(tests[0])
	}
	for _, t := range tests[1:] {
		if t.Path.Type != tests[0].Path.Type {
			hint := ""
			if t.Path.Type == "network-traffic" || tests[0].Path.Type == "network-traffic" {
				hint = "; for an address with a port write network-traffic:dst_ref.value and network-traffic:dst_port"
			}
			return refuse(t, "it is joined by AND with a comparison on %s, and no object is both%s", tests[0].Path.Type, hint)
		}
	}
	var n narrowed
	for _, t := range tests {
		if t.Path.Type != "network-traffic" {
			return refuse(t, "it is joined by AND, and only address, port and protocol of network-traffic can be")
		}
		err := n.take(t)
		if err != nil {
			return err
		}
	}
	return n.atoms(c)
}

// single adds the atoms of a comparison that stands alone.
func (c *compiler) single(t *pattern.Test) error {
	kind, ok := kindOf(t.Path)
	if !ok {
		return refuse(t, "no service sees %s", t.Path)
	}
	values, err := constants(t)
	if err != nil {
		return err
	}
	for _, v := range values {
		a, err := atom(t, kind, v)
		if err != nil {
			return err
		}
		err = c.add(a)
		if err != nil {
			return err
		}
	}
	return nil
}
