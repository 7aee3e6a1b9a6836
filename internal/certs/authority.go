// Package certs makes and checks the certificates between hub and providers: a
// small authority of the program's own, the hub's server certificate and the
// nodes' short-lived client certificates, all ECDSA P-256, and the TLS 1.3
// configurations that go with them.
//
// It keeps no list of what was issued or revoked; hub/internal/program does,
// and the door asks it at each request. So a node whose certificate was revoked
// is told so in words instead of by a broken handshake.
//
// Invariants: the authority signs only names that it builds itself, nothing
// that a request asks for but its public key; private keys of nodes never
// reach it.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ecs/internal/secret"
)

// Lives of certificates. A certificate begins a little before its moment, for
// clocks that are slow.
const (
	AuthorityLife = 10 * 365 * 24 * time.Hour
	ServerLife    = 90 * 24 * time.Hour
	NodeLife      = 24 * time.Hour // default
	backdate      = 5 * time.Minute
)

// Authority is the program's certificate authority.
type Authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	// Now is the clock; time.Now unless a test sets it.
	Now func() time.Time
}

// OpenAuthority reads the authority from dir (files authority.key and
// authority.pem), or makes it the first time. The key may also come as systemd's
// credential "authority.key".
func OpenAuthority(dir, program string) (*Authority, error) {
	text, err := secret.Load(dir, "authority.key", func() ([]byte, error) {
		key, err := NewKey()
		if err != nil {
			return nil, err
		}
		return MarshalKey(key)
	})
	if err != nil {
		return nil, fmt.Errorf("certs: authority: %w", err)
	}
	key, err := ParseKey(text)
	if err != nil {
		return nil, fmt.Errorf("certs: authority.key: %w", err)
	}
	a := &Authority{key: key, Now: time.Now}
	path := filepath.Join(dir, "authority.pem")
	text, err = os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.begin(path, program)
	}
	if err != nil {
		return nil, fmt.Errorf("certs: authority: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("certs: %s holds no certificate: restore it from its backup", path)
	}
	a.cert, err = x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certs: %s: %w", path, err)
	}
	if !key.PublicKey.Equal(a.cert.PublicKey) {
		return nil, fmt.Errorf("certs: %s does not belong to authority.key: restore both from one backup", path)
	}
	return a, nil
}

func (a *Authority) begin(path, program string) error {
	now := a.Now()
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{Organization: []string{program}, CommonName: program + " certificate authority"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(AuthorityLife),
		IsCA:                  true,
		BasicConstraintsValid: true,
		MaxPathLenZero:        true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key)
	if err != nil {
		return fmt.Errorf("certs: authority: %w", err)
	}
	a.cert, err = x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("certs: authority: %w", err)
	}
	return secret.Create(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// Certificate gives the authority's certificate.
func (a *Authority) Certificate() *x509.Certificate { return a.cert }

// Pin gives the authority's pin, see [Pin].
func (a *Authority) Pin() string { return Pin(a.cert.Raw) }

// Pin names a certificate by its SHA-256: "sha256:" and 64 hexadecimal digits.
// An operator carries it to a new node along with the one-time token.
func Pin(der []byte) string {
	h := sha256.Sum256(der)
	return "sha256:" + hex.EncodeToString(h[:])
}

// Issued is a certificate just made for a node.
type Issued struct {
	Serial   string // hexadecimal
	Node     string // the node's name
	DER      []byte
	NotAfter time.Time
}

// ErrRequest says that a certificate request cannot be honored.
var ErrRequest = errors.New("certs: bad certificate request")

// Requested is what a certificate request may ask for.
type Requested struct {
	Node      string // its common name
	PublicKey []byte // DER, SubjectPublicKeyInfo
	key       *ecdsa.PublicKey
}

// CheckRequest reads a PKCS #10 request, whose signature proves that the sender
// has the key. It fails with [ErrRequest].
func CheckRequest(csr []byte) (*Requested, error) {
	if len(csr) > 16<<10 {
		return nil, fmt.Errorf("%w: more than 16 KiB", ErrRequest)
	}
	r, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	err = r.CheckSignature()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	key, ok := r.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%w: want an ECDSA key on P-256", ErrRequest)
	}
	if !Name(r.Subject.CommonName) {
		return nil, fmt.Errorf("%w: the common name must be the node's name, 1 to 63 of a-z, 0-9 and dash", ErrRequest)
	}
	return &Requested{Node: r.Subject.CommonName, PublicKey: r.RawSubjectPublicKeyInfo, key: key}, nil
}

// IssueNode makes a client certificate for the key of a PKCS #10 request. Of
// the request it takes the key and, as the node's name, the common name; the
// provider is what the caller knows it to be.
func (a *Authority) IssueNode(csr []byte, provider string, life time.Duration) (*Issued, error) {
	r, err := CheckRequest(csr)
	if err != nil {
		return nil, err
	}
	node, key := r.Node, r.key
	if !Name(provider) {
		return nil, fmt.Errorf("%w: provider %q is not a short name", ErrRequest, provider)
	}
	now := a.Now()
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{Organization: []string{provider}, CommonName: node},
		URIs:         []*url.URL{identityURI(provider, node)},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("certs: issue: %w", err)
	}
	return &Issued{Serial: Serial(t.SerialNumber), Node: node, DER: der, NotAfter: t.NotAfter.Truncate(time.Second).UTC()}, nil
}

func (a *Authority) issueServer(key *ecdsa.PrivateKey, names []string) ([]byte, time.Time, error) {
	now := a.Now()
	t := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "ecs hub"},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(ServerLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		ip := net.ParseIP(n)
		if ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("certs: server certificate: %w", err)
	}
	return der, t.NotAfter, nil
}

// Name reports whether s is a short name, of a provider or a node: 1 to 63 of
// a-z, 0-9 and dash, no dash at either end.
func Name(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		s[0] != '-' && s[len(s)-1] != '-'
}

// Serial gives a serial number as it is stored and shown.
func Serial(n *big.Int) string { return hex.EncodeToString(n.Bytes()) }

// serial is random, positive and below 128 bits.
func serial() *big.Int {
	var b [16]byte
	_, _ = rand.Read(b[:])
	b[0] = b[0]&0x3f | 0x40 // never zero, never shorter
	return new(big.Int).SetBytes(b[:])
}
