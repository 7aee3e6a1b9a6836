package observable

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/text/unicode/norm"

	"ecs/contract"
	"ecs/stix/pattern"
	"ecs/stix/pattern/match"
)

// MaxScans bounds the brackets of a pattern that have no selective atom: every
// object of their type has to be looked at.
const MaxScans = 4

// Analysis is what can be done with a pattern.
type Analysis struct {
	// Compiled is as [Compile] gives it for a pattern that it takes. For any other
	// Services is empty, the Atoms only find candidates, and Pattern is the
	// canonical form, however long.
	Compiled
	// Residual is what must hold besides; nil when the atoms say everything.
	Residual *Residual
	// Reason is the first cause why no service is named; nil if one is.
	Reason *Unobservable

	root pattern.Observation // as written
	text string
}

// Analyze breaks any valid STIX pattern down into atoms, which find candidates,
// and the [Residual] that decides on them. The only error is a [*pattern.Error],
// for what is no pattern.
//
// For a pattern that [Compile] takes it gives the same. For any other no service
// is named, since services match atoms alone and would enforce half of what was
// said; Reason is the first cause, [Analysis.Parts] gives all of them.
func Analyze(text string) (*Analysis, error) {
	p, err := pattern.Parse(text)
	if err != nil {
		return nil, err
	}
	a := &Analysis{root: p.Root, text: text}
	a.Compiled, err = compile(text, p)
	if errors.As(err, &a.Reason) {
		a.Compiled = Compiled{}
		err = a.split()
	}
	if err != nil {
		return nil, err
	}
	return a, nil
}

// split makes atoms, residual and canonical pattern where compile could not.
func (a *Analysis) split() error {
	r := &Residual{Root: a.root, Temporal: temporal(a.root)}
	canonical := map[*pattern.Observe]*pattern.Observe{}
	exact, scans := true, 0
	var atoms []Atom
	for i, o := range match.Brackets(a.root) {
		strict := compiler{text: a.text}
		err := strict.observation(o)
		g := Group{Bracket: i}
		if err == nil {
			g.Atoms = sortAtoms(strict.atoms)
			canonical[o], err = bracketOf(g.Atoms, o.Pos)
			if err != nil {
				return err
			}
		} else {
			exact = false
			g.Atoms, _ = selective(o.Expr)
			g.Rest = canonicalComparison(o.Expr)
			canonical[o] = &pattern.Observe{Expr: g.Rest, Pos: o.Pos}
			g.prepare()
			if len(g.Atoms) == 0 && g.Why == nil {
				scans++
				if scans > MaxScans {
					g.Why = &Unobservable{Part: "[" + part(pattern.Write(o.Expr)) + "]", Pos: o.Pos, Why: fmt.Sprintf(
						"nothing in it selects candidates, and a pattern may have %d such brackets", MaxScans)}
				}
			}
		}
		atoms = append(atoms, g.Atoms...)
		r.Groups = append(r.Groups, g)
	}
	a.Atoms = sortAtoms(atoms)
	if exact && !r.Temporal { // its canonical form is too long, or it has too many atoms
		a.Pattern = PatternOf(a.Atoms)
		return nil
	}
	r.Root = replaced(a.root, canonical)
	a.Residual, a.Pattern = r, (&pattern.Pattern{Root: r.Root}).String()
	return nil
}

func sortAtoms(atoms []Atom) []Atom {
	slices.SortFunc(atoms, Compare)
	return slices.Compact(atoms)
}

// bracketOf gives the canonical bracket that says what atoms say.
func bracketOf(atoms []Atom, pos int) (*pattern.Observe, error) {
	p, err := (pattern.Limits{Bytes: 64 << 20, Nodes: 100 * MaxAtoms}).Parse(PatternOf(atoms))
	if err != nil {
		return nil, err
	}
	return &pattern.Observe{Expr: p.Root.(*pattern.Observe).Expr, Pos: pos}, nil
}

// temporal tells whether more than one bracket alone decides, or time does.
func temporal(o pattern.Observation) bool {
	switch o := o.(type) {
	case *pattern.Qualified:
		return true
	case *pattern.Combined:
		return o.Op != pattern.Or || slices.ContainsFunc(o.Items, temporal)
	}
	return false
}

// replaced gives the tree with other brackets.
func replaced(o pattern.Observation, by map[*pattern.Observe]*pattern.Observe) pattern.Observation {
	switch o := o.(type) {
	case *pattern.Observe:
		return by[o]
	case *pattern.Qualified:
		return &pattern.Qualified{Of: replaced(o.Of, by), With: o.With, Pos: o.Pos}
	case *pattern.Combined:
		out := &pattern.Combined{Op: o.Op}
		for _, item := range o.Items {
			out.Items = append(out.Items, replaced(item, by))
		}
		return out
	}
	return o
}

// selective gives atoms of which one is seen whenever the comparison holds, of
// all such choices the one that finds fewest candidates. It says no if there is
// none.
func selective(c pattern.Comparison) ([]Atom, bool) {
	l, ok := c.(*pattern.Logic)
	if !ok {
		var one compiler
		t := c.(*pattern.Test)
		if narrows(t) || one.single(t) != nil {
			return nil, false
		}
		return sortAtoms(one.atoms), true
	}
	var out []Atom
	found := false
	for _, item := range l.Items {
		atoms, ok := selective(item)
		switch {
		case l.Op == pattern.Or && (!ok || len(out)+len(atoms) > MaxAtoms):
			return nil, false
		case l.Op == pattern.Or:
			out = append(out, atoms...)
			found = true
		case ok && (!found || compareCost(atoms, out) < 0):
			out, found = atoms, true
		}
	}
	return sortAtoms(out), found
}

