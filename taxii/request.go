package taxii

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// maxPause is the longest that a request waits by itself before it is sent again.
const maxPause = time.Minute

// maxRetryAfter bounds what a server may ask for.
const maxRetryAfter = 30 * 24 * time.Hour

// fussy is what some servers want of Accept that answer 406 to the plain media
// type.
const fussy = "application/taxii+json; version=2.1, application/taxii+json;q=0.9, application/json;q=0.5"

// get reads one resource.
func (c *Client) get(ctx context.Context, u *url.URL, v any) (http.Header, error) {
	return c.call(ctx, http.MethodGet, u, nil, v)
}

// call sends one request, again after a pause if the server asks for it. To send
// a POST twice does no harm: an exact duplicate is no failure (section 5.5).
func (c *Client) call(ctx context.Context, method string, u *url.URL, body []byte, v any) (http.Header, error) {
	if c.secret() && u.Scheme != "https" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("taxii: refusing to send a password to %s without TLS; use https", u.Host)
	}
	accept := MediaType
	for attempt := 0; ; {
		header, err := c.once(ctx, method, u, accept, body, v)
		var e *Error
		if !errors.As(err, &e) {
			return header, err
		}
		switch e.status() {
		case http.StatusNotAcceptable:
			if accept == fussy {
				return header, err
			}
			accept = fussy
			continue
		case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return header, err
		}
		pause := time.Second << attempt
		if header.Get("Retry-After") != "" {
			pause = e.RetryAfter
		}
		if attempt >= c.cfg.Retries || pause > maxPause {
			return header, err
		}
		attempt++
		err = sleep(ctx, pause)
		if err != nil {
			return header, err
		}
	}
}

func sleep(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *Client) secret() bool { return c.cfg.User+c.cfg.Password+c.cfg.Token != "" }

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// RetryAfter reads the header of that name, seconds or a date (RFC 9110 section
// 10.2.3). It gives 0 when there is none or it makes no sense, and a month at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}

// once sends one request and reads the whole answer, within Timeout and MaxBody.
func (c *Client) once(ctx context.Context, method string, u *url.URL, accept string, body []byte, v any) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("taxii: request: %w", err)
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", MediaType)
	}
	switch {
	case c.cfg.Token != "":
		req.Header.Set("Authorization", "Bearer "+c.cfg.Token)
	case c.secret():
		req.SetBasicAuth(c.cfg.User, c.cfg.Password)
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, transport(u, err)
	}
	defer func() { _ = resp.Body.Close() }() // read to the end or given up
	answer, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxBody+1))
	if err != nil {
		return resp.Header, fmt.Errorf("taxii: answer of %s: %w", u.Host, err)
	}
	if int64(len(answer)) > c.cfg.MaxBody {
		return resp.Header, fmt.Errorf("taxii: answer of %s above %d bytes; ask for smaller pages (PageLimit)", u.Host, c.cfg.MaxBody)
	}
	if resp.StatusCode != http.StatusOK && (resp.StatusCode != http.StatusAccepted || method != http.MethodPost) {
		return resp.Header, refused(resp, answer)
	}
	return resp.Header, read(u, resp.Header.Get("Content-Type"), answer, v)
}

// transport names the place without the query of the URL, which errors of
// net/http repeat.
func transport(u *url.URL, err error) error {
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err
	}
	return fmt.Errorf("taxii: %s: %w", u.Host, err)
}

// refused makes an [*Error] of an answer, whatever its body is.
func refused(resp *http.Response, body []byte) *Error {
	e := &Error{}
	err := json.Unmarshal(body, e)
	if err != nil || e.Title == "" {
		e = &Error{Title: http.StatusText(resp.StatusCode)}
	}
	e.Status = strconv.Itoa(resp.StatusCode)
	e.RetryAfter = RetryAfter(resp.Header, time.Now())
	return e
}

func read(u *url.URL, contentType string, body []byte, v any) error {
	typ, params, err := mime.ParseMediaType(contentType)
	if err != nil || typ != "application/taxii+json" && typ != "application/json" {
		return fmt.Errorf("taxii: %s answers with media type %q; is it a TAXII 2.1 server?", u.Host, clip(contentType))
	}
	if version := params["version"]; version != "" && version != "2.1" {
		return fmt.Errorf("taxii: %s answers in TAXII %s; only 2.1 is read", u.Host, clip(version))
	}
	err = json.Unmarshal(body, v)
	if err != nil {
		return fmt.Errorf("taxii: answer of %s: %w", u.Host, err)
	}
	return nil
}
