package report

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"ecs/observable"
)

// hit is one observable at one place.
type hit struct {
	atom     observable.Atom
	from, to int // in the document's text
	defanged bool
	doubts   []Doubt
}

const (
	maxRun     = 320  // bytes of anything but a URL
	maxAddress = 2048 // bytes of a URL
)

// scanner goes once over a text whose defanged forms are undone, and takes the
// longest observable at each place.
type scanner struct {
	m    *made
	t    string
	opt  Option
	hits []hit
}

func scan(d *document, opt Option) ([]hit, bool) {
	m := refang(d.text)
	s := &scanner{m: m, t: string(m.b), opt: opt}
	cut := false
	for i := 0; i < len(s.t) && !cut; {
		i = s.at(i)
		cut = len(s.hits) >= MaxCandidates*4
	}
	for k := range s.hits {
		h := &s.hits[k]
		h.from, h.to = m.at.of(h.from), max(m.at.of(h.to), m.at.of(h.from)+1)
		h.to = min(h.to, len(d.text))
	}
	return s.hits, cut
}

// at looks at one place, and gives the next one to look at.
func (s *scanner) at(i int) int {
	c := s.t[i]
	if s.opt.FileNames && strings.IndexByte("\"'`", c) >= 0 || s.opt.FileNames && strings.HasPrefix(s.t[i:], "“") {
		n := s.quotedName(i)
		if n > 0 {
			return n
		}
	}
	if !wordByte(c) && !(c == ':' && strings.HasPrefix(s.t[i:], "::")) {
		return i + 1
	}
	end := i
	for end < len(s.t) && end-i < maxRun && runByte(s.t[end]) {
		end++
	}
	if c >= utf8.RuneSelf {
		r, n := utf8.DecodeRuneInString(s.t[i:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return i + n
		}
	}
	run := s.t[i:end]
	colon := strings.IndexByte(run, ':')
	if colon > 0 && strings.HasPrefix(s.t[i+colon:], "://") {
		return s.url(i, i+colon)
	}
	return s.run(i, end)
}

func wordByte(c byte) bool { return alnum(c) || c >= utf8.RuneSelf }

func runByte(c byte) bool { return wordByte(c) || strings.IndexByte("._-@:+%", c) >= 0 }

// add takes a value when it is one of a kind.
func (s *scanner) add(a observable.Atom, from, to int, doubts ...Doubt) {
	s.hits = append(s.hits, hit{atom: a, from: from, to: to, defanged: s.m.defanged(from, to), doubts: doubts})
}

// url reads what begins with a scheme.
func (s *scanner) url(i, colon int) int {
	word := i
	for k := colon; k > i && (alnum(s.t[k-1]) || s.t[k-1] == '+'); k-- {
		word = k - 1
	}
	scheme := strings.ToLower(s.t[word:colon])
	end := s.address(colon + 3)
	if len(scheme) < 2 || len(scheme) > 10 || end <= colon+3 {
		return colon + 3
	}
	text := s.t[word:end]
	authority := colon + 3 + strings.IndexAny(s.t[colon+3:end]+"/", "/?#")
	if authority-colon > maxRun || !strings.ContainsAny(s.t[colon+3:authority], ".:") {
		return authority
	}
	if scheme == "tcp" || scheme == "udp" {
		ap, err := netip.ParseAddrPort(strings.TrimRight(text[6:], "/"))
		if err == nil {
			a, err := observable.FromValue(ap.Addr().String() + " " + text[strings.LastIndexByte(text, ':')+1:] + "/" + scheme)
			if err == nil {
				s.add(a, word, end)
			}
			return end
		}
	}
	a, err := observable.FromValue(text)
	if err != nil || a.Kind != observable.URL {
		return authority // what it costs to read is then in proportion to what is passed over
	}
	var doubts []Doubt
	rest := s.t[end:]
	if strings.HasPrefix(rest, "<") || strings.HasPrefix(rest, "{") || strings.HasPrefix(rest, "…") || strings.HasSuffix(text, "...") || strings.HasPrefix(rest, "...") {
		doubts = append(doubts, Doubt{"placeholder", "the URL goes on with a placeholder"})
	}
	s.add(a, word, end, doubts...)
	return end
}

// address gives where a URL ends that goes on at a place: before white space and
// what encloses it, without the punctuation of its sentence.
func (s *scanner) address(from int) int {
	var open []byte
	end := from
loop:
	for end < len(s.t) && end-from < maxAddress {
		c := s.t[end]
		switch {
		case c <= ' ' || c == 0x7f || strings.IndexByte("\"<>`|\\^{}", c) >= 0:
			break loop
		case c == '(' || c == '[':
			open = append(open, c)
		case c == ')' || c == ']':
			if len(open) == 0 || open[len(open)-1] == '(' != (c == ')') {
				break loop
			}
			open = open[:len(open)-1]
		case (c == ',' || c == ';') && (strings.HasPrefix(s.t[end+1:], "http") || strings.HasPrefix(s.t[end+1:], " ")):
			break loop
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s.t[end:])
			if !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) {
				break loop
			}
			end += n
			continue
		}
		end++
	}
	for end > from {
		c := s.t[end-1]
		if strings.IndexByte(".,;:!?'*", c) < 0 && !(c == '_' && end < len(s.t) && s.t[end] <= ' ' && strings.HasPrefix(s.t[max(0, from-8):], "_")) {
			break
		}
		end--
	}
	return end
}

