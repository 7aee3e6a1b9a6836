package misp

import (
	"strconv"
	"strings"

	"ecs/hub/internal/format"
	"ecs/observable"
)

// value is one value that a service can see.
type value struct {
	text    string
	kind    observable.Kind
	pattern bool // text is a STIX pattern
}

// kinds are the attribute types of one value that services can see.
var kinds = map[string]observable.Kind{
	"domain": observable.Domain, "hostname": observable.Domain, "url": observable.URL,
	"email": observable.Mail, "email-src": observable.Mail, "email-reply-to": observable.Mail,
	"email-subject": observable.Subject, "email-attachment": observable.FileName, "filename": observable.FileName,
	"md5": observable.MD5, "sha1": observable.SHA1, "sha256": observable.SHA256, "sha512": observable.SHA512,
}

// split takes the value of an attribute apart. about is what it says that is not
// matched, for analysts.
func split(sort, v string) (out []value, about string, problem *format.Problem) {
	v = strings.TrimSpace(v)
	k, ok := kinds[sort]
	if ok {
		return []value{{text: v, kind: k}}, "", nil
	}
	switch sort {
	case "ip-src", "ip-dst":
		return address(v)
	case "ip-src|port", "ip-dst|port":
		addr, port, ok := halves(v)
		if !ok || !validAddr(addr) || !validPort(port) {
			return nil, "", bad(sort, "an address, a bar and a port")
		}
		return []value{{text: addr + " " + port + "/any"}}, "", nil
	case "hostname|port":
		name, port, ok := halves(v)
		if !ok || !validPort(port) {
			return nil, "", bad(sort, "a name, a bar and a port")
		}
		return []value{{text: name, kind: observable.Domain}}, "on port " + port, nil
	case "domain|ip":
		name, addr, ok := halves(v)
		if !ok || !validAddr(addr) {
			return nil, "", bad(sort, "a name, a bar and an address")
		}
		a, _, _ := address(addr)
		return append([]value{{text: name, kind: observable.Domain}}, a...), "seen together: " + v, nil
	case "email-dst":
		return nil, "", &format.Problem{Code: codeUnobservable, Reason: "it names who mail is sent to, and services match who sends it"}
	case "uri":
		switch {
		case strings.HasPrefix(v, "/"):
			return nil, "", &format.Problem{Code: codeUnobservable, Reason: "a path without a host is nothing that a service can see"}
		case strings.Contains(v, "://"):
			return []value{{text: v, kind: observable.URL}}, "", nil
		}
		return []value{{text: v}}, "", nil
	case "stix2-pattern":
		return []value{{text: v, pattern: true}}, "", nil
	case "malware-sample":
		sort = "filename|md5"
	}
	if hash, ok := strings.CutPrefix(sort, "filename|"); ok {
		k, ok = kinds[hash]
		i := strings.LastIndexByte(v, '|') // the name may hold bars
		switch {
		case !ok || hash == "filename":
		case i <= 0 || i == len(v)-1:
			return nil, "", bad(sort, "a file name, a bar and a hash")
		default:
			return []value{{text: strings.TrimSpace(v[i+1:]), kind: k}}, "file name " + v[:i], nil
		}
	}
	return nil, "", &format.Problem{Code: codeUnobservable, Reason: "no service can see what MISP calls " + clip(sort, 60)}
}

// victims are the categories in which MISP keeps who was attacked.
var victims = map[string]bool{"Targeting data": true, "Person": true}

// personal reports whether an attribute may name a person or a victim: of those
// nothing is kept when they are refused.
func personal(a *attribute) bool {
	return victims[a.category] || a.sort == "email-dst" || strings.HasPrefix(a.sort, "target-") || strings.HasPrefix(a.sort, "whois-registrant-") ||
		strings.HasPrefix(a.sort, "email-dst-")
}

func bad(sort, want string) *format.Problem {
	return &format.Problem{Code: codeValue, Reason: "the value of type " + sort + " is not " + want}
}

func address(v string) ([]value, string, *format.Problem) {
	k := observable.Addr
	if strings.Contains(v, "/") {
		k = observable.Prefix
	}
	return []value{{text: v, kind: k}}, "", nil
}

func halves(v string) (a, b string, ok bool) {
	a, b, ok = strings.Cut(v, "|")
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return a, b, ok && a != "" && b != "" && !strings.Contains(b, "|")
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}
