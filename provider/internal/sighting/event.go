package sighting

import (
	"net/netip"
	"sync/atomic"

	"ecs/contract"
)

// MaxWhat is how many bytes of "what was seen" an event keeps: a whole domain
// name in wire form (RFC 1035 section 3.1), or the beginning of anything longer.
const MaxWhat = 255

// Event is one match, as a room reports it from its hot path: a value without
// pointers into the traffic, so that handing it over allocates nothing.
type Event struct {
	At        int64 // microseconds since 1970
	Indicator contract.ID
	Service   contract.Services // exactly one
	Category  contract.Category
	Action    contract.Action // what was done
	Display   bool            // whether What may be shown to operators
	Notify    bool            // whether the customer may be notified
	Customer  int32
	Count     uint32     // matches that this event stands for, at least 1
	Client    netip.Addr // the customer's end
	Peer      netip.Addr // the other end; flows only
	Proto     uint8
	Port      uint16 // of the peer; flows only
	Length    uint8
	What      [MaxWhat]byte // query name, matched header and value, ...; what[:Length]
}

// SetWhat keeps the beginning of b.
func (e *Event) SetWhat(b []byte) { e.Length = uint8(copy(e.What[:], b)) }

// Queue takes events from the rooms' hot paths and hands them to the recorder.
// It is bounded; what does not fit is counted, never waited for.
type Queue struct {
	c       chan Event
	offered atomic.Uint64
	dropped atomic.Uint64
}

// NewQueue makes a queue of a given size in events.
func NewQueue(size int) *Queue { return &Queue{c: make(chan Event, size)} }

// Offer hands over a copy of e. It reports false when the queue was full and
// the event is lost, which is also counted.
func (q *Queue) Offer(e *Event) bool {
	q.offered.Add(1)
	select {
	case q.c <- *e:
		return true
	default:
		q.dropped.Add(1)
		return false
	}
}

// C is where the recorder takes events from.
func (q *Queue) C() <-chan Event { return q.c }

// Counts says how many events were offered and how many of these were lost.
func (q *Queue) Counts() (offered, dropped uint64) { return q.offered.Load(), q.dropped.Load() }
