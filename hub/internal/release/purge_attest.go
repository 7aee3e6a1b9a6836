package release

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// AttestContext goes before the body of an attestation when it is signed, so that the
// signature cannot pass for one of something else.
const AttestContext = "ecs purge attestation v1\n"

// MaxAttestation bounds the body of an attestation in bytes.
const MaxAttestation = 16 << 20

// Exception is an item of which something is left, and why.
type Exception struct {
	Item contract.ID `json:"item"`
	Why  string      `json:"why"`
}

// Attestation is a provider's statement that indicators are gone there (C15).
type Attestation struct {
	Provider   string         `json:"provider"`
	Items      []contract.ID  `json:"items"`           // what is gone, in order
	Manifest   string         `json:"manifest_sha256"` // of Items, see [ManifestOf]
	Counts     map[string]int `json:"counts"`          // of Items by marking: "amber": 3
	Systems    []string       `json:"systems"`         // live systems covered
	Backups    bool           `json:"backups"`         // backups are covered too
	Method     string         `json:"method"`
	Date       time.Time      `json:"date"`
	Exceptions []Exception    `json:"exceptions"` // what is left; not in Items
}

// ManifestOf gives the digest over identifiers: hexadecimal SHA-256 of them in order,
// each with a line feed.
func ManifestOf(ids []contract.ID) string {
	sum := sha256.New()
	for _, id := range ids {
		_, _ = io.WriteString(sum, id.String()+"\n")
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func byID(a, b contract.ID) int { return bytes.Compare(a[:], b[:]) }

func (a *Attestation) check(now time.Time) error {
	sorted := slices.IsSortedFunc(a.Items, byID) && len(slices.Compact(slices.Clone(a.Items))) == len(a.Items)
	switch {
	case len(a.Items) == 0 && len(a.Exceptions) == 0:
		return fmt.Errorf("%w: it is about nothing", ErrAttest)
	case !sorted:
		return fmt.Errorf("%w: items have to be in order, each once", ErrAttest)
	case a.Manifest != ManifestOf(a.Items):
		return fmt.Errorf("%w: the manifest's digest is not that of its items", ErrAttest)
	case len(a.Systems) == 0 || slices.Contains(a.Systems, ""):
		return fmt.Errorf("%w: it has to name the systems that it covers", ErrAttest)
	case strings.TrimSpace(a.Method) == "":
		return fmt.Errorf("%w: it has to name the method", ErrAttest)
	case a.Date.IsZero() || a.Date.After(now.Add(time.Minute)):
		return fmt.Errorf("%w: its date is missing or has not come", ErrAttest)
	}
	for _, e := range a.Exceptions {
		_, both := slices.BinarySearchFunc(a.Items, e.Item, byID)
		if both || strings.TrimSpace(e.Why) == "" {
			return fmt.Errorf("%w: exception %s is among the items too, or says no reason", ErrAttest, e.Item)
		}
	}
	text := Redaction{Summary: a.Method, Context: strings.Join(a.Systems, "\n")}
	for _, e := range a.Exceptions {
		text.Context += "\n" + e.Why
	}
	err := text.check()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAttest, err)
	}
	return nil
}

// Codes of purge findings.
const (
	NeverDelivered = "never-delivered" // attested, but the ledger has no delivery of it
	NotOrdered     = "not-ordered"     // attested, but nobody ordered its purge
	NotAttested    = "not-attested"    // ordered, but not in the attestation
	Left           = "exception"       // something is left there
	WrongCount     = "count"           // its counts by marking are not those of the ledger
	Overdue72      = "overdue"         // nobody attested it in time
)

// Finding of a purge is for the auditor: where attestation and ledger differ.
type PurgeFinding struct {
	Provider    string
	Attestation string // empty: of a task that nobody attested in time
	Code        string
	Detail      string
	At          time.Time
}

