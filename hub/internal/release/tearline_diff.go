package release

import (
	"slices"
	"strings"
	"unicode"
)

// Part is a text of an item, by the name of its field. Fields that occur more than
// once, such as references, have one part each.
type Part struct {
	Field string // pattern, value, summary, context, labels, references, original, source, reason
	Text  string
}

// Leak is something above the tear line that is also below it.
type Leak struct {
	Field string // below
	From  string // above
	Text  string // as it is below
}

// minRun is how many plain words in a row are somebody's wording and no coincidence.
const minRun = 4

// Leaks compares what would be below a tear line with what is above it: each word,
// name or number that both have is a leak, unless it is in a part of the original
// that is marked lower itself, or a plain word of the field; and so are four plain
// words in the same order. It is pure and errs towards a leak.
func Leaks(above, below []Part, lowered []string) []Leak {
	free := map[string]bool{}
	var freeRuns []string
	for _, a := range above {
		if slices.Contains(lowered, a.Field) {
			words := wordsOf(a.Text)
			for _, w := range words {
				free[w] = true
			}
			freeRuns = append(freeRuns, " "+strings.Join(words, " ")+" ")
		}
	}
	var out []Leak
	for _, b := range below {
		words := wordsOf(b.Text)
		for _, a := range above {
			if slices.Contains(lowered, a.Field) || a.Text == "" {
				continue
			}
			for _, text := range shared(words, wordsOf(a.Text), free, freeRuns) {
				l := Leak{Field: b.Field, From: a.Field, Text: text}
				if !slices.Contains(out, l) {
					out = append(out, l)
				}
			}
		}
	}
	return out
}

// shared gives the words and runs of below that above has too.
func shared(below, above []string, free map[string]bool, freeRuns []string) []string {
	has := map[string]bool{}
	for _, w := range above {
		has[w] = true
	}
	var out []string
	for _, w := range below {
		if has[w] && !free[w] && !plain[w] {
			out = append(out, w)
		}
	}
	text := " " + strings.Join(above, " ") + " "
	for i := 0; i+minRun <= len(below); i++ {
		run := strings.Join(below[i:i+minRun], " ")
		padded := " " + run + " "
		if strings.Contains(text, padded) && !slices.ContainsFunc(freeRuns, func(f string) bool { return strings.Contains(f, padded) }) {
			out = append(out, run)
		}
	}
	return out
}

// wordsOf splits a text into words in lower case: letters and digits in a row.
// Letters of other widths and digits of other scripts are folded as far as Unicode
// says that they are the same letter in another case.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	})
}

// plain are words that say nothing by themselves: of the English language, of the
// field, and of STIX patterns.
var plain = func() map[string]bool {
	out := map[string]bool{}
	for w := range strings.FieldsSeq(`
		a about above after again against all also an and any are as at be because been before being below between both but by can could
		did do does down during each few first for from further had has have he her here him his how i if in into is it its last later
		less many may me might more most much must my new no nor not now of off old on once one only or other our out over own same
		second see seen several shall she should since so some such than that the their them then there these they this those three through to
		too two under until up upon us use used uses using very was we well were what when where which while who whom why will with within
		without would you your
		account accounts activity actor actors address addresses alert alerts attachment attachments attack attacker attackers attacks
		block blocked botnet bot campaign client command connection connections control credential credentials delivers delivery detected
		domain domains download downloads email emails exfiltration file files flow found hash hashes header host hosted hosting hosts http https
		incident incidents indicator indicators infected infection infrastructure internet ip ipv4 ipv6 kit known link links lure mail mails malicious
		malware message messages name names network networks observed organization organizations page pages password passwords payload
		phishing port ports protocol ransomware received report reported reports scan scanner scanning scans sender sent server servers service services
		site sites source spam subject system systems target targeted targets tcp threat threats traffic trojan udp url urls user users
		value victim victims web website websites
		addr email-addr domain-name network-traffic dst src ref type x values sha md5 1 256 512 tlp clear green amber red pap white strict`) {
		for _, part := range wordsOf(w) {
			out[part] = true
		}
	}
	return out
}()
