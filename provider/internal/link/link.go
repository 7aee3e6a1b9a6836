package link

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/provider/internal/match"
	"ecs/provider/internal/vault"

	"golang.org/x/mod/sumdb/note"
)

// Outgoing is the feedback that the provider's operators have reviewed.
type Outgoing interface {
	// Reviewed gives the windows that may be sent, as their exact bytes.
	Reviewed(ctx context.Context) ([][]byte, error)
	// Answered takes the hub's answer to one of them; refused is why it was
	// refused for good, empty when it was accepted.
	Answered(ctx context.Context, body []byte, refused string) error
}

// Config is what a link needs.
type Config struct {
	Identity *Identity
	Services contract.Services    // that this node runs
	VaultDir string               // folder of the sealed list
	VaultKey []byte               // 32 bytes
	Set      *match.Holder        // where the list is put in force
	DB       *sqldb.DB            // the provider's database, for link_state
	Feedback Outgoing             // nil: send none
	Rules    func(contract.Rules) // told the rules of feedback when they arrive; may be nil
	Log      *slog.Logger
	Now      func() time.Time // nil: time.Now
}

// Status is what the console shows.
type Status struct {
	Checkpoint contract.Checkpoint // in force; zero before the first
	LoadedAt   time.Time           // by this node's clock
	Contact    time.Time           // last answer of the hub
	Error      string              // why the hub could not be asked; empty when it could
	Problem    contract.Problem    // why the newest list was not taken
	ProblemAt  time.Time
	Detail     string    // the problem in words
	Refused    int       // entries of the list that this node cannot use
	Confirmed  uint64    // sequence that the hub has our receipt for
	Unsent     int64     // receipts that the hub has not taken yet
	NotAfter   time.Time // of the node's certificate
	Torn       int64     // bytes of a torn write that the vault cut off at start
}

// Link follows the hub.
type Link struct {
	cfg   Config
	hub   *hub
	list  *list
	vault *vault.Vault
	wake  chan struct{} // a receipt or feedback is to be sent

	mu        sync.Mutex // guards what follows
	status    Status
	confirmed contract.Ack // the last receipt that the hub confirmed
	due       *contract.Ack
	problems  []contract.Ack
	rules     uint64
}

// New makes a link. Nothing happens before Open.
func New(cfg Config) *Link {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Link{
		cfg: cfg, wake: make(chan struct{}, 1),
		hub:  &hub{base: cfg.Identity.hub, http: cfg.Identity.client()},
		list: newList(cfg.Identity.Provider(), cfg.Services, cfg.Identity.verifier),
	}
}

// Open reads the vault and puts the last good list in force, so that the rooms
// can start protected before the hub has been reached.
func (l *Link) Open(ctx context.Context) error {
	var frames []vault.Frame
	v, err := vault.Open(l.cfg.VaultDir, l.cfg.VaultKey, func(f vault.Frame) error {
		frames = append(frames, f)
		return nil
	})
	if err != nil {
		return err
	}
	l.vault = v
	items, err := l.list.reload(func(each func(vault.Frame) error) error {
		for i := range frames {
			err := each(frames[i])
			if err != nil {
				return err
			}
			frames[i] = vault.Frame{}
		}
		return nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("link: %w", err), v.Close())
	}
	err = l.loadConfirmed(ctx)
	if err != nil {
		return errors.Join(err, v.Close())
	}
	l.cfg.Set.Set(match.Build(items))
	l.mu.Lock()
	l.status.Torn = v.Torn
	l.mu.Unlock()
	l.inForce()
	l.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "list opened from the vault",
		slog.Uint64("sequence", l.list.last.Sequence), slog.Int("indicators", len(items)), slog.Int64("torn_bytes", v.Torn))
	return nil
}

// Run follows the hub until ctx ends, and closes the vault.
func (l *Link) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { l.report(ctx) })
	l.follow(ctx)
	wg.Wait()
	l.hub.http.CloseIdleConnections()
	return l.vault.Close()
}

// Provider gives the provider's short name in the program.
func (l *Link) Provider() string { return l.cfg.Identity.Provider() }

// Status gives the present state.
func (l *Link) Status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.status
	s.Unsent = int64(len(l.problems))
	if l.due != nil {
		s.Unsent++
	}
	s.NotAfter = l.cfg.Identity.NotAfter()
	return s
}

// Wake makes the link look for reviewed feedback now.
func (l *Link) Wake() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// follow is the loop that receives.
func (l *Link) follow(ctx context.Context) {
	pause := pauses{first: 100 * time.Millisecond, last: 10 * time.Second}
	wait := time.Duration(0)
	for ctx.Err() == nil {
		err := l.once(ctx, wait)
		l.note(ctx, err)
		if err == nil {
			pause.reset()
			wait = holdFor
			continue
		}
		pause.sleep(ctx)
		wait = 0
	}
}

