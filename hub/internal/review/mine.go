package review

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Decided is something that the reader has decided.
type Decided struct {
	indicator.Decision
	Value string // of the indicator; empty when the reader may not see it (any more)
	State indicator.State
	Seen  int64 // version of the indicator
	Items int   // of a bulk act, how many of it were read; 1 otherwise
}

// Mine gives the newest decisions of the reader's person, a bulk act as one, at most
// limit acts of the last days.
func (d *Desk) Mine(ctx context.Context, who signin.Account, days, limit int) ([]Decided, error) {
	s, err := d.sightOf(ctx, who)
	if err != nil {
		return nil, err
	}
	args := []any{who.Person, sqldb.Time(d.now().Add(-time.Duration(days) * 24 * time.Hour))}
	rows, err := d.db.QueryContext(ctx, `SELECT d.id, d.kind, d.verdict, d.login, d.person, d.reason, d.at, d.was, d.became, d.bulk, d.undone,
		i.id, i.value, i.state, i.version, i.display
		FROM (SELECT * FROM decision x WHERE x.person = $1 AND x.at >= $2 ORDER BY x.at DESC LIMIT `+strconv.Itoa(maxMine)+`) d
		JOIN item i ON i.id = d.item WHERE `+s.items("i", &args)+` ORDER BY d.at DESC, d.id DESC`, args...)
	if err != nil {
		return nil, fmt.Errorf("review: decisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Decided
	bulk := map[string]int{}
	for rows.Next() {
		x := Decided{Items: 1}
		var it indicator.Item
		var id string
		var at, undone int64
		err = rows.Scan(&x.ID, &x.Kind, &x.Verdict, &x.Login, &x.Person, &x.Reason, &at, &x.Was, &x.Became, &x.Bulk, &undone,
			&id, &x.Value, &x.State, &x.Seen, &it.Display)
		if err != nil {
			return nil, err
		}
		n, known := bulk[x.Bulk]
		if known && x.Bulk != "" {
			out[n].Items++
			continue
		}
		if len(out) == limit {
			break
		}
		x.Item, err = contract.ParseID(id)
		if err != nil {
			return nil, err
		}
		x.At, x.Undone = sqldb.FromTime(at), sqldb.FromTime(undone)
		if access.Hidden(who, &it) {
			x.Value = ""
		}
		bulk[x.Bulk] = len(out)
		out = append(out, x)
	}
	return out, rows.Err()
}

// maxMine bounds the decisions that one page reads; a bulk act of more is shown with
// as many as were read.
const maxMine = 5000
