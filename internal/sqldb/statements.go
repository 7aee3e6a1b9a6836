package sqldb

import (
	"container/list"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"modernc.org/sqlite"
)

// Bounds of the prepared statements that one connection keeps.
const (
	keptStatements = 128
	keptParameters = 32 << 10 // in all: a wide insert is a big program
)

// openLite opens SQLite with a cache of prepared statements on each connection,
// as the driver for PostgreSQL has one by itself: parsing took a third of the
// time of a bulk release.
func openLite(uri string) (*sql.DB, error) {
	inner, err := sqlite.NewConnector(uri)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(&connector{inner: inner}), nil
}

type connector struct{ inner driver.Connector }

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	opened, err := c.inner.Connect(ctx)
	if err != nil {
		return nil, err
	}
	inner, ok := opened.(liteConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("sqldb: the driver's connection %T lacks a method", opened), opened.Close())
	}
	return &conn{liteConn: inner, kept: map[string]*list.Element{}}, nil
}

// Driver implements [driver.Connector].
func (c *connector) Driver() driver.Driver { return c.inner.Driver() }

// liteConn is what database/sql uses of a connection of the driver.
type liteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// liteStmt is what database/sql uses of a prepared statement of the driver.
type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// conn is one connection with its statements. database/sql uses a connection
// from one goroutine at a time.
type conn struct {
	liteConn
	kept       map[string]*list.Element // of *statement, by text
	order      list.List                // the latest used first
	parameters int
}

type statement struct {
	liteStmt
	text       string
	parameters int
	busy       bool // rows are being read from it
	dropped    bool // to be closed when they have been
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.liteConn.PrepareContext(ctx, liteText(query))
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	s, err := c.statement(ctx, query, len(args))
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.liteConn.ExecContext(ctx, query, args)
	}
	return s.liteStmt.ExecContext(ctx, args)
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := c.statement(ctx, query, len(args))
	if err != nil {
		return nil, err
	}
	if s == nil {
		return c.liteConn.QueryContext(ctx, query, args)
	}
	inner, err := s.liteStmt.QueryContext(ctx, args)
	if err != nil {
		return nil, err
	}
	s.busy = true
	return &rows{Rows: inner, from: s}, nil
}

// Close closes the statements and then the connection.
func (c *conn) Close() error {
	var errs []error
	for e := c.order.Front(); e != nil; e = e.Next() {
		errs = append(errs, e.Value.(*statement).liteStmt.Close())
	}
	c.order.Init()
	clear(c.kept)
	return errors.Join(append(errs, c.liteConn.Close())...)
}

// statement gives the prepared statement for a query, nil when it is in use at
// this moment or takes no arguments (then it may be a script).
func (c *conn) statement(ctx context.Context, query string, parameters int) (*statement, error) {
	if parameters == 0 || parameters > keptParameters/2 {
		return nil, nil //nolint:nilnil // the caller goes on without
	}
	e, ok := c.kept[query]
	if ok {
		s := e.Value.(*statement)
		if s.busy {
			return nil, nil //nolint:nilnil // as above
		}
		c.order.MoveToFront(e)
		return s, nil
	}
	made, err := c.liteConn.PrepareContext(ctx, liteText(query))
	if err != nil {
		return nil, err
	}
	inner, ok := made.(liteStmt)
	if !ok {
		return nil, made.Close()
	}
	s := &statement{liteStmt: inner, text: query, parameters: parameters}
	c.kept[query] = c.order.PushFront(s)
	c.parameters += parameters
	for c.order.Len() > keptStatements || c.parameters > keptParameters {
		err = c.drop(c.order.Back())
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (c *conn) drop(e *list.Element) error {
	s := c.order.Remove(e).(*statement)
	delete(c.kept, s.text)
	c.parameters -= s.parameters
	if s.busy {
		s.dropped = true
		return nil
	}
	return s.liteStmt.Close()
}

// rows gives its statement back when they are closed.
type rows struct {
	driver.Rows
	from *statement
}

// Close implements [driver.Rows].
func (r *rows) Close() error {
	err := r.Rows.Close()
	if r.from == nil {
		return err
	}
	s := r.from
	r.from, s.busy = nil, false
	if s.dropped {
		err = errors.Join(err, s.liteStmt.Close())
	}
	return err
}

// liteText gives a query as SQLite shall read it: as migrations are, see liteFS, and
// with placeholders that it counts.
func liteText(query string) string {
	return positional(onlyLite.ReplaceAllString(query, "$1"))
}

// positional writes the placeholders $1, $2, ... $n as ? when they stand in this
// order, each once. SQLite takes $1 for a name, and looks for names one by one:
// in a wide insert that is most of the work.
func positional(query string) string {
	var b strings.Builder
	next, from := 1, 0
	var quote byte
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '?' || c == '@' || c == ':' || c == '[' || strings.HasPrefix(query[i:], "--") || strings.HasPrefix(query[i:], "/*"):
			return query // nothing that we write: left alone
		case c == '$':
			end := i + 1
			for end < len(query) && query[end] >= '0' && query[end] <= '9' {
				end++
			}
			n, err := strconv.Atoi(query[i+1 : end])
			if err != nil || n != next {
				return query
			}
			b.WriteString(query[from:i])
			b.WriteByte('?')
			next, from, i = next+1, end, end-1
		}
	}
	if next == 1 {
		return query
	}
	b.WriteString(query[from:])
	return b.String()
}
