package list

import (
	"encoding/base64"
	"net/netip"
	"path"
	"strings"
	"unicode/utf8"

	"ecs/observable"
)

// maxDetect is how many lines Detect looks at.
const maxDetect = 400

// Detect guesses which kind of list begins with head, the first 4 KiB or more of
// a file with that name (or none). confidence is from 0, no list at all, to 100,
// sure; below 50 a person should be asked. It looks at names of files only where
// the content leaves it open.
func Detect(head []byte, name string) (kind Kind, confidence int) {
	code, _ := other(head)
	if code != "" || len(head) == 0 {
		return "", 0
	}
	head = []byte(strings.TrimPrefix(string(head), "\xef\xbb\xbf"))
	if cut := strings.LastIndexByte(string(head), '\n'); cut >= 0 {
		head = head[:cut] // the last line may be cut off
	}
	if !utf8.Valid(head) {
		return "", 0
	}
	votes := map[Kind]int{}
	lines := 0
	text := string(head)
	switch {
	case strings.HasPrefix(text, "#fields\tindicator"), strings.Contains(text, "\n#fields\tindicator"):
		return Zeek, 100
	case strings.Contains(text, "Maltrail developers"):
		return Maltrail, 100
	}
	for line := range strings.Lines(text) {
		blank := line[0] == ' ' || line[0] == '\t'
		line = strings.TrimSpace(line)
		if line == "" || comments(line) {
			continue
		}
		lines++
		votes[vote(line, blank)]++
		if lines == maxDetect {
			break
		}
	}
	if lines == 0 {
		return byName(name)
	}
	if 5*votes[Dataset] >= lines {
		votes[Dataset] += votes[Plain] // hashes and addresses stand in datasets as they are
	}
	best := Plain
	for _, k := range []Kind{Hosts, RPZ, Suricata, Dataset} {
		if votes[k] > votes[best] {
			best = k
		}
	}
	confidence = 95 * votes[best] / lines
	hint, _ := byName(name)
	switch {
	case confidence == 0:
		return "", 0
	case best == Plain && strings.Contains(text, "# Reference:"):
		return Maltrail, min(confidence, 90)
	case hint == best:
		confidence = min(confidence+5, 100)
	}
	return best, confidence
}

// byName guesses from the name alone.
func byName(name string) (Kind, int) {
	base := strings.ToLower(path.Base(strings.ReplaceAll(name, `\`, "/")))
	switch ext := path.Ext(base); {
	case ext == ".rules":
		return Suricata, 60
	case ext == ".rpz", ext == ".zone", strings.HasPrefix(base, "rpz"), strings.HasPrefix(base, "db.rpz"):
		return RPZ, 60
	case ext == ".intel", ext == ".zeek", ext == ".bro":
		return Zeek, 60
	case ext == ".hosts", base == "hosts", strings.HasPrefix(base, "hosts."):
		return Hosts, 60
	case ext == ".lst":
		return Dataset, 40
	case ext == ".txt", ext == ".list", ext == ".ipset", ext == ".netset":
		return Plain, 40
	}
	return "", 0
}

// vote says what one line looks like; empty when like none.
func vote(line string, blank bool) Kind {
	f := strings.Fields(line)
	switch {
	case strings.HasSuffix(line, ")") && strings.Contains(line, "(") && (strings.Contains(line, " -> ") || strings.Contains(line, " <> ")):
		return Suricata
	case f[0] == "$TTL" || f[0] == "$ORIGIN" || resource(f):
		return RPZ
	case blank && len(f) > 0 && strings.Trim(f[0], "0123456789)") == "":
		return RPZ // the numbers of an SOA record
	}
	if len(f) > 1 {
		_, err := netip.ParseAddr(f[0])
		if err == nil && !portOf(f[1]) && !comments(f[1]) && strings.Trim(f[1], "0123456789") != "" {
			return Hosts
		}
	}
	v, _ := field(line)
	_, _, port := namePort(v)
	if strings.HasPrefix(line, "||") || port || strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "//") {
		return Plain
	}
	_, err := observable.FromValue(strings.TrimPrefix(v, "*."))
	if err == nil && !strings.ContainsAny(line[min(len(v), len(line)):], ",\t") {
		return Plain
	}
	encoded, _, _ := strings.Cut(line, ",")
	raw, bad := base64.StdEncoding.DecodeString(encoded)
	if bad == nil && utf8.Valid(raw) {
		if _, ok := observable.FromValue(string(raw)); ok == nil {
			return Dataset
		}
	}
	if err == nil {
		return Plain
	}
	return ""
}

// resource reports whether the words are a record of a zone file with a type
// that policy zones use.
func resource(f []string) bool {
	for i, w := range f[:min(len(f), 4)] {
		switch strings.ToUpper(w) {
		case "CNAME", "SOA", "NS", "A", "AAAA", "TXT":
			return i+1 < len(f)
		}
	}
	return false
}
