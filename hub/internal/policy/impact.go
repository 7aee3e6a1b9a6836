package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Level is how much a block may hit that is not meant.
type Level string

// The levels.
const (
	NoImpact   Level = "none" // nothing known speaks against it
	LowImpact  Level = "low"  // some unrelated parties may be hit
	HighImpact Level = "high" // many would be, or somebody who must not be
)

// Impact is what an approver should know of an item before it is released.
type Impact struct {
	Level     Level
	Sentence  string            // expected collateral damage in plain words
	Lists     []Hit             // warning lists, severest first
	Rank      int               // of the name or its host: among the first so many on a list of popular names; 0: on none
	Parent    int               // the same of its registrable domain, when that is another name
	Shared    string            // what is shared by strangers, and how; empty: nothing known
	Near      []Protected       // protected names and prefixes close by that it does not hit itself
	Covers    []contract.ID     // living indicators that it would make needless
	CoveredBy []contract.ID     // living indicators that make it needless
	Services  contract.Services // that would act on it
	Addresses uint64            // how many addresses it hits; 0: it is not about addresses
}

// maxNear bounds [Impact.Near].
const maxNear = 8

// Impact previews an item: what its values hit besides what is meant. Findings
// are those of [Checker.Technical], neighbors those of [Checker.Against].
func (c *Checker) Impact(s *Subject, findings []indicator.Finding, neighbors []Neighbor) Impact {
	im := Impact{Level: NoImpact, Services: s.Services}
	for _, a := range s.Atoms {
		c.look(&im, a)
	}
	for _, n := range neighbors {
		for _, a := range s.Atoms {
			switch rel := relate(n.Atom, a); {
			case n.Standing != Living || n.ID.IsZero():
			case rel == below && !slices.Contains(im.Covers, n.ID):
				im.Covers = append(im.Covers, n.ID)
			case (rel == above || rel == same) && !slices.Contains(im.CoveredBy, n.ID):
				im.CoveredBy = append(im.CoveredBy, n.ID)
			}
		}
	}
	slices.SortStableFunc(im.Lists, func(a, b Hit) int { return strings.Compare(string(a.Severity), string(b.Severity)) })
	im.judge(findings)
	return im
}

func (c *Checker) look(im *Impact, a observable.Atom) {
	if c.lists != nil && !(c.demo && documentation(a)) {
		im.Lists = append(im.Lists, c.lists.Check(a)...)
	}
	var n string
	switch a.Kind {
	case observable.Domain:
		n = a.Value
	case observable.URL:
		n = hostOf(a.Value)
	case observable.Mail:
		_, n, _ = strings.Cut(a.Value, "@")
	case observable.Addr, observable.Prefix:
		p, ok := parsePrefix(a.Value)
		if ok {
			im.Addresses += size(p)
			im.Near = append(im.Near, c.nearPrefix(p)...)
		}
		return
	default:
		return
	}
	_, isAddr := parseAddr(n)
	if isAddr || !strings.Contains(n, ".") {
		return
	}
	top := registrable(n)
	if c.lists != nil {
		im.Rank = better(im.Rank, c.lists.Rank(n))
		if top != n {
			im.Parent = better(im.Parent, c.lists.Rank(top))
		}
	}
	if im.Shared == "" {
		im.Shared = sharedBy(n)
	}
	for _, p := range []*protection{builtins.base, c.protected} {
		for _, e := range p.near[top] {
			if len(im.Near) < maxNear && e.Name != n {
				im.Near = append(im.Near, e)
			}
		}
	}
}

func better(a, b int) int {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// size gives how many addresses a prefix has; of IPv6 how many networks of /64.
func size(p netip.Prefix) uint64 {
	bits := p.Addr().BitLen() - p.Bits()
	if p.Addr().Is6() {
		bits = max(0, 64-p.Bits())
	}
	return 1 << min(bits, 63)
}

// nearPrefix gives protected prefixes in the same /24 or /48.
func (c *Checker) nearPrefix(p netip.Prefix) []Protected {
	bits := MinBits4
	if p.Addr().Is6() {
		bits = MinBits6
	}
	around, err := p.Addr().Prefix(min(bits, p.Bits()))
	if err != nil {
		return nil
	}
	var out []Protected
	for _, ps := range [][]protectedPrefix{builtins.base.prefixes, c.protected.prefixes} {
		for _, e := range ps {
			if len(out) < maxNear && around.Overlaps(e.prefix) && !e.prefix.Overlaps(p) {
				out = append(out, e.entry)
			}
		}
	}
	return out
}

// sharedBy says in words by whom a name is shared.
func sharedBy(n string) string {
	what, ok := builtins.shared[n]
	if ok {
		return "it is the apex of " + what
	}
	for z := parent(n); z != ""; z = parent(z) {
		what, ok = builtins.shared[z]
		if ok {
			return "a name below " + z + ", " + what
		}
	}
	if isSuffix(n) {
		return "unrelated parties register names below it"
	}
	top := registrable(n)
	if isSuffix(top) && top != n {
		return "a name below " + top + ", where unrelated parties have names"
	}
	return ""
}

// judge finds the level and the sentence: the gravest reason speaks.
func (im *Impact) judge(findings []indicator.Finding) {
	stop, warn := "", ""
	for _, f := range findings {
		if !collateral(f.Code) {
			continue
		}
		switch {
		case f.Severity == indicator.Stop && stop == "":
			stop = f.Detail
		case f.Severity == indicator.Warn && warn == "":
			warn = f.Detail
		}
	}
	popular := im.Rank > 0 && im.Rank <= 10_000
	switch {
	case popular:
		im.Level, im.Sentence = HighImpact, fmt.Sprintf("It is among the %s most visited names: very many people would be hit.", count(uint64(im.Rank)))
	case stop != "":
		im.Level, im.Sentence = HighImpact, "Unrelated parties would be hit: "+stop+"."
	case im.Rank > 0:
		im.Level, im.Sentence = LowImpact, fmt.Sprintf("It is among the %s most visited names: visitors who mean no harm would be hit.", count(uint64(im.Rank)))
	case warn != "":
		im.Level, im.Sentence = LowImpact, "Some unrelated parties may be hit: "+warn+"."
	case im.Addresses > 1:
		im.Level, im.Sentence = LowImpact, fmt.Sprintf("It hits %s addresses: whoever else has one of them is hit too.", count(im.Addresses))
	case im.Shared != "":
		im.Level, im.Sentence = LowImpact, "Only this one is hit, and it may change hands: "+im.Shared+"."
	default:
		im.Sentence = "Nothing known says that unrelated parties would be hit."
	}
}

// collateral reports codes that speak of hitting the wrong ones.
func collateral(code string) bool {
	return strings.HasPrefix(code, "V2-") || strings.HasPrefix(code, "V3-") || strings.HasPrefix(code, "V4-") || code == CodeContradicted
}

// count writes a number with commas.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
