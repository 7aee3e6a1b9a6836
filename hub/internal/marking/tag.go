package marking

import (
	"slices"
	"strings"

	"ecs/stix"
)

// taxonomies are the MISP taxonomies that are about handling. Of those that are not
// read, each tag is an unknown mark.
var taxonomies = []string{
	"tlp", "pap", "acs-marking", "iep", "iep2-policy", "iep2-reference", "dni-ism",
	"nato", "de-vs", "euci", "fr-classif", "cui", "data-classification",
}

// IsTag tells whether a MISP tag is about handling, so that it has to be parsed.
func IsTag(tag string) bool {
	namespace, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), ":")
	return slices.Contains(taxonomies, namespace)
}

// ParseTags reads the tags of one MISP event or attribute that are about handling
// ([IsTag]); others are passed over. Tags of acs-marking make one mark together:
// where some name privilege actions, only these are permitted. [Parse] of a single
// one takes it for the only one.
func ParseTags(tags []string) []Mark {
	var out []Mark
	acs := map[string][]string{}
	for _, tag := range tags {
		if !IsTag(tag) {
			continue
		}
		predicate, value, ok := acsTag(tag)
		if !ok {
			out = append(out, Parse(tag))
			continue
		}
		acs[predicate] = append(acs[predicate], value)
	}
	if len(acs) > 0 {
		out = append(out, fromTags(acs))
	}
	return out
}

// machineTag cuts namespace:predicate="value".
func machineTag(tag string) (namespace, predicate, value string, ok bool) {
	namespace, rest, ok := strings.Cut(strings.TrimSpace(tag), ":")
	if !ok {
		return "", "", "", false
	}
	predicate, value, ok = strings.Cut(rest, "=")
	value = strings.Trim(strings.TrimSpace(value), `"`)
	return strings.ToLower(namespace), strings.ToLower(strings.TrimSpace(predicate)), value, ok && value != ""
}

func acsTag(tag string) (predicate, value string, ok bool) {
	namespace, predicate, value, ok := machineTag(tag)
	return predicate, strings.ToUpper(value), ok && namespace == "acs-marking"
}

// fromTags reads the values of acs-marking by predicate.
func fromTags(tags map[string][]string) Mark {
	actions := tags["privilege_action"]
	a := &stix.ACS{DefaultPermit: len(actions) == 0, ShareDefault: true}
	for _, action := range actions {
		a.Privileges = append(a.Privileges, stix.Privilege{Action: action, Permit: true})
	}
	a.Control = stix.ControlSet{
		Classification: "U", Determinations: tags["formal_determination"], Caveats: tags["caveat"], Sensitivities: tags["sensitivity"],
		Scope: stix.Scope{Shareability: tags["shareability"], Entities: tags["entity"]},
	}
	var names []string
	unknown := open
	for predicate, values := range tags {
		for _, v := range values {
			names = append(names, predicate+"="+v)
		}
		switch predicate {
		case "privilege_action", "formal_determination", "caveat", "sensitivity", "shareability", "entity":
		case "classification":
			// The strictest of several, and what is no level is unknown.
			for _, v := range values {
				unknown = unknown.Join(fromACS(&stix.ACS{Control: stix.ControlSet{Classification: v}, DefaultPermit: true, ShareDefault: true}))
			}
		default:
			unknown = unknown.Join(Unknown("acs-marking:" + predicate).Handling())
		}
	}
	slices.Sort(names)
	return newMark(KindACS, clean("acs-marking:"+strings.Join(names, " ")), true, fromACS(a).Join(unknown))
}

// tag reads one machine tag of a taxonomy.
func tag(words string) (m Mark, ok bool) {
	namespace, predicate, value, ok := machineTag(words)
	if !ok {
		return Mark{}, false
	}
	name := clean(words)
	switch namespace {
	case "acs-marking":
		return fromTags(map[string][]string{predicate: {strings.ToUpper(value)}}), true
	case "iep", "iep2-policy":
		predicate = strings.ReplaceAll(predicate, "-", "_")
		value = strings.NewReplacer(" ", "-", "_", "-").Replace(strings.ToLower(value))
		switch predicate {
		case "id", "name", "description", "iep_version", "external_reference":
			return newMark(KindIEP, name, false, open), true
		case "attribution":
			predicate = "provider_attribution"
		case "traffic_light_protocol":
			predicate = "tlp"
		}
		h := iepWord(predicate, value)
		return newMark(KindIEP, name, predicate == "tlp", h), true
	case "dni-ism":
		switch predicate {
		case "classification:us", "classification:all":
			return banner(value)
		case "dissem", "nonic", "notice":
			h, ok := dissemination(value)
			return newMark(KindBanner, name, true, h), ok
		case "scicontrols":
			return newMark(KindBanner, name, true, bannerItem(strings.ToUpper(value), TopSecret, KindBanner)), true
		}
	}
	return Mark{}, false
}
