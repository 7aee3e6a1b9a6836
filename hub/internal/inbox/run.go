package inbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/taxii"
)

// retryBehind is the pause after an error of ours, such as a database that is away.
const retryBehind = 30 * time.Second

// Run makes deliveries of pushes, also of those that an earlier process left, one
// after the other, until ctx ends.
func (in *Inbox) Run(ctx context.Context) error {
	for {
		again, err := in.drain(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			in.cfg.Log.Error("pushed deliveries could not be taken; they wait and are tried again", slog.Any("error", err))
		}
		pause := time.Hour // for the old statuses
		if again || err != nil {
			pause = retryBehind
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-in.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// drain takes what is in the spool; again says that something has to stay there for
// now.
func (in *Inbox) drain(ctx context.Context) (again bool, err error) {
	err = in.purge(ctx)
	if err != nil {
		return true, err
	}
	entries, err := os.ReadDir(in.cfg.Spool)
	if err != nil {
		return true, fmt.Errorf("inbox: spool: %w", err)
	}
	in.waiting.Store(int64(len(entries)))
	var errs []error
	stopped := map[string]bool{} // sources of which one push could not be taken
	for _, e := range entries {  // the oldest first: a source may take back what it gave before
		if ctx.Err() != nil {
			return true, ctx.Err()
		}
		gone, err := in.take(ctx, e, stopped)
		if err != nil {
			errs = append(errs, err)
		}
		if gone {
			in.waiting.Add(-1)
		}
		again = again || !gone
	}
	return again, errors.Join(errs...)
}

// take makes one file of the spool a delivery; gone says that it has left the spool.
// After a push that could not be taken now, further ones of its source wait.
func (in *Inbox) take(ctx context.Context, e fs.DirEntry, stopped map[string]bool) (gone bool, err error) {
	path := filepath.Join(in.cfg.Spool, e.Name())
	if strings.HasPrefix(e.Name(), ".push-") {
		return in.leftover(path, e)
	}
	_, id, _ := strings.Cut(e.Name(), "_")
	p, err := in.read(ctx, id)
	if errors.Is(err, taxii.ErrNotFound) {
		return in.leftover(path, e) // its sender got no answer
	}
	if err != nil {
		return false, err
	}
	if stopped[p.source] {
		return false, nil
	}
	if p.finished.IsZero() {
		err = in.deliver(ctx, &p, path)
		if err != nil {
			stopped[p.source] = true
			return false, err
		}
	}
	err = os.Remove(path)
	return err == nil, err
}

// leftover removes what was never received in full, once nobody can be at it any
// more.
func (in *Inbox) leftover(path string, e fs.DirEntry) (bool, error) {
	info, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // renamed meanwhile
	}
	if err != nil || time.Since(info.ModTime()) < receiveWithin {
		return false, err
	}
	return true, os.Remove(path)
}

// deliver submits a push to intake, and writes down what became of it.
func (in *Inbox) deliver(ctx context.Context, p *push, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("inbox: spool: %w", err)
	}
	defer func() { _ = f.Close() }()
	rep, err := in.cfg.Intake.Submit(ctx, intake.Delivery{
		Source: p.source, Name: "push " + p.id, Format: intake.STIX, Submitter: p.login,
	}, f, nil)
	var whole *intake.Refused
	switch {
	case errors.As(err, &whole):
		p.err = whole.Code + ": " + whole.Reason
	case err != nil:
		return fmt.Errorf("inbox: push %s: %w", p.id, err)
	}
	p.batch = rep.ID
	if p.err == "" && rep.Error != "" {
		p.err = rep.Error
	}
	p.finished = time.Now().UTC().Truncate(time.Microsecond)
	err = in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE push SET finished = $2, batch = $3, error = $4 WHERE id = $1`, p.id, sqldb.Time(p.finished), p.batch, p.err)
		return err
	})
	if err != nil {
		return fmt.Errorf("inbox: push %s: %w", p.id, err)
	}
	if p.err != "" {
		in.count.refused.Add(1)
	}
	return nil
}

// abandoned is after how long nobody waits for a push any more that never became a
// delivery, such as one of a hub whose disk was lost.
const abandoned = 30 * 24 * time.Hour

// purge forgets statuses that have been kept for long enough.
func (in *Inbox) purge(ctx context.Context) error {
	err := in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM push WHERE (finished > 0 AND received < $1) OR received < $2`,
			sqldb.Time(time.Now().Add(-in.cfg.Keep)), sqldb.Time(time.Now().Add(-abandoned)))
		return err
	})
	if err != nil {
		return fmt.Errorf("inbox: old statuses: %w", err)
	}
	return nil
}
