package collect

import (
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb/sqldbtest"
)

// Each of these servers ends in an error that says what is wrong, nothing becomes a
// delivery, and the feed goes on later.
func TestHostileServers(t *testing.T) {
	elsewhere := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("the password went to another host")
		}
		_, _ = io.WriteString(w, "value\na.example\n")
	}))
	gzipped := func(w http.ResponseWriter, n int) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.Copy(z, io.LimitReader(zeros{}, int64(n)))
		_ = z.Close()
	}
	torn := func(w http.ResponseWriter, head string) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"\r\n\r\nvalue\na.example\n")
		_ = c.Close()
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"too long":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, zeros{}, 5000) }, "longer than 4000 bytes"},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) { gzipped(w, 50<<20) }, "longer than 4000 bytes"},
		"silent": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "value\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, "sends nothing any more"},
		"breaks off by length":   {func(w http.ResponseWriter, _ *http.Request) { torn(w, "Content-Length: 4000") }, "breaks off"},
		"breaks off in a chunk":  {func(w http.ResponseWriter, _ *http.Request) { torn(w, "Transfer-Encoding: chunked") }, "breaks off"},
		"another host":           {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) }, "redirects to another place"},
		"round and round":        {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "redirects again and again"},
		"nobody":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, "check user, password_file"},
		"gone":                   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }, "is the address right"},
		"broken":                 {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "tried again later"},
		"304 without a question": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, "304 to a question without conditions"},
		"huge header":            {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 100_000)) }, "response headers"},
		"no HTTP":                {func(w http.ResponseWriter, _ *http.Request) { torn(w, "\x00") }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			db, d := sqldbtest.Lite(t, openStore), newDesk()
			secret := filepath.Join(t.TempDir(), "password")
			must(t, os.WriteFile(secret, []byte("hunter2\n"), 0o600))
			f := Feed{Source: "one", Name: "x", Kind: HTTP, URL: serve(t, c.serve) + "/list?key=confidential", Format: "csv", MaxBytes: 4000, User: "u", PasswordFile: secret}
			co := newCollector(t, db, d, f)
			quiet(t, 200*time.Millisecond)
			_, err := co.Poll(t.Context(), "one", "x")
			has(t, err, c.want)
			st := stateOf(t, co)
			if !strings.Contains(st.LastError, c.want) || st.Failures != 1 || len(d.names()) != 0 || !st.NextTry.After(time.Now()) || !st.LastOK.IsZero() {
				t.Errorf("%+v, deliveries %q", st, d.names())
			}
			for _, word := range []string{"hunter2", "confidential"} {
				if strings.Contains(st.LastError+err.Error(), word) {
					t.Errorf("the error tells a secret: %v", err)
				}
			}
		})
	}
}

// quiet makes the wait for silent servers short.
func quiet(t *testing.T, d time.Duration) {
	was := silence
	silence = d
	t.Cleanup(func() { silence = was })
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A server that is alive but slow is waited for.
func TestSlowServer(t *testing.T) {
	quiet(t, 300*time.Millisecond)
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "value\n")
		for n := range 8 {
			time.Sleep(100 * time.Millisecond)
			_, _ = fmt.Fprintf(w, "n%d.example\n", n)
			_ = http.NewResponseController(w).Flush()
		}
	})
	d := newDesk()
	_, err := newCollector(t, sqldbtest.Lite(t, openStore), d, Feed{Source: "one", Name: "x", Kind: HTTP, URL: serve(t, h) + "/list.csv", Format: "csv"}).Poll(t.Context(), "one", "x")
	must(t, err)
	if !strings.HasSuffix(d.body["x list.csv"], "n7.example\n") {
		t.Errorf("%q", d.body)
	}
}

// An answer whose end is the end of the connection may have been cut: its ETag is
// not believed.
func TestEndByConnection(t *testing.T) {
	asked := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.Header.Get("If-None-Match") != "" {
			t.Error("asked with the ETag of an answer that may have been cut")
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nEtag: \"1\"\r\n\r\nvalue\na.example\n")
			_ = c.Close()
		}
	})
	c := newCollector(t, sqldbtest.Lite(t, openStore), newDesk(), Feed{Source: "one", Name: "x", Kind: HTTP, URL: serve(t, h) + "/l", Format: "csv"})
	for range 2 {
		_, err := c.Poll(t.Context(), "one", "x")
		must(t, err)
	}
	if asked != 2 {
		t.Errorf("asked %d times", asked)
	}
}

