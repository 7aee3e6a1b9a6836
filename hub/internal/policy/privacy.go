package policy

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Codes of the privacy findings. All of them stop.
const (
	CodeMail     = "PII-MAIL-ADDRESS" // a mail address
	CodeName     = "PII-NAME"         // a local part or path that looks like a person's name
	CodePhone    = "PII-PHONE"        // a telephone number
	CodeNational = "PII-NATIONAL-ID"  // a number that a state or bank gave a person
	CodeUserPath = "PII-USER-PATH"    // a path in a user's directory
	CodeURLUser  = "PII-URL-USER"     // user information in a URL
	CodeURLQuery = "PII-URL-QUERY"    // a query value that looks like a person's
	CodeSample   = "PII-SAMPLE"       // nothing found; chosen for a person's look
)

// Privacy looks for personal data in value, summary and context. An item with a
// finding stops in the gate; one without passes by itself as PII-NOT-PRESENT,
// but for a sample that gets a [CodeSample] finding.
func (c *Checker) Privacy(s *Subject, now time.Time) []indicator.Finding {
	r := report{at: now}
	for _, a := range s.Atoms {
		privateValue(&r, a)
	}
	privateText(&r, "summary", s.Summary)
	privateText(&r, "context", s.Context)
	if len(r.found) == 0 && c.Sampled(s.Pattern) {
		r.stop(CodeSample, "nothing found; chosen by the sample for a person's look")
	}
	return r.found
}

// InValue reports whether a privacy finding is about the indicator itself: no
// redaction of its texts answers it.
func InValue(f indicator.Finding) bool {
	return indicator.IsPrivacy(f.Code) && strings.HasPrefix(f.Detail, "value:")
}

// PrivateText looks for personal data in texts alone.
func PrivateText(summary, context string, now time.Time) []indicator.Finding {
	r := report{at: now}
	privateText(&r, "summary", summary)
	privateText(&r, "context", context)
	return r.found
}

func privateValue(r *report, a observable.Atom) {
	switch a.Kind {
	case observable.Mail:
		r.stop(CodeMail, "value: a mail address is personal data by nature")
		local, _, _ := strings.Cut(a.Value, "@")
		if nameLike(local) {
			r.stop(CodeName, "value: the local part looks like a person's name")
		}
	case observable.URL:
		privateURL(r, "value", a.Value)
	case observable.Subject, observable.FileName:
		privateText(r, "value", a.Value)
	case observable.Domain:
		// A name is public by nature; only a mail address written into it counts.
		if strings.Contains(a.Value, "-at-") && mailInName.MatchString(a.Value) {
			r.stop(CodeMail, "value: the name spells out a mail address")
		}
	}
}

var (
	mailPattern = regexp.MustCompile(`(?i)[a-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}\s?(?:@|\[@\]|\(@\)|\[at\]|\(at\)|\{at\}|%40)\s?[a-z0-9](?:[a-z0-9-]|\[?\.\]?|\[dot\]|\(dot\)){0,250}(?:\.|\[\.\]|\[dot\]|\(dot\))[a-z][a-z0-9-]{1,62}`)
	mailInName  = regexp.MustCompile(`^[a-z]+[._-][a-z]+-at-[a-z0-9-]+-(?:com|net|org|dot-[a-z]+)\b`)
	// Telephone numbers: E.164 with a plus sign, or the North American plan in its
	// usual written forms. A bare run of digits is no evidence.
	phonePlus = regexp.MustCompile(`\+[1-9][0-9]{0,2}[ ().-]{0,2}(?:[0-9][ ().-]{0,2}){6,13}[0-9]`)
	phoneNANP = regexp.MustCompile(`\(?[2-9][0-9]{2}\)?[ .-]{1,2}[2-9][0-9]{2}[ .-][0-9]{4}`)
	ssn       = regexp.MustCompile(`[0-9]{3}-[0-9]{2}-[0-9]{4}|[0-9]{3} [0-9]{2} [0-9]{4}`)
	ssnWord   = regexp.MustCompile(`(?i)(?:\bssn\b|social[ -]security)[^0-9]{0,24}([0-9]{9})`)
	nino      = regexp.MustCompile(`(?i)\b[a-ceghj-prstw-z][a-ceghj-nprstw-z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]\b`)
	iban      = regexp.MustCompile(`(?i)\b[a-z]{2}[0-9]{2}(?: ?[a-z0-9]{4}){2,7}(?: ?[a-z0-9]{1,3})?\b`)
	userPath  = regexp.MustCompile(`(?i)(?:[a-z]:|%systemdrive%|\\)[\\/]{1,2}(?:users|documents and settings)[\\/]{1,2}([^\\/"'<>|:*?\s]{1,64})` +
		`|(?:^|[\s"'=(:,])(?:/export)?/(?:home|users)/([^\\/"'<>|:*?\s]{1,64})`)
	urlInText = regexp.MustCompile(`(?i)\b(?:https?|ftp|hxxps?)(?:://|\[://\])[^\s"'<>]+`)
)

