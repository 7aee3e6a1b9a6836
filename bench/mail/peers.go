//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-milter"
)

// server is something to measure.
type server struct {
	name string
	note string
	cmd  []string
	addr string // empty: the program prints "ready ADDRESS"
}

// start starts a server on one core and waits until it listens.
func (s *server) start(ctx context.Context, core int) (addr string, pid int, stop func(), err error) {
	args := append([]string{"-c", fmt.Sprint(core)}, s.cmd...)
	cmd := exec.CommandContext(ctx, "taskset", args...)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", 0, nil, err
	}
	err = cmd.Start()
	if err != nil {
		return "", 0, nil, err
	}
	stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		t := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		t.Stop()
	}
	addr = s.addr
	if addr == "" {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			a, ok := strings.CutPrefix(sc.Text(), "ready ")
			if ok {
				addr = a
				break
			}
			if strings.HasPrefix(sc.Text(), "indicators") {
				s.note = sc.Text()
			}
		}
		if addr == "" {
			stop()
			return "", 0, nil, fmt.Errorf("%s did not start", s.name)
		}
	}
	for range 600 {
		nc, err := net.Dial("tcp", addr)
		if err == nil {
			_ = nc.Close()
			return addr, cmd.Process.Pid, stop, nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stop()
	return "", 0, nil, fmt.Errorf("%s does not listen", s.name)
}

// spent gives the processor time that a process and its children have used, in
// user and kernel mode (proc(5), in hundredths of a second).
func spent(pid int) time.Duration {
	var total int
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, d := range dirs {
		b, err := os.ReadFile(d)
		if err != nil {
			continue
		}
		var id, ppid int
		_, _ = fmt.Sscan(string(b), &id)
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		_, _ = fmt.Sscan(f[1], &ppid)
		if id != pid && ppid != pid {
			continue
		}
		var user, system int
		_, _ = fmt.Sscan(f[11], &user)
		_, _ = fmt.Sscan(f[12], &system)
		total += user + system
	}
	return time.Duration(total) * 10 * time.Millisecond
}

// residents gives the resident memory of a process and its children, in MiB.
func residents(pid int) int {
	total := 0
	dirs, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, d := range dirs {
		b, err := os.ReadFile(d)
		if err != nil {
			continue
		}
		var id, ppid int
		var state string
		_, _ = fmt.Sscan(string(b), &id)
		i := bytes.LastIndexByte(b, ')')
		_, _ = fmt.Sscan(string(b[i+1:]), &state, &ppid)
		if id != pid && ppid != pid {
			continue
		}
		st, _ := os.ReadFile(filepath.Dir(d) + "/status")
		for _, line := range strings.Split(string(st), "\n") {
			var kb int
			n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb)
			if n == 1 && id == pid || n == 1 && ppid == pid {
				total = max(total, kb>>10)
			}
		}
	}
	return total
}

// rspamd writes a configuration in which rspamd is a milter that checks lists of
// URLs, their host names and sender addresses, and nothing else. The list of
// top-level domains is cut down to those of the corpus, because rspamd compiles
// it at each start.
func rspamd(dir string, indicators int) (*server, error) {
	_, err := exec.LookPath("rspamd")
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"db", "log"} {
		err = os.MkdirAll(filepath.Join(dir, d), 0o777)
		if err != nil {
			return nil, err
		}
	}
	var hosts, urls, from bytes.Buffer
	for i := range indicators {
		switch i % 10 {
		case 4, 5:
			fmt.Fprintf(&urls, "http://shared.example/listed/%d\n", i)
		case 6:
			fmt.Fprintf(&from, "listed-%d@shared.example\n", i)
		case 7, 8, 9: // it has no list of digests
		default:
			fmt.Fprintf(&hosts, "www.listed-%d.example\n", i)
		}
	}
	for name, b := range map[string][]byte{"hosts.map": hosts.Bytes(), "urls.map": urls.Bytes(), "from.map": from.Bytes(), "tld": []byte("com\nexample\n")} {
		err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		if err != nil {
			return nil, err
		}
	}
	const addr = "127.0.0.1:11337"
	conf := fmt.Sprintf(`
options { pidfile = "%[1]s/pid"; dns { nameserver = ["127.0.0.1:53"]; timeout = 0.1s; retransmits = 1; } filters = ""; tempdir = "/tmp"; hs_cache_dir = "%[1]s/db"; url_tld = "%[1]s/tld"; }
logging { type = "file"; filename = "%[1]s/log/log"; level = "error"; }
metric { name = "default"; actions { reject = 15; } group "x" { symbols { LISTED_HOST { weight = 20; } LISTED_URL { weight = 20; } LISTED_FROM { weight = 20; } } } }
actions { reject = 15; }
modules { path = "/usr/share/rspamd/plugins/multimap.lua"; }
lua = "/usr/share/rspamd/rules/rspamd.lua";
multimap {
  LISTED_HOST { type = "url"; map = "%[1]s/hosts.map"; score = 20; action = "reject"; }
  LISTED_URL { type = "url"; filter = "full"; map = "%[1]s/urls.map"; score = 20; action = "reject"; }
  LISTED_FROM { type = "from"; map = "%[1]s/from.map"; score = 20; action = "reject"; }
}
worker "rspamd_proxy" { bind_socket = "%[2]s"; milter = yes; timeout = 120s; count = 1; upstream "local" { default = yes; self_scan = yes; } }
`, dir, addr)
	path := filepath.Join(dir, "rspamd.conf")
	err = os.WriteFile(path, []byte(conf), 0o644)
	if err != nil {
		return nil, err
	}
	return &server{name: "rspamd, names and addresses only", cmd: []string{"rspamd", "-f", "-i", "-c", path}, addr: addr}, nil
}

// goMilter is another Go milter that reads all and decides nothing.
func goMilter(ctx context.Context) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("ready", ln.Addr())
	s := milter.Server{NewMilter: func() milter.Milter { return milter.NoOpMilter{} }}
	go func() {
		<-ctx.Done()
		_ = s.Close()
	}()
	return s.Serve(ln)
}

// floor is the work that no filter with these digests can do without, in
// memory on one core: decode what is base64, compute the digests.
func floor(all []*message, d time.Duration, digests string) result {
	m, s1, s2 := md5.New(), sha1.New(), sha256.New()
	out := make([]byte, 8<<20)
	var flat []byte
	var r result
	began, before := time.Now(), spent(os.Getpid())
	for time.Since(began) < d {
		msg := all[r.messages%len(all)]
		r.messages++
		r.bytes += msg.size()
		i := bytes.Index(msg.body, []byte("base64\r\n\r\n"))
		if i < 0 {
			continue
		}
		flat = append(flat[:0], msg.body[i+10:]...)
		j := bytes.IndexByte(flat, '-')
		if j >= 0 {
			flat = flat[:j]
		}
		n, _ := base64.StdEncoding.Decode(out, flat)
		if strings.Contains(digests, "md5") {
			m.Reset()
			_, _ = m.Write(out[:n])
			s1.Reset()
			_, _ = s1.Write(out[:n])
		}
		s2.Reset()
		_, _ = s2.Write(out[:n])
	}
	r.took, r.cpu = time.Since(began), spent(os.Getpid())-before
	return r
}
