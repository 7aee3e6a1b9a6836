package customer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"ecs/contract"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// Spec is a customer as an operator sets it up.
type Spec struct {
	Row
	ConsentBy string    // who agreed to feedback, for the customer
	ConsentAt time.Time // and when
	Contact   Contact
	Granted   []Grant // the exceptions, with who made them and why
}

// Grant is a local exception.
type Grant struct {
	Indicator contract.ID
	Reason    string
	By        string // login
	At        time.Time
}

// Contact says where notices go. Empty fields are not used; with none, notices
// wait on the operators' console.
type Contact struct {
	Mail   string // address
	Hook   string // https URL, or http on a loopback address
	Syslog string // host:port, TCP, RFC 6587 octet counting
}

// Errors that an operator can act on.
var (
	ErrUnknown     = errors.New("no such customer")
	ErrInput       = errors.New("not possible") // wrapped with what is wrong
	ErrNotContact  = errors.New("consent can only be set by the customer's own contact (role customer_contact)")
	ErrNotOperator = errors.New("only a csp_operator or csp_security_officer may change customers")
)

// Actor is who asks, as the console or the command line knows them.
type Actor struct {
	Login string
	Roles []string
	Scope string // customer's name, for a customer_contact
}

func (a Actor) has(roles ...string) bool {
	for _, r := range a.Roles {
		for _, want := range roles {
			if r == want {
				return true
			}
		}
	}
	return false
}

// Store keeps customers and puts the [Book] of them in force after each change.
type Store struct {
	db     *sqldb.DB
	holder *Holder
	// Revoked is called, if set, after consent was withdrawn for some services:
	// what has not been sent yet must go.
	Revoked func(ctx context.Context, customer int32, services contract.Services) error
	mu      sync.Mutex // one reload at a time, so that an older book never follows a newer
}

// NewStore makes a store. Nothing is read before Load.
func NewStore(db *sqldb.DB, holder *Holder) *Store { return &Store{db: db, holder: holder} }

// Load reads all customers and puts their book in force.
func (s *Store) Load(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	specs, err := s.List(ctx)
	if err != nil {
		return err
	}
	rows := make([]Row, len(specs))
	for i := range specs {
		rows[i] = specs[i].Row
	}
	s.holder.Set(NewBook(rows))
	return nil
}

// List gives all customers by name.
func (s *Store) List(ctx context.Context) ([]Spec, error) {
	var out []Spec
	err := s.db.Read(ctx, func(tx *sql.Tx) error {
		out = nil
		rows, err := tx.QueryContext(ctx, `SELECT id, name, sector, dns_policy, dns_answer, mail_policy, mail_action,
			flow_policy, consent, consent_by, consent_at, notice_mail, notice_hook, notice_syslog FROM customer ORDER BY name`)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		at := map[int32]int{}
		for rows.Next() {
			var c Spec
			var consentAt int64
			err = rows.Scan(&c.ID, &c.Name, &c.Sector, &c.DNS, &c.Answer, &c.Mail, &c.MailAction, &c.Flow,
				&c.Consent, &c.ConsentBy, &consentAt, &c.Contact.Mail, &c.Contact.Hook, &c.Contact.Syslog)
			if err != nil {
				return err
			}
			c.ConsentAt = sqldb.FromTime(consentAt)
			at[c.ID] = len(out)
			out = append(out, c)
		}
		err = rows.Err()
		if err != nil {
			return err
		}
		err = scanMatches(ctx, tx, out, at)
		if err != nil {
			return err
		}
		return scanExceptions(ctx, tx, out, at)
	})
	if err != nil {
		return nil, fmt.Errorf("customer: list: %w", err)
	}
	return out, nil
}

