package misp

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
)

// attribute is one attribute as it was read, and the event's words as far as an
// answer without events gives them with it.
type attribute struct {
	raw                                     []byte
	uuid, sort, category, value             string
	comment, relation                       string
	toIDs, deleted                          bool
	timestamp, first, last                  time.Time
	distribution                            string
	tags                                    []string
	says                                    tags
	labels                                  []string
	marks                                   []marking.Mark
	sightings, refuted                      int
	seen, expires                           time.Time
	warnings                                []string
	eventUUID, eventInfo, eventDistribution string
}

// what a member was, to find one that is named twice.
const (
	gotValue = 1 << iota
	gotType
	gotIDs
	gotTag
	gotDeleted
	gotDistribution
	gotUUID
)

// read reads an attribute.
func (a *attribute) read(raw []byte) *format.Problem {
	*a = attribute{raw: raw, tags: a.tags[:0], says: a.says, labels: a.labels[:0], marks: a.marks[:0], warnings: a.warnings[:0]}
	c := cursor{b: raw}
	got := 0
	once := func(bit int) {
		if got&bit != 0 {
			c.fail("a member is named twice")
		}
		got |= bit
	}
	c.open('{')
	var bad string
	moment := func(name string) time.Time {
		text := string(c.text())
		t, ok := parseTime(text)
		if !ok {
			bad = name + " is no time"
		}
		return t
	}
	for first := true; c.more('}', &first); {
		switch string(c.key()) {
		case "uuid":
			once(gotUUID)
			a.uuid = string(c.text())
		case "type":
			once(gotType)
			a.sort = string(c.text())
		case "value":
			once(gotValue)
			a.value = string(c.text())
		case "category":
			a.category = string(c.text())
		case "comment":
			a.comment = string(c.text())
		case "object_relation":
			a.relation = string(c.text())
		case "to_ids":
			once(gotIDs)
			a.toIDs = truth(c.text())
		case "deleted":
			once(gotDeleted)
			a.deleted = truth(c.text())
		case "distribution":
			once(gotDistribution)
			a.distribution = string(c.text())
		case "timestamp":
			a.timestamp = moment("timestamp")
		case "first_seen":
			a.first = moment("first_seen")
		case "last_seen":
			a.last = moment("last_seen")
		case "Tag":
			once(gotTag)
			a.tags = c.tags(a.tags)
		case "Sighting":
			a.sighted(&c)
		case "warnings":
			a.warned(&c)
		case "Event":
			a.ofEvent(&c)
		default:
			c.skip()
		}
	}
	if c.err == nil && c.peek() != 0 {
		c.fail("something follows its end")
	}
	switch {
	case c.err != nil:
		return &format.Problem{Code: codeSyntax, Reason: "the attribute cannot be read: " + c.err.Error()}
	case len(a.tags) > maxTags:
		return &format.Problem{Code: codeTooLarge, Reason: "the attribute has more tags than can be told apart"}
	case bad != "":
		return &format.Problem{Code: codeValue, Reason: bad}
	case a.sort == "":
		return &format.Problem{Code: codeMissing, Reason: "the attribute has no type"}
	case strings.TrimSpace(a.value) == "":
		return &format.Problem{Code: codeMissing, Reason: "the attribute has no value"}
	case a.uuid != "" && !uuid(a.uuid):
		return &format.Problem{Code: codeValue, Reason: "its uuid is none"}
	}
	return nil
}

// truth reads a boolean as MISP has written it over the years.
func truth(w []byte) bool { return string(w) == "true" || string(w) == "1" }

