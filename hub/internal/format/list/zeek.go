package list

import (
	"slices"
	"strconv"
	"strings"

	"ecs/observable"
)

// zeek is what the header of an intelligence file says.
type zeek struct {
	columns []string
	empty   string
	unset   string
}

// kindsOfZeek are the types of Zeek's Intel framework (Intel::Type) that a
// service can see; those of zero kind tell their kind by their looks.
var kindsOfZeek = map[string]observable.Kind{
	"Intel::ADDR": observable.Addr, "Intel::SUBNET": observable.Prefix, "Intel::URL": observable.URL, "Intel::EMAIL": observable.Mail,
	"Intel::DOMAIN": observable.Domain, "Intel::FILE_NAME": observable.FileName, "Intel::FILE_HASH": observable.None,
}

// intel reads a line of a Zeek intelligence file: fields between tabs, in the
// order that the line #fields gives.
func (l *Reader) intel(line string) {
	z := &l.zeek
	if line == "" {
		return
	}
	if line[0] == '#' {
		name, rest, _ := strings.Cut(line, "\t")
		switch name {
		case "#fields":
			l.columns(rest)
		case "#empty_field":
			z.empty = rest
		case "#unset_field":
			z.unset = rest
		default:
			l.comment(line)
		}
		return
	}
	if z.columns == nil {
		l.problem(codeSyntax, "the line comes before one that begins with #fields and names the columns")
		return
	}
	f := strings.Split(line, "\t")
	if len(f) != len(z.columns) {
		l.problem(codeSyntax, strconv.Itoa(len(f))+" fields between tabs, and #fields names "+strconv.Itoa(len(z.columns)))
		return
	}
	var value, kind, about string
	confidence := -1
	var labels []string
	for i, v := range f {
		if v == z.unset || v == z.empty || v == "" {
			continue
		}
		v = unescape(v)
		switch z.columns[i] {
		case "indicator":
			value = v
		case "indicator_type":
			kind = v
		case "meta.confidence":
			n, err := strconv.ParseFloat(v, 64)
			if err != nil || !(n >= 0 && n <= 100) {
				l.problem(codeValue, "meta.confidence is not a number from 0 to 100")
				return
			}
			confidence = int(n)
		case "meta.source":
			labels = append(labels, clip(v, maxLabel))
		case "meta.desc", "meta.url":
			about = strings.TrimSpace(about + "\n" + v)
		}
	}
	k, ok := kindsOfZeek[kind]
	switch {
	case value == "":
		l.problem(codeMissing, "the line has no indicator")
		return
	case kind == "":
		l.problem(codeMissing, "the line has no indicator_type")
		return
	case !ok:
		l.problem(codeUnobservable, "no service sees indicators of type "+clip(kind, 40))
		return
	}
	if k == observable.URL && !strings.Contains(value, "://") {
		value = "http://" + value // Zeek writes URLs without their scheme
	}
	r := l.value(value)
	r.Kind, r.Confidence, r.Labels = k, confidence, labels
	remark(r, about)
}

func (l *Reader) columns(rest string) {
	columns := strings.Split(rest, "\t")
	if !slices.Contains(columns, "indicator") || !slices.Contains(columns, "indicator_type") {
		l.problem(codeMissing, "#fields names no indicator or no indicator_type")
		return
	}
	l.zeek.columns = columns
	if l.zeek.unset == "" {
		l.zeek.unset = "-"
	}
	if l.zeek.empty == "" {
		l.zeek.empty = "(empty)"
	}
}

// unescape undoes \xHH, as Zeek's ASCII reader does.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) && s[i+1] == 'x' {
			n, err := strconv.ParseUint(s[i+2:i+4], 16, 8)
			if err == nil {
				out, i = append(out, byte(n)), i+3
				continue
			}
		}
		out = append(out, s[i])
	}
	return strings.ToValidUTF8(string(out), "\uFFFD")
}
