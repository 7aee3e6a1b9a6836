package intake

import (
	"context"
	"database/sql"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// neighbors is what the hub knows of the values of a portion and of those that
// cover them, for policy.Against. Names are looked up with each portion; living
// prefixes are few and are held for the length of a delivery, since looking for
// each prefix around each address would be seventeen look-ups an item.
type neighbors struct {
	byValue  map[string][]policy.Neighbor
	prefixes *bart.Table[policy.Neighbor]
}

// maxPrefixes bounds the living prefixes that are held. A hub with more finds the
// nearest ones by number; the finding is a help and no gate.
const maxPrefixes = 200_000

// livingPrefixes reads the prefixes that live.
func livingPrefixes(ctx context.Context, q sqldb.Querier) (*bart.Table[policy.Neighbor], error) {
	out := new(bart.Table[policy.Neighbor])
	rows, err := q.QueryContext(ctx, `SELECT id, kind, value, state, services FROM item WHERE kind = $1 AND ended = 0 ORDER BY number DESC LIMIT $2`,
		observable.Prefix.String(), int64(maxPrefixes))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		n, _, err := scanNeighbor(rows)
		if err != nil {
			return nil, err
		}
		hold(out, n)
	}
	return out, rows.Err()
}

func hold(t *bart.Table[policy.Neighbor], n policy.Neighbor) {
	p, err := netip.ParsePrefix(n.Atom.Value)
	if err == nil {
		t.Insert(p, n)
	}
}

func scanNeighbor(rows *sql.Rows) (n policy.Neighbor, ended bool, err error) {
	var id, kind, value string
	err = rows.Scan(&id, &kind, &value, &n.State, &n.Services)
	if err != nil {
		return n, false, err
	}
	n.ID, err = contract.ParseID(id)
	if err != nil {
		return n, false, err
	}
	n.Atom = atomOf(kind, value)
	n.Standing = policy.Living
	return n, n.State.Ended(), nil
}

// atomOf gives the atom of a stored value, which may be narrowed to a port.
func atomOf(kind, value string) observable.Atom {
	k, err := observable.ParseKind(kind)
	if err != nil {
		return observable.Atom{}
	}
	if strings.Contains(value, " ") && (k == observable.Addr || k == observable.Prefix) {
		a, err := observable.FromValue(value)
		if err == nil {
			return a
		}
	}
	return observable.Atom{Kind: k, Value: value}
}

// near reads what the hub knows of the values of a portion's new items and of the
// names above them.
func (w *writer) near(ctx context.Context, tx *sql.Tx, c *known, portion []outcome) error {
	c.near.prefixes = w.prefixes
	c.near.byValue = map[string][]policy.Neighbor{}
	var keys, values []any
	for i := range portion {
		r := portion[i].ready
		if r == nil || c.items[r.key] != nil {
			continue // what is there already is merged
		}
		for _, a := range r.subject.Atoms[:min(len(r.subject.Atoms), 8)] {
			for _, x := range append(above(a), a) {
				v := x.String()
				_, ok := c.near.byValue[v]
				if ok || v == "" {
					continue
				}
				c.near.byValue[v] = nil
				values = append(values, v)
				if x != a { // that of the value itself was looked up with the patterns
					keys = append(keys, indicator.PatternKey(observable.Pattern(x)))
				}
			}
		}
	}
	for some := range slices.Chunk(keys, w.in.cfg.DB.Placeholders()) {
		err := w.nearBy(ctx, tx, c, `pattern_key IN (`+marks(1, len(some))+`)`, some)
		if err != nil {
			return err
		}
	}
	for some := range slices.Chunk(values, w.in.cfg.DB.Placeholders()) {
		err := w.nearBy(ctx, tx, c, `value IN (`+marks(1, len(some))+`) AND (ended > 0 OR atoms <> 1)`, some)
		if err != nil {
			return err
		}
	}
	return nil
}

