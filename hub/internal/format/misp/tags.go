package misp

import (
	"strings"

	"ecs/contract"
	"ecs/hub/internal/marking"
)

// tags are what the tags of an event or attribute say, but for their markings.
type tags struct {
	labels      []string
	category    contract.Category // Other when they do not say
	confidence  int               // -1
	credibility int               // 0
}

// confidences of machine tags, on the scales of STIX 2.1 appendix A where the
// taxonomy has none of its own.
var confidences = map[string]int{
	`estimative-language:confidence-in-analytic-judgment="low"`:      15,
	`estimative-language:confidence-in-analytic-judgment="moderate"`: 50,
	`estimative-language:confidence-in-analytic-judgment="high"`:     85,

	`estimative-language:likelihood-probability="almost-no-chance"`:    5,
	`estimative-language:likelihood-probability="very-unlikely"`:       15,
	`estimative-language:likelihood-probability="unlikely"`:            30,
	`estimative-language:likelihood-probability="roughly-even-chance"`: 50,
	`estimative-language:likelihood-probability="likely"`:              70,
	`estimative-language:likelihood-probability="very-likely"`:         85,
	`estimative-language:likelihood-probability="almost-certain"`:      95,

	`misp:confidence-level="unconfident"`:          0,
	`misp:confidence-level="rarely-confident"`:     25,
	`misp:confidence-level="fairly-confident"`:     50,
	`misp:confidence-level="usually-confident"`:    75,
	`misp:confidence-level="completely-confident"`: 100,
}

// read sorts tags. Markings are left to [marking.ParseTags].
func (t *tags) read(all []string) {
	*t = tags{labels: t.labels[:0], confidence: -1}
	for _, name := range all {
		if marking.IsTag(name) {
			continue
		}
		t.labels = append(t.labels, clip(name, maxLabel))
		lower := strings.ToLower(name)
		n, ok := confidences[lower]
		if ok && (t.confidence < 0 || n < t.confidence) {
			t.confidence = n // the more careful of two
		}
		if rest, ok := strings.CutPrefix(lower, `admiralty-scale:information-credibility="`); ok && len(rest) == 2 && rest[0] >= '1' && rest[0] <= '6' {
			t.credibility = max(t.credibility, int(rest[0]-'0'))
		}
		if t.category == contract.Other {
			t.category = categoryOf(lower)
		}
	}
}

var hyphens = strings.NewReplacer(" ", "-", "_", "-")

// categoryOf finds the category in a tag: in the words of the kill chain, of ATT&CK
// and of the usual taxonomies of incidents. Names of actors and families say
// nothing.
func categoryOf(lower string) contract.Category {
	if strings.HasPrefix(lower, "misp-galaxy:") && !strings.HasPrefix(lower, "misp-galaxy:mitre-attack-pattern=") {
		return contract.Other
	}
	w := lower
	if i := strings.LastIndexAny(w, "=:"); i >= 0 {
		w = w[i+1:]
	}
	w = hyphens.Replace(strings.Trim(w, `"`))
	switch {
	case strings.Contains(w, "phishing"):
		return contract.Phishing
	case strings.HasPrefix(w, "command-and-control"), w == "c2", w == "c&c", w == "cnc", w == "c2-server", w == "botnet-c2":
		return contract.CommandAndControl
	case w == "delivery", w == "payload-delivery", w == "initial-access", w == "malware-distribution", w == "exploit-kit":
		return contract.Delivery
	case strings.Contains(w, "exfiltration"):
		return contract.Exfiltration
	case w == "scanner", w == "scanning", w == "scan", w == "reconnaissance", w == "network-scanning":
		return contract.Scanning
	}
	return contract.Other
}
