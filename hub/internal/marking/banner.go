package marking

import (
	"regexp"
	"slices"
	"strings"

	"ecs/contract"
)

// maxBanner is the most bytes of a banner; what is longer is unknown.
const maxBanner = 1024

// levelWords are the levels in banners and portion marks.
var levelWords = map[string]Level{
	"U": Unclassified, "UNCLASSIFIED": Unclassified, "C": Confidential, "CONFIDENTIAL": Confidential,
	"S": Secret, "SECRET": Secret, "TS": TopSecret, "TOP SECRET": TopSecret,
}

// Names of control systems and programs (CAPCO register): SI, TK, HCS-P, SI-G ABCD,
// SAR-BP, RD-CNWDI.
var (
	compartment = regexp.MustCompile(`^(SI|TK|HCS|RSV|KDK|KLONDIKE|BUR)(-[A-Z0-9]{1,12})*( [A-Z0-9]{2,12})*$`)
	program     = regexp.MustCompile(`^(SAR-|SPECIAL ACCESS REQUIRED-)[A-Z0-9][A-Z0-9 -]{0,40}$`)
	atomic      = regexp.MustCompile(`^(RD|FRD|TFNI|RESTRICTED DATA|FORMERLY RESTRICTED DATA)(-[A-Z0-9]{1,12})?$`)
	categories  = regexp.MustCompile(`^(SP-)?[A-Z][A-Z-]{1,15}$`)
)

// banner reads a classification banner or portion mark, "S//SI/TK//REL TO USA, GBR"
// or "(U//FOUO)", and one of CUI, "CUI//SP-CTI/PRVCY//NOFORN". What it does not know
// in it denies. It is not ok if the beginning is no level.
func banner(words string) (m Mark, ok bool) {
	if len(words) > maxBanner {
		return Mark{}, false
	}
	s := strings.ToUpper(words)
	for _, pair := range []string{"()", "[]"} {
		if len(s) > 2 && s[0] == pair[0] && s[len(s)-1] == pair[1] {
			s = strings.TrimSpace(s[1 : len(s)-1])
		}
	}
	parts := strings.Split(s, "//")
	h := Handling{read: true}
	first := strings.TrimSpace(parts[0])
	level, classified := levelWords[first]
	kind, who := KindBanner, level > Unclassified
	switch {
	case classified:
		h.level = level
		if level > Unclassified {
			h.tlp = contract.AmberStrict
		}
	case first == "CUI" || first == "CONTROLLED":
		h, kind, who = controlled(), KindCUI, true
	default:
		return Mark{}, false
	}
	for _, part := range parts[1:] {
		if strings.TrimSpace(part) == "" {
			h = h.Join(Unknown("empty part of " + s).Handling())
		}
		for item := range strings.SplitSeq(part, "/") {
			h, who = h.Join(bannerItem(item, h.level, kind)), true
		}
	}
	return newMark(kind, clean(words), who, h), true
}

// bannerItem reads what stands between slashes.
func bannerItem(item string, level Level, kind Kind) Handling {
	item = strings.Join(strings.Fields(item), " ")
	h, ok := dissemination(item)
	if ok {
		return h
	}
	h = Handling{read: true}
	switch {
	case item == "":
		return open
	case item == "CUI":
		return controlled()
	case kind == KindCUI && categories.MatchString(item):
		return category(item)
	case level > Unclassified && compartment.MatchString(item):
		h.controls = newSet(lineage(item)...)
	case level > Unclassified && (program.MatchString(item) || atomic.MatchString(item)):
		h.controls = newSet(strings.ReplaceAll(item, " ", "_"))
	}
	spelt := !slices.ContainsFunc(h.controls, func(name string) bool { return !validName(name) })
	if len(h.controls) == 0 || !spelt {
		return Unknown(item).Handling()
	}
	return h
}

// lineage gives a compartment and all above it: SI-G ABCD is SI, SI-G, SI-G-ABCD.
// Who is read into the last has to be read into the first.
func lineage(item string) []string {
	system, subs, _ := strings.Cut(item, " ")
	var out []string
	for i := range system {
		if system[i] == '-' {
			out = append(out, system[:i])
		}
	}
	out = append(out, system)
	for _, sub := range strings.Fields(subs) {
		out = append(out, system+"-"+sub)
	}
	return out
}
