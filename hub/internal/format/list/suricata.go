package list

import (
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/observable"
)

// rule is a rule of Suricata or Snort as far as it matters here.
type rule struct {
	action, proto, source, sourcePort, target, targetPort string
	contents                                              []content
	message, sid, updated                                 string
	labels                                                []string
	category                                              contract.Category
	confidence                                            int
	other                                                 string // a condition that no service can observe
}

// content is one text that a rule looks for in one buffer.
type content struct {
	buffer     string // dns.query, tls.sni, http.host, http.uri
	text       string
	negated    bool
	start, end bool // anchored there
	size       int  // of the whole buffer, -1 when the rule does not say
}

// buffers that say which name or URL is asked for, in all spellings; true for
// those that stand behind their content in older rules.
var buffers = map[string]string{
	"dns.query": "dns.query", "dns_query": "dns.query", "tls.sni": "tls.sni", "tls_sni": "tls.sni", "quic.sni": "tls.sni",
	"http.host": "http.host", "http.host.raw": "http.host", "http.uri": "http.uri", "http.uri.raw": "http.uri",
}

// behind are the modifiers of older rules, which stand behind their content.
var behind = map[string]string{"http_host": "http.host", "http_raw_host": "http.host", "http_uri": "http.uri", "http_raw_uri": "http.uri"}

// neutral are options that do not narrow what a rule matches, or only by the
// direction and state of a connection, which leave the value as bad as it is.
var neutral = map[string]bool{
	"rev": true, "gid": true, "priority": true, "flow": true, "threshold": true, "detection_filter": true, "target": true,
	"fast_pattern": true, "noalert": true, "flags": true, "requires": true, "tag": true, "nocase": true, "rawbytes": true, "dotprefix": true,
	"to_lowercase": true,
}

// rule reads a line with a rule. A rule is taken when all that it asks for is a
// name, a URL or addresses; one that asks for more would be broader without it.
func (l *Reader) rule(line string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		if line != "" {
			l.comment(line)
		}
		return
	}
	open := strings.IndexByte(line, '(')
	if open < 0 || !strings.HasSuffix(line, ")") {
		l.problem(codeSyntax, "not a rule in one line: want action, header, and options in parentheses")
		return
	}
	f := header(line[:open])
	if len(f) != 7 || f[4] != "->" && f[4] != "<>" {
		l.problem(codeSyntax, "the header of the rule is not: action, protocol, address, port, ->, address, port")
		return
	}
	r := &l.one
	*r = rule{
		action: f[0], proto: strings.ToLower(f[1]), source: f[2], sourcePort: f[3], target: f[5], targetPort: f[6], confidence: -1,
		contents: r.contents[:0], labels: r.labels[:0],
	}
	why := r.options(line[open+1 : len(line)-1])
	if why != "" {
		l.problem(codeSyntax, why)
		return
	}
	from := len(l.queue)
	code, why := l.seen(r)
	if why != "" {
		l.queue = l.queue[:from]
		l.problem(code, why)
		return
	}
	for i := range l.queue[from:] {
		x := &l.queue[from+i]
		x.Labels, x.Category, x.Confidence, x.Benign = r.labels, r.category, r.confidence, r.action == "pass"
		if r.sid != "" {
			x.Reference = "sid:" + r.sid
		}
		remark(x, r.message)
		t, err := time.Parse("2006_01_02", r.updated)
		if err == nil && t.Year() >= 1990 && t.Year() <= 2200 {
			x.Observed = t
		}
	}
}

// options reads the options: name, or name:value, each ended by a semicolon.
func (r *rule) options(s string) (why string) {
	buffer := ""
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		end := endOfOption(s)
		if end < 0 {
			return "an option of the rule does not end with a semicolon"
		}
		name, value, _ := strings.Cut(s[:end], ":")
		s = s[end+1:]
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if b, ok := buffers[name]; ok {
			buffer = b
			continue
		}
		why = r.option(name, value, buffer)
		if why != "" {
			return why
		}
	}
	return ""
}

func endOfOption(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case ';':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

func (r *rule) option(name, value, buffer string) (why string) {
	var last *content
	if len(r.contents) > 0 {
		last = &r.contents[len(r.contents)-1]
	}
	switch name {
	case "msg":
		r.message = strings.TrimSpace(unquote(value) + "\n" + r.message)
	case "reference":
		r.message = strings.TrimSpace(r.message + "\n" + unquote(value))
	case "sid":
		_, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return "sid is not a number"
		}
		r.sid = value
	case "classtype":
		r.labels = append(r.labels, clip(value, maxLabel))
		r.category = category(value)
	case "metadata":
		r.metadata(value)
	case "flowbits", "xbits", "hostbits", "flowint":
		if strings.HasPrefix(strings.TrimSpace(value), "isset") || strings.HasPrefix(strings.TrimSpace(value), "isnotset") || name == "flowint" {
			r.other = name
		}
	case "content":
		c := content{buffer: buffer, size: -1}
		value, c.negated = strings.CutPrefix(value, "!")
		var ok bool
		c.text, ok = decode(unquoted(strings.TrimSpace(value)))
		if !ok {
			return "a content of the rule is not text between quotes"
		}
		r.contents = append(r.contents, c)
	case "startswith", "endswith", "bsize", "isdataat", "depth", "offset":
		switch {
		case last == nil:
			r.other = name
		case name == "startswith":
			last.start = true
		case name == "endswith":
			last.end = true
		case name == "isdataat" && strings.ReplaceAll(value, " ", "") == "!1,relative":
			last.end = true
		case name == "depth" && value == strconv.Itoa(len(last.text)), name == "offset" && value == "0":
			last.start = last.start || name == "depth"
		case name == "bsize":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				r.other = "bsize:" + value
				break
			}
			last.size = int(n)
		default:
			r.other = name
		}
	default:
		b, ok := behind[name]
		switch {
		case ok && last != nil:
			last.buffer = b
		case !neutral[name]:
			r.other = name
		}
	}
	return ""
}

