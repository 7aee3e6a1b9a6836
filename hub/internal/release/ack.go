package release

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// MaxAck bounds the body of a receipt in bytes: some 150,000 refusals.
const MaxAck = 16 << 20

// Acknowledge verifies a receipt and books it. serial is that of the node's
// certificate, as table node has it. The same receipt twice counts once. A
// receipt that cannot be believed changes nothing and gives [ErrAck].
func (d *Desk) Acknowledge(ctx context.Context, provider, serial string, signed contract.SignedAck) error {
	if len(signed.Body) > MaxAck {
		return fmt.Errorf("%w: %d bytes, limit %d", ErrAck, len(signed.Body), MaxAck)
	}
	key, err := d.nodeKey(ctx, provider, serial)
	if err != nil {
		return err
	}
	sum := sha256.New()
	sum.Write([]byte(contract.AckContext))
	sum.Write(signed.Body)
	if !ecdsa.VerifyASN1(key, sum.Sum(nil), signed.Signature) {
		return fmt.Errorf("%w: the signature is not by the key of node %s", ErrAck, serial)
	}
	ack, err := parseAck(signed.Body)
	if err != nil {
		return err
	}
	var unsettled bool
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		unsettled = false
		now := d.clock.now()
		fresh, err := keep(ctx, tx, provider, serial, ack, signed, now)
		if err != nil || !fresh {
			return err
		}
		if ack.Problem != contract.None {
			return audit.Append(ctx, tx, provider, "delivery.problem", provider,
				map[string]any{"problem": ack.Problem, "sequence": ack.Sequence, "node": serial})
		}
		err = book(ctx, tx, provider, ack, now)
		if err != nil {
			return err
		}
		near := min(ack.From+portion, ack.Sequence)
		unsettled = near < ack.Sequence
		ids, err := loadedItems(ctx, tx, provider, ack.From, near)
		if err != nil {
			return err
		}
		return inForce(ctx, tx, provider, ids)
	})
	if err != nil {
		return err
	}
	if ack.Problem != contract.None {
		d.cfg.Log.Warn("release: a provider kept its old list", slog.Any("provider", provider), slog.String("problem", ack.Problem.String()), slog.Any("sequence", ack.Sequence))
	}
	if unsettled {
		d.mu.Lock()
		d.unsettled[provider] = struct{}{}
		d.mu.Unlock()
	}
	return nil
}

func (d *Desk) nodeKey(ctx context.Context, provider, serial string) (*ecdsa.PublicKey, error) {
	var text string
	var revoked int64
	err := d.db.QueryRowContext(ctx, `SELECT certificate, revoked FROM node WHERE serial = $1 AND provider = $2`,
		serial, provider).Scan(&text, &revoked)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s has no node with certificate %s", ErrAck, provider, serial)
	}
	if err != nil {
		return nil, fmt.Errorf("release: node %s: %w", serial, err)
	}
	if revoked != 0 {
		return nil, fmt.Errorf("%w: the certificate %s is revoked", ErrAck, serial)
	}
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("release: stored certificate %s: %w", serial, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("release: stored certificate %s: %w", serial, err)
	}
	key, ok := cert.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("%w: the key of certificate %s is not ECDSA", ErrAck, serial)
	}
	return key, nil
}

func parseAck(body []byte) (*contract.Ack, error) {
	var a contract.Ack
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&a)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAck, err)
	}
	_, err = dec.Token()
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", ErrAck)
	}
	if a.From > a.Sequence || a.Sequence > 1<<62 {
		return nil, fmt.Errorf("%w: it speaks of entries after %d up to %d", ErrAck, a.From, a.Sequence)
	}
	return &a, nil
}

