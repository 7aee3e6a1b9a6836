package milter

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	firstBuffer  = 4 << 10
	maxMacros    = 64 << 10 // bytes of all macros of one session
	idleKeepSize = 16 << 10 // a buffer grown beyond this is given back after a message
)

// conn is one connection of a mail server.
type conn struct {
	nc      net.Conn
	cfg     *Config
	count   *Counters
	handler Handler
	session Session
	event   Event
	modify  Modifier
	quick   func() // asks for immediate acknowledgement; nil on Unix sockets

	buf        []byte // unread bytes are buf[start:end]
	start, end int

	writing sync.Mutex
	out     []byte

	asked   bool // options were agreed
	message bool // MAIL was seen
	cut     bool // the rest of this message is not the handler's any more
}

// serve reads packets until the peer ends, fails or ctx's owner closes nc.
func (c *conn) serve(ctx context.Context) error {
	defer c.handler.Close()
	c.session = Session{}
	c.modify.session = &c.session
	for {
		command, payload, err := c.next()
		if err != nil {
			return err
		}
		c.count.Packets.Add(1)
		done, err := c.dispatch(ctx, command, payload)
		if err != nil || done {
			return err
		}
	}
}

// next gives one packet. The payload is valid until the next call.
func (c *conn) next() (byte, []byte, error) {
	for {
		have := c.end - c.start
		want := 5
		if have >= 4 {
			n := int64(binary.BigEndian.Uint32(c.buf[c.start:]))
			if n == 0 || n > int64(c.cfg.MaxPacket) {
				c.count.Oversize.Add(1)
				return 0, nil, &ProtocolError{Why: "empty, or longer than the limit of a packet"}
			}
			want = 4 + int(n)
			if have >= want {
				p := c.buf[c.start+4 : c.start+want]
				c.start += want
				return p[0], p[1:], nil
			}
		}
		err := c.fill(want)
		if err != nil {
			return 0, nil, err
		}
	}
}

// fill reads more, so that want bytes from start fit into the buffer.
func (c *conn) fill(want int) error {
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.start+want > len(c.buf) {
		if want > len(c.buf) {
			size := len(c.buf)
			for size < want {
				size *= 2
			}
			grown := make([]byte, min(size, c.cfg.MaxPacket+4))
			c.end = copy(grown, c.buf[c.start:c.end])
			c.buf = grown
		} else {
			c.end = copy(c.buf, c.buf[c.start:c.end])
		}
		c.start = 0
	}
	err := c.nc.SetReadDeadline(time.Now().Add(c.cfg.ReadTimeout))
	if err != nil {
		return err
	}
	n, err := c.nc.Read(c.buf[c.end:])
	c.end += n
	if n > 0 {
		if c.quick != nil {
			c.quick()
		}
		return nil
	}
	if errors.Is(err, io.EOF) && c.end > c.start {
		return &ProtocolError{Why: "the connection ended within a packet"}
	}
	return err
}

func (c *conn) dispatch(ctx context.Context, command byte, p []byte) (done bool, err error) {
	if !c.asked && command != cmdOptions {
		return false, &ProtocolError{Command: command, Why: "before the options were agreed"}
	}
	c.event = Event{Session: &c.session}
	switch command {
	case cmdOptions:
		return false, c.negotiate(p)
	case cmdMacro:
		return false, c.macro(p)
	case cmdConnect:
		return false, c.connect(ctx, p)
	case cmdHelo:
		name, _, ok := cString(p)
		if !ok {
			return false, &ProtocolError{Command: command, Why: "no end of string"}
		}
		c.event.Name = name
		return false, c.tell(ctx, Helo, NoReplyHelo)
	case cmdMail, cmdRcpt:
		return false, c.envelope(ctx, command, p)
	case cmdData:
		return false, c.inMessage(ctx, command, Data, NoReplyData)
	case cmdHeader:
		return false, c.header(ctx, p)
	case cmdEndHead:
		return false, c.inMessage(ctx, command, EndOfHeaders, NoReplyEOH)
	case cmdBody:
		c.event.Value = p
		return false, c.inMessage(ctx, command, Body, NoReplyBody)
	case cmdBodyEnd:
		return false, c.finish(ctx, p)
	case cmdAbort:
		c.over(ctx)
		return false, nil
	case cmdQuitNew:
		c.over(ctx)
		c.session = Session{Version: c.session.Version, Actions: c.session.Actions, Options: c.session.Options}
		return false, nil
	case cmdQuit:
		return true, nil
	case cmdUnknown:
		return false, c.answer(Continue, NoReplyUnk)
	default:
		return false, &ProtocolError{Command: command, Why: "unknown command"}
	}
}

