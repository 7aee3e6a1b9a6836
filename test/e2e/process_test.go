package e2e

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that runs beside the test. What it prints goes to a file,
// across restarts.
type process struct {
	args []string
	env  []string
	log  string // file of standard output and error
	cmd  *exec.Cmd
	done chan struct{}
	from int64 // where in log the present run begins
}

// start runs the program and kills it at the end of the test.
func start(t *testing.T, log string, args ...string) *process {
	t.Helper()
	p := &process{args: args, log: log}
	p.start(t)
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%v printed:\n%s", args, tail(p.all(), 6000))
		}
	})
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	p.from = info.Size()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = f, f
	err = p.cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
}

func (p *process) all() string {
	b, _ := os.ReadFile(p.log)
	return string(b)
}

// printed is what the present run has printed.
func (p *process) printed() string {
	s := p.all()
	return s[min(int(p.from), len(s)):]
}

// wait waits until the present run has printed something.
func (p *process) wait(t *testing.T, text string) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !strings.Contains(p.printed(), text); {
		select {
		case <-p.done:
			if strings.Contains(p.printed(), text) {
				return
			}
			t.Fatalf("%v ended without %q:\n%s", p.args, text, p.printed())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("%v does not print %q:\n%s", p.args, text, p.printed())
		}
	}
}

// kill ends it as a power cut would: kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// interrupt is Ctrl-C; it gives the exit code.
func (p *process) interrupt(t *testing.T) int {
	t.Helper()
	err := p.cmd.Process.Signal(syscall.SIGINT)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.kill()
		t.Fatalf("%v does not end after SIGINT", p.args)
	}
	return p.cmd.ProcessState.ExitCode()
}

// ran is a program that has ended.
type ran struct {
	code     int
	out, err string
}

// run runs a program to its end.
func run(t *testing.T, env []string, args ...string) ran {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", args, err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// good is run for what must succeed; it gives the standard output.
func good(t *testing.T, env []string, args ...string) string {
	t.Helper()
	r := run(t, env, args...)
	if r.code != 0 {
		t.Fatalf("%v ended with %d:\n%s%s", args, r.code, r.out, r.err)
	}
	return r.out
}

// ports gives a number such that it and the given distances from it are free,
// TCP and UDP, below the range that the system hands out by itself.
func ports(t *testing.T, distances ...int) int {
	t.Helper()
	for range 200 {
		base := 20000 + rand.IntN(12000)
		free := true
		for _, d := range distances {
			at := "127.0.0.1:" + strconv.Itoa(base+d)
			l, err := net.Listen("tcp", at)
			if err == nil {
				_ = l.Close()
			}
			c, err2 := net.ListenPacket("udp", at)
			if err2 == nil {
				_ = c.Close()
			}
			free = free && err == nil && err2 == nil
		}
		if free {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// until tries until something holds, and fails the test after a limit.
func until(t *testing.T, what string, limit time.Duration, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !ok() {
		if time.Since(began) > limit {
			t.Fatalf("waited %v for %s: in vain", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }
