package list

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns" //nolint:depguard // reads single records of zone files; opens no socket

	"ecs/contract"
	"ecs/observable"
)

// zone is where a policy zone has been read to. Its lines are told apart here and
// not by a parser of zone files, which stops at the first mistake, expands
// $GENERATE, and holds no line numbers; a test compares the two.
type zone struct {
	origin, apex, owner string // absolute, without the last dot, lower case
	rooted              bool   // apex is known
	last                string // the trigger that was given last

	tokens []string // of the logical line that is being read
	depth  int      // of its parentheses
	blank  bool     // it begins with white space: the owner is that before
	size   int      // bytes of it
	start  int64    // where it begins
	spoilt string   // why it cannot be read
}

// maxTokens bounds one record of a zone: no trigger needs more, and a TXT record
// may have many.
const maxTokens = 256

// policyZone reads a line of a response policy zone
// (draft-vixie-dnsop-dns-rpz-00, section 4).
func (l *Reader) policyZone(line string) {
	z := &l.zone
	if z.depth == 0 {
		z.tokens, z.size, z.spoilt, z.start = z.tokens[:0], 0, "", l.in.number
		z.blank = line != "" && (line[0] == ' ' || line[0] == '\t')
	}
	z.split(line)
	z.size += len(line)
	if z.size > l.in.max || len(z.tokens) > maxTokens {
		z.spoilt, z.depth = "a record of so many lines or words is none of a policy zone; a parenthesis may be missing", 0
	}
	if z.depth > 0 && z.spoilt == "" {
		return
	}
	z.depth = 0
	l.resource()
}

// endZone says what is missing at the end of the file.
func (l *Reader) endZone() {
	if l.zone.depth > 0 {
		l.zone.depth, l.zone.spoilt = 0, "the file ends inside of a parenthesis"
		l.resource()
	}
}

