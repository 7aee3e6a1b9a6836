//go:build linux

// Command dns measures the DNS room beside a real Unbound with the same list as
// a response policy zone, and beside the limit of the machine: a program that
// does nothing but turn queries round. The server has one core, the load
// another. Run it from the root of the repository as root or not:
//
//	go run ./bench/dns -names 1000000 -seconds 5
//
// It prints one table; bench/RESULTS.md keeps what was measured when.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

type options struct {
	role    string
	addr    string
	names   int
	seconds float64
	runs    int
	rate    int
	window  int
	servers string
	modes   string
	dir     string
}

func main() {
	var o options
	flag.StringVar(&o.role, "role", "bench", "bench, or what bench starts: echo, stub")
	flag.StringVar(&o.addr, "addr", "127.0.0.1:5301", "address of echo and stub")
	flag.IntVar(&o.names, "names", 1_000_000, "listed names")
	flag.Float64Var(&o.seconds, "seconds", 5, "length of a run")
	flag.IntVar(&o.runs, "runs", 3, "runs of each kind; the median counts")
	flag.IntVar(&o.rate, "rate", 0, "queries a second; 0 for as many as are answered")
	flag.IntVar(&o.window, "window", 64, "unanswered queries on each of 8 sockets")
	flag.StringVar(&o.servers, "servers", "limit,ecs,unbound", "which to measure")
	flag.StringVar(&o.modes, "modes", "blocked,mix,forward", "which traffic")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := o.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/dns:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	switch o.role {
	case "echo":
		return serve(o.addr, echo)
	case "stub":
		return serve(o.addr, stub)
	}
	dir, err := os.MkdirTemp("", "ecs-bench-dns")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	fmt.Fprintf(os.Stderr, "making %d names ...\n", o.names)
	err = writeNames(dir, o.names)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = pin(1)
	if err != nil {
		return fmt.Errorf("two cores are needed: %w", err)
	}
	up, err := spawn(ctx, 1, self, "-role", "stub", "-addr", "127.0.0.1:5301")
	if err != nil {
		return err
	}
	defer up.stop()
	fmt.Printf("%-8s %-8s %10s %10s %8s %8s %9s %9s %11s %8s\n", "server", "traffic", "q/s", "q/cpu-s", "lost", "wrong", "p50", "p99", "first block", "memory")
	base := map[string]float64{}
	for _, name := range strings.Split(o.servers, ",") {
		err = o.measure(ctx, name, self, base)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, mode := range strings.Split(o.modes, ",") {
		e := base["ecs "+mode]
		for _, peer := range []string{"limit", "unbound"} {
			if p := base[peer+" "+mode]; p > 0 && e > 0 {
				fmt.Printf("%s: ecs / %s = %.2f by the clock, %.2f by the server's processor time\n", mode, peer, e/p,
					base["cpu ecs "+mode]/base["cpu "+peer+" "+mode])
			}
		}
	}
	return nil
}

// measure starts one server, waits for its first blocked answer, and runs each
// kind of traffic.
func (o *options) measure(ctx context.Context, name, self string, base map[string]float64) error {
	const addr = "127.0.0.1:5300"
	var p *process
	var err error
	began := time.Now()
	switch name {
	case "limit":
		p, err = spawn(ctx, 0, self, "-role", "echo", "-addr", addr)
	case "ecs":
		bin := filepath.Join(o.dir, "benchserver")
		out, berr := exec.CommandContext(ctx, "go", "build", "-o", bin, "./provider/internal/dns/benchserver").CombinedOutput()
		if berr != nil {
			return fmt.Errorf("build: %s", out)
		}
		began = time.Now()
		p, err = spawn(ctx, 0, bin, "-listen", addr, "-upstream", "127.0.0.1:5301", "-names", filepath.Join(o.dir, "names"))
	case "unbound":
		var file string
		file, err = writeUnbound(o.dir)
		if err != nil {
			return err
		}
		began = time.Now()
		p, err = spawn(ctx, 0, unboundPath(), "-d", "-c", file)
	default:
		return fmt.Errorf("no such server: want limit, ecs or unbound")
	}
	if err != nil {
		return err
	}
	defer p.stop()
	err = firstBlock(ctx, addr, name != "limit")
	if err != nil {
		return err
	}
	start := time.Since(began)
	for _, mode := range strings.Split(o.modes, ",") {
		if name == "limit" && mode != "blocked" {
			continue
		}
		var results []result
		for range o.runs {
			cpu, wall := p.cpu(), time.Now()
			r, err := load(ctx, addr, mode, o)
			if err != nil {
				return err
			}
			// Where others use the machine as well, the clock says little and
			// the server's own processor time more.
			r.qpcpu = r.qps * time.Since(wall).Seconds() / max(p.cpu()-cpu, 0.01)
			results = append(results, r)
		}
		sort.Slice(results, func(i, j int) bool { return results[i].qps < results[j].qps })
		r := results[len(results)/2]
		if name == "limit" {
			r.wrong = 0 // it has no answers, right or wrong
			for _, m := range strings.Split(o.modes, ",") {
				base["limit "+m], base["cpu limit "+m] = r.qps, r.qpcpu
			}
		}
		base[name+" "+mode], base["cpu "+name+" "+mode] = r.qps, r.qpcpu
		fmt.Printf("%-8s %-8s %10.0f %10.0f %8d %8d %9v %9v %11v %6dMB\n", name, mode, r.qps, r.qpcpu, r.lost, r.wrong,
			r.p50.Round(time.Microsecond), r.p99.Round(time.Microsecond), start.Round(10*time.Millisecond), p.memory()>>20)
	}
	return nil
}
