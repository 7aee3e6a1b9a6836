package program

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/certs"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Node is one certificate of a provider's machine.
type Node struct {
	Serial   string // hexadecimal
	Provider string
	Name     string // of the node
	NotAfter time.Time
	Issued   time.Time
	Revoked  time.Time // zero while it is good
	DER      []byte    // only in what [NodeByCertificate] and [GetNode] give
}

// Enrol gives a node its first certificate for a one-time token.
func (p *Program) Enrol(ctx context.Context, e contract.Enrolment) (*contract.Enrolled, error) {
	if e.Token == "" || len(e.Token) > 200 {
		return nil, ErrToken
	}
	key, err := keyOf(e.CSR)
	if err != nil {
		return nil, err
	}
	var out *contract.Enrolled
	err = p.db.Write(ctx, func(tx *sql.Tx) error {
		provider, err := p.redeem(ctx, tx, e.Token, key)
		if err != nil {
			return err
		}
		x, err := GetProvider(ctx, tx, provider)
		if err != nil {
			return err
		}
		if !x.State.Active() {
			return inactive(x)
		}
		var node string
		out, node, err = p.issue(ctx, tx, x, e.CSR, "node.enrol", "")
		if err != nil || !p.cfg.OperateOnEnrol || x.State != Accredited {
			return err
		}
		return p.moveIn(ctx, tx, systemAccount, x.ID, Operational, "the node "+node+" enrolled")
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func inactive(x Provider) error {
	if x.State == Suspended {
		return fmt.Errorf("%w (%s)", ErrSuspended, x.ID)
	}
	return fmt.Errorf("%w (%s is %s)", ErrInactive, x.ID, x.State)
}

// Renew gives a node the certificate after the one it shows, for the same or a
// new key. A suspended provider may renew, so that it can come back.
func (p *Program) Renew(ctx context.Context, shown *x509.Certificate, csr []byte) (*contract.Enrolled, error) {
	key, err := certs.CheckRequest(csr)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	var out *contract.Enrolled
	err = p.db.Write(ctx, func(tx *sql.Tx) error {
		n, x, err := p.NodeByCertificate(ctx, tx, shown)
		if errors.Is(err, ErrExpired) && p.cfg.Now().After(n.NotAfter.Add(p.cfg.RenewWithin)) {
			return ErrTooLate
		}
		if err != nil && !errors.Is(err, ErrExpired) && !errors.Is(err, ErrSuspended) {
			return err
		}
		if key.Node != n.Name {
			return fmt.Errorf("%w: the request is for node %q, the certificate is of %q", ErrInput, key.Node, n.Name)
		}
		out, _, err = p.issue(ctx, tx, x, csr, "node.renew", n.Serial)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func keyOf(csr []byte) (string, error) {
	r, err := certs.CheckRequest(csr)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrInput, err)
	}
	h := sha256.Sum256(r.PublicKey)
	return hex.EncodeToString(h[:]), nil
}

func (p *Program) issue(ctx context.Context, tx *sql.Tx, x Provider, csr []byte, action, before string) (*contract.Enrolled, string, error) {
	made, err := p.cfg.Authority.IssueNode(csr, x.ID, p.cfg.NodeLife)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrInput, err)
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO node (serial, provider, name, certificate, not_after, issued) VALUES ($1, $2, $3, $4, $5, $6)",
		made.Serial, x.ID, made.Node, base64.StdEncoding.EncodeToString(made.DER), sqldb.Time(made.NotAfter), sqldb.Time(p.cfg.Now()))
	if err != nil {
		return nil, "", fmt.Errorf("program: node: %w", err)
	}
	err = audit.Append(ctx, tx, x.ID, action, x.ID, map[string]any{"node": made.Node, "serial": made.Serial, "not_after": made.NotAfter, "before": before})
	if err != nil {
		return nil, "", err
	}
	return &contract.Enrolled{
		Provider: x.ID, Certificate: [][]byte{made.DER}, Authority: p.cfg.Authority.Certificate().Raw,
		Verifier: p.cfg.Verifier, Services: x.Services,
	}, made.Node, nil
}

const nodeColumns = "serial, provider, name, not_after, issued, revoked, certificate"

func scanNode(row interface{ Scan(dest ...any) error }) (Node, error) {
	var n Node
	var until, issued, revoked int64
	var der string
	err := row.Scan(&n.Serial, &n.Provider, &n.Name, &until, &issued, &revoked, &der)
	if err != nil {
		return n, err
	}
	n.NotAfter, n.Issued, n.Revoked = sqldb.FromTime(until), sqldb.FromTime(issued), sqldb.FromTime(revoked)
	n.DER, err = base64.StdEncoding.DecodeString(der)
	return n, err
}

// GetNode reads the certificate with this serial number.
func GetNode(ctx context.Context, q sqldb.Querier, serial string) (Node, error) {
	n, err := scanNode(q.QueryRowContext(ctx, "SELECT "+nodeColumns+" FROM node WHERE serial = $1", serial))
	if errors.Is(err, sql.ErrNoRows) {
		return n, fmt.Errorf("%w: certificate %q", ErrNotFound, serial)
	}
	if err != nil {
		return n, fmt.Errorf("program: node %s: %w", serial, err)
	}
	return n, nil
}

// Nodes gives the certificates of a provider, newest first, without their DER.
func Nodes(ctx context.Context, q sqldb.Querier, provider string) ([]Node, error) {
	rows, err := q.QueryContext(ctx, "SELECT "+nodeColumns+" FROM node WHERE provider = $1 ORDER BY issued DESC, serial", provider)
	if err != nil {
		return nil, fmt.Errorf("program: nodes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Node
	for rows.Next() {
		n, err := scanNode(rows)
		if err != nil {
			return nil, fmt.Errorf("program: nodes: %w", err)
		}
		n.DER = nil
		out = append(out, n)
	}
	return out, rows.Err()
}

// NodeByCertificate finds whose certificate this is, and whether it is good
// now: [ErrUnknown], [ErrRevoked], [ErrInactive], [ErrExpired] or
// [ErrSuspended], in this order. With the last two, node and provider are given
// as well. The certificate's signature has been checked by TLS.
func (p *Program) NodeByCertificate(ctx context.Context, q sqldb.Querier, c *x509.Certificate) (Node, Provider, error) {
	id, err := certs.IdentityOf(c)
	if err != nil {
		return Node{}, Provider{}, ErrUnknown
	}
	n, err := GetNode(ctx, q, id.Serial)
	if errors.Is(err, ErrNotFound) {
		return Node{}, Provider{}, ErrUnknown
	}
	if err != nil {
		return Node{}, Provider{}, err
	}
	if n.Provider != id.Provider || n.Name != id.Node || string(n.DER) != string(c.Raw) {
		return Node{}, Provider{}, ErrUnknown
	}
	if !n.Revoked.IsZero() {
		return Node{}, Provider{}, ErrRevoked
	}
	x, err := GetProvider(ctx, q, n.Provider)
	if err != nil {
		return Node{}, Provider{}, err
	}
	switch {
	case !x.State.Follows():
		return Node{}, Provider{}, inactive(x)
	case p.cfg.Now().After(n.NotAfter):
		return n, x, ErrExpired
	case x.State == Suspended:
		return n, x, inactive(x)
	}
	return n, x, nil
}

// Revoke ends a certificate at once.
func (p *Program) Revoke(ctx context.Context, acct signin.Account, serial, reason string) error {
	err := needRole(acct, roleAnalyst, roleAccreditor, roleAdmin)
	if err != nil {
		return err
	}
	reason, err = checkReason(reason)
	if err != nil {
		return err
	}
	return p.db.Write(ctx, func(tx *sql.Tx) error {
		var provider, name string
		err := tx.QueryRowContext(ctx, "UPDATE node SET revoked = $2 WHERE serial = $1 AND revoked = 0 RETURNING provider, name",
			serial, sqldb.Time(p.cfg.Now())).Scan(&provider, &name)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: no certificate %q that is not revoked already", ErrNotFound, serial)
		}
		if err != nil {
			return fmt.Errorf("program: revoke %s: %w", serial, err)
		}
		return audit.Append(ctx, tx, acct.Login, "node.revoke", provider, map[string]any{"node": name, "serial": serial, "reason": reason})
	})
}
