package collect

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"ecs/internal/secret"
	"ecs/taxii"
)

// Limits of time. A server that sends something now and then stays within silence,
// and ends at whole.
const (
	dialTime   = 15 * time.Second
	headerTime = time.Minute // until the answer begins

	whole    = time.Hour        // one file or event
	pageTime = 5 * time.Minute  // one page, manifest or list
	lease    = 10 * time.Minute // how long a poll keeps its feed after each step
)

// silence is how long an answer may stop in its middle. It is a variable for tests.
var silence = time.Minute

// reach is how one feed's server is reached in one poll: secrets and certificates
// are read anew each time, so that they can be changed while the hub runs.
type reach struct {
	feed     *Feed
	web      *http.Client
	password string
	token    string
	silence  time.Duration
}

func open(f *Feed) (*reach, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if f.TLS12 {
		c.MinVersion = tls.VersionTLS12
	}
	if f.CAFile != "" {
		text, err := os.ReadFile(f.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("ca_file: %s holds no certificate (PEM)", f.CAFile)
		}
	}
	if f.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(f.CertFile, f.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("cert_file, key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	r := &reach{feed: f, silence: silence}
	var err error
	r.password, err = readSecret(f.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("password_file: %w", err)
	}
	r.token, err = readSecret(f.TokenFile)
	if err != nil {
		return nil, fmt.Errorf("token_file: %w", err)
	}
	r.web = &http.Client{CheckRedirect: taxii.SameHost, Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSClientConfig:        c,
		TLSHandshakeTimeout:    dialTime,
		ResponseHeaderTimeout:  headerTime,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConnsPerHost:    2,
		ForceAttemptHTTP2:      true,
	}}
	return r, nil
}

func (r *reach) close() { r.web.CloseIdleConnections() }

// readSecret reads what a setting of the configuration refers to.
func readSecret(ref string) (string, error) {
	if ref == "" {
		return "", nil
	}
	name, env := strings.CutPrefix(ref, "env:")
	if env {
		v := os.Getenv(name)
		if v == "" {
			return "", fmt.Errorf("the environment has no %s", name)
		}
		return v, nil
	}
	b, err := secret.Read(ref)
	if err != nil {
		return "", err
	}
	v := strings.TrimRight(string([]byte(b)), "\r\n")
	if v == "" {
		return "", fmt.Errorf("%s is empty", ref)
	}
	return v, nil
}

// answer is a file on its way.
type answer struct {
	body    io.Reader
	same    bool // 304: nothing has changed
	etag    string
	changed string
	stop    func() // ends it
}

// fetchError is what a server answered instead of a file.
type fetchError struct {
	host   string
	status int
	wait   time.Duration
}

// Error implements error.
func (e *fetchError) Error() string {
	next := "is the address right?"
	switch {
	case e.status == http.StatusUnauthorized || e.status == http.StatusForbidden:
		next = "check user, password_file, token_file and cert_file"
	case e.status == http.StatusTooManyRequests || e.status >= 500:
		next = "it is tried again later"
	}
	return fmt.Sprintf("%s answers HTTP %d %s: %s", e.host, e.status, http.StatusText(e.status), next)
}

// get fetches a file. etag and changed are what it had the last time, empty for
// none. The caller calls stop in any case.
func (r *reach) get(ctx context.Context, u *url.URL, etag, changed string, limit time.Duration) (*answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		cancel()
		return nil, fmt.Errorf("request: %w", err)
	}
	if r.token != "" {
		req.Header.Set("Authorization", "Bearer "+r.token)
	} else if r.feed.User != "" {
		req.SetBasicAuth(r.feed.User, r.password)
	}
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if changed != "" {
		req.Header.Set("If-Modified-Since", changed)
	}
	resp, err := r.web.Do(req) //nolint:bodyclose // bounded closes it, by stop
	if err != nil {
		cancel()
		return nil, bare(u, err)
	}
	b := &bounded{in: resp.Body, host: u.Host, left: r.feed.MaxBytes, most: r.feed.MaxBytes, silence: r.silence, cancel: cancel}
	a := &answer{body: b, same: resp.StatusCode == http.StatusNotModified, stop: b.close}
	if resp.StatusCode != http.StatusOK && !a.same {
		b.close() // what it says beside the status is for nobody
		return nil, &fetchError{u.Host, resp.StatusCode, taxii.RetryAfter(resp.Header, time.Now())}
	}
	if a.same && etag == "" && changed == "" {
		b.close()
		return nil, fmt.Errorf("%s answers HTTP 304 to a question without conditions", u.Host)
	}
	b.timer = time.AfterFunc(r.silence, cancel)
	if wholeKnown(resp) {
		a.etag, a.changed = resp.Header.Get("Etag"), resp.Header.Get("Last-Modified")
	}
	return a, nil
}

// wholeKnown says whether the end of the answer can be told from a connection that
// broke. Where it cannot, the same is asked for again the next time.
func wholeKnown(resp *http.Response) bool {
	return resp.ProtoMajor >= 2 || resp.ContentLength >= 0 || resp.Uncompressed || len(resp.TransferEncoding) > 0
}

// bare leaves the address out of an error of net/http: its path and query may be
// confidential.
func bare(u *url.URL, err error) error {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	return fmt.Errorf("%s: %w", u.Host, err)
}

// bounded is an answer's body with its limits.
type bounded struct {
	in         io.ReadCloser
	host       string
	left, most int64
	silence    time.Duration
	timer      *time.Timer
	cancel     context.CancelFunc
	err        error
}

// errSilent is what silence ends in.
var errSilent = errors.New("sends nothing any more")

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := b.in.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	switch {
	case b.left < 0:
		b.err = fmt.Errorf("the answer of %s is longer than %d bytes: raise max_bytes if that is right", b.host, b.most)
		return 0, b.err
	case err != nil && !errors.Is(err, io.EOF) && b.timer != nil && !b.timer.Stop():
		b.err = fmt.Errorf("%s %w for %s", b.host, errSilent, b.silence)
	case err != nil && !errors.Is(err, io.EOF):
		b.err = fmt.Errorf("the answer of %s breaks off: %w", b.host, err)
	case err != nil:
		b.err = err
	case b.timer != nil:
		b.timer.Reset(b.silence)
	}
	return n, b.err
}

// close ends the answer.
func (b *bounded) close() {
	if b.timer != nil {
		b.timer.Stop()
	}
	b.cancel()
	_ = b.in.Close()
}
