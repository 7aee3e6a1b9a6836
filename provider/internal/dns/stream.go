package dns

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"ecs/provider/internal/dns/wire"
)

// conns counts the TCP connections of clients.
type conns struct {
	open atomic.Int64
	turn atomic.Uint32
	mu   sync.Mutex
	of   map[netip.Addr]int
}

// enter admits a connection, or names the counter that refuses it.
func (c *conns) enter(a netip.Addr, p *plan) (counter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Load() >= int64(p.MaxConns) {
		return droppedConns, false
	}
	if c.of[a] >= p.MaxConnsPerClient {
		return droppedConnsClient, false
	}
	c.of[a]++
	c.open.Add(1)
	return 0, true
}

func (c *conns) leave(a netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open.Add(-1)
	c.of[a]--
	if c.of[a] <= 0 {
		delete(c.of, a)
	}
}

// accept takes TCP connections until ctx ends.
func (r *Room) accept(ctx context.Context, l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			r.counts[droppedConns].Add(1) // out of file descriptors, say
			time.Sleep(20 * time.Millisecond)
			continue
		}
		a := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
		why, ok := r.conns.enter(a, r.plan)
		if !ok {
			r.counts[why].Add(1)
			_ = c.Close()
			continue
		}
		r.group.Go(func() {
			defer r.conns.leave(a)
			r.serveStream(ctx, c, a)
		})
	}
}

// stream is one connection over which a client sends queries one behind the
// other, each with its length before it (RFC 1035 section 4.2.2), and gets each
// answer as soon as it is there (RFC 7766 section 6.2.1.1).
type stream struct {
	conn  net.Conn
	idle  time.Duration
	slots chan struct{} // one for each query without an answer written
	queue chan []byte   // answers; as long as slots, so that nobody ever waits
}

// respond implements responder.
func (s *stream) respond(id uint16, msg []byte) {
	b := make([]byte, 2+len(msg))
	binary.BigEndian.PutUint16(b, uint16(len(msg)))
	copy(b[2:], msg)
	binary.BigEndian.PutUint16(b[2:], id)
	s.queue <- b
}

// serveStream serves one connection to its end. Each query must come whole
// within the idle timeout, however its bytes drip.
func (r *Room) serveStream(ctx context.Context, c net.Conn, from netip.Addr) {
	s := &stream{
		conn: c, idle: r.plan.IdleTimeout,
		slots: make(chan struct{}, r.plan.MaxPipelined), queue: make(chan []byte, r.plan.MaxPipelined),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	var writer sync.WaitGroup
	writer.Go(func() {
		s.write(ctx)
		cancel() // a client that does not read is not read from either
	})
	sh := r.shards[int(r.conns.turn.Add(1))%len(r.shards)]
	h := &hot{plan: r.plan}
	in := bufio.NewReaderSize(c, 2048)
	out := make([]byte, r.plan.UDPSize)
	var msg []byte
	for {
		var err error
		_ = c.SetReadDeadline(time.Now().Add(s.idle))
		msg, err = readFrame(in, msg)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) && in.Buffered() > 0 {
				r.counts[slowTCP].Add(1)
			}
			break
		}
		h.tally[queriesTCP]++
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			r.counts.take(&h.tally)
			cancel()
			writer.Wait()
			return
		}
		at := now()
		v, n := h.handle(msg, from, true, at, out)
		switch v {
		case reply:
			s.respond(h.q.ID, out[:n])
		case forward:
			sh.mu.Lock()
			if !sh.ask(&h.q, msg, &waiter{id: h.q.ID, stream: s}, at) {
				<-s.slots
			}
			sh.send()
			sh.settle()
			sh.mu.Unlock()
		case drop:
			// Over a stream, garbage cannot be another's forgery: this client
			// is broken, and what follows may be out of step.
			r.counts.take(&h.tally)
			cancel()
			writer.Wait()
			return
		}
		r.counts.take(&h.tally)
	}
	// The client may have closed its side only: what is under way is answered.
	wait := time.NewTimer(r.plan.Timeout + 2*time.Second)
	defer wait.Stop()
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
			continue
		case <-ctx.Done():
		case <-wait.C:
		}
		break
	}
	cancel()
	writer.Wait()
}

// write writes answers until ctx ends, several with one call where several wait.
func (s *stream) write(ctx context.Context) {
	out := bufio.NewWriterSize(s.conn, 2048)
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-s.queue:
			_ = s.conn.SetWriteDeadline(time.Now().Add(s.idle))
			done := 0
			for b != nil {
				_, err := out.Write(b)
				if err != nil {
					return
				}
				done++
				select {
				case b = <-s.queue:
				default:
					b = nil
				}
			}
			err := out.Flush()
			if err != nil {
				return
			}
			for range done {
				<-s.slots
			}
		}
	}
}

// readFrame reads one message with its length before it, into buf when it is
// large enough.
func readFrame(in *bufio.Reader, buf []byte) ([]byte, error) {
	var size [2]byte
	_, err := io.ReadFull(in, size[:])
	if err != nil {
		return buf, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	if n < wire.HeaderLen || n > maxQuery {
		return buf, errors.New("dns: a frame that cannot be a query")
	}
	if cap(buf) < n {
		buf = make([]byte, n, maxQuery)
	}
	buf = buf[:n]
	_, err = io.ReadFull(in, buf)
	return buf, err
}
