package release

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/internal/sqldb"
	"ecs/stix"
)

// A companion stands beside release objects in a provider's collections: the
// definition of a marking that an object refers to, or the relationship that says
// from which object of its source it was derived (STIX 2.1 section 3.6). Nodes do not
// need them: what they may do stands in the object itself.
type companion struct {
	id, typ, item string
	modified      time.Time
	body          string
}

// marks are what a release object says of a handling beside TLP.
type marks struct {
	refs        []string
	definitions []companion
}

// begun is when the markings of a program were created whose configuration does not
// say it. Identifiers of markings follow from it, so that it never changes.
var begun = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// Author gives who writes the markings of release objects, for others who write the
// same ones.
func (d *Desk) Author() marking.Author {
	by := d.cfg.Marks
	by.Identity = d.cfg.Creator
	if by.Since.IsZero() {
		by.Since = begun
	}
	if by.Guide == "" {
		by.Guide = "999191" // of tests
	}
	return by
}

// marks gives what to write for a handling; there are few, so each is made once in
// a session.
func (r *session) marks(number int64, h marking.Handling) (marks, error) {
	m, ok := r.marked[number]
	if ok {
		return m, nil
	}
	refs, definitions := h.Markings(r.d.Author())
	for _, ref := range refs {
		_, tlp := contract.TLPByRef(ref)
		if !tlp {
			m.refs = append(m.refs, ref)
		}
	}
	slices.Sort(m.refs)
	for _, x := range definitions {
		body, err := x.Append(nil)
		if err != nil {
			return m, err
		}
		m.definitions = append(m.definitions, companion{id: x.ID, typ: "marking-definition", modified: x.Created, body: string(body)})
	}
	r.marked[number] = m
	return m, nil
}

// beside puts on the shelf what the targets have to get beside an object.
func (r *session) beside(ctx context.Context, it *indicator.Item, h marking.Handling, x *contract.Indicator, targets []Target) error {
	m, err := r.marks(it.Handling, h)
	if err != nil {
		return fmt.Errorf("%w: %w", errObject, err)
	}
	o := decision.Of(it, h, true)
	o.State = indicator.Released
	var origins []companion
	asked := false
	for _, t := range targets {
		for _, c := range m.definitions {
			r.shelf.companion(t.Provider, c)
		}
		if !r.names(o, t) {
			continue
		}
		if !asked {
			origins, err = r.origins(ctx, it, x)
			if err != nil {
				return err
			}
			asked = true
		}
		for _, c := range origins {
			r.shelf.companion(t.Provider, c)
		}
	}
	return nil
}

// names tells whether a target may know the source.
func (r *session) names(o decision.Object, t Target) bool {
	for _, svc := range t.Services.Each() {
		if decision.Decide(o, r.providers[t.Provider], svc, decision.NameSource, r.now).Allowed {
			return true
		}
	}
	return false
}

// maxOrigins bounds the objects of sources that one release object names.
const maxOrigins = 16

// origins gives the relationships from a release object to the objects of its
// sources that are known by a STIX identifier.
func (r *session) origins(ctx context.Context, it *indicator.Item, x *contract.Indicator) ([]companion, error) {
	rows, err := r.tx.QueryContext(ctx, `SELECT DISTINCT reference FROM item_source
		WHERE number = $1 AND reference LIKE 'indicator--%' ORDER BY reference LIMIT $2`, it.Number, int64(maxOrigins))
	if err != nil {
		return nil, fmt.Errorf("release: what %s was derived from: %w", it.ID, err)
	}
	refs, err := texts(rows)
	if err != nil {
		return nil, err
	}
	var out []companion
	for _, ref := range refs {
		target, err := contract.ParseID(ref)
		if err != nil || target == x.ID {
			continue
		}
		c, err := derived(x, target)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errObject, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// derived gives the relationship from a release object to the object that it was
// derived from; always the same for the same two.
func derived(x *contract.Indicator, from contract.ID) (companion, error) {
	c := companion{typ: "relationship", item: x.ID.String(), modified: x.Created}
	c.id = "relationship--" + uuid.NewSHA1(uuid.UUID(x.ID), []byte("derived-from "+from.String())).String()
	body, err := stix.NewDraft("relationship", c.id, x.Created, x.Created).Str("created_by_ref", x.CreatedBy).
		Str("relationship_type", "derived-from").Str("source_ref", x.ID.String()).Str("target_ref", from.String()).
		List("object_marking_refs", append([]string{x.Marking.Ref()}, x.Markings...)).Append(nil)
	c.body = string(body)
	return c, err
}

// companion notes what a provider has to have beside its objects.
func (s *shelf) companion(provider string, c companion) {
	if s.companions == nil {
		s.companions = map[string]map[string]companion{}
	}
	if s.companions[provider] == nil {
		s.companions[provider] = map[string]companion{}
	}
	s.companions[provider][c.id] = c
}

// accompany writes those of one type that a provider has not yet, each with a
// moment of its own from next on, and gives the moment after.
func (s *shelf) accompany(ctx context.Context, tx *sql.Tx, typ string, next int64) (int64, error) {
	var rows [][]any
	for _, p := range slices.Sorted(maps.Keys(s.companions)) {
		for _, id := range slices.SortedFunc(maps.Keys(s.companions[p]), strings.Compare) {
			c := s.companions[p][id]
			if c.typ == typ {
				rows = append(rows, []any{p, c.id, c.typ, c.item, sqldb.Time(c.modified), c.body, next})
				next++
			}
		}
	}
	err := insert(ctx, tx, `INSERT INTO companion (provider, id, type, item, modified, body, added) VALUES `, rows, ` ON CONFLICT (provider, id) DO NOTHING`)
	if err != nil {
		return next, fmt.Errorf("release: companions: %w", err)
	}
	return next, nil
}
