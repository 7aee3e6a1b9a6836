//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// label gives the eight hexadecimal digits that make name i different, spread
// so that neighbors in number are none in order.
func label(i uint32) string { return fmt.Sprintf("%08x", i*2654435761) }

// wireName writes name i of a kind, without the root label.
func wireName(b []byte, i uint32, kind string) int {
	const digits = "0123456789abcdef"
	v := i * 2654435761
	b[0] = 8
	for k := range 8 {
		b[1+k] = digits[v>>(28-4*k)&15]
	}
	n := 9
	b[n] = byte(len(kind))
	n++
	n += copy(b[n:], kind)
	return n + copy(b[n:], "\x07example")
}

// writeNames writes the list, and the same as a response policy zone.
func writeNames(dir string, n int) error {
	f, err := os.Create(filepath.Join(dir, "names"))
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := os.Create(filepath.Join(dir, "rpz.zone"))
	if err != nil {
		return err
	}
	defer z.Close()
	fw, zw := bufio.NewWriter(f), bufio.NewWriter(z)
	fmt.Fprint(zw, "$ORIGIN rpz.\n$TTL 5\n@ SOA ns.rpz. h.rpz. 1 3600 600 86400 5\n@ NS ns.rpz.\n")
	for i := range n {
		name := label(uint32(i)) + ".listed.example"
		fmt.Fprintln(fw, name)
		fmt.Fprintf(zw, "%s CNAME .\n*.%s CNAME .\n", name, name)
	}
	return errors.Join(fw.Flush(), zw.Flush())
}

func unboundPath() string {
	path, err := exec.LookPath("unbound")
	if err != nil {
		return "/usr/sbin/unbound"
	}
	return path
}

func writeUnbound(dir string) (string, error) {
	file := filepath.Join(dir, "unbound.conf")
	return file, os.WriteFile(file, []byte(`server:
  interface: 127.0.0.1@5300
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "`+dir+`"
  pidfile: ""
  use-syslog: no
  verbosity: 0
  num-threads: 1
  so-rcvbuf: 4m
  so-sndbuf: 4m
  msg-cache-size: 256m
  rrset-cache-size: 512m
  outgoing-range: 8192
  num-queries-per-thread: 4096
  do-not-query-localhost: no
  module-config: "respip iterator"
rpz:
  name: "rpz."
  zonefile: "`+filepath.Join(dir, "rpz.zone")+`"
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@5301
remote-control:
  control-enable: no
`), 0o600)
}

// process is a server under measurement.
type process struct {
	cmd *exec.Cmd
	out bytes.Buffer
}

// spawn starts a program on one core.
func spawn(ctx context.Context, core int, bin string, args ...string) (*process, error) {
	p := &process{}
	p.cmd = exec.CommandContext(ctx, "taskset", append([]string{"-c", strconv.Itoa(core), bin}, args...)...)
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	return p, p.cmd.Start()
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
		case <-time.After(5 * time.Second):
			_ = p.cmd.Process.Kill()
		}
	}()
	_ = p.cmd.Wait()
	close(done)
	if p.out.Len() > 0 {
		fmt.Fprintf(os.Stderr, "# %s", p.out.String())
	}
}

// memory gives the resident size in bytes.
func (p *process) memory() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(b, []byte("VmRSS:"))
	var kb int64
	_, _ = fmt.Sscan(string(rest), &kb)
	return kb << 10
}

// cpu gives the processor time used so far, in seconds.
func (p *process) cpu() float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	const tick = 100 // USER_HZ, the same on every Linux that Go runs on
	user, _ := strconv.ParseFloat(string(fields[11]), 64)
	system, _ := strconv.ParseFloat(string(fields[12]), 64)
	return (user + system) / tick
}

// firstBlock asks for a listed name until it is refused.
func firstBlock(ctx context.Context, addr string, blocked bool) error {
	g := newTraffic("blocked", 1)
	q := make([]byte, 512)
	n, _ := g.next(q)
	for range 6000 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c, err := net.Dial("udp", addr)
		if err != nil {
			return err
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Millisecond))
		_, _ = c.Write(q[:n])
		var b [1500]byte
		k, err := c.Read(b[:])
		_ = c.Close()
		if err == nil && k >= 12 && (!blocked || b[3]&15 == 3) {
			return nil
		}
		time.Sleep(5 * time.Millisecond)
	}
	return errors.New("no blocked answer within two minutes")
}
