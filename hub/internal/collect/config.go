package collect

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
)

// Kinds of feeds.
const (
	TAXII = "taxii" // a TAXII 2.1 collection
	MISP  = "misp"  // a folder with manifest.json and UUID.json for each event
	HTTP  = "http"  // one file
)

// Feed is what is fetched again and again for one source.
type Feed struct {
	// Source is the short name of the source for which it delivers. Needed.
	Source string `yaml:"source"`
	// Name tells the feeds of a source apart: a-z, 0-9 and dash. Needed.
	Name string `yaml:"name"`
	// Kind is taxii, misp or http. Needed.
	Kind string `yaml:"kind"`
	// URL of the API root (taxii), the folder (misp) or the file (http). Only https,
	// but for addresses of this machine; without a password in it. Needed.
	URL string `yaml:"url"`
	// Collection is the identifier or alias of a TAXII collection. Needed for taxii.
	Collection string `yaml:"collection"`
	// Format of what comes, as intake names it. Needed for http; taxii gives stix,
	// misp gives misp.
	Format string `yaml:"format"`
	// Interval between polls that went well; 1 h when 0, 1 min at least.
	Interval time.Duration `yaml:"interval"`
	// User, for HTTP Basic with the password of PasswordFile.
	User string `yaml:"user"`
	// PasswordFile and TokenFile (a bearer token) name a file that nobody else may
	// read, or "env:NAME", a variable of the hub's environment.
	PasswordFile string `yaml:"password_file"`
	TokenFile    string `yaml:"token_file"`
	// CAFile has the certificates (PEM) that the server's must come from; empty: the
	// machine's own.
	CAFile string `yaml:"ca_file"`
	// CertFile and KeyFile (PEM) are the hub's own certificate for this server.
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`
	// TLS12 permits TLS 1.2 to a server that has no 1.3.
	TLS12 bool `yaml:"tls12"`
	// MaxBytes of one answer, unpacked: a page, an event, a file. When 0: 32 MiB for
	// taxii, 64 MiB for misp, 1 GiB for http. Pages are held in memory.
	MaxBytes int64 `yaml:"max_bytes"`
}

// Submitter takes deliveries: an [intake.Intake].
type Submitter interface {
	Submit(ctx context.Context, d intake.Delivery, r io.Reader, progress func(intake.Progress)) (intake.Report, error)
}

// Config of [New].
type Config struct {
	// DB is the hub's database. Needed.
	DB *sqldb.DB
	// Intake takes what comes. Needed.
	Intake Submitter
	// Feeds to poll.
	Feeds []Feed
	// Submitter is the login that stands as the submitter of what is fetched; "feed"
	// when empty.
	Submitter string
	// Parallel is how many feeds are polled at a time; 4 when 0.
	Parallel int
	// Log takes operational messages; never values of indicators. Nil: none.
	Log *slog.Logger
}

// Limits of configured values.
const (
	minInterval     = time.Minute
	defaultInterval = time.Hour
)

var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// check fills in what is left out and refuses what cannot be meant.
func (f *Feed) check() error {
	if !shortName.MatchString(f.Source) || !shortName.MatchString(f.Name) {
		return fmt.Errorf("feed %q of source %q: source and name are short names: a-z, 0-9 and dash", f.Name, f.Source)
	}
	err := f.checkURL()
	if err == nil {
		err = f.checkKind()
	}
	if err == nil {
		err = f.checkSecrets()
	}
	if err != nil {
		return fmt.Errorf("feed %s of source %s: %w", f.Name, f.Source, err)
	}
	if f.Interval == 0 {
		f.Interval = defaultInterval
	}
	if f.Interval < minInterval {
		return fmt.Errorf("feed %s of source %s: interval %s is below %s", f.Name, f.Source, f.Interval, minInterval)
	}
	return nil
}

func (f *Feed) checkURL() error {
	u, err := url.Parse(f.URL)
	switch {
	case err != nil || u.Host == "":
		return errors.New("url: want an absolute address such as https://taxii.example/api/")
	case u.User != nil:
		return errors.New("url: leave user and password out: use user and password_file")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return errors.New("url: only https is fetched; http from this machine alone")
}

func (f *Feed) checkKind() error {
	fixed := map[string]struct {
		format string
		most   int64
	}{TAXII: {intake.STIX, 32 << 20}, MISP: {intake.MISP, 64 << 20}, HTTP: {f.Format, 1 << 30}}
	is, known := fixed[f.Kind]
	switch {
	case !known:
		return fmt.Errorf("kind %q: want %s, %s or %s", f.Kind, TAXII, MISP, HTTP)
	case f.Kind == TAXII && f.Collection == "":
		return errors.New("collection is needed for taxii")
	case f.Kind != TAXII && f.Collection != "":
		return errors.New("collection is for taxii alone")
	case f.Kind == HTTP && f.Format == "":
		return errors.New("format is needed for http: say what the file is")
	case f.Format != "" && f.Format != is.format:
		return fmt.Errorf("format: a feed of kind %s is always %s", f.Kind, is.format)
	case f.MaxBytes < 0:
		return errors.New("max_bytes is below zero")
	}
	f.Format = is.format
	if f.MaxBytes == 0 {
		f.MaxBytes = is.most
	}
	return nil
}

func (f *Feed) checkSecrets() error {
	switch {
	case (f.User == "") != (f.PasswordFile == ""):
		return errors.New("user and password_file belong together")
	case f.User != "" && f.TokenFile != "":
		return errors.New("either user and password_file, or token_file")
	case (f.CertFile == "") != (f.KeyFile == ""):
		return errors.New("cert_file and key_file belong together")
	}
	return nil
}

// target tells whether the state in the database is still about the same thing.
func (f *Feed) target() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{f.Kind, f.URL, f.Collection, f.Format}, "\x00")))
	return hex.EncodeToString(sum[:])
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
