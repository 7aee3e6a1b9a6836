package report

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

// takeFrom is the score of candidates that are taken.
const takeFrom = 50

// judge decides what speaks for and against each hit.
type judge struct {
	d         *document
	opt       Option
	publisher []string
	defangs   [3]bool // by sort: the report defangs such values
	lineAt    int     // of the last hit: hits come in order
	lines     int     // of the original, counted up to counted
	counted   int
}

func newJudge(d *document, opt Option) *judge {
	j := &judge{d: d, opt: opt}
	for _, p := range slices.Concat(opt.Publisher, d.publisher) {
		p = strings.ToLower(strings.Trim(p, ". "))
		if p != "" && !wellKnown[registered(p)] {
			j.publisher = append(j.publisher, registered(p))
		}
	}
	return j
}

func registered(name string) string {
	r, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return r
}

// sortOf tells sorts of values that an author defangs or not by habit: names, IPv4
// and IPv6 addresses. -1 for hashes and names of files, which nobody defangs.
func sortOf(a *observable.Atom) int {
	switch a.Kind {
	case observable.Domain, observable.URL, observable.Mail:
		return 0
	case observable.Addr, observable.Prefix:
		if strings.Contains(a.Value, ":") {
			return 2
		}
		return 1
	}
	return -1
}

// merge makes one candidate of all hits of a value.
func (j *judge) merge(hits []hit) []Candidate {
	for i := range hits {
		n := sortOf(&hits[i].atom)
		if n >= 0 && hits[i].defanged {
			j.defangs[n] = true
		}
	}
	var out []Candidate
	seen := map[observable.Atom]int{}
	for i := range hits {
		h := &hits[i]
		at, line := j.place(h.from)
		k, again := seen[h.atom]
		if !again && len(out) == MaxCandidates {
			continue
		}
		if again && len(out[k].Places) == MaxPlaces {
			out[k].Count++
			continue
		}
		c := j.weigh(h)
		c.Offset, c.Line = at, line
		if !again {
			seen[h.atom] = len(out)
			c.Places, c.Count = []Place{{at, line}}, 1
			out = append(out, c)
			continue
		}
		had := &out[k]
		had.Places = append(had.Places, Place{at, line})
		had.Count++
		j.unite(had, &c)
	}
	for i := range out {
		j.decide(&out[i])
	}
	return out
}

// unite keeps the better place for the context. What was once said to be harmless
// stays so.
func (j *judge) unite(had, c *Candidate) {
	keep := had.Doubts
	if c.Score > had.Score {
		c.Places, c.Count = had.Places, had.Count
		c.Defanged = c.Defanged || had.Defanged
		*had, *c = *c, *had
		keep = c.Doubts
	}
	had.Defanged = had.Defanged || c.Defanged
	for _, l := range c.Labels {
		if !slices.Contains(had.Labels, l) && len(had.Labels) < maxLabels {
			had.Labels = append(had.Labels, l)
		}
	}
	if had.Category == 0 {
		had.Category = c.Category
	}
	for _, d := range slices.Concat(keep, c.Doubts) {
		if d.Code == "harmless" && !slices.ContainsFunc(had.Doubts, func(h Doubt) bool { return h.Code == d.Code }) {
			had.Doubts = append(had.Doubts, d)
		}
	}
}

// place gives the offset and line of a place of the text in the original.
func (j *judge) place(at int) (offset, line int) {
	at = j.d.origin(at)
	if at < j.counted { // within one HTML text
		return at, 1 + strings.Count(j.d.original[:at], "\n")
	}
	j.lines += strings.Count(j.d.original[j.counted:at], "\n")
	j.counted = at
	return at, j.lines + 1
}

// weigh looks at a hit where it stands.
func (j *judge) weigh(h *hit) Candidate {
	d := j.d
	for j.lineAt+1 < len(d.lines) && int(d.lines[j.lineAt+1].start) <= h.from {
		j.lineAt++
	}
	l := &d.lines[j.lineAt]
	to := min(h.to, int(l.end))
	if to <= h.from {
		to = h.to
	}
	from, end := d.sentence(j.lineAt, h.from, to)
	c := Candidate{
		Value: h.atom.String(), Kind: h.atom.Kind, KindName: h.atom.Kind.String(), Defanged: h.defanged,
		Written: readable(d.text[h.from:min(h.to, h.from+maxSentence)]), Sentence: readable(d.text[from:end]), Doubts: h.doubts,
	}
	lead := ""
	about := neutral
	if l.heading >= 0 {
		head := &d.headings[l.heading]
		c.Section, about = readable(head.title), head.kind
		c.Labels = slices.Clone(head.labels)
	}
	if l.lead >= 0 {
		lead = d.text[d.lines[l.lead].start:d.lines[l.lead].end]
		if kindOf(lead) != neutral && (len(lead) < 80 || kindOf(lead) == harmless) {
			about = kindOf(lead)
		}
	}
	c.Category = categoryOf(c.Section, lead, c.Sentence)
	c.Score = j.score(h, about)
	j.doubt(&c, h, about, d.text[from:h.from], d.text[to:max(to, end)])
	return c
}