// keep stores the receipt as evidence and reports whether it is new. A receipt
// for a list that was never signed for this provider is no receipt.
func keep(ctx context.Context, tx *sql.Tx, provider, serial string, a *contract.Ack, signed contract.SignedAck, now time.Time) (bool, error) {
	if a.Problem == contract.None {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM checkpoint WHERE provider = $1 AND seq = $2 AND root = $3`,
			provider, int64(a.Sequence), a.Root.String()).Scan(&n)
		if err != nil {
			return false, fmt.Errorf("release: checkpoint of a receipt: %w", err)
		}
		if n == 0 {
			return false, fmt.Errorf("%w: no checkpoint for %s has sequence %d and root %s", ErrAck, provider, a.Sequence, a.Root)
		}
	}
	digest := sha256.Sum256(signed.Body)
	res, err := tx.ExecContext(ctx, `INSERT INTO ack (provider, digest, serial, seq, root, problem, body, signature, received)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (provider, digest) DO NOTHING`,
		provider, hex.EncodeToString(digest[:]), serial, int64(a.Sequence), a.Root.String(), a.Problem.String(),
		string(signed.Body), base64.StdEncoding.EncodeToString(signed.Signature), sqldb.Time(now))
	if err != nil {
		return false, fmt.Errorf("release: keep a receipt: %w", err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// book writes a receipt into the ledger: what the entries after From up to
// Sequence added is loaded or refused, what they removed is removed, and so is
// what had ended when the acknowledged list was judged.
func book(ctx context.Context, tx *sql.Tx, provider string, a *contract.Ack, now time.Time) error {
	from, to, at := int64(a.From), int64(a.Sequence), sqldb.Time(now)
	var issued int64 // newest checkpoint that says the same: it holds for the list just as well
	err := tx.QueryRowContext(ctx, `SELECT max(issued) FROM checkpoint WHERE provider = $1 AND seq = $2 AND root = $3`,
		provider, to, a.Root.String()).Scan(&issued)
	if err != nil {
		return fmt.Errorf("release: checkpoint of a receipt: %w", err)
	}
	// What a later entry had taken out again, or what had ended, was never loaded.
	_, err = tx.ExecContext(ctx, `UPDATE delivery SET loaded = $4, delivered = CASE WHEN delivered = 0 THEN $4 ELSE delivered END
		WHERE provider = $1 AND add_seq > $2 AND add_seq <= $3 AND removed = 0 AND loaded = 0 AND refused = 0
		AND until > $5 AND (remove_seq = 0 OR remove_seq > $3)`, provider, from, to, at, issued)
	if err != nil {
		return fmt.Errorf("release: book what was loaded: %w", err)
	}
	err = loadedAfterAll(ctx, tx, provider, a, at, issued)
	if err != nil {
		return fmt.Errorf("release: book what was refused before: %w", err)
	}
	for _, r := range a.Refused {
		for _, svc := range r.Services.Each() {
			_, err = tx.ExecContext(ctx, `UPDATE delivery SET refused = $4, reason = $5, loaded = CASE WHEN loaded = $4 THEN 0 ELSE loaded END
				WHERE item = $1 AND provider = $2 AND service = $3 AND add_seq > $6 AND add_seq <= $7 AND removed = 0
				AND (remove_seq = 0 OR remove_seq > $7)
				AND (refused = 0 OR refused < loaded)`,
				r.ID.String(), provider, int64(svc), at, r.Reason.String(), from, to)
			if err != nil {
				return fmt.Errorf("release: book a refusal: %w", err)
			}
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE delivery SET removed = $4, removal_sent = CASE WHEN removal_sent = 0 THEN $4 ELSE removal_sent END
		WHERE provider = $1 AND remove_seq > 0 AND remove_seq > $2 AND remove_seq <= $3 AND removed = 0`, provider, from, to, at)
	if err != nil {
		return fmt.Errorf("release: book what was removed: %w", err)
	}
	_, err = tx.ExecContext(ctx, `UPDATE delivery SET removed = $4
		WHERE provider = $1 AND add_seq <= $2 AND until <= $3 AND removed = 0`, provider, to, issued, at)
	if err != nil {
		return fmt.Errorf("release: book what has ended: %w", err)
	}
	return nil
}

