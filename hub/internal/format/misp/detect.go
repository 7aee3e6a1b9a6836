package misp

import "bytes"

// Detect guesses whether JSON that begins with head, some 4 KiB of it, is an event
// of MISP, from 0, no, to 100, sure. STIX is told apart by its spec_version and
// bundles; the names of MISP's members begin with capitals, and STIX has none such.
func Detect(head []byte) int {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return 0
	}
	named := func(name string) bool {
		for rest := text; ; {
			i := bytes.Index(rest, []byte(`"`+name+`"`))
			if i < 0 {
				return false
			}
			rest = rest[i+len(name)+2:]
			if bytes.HasPrefix(bytes.TrimLeft(rest, " \t\r\n"), []byte(":")) {
				return true
			}
		}
	}
	switch {
	case named("spec_version"), named("objects"), named("pattern_type"):
		return 0
	case named("Event"):
		return 95
	case named("Attribute"), named("Orgc"), named("threat_level_id"):
		return 90
	case named("to_ids"):
		return 80
	case named("response"):
		return 60
	}
	return 0
}
