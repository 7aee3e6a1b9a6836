package mail

import (
	"bytes"
	"strings"
	"time"

	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/milter"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/match"
)

// message is one message on its way: what is known of its envelope, the walk
// through it, and the spool that could hold it.
type message struct {
	judge  judge
	sender string // without angle brackets
	to     []recipient
	walker *mime.Walker
	spool  *quarantine.Spool
	begun  bool     // its content has begun
	forged []string // headers of ours that it brought along, by name
	line   []byte
}

func newMessage(set *match.Set, now time.Time, sender []byte) *message {
	m := &message{judge: judge{set: set, now: now.Unix()}}
	addr := bareAddress(sender)
	m.sender = string(addr)
	if len(addr) > 0 {
		m.judge.Find(mime.Envelope, observable.Mail, addr)
	}
	return m
}

// bareAddress takes an address of the envelope out of its angle brackets, and
// a source route off it (RFC 5321 appendix C).
func bareAddress(v []byte) []byte {
	v = bytes.TrimSpace(v)
	if n := len(v); n >= 2 && v[0] == '<' && v[n-1] == '>' {
		v = v[1 : n-1]
	}
	if len(v) > 0 && v[0] == '@' {
		i := bytes.IndexByte(v, ':')
		if i > 0 {
			v = v[i+1:]
		}
	}
	return v
}

// ownerOf finds the customer to whom a recipient belongs.
func ownerOf(b *customer.Book, address []byte) *customer.Customer {
	a := bareAddress(address)
	at := bytes.LastIndexByte(a, '@')
	if at < 0 {
		return nil
	}
	domain, err := observable.Canonical(observable.Domain, string(a[at+1:]))
	if err != nil {
		return nil
	}
	c := b.ByMailDomain(domain)
	if c == nil || c.Mail == customer.Off {
		return nil
	}
	return c
}

// watched reports whether anybody's mail is in it.
func (m *message) watched() bool {
	for i := range m.to {
		if m.to[i].owner != nil {
			return true
		}
	}
	return false
}

// holdable reports whether the message may have to be held: then all of it has
// to be kept while it streams by.
func (m *message) holdable() bool {
	var other bool
	var refusing bool
	for i := range m.to {
		c := m.to[i].owner
		switch {
		case c == nil || c.Mail != customer.Block || c.MailAction == customer.Tag:
			other = true
		case c.MailAction == customer.Quarantine:
			return true
		default:
			refusing = true
		}
	}
	if !refusing {
		return false
	}
	// Customers that refuse may differ by their exceptions, so that one's copy is
	// stopped and the other's is not.
	for i := range m.to {
		other = other || m.to[i].owner != m.to[0].owner
	}
	return other
}

// begin starts the walk.
func (m *message) begin(b mime.Budget, d mime.Digests, store *quarantine.Store) {
	m.begun = true
	m.walker = mime.NewWalker(b, d, &m.judge)
	if store != nil && m.holdable() {
		m.spool = store.NewSpool()
	}
}

// header takes one header field as a mail server tells it.
func (m *message) header(name, value []byte, leadingSpace bool) {
	if isOurs(name) {
		m.forged = append(m.forged, strings.ToLower(string(name)))
	}
	b := append(m.line[:0], name...)
	b = append(b, ':')
	if !leadingSpace {
		b = append(b, ' ')
	}
	for i, c := range value {
		if c == '\n' && (i == 0 || value[i-1] != '\r') {
			b = append(b, '\r')
		}
		b = append(b, c)
	}
	m.line = append(b, '\r', '\n')
	m.write(m.line)
}

// isOurs reports whether a header is one that only we may set.
func isOurs(name []byte) bool {
	return len(name) >= len(tagName) && bytes.EqualFold(name[:len(tagName)], []byte(tagName)) &&
		(len(name) == len(tagName) || name[len(tagName)] == '-')
}

// strip removes the headers of ours that the message brought along: they are
// forged. The last goes first, so that the numbers of those before stay right,
// and all go before one of ours is inserted.
func (m *message) strip(mod *milter.Modifier) {
	for i := len(m.forged) - 1; i >= 0; i-- {
		nth := 0
		for _, n := range m.forged[:i+1] {
			if n == m.forged[i] {
				nth++
			}
		}
		mod.RemoveHeader(nth, m.forged[i])
	}
}

func (m *message) write(b []byte) {
	_, _ = m.walker.Write(b)
	if m.spool != nil {
		_, _ = m.spool.Write(b) // the error is kept for Hold
	}
}

// close gives everything back.
func (m *message) close() {
	if m.spool != nil {
		m.spool.Close()
		m.spool = nil
	}
}
