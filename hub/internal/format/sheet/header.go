package sheet

import (
	"regexp"
	"strings"

	"ecs/observable"
)

// meaning is what a word of a header says.
type meaning struct {
	field Field
	kind  observable.Kind
}

// headerWords are the words that sources write above what we know, folded as by
// headerWord and divided by bars. Description and summary are both for analysts:
// that a text may be released is never guessed.
var headerWords = wordIndex([]struct {
	meaning
	words string
}{
	{meaning{Value, 0}, "value|values|value1|ioc|iocs|ioc value|indicator|indicators|indicator value|indicator of compromise|observable|observables|artifact|hash|hashes|file hash|checksum"},
	{meaning{Value, observable.Addr}, "ip|ips|ipv4|ipv6|ip address|ipaddress|ip addresses|ip addr|ipv4 address|ipv6 address|address|addresses|src ip|dst ip|ip dst|ip src|c2 ip|host ip"},
	{meaning{Value, observable.Prefix}, "cidr|subnet|prefix|netblock|network|ip range"},
	{meaning{Value, observable.Domain}, "domain|domains|domain name|domain names|fqdn|hostname|hostnames|host name|host|c2 domain|malicious domain"},
	{meaning{Value, observable.URL}, "url|urls|uri|link|malicious url|phishing url"},
	{meaning{Value, observable.Mail}, "email|e mail|sender|email address|e mail address|mail address|sender address|from"},
	{meaning{Value, observable.Subject}, "subject|email subject|mail subject"},
	{meaning{Value, observable.FileName}, "filename|file name|file"},
	{meaning{Value, observable.MD5}, "md5|md5 hash"},
	{meaning{Value, observable.SHA1}, "sha1|sha 1|sha1 hash"},
	{meaning{Value, observable.SHA256}, "sha256|sha 256|sha256 hash"},
	{meaning{Value, observable.SHA512}, "sha512|sha 512|sha512 hash"},
	{meaning{Pattern, 0}, "pattern|stix pattern"},
	{meaning{Type, 0}, "type|ioc type|indicator type|kind|observable type|value type"},
	{meaning{Port, 0}, "port|dst port|c2 port|destination port"},
	{meaning{Protocol, 0}, "protocol|proto"},
	{meaning{Category, 0}, "category|activity|threat type|kill chain phase|attack phase"},
	{meaning{Confidence, 0}, "confidence|confidence level|confidence score|score|certainty"},
	{meaning{Credibility, 0}, "credibility|admiralty|admiralty code|source rating|grading"},
	{meaning{TLP, 0}, "tlp|traffic light protocol|tlp level|tlp marking|tlp color"},
	{meaning{Marking, 0}, "marking|markings|classification|sensitivity|handling|caveat|caveats|handling instructions|protective marking|releasability|pap|distribution"},
	{meaning{ValidFrom, 0}, "valid from|start|start date|first seen|firstseen|date added|dateadded|created|created at"},
	{meaning{ValidUntil, 0}, "valid until|valid to|expires|expiry|expiration|expiration date|end date"},
	{meaning{Observed, 0}, "observed|last seen|lastseen|last observed|last online|date seen|seen|date"},
	{meaning{Context, 0}, "context|description|comment|comments|note|notes|details|remarks|info|analysis|additional information|summary"},
	{meaning{Reference, 0}, "reference|reference id|id|uuid|uid|case|ticket|internal id|ref|event id"},
	{meaning{Labels, 0}, "labels|label|tags|tag|malware|family|malware family|malware name|campaign|actor|threat actor|threat|threats|signature"},
	{meaning{Action, 0}, "action|recommended action"},
	{meaning{Disclosure, 0}, "disclosure"},
	{meaning{Notify, 0}, "notify|tenot"},
	{meaning{Enforce, 0}, "enforce|netdef|to ids|block"},
	{meaning{Display, 0}, "display|dsply"},
	{meaning{Benign, 0}, "benign|whitelisted|allowlisted"},
	{meaning{Revoked, 0}, "revoked|withdrawn"},
})

func wordIndex(list []struct {
	meaning
	words string
},
) map[string]meaning {
	out := map[string]meaning{}
	for _, l := range list {
		for w := range strings.SplitSeq(l.words, "|") {
			out[w] = l.meaning
		}
	}
	return out
}

var bracketed = regexp.MustCompile(`[(\[][^)\]]*[)\]]`)

// headerWord gives what a header means, the zero meaning when nobody knows. What
// stands in brackets, as in "First seen (UTC)", does not count.
func headerWord(h string) meaning {
	h = bracketed.ReplaceAllString(strings.ToLower(h), " ")
	h = strings.NewReplacer("_", " ", "-", " ", "#", " ", `"`, " ", "*", " ", ":", " ", ".", " ", "/", " ").Replace(h)
	return headerWords[strings.TrimSuffix(strings.Join(strings.Fields(h), " "), " utc")]
}
