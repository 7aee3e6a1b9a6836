package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
)

// Of a hundred indicators of the delivery, so many are of each kind; the rest are
// digests of files.
const (
	domains   = 60
	urls      = 15
	addresses = 13

	repeated = 20  // every 20th says again what an earlier one said, under an identifier of its own
	personal = 100 // every 100th names a person in its description
	stricter = 50  // every 50th is marked by ACS 3.0 beside TLP
)

// Marking definitions of the delivery.
const (
	tlpClear = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"
	tlpGreen = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	tlpAmber = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	acs      = "marking-definition--6010b3f4-a603-4d3b-9098-8708cdbe151b"

	acsDefinition = `{"type":"marking-definition","spec_version":"2.1","id":"` + acs + `","created":"2026-06-18T00:00:00Z","extensions":{"extension-definition--3a65884d-005a-4290-8335-cb2d778a83ce":{"extension_type":"property-extension","identifier":"isa:guide.999191.ACS3-76342cc9-1440-4031-84a3-d498c404cab3","create_date_time":"2026-05-27T14:10:26.723Z","responsible_entity_custodian":"USA.DHS.US-CERT","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=permit","control_set":{"classification":"U","formal_determination":["FOUO"]},"access_privilege":[{"privilege_action":"NETDEF","privilege_scope":{"entity":["ALL"],"permitted_nationalities":["ALL"],"permitted_organizations":["ALL"],"shareability":["ALL"]},"rule_effect":"permit"}]}}}`
)

// mix scatters a number over 64 bits (SplitMix64), so that the delivery is the
// same each time and in no order that would favor an index.
func mix(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// value gives the observable of an indicator: kind as the database has it, the
// canonical value, and the pattern.
func value(n int) (kind, v, pattern string) {
	if n%repeated == repeated-1 {
		n = int(mix(uint64(n)) % uint64(n)) //nolint:gosec // a number below n
		n -= n % repeated
	}
	h := mix(uint64(n) << 1) //nolint:gosec // not negative
	host := fmt.Sprintf("h%x.evil%d.example", h&0xffffff|uint64(n)<<24, h>>24%500_000)
	switch share := h >> 50 % 100; {
	case share < domains:
		return "domain", host, "[domain-name:value = '" + host + "']"
	case share < domains+urls:
		v = fmt.Sprintf("http://%s/p%x/index.php?id=%d", host, h>>40, n)
		return "url", v, "[url:value = '" + v + "']"
	case share < domains+urls+addresses:
		// 1 in front of what is random: no group begins with a zero, so this is canonical.
		v = fmt.Sprintf("2001:db8:1:1%03x:1%03x:1%03x:1%03x:1%03x", h>>36&0xfff, h>>24&0xfff, h>>12&0xfff, n>>12&0xfff, n&0xfff)
		return "address", v, "[ipv6-addr:value = '" + v + "']"
	default:
		v = fmt.Sprintf("%016x%016x%016x%016x", h, mix(h+1), mix(h+2), mix(h+3))
		return "sha256", v, "[file:hashes.'SHA-256' = '" + v + "']"
	}
}

// object writes one indicator, of some 490 bytes.
func object(w *bufio.Writer, n int) {
	_, _, pattern := value(n)
	h := mix(uint64(n)<<1 | 1) //nolint:gosec // not negative
	said := ""
	if n%personal == personal-1 {
		said = fmt.Sprintf(`"description":"Reported by jane.doe%d@mail.example",`, h%1000)
	}
	marks := `"` + []string{tlpAmber, tlpGreen, tlpGreen, tlpClear}[h>>8%4] + `"`
	if n%stricter == stricter-1 {
		marks += `,"` + acs + `"`
	}
	day := 1 + h>>16%28
	_, _ = fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-%04x-4%03x-8%03x-%012x","created":"2026-10-%02dT0%d:00:00.000Z","modified":"2026-10-%02dT0%d:00:00.000Z","name":"Command and control of family %d",%s"indicator_types":["malicious-activity"],"pattern":"%s","pattern_type":"stix","valid_from":"2026-10-%02dT0%d:00:00Z","confidence":%d,"labels":["family-%d"],"object_marking_refs":[%s]}`,
		h>>32, h>>16&0xffff, h&0xfff, mix(h)&0xfff, n, day, h%10, day, h%10, h%300, said, pattern, day, h%10, 50+h%50, h%300, marks)
}

// bundle writes a delivery of n indicators, beginning with number from.
func bundle(file string, from, n int) (size int64, err error) {
	f, err := os.Create(file) //nolint:gosec // in the run's own folder
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	_, _ = w.WriteString(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[` + acsDefinition)
	for i := range n {
		_, _ = w.WriteString(",\n")
		object(w, from+i)
	}
	_, _ = w.WriteString("]}\n")
	err = w.Flush()
	if err != nil {
		return 0, err
	}
	return f.Seek(0, 1)
}
