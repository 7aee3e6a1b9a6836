package match

import (
	"ecs/contract"
	"ecs/observable"
)

// Entry is what the rooms need to know of one indicator in force. Entries are
// shared by all readers and never change.
type Entry struct {
	ID         contract.ID
	Services   contract.Services
	Category   contract.Category
	Action     contract.Action // recommended
	Marking    contract.TLP
	Disclosure uint8
	Enforce    bool // NETDEF; without it a match can only alert
	Display    bool // DSPLY; without it no operator sees the value
	Notify     bool // TENOT; without it no notice is made
	Summary    string
	From       int64 // seconds since 1970: not in force before
	Until      int64 // seconds since 1970: not in force from then on, hub reachable or not
}

// In reports whether the entry is in force for a service at now (seconds since
// 1970). It is on every hot path: small enough to be inlined.
func (e *Entry) In(s contract.Services, now int64) bool {
	return e.Services&s != 0 && now < e.Until && now >= e.From
}

// stops reports whether the entry asks for more than an alert. Of two entries for
// one value the rooms get one that does.
func (e *Entry) stops() bool {
	return e.Enforce && (e.Action == contract.Sinkhole || e.Action == contract.Quarantine)
}

// Item is one indicator to be put into a set: an entry and the atoms that its
// pattern compiled to.
type Item struct {
	Entry *Entry
	Atoms []observable.Atom
}
