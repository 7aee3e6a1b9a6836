package intake

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"strings"

	"ecs/hub/internal/format"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
	"ecs/stix"
)

// object is a STIX object that is kept beside the indicators.
type object struct {
	id, kind, name string
	modified       int64
	revoked        bool
	handling       *handled
	held           string // codes of the personal data found in it
	digest, body   string
	refs           []stix.Ref
}

const maxName = 200

// prose gives what people have written in an object.
func prose(o *stix.Object) string {
	var b strings.Builder
	for _, p := range []string{"name", "description", "abstract", "content", "explanation", "contact_information", "objective"} {
		s := o.Get(p).Str()
		if s != "" {
			b.WriteString(s)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// keep takes an object that says something about indicators: whole, byte for byte.
// One in which the privacy gate finds personal data is held for a privacy officer.
func (p *producer) keep(r *format.Record) (*object, *Refusal) {
	h, bad := p.handlingOf(r)
	if bad != nil {
		return nil, bad
	}
	o, err := stix.ParseObject(r.Raw)
	if err != nil {
		return nil, refusal(CodeValue, "%s", err)
	}
	sum := sha256.Sum256(r.Raw)
	out := &object{
		id: o.ID, kind: o.Type, name: policy.Printable(o.Name(), maxName), modified: stamp(o.Modified), revoked: o.Revoked,
		handling: h, digest: hex.EncodeToString(sum[:]), body: original(r.Raw), refs: o.Refs(),
	}
	var codes []string
	for _, f := range policy.PrivateText("", prose(o), p.now) {
		codes = append(codes, f.Code)
	}
	out.held = strings.Join(codes, " ")
	return out, nil
}

// objects writes the objects of a portion; the same bytes twice change nothing.
func (w *writer) objects(ctx context.Context, tx *sql.Tx, portion []outcome) error {
	var list []*object
	for i := range portion {
		if portion[i].object != nil {
			list = append(list, portion[i].object)
		}
	}
	if len(list) == 0 {
		return nil
	}
	number, err := indicator.Next(ctx, tx, "object", int64(len(list)))
	if err != nil {
		return err
	}
	for _, o := range list {
		handling, err := w.intern(ctx, tx, o.handling.text)
		if err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `INSERT INTO source_object (number, source, batch, id, type, name, modified, revoked, handling, held, digest, body, at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (source, id, modified, digest) DO NOTHING`,
			number, w.src.id, w.batch.Number, o.id, o.kind, o.name, o.modified, o.revoked, handling, o.held, o.digest, o.body, sqldb.Time(w.now))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		for _, ref := range o.refs {
			if n == 0 {
				break // it was there
			}
			if ref.Property == "object_marking_refs" || ref.Property == "marking_ref" {
				continue // its handling says it
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO object_ref (object, property, target) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
				number, ref.Property, ref.ID)
			if err != nil {
				return err
			}
		}
		number++
	}
	return nil
}
