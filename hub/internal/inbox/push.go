package inbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/taxii"
)

// push is a row of table push.
type push struct {
	id, source, login  string
	received, finished time.Time
	objects            []pushed
	batch, err         string
}

// pushed is what the status has to say of an object before anything is known of it.
type pushed struct {
	ID      string `json:"i"`
	Version int64  `json:"v"` // microseconds since 1970
}

// Bounds of what an object may call itself in a status.
const maxID = 200

// receive brings a push to disk, then into the books. The file is written whole
// before its row, and the row before the answer: a file without a row was never
// acknowledged, a row without a file was never answered.
func (in *Inbox) receive(ctx context.Context, source, login string, p taxii.Posted) (taxii.Status, error) {
	id, err := uuid.NewRandom()
	if err != nil {
		return taxii.Status{}, err
	}
	at := in.moment()
	row := push{id: id.String(), source: source, login: login, received: at, objects: make([]pushed, len(p.Objects))}
	for i, o := range p.Objects {
		row.objects[i] = pushed{ID: o.ID, Version: sqldb.Time(o.Version)}
		if o.Version.IsZero() {
			row.objects[i].Version = sqldb.Time(at)
		}
		if o.ID == "" || len(o.ID) > maxID {
			row.objects[i].ID = fmt.Sprintf("object %d", i+1)
		}
	}
	list, err := json.Marshal(row.objects)
	if err != nil {
		return taxii.Status{}, err
	}
	path := filepath.Join(in.cfg.Spool, fmt.Sprintf("%020d_%s", sqldb.Time(at), row.id))
	err = writeFile(path, p.Body)
	if err != nil {
		return taxii.Status{}, fmt.Errorf("inbox: spool: %w", err)
	}
	err = in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO push (id, source, submitter, received, objects) VALUES ($1, $2, $3, $4, $5)`,
			row.id, row.source, row.login, sqldb.Time(row.received), string(list))
		return err
	})
	if err != nil {
		return taxii.Status{}, errors.Join(fmt.Errorf("inbox: push: %w", err), os.Remove(path))
	}
	in.waiting.Add(1)
	in.count.pushes.Add(1)
	in.count.objects.Add(int64(len(p.Objects)))
	select {
	case in.wake <- struct{}{}:
	default: // it has been called already
	}
	return row.status(nil, 0), nil
}

// moment gives the time, and never the same twice: names of files sort by it.
func (in *Inbox) moment() time.Time {
	for {
		last := in.last.Load()
		at := max(time.Now().UnixMicro(), last+1)
		if in.last.CompareAndSwap(last, at) {
			return time.UnixMicro(at).UTC()
		}
	}
}

// writeFile puts a whole file into place at once, and on disk.
func writeFile(path string, body []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".push-*.part")
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

const pushColumns = `id, source, submitter, received, finished, objects, batch, error`

// read gives a push. Its error is [taxii.ErrNotFound] when there is none.
func (in *Inbox) read(ctx context.Context, id string) (push, error) {
	var p push
	var received, finished int64
	var list string
	err := in.cfg.DB.QueryRowContext(ctx, `SELECT `+pushColumns+` FROM push WHERE id = $1`, id).
		Scan(&p.id, &p.source, &p.login, &received, &finished, &list, &p.batch, &p.err)
	if errors.Is(err, sql.ErrNoRows) {
		return p, taxii.ErrNotFound
	}
	if err != nil {
		return p, fmt.Errorf("inbox: push %s: %w", id, err)
	}
	p.received, p.finished = sqldb.FromTime(received), sqldb.FromTime(finished)
	err = json.Unmarshal([]byte(list), &p.objects)
	if err != nil {
		return p, fmt.Errorf("inbox: push %s: %w", id, err)
	}
	return p, nil
}

// status answers for a push of this source.
func (in *Inbox) status(ctx context.Context, source, id string) (taxii.Status, error) {
	p, err := in.read(ctx, id)
	if err != nil {
		return taxii.Status{}, err
	}
	if p.source != source {
		return taxii.Status{}, taxii.ErrNotFound
	}
	if p.finished.IsZero() || p.batch == "" {
		return p.status(nil, 0), nil
	}
	b, err := intake.GetBatch(ctx, in.cfg.DB, p.batch)
	if err != nil {
		return taxii.Status{}, err
	}
	refused := map[int64]string{}
	for after := int64(0); ; {
		page, err := intake.Refusals(ctx, in.cfg.DB, p.batch, after, 1000)
		if err != nil {
			return taxii.Status{}, err
		}
		for _, r := range page {
			refused[r.Number] = r.Code + ": " + r.Reason
			after = r.Number
		}
		if len(page) < 1000 {
			break
		}
	}
	return p.status(refused, b.Position), nil
}

// status makes the status resource (section 4.3.1). refused are the reasons of
// intake by the number of the object, from 1; read is up to which one it came.
func (p *push) status(refused map[int64]string, read int64) taxii.Status {
	out := taxii.Status{ID: p.id, State: taxii.Complete, Received: p.received.Format(stamp), Total: len(p.objects)}
	for i, o := range p.objects {
		d := taxii.StatusDetail{ID: o.ID, Version: sqldb.FromTime(o.Version).Format(stamp)}
		why, bad := refused[int64(i+1)]
		switch {
		case p.finished.IsZero():
			out.Pendings = append(out.Pendings, d)
		case bad:
			d.Message = why
			out.Failures = append(out.Failures, d)
		case p.err != "" && int64(i) >= read:
			d.Message = p.err
			out.Failures = append(out.Failures, d)
		default:
			out.Successes = append(out.Successes, d)
		}
	}
	out.Success, out.Failure, out.Pending = len(out.Successes), len(out.Failures), len(out.Pendings)
	if p.finished.IsZero() {
		out.State = taxii.Pending
	}
	return out
}

const stamp = "2006-01-02T15:04:05.000000Z"
