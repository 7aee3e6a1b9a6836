//go:build !linux

package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Elsewhere than on Linux the room works one datagram at a time, with one
// socket per address shared by the workers' goroutines. It is for development.
const canBatch = false

var errNoBatch = errors.New("dns: no batch calls on this system")

func refusesBatches(err error) bool { return errors.Is(err, errNoBatch) }

func isCut(int) bool { return false }

type sysInbox struct{}

func (*sysInbox) init(*inbox)                       {}
func (*sysInbox) recv(*inbox, *socket) (int, error) { return 0, errNoBatch }
func (*sysInbox) poll(*inbox, *socket) (int, error) { return 0, nil }

type sysOutbox struct{}

func (*sysOutbox) init(*outbox) {}
func (*sysOutbox) send(*outbox, *socket, int) (next, lost int, err error) {
	return 0, 0, errNoBatch
}

// wantLocal does nothing: answers leave from the address that the system picks.
func wantLocal(syscall.RawConn, bool) error { return nil }

func parseLocal([]byte, bool) netip.Addr { return netip.Addr{} }

func appendLocal(b []byte, _ netip.Addr) []byte { return b }

func listenUDP(ctx context.Context, a netip.AddrPort, buffer int) (*net.UDPConn, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(ctx, network("udp", a), a.String())
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	_ = conn.SetReadBuffer(buffer)
	return conn, nil
}

func (s *socket) granted() int { return 1 << 30 }

func (s *socket) drops() uint64 { return 0 }
