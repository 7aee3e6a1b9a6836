package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-milter"
	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
)

// Upstream is a resolver that answers every address question with documentation
// addresses.
func Upstream(ctx context.Context, at string) error {
	h := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(q)
		m.RecursionAvailable = true
		for _, x := range q.Question {
			head := dns.RR_Header{Name: x.Name, Rrtype: x.Qtype, Class: dns.ClassINET, Ttl: 60}
			switch x.Qtype {
			case dns.TypeA:
				m.Answer = append(m.Answer, &dns.A{Hdr: head, A: net.IPv4(203, 0, 113, 80)})
			case dns.TypeAAAA:
				m.Answer = append(m.Answer, &dns.AAAA{Hdr: head, AAAA: net.ParseIP("2001:db8::80")})
			}
		}
		_ = w.WriteMsg(m)
	})
	failed := make(chan error, 2)
	var servers []*dns.Server
	for _, network := range []string{"udp", "tcp"} {
		s := &dns.Server{Addr: at, Net: network, Handler: h}
		servers = append(servers, s)
		go func() { failed <- s.ListenAndServe() }()
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	for _, s := range servers {
		_ = s.Shutdown()
	}
	return err
}

// MailBox is where mail ends: an SMTP server that writes each message to a file.
func MailBox(ctx context.Context, at, dir string) error {
	return serveSMTP(ctx, at, func(m *message) error { return keep(dir, m) })
}

var kept atomic.Uint64

func keep(dir string, m *message) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "Return-Path: <%s>\r\nDelivered-To: %s\r\n", m.from, m.to)
	b.Write(m.body)
	name := fmt.Sprintf("%s-%04d.eml", time.Now().UTC().Format("20060102T150405"), kept.Add(1))
	return os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600)
}

// MailServer is a mail server as a customer might run: it asks the milter about
// each message and hands on to the mail box what may pass.
func MailServer(ctx context.Context, at, milterAt, next string, log *slog.Logger) error {
	client := milter.NewClientWithOptions("tcp", milterAt, milter.ClientOptions{
		Dialer: &net.Dialer{Timeout: 5 * time.Second}, ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second,
		ActionMask:   milter.OptAddHeader | milter.OptChangeHeader | milter.OptAddRcpt | milter.OptRemoveRcpt | milter.OptQuarantine,
		ProtocolMask: 0,
	})
	defer func() { _ = client.Close() }()
	return serveSMTP(ctx, at, func(m *message) error {
		err := filtered(client, m)
		var refused *smtp.SMTPError
		if err != nil && !errors.As(err, &refused) {
			log.LogAttrs(ctx, slog.LevelError, "sample mail server: the milter failed", slog.String("error", err.Error()))
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "try again later"}
		}
		if err != nil || len(m.to) == 0 {
			return err
		}
		return send(next, m.from, m.to, bytes.NewReader(m.body))
	})
}

// send delivers a message without TLS: all of this is on loopback.
func send(at, from string, to []string, body io.Reader) error {
	c, err := smtp.Dial(at)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	err = c.SendMail(from, to, body)
	if err != nil {
		return err
	}
	return c.Quit()
}

// filtered shows a message to the milter and applies what it says. A message
// that is taken over (quarantined) is left without recipients.
func filtered(client *milter.Client, m *message) error {
	s, err := client.Session()
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	family := milter.FamilyInet
	if m.peer.Addr().Unmap().Is6() {
		family = milter.FamilyInet6
	}
	for _, step := range []func() (*milter.Action, error){
		func() (*milter.Action, error) {
			return s.Conn("client.example", family, m.peer.Port(), m.peer.Addr().Unmap().String())
		},
		func() (*milter.Action, error) { return s.Helo(m.helo) },
		func() (*milter.Action, error) { return s.Mail(m.from, nil) },
	} {
		done, err := verdict(step())
		if done || err != nil {
			return err
		}
	}
	left := m.to[:0]
	for _, to := range m.to {
		_, err = verdict(s.Rcpt(to, nil))
		var refused *smtp.SMTPError
		if errors.As(err, &refused) {
			continue
		}
		if err != nil {
			return err
		}
		left = append(left, to)
	}
	m.to = left
	head, body := split(m.body)
	for _, f := range fields(head) {
		done, err := verdict(s.HeaderField(f.name, f.value))
		if done || err != nil {
			return err
		}
	}
	done, err := verdict(s.HeaderEnd())
	if done || err != nil {
		return err
	}
	changes, act, err := s.BodyReadFrom(bytes.NewReader(body))
	done, err = verdict(act, err)
	if done || err != nil {
		if act != nil && act.Code == milter.ActDiscard {
			m.to = nil
		}
		return err
	}
	for _, c := range changes {
		m.change(c)
	}
	return nil
}

