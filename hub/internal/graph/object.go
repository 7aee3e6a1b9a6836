package graph

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/search"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Reader says what whoever asks may see.
type Reader struct {
	search.Reader
	Held bool // what holds personal data, too
}

// ReaderOf says what an account may see.
func ReaderOf(ctx context.Context, q sqldb.Querier, a signin.Account) (Reader, error) {
	r, err := search.ReaderOf(ctx, q, a)
	return Reader{Reader: r, Held: access.May(a, access.Held)}, err
}

// ErrNoObject says that there is no such object, or none that the reader may know of.
var ErrNoObject = errors.New("graph: there is no such object")

// Explain gives the words for an error of this package.
func Explain(err error) (access.Explanation, bool) {
	if errors.Is(err, ErrNoObject) {
		return access.Explanation{
			Status: 404, Code: "not-found", Title: "No such object", Detail: "No such object, or none that you may know of.",
			Next: "Come here from an indicator or from another object.",
		}, true
	}
	return access.Explanation{}, false
}

// Version is one version of an object as one source gave it.
type Version struct {
	Source   string    `json:"source"`
	Name     string    `json:"name"`
	Modified time.Time `json:"modified"` // zero for objects without versions
	Revoked  bool      `json:"revoked"`
	Marking  string    `json:"marking"` // marking.Handling
	Held     string    `json:"held,omitempty"`
	At       time.Time `json:"at"` // when it came
	number   int64
	body     string
}

// Object is an object with its versions, the newest first.
type Object struct {
	Node
	Versions []Version `json:"versions"`
	// Body is the newest version, byte for byte.
	Body string `json:"-"`
}

const maxVersions = 100

// visible gives the condition for rows of source_object under an alias that the
// reader may know of.
func (r *Reader) visible(alias string, w *where) string {
	out := " AND " + indicator.Among(alias+".handling", r.Handlings)
	if !r.Held {
		out += " AND " + alias + ".held = ''"
	}
	if r.Limited {
		out += " AND " + alias + ".source = " + w.arg(r.Source)
	}
	return out
}

// where numbers arguments.
type where struct{ args []any }

func (w *where) arg(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func list[T any](w *where, of []T) string {
	marks := make([]string, len(of))
	for i, v := range of {
		marks[i] = w.arg(v)
	}
	return "(" + strings.Join(marks, ", ") + ")"
}

// Read reads an object by its identifier.
func Read(ctx context.Context, q sqldb.Querier, r Reader, id string) (Object, error) {
	o := Object{Node: Node{ID: id, Known: true}}
	var w where
	query := `SELECT o.number, o.source, o.type, o.name, o.modified, o.revoked, o.held, o.body, o.at, h.text
		FROM source_object o JOIN handling h ON h.number = o.handling WHERE o.id = ` + w.arg(id) + r.visible("o", &w) +
		` ORDER BY o.modified DESC, o.number DESC LIMIT ` + w.arg(maxVersions)
	rows, err := q.QueryContext(ctx, query, w.args...)
	if err != nil {
		return o, fmt.Errorf("graph: object: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v Version
		var kind string
		var modified, at int64
		err = rows.Scan(&v.number, &v.Source, &kind, &v.Name, &modified, &v.Revoked, &v.Held, &v.body, &at, &v.Marking)
		if err != nil {
			return o, err
		}
		v.Modified, v.At = sqldb.FromTime(modified), sqldb.FromTime(at)
		if len(o.Versions) == 0 {
			o.Type, o.Name, o.Revoked, o.Body = kind, v.Name, v.Revoked, v.body
		}
		o.Versions = append(o.Versions, v)
	}
	err = rows.Err()
	if err == nil && len(o.Versions) == 0 {
		err = ErrNoObject
	}
	return o, err
}

// indicators fills in nodes that sources call by identifiers of their own with the
// indicators that they stand for.
func indicators(ctx context.Context, q sqldb.Querier, r Reader, refs []string, into map[string]*Node) error {
	keys := make([]int64, 0, len(refs))
	want := map[string]bool{}
	for _, ref := range refs {
		keys = append(keys, search.ReferenceKey(ref))
		want[ref] = true
	}
	if len(keys) == 0 {
		return nil
	}
	var w where
	query := `SELECT s.reference, i.id, i.value, i.display, i.state FROM item_source s JOIN item i ON i.number = s.number
		WHERE s.reference_key IN ` + list(&w, keys) + ` AND s.reference_key <> 0 AND ` + indicator.Among("i.handling", r.Handlings) + ` AND ` + indicator.Among("s.handling", r.Handlings)
	if r.Limited {
		query += ` AND s.source = ` + w.arg(r.Source)
	}
	rows, err := q.QueryContext(ctx, query+` ORDER BY s.mention LIMIT 2000`, w.args...)
	if err != nil {
		return fmt.Errorf("graph: indicators: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var ref, id, value string
		var display bool
		var state indicator.State
		err = rows.Scan(&ref, &id, &value, &display, &state)
		if err != nil {
			return err
		}
		if !want[ref] {
			continue // another reference with the same key
		}
		n := into[ref]
		if n == nil {
			continue
		}
		n.Item, err = contract.ParseID(id)
		if err != nil {
			return fmt.Errorf("graph: stored id: %w", err)
		}
		n.Known, n.Type, n.Name, n.State = true, "indicator", value, state
		if !display && !r.Values {
			n.Name = "hidden value"
		}
	}
	return rows.Err()
}

// refsOf gives the identifiers by which sources call an indicator, as far as the
// reader may see the mentions.
func refsOf(ctx context.Context, q sqldb.Querier, r Reader, id contract.ID) ([]string, error) {
	var w where
	query := `SELECT DISTINCT s.reference FROM item_source s JOIN item i ON i.number = s.number WHERE i.id = ` + w.arg(id.String()) +
		` AND s.reference_key <> 0 AND ` + indicator.Among("s.handling", r.Handlings) + ` AND ` + indicator.Among("i.handling", r.Handlings)
	if r.Limited {
		query += ` AND s.source = ` + w.arg(r.Source)
	}
	rows, err := q.QueryContext(ctx, query+` ORDER BY s.reference LIMIT 50`, w.args...)
	if err != nil {
		return nil, fmt.Errorf("graph: references: %w", err)
	}
	return texts(rows)
}

func texts(rows *sql.Rows) ([]string, error) {
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var s string
		err := rows.Scan(&s)
		if err != nil {
			return nil, err
		}
		if strings.Contains(s, "--") {
			out = append(out, s)
		}
	}
	return out, rows.Err()
}
