package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// search asks the hub as its users do, over HTTP, one request after the other.
func (p *process) search(ctx context.Context, o options, dsn string) error {
	values, ids, err := p.known(ctx, dsn, o.lookups)
	if err != nil {
		return err
	}
	floor, err := p.times(o.lookups, func(int) error { return p.call(ctx, "alice", http.MethodGet, "/api/v1/me", nil, nil) })
	if err != nil {
		return err
	}
	spread("floor: a call that does nothing", floor, 5)
	type found struct {
		Total int64
		Items []struct{ ID, Value string }
	}
	took, err := p.times(len(values), func(i int) error {
		var f found
		err := p.call(ctx, "alice", http.MethodGet, "/api/v1/items?q="+url.QueryEscape(values[i]), nil, &f)
		if err == nil && (len(f.Items) == 0 || f.Items[0].Value != values[i]) {
			err = fmt.Errorf("%s was not found: %+v", values[i], f)
		}
		return err
	})
	if err != nil {
		return err
	}
	spread("search by value", took, 5)
	took, err = p.times(o.lookups, func(i int) error {
		q := url.Values{"limit": {"50"}, "order": {"newest"}}
		switch i % 4 {
		case 0:
			q.Set("state", "PENDING_FIRST")
		case 1:
			q.Set("state", "IN_FORCE")
			q.Set("kind", []string{"domain", "url", "address", "sha256"}[i/4%4])
		case 2:
			q.Set("kind", "url")
			q.Set("source", "one")
		case 3:
			q.Set("state", "EXPIRED")
			q.Set("order", "oldest")
		}
		if i%2 == 1 { // somewhere in the middle
			q.Set("after", ids[i%len(ids)])
		}
		var f found
		return p.call(ctx, "alice", http.MethodGet, "/api/v1/items?"+q.Encode(), nil, &f)
	})
	if err != nil {
		return err
	}
	spread("filtered page of 50", took, 100)
	took, err = p.times(max(o.lookups/4, 20), func(i int) error {
		q := url.Values{"state": {[]string{"PENDING_FIRST", "IN_FORCE", "EXPIRED", ""}[i%4]}}
		return p.page(ctx, "/indicators?"+q.Encode())
	})
	if err != nil {
		return err
	}
	spread("filtered page of the console", took, 100)
	took, err = p.times(max(o.lookups/4, 20), func(int) error { return p.page(ctx, "/") })
	if err != nil {
		return err
	}
	spread("dashboard", took, 200)
	c, err := p.cost()
	if err == nil {
		line("  most memory of the hub (RSS)", number(float64(c.peak)/(1<<20))+" MiB", "")
		err = p.size(ctx, dsn)
	}
	return err
}

// known picks values and identifiers all over the table.
func (p *process) known(ctx context.Context, dsn string, n int) (values, ids []string, err error) {
	db, err := raw(p.database, dsn)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var last int64
	err = db.QueryRowContext(ctx, `SELECT max(number) FROM item`).Scan(&last)
	r := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same each time
	for len(values) < n && err == nil {
		var v, id string
		err = db.QueryRowContext(ctx, `SELECT value, id FROM item WHERE number >= `+strconv.FormatInt(1+r.Int64N(last), 10)+
			` ORDER BY number LIMIT 1`).Scan(&v, &id)
		values, ids = append(values, v), append(ids, id)
	}
	return values, ids, err
}

// size prints what the database takes.
func (p *process) size(ctx context.Context, dsn string) error {
	db, err := raw(p.database, dsn)
	if err != nil {
		return err
	}
	query := `SELECT page_count * page_size, (SELECT count(*) FROM item) FROM pragma_page_count(), pragma_page_size()`
	if p.database != "sqlite" {
		query = `SELECT pg_database_size(current_database()), (SELECT count(*) FROM item)`
	}
	var bytes, items float64
	err = errors.Join(db.QueryRowContext(ctx, query).Scan(&bytes, &items), db.Close())
	line("database", number(bytes/1e9)+" GB", number(bytes/items)+" bytes for each indicator")
	return err
}

// pause keeps the bench below the requests a second that the hub takes from one
// account.
const pause = 11 * time.Millisecond

// times measures n requests, after some that nobody measures.
func (p *process) times(n int, f func(i int) error) ([]time.Duration, error) {
	var out []time.Duration
	for i := range n + 10 {
		time.Sleep(pause)
		began := time.Now()
		err := f(i % n)
		if err != nil {
			return nil, err
		}
		if i >= 10 {
			out = append(out, time.Since(began))
		}
	}
	return out, nil
}