// above gives the names that would cover a value.
func above(a observable.Atom) []observable.Atom {
	if a.Kind != observable.Domain && a.Kind != observable.URL && a.Kind != observable.Mail {
		return nil
	}
	return policy.Covers(a)
}

func (w *writer) nearBy(ctx context.Context, tx *sql.Tx, c *known, where string, args []any) error {
	rows, err := tx.QueryContext(ctx, `SELECT id, kind, value, state, services FROM item WHERE `+where, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var over []policy.Neighbor
	for rows.Next() {
		n, ended, err := scanNeighbor(rows)
		if err != nil {
			return err
		}
		if ended {
			over = append(over, n)
			continue
		}
		c.near.byValue[n.Atom.String()] = append(c.near.byValue[n.Atom.String()], n)
	}
	err = rows.Err()
	if err != nil {
		return err
	}
	_ = rows.Close()
	for _, n := range over {
		said, err := verdict(ctx, tx, &n)
		if err != nil {
			return err
		}
		if said {
			c.near.byValue[n.Atom.String()] = append(c.near.byValue[n.Atom.String()], n)
		}
	}
	return nil
}

// verdict finds what people had against an item that has ended.
func verdict(ctx context.Context, tx *sql.Tx, n *policy.Neighbor) (bool, error) {
	if n.State != indicator.Revoked && n.State != indicator.Rejected {
		return false, nil
	}
	ds, err := indicator.Decisions(ctx, tx, n.ID)
	if err != nil {
		return false, err
	}
	for _, d := range slices.Backward(ds) {
		switch {
		case d.Kind != indicator.KindRecall && d.Kind != indicator.KindReject || !d.Undone.IsZero():
			continue
		case d.Verdict == falsePositive:
			n.Standing = policy.FalsePositive
		case d.Kind == indicator.KindReject:
			n.Standing = policy.Rejected
		default:
			n.Standing = policy.Recalled
		}
		n.Who, n.At = d.Login, d.At
		return true, nil
	}
	return false, nil
}

// falsePositive is the reason code of a recall or a rejection of something
// harmless.
const falsePositive = "false-positive"

// against compares a new item with its neighbors and stops it where people have to
// look.
func (c *known) against(r *ready, checker *policy.Checker) {
	var near []policy.Neighbor
	for _, a := range r.subject.Atoms[:min(len(r.subject.Atoms), 8)] {
		near = append(near, c.near.byValue[a.String()]...)
		for _, x := range above(a) {
			near = append(near, c.near.byValue[x.Value]...)
		}
		near = append(near, c.near.around(a)...)
	}
	if len(near) == 0 {
		return
	}
	found := checker.Against(&r.subject, near, r.item.Created)
	r.findings = append(r.findings, found...)
	if r.item.State == indicator.PendingFirst && len(indicator.Stops(found)) > 0 {
		r.item.State = indicator.TechValidation
	}
}

// around gives the living prefixes that hold an address.
func (n *neighbors) around(a observable.Atom) []policy.Neighbor {
	if a.Kind != observable.Addr && a.Kind != observable.Prefix {
		return nil
	}
	p, err := netip.ParsePrefix(a.Value)
	if err != nil {
		addr, err := netip.ParseAddr(a.Value)
		if err != nil {
			return nil
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	var out []policy.Neighbor
	for q, x := range n.prefixes.Supernets(p) {
		if q != p {
			out = append(out, x)
		}
	}
	return out
}

// settle makes a new item a neighbor of those behind it.
func (c *known) settle(it *indicator.Item) {
	n := policy.Neighbor{ID: it.ID, Atom: atomOf(it.Kind.String(), it.Value), Standing: policy.Living, State: it.State, Services: it.Services}
	_, asked := c.near.byValue[it.Value]
	if asked {
		c.near.byValue[it.Value] = append(c.near.byValue[it.Value], n)
	}
	if it.Kind == observable.Prefix {
		c.fresh = append(c.fresh, n)
	}
}
