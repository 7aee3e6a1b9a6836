package personal

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// FindURL searches a URL that is the value itself. Its host is no personal data;
// path, query and fragment may be.
func FindURL(field, value string) []Element {
	f := finder{field: field, s: value, value: true}
	i := strings.Index(value, "://")
	if i < 0 || len(value) > Limit {
		return Find(field, value)
	}
	f.url(i+3, len(value))
	path, end := f.parts(i+3, len(value))
	f.path(path, end)
	return sorted(f.found)
}

// urls finds URLs in a text and judges what is in them.
func (f *finder) urls() {
	s := f.s
	for i := 0; i < len(s); {
		n := strings.Index(s[i:], "://")
		if n < 0 {
			return
		}
		at := i + n
		i = at + 3
		if at > 0 && s[at-1] == '[' && i < len(s) && s[i] == ']' { // [://]
			at--
			i++
		}
		if at == 0 || !letter(s[at-1]) {
			continue
		}
		end := i
		for end < len(s) && s[end] > ' ' && strings.IndexByte("\"'<>`", s[end]) < 0 {
			end++
		}
		for end > i && strings.IndexByte(".,;:!?)]}", s[end-1]) >= 0 {
			end--
		}
		f.url(i, end)
		i = end
	}
}

// parts gives where the path of a URL begins whose authority begins at i, and
// where it ends.
func (f *finder) parts(i, end int) (path, query int) {
	n := strings.IndexAny(f.s[i:end], "/?#")
	if n < 0 {
		return end, end
	}
	path = i + n
	n = strings.IndexAny(f.s[path:end], "?#")
	if n < 0 {
		return path, end
	}
	return path, path + n
}

// url judges user information, query and fragment of a URL whose authority begins
// at i.
func (f *finder) url(i, end int) {
	path, query := f.parts(i, end)
	user := strings.LastIndexByte(f.s[i:path], '@')
	if user > 0 && f.s[i] != '[' && f.s[i] != ':' {
		f.add(i, i+user, URLUser, "a URL with user information")
	}
	start := query + 1
	for j := start; j <= end; j++ {
		if j < end && strings.IndexByte("&;?#", f.s[j]) < 0 {
			continue
		}
		if j > start {
			f.pair(start, j)
		}
		start = j + 1
	}
}

// pair judges one field of a query.
func (f *finder) pair(start, end int) {
	key, value := "", start
	n := strings.IndexByte(f.s[start:end], '=')
	if n >= 0 {
		key, value = strings.ToLower(unescape(f.s[start:start+n])), start+n+1
	}
	v := f.s[value:end]
	if v == "" || removed(v) {
		return
	}
	why := queryValue(key, unescape(v))
	if why == whyRandom && !f.value && digest(v) {
		return // a report's URL names a file or a commit by it
	}
	if why != "" {
		f.add(value, end, URLQuery, why)
	}
}

// personKeys are names of query fields that tell who somebody is.
var personKeys = set(`account accountid account_id birthday customer customerid customer_id displayname dob e-mail email
	emailaddress emp employee employeeid familyname firstname first_name fname fullname full_name givenname iban lastname
	last_name lname login mail member memberid member_id mobile msisdn name passport patient phone phonenumber rcpt recipient
	screenname ssn subscriber subscriberid surname tel telephone uid upn user userid user_id username user_name userprincipalname`)

// secretKeys are names of query fields that stand for somebody.
var secretKeys = set(`access_token accesstoken apikey api_key auth authkey auth_token authorization code credential id_token
	jsessionid jwt key oauth_token pass passwd password phpsessid pwd pw refresh_token secret session sessionid session_id sid
	sig signature sso state ticket tk tok token usertoken`)

// queryValue gives the reason why a query value tells who somebody is, or "".
func queryValue(key, v string) string {
	switch {
	case personKeys[key] && personal(v) && (key != "name" || PersonLike(v) || frequent(v)): // viruses and pages have names, too
		return "the query field " + key + " has a value"
	case holdsMail(v):
		return "a query value is a mail address"
	case encodedMail(v):
		return "a query value is a mail address in base64"
	case identity(v):
		return "a query value looks like the number of a person or account"
	case len(v) >= 8 && secretKeys[key] && random(v, 12):
		return "the query field " + key + " has a token for a value"
	case random(v, 24):
		return whyRandom
	default:
		return ""
	}
}

const whyRandom = "a long random query value may stand for a person"

// digest reports a value that is, or ends in, an MD5, SHA-1 or SHA-256 in hexadecimal.
func digest(v string) bool {
	v = v[strings.LastIndexByte(v, '-')+1:]
	if len(v) != 32 && len(v) != 40 && len(v) != 64 {
		return false
	}
	for i := range len(v) {
		if !hexDigit(v[i]) {
			return false
		}
	}
	return true
}

