package notice

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/smtp"
	"strings"
	"time"

	"ecs/internal/sqldb"
)

// MailConfig says how notices are mailed.
type MailConfig struct {
	Server string // host:port of the relay; empty: mail cannot be used
	From   string // sender's address
	Helo   string // name given in EHLO; "localhost" when empty
}

const (
	timeout     = 10 * time.Second
	maxAttempts = 8 // then the operators are told
	perRound    = 100
)

// contact is where a customer is told.
type contact struct{ mail, hook, syslog string }

// deliver tries every notice whose time has come.
func (s *Service) deliver(ctx context.Context) error {
	now := s.cfg.Now()
	rows, err := s.cfg.DB.QueryContext(ctx, `SELECT `+columns+` FROM notice WHERE state = $1 AND next <= $2 ORDER BY id LIMIT $3`,
		Queued, sqldb.Time(now), perRound)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	var due []Notice
	for rows.Next() {
		n, err := scan(rows)
		if err != nil {
			return err
		}
		due = append(due, n)
	}
	err = errors.Join(rows.Err(), rows.Close())
	if err != nil {
		return err
	}
	for i := range due {
		n := &due[i]
		var c contact
		err = s.cfg.DB.QueryRowContext(ctx, `SELECT notice_mail, notice_hook, notice_syslog FROM customer WHERE id = $1`, n.Customer).
			Scan(&c.mail, &c.hook, &c.syslog)
		if err != nil {
			return err
		}
		acknowledged, sendErr := s.send(ctx, n, c)
		err = s.sent(ctx, n, acknowledged, sendErr)
		if err != nil {
			return err
		}
	}
	return nil
}

// send delivers one notice. Acknowledged is true when the customer's machine
// took note in its answer.
func (s *Service) send(ctx context.Context, n *Notice, c contact) (acknowledged bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch n.Channel {
	case "mail":
		return false, s.mail(ctx, n, c.mail)
	case "webhook":
		return s.hook(ctx, n, c.hook)
	case "syslog":
		return false, s.syslog(ctx, n, c.syslog)
	default:
		return false, fmt.Errorf("channel %q cannot be sent to", n.Channel)
	}
}

// sent writes down what became of an attempt.
func (s *Service) sent(ctx context.Context, n *Notice, acknowledged bool, sendErr error) error {
	if sendErr == nil {
		s.delivered.Add(1)
	} else {
		s.failed.Add(1)
	}
	now := s.cfg.Now()
	err := s.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		if sendErr != nil {
			wait := min(time.Duration(1<<min(n.Attempts, 10))*5*time.Second, time.Hour)
			state := Queued
			if n.Attempts+1 >= maxAttempts {
				state = Escalated
			}
			_, err := tx.ExecContext(ctx, `UPDATE notice SET attempts = attempts + 1, error = $1, next = $2, state = $3 WHERE id = $4 AND state = $5`,
				sendErr.Error(), sqldb.Time(now.Add(wait)), state, n.ID, Queued)
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE notice SET attempts = attempts + 1, error = '', dispatched = $1, state = $2 WHERE id = $3 AND state = $4`,
			sqldb.Time(now), Dispatched, n.ID, Queued)
		return err
	})
	if err != nil || !acknowledged {
		return err
	}
	return s.Acknowledge(ctx, n.Token, "webhook", 0)
}

func (s *Service) link(n *Notice) string {
	return strings.TrimSuffix(s.cfg.PublicURL, "/") + "/notice/" + n.Token
}

func (s *Service) mail(ctx context.Context, n *Notice, to string) error {
	if s.cfg.Mail.Server == "" {
		return errors.New("no mail relay is configured (notices.mail.server)")
	}
	if strings.ContainsAny(to, "\r\n") {
		return errors.New("the customer's mail address is not one")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.cfg.Mail.Server)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	host, _, _ := net.SplitHostPort(s.cfg.Mail.Server)
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	defer func() { _ = c.Close() }()
	helo := s.cfg.Mail.Helo
	if helo == "" {
		helo = "localhost"
	}
	err = c.Hello(helo)
	if err != nil {
		return err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		err = c.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
		if err != nil {
			return err
		}
	}
	err = c.Mail(s.cfg.Mail.From)
	if err == nil {
		err = c.Rcpt(to)
	}
	if err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	_, err = w.Write(s.message(n, to))
	err = errors.Join(err, w.Close())
	if err != nil {
		return err
	}
	return c.Quit()
}

func (s *Service) message(n *Notice, to string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\n", s.cfg.Mail.From, to)
	fmt.Fprintf(&b, "Subject: %s\r\n", mime.QEncoding.Encode("utf-8", fmt.Sprintf("Security notice %d from %s", n.ID, s.cfg.Provider)))
	fmt.Fprintf(&b, "Date: %s\r\nMessage-ID: <notice-%d-%s@ecs>\r\n", n.Created.Format(time.RFC1123Z), n.ID, strings.ToLower(n.Token[:8]))
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\nAuto-Submitted: auto-generated\r\n\r\n")
	b.WriteString(strings.ReplaceAll(n.Body, "\n", "\r\n"))
	fmt.Fprintf(&b, "\r\nPlease acknowledge this notice: %s\r\n", s.link(n))
	return b.Bytes()
}

// hookBody is what a webhook gets; docs/formats/notice.md documents it.
type hookBody struct {
	Notice      int64  `json:"notice"`
	Indicator   string `json:"indicator"`
	Service     string `json:"service"`
	Created     string `json:"created"`
	Text        string `json:"text"`
	Acknowledge string `json:"acknowledge"`
}

func (s *Service) hook(ctx context.Context, n *Notice, url string) (bool, error) {
	body, err := json.Marshal(hookBody{
		Notice: n.ID, Indicator: n.Indicator, Service: n.Service.String(),
		Created: n.Created.Format(time.RFC3339), Text: n.Body, Acknowledge: s.link(n),
	})
	if err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := hooks.Do(req)
	if err != nil {
		return false, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return false, err
	}
	if resp.StatusCode/100 != 2 {
		return false, fmt.Errorf("the webhook answered %s", resp.Status)
	}
	var said struct {
		Acknowledged bool `json:"acknowledged"`
	}
	err = json.Unmarshal(answer, &said)
	return err == nil && said.Acknowledged, nil
}

// hooks does not follow redirects: a notice goes where the customer said.
var hooks = &http.Client{
	Timeout:       timeout,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// syslog sends one message of RFC 5424 over TCP with the octet counting of RFC
// 6587 section 3.4.1. Facility 4 (security), severity 4 (warning).
func (s *Service) syslog(ctx context.Context, n *Notice, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	deadline, _ := ctx.Deadline()
	err = conn.SetDeadline(deadline)
	if err == nil {
		text := strings.Join(strings.Fields(n.Body), " ")
		m := fmt.Sprintf("<36>1 %s - ecs - NOTICE [notice@32473 id=\"%d\" indicator=\"%s\" service=\"%s\" acknowledge=\"%s\"] %s",
			n.Created.UTC().Format("2006-01-02T15:04:05.000000Z"), n.ID, n.Indicator, n.Service, s.link(n), text)
		_, err = fmt.Fprintf(conn, "%d %s", len(m), m)
	}
	return errors.Join(err, conn.Close())
}
