package access

import (
	_ "embed"
	"fmt"
	"slices"
	"sync"

	"github.com/cedar-policy/cedar-go"
)

// Policies is the text of the rules, for whoever audits them.
//
//go:embed policies.cedar
var Policies string

// Schema is what the rules speak of, as a Cedar schema.
//
//go:embed policies.cedarschema
var Schema string

// What is something that may be seen or brought: an action of [Policies].
type What string

// The things.
const (
	Indicators What = "see indicators"
	Values     What = "see values whose marking forbids display"
	Held       What = "see objects held for personal data"
	Deliveries What = "see deliveries and what was refused of them"
	Deliver    What = "deliver indicators"
	Providers  What = "see providers and their ledgers"
	Feedback   What = "see feedback"
	Coverage   What = "see the coverage of sectors"
	Totals     What = "see totals over everything"
	Audit      What = "see the audit log"
)

// Everything lists the things, in the order of docs/formats/access.md.
var Everything = []What{Indicators, Values, Held, Deliveries, Deliver, Providers, Feedback, Coverage, Totals, Audit}

// KnownRoles are the roles of the hub. A rule can name no other, and another gives
// nothing.
var KnownRoles = []string{
	"pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer",
	"assessor", "accrediting_official", "auditor", "system_admin",
}

// facts are what a rule may ask for besides roles, see the head of [Policies].
type facts uint8

const (
	cleared facts = 1 << iota
	own
	whole
	allFacts = cleared | own | whole
)

// decisions are the answers for one set of roles: for each set of facts, a bit for
// each of [Everything].
type decisions [allFacts + 1]uint16

// rules answers from the policies. Evaluating one takes microseconds and a page asks
// hundreds of times; there are at most 512 sets of roles, so that each is evaluated
// once, when it is first asked for.
type rules struct {
	set  *cedar.PolicySet
	made sync.Map // roleSet → *decisions
}

// roleSet has a bit for each of [KnownRoles].
type roleSet uint16

func rolesOf(names []string) roleSet {
	var out roleSet
	for i, r := range KnownRoles {
		if slices.Contains(names, r) {
			out |= 1 << i
		}
	}
	return out
}

// present are the rules that the hub was built with. They are part of the program:
// that they cannot be read is a fault of it, which the first test finds.
var present = sync.OnceValue(func() *rules {
	r, err := newRules(Policies)
	if err != nil {
		panic(err)
	}
	return r
})

func newRules(text string) (*rules, error) {
	set, err := cedar.NewPolicySetFromBytes("policies.cedar", []byte(text))
	if err != nil {
		return nil, fmt.Errorf("access: %w", err)
	}
	return &rules{set: set}, nil
}

// permits answers for a set of roles and facts.
func (r *rules) permits(who roleSet, f facts, w What) bool {
	i := slices.Index(Everything, w)
	if i < 0 {
		return false
	}
	d, ok := r.made.Load(who)
	if !ok {
		d, _ = r.made.LoadOrStore(who, r.decide(who))
	}
	return d.(*decisions)[f]&(1<<i) != 0 //nolint:forcetypeassert // nothing else is stored
}

// decide evaluates the policies for everything that can be asked of a set of roles.
func (r *rules) decide(who roleSet) *decisions {
	var out decisions
	for f := range allFacts + 1 {
		for i, w := range Everything {
			if r.ask(who, f, w) {
				out[f] |= 1 << i
			}
		}
	}
	return &out
}

// ask evaluates the policies once. A rule that fails to evaluate denies: Cedar
// leaves it out, and it might have been the one that forbids.
func (r *rules) ask(who roleSet, f facts, w What) bool {
	var parents []cedar.EntityUID
	for i, name := range KnownRoles {
		if who&(1<<i) != 0 {
			parents = append(parents, cedar.NewEntityUID("Role", cedar.String(name)))
		}
	}
	reader := cedar.NewEntityUID("Account", "reader")
	entities := cedar.EntityMap{reader: {UID: reader, Parents: cedar.NewEntityUIDSet(parents...)}}
	decision, said := cedar.Authorize(r.set, entities, cedar.Request{
		Principal: reader,
		Action:    cedar.NewEntityUID("Action", cedar.String(w)),
		Resource:  cedar.NewEntityUID("Thing", "asked for"),
		Context: cedar.NewRecord(cedar.RecordMap{
			"cleared": cedar.Boolean(f&cleared != 0), "own": cedar.Boolean(f&own != 0), "whole": cedar.Boolean(f&whole != 0),
		}),
	})
	return decision == cedar.Allow && len(said.Errors) == 0
}
