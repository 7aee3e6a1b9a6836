package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func authority(t testing.TB) *Authority {
	t.Helper()
	a, err := OpenAuthority(t.TempDir(), "test program")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAuthorityIsKept(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenAuthority(dir, "one")
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenAuthority(dir, "two")
	if err != nil {
		t.Fatal(err)
	}
	if a.Pin() != b.Pin() || !strings.HasPrefix(a.Pin(), "sha256:") || len(a.Pin()) != 7+64 {
		t.Fatalf("pins %s and %s", a.Pin(), b.Pin())
	}
	c := a.Certificate()
	if !c.IsCA || !c.MaxPathLenZero || c.NotAfter.Sub(c.NotBefore) < AuthorityLife || c.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign {
		t.Fatalf("%+v", c)
	}
	info, err := os.Stat(filepath.Join(dir, "authority.key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	other, err := OpenAuthority(t.TempDir(), "three")
	if err != nil {
		t.Fatal(err)
	}
	key, err := MarshalKey(other.key)
	if err != nil {
		t.Fatal(err)
	}
	err = os.WriteFile(filepath.Join(dir, "authority.key"), key, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenAuthority(dir, "one")
	if err == nil {
		t.Fatal("a key and a certificate that do not fit were taken")
	}
}

// Of a request only the key and the node's name count.
func TestIssueIgnoresWhatARequestWants(t *testing.T) {
	a := authority(t)
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "node-1", Organization: []string{"other"}, OrganizationalUnit: []string{"x"}},
		DNSNames: []string{"hub.example"},
		URIs:     []*url.URL{identityURI("other", "node-9")},
	}, key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.IssueNode(csr, "north", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(made.DER)
	if err != nil {
		t.Fatal(err)
	}
	id, err := IdentityOf(c)
	want := Identity{Provider: "north", Node: "node-1", Serial: made.Serial}
	if err != nil || id != want {
		t.Fatalf("%+v, %v", id, err)
	}
	if len(c.DNSNames) != 0 || len(c.URIs) != 1 || c.URIs[0].String() != "ecs:provider/north/node/node-1" ||
		c.Subject.String() != "CN=node-1,O=north" || c.IsCA || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
		t.Fatalf("%+v", c)
	}
	if !made.NotAfter.Equal(c.NotAfter) || c.SerialNumber.BitLen() < 120 {
		t.Fatalf("ends %v and %v, serial %s", made.NotAfter, c.NotAfter, made.Serial)
	}
}

func TestRequestsRefused(t *testing.T) {
	a := authority(t)
	good, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	make384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	makeRSA, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	csr := func(key any, name string) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	forged := csr(good, "node-1")
	forged[len(forged)-2] ^= 1
	for name, der := range map[string][]byte{
		"empty": nil, "noise": []byte("x"), "huge": make([]byte, 20<<10), "P-384": csr(make384, "node-1"), "RSA": csr(makeRSA, "node-1"),
		"no name": csr(good, ""), "capital": csr(good, "Node"), "slash": csr(good, "a/b"), "dash first": csr(good, "-a"),
		"long": csr(good, strings.Repeat("a", 64)), "forged": forged,
	} {
		_, err := a.IssueNode(der, "north", time.Hour)
		if !errors.Is(err, ErrRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err = a.IssueNode(csr(good, "node-1"), "No/rth", time.Hour)
	if !errors.Is(err, ErrRequest) {
		t.Errorf("provider: %v", err)
	}
	_, err = Request(good, "Node 1")
	if err == nil {
		t.Error("a bad name was requested")
	}
}

func TestServerRenews(t *testing.T) {
	a := authority(t)
	now := time.Now()
	a.Now = func() time.Time { return now }
	s, err := NewServer(a, []string{"localhost", "127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	leaf := func() *x509.Certificate {
		c, err := s.Config().GetCertificate(&tls.ClientHelloInfo{})
		if err != nil {
			t.Fatal(err)
		}
		x, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	first := leaf()
	for _, n := range []string{"localhost", "127.0.0.1", "[::1]"} {
		err = first.VerifyHostname(n)
		if err != nil {
			t.Error(err)
		}
	}
	now = now.Add(59 * 24 * time.Hour)
	err = s.renewIfDue()
	if err != nil || !leaf().Equal(first) {
		t.Fatalf("renewed too early, %v", err)
	}
	now = now.Add(2 * 24 * time.Hour)
	err = s.renewIfDue()
	if err != nil || leaf().Equal(first) || leaf().NotAfter.Before(now.Add(89*24*time.Hour)) {
		t.Fatalf("not renewed, %v", err)
	}
	_, err = NewServer(a, nil)
	if err == nil {
		t.Fatal("a server without a name")
	}
}

// A server's certificate is not a node's, and the other way around.
func TestUsagesAreApart(t *testing.T) {
	a := authority(t)
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate())
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	der, _, err := a.issueServer(key, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	server, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	err = verifyNode(server, roots, time.Now())
	if err == nil {
		t.Fatal("a server's certificate passed for a node's")
	}
	csr, err := Request(key, "node-1")
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.IssueNode(csr, "north", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	node, err := x509.ParseCertificate(made.DER)
	if err != nil {
		t.Fatal(err)
	}
	_, err = node.Verify(x509.VerifyOptions{Roots: roots})
	if err == nil {
		t.Fatal("a node's certificate passed for a server's")
	}
	for name, at := range map[string]time.Time{"now": time.Now(), "after its end": time.Now().Add(100 * time.Hour)} {
		err = verifyNode(node, roots, at)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	err = verifyNode(node, roots, time.Now().Add(-time.Hour))
	if err == nil {
		t.Error("a certificate was good before it began")
	}
}

func TestSign(t *testing.T) {
	a := authority(t)
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	csr, err := Request(key, "node-1")
	if err != nil {
		t.Fatal(err)
	}
	made, err := a.IssueNode(csr, "north", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(made.DER)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := Sign(key, "ctx\n", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if !Verify(c, "ctx\n", []byte("body"), sig) {
		t.Fatal("a good signature fails")
	}
	if Verify(c, "other\n", []byte("body"), sig) || Verify(c, "ctx\n", []byte("body2"), sig) || Verify(c, "ctx\n", []byte("body"), sig[1:]) ||
		Verify(a.Certificate(), "ctx\n", []byte("body"), sig) {
		t.Fatal("a bad signature passes")
	}
}

func TestKeyRoundTrip(t *testing.T) {
	key, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := MarshalKey(key)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(text)
	if err != nil || !again.Equal(key) {
		t.Fatal(err)
	}
	_, err = ParseKey([]byte("x"))
	if err == nil {
		t.Fatal("noise is a key")
	}
}

func FuzzCheckRequest(f *testing.F) {
	key, err := NewKey()
	if err != nil {
		f.Fatal(err)
	}
	csr, err := Request(key, "node-1")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(csr)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, der []byte) {
		r, err := CheckRequest(der)
		if err == nil && (!Name(r.Node) || len(r.PublicKey) == 0) {
			t.Fatalf("accepted %+v", r)
		}
		if err != nil && !errors.Is(err, ErrRequest) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
