// Command inforce measures how long a release takes to be in force, and a recall
// to be gone, through the whole program: from the call of the person who approves
// second, over the hub's database, the signed list, the provider's check, its
// vault and its match set, to the first DNS answer that differs. The list holds
// many other indicators meanwhile.
//
// Beside it, in the same run: what a call that does nothing and a DNS query cost
// (the floor), and, where it is installed, what Unbound takes to put one more
// name of an RPZ zone of the same size in force.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
)

func main() {
	program := flag.String("ecs", "bin/ecs", "the program to measure")
	size := flag.Int("indicators", 100_000, "indicators in force meanwhile")
	rounds := flag.Int("rounds", 200, "releases and recalls to measure")
	port := flag.Int("port", 9900, "first port")
	flag.Parse()
	err := run(*program, *size, *rounds, *port)
	if err != nil {
		fmt.Fprintln(os.Stderr, "inforce:", err)
		os.Exit(1)
	}
}

func run(program string, size, rounds, port int) error {
	dir, err := os.MkdirTemp("", "ecs-inforce-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b := &bench{dir: dir, port: port}
	err = b.start(program)
	if err != nil {
		return err
	}
	defer b.stop()
	began := time.Now()
	err = b.fill(size, rounds)
	if err != nil {
		return err
	}
	fmt.Printf("%d indicators taken in, approved twice, released and loaded in %.1f s\n\n", size, time.Since(began).Seconds())
	fmt.Printf("%-44s %8s %8s %8s %8s\n", "milliseconds", "p50", "p90", "p99", "max")
	row("floor: a call that does nothing", b.times(rounds, func(int) error { return b.call("rosa", http.MethodGet, "/api/v1/me", nil, nil) }))
	row("floor: a DNS query", b.times(rounds, func(int) error { _, err := b.ask("www.example.com"); return err }))
	row("release to in force", b.times(rounds, func(i int) error {
		return b.decide(b.ids[i], "second", b.names[i], true)
	}))
	row("recall to gone", b.times(rounds, func(i int) error {
		return b.decide(b.ids[i], "recall", b.names[i], false)
	}))
	if b.failed != nil {
		return b.failed
	}
	return unbound(dir, port+500, size, min(rounds, 5))
}

type bench struct {
	dir       string
	port      int
	demo      *exec.Cmd
	passwords map[string]string
	ids       []string // approved once, to be released one by one
	names     []string
	conn      *dns.Conn
	failed    error
}

// start runs the demonstration, which is the whole program on loopback.
func (b *bench) start(program string) error {
	b.demo = exec.Command(program, "demo", "--dir", b.dir, "--port", fmt.Sprint(b.port))
	b.demo.Stderr = os.Stderr
	out, err := b.demo.StdoutPipe()
	if err != nil {
		return err
	}
	err = b.demo.Start()
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	var seen strings.Builder
	for !strings.Contains(seen.String(), "Stop: Ctrl-C") {
		n, err := out.Read(buf)
		if err != nil {
			return fmt.Errorf("the program did not start: %w\n%s", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	data, err := os.ReadFile(filepath.Join(b.dir, "passwords.json"))
	if err != nil {
		return err
	}
	var known struct {
		Accounts []struct{ Login, Password string }
	}
	err = json.Unmarshal(data, &known)
	if err != nil {
		return err
	}
	b.passwords = map[string]string{}
	for _, a := range known.Accounts {
		b.passwords[a.Login] = a.Password
	}
	local := &net.UDPAddr{IP: net.IPv4(127, 0, 11, 1)}
	c, err := net.DialUDP("udp", local, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: b.port + 153})
	if err != nil {
		return err
	}
	b.conn = &dns.Conn{Conn: c}
	return nil
}

func (b *bench) stop() {
	_ = b.demo.Process.Signal(syscall.SIGINT)
	_ = b.demo.Wait()
}

func (b *bench) call(user, method, path string, in []byte, out any) error {
	req, err := http.NewRequestWithContext(context.Background(), method, fmt.Sprintf("http://127.0.0.1:%d%s", b.port, path), bytes.NewReader(in))
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, b.passwords[user])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// fill brings size indicators in force, and rounds more to their first approval.
func (b *bench) fill(size, rounds int) error {
	var csv strings.Builder
	csv.WriteString("value,category,confidence,tlp,action\n")
	for i := range size {
		fmt.Fprintf(&csv, "n%d.listed.example,c2,80,green,sinkhole\n", i)
	}
	for i := range rounds {
		name := fmt.Sprintf("r%d.measured.example", i)
		b.names = append(b.names, name)
		fmt.Fprintf(&csv, "%s,c2,80,green,sinkhole\n", name)
	}
	err := b.call("grace", http.MethodPost, "/api/v1/batches?source=national-cert&name=bench.csv&format=csv", []byte(csv.String()), nil)
	if err != nil {
		return err
	}
	fmt.Println("taken in")
	const text = `"reason":"Measured.","filter":{"q":"%s","states":["%s"]}`
	err = b.bulk("priya", "privacy", `{"determination":"PII-NOT-PRESENT",`+fmt.Sprintf(text, "example", "PRIVACY_GATE")+`}`)
	if err == nil {
		err = b.bulk("alice", "first", `{`+fmt.Sprintf(text, "example", "PENDING_FIRST")+`}`)
	}
	if err == nil {
		err = b.bulk("rosa", "second", `{"targets":[{"provider":"northnet","services":"dns"}],`+fmt.Sprintf(text, "listed.example", "PENDING_SECOND")+`}`)
	}
	if err != nil {
		return err
	}
	b.ids = make([]string, rounds)
	for i, name := range b.names {
		var found struct{ Items []struct{ ID, State string } }
		err = b.call("rosa", http.MethodGet, "/api/v1/items?q="+url.QueryEscape(name), nil, &found)
		if err != nil {
			return err
		}
		if len(found.Items) != 1 || found.Items[0].State != "PENDING_SECOND" {
			return fmt.Errorf("%s: %+v", name, found.Items)
		}
		b.ids[i] = found.Items[0].ID
	}
	for {
		var books struct{ Released, Loaded int64 }
		err = b.call("alice", http.MethodGet, "/api/v1/providers/northnet/reconcile", nil, &books)
		if err != nil || books.Loaded >= int64(size) {
			return err
		}
		time.Sleep(time.Second)
	}
}

// bulk repeats a bulk act until its filter finds nothing more.
func (b *bench) bulk(user, act, order string) error {
	for {
		var done struct{ Done, Failed int }
		err := b.call(user, http.MethodPost, "/api/v1/bulk/"+act, []byte(order), &done)
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d done, %d not\n", act, done.Done, done.Failed)
		if done.Done == 0 {
			return nil
		}
	}
}

// decide releases or recalls one indicator and waits until DNS answers so.
func (b *bench) decide(id, act, name string, want bool) error {
	order := `{"reason":"Measured.","targets":[{"provider":"northnet","services":"dns"}]}`
	if act == "recall" {
		order = `{"reason":"Measured."}`
	}
	err := b.call("rosa", http.MethodPost, "/api/v1/items/"+id+"/"+act, []byte(order), nil)
	for err == nil {
		var blocked bool
		blocked, err = b.ask(name)
		if err == nil && blocked == want {
			return nil
		}
		time.Sleep(200 * time.Microsecond)
	}
	return err
}

// ask reports whether a name is answered with the sinkhole's address.
func (b *bench) ask(name string) (bool, error) { return ask(b.conn, name, net.IPv4(192, 0, 2, 253)) }

func ask(c *dns.Conn, name string, sinkhole net.IP) (bool, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), dns.TypeA)
	err := errors.Join(c.SetDeadline(time.Now().Add(5*time.Second)), c.WriteMsg(q))
	if err != nil {
		return false, err
	}
	r, err := c.ReadMsg()
	if err != nil {
		return false, err
	}
	for _, rr := range r.Answer {
		a, ok := rr.(*dns.A)
		if ok && a.A.Equal(sinkhole) {
			return true, nil
		}
	}
	return false, nil
}

func (b *bench) times(n int, f func(i int) error) []time.Duration {
	out := make([]time.Duration, 0, n)
	for i := range n {
		began := time.Now()
		err := f(i)
		if err != nil {
			b.failed = errors.Join(b.failed, err)
			return out
		}
		out = append(out, time.Since(began))
	}
	return out
}

func row(what string, d []time.Duration) {
	if len(d) == 0 {
		fmt.Printf("%-44s   not measured\n", what)
		return
	}
	slices.Sort(d)
	at := func(p int) float64 { return float64(d[(len(d)-1)*p/100].Microseconds()) / 1000 }
	fmt.Printf("%-44s %8.1f %8.1f %8.1f %8.1f\n", what, at(50), at(90), at(99), at(100))
}