// PurgeManifest is what a provider has to attest now: the items in order, their digest
// and counts.
func PurgeManifest(ctx context.Context, q sqldb.Querier, provider string) (Attestation, error) {
	a := Attestation{Provider: provider, Counts: map[string]int{}, Items: []contract.ID{}, Exceptions: []Exception{}, Systems: []string{}}
	rows, err := q.QueryContext(ctx, `SELECT item, tlp FROM purge_task WHERE provider = $1 AND (attestation = '' OR backups = '')`, provider)
	if err != nil {
		return a, fmt.Errorf("release: purge tasks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var text string
		var tlp contract.TLP
		err = rows.Scan(&text, &tlp)
		if err != nil {
			return a, err
		}
		id, err := contract.ParseID(text)
		if err != nil {
			return a, err
		}
		a.Items = append(a.Items, id)
		a.Counts[tlp.String()]++
	}
	slices.SortFunc(a.Items, byID)
	a.Manifest = ManifestOf(a.Items)
	return a, rows.Err()
}

// Attest records an attestation that the provider's security officer enters at the
// hub, matches it with the delivery ledger to the item, and gives its identifier and
// what does not match.
func (d *Desk) Attest(ctx context.Context, acct signin.Account, a Attestation) (string, []PurgeFinding, error) {
	err := needRole(acct, roleSecurity)
	if err != nil {
		return "", nil, err
	}
	if acct.Scope == "" || acct.Scope != a.Provider {
		return "", nil, fmt.Errorf("%w: the security officer of %s attests for it", ErrRole, a.Provider)
	}
	body, err := json.Marshal(a)
	if err != nil {
		return "", nil, err
	}
	return d.attest(ctx, acct.Login, &a, body, "")
}

// AttestSigned is [Desk.Attest] for a statement that one of the provider's nodes
// signed: exact JSON, and an ECDSA signature over [AttestContext] and it.
func (d *Desk) AttestSigned(ctx context.Context, provider, serial string, signed contract.SignedAck) (string, []PurgeFinding, error) {
	if len(signed.Body) > MaxAttestation {
		return "", nil, fmt.Errorf("%w: %d bytes, limit %d", ErrAttest, len(signed.Body), MaxAttestation)
	}
	key, err := d.nodeKey(ctx, provider, serial)
	if errors.Is(err, ErrAck) {
		return "", nil, fmt.Errorf("%w: the certificate %s is none of a node of %s that is valid", ErrAttest, serial, provider)
	}
	if err != nil {
		return "", nil, err
	}
	sum := sha256.Sum256(append([]byte(AttestContext), signed.Body...))
	if !ecdsa.VerifyASN1(key, sum[:], signed.Signature) {
		return "", nil, fmt.Errorf("%w: the signature is not by the key of node %s", ErrAttest, serial)
	}
	a, err := ParseAttestation(signed.Body)
	if err != nil {
		return "", nil, err
	}
	if a.Provider != provider {
		return "", nil, fmt.Errorf("%w: it speaks for %s", ErrAttest, a.Provider)
	}
	return d.attest(ctx, serial, a, signed.Body, base64.StdEncoding.EncodeToString(signed.Signature))
}

// ParseAttestation reads the JSON of an attestation; unknown fields are refused.
func ParseAttestation(body []byte) (*Attestation, error) {
	var a Attestation
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err := dec.Decode(&a)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAttest, err)
	}
	_, err = dec.Token()
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: something follows it", ErrAttest)
	}
	return &a, nil
}

