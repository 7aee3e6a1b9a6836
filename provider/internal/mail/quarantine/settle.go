package quarantine

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/smtp"
	"time"

	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Release sends a message to the next hop and marks it RELEASED when, and only
// when, that server has accepted it for all recipients. On failure it is HELD
// as before. After a crash in between, [Store.Run] sends it again: the next hop
// may then see it twice, with the same Message-ID, but never not at all.
func (s *Store) Release(ctx context.Context, id, actor string) error {
	if s.cfg.NextHop == "" {
		return ErrNoHop
	}
	_, taken := s.busy.LoadOrStore(id, true)
	if taken {
		return fmt.Errorf("quarantine: message %s is being released by somebody else", id)
	}
	defer s.busy.Delete(id)
	m, err := s.begin(ctx, id, actor)
	if err != nil {
		return err
	}
	s.point("releasing")
	err = s.send(ctx, m)
	if err != nil {
		s.count.Failed.Add(1)
		back := s.move(context.WithoutCancel(ctx), id, actor, Held, "quarantine.release-failed")
		return errors.Join(fmt.Errorf("quarantine: release: %w", err), back)
	}
	s.point("sent")
	err = s.move(context.WithoutCancel(ctx), id, actor, Released, "quarantine.release")
	if err != nil {
		return err // stays RELEASING; the next start sends it again
	}
	s.count.Released.Add(1)
	s.bytes.Add(-m.Bytes)
	s.remove(id)
	return nil
}

// begin marks a message RELEASING.
func (s *Store) begin(ctx context.Context, id, actor string) (Message, error) {
	var m Message
	err := s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var err error
		m, err = get(ctx, tx, id)
		if err != nil {
			return err
		}
		if m.State != Held && m.State != Releasing {
			return ErrSettled
		}
		_, err = tx.ExecContext(ctx, `UPDATE quarantine SET state = $1, settled_by = $2 WHERE id = $3`, string(Releasing), actor, id)
		return err
	})
	return m, err
}

// move settles a RELEASING message and audits it.
func (s *Store) move(ctx context.Context, id, actor string, to State, action string) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		settled, by := sqldb.Time(time.Now()), actor
		if to == Held {
			settled, by = 0, ""
		}
		_, err := tx.ExecContext(ctx, `UPDATE quarantine SET state = $1, settled = $2, settled_by = $3 WHERE id = $4 AND state = $5`,
			string(to), settled, by, id, string(Releasing))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, actor, action, id, nil)
	})
}

// send gives a message to the next hop. Its bytes are sent as they came, with
// one header before them that names the message in quarantine.
func (s *Store) send(ctx context.Context, m Message) error {
	src, _, err := s.open(m.ID)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	d := net.Dialer{Timeout: 30 * time.Second}
	nc, err := d.DialContext(ctx, "tcp", s.cfg.NextHop)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	err = nc.SetDeadline(time.Now().Add(s.cfg.Timeout))
	if err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(s.cfg.NextHop)
	if err != nil {
		return err
	}
	c, err := smtp.NewClient(nc, host)
	if err != nil {
		return err
	}
	err = c.Hello(s.cfg.Hello)
	if err != nil {
		return err
	}
	if s.cfg.TLS != nil {
		err = c.StartTLS(s.cfg.TLS)
		if err != nil {
			return err
		}
	}
	return transact(c, m, src)
}

func transact(c *smtp.Client, m Message, src io.Reader) error {
	err := c.Mail(m.Sender)
	if err != nil {
		return fmt.Errorf("sender refused: %w", err)
	}
	for _, to := range m.Recipients {
		err = c.Rcpt(to)
		if err != nil {
			return fmt.Errorf("a recipient was refused, nothing was sent: %w", err)
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "X-ECS-Released: %s\r\n", m.ID)
	if err == nil {
		_, err = io.Copy(w, src)
	}
	if err != nil {
		return err // no final dot: the next hop drops what it got
	}
	err = w.Close()
	if err != nil {
		return err
	}
	_ = c.Quit() // the message is accepted, whatever follows
	return nil
}

// Delete deletes a message. The row stays until [Config.Forget].
func (s *Store) Delete(ctx context.Context, id, actor, reason string) error {
	_, taken := s.busy.LoadOrStore(id, true)
	if taken {
		return fmt.Errorf("quarantine: message %s is being released by somebody else", id)
	}
	defer s.busy.Delete(id)
	var m Message
	err := s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		var err error
		m, err = get(ctx, tx, id)
		if err != nil {
			return err
		}
		if m.State != Held {
			return ErrSettled
		}
		_, err = tx.ExecContext(ctx, `UPDATE quarantine SET state = $1, settled = $2, settled_by = $3 WHERE id = $4`,
			string(Deleted), sqldb.Time(time.Now()), actor, id)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, actor, "quarantine.delete", id, map[string]string{"reason": reason})
	})
	if err != nil {
		return err
	}
	s.point("deleted")
	s.bytes.Add(-m.Bytes)
	s.remove(id)
	s.count.Deleted.Add(1)
	return nil
}
