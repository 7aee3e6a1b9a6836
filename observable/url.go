package observable

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// defaultPorts of the schemes that the URL Standard calls special.
var defaultPorts = map[string]string{"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}

// canonicalURL does what [Canonical] says of URLs.
func canonicalURL(v string) (string, error) {
	if plainURL(v) {
		return v, nil
	}
	return rewrittenURL(v)
}

// plainURL tells whether a URL is canonical as it stands, for the simple ones that
// most are: rewrittenURL would give the same.
func plainURL(v string) bool {
	scheme, rest, ok := strings.Cut(v, "://")
	slash := strings.IndexByte(rest, '/')
	if !ok || scheme != "http" && scheme != "https" || slash < 0 || len(v) > maxURL {
		return false
	}
	host, port, hasPort := strings.Cut(rest[:slash], ":")
	if hasPort && (port == defaultPorts[scheme] || !plainPort(port)) {
		return false
	}
	if !goodHost(host) {
		a, err := netip.ParseAddr(host)
		if err != nil || !a.Is4() {
			return false
		}
	}
	path, query := rest[slash:], false
	for i := range len(path) {
		switch {
		case !plainByte[path[i]] || !query && path[i] == '.' && path[i-1] == '/':
			return false
		case path[i] == '?':
			query = true
		}
	}
	return !strings.HasSuffix(path, "?") || strings.IndexByte(path, '?') < len(path)-1
}

// plainPort tells whether a port is written as it should be.
func plainPort(v string) bool {
	n, err := strconv.ParseUint(v, 10, 16)
	return err == nil && v[0] != '0' && n > 0
}

// plainByte are the bytes of a path or query that stay as they are.
var plainByte = func() (t [256]bool) {
	for c := range t {
		t[c] = !mustEncode(byte(c)) && c != '%' && c != '#'
	}
	return t
}()

// rewrittenURL brings any URL into canonical form.
func rewrittenURL(v string) (string, error) {
	colon := strings.IndexByte(v, ':')
	if colon <= 0 {
		return "", errors.New("URL has no scheme")
	}
	scheme := strings.ToLower(v[:colon])
	for i := range len(scheme) {
		c := scheme[i]
		if !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return "", fmt.Errorf("URL has no scheme: %q", clip(v[:colon]))
		}
	}
	port, special := defaultPorts[scheme]
	rest := v[colon+1:]
	if strings.ContainsAny(rest, "\t\n\r") { // URL Standard, section 4.4, step 3
		rest = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(rest)
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	if special { // URL Standard, section 4.4: any number of slashes, either way
		rest = strings.TrimLeft(strings.ReplaceAll(rest, `\`, "/"), "/")
	} else if strings.HasPrefix(rest, "//") {
		rest = rest[2:]
	} else {
		return "", fmt.Errorf("URL of scheme %s has no host", scheme)
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	host, p, err := splitAuthority(authority)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Grow(len(v))
	b.WriteString(scheme + "://" + host)
	if p != "" && p != port {
		b.WriteString(":" + p)
	}
	b.WriteString(removeDots(normalizePercent(path)))
	if query != "" {
		b.WriteString("?" + normalizePercent(query))
	}
	return bounded(b.String(), URL, maxURL)
}

// splitAuthority drops user and password and gives canonical host and port.
func splitAuthority(v string) (host, port string, err error) {
	v = v[strings.LastIndexByte(v, '@')+1:]
	host = v
	if strings.HasPrefix(v, "[") {
		end := strings.IndexByte(v, ']')
		if end < 0 {
			return "", "", errors.New("URL with an address without its closing bracket")
		}
		host, port = v[:end+1], v[end+1:]
		if port != "" && port[0] != ':' {
			return "", "", errors.New("URL with text between address and port")
		}
		port = strings.TrimPrefix(port, ":")
	} else if i := strings.LastIndexByte(v, ':'); i >= 0 {
		host, port = v[:i], v[i+1:]
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return "", "", fmt.Errorf("URL with the port %q; want 0 to 65535", clip(port))
		}
		port = strconv.FormatUint(n, 10)
	}
	host, err = urlHost(host)
	return host, port, err
}

func urlHost(v string) (string, error) {
	if strings.HasPrefix(v, "[") {
		a, err := netip.ParseAddr(strings.Trim(v, "[]"))
		if err != nil || a.Zone() != "" || a.Is4() {
			return "", fmt.Errorf("URL with the address %q", clip(v))
		}
		if a.Is4In6() {
			return a.Unmap().String(), nil
		}
		return "[" + a.String() + "]", nil
	}
	v, err := decodeHost(v)
	if err != nil {
		return "", err
	}
	if !ascii(v) {
		v, err = profile.ToASCII(v)
		if err != nil {
			return "", fmt.Errorf("host of the URL: %w", err)
		}
	}
	v = strings.ToLower(strings.TrimSuffix(v, "."))
	if v == "" {
		return "", errors.New("URL has no host")
	}
	if numeric(v[strings.LastIndexByte(v, '.')+1:]) {
		return looseIPv4(v)
	}
	err = checkHost(v)
	if err != nil {
		return "", fmt.Errorf("host of the URL: %w", err)
	}
	return v, nil
}

// decodeHost undoes percent-encoding, which browsers accept in a host.
func decodeHost(v string) (string, error) {
	if !strings.Contains(v, "%") {
		return v, nil
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] != '%' {
			b.WriteByte(v[i])
			continue
		}
		if i+2 >= len(v) || !hexDigit(v[i+1]) || !hexDigit(v[i+2]) {
			return "", errors.New("host of the URL has a percent sign that encodes nothing")
		}
		b.WriteByte(unhex(v[i+1])<<4 | unhex(v[i+2]))
		i += 2
	}
	return b.String(), nil
}

// looseIPv4 reads the forms of inet_aton (URL Standard, section 3.5, "IPv4
// parser"): one to four numbers, decimal, octal or hexadecimal, the last one
// filling what remains.
func looseIPv4(v string) (string, error) {
	parts := strings.Split(v, ".")
	if len(parts) > 4 {
		return "", fmt.Errorf("host of the URL: %q is not an address", clip(v))
	}
	var addr uint64
	for i, p := range parts {
		n, err := looseNumber(p)
		most := uint64(255)
		if i == len(parts)-1 {
			most = 1<<(8*(5-len(parts))) - 1
		}
		if err != nil || n > most {
			return "", fmt.Errorf("host of the URL: %q is not an address", clip(v))
		}
		if i == len(parts)-1 {
			addr |= n
		} else {
			addr |= n << (8 * (3 - i))
		}
	}
	return netip.AddrFrom4([4]byte{byte(addr >> 24), byte(addr >> 16), byte(addr >> 8), byte(addr)}).String(), nil
}

func looseNumber(v string) (uint64, error) {
	switch {
	case v == "0x":
		return 0, nil
	case strings.HasPrefix(v, "0x"):
		return strconv.ParseUint(v[2:], 16, 33)
	case len(v) > 1 && v[0] == '0':
		return strconv.ParseUint(v[1:], 8, 33)
	default:
		return strconv.ParseUint(v, 10, 33)
	}
}

// normalizePercent brings percent-encoding into one form, see canonicalURL.
func normalizePercent(v string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(v))
	for i := 0; i < len(v); i++ {
		c := v[i]
		encode := mustEncode(c)
		if c == '%' {
			encode = true // unless two digits follow
			if i+2 < len(v) && hexDigit(v[i+1]) && hexDigit(v[i+2]) {
				c = unhex(v[i+1])<<4 | unhex(v[i+2])
				encode = !unreserved(c)
				i += 2
			}
		}
		if encode {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// removeDots is RFC 3986 section 5.2.4 for a path that is empty or begins with
// a slash.
func removeDots(path string) string {
	if path == "" {
		return "/"
	}
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, s)
		}
	}
	return "/" + strings.Join(out, "/")
}

func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_' || c == '~'
}

// mustEncode are the bytes that RFC 3986 allows nowhere in a path or query.
func mustEncode(c byte) bool {
	return c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}