// holdsMail reports that a value has a mail address in it.
func holdsMail(v string) bool {
	if strings.IndexByte(v, '@') <= 0 {
		return false
	}
	f := finder{s: v}
	f.mails()
	return len(f.found) > 0
}

func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
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
	for i := range len(v) {
		if !alnum(v[i]) && strings.IndexByte("+/-_=", v[i]) < 0 {
			return false
		}
	}
	v = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(v), "=")
	raw, err := base64.RawStdEncoding.DecodeString(v)
	return err == nil && holdsMail(string(raw))
}

// identity reports a number of eight to sixteen digits that is no Unix time in
// seconds or milliseconds and no date, or a number of a state or telephone as
// people write it.
func identity(v string) bool {
	digits := 0
	for i := range len(v) {
		digits += int(classes[v[i]] & isDigit)
	}
	if digits != len(v) {
		if digits < 7 || len(v) > 40 {
			return false
		}
		f := finder{s: v}
		f.numbers()
		f.devices()
		return len(f.found) > 0 && f.found[0].Start == 0 && f.found[0].End == len(v)
	}
	if len(v) < 8 || len(v) > 16 {
		return false
	}
	unix := (len(v) == 10 || len(v) == 13) && (v[0] == '1' || v[0] == '2' && v[1] == '0')
	date := (len(v) == 8 || len(v) == 14) && (v[:2] == "20" || v[:2] == "19")
	return !unix && !date
}

// random reports at least so many bytes that no word or number explains: letters
// and digits mixed, with nothing between them but what base64 and UUIDs have.
func random(v string, least int) bool {
	if len(v) < least || len(v) > 4096 {
		return false
	}
	digits, turns, upper, lower := 0, 0, 0, 0
	var last class
	for i := range len(v) {
		c := classes[v[i]]
		switch {
		case c&isDigit != 0:
			digits++
		case c&isUpper != 0:
			upper++
		case c&isLetter != 0:
			lower++
		case strings.IndexByte("-_=+/.~", v[i]) >= 0:
			continue
		default:
			return false
		}
		if c != last {
			turns++
		}
		last = c
	}
	// Words change from letters to digits and from capitals once or twice; random
	// text does it every few bytes.
	return digits > 0 && upper+lower > 0 && turns*5 >= len(v)
}

// path judges the path of a URL that is the value itself: mail addresses, user
// directories, and segments that are a number of a person.
func (f *finder) path(i, end int) {
	p := finder{field: f.field, s: f.s[i:end]}
	p.mails()
	for start := 0; start < len(p.s); {
		n := strings.IndexByte(p.s[start:], '/')
		stop := len(p.s)
		if n >= 0 {
			stop = start + n
		}
		segment := p.s[start:stop]
		if stop-start >= 9 && stop-start <= 40 && strings.IndexByte(segment, '-') >= 0 && identity(unescape(segment)) {
			p.add(start, stop, NationalID, "a number of a person in a URL's path")
		}
		start = stop + 1
	}
	for _, e := range p.found {
		e.Start, e.End = e.Start+i, e.End+i
		f.found = append(f.found, e)
	}
}

// Narrowed is a value that says less, for a person to choose instead.
type Narrowed struct {
	Value string // a URL, or a name when nothing else can stay
	Loss  string // what the narrower value matches besides, or no longer
}

// Narrow gives the narrowest URL without the elements that [FindURL] found in it:
// without its query, or cut before the first path segment that holds one. ok is
// false when there is nothing to narrow.
func Narrow(value string, es []Element) (n Narrowed, ok bool) {
	i := strings.Index(value, "://")
	if i < 0 || len(es) == 0 {
		return n, false
	}
	f := finder{s: value}
	path, query := f.parts(i+3, len(value))
	cut := query
	for _, e := range es {
		if e.Start >= path && e.Start < cut {
			cut = path + strings.LastIndexByte(value[path:e.Start], '/') + 1
		}
	}
	switch {
	case cut >= query:
		return Narrowed{value[:query], "matches the address without any query; with its query it is no longer matched"}, query < len(value)
	case cut > path+1:
		return Narrowed{value[:cut], "matches this folder's own address; what is below it is no longer matched"}, true
	default:
		host := value[i+3 : path]
		if at := strings.LastIndexByte(host, '@'); at >= 0 {
			host = host[at+1:]
		}
		return Narrowed{value[:i+3] + host + "/", "matches the front page; to match all of the host, list its name instead"}, true
	}
}
