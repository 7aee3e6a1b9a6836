package dns

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Config){
		"no address":           func(c *Config) { c.Listen = nil },
		"no upstream":          func(c *Config) { c.Upstreams = nil },
		"no list":              func(c *Config) { c.Matches = nil },
		"upstream is itself":   func(c *Config) { c.Upstreams = c.Listen },
		"long TTL":             func(c *Config) { c.TTL = 2 * time.Hour },
		"broken TTL":           func(c *Config) { c.TTL = time.Millisecond },
		"IPv6 as IPv4":         func(c *Config) { c.Sinkhole4 = []netip.Addr{netip.IPv6Loopback()} },
		"IPv4 as IPv6":         func(c *Config) { c.Sinkhole6 = []netip.Addr{netip.MustParseAddr("192.0.2.1")} },
		"bad name":             func(c *Config) { c.Primary = "a b" },
		"long names":           func(c *Config) { c.Contact = string(bytes.Repeat([]byte("abc."), 40)) },
		"timeouts crossed":     func(c *Config) { c.TryTimeout = 10 * time.Second },
		"negative bound":       func(c *Config) { c.MaxPending = -1 },
		"text not UTF-8":       func(c *Config) { c.Text = "\xff" },
		"upstream has no port": func(c *Config) { c.Upstreams = []netip.AddrPort{{}} },
	} {
		cfg := testConfig(t)
		edit(&cfg)
		_, err := New(cfg)
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := testConfig(t)
	cfg.Listen = []netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	err = r.Run(t.Context())
	if err == nil {
		t.Error("started on a port in use")
	}
}
