package personal

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxWord bounds the words that the lists hold, in bytes.
const maxWord = 16

// names finds persons' names in running text by what stands around them: titles,
// salutations, labels, headers of mail and signatures; without any of these only
// a frequent given name together with a frequent family name.
func (f *finder) names() {
	s := f.s
	var low [maxWord]byte
	for i := 0; i < len(s); {
		if !letter(s[i]) && s[i] < 0x80 {
			i++
			continue
		}
		start := i
		for i < len(s) && (letter(s[i]) || s[i] >= 0x80 || s[i] == '-' && i+1 < len(s) && letter(s[i+1])) {
			if i-start < maxWord {
				c := s[i]
				if c >= 'A' && c <= 'Z' {
					c += 'a' - 'A'
				}
				low[i-start] = c
			}
			i++
		}
		if i-start > maxWord || i-start < 2 {
			continue
		}
		c := cueWords[string(low[:i-start])]
		if c == 0 || c == thing || start > 0 && (digit(s[start-1]) || s[start-1] == '_') {
			continue
		}
		end := f.named(c, start, i)
		i = max(i, end)
	}
}

// named looks for a name behind the word from start to end, by what the word is,
// and gives where it ends, or 0.
func (f *finder) named(c cue, start, end int) int {
	s := f.s
	if c&title != 0 && upper(s[start:]) && !strings.HasPrefix(s[start:end], "MS") {
		at := skip(s, end, ". ")
		for n := 0; n < 2; n++ { // Herr Dr. Muster
			_, next := word(s, at)
			if cueOf(s[at:next])&title == 0 {
				break
			}
			at = skip(s, next, ". ")
		}
		if to := fullName(s, at, 1); to > 0 && at > end {
			return f.name(at, to, "a name behind a title")
		}
	}
	if c&greeting != 0 {
		at := skip(s, end, " ")
		to := fullName(s, at, 1)
		if at > end && to > 0 && to < len(s) && strings.IndexByte(",!:;\n\r", s[to]) >= 0 && (to-at < 40) && upper(s[start:]) {
			return f.name(at, to, "a name in a salutation")
		}
	}
	if c&(label|header) != 0 {
		if to := f.labeled(c, start, end); to > 0 {
			return to
		}
	}
	if c&closing != 0 {
		at := skip(s, end, " ,.!-\t")
		if at < len(s) && (s[at] == '\n' || s[at] == '\r') {
			at = skip(s, at, " \r\n\t-")
			to := fullName(s, at, 1)
			if to > 0 && (to == len(s) || s[to] == '\n' || s[to] == '\r' || s[to] == ',') {
				return f.name(at, to, "a name in a signature")
			}
		}
	}
	if c&given != 0 && upper(s[start:]) {
		at := skip(s, end, " ")
		first, next := word(s, at)
		if at == end+1 && first && next-at == 1 && next < len(s) && s[next] == '.' { // an initial in the middle
			at = skip(s, next+1, " ")
			first, next = word(s, at)
		}
		if first && next-at > 1 && cueOf(s[at:next])&family != 0 && at > end && cased(s[start:end]) && cased(s[at:next]) {
			return f.name(start, next, "a frequent given and family name")
		}
	}
	return 0
}

// labeled takes what follows "user:", "author =", "From:" when it is a name.
func (f *finder) labeled(c cue, start, end int) int {
	s := f.s
	at := skip(s, end, " \"")
	if at >= len(s) || s[at] != ':' && s[at] != '=' {
		return 0
	}
	if c&label == 0 && start > 0 && s[start-1] != '\n' && s[start-1] != ' ' && s[start-1] != '>' {
		return 0
	}
	if at+1 < len(s) && (s[at+1] == '/' || s[at+1] == '\\' || s[at+1] == ':') {
		return 0
	}
	at = skip(s, at+1, " \t\"'")
	alone := strings.EqualFold(s[start:end], "name") && !ofUser(s[:start])
	to := fullName(s, at, 2)
	if to > 0 && (!alone || frequent(s[at:to])) {
		return f.name(at, to, "a name behind a label or header")
	}
	if c&label == 0 || alone { // everything has a name: files, hosts, companies
		return 0
	}
	to = at
	for to < len(s) && to-at < maxLocal && (alnum(s[to]) || s[to] >= 0x80 || strings.IndexByte("._-", s[to]) >= 0) {
		to++
	}
	for to > at && strings.IndexByte("._-", s[to-1]) >= 0 {
		to--
	}
	if to > at && (to == len(s) || s[to] != '@') && personal(s[at:to]) && PersonLike(s[at:to]) {
		return f.name(at, to, "a user name that looks like a person's name")
	}
	return 0
}

// ofUser reports that the text ends in a word that says whose name follows.
func ofUser(before string) bool {
	before = strings.ToLower(before[max(0, len(before)-12):])
	for _, w := range []string{"user", "account", "login", "full", "display", "person", "contact"} {
		if rest, ok := strings.CutSuffix(strings.TrimRight(before, " -_"), w); ok && (rest == "" || !letter(rest[len(rest)-1])) {
			return true
		}
	}
	return false
}

