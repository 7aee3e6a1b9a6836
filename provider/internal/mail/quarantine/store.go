package quarantine

import (
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"

	"github.com/google/uuid"
)

// State of a message in quarantine.
type State string

// The states. A message goes HELD -> RELEASING -> RELEASED or HELD -> DELETED.
// RELEASING is written before the message is sent, so that a crash while it is
// sent is seen and the release finished.
const (
	Held      State = "HELD"
	Releasing State = "RELEASING"
	Released  State = "RELEASED"
	Deleted   State = "DELETED"
)

// Errors that callers tell apart.
var (
	ErrFull    = errors.New("quarantine: full; delete messages, shorten the retention or raise its size")
	ErrUnknown = errors.New("quarantine: no such message")
	ErrSettled = errors.New("quarantine: the message was released or deleted before")
	ErrNoHop   = errors.New("quarantine: no next hop is configured; set it to release messages")
)

// Config of a quarantine.
type Config struct {
	DB        *sqldb.DB     // holds table quarantine; required
	Dir       string        // folder of the encrypted files, made if missing; required
	Key       []byte        // 32 bytes; required
	MaxBytes  int64         // of all messages held; 10 GiB. Beyond it Hold fails with [ErrFull]
	Retention time.Duration // a message is deleted so long after it came; 30 days
	Forget    time.Duration // the row of a settled message is forgotten so long after; 90 days
	Every     time.Duration // how often retention is looked after; 1 h
	NextHop   string        // host:port of an SMTP server that delivers released messages without filtering them again
	Hello     string        // name to give in EHLO; localhost
	TLS       *tls.Config   // for STARTTLS at the next hop; nil: plain, for loopback and protected networks
	Timeout   time.Duration // for one release; 5 min
	Log       *slog.Logger  // may be nil
}

// Item is one customer's share of a message to be held.
type Item struct {
	Customer   int32
	Indicator  contract.ID
	Sender     string
	Recipients []string
}

// Message is a row of the quarantine.
type Message struct {
	ID         string
	Customer   int32
	Indicator  contract.ID
	Sender     string
	Recipients []string
	Bytes      int64
	State      State
	Received   time.Time
	Settled    time.Time
	SettledBy  string
}

// Store is a quarantine. One process at a time may run one.
type Store struct {
	cfg    Config
	create func(name string) (file, error)
	point  func(string) // tests stop here
	busy   sync.Map     // identifiers being released or held
	bytes  atomic.Int64
	count  Counters

	recovering sync.Mutex
	recovered  bool
}

// Counters count what a quarantine did. Safe to read at any time.
type Counters struct {
	Held, Released, Deleted, Refused, Adopted, Swept, Failed atomic.Uint64
}

// file is what a store writes to.
type file interface {
	io.WriteCloser
	Sync() error
}

const (
	partSuffix = ".part"
	fileSuffix = ".ecsq"
)

// New makes a quarantine. It does nothing until [Store.Run] or [Store.Recover].
func New(cfg Config) (*Store, error) {
	if cfg.DB == nil || cfg.Dir == "" || len(cfg.Key) != 32 {
		return nil, errors.New("quarantine: a database, a folder and a key of 32 bytes are needed")
	}
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = 10 << 30
	}
	if cfg.Retention <= 0 {
		cfg.Retention = 30 * 24 * time.Hour
	}
	if cfg.Forget <= 0 {
		cfg.Forget = 90 * 24 * time.Hour
	}
	if cfg.Every <= 0 {
		cfg.Every = time.Hour
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Minute
	}
	if cfg.Hello == "" {
		cfg.Hello = "localhost"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, point: func(string) {}}
	s.create = func(name string) (file, error) {
		return os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	}
	return s, nil
}

// Counters gives the counters.
func (s *Store) Counters() *Counters { return &s.count }

// Bytes gives the size of all messages held.
func (s *Store) Bytes() int64 { return s.bytes.Load() }

func (s *Store) path(id, suffix string) string { return filepath.Join(s.cfg.Dir, id+suffix) }

// envelope is chunk 0 of a file.
type envelope struct {
	Customer   int32       `json:"customer"`
	Indicator  contract.ID `json:"indicator"`
	Sender     string      `json:"sender"`
	Recipients []string    `json:"recipients"`
	Bytes      int64       `json:"bytes"`
	Received   time.Time   `json:"received"`
}