// run reads a run of letters, digits and marks: the longest value that begins it,
// or what comes behind its first word and colon.
func (s *scanner) run(from, end int) int {
	to := end
	for to > from && strings.IndexByte("._-@:+%", s.t[to-1]) >= 0 {
		to--
	}
	run := s.t[from:to]
	if len(run) < 3 && run != "::" {
		return max(to, from+1)
	}
	switch {
	case len(run) >= 32 && hash(run) != observable.None:
		a, err := observable.Make(hash(run), run)
		if err == nil {
			s.add(a, from, to)
			return to
		}
	case !strings.ContainsAny(run, ".:@") && !strings.HasPrefix(s.t[to:], "::"):
		return to
	case strings.Contains(run, "@"):
		n := s.mail(from, to)
		if n > 0 {
			return n
		}
	case colons(run) || strings.HasPrefix(s.t[to:], "::") && colons(run+"::"):
		n := s.ipv6(from, to)
		if n > 0 {
			return n
		}
	}
	head, port, hasPort := strings.Cut(run, ":")
	if hasPort && (!strings.Contains(head, ".") || !digitsOnly(port)) {
		if strings.Contains(head, ".") {
			s.name(from, from+len(head), "")
		}
		return from + len(head) + 1
	}
	if strings.ContainsAny(run, "@+%") {
		return from + strings.IndexAny(run, "@+%") + 1
	}
	return s.name(from, from+len(head), port)
}

func digitsOnly(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != "" && len(s) <= 5
}

func colons(s string) bool {
	n := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c == ':':
			n++
		case c != '.' && !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f'):
			return false
		}
	}
	return n >= 2
}

func hash(s string) observable.Kind {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f') {
			return observable.None
		}
	}
	switch len(s) {
	case 32:
		return observable.MD5
	case 40:
		return observable.SHA1
	case 64:
		return observable.SHA256
	case 128:
		return observable.SHA512
	}
	return observable.None
}

func (s *scanner) mail(from, to int) int {
	if s.t[from:min(to, from+7)] == "mailto:" {
		from += 7
	}
	run := s.t[from:to]
	at := strings.IndexByte(run, '@')
	local := run[:at]
	if i := strings.LastIndexByte(local, ':'); i >= 0 { // "sender:x@example.com"
		from += i + 1
		run, local = run[i+1:], local[i+1:]
	}
	domain := run[len(local)+1:]
	if i := strings.IndexAny(domain, ":@+%"); i >= 0 {
		to -= len(domain) - i
		run = run[:len(run)-len(domain)+i]
		domain = domain[:i]
	}
	if local == "" || !strings.Contains(domain, ".") {
		return 0
	}
	a, err := observable.Make(observable.Mail, run)
	if err != nil || !topLevel(lastLabel(a.Value)) && !s.m.defanged(from, to) {
		return 0
	}
	s.add(a, from, to)
	return to
}

func (s *scanner) ipv6(from, to int) int {
	run := s.t[from:to]
	if to < len(s.t) && strings.HasPrefix(s.t[to:], "::") {
		run, to = run+"::", to+2
	}
	addr, err := netip.ParseAddr(run)
	if err != nil || len(run) < 6 && !strings.Contains(run, "::") || run == "::" {
		return 0
	}
	if strings.Trim(run, ":") == "" || !strings.Contains(run, "::") && strings.Count(run, ":") != 7 {
		return 0
	}
	end, text := s.length(to, addr.String(), 128)
	a, err := observable.FromValue(text)
	if err != nil {
		return 0
	}
	if strings.HasPrefix(s.t[end:], "]:") && from > 0 && s.t[from-1] == '[' {
		n := end + 2
		for n < len(s.t) && s.t[n] >= '0' && s.t[n] <= '9' {
			n++
		}
		with, err := observable.FromValue("[" + addr.String() + "]" + s.t[end+1:n])
		if err == nil {
			a, end = with, n
		}
	}
	s.add(a, from, end)
	return end
}

// length adds the length of a prefix behind an address.
func (s *scanner) length(to int, text string, most int) (int, string) {
	n := to + 1
	if to >= len(s.t) || s.t[to] != '/' {
		return to, text
	}
	bits := 0
	for n < len(s.t) && n-to <= 3 && s.t[n] >= '0' && s.t[n] <= '9' {
		bits = bits*10 + int(s.t[n]-'0')
		n++
	}
	if n == to+1 || bits > most || n < len(s.t) && (wordByte(s.t[n]) || s.t[n] == '/' || s.t[n] == '.' && n+1 < len(s.t) && alnum(s.t[n+1])) {
		return to, text
	}
	return n, text + s.t[to:n]
}

