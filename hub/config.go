package hub

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/collect"
	"ecs/hub/internal/marking"
)

// Config of a hub. The zero value is refused: Program and Data are needed. The
// names in the file are those of the yaml tags; docs/operations/hub.md is the
// manual.
type Config struct {
	// Program is the program's name, on every page and in the signing key's name.
	//	program: Example Sharing Program
	Program string `yaml:"program"`
	// Key is the name of the program's signing key, a host name of the program
	// without spaces or plus signs. It cannot be changed later.
	//	key: program.example
	Key string `yaml:"key"`
	// Identity is the STIX identity of the program, the creator of every released
	// indicator.
	//	identity: identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a
	Identity string `yaml:"identity"`
	// Data is the folder for the database, keys and deliveries in hand.
	//	data: /var/lib/ecs/hub
	Data string `yaml:"data"`
	// Database is a PostgreSQL address (postgres://…); empty: SQLite in Data.
	Database string `yaml:"database"`

	// Console is where people and the command line connect. Plain HTTP is served
	// on loopback addresses only; elsewhere ConsoleCertificate and ConsoleKey
	// (PEM files) are needed.
	//	console: 127.0.0.1:8600
	Console            string `yaml:"console"`
	ConsoleCertificate string `yaml:"console_certificate"`
	ConsoleKey         string `yaml:"console_key"`
	// Door is where providers' nodes connect, by mutual TLS 1.3.
	//	door: 127.0.0.1:8643
	Door string `yaml:"door"`
	// DoorNames are the host names and addresses under which nodes reach it; they
	// go into the server certificate.
	//	door_names: [hub.example.org, 192.0.2.10]
	DoorNames []string `yaml:"door_names"`
	// Metrics is where Prometheus may scrape, plain HTTP on loopback; empty: nowhere.
	Metrics string `yaml:"metrics"`

	// Watch is a folder with one folder for each source, whose complete files are
	// taken in; empty: none. WatchAs is the login that stands as their submitter.
	Watch   string `yaml:"watch"`
	WatchAs string `yaml:"watch_as"`
	// Feeds are polled for sources: TAXII 2.1 collections, MISP feeds, files. See
	// docs/formats/collect.md.
	Feeds []collect.Feed `yaml:"feeds"`
	// WarningLists is a folder of MISP warning lists (…/list.json); empty: none.
	WarningLists string `yaml:"warning_lists"`
	// Ceiling is the strictest marking that this instance may hold.
	//	ceiling: amber+strict
	Ceiling contract.TLP `yaml:"ceiling"`
	// Clearance is what this instance may hold besides: classification, compartments
	// and audiences, as of an account. Empty: unclassified, up to Ceiling.
	//	clearance: S//SI REL USA TLP:AMBER+STRICT
	Clearance string `yaml:"clearance"`
	// MaxDelivery is the most bytes that are read of one delivery; 1 GiB when 0.
	MaxDelivery int64 `yaml:"max_delivery"`

	// CheckpointLife is how long a provider may believe a checkpoint; 1 h when 0.
	CheckpointLife time.Duration `yaml:"checkpoint_life"`
	// Overdue is how long a release may wait for its receipt; 1 h when 0.
	Overdue time.Duration `yaml:"overdue"`
	// NodeLife is the life of a node's certificate; 24 h when 0.
	NodeLife time.Duration `yaml:"node_life"`
	// Feedback are the rules of feedback; empty: five customers, ten events, no
	// customer above 60 percent, by day.
	Feedback Rules `yaml:"feedback"`

	// Sources are who gives indicators; added or changed at each start. Those that
	// are not listed stay as they are.
	Sources []Source `yaml:"sources"`
	// Accounts are made at the first start that lists them, with a password that
	// is shown once.
	Accounts []Account `yaml:"accounts"`

	// Demonstration lets documentation names and addresses (RFC 2606, 5737, 3849)
	// pass the checks, marks every page, and fills an empty hub with sample data.
	// Never in production.
	Demonstration bool `yaml:"demonstration"`
}

