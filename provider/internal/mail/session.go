package mail

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"ecs/contract"
	"ecs/provider/internal/mail/milter"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/sighting"
)

// wantActions and wantOptions are what we ask mail servers for: to be told all
// and to answer as little as possible. RCPT and DATA are answered: at RCPT a
// sender can be refused for one recipient alone, at DATA the rest of a message
// that is nobody's is declined.
const (
	wantActions = milter.AddHeaders | milter.ChangeHeaders | milter.DeleteRecipient
	wantOptions = milter.NoUnknown | milter.NoReplyHead | milter.NoReplyConn | milter.NoReplyHelo | milter.NoReplyMail |
		milter.NoReplyUnk | milter.NoReplyEOH | milter.NoReplyBody | milter.LeadingSpace
)

// session is one connection of a mail server.
type session struct {
	f   *Filter
	msg *message
}

// Event implements [milter.Handler].
func (s *session) Event(ctx context.Context, e *milter.Event) (r milter.Reply) {
	defer func() {
		x := recover()
		if x != nil {
			s.drop()
			s.f.count.panics.Add(1)
			s.f.cfg.Log.Error("mail: a message could not be judged", slog.Any("panic", fmt.Sprintf("%T", x)))
			r = s.failed()
		}
	}()
	switch e.Stage {
	case milter.Mail:
		s.drop()
		s.msg = newMessage(s.f.cfg.Set.Get(), time.Now(), e.Name)
	case milter.Rcpt:
		return s.recipient(ctx, e)
	case milter.Data:
		if s.msg != nil && !s.msg.watched() {
			s.f.count.nobody.Add(1)
			s.drop()
			return milter.Accept
		}
		s.start()
	case milter.Header:
		if s.start() {
			s.msg.header(e.Name, e.Value, e.Session.Options&milter.LeadingSpace != 0)
		}
	case milter.EndOfHeaders:
		if s.start() {
			s.msg.write(crlf)
		}
	case milter.Body:
		if s.start() {
			s.msg.write(e.Value)
		}
	case milter.End:
		return s.end(ctx, e)
	case milter.Abort:
		s.drop()
	}
	return milter.Continue
}

var crlf = []byte("\r\n")

// Close implements [milter.Handler].
func (s *session) Close() { s.drop() }

func (s *session) drop() {
	if s.msg != nil {
		s.msg.close()
		s.msg = nil
	}
}

// start begins the content of a message, and reports whether it is looked at.
func (s *session) start() bool {
	m := s.msg
	if m == nil {
		return false
	}
	if m.begun {
		return m.walker != nil
	}
	if !m.watched() {
		m.begun = true
		return false
	}
	m.begin(s.f.cfg.Budget, s.f.cfg.Digests, s.f.cfg.Quarantine)
	return true
}

func (s *session) failed() milter.Reply {
	s.f.count.errors.Add(1)
	if s.f.cfg.FailClosed {
		return milter.Code(451, "4.3.0", "Message could not be examined, try again later")
	}
	return milter.Accept
}

// recipient learns whose the message is. A recipient whose customer refuses
// what the envelope's sender already matches is refused at once, alone.
func (s *session) recipient(ctx context.Context, e *milter.Event) milter.Reply {
	m := s.msg
	if m == nil {
		return milter.Continue
	}
	r := recipient{address: string(e.Name), owner: ownerOf(s.f.cfg.Book.Get(), e.Name)}
	if r.owner != nil && len(m.judge.hits) > 0 {
		p := decide(m.judge.hits, []recipient{r}, true, true)
		if p.refuse {
			err := s.f.record(ctx, e.Session.Client, m.judge.now, p.shares)
			if err != nil {
				return tryAgain
			}
			s.f.count.early.Add(1)
			return milter.Code(550, "5.7.1", refusal(p.lead.entry))
		}
	}
	m.to = append(m.to, r)
	return milter.Continue
}

var tryAgain = milter.Code(451, "4.3.0", "Message could not be stored, try again later")

