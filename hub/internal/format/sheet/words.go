package sheet

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

func itoa(n int) string { return strconv.Itoa(n) }

// field reads one cell that describes the values of its row.
func (p *plan) field(d *draft, f Field, c *cell, header string) (why *format.Problem) {
	d.mark(f)
	v, rec := c.text, &d.rec
	switch f {
	case Pattern:
		d.pattern = v
	case Type:
		d.kind = v
		_, why = p.kinds(v)
	case Port:
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil || n == 0 {
			return problem(codeValue, "port %q is not from 1 to 65535", clip(v))
		}
		d.port = v
	case Protocol:
		d.protocol = strings.ToLower(v)
		_, err := observable.FromValue("192.0.2.1 1/" + d.protocol)
		if err != nil {
			return problem(codeValue, "protocol %q is not known: want tcp, udp, icmp and the like", clip(v))
		}
	case Category:
		rec.Category, why = p.category(v)
	case Action:
		err := rec.Action.UnmarshalText([]byte(strings.ToLower(v)))
		if err != nil {
			return problem(codeValue, "action: %s", err)
		}
		rec.ActionSet = true
	case TLP, Marking:
		rec.Marks, why = p.marks(rec.Marks, f, v)
	case Confidence:
		var n, credibility int
		n, credibility, why = confidence(p.mapping.Scale, v)
		rec.Confidence = n
		if credibility > 0 {
			rec.Credibility = credibility
		}
	case Credibility:
		rec.Credibility, why = admiralty(v)
	case Disclosure:
		var n int
		n, why = number("disclosure", v, 3)
		level := uint8(n)
		rec.Disclosure = &level
	case ValidFrom:
		rec.From, why = p.moment(f, c)
	case ValidUntil:
		rec.Until, why = p.moment(f, c)
	case Observed:
		rec.Observed, why = p.moment(f, c)
	case Summary:
		rec.Summary, why = text("summary", v, maxSummary)
	case Context:
		why = p.context(rec, v, header)
	case Labels:
		d.label(v, "")
	case Reference:
		rec.Reference, why = text("reference", v, maxReference)
	case Notify:
		rec.Notify, why = yesNo(f, v)
	case Enforce:
		rec.Enforce, why = yesNo(f, v)
	case Display:
		rec.Display, why = yesNo(f, v)
	case Benign, Revoked:
		var yes *bool
		yes, why = yesNo(f, v)
		if yes != nil && f == Benign {
			rec.Benign = *yes
		} else if yes != nil {
			rec.Revoked = *yes
		}
	}
	return why
}

// context joins the columns of context, each behind its header.
func (p *plan) context(rec *format.Record, v, header string) (why *format.Problem) {
	if !p.known && header != "" {
		v = header + ": " + v
	}
	if rec.Context != "" {
		v = rec.Context + "\n" + v
	}
	rec.Context, why = text("context", v, maxContext)
	return why
}

// translate gives the mapping's word for a source's, and whether there is one.
func translate(words map[string]string, v string) (string, bool) {
	if len(words) == 0 {
		return v, false
	}
	v = fold(v)
	for w, to := range words {
		if fold(w) == v {
			return to, true
		}
	}
	to, ok := words["*"]
	if !ok {
		return v, false
	}
	return to, true
}

func (p *plan) category(v string) (contract.Category, *format.Problem) {
	var c contract.Category
	word, _ := translate(p.mapping.Categories, v)
	err := c.UnmarshalText([]byte(fold(word)))
	if err == nil {
		return c, nil
	}
	c, ok := categoryWords[fold(word)]
	if p.known || !ok {
		return 0, problem(codeValue, "category %q is not known: want c2, phishing, delivery, exfiltration, scanning or other, or add it to the mapping", clip(v))
	}
	return c, nil
}

