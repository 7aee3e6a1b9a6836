package milter

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config of a server. Zero fields get the stated default.
type Config struct {
	Handler      func() Handler // makes the handler of one connection; required
	Actions      Actions        // changes that the handlers may want
	Options      Options        // what to leave out, as far as the mail server permits
	MaxPacket    int            // bytes of one packet; 1 MiB
	MaxSessions  int            // connections at once; 2,000. One more is closed at once and counted
	ReadTimeout  time.Duration  // longest silence of a mail server; 10 min (an SMTP client may be silent for 5, RFC 5321 section 4.5.3.2)
	WriteTimeout time.Duration  // longest wait for a mail server to take an answer; 30 s
	Progress     time.Duration  // how often a long end of message is excused; 10 s
	Failed       func(error)    // told why a session ended early; may be nil
}

// Counters count what a server saw. All are safe to read at any time.
type Counters struct {
	Sessions, Messages, Packets       atomic.Uint64
	Refused, Oversize, Broken, Silent atomic.Uint64 // over MaxSessions; over a size limit; protocol errors; deadlines passed
	Open                              atomic.Int64
}

// Server accepts mail servers on any number of listeners.
type Server struct {
	cfg   Config
	count Counters
}

// NewServer makes a server. It does nothing until [Server.Serve].
func NewServer(cfg Config) *Server {
	if cfg.MaxPacket <= 0 {
		cfg.MaxPacket = 1 << 20
	}
	cfg.MaxPacket = max(cfg.MaxPacket, bodyPiece+1)
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = 2000
	}
	if cfg.ReadTimeout <= 0 {
		cfg.ReadTimeout = 10 * time.Minute
	}
	if cfg.WriteTimeout <= 0 {
		cfg.WriteTimeout = 30 * time.Second
	}
	if cfg.Progress <= 0 {
		cfg.Progress = 10 * time.Second
	}
	return &Server{cfg: cfg}
}

// Counters gives the server's counters.
func (s *Server) Counters() *Counters { return &s.count }

// Serve accepts connections on ln until ctx ends, closes ln, ends all sessions
// and returns when the last is over. It returns nil when ctx ended it.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	for {
		nc, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() || errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ECONNABORTED) {
				s.count.Refused.Add(1)
				time.Sleep(50 * time.Millisecond) // out of descriptors: let sessions end
				continue
			}
			return err
		}
		if s.count.Open.Add(1) > int64(s.cfg.MaxSessions) {
			s.count.Open.Add(-1)
			s.count.Refused.Add(1)
			_ = nc.Close()
			continue
		}
		s.count.Sessions.Add(1)
		all.Go(func() { s.session(ctx, nc) })
	}
}

func (s *Server) session(ctx context.Context, nc net.Conn) {
	defer s.count.Open.Add(-1)
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer func() {
		stop()
		_ = nc.Close()
	}()
	c := &conn{nc: nc, cfg: &s.cfg, count: &s.count, handler: s.cfg.Handler(), quick: quickAck(nc), buf: make([]byte, firstBuffer)}
	err := c.serve(ctx)
	if err == nil || errors.Is(err, io.EOF) || ctx.Err() != nil {
		return
	}
	var pe *ProtocolError
	var ne net.Error
	switch {
	case errors.As(err, &pe):
		s.count.Broken.Add(1)
	case errors.As(err, &ne) && ne.Timeout():
		s.count.Silent.Add(1)
	}
	if s.cfg.Failed != nil {
		s.cfg.Failed(err)
	}
}

// quickAck gives a function that has the kernel acknowledge at once what was
// just read. Mail servers write a message as many small packets with Nagle's
// algorithm on; with delayed acknowledgement each message would wait 44 ms. The
// kernel forgets the wish, so it is repeated after each read.
func quickAck(nc net.Conn) func() {
	tc, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	_ = tc.SetNoDelay(true)
	raw, err := tc.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	}
	ack := func() { _ = raw.Control(set) }
	ack()
	return ack
}
