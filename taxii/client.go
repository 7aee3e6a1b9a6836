package taxii

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// ClientConfig of a [Client].
type ClientConfig struct {
	// HTTP carries certificates and proxies; [http.DefaultClient]'s transport if
	// nil. Redirects are followed within the same scheme and host only, unless its
	// CheckRedirect is set.
	HTTP *http.Client
	// User and Password for HTTP Basic; none if both are empty.
	User, Password string
	// Token is sent as a bearer token, instead of User and Password, if it is not
	// empty.
	Token string
	// Timeout of one request with its answer; one minute if zero.
	Timeout time.Duration
	// MaxBody bounds one answer in bytes, unpacked; 64 MiB if zero.
	MaxBody int64
	// PageLimit is what a request asks for; nothing is asked for if zero.
	PageLimit int
	// MaxPages bounds one walk through a collection; 100,000 if zero.
	MaxPages int
	// Retries after 429, 503 and 504, with the pause that the server names; 3 if
	// zero, none if negative. A server that asks for more than a minute gets no
	// retry: [Error.RetryAfter] tells.
	Retries int
}

// Client reads from TAXII 2.1 servers and adds to them. It may be used by several
// goroutines.
type Client struct {
	cfg ClientConfig
}

// NewClient gives a client.
func NewClient(cfg ClientConfig) *Client {
	web := http.Client{}
	if cfg.HTTP != nil {
		web = *cfg.HTTP
	}
	if web.CheckRedirect == nil {
		web.CheckRedirect = SameHost
	}
	cfg.HTTP = &web
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 64 << 20
	}
	if cfg.MaxPages <= 0 {
		cfg.MaxPages = 100_000
	}
	if cfg.Retries == 0 {
		cfg.Retries = 3
	}
	return &Client{cfg: cfg}
}

// SameHost is a [http.Client.CheckRedirect] that follows five redirects at most,
// and none to another scheme or host: credentials and trust belong to the one that
// was configured.
func SameHost(next *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case next.URL.Scheme != first.Scheme || !strings.EqualFold(next.URL.Host, first.Host):
		return fmt.Errorf("%s redirects to another place, %s; configure that one if it is right", first.Host, clip(next.URL.Scheme+"://"+next.URL.Host))
	case len(via) > 5:
		return fmt.Errorf("%s redirects again and again", first.Host)
	}
	return nil
}

// Discover reads the discovery resource of a server, given its base URL. API
// roots are made absolute.
func (c *Client) Discover(ctx context.Context, base string) (Discovery, error) {
	var d Discovery
	u, err := join(base, "taxii2")
	if err != nil {
		return d, err
	}
	_, err = c.get(ctx, u, &d)
	if err != nil {
		return d, err
	}
	for i := range d.Roots {
		d.Roots[i], err = absolute(u, d.Roots[i])
		if err != nil {
			return d, err
		}
	}
	if d.Default != "" {
		d.Default, err = absolute(u, d.Default)
	}
	return d, err
}

// Root reads an API root.
func (c *Client) Root(ctx context.Context, root string) (Root, error) {
	var out Root
	u, err := join(root)
	if err != nil {
		return out, err
	}
	_, err = c.get(ctx, u, &out)
	return out, err
}

// Collections lists the collections of an API root.
func (c *Client) Collections(ctx context.Context, root string) ([]Collection, error) {
	var out struct{ Collections []Collection }
	u, err := join(root, "collections")
	if err != nil {
		return nil, err
	}
	_, err = c.get(ctx, u, &out)
	return out.Collections, err
}

// join appends path segments to a base and a slash, which TAXII paths end in.
func join(base string, segments ...string) (*url.URL, error) {
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, fmt.Errorf("taxii: %q is not an absolute http(s) URL", clip(base))
	}
	u.RawQuery, u.Fragment = "", ""
	escaped := make([]string, len(segments))
	for i, s := range segments {
		escaped[i] = url.PathEscape(s)
	}
	u = u.JoinPath(escaped...)
	if !strings.HasSuffix(u.Path, "/") {
		u = u.JoinPath("/")
	}
	return u, nil
}

func absolute(base *url.URL, ref string) (string, error) {
	u, err := base.Parse(ref)
	if err != nil {
		return "", fmt.Errorf("taxii: API root %q: %w", clip(ref), err)
	}
	return u.String(), nil
}
