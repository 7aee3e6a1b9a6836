package review

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Decided is something that the reader has decided.
type Decided struct {
	indicator.Decision
	Value string // of the indicator; empty when its marking forbids display
	State indicator.State
	Seen  int64 // version of the indicator
	Items int   // of a bulk act, how many of it were read; 1 otherwise
	// Until is when it can no longer be taken back; zero when it cannot. The desk
	// decides: somebody may have acted on it meanwhile.
	Until time.Time
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
		FROM (SELECT * FROM decision x WHERE x.person = $1 AND x.at >= $2 AND x.kind <> 'undo' ORDER BY x.at DESC LIMIT `+strconv.Itoa(maxMine)+`) d
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
		if !it.Display { // shown on its own page, where its reading is recorded
			x.Value = ""
		}
		end := x.At.Add(release.DefaultUndoWithin)
		if x.Undone.IsZero() && x.State == x.Became && indicator.CanTakeBack(x.Kind, x.Was, x.Became) && d.now().Before(end) {
			x.Until = end
		}
		bulk[x.Bulk] = len(out)
		out = append(out, x)
	}
	return out, rows.Err()
}

// maxMine bounds the decisions that one page reads; a bulk act of more is shown with
// as many as were read.
const maxMine = 5000

// LastTargets gives where the reader's person released something last, as forms name
// it ("provider/service"): the likeliest answer to the same question again.
func (d *Desk) LastTargets(ctx context.Context, who signin.Account) (map[string]bool, error) {
	rows, err := d.db.QueryContext(ctx, `SELECT provider, services FROM target WHERE item =
		(SELECT item FROM decision WHERE person = $1 AND kind = 'second' ORDER BY at DESC LIMIT 1)`, who.Person)
	if err != nil {
		return nil, fmt.Errorf("review: last targets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]bool{}
	for rows.Next() {
		var provider string
		var services contract.Services
		err = rows.Scan(&provider, &services)
		if err != nil {
			return nil, err
		}
		for _, s := range services.Each() {
			out[provider+"/"+s.String()] = true
		}
	}
	return out, rows.Err()
}
