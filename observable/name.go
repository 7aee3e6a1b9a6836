package observable

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// profile maps names as browsers do: UTS #46, non-transitional, with the rules
// for joiners and right-to-left labels. Which ASCII characters a name may hold
// is for checkHost, since the profile's own rule forbids underscores.
var profile = idna.New(
	idna.MapForLookup(),
	idna.Transitional(false),
	idna.StrictDomainName(false),
	idna.CheckHyphens(false),
	idna.BidiRule(),
)

func canonicalHost(v string) (string, error) {
	if !ascii(v) {
		mapped, err := profile.ToASCII(v)
		if err != nil {
			return "", fmt.Errorf("%q is not an internationalized name: %w", clip(v), err)
		}
		v = mapped
	}
	v = strings.ToLower(strings.TrimSuffix(v, "."))
	err := checkHost(v)
	if err != nil {
		return "", err
	}
	return v, nil
}

// hostByte are the bytes of a canonical name but for the dot.
var hostByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
	}
	return t
}()

// goodHost tells whether checkHost finds nothing, which is nearly always so.
func goodHost(v string) bool {
	if v == "" || len(v) > maxHost {
		return false
	}
	label := 0 // where the label begins
	for i := range len(v) {
		if hostByte[v[i]] {
			continue
		}
		if v[i] != '.' || i == label || i-label > 63 {
			return false
		}
		label = i + 1
	}
	return label < len(v) && len(v)-label <= 63 && !numeric(v[label:])
}

func checkHost(v string) error {
	if goodHost(v) {
		return nil
	}
	return hostError(v)
}

// hostError says what is wrong with a name, label by label; nil if nothing is.
func hostError(v string) error {
	if v == "" {
		return errors.New("name is empty")
	}
	if len(v) > maxHost {
		return fmt.Errorf("name of %d bytes, limit %d", len(v), maxHost)
	}
	last := ""
	for label := range strings.SplitSeq(v, ".") {
		if label == "" {
			return fmt.Errorf("name %q has an empty label", clip(v))
		}
		if len(label) > 63 {
			return fmt.Errorf("name %q has a label of %d bytes, limit 63", clip(v), len(label))
		}
		for i := range len(label) {
			c := label[i]
			if c == '*' {
				return fmt.Errorf("name %q has a wildcard; give the name itself, which covers all names below it", clip(v))
			}
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return fmt.Errorf("name %q has the character %q; want letters, digits, hyphen, underscore", clip(v), string(rune(c)))
			}
		}
		last = label
	}
	if numeric(last) {
		return fmt.Errorf("%q ends in a number: an address is not a name", clip(v))
	}
	return nil
}

// numeric reports whether a label reads as a number to the URL Standard
// (section 3.5, "ends in a number checker").
func numeric(label string) bool {
	if h, ok := strings.CutPrefix(label, "0x"); ok && isHex(h) {
		return true
	}
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return false
		}
	}
	return label != ""
}

func ascii(v string) bool {
	for i := range len(v) {
		if v[i] >= 0x80 {
			return false
		}
	}
	return true
}

func canonicalMail(v string) (string, error) {
	if n := len(v); n > 2 && v[0] == '<' && v[n-1] == '>' {
		v = strings.TrimSpace(v[1 : n-1])
	}
	at := strings.LastIndexByte(v, '@')
	if at < 0 {
		return "", fmt.Errorf("%q is not a mail address: no @", clip(v))
	}
	local, err := canonicalLocal(v[:at])
	if err != nil {
		return "", err
	}
	domain := v[at+1:]
	if strings.HasPrefix(domain, "[") {
		domain, err = addressLiteral(domain)
	} else {
		domain, err = canonicalHost(domain)
	}
	if err != nil {
		return "", fmt.Errorf("domain of the mail address: %w", err)
	}
	if local == v[:at] && domain == v[at+1:] {
		return bounded(v, Mail, maxMail)
	}
	return bounded(local+"@"+domain, Mail, maxMail)
}

// canonicalLocal takes the part before the @ (RFC 5321 section 4.1.2, RFC 6531
// section 3.3). In principle its case matters; in practice it never does, and
// an indicator that an upper-case letter evades is worth nothing.
func canonicalLocal(v string) (string, error) {
	if n := len(v); n >= 2 && v[0] == '"' && v[n-1] == '"' {
		var b strings.Builder
		for i := 1; i < n-1; i++ {
			if v[i] == '\\' && i+1 < n-1 {
				i++
			} else if v[i] == '"' || v[i] == '\\' {
				return "", errors.New("local part of the mail address has a stray quote or backslash")
			}
			b.WriteByte(v[i])
		}
		v = foldCase(b.String())
	} else {
		if ascii(v) {
			v = strings.ToLower(v)
		} else {
			v = foldCase(norm.NFC.String(v))
		}
		if !dotAtom(v) {
			return "", errors.New("local part of the mail address is empty or needs quotes")
		}
		if len(v) <= maxLocal {
			return v, nil
		}
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return "", errors.New("local part of the mail address has a control character")
		}
	}
	if !dotAtom(v) {
		v = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(v) + `"`
	}
	if len(v) > maxLocal {
		return "", fmt.Errorf("local part of the mail address of %d bytes, limit %d", len(v), maxLocal)
	}
	return v, nil
}

// dotAtom reports whether v is a dot-atom (RFC 5322 section 3.2.3), bytes above
// ASCII included (RFC 6531). Empty atoms are let pass but at the ends, since
// large mail systems hand out such addresses.
func dotAtom(v string) bool {
	if v == "" || v[0] == '.' || v[len(v)-1] == '.' {
		return false
	}
	for i := range len(v) {
		if !atomByte[v[i]] {
			return false
		}
	}
	return true
}

var atomByte = func() (t [256]bool) {
	for c := range t {
		t[c] = c > ' ' && c != 0x7f && strings.IndexByte(`()<>[]:;@\,"`, byte(c)) < 0
	}
	return t
}()

// addressLiteral takes RFC 5321 section 4.1.3.
func addressLiteral(v string) (string, error) {
	in, ok := strings.CutSuffix(v[1:], "]")
	if !ok {
		return "", errors.New("address literal without its closing bracket")
	}
	if len(in) > 5 && strings.EqualFold(in[:5], "IPv6:") {
		in = in[5:]
	}
	a, err := netip.ParseAddr(in)
	if err != nil || a.Zone() != "" {
		return "", fmt.Errorf("%q is not an address literal", clip(v))
	}
	a = a.Unmap()
	if a.Is4() {
		return "[" + a.String() + "]", nil
	}
	return "[ipv6:" + a.String() + "]", nil
}
