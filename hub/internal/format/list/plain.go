package list

import (
	"encoding/base64"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/observable"
)

// comments reports whether a line, or what stands behind a value, is a comment.
func comments(line string) bool {
	return line[0] == '#' || line[0] == ';' || line[0] == '!' || strings.HasPrefix(line, "//")
}

// plain reads a line of a plain list: the value is its first field. Behind white
// space, or behind a comma, semicolon or bar when the field holds no slash, stand
// fields that nobody named, which are passed over, or a comment, which is kept.
func (l *Reader) plain(line string) {
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return
	case comments(line):
		l.comment(line)
		return
	case strings.HasPrefix(line, "@@||") || strings.HasPrefix(line, "||"):
		l.blocker(line)
		return
	case strings.HasPrefix(line, "[Adblock") || strings.HasPrefix(line, "[AdGuard"):
		l.skip()
		return
	}
	v, rest := field(line)
	if v == "" {
		l.problem(codeMissing, "the line begins with a separator and has no value")
		return
	}
	next, _ := field(rest)
	switch {
	case sink(v) && strings.Contains(next, "."):
		_, err := netip.ParseAddr(next)
		if err != nil {
			l.problem(codeValue, "it is the line of a hosts file: deliver the file with format hosts")
			return
		}
	case portOf(next):
		v += " " + next
		rest = strings.TrimSpace(strings.TrimPrefix(rest, next))
	}
	l.bareValue(v)
	if rest != "" && comments(rest) {
		remark(&l.queue[len(l.queue)-1], strings.TrimLeft(rest, "#;/! \t"))
	}
}

// field cuts the first field off.
func field(line string) (v, rest string) {
	if line != "" && (line[0] == '"' || line[0] == '\'') {
		end := strings.IndexByte(line[1:], line[0])
		if end >= 0 {
			return strings.TrimSpace(line[1 : 1+end]), strings.TrimLeft(line[end+2:], " \t,;|")
		}
	}
	end := strings.IndexFunc(line, unicode.IsSpace)
	if end < 0 {
		end = len(line)
	}
	v, rest = line[:end], strings.TrimSpace(line[end:])
	if !strings.Contains(v, "/") {
		cut := strings.IndexAny(v, ",;|")
		if cut >= 0 {
			return v[:cut], strings.TrimLeft(line[cut:], " \t,;|")
		}
	}
	return v, rest
}

// bareValue adds a value as lists write it: a star before a name and a port
// behind it are not part of what can be matched.
func (l *Reader) bareValue(v string) {
	v = strings.TrimPrefix(v, "*.")
	if v == "" {
		l.problem(codeMissing, "the line has no value")
		return
	}
	if v[0] == '/' {
		l.problem(codeUnobservable, "it is a path without a host, which no service can see")
		return
	}
	if name, port, ok := namePort(v); ok {
		remark(l.name(name), "port "+port)
		return
	}
	l.value(v)
}

// namePort tells a name with a port from everything else that has a colon.
func namePort(v string) (name, port string, ok bool) {
	i := strings.IndexByte(v, ':')
	if i <= 0 || i+1 == len(v) || len(v)-i > 6 || !strings.Contains(v[:i], ".") {
		return "", "", false
	}
	n, err := strconv.ParseUint(v[i+1:], 10, 16)
	if err != nil || n == 0 {
		return "", "", false
	}
	last := v[strings.LastIndexByte(v[:i], '.')+1 : i]
	_, err = strconv.ParseUint(last, 10, 64)
	if last == "" || err == nil {
		return "", "", false // an address
	}
	return v[:i], v[i+1:], true
}

// portOf reports whether a field narrows the address before it: 443/tcp.
func portOf(s string) bool {
	port, proto, ok := strings.Cut(s, "/")
	if !ok || proto == "" || len(s) > 20 {
		return false
	}
	_, err := strconv.ParseUint(port, 10, 16)
	return err == nil && (proto == "any" || proto == "tcp" || proto == "udp" || proto == "sctp")
}

