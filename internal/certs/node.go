package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Identity is who a client certificate says its holder is.
type Identity struct {
	Provider string // short name
	Node     string // the node's name
	Serial   string // hexadecimal, see [Serial]
}

// identityURI is the subject alternative name ecs:provider/NAME/node/NAME.
func identityURI(provider, node string) *url.URL {
	return &url.URL{Scheme: "ecs", Opaque: "provider/" + provider + "/node/" + node}
}

// IdentityOf reads a client certificate that the authority has signed.
func IdentityOf(c *x509.Certificate) (Identity, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "ecs" {
		return Identity{}, errors.New("certs: the certificate is not a node's")
	}
	f := strings.Split(c.URIs[0].Opaque, "/")
	if len(f) != 4 || f[0] != "provider" || f[2] != "node" || !Name(f[1]) || !Name(f[3]) {
		return Identity{}, errors.New("certs: the certificate is not a node's")
	}
	return Identity{Provider: f[1], Node: f[3], Serial: Serial(c.SerialNumber)}, nil
}

// NewKey makes a private key.
func NewKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: key: %w", err)
	}
	return key, nil
}

// MarshalKey gives a key in PEM (PKCS #8).
func MarshalKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("certs: key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// ParseKey reads what MarshalKey wrote.
func ParseKey(text []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM block with a private key: restore the file from its backup")
	}
	k, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certs: key: %w", err)
	}
	key, ok := k.(*ecdsa.PrivateKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, errors.New("certs: the key is not ECDSA on P-256")
	}
	return key, nil
}

// Request makes the PKCS #10 request (DER) with which a node asks for its
// certificate.
func Request(key *ecdsa.PrivateKey, node string) ([]byte, error) {
	if !Name(node) {
		return nil, fmt.Errorf("certs: node name %q: use 1 to 63 of a-z, 0-9 and dash", node)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: node}}, key)
	if err != nil {
		return nil, fmt.Errorf("certs: request: %w", err)
	}
	return der, nil
}

// Sign signs SHA-256(context, body) with ECDSA, in ASN.1. The context keeps a
// signature of one kind from passing for another, see contract.AckContext.
func Sign(key *ecdsa.PrivateKey, context string, body []byte) ([]byte, error) {
	sum := digest(context, body)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		return nil, fmt.Errorf("certs: sign: %w", err)
	}
	return sig, nil
}

// Verify reports whether the signature was made with the certificate's key.
func Verify(c *x509.Certificate, context string, body, signature []byte) bool {
	key, ok := c.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return false
	}
	sum := digest(context, body)
	return ecdsa.VerifyASN1(key, sum[:], signature)
}

func digest(context string, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write([]byte(context))
	h.Write(body)
	h.Sum(sum[:0])
	return sum
}
