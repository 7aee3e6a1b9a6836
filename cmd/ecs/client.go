package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// atHub says which hub a command talks to, and as whom.
type atHub struct {
	Hub      string `default:"http://127.0.0.1:8600" env:"ECS_HUB" help:"The hub's console address."`
	User     string `short:"u" required:"" env:"ECS_USER" help:"Login at the hub."`
	Password string `type:"existingfile" env:"ECS_PASSWORD_FILE" placeholder:"FILE" help:"File with the password; without it ECS_PASSWORD is used."`
	JSON     bool   `help:"Print JSON."`
}

func (a atHub) client() (*client, error) {
	password := os.Getenv("ECS_PASSWORD")
	if a.Password != "" {
		text, err := os.ReadFile(a.Password)
		if err != nil {
			return nil, err
		}
		password = strings.TrimSpace(string(text))
	}
	if password == "" {
		return nil, errors.New("no password: give --password FILE or set ECS_PASSWORD")
	}
	return newClient(a.Hub, a.User, password), nil
}

// client calls the hub's JSON API, see docs/formats/api.md.
type client struct {
	base, user, password string
	http                 *http.Client
}

func newClient(base, user, password string) *client {
	return &client{base: strings.TrimSuffix(base, "/"), user: user, password: password, http: &http.Client{}}
}

// call sends a request and decodes the answer into out, unless it is nil.
func (c *client) call(ctx context.Context, method, path string, body io.Reader, header http.Header, out any) error {
	resp, err := c.send(ctx, method, path, body, header)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if out == nil {
		return nil
	}
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, out)
}

// send gives the answer to a request. Whatever is not a success is a [problemError].
func (c *client) send(ctx context.Context, method, path string, body io.Reader, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	req.Header = header
	if header == nil {
		req.Header = http.Header{}
	}
	req.SetBasicAuth(c.user, c.password)
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; is the hub running there? --hub or ECS_HUB says where it is", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &problemError{Status: resp.StatusCode}
	seconds, notNumber := strconv.Atoi(resp.Header.Get("Retry-After"))
	if notNumber == nil {
		p.wait = time.Duration(seconds) * time.Second
	}
	if err == nil {
		err = json.Unmarshal(data, p)
	}
	if err != nil {
		p.Title = resp.Status
	}
	return nil, p
}

// stream copies an answer as it arrives, and gives the report that follows it.
func (c *client) stream(ctx context.Context, path string, q url.Values, to io.Writer) (report string, err error) {
	resp, err := c.send(ctx, http.MethodGet, path+"?"+q.Encode(), nil, nil)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(to, resp.Body)
	if err != nil {
		return "", fmt.Errorf("%w: what was written until then is not whole", err)
	}
	return resp.Trailer.Get("Ecs-Export"), nil
}

func (c *client) get(ctx context.Context, path string, q url.Values, out any) error {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return c.call(ctx, http.MethodGet, path, nil, nil, out)
}

func (c *client) post(ctx context.Context, path string, in, out any) error {
	return c.patient(ctx, path, in, http.Header{"Content-Type": {"application/json"}}, out)
}

// do sends an act. When the connection breaks before the answer is there, it is sent
// again with the same key: the hub does it once (docs/formats/api.md).
func (c *client) do(ctx context.Context, path string, in, out any) error {
	return c.patient(ctx, path, in, http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {uuid.NewString()}}, out)
}

// tries bounds how often a request is sent.
const tries = 4

func (c *client) patient(ctx context.Context, path string, in any, header http.Header, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err = c.call(ctx, http.MethodPost, path, bytes.NewReader(body), header.Clone(), out)
		wait, again := retry(err, header.Get("Idempotency-Key") != "")
		if !again || n == tries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// retry says whether a request that failed may be sent again, and when: one that the
// hub put off, and an act with a key whose answer was lost. A hub that is not there
// is told at once.
func retry(err error, keyed bool) (time.Duration, bool) {
	var p *problemError
	var dial *net.OpError
	switch {
	case err == nil || errors.Is(err, context.Canceled):
		return 0, false
	case errors.As(err, &p):
		return max(p.wait, time.Second), p.Status == http.StatusTooManyRequests && p.wait > 0 && p.wait <= time.Minute
	case errors.As(err, &dial) && dial.Op == "dial":
		return 0, false
	}
	return time.Second, keyed
}

// problemError is an answer that is not a success (RFC 9457).
type problemError struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Next   string `json:"next"`

	wait time.Duration // how long the hub asks to wait; 0: it does not
}

// Error says what went wrong and what to do.
func (p *problemError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s. %s %s", p.Title, p.Detail, p.Next))
}

type batchReport struct {
	Batch     string           `json:"batch"`
	Name      string           `json:"name"`
	Format    string           `json:"format"`
	Position  int64            `json:"items"`
	Accepted  int64            `json:"accepted"`
	Duplicate int64            `json:"duplicate"`
	Refused   int64            `json:"refused"`
	Skipped   int64            `json:"skipped"`
	Error     string           `json:"error"`
	Same      bool             `json:"same"`
	States    map[string]int64 `json:"states"`
	Refusals  []refusal        `json:"refusals"`
}

type refusal struct {
	Number  int64  `json:"number"`
	Place   string `json:"place"`
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Excerpt string `json:"excerpt"`
}

// delivered is what a delivery is called.
type delivered struct{ Source, Name, Format, Mapping string }

