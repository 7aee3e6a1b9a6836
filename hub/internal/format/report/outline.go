package report

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// kind is what a section is about.
type kind uint8

const (
	neutral kind = iota
	indicators
	references
	defense
	harmless // what is not affected, false positives
)

// document is a report and its outline.
type document struct {
	original  string
	text      string // without marks of HTML; the original, when there are none
	shown     *made  // how text came from the original, nil when it is the original
	lines     []line
	headings  []heading
	publisher []string // found in the text itself
}

// line is one line of the text. heading and lead are what it stands under: the last
// heading, and the last line that ended in a colon. -1 when there is none.
type line struct {
	start, end    int32
	heading, lead int32
	starts        bool // it begins a block of its own: a list item, a row, a heading
	blank         bool
}

type heading struct {
	title  string
	level  int
	kind   kind
	labels []string
}

// origin gives the place in the original of a place in the text.
func (d *document) origin(at int) int {
	if d.shown == nil {
		return at
	}
	return min(d.shown.at.of(at), len(d.original))
}

func outlined(text string) *document {
	d := &document{original: text, text: text}
	if looksHTML(text) {
		var publisher string
		d.shown, publisher = strip(text)
		d.text = string(d.shown.b)
		if publisher != "" {
			d.publisher = append(d.publisher, publisher)
		}
	}
	d.cut()
	d.mailHeader()
	d.outline()
	return d
}

func (d *document) cut() {
	for at := 0; at < len(d.text); {
		end := strings.IndexByte(d.text[at:], '\n')
		next := at + end + 1
		if end < 0 {
			end, next = len(d.text)-at, len(d.text)
		}
		l := line{start: int32(at), end: int32(at + end), heading: -1, lead: -1}
		t := strings.TrimSpace(d.text[at : at+end])
		l.blank = t == ""
		l.starts = t != "" && (strings.ContainsRune("-*|#>+", rune(t[0])) || strings.HasPrefix(t, "•") || numbered.MatchString(t[:min(len(t), 12)]))
		d.lines = append(d.lines, l)
		at = next
	}
}

var (
	numbered   = regexp.MustCompile(`^(?:\d{1,3}[.)]|[a-z][.)]|\[\d{1,3}\])\s`)
	sectionNo  = regexp.MustCompile(`^(?:(?:appendix|annex|section|chapter)\s+[a-z0-9.]{1,5}\s*[:.–-]*\s*|[0-9]{1,2}(?:\.[0-9]{1,2})*[.)]?\s+)`)
	fromHeader = regexp.MustCompile(`(?i)^from:.*@([a-z0-9.-]+\.[a-z0-9-]+)`)
)

// mailHeader finds who sent the report as a mail.
func (d *document) mailHeader() {
	for _, l := range d.lines[:min(len(d.lines), 40)] {
		m := fromHeader.FindStringSubmatch(strings.TrimLeft(d.text[l.start:l.end], "> "))
		if m != nil && len(d.publisher) < 8 {
			d.publisher = append(d.publisher, strings.ToLower(m[1]))
		}
	}
}

// outline finds headings and leads.
func (d *document) outline() {
	var open []int // headings that enclose the line
	lead := int32(-1)
	under := func() int32 {
		if len(open) == 0 {
			return -1
		}
		return int32(open[len(open)-1])
	}
	inCode := false
	for i := range d.lines {
		l := &d.lines[i]
		t := strings.TrimSpace(d.text[l.start:l.end])
		if strings.HasPrefix(t, "```") {
			inCode = !inCode
			l.starts = true
		}
		title, level := "", 0
		if !inCode {
			title, level = d.headingAt(i, t)
		}
		switch {
		case level > 0:
			for len(open) > 0 && d.headings[open[len(open)-1]].level >= level {
				open = open[:len(open)-1]
			}
			h := heading{title: title, level: level, kind: kindOf(title), labels: namesIn(title)}
			if len(open) > 0 {
				up := &d.headings[open[len(open)-1]]
				if h.kind == neutral {
					h.kind = up.kind
				}
				h.labels = append(h.labels, up.labels[:min(len(up.labels), 8)]...)
			}
			d.headings = append(d.headings, h)
			open = append(open, len(d.headings)-1)
			lead, l.starts = -1, true
		case strings.HasSuffix(t, ":") && len(t) > 3:
			lead = int32(i)
			l.heading = under()
			continue
		case !l.blank && !l.starts && lead >= 0 && strings.Count(t, " ") >= 6:
			lead = -1 // prose again
		}
		l.heading, l.lead = under(), lead
	}
}