// maxEntries bounds what is held in memory before a checkpoint has vouched for it.
const maxEntries = 20_000_000

// once asks for what follows the list in force, up to a checkpoint, and takes it.
func (l *Link) once(ctx context.Context, wait time.Duration) error {
	after := l.list.last.Sequence
	var entries []contract.Entry
	for {
		page, err := l.hub.changes(ctx, after, wait)
		if err != nil {
			return err
		}
		entries = append(entries, page.Entries...)
		if len(entries) > maxEntries {
			return refuse(contract.Unreadable, "the hub sends more than %d entries without a checkpoint", maxEntries)
		}
		if !page.More {
			return l.take(entries, page)
		}
		if len(page.Entries) == 0 {
			return refuse(contract.Unreadable, "the hub says there is more but sends nothing")
		}
		after = page.Entries[len(page.Entries)-1].Seq
		wait = 0
	}
}

// take verifies a list, keeps it, and puts it in force, in this order.
func (l *Link) take(entries []contract.Entry, page *contract.Page) error {
	c, err := l.list.open(page.Checkpoint)
	if err == nil {
		err = l.list.fresh(c, l.cfg.Now())
	}
	if err != nil {
		return err // the list has not been touched
	}
	err = l.takeRules(page.Rules)
	if err != nil {
		return err
	}
	if len(entries) == 0 && c.Issued.Equal(l.list.last.Issued) {
		return nil
	}
	ch, err := l.list.apply(entries, c)
	if err == nil {
		err = l.vault.Append(entries, page.Checkpoint)
		if err != nil {
			err = refuse(contract.NoStorage, "%w", err)
		}
	}
	if err != nil {
		_, again := l.list.reload(l.vault.Replay)
		return errors.Join(err, again)
	}
	l.list.last, l.list.note = *c, page.Checkpoint
	if len(ch.add) > 0 || len(ch.remove) > 0 {
		l.cfg.Set.Set(l.cfg.Set.Get().With(ch.add, ch.remove))
	}
	l.inForce()
	return l.compact()
}

func (l *Link) takeRules(signed string) error {
	if signed == "" {
		return nil
	}
	n, err := note.Open([]byte(signed), note.VerifierList(l.cfg.Identity.verifier))
	if err != nil {
		return refuse(contract.BadNote, "the signature of the feedback rules is not the program's: %w", err)
	}
	r, err := contract.ParseRules(n.Text)
	if err != nil {
		return refuse(contract.BadNote, "%w", err)
	}
	l.mu.Lock()
	known := l.rules
	l.rules = max(l.rules, r.Version)
	l.mu.Unlock()
	if r.Version > known && l.cfg.Rules != nil {
		l.cfg.Rules(*r)
	}
	return nil
}

// compact rewrites the vault when most of it is history.
func (l *Link) compact() error {
	const typical = 900 // bytes of an entry in the vault
	if l.vault.Size() < 16<<20+4*typical*int64(l.list.tree.Len()) {
		return nil
	}
	return l.vault.Compact(l.list.note, l.list.tree.Has)
}

// inForce tells the console, and makes the receipt due if the hub lacks it.
func (l *Link) inForce() {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Checkpoint, l.status.LoadedAt = l.list.last, now
	l.status.Refused = l.list.unusable()
	if l.list.last.Sequence == 0 || l.list.last.Sequence == l.confirmed.Sequence && l.list.last.Root == l.confirmed.Root {
		return
	}
	a := l.list.ack(l.confirmed.Sequence, now)
	l.due = &a
	l.Wake()
}

// note keeps what became of the last attempt for the console, and for the hub
// when it was a list that we refused.
func (l *Link) note(ctx context.Context, err error) {
	now := l.cfg.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var p *problem
	var s *statusError
	switch {
	case err == nil:
		// The hub shows the newest receipt. A problem that is over, in this run or
		// the one before, must not stay the last word until the next release.
		if (l.status.Problem != contract.None || l.status.Contact.IsZero()) && l.due == nil && l.list.last.Sequence > 0 {
			a := l.list.ack(l.confirmed.Sequence, now)
			l.due = &a
			l.Wake()
		}
		l.status.Contact, l.status.Error = now, ""
		l.status.Problem, l.status.Detail = contract.None, ""
	case errors.As(err, &p):
		l.status.Contact, l.status.Error = now, ""
		if l.status.Problem == p.code {
			return // said once; it lasts
		}
		l.status.Problem, l.status.ProblemAt, l.status.Detail = p.code, now, p.err.Error()
		l.problems = append(l.problems, contract.Ack{
			From: l.list.last.Sequence, Sequence: l.list.last.Sequence, Root: l.list.last.Root,
			At: now.UTC().Truncate(time.Microsecond), Problem: p.code,
		})
		l.cfg.Log.LogAttrs(ctx, slog.LevelError, "list refused, the old one stays", slog.String("problem", p.code.String()), slog.String("detail", p.err.Error()))
		l.Wake()
	case ctx.Err() == nil:
		if errors.As(err, &s) {
			l.status.Contact = now
		}
		if l.status.Error == "" {
			l.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "the hub cannot be followed, the list in force stays", slog.String("error", err.Error()))
		}
		l.status.Error = err.Error()
	}
}