func (c *conn) negotiate(p []byte) error {
	o, err := parseOffer(p)
	if err != nil {
		return err
	}
	if c.asked {
		return &ProtocolError{Command: cmdOptions, Why: "options agreed twice"}
	}
	c.asked = true
	a := agree(o, c.cfg.Actions, c.cfg.Options)
	c.session.Version, c.session.Actions, c.session.Options = a.version, a.actions, a.options
	return c.write(a.append(c.out[:0]))
}

// macroStage says at which stage the macros of a command belong.
var macroStage = map[byte]Stage{
	cmdConnect: Connect, cmdHelo: Helo, cmdMail: Mail, cmdRcpt: Rcpt, cmdData: Data,
	cmdHeader: Header, cmdEndHead: EndOfHeaders, cmdBody: Body, cmdBodyEnd: End,
}

func (c *conn) macro(p []byte) error {
	if len(p) == 0 {
		return &ProtocolError{Command: cmdMacro, Why: "no command"}
	}
	stage, ok := macroStage[p[0]]
	if !ok {
		return nil // of a command that we do not follow
	}
	set := c.session.macros[stage]
	for k, v := range set {
		c.session.bytes -= len(k) + len(v)
	}
	clear(set)
	p = p[1:]
	for len(p) > 0 {
		name, rest, ok := cString(p)
		if !ok {
			return &ProtocolError{Command: cmdMacro, Why: "name without end of string"}
		}
		value, rest, ok := cString(rest)
		if !ok {
			return &ProtocolError{Command: cmdMacro, Why: "value without end of string"}
		}
		p = rest
		c.session.bytes += len(name) + len(value)
		if c.session.bytes > maxMacros {
			c.count.Oversize.Add(1)
			return &ProtocolError{Command: cmdMacro, Why: "more macros than the limit"}
		}
		if set == nil {
			set = map[string]string{}
			c.session.macros[stage] = set
		}
		set[string(name)] = string(value)
	}
	return nil
}

func (c *conn) connect(ctx context.Context, p []byte) error {
	host, rest, ok := cString(p)
	if !ok || len(rest) == 0 {
		return &ProtocolError{Command: cmdConnect, Why: "no host name or no family"}
	}
	c.event.Name = host
	c.session.Client = netip.Addr{}
	if f := rest[0]; (f == '4' || f == '6') && len(rest) > 3 {
		text, _, ok := cString(rest[3:])
		if !ok {
			return &ProtocolError{Command: cmdConnect, Why: "address without end of string"}
		}
		s := string(text)
		if len(s) > 5 && (s[:5] == "IPv6:" || s[:5] == "ipv6:") {
			s = s[5:]
		}
		a, err := netip.ParseAddr(s)
		if err == nil {
			c.session.Client = a.Unmap().WithZone("")
		}
	}
	return c.tell(ctx, Connect, NoReplyConn)
}

func (c *conn) envelope(ctx context.Context, command byte, p []byte) error {
	address, args, ok := cString(p)
	if !ok {
		return &ProtocolError{Command: command, Why: "no end of string"}
	}
	c.event.Name, c.event.Args = address, args
	if command == cmdRcpt {
		return c.inMessage(ctx, command, Rcpt, NoReplyRcpt)
	}
	if c.message {
		c.over(ctx)
		c.event = Event{Session: &c.session, Name: address, Args: args}
	}
	c.message, c.cut = true, false
	c.count.Messages.Add(1)
	return c.inMessage(ctx, command, Mail, NoReplyMail)
}

