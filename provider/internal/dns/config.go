package dns

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"time"
	"unicode/utf8"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/dns/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

// Stranger says what becomes of queries from addresses that are no customer's.
type Stranger uint8

// What to do with strangers. The zero value keeps the room from being an open
// resolver.
const (
	Refuse      Stranger = iota // REFUSED, never longer than the query
	PassThrough                 // forwarded unmatched and unrecorded
	Ignore                      // no answer at all
)

// Empty says what becomes of customers' queries while no list is loaded.
type Empty uint8

// What to do without a list.
const (
	FailOpen   Empty = iota // forward everything
	FailClosed              // SERVFAIL with Extended DNS Error 14, Not Ready
)

// Config is what the room needs. Fields without "required" have a default that
// their comment names.
type Config struct {
	// Listen are the addresses and ports for UDP and TCP alike; required. Port 0
	// takes a free one. 0.0.0.0 means IPv4 only and [::] IPv6 only: list both.
	Listen []netip.AddrPort
	// Workers is the number of UDP sockets per address (SO_REUSEPORT), each
	// with a goroutine of its own. Default: one per CPU that Go may use.
	Workers int
	// ReceiveBuffer of each UDP socket in bytes. Default 4 MiB; the kernel may
	// grant less, which is logged.
	ReceiveBuffer int
	// OneByOne receives and sends single datagrams even where the kernel can do
	// batches. Default off.
	OneByOne bool

	// Upstreams are the resolvers that get everything that is not answered
	// here; required, at most 16.
	Upstreams []netip.AddrPort
	// TryTimeout is how long one upstream is waited for before another is
	// asked as well. Default 800 ms.
	TryTimeout time.Duration
	// Timeout is how long a query may take in all. Default 4 s.
	Timeout time.Duration
	// MaxPending bounds the queries that wait for an upstream. Default 32,768.
	MaxPending int
	// MaxMerged bounds how many clients may wait for one question. Default 64.
	MaxMerged int
	// SourcePorts is the number of source ports in use per upstream and
	// worker. Default 4.
	SourcePorts int
	// Rotate is how long a source port is used. Default 1 min.
	Rotate time.Duration
	// MaxUpstreamTCP bounds the TCP exchanges with upstreams. Default 128.
	MaxUpstreamTCP int
	// KeepClientSubnet leaves the client-subnet option (RFC 7871) in forwarded
	// queries. Default off: it tells others where the client is.
	KeepClientSubnet bool

	// Sinkhole4 and Sinkhole6 are the addresses given for listed names to
	// customers who want an address; at most 6 each. A family without any is
	// answered with "no data".
	Sinkhole4 []netip.Addr
	Sinkhole6 []netip.Addr
	// TTL of answers to listed names: how long clients go on after a recall.
	// Whole seconds, default 5 s.
	TTL time.Duration
	// Primary and Contact are the two names in the SOA record of refusals.
	// Defaults "sinkhole.invalid" and "hostmaster.sinkhole.invalid".
	Primary string
	Contact string
	// Text tells a client why, where the indicator's own summary may not.
	// Default "Blocked by your network's protection service". At most 200 bytes.
	Text string
	// UDPSize is the datagram size that this house advertises and to which its
	// own answers keep. Default 1,232 (DNS flag day 2020).
	UDPSize uint16

	// Strangers and Unready: see their types.
	Strangers Stranger
	Unready   Empty

	// MaxConns bounds TCP connections, MaxConnsPerClient those of one address,
	// MaxPipelined the unanswered queries on one. Defaults 4,096, 64, 64.
	MaxConns          int
	MaxConnsPerClient int
	MaxPipelined      int
	// IdleTimeout is how long a TCP connection may take for its next whole
	// query, and the room for one write. Default 10 s.
	IdleTimeout time.Duration

	// Matches, Customers and Sightings are the list in force, the customers,
	// and where matches are reported; required.
	Matches   *match.Holder
	Customers *customer.Holder
	Sightings *sighting.Queue
	// Log is for the operator; nil discards. No query, name or client address
	// is ever logged.
	Log *slog.Logger
}

// attempts bounds how many times one query is sent to upstreams.
const attempts = 4

// plan is a Config checked and made ready for the hot path. Immutable.
type plan struct {
	Config
	ttl   uint32
	soa   []byte
	sink4 []byte // addresses end to end
	sink6 []byte
}

// def gives v, or d when v is zero.
func def[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}

