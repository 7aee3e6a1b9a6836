package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// batch is what the hub says of a delivery.
type batch struct {
	ID        string `json:"batch"`
	Same      bool   // these bytes were delivered before
	Accepted  int64
	Duplicate int64
	Refused   int64
	Canonical int64
	Error     string
	States    map[string]int64
	Refusals  []struct{ Place, Code, Reason string }
}

// send delivers a file by one request, and says what it has cost the hub.
func (p *process) send(ctx context.Context, source, format, file string) (b batch, took time.Duration, used cost, err error) {
	f, err := os.Open(file) //nolint:gosec // in the run's own folder
	if err != nil {
		return b, 0, used, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	before, err := p.cost()
	if err != nil {
		return b, 0, used, err
	}
	q := url.Values{"source": {source}, "name": {filepath.Base(file)}, "format": {format}}
	began := time.Now()
	err = p.call(ctx, "grace", http.MethodPost, "/api/v1/batches?"+q.Encode(), io.NopCloser(f), &b)
	took = time.Since(began)
	if err != nil {
		return b, took, used, err
	}
	if b.Error != "" {
		return b, took, used, errors.New("the delivery was cut short: " + b.Error)
	}
	used, err = p.cost()
	used.cpu -= before.cpu
	return b, took, used, err
}

// deliver takes in the big delivery, from the first byte of the request to the
// answer: receipt, digest, schema, marking, privacy gate, checks with all warning
// lists, de-duplication and commit of every portion.
func (p *process) deliver(ctx context.Context, o options) error {
	file := filepath.Join(p.dir, "delivery.json")
	size, err := bundle(file, 0, o.items)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }()
	idle, err := p.cost()
	if err != nil {
		return err
	}
	b, took, used, err := p.send(ctx, "one", "stix", file)
	if err != nil {
		return err
	}
	if b.Same {
		line(fmt.Sprintf("%d STIX indicators are there from an earlier run", b.Accepted), "", "")
		return nil
	}
	again := 0
	seen := make(map[uint64]bool, o.items)
	for n := range o.items {
		_, v, _ := value(n)
		k := hash(v)
		if seen[k] {
			again++
		}
		seen[k] = true
	}
	if b.Accepted != int64(o.items-again) || b.Duplicate != int64(again) || b.Refused != 0 {
		return fmt.Errorf("of %d indicators, %d of them said before, the hub took %d as new, %d as duplicates and refused %d: %v",
			o.items, again, b.Accepted, b.Duplicate, b.Refused, b.Refusals)
	}
	n := float64(o.items)
	what := fmt.Sprintf("%d STIX indicators taken in (%.0f MB, %d duplicate)", o.items, float64(size)/1e6, again)
	rate(what, n/took.Seconds(), "items/s", other{"wanted", 20_000}, other{"medallion", 3930}, other{"OpenTAXII", 652})
	rate("  by the hub's processor time, two cores busy", n/used.cpu.Seconds()*2, "items/s", other{"wanted", 20_000})
	line("  processor time of the hub for each", number(used.cpu.Seconds()/n*1e6)+" µs", map[bool]string{true: "", false: "without the database server's"}[p.database == "sqlite"])
	bounded("  most memory of the hub (RSS)", float64(used.peak)/(1<<20), 500, "MiB")
	line("  of it when it had started, with the warning lists", number(float64(idle.peak)/(1<<20))+" MiB", "")
	var sum int64
	for _, c := range b.States {
		sum += c
	}
	line("  stopped at the privacy gate", number(float64(b.States["PRIVACY_GATE"])), fmt.Sprintf("%d name a person, others are samples", o.items/personal))
	if sum != b.Accepted || b.States["PRIVACY_GATE"] == 0 {
		return fmt.Errorf("the states of the new items do not add up: %v", b.States)
	}
	return nil
}

// hash is FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// bulkAnswer is the answer to a bulk act.
type bulkAnswer struct {
	Done, Failed int
	Failures     []struct{ Code, Detail string }
	Refused      map[string]int
}

// releaseMany approves twice and releases, in bulk, by two persons: the names among
// a delivery that is large enough to hold so many.
func (p *process) releaseMany(ctx context.Context, n int) error {
	// The sample's provider has no node here: what is released waits in its log.
	db, err := raw(p.database, p.dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `UPDATE provider SET state = 'OPERATIONAL' WHERE id = 'northnet'`)
	err = errors.Join(err, db.Close())
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, "release.json")
	_, err = bundle(file, 1<<30, n*100/domains*105/100) // others than those of the big delivery
	if err != nil {
		return err
	}
	b, _, _, err := p.send(ctx, "one", "stix", file)
	if err != nil {
		return err
	}
	for i, act := range []struct{ user, name, state string }{{"alice", "first", "PENDING_FIRST"}, {"rosa", "second", "PENDING_SECOND"}} {
		before, err := p.cost()
		if err != nil {
			return err
		}
		var answer bulkAnswer
		began := time.Now()
		done := 0
		for {
			answer = bulkAnswer{}
			err = p.order(ctx, act.user, "/api/v1/bulk/"+act.name, map[string]any{
				"reason": "Measured.", "targets": []map[string]string{{"provider": "northnet", "services": "dns,smtp"}}[:i],
				"filter": map[string]any{"batch": b.ID, "states": []string{act.state}, "kind": "domain"},
			}, &answer)
			if err != nil {
				return err
			}
			done += answer.Done
			if answer.Done == 0 || answer.Failed > 0 {
				break
			}
		}
		took := time.Since(began)
		after, err := p.cost()
		if err != nil {
			return err
		}
		if done == 0 || answer.Failed > 0 {
			return fmt.Errorf("%s approval: %d done, %d not: %v", act.name, done, answer.Failed, answer.Failures[:min(3, len(answer.Failures))])
		}
		what := fmt.Sprintf("%d approved %s", done, act.name)
		if i == 1 {
			what += " and released"
		}
		rate(what, float64(done)/took.Seconds(), "items/s")
		line("  processor time of the hub for each", number((after.cpu-before.cpu).Seconds()/float64(done)*1e6)+" µs", "")
	}
	return nil
}