// name reads an address or a name, with what follows it: a port, a prefix, a path.
func (s *scanner) name(from, to int, port string) int {
	for to > from && (s.t[to-1] == '.' || s.t[to-1] == '-') {
		to--
	}
	text := s.t[from:to]
	after := to
	if port != "" {
		after += 1 + len(port)
	}
	addr, err := netip.ParseAddr(text)
	if err == nil && addr.Is4() {
		return s.ipv4(from, to, after, addr, port)
	}
	if !strings.Contains(text, ".") || !strings.ContainsFunc(text, unicode.IsLetter) {
		return after
	}
	defanged := s.m.defanged(from, to)
	a, err := observable.Make(observable.Domain, text)
	if err != nil {
		return after
	}
	last := lastLabel(a.Value)
	file := slices.Contains(extensions, last)
	if s.opt.FileNames && file && !topLevel(last) {
		f, err := observable.Make(observable.FileName, text)
		if err == nil {
			s.add(f, from, to)
		}
		return after
	}
	if !topLevel(last) && !defanged {
		return after
	}
	var doubts []Doubt
	switch {
	case file:
		doubts = append(doubts, Doubt{"file-name", "it may be the name of a file (." + last + ")"})
	case !topLevel(last):
		doubts = append(doubts, Doubt{"no-such-domain", "there is no top-level domain " + last})
	case !defanged && codeLike(text):
		doubts = append(doubts, Doubt{"code", "it looks like the name of something in a program"})
	}
	if after < len(s.t) && s.t[after] == '/' && after+1 < len(s.t) && s.t[after+1] > ' ' {
		end := s.address(after)
		u, err := observable.FromValue("http://" + s.t[from:end])
		if err == nil && u.Kind == observable.URL && end > after+1 {
			s.add(u, from, end, doubts...)
			return end
		}
	}
	s.add(a, from, to, doubts...)
	return after
}

func (s *scanner) ipv4(from, to, after int, addr netip.Addr, port string) int {
	text, end := addr.String(), to
	switch {
	case port != "":
		with, err := observable.FromValue(text + ":" + port)
		if err == nil {
			s.add(with, from, after)
			return after
		}
	case s.m.defanged(from, to) && to < len(s.t) && s.t[to] == '/':
		end, text = s.length(to, text, 32)
		if end > to {
			break
		}
		n := s.address(to)
		u, err := observable.FromValue("http://" + s.t[from:n])
		if err == nil && n > to+1 && u.Kind == observable.URL {
			s.add(u, from, n)
			return n
		}
	default:
		end, text = s.length(to, text, 32)
	}
	a, err := observable.FromValue(text)
	if err != nil {
		return after
	}
	var doubts []Doubt
	if from > 1 && s.t[from-1] == '/' && alnum(s.t[from-2]) && !s.m.defanged(from, to) {
		doubts = append(doubts, Doubt{"version", "it stands behind the name of a product, as its version does"})
	}
	s.add(a, from, end, doubts...)
	return max(after, end)
}

// codeLike are names such as System.Net.
func codeLike(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if part == "" || part[0] < 'A' || part[0] > 'Z' || strings.ToUpper(part) == part {
			return false
		}
	}
	return true
}

func lastLabel(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// topLevel says whether names end so: a suffix of the public list, or one that RFC
// 2606 and 7686 reserve.
func topLevel(label string) bool {
	switch label {
	case "example", "test", "invalid", "localhost", "onion":
		return true
	}
	_, icann := publicsuffix.PublicSuffix("x." + label)
	return icann
}

// extensions are those of files that reports name; some are also top-level domains.
var extensions = strings.Fields("exe dll sys bat cmd ps1 vbs vbe js jse wsf hta lnk scr pif msi doc docx docm xls xlsx xlsm xlsb ppt pptx pptm rtf pdf one chm iso img vhd vhdx zip rar 7z gz tar cab jar apk dex elf so py sh pl rb php asp aspx jsp html htm txt log dat bin tmp db ini cfg conf json xml yml yaml csv md eml msg ico png jpg jpeg gif svg mov")

// quotedName reads a name of a file in quotes, which may hold spaces.
func (s *scanner) quotedName(i int) int {
	open, closing := 1, s.t[i:i+1]
	if strings.HasPrefix(s.t[i:], "“") {
		open, closing = len("“"), "”"
	}
	end := strings.Index(s.t[i+open:min(len(s.t), i+open+200)], closing)
	if end < 3 {
		return 0
	}
	name := s.t[i+open : i+open+end]
	dot := strings.LastIndexByte(name, '.')
	if dot < 1 || strings.ContainsAny(name, "\n\r/@=<>|") || !slices.Contains(extensions, strings.ToLower(name[dot+1:])) {
		return 0
	}
	a, err := observable.Make(observable.FileName, name)
	if err != nil {
		return 0
	}
	s.add(a, i+open, i+open+end)
	return i + open + end + len(closing)
}