// loadedAfterAll books what a node had refused and now, loading the same entries
// again, does not.
func loadedAfterAll(ctx context.Context, tx *sql.Tx, provider string, a *contract.Ack, at, issued int64) error {
	still := map[string]contract.Services{}
	for _, r := range a.Refused {
		still[r.ID.String()] |= r.Services
	}
	rows, err := tx.QueryContext(ctx, `SELECT item, service FROM delivery WHERE provider = $1 AND add_seq > $2 AND add_seq <= $3
		AND removed = 0 AND refused > 0 AND refused >= loaded AND until > $4 AND (remove_seq = 0 OR remove_seq > $3)`,
		provider, int64(a.From), int64(a.Sequence), issued)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	type key struct {
		item string
		svc  contract.Services
	}
	var now []key
	for rows.Next() {
		var k key
		err = rows.Scan(&k.item, &k.svc)
		if err != nil {
			return err
		}
		if !still[k.item].Has(k.svc) {
			now = append(now, k)
		}
	}
	err = rows.Err()
	if err != nil {
		return err
	}
	for _, k := range now {
		_, err = tx.ExecContext(ctx, `UPDATE delivery SET loaded = $4 WHERE item = $1 AND provider = $2 AND service = $3
			AND add_seq > $5 AND add_seq <= $6 AND (remove_seq = 0 OR remove_seq > $6)`, k.item, provider, int64(k.svc), at, int64(a.From), int64(a.Sequence))
		if err != nil {
			return err
		}
	}
	return nil
}

// loadedItems names items that a provider has loaded out of a range of its log
// and that are not IN_FORCE yet.
func loadedItems(ctx context.Context, q sqldb.Querier, provider string, from, to uint64) ([]string, error) {
	// The state is asked for row by row, so that no planner begins with all items
	// of that state.
	rows, err := q.QueryContext(ctx, `SELECT DISTINCT d.item FROM delivery d
		WHERE d.provider = $1 AND d.add_seq > $2 AND d.add_seq <= $3 AND d.loaded > 0
		AND (SELECT i.state FROM item i WHERE i.id = d.item) = $4`,
		provider, int64(from), int64(to), string(indicator.Released))
	if err != nil {
		return nil, fmt.Errorf("release: items now in force: %w", err)
	}
	return texts(rows)
}

// inForce moves items to IN_FORCE.
func inForce(ctx context.Context, tx *sql.Tx, provider string, ids []string) error {
	for _, text := range ids {
		id, err := contract.ParseID(text)
		if err != nil {
			return err
		}
		it, err := indicator.Get(ctx, tx, id)
		if err != nil {
			return err
		}
		if it.State != indicator.Released {
			continue // has ended or was recalled meanwhile
		}
		err = indicator.Move(ctx, tx, &it, indicator.InForce, provider, "first receipt")
		if err != nil {
			return err
		}
	}
	return nil
}

// settle moves the items of big receipts to IN_FORCE, portion by portion: the
// ledger has them loaded already, their own state follows within a few ticks.
// After a start it looks at every provider once.
func (d *Desk) settle(ctx context.Context) error {
	d.mu.Lock()
	some := d.unsettled
	all := !d.settled
	d.unsettled, d.settled = map[string]struct{}{}, true
	d.mu.Unlock()
	if all {
		ps, err := providerIDs(ctx, d.db)
		if err != nil {
			d.again(some, true)
			return err
		}
		for _, p := range ps {
			some[p] = struct{}{}
		}
	}
	for p := range some {
		err := d.settleOne(ctx, p)
		if err != nil {
			d.again(some, false)
			return err
		}
		delete(some, p)
	}
	return nil
}

func (d *Desk) again(some map[string]struct{}, all bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for p := range some {
		d.unsettled[p] = struct{}{}
	}
	d.settled = d.settled && !all
}

func (d *Desk) settleOne(ctx context.Context, provider string) error {
	const stretch = 20 * portion // of the log, looked at without any lock
	head, err := d.head(ctx, provider)
	if err != nil {
		return err
	}
	for from := uint64(0); from < head; from += stretch {
		ids, err := loadedItems(ctx, d.db, provider, from, from+stretch)
		if err != nil {
			return err
		}
		for some := range slices.Chunk(ids, portion) {
			err = d.db.Write(ctx, func(tx *sql.Tx) error { return inForce(ctx, tx, provider, some) })
			if err != nil {
				return err
			}
		}
	}
	return nil
}
