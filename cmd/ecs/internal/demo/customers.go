package demo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/miekg/dns"
)

// Customer is one of the customers in provider.yaml, as the traffic needs it.
type Customer struct {
	Name   string
	Third  byte // 127.0.Third.1 asks for names, 127.0.Third.2 exports flows
	Host   netip.Addr
	Domain string
}

// Customers are all of them.
var Customers = []Customer{
	{"Valley Power Cooperative", 11, netip.AddrFrom4([4]byte{192, 0, 2, 17}), "valley-power.example"},
	{"City Water Works", 12, netip.AddrFrom4([4]byte{192, 0, 2, 33}), "city-water.example"},
	{"First Example Bank", 13, netip.AddrFrom4([4]byte{192, 0, 2, 49}), "first-bank.example"},
	{"County Clinic", 14, netip.AddrFrom4([4]byte{192, 0, 2, 65}), "county-clinic.example"},
	{"Harbor Rail", 15, netip.AddrFrom4([4]byte{192, 0, 2, 81}), "harbor-rail.example"},
	{"State College", 16, netip.AddrFrom4([4]byte{192, 0, 2, 97}), "state-college.example"},
	{"River Chemical", 17, netip.AddrFrom4([4]byte{192, 0, 2, 113}), "river-chemical.example"},
}

// Ask looks up a name as this customer and says what the answer was, in a word
// or an address.
func (c Customer) Ask(ctx context.Context, l Layout, name string, qtype uint16) (string, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	client := dns.Client{Timeout: 3 * time.Second, Dialer: &net.Dialer{
		Timeout: 3 * time.Second, LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, c.Third, 1)},
	}}
	r, _, err := client.ExchangeContext(ctx, m, l.DNS())
	if err != nil {
		return "", err
	}
	var words []string
	for _, rr := range r.Answer {
		switch a := rr.(type) {
		case *dns.A:
			words = append(words, a.A.String())
		case *dns.AAAA:
			words = append(words, a.AAAA.String())
		}
	}
	switch {
	case r.Rcode != dns.RcodeSuccess:
		words = append(words, dns.RcodeToString[r.Rcode])
	case len(r.Answer) == 0:
		words = append(words, "no data")
	}
	if o := r.IsEdns0(); o != nil {
		for _, e := range o.Option {
			if x, ok := e.(*dns.EDNS0_EDE); ok {
				words = append(words, fmt.Sprintf("(Extended DNS Error %d: %s)", x.InfoCode, x.ExtraText))
			}
		}
	}
	return strings.Join(words, " "), nil
}

// Receive sends this customer a message and says what the mail server answered.
func (c Customer) Receive(l Layout, from, subject, text string) (string, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <desk@%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%d@sender.example>\r\n",
		from, c.Domain, subject, time.Now().Format(time.RFC1123Z), time.Now().UnixNano())
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n%s\r\n", text)
	err := send(l.MailServer(), from, []string{"desk@" + c.Domain}, &b)
	var refused *smtp.SMTPError
	if errors.As(err, &refused) {
		return fmt.Sprintf("%d %s", refused.Code, refused.Message), nil
	}
	if err != nil {
		return "", err
	}
	return "250 accepted", nil
}

// Export sends NetFlow version 5 records of connections from this customer's
// host to a remote address, one for each port.
func (c Customer) Export(l Layout, remote netip.Addr, ports ...uint16) error {
	to, err := net.ResolveUDPAddr("udp", l.NetFlow())
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, c.Third, 2)}, to)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	now := time.Now()
	const uptime = 3_600_000 // ms
	b := binary.BigEndian.AppendUint16(nil, 5)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ports)))
	b = binary.BigEndian.AppendUint32(b, uptime)
	b = binary.BigEndian.AppendUint32(b, uint32(now.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(now.Nanosecond()))
	b = append(b, make([]byte, 8)...) // sequence, engine, sampling
	local, far := c.Host.As4(), remote.As4()
	for i, port := range ports {
		b = append(b, local[:]...)
		b = append(b, far[:]...)
		b = append(b, make([]byte, 8)...)                 // next hop, interfaces
		b = binary.BigEndian.AppendUint32(b, 12)          // packets
		b = binary.BigEndian.AppendUint32(b, 3400)        // bytes
		b = binary.BigEndian.AppendUint32(b, uptime-2000) // first
		b = binary.BigEndian.AppendUint32(b, uptime-1000) // last
		b = binary.BigEndian.AppendUint16(b, uint16(40000+i))
		b = binary.BigEndian.AppendUint16(b, port)
		b = append(b, 0, 0x18, 6, 0)      // padding, TCP flags, TCP, type of service
		b = append(b, make([]byte, 8)...) // numbers of systems, masks, padding
	}
	_, err = conn.Write(b)
	return err
}
