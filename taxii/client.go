package taxii

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ClientConfig of a [Client].
type ClientConfig struct {
	// HTTP carries certificates and proxies; [http.DefaultClient]'s transport if nil.
	HTTP *http.Client
	// User and Password for HTTP Basic; none if both are empty.
	User, Password string
	// Timeout of one request with its answer; one minute if zero.
	Timeout time.Duration
	// MaxBody bounds one answer in bytes; 64 MiB if zero.
	MaxBody int64
	// PageLimit is what a request asks for; nothing is asked for if zero.
	PageLimit int
	// Retries after 429, 503 and 504, with the pause that the server names, a
	// minute at most; 3 if zero, none if negative.
	Retries int
}

// Client reads from TAXII 2.1 servers. It may be used by several goroutines.
type Client struct {
	cfg ClientConfig
}

// NewClient gives a client.
func NewClient(cfg ClientConfig) *Client {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{}
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = time.Minute
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 64 << 20
	}
	if cfg.Retries == 0 {
		cfg.Retries = 3
	}
	return &Client{cfg: cfg}
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

// Filter says which objects of a collection to read.
type Filter struct {
	AddedAfter time.Time // zero for the beginning
	IDs        []string
	Types      []string
	Versions   []string // "all", "first", "last", timestamps; the last if empty
}

// Objects is one page as the client got it.
type Objects struct {
	Objects []json.RawMessage
	// Last is the date of the newest object so far: what to give as
	// [Filter.AddedAfter] to go on from here at another time. Zero if the server
	// has not told.
	Last time.Time
}

// ErrStuck says that a server promises more without saying where to find it.
var ErrStuck = errors.New("taxii: the server says that there is more, but gives neither next nor a later X-TAXII-Date-Added-Last")

// Pages reads a collection page by page: by next if the server gives it, by
// X-TAXII-Date-Added-Last otherwise. An error ends it; what came before is good,
// and reading can go on from its Last.
func (c *Client) Pages(ctx context.Context, root, collection string, f Filter) iter.Seq2[Objects, error] {
	return func(yield func(Objects, error) bool) {
		u, err := join(root, "collections", collection, "objects")
		if err != nil {
			yield(Objects{}, err)
			return
		}
		q := f.values()
		if c.cfg.PageLimit > 0 {
			q.Set("limit", strconv.Itoa(c.cfg.PageLimit))
		}
		last := f.AddedAfter
		for {
			u.RawQuery = q.Encode()
			var page envelope
			header, err := c.get(ctx, u, &page)
			if err != nil {
				yield(Objects{Last: last}, err)
				return
			}
			before := last
			t, err := time.Parse(time.RFC3339, header.Get("X-TAXII-Date-Added-Last"))
			if err == nil && t.After(last) {
				last = t
			}
			if !yield(Objects{Objects: page.Objects, Last: last}, nil) || !page.More && page.Next == "" {
				return
			}
			switch {
			case page.Next != "" && page.Next != q.Get("next"):
				q.Set("next", page.Next)
			case page.Next == "" && last.After(before):
				q.Del("next")
				q.Set("added_after", formatTime(last))
			default:
				yield(Objects{Last: last}, ErrStuck)
				return
			}
		}
	}
}

func (f Filter) values() url.Values {
	q := url.Values{}
	if !f.AddedAfter.IsZero() {
		q.Set("added_after", formatTime(f.AddedAfter))
	}
	for name, v := range map[string][]string{"id": f.IDs, "type": f.Types, "version": f.Versions} {
		if len(v) > 0 {
			q.Set("match["+name+"]", strings.Join(v, ","))
		}
	}
	return q
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

// get reads one resource, again after a pause if the server asks for it.
func (c *Client) get(ctx context.Context, u *url.URL, v any) (http.Header, error) {
	if c.cfg.User+c.cfg.Password != "" && u.Scheme != "https" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("taxii: refusing to send a password to %s without TLS; use https", u.Host)
	}
	for attempt := 0; ; attempt++ {
		header, err := c.once(ctx, u, v)
		var e *Error
		if !errors.As(err, &e) || attempt >= c.cfg.Retries {
			return header, err
		}
		switch e.status() {
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return header, err
		}
		pause := time.Second << attempt
		n, bad := strconv.Atoi(header.Get("Retry-After"))
		if bad == nil && n >= 0 {
			pause = time.Duration(min(n, 60)) * time.Second
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return header, ctx.Err()
		case <-timer.C:
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (c *Client) once(ctx context.Context, u *url.URL, v any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("taxii: request: %w", err)
	}
	req.Header.Set("Accept", MediaType)
	if c.cfg.User+c.cfg.Password != "" {
		req.SetBasicAuth(c.cfg.User, c.cfg.Password)
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("taxii: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	body, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	if err != nil {
		return resp.Header, fmt.Errorf("taxii: answer of %s: %w", u.Host, err)
	}
	if int64(len(body)) > c.cfg.MaxBody {
		return resp.Header, fmt.Errorf("taxii: answer of %s above %d bytes; ask for smaller pages (PageLimit)", u.Host, c.cfg.MaxBody)
	}
	if resp.StatusCode != http.StatusOK {
		e := &Error{}
		err = json.Unmarshal(body, e)
		if err != nil || e.Title == "" {
			e = &Error{Title: http.StatusText(resp.StatusCode)}
		}
		e.Status = strconv.Itoa(resp.StatusCode)
		return resp.Header, e
	}
	typ, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || typ != "application/taxii+json" && typ != "application/json" {
		return resp.Header, fmt.Errorf("taxii: %s answers with media type %q; is it a TAXII 2.1 server?", u.Host, clip(resp.Header.Get("Content-Type")))
	}
	err = json.Unmarshal(body, v)
	if err != nil {
		return resp.Header, fmt.Errorf("taxii: answer of %s: %w", u.Host, err)
	}
	return resp.Header, nil
}
