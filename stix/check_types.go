package stix

import (
	"slices"
	"strings"
)

// typeRules are the rules between properties, by type, with their sections.
var typeRules = map[string]func(*checker){
	"campaign":       seen,         // 4.2
	"infrastructure": seen,         // 4.8
	"intrusion-set":  seen,         // 4.9
	"threat-actor":   seen,         // 4.17
	"sighting":       sighting,     // 5.2
	"relationship":   relationship, // 5.1
	"indicator":      func(c *checker) { c.order("valid_from", "valid_until", true) },
	"location":       location, // 4.10
	"malware": func(c *checker) { // 4.11
		seen(c)
		if family, _ := c.o.Get("is_family").Flag(); family && !c.has("name") {
			c.fault("name", Missing, "a malware family needs a name")
		}
	},
	"malware-analysis": func(c *checker) { // 4.12
		c.anyOf("result", "analysis_sco_refs")
		c.order("analysis_started", "analysis_ended", false)
	},
	"observed-data": func(c *checker) { // 4.14
		c.order("first_observed", "last_observed", false)
		c.anyOf("object_refs", "objects")
		if c.has("object_refs") {
			c.never("objects", "object_refs is there")
		}
	},
	"marking-definition":   markingDefinition,   // 7.2.1
	"extension-definition": extensionDefinition, // 7.3.2
	"language-content": func(c *checker) { // 7.1
		for lang, v := range c.o.Get("contents").Members() {
			if v.Kind() != Members {
				c.fault("contents", WrongType, "contents %s is not an object", clip(lang))
			}
		}
	},

	"artifact":      artifact, // 6.1
	"email-message": email,    // 6.6
	"file":          func(c *checker) { c.anyOf("hashes", "name") },
	"network-traffic": func(c *checker) { // 6.12
		c.anyOf("src_ref", "dst_ref")
		c.order("start", "end", false)
		if active, _ := c.o.Get("is_active").Flag(); active {
			c.never("end", "the traffic is active")
		}
	},
	"process":              own,
	"user-account":         own,
	"windows-registry-key": own,
	"x509-certificate":     own,
}

func seen(c *checker) { c.order("first_seen", "last_seen", false) }

// own wants at least one property of the type itself, or an extension.
func own(c *checker) {
	names := []string{"extensions"}
	for _, p := range ownSpecs[c.o.Type] {
		names = append(names, p.name)
	}
	c.anyOf(names...)
}

// neither are the types that relationships do not connect.
var neither = []string{"relationship", "sighting", "marking-definition", "extension-definition", "language-content", "bundle"}

func relationship(c *checker) {
	c.order("start_time", "stop_time", true)
	for _, name := range []string{"source_ref", "target_ref"} {
		id := c.o.Get(name).Str()
		if slices.Contains(neither, TypeOf(id)) {
			c.fault(name, BadValue, "property %s: a relationship connects domain objects and observables, not %s", name, TypeOf(id))
		}
	}
}

func sighting(c *checker) {
	seen(c)
	id := c.o.Get("sighting_of_ref").Str()
	if t := TypeOf(id); slices.Contains(neither, t) || IsObservable(t) {
		c.fault("sighting_of_ref", BadValue, "property sighting_of_ref: what is sighted is a domain object, not %s", t)
	}
}

func location(c *checker) {
	if !c.has("latitude") && !c.has("longitude") {
		c.anyOf("region", "country")
	}
	if c.has("latitude") != c.has("longitude") {
		c.fault("latitude", Missing, "latitude and longitude come together")
	}
	if c.has("precision") && !c.has("latitude") {
		c.fault("precision", BadValue, "precision is of latitude and longitude, which are missing")
	}
}

func markingDefinition(c *checker) {
	if c.has("definition_type") != c.has("definition") {
		c.fault("definition", Missing, "definition_type and definition come together")
	}
	if !c.has("definition_type") {
		c.anyOf("extensions")
	}
	if c.o.Get("definition_type").Str() == "tlp" {
		_, fixed := TLP(c.o.ID)
		if !fixed {
			c.fault("id", BadValue, "TLP has fixed identifiers, of which this is none")
		}
	}
	c.never("modified", "marking-definitions have no versions")
	c.never("revoked", "marking-definitions have no versions")
	_, err := c.o.Marking()
	if err != nil {
		c.fault("definition", BadValue, "%w", err)
	}
}

func extensionDefinition(c *checker) {
	if !c.has("created_by_ref") {
		c.fault("created_by_ref", Missing, "property created_by_ref is missing")
	}
	types, _ := c.o.Get("extension_types").Strings()
	for _, t := range types {
		if !slices.Contains(extensionTypes, t) {
			c.fault("extension_types", BadValue, "extension_types: %q is unknown", clip(t))
		}
	}
	if !slices.Contains(types, "toplevel-property-extension") {
		c.never("extension_properties", "extension_types has no toplevel-property-extension")
	}
}

func artifact(c *checker) {
	c.anyOf("payload_bin", "url")
	if c.has("payload_bin") {
		c.never("url", "payload_bin is there")
	}
	if c.has("url") && !c.has("hashes") {
		c.fault("hashes", Missing, "an artifact by url needs hashes")
	}
	if c.has("decryption_key") && !c.has("encryption_algorithm") {
		c.fault("encryption_algorithm", Missing, "decryption_key needs encryption_algorithm")
	}
}

func email(c *checker) {
	many, ok := c.o.Get("is_multipart").Flag()
	switch {
	case many:
		c.never("body", "is_multipart is true")
	case ok:
		c.never("body_multipart", "is_multipart is false")
	}
	for _, part := range c.o.Get("body_multipart").Items() {
		raw, plain := part.Get("body_raw_ref"), part.Get("body")
		if raw.Ok() == plain.Ok() {
			c.fault("body_multipart", BadValue, "a part has one of body and body_raw_ref")
		}
		if id := raw.Str(); raw.Ok() && (CheckID(id) != nil || !strings.Contains(" artifact file ", " "+TypeOf(id)+" ")) {
			c.fault("body_multipart", BadValue, "body_raw_ref %q names neither an artifact nor a file", clip(id))
		}
	}
}
