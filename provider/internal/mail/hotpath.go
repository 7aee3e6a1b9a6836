package mail

import (
	"bytes"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/match"
)

// This file is what happens to every single thing that a message names. Budget:
// 150 ns and no allocation for a host name, address or digest in plain ASCII
// that no indicator names; 300 ns and no allocation for an ordinary URL. The
// rest (other character sets, percent signs, subjects, file names: a handful in
// a message) goes through observable.Canonical and may allocate. Checked by
// TestHotPathAllocatesNothing and BenchmarkFind.

const (
	maxHits = 64  // different indicators that one message is said to match
	maxWhat = 160 // bytes kept of what matched
)

// hit is one indicator that a message matches, and where it was seen first.
type hit struct {
	entry *match.Entry
	place mime.Place
	n     uint8
	what  [maxWhat]byte
}

// judge looks up what the walk of one message finds. It knows no customers.
type judge struct {
	set   *match.Set
	now   int64 // seconds since 1970, when the message began
	hits  []hit
	extra int // indicators beyond maxHits
	name  [maxURLBytes]byte

	// Hosts that nothing names: messages name the same few again and again.
	missed [4][64]byte
	length [4]uint8
	oldest uint8
}

const maxURLBytes = 4096

// Find implements [mime.Visitor].
func (j *judge) Find(p mime.Place, k observable.Kind, v []byte) {
	switch k {
	case observable.Domain:
		host, ok := plainHost(j.name[:0], v)
		if ok {
			j.host(p, host, v)
			return
		}
	case observable.Mail:
		addr, ok := plainMail(j.name[:0], v)
		if ok {
			j.mail(p, addr, v)
			return
		}
	case observable.URL:
		j.url(p, v)
		return
	case observable.Subject, observable.FileName:
	default:
		j.text(p, k, v, v)
		return
	}
	j.slow(p, k, v)
}

// slow brings a value into its canonical spelling by the general way.
func (j *judge) slow(p mime.Place, k observable.Kind, v []byte) {
	s, err := observable.Canonical(k, string(v))
	if err != nil {
		at := bytes.LastIndexByte(v, '@')
		if k == observable.Mail && at >= 0 {
			j.Find(p, observable.Domain, v[at+1:]) // an odd local part does not hide its domain
		}
		return
	}
	switch k {
	case observable.Domain:
		j.host(p, append(j.name[:0], s...), v)
	case observable.Mail:
		j.mail(p, append(j.name[:0], s...), v)
	case observable.URL:
		j.canonicalURL(p, append(j.name[:0], s...), v)
	default:
		j.text(p, k, append(j.name[:0], s...), v)
	}
}

func (j *judge) text(p mime.Place, k observable.Kind, v, seen []byte) {
	if j.set.Text(contract.SMTP, j.now, k, v) == nil {
		return
	}
	var room [16]*match.Entry
	for _, e := range j.set.TextAll(room[:0], contract.SMTP, j.now, k, v) {
		j.add(e, p, seen)
	}
}

// host looks up a canonical host name and, as soon as one indicator is hit, all
// of the name and its parents: a customer may have an exception for one and not
// another.
func (j *judge) host(p mime.Place, host, seen []byte) {
	for i := range j.missed {
		if int(j.length[i]) == len(host) && bytes.Equal(j.missed[i][:len(host)], host) {
			return
		}
	}
	e := j.set.Host(contract.SMTP, j.now, host)
	if e == nil && len(host) <= len(j.missed[0]) {
		i := j.oldest % uint8(len(j.missed))
		j.length[i] = uint8(copy(j.missed[i][:], host))
		j.oldest++
	}
	if e == nil {
		return
	}
	var room [16]*match.Entry
	for _, e = range j.set.HostAll(room[:0], contract.SMTP, j.now, host) {
		j.add(e, p, seen)
	}
}

func (j *judge) mail(p mime.Place, addr, seen []byte) {
	j.text(p, observable.Mail, addr, seen)
	at := bytes.LastIndexByte(addr, '@')
	j.host(p, addr[at+1:], seen)
}

// url looks up an URL. Without a scheme it is both http and https, since mail
// programs make either of it.
func (j *judge) url(p mime.Place, v []byte) {
	if bytes.Contains(v, schemeEnd) || bytes.Contains(v, schemeEndBack) {
		u, ok := plainURL(j.name[:0], v)
		if ok {
			j.canonicalURL(p, u, v)
		} else {
			j.slow(p, observable.URL, v)
		}
		return
	}
	for _, s := range schemes {
		if len(v)+len(s) > maxURLBytes/2 {
			return
		}
		full := append(append(j.name[maxURLBytes/2:maxURLBytes/2], s...), v...)
		u, ok := plainURL(j.name[:0], full)
		if ok {
			j.canonicalURL(p, u, v)
		} else {
			j.slow(p, observable.URL, full)
		}
	}
}

