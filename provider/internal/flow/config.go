package flow

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/flow/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

// Config of the room. Zero fields mean the defaults in brackets; Match,
// Customers and Events are needed.
type Config struct {
	Listen        []string       // UDP addresses, such as "192.0.2.1:2055" or "[::]:4739"; at least one
	Workers       int            // sockets and decoders for each address [number of CPUs]
	Exporters     []netip.Prefix // exporters known besides those registered for a customer
	MaxExporters  int            // exporters remembered by one worker [10,000]
	Limits        wire.Limits    // what one exporter can make us remember
	ReceiveBuffer int            // bytes asked of the kernel for one socket [16 MiB]
	Ring          int            // datagrams that may wait for one decoder, a power of two [4096]
	MaxDatagram   int            // bytes; longer ones are counted and refused [9216]
	State         string         // file that keeps templates across restarts ["": none]
	Store         store.Config   // where flows are kept; without Dir none are

	Match     *match.Holder
	Customers *customer.Holder
	Events    *sighting.Queue
	Log       *slog.Logger // [slog.Default]
}

func (c Config) defaults() (Config, error) {
	if len(c.Listen) == 0 {
		return c, errors.New("flow: no address to listen on; set listen to one such as 127.0.0.1:2055")
	}
	if c.Match == nil || c.Customers == nil || c.Events == nil {
		return c, errors.New("flow: Match, Customers and Events must be given")
	}
	c.Workers = cmp.Or(max(c.Workers, 0), runtime.NumCPU())
	c.MaxExporters = cmp.Or(max(c.MaxExporters, 0), 10_000)
	c.ReceiveBuffer = cmp.Or(max(c.ReceiveBuffer, 0), 16<<20)
	c.Ring = cmp.Or(max(c.Ring, 0), 4096)
	c.MaxDatagram = cmp.Or(max(c.MaxDatagram, 0), 9216)
	if c.Ring&(c.Ring-1) != 0 || c.Ring < receiveBatch {
		return c, fmt.Errorf("flow: ring must be a power of two, %d or more; it is %d", receiveBatch, c.Ring)
	}
	if c.MaxDatagram < 512 || c.MaxDatagram > 65535 {
		return c, fmt.Errorf("flow: max-datagram must be from 512 to 65535; it is %d", c.MaxDatagram)
	}
	if c.Workers > 64 {
		return c, fmt.Errorf("flow: workers must be 64 or fewer; it is %d", c.Workers)
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Store.Log == nil {
		c.Store.Log = c.Log
	}
	return c, nil
}