func (m *message) change(c milter.ModifyAction) {
	switch c.Code {
	case milter.ActAddHeader, milter.ActInsertHeader:
		m.body = append([]byte(c.HeaderName+": "+c.HeaderValue+"\r\n"), m.body...)
	case milter.ActDelRcpt:
		left := m.to[:0]
		for _, to := range m.to {
			if to != strings.Trim(c.Rcpt, "<>") {
				left = append(left, to)
			}
		}
		m.to = left
	}
}

// verdict turns the milter's answer into an SMTP answer. Done is true when no
// more of the message need be shown.
func verdict(a *milter.Action, err error) (done bool, _ error) {
	if err != nil {
		return true, err
	}
	if a == nil {
		return false, nil
	}
	switch a.Code {
	case milter.ActReject:
		return true, &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "refused"}
	case milter.ActReplyCode:
		return true, &smtp.SMTPError{Code: a.SMTPCode, EnhancedCode: smtp.NoEnhancedCode, Message: a.SMTPText}
	case milter.ActTempFail:
		return true, &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "try again later"}
	case milter.ActAccept, milter.ActDiscard:
		return true, nil
	}
	return false, nil
}

type field struct{ name, value string }

func split(b []byte) (head, body []byte) {
	head, body, _ = bytes.Cut(b, []byte("\r\n\r\n"))
	return head, body
}

func fields(head []byte) []field {
	var out []field
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') && len(out) > 0 {
			out[len(out)-1].value += "\n" + string(line)
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok {
			out = append(out, field{string(name), string(bytes.TrimPrefix(value, []byte(" ")))})
		}
	}
	return out
}

// message is one mail on its way through the sample mail server.
type message struct {
	peer netip.AddrPort
	helo string
	from string
	to   []string
	body []byte
}

type backend struct{ take func(*message) error }

// NewSession implements [smtp.Backend].
func (b backend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	s := &session{take: b.take, helo: c.Hostname()}
	a, ok := c.Conn().RemoteAddr().(*net.TCPAddr)
	if ok {
		s.peer = a.AddrPort()
	}
	return s, nil
}

type session struct {
	take func(*message) error
	helo string
	peer netip.AddrPort
	m    message
}

// Reset implements [smtp.Session].
func (s *session) Reset() { s.m = message{} }

// Logout implements [smtp.Session].
func (s *session) Logout() error { return nil }

// Mail implements [smtp.Session].
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	s.m = message{from: from, helo: s.helo, peer: s.peer}
	return nil
}

// Rcpt implements [smtp.Session].
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.m.to = append(s.m.to, to)
	return nil
}

// Data implements [smtp.Session].
func (s *session) Data(r io.Reader) error {
	var err error
	s.m.body, err = io.ReadAll(r)
	if err != nil {
		return err
	}
	return s.take(&s.m)
}

func serveSMTP(ctx context.Context, at string, take func(*message) error) error {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	s := smtp.NewServer(backend{take})
	s.Domain = "mail.example"
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.MaxMessageBytes, s.MaxRecipients = 32<<20, 100
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(ln) }()
	select {
	case err = <-failed:
		return err
	case <-ctx.Done():
		_ = s.Close()
		<-failed
		return nil
	}
}
