// Package httpd serves HTTP with the limits that every listener of the program
// has: deadlines in both directions, a bound on headers, bodies and
// connections, TLS 1.3, and a graceful stop.
//
// Plain HTTP is served on loopback addresses only, and there only to requests
// that name a loopback host, so that a web page elsewhere cannot reach a console
// by a name that resolves to 127.0.0.1 (DNS rebinding).
//
// It knows no paths and no accounts: see internal/signin.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Config of a [Server].
type Config struct {
	Name    string       // for logs and errors, such as "console"
	Address string       // host:port; port 0 takes a free one
	Handler http.Handler // what is served
	TLS     *tls.Config  // nil for plain HTTP on loopback; at least TLS 1.3 is enforced

	MaxBody        int64                                           // bytes of a request's body; 1 MiB when zero
	Limit          func(r *http.Request) int64                     // overrides MaxBody for a request when it gives more than zero
	ReadTimeout    time.Duration                                   // whole request; 30 s when zero. Handlers of long uploads prolong theirs by http.ResponseController
	WriteTimeout   time.Duration                                   // from the end of the headers to the end of the answer; 90 s when zero
	Connections    int                                             // at a time; 2048 when zero
	ConnContext    func(context.Context, net.Conn) context.Context // see [http.Server]
	ShutdownWithin time.Duration                                   // for requests under way when stopping; 10 s when zero
}

// Server is one listener.
type Server struct {
	cfg  Config
	http *http.Server
	ln   net.Listener
	// Refused counts connections closed at once because there were too many.
	Refused atomic.Uint64
}

// New makes a server that does not listen yet.
func New(cfg Config) *Server {
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 20
	}
	if cfg.ReadTimeout == 0 {
		cfg.ReadTimeout = 30 * time.Second
	}
	if cfg.WriteTimeout == 0 {
		cfg.WriteTimeout = 90 * time.Second
	}
	if cfg.Connections == 0 {
		cfg.Connections = 2048
	}
	if cfg.ShutdownWithin == 0 {
		cfg.ShutdownWithin = 10 * time.Second
	}
	s := &Server{cfg: cfg}
	s.http = &http.Server{
		Handler:           s.guard(cfg.Handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ConnContext:       cfg.ConnContext,
		ErrorLog:          slog.NewLogLogger(slog.Default().With(slog.String("listener", cfg.Name)).Handler(), slog.LevelDebug),
	}
	return s
}

// Listen takes the address. Run does it when it was not done before.
func (s *Server) Listen() error {
	if s.ln != nil {
		return nil
	}
	host, _, err := net.SplitHostPort(s.cfg.Address)
	if err != nil {
		return fmt.Errorf("httpd: %s: address %q: want host:port", s.cfg.Name, s.cfg.Address)
	}
	if s.cfg.TLS == nil && !loopback(host) {
		return fmt.Errorf("httpd: %s: plain HTTP is for loopback addresses only and %q is none: configure a certificate, or listen on 127.0.0.1", s.cfg.Name, host)
	}
	ln, err := net.Listen("tcp", s.cfg.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("httpd: %s: %s is in use by another program: stop it, or configure another address", s.cfg.Name, s.cfg.Address)
	}
	if err != nil {
		return fmt.Errorf("httpd: %s: %w", s.cfg.Name, err)
	}
	ln = &bounded{Listener: ln, slots: make(chan struct{}, s.cfg.Connections), refused: &s.Refused}
	if s.cfg.TLS != nil {
		c := s.cfg.TLS.Clone()
		c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
		if len(c.NextProtos) == 0 {
			c.NextProtos = []string{"h2", "http/1.1"}
		}
		s.http.TLSConfig = c
	}
	s.ln = ln
	return nil
}

// Addr gives the address taken, host:port. It is empty before Listen.
func (s *Server) Addr() string {
	if s.ln == nil {
		return ""
	}
	return s.ln.Addr().String()
}

// URL gives the address with its scheme.
func (s *Server) URL() string {
	if s.cfg.TLS != nil {
		return "https://" + s.Addr()
	}
	return "http://" + s.Addr()
}

// Close gives up the address of a server that will not run.
func (s *Server) Close() error {
	if s.ln == nil {
		return nil
	}
	return s.ln.Close()
}

// Run serves until the context ends, then lets requests under way finish.
func (s *Server) Run(ctx context.Context) error {
	err := s.Listen()
	if err != nil {
		return err
	}
	// Short requests finish; long polls see the end of their context soon after.
	base, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	s.http.BaseContext = func(net.Listener) context.Context { return base }
	served := make(chan error, 1)
	go func() {
		if s.http.TLSConfig != nil {
			served <- s.http.ServeTLS(s.ln, "", "")
			return
		}
		served <- s.http.Serve(s.ln)
	}()
	select {
	case err = <-served:
		return fmt.Errorf("httpd: %s: %w", s.cfg.Name, err)
	case <-ctx.Done():
	}
	defer time.AfterFunc(min(2*time.Second, s.cfg.ShutdownWithin/2), end).Stop()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.ShutdownWithin)
	defer cancel()
	err = s.http.Shutdown(stop)
	if err != nil {
		err = s.http.Close()
	}
	<-served
	return err
}

// guard bounds bodies and, without TLS, refuses foreign host names.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.TLS == nil && !loopback(hostOf(r.Host)) {
			http.Error(w, "This address is served on loopback only. Open it by http://localhost or http://127.0.0.1.", http.StatusMisdirectedRequest)
			return
		}
		most := s.cfg.MaxBody
		if s.cfg.Limit != nil {
			special := s.cfg.Limit(r)
			if special > 0 {
				most = special
			}
		}
		r.Body = http.MaxBytesReader(w, r.Body, most)
		next.ServeHTTP(w, r)
	})
}

func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return strings.Trim(hostport, "[]")
	}
	return host
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// bounded closes connections beyond its number of slots.
type bounded struct {
	net.Listener
	slots   chan struct{}
	refused *atomic.Uint64
}

// Accept implements [net.Listener].
func (b *bounded) Accept() (net.Conn, error) {
	for {
		c, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case b.slots <- struct{}{}:
			return &counted{Conn: c, slots: b.slots}, nil
		default:
			b.refused.Add(1)
			_ = c.Close()
		}
	}
}

type counted struct {
	net.Conn
	slots  chan struct{}
	closed atomic.Bool
}

// Close implements [net.Conn] and gives the slot back once.
func (c *counted) Close() error {
	if c.closed.CompareAndSwap(false, true) {
		<-c.slots
	}
	return c.Conn.Close()
}