func scanMatches(ctx context.Context, tx *sql.Tx, out []Spec, at map[int32]int) error {
	rows, err := tx.QueryContext(ctx, `SELECT kind, value, customer FROM customer_match ORDER BY kind, value`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var kind, value string
		var id int32
		err = rows.Scan(&kind, &value, &id)
		if err != nil {
			return err
		}
		c := &out[at[id]]
		switch kind {
		case kindPrefix:
			p, err := netip.ParsePrefix(value)
			if err != nil {
				return err
			}
			c.Prefixes = append(c.Prefixes, p)
		case kindDomain:
			c.Domains = append(c.Domains, value)
		case kindExporter:
			a, err := netip.ParseAddr(value)
			if err != nil {
				return err
			}
			c.Exporters = append(c.Exporters, a)
		}
	}
	return rows.Err()
}

func scanExceptions(ctx context.Context, tx *sql.Tx, out []Spec, at map[int32]int) error {
	rows, err := tx.QueryContext(ctx, `SELECT customer, indicator, reason, login, at FROM exception ORDER BY at`)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int32
		var text string
		var g Grant
		var granted int64
		err = rows.Scan(&id, &text, &g.Reason, &g.By, &granted)
		if err != nil {
			return err
		}
		g.Indicator, err = contract.ParseID(text)
		if err != nil {
			return err
		}
		g.At = sqldb.FromTime(granted)
		c := &out[at[id]]
		c.Exceptions = append(c.Exceptions, g.Indicator)
		c.Granted = append(c.Granted, g)
	}
	return rows.Err()
}

const (
	kindPrefix   = "prefix"
	kindDomain   = "domain"
	kindExporter = "exporter"
)

// Put makes a customer, or changes the one with the same name. Consent and
// exceptions are not touched: they have their own ways, with their own people.
func (s *Store) Put(ctx context.Context, by Actor, c Spec) (int32, error) {
	if !by.has("csp_operator", "csp_security_officer") {
		return 0, ErrNotOperator
	}
	err := check(&c)
	if err != nil {
		return 0, err
	}
	var id int32
	err = s.db.Write(ctx, func(tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, `SELECT id FROM customer WHERE name = $1`, c.Name).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			err = tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) + 1 FROM customer`).Scan(&id)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO customer (id, name, sector, dns_policy, dns_answer, mail_policy, mail_action,
				flow_policy, notice_mail, notice_hook, notice_syslog, created)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
			ON CONFLICT (id) DO UPDATE SET sector = excluded.sector, dns_policy = excluded.dns_policy,
				dns_answer = excluded.dns_answer, mail_policy = excluded.mail_policy, mail_action = excluded.mail_action,
				flow_policy = excluded.flow_policy, notice_mail = excluded.notice_mail,
				notice_hook = excluded.notice_hook, notice_syslog = excluded.notice_syslog`,
			id, c.Name, c.Sector, c.DNS, c.Answer, c.Mail, c.MailAction, c.Flow,
			c.Contact.Mail, c.Contact.Hook, c.Contact.Syslog, sqldb.Time(time.Now()))
		if err != nil {
			return err
		}
		err = putMatches(ctx, tx, id, &c)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, by.Login, "customer.put", c.Name, map[string]any{
			"dns": c.DNS.String(), "mail": c.Mail.String(), "flow": c.Flow.String(),
		})
	})
	if err != nil {
		return 0, fmt.Errorf("customer: %s: %w", c.Name, err)
	}
	return id, s.Load(ctx)
}

func putMatches(ctx context.Context, tx *sql.Tx, id int32, c *Spec) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM customer_match WHERE customer = $1`, id)
	if err != nil {
		return err
	}
	var all [][2]string
	for _, p := range c.Prefixes {
		all = append(all, [2]string{kindPrefix, p.Masked().String()})
	}
	for _, d := range c.Domains {
		all = append(all, [2]string{kindDomain, d})
	}
	for _, a := range c.Exporters {
		all = append(all, [2]string{kindExporter, a.Unmap().String()})
	}
	for _, m := range all {
		var owner string
		err = tx.QueryRowContext(ctx, `SELECT c.name FROM customer_match m JOIN customer c ON c.id = m.customer
			WHERE m.kind = $1 AND m.value = $2`, m[0], m[1]).Scan(&owner)
		if err == nil {
			return fmt.Errorf("%w: %s %s already belongs to customer %q", ErrInput, m[0], m[1], owner)
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO customer_match (kind, value, customer) VALUES ($1, $2, $3)`, m[0], m[1], id)
		if err != nil {
			return err
		}
	}
	return nil
}