func (d *Desk) attest(ctx context.Context, login string, a *Attestation, body []byte, signature string) (string, []PurgeFinding, error) {
	now := d.clock.now()
	err := a.check(now)
	if err != nil {
		return "", nil, err
	}
	u, err := uuid.NewV7()
	if err != nil {
		return "", nil, err
	}
	id := u.String()
	var found []PurgeFinding
	err = d.db.Write(ctx, func(tx *sql.Tx) error {
		found = nil
		_, err := stateOf(ctx, tx, a.Provider)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO attestation (id, provider, login, body, signature, at) VALUES ($1, $2, $3, $4, $5, $6)`,
			id, a.Provider, login, string(body), signature, sqldb.Time(now))
		if err != nil {
			return fmt.Errorf("release: attestation: %w", err)
		}
		m := matcher{tx: tx, a: a, id: id, now: now}
		err = m.run(ctx)
		if err != nil {
			return err
		}
		found = m.found
		return audit.Append(ctx, tx, login, "purge.attested", a.Provider, map[string]any{
			"attestation": id, "items": len(a.Items), "exceptions": len(a.Exceptions), "findings": len(found), "backups": a.Backups, "manifest": a.Manifest,
		})
	})
	return id, found, err
}

// matcher compares one attestation with tasks and ledger.
type matcher struct {
	tx    *sql.Tx
	a     *Attestation
	id    string
	now   time.Time
	found []PurgeFinding
}

func (m *matcher) add(ctx context.Context, code, detail string) error {
	f := PurgeFinding{Provider: m.a.Provider, Attestation: m.id, Code: code, Detail: detail, At: m.now}
	m.found = append(m.found, f)
	return addPurgeFinding(ctx, m.tx, f)
}

func addPurgeFinding(ctx context.Context, tx *sql.Tx, f PurgeFinding) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO purge_finding (provider, attestation, code, detail, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (provider, attestation, code, detail) DO NOTHING`, f.Provider, f.Attestation, f.Code, f.Detail, sqldb.Time(f.At))
	if err != nil {
		return fmt.Errorf("release: purge finding: %w", err)
	}
	return nil
}

// task is what the hub knows of one item at the provider.
type task struct {
	tlp       contract.TLP
	ordered   bool
	delivered bool
}

func (m *matcher) look(ctx context.Context, id contract.ID) (task, error) {
	var t task
	err := m.tx.QueryRowContext(ctx, `SELECT tlp FROM purge_task WHERE provider = $1 AND item = $2`, m.a.Provider, id.String()).Scan(&t.tlp)
	t.ordered = err == nil
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return t, fmt.Errorf("release: purge task: %w", err)
	}
	var n int
	err = m.tx.QueryRowContext(ctx, `SELECT count(*) FROM delivery WHERE provider = $1 AND item = $2 AND (delivered > 0 OR loaded > 0)`,
		m.a.Provider, id.String()).Scan(&n)
	t.delivered = n > 0
	return t, err
}

func (m *matcher) run(ctx context.Context) error {
	counts := map[string]int{}
	for _, id := range m.a.Items {
		t, err := m.look(ctx, id)
		if err != nil {
			return err
		}
		switch {
		case !t.delivered:
			err = m.add(ctx, NeverDelivered, id.String())
		case !t.ordered:
			err = m.add(ctx, NotOrdered, id.String())
		default:
			counts[t.tlp.String()]++
			_, err = m.tx.ExecContext(ctx, `UPDATE purge_task SET attestation = CASE WHEN attestation = '' THEN $3 ELSE attestation END,
				backups = CASE WHEN backups = '' AND $4 THEN $3 ELSE backups END, exception = '' WHERE provider = $1 AND item = $2`,
				m.a.Provider, id.String(), m.id, m.a.Backups)
		}
		if err != nil {
			return err
		}
	}
	for _, e := range m.a.Exceptions {
		_, err := m.tx.ExecContext(ctx, `UPDATE purge_task SET exception = $3 WHERE provider = $1 AND item = $2`, m.a.Provider, e.Item.String(), e.Why)
		if err == nil {
			err = m.add(ctx, Left, e.Item.String()+": "+e.Why)
		}
		if err != nil {
			return err
		}
	}
	for _, tlp := range []contract.TLP{contract.Clear, contract.Green, contract.Amber, contract.AmberStrict, contract.Red} {
		name := tlp.String()
		if counts[name] != m.a.Counts[name] {
			err := m.add(ctx, WrongCount, fmt.Sprintf("%s: attested %d, of what was delivered and ordered %d", name, m.a.Counts[name], counts[name]))
			if err != nil {
				return err
			}
		}
	}
	return m.rest(ctx)
}

