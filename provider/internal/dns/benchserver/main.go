// Command benchserver runs the DNS room alone, for bench/dns: one customer who
// wants NXDOMAIN, a list read from a file with one name a line, sightings and
// metrics switched on. It is no product: it has no house around it.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/dns"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"

	"github.com/prometheus/client_golang/prometheus"
)

func main() {
	err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchserver:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:5300", "address for UDP and TCP")
	upstream := flag.String("upstream", "127.0.0.1:5301", "resolver for names that are not listed")
	names := flag.String("names", "", "file of listed names, one a line")
	flag.Parse()
	began := time.Now()
	set, err := load(*names)
	if err != nil {
		return err
	}
	debug.FreeOSMemory() // what loading took is not what serving takes
	l, err := netip.ParseAddrPort(*listen)
	if err != nil {
		return err
	}
	u, err := netip.ParseAddrPort(*upstream)
	if err != nil {
		return err
	}
	matches, book, queue := match.NewHolder(), customer.NewHolder(), sighting.NewQueue(64<<10)
	matches.Set(set)
	book.Set(customer.NewBook([]customer.Row{{
		Customer: customer.Customer{ID: 1, Name: "bench", DNS: customer.Block, Answer: customer.NXDomain},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}}))
	room, err := dns.New(dns.Config{Listen: []netip.AddrPort{l}, Upstreams: []netip.AddrPort{u}, Matches: matches, Customers: book, Sightings: queue})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go func() {
		// The recorder's place: takes events and lets them go.
		for {
			select {
			case <-ctx.Done():
				return
			case <-queue.C():
			}
		}
	}()
	go func() {
		select {
		case <-ctx.Done():
		case <-room.Ready():
			fmt.Printf("ready after %v with %d names\n", time.Since(began).Round(time.Millisecond), set.Len())
		}
	}()
	err = room.Run(ctx)
	offered, lost := queue.Counts()
	fmt.Printf("sightings %d, not taken %d\n", offered, lost)
	return errors.Join(err, counters(room))
}

// counters prints every counter of the room that has moved.
func counters(room *dns.Room) error {
	reg := prometheus.NewRegistry()
	err := reg.Register(room)
	if err != nil {
		return err
	}
	families, err := reg.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v > 0 {
				fmt.Printf("%s %v %.0f\n", f.GetName(), m.GetLabel(), v)
			}
		}
	}
	return nil
}

func load(file string) (*match.Set, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("no list of names: %w", err)
	}
	defer f.Close()
	var items []match.Item
	s := bufio.NewScanner(f)
	until := time.Now().Add(24 * time.Hour).Unix()
	for s.Scan() {
		items = append(items, match.Item{
			Entry: &match.Entry{ID: contract.NewID(), Services: contract.DNS, Category: contract.Phishing, Action: contract.Sinkhole, Enforce: true, Notify: true, Until: until},
			Atoms: []observable.Atom{{Kind: observable.Domain, Value: s.Text()}},
		})
	}
	return match.Build(items), s.Err()
}
