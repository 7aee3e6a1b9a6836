package demo

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/template"
)

// Layout says where everything is. Ports follow from Base, so that several
// demonstrations can run beside each other.
type Layout struct {
	Dir  string // folder of everything that is kept
	Base int    // first port
}

func (l Layout) at(n int) string { return "127.0.0.1:" + strconv.Itoa(l.Base+n) }

// Find gives the layout of a folder. Its first start chooses the ports for good:
// the configurations and the node's enrollment name them. Base 0 takes those.
func Find(dir string, base int) (Layout, error) {
	l := Layout{Dir: dir, Base: base}
	text, err := os.ReadFile(l.ports())
	if errors.Is(err, os.ErrNotExist) {
		if base == 0 {
			l.Base = 8600
		}
		return l, nil
	}
	if err != nil {
		return l, err
	}
	l.Base, err = strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return l, fmt.Errorf("%s: want the number of a port, not %q", l.ports(), text)
	}
	if base != 0 && base != l.Base {
		return l, fmt.Errorf("the demonstration in %s was made with --port %d; leave --port away, or begin another one with --dir", dir, l.Base)
	}
	return l, nil
}

func (l Layout) ports() string { return filepath.Join(l.Dir, "port") }

// Where everything listens.
func (l Layout) HubConsole() string      { return l.at(0) }
func (l Layout) Door() string            { return l.at(43) }  // HTTPS, mutual TLS
func (l Layout) ProviderConsole() string { return l.at(100) } // HTTP
func (l Layout) DNS() string             { return l.at(153) } // UDP and TCP
func (l Layout) Upstream() string        { return l.at(154) } // UDP and TCP
func (l Layout) Milter() string          { return l.at(191) }
func (l Layout) MailServer() string      { return l.at(125) } // SMTP, filtered
func (l Layout) MailBox() string         { return l.at(126) } // SMTP, not filtered
func (l Layout) NetFlow() string         { return l.at(155) } // UDP

// Files and folders.
func (l Layout) HubConfig() string      { return filepath.Join(l.Dir, "hub.yaml") }
func (l Layout) ProviderConfig() string { return filepath.Join(l.Dir, "provider.yaml") }
func (l Layout) Passwords() string      { return filepath.Join(l.Dir, "passwords.json") }
func (l Layout) Mails() string          { return filepath.Join(l.Dir, "mail") }
func (l Layout) Inbox() string          { return filepath.Join(l.Dir, "inbox") }
func (l Layout) Samples() string        { return filepath.Join(l.Dir, "samples") }

//go:embed hub.yaml
var hubYAML string

//go:embed provider.yaml
var providerYAML string

//go:embed sample.csv
var sampleCSV []byte

// Deliveries as they come from people: a table with columns of its own, and a report.
// They lie in the folder for whoever wants to see how they are taken in.
var (
	//go:embed messy.csv
	messyCSV []byte
	//go:embed report.txt
	reportText []byte
)

// SampleCSV gives the sample indicators.
func SampleCSV() []byte { return sampleCSV }

// Write makes the folder and the two configurations, where they are missing: an
// edited one stays.
func (l Layout) Write() error {
	err := os.MkdirAll(l.Dir, 0o700)
	if err == nil {
		err = os.MkdirAll(l.Mails(), 0o700)
	}
	if err == nil {
		err = os.MkdirAll(filepath.Join(l.Inbox(), "national-cert"), 0o700)
	}
	if err == nil {
		err = os.MkdirAll(l.Samples(), 0o700)
	}
	for name, body := range map[string][]byte{"messy.csv": messyCSV, "report.txt": reportText} {
		if err == nil {
			err = os.WriteFile(filepath.Join(l.Samples(), name), body, 0o600)
		}
	}
	if err == nil {
		err = os.WriteFile(l.ports(), []byte(strconv.Itoa(l.Base)+"\n"), 0o600)
	}
	if err != nil {
		return err
	}
	for path, text := range map[string]string{l.HubConfig(): hubYAML, l.ProviderConfig(): providerYAML} {
		_, err = os.Stat(path)
		if err == nil {
			continue
		}
		t, err := template.New(filepath.Base(path)).Parse(text)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		err = t.Execute(&b, l)
		if err != nil {
			return err
		}
		err = os.WriteFile(path, b.Bytes(), 0o600)
		if err != nil {
			return err
		}
	}
	return nil
}

// Free says which port is in use, if one is: the first, in the order in which the
// demonstration shows them.
func (l Layout) Free() error {
	for _, x := range []struct{ what, at string }{
		{"the hub's console", l.HubConsole()},
		{"the hub's door", l.Door()},
		{"the provider's console", l.ProviderConsole()},
		{"DNS", l.DNS()},
		{"the mail server", l.MailServer()},
		{"the milter", l.Milter()},
		{"the mail box", l.MailBox()},
		{"NetFlow", l.NetFlow()},
		{"the upstream resolver", l.Upstream()},
	} {
		err := free(x.at)
		if err != nil {
			return fmt.Errorf("%s needs %s, which is not free (%w): is another demonstration running? choose other ports with --port, and another folder with --dir", x.what, x.at, err)
		}
	}
	return nil
}

// free tries both TCP and UDP: which of the two each part uses does not matter
// to the person who has to choose other ports.
func free(at string) error {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return cause(err)
	}
	_ = ln.Close()
	c, err := net.ListenPacket("udp", at)
	if err != nil {
		return cause(err)
	}
	return c.Close()
}

// cause is the system's own words, such as "address already in use".
func cause(err error) error {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return sys
	}
	return err
}

// ErrNotRunning says that no demonstration has been started in a folder.
var ErrNotRunning = errors.New("no demonstration runs in this folder: start one with «make run» or «ecs demo»")