var categoryWords = map[string]contract.Category{
	"c&c": contract.CommandAndControl, "cnc": contract.CommandAndControl, "c2 server": contract.CommandAndControl,
	"c2c": contract.CommandAndControl, "botnet_cc": contract.CommandAndControl, "botnet c2": contract.CommandAndControl,
	"command and control": contract.CommandAndControl, "command & control": contract.CommandAndControl,
	"command-and-control": contract.CommandAndControl, "beacon": contract.CommandAndControl,
	"phish": contract.Phishing, "credential phishing": contract.Phishing, "spearphishing": contract.Phishing,
	"malware download": contract.Delivery, "malware_download": contract.Delivery, "payload": contract.Delivery,
	"payload delivery": contract.Delivery, "payload_delivery": contract.Delivery, "download": contract.Delivery,
	"dropper": contract.Delivery, "exploit kit": contract.Delivery, "exfil": contract.Exfiltration,
	"data exfiltration": contract.Exfiltration, "scanner": contract.Scanning, "scan": contract.Scanning,
	"brute force": contract.Scanning, "bruteforce": contract.Scanning, "brute-force": contract.Scanning,
}

// kinds reads a type: one kind, or several divided by bars. None lets the value
// tell.
func (p *plan) kinds(v string) ([]observable.Kind, *format.Problem) {
	if v == "" {
		return nil, nil
	}
	word, _ := translate(p.mapping.Kinds, v)
	if p.known {
		k, err := observable.ParseKind(strings.ToLower(word))
		if err != nil {
			return nil, problem(codeValue, "%s", err)
		}
		return []observable.Kind{k}, nil
	}
	var out []observable.Kind
	for part := range strings.SplitSeq(word, "|") {
		k, ok := kindWord(part)
		if !ok {
			return nil, problem(codeValue, "type %q is not known: add it to the kinds of the mapping", clip(v))
		}
		out = append(out, k)
	}
	return out, nil
}

// kindWord reads a kind as sources write it.
func kindWord(v string) (observable.Kind, bool) {
	v = strings.NewReplacer("_", "-", " ", "-").Replace(fold(v))
	if slices.Contains([]string{"", "any", "ioc", "indicator", "hash", "file-hash", "filehash", "network", "ip:port"}, v) {
		return observable.None, true
	}
	k, err := observable.ParseKind(v)
	if err == nil {
		return k, true
	}
	k, ok := kindWords[v]
	return k, ok
}

var kindWords = map[string]observable.Kind{
	"ip": observable.Addr, "ipv4": observable.Addr, "ipv6": observable.Addr, "ip-address": observable.Addr, "ipaddress": observable.Addr,
	"ipv4-addr": observable.Addr, "ipv6-addr": observable.Addr, "ip-src": observable.Addr, "ip-dst": observable.Addr, "ips": observable.Addr,
	"ipv4-address": observable.Addr, "ipv6-address": observable.Addr, "host-ip": observable.Addr,
	"cidr": observable.Prefix, "subnet": observable.Prefix, "netblock": observable.Prefix, "range": observable.Prefix,
	"domain-name": observable.Domain, "domains": observable.Domain, "hostname": observable.Domain, "fqdn": observable.Domain, "host": observable.Domain,
	"uri": observable.URL, "urls": observable.URL, "link": observable.URL,
	"email": observable.Mail, "e-mail": observable.Mail, "mail": observable.Mail, "email-addr": observable.Mail, "email-address": observable.Mail,
	"email-src": observable.Mail, "email-dst": observable.Mail, "sender": observable.Mail, "e-mail-address": observable.Mail,
	"email-subject": observable.Subject, "mail-subject": observable.Subject, "filename": observable.FileName, "file": observable.FileName,
	"md5-hash": observable.MD5, "hash-md5": observable.MD5, "filehash-md5": observable.MD5,
	"sha-1": observable.SHA1, "sha1-hash": observable.SHA1, "hash-sha1": observable.SHA1, "filehash-sha1": observable.SHA1,
	"sha-256": observable.SHA256, "sha256-hash": observable.SHA256, "hash-sha256": observable.SHA256, "filehash-sha256": observable.SHA256,
	"sha-512": observable.SHA512, "sha512-hash": observable.SHA512, "hash-sha512": observable.SHA512,
}

// marks reads the markings of a cell. A TLP that is none is a problem; what any
// other marking is worth is said by package marking.
func (p *plan) marks(have []marking.Mark, f Field, v string) ([]marking.Mark, *format.Problem) {
	for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ';' || r == '\n' }) {
		part = strings.TrimSpace(part)
		word, found := translate(p.mapping.Markings, part)
		if part == "" {
			continue
		}
		tlp, ok := tlpWord(word)
		switch {
		case ok:
			word = "TLP:" + tlp
		case f == TLP && !found:
			return nil, problem(codeValue, "tlp %q is not known: want clear, green, amber, amber+strict or red", clip(part))
		}
		have = append(have, marking.Parse(word))
	}
	return have, nil
}

