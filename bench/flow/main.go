// Command flow measures the flow room against nfcapd and nfdump: how many records
// a second each collects with less than 0.1 % loss on one core, the exporter on
// another; and how long a hunt takes in the same flows. It prints a table for
// bench/RESULTS.md. Run it from the repository's root:
//
//	go run ./bench/flow                 # both, about five minutes
//	go run ./bench/flow -hunt=false
//	go run ./bench/flow -collect=false -flows 20000000
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ecs/bench/flow/gen"

	"golang.org/x/sys/unix"
)

const (
	trial      = 2 * time.Second
	attempts   = 2 // other work on the machine may spoil one
	lossLimit  = 0.001
	exportCore = 0
	collectors = "1" // the collector's core
)

func main() {
	runtime.LockOSThread() // priority and core are set for the thread that sends
	collecting := flag.Bool("collect", true, "measure collecting")
	hunting := flag.Bool("hunt", true, "measure hunting")
	flows := flag.Uint64("flows", 20_000_000, "flows to hunt in")
	nice := flag.Int("nice", 0, "priority of exporter and collectors alike, for a machine that does other work")
	flag.Parse()
	if *nice != 0 {
		err := unix.Setpriority(unix.PRIO_PROCESS, 0, *nice)
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench/flow: -nice:", err)
			os.Exit(1)
		}
	}
	err := run(*collecting, *hunting, *flows)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/flow:", err)
		os.Exit(1)
	}
}

