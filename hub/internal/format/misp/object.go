package misp

import (
	"slices"
	"strings"

	"ecs/hub/internal/format"
)

// maxPorts bounds how many ports of one object narrow its addresses.
const maxPorts = 16

// narrow is what an object says of the traffic with its addresses. An object is
// one fact: without its port, the address would be more than the source said.
type narrow struct {
	ports []string // of the far end
	own   []string // of the near end: those of ip-src
	proto string
	why   string // the addresses cannot be narrowed so, and are refused
}

// object adds the records of an object's attributes (draft section 2.4).
func (m *Reader) object(raw []byte) {
	c := cursor{b: raw}
	var id, name, comment string
	var all [][]byte
	deleted := false
	c.open('{')
	for first := true; c.more('}', &first); {
		switch string(c.key()) {
		case "uuid":
			id = string(c.text())
		case "name":
			name = string(c.text())
		case "comment":
			comment = string(c.text())
		case "deleted":
			deleted = deleted || truth(c.text())
		case "Attribute":
			all = c.elements(all)
		default:
			c.skip()
		}
	}
	if c.err == nil && c.peek() != 0 {
		c.fail("something follows its end")
	}
	if c.err != nil {
		m.problem(raw[:min(len(raw), maxHead)], codeSyntax, "the object cannot be read: "+c.err.Error()).Place = m.placeOf(id)
		return
	}
	about := "object " + clip(name, maxLabel)
	if comment != "" {
		about += ": " + clip(comment, maxComment)
	}
	m.parts = slices.Grow(m.parts[:0], len(all))[:len(all)]
	with := narrow{}
	problems := make([]*format.Problem, len(all))
	for i := range all {
		a := &m.parts[i]
		if all[i][0] != '{' {
			*a = attribute{raw: all[i]}
			problems[i] = &format.Problem{Code: codeType, Reason: "an attribute was expected, not another JSON value"}
			continue
		}
		problems[i] = a.read(all[i])
		a.deleted = a.deleted || deleted
		if problems[i] == nil {
			with.take(a)
		}
	}
	with.settle()
	for i := range m.parts {
		if problems[i] != nil {
			m.refuse(&m.parts[i], problems[i])
			continue
		}
		m.give(&m.parts[i], about, with)
	}
}

// elements adds the raw elements of a list.
func (c *cursor) elements(all [][]byte) [][]byte {
	if !c.open('[') {
		return all
	}
	for first := true; c.more(']', &first); {
		c.peek()
		begin := c.i
		c.skip()
		if c.err == nil {
			all = append(all, c.b[begin:c.i])
		}
	}
	return all
}

// take remembers what an attribute says of ports and protocol.
func (n *narrow) take(a *attribute) {
	if a.deleted {
		return
	}
	v := strings.ToLower(strings.TrimSpace(a.value))
	list := &n.ports
	switch a.relation {
	case "dst-port", "port":
	case "src-port":
		list = &n.own
	case "layer4-protocol", "protocol":
		if v == "tcp" || v == "udp" || v == "sctp" {
			n.proto = v
		}
		return
	default:
		return
	}
	switch {
	case !validPort(v):
		n.why = "its object names ports that are not single numbers"
	case !slices.Contains(*list, v):
		*list = append(*list, v)
	}
	if len(*list) > maxPorts {
		n.why = "its object names more ports than can be told apart"
	}
}

func (n *narrow) settle() {
	if n.proto == "" {
		n.proto = "any"
	}
	for _, list := range [][]string{n.ports, n.own} {
		for i := range list {
			list[i] += "/" + n.proto
		}
	}
}

// of gives the ports that narrow an attribute.
func (n *narrow) of(a *attribute) []string {
	if a.sort == "ip-src" && a.relation != "ip" {
		return n.own
	}
	if a.sort == "ip-src" || a.sort == "ip-dst" {
		return n.ports
	}
	return nil
}
