package door

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecs/contract"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/hub/internal/store"
	"ecs/internal/certs"
	"ecs/internal/httpd"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

var staff = signin.Account{Login: "ana", Person: "Ana", Roles: []string{"pmo_analyst"}}

func as(person, role string) signin.Account {
	return signin.Account{Login: person, Person: person, Roles: []string{role}}
}

// desk is a double of the release desk: one log, in memory.
type desk struct {
	mu    sync.Mutex
	logs  map[string][]contract.Entry
	grown chan struct{}
	acks  []string
	fail  error
}

func (d *desk) add(provider string, e contract.Entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e.Seq = uint64(len(d.logs[provider]) + 1)
	d.logs[provider] = append(d.logs[provider], e)
	close(d.grown)
	d.grown = make(chan struct{})
}

func (d *desk) Changes(_ context.Context, provider string, after uint64, limit int) (contract.Page, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return contract.Page{}, d.fail
	}
	log := d.logs[provider]
	log = log[min(int(after), len(log)):]
	if limit > 0 && len(log) > limit {
		return contract.Page{Entries: log[:limit], More: true}, nil
	}
	return contract.Page{Entries: log, Checkpoint: "note for " + provider + "\n"}, nil
}

func (d *desk) Wait(ctx context.Context, provider string, after uint64) error {
	for {
		d.mu.Lock()
		n, grown := len(d.logs[provider]), d.grown
		d.mu.Unlock()
		if uint64(n) > after {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (d *desk) Acknowledge(_ context.Context, provider, serial string, a contract.SignedAck) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		return d.fail
	}
	d.acks = append(d.acks, provider+" "+serial+" "+string(a.Body))
	return nil
}

type counts struct {
	mu   sync.Mutex
	got  []string
	fail error
}

func (c *counts) Accept(_ context.Context, provider string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	c.got = append(c.got, provider+" "+string(body))
	return nil
}

// hub is a door on a real listener with mutual TLS.
type hub struct {
	db       *sqldb.DB
	ca       *certs.Authority
	program  *program.Program
	desk     *desk
	counts   *counts
	door     *Door
	url      string
	mu       sync.Mutex
	now      time.Time
	provider string
}

func (h *hub) clock() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hub) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

