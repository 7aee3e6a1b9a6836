package provider

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"ecs/contract"
	"ecs/provider/internal/customer"
)

// Config of a provider's node. The names in the file are those of the yaml tags;
// docs/operations/provider.md is the manual.
type Config struct {
	// Name is the provider's name, as customers know it.
	//	name: Northnet Communications
	Name string `yaml:"name"`
	// Data is the folder for the database, keys, the sealed list, quarantine and
	// flows.
	//	data: /var/lib/ecs/provider
	Data string `yaml:"data"`
	// Database is a PostgreSQL address (postgres://…); empty: SQLite in Data.
	Database string `yaml:"database"`

	// Console is where operators and customers' contacts connect. Plain HTTP is
	// served on loopback addresses only; elsewhere ConsoleCertificate and
	// ConsoleKey (PEM files) are needed.
	//	console: 127.0.0.1:8700
	Console            string `yaml:"console"`
	ConsoleCertificate string `yaml:"console_certificate"`
	ConsoleKey         string `yaml:"console_key"`
	// PublicURL is how customers reach the console, for the links in notices;
	// empty: the console's own address.
	PublicURL string `yaml:"public_url"`
	// Metrics is where Prometheus may scrape, plain HTTP on loopback; empty: nowhere.
	Metrics string `yaml:"metrics"`

	// DNS, Mail and Flow are the three services; one without an address to listen
	// on does not run.
	DNS  DNS  `yaml:"dns"`
	Mail Mail `yaml:"mail"`
	Flow Flow `yaml:"flow"`

	// Queue is how many matches may wait to be recorded; 65,536 when 0.
	Queue int `yaml:"queue"`
	// KeepSightings is how long sightings are kept; 90 days when 0.
	KeepSightings time.Duration `yaml:"keep_sightings"`
	// Notices says how customers are told.
	Notices Notices `yaml:"notices"`

	// Accounts are made at the first start that lists them, with a password that
	// is shown once.
	Accounts []Account `yaml:"accounts"`
	// Customers are made or changed at each start, but for consent and exceptions.
	// Those that are not listed stay as they are.
	Customers []Customer `yaml:"customers"`

	// Demonstration marks every page. Never in production.
	Demonstration bool `yaml:"demonstration"`
	// SampleConsent sets these customers' consent at the first start of a
	// demonstration, in the name of their contacts.
	SampleConsent []string `yaml:"sample_consent"`
}

// DNS is the DNS room.
type DNS struct {
	// Listen are UDP and TCP addresses.
	//	listen: ["192.0.2.53:53", "[2001:db8::53]:53"]
	Listen []netip.AddrPort `yaml:"listen"`
	// Upstreams are the resolvers that answer everything that is not blocked.
	Upstreams []netip.AddrPort `yaml:"upstreams"`
	// Sinkhole4 and Sinkhole6 are the addresses given for blocked names. You must
	// control them.
	Sinkhole4 []netip.Addr `yaml:"sinkhole4"`
	Sinkhole6 []netip.Addr `yaml:"sinkhole6"`
	// TTL of blocking answers; 5 s when 0.
	TTL time.Duration `yaml:"ttl"`
	// Strangers says what becomes of queries of nobody's address: refuse (the
	// default), forward or ignore.
	Strangers string `yaml:"strangers"`
	// FailClosed answers SERVFAIL to customers while no list is loaded, instead of
	// forwarding.
	FailClosed bool `yaml:"fail_closed"`
}

// Mail is the mail room.
type Mail struct {
	// Listen are milter sockets, as Postfix writes them.
	//	listen: ["inet:127.0.0.1:8891", "unix:/run/ecs/milter"]
	Listen []string `yaml:"listen"`
	// NextHop is where released messages are delivered, host:port; it must not
	// filter them again.
	NextHop string `yaml:"next_hop"`
	// FailClosed defers (451) what could not be judged, instead of passing it.
	FailClosed bool `yaml:"fail_closed"`
	// Hold is how long messages stay in quarantine; 30 days when 0.
	Hold time.Duration `yaml:"hold"`
	// HoldBytes is the most that the quarantine may fill; 10 GiB when 0.
	HoldBytes int64 `yaml:"hold_bytes"`
}

