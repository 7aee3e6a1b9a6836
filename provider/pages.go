package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/provider/internal/anonymise"
	"ecs/provider/internal/console"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/notice"
	"ecs/provider/internal/sighting"

	dto "github.com/prometheus/client_model/go"
)

// pages is what the console sees of the house.
type pages struct{ h *house }

func (p pages) names() map[int32]string {
	out := map[int32]string{}
	specs, err := p.h.specs.List(context.Background())
	if err != nil {
		return out
	}
	for _, c := range specs {
		out[c.ID] = c.Name
	}
	return out
}

// input are the errors that the person who asked can do something about.
var input = []error{
	customer.ErrInput, customer.ErrNotContact, customer.ErrNotOperator, sighting.ErrVerdict, notice.ErrRating,
	anonymise.ErrNotReady, anonymise.ErrChanged, anonymise.ErrNotOperator,
	quarantine.ErrSettled, quarantine.ErrNoHop, quarantine.ErrFull,
}

// said gives the console's errors for ours: not found, or a sentence for the
// person who asked. Anything else is a fault of ours, which the console logs and
// does not show.
func said(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, customer.ErrUnknown), errors.Is(err, sighting.ErrUnknown), errors.Is(err, notice.ErrUnknown),
		errors.Is(err, anonymise.ErrUnknown), errors.Is(err, quarantine.ErrUnknown):
		return fmt.Errorf("%w: %w", console.ErrNotFound, err)
	case slices.ContainsFunc(input, func(e error) bool { return errors.Is(err, e) }):
		return fmt.Errorf("%w: %w", console.ErrInvalid, err)
	default:
		return err
	}
}

func actor(a signin.Account) customer.Actor {
	return customer.Actor{Login: a.Login, Roles: a.Roles, Scope: a.Scope}
}

// Sightings implements [console.Sightings].
func (p pages) Sightings(ctx context.Context, f console.SightingFilter) ([]console.Sighting, error) {
	rows, err := sighting.List(ctx, p.h.db, sighting.Filter{
		Customer: f.Customer, Service: f.Service, Indicator: f.Indicator, Unjudged: f.Unjudged, Before: f.Before, Limit: f.Limit,
	})
	if err != nil {
		return nil, err
	}
	names, set := p.names(), p.h.set.Get()
	out := make([]console.Sighting, len(rows))
	for i, r := range rows {
		out[i] = console.Sighting{
			ID: r.ID, Service: r.Service, Indicator: r.Indicator, Category: r.Category, Customer: r.Customer, Name: names[r.Customer],
			Action: r.Action, Client: r.Client, Peer: r.Peer, What: r.What, Count: r.Count, First: r.First, Last: r.Last,
			Verdict: r.Verdict, Notice: r.Notice,
		}
		if strings.HasPrefix(r.What, sighting.Withheld) {
			out[i].What, out[i].Hidden = "", true
		}
		e := set.ByID(r.Indicator)
		if e != nil {
			out[i].Summary = e.Summary
		}
	}
	return out, nil
}

// SetVerdict implements [console.Sightings].
func (p pages) SetVerdict(ctx context.Context, by signin.Account, id int64, verdict string) error {
	return said(sighting.Judge(ctx, p.h.db, by.Login, id, verdict))
}

// Customers implements [console.Customers].
func (p pages) Customers(ctx context.Context) ([]console.Customer, error) {
	specs, err := p.h.specs.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]console.Customer, len(specs))
	for i, c := range specs {
		out[i] = console.Customer{
			ID: c.ID, Name: c.Name, Sector: c.Sector, DNS: c.DNS, Answer: c.Answer, Mail: c.Mail, MailAction: c.MailAction, Flow: c.Flow,
			Prefixes: c.Prefixes, Domains: c.Domains, Exporters: c.Exporters,
			NoticeMail: c.Contact.Mail, NoticeHook: c.Contact.Hook, NoticeSyslog: c.Contact.Syslog,
			Consent: c.Consent, ConsentBy: c.ConsentBy, ConsentAt: c.ConsentAt,
		}
		for _, x := range c.Granted {
			out[i].Exceptions = append(out[i].Exceptions, console.Exception{Indicator: x.Indicator, Reason: x.Reason, By: x.By, At: x.At})
		}
	}
	return out, nil
}

// Customer implements [console.Customers].
func (p pages) Customer(ctx context.Context, id int32) (console.Customer, error) {
	all, err := p.Customers(ctx)
	if err != nil {
		return console.Customer{}, err
	}
	i := slices.IndexFunc(all, func(c console.Customer) bool { return c.ID == id })
	if i < 0 {
		return console.Customer{}, console.ErrNotFound
	}
	return all[i], nil
}

