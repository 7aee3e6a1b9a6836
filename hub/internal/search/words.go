package search

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// maxWord is how many bytes of a word count; longer ones are cut, in texts and in
// queries alike.
const maxWord = 64

// maxTerms bounds the terms of one item. What is beyond is not found by the index.
const maxTerms = 600

// words gives the words of a text in their order: runs of letters, marks and digits, in
// lower case. Everything else separates.
func words(s string) []string {
	if !plain(s) {
		s = norm.NFKC.String(s)
	}
	var out []string
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if !letter(r) {
			s = s[n:]
			continue
		}
		end := n
		for end < len(s) {
			r, n = utf8.DecodeRuneInString(s[end:])
			if !letter(r) {
				break
			}
			end += n
		}
		out = append(out, cut(strings.ToLower(s[:end])))
		s = s[end:]
	}
	return out
}

func letter(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r))
}

func plain(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// cut shortens a word to maxWord bytes, between two letters.
func cut(w string) string {
	if len(w) <= maxWord {
		return w
	}
	n := maxWord
	for !utf8.RuneStart(w[n]) {
		n--
	}
	return w[:n]
}

// mention is what one source called an item.
type mention struct{ source, reference string }

// doc is an item as it is searched.
type doc struct {
	indicator.Item
	mentions []mention
}

// seen takes from an item what a reader may not see.
func (d *doc) seen(r *Reader) {
	if !d.Display && !r.Values {
		d.Value, d.Pattern, d.Pivot, d.Context = "", "", "", ""
		for i := range d.mentions { // a source may call it by its value
			d.mentions[i].reference = ""
		}
	}
	if r.Limited {
		d.mentions = slices.DeleteFunc(d.mentions, func(m mention) bool { return m.source != r.Source })
	}
}

// texts gives everything of it that words are found in. A phrase is found within
// one of them.
func (d *doc) texts() []string {
	out := append(make([]string, 0, 8), d.values()...)
	for _, h := range d.hosts() {
		if strings.Contains(h, "xn--") {
			u, err := idna.ToUnicode(h)
			if err == nil {
				out = append(out, u)
			}
		}
	}
	out = append(out, d.labels()...)
	out = append(out, d.Summary, d.Context)
	for i, m := range d.mentions {
		if slices.Index(d.mentions, m) == i {
			out = append(out, m.source, m.reference)
		}
	}
	return out
}

// values gives the value, and the other constants of a pattern that has several.
func (d *doc) values() []string {
	if d.Value == "" && d.Pattern == "" {
		return nil
	}
	out := []string{d.Value}
	if strings.Count(d.Pattern, "'") <= 2 {
		return out
	}
	rest := d.Pattern
	for len(out) < 100 {
		var lit string
		var ok bool
		lit, rest, ok = literal(rest)
		if !ok {
			break
		}
		if !slices.Contains(out, lit) {
			out = append(out, lit)
		}
	}
	return out
}

// literal gives the first quoted constant of a canonical pattern, and what follows.
func literal(p string) (lit, rest string, ok bool) {
	_, p, ok = strings.Cut(p, "'")
	if !ok {
		return "", "", false
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		switch {
		case p[i] == '\\' && i+1 < len(p):
			i++
		case p[i] == '\'':
			return b.String(), p[i+1:], true
		}
		b.WriteByte(p[i])
	}
	return "", "", false
}

func (d *doc) labels() []string {
	if d.Labels == "" {
		return nil
	}
	return strings.Split(d.Labels, "\n")
}

// hosts gives the names and addresses of hosts that it names: a name, the host of a
// URL, the domain of a mail address, an address.
func (d *doc) hosts() []string {
	h := HostOf(d.Kind, d.Value)
	if h == "" {
		return nil
	}
	return []string{h}
}

// HostOf gives the host that a canonical value names: a name or an address itself,
// the host of a URL, the domain of a mail address. Empty: none.
func HostOf(k observable.Kind, value string) string {
	switch k {
	case observable.Domain, observable.Addr:
		return value
	case observable.URL:
		u, err := url.Parse(value)
		if err != nil {
			return ""
		}
		return u.Hostname()
	case observable.Mail:
		_, host, _ := strings.Cut(value, "@")
		return host
	default:
		return ""
	}
}

// wide gives the /16 or the /32 that an address or prefix lies in, empty for one
// that is broader, and for what is neither.
func wide(value string) string {
	p, err := netip.ParsePrefix(value)
	if err != nil {
		a, err := netip.ParseAddr(value)
		if err != nil {
			return ""
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	bits := 16
	if p.Addr().Is6() {
		bits = 32
	}
	if p.Bits() < bits {
		return ""
	}
	p, err = p.Addr().Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// asn reads the number of an autonomous system: AS64500, asn:64500.
func asn(s string) (string, bool) {
	s = strings.ToLower(s)
	for _, p := range []string{"asn:", "asn=", "as"} {
		digits, ok := strings.CutPrefix(s, p)
		if ok {
			n, err := strconv.ParseUint(digits, 10, 32)
			return strconv.FormatUint(n, 10), err == nil
		}
	}
	return "", false
}

// asns gives the autonomous systems that its labels and texts name.
func (d *doc) asns() []string {
	var out []string
	for _, l := range d.labels() {
		n, ok := asn(l)
		if ok {
			out = append(out, n)
		}
	}
	for _, text := range []string{d.Labels, d.Summary, d.Context} {
		for _, w := range words(text) {
			n, ok := asn(w)
			if ok && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}

// Terms of a filter have a letter and a colon before their value; words have no
// colon.
const (
	termKind     = "k:"
	termCategory = "c:"
	termTLP      = "t:"
	termHandling = "m:"
	termSource   = "s:"
	termLabel    = "l:"
	termHost     = "h:"
	termNet      = "n:"
	termASN      = "a:"
)

const maxTerm = 200 // bytes of a term

func clip(t string) string {
	if len(t) <= maxTerm {
		return t
	}
	n := maxTerm
	for !utf8.RuneStart(t[n]) {
		n--
	}
	return t[:n]
}

func fold(label string) string { return strings.ToLower(norm.NFKC.String(strings.TrimSpace(label))) }

// terms gives everything that an item is found by in the index, without
// repetitions. dropped counts what was beyond maxTerms.
func (d *doc) terms() (out []string, dropped int) {
	have := make(map[string]bool, 32)
	add := func(t string) {
		if have[t] {
			return
		}
		if len(out) >= maxTerms {
			dropped++
			return
		}
		have[t] = true
		out = append(out, t)
	}
	add(termKind + d.Kind.String())
	add(termCategory + d.Category.String())
	add(termTLP + d.TLP.String())
	add(termHandling + strconv.FormatInt(d.Handling, 10))
	for _, m := range d.mentions {
		add(clip(termSource + m.source))
	}
	for _, l := range d.labels() {
		add(clip(termLabel + fold(l)))
	}
	for _, h := range d.hosts() {
		add(clip(termHost + h))
		if n := wide(h); n != "" {
			add(termNet + n)
		}
	}
	if d.Kind == observable.Prefix {
		if n := wide(d.Value); n != "" {
			add(termNet + n)
		}
	}
	for _, n := range d.asns() {
		add(termASN + n)
	}
	for _, text := range d.texts() {
		for _, w := range words(text) {
			add(w)
		}
	}
	return out, dropped
}
