package certs

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Server holds the hub's server certificate and exchanges it before it ends,
// while connections go on.
type Server struct {
	authority *Authority
	names     []string
	now       atomic.Pointer[tls.Certificate]
	renew     atomic.Int64 // Unix seconds
}

// NewServer makes the certificate for these host names and addresses.
func NewServer(a *Authority, names []string) (*Server, error) {
	if len(names) == 0 {
		return nil, errors.New("certs: the server certificate needs at least one name or address under which nodes reach the hub")
	}
	s := &Server{authority: a, names: names}
	return s, s.issue()
}

func (s *Server) issue() error {
	key, err := NewKey()
	if err != nil {
		return err
	}
	der, end, err := s.authority.issueServer(key, s.names)
	if err != nil {
		return err
	}
	s.now.Store(&tls.Certificate{Certificate: [][]byte{der, s.authority.cert.Raw}, PrivateKey: key})
	s.renew.Store(end.Add(-ServerLife / 3).Unix())
	return nil
}

// Run renews the certificate when two thirds of its life are over.
func (s *Server) Run(ctx context.Context) error {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			err := s.renewIfDue()
			if err != nil {
				slog.Error("server certificate not renewed", slog.Any("error", err))
			}
		}
	}
}

func (s *Server) renewIfDue() error {
	if s.authority.Now().Unix() < s.renew.Load() {
		return nil
	}
	return s.issue()
}

// Config is for the door's listener: TLS 1.3; a client certificate is checked
// when there is one, and the handler decides what needs one.
//
// A certificate that was good but has ended passes the handshake, so that a node
// that slept for a week can renew by itself: the handler must look at its end.
func (s *Server) Config() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(s.authority.cert)
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.now.Load(), nil },
		ClientAuth:     tls.RequestClientCert,
		ClientCAs:      roots, // names the authority to the client
		VerifyConnection: func(c tls.ConnectionState) error {
			if len(c.PeerCertificates) == 0 {
				return nil
			}
			return verifyNode(c.PeerCertificates[0], roots, s.authority.Now())
		},
	}
}

func verifyNode(c *x509.Certificate, roots *x509.CertPool, now time.Time) error {
	at := now
	if at.After(c.NotAfter) {
		at = c.NotAfter
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return fmt.Errorf("certs: client certificate: %w", err)
	}
	_, err = IdentityOf(c)
	return err
}

// ClientConfig is for a node: TLS 1.3, only servers whose certificate the
// program's authority has signed, and the certificate that current gives at
// each handshake (none when nil).
func ClientConfig(authority *x509.Certificate, current func() *tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		RootCAs:    roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			c := current()
			if c == nil {
				return &tls.Certificate{}, nil
			}
			return c, nil
		},
	}
}

// EnrolConfig is for the first contact, when the node knows only the pin of the
// authority: the server must show a certificate with that pin, and one for host
// (a name or an address) that it has signed.
func EnrolConfig(host, pin string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// The usual check needs roots that the node does not have yet; the one
		// below takes its place.
		InsecureSkipVerify: true, //nolint:gosec // replaced by VerifyConnection
		VerifyConnection: func(c tls.ConnectionState) error {
			for _, ca := range c.PeerCertificates {
				if subtle.ConstantTimeCompare([]byte(Pin(ca.Raw)), []byte(pin)) != 1 {
					continue
				}
				roots := x509.NewCertPool()
				roots.AddCert(ca)
				_, err := c.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: host})
				if err != nil {
					return fmt.Errorf("certs: hub: %w", err)
				}
				return nil
			}
			return errors.New("certs: the hub does not show the authority of this pin: check the pin and the address")
		},
	}
}