// rest notes what was ordered before the attestation's date and is not in it, and
// closes the clocks when nothing is left.
func (m *matcher) rest(ctx context.Context) error {
	rows, err := m.tx.QueryContext(ctx, `SELECT t.item FROM purge_task t JOIN purge p ON p.item = t.item
		WHERE t.provider = $1 AND t.attestation = '' AND t.exception = '' AND p.ordered <= $2 ORDER BY t.item`, m.a.Provider, sqldb.Time(m.a.Date))
	if err != nil {
		return fmt.Errorf("release: purge tasks: %w", err)
	}
	left, err := texts(rows)
	if err != nil {
		return err
	}
	for _, item := range left {
		err = m.add(ctx, NotAttested, item)
		if err != nil {
			return err
		}
	}
	for column, kind := range map[string]string{"attestation": ClockPurgeLive, "backups": ClockPurgeBackups} {
		var n int
		err = m.tx.QueryRowContext(ctx, `SELECT count(*) FROM purge_task WHERE provider = $1 AND `+column+` = ''`, m.a.Provider).Scan(&n)
		if err == nil && n == 0 {
			err = stopClocks(ctx, m.tx, m.a.Provider, kind, "", m.now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unattested makes findings of the tasks that nobody attested in time.
func (d *Desk) unattested(ctx context.Context) error {
	now := d.clock.now()
	return d.db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO purge_finding (provider, attestation, code, detail, at)
			SELECT provider, '', $1, item, $2 FROM purge_task WHERE attestation = '' AND due <= $2 ON CONFLICT (provider, attestation, code, detail) DO NOTHING`,
			Overdue72, sqldb.Time(now))
		if err != nil {
			return fmt.Errorf("release: overdue purges: %w", err)
		}
		return nil
	})
}

// PurgeStanding is how far the purges are at a provider.
type PurgeStanding struct {
	Provider string
	Open     int64     // tasks without attestation for live systems
	Backups  int64     // tasks without one for backups
	Done     int64     // attested for both
	Oldest   time.Time // when the oldest open task is due; zero without one
	Findings int64
}

// PurgeStandings tells how far the purges are, for each provider that has tasks.
func PurgeStandings(ctx context.Context, q sqldb.Querier) ([]PurgeStanding, error) {
	rows, err := q.QueryContext(ctx, `SELECT t.provider, sum(CASE WHEN attestation = '' THEN 1 ELSE 0 END), sum(CASE WHEN backups = '' THEN 1 ELSE 0 END),
		sum(CASE WHEN attestation <> '' AND backups <> '' THEN 1 ELSE 0 END), min(CASE WHEN attestation = '' THEN due END),
		(SELECT count(*) FROM purge_finding f WHERE f.provider = t.provider) FROM purge_task t GROUP BY t.provider ORDER BY t.provider`)
	if err != nil {
		return nil, fmt.Errorf("release: purges: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []PurgeStanding
	for rows.Next() {
		var s PurgeStanding
		var oldest sql.NullInt64
		err = rows.Scan(&s.Provider, &s.Open, &s.Backups, &s.Done, &oldest, &s.Findings)
		if err != nil {
			return nil, err
		}
		s.Oldest = sqldb.FromTime(oldest.Int64)
		out = append(out, s)
	}
	return out, rows.Err()
}

// PurgeFindings lists where attestations and ledger differ, newest first; of all
// providers when none is named.
func PurgeFindings(ctx context.Context, q sqldb.Querier, provider string, limit int) ([]PurgeFinding, error) {
	rows, err := q.QueryContext(ctx, `SELECT provider, attestation, code, detail, at FROM purge_finding WHERE provider = $1 OR $1 = ''
		ORDER BY at DESC, provider, code, detail LIMIT $2`, provider, int64(min(max(limit, 1), 1000)))
	if err != nil {
		return nil, fmt.Errorf("release: purge findings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []PurgeFinding
	for rows.Next() {
		var f PurgeFinding
		var at int64
		err = rows.Scan(&f.Provider, &f.Attestation, &f.Code, &f.Detail, &at)
		if err != nil {
			return nil, err
		}
		f.At = sqldb.FromTime(at)
		out = append(out, f)
	}
	return out, rows.Err()
}
