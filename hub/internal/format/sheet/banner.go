package sheet

import (
	"regexp"
	"slices"

	"ecs/hub/internal/marking"
)

var tlpInText = regexp.MustCompile(`(?i)\bTLP[ :_-]{1,3}(?:CLEAR|WHITE|GREEN|AMBER(?:[ +_-]{1,3}STRICT)?|RED)\b`)

// banner are the markings that stand above the table or in its comments.
type banner struct {
	words []string
	marks []marking.Mark
}

// find adds the TLP of a text. There are few of them, so that it is bounded.
func (b *banner) find(text []byte) {
	const most = 64 << 10
	for _, found := range tlpInText.FindAll(text[:min(len(text), most)], 8) {
		word, ok := tlpWord(string(found[3:]))
		if ok && !slices.Contains(b.words, word) {
			b.words = append(b.words, word)
			b.marks = append(b.marks, marking.Parse("TLP:"+word))
		}
	}
}