// tlpWord reads a TLP as people write it: TLP:AMBER+STRICT, amber, and WHITE, as
// TLP 1.0 called what is CLEAR now.
func tlpWord(v string) (string, bool) {
	v = strings.ToLower(strings.TrimSpace(v))
	v = strings.Trim(strings.TrimPrefix(v, "tlp"), ": _-")
	v = strings.Join(strings.Fields(strings.ReplaceAll(v, "_", "+")), "+")
	if v == "white" {
		v = "clear"
	}
	if v == "amber-strict" || v == "amber++strict" || v == "amber+++strict" {
		v = "amber+strict"
	}
	var t contract.TLP
	err := t.UnmarshalText([]byte(v))
	return strings.ToUpper(v), err == nil
}

func number(name, v string, top int) (int, *format.Problem) {
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > top {
		return 0, problem(codeValue, "%s %q is not a whole number from 0 to %d", name, clip(v), top)
	}
	return n, nil
}

func yesNo(f Field, v string) (*bool, *format.Problem) {
	yes := false
	switch strings.ToLower(v) {
	case "true", "yes", "y", "1", "permit", "x":
		yes = true
	case "false", "no", "n", "0", "deny":
	default:
		return nil, problem(codeValue, "%s %q is neither true nor false", f, clip(v))
	}
	return &yes, nil
}

// scales are the words of STIX 2.1 appendix A, in its numbers.
var scales = map[string]map[string]int{
	"words": {"none": 0, "low": 15, "med": 50, "medium": 50, "moderate": 50, "high": 85},
	"probability": {
		"impossible": 0, "highly unlikely": 10, "almost certainly not": 10, "very unlikely": 10, "unlikely": 30, "probably not": 30,
		"improbable": 30, "even chance": 50, "roughly even chance": 50, "likely": 70, "probable": 70, "probably": 70,
		"highly likely": 90, "very likely": 90, "almost certain": 90, "almost certainly": 90, "certain": 100,
	},
}

// credible is the confidence that each credibility of the Admiralty scale is
// (STIX 2.1 appendix A); that of 6 cannot be judged.
var credible = [...]int{1: 90, 2: 70, 3: 50, 4: 30, 5: 10, 6: -1}

// confidence reads a cell on a scale, and the credibility when it is that of the
// Admiralty.
func confidence(scale, v string) (n, credibility int, why *format.Problem) {
	most := 100.0
	switch scale {
	case "words", "probability":
		n, ok := scales[scale][fold(v)]
		if !ok {
			return 0, 0, problem(codeValue, "confidence %q is no word of the scale %s", clip(v), scale)
		}
		return n, 0, nil
	case "admiralty":
		c, why := admiralty(v)
		if why != nil {
			return 0, 0, why
		}
		return credible[c], c, nil
	case "0-10":
		most = 10
	case "0-1":
		most = 1
	case "":
		if !strings.HasSuffix(v, "%") {
			n, why = number("confidence", v, 100)
			return n, 0, why
		}
	}
	if strings.HasSuffix(v, "%") {
		v, most = strings.TrimSpace(strings.TrimSuffix(v, "%")), 100
	}
	x, err := strconv.ParseFloat(strings.Replace(v, ",", ".", 1), 64)
	if err != nil || !(x >= 0 && x <= most) {
		return 0, 0, problem(codeValue, "confidence %q is not from 0 to %g", clip(v), most)
	}
	return int(math.Round(x * 100 / most)), 0, nil
}

// admiralty reads a credibility with or without a reliability: 2, B2.
func admiralty(v string) (int, *format.Problem) {
	c := strings.ToUpper(v)
	if len(c) == 2 && c[0] >= 'A' && c[0] <= 'F' {
		c = c[1:]
	}
	if len(c) != 1 || c[0] < '1' || c[0] > '6' {
		return 0, problem(codeValue, "credibility %q is not from 1 to 6, or with a reliability before it, such as B2", clip(v))
	}
	return int(c[0] - '0'), nil
}