var (
	schemeEnd     = []byte("://")
	schemeEndBack = []byte(`:\\`)
	schemes       = [2][]byte{[]byte("http://"), []byte("https://")}
)

// canonicalURL looks up an URL and the host within.
func (j *judge) canonicalURL(p mime.Place, u, seen []byte) {
	j.text(p, observable.URL, u, seen)
	i := bytes.Index(u, schemeEnd)
	if i < 0 {
		return
	}
	host := u[i+3:]
	for n, c := range host {
		if c == '/' || c == ':' || c == '?' {
			host = host[:n]
			break
		}
	}
	if len(host) > 0 && host[0] != '[' {
		j.host(p, host, seen)
	}
}

// add keeps a hit, once for each indicator.
func (j *judge) add(e *match.Entry, p mime.Place, seen []byte) {
	for i := range j.hits {
		if j.hits[i].entry.ID == e.ID {
			return
		}
	}
	if len(j.hits) == maxHits {
		j.extra++
		return
	}
	j.hits = append(j.hits, hit{entry: e, place: p})
	h := &j.hits[len(j.hits)-1]
	h.n = uint8(copy(h.what[:], seen))
}

// plainHost folds a host name in ASCII. It reports false for anything that
// [observable.Canonical] would do more to.
func plainHost(dst, v []byte) ([]byte, bool) {
	if n := len(v); n > 0 && v[n-1] == '.' {
		v = v[:n-1]
	}
	if len(v) == 0 || len(v) > 253 {
		return dst, false
	}
	for _, c := range v {
		f := fold[c]
		if f == 0 {
			return dst, false
		}
		dst = append(dst, f)
	}
	return dst, true
}

// plainMail folds an address whose local part is a plain atom.
func plainMail(dst, v []byte) ([]byte, bool) {
	at := bytes.LastIndexByte(v, '@')
	if at <= 0 || at > 64 || v[0] == '.' || v[at-1] == '.' {
		return dst, false
	}
	for _, c := range v[:at] {
		f := fold[c]
		if f == 0 && c != '+' && c != '=' {
			return dst, false
		}
		if f == 0 {
			f = c
		}
		dst = append(dst, f)
	}
	return plainHost(append(dst, '@'), v[at+1:])
}

// plainURL brings an ordinary http or https URL into canonical form: host in
// ASCII that is a name, no port, no user, nothing in need of encoding, no dots
// as path segments. It reports false for all else.
func plainURL(dst, v []byte) ([]byte, bool) {
	i := bytes.IndexByte(v, ':')
	if i < 4 || i > 5 || len(v) > maxURLBytes/2-16 || len(v) < i+4 || v[i+1] != '/' || v[i+2] != '/' {
		return dst, false
	}
	if i == 4 && !bytes.EqualFold(v[:4], schemes[0][:4]) || i == 5 && !bytes.EqualFold(v[:5], schemes[1][:5]) {
		return dst, false
	}
	dst = append(dst, schemes[i-4]...)
	v = v[i+3:]
	end := len(v)
	for n, c := range v {
		if c == '/' || c == '?' || c == '#' {
			end = n
			break
		}
	}
	host := v[:end]
	dot := bytes.LastIndexByte(host, '.')
	if dot <= 0 || len(host) > 253 || dot == len(host)-1 || host[dot+1] >= '0' && host[dot+1] <= '9' || bytes.Contains(host, twoDots) || host[0] == '.' {
		return dst, false
	}
	label := 0
	for _, c := range host {
		f := fold[c]
		label++
		if c == '.' {
			label = 0
		}
		if f == 0 || label > 63 {
			return dst, false
		}
		dst = append(dst, f)
	}
	v = v[end:]
	i = bytes.IndexByte(v, '#')
	if i >= 0 {
		v = v[:i]
	}
	if len(v) == 0 {
		return append(dst, '/'), true
	}
	if v[0] == '?' || v[len(v)-1] == '?' || bytes.Contains(v, slashDot) {
		return dst, false
	}
	for _, c := range v {
		if !pathByte[c] {
			return dst, false
		}
	}
	return append(dst, v...), true
}

var (
	twoDots  = []byte("..")
	slashDot = []byte("/.")
)

// fold gives the lower case of what a host name may hold, 0 for all else.
var fold = func() (t [256]byte) {
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-32] = c, c
	}
	for _, c := range []byte("0123456789-_.") {
		t[c] = c
	}
	return t
}()

// pathByte are the bytes of a path or query that canonical form leaves alone.
var pathByte = func() (t [256]bool) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?[]") {
		t[c] = true
	}
	return t
}()
