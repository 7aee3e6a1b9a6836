package stix

import (
	"fmt"
	"slices"
	"strings"
)

// Upgraded is what became of an object of STIX 2.0.
type Upgraded struct {
	Object      *Object
	Observables []*Object // out of observed-data, in their order; several may be versions of one
	Notes       []string  // at most 100: what was not carried over as it was, for a person to read
}

// words of the vocabularies that STIX 2.0 kept in labels and STIX 2.1 in a
// property of its own, by type.
var labeled = map[string]struct {
	property string
	words    []string
}{
	"indicator": {"indicator_types", []string{"anomalous-activity", "anonymization", "benign", "compromised", "malicious-activity", "attribution", "unknown"}},
	"malware": {"malware_types", []string{
		"adware", "backdoor", "bot", "bootkit", "ddos", "downloader", "dropper", "exploit-kit", "keylogger", "ransomware", "remote-access-trojan",
		"resource-exploitation", "rogue-security-software", "rootkit", "screen-capture", "spyware", "trojan", "unknown", "virus", "webshell", "wiper", "worm",
	}},
	"report": {"report_types", []string{
		"attack-pattern", "campaign", "identity", "indicator", "intrusion-set", "malware", "observed-data", "threat-actor", "threat-report", "tool", "vulnerability",
	}},
	"threat-actor": {"threat_actor_types", []string{
		"activist", "competitor", "crime-syndicate", "criminal", "hacker", "insider-accidental", "insider-disgruntled", "nation-state", "sensationalist", "spy", "terrorist", "unknown",
	}},
	"tool": {"tool_types", []string{
		"denial-of-service", "exploitation", "information-gathering", "network-capture", "credential-exploitation", "remote-access", "vulnerability-scanning", "unknown",
	}},
}

// Upgrade makes of an object of STIX 2.0 one of STIX 2.1, under the same
// identifier; an object of 2.1 comes back as it is. The result is in canonical
// form and depends on nothing but the object. What STIX 2.1 has no place for is
// kept under its name. The caller keeps the bytes that came.
//
//   - spec_version becomes "2.1".
//   - Labels of indicator, malware, report, threat-actor and tool that are words of
//     the type's vocabulary become indicator_types and so on; all others stay
//     labels. Labels of an identity become roles, which is what they were.
//   - Malware gets is_family false unless it says otherwise, as OASIS did with its
//     own examples. Indicators get pattern_type stix and pattern_version 2.1, and their
//     pattern is upgraded ([UpgradePattern]).
//   - The objects within observed-data become observables with deterministic
//     identifiers, and object_refs instead of objects. Their properties get the
//     names of 2.1, and the markings of the whole observed-data.
//   - Selectors of granular markings follow what they point at. A marking of parts
//     of embedded objects becomes one of the whole.
func Upgrade(o *Object) (*Upgraded, error) {
	if o.SpecVersion == "2.1" {
		return &Upgraded{Object: o}, nil
	}
	u := &upgrader{o: o, moved: map[string][]string{}}
	out, err := u.object()
	if err != nil {
		return nil, fmt.Errorf("stix: upgrade of %s: %w", o.ID, err)
	}
	return out, nil
}

type upgrader struct {
	o     *Object
	d     Draft
	out   Upgraded
	moved map[string][]string // where selectors point now; none: at nothing that is here
	whole []string            // markings of embedded parts, which now mark the whole
}

// upgraded are the properties that are written otherwise than they came.
var upgraded = []string{"spec_version", "labels", "pattern", "pattern_type", "pattern_version", "objects", "object_refs", "granular_markings", "object_marking_refs", "is_family", "sectors"}

func (u *upgrader) object() (*Upgraded, error) {
	for name, v := range u.o.Value().Members() {
		if !slices.Contains(upgraded, name) {
			u.d.set(name, v.Canonical())
		}
	}
	u.d.Str("spec_version", "2.1")
	u.labels()
	u.keep("sectors", func(v Value) []byte { // of which one is spelled otherwise
		return []byte(strings.ReplaceAll(string(v.Canonical()), `"defence"`, `"defense"`)) //nolint:misspell // the word of STIX 2.0
	})
	u.keep("is_family", Value.Canonical)
	if u.o.Type == "malware" && !u.o.Get("is_family").Ok() {
		u.d.Flag("is_family", false)
	}
	u.pattern()
	u.markings()
	err := u.observed()
	if err != nil {
		return nil, err
	}
	text, err := u.d.Append(nil)
	if err != nil {
		return nil, err
	}
	u.out.Object, err = ParseObject(text)
	if err != nil {
		return nil, err
	}
	u.out.Object.Index, u.out.Object.Offset, u.out.Object.Line = u.o.Index, u.o.Offset, u.o.Line
	return &u.out, nil
}