// How long a server asks to wait is waited, a day at most.
func TestAskedToWait(t *testing.T) {
	for value, want := range map[string]time.Duration{"7200": 2 * time.Hour, "999999999": 24 * time.Hour, "1": 30 * time.Second} {
		busy := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		})
		for _, f := range []Feed{{Kind: HTTP, Format: "csv"}, {Kind: MISP}, {Kind: TAXII, Collection: "x"}} {
			if f.Kind == TAXII && value == "1" {
				continue // that it waits by itself is tested in package taxii
			}
			f.Source, f.Name, f.URL = "one", "x", serve(t, busy)
			c := newCollector(t, sqldbtest.Lite(t, openStore), newDesk(), f)
			_, err := c.Poll(t.Context(), "one", "x")
			has(t, err, "Too Many Requests")
			wait := time.Until(stateOf(t, c).NextTry)
			if wait < want*7/10 || wait > want*13/10 {
				t.Errorf("%s asks for %s s, waits %s", f.Kind, value, wait)
			}
		}
	}
}

// A manifest that cannot be read, or names a file of the server's choice, is an error
// of the feed; that each hostile one is found is tested in hub/internal/format/misp.
func TestManifest(t *testing.T) {
	for text, want := range map[string]string{
		`nothing`: "manifest.json", `{"../../etc/passwd":{"timestamp":"1"}}`: "no UUID", `{"` + eventA + `":{"timestamp":"soon"}}`: "no time", `{`: "unexpected EOF",
	} {
		asked := 0
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			_, _ = io.WriteString(w, text)
		})
		c := newCollector(t, sqldbtest.Lite(t, openStore), newDesk(), Feed{Source: "one", Name: "x", Kind: MISP, URL: serve(t, h)})
		_, err := c.Poll(t.Context(), "one", "x")
		has(t, err, want)
		if asked != 1 || stateOf(t, c).Failures != 1 {
			t.Errorf("%s: asked %d times, %+v", text, asked, stateOf(t, c))
		}
	}
}

// One bad event does not hold up the others; a source that may not deliver stops all.
func TestFailedEvents(t *testing.T) {
	var list []string
	for n := range 30 {
		list = append(list, fmt.Sprintf(`"%08x-0000-4000-8000-000000000000":{"timestamp":17000000%02d}`, n, n))
	}
	asked := 0
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/manifest.json") {
			_, _ = io.WriteString(w, "{"+strings.Join(list, ",")+"}")
			return
		}
		asked++
		_, _ = io.WriteString(w, r.URL.Path)
	})
	for _, c := range []struct {
		code  string
		bad   int
		want  string
		asked int
		fails int64
	}{
		{intake.CodeFormat, 3, "3 of 30 new events could not be taken", 30, 0},
		{intake.CodeFormat, 30, "21 of 21 new events could not be taken", 21, 1},
		{intake.CodeLapsed, 3, "ended", 1, 1},
	} {
		asked = 0
		d := newDesk()
		left := c.bad
		d.fails = func(intake.Delivery, []byte) error {
			left--
			if left >= 0 {
				return &intake.Refused{Code: c.code, Reason: "its authority ended"}
			}
			return nil
		}
		co := newCollector(t, sqldbtest.Lite(t, openStore), d, Feed{Source: "one", Name: "x", Kind: MISP, URL: serve(t, h)})
		_, err := co.Poll(t.Context(), "one", "x")
		has(t, err, c.want)
		if st := stateOf(t, co); asked != c.asked || st.Failures != c.fails || st.LastError == "" {
			t.Errorf("%s, %d bad: asked %d times, %+v", c.code, c.bad, asked, st)
		}
		left = 0
		for range 2 {
			_, err = co.Poll(t.Context(), "one", "x")
			must(t, err)
		}
		if len(d.names()) != 30 {
			t.Errorf("%s, %d bad: %d events at the end", c.code, c.bad, len(d.names()))
		}
	}
}

// keys writes a certificate authority, a server's and a hub's certificate.
func keys(t *testing.T) (server tls.Certificate, ca *x509.CertPool, caFile, certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	about := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, about, about, &caKey.PublicKey, caKey)
	must(t, err)
	root, err := x509.ParseCertificate(der)
	must(t, err)
	ca = x509.NewCertPool()
	ca.AddCert(root)
	write := func(name, typ string, b []byte) string {
		p := filepath.Join(dir, name)
		must(t, os.WriteFile(p, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: b}), 0o600))
		return p
	}
	caFile = write("ca.pem", "CERTIFICATE", der)
	issue := func(name string, n int64) (cert, key string) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		must(t, err)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, &k.PublicKey, caKey)
		must(t, err)
		pk, err := x509.MarshalPKCS8PrivateKey(k)
		must(t, err)
		return write(name+".pem", "CERTIFICATE", der), write(name+".key", "PRIVATE KEY", pk)
	}
	cert, key := issue("server", 2)
	server, err = tls.LoadX509KeyPair(cert, key)
	must(t, err)
	certFile, keyFile = issue("hub", 3)
	return server, ca, caFile, certFile, keyFile
}