// report is the loop that sends: receipts, reviewed feedback, renewals.
func (l *Link) report(ctx context.Context) {
	pause := pauses{first: 200 * time.Millisecond, last: 30 * time.Second}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	for {
		err := l.send(ctx)
		if err != nil && ctx.Err() == nil {
			pause.sleep(ctx)
		} else {
			pause.reset()
			select {
			case <-ctx.Done():
			case <-l.wake:
			case <-tick.C:
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (l *Link) send(ctx context.Context) error {
	err := l.sendAcks(ctx)
	if err != nil {
		return err
	}
	if l.cfg.Identity.due(l.cfg.Now()) {
		err = l.cfg.Identity.renew(ctx, l.hub)
		if err != nil {
			l.cfg.Log.LogAttrs(ctx, slog.LevelError, "certificate not renewed", slog.String("error", err.Error()))
			return err
		}
		l.hub.http.CloseIdleConnections()
		l.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "certificate renewed", slog.Time("not_after", l.cfg.Identity.NotAfter()))
	}
	if l.cfg.Feedback == nil {
		return nil
	}
	return l.sendFeedback(ctx)
}

func (l *Link) sendAcks(ctx context.Context) error {
	for {
		l.mu.Lock()
		var a contract.Ack
		isProblem := len(l.problems) > 0
		switch {
		case isProblem:
			a = l.problems[0]
		case l.due != nil:
			a = *l.due
		default:
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		signed, err := l.cfg.Identity.sign(a)
		if err != nil {
			return err
		}
		err = l.hub.ack(ctx, signed)
		if err != nil && !final(err) {
			return err
		}
		if err != nil {
			l.cfg.Log.LogAttrs(ctx, slog.LevelError, "the hub refused a receipt", slog.String("error", err.Error()))
		}
		if isProblem {
			l.mu.Lock()
			l.problems = l.problems[1:]
			l.mu.Unlock()
			continue
		}
		err = l.saveConfirmed(ctx, a)
		if err != nil {
			return err
		}
	}
}

func (l *Link) sendFeedback(ctx context.Context) error {
	windows, err := l.cfg.Feedback.Reviewed(ctx)
	if err != nil {
		return err
	}
	for _, body := range windows {
		// A second wall: nothing but a window of the closed schema leaves from here,
		// whatever it was that made it.
		_, bad := contract.ParseWindow(body)
		if bad == nil {
			bad = l.hub.feedback(ctx, body)
			if bad != nil && !final(bad) {
				return bad
			}
		}
		refused := ""
		if bad != nil {
			refused = bad.Error()
		}
		err = l.cfg.Feedback.Answered(ctx, body, refused)
		if err != nil {
			return err
		}
	}
	return nil
}

const confirmedName = "confirmed"

func (l *Link) loadConfirmed(ctx context.Context) error {
	var v string
	err := l.cfg.DB.QueryRowContext(ctx, `SELECT value FROM link_state WHERE name = $1`, confirmedName).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	seq, root, _ := strings.Cut(v, " ")
	l.confirmed.Sequence, err = strconv.ParseUint(seq, 10, 64)
	if err == nil {
		err = l.confirmed.Root.UnmarshalText([]byte(root))
	}
	if err != nil {
		return fmt.Errorf("link: link_state: %w", err)
	}
	if l.confirmed.Sequence > l.list.last.Sequence {
		l.confirmed = contract.Ack{} // the vault was replaced by an older or empty one
	}
	l.status.Confirmed = l.confirmed.Sequence
	return nil
}

func (l *Link) saveConfirmed(ctx context.Context, a contract.Ack) error {
	err := l.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO link_state (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
			confirmedName, fmt.Sprintf("%d %s", a.Sequence, a.Root))
		return err
	})
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.confirmed = a
	l.status.Confirmed = a.Sequence
	if l.due != nil && l.due.Sequence == a.Sequence && l.due.Root == a.Root {
		l.due = nil
	}
	return nil
}

// pauses are growing waits between attempts, each between half and all of its
// length, so that nodes that lost the hub at once do not come back at once.
type pauses struct{ first, last, now time.Duration }

func (p *pauses) reset() { p.now = 0 }

func (p *pauses) sleep(ctx context.Context) {
	p.now = min(max(2*p.now, p.first), p.last)
	t := time.NewTimer(p.now/2 + rand.N(p.now/2))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