func (c *conn) header(ctx context.Context, p []byte) error {
	name, rest, ok := cString(p)
	if !ok {
		return &ProtocolError{Command: cmdHeader, Why: "name without end of string"}
	}
	value, _, ok := cString(rest)
	if !ok {
		return &ProtocolError{Command: cmdHeader, Why: "value without end of string"}
	}
	c.event.Name, c.event.Value = name, value
	return c.inMessage(ctx, cmdHeader, Header, NoReplyHead)
}

// inMessage hands over an event that only a message can have.
func (c *conn) inMessage(ctx context.Context, command byte, at Stage, silent Options) error {
	if !c.message {
		return &ProtocolError{Command: command, Why: "outside of a message"}
	}
	if c.cut {
		return c.answer(Continue, silent)
	}
	return c.tell(ctx, at, silent)
}

// tell hands the event to the handler and answers, unless it was agreed that
// this stage has no answer.
func (c *conn) tell(ctx context.Context, at Stage, silent Options) error {
	c.event.Stage = at
	r := c.handler.Event(ctx, &c.event)
	if c.session.Options&silent != 0 {
		return nil
	}
	if !r.IsContinue() && at != Rcpt && at >= Mail {
		c.cut = true
	}
	return c.answer(r, silent)
}

func (c *conn) finish(ctx context.Context, last []byte) error {
	if !c.message {
		return &ProtocolError{Command: cmdBodyEnd, Why: "outside of a message"}
	}
	r := Accept
	c.modify.out = c.modify.out[:0]
	if !c.cut {
		if len(last) > 0 {
			c.event.Stage, c.event.Value = Body, last
			c.handler.Event(ctx, &c.event)
		}
		c.event = Event{Stage: End, Session: &c.session, Modify: &c.modify}
		stop := c.progress()
		r = c.handler.Event(ctx, &c.event)
		stop()
	}
	c.message, c.cut = false, false
	c.session.forget()
	if r.kind != 0 && r.kind != replyAccept {
		c.modify.out = c.modify.out[:0] // changes to a message that ends here mean nothing
	}
	err := c.write(append(c.modify.out, r.packet()...))
	c.shrink()
	return err
}

// over tells the handler that the message, if there is one, is given up.
func (c *conn) over(ctx context.Context) {
	if c.message {
		c.event = Event{Stage: Abort, Session: &c.session}
		c.handler.Event(ctx, &c.event)
	}
	c.message, c.cut = false, false
	c.session.forget()
}

// shrink gives back a large buffer between messages: thousands of idle sessions
// must not each hold one.
func (c *conn) shrink() {
	if len(c.buf) > idleKeepSize && c.end-c.start <= firstBuffer {
		small := make([]byte, firstBuffer)
		c.end = copy(small, c.buf[c.start:c.end])
		c.start, c.buf = 0, small
	}
	if cap(c.out) > idleKeepSize {
		c.out = nil
	}
}

// progress keeps the mail server waiting while the handler works on the end of
// a message; the returned function stops it and waits for a write under way.
func (c *conn) progress() (stop func()) {
	var t *time.Timer
	var ended bool
	c.writing.Lock()
	t = time.AfterFunc(c.cfg.Progress, func() {
		c.writing.Lock()
		defer c.writing.Unlock()
		if ended {
			return
		}
		_ = c.send(appendPacket(nil, replyWait)) // a connection that is gone is noticed by the answer
		t.Reset(c.cfg.Progress)
	})
	c.writing.Unlock()
	return func() {
		c.writing.Lock()
		ended = true
		t.Stop()
		c.writing.Unlock()
	}
}

func (c *conn) answer(r Reply, silent Options) error {
	if c.session.Options&silent != 0 {
		return nil
	}
	return c.write(append(c.out[:0], r.packet()...))
}

func (r Reply) packet() []byte {
	switch r.kind {
	case 0:
		return goOn
	case replyCode:
		return appendPacket(nil, replyCode, []byte(r.text), nul)
	default:
		return appendPacket(nil, r.kind)
	}
}

var goOn = appendPacket(nil, replyGoOn)

func (c *conn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = b[:0]
	return c.send(b)
}

func (c *conn) send(b []byte) error {
	err := c.nc.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout))
	if err != nil {
		return err
	}
	_, err = c.nc.Write(b)
	return err
}