// blocker reads the one form of a rule for ad blockers that says nothing but a
// name: ||name^.
func (l *Reader) blocker(line string) {
	rule, benign := strings.CutPrefix(line, "@@")
	name, options, ok := strings.Cut(strings.TrimPrefix(rule, "||"), "^")
	if !ok || options != "" && options != "$important" && options != "$all" && options != "|" || strings.ContainsAny(name, "/*|$") {
		l.problem(codeUnobservable, "a rule for ad blockers is read only when it is a name between || and ^")
		return
	}
	r := l.name(name)
	r.Benign = benign && r.Problem == nil
}

// sink reports whether an address is one that hosts files send bad names to.
func sink(v string) bool {
	a, err := netip.ParseAddr(v)
	return err == nil && (a.IsUnspecified() || a.IsLoopback() || v == "255.255.255.255")
}

// ours are the names that hosts files of all systems have.
var ours = map[string]bool{
	"localhost": true, "localhost.localdomain": true, "localhost4": true, "localhost6": true, "local": true, "broadcasthost": true,
	"localhost4.localdomain4": true, "localhost6.localdomain6": true, "ip6-localhost": true, "ip6-loopback": true, "ip6-localnet": true,
	"ip6-mcastprefix": true, "ip6-allnodes": true, "ip6-allrouters": true, "ip6-allhosts": true, "0.0.0.0": true,
}

// hosts reads a line of a hosts file: an address and names.
func (l *Reader) hosts(line string) {
	text, about, _ := strings.Cut(line, "#")
	if strings.TrimSpace(text) == "" {
		l.comment(about)
		return
	}
	f := strings.Fields(text)
	a, err := netip.ParseAddr(f[0])
	switch {
	case err != nil:
		l.problem(codeSyntax, "the line does not begin with an address, as lines of a hosts file do")
		return
	case len(f) == 1:
		l.problem(codeMissing, "no name follows the address")
		return
	case ours[strings.ToLower(f[1])] || a.IsMulticast():
		l.skip()
		return
	case !sink(f[0]):
		l.problem(codeValue, "the line gives its name an address that works, so it blocks nothing; only 0.0.0.0, :: and loopback addresses do")
		return
	}
	for _, n := range f[1:] {
		remark(l.name(n), about)
	}
}

// dataset reads a line of a dataset or datarep file: a string in base64, a
// hash or an address, and perhaps a reputation behind a comma.
func (l *Reader) dataset(line string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		if line != "" {
			l.comment(line)
		}
		return
	}
	v, rest, _ := strings.Cut(line, ",")
	v = strings.TrimSpace(v)
	if _, err := observable.FromValue(v); err != nil || !strings.ContainsAny(v, ".:") && len(v) != 32 && len(v) != 64 {
		text, err := base64.StdEncoding.DecodeString(v)
		if err != nil || len(text) == 0 || !utf8.Valid(text) || strings.ContainsFunc(string(text), unicode.IsControl) {
			l.problem(codeValue, "it is neither base64 of a text, nor a hash, nor an address")
			return
		}
		v = string(text)
	}
	l.bareValue(strings.TrimPrefix(v, "."))
	if rest != "" {
		remark(&l.queue[len(l.queue)-1], "reputation "+rest)
	}
}

var hyphens = strings.NewReplacer("_", "-", " ", "-")

// category finds the category in one word of a source.
func category(word string) contract.Category {
	w := strings.ToLower(hyphens.Replace(word))
	switch {
	case strings.Contains(w, "command-and-control"), strings.HasSuffix(w, "-c2"), w == "c2", w == "cnc", w == "c&c":
		return contract.CommandAndControl
	case strings.Contains(w, "phish"), w == "credential-theft", w == "social-engineering":
		return contract.Phishing
	case w == "exploit-kit", w == "delivery", strings.HasPrefix(w, "ek-"):
		return contract.Delivery
	case w == "exfiltration":
		return contract.Exfiltration
	case strings.Contains(w, "scanner"), w == "network-scan", w == "attempted-recon":
		return contract.Scanning
	}
	return contract.Other
}