// Save implements [console.Customers].
func (p pages) Save(ctx context.Context, by signin.Account, c console.Customer) (int32, error) {
	id, err := p.h.specs.Put(ctx, actor(by), customer.Spec{
		Row: customer.Row{
			Customer: customer.Customer{ID: c.ID, Name: c.Name, Sector: c.Sector, DNS: c.DNS, Answer: c.Answer, Mail: c.Mail, MailAction: c.MailAction, Flow: c.Flow},
			Prefixes: c.Prefixes, Domains: c.Domains, Exporters: c.Exporters,
		},
		Contact: customer.Contact{Mail: c.NoticeMail, Hook: c.NoticeHook, Syslog: c.NoticeSyslog},
	})
	return id, said(err)
}

// SetConsent implements [console.Customers].
func (p pages) SetConsent(ctx context.Context, by signin.Account, id int32, services contract.Services) error {
	return said(p.h.specs.Consent(ctx, actor(by), id, services))
}

// AddException implements [console.Customers].
func (p pages) AddException(ctx context.Context, by signin.Account, id int32, indicator contract.ID, reason string) error {
	return said(p.h.specs.Except(ctx, actor(by), id, indicator, reason))
}

// RemoveException implements [console.Customers].
func (p pages) RemoveException(ctx context.Context, by signin.Account, id int32, indicator contract.ID) error {
	return said(p.h.specs.Unexcept(ctx, actor(by), id, indicator))
}

// Quarantine implements [console.Quarantine].
func (p pages) Quarantine(ctx context.Context, f console.HeldFilter) ([]console.Held, error) {
	if p.h.held == nil {
		return nil, nil
	}
	rows, err := p.h.held.List(ctx, quarantine.Filter{State: quarantine.State(f.State), Customer: f.Customer, Before: f.Before, Limit: f.Limit})
	if err != nil {
		return nil, err
	}
	names := p.names()
	out := make([]console.Held, len(rows))
	for i, m := range rows {
		out[i] = console.Held{
			ID: m.ID, Customer: m.Customer, Name: names[m.Customer], Indicator: m.Indicator, Sender: m.Sender, Recipients: m.Recipients,
			Bytes: m.Bytes, State: string(m.State), Received: m.Received, Settled: m.Settled, SettledBy: m.SettledBy,
		}
	}
	return out, nil
}

// Release implements [console.Quarantine].
func (p pages) Release(ctx context.Context, by signin.Account, id string) error {
	if p.h.held == nil {
		return console.ErrNotFound
	}
	err := said(p.h.held.Release(ctx, id, by.Login))
	if err == nil || errors.Is(err, console.ErrNotFound) || errors.Is(err, console.ErrInvalid) {
		return err
	}
	// Most often the next hop cannot be reached or refuses it: the operator needs
	// to know, and the message stays held.
	return fmt.Errorf("%w: the message is still held: %w", console.ErrInvalid, err)
}

// Delete implements [console.Quarantine].
func (p pages) Delete(ctx context.Context, by signin.Account, id string) error {
	if p.h.held == nil {
		return console.ErrNotFound
	}
	return said(p.h.held.Delete(ctx, id, by.Login, "deleted in the console"))
}

// Notices implements [console.Notices].
func (p pages) Notices(ctx context.Context, f console.NoticeFilter) ([]console.Notice, error) {
	rows, err := notice.List(ctx, p.h.db, notice.Filter{State: notice.State(f.State), Customer: f.Customer, Before: f.Before, Limit: f.Limit})
	if err != nil {
		return nil, err
	}
	names := p.names()
	out := make([]console.Notice, len(rows))
	for i := range rows {
		out[i] = shown(rows[i], names)
	}
	return out, nil
}

func shown(n notice.Notice, names map[int32]string) console.Notice {
	id, _ := contract.ParseID(n.Indicator)
	return console.Notice{
		ID: n.ID, Customer: n.Customer, Name: names[n.Customer], Indicator: id, Service: n.Service, Channel: n.Channel,
		State: string(n.State), Body: n.Body, Attempts: n.Attempts, Error: n.Error, Created: n.Created, Dispatched: n.Dispatched,
		Settled: n.Settled, SettledBy: n.SettledBy, Rating: n.Rating,
	}
}

// ByToken implements [console.Notices].
func (p pages) ByToken(ctx context.Context, token string) (console.Notice, error) {
	n, err := notice.ByToken(ctx, p.h.db, token)
	if err != nil {
		return console.Notice{}, said(err)
	}
	return shown(n, p.names()), nil
}

// Acknowledge implements [console.Notices].
func (p pages) Acknowledge(ctx context.Context, token string, rating int) error {
	return said(p.h.notices.Acknowledge(ctx, token, "customer", rating))
}

// Settle implements [console.Notices].
func (p pages) Settle(ctx context.Context, by signin.Account, id int64) error {
	return said(p.h.notices.Settle(ctx, id, by.Login))
}

