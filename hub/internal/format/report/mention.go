package report

import (
	"regexp"
	"slices"
	"strings"

	"ecs/contract"
)

var (
	cve       = regexp.MustCompile(`(?i)\bCVE-(?:19|20)\d\d-\d{4,7}\b`)
	technique = regexp.MustCompile(`\b(?:T[01]\d{3}(?:[./]\d{3})?|TA00\d\d|TA01\d\d)\b`)
	tlp       = regexp.MustCompile(`(?i)\b(?:TLP ?[:\-] ?(?:CLEAR|WHITE|GREEN|AMBER(?: ?[+_\- ] ?STRICT\b)?|RED)|PAP ?: ?(?:CLEAR|WHITE|GREEN|AMBER|RED))\b`)
	level     = regexp.MustCompile(`(?m)^[ \t*(#]*((?:UNCLASSIFIED|CONFIDENTIAL|SECRET|TOP SECRET|CUI|CONTROLLED|U|C|S|TS)//[A-Z0-9/ ,\-]{2,60}|UNCLASSIFIED|CONFIDENTIAL|SECRET|TOP SECRET|CUI)[ \t*)]*\r?$`)
	group     = regexp.MustCompile(`\b(?:(?:APT|FIN|UNC|TAG|UAC|DEV|STAC|Storm|TEMP|TA)-?\d{1,5})\b`)
	operation = regexp.MustCompile(`\b(?:Operation|Campaign)\s+[“"']?([A-Z][\w-]+(?: [A-Z][\w-]+)?)`)
	family    = regexp.MustCompile(`\b([A-Z][A-Za-z0-9]{2,}(?:[ -](?:[A-Z][A-Za-z0-9]*|\d[\d.]*))?)\s+(?:ransomware|malware|stealer|loader|downloader|RAT|botnet|backdoor|trojan|wiper|campaign|implant|C2|infrastructure|samples?|payloads?|hashes|domains|indicators|IOCs|IoCs|servers?)\b`)
)

// notFamilies are words that begin headings without naming anything.
var notFamilies = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq("network host file files malicious new the phishing domain domains known observed related additional all command other associated active recent latest technical ip url email mail hash attacker adversary threat indicators indicator ioc iocs our this credential initial second first campaign operation malware ransomware md5 sha1 sha256 windows linux android delivery exfiltration scanning appendix section and control key c2 rat infrastructure servers") {
		notFamilies[w] = true
	}
}

// namesIn gives the families, campaigns and actors that a heading names.
func namesIn(title string) []string {
	var out []string
	add := func(s string) {
		if len(out) < 8 && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, m := range group.FindAllString(title, 8) {
		add(m)
	}
	for _, m := range operation.FindAllStringSubmatch(title, 4) {
		add("Operation " + m[1])
	}
	for _, m := range family.FindAllStringSubmatch(title, 8) {
		first, second, two := strings.Cut(m[1], " ")
		switch {
		case notFamilies[strings.ToLower(first)]:
		case two && notFamilies[strings.ToLower(second)]:
			add(first)
		default:
			add(m[1])
		}
	}
	return out
}

// mentions gives the labels of a whole report: vulnerabilities, techniques, and what
// its first heading names.
func mentions(d *document) []string {
	var out []string
	add := func(s string) {
		if len(out) < maxLabels && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	if len(d.headings) > 0 {
		for _, n := range d.headings[0].labels {
			add(n)
		}
	}
	for _, m := range cve.FindAllString(d.text, 1000) {
		add(strings.ToUpper(m))
	}
	for _, m := range technique.FindAllString(d.text, 1000) {
		add(strings.Replace(m, "/", ".", 1))
	}
	return out
}

// banners gives the words of marking, wherever they stand: all of them count.
func banners(text string) []string {
	var out []string
	add := func(s string) {
		s = strings.ToUpper(strings.Join(strings.Fields(s), " "))
		if len(out) < 16 && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	for _, m := range tlp.FindAllString(text, 1000) {
		m = strings.ToUpper(strings.ReplaceAll(m, " ", ""))
		m = strings.Replace(m, "TLP-", "TLP:", 1)
		if i := strings.Index(m, "STRICT"); i > 0 {
			m = "TLP:AMBER+STRICT"
		}
		add(m)
	}
	for _, m := range level.FindAllStringSubmatch(text, 100) {
		add(m[1])
	}
	return out
}

var categories = []struct {
	category contract.Category
	words    *regexp.Regexp
}{
	{contract.CommandAndControl, regexp.MustCompile(`(?i)\b(?:c2|c&c|cnc|command[- ]and[- ]control|beacon(?:s|ed|ing)?|callback)\b`)},
	{contract.Exfiltration, regexp.MustCompile(`(?i)\bexfil\w*\b`)},
	{contract.Phishing, regexp.MustCompile(`(?i)\b(?:spear)?phish\w*\b|\bcredential (?:harvest\w*|theft)\b|\blures?\b`)},
	{contract.Delivery, regexp.MustCompile(`(?i)\b(?:deliver\w*|download\w*|payloads?|dropper|staging|stager|hosts? the malware|malware distribution)\b`)},
	{contract.Scanning, regexp.MustCompile(`(?i)\b(?:scann(?:er|ers|ing|ed)|brute[- ]?forc\w*|password spray\w*)\b`)},
}

// categoryOf takes the first text that names a category, and of it the first name.
func categoryOf(texts ...string) contract.Category {
	for _, t := range texts {
		best, at := contract.Other, len(t)+1
		for _, c := range categories {
			m := c.words.FindStringIndex(t)
			if m != nil && m[0] < at {
				best, at = c.category, m[0]
			}
		}
		if best != contract.Other {
			return best
		}
	}
	return contract.Other
}