// Flow is the flow room.
type Flow struct {
	// Listen are UDP addresses for NetFlow v5, v9 and IPFIX.
	//	listen: ["192.0.2.1:2055"]
	Listen []string `yaml:"listen"`
	// Exporters are prefixes of exporters besides those of customers.
	Exporters []netip.Prefix `yaml:"exporters"`
	// Keep is how long flows are kept for hunts; 30 days when 0.
	Keep time.Duration `yaml:"keep"`
	// KeepBytes is the most that they may fill; 0: no bound but Keep.
	KeepBytes int64 `yaml:"keep_bytes"`
}

// Notices says how customers are told.
type Notices struct {
	// Mail is the relay, host:port; From the sender's address.
	Mail string `yaml:"mail"`
	From string `yaml:"from"`
	// AckWithin is how long a customer may take to acknowledge before the
	// operators are told; 24 h when 0.
	AckWithin time.Duration `yaml:"ack_within"`
}

// Account is a person's account: an operator, or a customer's contact.
type Account struct {
	Login  string   `yaml:"login"`
	Person string   `yaml:"person"`
	Roles  []string `yaml:"roles"`
	Scope  string   `yaml:"scope"` // the customer's name, for a customer_contact
}

// Password is shown once, when its account is made.
type Password struct {
	Login, Person, Password string
	Roles                   []string
}

// Customer is an entity that the provider serves.
type Customer struct {
	Name      string              `yaml:"name"`
	Sector    uint8               `yaml:"sector"` // 1 to 16, 0 when not told
	Prefixes  []netip.Prefix      `yaml:"prefixes"`
	Domains   []string            `yaml:"domains"`
	Exporters []netip.Addr        `yaml:"exporters"`
	DNS       customer.Policy     `yaml:"dns"` // off, watch, block
	Answer    customer.Answer     `yaml:"dns_answer"`
	Mail      customer.Policy     `yaml:"mail"`
	Action    customer.MailAction `yaml:"mail_action"`
	Flow      customer.Policy     `yaml:"flow"`
	Contact   Contact             `yaml:"contact"`
}

// Contact says where notices go.
type Contact struct {
	Mail   string `yaml:"mail"`
	Hook   string `yaml:"hook"`
	Syslog string `yaml:"syslog"`
}

// Check refuses what makes no sense, before anything is opened.
func (c *Config) Check() error {
	if c.Name == "" || c.Data == "" {
		return errors.New("name and data must be set")
	}
	host, _, err := net.SplitHostPort(c.Console)
	if err != nil {
		return fmt.Errorf("console: want host:port, not %q", c.Console)
	}
	ip, ipErr := netip.ParseAddr(host)
	if (ipErr != nil || !ip.IsLoopback()) && host != "localhost" && (c.ConsoleCertificate == "" || c.ConsoleKey == "") {
		return fmt.Errorf("console: %s is not a loopback address: set console_certificate and console_key", c.Console)
	}
	switch c.DNS.Strangers {
	case "", "refuse", "forward", "ignore":
	default:
		return fmt.Errorf("dns: strangers: want refuse, forward or ignore, not %q", c.DNS.Strangers)
	}
	if c.services() == 0 {
		return errors.New("no service has an address to listen on: set listen of dns, mail or flow")
	}
	if len(c.SampleConsent) > 0 && !c.Demonstration {
		return errors.New("sample_consent is for demonstrations: real consent is given by the customer's contact in the console")
	}
	return nil
}

// services gives those that this node runs.
func (c *Config) services() contract.Services {
	var s contract.Services
	if len(c.DNS.Listen) > 0 {
		s |= contract.DNS
	}
	if len(c.Mail.Listen) > 0 {
		s |= contract.SMTP
	}
	if len(c.Flow.Listen) > 0 {
		s |= contract.NetFlow
	}
	return s
}

func (c *Config) path(name string) string { return filepath.Join(c.Data, name) }

func (c *Config) database() string {
	if c.Database != "" {
		return c.Database
	}
	return c.path("provider.db")
}