func (j *judge) score(h *hit, about kind) int {
	score := 25
	switch n := sortOf(&h.atom); {
	case h.defanged:
		score = 60
	case n < 0:
		score = 55
	}
	switch about {
	case indicators:
		score += 30
	case references:
		score -= 40
	case defense:
		score -= 5
	}
	n := sortOf(&h.atom)
	if n >= 0 && !h.defanged && j.defangs[n] {
		score = min(score, 45) // who defangs writes links plainly
	}
	return max(score, 0)
}

var (
	// Before and after a value, in its sentence.
	harmlessBefore = regexp.MustCompile(`(?i)\b(?:not (?:been )?(?:affected|malicious|compromised|involved|block\w*|related)|false positives?|legitimate(?: (?:site|website|domain|service|server|address|host|page|url)s?)?|benign|harmless|unrelated|(?:white|allow) ?-?list\w*|do not block|impersonat\w+|mimic\w*|imitat\w+|spoof(?:s|ed|ing)?|posing as|pretend\w* to be|typosquat\w* (?:of|on)|lookalikes? of|resembl\w+)[^.;]{0,40}$`)
	harmlessAfter  = regexp.MustCompile(`(?i)^[^.;]{0,30}\b(?:(?:is|are|was|were|has|have)(?: been| itself| themselves| also)? (?:not (?:been )?(?:affected|malicious|compromised|involved|related)|legitimate|benign|harmless|unrelated|un ?affected|a false positive|false positives|(?:a |the )?legitimate)|not affected|\(?(?:legitimate|benign|false positive)\)?)\b`)
	versionBefore  = regexp.MustCompile(`(?i)(?:\bversions?\b|\bver\.?|\bv\.?|\bbuilds?\b|\breleases?\b|\bfirmware\b|\bupdate(?:d)? to\b|\bupgrade(?:d)? to\b|\bpatch(?:ed)?\b|\bprior to\b|\bearlier than\b|\bOID\b|\bsection\b|\brev(?:ision)?\b)[^.;\n]{0,12}(?:\d+(?:\.\d+){2,3}(?:,| and| or| to| through| -)* ?){0,4}$`)
	versionAfter   = regexp.MustCompile(`(?i)^ ?(?:or (?:later|newer|earlier|higher)|and (?:earlier|later|below|above|prior|older)|and before|release\b|build\b|update\b)`)
	contactBefore  = regexp.MustCompile(`(?i)\b(?:contact\w*|report (?:it|them|this|suspicious|incidents?)?[^.;]{0,20}to|e-?mail us|questions|feedback|press|media|write to|reach (?:us|out)|inquiries|subscribe)\b[^.;\n]{0,40}$`)
	referBefore    = regexp.MustCompile(`(?i)\b(?:see|source|sources|via|according to|published (?:at|by|on)|available (?:at|from|on|here)|read more|more information|further information|reference|report by|blog|advisory|cf\.|originally)\b[^.;\n]{0,50}$`)
	commitBefore   = regexp.MustCompile(`(?i)\b(?:commit|revision|git|tree|signed-off|fixed in)\b[^.;\n]{0,20}$`)
)

// saidHarmless tells "imitates a.example" from "was imitated by a.example".
func saidHarmless(before string) bool {
	m := harmlessBefore.FindStringIndex(before)
	return m != nil && !strings.Contains(before[m[0]:], " by ")
}

// doubt adds what speaks against an indicator.
func (j *judge) doubt(c *Candidate, h *hit, about kind, before, after string) {
	add := func(code, why string) { c.Doubts = append(c.Doubts, Doubt{code, why}) }
	before = before[max(0, len(before)-120):]
	after = after[:min(len(after), 90)]
	lower := strings.ReplaceAll(before, "\n", " ")
	switch {
	case about == references:
		add("references", "it stands among references")
	case about == harmless:
		add("harmless", "it stands under a heading of what is not affected")
	case saidHarmless(lower):
		add("harmless", "the text before it says that it is not affected, or only imitated")
	case harmlessAfter.MatchString(strings.ReplaceAll(after, "\n", " ")):
		add("harmless", "the text behind it says that it is not affected")
	}
	k := h.atom.Kind
	host := hostOf(h.atom)
	switch {
	case k == observable.Addr && !h.defanged && h.atom.Port == 0 && (versionBefore.MatchString(lower) || versionAfter.MatchString(after)):
		add("version", "it reads as a version number")
	case k == observable.FileName && about != indicators && !strings.ContainsAny(before[max(0, len(before)-3):], "\"'`“"):
		add("file-name", "it is named in the text without quotes, as tools of the system are")
	case k == observable.Mail && contactBefore.MatchString(lower):
		add("contact", "it is given as a contact")
	case k >= observable.MD5 && commitBefore.MatchString(lower):
		add("commit", "it reads as a revision of a program")
	case k >= observable.MD5 && emptyHash[h.atom.Value]:
		add("empty-file", "it is the hash of an empty file")
	case sortOf(&h.atom) == 0 && !h.defanged && about != indicators && referBefore.MatchString(lower):
		add("link", "it is named as a source")
	}
	if host != "" {
		j.doubtName(c, h, host, add)
	}
	if k == observable.Addr || k == observable.Prefix {
		j.doubtAddress(h, add)
	}
}

