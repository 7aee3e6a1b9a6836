package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// unbound measures how long Unbound takes to put one more name of an RPZ zone in
// force: the zone's file is written anew and reloaded by its control command.
func unbound(dir string, port, size, rounds int) error {
	path, err := exec.LookPath("unbound")
	if err != nil {
		fmt.Println("Unbound is not installed: not measured")
		return nil
	}
	var zone strings.Builder
	zone.WriteString("$TTL 60\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n@ NS localhost.\n")
	for i := range size {
		fmt.Fprintf(&zone, "n%d.listed.example A 192.0.2.253\n", i)
	}
	file := filepath.Join(dir, "rpz.zone")
	control := filepath.Join(dir, "control.sock")
	config := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
  interface: 127.0.0.1@%d
  username: ""
  chroot: ""
  directory: "%s"
  pidfile: "%s/unbound.pid"
  use-syslog: no
  num-threads: 1
  module-config: "respip validator iterator"
  do-not-query-localhost: no
remote-control:
  control-enable: yes
  control-interface: "%s"
  control-use-cert: no
rpz:
  name: rpz.example
  zonefile: "%s"
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@9
`, port, dir, dir, control, file)
	err = os.WriteFile(file, []byte(zone.String()), 0o600)
	if err == nil {
		err = os.WriteFile(config, []byte(text), 0o600)
	}
	if err != nil {
		return err
	}
	server := exec.Command(path, "-d", "-c", config)
	err = server.Start()
	if err != nil {
		return err
	}
	defer func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}()
	c, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return err
	}
	conn := &dns.Conn{Conn: c}
	sinkhole := net.IPv4(192, 0, 2, 253)
	blocked := func(name string) bool {
		ok, err := ask(conn, name, sinkhole)
		return err == nil && ok
	}
	for end := time.Now().Add(time.Minute); !blocked("n0.listed.example"); {
		if time.Now().After(end) {
			fmt.Println("Unbound did not start within a minute: not measured")
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	var took []time.Duration
	for i := range rounds {
		name := fmt.Sprintf("r%d.measured.example", i)
		fmt.Fprintf(&zone, "%s A 192.0.2.253\n", name)
		began := time.Now()
		err = os.WriteFile(file, []byte(zone.String()), 0o600)
		if err != nil {
			return err
		}
		out, err := exec.Command("unbound-control", "-c", config, "auth_zone_reload", "rpz.example").CombinedOutput()
		if err != nil {
			return fmt.Errorf("unbound-control: %w: %s", err, out)
		}
		for !blocked(name) {
			time.Sleep(200 * time.Microsecond)
		}
		took = append(took, time.Since(began))
	}
	row("Unbound, one more name by RPZ file", took)
	return nil
}
