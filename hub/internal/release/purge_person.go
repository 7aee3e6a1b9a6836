package release

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

// Bounds of a search by person.
const (
	personSpan    = 100_000 // numbers of items, and of objects, that one call looks through
	personHits    = 200     // that one call gives at most
	minPersonText = 4       // letters or digits of what is looked for
)

// PersonHit is an item or an object of a source in which a text stands.
type PersonHit struct {
	Item   contract.ID // zero: an object
	Object int64       // number of a source's object; 0: an item
	Name   string      // state of the item, or type and identifier of the object
	Fields []string    // where it stands: value, summary, mention, finding ...
}

// PersonSearch is one portion of a search.
type PersonSearch struct {
	Hits []PersonHit
	Next int64 // give it to the next call; 0: all was looked through
}

// FindPerson looks for a name, a mail address or a telephone number in every text
// that the hub keeps of items and of objects of sources, so that who is named wrongly
// can be helped: for a privacy officer, with a reason, in portions. handlings are
// those that the officer is cleared for, nil for all. The audit log says that and why
// somebody searched, and how much was found, but not for whom.
func (d *Desk) FindPerson(ctx context.Context, acct signin.Account, text, reason string, handlings []int64, after int64) (PersonSearch, error) {
	var out PersonSearch
	text = strings.ToLower(strings.TrimSpace(text))
	err := d.act(ctx, acct, reason, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		if len(strings.Join(wordsOf(text), "")) < minPersonText || len(text) > 200 {
			return fmt.Errorf("%w: look for 4 to 200 letters or digits", ErrText)
		}
		var last int64
		err := tx.QueryRowContext(ctx, `SELECT max(value) FROM counter WHERE name IN ('item', 'object')`).Scan(&last)
		if err != nil {
			return fmt.Errorf("release: search: %w", err)
		}
		s := personSearch{tx: tx, pattern: "%" + likeEscape.Replace(text) + "%", from: after, to: after + personSpan, handlings: handlings}
		out.Hits, err = s.run(ctx)
		if err != nil {
			return err
		}
		if s.to < last {
			out.Next = s.to
		}
		return audit.Append(ctx, tx, acct.Login, "privacy.search", acct.Login,
			map[string]any{"reason": reason, "hits": len(out.Hits), "after": after})
	})
	return out, err
}

var likeEscape = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

type personSearch struct {
	tx        *sql.Tx
	pattern   string
	from, to  int64
	handlings []int64
}

// places are the texts of an item, by table. Each query gives the item's number and
// identifier, its state, and the field.
var places = []struct{ field, from, text string }{
	{"value", `item i`, `i.value`},
	{"pattern", `item i`, `i.pattern`},
	{"summary", `item i`, `i.summary`},
	{"context", `item i`, `i.context`},
	{"labels", `item i`, `i.labels`},
	{"privacy note", `item i`, `i.privacy_note`},
	{"mention", `item i JOIN item_source m ON m.number = i.number`, `m.original`},
	{"reference", `item i JOIN item_source m ON m.number = i.number`, `m.reference`},
	{"finding", `item i JOIN finding f ON f.number = i.number`, `f.detail`},
	{"reason of a decision", `item i JOIN decision d ON d.item = i.id`, `d.reason`},
}

func (s *personSearch) run(ctx context.Context) ([]PersonHit, error) {
	found := map[int64]*PersonHit{}
	var order []int64
	for _, p := range places {
		query, args := s.query(`SELECT DISTINCT i.number, i.id, i.state FROM `+p.from, "i", p.text)
		rows, err := s.tx.QueryContext(ctx, query, args...)
		if err != nil {
			return nil, fmt.Errorf("release: search: %w", err)
		}
		for rows.Next() {
			var n int64
			var id, state string
			err = rows.Scan(&n, &id, &state)
			if err != nil {
				break
			}
			h := found[n]
			if h == nil {
				h = &PersonHit{Name: state}
				h.Item, err = contract.ParseID(id)
				if err != nil {
					break
				}
				found[n], order = h, append(order, n)
			}
			h.Fields = append(h.Fields, p.field)
		}
		err = closed(rows, err)
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(order)
	var out []PersonHit
	for _, n := range order[:min(len(order), personHits)] {
		out = append(out, *found[n])
	}
	objects, err := s.objects(ctx)
	return append(out, objects...), err
}

func (s *personSearch) objects(ctx context.Context) ([]PersonHit, error) {
	query, args := s.query(`SELECT i.number, i.type, i.id FROM source_object i`, "i", `i.body`)
	rows, err := s.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("release: search: %w", err)
	}
	var out []PersonHit
	for rows.Next() {
		h := PersonHit{Fields: []string{"object"}}
		var kind, id string
		err = rows.Scan(&h.Object, &kind, &id)
		if err != nil {
			break
		}
		h.Name = kind + " " + id
		out = append(out, h)
	}
	return out, closed(rows, err)
}

func closed(rows *sql.Rows, err error) error {
	if err != nil {
		_ = rows.Close()
		return err
	}
	err = rows.Err()
	if err != nil {
		return err
	}
	return rows.Close()
}

// query adds the conditions that all have.
func (s *personSearch) query(head, table, text string) (string, []any) {
	args := []any{s.from, s.to, s.pattern}
	query := head + ` WHERE ` + table + `.number > $1 AND ` + table + `.number <= $2 AND lower(` + text + `) LIKE $3 ESCAPE '\'`
	if s.handlings != nil {
		marks := []string{"-1"}
		for _, h := range s.handlings {
			args = append(args, h)
			marks = append(marks, "$"+strconv.Itoa(len(args)))
		}
		query += ` AND ` + table + `.handling IN (` + strings.Join(marks, ", ") + `)`
	}
	return query + ` ORDER BY 1 LIMIT ` + strconv.Itoa(personHits), args
}

// PurgeObject empties an object of a source, by a privacy officer: what it was about
// stays on record, nothing that it said does.
func (d *Desk) PurgeObject(ctx context.Context, acct signin.Account, number int64, reason string) error {
	return d.act(ctx, acct, reason, []string{rolePrivacy}, func(tx *sql.Tx, reason string) error {
		var id string
		err := tx.QueryRowContext(ctx, `SELECT id FROM source_object WHERE number = $1 AND body <> ''`, number).Scan(&id)
		if err != nil {
			return fmt.Errorf("%w: no object %d with anything in it", ErrState, number)
		}
		err = forget(ctx, tx, `number = $1`, number)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, acct.Login, "object.purge", id, map[string]any{"cause": ByOrder, "reason": reason})
	})
}
