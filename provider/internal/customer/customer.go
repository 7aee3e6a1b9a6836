// Package customer knows whose traffic a thing is and what that customer wants
// done. The rooms read a [Book], an immutable snapshot swapped by one atomic
// pointer; the tables behind it are changed by operators and, for consent, in
// the name of the customer's contact.
//
// Traffic of nobody (no customer) is never matched, never counted per customer
// and never recorded.
package customer

import (
	"net/netip"
	"sync/atomic"

	"ecs/contract"

	"github.com/gaissmai/bart"
)

// Policy is what a customer wants of one service.
type Policy uint8

// The policies. The zero value does nothing, so that a forgotten field cannot
// block anybody.
const (
	Off   Policy = iota
	Watch        // record and notify, change nothing
	Block        // sinkhole, reject, quarantine
)

// Answer is how a blocked name is answered.
type Answer uint8

// The answers.
const (
	SinkholeAddress Answer = iota // A and AAAA with the sinkhole's addresses, NODATA for other types
	NXDomain
	NoData
)

// MailAction is what happens to a message that matched under policy Block.
type MailAction uint8

// The actions on mail.
const (
	Reject     MailAction = iota // 550 to the sending server
	Quarantine                   // kept here, encrypted; the sending server is told it was accepted
	Tag                          // delivered with a header
)

// Customer is an entity as this provider serves it. Immutable.
type Customer struct {
	ID         int32
	Name       string
	Sector     contract.Sector
	DNS        Policy
	Answer     Answer
	Mail       Policy
	MailAction MailAction
	Flow       Policy
	Consent    contract.Services // for which services anonymous feedback is agreed
	except     map[contract.ID]struct{}
}

// Excepted reports whether the customer has a local exception for an indicator.
func (c *Customer) Excepted(id contract.ID) bool {
	if c.except == nil {
		return false
	}
	_, ok := c.except[id]
	return ok
}

// Book finds customers. Immutable; all look-ups are safe for concurrent use and
// allocate nothing. Nil results mean "nobody's".
type Book struct {
	byID     map[int32]*Customer
	prefixes bart.Table[*Customer]
	domains  map[string]*Customer
	exporter map[netip.Addr]*Customer
	solo     *Customer // set when one customer has 0.0.0.0/0 and ::/0: saves the look-up
}

// ByAddr finds the customer with the longest prefix that contains a.
func (b *Book) ByAddr(a netip.Addr) *Customer {
	if b.solo != nil {
		return b.solo
	}
	c, ok := b.prefixes.Lookup(a.Unmap())
	if !ok {
		return nil
	}
	return c
}

// ByMailDomain finds the customer that receives mail for a domain (lower case,
// A-labels), or for the nearest parent of it that a customer registered.
func (b *Book) ByMailDomain(domain string) *Customer {
	for {
		c, ok := b.domains[domain]
		if ok {
			return c
		}
		i := 0
		for i < len(domain) && domain[i] != '.' {
			i++
		}
		if i == len(domain) {
			return nil
		}
		domain = domain[i+1:]
	}
}

// ByExporter finds the customer all of whose flows an exporter reports.
func (b *Book) ByExporter(a netip.Addr) *Customer { return b.exporter[a.Unmap()] }

// ByID finds a customer by number.
func (b *Book) ByID(id int32) *Customer { return b.byID[id] }

// Served counts the customers whose policy for a service is not off.
func (b *Book) Served(s contract.Services) int {
	n := 0
	for _, c := range b.byID {
		if s == contract.DNS && c.DNS != Off || s == contract.SMTP && c.Mail != Off || s == contract.NetFlow && c.Flow != Off {
			n++
		}
	}
	return n
}

// Holder holds the book in force.
type Holder struct{ p atomic.Pointer[Book] }

// NewHolder makes a holder with an empty book in force.
func NewHolder() *Holder {
	h := &Holder{}
	h.Set(NewBook(nil))
	return h
}

// Get gives the book in force. Never nil.
func (h *Holder) Get() *Book { return h.p.Load() }

// Set puts a book in force.
func (h *Holder) Set(b *Book) { h.p.Store(b) }

// Row is a customer and how its traffic is known, for [NewBook].
type Row struct {
	Customer
	Prefixes   []netip.Prefix
	Domains    []string
	Exporters  []netip.Addr
	Exceptions []contract.ID
}

// NewBook makes a book. Where two customers claim the same prefix, domain or
// exporter, the later row wins: the tables do not allow it to happen.
func NewBook(rows []Row) *Book {
	b := &Book{byID: map[int32]*Customer{}, domains: map[string]*Customer{}, exporter: map[netip.Addr]*Customer{}}
	for i := range rows {
		c := rows[i].Customer
		if len(rows[i].Exceptions) > 0 {
			c.except = make(map[contract.ID]struct{}, len(rows[i].Exceptions))
		}
		for _, id := range rows[i].Exceptions {
			c.except[id] = struct{}{}
		}
		b.byID[c.ID] = &c
		for _, p := range rows[i].Prefixes {
			b.prefixes.Insert(p.Masked(), &c)
		}
		for _, d := range rows[i].Domains {
			b.domains[d] = &c
		}
		for _, a := range rows[i].Exporters {
			b.exporter[a.Unmap()] = &c
		}
	}
	if len(rows) == 1 && len(rows[0].Prefixes) == 2 && rows[0].Prefixes[0].Bits() == 0 && rows[0].Prefixes[1].Bits() == 0 {
		b.solo = b.byID[rows[0].ID]
	}
	return b
}