// headingAt says whether a line is a heading, and of which level.
func (d *document) headingAt(i int, t string) (string, int) {
	if t == "" || len(t) > 120 {
		return "", 0
	}
	if t[0] == '#' {
		n := 0
		for n < len(t) && t[n] == '#' {
			n++
		}
		if n <= 6 && n < len(t) && t[n] == ' ' {
			return strings.Trim(t[n:], " #*_:"), n
		}
		return "", 0
	}
	next := ""
	if i+1 < len(d.lines) {
		next = strings.TrimSpace(d.text[d.lines[i+1].start:d.lines[i+1].end])
	}
	ruled := len(next) > 2 && (strings.Trim(next, "=") == "" || strings.Trim(next, "-") == "" || strings.Trim(next, "~") == "")
	if ruled && t[0] != '|' {
		if next[0] == '=' {
			return strings.Trim(t, "*_: "), 1
		}
		return strings.Trim(t, "*_: "), 2
	}
	bold := strings.HasPrefix(t, "**") && strings.HasSuffix(strings.TrimRight(t, ":"), "**")
	bare := strings.Trim(t, "*_: ")
	if len(bare) > 80 || strings.ContainsAny(bare[max(0, len(bare)-1):], ".,;!?") || strings.Count(bare, " ") > 9 || strings.ContainsAny(bare, "|@[]\\=") || strings.Contains(bare, "://") {
		return "", 0
	}
	free := i == 0 || d.lines[i-1].blank
	first, _ := utf8.DecodeRuneInString(bare)
	head := unicode.IsUpper(first) || unicode.IsDigit(first)
	if !free || !head || tlp.MatchString(bare) || !strings.ContainsFunc(bare, unicode.IsLetter) || dotted.MatchString(bare) {
		return "", 0
	}
	switch {
	case bold:
		return bare, 4
	case strings.HasSuffix(t, ":"):
		if kindOf(bare) != neutral && strings.Count(bare, " ") < 5 {
			return bare, 5
		}
		return "", 0
	case next == "" || kindOf(bare) != neutral && strings.Count(bare, " ") < 6:
		return bare, 3
	}
	return "", 0
}

// dotted is what makes a short line a value and no heading.
var dotted = regexp.MustCompile(`[A-Za-z0-9]\.[A-Za-z0-9]{2}|^[0-9A-Fa-f]{32,}$|[0-9]\.[0-9]+\.[0-9]`)

var kinds = []struct {
	kind  kind
	words *regexp.Regexp
}{
	{harmless, regexp.MustCompile(`(?i)\bnot (?:affected|malicious|compromised)\b|\bfalse positives?\b|\b(?:legitimate|benign|allow ?list(?:ed)?|white ?list(?:ed)?|exclusions?)\b`)},
	{references, regexp.MustCompile(`(?i)^(?:references?|sources?|further reading|related (?:reading|reports?|links?|articles?)|(?:additional |external |useful )?(?:resources|links)|see also|bibliography|footnotes?|end ?notes?|credits?|acknowledg\w*|about\b.*|contacts?(?: us| information)?|reporting|disclaimer.*|legal.*)$`)},
	{indicators, regexp.MustCompile(`(?i)\b(?:indicators?|iocs?|observables?)\b|^(?:c2|c&c|cnc)\b|\b(?:c2|c&c|command[- ]and[- ]control) (?:servers?|infrastructure|domains?|addresses|hosts?|channels?|nodes?)\b|^(?:network|host|file|malicious|phishing|attacker|adversary)[- ](?:based )?(?:infrastructure|domains?|urls?|addresses|hashes|artifacts|servers?|hosts?)$|^(?:(?:file )?hashes|domains?(?: names)?|ip addresses|ips|urls?|e-?mail addresses|md5|sha-?1|sha-?256|sha-?512)(?: hash(?:es)?)?$|^command[- ]and[- ]control$`)},
	{defense, regexp.MustCompile(`(?i)\b(?:detections?|mitigations?|recommend\w*|remediation|prevention|hardening|countermeasures|yara|sigma|snort|suricata|defen[cs]e|protect\w*)\b`)},
}

// kindOf tells what a heading, or a line that ends in a colon, is about.
func kindOf(title string) kind {
	title = sectionNo.ReplaceAllString(strings.ToLower(strings.Trim(title, " :*_#")), "")
	for _, k := range kinds {
		if k.words.MatchString(title) {
			return k.kind
		}
	}
	return neutral
}

// sentence gives where the sentence around a stretch of line number n begins and
// ends.
func (d *document) sentence(n, from, to int) (int, int) {
	first, last := n, n
	for !d.lines[first].starts && first > 0 && n-first < 8 && !d.lines[first-1].blank && from-int(d.lines[first-1].start) < maxSentence/2 && d.lines[first-1].heading == d.lines[n].heading {
		first--
	}
	for last+1 < len(d.lines) && last-n < 8 && !d.lines[last+1].blank && !d.lines[last+1].starts && int(d.lines[last+1].end)-to < maxSentence/2 {
		last++
	}
	a, b := max(int(d.lines[first].start), from-maxSentence/2), min(int(d.lines[last].end), to+maxSentence/2)
	b = max(b, min(to, int(d.lines[last].end)))
	for i := from - 1; i > a; i-- {
		if d.text[i] == ' ' && strings.IndexByte(".!?", d.text[i-1]) >= 0 || d.text[i] == '\n' && i > 0 && strings.IndexByte(".!?", d.text[i-1]) >= 0 {
			a = i + 1
			break
		}
	}
	for i := to; i+1 < b; i++ {
		if strings.IndexByte(".!?", d.text[i]) >= 0 && (d.text[i+1] == ' ' || d.text[i+1] == '\n') {
			b = i + 1
			break
		}
	}
	return a, max(a, b)
}

// readable makes a piece of the text fit to be shown: one line, no characters that
// hide or reorder others.
func readable(s string) string {
	s = strings.ToValidUTF8(s, "")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