// commonness orders kinds by how much ordinary traffic has the same value.
var commonness = [...]int{
	SHA512: 0, SHA256: 0, SHA1: 0, MD5: 0, URL: 1, Mail: 2, Addr: 3, Domain: 4, FileName: 5, Subject: 6, Prefix: 7, Port: 8,
}

func compareCost(a, b []Atom) int {
	worst := func(atoms []Atom) int {
		out := 0
		for _, x := range atoms {
			out = max(out, commonness[x.Kind])
		}
		return out
	}
	return cmp.Or(cmp.Compare(worst(a), worst(b)), cmp.Compare(len(a), len(b)))
}

// canonicalComparison brings constants that are compared for equality into the
// canonical spelling of what stands at their path, where they have one.
func canonicalComparison(c pattern.Comparison) pattern.Comparison {
	if l, ok := c.(*pattern.Logic); ok {
		out := &pattern.Logic{Op: l.Op}
		for _, item := range l.Items {
			out.Items = append(out.Items, canonicalComparison(item))
		}
		return out
	}
	t := *c.(*pattern.Test)
	kind := spelled(&t)
	if kind == None {
		return &t
	}
	t.Values = slices.Clone(t.Values)
	for i, v := range t.Values {
		a, err := Make(kind, v.Text)
		if v.Kind == pattern.String && err == nil {
			t.Values[i].Text = a.Value
		}
	}
	return &t
}

// spelled gives the kind whose spelling a test compares by, None if it compares
// as the standard does.
func spelled(t *pattern.Test) Kind {
	kind, ok := kindOf(t.Path)
	if !ok || kind == Port {
		return None
	}
	switch t.Op {
	case pattern.Equal, pattern.NotEqual, pattern.In:
	case pattern.IsSubset:
		if kind != Addr {
			return None
		}
	default:
		return None
	}
	if kind == Addr {
		return Prefix
	}
	return kind
}

// Part is what one service can make of one part of a pattern.
type Part struct {
	Text string // the comparison, bracket, operator or qualifier, canonical
	Pos  int    // byte offset in the pattern, -1 for the whole
	Why  string // why the service cannot use it, for people; "" if it can
}

// Unobservable gives the first part of the pattern that a service, of which
// exactly one is given, cannot honor; nil if it can honor the whole. A service in
// Services honors at least one alternative.
func (a *Analysis) Unobservable(service contract.Services) *Unobservable {
	for _, p := range a.Parts(service) {
		if p.Why != "" {
			return &Unobservable{Part: p.Text, Pos: p.Pos, Why: p.Why}
		}
	}
	return nil
}

// Parts says of each part of the pattern, in the order written, whether
// a service can honor it.
func (a *Analysis) Parts(service contract.Services) []Part {
	out := a.parts(nil, a.root, service)
	plain := !slices.ContainsFunc(out, func(p Part) bool { return p.Why != "" })
	if plain && a.Reason != nil {
		out = append(out, Part{Text: a.Reason.Part, Pos: a.Reason.Pos, Why: a.Reason.Why})
	}
	return out
}

const noMemory = "services judge one name, message or flow at a time and keep no memory of others"

func (a *Analysis) parts(out []Part, o pattern.Observation, service contract.Services) []Part {
	switch o := o.(type) {
	case *pattern.Observe:
		before := len(out)
		out = a.comparisons(out, o.Expr, service)
		plain := !slices.ContainsFunc(out[before:], func(p Part) bool { return p.Why != "" })
		strict := compiler{text: a.text}
		err := strict.observation(o)
		var cannot *Unobservable
		if plain && errors.As(err, &cannot) {
			out = append(out, Part{Text: cannot.Part, Pos: cannot.Pos, Why: cannot.Why})
		}
	case *pattern.Combined:
		for _, item := range o.Items {
			out = a.parts(out, item, service)
		}
		if o.Op != pattern.Or {
			out = append(out, Part{Text: o.Op.String() + " between observations", Pos: -1, Why: noMemory})
		}
	case *pattern.Qualified:
		out = a.parts(out, o.Of, service)
		out = append(out, Part{Text: "the qualifier " + o.With.String(), Pos: o.Pos, Why: noMemory})
	}
	return out
}

func (a *Analysis) comparisons(out []Part, e pattern.Comparison, service contract.Services) []Part {
	if l, ok := e.(*pattern.Logic); ok {
		for _, item := range l.Items {
			out = a.comparisons(out, item, service)
		}
		return out
	}
	t := e.(*pattern.Test)
	p := Part{Text: part(pattern.Write(t)), Pos: t.Pos}
	var one compiler
	var cannot *Unobservable
	switch {
	case !seenBy(t.Path).Has(service):
		p.Why = fmt.Sprintf("%s does not see %s", service, t.Path)
	case !narrows(t) && errors.As(one.single(t), &cannot):
		p.Why = cannot.Why
	}
	return append(out, p)
}

// seenBy gives the services that see what stands at a path.
func seenBy(p pattern.Path) contract.Services {
	if kind, ok := kindOf(p); ok {
		return kind.Services()
	}
	if narrows(&pattern.Test{Path: p}) {
		return contract.NetFlow
	}
	return 0
}

// normalized is the form that LIKE and MATCHES compare in.
func normalized(s string) string { return norm.NFC.String(s) }