// nobody are user names that name no person.
var nobody = []string{
	"public", "default", "default user", "all", "all users", "user", "users", "username", "admin", "administrator", "guest",
	"root", "name", "xxx", "xxxx", "vagrant", "ubuntu", "debian", "pi", "www", "www-data", "test", "sandbox", "defaultuser0",
	"runner", "git", "ec2-user", "analyst", "malware", "victim",
}

// textLimit is how much of a text is searched. Intake refuses longer ones.
const textLimit = 64 << 10

func privateText(r *report, where, s string) {
	if s == "" {
		return
	}
	s = s[:min(len(s), textLimit)]
	if strings.ContainsAny(s, "@[({%") {
		for _, m := range mailPattern.FindAllString(s, 4) {
			r.stop(CodeMail, where+": a mail address")
			local := m[:strings.IndexAny(m, "@[({%")]
			if nameLike(strings.TrimSpace(local)) {
				r.stop(CodeName, where+": a local part that looks like a person's name")
			}
		}
	}
	if digits(s) >= 8 {
		privateNumbers(r, where, s)
	}
	if strings.ContainsAny(s, `\/`) {
		for _, m := range userPath.FindAllStringSubmatch(s, 8) {
			if personal(m[1] + m[2]) {
				r.stop(CodeUserPath, where+": a path in a user's directory")
			}
		}
		for _, u := range urlInText.FindAllString(s, 8) {
			u = strings.NewReplacer("hxxp", "http", "HXXP", "http", "[://]", "://", "[.]", ".").Replace(u)
			privateURL(r, where, u)
		}
	}
}

func privateNumbers(r *report, where, s string) {
	for _, re := range []*regexp.Regexp{phonePlus, phoneNANP} {
		for _, loc := range re.FindAllStringIndex(s, 16) {
			if alone(s, loc) && !datelike(s[loc[0]:loc[1]]) {
				r.stop(CodePhone, where+": a telephone number")
			}
		}
	}
	for _, loc := range ssn.FindAllStringIndex(s, 16) {
		if alone(s, loc) && validSSN(strings.NewReplacer("-", "", " ", "").Replace(s[loc[0]:loc[1]])) {
			r.stop(CodeNational, where+": a number of the form of a US social security number")
		}
	}
	for _, m := range ssnWord.FindAllStringSubmatch(s, 4) {
		if validSSN(m[1]) {
			r.stop(CodeNational, where+": a US social security number, named as one")
		}
	}
	for _, m := range nino.FindAllString(s, 4) {
		if !slices.Contains([]string{"BG", "GB", "KN", "NK", "NT", "TN", "ZZ"}, strings.ToUpper(m[:2])) {
			r.stop(CodeNational, where+": a number of the form of a UK national insurance number")
		}
	}
	for _, m := range iban.FindAllString(s, 8) {
		if validIBAN(m) {
			r.stop(CodeNational, where+": an account number (IBAN)")
		}
	}
}

// alone reports that a number is not part of a longer token: a version, an
// address, a hash or a UUID.
func alone(s string, loc []int) bool {
	before, after := byte(' '), byte(' ')
	if loc[0] > 0 {
		before = s[loc[0]-1]
	}
	if loc[1] < len(s) {
		after = s[loc[1]]
	}
	glued := func(c byte) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '/' || c == '+' || c == '='
	}
	if after == '.' && loc[1]+1 < len(s) { // the end of a sentence is not the middle of an address
		after = s[loc[1]+1]
		if after < '0' || after > '9' {
			after = ' '
		}
	}
	return !glued(before) && before != '.' && !glued(after)
}

// datelike reports a number such as 2024-03-15 12 or +2024: no telephone number.
func datelike(s string) bool {
	d := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
	return len(d) < 8 || strings.Count(s, ".") >= 3 // fewer digits than any full number; dotted quads
}

// validSSN applies the rules of issue (POMS RM 10201.035): no area 000, 666 or
// 9xx, no group 00, no serial 0000, and not the two that advertisements made
// famous.
func validSSN(d string) bool {
	return len(d) == 9 && d[0] != '9' && d[:3] != "000" && d[:3] != "666" && d[3:5] != "00" && d[5:] != "0000" &&
		d != "078051120" && d != "219099999" && strings.Trim(d, d[:1]) != ""
}

// validIBAN checks the two check digits of ISO 13616 (ISO 7064, MOD 97-10).
func validIBAN(s string) bool {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if len(s) < 15 || len(s) > 34 {
		return false
	}
	rem := 0
	for _, c := range s[4:] + s[:4] {
		switch {
		case c >= '0' && c <= '9':
			rem = (rem*10 + int(c-'0')) % 97
		case c >= 'A' && c <= 'Z':
			rem = (rem*100 + int(c-'A') + 10) % 97
		default:
			return false
		}
	}
	return rem == 1
}