// end answers for the message. Order matters: what stops a message is on disk
// before the mail server hears of it.
func (s *session) end(ctx context.Context, e *milter.Event) milter.Reply {
	m := s.msg
	if m == nil || !s.start() {
		s.f.count.nobody.Add(1)
		s.drop()
		return milter.Accept
	}
	began := time.Now()
	defer func() {
		s.drop()
		s.f.count.endMicros.Add(uint64(time.Since(began).Microseconds()))
	}()
	res := m.walker.Close()
	s.f.count.walked(res)
	p := decide(m.judge.hits, m.to, e.Session.Actions&milter.DeleteRecipient != 0, s.f.cfg.Quarantine != nil)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.f.cfg.StoreTimeout)
	defer cancel()
	m.strip(e.Modify)
	reply, ok := s.carry(ctx, &p, e)
	if !ok {
		return reply
	}
	if p.lead == nil && res.Over != 0 && s.f.cfg.RefuseOver {
		s.f.count.overRefused.Add(1)
		return milter.Code(554, "5.7.1", "Message is too complex to be examined: "+res.Over.String())
	}
	return reply
}

// carry carries a plan out. It reports false when the answer is final.
func (s *session) carry(ctx context.Context, p *plan, e *milter.Event) (milter.Reply, bool) {
	c := &s.f.count
	m := s.msg
	var ids []string
	if len(p.hold) > 0 {
		items := make([]quarantine.Item, 0, len(p.hold))
		for _, i := range p.hold {
			sh := &p.shares[i]
			items = append(items, quarantine.Item{
				Customer: sh.owner.ID, Indicator: sh.lead.entry.ID, Sender: m.sender, Recipients: bare(sh.to),
			})
		}
		var err error
		ids, err = s.f.cfg.Quarantine.Hold(ctx, items, m.spool)
		if err != nil {
			c.tempfail.Add(1)
			s.f.cfg.Log.Error("mail: a message could not be held, its sender will try again", slog.Any("error", err))
			return tryAgain, false
		}
	}
	err := s.f.record(ctx, e.Session.Client, m.judge.now, p.shares)
	stops := p.refuse || len(p.hold) > 0
	if err != nil && stops {
		c.tempfail.Add(1)
		err = s.f.withdraw(ctx, ids)
		if err != nil {
			s.f.cfg.Log.Error("mail: a message is held that its sender will send again", slog.Any("error", err))
		}
		return tryAgain, false
	}
	switch {
	case p.refuse:
		c.rejected.Add(1)
		return milter.Code(550, "5.7.1", refusal(p.lead.entry)), false
	case p.drop:
		c.quarantined.Add(1)
		return milter.Discard, false
	case len(p.hold) > 0:
		c.quarantined.Add(1)
		for _, i := range p.hold {
			for _, to := range p.shares[i].to {
				e.Modify.RemoveRecipient(to)
			}
		}
	case p.tag != nil:
		c.tagged.Add(1)
	case len(m.judge.hits) > 0:
		c.alerted.Add(1)
	default:
		c.clean.Add(1)
	}
	if p.tag != nil {
		e.Modify.InsertHeader(tagName, tagValue(p.tag.entry))
	}
	return milter.Accept, true
}

func bare(in []string) []string {
	out := make([]string, len(in))
	for i, a := range in {
		out[i] = string(bareAddress([]byte(a)))
	}
	return out
}

// record stores the sightings of a message. Without matches it does nothing.
func (f *Filter) record(ctx context.Context, client netip.Addr, now int64, shares []share) error {
	var first error
	for i := range shares {
		for _, t := range shares[i].told {
			ev := event(t, shares[i].owner.ID, client, time.Now().UnixMicro())
			err := f.cfg.Recorder.Record(ctx, &ev)
			if err != nil {
				f.count.unrecorded.Add(1)
				f.cfg.Log.Error("mail: a sighting could not be stored", slog.Any("error", err))
				if first == nil {
					first = err
				}
			}
		}
	}
	return first
}

func event(t told, owner int32, client netip.Addr, at int64) sighting.Event {
	en := t.hit.entry
	ev := sighting.Event{
		At: at, Indicator: en.ID, Service: contract.SMTP, Category: en.Category, Action: t.action,
		Display: en.Display, Notify: en.Notify && t.action != contract.Shadow, Customer: owner, Count: 1, Peer: client,
	}
	place := t.hit.place.String()
	var what [sighting.MaxWhat]byte
	n := copy(what[:], place)
	n += copy(what[n:], ": ")
	n += copy(what[n:], t.hit.what[:t.hit.n])
	ev.SetWhat(what[:n])
	return ev
}

func (f *Filter) withdraw(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return f.cfg.Quarantine.Withdraw(ctx, ids)
}

var _ mime.Visitor = (*judge)(nil)
