package search

import (
	"net/netip"
	"slices"
	"strings"

	"ecs/observable"
)

// match reports whether an item meets every condition of a query. It reads the
// texts anew, whatever the index has.
func (q *Query) match(d *doc) bool {
	var texts [][]string // words of each text, once they are needed
	for i := range q.clauses {
		c := &q.clauses[i]
		if c.field == fieldBatch {
			continue // the database has answered it, see conditions
		}
		if c.field == "" && texts == nil {
			for _, t := range d.texts() {
				texts = append(texts, words(t))
			}
		}
		met := slices.ContainsFunc(c.alts, func(a alt) bool {
			if c.field == "" {
				return slices.ContainsFunc(texts, a.in)
			}
			return c.filter(d, &a)
		})
		if met == c.not {
			return false
		}
	}
	return true
}

// in reports whether a text has the words one behind the other.
func (a alt) in(text []string) bool {
	for i := 0; i+len(a.words) <= len(text); i++ {
		last := len(a.words) - 1
		ok := slices.Equal(text[i:i+last], a.words[:last])
		if ok && a.prefix {
			ok = strings.HasPrefix(text[i+last], a.words[last])
		} else if ok {
			ok = text[i+last] == a.words[last]
		}
		if ok {
			return true
		}
	}
	return false
}

func (c *clause) filter(d *doc, a *alt) bool {
	switch c.field {
	case fieldID:
		return d.ID.String() == a.text
	case fieldValue:
		return d.Value != "" && (d.Value == a.text || slices.Contains(a.words, d.Value))
	case fieldState:
		return string(d.State) == a.text
	case fieldKind:
		return d.Kind.String() == a.text
	case fieldCategory:
		return d.Category.String() == a.text
	case fieldTLP:
		return d.TLP.String() == a.text
	case fieldSource:
		return slices.ContainsFunc(d.mentions, func(m mention) bool { return m.source == a.text })
	case fieldObject:
		return slices.ContainsFunc(d.mentions, func(m mention) bool { return m.reference == a.text })
	case fieldLabel:
		return slices.ContainsFunc(d.labels(), func(l string) bool {
			l = fold(l)
			return l == a.text || a.prefix && strings.HasPrefix(l, a.text)
		})
	case fieldASN:
		return slices.Contains(d.asns(), a.text)
	case fieldHost:
		return slices.Contains(d.hosts(), a.text)
	case fieldUnder:
		return slices.ContainsFunc(d.hosts(), func(h string) bool { return h == a.text || strings.HasSuffix(h, "."+a.text) })
	case fieldNet:
		return within(d, a.net)
	case fieldSince:
		return !d.Created.Before(a.from)
	default: // until
		return d.Created.Before(a.from)
	}
}

// within reports whether an address of the item lies in a network.
func within(d *doc, n netip.Prefix) bool {
	if d.Kind == observable.Prefix {
		p, err := netip.ParsePrefix(d.Value)
		return err == nil && p.Bits() >= n.Bits() && n.Contains(p.Addr())
	}
	return slices.ContainsFunc(d.hosts(), func(h string) bool {
		a, err := netip.ParseAddr(h)
		return err == nil && n.Contains(a)
	})
}
