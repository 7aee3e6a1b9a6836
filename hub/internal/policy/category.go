package policy

import (
	"path"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/indicator"
)

// Category says what a warning list is about. An operator can set the severity of
// a whole category.
type Category string

// The categories.
const (
	Popular     Category = "popular"       // names that most people visit, with a rank
	Shared      Category = "shared"        // names and services under which strangers have theirs: only the entry itself stops
	CDN         Category = "cdn"           // front addresses of delivery networks
	Cloud       Category = "cloud"         // ranges of data centers and hosters
	VPN         Category = "vpn"           // ranges of VPN providers and relays
	Scanner     Category = "scanner"       // known scanners of the whole network
	Resolver    Category = "resolver"      // open and public resolvers
	MailServer  Category = "mail"          // senders and receivers of mail for many
	Vendor      Category = "vendor"        // names and addresses of large makers and their services
	Institution Category = "institution"   // banks, universities, companies
	Certificate Category = "certificate"   // certificate status and authorities
	Reserved    Category = "reserved"      // special-use names and addresses, suffixes
	HashOfAll   Category = "hash"          // hashes of files that everybody has
	Security    Category = "security"      // sinkholes, analysis services, exercises
	Parking     Category = "parking"       // parked names
	Health      Category = "health"        // names of a past crisis
	OwnList     Category = "built-in"      // in this program
	OtherList   Category = "uncategorized" // not in the table
)

// listClass is one row of the table of lists: a pattern of [path.Match] over
// their names, what they are about, and what a hit does.
type listClass struct {
	pattern  string
	category Category
	severity indicator.Severity
}

// listClasses is the table; the first row that fits counts. A list that none fits
// stops. docs/formats/checks.md has it for operators.
var listClasses = []listClass{
	{"cisco_top20k", Popular, indicator.Warn},
	{"cloudflare-top20k", Popular, indicator.Warn},
	{"cloudflare-top50k", Popular, indicator.Warn},
	{"cloudflare-top100k", Popular, indicator.Warn},
	{"tranco", Popular, indicator.Warn},
	{"cisco_top*", Popular, indicator.Stop},
	{"cloudflare-top*", Popular, indicator.Stop},
	{"tranco*", Popular, indicator.Stop},
	{"alexa", Popular, indicator.Stop},
	{"moz-top500", Popular, indicator.Stop},
	{"majestic_million", Popular, indicator.Stop},
	{"dynamic-dns", Shared, indicator.Stop},
	{"lots-project", Shared, indicator.Stop},
	{"url-shortener", Shared, indicator.Stop},
	{"link-in-bio", Shared, indicator.Stop},
	{"public-ipfs*", Shared, indicator.Stop},
	{"disposable-email", Shared, indicator.Warn},
	{"akamai", CDN, indicator.Stop},
	{"cloudflare", CDN, indicator.Stop},
	{"fastly", CDN, indicator.Stop},
	{"stackpath", CDN, indicator.Stop},
	{"bunny-net", CDN, indicator.Stop},
	{"amazon-aws", Cloud, indicator.Warn},
	{"microsoft-azure*", Cloud, indicator.Warn},
	{"google-gcp", Cloud, indicator.Warn},
	{"oracle-oci", Cloud, indicator.Warn},
	{"ovh-cluster", Cloud, indicator.Warn},
	{"github", Cloud, indicator.Warn},
	{"vpn-*", VPN, indicator.Warn},
	{"icloud-private-relay", VPN, indicator.Warn},
	{"zscaler", VPN, indicator.Stop},
	{"*scanning*", Scanner, indicator.Warn},
	{"*scanner*", Scanner, indicator.Warn},
	{"umich-*", Scanner, indicator.Warn},
	{"shadowserver", Scanner, indicator.Warn},
	{"check-host-net", Scanner, indicator.Warn},
	{"tenable-*", Scanner, indicator.Warn},
	{"palo-alto-*", Scanner, indicator.Warn},
	{"openai-gptbot", Scanner, indicator.Warn},
	{"googlebot", Scanner, indicator.Stop},
	{"public-dns-*", Resolver, indicator.Warn},
	{"smtp-*", MailServer, indicator.Stop},
	{"google-gmail-*", MailServer, indicator.Stop},
	{"common-contact-emails", MailServer, indicator.Warn},
	{"microsoft-attack-simulator", Security, indicator.Stop},
	{"microsoft*", Vendor, indicator.Stop},
	{"google*", Vendor, indicator.Stop},
	{"apple", Vendor, indicator.Stop},
	{"wikimedia", Vendor, indicator.Stop},
	{"telegram-ips", Vendor, indicator.Warn},
	{"captive-portals", Vendor, indicator.Stop},
	{"bank-website", Institution, indicator.Stop},
	{"university_domains", Institution, indicator.Stop},
	{"dax30", Institution, indicator.Stop},
	{"crl-*", Certificate, indicator.Stop},
	{"mozilla-*", Certificate, indicator.Stop},
	{"rfc*", Reserved, indicator.Stop},
	{"ipv6-linklocal", Reserved, indicator.Stop},
	{"multicast", Reserved, indicator.Stop},
	{"tlds", Reserved, indicator.Stop},
	{"second-level-tlds", Reserved, indicator.Stop},
	{"empty-hashes", HashOfAll, indicator.Stop},
	{"eicar.com", HashOfAll, indicator.Stop},
	{"common-ioc-false-positive", HashOfAll, indicator.Stop},
	{"ti-falsepositives", HashOfAll, indicator.Stop},
	{"sinkholes", Security, indicator.Warn},
	{"automated-malware-analysis", Security, indicator.Warn},
	{"security-provider-blogpost", Security, indicator.Warn},
	{"digitalside", Security, indicator.Warn},
	{"umbrella-blockpage-*", Security, indicator.Stop},
	{"findip-host", Shared, indicator.Warn},
	{"whats-my-ip", Shared, indicator.Warn},
	{"parking-*", Parking, indicator.Warn},
	{"covid*", Health, indicator.Warn},
}