func (j *judge) doubtName(c *Candidate, h *hit, host string, add func(code, why string)) {
	own := registered(host)
	page := h.atom.Kind == observable.URL && h.defanged && !strings.HasSuffix(h.atom.Value, host+"/")
	switch {
	case slices.Contains(j.publisher, own):
		add("publisher", "it is of who published the report")
	case wellKnown[own] && !page:
		add("well-known", own+" is known to everybody")
	}
	if j.opt.Demonstration {
		return
	}
	last := lastLabel(host)
	if last == "example" || last == "test" || last == "invalid" || last == "localhost" || own == "example.com" || own == "example.net" || own == "example.org" {
		add("example", "the name is reserved for examples (RFC 2606)")
	}
}

var documentation = prefixes("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func (j *judge) doubtAddress(h *hit, add func(code, why string)) {
	text, _, _ := strings.Cut(h.atom.Value, "/")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return
	}
	switch {
	case a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || a.Is4() && (a.As4()[0] >= 240 || a.As4()[0] == 0):
		add("not-public", "the address is not one of the public network")
	case !j.opt.Demonstration && slices.ContainsFunc(documentation, func(p netip.Prefix) bool { return p.Contains(a) }):
		add("example", "the address is reserved for documentation (RFC 5737, RFC 3849)")
	}
}

// hostOf is the name in a value; empty for an address.
func hostOf(a observable.Atom) string {
	switch a.Kind {
	case observable.Domain:
		return a.Value
	case observable.Mail:
		return a.Value[strings.LastIndexByte(a.Value, '@')+1:]
	case observable.URL:
		_, rest, _ := strings.Cut(a.Value, "://")
		end := strings.IndexAny(rest, "/?")
		if end >= 0 {
			rest = rest[:end]
		}
		if strings.HasPrefix(rest, "[") {
			return ""
		}
		rest, _, _ = strings.Cut(rest, ":")
		_, err := netip.ParseAddr(rest)
		if err == nil {
			return ""
		}
		return rest
	}
	return ""
}

// decide says whether a candidate is taken.
func (j *judge) decide(c *Candidate) {
	plain := !c.Defanged && sortOf(&observable.Atom{Kind: c.Kind}) >= 0
	switch {
	case slices.Contains(j.opt.Leave, c.Value):
		c.Doubts = append(c.Doubts, Doubt{"left", "an analyst left it out"})
		return
	case slices.Contains(j.opt.Take, c.Value):
		c.Take = true
		return
	}
	if plain && c.Score < takeFrom {
		if !j.opt.Fanged {
			c.Doubts = append(c.Doubts, Doubt{"fanged", "it is written plainly, as links are"})
		}
		c.Take = len(c.Doubts) == 0
		return
	}
	c.Take = len(c.Doubts) == 0 && c.Score >= takeFrom
}

var emptyHash = map[string]bool{
	"d41d8cd98f00b204e9800998ecf8427e": true, "da39a3ee5e6b4b0d3255bfef95601890afd80709": true,
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": true,
}

// wellKnown are registered names that reports mention and do not mean: vendors,
// platforms, those who publish on threats. A URL below one of them is not doubted
// when it is defanged: attackers use platforms.
var wellKnown = map[string]bool{}

func init() {
	for n := range strings.FieldsSeq(`microsoft.com windows.com windowsupdate.com office.com office365.com live.com azure.com google.com gmail.com
		googleapis.com gstatic.com youtube.com apple.com icloud.com amazon.com amazonaws.com cloudflare.com facebook.com meta.com twitter.com x.com
		linkedin.com instagram.com telegram.org t.me discord.com slack.com github.com githubusercontent.com github.io gitlab.com bitbucket.org
		dropbox.com pastebin.com wikipedia.org mozilla.org adobe.com oracle.com cisco.com ibm.com vmware.com fortinet.com citrix.com ivanti.com
		paloaltonetworks.com crowdstrike.com mandiant.com fireeye.com talosintelligence.com kaspersky.com securelist.com eset.com welivesecurity.com
		symantec.com broadcom.com trendmicro.com sophos.com malwarebytes.com sentinelone.com checkpoint.com proofpoint.com secureworks.com
		recordedfuture.com virustotal.com any.run hybrid-analysis.com joesandbox.com urlscan.io shodan.io censys.io abuse.ch malpedia.caad.fkie.fraunhofer.de
		mitre.org nist.gov cisa.gov us-cert.gov fbi.gov ic3.gov nsa.gov cyber.gov.au ncsc.gov.uk bsi.bund.de enisa.europa.eu europa.eu first.org sans.org
		cve.org medium.com bleepingcomputer.com thehackernews.com krebsonsecurity.com reddit.com stackoverflow.com python.org debian.org ubuntu.com
		redhat.com docker.com npmjs.com pypi.org w3.org ietf.org iana.org icann.org archive.org archive.is`) {
		wellKnown[registered(n)] = true
	}
}