func run(collecting, hunting bool, flows uint64) error {
	tmp, err := os.MkdirTemp("", "bench-flow-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	bin := filepath.Join(tmp, "room")
	out, err := exec.Command("go", "build", "-o", bin, "ecs/provider/internal/flow/benchmark").CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	_, err = exec.LookPath("nfcapd")
	if err != nil {
		return errors.New("nfcapd is not installed: apt-get install nfdump")
	}
	if collecting {
		err = collect(bin, tmp)
		if err != nil {
			return err
		}
	}
	if hunting {
		return hunt(bin, tmp, flows)
	}
	return nil
}

// collector is something that takes exports and says how many flows it took.
type collector interface {
	start(dir string) (netip.AddrPort, error)
	count() (flows, hits uint64, err error) // since it was asked last; may end the collector
	stop()
}

func collect(bin, tmp string) error {
	fmt.Printf("| records a second, one core, < %.1f %% loss | NetFlow v5 | v9 | IPFIX |\n| --- | --- | --- | --- |\n", lossLimit*100)
	var ours, theirs [3]float64
	for _, c := range []struct {
		name string
		c    collector
		out  *[3]float64
	}{
		{"ecs: match 1,000,000 indicators", &room{bin: bin}, &ours},
		{"nfcapd (decode, write)", &nfcapd{}, &theirs},
		{"ecs: match and store", &room{bin: bin, store: true}, new([3]float64)},
	} {
		row := "| " + c.name
		for i, version := range []int{5, 9, 10} {
			rate, err := best(c.c, version, tmp)
			if err != nil {
				return fmt.Errorf("%s, version %d: %w", c.name, version, err)
			}
			c.out[i] = rate
			row += " | " + thousands(rate)
		}
		fmt.Println(row + " |")
	}
	fmt.Printf("| ratio, matching to nfcapd | %.2f | %.2f | %.2f |\n\n", ours[0]/theirs[0], ours[1]/theirs[1], ours[2]/theirs[2])
	return nil
}

func thousands(v float64) string {
	s := strconv.Itoa(int(v) / 1000 * 1000)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// best finds the highest rate without loss: doubling, then halving the interval
// four times.
func best(c collector, version int, tmp string) (float64, error) {
	low, high := 0.0, 0.0
	try := func(rate float64) (bool, error) {
		for range attempts {
			got, ok, err := once(c, version, rate, tmp)
			if err != nil {
				return false, err
			}
			if ok {
				low = max(low, got)
				return true, nil
			}
		}
		return false, nil
	}
	defer c.stop()
	for rate := 500_000.0; rate < 20e6; rate *= 2 {
		ok, err := try(rate)
		if err != nil {
			return 0, err
		}
		if !ok {
			high = rate
			break
		}
	}
	for range 4 {
		rate := (low + high) / 2
		ok, err := try(rate)
		if err != nil {
			return 0, err
		}
		if !ok {
			high = rate
		}
	}
	return low, nil
}

// once runs one trial. ok means less loss than the limit, and every planted hit
// found where the collector looks for hits; got is the rate truly sent.
func once(c collector, version int, rate float64, tmp string) (got float64, ok bool, err error) {
	dir, err := os.MkdirTemp(tmp, "flows-")
	if err != nil {
		return 0, false, err
	}
	defer os.RemoveAll(dir)
	to, err := c.start(dir)
	if err != nil {
		return 0, false, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var set, old unix.CPUSet
	err = unix.SchedGetaffinity(0, &old)
	if err != nil {
		return 0, false, err
	}
	set.Set(exportCore)
	err = unix.SchedSetaffinity(0, &set)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &old) }()
	x, err := dial(to, version)
	if err != nil {
		return 0, false, err
	}
	defer x.close()
	err = x.template()
	if err != nil {
		return 0, false, err
	}
	x.prebuild(4000) // 100,000 flows, 100 of them with an indicator
	time.Sleep(200 * time.Millisecond)
	sent, took, err := x.run(rate, trial)
	if err != nil {
		return 0, false, err
	}
	flows, hits, err := settled(c)
	if err != nil {
		return 0, false, err
	}
	loss := 1 - float64(flows)/float64(sent)
	ok = loss < lossLimit && took < trial*11/10
	if ok && hits != 0 && loss == 0 && hits != planted(sent) {
		return 0, false, fmt.Errorf("%d hits reported for %d planted", hits, planted(sent))
	}
	fmt.Fprintf(os.Stderr, "version %2d: sent %9.0f/s, lost %.3f %%\n", version, float64(sent)/took.Seconds(), loss*100)
	return float64(sent) / took.Seconds(), ok, nil
}

// settled waits until nothing more arrives and gives the counts.
func settled(c collector) (flows, hits uint64, err error) {
	for {
		time.Sleep(500 * time.Millisecond)
		f, h, err := c.count()
		if err != nil || f == 0 {
			return flows, hits, err
		}
		flows, hits = flows+f, hits+h
	}
}

// planted is how many of the first n prebuilt flows have an indicator.
func planted(n uint64) uint64 {
	const round = 4000 * perDatagram
	return n/round*(round/gen.HitEvery) + n%round/gen.HitEvery
}

// room is our collector: one process for all trials, asked over its pipes.
type room struct {
	bin     string
	store   bool
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	to      netip.AddrPort
	records uint64
	hits    uint64
}

func (r *room) start(dir string) (netip.AddrPort, error) {
	if r.cmd != nil {
		_, _, err := r.count() // what came late
		return r.to, err
	}
	args := []string{"-c", collectors, r.bin}
	if r.store {
		keep, err := os.MkdirTemp(filepath.Dir(dir), "store-")
		if err != nil {
			return r.to, err
		}
		args = append(args, "-dir", keep)
	}
	r.cmd = exec.Command("taskset", args...)
	r.cmd.Stderr = os.Stderr
	var err error
	r.in, err = r.cmd.StdinPipe()
	if err != nil {
		return r.to, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return r.to, err
	}
	r.out = bufio.NewReader(out)
	r.records, r.hits = 0, 0
	err = r.cmd.Start()
	if err != nil {
		return r.to, err
	}
	line, err := r.out.ReadString('\n')
	if err != nil {
		return r.to, err
	}
	r.to, err = netip.ParseAddrPort(strings.TrimSpace(line))
	return r.to, err
}

func (r *room) count() (uint64, uint64, error) {
	_, err := io.WriteString(r.in, "\n")
	if err != nil {
		return 0, 0, err
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		return 0, 0, err
	}
	var t struct{ Watched, Matched, Stored uint64 }
	err = json.Unmarshal(line, &t)
	if err != nil {
		return 0, 0, err
	}
	n := t.Watched
	if r.store {
		n = t.Stored
	}
	flows, hits := n-r.records, t.Matched-r.hits
	r.records, r.hits = n, t.Matched
	return flows, hits, nil
}

func (r *room) stop() {
	if r.cmd == nil {
		return
	}
	_ = r.in.Close()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// nfcapd is the peer: a new process for each trial, because it says how many
// flows it took only in its file.
type nfcapd struct {
	cmd *exec.Cmd
	dir string
}

func (n *nfcapd) start(dir string) (netip.AddrPort, error) {
	n.stop()
	to, err := freePort()
	if err != nil {
		return to, err
	}
	n.dir = dir
	n.cmd = exec.Command("taskset", "-c", collectors, "nfcapd", "-w", dir, "-p", strconv.Itoa(int(to.Port())), "-b", "127.0.0.1", "-B", strconv.Itoa(16<<20), "-t", "3600", "-z")
	err = n.cmd.Start()
	time.Sleep(500 * time.Millisecond)
	return to, err
}

var flowsLine = regexp.MustCompile(`(?m)^Flows:\s*(\d+)`)

func (n *nfcapd) count() (uint64, uint64, error) {
	if n.cmd == nil {
		return 0, 0, nil
	}
	n.stop()
	files, err := filepath.Glob(filepath.Join(n.dir, "nfcapd.*"))
	if err != nil {
		return 0, 0, err
	}
	var total uint64
	for _, f := range files {
		out, err := exec.Command("nfdump", "-I", "-r", f).Output()
		if err != nil {
			return 0, 0, fmt.Errorf("nfdump -I: %w", err)
		}
		m := flowsLine.FindSubmatch(out)
		if m == nil {
			return 0, 0, fmt.Errorf("nfdump -I does not say how many flows:\n%s", out)
		}
		v, err := strconv.ParseUint(string(m[1]), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		total += v
	}
	return total, 0, nil
}

func (n *nfcapd) stop() {
	if n.cmd == nil {
		return
	}
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	_ = n.cmd.Wait()
	n.cmd = nil
}
