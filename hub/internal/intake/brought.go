package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
)

// Brought asks what a delivery brought, for a reader who is cleared for some
// handlings (nil: all), behind a place in the list. See hub/internal/access.
type Brought struct {
	Batch     int64 // number of its row
	Handlings []int64
	Held      bool  // also objects in which personal data was found
	After     int64 // behind which to go on; 0 from the beginning
	Limit     int   // 1 to 1000
}

// Respelling is a value that a delivery wrote in another way than the hub keeps it.
type Respelling struct {
	Item      contract.ID
	Place     string
	Was       string // as the source wrote it: the value, or the line around it
	Line      bool   // Was is the whole line
	Canonical string // value or pattern
	Sealed    bool   // its marking forbids display: neither of the two is given
}

// maxCompared bounds the work of one page of respellings.
const maxCompared = 2000

// Respellings finds values that were brought into their canonical spelling, in the
// order of their items (After is the number of one), and gives the item behind which
// to go on, empty at the end. It looks at a bounded number of mentions, so that a page
// may be empty and not the last. It compares what is kept of the source's own words: a
// value inside of a line counts as unchanged when the line has it as it is.
func Respellings(ctx context.Context, q sqldb.Querier, b Brought) (out []Respelling, next string, err error) {
	rows, err := q.QueryContext(ctx, `SELECT s.place, s.original, i.id, i.value, i.pattern, i.display
		FROM item_source s JOIN item i ON i.number = s.number
		WHERE s.batch = $1 AND s.number > $2 AND `+indicator.Among("i.handling", b.Handlings)+` AND `+indicator.Among("s.handling", b.Handlings)+`
		ORDER BY s.number, s.mention LIMIT $3`, b.Batch, b.After, int64(maxCompared))
	if err != nil {
		return nil, "", fmt.Errorf("intake: respellings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	seen, last := 0, ""
	limit := max(1, min(b.Limit, 1000))
	for rows.Next() {
		var r Respelling
		var id, original, value, pattern string
		var display bool
		err = rows.Scan(&r.Place, &original, &id, &value, &pattern, &display)
		if err != nil {
			return nil, "", err
		}
		if len(out) >= limit && id != last { // the mentions of one item are on one page
			return out, last, rows.Err()
		}
		seen, last = seen+1, id
		if !r.compare(original, value, pattern) {
			continue
		}
		r.Item, err = contract.ParseID(id)
		if err != nil {
			return nil, "", err
		}
		if !display {
			r.Sealed, r.Was, r.Canonical = true, "", ""
		}
		out = append(out, r)
	}
	if seen < maxCompared {
		last = ""
	}
	return out, last, rows.Err()
}

// compare reports whether the source wrote it in another way.
func (r *Respelling) compare(original, value, pattern string) bool {
	if original == "" {
		return false // removed by the privacy gate
	}
	var o struct {
		Pattern, Value string
	}
	err := json.Unmarshal([]byte(original), &o)
	switch {
	case err == nil && o.Pattern != "":
		r.Was, r.Canonical = o.Pattern, pattern
	case err == nil && o.Value != "":
		r.Was, r.Canonical = o.Value, value
	case standsIn(original, value):
		return false
	default:
		r.Was, r.Canonical, r.Line = original, value, true
	}
	changed := r.Was != r.Canonical
	r.Was, r.Canonical = policy.Printable(strings.TrimSpace(r.Was), maxShown), policy.Printable(r.Canonical, maxShown)
	return changed
}

// standsIn reports whether a line has a value as it is: not as a part of a longer
// one, such as one with a dot behind it.
func standsIn(line, value string) bool {
	for rest := line; ; {
		i := strings.Index(rest, value)
		if i < 0 {
			return false
		}
		end := i + len(value)
		before := i == 0 || !part(rest[i-1])
		behind := end == len(rest) || !part(rest[end]) && (rest[end] != '.' || end+1 < len(rest) && rest[end+1] == ' ')
		if before && behind {
			return true
		}
		rest = rest[i+1:]
	}
}

// part reports whether a byte belongs to a value that goes on.
func part(c byte) bool {
	return c == '-' || c == '_' || c == '/' || c == '@' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Object is a STIX object that a delivery brought beside its indicators.
type Object struct {
	Number   int64  `json:"-"`
	ID       string `json:"id"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Modified int64  `json:"modified"` // microseconds since 1970 UTC, 0 without versions
	Revoked  bool   `json:"revoked"`
	Held     string `json:"held,omitempty"` // codes of the personal data found in it
}

// Objects reads the objects that a delivery brought, in their order.
func Objects(ctx context.Context, q sqldb.Querier, b Brought) ([]Object, error) {
	held := ` AND held = ''`
	if b.Held {
		held = ""
	}
	rows, err := q.QueryContext(ctx, `SELECT number, id, type, name, modified, revoked, held FROM source_object
		WHERE batch = $1 AND number > $2 AND `+indicator.Among("handling", b.Handlings)+held+` ORDER BY number LIMIT $3`,
		b.Batch, b.After, int64(max(1, min(b.Limit, 1000))))
	if err != nil {
		return nil, fmt.Errorf("intake: objects: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Object
	for rows.Next() {
		var o Object
		err = rows.Scan(&o.Number, &o.ID, &o.Type, &o.Name, &o.Modified, &o.Revoked, &o.Held)
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// ObjectPlace gives the place of an object in the list of [Objects], 0 when it is not
// in it.
func ObjectPlace(ctx context.Context, q sqldb.Querier, b Brought, id string) (int64, error) {
	var n int64
	err := q.QueryRowContext(ctx, `SELECT coalesce(max(number), 0) FROM source_object
		WHERE batch = $1 AND id = $2 AND `+indicator.Among("handling", b.Handlings), b.Batch, id).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("intake: objects: %w", err)
	}
	return n, nil
}

// Tally is how often something is there.
type Tally struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// RefusedCodes counts the kept refusals of a delivery by code, the most first.
func RefusedCodes(ctx context.Context, q sqldb.Querier, batch int64) ([]Tally, error) {
	rows, err := q.QueryContext(ctx, `SELECT code, count(*) FROM refusal WHERE batch = $1 GROUP BY code ORDER BY 2 DESC, 1`, batch)
	if err != nil {
		return nil, fmt.Errorf("intake: refusals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Tally
	for rows.Next() {
		var t Tally
		err = rows.Scan(&t.Name, &t.N)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