// nameLike reports a local part of two or three words of letters, such as
// given.family.
func nameLike(local string) bool {
	local, _, _ = strings.Cut(local, "+")
	words := strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
	if len(words) < 2 || len(words) > 3 {
		return false
	}
	long := 0
	for _, w := range words {
		if strings.ContainsFunc(strings.TrimRight(w, "0123456789"), func(r rune) bool { return !unicode.IsLetter(r) }) {
			return false
		}
		if len(w) >= 2 {
			long++
		}
	}
	role := []string{"no", "reply", "donotreply", "noreply", "support", "info", "mail", "admin", "service", "security", "newsletter"}
	return long >= 1 && !slices.ContainsFunc(words, func(w string) bool { return slices.Contains(role, strings.ToLower(w)) })
}

func personal(user string) bool {
	u := strings.ToLower(strings.Trim(user, ".,;)]"))
	return u != "" && !slices.Contains(nobody, u) && !strings.ContainsAny(u, "%$<>*{}")
}

func digits(s string) int {
	n := 0
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			n++
		}
	}
	return n
}

// personKeys are names of query fields that tell who somebody is.
var personKeys = []string{
	"email", "e-mail", "mail", "user", "username", "user_name", "userid", "user_id", "uid", "login", "name", "fullname",
	"firstname", "lastname", "fname", "lname", "surname", "phone", "tel", "mobile", "msisdn", "ssn", "dob", "birthday",
	"account", "customer", "customerid", "customer_id", "member", "rcpt", "recipient", "employee", "passport", "iban",
}

func privateURL(r *report, where, text string) {
	u, err := url.Parse(text)
	if err != nil {
		return
	}
	if u.User != nil && u.User.Username() != "" {
		r.stop(CodeURLUser, where+": a URL with user information")
	}
	privatePath(r, where, u.Path)
	for _, part := range []string{u.RawQuery, u.EscapedFragment()} {
		for pair := range strings.FieldsFuncSeq(part, func(c rune) bool { return c == '&' || c == ';' }) {
			key, value, ok := strings.Cut(pair, "=")
			if !ok {
				key, value = "", pair
			}
			privateQuery(r, where, unescape(key), unescape(value))
		}
	}
}

func privatePath(r *report, where, p string) {
	if strings.Contains(p, "@") && mailPattern.MatchString(p) {
		r.stop(CodeMail, where+": a mail address in a URL's path")
	}
	if digits(p) >= 9 {
		for _, loc := range ssn.FindAllStringIndex(p, 4) {
			inside := strings.Trim(p[max(0, loc[0]-1):min(len(p), loc[1]+1)], "/")
			if len(inside) == 11 && validSSN(strings.NewReplacer("-", "", " ", "").Replace(inside)) {
				r.stop(CodeNational, where+": a number of the form of a US social security number in a URL's path")
			}
		}
	}
}

func privateQuery(r *report, where, key, value string) {
	if value == "" {
		return
	}
	low := strings.ToLower(key)
	switch {
	case slices.Contains(personKeys, low) && personal(value):
		r.stop(CodeURLQuery, where+": the query field "+low+" has a value")
	case mailPattern.MatchString(value):
		r.stop(CodeURLQuery, where+": a query value is a mail address")
	case encodedMail(value):
		r.stop(CodeURLQuery, where+": a query value is a mail address in base64")
	case identity(value):
		r.stop(CodeURLQuery, where+": a query value looks like the number of a person or account")
	}
}

func unescape(s string) string {
	out, err := url.QueryUnescape(s)
	if err != nil {
		return s
	}
	return out
}

// encodedMail finds what mass mailings put behind their links: the address of
// whoever got the mail, in base64.
func encodedMail(v string) bool {
	if len(v) < 8 || len(v) > 400 {
		return false
	}
	v = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(v), "=")
	raw, err := base64.RawStdEncoding.DecodeString(v)
	return err == nil && strings.Contains(string(raw), "@") && mailPattern.Match(raw)
}

// identity reports a number of eight to sixteen digits that is no Unix time in
// seconds or milliseconds, or one of the form of a social security number.
func identity(v string) bool {
	if len(v) == 11 && ssn.MatchString(v) {
		return validSSN(strings.NewReplacer("-", "", " ", "").Replace(v))
	}
	if len(v) < 8 || len(v) > 16 || digits(v) != len(v) {
		return false
	}
	unix := (len(v) == 10 || len(v) == 13) && (v[0] == '1' || v[0] == '2' && v[1] == '0')
	date := (len(v) == 8 || len(v) == 14) && (v[:2] == "20" || v[:2] == "19")
	return !unix && !date
}