// frequent reports that one of the words is a frequent name.
func frequent(name string) bool {
	for w := range strings.FieldsSeq(name) {
		if cueOf(w)&(given|family) != 0 {
			return true
		}
	}
	return false
}

func (f *finder) name(start, end int, why string) int {
	f.add(start, end, Name, why)
	return end
}

// fullName gives where a name of at least so many words ends that begins at i, or
// 0: capitalized words, initials and particles between.
func fullName(s string, i, least int) int {
	end, n := 0, 0
	for at := i; n < 4; {
		first, next := word(s, at)
		if next == at {
			break
		}
		w := s[at:next]
		initial := next-at <= 2 && next < len(s) && s[next] == '.' && first && utf8.RuneCountInString(w) == 1
		switch {
		case initial && n < 3:
			next++
			if next < len(s) && letter(s[next]) { // J.R. Muster
				at = next
				n++
				continue
			}
		case first && cased(w) && cueOf(w)&thing == 0:
			end = next
		case n > 0 && particles[strings.ToLower(w)]:
			n-- // counts for nothing
		default:
			if n >= least {
				return end
			}
			return 0
		}
		n++
		if next >= len(s) || s[next] != ' ' || next+1 >= len(s) {
			break
		}
		at = next + 1
	}
	if n < least {
		return 0
	}
	return end
}

// word gives whether the word at i begins with a capital letter, and where it ends.
func word(s string, i int) (capital bool, end int) {
	if i >= len(s) {
		return false, i
	}
	end = i
	for end < len(s) && end-i < 64 {
		c := s[end]
		if letter(c) || c >= 0x80 || end > i && (c == '-' || c == '\'') && end+1 < len(s) && (letter(s[end+1]) || s[end+1] >= 0x80) {
			end++
			continue
		}
		break
	}
	if end < len(s) && (digit(s[end]) || s[end] == '_' || s[end] == '@' || s[end] == '\\' || s[end] == '.' && end+1 < len(s) && alnum(s[end+1]) && end-i > 2) {
		return false, i // part of an identifier
	}
	return upper(s[i:]), end
}

// cased reports a capital letter with small ones behind it.
func cased(w string) bool {
	_, n := utf8.DecodeRuneInString(w)
	if n >= len(w) {
		return false
	}
	r, _ := utf8.DecodeRuneInString(w[n:])
	if r == '\'' || r == '-' { // O'Brien
		return true
	}
	return unicode.IsLower(r) || strings.IndexAny(w, "'-") > 0
}

func upper(s string) bool {
	if s == "" {
		return false
	}
	if s[0] < 0x80 {
		return s[0] >= 'A' && s[0] <= 'Z'
	}
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsUpper(r)
}

func skip(s string, i int, over string) int {
	for n := 0; i < len(s) && n < 16 && strings.IndexByte(over, s[i]) >= 0; n++ {
		i++
	}
	return i
}

func cueOf(w string) cue {
	if len(w) > maxWord {
		return 0
	}
	return cueWords[strings.ToLower(w)]
}

// PersonLike reports a local part or user name that looks like a person's name:
// given.family, family.given and an initial with a word, by their form when they
// are separated by dots or underscores, by the lists when by hyphens or nothing.
func PersonLike(local string) bool {
	local = strings.ToLower(local)
	local, _, _ = strings.Cut(local, "+")
	local = strings.TrimRight(local, "0123456789")
	words := strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
	for i, w := range words {
		w = strings.TrimRight(w, "0123456789")
		words[i] = w
		if w == "" || strings.ContainsFunc(w, func(r rune) bool { return r < 0x80 && !letter(byte(r)) && r != '\'' }) {
			return false
		}
	}
	switch len(words) {
	case 1:
		return glued(words[0])
	case 2, 3:
	default:
		return false
	}
	long, listed := 0, false
	for _, w := range words {
		c := cueOf(w)
		if roleWords[w] || c&thing != 0 {
			return false
		}
		if utf8.RuneCountInString(w) >= 2 {
			long++
		}
		listed = listed || c&(given|family) != 0
	}
	return listed || long >= 1 && !strings.Contains(local, "-") && !roleAny(words)
}

func roleAny(words []string) bool {
	for _, w := range words {
		if roleWords[w] || nobody[w] {
			return true
		}
	}
	return false
}

// glued reports janedoe, doejane, jdoe and doej, by the lists.
func glued(w string) bool {
	if len(w) < 4 || len(w) > 2*maxWord {
		return false
	}
	for i := 1; i < len(w); i++ {
		a, b := cueOf(w[:i]), cueOf(w[i:])
		switch {
		case i == 1 && b&family != 0 && (len(w) >= 5 || b&thing == 0) && len(w) >= 4:
			return cueOf(w) == 0 && !roleWords[w]
		case i == len(w)-1 && a&family != 0 && len(w) >= 6:
			return cueOf(w) == 0 && !roleWords[w]
		case a&given != 0 && b&family != 0, a&family != 0 && b&given != 0:
			if i >= 3 && len(w)-i >= 3 {
				return cueOf(w) == 0 && !roleWords[w]
			}
		}
	}
	return false
}
