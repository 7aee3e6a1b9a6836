// Command benchmark is the flow room alone, for bench/flow: with a million
// indicators and one customer, told what to do by flags and by lines on its
// standard input. It is not part of the product.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"ecs/bench/flow/gen"
	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/flow"
	"ecs/provider/internal/flow/hunt"
	"ecs/provider/internal/flow/store"
	"ecs/provider/internal/flow/wire"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

func main() {
	dir := flag.String("dir", "", "folder of flows; empty: none are stored")
	workers := flag.Int("workers", 1, "sockets and decoders")
	fill := flag.Uint64("fill", 0, "store this many generated flows and end")
	look := flag.String("hunt", "", "hunt for this address or prefix in dir and end")
	many := flag.Int("many", 0, "hunt for this many listed addresses in dir and end")
	flag.Parse()
	var err error
	switch {
	case *fill > 0:
		err = filling(*dir, *fill)
	case *look != "" || *many > 0:
		err = hunting(*dir, *look, *many)
	default:
		err = collect(*dir, *workers)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func indicators() *match.Set {
	items := make([]match.Item, 0, gen.Indicators)
	add := func(a observable.Atom) {
		e := &match.Entry{ID: contract.NewID(), Services: contract.NetFlow, Display: true, Until: 1 << 40}
		items = append(items, match.Item{Entry: e, Atoms: []observable.Atom{a}})
	}
	for i := range 940_000 {
		add(observable.Atom{Kind: observable.Addr, Value: gen.V4(gen.Listed(i)).String()})
	}
	for i := range 50_000 {
		add(observable.Atom{Kind: observable.Addr, Value: gen.Listed6(i).String()})
	}
	for i := range 10_000 {
		add(observable.Atom{Kind: observable.Prefix, Value: gen.Prefix(i).String()})
	}
	return match.Build(items)
}

// collect runs the room until standard input ends. Each line there is answered
// with the totals.
func collect(dir string, workers int) error {
	h, b, q := match.NewHolder(), customer.NewHolder(), sighting.NewQueue(1<<16)
	h.Set(indicators())
	b.Set(customer.NewBook([]customer.Row{{Customer: customer.Customer{ID: 1, Flow: customer.Watch}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}}))
	f, err := flow.New(flow.Config{
		Listen: []string{"127.0.0.1:0"}, Workers: workers, Exporters: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Match: h, Customers: b, Events: q, Store: store.Config{Dir: dir},
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	go func() { // what the recorder of sightings does in the product
		for {
			select {
			case <-q.C():
			case <-ctx.Done():
				return
			}
		}
	}()
	addrs := f.Addrs()
	if addrs == nil {
		cancel()
		return <-done
	}
	fmt.Println(addrs[0])
	out := json.NewEncoder(os.Stdout)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		t := struct {
			flow.Totals
			Stored uint64
		}{Totals: f.Totals()}
		if s := f.Stored(); s != nil {
			t.Stored = s.Rows.Load()
		}
		err = out.Encode(t)
		if err != nil {
			break
		}
	}
	cancel()
	return errors.Join(err, <-done)
}

func filling(dir string, n uint64) error {
	s := store.New(store.Config{Dir: dir, Log: slog.Default()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	begin := time.Now()
	exporter := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	var b *store.Batch
	for k := uint64(0); k < n; {
		if b == nil {
			b = s.Batch()
			if b == nil {
				time.Sleep(time.Millisecond)
				continue
			}
		}
		g := gen.At(k)
		end := begin.UnixMilli() - int64(g.Ago)
		r := wire.Record{
			First: end - int64(g.Length), Last: end, Bytes: uint64(g.Bytes), Packets: uint64(g.Packets), Src: gen.V4(g.Src).As16(), Dst: gen.V4(g.Dst).As16(),
			SrcPort: g.SPort, DstPort: g.DPort, Proto: g.Proto, Flags: g.Flags,
		}
		b.Rows[b.N].Fill(&r, &exporter, 1, store.Out)
		b.N++
		k++
		if b.N == store.BatchRows || k == n {
			s.Put(b)
			b = nil
		}
	}
	cancel()
	err := <-done
	took := time.Since(begin)
	fmt.Printf("{\"flows\":%d,\"seconds\":%.3f,\"bytes\":%d}\n", n, took.Seconds(), s.Counters.Bytes.Load())
	return err
}

func hunting(dir, look string, many int) error {
	q := hunt.Query{Dir: dir}
	for i := range many {
		q.Targets = append(q.Targets, hunt.Target{Prefix: netip.PrefixFrom(gen.V4(gen.Listed(i)), 32)})
	}
	if look != "" {
		a, err := netip.ParseAddr(look)
		if err != nil {
			return err
		}
		q.Targets = append(q.Targets, hunt.Target{Prefix: netip.PrefixFrom(a, a.BitLen())})
	}
	begin := time.Now()
	r, err := hunt.Run(context.Background(), q, nil)
	if err != nil {
		return err
	}
	var flows uint64
	for _, h := range r.Hits {
		flows += h.Flows
	}
	fmt.Printf("{\"flows\":%d,\"seconds\":%.4f,\"files\":%d,\"skipped\":%d,\"rows\":%d,\"read\":%d}\n",
		flows, time.Since(begin).Seconds(), r.Files, r.Skipped, r.Rows, r.Read)
	return errors.Join(r.Bad...)
}