// Hold keeps the message of a spool once for each item and gives the
// identifiers. It returns when all is on disk. On error nothing is kept.
func (s *Store) Hold(ctx context.Context, items []Item, from *Spool) ([]string, error) {
	if from == nil {
		return nil, errors.New("quarantine: the message was not spooled")
	}
	need := from.Size() * int64(len(items))
	if s.bytes.Add(need) > s.cfg.MaxBytes {
		s.bytes.Add(-need)
		s.count.Refused.Add(1)
		return nil, ErrFull
	}
	ids := make([]string, len(items))
	now := time.Now()
	for i := range items {
		u, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		ids[i] = u.String()
		s.busy.Store(ids[i], true)
		defer s.busy.Delete(ids[i])
	}
	err := s.keep(ctx, ids, items, now, from)
	if err != nil {
		s.bytes.Add(-need)
		s.count.Failed.Add(1)
		s.undo(ids)
		return nil, fmt.Errorf("quarantine: hold: %w", err)
	}
	for _, id := range ids {
		// Recovery does this as well: an error here loses nothing.
		_ = os.Rename(s.path(id, partSuffix), s.path(id, fileSuffix))
	}
	s.point("renamed")
	s.count.Held.Add(uint64(len(ids)))
	return ids, nil
}

func (s *Store) keep(ctx context.Context, ids []string, items []Item, now time.Time, from *Spool) error {
	for i, id := range ids {
		err := s.write(id, items[i], now, from)
		if err != nil {
			return err
		}
	}
	s.point("written")
	err := syncDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.point("synced")
	err = s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		for i, id := range ids {
			err := insert(ctx, tx, id, items[i], from.Size(), now)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.point("committed")
	return nil
}

func insert(ctx context.Context, tx *sql.Tx, id string, it Item, size int64, received time.Time) error {
	to, err := json.Marshal(it.Recipients)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO quarantine (id, customer, indicator, sender, recipients, bytes, state, received)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		id, it.Customer, it.Indicator.String(), it.Sender, string(to), size, string(Held), sqldb.Time(received))
	return err
}

// write writes and syncs one part.
func (s *Store) write(id string, it Item, now time.Time, from *Spool) error {
	src, done, err := from.reader()
	if err != nil {
		return err
	}
	defer done()
	f, err := s.create(s.path(id, partSuffix))
	if err != nil {
		return err
	}
	err = s.fill(f, id, envelope{
		Customer: it.Customer, Indicator: it.Indicator, Sender: it.Sender, Recipients: it.Recipients,
		Bytes: from.Size(), Received: now,
	}, src)
	return errors.Join(err, f.Close())
}

func (s *Store) fill(f file, id string, e envelope, src io.Reader) error {
	head, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if len(head) > chunkSize {
		return errors.New("more recipients than one message may have")
	}
	w, err := newSealer(f, s.cfg.Key, id)
	if err != nil {
		return err
	}
	_, err = w.Write(head)
	if err != nil {
		return err
	}
	w.cut()
	n, err := io.Copy(w, src)
	if err != nil {
		return err
	}
	if n != e.Bytes {
		return fmt.Errorf("spool gave %d bytes of %d", n, e.Bytes)
	}
	err = w.end()
	if err != nil {
		return err
	}
	return f.Sync()
}

// undo removes the parts of a hold that failed. A commit that failed may yet
// have been one: a part whose row is there stays.
func (s *Store) undo(ids []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, id := range ids {
		_, err := get(ctx, s.cfg.DB, id)
		if errors.Is(err, ErrUnknown) {
			_ = os.Remove(s.path(id, partSuffix))
		}
	}
}

// Withdraw takes back what [Store.Hold] kept, when the sender cannot be told
// that it was.
func (s *Store) Withdraw(ctx context.Context, ids []string) error {
	for _, id := range ids {
		var n int64
		err := s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
			return tx.QueryRowContext(ctx, `DELETE FROM quarantine WHERE id = $1 AND state = $2 RETURNING bytes`, id, string(Held)).Scan(&n)
		})
		if err != nil {
			return fmt.Errorf("quarantine: withdraw: %w", err)
		}
		s.bytes.Add(-n)
		s.remove(id)
	}
	return nil
}

// remove removes a message's file under either name.
func (s *Store) remove(id string) {
	_ = os.Remove(s.path(id, fileSuffix))
	_ = os.Remove(s.path(id, partSuffix))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