// classify finds the category of a list and what a hit does; own settings, by the
// list's name or by "category:" and the category, come first.
func classify(name string, own map[string]indicator.Severity) (Category, indicator.Severity) {
	cat, sev := OtherList, indicator.Stop
	for _, c := range listClasses {
		ok, err := path.Match(c.pattern, name)
		if ok && err == nil {
			cat, sev = c.category, c.severity
			break
		}
	}
	s, ok := own["category:"+string(cat)]
	if ok {
		sev = s
	}
	s, ok = own[name]
	if ok {
		sev = s
	}
	return cat, sev
}

// rankOf gives the rank that every name on a list of popular ones has at least,
// by the list's name: 10000 for tranco10k; 0 for other lists.
func rankOf(name string, cat Category) int {
	if cat != Popular {
		return 0
	}
	switch name {
	case "alexa":
		return 1000
	case "majestic_million":
		return 10_000
	case "tranco":
		return 1_000_000
	}
	end := len(name)
	times := 1
	if strings.HasSuffix(name, "k") {
		times, end = 1000, end-1
	}
	begin := end
	for begin > 0 && name[begin-1] >= '0' && name[begin-1] <= '9' {
		begin--
	}
	n, err := strconv.Atoi(name[begin:end])
	if err != nil || n > 1_000_000 {
		return 1_000_000
	}
	return n * times
}

// ListInfo describes a list.
type ListInfo struct {
	Name     string // short: the file's or folder's
	Title    string // as the list calls itself; may be empty
	Code     string // of the finding that a hit makes
	Category Category
	Severity indicator.Severity
	Rank     int // lists of popular names: the rank that all on it have at least; 0: no such list
	Entries  int
	Date     time.Time // of its version; zero: the version is no date
}
