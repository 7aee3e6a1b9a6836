package dns

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	mdns "github.com/miekg/dns"
)

func dial(t testing.TB, r *Room) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

// TestPipelinedOutOfOrder sends a slow question and then quick ones over one
// connection, all in one segment.
func TestPipelinedOutOfOrder(t *testing.T) {
	t.Parallel()
	u := newUpstream(t, func(q []byte, tcp bool) []byte {
		if decode(t, q).Question[0].Name == "slow.good.example." {
			time.Sleep(200 * time.Millisecond)
		}
		return answerA("198.51.100.7")(q, tcp)
	})
	cfg := testConfig(t)
	cfg.Upstreams = []netip.AddrPort{u.addr}
	c := dial(t, start(t, cfg))
	var all []byte
	for i, name := range []string{"slow.good.example.", "bad.example.", "quick.good.example.", "x.bad.example."} {
		msg := query(t, name, mdns.TypeA, nil)
		binary.BigEndian.PutUint16(msg, uint16(i))
		all = append(all, frame(msg)...)
	}
	_, err := c.Write(all)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.(*net.TCPConn).CloseWrite() // what is under way is answered all the same
	var order []uint16
	for range 4 {
		b := readTCP(c)
		if b == nil {
			t.Fatalf("answers so far: %v", order)
		}
		m := decode(t, b)
		if m.Rcode != 0 || len(m.Answer) != 1 {
			t.Errorf("answer %v", m)
		}
		order = append(order, m.Id)
	}
	if order[3] != 0 {
		t.Errorf("order %v: the slow one held up others", order)
	}
	if readTCP(c) != nil {
		t.Error("connection not closed after the last answer")
	}
}

func TestConnectionBounds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		edit   func(*Config)
		reason string
	}{
		{"in all", func(c *Config) { c.MaxConns = 2 }, "tcp_connections"},
		{"of one client", func(c *Config) { c.MaxConnsPerClient = 2 }, "tcp_connections_of_client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			c.edit(&cfg)
			r := start(t, cfg)
			first, second := dial(t, r), dial(t, r)
			wait(t, func() bool { return r.conns.open.Load() == 2 })
			third := dial(t, r)
			if readTCP(third) != nil || r.Dropped()[c.reason] != 1 {
				t.Errorf("third connection served, counted %v", r.Dropped())
			}
			_ = first.Close()
			_ = second.Close()
			wait(t, func() bool { return r.conns.open.Load() == 0 })
			fourth := dial(t, r)
			_, _ = fourth.Write(frame(query(t, "bad.example.", mdns.TypeA, nil)))
			if readTCP(fourth) == nil {
				t.Error("no room after others left")
			}
		})
	}
}

// TestSlowClients: one that drips bytes, one that says nothing and one that
// does not read are all let go.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.IdleTimeout = 200 * time.Millisecond
	r := start(t, cfg)
	dial(t, r) // says nothing
	drip := dial(t, r)
	msg := frame(query(t, "bad.example.", mdns.TypeA, nil))
	began := time.Now()
	for i := range msg {
		_, err := drip.Write(msg[i : i+1])
		if err != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if time.Since(began) > 2*time.Second {
		t.Error("a client that drips bytes was waited for")
	}
	deaf := dial(t, r)
	_ = deaf.(*net.TCPConn).SetReadBuffer(1)
	for {
		_, err := deaf.Write(msg)
		if err != nil {
			break
		}
	}
	wait(t, func() bool { return r.conns.open.Load() == 0 })
}

func TestGarbageEndsTheConnection(t *testing.T) {
	t.Parallel()
	r := start(t, testConfig(t))
	for _, b := range [][]byte{{0, 0}, {0, 5, 1, 2, 3, 4, 5}, {0xff, 0xff}, frame([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})} {
		c := dial(t, r)
		_, _ = c.Write(b)
		if readTCP(c) != nil {
			t.Errorf("%x was answered", b)
		}
	}
	wait(t, func() bool { return r.conns.open.Load() == 0 })
}
