package review

import (
	"strings"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
)

// Ask is what findings ask of the person who decides.
type Ask struct {
	Key      string // stable: personal, override, look, source
	Text     string // the question, as a sentence
	Findings []indicator.Finding
}

// questions are the asks in the order in which they are to be answered.
var questions = []struct {
	key, text string
	of        func(f *indicator.Finding) bool
}{
	{"sample", "Chosen by the sample: look whether personal data was missed.", func(f *indicator.Finding) bool { return f.Code == policy.CodeSample }},
	{"personal", "Determine whether personal data is in it, and whether it is needed.", func(f *indicator.Finding) bool { return indicator.IsPrivacy(f.Code) }},
	{"override", "Is the block worth it? Two persons have to say so with reasons, or it goes back.", func(f *indicator.Finding) bool { return f.Severity == indicator.Stop }},
	{"marking", "Its markings forbid something: nothing to decide, to be kept to.", func(f *indicator.Finding) bool { return f.Code == intake.CodeMarking }},
	{"source", "Its source has something to say: look whether it is still what was delivered.", func(f *indicator.Finding) bool { return strings.HasPrefix(f.Code, "S") }},
	{"known", "The hub knows something close: look whether this one is needed, and whether it is right.", func(f *indicator.Finding) bool {
		return strings.HasPrefix(f.Code, "V8-") || strings.HasPrefix(f.Code, "V9-")
	}},
	{"hit", "Look whom it would hit besides those that are meant.", func(f *indicator.Finding) bool {
		return strings.HasPrefix(f.Code, "V2-") || strings.HasPrefix(f.Code, "V3-") || strings.HasPrefix(f.Code, "V4-")
	}},
	{"look", "Look whether it is good enough to act on.", func(*indicator.Finding) bool { return true }},
}

// asks groups findings by what they ask. Each stands in the first group that fits.
func asks(fs []indicator.Finding) []Ask {
	out := make([]Ask, 0, 2)
	taken := make([]bool, len(fs))
	for _, q := range questions {
		a := Ask{Key: q.key, Text: q.text}
		for i := range fs {
			if !taken[i] && q.of(&fs[i]) {
				taken[i] = true
				a.Findings = append(a.Findings, fs[i])
			}
		}
		if len(a.Findings) > 0 {
			out = append(out, a)
		}
	}
	return out
}
