package misp

import (
	"slices"
	"strings"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/marking"
)

// Bounds of what is kept of an event, in bytes and pieces.
const (
	maxInfo    = 1 << 10
	maxComment = 4 << 10
	maxLabel   = 255
	maxTags    = 256
)

// event is what an event says of itself and so of all its attributes.
type event struct {
	uuid, info, date, org, group string
	distribution                 string
	says                         tags
	marks                        []marking.Mark // of tags and distribution
	about                        string         // for analysts
}

// survey reads the event that begins at the scanner to its end. A problem is
// about the whole event; an error leaves nothing to be read.
func (e *event) survey(s *scanner, limit int) (*format.Problem, error) {
	*e = event{}
	s.pos++ // the brace
	var problem *format.Problem
	var all []string
	for first := true; ; {
		more, err := s.more('}', &first)
		if err != nil {
			return nil, err
		}
		if !more {
			break
		}
		key, err := s.key(maxKey)
		if err != nil {
			return nil, err
		}
		switch key {
		case "uuid", "info", "date", "distribution", "Orgc", "SharingGroup", "Tag":
		default:
			err = s.skip()
			if err != nil {
				return nil, err
			}
			continue
		}
		raw, long, err := s.value(limit)
		switch {
		case err != nil:
			return nil, err
		case long:
			problem = &format.Problem{Code: codeTooLarge, Reason: "what the event says of itself is too long: " + key}
			continue
		case !utf8.Valid(raw):
			problem = &format.Problem{Code: codeUTF8, Reason: "what the event says of itself is not UTF-8: " + key}
			continue
		}
		c := cursor{b: raw}
		switch key {
		case "uuid":
			e.uuid = string(c.text())
		case "info":
			e.info = clip(string(c.text()), maxInfo)
		case "date":
			e.date = clip(string(c.text()), 40)
		case "distribution":
			d := string(c.text())
			if len(ofDistribution(e.distribution)) == 0 { // the strictest, should there be two
				e.distribution = d
			}
		case "Orgc":
			e.org = clip(c.named(), maxLabel)
		case "SharingGroup":
			e.group = clip(c.named(), maxLabel)
		case "Tag":
			all = c.tags(all)
		}
		if c.err != nil {
			problem = &format.Problem{Code: codeSyntax, Reason: "what the event says of itself cannot be read: " + key + ": " + c.err.Error()}
		}
	}
	if problem == nil && len(all) > maxTags {
		problem = &format.Problem{Code: codeTooLarge, Reason: "the event has more tags than can be told apart"}
	}
	if problem != nil {
		return problem, nil
	}
	e.settle(all)
	return nil, nil
}

// settle draws from the event's own words what each attribute needs.
func (e *event) settle(all []string) {
	e.says.read(all)
	e.marks = append(marking.ParseTags(all), ofDistribution(e.distribution)...)
	if e.info != "" {
		e.says.labels = append(e.says.labels, clip(e.info, maxLabel))
	}
	var b strings.Builder
	b.WriteString("MISP event")
	for _, w := range [][2]string{{" ", e.uuid}, {" of ", e.date}, {" by ", e.org}, {": ", e.info}} {
		if w[1] != "" {
			b.WriteString(w[0] + clip(w[1], maxInfo))
		}
	}
	if e.distribution == "4" {
		b.WriteString("\nfor the sharing group " + e.group + " only")
	}
	e.about = b.String()
}

// ofDistribution gives the mark that MISP's distribution (draft section 2.2.1.8)
// amounts to: 0, your organization only, and 4, a sharing group, whose members
// we do not know. The wider ones say less than any default of the hub.
func ofDistribution(d string) []marking.Mark {
	if d == "0" || d == "4" {
		return []marking.Mark{marking.OfTLP(contract.AmberStrict)}
	}
	return nil
}

// named reads the name of an object such as Orgc.
func (c *cursor) named() string {
	name := ""
	if !c.open('{') {
		return ""
	}
	for first := true; c.more('}', &first); {
		if string(c.key()) == "name" {
			name = string(c.text())
		} else {
			c.skip()
		}
	}
	return name
}

// tags adds the names of a list of tags to those in all, each once.
func (c *cursor) tags(all []string) []string {
	if !c.open('[') {
		return all
	}
	for first := true; c.more(']', &first); {
		name := c.named()
		if name != "" && len(all) <= maxTags && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}

// clip cuts text for people at a character, and turns characters that cannot be
// shown into spaces.
func clip(s string, limit int) string {
	plain := len(s) <= limit
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] < 0x7f
	}
	if plain {
		return strings.TrimSpace(s)
	}
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	if len(s) > limit {
		for limit > 0 && !utf8.RuneStart(s[limit]) {
			limit--
		}
		s = s[:limit] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || r >= 0x7f && r <= 0x9f || r == 0x061c || r >= 0x200e && r <= 0x200f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return ' '
		}
		return r
	}, s)
}
