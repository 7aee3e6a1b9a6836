package flow

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ecs/provider/internal/flow/hunt"
	"ecs/provider/internal/flow/store"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// capture writes a pcap of three conversations of one customer: with a listed
// address over TCP, an unlisted one over UDP, and a listed IPv6-less ping.
func capture(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	err = w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Minute)
	write := func(src, dst string, proto layers.IPProtocol, l gopacket.SerializableLayer, payload int) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: proto, SrcIP: netip.MustParseAddr(src).AsSlice(), DstIP: netip.MustParseAddr(dst).AsSlice()}
		switch x := l.(type) {
		case *layers.TCP:
			_ = x.SetNetworkLayerForChecksum(ip)
		case *layers.UDP:
			_ = x.SetNetworkLayerForChecksum(ip)
		}
		buf := gopacket.NewSerializeBuffer()
		eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
		err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, l, gopacket.Payload(make([]byte, payload)))
		if err != nil {
			t.Fatal(err)
		}
		at = at.Add(10 * time.Millisecond)
		err = w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(buf.Bytes()), Length: len(buf.Bytes())}, buf.Bytes())
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		write("192.0.2.1", "203.0.113.1", layers.IPProtocolTCP, &layers.TCP{SrcPort: 40000, DstPort: 443, ACK: true, PSH: true}, 100)
		write("203.0.113.1", "192.0.2.1", layers.IPProtocolTCP, &layers.TCP{SrcPort: 443, DstPort: 40000, ACK: true}, 200)
		write("192.0.2.2", "203.0.113.53", layers.IPProtocolUDP, &layers.UDP{SrcPort: 40001, DstPort: 53}, 30)
		write("192.0.2.2", "198.51.100.3", layers.IPProtocolICMPv4, &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(8, 0), Id: 1, Seq: 1}, 56)
	}
}

// TestSoftflowd has a real exporter read the capture and export to the room.
func TestSoftflowd(t *testing.T) {
	bin, err := exec.LookPath("softflowd")
	if err != nil {
		bin = "/usr/sbin/softflowd"
		_, err = os.Stat(bin)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("softflowd is not installed; CI must not skip this: apt-get install softflowd")
		}
		t.Skip("softflowd is not installed: apt-get install softflowd")
	}
	pcap := filepath.Join(t.TempDir(), "capture.pcap")
	capture(t, pcap)
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"NetFlow version 5", []string{"-v", "5"}},
		{"NetFlow version 9", []string{"-v", "9"}},
		{"IPFIX", []string{"-v", "10"}},
		{"IPFIX with biflows", []string{"-v", "10", "-b"}},
		{"IPFIX with milliseconds", []string{"-v", "10", "-A", "milli"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			f, q, stop := room(t, func(c *Config) { c.Store = store.Config{Dir: dir} })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			// -a: the flows happened when the packets did; -d: end after the file; without
			// a control socket, because softflowd 1.1.0 may wait on it for ever.
			args := append([]string{"-r", pcap, "-n", f.Addrs()[0].String(), "-d", "-a", "-p", filepath.Join(t.TempDir(), "pid"), "-c", "none"}, tt.args...)
			out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("softflowd: %v\n%s", err, out)
			}
			wait(t, "five or more flows in the store", func() bool { return f.Stored().Rows.Load() >= 4 })
			time.Sleep(300 * time.Millisecond)
			known, _, err := f.Health(t.Context())
			if err != nil || len(known) != 1 {
				t.Fatalf("health %v, %v", known, err)
			}
			h := known[0]
			if h.Malformed != 0 || h.TemplatesRefused != 0 || h.LostFlows != 0 || h.LostDatagrams != 0 {
				t.Errorf("a real exporter's datagrams do not all decode: %+v", h.Stats)
			}
			stop()
			var events []seen
			for len(q.C()) > 0 {
				e := <-q.C()
				events = append(events, seen{e.Indicator[15], e.Customer, e.Client.String(), e.Peer.String(), e.Port})
			}
			if len(events) != 2 {
				t.Errorf("events %v, want the listed address and the listed prefix once each", events)
			}
			r, err := hunt.Run(t.Context(), hunt.Query{Dir: dir, Samples: 10, Targets: []hunt.Target{
				{Prefix: netip.MustParsePrefix("203.0.113.1/32"), Port: 443, Proto: 6}, {Prefix: netip.MustParsePrefix("203.0.113.53/32"), Port: 53, Proto: 17},
			}}, nil)
			if err != nil || len(r.Hits) != 2 {
				t.Fatalf("hunt: %+v, %v", r, err)
			}
			type sum struct{ Flows, Packets, Bytes uint64 }
			// TCP: 5 x (20+20+100) out and 5 x (20+20+200) in; UDP: 5 x (20+8+30).
			want := []sum{{2, 10, 5*140 + 5*240}, {1, 5, 5 * 58}}
			got := []sum{{r.Hits[0].Flows, r.Hits[0].Packets, r.Hits[0].Bytes}, {r.Hits[1].Flows, r.Hits[1].Packets, r.Hits[1].Bytes}}
			diff := cmp.Diff(want, got)
			if diff != "" {
				t.Errorf("flows in the store (-want +got):\n%s", diff)
			}
			for _, s := range r.Hits[0].Samples {
				age := time.Since(time.UnixMilli(s.First))
				if age < 30*time.Second || age > 5*time.Minute || s.Duration > 5000 {
					t.Errorf("flow began %v ago and took %d ms; the packets are a minute old and span less than a second", age, s.Duration)
				}
			}
		})
	}
}