// parseTime reads seconds since 1970 and RFC 3339, of 1990 to 2200; nothing, and
// zero, which MISP writes for it, are the zero time.
func parseTime(s string) (time.Time, bool) {
	if s == "" || s == "0" {
		return time.Time{}, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	t := time.Unix(n, 0).UTC()
	if err != nil {
		t, err = time.Parse(time.RFC3339Nano, s)
	}
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05.999999-0700", s)
	}
	if err != nil || t.Year() < 1990 || t.Year() > 2200 {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// sighted counts sightings: 0 seen, 1 a false positive, 2 expired.
func (a *attribute) sighted(c *cursor) {
	if !c.open('[') {
		return
	}
	for first := true; c.more(']', &first); {
		kind, at := "0", time.Time{}
		if !c.open('{') {
			continue
		}
		for f := true; c.more('}', &f); {
			switch string(c.key()) {
			case "type":
				kind = string(c.text())
			case "date_sighting":
				at, _ = parseTime(string(c.text()))
			default:
				c.skip()
			}
		}
		switch kind {
		case "0":
			a.sightings++
			if at.After(a.seen) {
				a.seen = at
			}
		case "1":
			a.refuted++
		case "2":
			if at.After(a.expires) {
				a.expires = at
			}
		}
	}
}

// warned reads the names of warning lists that the source found the value in.
func (a *attribute) warned(c *cursor) {
	if !c.open('[') {
		return
	}
	for first := true; c.more(']', &first); {
		if !c.open('{') {
			continue
		}
		for f := true; c.more('}', &f); {
			switch string(c.key()) {
			case "warninglist_name":
				if w := clip(string(c.text()), maxLabel); len(a.warnings) < 16 {
					a.warnings = append(a.warnings, w)
				}
			default:
				c.skip()
			}
		}
	}
}

// ofEvent reads the few words of its event that an answer with attributes has.
func (a *attribute) ofEvent(c *cursor) {
	if !c.open('{') {
		return
	}
	for first := true; c.more('}', &first); {
		switch string(c.key()) {
		case "uuid":
			a.eventUUID = string(c.text())
		case "info":
			a.eventInfo = clip(string(c.text()), maxInfo)
		case "distribution":
			a.eventDistribution = string(c.text())
		case "Tag":
			a.tags = c.tags(a.tags)
		default:
			c.skip()
		}
	}
}

// attribute adds the records of an attribute that stands by itself.
func (m *Reader) attribute(raw []byte) {
	problem := m.at.read(raw)
	if problem != nil {
		m.refuse(&m.at, problem)
		return
	}
	m.give(&m.at, "", narrow{})
}

func (m *Reader) refuse(a *attribute, p *format.Problem) {
	r := m.problem(a.raw, p.Code, p.Reason)
	r.Place = m.placeOf(a.uuid)
	if personal(a) {
		r.Raw = nil
	}
}

// give adds the records of an attribute: one, none but a Skip, or two.
func (m *Reader) give(a *attribute, object string, with narrow) {
	switch {
	case a.deleted:
	case !a.toIDs:
		m.queue = append(m.queue, format.Record{Place: m.placeOf(a.uuid), Line: m.line, Raw: a.raw, Confidence: -1, Skip: true})
		return
	}
	values, about, problem := split(a.sort, a.value)
	if victims[a.category] {
		problem = &format.Problem{Code: codeBenign, Reason: "its category " + a.category + " names who was attacked, not who attacks"}
	}
	switch {
	case problem != nil && a.deleted:
		m.queue = append(m.queue, format.Record{Place: m.placeOf(a.uuid), Line: m.line, Raw: a.raw, Confidence: -1, Skip: true})
		return
	case problem != nil:
		m.refuse(a, problem)
		return
	}
	ports := with.of(a)
	switch {
	case len(ports) > 0 && with.why == "":
		bare := values
		values = nil
		for _, p := range ports {
			values = append(values, value{text: bare[0].text + " " + p})
		}
	case with.why != "" && (a.sort == "ip-src" || a.sort == "ip-dst"):
		m.refuse(a, &format.Problem{Code: codeUnobservable, Reason: with.why})
		return
	}
	m.weigh(a)
	context := m.context(a, object, about)
	for _, v := range values {
		r := format.Record{
			Place: m.placeOf(a.uuid), Line: m.line, Raw: a.raw, Value: v.text, Kind: v.kind,
			Reference: a.uuid, Version: a.timestamp, Context: context, Labels: a.labels, Category: m.categoryOf(a),
			Confidence: a.says.confidence, Credibility: a.says.credibility, Marks: a.marks, Revoked: a.deleted,
			Until: a.expires, Observed: a.last,
		}
		if v.pattern {
			r.Pattern, r.Value = v.text, ""
		}
		if r.Observed.IsZero() {
			r.Observed = a.timestamp
		}
		if a.seen.After(r.Observed) {
			r.Observed = a.seen
		}
		m.queue = append(m.queue, r)
	}
}

// weigh joins what the tags of event and attribute say: the attribute's own word
// goes before, the markings of both count.
func (m *Reader) weigh(a *attribute) {
	a.says.read(a.tags)
	if a.says.confidence < 0 {
		a.says.confidence = m.event.says.confidence
	}
	if a.says.credibility == 0 {
		a.says.credibility = m.event.says.credibility
	}
	if a.says.category == contract.Other {
		a.says.category = m.event.says.category
	}
	a.labels = append(append(a.labels, a.says.labels...), m.event.says.labels...)
	if a.eventInfo != "" && m.event.info == "" {
		a.labels = append(a.labels, clip(a.eventInfo, maxLabel))
	}
	if a.refuted > 0 {
		a.labels = append(a.labels, "reported as false positive")
	}
	a.marks = append(a.marks, m.event.marks...)
	if len(a.tags) > 0 && slices.ContainsFunc(a.tags, marking.IsTag) {
		a.marks = append(a.marks, marking.ParseTags(a.tags)...)
	}
	for _, d := range []string{a.distribution, a.eventDistribution} {
		if d != "" {
			a.marks = append(a.marks, ofDistribution(d)...)
		}
	}
}

func (m *Reader) categoryOf(a *attribute) contract.Category {
	switch {
	case a.says.category != contract.Other:
		return a.says.category
	case a.category == "Payload delivery", a.category == "Payload installation":
		return contract.Delivery
	}
	return contract.Other
}

// context puts together what analysts should know.
func (m *Reader) context(a *attribute, object, about string) string {
	var b strings.Builder
	line := func(words ...string) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		for _, w := range words {
			b.WriteString(w)
		}
	}
	if a.comment != "" {
		line(clip(a.comment, maxComment))
	}
	if about != "" {
		line(clip(about, maxComment))
	}
	if a.category != "" {
		line(clip(a.category, 80), ", ", clip(a.sort, 80))
	} else {
		line(clip(a.sort, 80))
	}
	if a.relation != "" {
		b.WriteString(", as " + clip(a.relation, 80))
	}
	if object != "" {
		line(object)
	}
	if !a.first.IsZero() {
		line("first seen ", a.first.Format(time.RFC3339))
	}
	if a.sightings+a.refuted > 0 {
		line(fmt.Sprintf("sightings at the source: %d, of them called false positive: %d", a.sightings+a.refuted, a.refuted))
	}
	for _, w := range a.warnings {
		line("on the source's warning list ", w)
	}
	if a.eventUUID != "" && m.event.uuid == "" {
		line("MISP event ", clip(a.eventUUID, 40), ": ", a.eventInfo)
	} else {
		line(m.event.about)
	}
	return b.String()
}

// validAddr reports whether s is an address or prefix.
func validAddr(s string) bool {
	_, err := netip.ParseAddr(s)
	if err != nil {
		_, err = netip.ParsePrefix(s)
	}
	return err == nil
}
