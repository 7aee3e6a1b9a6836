package mail

import (
	"ecs/contract"
	"ecs/provider/internal/customer"
)

// fate is what happens to one customer's copy of a message, ordered from the
// mildest to the strictest.
type fate uint8

const (
	pass fate = iota
	tagged
	held
	refused
)

// recipient is one address of the envelope.
type recipient struct {
	address string // as told, with its angle brackets
	owner   *customer.Customer
}

// share is what one customer has of a message.
type share struct {
	owner *customer.Customer // nil: recipients of nobody's
	to    []string
	fate  fate
	lead  *hit // the first hit that decided; nil when fate is pass
	told  []told
}

// told is one sighting to be made.
type told struct {
	hit    *hit
	action contract.Action
}

// plan is what happens to a message as a whole.
//
// After the end of a message the milter protocol can refuse it for all
// recipients or for none; before, it can remove single recipients. So:
//
//   - refused, if every recipient's customer refuses it;
//   - otherwise the copies of customers that refuse or hold it are held in
//     quarantine and their recipients removed; if nobody is left, the message is
//     taken and dropped, having been held. A customer that refuses mail gets a
//     copy held only in this mixed case: dropping it would lose it without
//     telling anybody, and passing it would deliver it;
//   - where recipients cannot be removed (the mail server does not permit it) or
//     there is no quarantine, and some recipient must not get it, it is refused
//     for all: the sender is told, nothing is lost;
//   - tagged, if a customer of those who are left tags. Headers are the message's
//     and not a recipient's, so the others left see the tag too; it names the
//     indicator and no customer.
type plan struct {
	shares []share
	refuse bool
	hold   []int // shares whose copy is held
	drop   bool  // nobody is left
	tag    *hit
	lead   *hit // decided the message's fate; nil: it passes
}

// decide makes the plan. canRemove says whether recipients can be removed,
// canHold whether there is a quarantine.
func decide(hits []hit, to []recipient, canRemove, canHold bool) plan {
	var p plan
	for _, r := range to {
		p.join(r)
	}
	var refusing, holding int
	for i := range p.shares {
		s := &p.shares[i]
		s.judge(hits)
		switch s.fate {
		case refused:
			refusing++
		case held:
			holding++
		}
		if s.lead != nil && (p.lead == nil || s.fate > tagged) {
			p.lead = s.lead
		}
	}
	stopped := refusing + holding
	all := stopped == len(p.shares)
	switch {
	case stopped == 0:
	case refusing == len(p.shares), !canHold, !all && !canRemove:
		p.refuse = true
		return p
	default:
		for i := range p.shares {
			if p.shares[i].fate >= held {
				p.hold = append(p.hold, i)
			}
		}
		p.drop = all
	}
	for i := range p.shares {
		if p.shares[i].fate == tagged && p.tag == nil {
			p.tag = p.shares[i].lead
		}
	}
	return p
}

func (p *plan) join(r recipient) {
	for i := range p.shares {
		if p.shares[i].owner == r.owner {
			p.shares[i].to = append(p.shares[i].to, r.address)
			return
		}
	}
	p.shares = append(p.shares, share{owner: r.owner, to: []string{r.address}})
}

// judge applies one customer's policy and exceptions to the hits.
func (s *share) judge(hits []hit) {
	c := s.owner
	if c == nil || c.Mail == customer.Off {
		return
	}
	for i := range hits {
		h := &hits[i]
		e := h.entry
		if c.Excepted(e.ID) {
			continue
		}
		action, f := contract.Alert, pass
		switch {
		case e.Action == contract.Shadow:
			action = contract.Shadow
		case c.Mail != customer.Block || !e.Enforce || e.Action == contract.Alert:
		default:
			switch c.MailAction {
			case customer.Tag:
				f = tagged
			case customer.Quarantine:
				action, f = contract.Quarantine, held
			default:
				action, f = contract.Quarantine, refused // the word of the closed list for mail that was stopped
			}
		}
		s.told = append(s.told, told{hit: h, action: action})
		if f > s.fate {
			s.fate, s.lead = f, h
		}
	}
}