func start(t *testing.T, db *sqldb.DB) *hub {
	t.Helper()
	h := &hub{
		db: db, desk: &desk{logs: map[string][]contract.Entry{}, grown: make(chan struct{})}, counts: &counts{},
		now: time.Now(), provider: "north",
	}
	var err error
	h.ca, err = certs.OpenAuthority(t.TempDir(), "test program")
	must(t, err)
	h.ca.Now = h.clock
	h.program, err = program.New(db, program.Config{Authority: h.ca, Verifier: "v", Now: h.clock})
	must(t, err)
	must(t, h.program.Prepare(t.Context()))
	h.register(t, "north")
	h.register(t, "south")
	h.door, err = New(Config{
		DB: db, Program: h.program, Releases: h.desk, Feedback: h.counts,
	})
	must(t, err)
	server, err := certs.NewServer(h.ca, []string{"127.0.0.1"})
	must(t, err)
	web := httpd.New(httpd.Config{Name: "door", Address: "127.0.0.1:0", TLS: server.Config(), Handler: h.door, Limit: Limit})
	must(t, web.Listen())
	h.url = web.URL()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- web.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		err := <-done
		if err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *hub) register(t *testing.T, id string) {
	t.Helper()
	must(t, h.program.Register(t.Context(), staff, id, id))
	for _, s := range []struct {
		who signin.Account
		to  program.State
	}{
		{staff, program.EligibilityReview},
		{as("dee", "accrediting_official"), program.Eligible},
		{staff, program.MOANegotiation},
		{staff, program.MOAInForce},
		{as("abe", "assessor"), program.SecurityValidation},
		{as("abe", "assessor"), program.Validated},
	} {
		must(t, h.program.Move(t.Context(), s.who, id, s.to, "as the test has it"))
	}
	must(t, h.program.Accredit(t.Context(), as("ott", "accrediting_official"), id, program.Accreditation{Services: contract.AllServices, Ceiling: contract.Amber}, "as the test has it"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// node is a client with a certificate, or without.
type node struct {
	http *http.Client
	hub  *hub
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func client(t *testing.T, c *tls.Config) *http.Client {
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute}
}

func (h *hub) enrol(t *testing.T, provider string) *node {
	t.Helper()
	tok, err := h.program.NewToken(t.Context(), staff, provider)
	must(t, err)
	key, err := certs.NewKey()
	must(t, err)
	csr, err := certs.Request(key, "node-1")
	must(t, err)
	n := &node{hub: h, http: client(t, certs.EnrolConfig("127.0.0.1", tok.Pin))}
	status, body, _ := n.send(t, "POST", "/v1/enrol", contract.Enrolment{Token: tok.Text, CSR: csr})
	var out contract.Enrolled
	err = json.Unmarshal(body, &out)
	if status != 200 || err != nil || out.Provider != provider {
		t.Fatalf("enrol: %d %s %v", status, body, err)
	}
	return h.with(t, key, out.Certificate[0])
}

func (h *hub) with(t *testing.T, key *ecdsa.PrivateKey, der []byte) *node {
	t.Helper()
	leaf, err := x509.ParseCertificate(der)
	must(t, err)
	pair := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &node{hub: h, key: key, cert: leaf, http: client(t, certs.ClientConfig(h.ca.Certificate(), func() *tls.Certificate { return pair }))}
}

func (n *node) send(t *testing.T, method, path string, body any) (int, []byte, http.Header) {
	t.Helper()
	var text []byte
	switch b := body.(type) {
	case nil:
	case []byte:
		text = b
	default:
		var err error
		text, err = json.Marshal(b)
		must(t, err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, n.hub.url+path, bytes.NewReader(text))
	must(t, err)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := n.http.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	out, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, out, resp.Header
}

// want checks status and code of a refusal, and that it says what to do next.
func (n *node) want(t *testing.T, status int, code, method, path string, body any) {
	t.Helper()
	got, text, h := n.send(t, method, path, body)
	var p Problem
	err := json.Unmarshal(text, &p)
	if got != status || err != nil || p.Code != code || p.Message == "" || p.Next == "" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%s %s: %d %s %v, want %d %s", method, path, got, text, err, status, code)
	}
}

func TestJourney(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		h := start(t, db)
		n := h.enrol(t, "north")
		// Bytes that JSON encoders like to rewrite must come through as they are.
		object := json.RawMessage(`{"pattern":"[url:value = 'http://a.example/?a=1&b=<2>']","x":"` + "\u2028é" + `"}`)
		h.desk.add("north", contract.Entry{Services: contract.DNS, Object: object})
		h.desk.add("south", contract.Entry{Services: contract.DNS, Object: json.RawMessage(`{"south":1}`)})
		status, body, head := n.send(t, "GET", "/v1/changes?after=0&limit=10", nil)
		var page contract.Page
		must(t, json.Unmarshal(body, &page))
		if status != 200 || len(page.Entries) != 1 || !bytes.Equal(page.Entries[0].Object, object) || page.Checkpoint != "note for north\n" {
			t.Fatalf("%d %s", status, body)
		}
		if head.Get("Cache-Control") != "no-store" {
			t.Fatal("the page may be cached")
		}
		signed := contract.SignedAck{Body: []byte(`{"a":1}`), Signature: []byte("s")}
		status, body, _ = n.send(t, "POST", "/v1/acks", signed)
		if status != 204 || len(body) != 0 {
			t.Fatalf("ack: %d %s", status, body)
		}
		if want := "north " + certs.Serial(n.cert.SerialNumber) + ` {"a":1}`; h.desk.acks[0] != want {
			t.Fatalf("the desk got %q", h.desk.acks[0])
		}
		status, _, _ = n.send(t, "POST", "/v1/feedback", []byte("{\"day\":1}\n"))
		if status != 204 || h.counts.got[0] != "north {\"day\":1}\n" {
			t.Fatalf("feedback: %d %q", status, h.counts.got)
		}
		csr, err := certs.Request(n.key, "node-1")
		must(t, err)
		status, body, _ = n.send(t, "POST", "/v1/renew", contract.Enrolment{CSR: csr})
		var out contract.Enrolled
		must(t, json.Unmarshal(body, &out))
		if status != 200 || len(out.Certificate) != 1 {
			t.Fatalf("renew: %d %s", status, body)
		}
		status, _, _ = h.with(t, n.key, out.Certificate[0]).send(t, "GET", "/v1/changes", nil)
		if status != 200 {
			t.Fatalf("with the renewed certificate: %d", status)
		}
	})
}

func TestRefusals(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	bare := &node{hub: h, http: client(t, certs.ClientConfig(h.ca.Certificate(), func() *tls.Certificate { return nil }))}
	for _, p := range []string{"GET /v1/changes", "POST /v1/acks", "POST /v1/feedback", "POST /v1/renew"} {
		method, path, _ := strings.Cut(p, " ")
		bare.want(t, 401, "certificate-required", method, path, nil)
	}
	n.want(t, 404, "not-found", "GET", "/", nil)
	n.want(t, 404, "not-found", "GET", "/v1/entries", nil)
	n.want(t, 405, "method", "POST", "/v1/changes", nil)
	n.want(t, 405, "method", "GET", "/v1/enrol", nil)
	for _, q := range []string{"after=-1", "after=x", "after=99999999999999999999", "limit=0", "limit=10001", "wait=56", "wait=-1", "after=1&after=2", "until=3"} {
		n.want(t, 400, "bad-query", "GET", "/v1/changes?"+q, nil)
	}
	bare.want(t, 403, "token-refused", "POST", "/v1/enrol", contract.Enrolment{Token: "x", CSR: request(t)})
	bare.want(t, 403, "token-refused", "POST", "/v1/enrol", []byte(`{}`))
	bare.want(t, 400, "request-refused", "POST", "/v1/enrol", contract.Enrolment{Token: "x", CSR: []byte("x")})
	for _, b := range []string{"", "{", "[]", `{"token":"a"}{}`, `{"unknown":1}`, "\xff"} {
		bare.want(t, 400, "bad-json", "POST", "/v1/enrol", []byte(b))
	}
	bare.want(t, 413, "too-large", "POST", "/v1/enrol", []byte(`{"token":"`+strings.Repeat("a", maxEnrol)+`"}`))
	n.want(t, 400, "token-not-wanted", "POST", "/v1/renew", contract.Enrolment{Token: "x"})
	n.want(t, 413, "too-large", "POST", "/v1/feedback", bytes.Repeat([]byte("a"), maxFeedback+1))
	n.want(t, 400, "bad-json", "POST", "/v1/acks", []byte("{"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/feedback", strings.NewReader("a=b"))
	must(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := n.http.Do(req)
	must(t, err)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("a form: %d", resp.StatusCode)
	}
	h.counts.fail, h.desk.fail = &feedback.Refused{Code: feedback.Schema, Cell: 3}, fmt.Errorf("%w: secret cause", release.ErrAck)
	n.want(t, 422, "feedback-schema", "POST", "/v1/feedback", []byte("{}"))
	n.want(t, 422, "ack-refused", "POST", "/v1/acks", contract.SignedAck{})
	h.counts.fail, h.desk.fail = errors.New("secret cause"), errors.New("secret cause")
	n.want(t, 503, "unavailable", "POST", "/v1/feedback", []byte("{}"))
	n.want(t, 503, "unavailable", "GET", "/v1/changes", nil)
	_, body, _ := n.send(t, "GET", "/v1/changes", nil)
	if bytes.Contains(body, []byte("secret")) {
		t.Errorf("the cause is shown: %s", body)
	}
	status := 0
	for range 40 {
		status, _, _ = bare.send(t, "POST", "/v1/enrol", []byte(`{}`))
	}
	if status != 429 {
		t.Errorf("forty enrolments from one address: %d", status)
	}
}

func request(t *testing.T) []byte {
	t.Helper()
	key, err := certs.NewKey()
	must(t, err)
	csr, err := certs.Request(key, "node-1")
	must(t, err)
	return csr
}

// A suspended provider follows its log, so that recalls reach it, and gives
// receipts; feedback and TAXII are refused. A revocation is told within a second
// (or so, on a busy machine), also to a request that waits.
func TestSuspension(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	must(t, h.program.Move(t.Context(), staff, "north", program.Operational, "good reason"))
	must(t, h.program.Move(t.Context(), staff, "north", program.Suspended, "good reason"))
	status, _, _ := n.send(t, "GET", "/v1/changes", nil)
	if status != 200 {
		t.Fatalf("a suspended provider's log: %d", status)
	}
	status, _, _ = n.send(t, "POST", "/v1/acks", contract.SignedAck{})
	if status != 204 {
		t.Fatalf("a suspended provider's receipt: %d", status)
	}
	n.want(t, 403, "suspended", "POST", "/v1/feedback", []byte("{}"))
	for _, path := range []string{"/taxii2/", "/taxii2/north/collections/indicators/objects/", "/taxii2/north/checkpoint"} {
		status, body, _ := n.send(t, "GET", path, nil)
		if status != 403 || !strings.Contains(string(body), `"suspended"`) {
			t.Fatalf("%s of a suspended provider: %d %s", path, status, body)
		}
	}
	type answer struct {
		status int
		body   string
		after  time.Duration
	}
	got := make(chan answer, 1)
	begun := make(chan time.Time, 1)
	go func() {
		resp, err := n.http.Get(h.url + "/v1/changes?wait=50")
		if err != nil {
			got <- answer{body: err.Error()}
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		got <- answer{resp.StatusCode, fmt.Sprint(string(body), err), time.Since(<-begun)}
	}()
	for len(h.door.waiting) == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	must(t, h.program.Move(t.Context(), as("ott", "accrediting_official"), "north", program.Operational, "good reason"))
	must(t, h.program.Revoke(t.Context(), staff, certs.Serial(n.cert.SerialNumber), "the machine was lost"))
	begun <- time.Now()
	a := <-got
	if a.status != 403 || !strings.Contains(a.body, `"certificate-revoked"`) || a.after > 10*time.Second {
		t.Fatalf("after %v: %d %s", a.after, a.status, a.body)
	}
	n.want(t, 403, "certificate-revoked", "GET", "/v1/changes", nil)
	n.want(t, 403, "certificate-revoked", "POST", "/v1/acks", contract.SignedAck{})
	csr, err := certs.Request(n.key, "node-1")
	must(t, err)
	n.want(t, 403, "certificate-revoked", "POST", "/v1/renew", contract.Enrolment{CSR: csr})
}

// A node that was away longer than its certificate lasts renews by itself.
func TestExpiredCertificateRenews(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	csr, err := certs.Request(n.key, "node-1")
	must(t, err)
	h.pass(7 * 24 * time.Hour)
	n.want(t, 403, "certificate-expired", "GET", "/v1/changes", nil)
	status, body, _ := n.send(t, "POST", "/v1/renew", contract.Enrolment{CSR: csr})
	if status != 200 {
		t.Fatalf("renew after a week: %d %s", status, body)
	}
	h.pass(60 * 24 * time.Hour)
	n.want(t, 403, "certificate-too-old", "POST", "/v1/renew", contract.Enrolment{CSR: csr})
}

func TestLongPoll(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	begun := time.Now()
	status, body, _ := n.send(t, "GET", "/v1/changes?wait=1", nil)
	if took := time.Since(begun); status != 200 || took < 900*time.Millisecond || took > 15*time.Second {
		t.Fatalf("nothing new: %d %s after %v", status, body, took)
	}
	released := make(chan time.Time, 1)
	go func() {
		for len(h.door.waiting) == 0 {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(1500 * time.Millisecond) // past one look at the certificate
		released <- time.Now()
		h.desk.add("north", contract.Entry{Services: contract.DNS, Object: json.RawMessage(`{}`)})
	}()
	status, body, _ = n.send(t, "GET", "/v1/changes?wait=30", nil)
	took := time.Since(<-released)
	if status != 200 || !bytes.Contains(body, []byte(`"seq":1`)) || took > 10*time.Second {
		t.Fatalf("%v after the release: %d %s", took, status, body)
	}
}

func TestWaitersAreBounded(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	for range cap(h.door.waiting) {
		h.door.waiting <- struct{}{}
	}
	begun := time.Now()
	status, _, _ := n.send(t, "GET", "/v1/changes?wait=30", nil)
	if status != 200 || time.Since(begun) > 20*time.Second || h.door.count.unwaited.Load() != 1 {
		t.Fatalf("%d after %v", status, time.Since(begun))
	}
}

func TestGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "gzip;q=0": false, "gzip; q=0.0": false, "br": false, "": false, "gzipped": false,
	} {
		if takesGzip(header) != want {
			t.Errorf("%q", header)
		}
	}
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.url+"/v1/changes", nil)
	must(t, err)
	req.Header.Set("Accept-Encoding", "gzip") // asked for by hand: not unpacked by the client
	resp, err := n.http.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	z, err := gzip.NewReader(resp.Body)
	must(t, err)
	text, err := io.ReadAll(z)
	if err != nil || resp.Header.Get("Content-Encoding") != "gzip" || !bytes.Contains(text, []byte("note for north")) {
		t.Fatalf("%v %s", err, text)
	}
}

// Only TLS 1.3, only certificates of this program's authority.
func TestHandshakes(t *testing.T) {
	h := start(t, sqldbtest.Lite(t, open))
	n := h.enrol(t, "north")
	other := start(t, sqldbtest.Lite(t, open))
	foreign := other.enrol(t, "north")
	addr := strings.TrimPrefix(h.url, "https://")
	try := func(c *tls.Config) error {
		d := tls.Dialer{Config: c, NetDialer: &net.Dialer{Timeout: 5 * time.Second}}
		conn, err := d.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		// In TLS 1.3 the server judges the certificate after the client is done.
		_, err = fmt.Fprintf(conn, "GET /v1/changes HTTP/1.1\r\nHost: x\r\n\r\n")
		if err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 1))
		return err
	}
	pair := func(n *node) *tls.Config {
		c := certs.ClientConfig(h.ca.Certificate(), func() *tls.Certificate {
			return &tls.Certificate{Certificate: [][]byte{n.cert.Raw}, PrivateKey: n.key}
		})
		c.NextProtos = []string{"http/1.1"}
		return c
	}
	old := pair(n)
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	wrongHost := certs.EnrolConfig("127.0.0.2", h.ca.Pin())
	for name, c := range map[string]struct {
		config *tls.Config
		ok     bool
	}{
		"good":                {pair(n), true},
		"TLS 1.2":             {old, false},
		"foreign certificate": {pair(foreign), false},
		"pinned":              {certs.EnrolConfig("127.0.0.1", h.ca.Pin()), true},
		"wrong pin":           {certs.EnrolConfig("127.0.0.1", other.ca.Pin()), false},
		"wrong host":          {wrongHost, false},
		"foreign authority":   {certs.ClientConfig(other.ca.Certificate(), func() *tls.Certificate { return nil }), false},
	} {
		err := try(c.config)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
