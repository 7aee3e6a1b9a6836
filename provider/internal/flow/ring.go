package flow

import "sync/atomic"

// ring is where datagrams wait between the goroutine that receives and the one
// that decodes: one producer, one consumer, no lock. The kernel writes straight
// into its places.
type ring struct {
	slots []slot
	buf   []byte
	size  int // bytes of a place
	wake  chan struct{}
	_     [64]byte
	head  atomic.Uint64 // next to decode
	_     [64]byte
	tail  atomic.Uint64 // next to receive into
}

type slot struct {
	n    int // bytes; 0: nothing to decode (it was cut off)
	from [16]byte
}

func newRing(places, size int) *ring {
	return &ring{slots: make([]slot, places), buf: make([]byte, places*size), size: size, wake: make(chan struct{}, 1)}
}

// place gives the bytes of a place.
func (r *ring) place(i int) []byte { return r.buf[i*r.size : (i+1)*r.size : (i+1)*r.size] }

// room gives the first free place and how many free ones follow without a wrap.
func (r *ring) room() (at, n int) {
	t, h := r.tail.Load(), r.head.Load()
	free := len(r.slots) - int(t-h)
	at = int(t) & (len(r.slots) - 1)
	return at, min(free, len(r.slots)-at)
}

// filled hands n places to the consumer.
func (r *ring) filled(n int) {
	r.tail.Add(uint64(n))
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