func check(c *Spec) error {
	if strings.TrimSpace(c.Name) == "" {
		return fmt.Errorf("%w: a customer needs a name", ErrInput)
	}
	if c.DNS > Block || c.Mail > Block || c.Flow > Block || c.Answer > NoData || c.MailAction > Tag || c.Sector > 16 {
		return fmt.Errorf("%w: policy, answer, action or sector outside its list", ErrInput)
	}
	for i, d := range c.Domains {
		v, err := observable.Canonical(observable.Domain, d)
		if err != nil {
			return fmt.Errorf("%w: mail domain %q: %w", ErrInput, d, err)
		}
		c.Domains[i] = v
	}
	if c.Contact.Hook == "" {
		return nil
	}
	u, err := url.Parse(c.Contact.Hook)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%w: the webhook is not a URL", ErrInput)
	}
	ip, ipErr := netip.ParseAddr(u.Hostname())
	if u.Scheme != "https" && (u.Scheme != "http" || ipErr != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%w: the webhook must be https (http only to a loopback address)", ErrInput)
	}
	return nil
}

// Except makes a local exception: the indicator is not enforced for this one
// customer, from now on. It is the fast way back from a wrong block.
func (s *Store) Except(ctx context.Context, by Actor, customer int32, id contract.ID, reason string) error {
	if !by.has("csp_operator", "csp_security_officer") {
		return ErrNotOperator
	}
	if strings.TrimSpace(reason) == "" {
		return fmt.Errorf("%w: an exception needs a reason", ErrInput)
	}
	return s.change(ctx, by, customer, "customer.except", map[string]string{"indicator": id.String(), "reason": reason},
		`INSERT INTO exception (customer, indicator, reason, login, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (customer, indicator) DO UPDATE SET reason = excluded.reason, login = excluded.login, at = excluded.at`,
		customer, id.String(), reason, by.Login, sqldb.Time(time.Now()))
}

// Unexcept ends a local exception.
func (s *Store) Unexcept(ctx context.Context, by Actor, customer int32, id contract.ID) error {
	if !by.has("csp_operator", "csp_security_officer") {
		return ErrNotOperator
	}
	return s.change(ctx, by, customer, "customer.unexcept", map[string]string{"indicator": id.String()},
		`DELETE FROM exception WHERE customer = $1 AND indicator = $2`, customer, id.String())
}

// Consent sets for which services the customer agrees to anonymous feedback.
// Only the customer's own contact can do it; what was agreed before and not
// sent yet is removed for services that are no longer in the set.
func (s *Store) Consent(ctx context.Context, by Actor, customer int32, services contract.Services) error {
	c := s.holder.Get().ByID(customer)
	if c == nil {
		return ErrUnknown
	}
	if !by.has("customer_contact") || by.Scope != c.Name {
		return ErrNotContact
	}
	err := s.change(ctx, by, customer, "customer.consent", map[string]string{"services": services.String()},
		`UPDATE customer SET consent = $1, consent_by = $2, consent_at = $3 WHERE id = $4`,
		services, by.Login, sqldb.Time(time.Now()), customer)
	if err != nil {
		return err
	}
	withdrawn := c.Consent &^ services
	if withdrawn == 0 || s.Revoked == nil {
		return nil
	}
	return s.Revoked(ctx, customer, withdrawn)
}

func (s *Store) change(ctx context.Context, by Actor, customer int32, action string, detail any, query string, args ...any) error {
	err := s.db.Write(ctx, func(tx *sql.Tx) error {
		var name string
		err := tx.QueryRowContext(ctx, `SELECT name FROM customer WHERE id = $1`, customer).Scan(&name)
		if errors.Is(err, sql.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, by.Login, action, name, detail)
	})
	if err != nil {
		return err
	}
	return s.Load(ctx)
}