// maxNotes is how many notes are taken.
const maxNotes = 100

func (u *upgrader) note(format string, args ...any) {
	if len(u.out.Notes) >= maxNotes {
		return
	}
	u.out.Notes = append(u.out.Notes, fmt.Sprintf(format, args...))
}

// keep writes a property if it is there.
func (u *upgrader) keep(name string, as func(Value) []byte) {
	v := u.o.Get(name)
	if v.Ok() {
		u.d.set(name, as(v))
	}
}

// labels sorts labels from types.
func (u *upgrader) labels() {
	v := u.o.Get("labels")
	labels, ok := v.Strings()
	if !ok {
		u.keep("labels", Value.Canonical)
		return
	}
	rule, has := labeled[u.o.Type]
	target := rule.property
	if u.o.Type == "identity" {
		target = "roles"
	}
	if target == "" || u.o.Get(target).Ok() {
		u.d.List("labels", labels)
		return
	}
	var types, rest []string
	for i, l := range labels {
		from := fmt.Sprintf("labels.[%d]", i)
		if !has || slices.Contains(rule.words, l) {
			u.moved[from] = []string{fmt.Sprintf("%s.[%d]", target, len(types))}
			types = append(types, l)
		} else {
			u.moved[from] = []string{fmt.Sprintf("labels.[%d]", len(rest))}
			rest = append(rest, l)
		}
	}
	u.d.List(target, types).List("labels", rest)
	if len(types) > 0 {
		u.moved["labels"] = append(u.moved["labels"], target)
	}
	if len(rest) > 0 {
		u.moved["labels"] = append(u.moved["labels"], "labels")
	}
}

func (u *upgrader) pattern() {
	for _, name := range []string{"pattern_type", "pattern_version"} {
		if u.o.Type != "indicator" || u.o.Get(name).Ok() {
			u.keep(name, Value.Canonical)
		}
	}
	text := u.o.Get("pattern")
	kind := u.o.Get("pattern_type")
	if u.o.Type != "indicator" || text.Kind() != String || kind.Ok() && kind.Str() != "stix" {
		u.keep("pattern", Value.Canonical)
		return
	}
	pattern, err := UpgradePattern(text.Str())
	version := "2.1"
	if err != nil {
		u.note("pattern kept as it came: %v", err)
		pattern, version = text.Str(), "2.0"
	}
	u.d.Str("pattern", pattern)
	if !kind.Ok() {
		u.d.Str("pattern_type", "stix")
	}
	if !u.o.Get("pattern_version").Ok() {
		u.d.Str("pattern_version", version)
	}
}

// markings writes granular markings with the selectors of today, and the
// markings of the whole.
func (u *upgrader) markings() {
	var kept []*Draft
	all, err := u.o.GranularMarkings()
	if err != nil {
		u.keep("granular_markings", Value.Canonical)
		u.note("granular markings kept as they came: %v", err)
	}
	for i, g := range all {
		var selectors []string
		for _, s := range g.Selectors {
			if s == "objects" || strings.HasPrefix(s, "objects.") {
				if g.Ref != "" && !slices.Contains(u.whole, g.Ref) {
					u.whole = append(u.whole, g.Ref)
				}
				u.note("the granular marking of %s now counts for the whole", clip(s))
				continue
			}
			to, moved := u.moved[s]
			if !moved {
				to = []string{s}
			}
			selectors = append(selectors, to...)
		}
		if len(selectors) == 0 {
			continue
		}
		d := &Draft{}
		for name, v := range u.o.Get("granular_markings").Index(i).Members() {
			if name != "selectors" {
				d.set(name, v.Canonical())
			}
		}
		kept = append(kept, d.List("selectors", selectors))
	}
	u.d.Objects("granular_markings", kept)
	u.d.List("object_marking_refs", u.wholeMarkings())
}

// wholeMarkings are the markings that count for all of the object.
func (u *upgrader) wholeMarkings() []string {
	refs := slices.Clone(u.o.Markings)
	for _, r := range u.whole {
		if !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	return refs
}