// metadata reads pairs of words between commas.
func (r *rule) metadata(value string) {
	for pair := range strings.SplitSeq(value, ",") {
		key, v, _ := strings.Cut(strings.TrimSpace(pair), " ")
		v = strings.TrimSpace(v)
		switch strings.ToLower(key) {
		case "malware_family", "tag", "mitre_tactic_id", "mitre_tactic_name", "mitre_technique_id", "mitre_technique_name", "attack_target", "former_category":
			if len(r.labels) < maxLabels {
				r.labels = append(r.labels, clip(v, maxLabel))
			}
			if r.category == contract.Other {
				r.category = category(v)
			}
		case "updated_at":
			r.updated = v
		case "created_at":
			if r.updated == "" {
				r.updated = v
			}
		case "confidence": // STIX 2.1 appendix A, None/Low/Med/High
			switch strings.ToLower(v) {
			case "low":
				r.confidence = 15
			case "medium":
				r.confidence = 50
			case "high":
				r.confidence = 85
			}
		}
	}
}

// seen adds the records of what the rule asks for, or says why none can be.
func (l *Reader) seen(r *rule) (code, why string) {
	switch {
	case r.other != "":
		return codeUnobservable, "its condition " + clip(r.other, 40) + " is none that a service can observe"
	case r.action != "alert" && r.action != "drop" && r.action != "reject" && r.action != "rejectsrc" && r.action != "rejectdst" && r.action != "rejectboth" && r.action != "pass" && r.action != "block" && r.action != "sdrop" && r.action != "log":
		return codeSyntax, "an action that rules do not have: " + clip(r.action, 40)
	}
	addresses, why := r.addresses()
	switch {
	case why != "":
		return codeUnobservable, why
	case len(r.contents) > 0 && len(addresses) > 0:
		return codeUnobservable, "it asks for an address and for content at once, and no service sees both together"
	case len(addresses) > 0:
		for _, a := range addresses {
			l.value(a)
		}
		return "", ""
	case len(r.contents) == 0:
		return codeUnobservable, "it names neither an address nor a name nor a URL"
	}
	var host, uri *content
	for i := range r.contents {
		c := &r.contents[i]
		slot := &host
		switch {
		case c.buffer == "":
			return codeUnobservable, "it looks for content elsewhere than in the name or URL that is asked for"
		case c.negated:
			return codeUnobservable, "it matches what does not hold a text"
		case c.buffer == "http.uri":
			slot = &uri
		}
		if *slot != nil {
			return codeUnobservable, "it looks for several texts in one name or URL"
		}
		*slot = c
	}
	switch {
	case host == nil:
		return codeUnobservable, "it asks for a path on any host, which no service can see"
	case uri == nil && !host.ends():
		return codeUnobservable, "its content may stand anywhere in the name: endswith or bsize is missing"
	case uri == nil:
		name := strings.TrimPrefix(host.text, ".")
		_, err := observable.Make(observable.Domain, name)
		if err != nil || !strings.Contains(name, ".") {
			return codeUnobservable, "the end of a name that it looks for is no name by itself"
		}
		l.name(name)
		return "", ""
	case host.buffer != "http.host":
		return codeUnobservable, "it asks for a path and for a name that is not that of an HTTP request"
	case !host.whole() || !uri.whole():
		return codeUnobservable, "host and path are not both given from start to end: bsize, or startswith and endswith, is missing"
	}
	l.value("http://" + host.text + uri.text).Kind = observable.URL
	return "", ""
}

// ends reports whether the text is the end of the buffer.
func (c *content) ends() bool { return c.end || c.size == len(c.text) }

// whole reports whether the text is all of the buffer.
func (c *content) whole() bool { return c.size == len(c.text) || c.start && c.end }

var escapes = strings.NewReplacer(`\;`, ";", `\"`, `"`, `\:`, ":", `\\`, `\`)

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	return escapes.Replace(s)
}

// decode undoes the escapes of content: \" \; \: \\ and bytes in hexadecimal
// between bars. What is not plain text is none of ours.
func decode(s string) (string, bool) {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			out = append(out, s[i])
		case s[i] == '|':
			end := strings.IndexByte(s[i+1:], '|')
			if end < 0 {
				return "", false
			}
			for h := range strings.FieldsSeq(s[i+1 : i+1+end]) {
				n, err := strconv.ParseUint(h, 16, 8)
				if err != nil {
					return "", false
				}
				out = append(out, byte(n))
			}
			i += end + 1
		case s[i] == 0xff:
			return "", false
		default:
			out = append(out, s[i])
		}
	}
	return string(out), true
}
