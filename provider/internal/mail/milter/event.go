package milter

import (
	"context"
	"net/netip"
)

// Stage is a moment of an SMTP session.
type Stage uint8

// The stages, in their order.
const (
	Connect Stage = iota
	Helo
	Mail
	Rcpt
	Data
	Header
	EndOfHeaders
	Body
	End   // end of the message: the only stage at which it can be changed
	Abort // the message is given up; the session goes on
	numStages
)

// Handler judges one connection's messages. A server makes one for each
// connection, calls it from one goroutine, and closes it at the end.
type Handler interface {
	// Event is told what happened and says what to do. Slices in e are valid until
	// it returns. ctx ends when the server stops.
	Event(ctx context.Context, e *Event) Reply
	// Close is called once, when the connection has ended.
	Close()
}

// Event is what a mail server told.
type Event struct {
	Stage   Stage
	Session *Session
	Name    []byte // header: its name. rcpt, mail: the address with its angle brackets. helo: the name. connect: the host name
	Value   []byte // header: its value, with its leading space if [Session.Options] has LeadingSpace. body: a piece of it
	Args    []byte // mail, rcpt: ESMTP parameters, each ended by NUL
	Modify  *Modifier
}

// Session is what is known of a connection, for as long as it lasts.
type Session struct {
	Version uint32
	Actions Actions
	Options Options
	Client  netip.Addr // connecting SMTP client; invalid if unknown or local
	macros  [numStages]map[string]string
	bytes   int
}

// Macro gives a macro that the mail server set at stage at or before it, ""
// when there is none. Names are without the sendmail.cf dollar: "i",
// "{client_addr}".
func (s *Session) Macro(at Stage, name string) string {
	for i := int(at); i >= 0; i-- {
		v, ok := s.macros[i][name]
		if ok {
			return v
		}
	}
	return ""
}

// forget drops the macros of a message; those of connect and HELO stay.
func (s *Session) forget() {
	for i := Mail; i < numStages; i++ {
		for k, v := range s.macros[i] {
			s.bytes -= len(k) + len(v)
		}
		s.macros[i] = nil
	}
}

// Reply is an answer. The zero value lets things go on.
type Reply struct {
	kind byte
	text string
}

// The answers without text.
var (
	Continue = Reply{}
	Accept   = Reply{kind: replyAccept} // the rest of the message is not wanted
	Discard  = Reply{kind: replyDrop}   // taken and dropped: the sender is told that it was accepted
	Reject   = Reply{kind: replyReject}
	Tempfail = Reply{kind: replyTemp}
)

// Code answers with an SMTP reply: a three-digit code from 400 to 599, an
// enhanced status code (RFC 3463) of the same class, and a text. Anything in
// the text that could end the line early or that mail servers expand is
// replaced.
func Code(code int, enhanced, text string) Reply {
	b := make([]byte, 0, 16+len(text))
	b = append(b, byte('0'+code/100%10), byte('0'+code/10%10), byte('0'+code%10), ' ')
	b = append(b, enhanced...)
	b = append(b, ' ')
	for i := 0; i < len(text) && len(b) < maxReply; i++ {
		c := text[i]
		if c < ' ' || c > '~' || c == '%' {
			c = '_'
		}
		b = append(b, c)
	}
	return Reply{kind: replyCode, text: string(b)}
}

// maxReply keeps a reply within one SMTP line (RFC 5321 section 4.5.3.1.5: 512
// bytes with the line end).
const maxReply = 500

// IsContinue reports whether the reply lets the message go on.
func (r Reply) IsContinue() bool { return r.kind == 0 }

// String gives the reply for people and tests.
func (r Reply) String() string {
	switch r.kind {
	case 0:
		return "continue"
	case replyAccept:
		return "accept"
	case replyDrop:
		return "discard"
	case replyReject:
		return "reject"
	case replyTemp:
		return "tempfail"
	default:
		return r.text
	}
}

// Modifier collects the changes of a message at its end. They are written with
// the answer, and only if the mail server permits them.
type Modifier struct {
	session *Session
	out     []byte
}

// InsertHeader puts a header before all others. It reports false when the mail
// server does not permit it.
func (m *Modifier) InsertHeader(name, value string) bool {
	if m.session.Actions&AddHeaders == 0 {
		return false
	}
	if m.session.Options&LeadingSpace != 0 {
		value = " " + value
	}
	if m.session.Version < maxVersion {
		m.out = appendPacket(m.out, replyAdd, []byte(name), nul, []byte(value), nul)
		return true
	}
	m.out = appendPacket(m.out, replyInsert, []byte{0, 0, 0, 0}, []byte(name), nul, []byte(value), nul)
	return true
}

// RemoveHeader removes the nth header (from 1) of that name, counted before any
// change. It reports false when the mail server does not permit it.
func (m *Modifier) RemoveHeader(nth int, name string) bool {
	if m.session.Actions&ChangeHeaders == 0 {
		return false
	}
	n := []byte{byte(nth >> 24), byte(nth >> 16), byte(nth >> 8), byte(nth)}
	m.out = appendPacket(m.out, replyChange, n, []byte(name), nul, nul)
	return true
}

// RemoveRecipient removes a recipient, given exactly as it was told at RCPT. It
// reports false when the mail server does not permit it.
func (m *Modifier) RemoveRecipient(address string) bool {
	if m.session.Actions&DeleteRecipient == 0 {
		return false
	}
	m.out = appendPacket(m.out, replyDelete, []byte(address), nul)
	return true
}

var nul = []byte{0}