// Certificates, versions of TLS and secrets (elastic 11867: client certificates and
// the slash).
func TestTrust(t *testing.T) {
	server, ca, caFile, certFile, keyFile := keys(t)
	l := &library{}
	l.add(1)
	var said string
	start := func(most uint16) string {
		plain := serveLibrary(t, l, 10, nil)
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			said = r.Header.Get("Authorization")
			if !strings.HasSuffix(r.URL.Path, "/") {
				http.NotFound(w, r)
				return
			}
			resp, err := http.Get(plain.URL[:strings.Index(plain.URL, "/taxii2")] + r.URL.RequestURI())
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = resp.Body.Close() }()
			w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
			_, _ = io.Copy(w, resp.Body)
		}))
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
		s.TLS = &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca, MaxVersion: most}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s.URL + "/taxii2/api"
	}
	new13, old12 := start(tls.VersionTLS13), start(tls.VersionTLS12)
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		must(t, os.WriteFile(p, []byte(text), mode))
		return p
	}
	password, public, empty := file("password", "pw\n", 0o600), file("public", "pw\n", 0o644), file("empty", "\n", 0o600)
	t.Setenv("ECS_TEST_TOKEN", "tok")
	for _, c := range []struct {
		name   string
		change func(*Feed)
		want   string // in the error; empty for none
		said   string // Authorization
	}{
		{"certificate", func(*Feed) {}, "", ""},
		{"no certificate", func(f *Feed) { f.CertFile, f.KeyFile = "", "" }, "certificate required", ""},
		{"unknown authority", func(f *Feed) { f.CAFile = "" }, "unknown authority", ""},
		{"TLS 1.2 is not wanted", func(f *Feed) { f.URL = old12 }, "protocol version", ""},
		{"TLS 1.2 is permitted", func(f *Feed) { f.URL, f.TLS12 = old12, true }, "", ""},
		{"password", func(f *Feed) { f.User, f.PasswordFile = "u", password }, "", "Basic dTpwdw=="},
		{"token from the environment", func(f *Feed) { f.TokenFile = "env:ECS_TEST_TOKEN" }, "", "Bearer tok"},
		{"a file that others read", func(f *Feed) { f.User, f.PasswordFile = "u", public }, "may be read by others", ""},
		{"an empty file", func(f *Feed) { f.User, f.PasswordFile = "u", empty }, "is empty", ""},
		{"no file", func(f *Feed) { f.TokenFile = filepath.Join(dir, "none") }, "no such file", ""},
		{"not in the environment", func(f *Feed) { f.TokenFile = "env:ECS_TEST_NONE" }, "has no ECS_TEST_NONE", ""},
		{"no authority file", func(f *Feed) { f.CAFile = filepath.Join(dir, "none") }, "ca_file", ""},
		{"no certificate in it", func(f *Feed) { f.CAFile = password }, "holds no certificate", ""},
		{"no key", func(f *Feed) { f.KeyFile = password }, "cert_file", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			said = ""
			f := Feed{Source: "one", Name: "x", Kind: TAXII, URL: new13, Collection: shelf, CAFile: caFile, CertFile: certFile, KeyFile: keyFile}
			c.change(&f)
			co := newCollector(t, sqldbtest.Lite(t, openStore), newDesk(), f)
			got, err := co.Poll(t.Context(), "one", "x")
			if c.want != "" {
				has(t, err, c.want)
				if st := stateOf(t, co); !strings.Contains(st.LastError, c.want) || st.Failures != 1 {
					t.Errorf("%+v", st)
				}
				return
			}
			if err != nil || got.Deliveries != 1 || said != c.said {
				t.Errorf("%+v, %v, said %q", got, err, said)
			}
		})
	}
}

func TestBackOff(t *testing.T) {
	last := time.Duration(0)
	for n := int64(1); n < 200; n++ {
		got := backOff(n, 10*time.Minute)
		if got < 24*time.Second || got > 72*time.Minute {
			t.Fatalf("after %d failures %v", n, got)
		}
		if n <= 6 && got < last {
			t.Errorf("after %d failures %v, before %v", n, got, last)
		}
		last = got
	}
	if got := backOff(100, 24*time.Hour); got < 19*time.Hour {
		t.Errorf("of a daily feed: %v", got)
	}
	if asked(errors.New("x")) != 0 {
		t.Error("an error of its own asks to wait")
	}
}
