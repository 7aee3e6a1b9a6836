//go:build linux

// Command mail measures the mail room as a milter beside rspamd (if it is
// installed), beside milters that decide nothing, and beside the digests alone,
// all in one run. The server has one core, the load the other. Run it from the
// root of the repository:
//
//	go run ./bench/mail -messages 1000 -seconds 8
//
// The first two columns count the processor time that the server's processes
// used, kernel included, and so hold on a busy machine too. It prints one table; bench/RESULTS.md keeps what was measured when.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

type options struct {
	role       string
	messages   int
	seconds    float64
	sessions   int
	indicators int
	servers    string
	out        string
}

func main() {
	var o options
	flag.StringVar(&o.role, "role", "bench", "bench, or what bench starts: go-milter; or corpus, which writes messages into -out")
	flag.IntVar(&o.messages, "messages", 1000, "messages in the corpus, which is gone through again and again")
	flag.Float64Var(&o.seconds, "seconds", 8, "length of a run")
	flag.IntVar(&o.sessions, "sessions", 4, "connections at once")
	flag.IntVar(&o.indicators, "indicators", 1_000_000, "indicators in force")
	flag.StringVar(&o.servers, "servers", "floor,empty,go-milter,ecs,ecs-sha256,rspamd", "which to measure")
	flag.StringVar(&o.out, "out", "corpus", "folder for -role corpus")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := o.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/mail:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	switch o.role {
	case "go-milter":
		return goMilter(ctx)
	case "corpus":
		err := os.MkdirAll(o.out, 0o755)
		if err != nil {
			return err
		}
		for i, m := range corpus(o.messages, false, o.indicators) {
			err = os.WriteFile(filepath.Join(o.out, fmt.Sprintf("%06d.eml", i)), m.raw(), 0o644)
			if err != nil {
				return err
			}
		}
		return nil
	}
	dir, err := os.MkdirTemp("", "ecs-bench-mail-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	_ = os.Chmod(dir, 0o777)
	bin := filepath.Join(dir, "benchserver")
	out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./provider/internal/mail/benchserver").CombinedOutput()
	if err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	err = pin(runtime.NumCPU() - 1)
	if err != nil {
		return err
	}
	n := fmt.Sprint("-indicators=", o.indicators)
	known := map[string]*server{
		"empty":      {name: "our milter, decides nothing", cmd: []string{bin, "-empty"}},
		"go-milter":  {name: "go-milter 0.5, decides nothing", cmd: []string{self, "-role", "go-milter"}},
		"ecs":        {name: "ECS, MD5 SHA-1 SHA-256", cmd: []string{bin, n}},
		"ecs-sha256": {name: "ECS, SHA-256 only", cmd: []string{bin, n, "-digests=sha256"}},
	}
	known["rspamd"], err = rspamd(filepath.Join(dir, "rspamd"), o.indicators)
	if err != nil {
		fmt.Println("rspamd is not measured:", err)
	}
	d := time.Duration(o.seconds * float64(time.Second))
	for _, small := range []bool{false, true} {
		all := corpus(o.messages, small, o.indicators)
		total := 0
		for _, m := range all {
			total += m.size()
		}
		kind := "mixed"
		if small {
			kind = "small only (5 to 50 KB)"
		}
		fmt.Printf("\n%d messages, %s, %.0f KB on average, %d indicators, %d sessions, one core each for server and load, %.0f s a run\n\n", len(all), kind, float64(total)/float64(len(all))/1000, o.indicators, o.sessions, o.seconds)
		fmt.Println("| | messages a core-second | MB a core-second | messages/s on the clock | stopped | verdict p50, p99 after end | memory MiB |\n| --- | --- | --- | --- | --- | --- | --- |")
		for _, name := range strings.Split(o.servers, ",") {
			if name == "floor" {
				for _, digests := range []string{"md5,sha1,sha256", "sha256"} {
					r := floor(all, d/2, digests)
					fmt.Printf("| in memory: base64 and %s, nothing else | %.0f | %.0f | %.0f | | | |\n", digests, float64(r.messages)/r.cpu.Seconds(), float64(r.bytes)/1e6/r.cpu.Seconds(), r.rate())
				}
				continue
			}
			s := known[name]
			if s == nil {
				continue
			}
			err = s.measure(ctx, all, o.sessions, d)
			if err != nil {
				fmt.Printf("| %s | %v |\n", s.name, err)
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
	}
	return nil
}

func (s *server) measure(ctx context.Context, all []*message, sessions int, d time.Duration) error {
	addr, pid, stop, err := s.start(ctx, 0)
	if err != nil {
		return err
	}
	defer stop()
	_, err = load(addr, all, sessions, d/4) // warm up
	if err != nil {
		return err
	}
	before := spent(pid)
	r, err := load(addr, all, sessions, d)
	if err != nil {
		return err
	}
	r.cpu = spent(pid) - before
	fmt.Printf("| %s | %.0f | %.0f | %.0f | %d of %d | %s, %s | %d |\n", s.name, float64(r.messages)/r.cpu.Seconds(), float64(r.bytes)/1e6/r.cpu.Seconds(), r.rate(), r.stopped, r.messages,
		r.p50.Round(10*time.Microsecond), r.p99.Round(10*time.Microsecond), residents(pid))
	return nil
}

// pin keeps this process on one core.
func pin(core int) error {
	var set unix.CPUSet
	set.Set(core)
	tasks, err := filepath.Glob("/proc/self/task/[0-9]*")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		var id int
		_, _ = fmt.Sscan(filepath.Base(t), &id)
		err = unix.SchedSetaffinity(id, &set)
		if err != nil {
			return err
		}
	}
	runtime.GOMAXPROCS(1)
	return nil
}
