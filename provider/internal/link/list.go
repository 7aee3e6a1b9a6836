package link

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/match"
	"ecs/provider/internal/vault"

	"golang.org/x/mod/sumdb/note"
)

// maxSkew is how far in this node's future a checkpoint may be issued before one
// of the two clocks must be wrong.
const maxSkew = 5 * time.Minute

// problem is a list that was not taken, and the code for it.
type problem struct {
	code contract.Problem
	err  error
}

func (p *problem) Error() string { return p.code.String() + ": " + p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func refuse(code contract.Problem, format string, args ...any) error {
	return &problem{code: code, err: fmt.Errorf(format, args...)}
}

// list is the state that the checkpoints speak of.
type list struct {
	provider string
	services contract.Services // that this node runs
	verifier note.Verifier

	tree    *contract.List
	last    contract.Checkpoint
	note    string                        // the signed form of last
	refused map[uint64][]contract.Refusal // by sequence number of the entry
}

func newList(provider string, services contract.Services, verifier note.Verifier) *list {
	return &list{
		provider: provider, services: services, verifier: verifier,
		tree: contract.NewList(), refused: map[uint64][]contract.Refusal{},
	}
}

// change is what a run of entries does to the match set.
type change struct {
	add    []match.Item
	remove []contract.ID
}

// open verifies the signature of a note and that it speaks of this provider.
func (l *list) open(signed string) (*contract.Checkpoint, error) {
	n, err := note.Open([]byte(signed), note.VerifierList(l.verifier))
	if err != nil {
		return nil, refuse(contract.BadNote, "the checkpoint's signature is not the program's: %w", err)
	}
	c, err := contract.ParseCheckpoint(n.Text)
	if err != nil {
		return nil, refuse(contract.BadNote, "%w", err)
	}
	if c.Provider != l.provider {
		return nil, refuse(contract.BadNote, "the checkpoint is for provider %q, this is %q", c.Provider, l.provider)
	}
	return c, nil
}

// fresh judges a checkpoint that came over the network, by this node's clock
// and by what was loaded before.
func (l *list) fresh(c *contract.Checkpoint, now time.Time) error {
	switch {
	case c.Sequence < l.last.Sequence || c.Issued.Before(l.last.Issued):
		return refuse(contract.Older, "the checkpoint (sequence %d, issued %s) is older than the one in force (sequence %d, issued %s)",
			c.Sequence, c.Issued.Format(time.RFC3339), l.last.Sequence, l.last.Issued.Format(time.RFC3339))
	case !c.Expires.After(now):
		return refuse(contract.Expired, "the checkpoint ended at %s, it is %s here", c.Expires.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case c.Issued.After(now.Add(maxSkew)):
		return refuse(contract.FutureTime, "the checkpoint is issued at %s, it is only %s here: check this node's clock", c.Issued.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// apply brings the tree to the state after entries and compares it with the
// checkpoint. After an error the tree is in no defined state: reload it.
func (l *list) apply(entries []contract.Entry, c *contract.Checkpoint) (change, error) {
	items := map[contract.ID]*match.Item{} // nil: taken out
	seq := l.last.Sequence
	for i := range entries {
		e := &entries[i]
		if e.Seq <= seq || e.Seq > c.Sequence {
			return change{}, refuse(contract.WrongList, "entry %d is out of order", e.Seq)
		}
		seq = e.Seq
		id, item, err := l.put(e)
		if err != nil {
			return change{}, err
		}
		items[id] = item
	}
	var out change
	for _, id := range l.tree.Expire(c.Issued) {
		items[id] = nil
	}
	if l.tree.Len() != c.Count || l.tree.Root() != c.Root {
		return change{}, refuse(contract.WrongList, "the entries make a list of %d with root %s, the checkpoint says %d with root %s",
			l.tree.Len(), l.tree.Root(), c.Count, c.Root)
	}
	for id, item := range items {
		if item == nil {
			out.remove = append(out.remove, id)
		} else {
			out.add = append(out.add, *item)
		}
	}
	return out, nil
}

// put enters one entry into the tree and says what the match set is to hold.
func (l *list) put(e *contract.Entry) (contract.ID, *match.Item, error) {
	var head struct {
		ID      contract.ID `json:"id"`
		Until   time.Time   `json:"valid_until"`
		Revoked bool        `json:"revoked"`
	}
	err := json.Unmarshal(e.Object, &head)
	if err != nil || head.ID.IsZero() {
		return head.ID, nil, refuse(contract.Unreadable, "entry %d is not an indicator", e.Seq)
	}
	if head.Revoked || e.Services == 0 {
		l.tree.Remove(head.ID)
		return head.ID, nil, nil
	}
	l.tree.Put(head.ID, e.Leaf(), head.Until)
	item, refusals := compile(e, head.ID, l.services)
	if len(refusals) > 0 {
		l.refused[e.Seq] = refusals
	}
	return head.ID, item, nil
}

// compile makes a match item of an entry, for the services that this node runs
// and that can observe the pattern, and says what it cannot use and why. The
// item is nil when nothing is left. At most one refusal speaks of one service.
func compile(e *contract.Entry, id contract.ID, running contract.Services) (*match.Item, []contract.Refusal) {
	x, err := contract.ParseIndicator(e.Object)
	if err != nil {
		return nil, []contract.Refusal{{ID: id, Services: e.Services, Reason: contract.BadObject}}
	}
	c, err := observable.Compile(x.Pattern)
	if err != nil {
		return nil, []contract.Refusal{{ID: id, Services: e.Services, Reason: contract.NotObservable}}
	}
	var refusals []contract.Refusal
	if not := e.Services &^ running; not != 0 {
		refusals = append(refusals, contract.Refusal{ID: id, Services: not, Reason: contract.NotAccredited})
	}
	use := e.Services & running
	if blind := use &^ c.Services; blind != 0 {
		refusals = append(refusals, contract.Refusal{ID: id, Services: blind, Reason: contract.NotObservable})
	}
	use &= c.Services
	if use == 0 {
		return nil, refusals
	}
	return &match.Item{
		Entry: &match.Entry{
			ID: x.ID, Services: use, Category: x.Category, Action: x.Action, Marking: x.Marking,
			Disclosure: x.Disclosure, Enforce: x.Enforce, Display: x.Display, Notify: x.Notify,
			Summary: x.Summary, From: x.ValidFrom.Unix(), Until: ceilSecond(x.ValidUntil),
		},
		Atoms: c.Atoms,
	}, refusals
}

// ceilSecond keeps an indicator in force to the end of its last second: the set
// counts in seconds, and ending early would lose what is still promised.
func ceilSecond(t time.Time) int64 {
	s := t.Unix()
	if t.Nanosecond() > 0 {
		s++
	}
	return s
}

// reload reads the whole list again from the vault's frames and gives the items
// of all that is in force.
func (l *list) reload(replay func(func(vault.Frame) error) error) ([]match.Item, error) {
	*l = *newList(l.provider, l.services, l.verifier)
	items := map[contract.ID]*match.Item{}
	err := replay(func(f vault.Frame) error {
		for i := range f.Entries {
			id, item, err := l.put(&f.Entries[i])
			if err != nil {
				return err
			}
			items[id] = item
		}
		if f.Checkpoint == "" {
			return nil
		}
		c, err := l.open(f.Checkpoint)
		if err != nil {
			return err
		}
		l.last, l.note = *c, f.Checkpoint
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, id := range l.tree.Expire(l.last.Issued) {
		items[id] = nil
	}
	if l.last.Sequence > 0 && (l.tree.Len() != l.last.Count || l.tree.Root() != l.last.Root) {
		return nil, errors.New("link: the vault's list does not fit its checkpoint")
	}
	out := make([]match.Item, 0, len(items))
	for id, item := range items {
		if item != nil && l.tree.Has(id) {
			out = append(out, *item)
		}
	}
	return out, nil
}

// unusable counts the indicators in force of which this node cannot use all.
func (l *list) unusable() int {
	n := 0
	for seq, refusals := range l.refused {
		if !l.tree.Has(refusals[0].ID) {
			delete(l.refused, seq)
			continue
		}
		n++
	}
	return n
}

// ack makes the receipt for everything after from.
func (l *list) ack(from uint64, now time.Time) contract.Ack {
	a := contract.Ack{From: from, Sequence: l.last.Sequence, Root: l.last.Root, At: now.UTC().Truncate(time.Microsecond)}
	for seq, refusals := range l.refused {
		if seq > from {
			a.Refused = append(a.Refused, refusals...)
		}
	}
	return a
}

// Items reads the vault beside a running node and gives what is in force there,
// for commands that judge files.
func Items(id *Identity, services contract.Services, dir string, key []byte) ([]match.Item, error) {
	l := newList(id.Provider(), services, id.verifier)
	return l.reload(func(load func(vault.Frame) error) error { return vault.Read(dir, key, load) })
}