// Windows implements [console.Feedback].
func (p pages) Windows(ctx context.Context, limit int) ([]console.Window, error) {
	rows, err := p.h.feedback.Windows(ctx, limit)
	if err != nil {
		return nil, err
	}
	length := p.h.feedback.DayLength()
	out := make([]console.Window, len(rows))
	for i, w := range rows {
		out[i] = console.Window{
			Day: w.Day, Start: w.Start, Length: length, Service: w.Service, State: string(w.State), Body: []byte(w.Body),
			Made: w.Made, ReviewedBy: w.ReviewedBy, Answered: w.Answered, Error: w.Error,
		}
		parsed, err := contract.ParseWindow([]byte(w.Body))
		if err == nil {
			out[i].Cells = len(parsed.Cells)
		}
		for _, x := range w.Withheld {
			out[i].Withheld = append(out[i].Withheld, console.Withheld{
				What: fmt.Sprintf("%s, %s, %s", x.Indicator, x.Category, x.Action), Reason: x.Why + "; told instead: " + x.Instead,
				Merged: x.Instead != "nothing",
			})
		}
	}
	return out, nil
}

// Window implements [console.Feedback].
func (p pages) Window(ctx context.Context, d contract.Day, s contract.Services) (console.Window, error) {
	all, err := p.Windows(ctx, 1000)
	if err != nil {
		return console.Window{}, err
	}
	i := slices.IndexFunc(all, func(w console.Window) bool { return w.Day == d && w.Service == s })
	if i < 0 {
		return console.Window{}, console.ErrNotFound
	}
	return all[i], nil
}

// Approve implements [console.Feedback].
func (p pages) Approve(ctx context.Context, by signin.Account, d contract.Day, s contract.Services, seen string) error {
	w, err := p.Window(ctx, d, s)
	if err != nil {
		return err
	}
	if console.Digest(w.Body) != seen {
		return said(anonymise.ErrChanged)
	}
	return said(p.h.feedback.Review(ctx, by.Login, by.Roles, d, s, string(w.Body), true))
}

// Status implements [console.Overview].
func (p pages) Status(ctx context.Context) (console.Status, error) {
	h := p.h
	l := h.link.Status()
	s := console.Status{
		Provider: h.link.Provider(),
		List: console.List{
			Sequence: l.Checkpoint.Sequence, Count: h.set.Get().Len(), Loaded: l.LoadedAt, Confirmed: l.Contact,
			Issued: l.Checkpoint.Issued, Expires: l.Checkpoint.Expires, Unsent: l.Unsent, Problem: l.Problem, ProblemAt: l.ProblemAt,
			HubError: l.Error, CertificateEnds: l.NotAfter,
		},
	}
	s.Offered, s.Lost = h.queue.Counts()
	err := h.db.QueryRowContext(ctx, `SELECT
			(SELECT count(*) FROM notice WHERE state IN ('QUEUED', 'DISPATCHED')),
			(SELECT count(*) FROM notice WHERE state = 'ESCALATED'),
			(SELECT count(*) FROM feedback_window WHERE state = 'READY'),
			(SELECT count(*) FROM quarantine WHERE state = 'HELD')`).
		Scan(&s.NoticesWaiting, &s.NoticesEscalated, &s.FeedbackWaiting, &s.MailHeld)
	if err != nil {
		return s, err
	}
	for _, svc := range contract.AllServices.Each() {
		s.Rooms = append(s.Rooms, h.roomStatus(svc))
	}
	return s, nil
}

func (h *house) roomStatus(svc contract.Services) console.Room {
	r := console.Room{Service: svc, Running: h.cfg.services().Has(svc)}
	var at []string
	switch svc {
	case contract.DNS:
		for _, a := range h.cfg.DNS.Listen {
			at = append(at, a.String())
		}
	case contract.SMTP:
		at = h.cfg.Mail.Listen
	case contract.NetFlow:
		at = h.cfg.Flow.Listen
	}
	r.Address = strings.Join(at, ", ")
	if !r.Running {
		r.Fault = "not configured"
		return r
	}
	r.Customers = h.customers.Get().Served(svc)
	registry := h.rooms[svc]
	families, err := registry.Gather()
	if err != nil {
		r.Fault = err.Error()
		return r
	}
	r.Counters = counters(families)
	return r
}

// counters picks what has counted something, without the service's own prefix.
// What was lost is always there, as one sum and, when there is any, by reason.
func counters(families []*dto.MetricFamily) []console.Counter {
	var out []console.Counter
	var lost uint64
	for _, f := range families {
		_, name, _ := strings.Cut(strings.TrimPrefix(strings.TrimSuffix(f.GetName(), "_total"), "ecs_"), "_")
		for _, m := range f.GetMetric() {
			if m.GetCounter() == nil {
				continue
			}
			c := console.Counter{Name: strings.ReplaceAll(name, "_", " "), Value: uint64(m.GetCounter().GetValue())}
			for _, l := range m.GetLabel() {
				c.Name += ", " + strings.ReplaceAll(l.GetValue(), "_", " ")
			}
			c.Loss = strings.Contains(c.Name, "drop") || strings.Contains(c.Name, "lost")
			if c.Loss {
				lost += c.Value
			}
			if c.Value > 0 {
				out = append(out, c)
			}
		}
	}
	return append(out, console.Counter{Name: "lost or dropped, in all", Value: lost, Loss: true})
}