// text checks a field that people will read, perhaps at a customer: bounded,
// UTF-8, no characters that hide or reorder others. Line ends become line feeds.
func text(field, s string, limit int) (string, *format.Problem) {
	if strings.IndexByte(s, '\r') >= 0 {
		s = strings.ReplaceAll(s, "\r\n", "\n")
	}
	s = strings.TrimSpace(s)
	if len(s) > limit {
		return "", problem(codeValue, "%s has %d bytes, limit %d", field, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return "", problem(codeUTF8, "%s is not UTF-8", field)
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return "", problem(codeValue, "%s holds the control character U+%04X", field, r)
		}
	}
	return s, nil
}

func zone(v string) (*time.Location, error) {
	if v == "" {
		return time.UTC, nil
	}
	t, err := time.Parse("-07:00", v)
	if err != nil {
		return nil, errors.New(`zone: want an offset from UTC such as "+02:00"`)
	}
	return t.Location(), nil
}

// layouts are those of days, by how dates are written; the time of day is tried
// behind each.
var layouts = map[string][]string{
	"":    {"2006-1-2", "2006/1/2", "2006.1.2", "20060102"},
	"dmy": {"2.1.2006", "2/1/2006", "2-1-2006", "2006-1-2"},
	"mdy": {"1/2/2006", "1-2-2006", "1.2.2006", "2006-1-2"},
}

var named = []string{"2 Jan 2006", "2 January 2006", "Jan 2, 2006", "January 2, 2006", "2-Jan-2006", "Mon, 2 Jan 2006"}

var hours = []string{"", " 15:04:05.999999999", "T15:04:05.999999999", " 15:04", "T15:04", " 15:04:05.999999999 UTC", " 15:04 UTC", " 3:04:05 PM", " 3:04 PM", " 15:04:05 -0700", " 15:04:05 GMT"}

// moment reads a time. Those outside of 1990 to 2200 are mistakes.
func (p *plan) moment(f Field, c *cell) (time.Time, *format.Problem) {
	t, ok := p.parse(c)
	if !ok && p.known {
		return t, problem(codeValue, "%s %q is no time: want 2026-01-31T12:00:00Z or 2026-01-31", f, clip(c.text))
	}
	if !ok {
		return t, problem(codeValue, "%s %q is no time as the mapping says that they are written", f, clip(c.text))
	}
	if t.Year() < 1990 || t.Year() > 2200 {
		return t, problem(codeValue, "%s %s is outside of 1990 to 2200", f, t.Format(time.RFC3339))
	}
	return t.UTC(), nil
}

func (p *plan) parse(c *cell) (time.Time, bool) {
	v := c.text
	t, err := time.Parse(time.RFC3339Nano, v)
	if err == nil {
		return t, true
	}
	if p.known && !c.number {
		t, err = time.Parse(time.DateOnly, v)
		return t, err == nil
	}
	how := p.mapping.Dates
	if how == "unix" || how == "unix-ms" {
		n, err := strconv.ParseInt(v, 10, 64)
		if how == "unix" {
			return time.Unix(n, 0), err == nil
		}
		return time.UnixMilli(n), err == nil
	}
	if len(v) > 4 && v[0] >= '3' && v[0] <= '9' || len(v) > 5 && v[0] == '1' {
		x, err := strconv.ParseFloat(v, 64)
		if err == nil && x > 32000 && x < 110000 { // a workbook's days, 1987 to 2201, also in what was saved from one
			return fromSerial(x, p.days1904), true
		}
	}
	if how == "iso" {
		how = ""
	}
	loc, err := zone(p.mapping.Zone)
	if err != nil {
		return t, false
	}
	if p.layout != "" { // the one of the row before: no text fits two of them
		t, err = time.ParseInLocation(p.layout, v, loc)
		if err == nil {
			return t, true
		}
	}
	for _, days := range [][]string{layouts[how], named} {
		for _, day := range days {
			for _, hour := range hours {
				t, err = time.ParseInLocation(day+hour, v, loc)
				if err == nil {
					p.layout = day + hour
					return t, true
				}
			}
		}
	}
	return t, false
}