// submit delivers a file. Told, when not nil, hears how many bytes have gone.
func (c *client) submit(ctx context.Context, d delivered, r io.Reader, told func(int64)) (batchReport, error) {
	q := url.Values{"source": {d.Source}, "name": {d.Name}, "format": {d.Format}}
	if d.Mapping != "" {
		q.Set("mapping", d.Mapping)
	}
	var out batchReport
	err := c.call(ctx, http.MethodPost, "/api/v1/batches?"+q.Encode(), &counting{r: r, told: told}, http.Header{"Content-Type": {"application/octet-stream"}}, &out)
	return out, err
}

type counting struct {
	r    io.Reader
	n    int64
	told func(int64)
}

// Read implements [io.Reader].
func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if c.told != nil {
		c.told(c.n)
	}
	return n, err
}

type item struct {
	ID         string     `json:"id"`
	State      string     `json:"state"`
	Version    int64      `json:"version"`
	Hidden     bool       `json:"hidden"`
	Kind       string     `json:"kind"`
	Value      string     `json:"value"`
	Pattern    string     `json:"pattern"`
	Services   string     `json:"services"`
	Category   string     `json:"category"`
	TLP        string     `json:"tlp"`
	Confidence int        `json:"confidence"`
	Summary    string     `json:"summary"`
	Context    string     `json:"context"`
	Privacy    string     `json:"privacy"`
	ValidUntil *time.Time `json:"valid_until"`

	Sources []struct {
		Source    string     `json:"source"`
		Batch     string     `json:"batch"`
		Place     string     `json:"place"`
		Reference string     `json:"reference"`
		At        *time.Time `json:"at"`
	} `json:"sources"`
	Findings []struct {
		Code     string     `json:"code"`
		Severity string     `json:"severity"`
		Detail   string     `json:"detail"`
		At       *time.Time `json:"at"`
	} `json:"findings"`
	Decisions []struct {
		Kind    string     `json:"kind"`
		Verdict string     `json:"verdict"`
		Person  string     `json:"person"`
		Reason  string     `json:"reason"`
		At      *time.Time `json:"at"`
	} `json:"decisions"`
	Deliveries []delivery `json:"deliveries"`
}

func (c *client) items(ctx context.Context, q url.Values) ([]item, int64, error) {
	var out struct {
		Total int64  `json:"total"`
		Items []item `json:"items"`
	}
	err := c.get(ctx, "/api/v1/items", q, &out)
	return out.Items, out.Total, err
}

func (c *client) item(ctx context.Context, id string) (item, error) {
	var out item
	err := c.get(ctx, "/api/v1/items/"+url.PathEscape(id), nil, &out)
	return out, err
}

type target struct {
	Provider string `json:"provider"`
	Services string `json:"services"`
	Reason   string `json:"reason,omitempty"`
}

type order struct {
	Reason        string   `json:"reason"`
	Code          string   `json:"code,omitempty"`
	Determination string   `json:"determination,omitempty"`
	Summary       string   `json:"summary,omitempty"`
	Context       string   `json:"context,omitempty"`
	Targets       []target `json:"targets,omitempty"`
	Minutes       int      `json:"minutes,omitempty"` // of an emergency
}

type actAnswer struct {
	Item     item     `json:"item"`
	Released []target `json:"released"`
	Refused  []target `json:"refused"`
}

func (c *client) act(ctx context.Context, id, act string, o order) (actAnswer, error) {
	var out actAnswer
	err := c.do(ctx, "/api/v1/items/"+url.PathEscape(id)+"/"+act, o, &out)
	return out, err
}

type bulkAnswer struct {
	Done     int `json:"done"`
	Failed   int `json:"failed"`
	Failures []struct {
		ID     string `json:"id"`
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"failures"`
	Refused map[string]int `json:"refused"`
	Bulk    string         `json:"bulk"`
}

// filter selects indicators for a bulk act.
type filter struct {
	Query    string   `json:"q,omitempty"`
	States   []string `json:"states,omitempty"`
	Provider string   `json:"provider,omitempty"`
	Source   string   `json:"source,omitempty"`
	Batch    string   `json:"batch,omitempty"`
	Kind     string   `json:"kind,omitempty"`
}

func (c *client) bulk(ctx context.Context, act string, ids []string, o order) (bulkAnswer, error) {
	return c.bulkOf(ctx, act, ids, nil, o)
}

// bulkOf does an act on indicators that are named, or on those that a filter finds.
func (c *client) bulkOf(ctx context.Context, act string, ids []string, f *filter, o order) (bulkAnswer, error) {
	var out bulkAnswer
	err := c.do(ctx, "/api/v1/bulk/"+act, struct {
		order
		IDs    []string `json:"ids,omitempty"`
		Filter *filter  `json:"filter,omitempty"`
	}{o, ids, f}, &out)
	return out, err
}

// undoBulk takes back what a bulk act decided.
func (c *client) undoBulk(ctx context.Context, bulk string, o order) (bulkAnswer, error) {
	var out bulkAnswer
	err := c.do(ctx, "/api/v1/bulk/undo", struct {
		order
		Bulk string `json:"bulk"`
	}{o, bulk}, &out)
	return out, err
}

type account struct {
	Login  string   `json:"login"`
	Person string   `json:"person"`
	Roles  []string `json:"roles"`
	Scope  string   `json:"scope"`
}

func (c *client) me(ctx context.Context) (account, error) {
	var out account
	err := c.get(ctx, "/api/v1/me", nil, &out)
	return out, err
}

type enrollToken struct {
	Token   string    `json:"token"`
	Pin     string    `json:"pin"`
	Expires time.Time `json:"expires"`
}

func (c *client) token(ctx context.Context, provider string) (enrollToken, error) {
	var out enrollToken
	err := c.post(ctx, "/api/v1/providers/"+url.PathEscape(provider)+"/tokens", struct{}{}, &out)
	return out, err
}
