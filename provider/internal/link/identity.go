package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"ecs/contract"
	"ecs/internal/certs"
	"ecs/internal/secret"

	"golang.org/x/mod/sumdb/note"
)

// Identity is who this node is to the hub: a key that was made here and never
// leaves, and a short-lived certificate. It is kept in two files of a folder.
type Identity struct {
	dir      string
	hub      string
	node     string
	key      *ecdsa.PrivateKey
	enrolled contract.Enrolled
	verifier note.Verifier
	ca       *x509.Certificate
	cert     atomic.Pointer[tls.Certificate]
}

const (
	keyFile      = "node.key"
	identityFile = "identity.json"
)

type savedIdentity struct {
	Hub      string            `json:"hub"`
	Node     string            `json:"node"`
	Enrolled contract.Enrolled `json:"enrolled"`
}

// ErrNotEnrolled says that the folder holds no identity yet.
var ErrNotEnrolled = errors.New("link: this node is not enrolled: run «ecs provider enroll» with the one-time token from the program office")

// Enroll makes a key, asks the hub for a certificate with a one-time token, and
// keeps both in dir. Pin is "sha256:" and the hexadecimal digest of the
// program's authority certificate; it comes with the token, by another way than
// the network, and is what makes the hub at hubURL the right one.
func Enroll(ctx context.Context, dir, hubURL, node, token, pin string) (*Identity, error) {
	at, err := url.Parse(hubURL)
	if err != nil || at.Scheme != "https" || at.Host == "" {
		return nil, fmt.Errorf("link: enroll: %q is not the https address of a hub", hubURL)
	}
	key, err := nodeKey(dir)
	if err != nil {
		return nil, err
	}
	csr, err := certs.Request(key, node)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: certs.EnrolConfig(at.Hostname(), pin), TLSHandshakeTimeout: 10 * time.Second,
	}}
	defer client.CloseIdleConnections()
	h := &hub{base: strings.TrimSuffix(hubURL, "/"), http: client}
	answer, err := h.enrol(ctx, "/v1/enrol", contract.Enrolment{Token: token, CSR: csr})
	if err != nil {
		return nil, fmt.Errorf("link: enroll: %w", err)
	}
	if certs.Pin(answer.Authority) != pin {
		return nil, errors.New("link: enroll: the hub answered with another authority than the one pinned")
	}
	id := &Identity{dir: dir, hub: h.base, node: node, key: key}
	err = id.adopt(*answer)
	if err != nil {
		return nil, err
	}
	return id, id.save()
}

// LoadIdentity reads what [Enroll] kept.
func LoadIdentity(dir string) (*Identity, error) {
	data, err := os.ReadFile(filepath.Join(dir, identityFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNotEnrolled
	}
	if err != nil {
		return nil, err
	}
	var s savedIdentity
	err = json.Unmarshal(data, &s)
	if err != nil {
		return nil, fmt.Errorf("link: %s: %w", identityFile, err)
	}
	key, err := nodeKey(dir)
	if err != nil {
		return nil, err
	}
	id := &Identity{dir: dir, hub: s.Hub, node: s.Node, key: key}
	return id, id.adopt(s.Enrolled)
}

// Provider gives the provider's short name.
func (id *Identity) Provider() string { return id.enrolled.Provider }

// Hub gives the hub's address, as it was enrolled with.
func (id *Identity) Hub() string { return id.hub }

// Services gives what the provider was accredited for when the certificate was
// last issued.
func (id *Identity) Services() contract.Services { return id.enrolled.Services }

// NotAfter gives the end of the certificate.
func (id *Identity) NotAfter() time.Time { return id.cert.Load().Leaf.NotAfter }

func (id *Identity) adopt(e contract.Enrolled) error {
	if len(e.Certificate) == 0 {
		return errors.New("link: the hub gave no certificate")
	}
	leaf, err := x509.ParseCertificate(e.Certificate[0])
	if err != nil {
		return fmt.Errorf("link: certificate: %w", err)
	}
	if !id.key.PublicKey.Equal(leaf.PublicKey) {
		return errors.New("link: the certificate is for another key")
	}
	id.ca, err = x509.ParseCertificate(e.Authority)
	if err != nil {
		return fmt.Errorf("link: authority: %w", err)
	}
	id.verifier, err = note.NewVerifier(e.Verifier)
	if err != nil {
		return fmt.Errorf("link: the program's verifier key: %w", err)
	}
	id.enrolled = e
	id.cert.Store(&tls.Certificate{Certificate: e.Certificate, PrivateKey: id.key, Leaf: leaf})
	return nil
}

func (id *Identity) save() error {
	data, err := json.MarshalIndent(savedIdentity{Hub: id.hub, Node: id.node, Enrolled: id.enrolled}, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(id.dir, identityFile), data)
}

// due reports whether two thirds of the certificate's life have passed.
func (id *Identity) due(now time.Time) bool {
	leaf := id.cert.Load().Leaf
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	return now.After(leaf.NotAfter.Add(-life / 3))
}

// renew asks for a new certificate for the same key. The authority and the
// verifier stay those of the enrolment: a renewal cannot change whom we trust.
func (id *Identity) renew(ctx context.Context, h *hub) error {
	csr, err := certs.Request(id.key, id.node)
	if err != nil {
		return err
	}
	answer, err := h.enrol(ctx, "/v1/renew", contract.Enrolment{CSR: csr})
	if err != nil {
		return err
	}
	next := id.enrolled
	next.Certificate, next.Services = answer.Certificate, answer.Services
	err = id.adopt(next)
	if err != nil {
		return err
	}
	return id.save()
}

// client gives an HTTP client that shows the newest certificate and trusts the
// program's authority alone.
func (id *Identity) client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:     certs.ClientConfig(id.ca, id.cert.Load),
		TLSHandshakeTimeout: 10 * time.Second, IdleConnTimeout: 90 * time.Second,
		MaxIdleConnsPerHost: 4, ForceAttemptHTTP2: true,
	}}
}

// sign makes the receipt's signed form.
func (id *Identity) sign(a contract.Ack) (contract.SignedAck, error) {
	body, err := json.Marshal(a)
	if err != nil {
		return contract.SignedAck{}, err
	}
	sig, err := certs.Sign(id.key, contract.AckContext, body)
	return contract.SignedAck{Body: body, Signature: sig}, err
}

func nodeKey(dir string) (*ecdsa.PrivateKey, error) {
	pem, err := secret.Load(dir, keyFile, func() ([]byte, error) {
		key, err := certs.NewKey()
		if err != nil {
			return nil, err
		}
		return certs.MarshalKey(key)
	})
	if err != nil {
		return nil, err
	}
	return certs.ParseKey(pem)
}

// writeFile replaces a file whole, readable by its owner alone.
func writeFile(path string, data []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
