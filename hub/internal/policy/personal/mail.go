package personal

import (
	"strings"
)

// Bounds of a mail address (RFC 5321 section 4.5.3.1).
const (
	maxLocal  = 64
	maxDomain = 255
)

// signs are the ways to write the sign between local part and domain.
var signs = []string{"@", "[@]", "(@)", "{@}", "[at]", "(at)", "{at}", "%40"}

// mails finds mail addresses, also defanged ones.
func (f *finder) mails() {
	s := f.s
	for i := 0; i < len(s); {
		n := strings.IndexAny(s[i:], "@[({%")
		if n < 0 {
			return
		}
		i += n
		w := sign(s[i:])
		if w == 0 {
			i++
			continue
		}
		end := f.mail(i, i+w)
		i = max(i+w, end)
	}
}

// sign gives the length of a sign at the beginning of s, or 0.
func sign(s string) int {
	if s[0] == '@' {
		return 1
	}
	for _, w := range signs[1:] {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			return len(w)
		}
	}
	return 0
}

// mail judges the surroundings of a sign from at to after, and gives where the
// address ends, or 0.
func (f *finder) mail(at, after int) int {
	s := f.s
	left := at
	if left > 1 && s[left-1] == ' ' && after < len(s) && s[after] == ' ' {
		left-- // spaces around the sign, on both sides
		after++
	}
	start := left
	for start > 0 && left-start < maxLocal && localByte(s[start-1]) {
		start--
	}
	for start < left && strings.IndexByte("'.-+%", s[start]) >= 0 {
		start++
	}
	if start == left || inAuthority(s, start) {
		return 0
	}
	end := domainEnd(s, after)
	if end == 0 {
		return 0
	}
	local := s[start:left]
	if Role(local) {
		f.add(start, end, Mail, "a mail address, of a role by its local part")
		return end
	}
	f.add(start, end, Mail, "a mail address")
	if PersonLike(local) {
		f.add(start, left, Name, "a local part that looks like a person's name")
	}
	return end
}

// inAuthority reports that i is in the user information of a URL, which has a rule
// of its own.
func inAuthority(s string, i int) bool {
	before := s[max(0, i-80):i]
	n := strings.LastIndex(before, "://")
	return n >= 0 && !strings.ContainsAny(before[n+3:], "/?# \t\n\"<>")
}

func localByte(c byte) bool {
	return alnum(c) || c >= 0x80 || strings.IndexByte("._%+-'!#$*^~|", c) >= 0
}

// domainEnd gives where a domain with at least two labels that begins at i ends,
// or 0. Dots may be defanged.
func domainEnd(s string, i int) int {
	if i < len(s) && s[i] == '[' { // an address literal, RFC 5321 section 4.1.3
		n := strings.IndexByte(s[i:min(len(s), i+48)], ']')
		if n > 2 && digit(s[i+1]) && strings.Count(s[i:i+n], ".") == 3 {
			return i + n + 1
		}
		return 0
	}
	begin, label, last := i, i, 0
	for i < len(s) && i-begin <= maxDomain {
		c := s[i]
		if alnum(c) || c >= 0x80 || c == '-' || c == '_' {
			i++
			continue
		}
		if i == label {
			break
		}
		if last != 0 && topLevel(s[label:i]) {
			last = i
		}
		w := dot(s[i:])
		if w == 0 {
			break
		}
		if last == 0 {
			last = -1 // one label was seen
		}
		i += w
		label = i
	}
	if i > label && last != 0 && topLevel(s[label:i]) {
		last = i
	}
	return max(last, 0)
}

// dot gives the length of a dot, perhaps defanged, at the beginning of s.
func dot(s string) int {
	if s[0] == '.' {
		return 1
	}
	for _, w := range []string{"[.]", "(.)", "{.}", "[dot]", "(dot)", "{dot}"} {
		if len(s) >= len(w) && strings.EqualFold(s[:len(w)], w) {
			return len(w)
		}
	}
	return 0
}

func topLevel(l string) bool {
	if len(l) < 2 || len(l) > 63 {
		return false
	}
	return letter(l[0]) || l[0] >= 0x80
}

// roleWords are local parts, and words in them, that name a function.
var roleWords = set(`abuse accounting accounts admin administrator alert alerts all billing bounce bounces careers cert
	claims contact csirt customer customerservice daemon delivery dev dns do donotreply email enquiries enquiry error events
	feedback finance ftp hello help helpdesk hostmaster hr info information inquiries invoice invoices it jobs legal list
	mail mailer mailerdaemon mailman marketing media msg news newsletter no noc noreply not notice notification
	notifications notify office online order orders payment payments post postmaster press privacy purchasing recruiting
	reply report reports root sales security server service services shipping shop soc spam staff subscribe support sysadmin
	system team tech test ticket tickets unsubscribe update updates usenet user verify web webmaster welcome www`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// Role reports a local part that names a function and not a person, such as
// info, abuse or no-reply.
func Role(local string) bool {
	local = strings.ToLower(local)
	local, _, _ = strings.Cut(local, "+")
	role := false
	for w := range strings.FieldsFuncSeq(local, notLetter) {
		if !roleWords[w] {
			return false
		}
		role = true
	}
	return role
}

func notLetter(r rune) bool { return r < 0x80 && !letter(byte(r)) }
