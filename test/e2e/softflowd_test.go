package e2e

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// capture writes the packets of a short conversation between a customer's host
// and a remote address, as a router next to the customer would see them, and of
// another one with an address that nobody lists.
func capture(t *testing.T, local, remote string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capture.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	w := pcapgo.NewWriter(f)
	err = w.WriteFileHeader(65535, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-5 * time.Second)
	packet := func(from, to string, source, target layers.TCPPort) {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: netip.MustParseAddr(from).AsSlice(), DstIP: netip.MustParseAddr(to).AsSlice()}
		tcp := &layers.TCP{SrcPort: source, DstPort: target, ACK: true, PSH: true}
		err := tcp.SetNetworkLayerForChecksum(ip)
		if err != nil {
			t.Fatal(err)
		}
		eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}, EthernetType: layers.EthernetTypeIPv4}
		buf := gopacket.NewSerializeBuffer()
		err = gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, eth, ip, tcp, gopacket.Payload(make([]byte, 100)))
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
		packet(local, remote, 40000, 443)
		packet(remote, local, 443, 40000)
		packet(local, "203.0.113.200", 40001, 443)
	}
	return path
}

// export has a real exporter read a capture and export it to the node.
func (n *node) export(t *testing.T, version, pcap string) {
	t.Helper()
	// -a: the flows happened when the packets did; -d: it ends after the file;
	// without a control socket, on which softflowd 1.1.0 may wait for ever.
	good(t, nil, "/usr/sbin/softflowd", "-r", pcap, "-n", n.netflow, "-d", "-a", "-v", version,
		"-p", filepath.Join(t.TempDir(), "pid"), "-c", "none")
}