func newPlan(cfg Config) (*plan, error) {
	p := &plan{Config: cfg}
	p.Workers = def(p.Workers, runtime.GOMAXPROCS(0))
	p.ReceiveBuffer = def(p.ReceiveBuffer, 4<<20)
	p.TryTimeout = def(p.TryTimeout, 800*time.Millisecond)
	p.Timeout = def(p.Timeout, 4*time.Second)
	p.MaxPending = def(p.MaxPending, 32<<10)
	p.MaxMerged = def(p.MaxMerged, 64)
	p.SourcePorts = def(p.SourcePorts, 4)
	p.Rotate = def(p.Rotate, time.Minute)
	p.MaxUpstreamTCP = def(p.MaxUpstreamTCP, 128)
	p.TTL = def(p.TTL, 5*time.Second)
	p.Primary = def(p.Primary, "sinkhole.invalid")
	p.Contact = def(p.Contact, "hostmaster.sinkhole.invalid")
	p.Text = def(p.Text, "Blocked by your network's protection service")
	p.UDPSize = def(p.UDPSize, 1232)
	p.MaxConns = def(p.MaxConns, 4096)
	p.MaxConnsPerClient = def(p.MaxConnsPerClient, 64)
	p.MaxPipelined = def(p.MaxPipelined, 64)
	p.IdleTimeout = def(p.IdleTimeout, 10*time.Second)
	p.Log = def(p.Log, slog.New(slog.DiscardHandler))
	err := p.check()
	if err != nil {
		return nil, fmt.Errorf("dns: %w", err)
	}
	p.ttl = uint32(p.TTL / time.Second)
	for _, a := range p.Sinkhole4 {
		b := a.As4()
		p.sink4 = append(p.sink4, b[:]...)
	}
	for _, a := range p.Sinkhole6 {
		b := a.As16()
		p.sink6 = append(p.sink6, b[:]...)
	}
	primary, ok1 := wire.ParseName(p.Primary)
	contact, ok2 := wire.ParseName(p.Contact)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("dns: primary %q and contact %q must be host names", p.Primary, p.Contact)
	}
	soa, ok := wire.SOA(primary, contact, p.ttl)
	if !ok {
		return nil, errors.New("dns: primary and contact are too long together: shorten them to about 100 bytes")
	}
	p.soa = soa
	return p, nil
}

func (p *plan) check() error {
	switch {
	case p.Matches == nil || p.Customers == nil || p.Sightings == nil:
		return errors.New("matches, customers and sightings must be set")
	case len(p.Listen) == 0:
		return errors.New("no address to listen on: set listen")
	case len(p.Upstreams) == 0 || len(p.Upstreams) > 16:
		return fmt.Errorf("%d upstream resolvers: name 1 to 16", len(p.Upstreams))
	case len(p.Sinkhole4) > wire.MaxAddresses || len(p.Sinkhole6) > wire.MaxAddresses:
		return fmt.Errorf("more than %d sinkhole addresses of one family", wire.MaxAddresses)
	case p.TTL < time.Second || p.TTL > time.Hour:
		return fmt.Errorf("ttl %v: want 1s to 1h, short enough for a recall", p.TTL)
	case p.UDPSize < 512 || p.UDPSize > 4096:
		return fmt.Errorf("UDP size %d: want 512 to 4096", p.UDPSize)
	case len(p.Text) > 200 || !utf8.ValidString(p.Text):
		return errors.New("text must be UTF-8 of at most 200 bytes")
	case p.Workers < 1 || p.Workers > 256 || p.SourcePorts < 1 || p.SourcePorts > 64:
		return errors.New("workers must be 1 to 256, source ports 1 to 64")
	case p.MaxPending < p.Workers || p.MaxMerged < 1 || p.MaxConns < 1 || p.MaxConnsPerClient < 1 || p.MaxPipelined < 1 || p.MaxUpstreamTCP < 1:
		return errors.New("every bound must be at least 1")
	case p.TryTimeout < 10*time.Millisecond || p.Timeout < p.TryTimeout || p.Timeout > time.Minute:
		return errors.New("try timeout must be at least 10ms and at most the timeout, that at most 1m")
	case p.Rotate < time.Second || p.IdleTimeout < 10*time.Millisecond:
		return errors.New("rotate must be at least 1s, idle timeout at least 10ms")
	}
	for _, a := range p.Sinkhole4 {
		if !a.Is4() {
			return fmt.Errorf("sinkhole address %s is not IPv4", a)
		}
	}
	for _, a := range p.Sinkhole6 {
		if !a.Is6() || a.Is4In6() {
			return fmt.Errorf("sinkhole address %s is not IPv6", a)
		}
	}
	for _, u := range p.Upstreams {
		if !u.IsValid() || u.Port() == 0 || u.Addr().IsUnspecified() {
			return fmt.Errorf("upstream %s: want address and port", u)
		}
		for _, l := range p.Listen {
			if u == l {
				return fmt.Errorf("upstream %s is this room itself: name another resolver", u)
			}
		}
	}
	for _, l := range p.Listen {
		if !l.IsValid() {
			return errors.New("an address to listen on is not valid")
		}
	}
	return nil
}
