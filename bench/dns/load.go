//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sort"
	"time"

	"golang.org/x/sys/unix"
)

// result is what one run showed.
type result struct {
	qps      float64
	qpcpu    float64 // queries for each second of the server's processor time
	lost     int
	wrong    int // answers with another response code than the name deserves
	p50, p99 time.Duration
}

const sockets = 8

// slot is one query under way. The identifier on the wire is the slot's number
// and the turn, so that a late answer does not count for the next query.
type slot struct {
	sent   time.Time
	turn   uint8
	busy   bool
	listed bool
}

// lostAfter is when a query counts as lost and its slot is used again.
const lostAfter = time.Second

// load keeps a window of queries under way on each socket, in batches, and
// counts what comes back.
func load(ctx context.Context, addr, mode string, o *options) (result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var res result
	sa, err := sockaddr(addr)
	if err != nil {
		return res, err
	}
	window := min(o.window, 256)
	fds := make([]unix.PollFd, sockets)
	slots := make([][]slot, sockets)
	for i := range fds {
		fd, err := socket()
		if err != nil {
			return res, err
		}
		defer unix.Close(fd)
		err = unix.Connect(fd, sa)
		if err != nil {
			return res, err
		}
		fds[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		slots[i] = make([]slot, window)
	}
	in, out := newBatch(false), newBatch(false)
	gen := newTraffic(mode, o.names)
	var times []time.Duration
	answers, sent := 0, 0
	warm := time.Now().Add(500 * time.Millisecond)
	began := warm
	end := warm.Add(time.Duration(o.seconds * float64(time.Second)))
	counting := false
	for {
		now := time.Now()
		if now.After(end) || ctx.Err() != nil {
			break
		}
		if !counting && now.After(warm) {
			counting, began, answers, sent, times = true, now, 0, 0, times[:0]
			res = result{}
		}
		idle := true
		for s := range fds {
			fd := int(fds[s].Fd)
			for {
				n := in.recv(fd, unix.MSG_DONTWAIT)
				now = time.Now()
				for i := range n {
					b := in.buf[i][:in.msgs[i].n]
					if len(b) < 12 {
						continue
					}
					id := binary.BigEndian.Uint16(b)
					if int(id>>8) >= window {
						continue
					}
					sl := &slots[s][id>>8]
					if !sl.busy || sl.turn != uint8(id) {
						continue
					}
					sl.busy = false
					answers++
					if sl.listed != (b[3]&15 == 3) {
						res.wrong++
					}
					if answers%16 == 0 {
						times = append(times, now.Sub(sl.sent))
					}
				}
				if n > 0 {
					idle = false
				}
				if n < batchSize {
					break
				}
			}
			room := batchSize
			if o.rate > 0 && counting {
				room = min(room, int(now.Sub(began).Seconds()*float64(o.rate))-sent)
			} else if o.rate > 0 {
				room = min(room, 4)
			}
			k := 0
			for i := range slots[s] {
				if k >= room {
					break
				}
				sl := &slots[s][i]
				if sl.busy {
					if now.Sub(sl.sent) < lostAfter {
						continue
					}
					res.lost++
				}
				sl.turn++
				sl.busy, sl.sent = true, now
				var n int
				n, sl.listed = gen.next(out.buf[k][:])
				binary.BigEndian.PutUint16(out.buf[k][:], uint16(i)<<8|uint16(sl.turn))
				out.iov[k].SetLen(n)
				k++
			}
			if k > 0 {
				idle = false
				sent += k
				out.send(fd, k)
			}
		}
		if idle {
			// Let the stub, which shares this core, have its turn.
			_, _ = unix.Poll(fds, 1)
		}
	}
	res.qps = float64(answers) / time.Since(began).Seconds()
	sort.Slice(times, func(i, j int) bool { return times[i] < times[j] })
	if len(times) > 0 {
		res.p50, res.p99 = times[len(times)/2], times[len(times)*99/100]
	}
	return res, ctx.Err()
}

// traffic makes queries: a header, a name, type A, and an OPT record, as
// today's stub resolvers send them.
type traffic struct {
	mode  string
	names int
	turn  uint32
	rnd   *rand.Rand
}

func newTraffic(mode string, names int) *traffic {
	return &traffic{mode: mode, names: names, turn: rand.Uint32(), rnd: rand.New(rand.NewPCG(1, 2))}
}

// next writes one query and tells whether its name is listed or below one.
func (g *traffic) next(b []byte) (int, bool) {
	n := copy(b, "\x00\x00\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01")
	kind := 0
	switch g.mode {
	case "mix":
		switch v := g.rnd.Uint32() % 100; {
		case v >= 15:
			kind = 2
		case v >= 10:
			kind = 1
		}
	case "forward":
		kind = 3
	}
	if kind == 1 {
		n += copy(b[n:], "\x03www")
	}
	switch kind {
	case 0, 1:
		n += wireName(b[n:], g.rnd.Uint32()%uint32(g.names), "listed")
	case 2:
		n += wireName(b[n:], g.rnd.Uint32()%10_000, "usual")
	case 3:
		g.turn++
		n += wireName(b[n:], g.turn, "fresh")
	}
	n += copy(b[n:], "\x00\x00\x01\x00\x01\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00")
	return n, kind < 2
}