// split adds the tokens of a line.
func (z *zone) split(line string) {
	for i := 0; i < len(line); {
		switch c := line[i]; c {
		case ' ', '\t', '\r':
			i++
		case ';':
			return
		case '(':
			z.depth++
			i++
		case ')':
			z.depth--
			i++
			if z.depth < 0 {
				z.spoilt, z.depth = "a parenthesis is closed that was not opened", 0
				return
			}
		case '"':
			end := i + 1
			for end < len(line) && line[end] != '"' {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			if end >= len(line) {
				z.spoilt = "a quote is opened and not closed in the same line"
				return
			}
			z.tokens = append(z.tokens, line[i:end+1])
			i = end + 1
		default:
			end := i
			for end < len(line) && !strings.ContainsRune(" \t\r;()\"", rune(line[end])) {
				if line[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(line))
			z.tokens = append(z.tokens, line[i:end])
			i = end
		}
	}
}

// absolute completes a name of the zone file; the last dot is dropped.
func (z *zone) absolute(n string) string {
	n = strings.ToLower(n)
	switch {
	case n == "@":
		return z.origin
	case strings.HasSuffix(n, "."):
		return n[:len(n)-1]
	case z.origin == "":
		return n
	default:
		return n + "." + z.origin
	}
}

// resource reads the record whose tokens are complete.
func (l *Reader) resource() {
	z := &l.zone
	from := len(l.queue)
	switch {
	case z.spoilt != "":
		l.problem(codeSyntax, z.spoilt)
	case len(z.tokens) == 0:
	case z.tokens[0][0] == '$' && !z.blank:
		l.directive()
	default:
		l.owned()
	}
	for i := range l.queue[from:] {
		l.queue[from+i].Line, l.queue[from+i].Place = z.start, l.placeOf(z.start)
	}
}

func (l *Reader) directive() {
	z := &l.zone
	switch strings.ToUpper(z.tokens[0]) {
	case "$ORIGIN":
		if len(z.tokens) != 2 {
			l.problem(codeSyntax, "$ORIGIN wants one name")
			return
		}
		z.origin = z.absolute(z.tokens[1])
		if !z.rooted {
			z.apex, z.rooted = z.origin, true
		}
	case "$TTL":
	default:
		l.problem(codeUnobservable, "of the directives of zone files only $ORIGIN and $TTL are read: deliver the zone written out")
	}
}

// owned reads [owner] [TTL] [class] type data (RFC 1035 section 5.1).
func (l *Reader) owned() {
	z := &l.zone
	t := z.tokens
	if !z.blank {
		z.owner, t = z.absolute(t[0]), t[1:]
	}
	for len(t) > 0 && (lifetime(t[0]) || class(t[0])) {
		t = t[1:]
	}
	if len(t) < 2 {
		l.problem(codeSyntax, "not a record of a zone: want owner, type and data")
		return
	}
	kind := strings.ToUpper(t[0])
	if _, ok := dns.StringToType[kind]; !ok && !strings.HasPrefix(kind, "TYPE") {
		l.problem(codeSyntax, "a type of records that is not known")
		return
	}
	if kind == "SOA" {
		z.apex, z.rooted = z.owner, true
		if z.origin == "" {
			z.origin = z.owner
		}
	}
	switch kind {
	case "SOA", "NS", "DS", "DNSKEY", "CDS", "CDNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "ZONEMD":
		l.skip()
		return
	}
	trigger := z.owner
	switch {
	case trigger == z.apex && z.rooted:
		l.skip() // of the zone itself
		return
	case z.rooted && z.apex != "":
		var ok bool
		trigger, ok = strings.CutSuffix(trigger, "."+z.apex)
		if !ok {
			l.problem(codeValue, "its owner lies outside of the zone")
			return
		}
	}
	l.trigger(trigger, kind, t[1])
}

// trigger maps a trigger and what is to be done about it.
func (l *Reader) trigger(trigger, kind, data string) {
	z := &l.zone
	if strings.Contains(trigger, `\`) {
		l.problem(codeValue, "a name with escaped characters is no host name")
		return
	}
	rest, sort := trigger, ""
	if i := strings.LastIndexByte(trigger, '.'); i >= 0 && strings.HasPrefix(trigger[i+1:], "rpz-") {
		rest, sort = trigger[:i], trigger[i+1:]
	}
	why := map[string]string{
		"rpz-client-ip": "it names clients by their addresses, which the program never handles",
		"rpz-nsdname":   "it means all names that a name server serves, which no service can see",
		"rpz-nsip":      "it means all names that a name server at an address serves, which no service can see",
	}[sort]
	switch {
	case sort == "rpz-client-ip":
		l.problem(codeUnobservable, why)
		l.queue[len(l.queue)-1].Raw = nil // a client's address is not to be kept
		return
	case why != "":
		l.problem(codeUnobservable, why)
		return
	case sort != "" && sort != "rpz-ip":
		l.problem(codeUnobservable, "a trigger of policy zones that is not known")
		return
	}
	target := ""
	if kind == "CNAME" {
		target = strings.ToLower(data)
	}
	switch {
	case target == "rpz-tcp-only.":
		l.skip() // says nothing against the name
		return
	case strings.HasPrefix(target, "rpz-") && target != "rpz-passthru." && target != "rpz-drop.":
		l.problem(codeValue, "an action of policy zones that is not known, or its last dot is missing")
		return
	case trigger == z.last && kind != "CNAME":
		l.skip() // more local data for the same trigger
		return
	}
	z.last = trigger
	r := l.record()
	if sort == "" {
		below, star := strings.CutPrefix(trigger, "*.")
		if below == "" || below == "*" {
			l.queue = l.queue[:len(l.queue)-1]
			l.problem(codeValue, "it has no owner, or one that means every name")
			return
		}
		r.Value, r.Kind = below, observable.Domain
		if star {
			remark(r, "the policy zone lists the names below it, not the name itself")
		}
	} else {
		p, err := reversed(rest)
		if err != nil {
			l.queue = l.queue[:len(l.queue)-1]
			l.problem(codeValue, err.Error())
			return
		}
		r.Value, r.Kind = p.String(), observable.Prefix
		if p.IsSingleIP() {
			r.Value, r.Kind = p.Addr().String(), observable.Addr
		}
	}
	switch {
	case target == "rpz-passthru." || target != "" && z.absolute(target) == strings.TrimPrefix(trigger, "*."):
		r.Benign = true
	case sort == "":
		r.Action, r.ActionSet = contract.Sinkhole, true
	}
}

var errReversed = errors.New("the owner of an rpz-ip trigger is not a length and a reversed address")

// reversed reads 24.0.2.0.192 and 48.zz.db8.2001, the prefixes of triggers
// (section 4.2 of the draft).
func reversed(s string) (netip.Prefix, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 9 {
		return netip.Prefix{}, errReversed
	}
	bits, err := strconv.ParseUint(parts[0], 10, 8)
	if err != nil {
		return netip.Prefix{}, errReversed
	}
	groups := parts[1:]
	slices.Reverse(groups)
	text := strings.Join(groups, ".")
	if len(groups) != 4 || slices.Contains(groups, "zz") {
		text = strings.Join(groups, ":")
		switch i := slices.Index(groups, "zz"); {
		case i < 0:
		case len(groups) == 1:
			text = "::"
		case i == 0:
			text = ":" + strings.Replace(text, "zz", "", 1)
		case i == len(groups)-1:
			text = strings.Replace(text, "zz", "", 1) + ":"
		default:
			text = strings.Replace(text, "zz", "", 1)
		}
	}
	a, err := netip.ParseAddr(text)
	if err != nil || int(bits) > a.BitLen() || a.Zone() != "" {
		return netip.Prefix{}, errReversed
	}
	return netip.PrefixFrom(a, int(bits)).Masked(), nil
}

// lifetime reports whether a token is a TTL: 300, 1h30m.
func lifetime(s string) bool {
	if s == "" || s[0] < '0' || s[0] > '9' {
		return false
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && !strings.ContainsRune("smhdwSMHDW", rune(s[i])) {
			return false
		}
	}
	return true
}

func class(s string) bool {
	switch strings.ToUpper(s) {
	case "IN", "CH", "HS", "CS":
		return true
	}
	return false
}