// Rules of feedback, see [contract.Rules].
type Rules struct {
	Version      uint64        `yaml:"version"`
	MinCustomers int           `yaml:"min_customers"`
	MinEvents    int           `yaml:"min_events"`
	MaxShare     int           `yaml:"max_share"`  // percent
	DayLength    time.Duration `yaml:"day_length"` // shorter than 24 h in a demonstration only
}

// Source is who gives indicators, and under which agreement.
type Source struct {
	ID             string       `yaml:"id"` // short name: a-z, 0-9 and dash
	Name           string       `yaml:"name"`
	Agency         string       `yaml:"agency"`
	Authority      string       `yaml:"authority"`       // agreement or law
	AuthorityUntil time.Time    `yaml:"authority_until"` // nothing is taken or released from then on; absent: open-ended
	Purpose        string       `yaml:"purpose"`
	Ceiling        contract.TLP `yaml:"ceiling"`     // strictest marking that it may give here
	Reliability    string       `yaml:"reliability"` // Admiralty scale, A to F
}

// Account is a person's account. Two accounts of one person count as one.
type Account struct {
	Login  string   `yaml:"login"`
	Person string   `yaml:"person"` // the human being
	Roles  []string `yaml:"roles"`
	Scope  string   `yaml:"scope"` // source or provider that the roles are limited to
	// Clearance is what the person is cleared for, docs/formats/access.md; empty:
	// unclassified, up to TLP:AMBER+STRICT. It follows the file at each start.
	//	clearance: S//SI REL USA TLP:RED
	Clearance string `yaml:"clearance"`
}

// Password is shown once, when its account is made.
type Password struct {
	Login, Person, Password string
	Roles                   []string
}

// Check refuses what makes no sense, before anything is opened.
func (c *Config) Check() error {
	if c.Program == "" || c.Data == "" || c.Key == "" || c.Identity == "" {
		return errors.New("program, key, identity and data must be set")
	}
	for what, at := range map[string]string{"console": c.Console, "door": c.Door} {
		_, _, err := net.SplitHostPort(at)
		if err != nil {
			return fmt.Errorf("%s: want host:port, not %q", what, at)
		}
	}
	host, _, _ := net.SplitHostPort(c.Console)
	if !loopback(host) && (c.ConsoleCertificate == "" || c.ConsoleKey == "") {
		return fmt.Errorf("console: %s is not a loopback address: set console_certificate and console_key", c.Console)
	}
	if len(c.DoorNames) == 0 {
		return errors.New("door_names: name at least one host name or address under which nodes reach the door")
	}
	rules := c.rules()
	err := rules.Check()
	if err != nil {
		return fmt.Errorf("feedback: %w", err)
	}
	if rules.DayLength != 24*time.Hour && !c.Demonstration {
		return errors.New("feedback: a day shorter than 24h is for demonstrations only")
	}
	_, err = c.holds()
	if err != nil {
		return fmt.Errorf("clearance: %w", err)
	}
	for _, a := range c.Accounts {
		_, err = access.ParseClearance(a.Clearance)
		if err != nil {
			return fmt.Errorf("accounts: %s: %w", a.Login, err)
		}
	}
	if c.Watch != "" && c.WatchAs == "" {
		return errors.New("watch_as: say which login stands as the submitter of the watched folder's files")
	}
	return nil
}

func (c *Config) rules() contract.Rules {
	r := contract.DefaultRules
	if c.Feedback.Version != 0 {
		r.Version = c.Feedback.Version
	}
	if c.Feedback.MinCustomers != 0 {
		r.MinCustomers = c.Feedback.MinCustomers
	}
	if c.Feedback.MinEvents != 0 {
		r.MinEvents = c.Feedback.MinEvents
	}
	if c.Feedback.MaxShare != 0 {
		r.MaxShare = c.Feedback.MaxShare
	}
	if c.Feedback.DayLength != 0 {
		r.DayLength = c.Feedback.DayLength
	}
	return r
}

// holds gives what this instance may hold.
func (c *Config) holds() (marking.Clearance, error) {
	if c.Clearance == "" {
		return marking.NewClearance(c.Ceiling, marking.Unclassified), nil
	}
	return access.ParseClearance(c.Clearance)
}

func (c *Config) database() string {
	if c.Database != "" {
		return c.Database
	}
	return filepath.Join(c.Data, "hub.db")
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
