package quarantine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// system is the actor of what nobody asked for.
const system = "system"

// Run recovers if that was not done yet, then looks after retention until ctx
// ends.
func (s *Store) Run(ctx context.Context) error {
	err := s.Recover(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	tick := time.NewTicker(s.cfg.Every)
	defer tick.Stop()
	for {
		s.finish(ctx)
		err = s.Retain(ctx, time.Now())
		if err != nil && ctx.Err() == nil {
			s.count.Failed.Add(1)
			s.cfg.Log.Error("quarantine: retention failed, will be tried again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Recover makes folder and table agree after whatever ended the last run. It
// must end before the first [Store.Hold]; once it has, calling it again does
// nothing, since a part without a row may then be of a hold under way.
func (s *Store) Recover(ctx context.Context) error {
	s.recovering.Lock()
	defer s.recovering.Unlock()
	if s.recovered {
		return nil
	}
	err := s.recover(ctx)
	s.recovered = err == nil
	return err
}

func (s *Store) recover(ctx context.Context) error {
	err := os.MkdirAll(s.cfg.Dir, 0o700)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	names, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	for _, n := range names {
		id, part := strings.CutSuffix(n.Name(), partSuffix)
		if !part {
			var whole bool
			id, whole = strings.CutSuffix(n.Name(), fileSuffix)
			if !whole {
				continue // not ours
			}
		}
		err = s.settleFile(ctx, id, part)
		if err != nil {
			return fmt.Errorf("quarantine: recover: %w", err)
		}
	}
	var n sql.NullInt64
	err = s.cfg.DB.QueryRowContext(ctx, `SELECT CAST(sum(bytes) AS bigint) FROM quarantine WHERE state = $1 OR state = $2`, string(Held), string(Releasing)).Scan(&n)
	if err != nil {
		return fmt.Errorf("quarantine: recover: %w", err)
	}
	s.bytes.Store(n.Int64)
	return nil
}

// settleFile does with one file what the package comment says.
func (s *Store) settleFile(ctx context.Context, id string, part bool) error {
	m, err := s.Get(ctx, id)
	switch {
	case errors.Is(err, ErrUnknown) && part:
		s.count.Swept.Add(1)
		return os.Remove(s.path(id, partSuffix))
	case errors.Is(err, ErrUnknown):
		return s.adopt(ctx, id)
	case err != nil:
		return err
	case m.State == Released || m.State == Deleted:
		s.count.Swept.Add(1)
		s.remove(id)
		return nil
	case part:
		return os.Rename(s.path(id, partSuffix), s.path(id, fileSuffix))
	}
	return nil
}

// adopt makes the row of a whole file that has none.
func (s *Store) adopt(ctx context.Context, id string) error {
	r, e, err := s.open(id)
	if err != nil {
		s.cfg.Log.Error("quarantine: a file without a row cannot be read and is left as it is", slog.Any("file", id+fileSuffix))
		s.count.Failed.Add(1)
		return nil
	}
	_ = r.Close()
	err = s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		err := insert(ctx, tx, id, Item{Customer: e.Customer, Indicator: e.Indicator, Sender: e.Sender, Recipients: e.Recipients}, e.Bytes, e.Received)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, system, "quarantine.adopt", id, nil)
	})
	if err != nil {
		// Its customer may be gone with the database: the file stays, and is said.
		s.cfg.Log.Error("quarantine: a file without a row cannot be adopted and is left as it is", slog.Any("file", id+fileSuffix), slog.Any("error", err))
		s.count.Failed.Add(1)
		return nil
	}
	s.count.Adopted.Add(1)
	return nil
}

// finish sends what a crash left RELEASING.
func (s *Store) finish(ctx context.Context) {
	left, err := s.List(ctx, Filter{State: Releasing})
	if err != nil {
		return // retention will meet the same error and say so
	}
	for _, m := range left {
		err = s.Release(ctx, m.ID, m.SettledBy)
		if err != nil && ctx.Err() == nil {
			s.cfg.Log.Warn("quarantine: a release that a crash interrupted failed; the message is held", slog.Any("id", m.ID))
		}
	}
}

// Retain deletes messages whose time is over and forgets the rows of those
// settled long ago.
func (s *Store) Retain(ctx context.Context, now time.Time) error {
	for {
		old, err := s.before(ctx, now.Add(-s.cfg.Retention))
		if err != nil || len(old) == 0 {
			if err != nil {
				return err
			}
			break
		}
		for _, id := range old {
			err = s.Delete(ctx, id, system, "end of retention")
			if err != nil && !errors.Is(err, ErrSettled) {
				return err
			}
		}
	}
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM quarantine WHERE settled > 0 AND settled < $1 AND (state = $2 OR state = $3)`,
			sqldb.Time(now.Add(-s.cfg.Forget)), string(Released), string(Deleted))
		return err
	})
}

func (s *Store) before(ctx context.Context, t time.Time) ([]string, error) {
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT id FROM quarantine WHERE state = $1 AND received < $2 ORDER BY received LIMIT 500`,
		string(Held), sqldb.Time(t))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var id string
		err = rows.Scan(&id)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, rows.Err()
}
