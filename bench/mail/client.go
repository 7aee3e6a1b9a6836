//go:build linux

package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// result is one run of one server.
type result struct {
	messages, bytes, stopped int
	took, cpu                time.Duration
	p50, p99                 time.Duration // from the end of a message to its verdict
}

func (r result) rate() float64 { return float64(r.messages) / r.took.Seconds() }

// load hands messages over by milter on several connections at once, as a mail
// server does, for a time.
func load(addr string, all []*message, sessions int, d time.Duration) (result, error) {
	var next, bytes, stopped atomic.Int64
	var mu sync.Mutex
	var waits []time.Duration
	var first error
	began := time.Now()
	var wg sync.WaitGroup
	for range sessions {
		wg.Go(func() {
			c, err := dial(addr)
			if err == nil {
				defer func() { _ = c.nc.Close() }()
				var own []time.Duration
				for time.Since(began) < d {
					m := all[int(next.Add(1)-1)%len(all)]
					var stop bool
					var wait time.Duration
					stop, wait, err = c.send(m)
					if err != nil {
						break
					}
					own = append(own, wait)
					bytes.Add(int64(m.size()))
					if stop {
						stopped.Add(1)
					}
				}
				mu.Lock()
				waits = append(waits, own...)
				mu.Unlock()
			}
			if err != nil {
				mu.Lock()
				first = err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r := result{messages: len(waits), bytes: int(bytes.Load()), stopped: int(stopped.Load()), took: time.Since(began)}
	sort.Slice(waits, func(i, j int) bool { return waits[i] < waits[j] })
	if len(waits) > 0 {
		r.p50, r.p99 = waits[len(waits)/2], waits[len(waits)*99/100]
	}
	return r, first
}

type conn struct {
	nc      net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	options uint32
}

func dial(addr string) (*conn, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, r: bufio.NewReader(nc), w: bufio.NewWriterSize(nc, 64<<10)}
	var o [12]byte
	binary.BigEndian.PutUint32(o[0:], 6)
	binary.BigEndian.PutUint32(o[4:], 0x1ff)
	binary.BigEndian.PutUint32(o[8:], 0x1fffff)
	c.packet('O', string(o[:]))
	kind, p, err := c.read()
	if err != nil || kind != 'O' || len(p) < 12 {
		return nil, fmt.Errorf("options: %c %w", kind, err)
	}
	c.options = binary.BigEndian.Uint32(p[8:])
	_, err = c.step('C', "client.example\x004\x00\x19192.0.2.7\x00", 0x1000, 0x1)
	if err == nil {
		_, err = c.step('H', "client.example\x00", 0x2000, 0x2)
	}
	return c, err
}

func (c *conn) packet(kind byte, parts ...string) {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	var h [5]byte
	binary.BigEndian.PutUint32(h[:], uint32(n))
	h[4] = kind
	_, _ = c.w.Write(h[:])
	for _, p := range parts {
		_, _ = c.w.WriteString(p)
	}
}

func (c *conn) read() (byte, []byte, error) {
	err := c.w.Flush()
	if err != nil {
		return 0, nil, err
	}
	var h [5]byte
	_, err = io.ReadFull(c.r, h[:])
	if err != nil {
		return 0, nil, err
	}
	p := make([]byte, binary.BigEndian.Uint32(h[:])-1)
	_, err = io.ReadFull(c.r, p)
	return h[4], p, err
}

// step sends a packet, unless the server does not want it, and waits for the
// answer, unless there is none. It reports the answer's kind.
func (c *conn) step(kind byte, text string, silent, unwanted uint32) (byte, error) {
	if c.options&unwanted != 0 {
		return 'c', nil
	}
	c.packet(kind, text)
	if c.options&silent != 0 {
		return 'c', nil
	}
	got, _, err := c.read()
	return got, err
}

// send hands over one message and reports whether it was stopped.
func (c *conn) send(m *message) (bool, time.Duration, error) {
	c.packet('D', "Mi\x00QUEUEID\x00{mail_addr}\x00"+m.sender+"\x00")
	_, err := c.step('M', "<"+m.sender+">\x00", 0x4000, 0x4)
	if err != nil {
		return false, 0, err
	}
	_, err = c.step('R', "<x@customer.example>\x00", 0x8000, 0x8)
	if err != nil {
		return false, 0, err
	}
	_, err = c.step('T', "", 0x10000, 0x200)
	for _, h := range m.header {
		if err == nil {
			_, err = c.step('L', h[0]+"\x00"+h[1]+"\x00", 0x80, 0x20)
		}
	}
	if err == nil {
		_, err = c.step('N', "", 0x40000, 0x40)
	}
	skip := c.options&0x10 != 0
	for b := m.body; len(b) > 0 && err == nil && !skip; {
		n := min(len(b), 65535)
		c.packet('B', string(b[:n]))
		b = b[n:]
		if c.options&0x80000 == 0 {
			var got byte
			got, _, err = c.read()
			skip = got == 's'
		}
	}
	if err != nil {
		return false, 0, err
	}
	c.packet('E', "")
	err = c.w.Flush()
	began := time.Now()
	for err == nil {
		var kind byte
		kind, _, err = c.read()
		switch kind {
		case 'c', 'a':
			return false, time.Since(began), nil
		case 'r', 't', 'd', 'y':
			return true, time.Since(began), nil
		}
	}
	return false, 0, err
}
