package release

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test on SQLite under a clock that moves only when it sleeps.
func bubble(t *testing.T, run func(t *testing.T, w *world)) {
	t.Helper()
	dsn := sqldbtest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := openStore(dsn)
		must(t, err)
		defer func() { must(t, db.Close()) }()
		run(t, newWorld(t, db))
	})
}

func TestCheckpointIsRenewedWhenNeeded(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		to := Target{"alpha", contract.DNS}
		w.released(t, to)
		short := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.ValidUntil = it.Created.Add(5 * time.Minute) })
		must(t, w.desk.First(t.Context(), ann, Ref{ID: short}, why))
		_, err := w.desk.Second(t.Context(), bob, Ref{ID: short}, why, []Target{to})
		must(t, err)
		alpha := w.node("alpha")
		issued := func() time.Time { alpha.load(t, 0); return alpha.point.Issued }
		first := issued()
		time.Sleep(time.Minute)
		if !issued().Equal(first) {
			t.Fatal("renewed though nothing has changed")
		}
		w.restart(t)
		if !issued().Equal(first) {
			t.Fatal("renewed because the hub was restarted")
		}
		time.Sleep(5 * time.Minute)
		ended := issued()
		if ended.Equal(first) || alpha.point.Count != 1 {
			t.Fatalf("an indicator has ended: %+v", alpha.point)
		}
		time.Sleep(14 * time.Minute)
		if !issued().Equal(ended) {
			t.Fatal("renewed before a quarter of its life")
		}
		time.Sleep(time.Minute)
		if issued().Equal(ended) {
			t.Fatal("not renewed after a quarter of its life")
		}
		aged := issued()
		w.released(t, to)
		grown := issued()
		if grown.Equal(aged) || alpha.point.Count != 2 || alpha.point.Sequence != 3 {
			t.Fatalf("the log has grown: %+v", alpha.point)
		}
		key, vkey, err := note.GenerateKey(rand.Reader, "ecs.test")
		must(t, err)
		w.cfg.Signer, err = note.NewSigner(key)
		must(t, err)
		w.verify, err = note.NewVerifier(vkey)
		must(t, err)
		w.restart(t)
		if issued().Equal(grown) { // and the node has verified the new key's signature
			t.Fatal("the old key's note was handed out")
		}
	})
}

// A hub whose clock goes back neither issues an older checkpoint nor brings
// back what had ended.
func TestClockGoesBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		w.released(t, Target{"alpha", contract.DNS})
		alpha := w.node("alpha")
		time.Sleep(25 * time.Hour)
		alpha.load(t, 0)
		if alpha.point.Count != 0 {
			t.Fatalf("still in force: %+v", alpha.point)
		}
		was := alpha.point.Issued
		w.cfg.Now = func() time.Time { return time.Now().Add(-24 * time.Hour) }
		w.restart(t)
		alpha.load(t, 0)
		if alpha.point.Issued.Before(was) || alpha.point.Count != 0 {
			t.Fatalf("went back: %+v", alpha.point)
		}
		fresh := w.node("alpha") // one that begins anew gets the same list
		fresh.load(t, 0)
		if fresh.point.Root != alpha.point.Root {
			t.Fatal("another list")
		}
	})
}

// What has ended leaves by the clock: no entry, but the ledger closes with the
// receipt for a list judged afterwards.
func TestExpire(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.released(t, Target{"alpha", contract.DNS}, Target{"beta", contract.DNS})
		waiting := w.item(t, indicator.PendingSecond, nil)
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		time.Sleep(24*time.Hour - time.Minute)
		n, err := w.desk.Expire(t.Context())
		must(t, err)
		if n != 0 {
			t.Fatal("too early")
		}
		time.Sleep(2 * time.Minute)
		n, err = w.desk.Expire(t.Context())
		must(t, err)
		if n != 2 || w.state(t, id) != indicator.Expired || w.state(t, waiting) != indicator.Expired {
			t.Fatalf("%d expired, %s, %s", n, w.state(t, id), w.state(t, waiting))
		}
		statuses(t, w, id, map[string]Status{"alpha dns": Ended, "beta dns": Lapsed})
		alpha.load(t, 0)
		alpha.ack(t)
		statuses(t, w, id, map[string]Status{"alpha dns": RemovedThere, "beta dns": Lapsed})
		err = w.desk.Recall(t.Context(), bob, Ref{ID: id}, why)
		if !errors.Is(err, ErrState) {
			t.Fatal(err)
		}
	})
}

func TestOverdue(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		id := w.released(t, Target{"alpha", contract.DNS}, Target{"beta", contract.DNS})
		alpha := w.node("alpha")
		time.Sleep(59 * time.Minute)
		alpha.load(t, 0)
		statuses(t, w, id, map[string]Status{"alpha dns": Delivered, "beta dns": Queued})
		time.Sleep(2 * time.Minute)
		statuses(t, w, id, map[string]Status{"alpha dns": Overdue, "beta dns": Overdue})
		alpha.ack(t)
		must(t, w.desk.Recall(t.Context(), bob, Ref{ID: id}, why))
		time.Sleep(61 * time.Minute)
		statuses(t, w, id, map[string]Status{"alpha dns": RemovalOverdue, "beta dns": Lapsed})
		nodes, err := w.desk.Nodes(t.Context())
		must(t, err)
		if nodes[0].NotRemoved != 1 || nodes[1].Overdue != 0 {
			t.Fatalf("%+v", nodes)
		}
		rows, err := w.desk.Ledger(t.Context(), w.db, Filter{Status: RemovalOverdue})
		must(t, err)
		if len(rows) != 1 || rows[0].Provider != "alpha" {
			t.Fatalf("%+v", rows)
		}
	})
}

func TestWait(t *testing.T) {
	dsn := sqldbtest.SQLite(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := openStore(dsn)
		must(t, err)
		defer func() { must(t, db.Close()) }()
		w := newWorld(t, db)
		here := w.desk
		w.restart(t)
		there := w.desk // another hub on the same database
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		wait := func(after uint64) { go func() { done <- here.Wait(ctx, "alpha", after) }() }

		wait(0)
		synctest.Wait()
		w.desk = here
		w.released(t, Target{"beta", contract.DNS})
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("woken by another provider's log: %v", err)
		default:
		}
		id := w.released(t, Target{"alpha", contract.DNS})
		must(t, <-done)

		wait(0) // there is something already
		must(t, <-done)

		running, stop := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- here.Run(running) }()
		wait(1)
		synctest.Wait()
		start := time.Now()
		must(t, there.Recall(t.Context(), bob, Ref{ID: id}, why))
		must(t, <-done)
		if took := time.Since(start); took > DefaultTick {
			t.Fatalf("another hub's recall was seen after %s", took)
		}
		stop()
		must(t, <-ran)

		wait(2)
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		err = here.Wait(t.Context(), "nobody", 0)
		if !errors.Is(err, ErrProvider) {
			t.Fatal(err)
		}
		if len(here.bell.rings) != 0 {
			t.Fatalf("%d rings left", len(here.bell.rings))
		}
	})
}

func TestReceiptsThatAreRefused(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.released(t, Target{"alpha", contract.DNS}, Target{"beta", contract.DNS})
		alpha := w.node("alpha")
		alpha.load(t, 0)
		good := contract.Ack{Sequence: 1, Root: alpha.point.Root, At: time.Now()}
		change := func(f func(*contract.Ack)) contract.SignedAck { a := good; f(&a); return alpha.sign(t, a) }
		signed := alpha.sign(t, good)
		tests := []struct {
			name     string
			provider string
			serial   string
			ack      contract.SignedAck
		}{
			{"changed after signing", "alpha", "serial-alpha", contract.SignedAck{Body: append([]byte(" "), signed.Body...), Signature: signed.Signature}},
			{"no signature", "alpha", "serial-alpha", contract.SignedAck{Body: signed.Body}},
			{"another provider's node", "alpha", "serial-beta", signed},
			{"for another provider", "beta", "serial-beta", signed},
			{"unknown certificate", "alpha", "serial-gamma", signed},
			{"a list that was never signed", "alpha", "serial-alpha", change(func(a *contract.Ack) { a.Root[0]++ })},
			{"entries that do not exist", "alpha", "serial-alpha", change(func(a *contract.Ack) { a.Sequence = 9 })},
			{"backwards", "alpha", "serial-alpha", change(func(a *contract.Ack) { a.From = 2 })},
			{"too long", "alpha", "serial-alpha", contract.SignedAck{Body: make([]byte, MaxAck+1)}},
		}
		for _, c := range tests {
			err := w.desk.Acknowledge(t.Context(), c.provider, c.serial, c.ack)
			if !errors.Is(err, ErrAck) {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		b, err := w.desk.Reconcile(t.Context(), "alpha", time.Time{})
		must(t, err)
		if b.Loaded != 0 {
			t.Fatalf("something was booked: %+v", b)
		}
		for range 3 {
			must(t, w.desk.Acknowledge(t.Context(), "alpha", "serial-alpha", signed))
		}
		must(t, w.desk.Acknowledge(t.Context(), "alpha", "serial-alpha", alpha.sign(t, contract.Ack{Sequence: 1, Problem: contract.WrongList, At: time.Now()})))
		rs, err := w.desk.Receipts(t.Context(), "alpha", 0)
		must(t, err)
		if len(rs) != 2 || rs[0].Ack.Problem != contract.WrongList || rs[1].Serial != "serial-alpha" {
			t.Fatalf("%+v", rs)
		}
		nodes, err := w.desk.Nodes(t.Context())
		must(t, err)
		if nodes[0].Problem != "wrong-list" || nodes[0].Loaded != 1 {
			t.Fatalf("%+v", nodes[0])
		}
		must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
			w.exec(t, tx, `UPDATE node SET revoked = 1 WHERE provider = 'alpha'`)
			return nil
		}))
		err = w.desk.Acknowledge(t.Context(), "alpha", "serial-alpha", signed)
		if !errors.Is(err, ErrAck) || !strings.Contains(err.Error(), "revoked") {
			t.Fatal(err)
		}
	})
}

// A node that begins anew is spared what it cannot have, and still arrives at
// the same list as one that followed all along.
func TestFirstLoadIsCompact(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		to := Target{"alpha", contract.DNS}
		old := w.node("alpha")
		var ids []contract.ID
		for range 6 {
			ids = append(ids, w.released(t, to))
			old.load(t, 0)
		}
		for _, id := range ids[:4] {
			must(t, w.desk.Recall(t.Context(), bob, Ref{ID: id}, why))
		}
		w.released(t, to)
		page, err := w.desk.Changes(t.Context(), "alpha", 0, 0)
		must(t, err)
		if len(page.Entries) != 3 || page.More {
			t.Fatalf("%d entries, want the 3 in force", len(page.Entries))
		}
		fresh := w.node("alpha")
		fresh.apply(t, page)
		old.load(t, 2)
		if old.list.Root() != fresh.list.Root() || old.point.Root != fresh.point.Root {
			t.Fatal("two lists")
		}
	})
}

// A provider that joins gets what is in force, and one that has it for one
// service gets it for another.
func TestExtend(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		id := w.released(t, Target{"alpha", contract.DNS})
		alpha := w.node("alpha")
		alpha.load(t, 0)
		alpha.ack(t)
		w.provider(t, "gamma", "OPERATIONAL", contract.AllServices, contract.Red)
		to := []Target{{"alpha", contract.DNS | contract.SMTP}, {"gamma", contract.DNS}}
		_, err := w.desk.Extend(ctx, ann2, Ref{ID: id}, why, to)
		if !errors.Is(err, ErrSamePerson) {
			t.Fatal(err)
		}
		_, err = w.desk.Extend(ctx, ann, Ref{ID: id}, why, to)
		if !errors.Is(err, ErrRole) {
			t.Fatal(err)
		}
		got, err := w.desk.ExtendAll(ctx, bob, []contract.ID{id}, why, to, nil)
		must(t, err)
		if got.Done != 1 {
			t.Fatalf("%+v", got)
		}
		statuses(t, w, id, map[string]Status{"alpha dns": Loaded, "alpha smtp": Queued, "gamma dns": Queued})
		gamma := w.node("gamma")
		gamma.load(t, 0)
		gamma.ack(t)
		alpha.load(t, 0)
		alpha.ack(t)
		statuses(t, w, id, map[string]Status{"alpha dns": Loaded, "alpha smtp": Loaded, "gamma dns": Loaded})
		if alpha.services[id] != contract.DNS|contract.SMTP || gamma.services[id] != contract.DNS {
			t.Fatalf("alpha %s, gamma %s", alpha.services[id], gamma.services[id])
		}
		targets, err := w.desk.Targets(ctx, w.db, id)
		must(t, err)
		if len(targets) != 2 || targets[0].Services != contract.DNS|contract.SMTP {
			t.Fatalf("%+v", targets)
		}
		must(t, w.desk.Recall(ctx, bob, Ref{ID: id}, why))
		alpha.load(t, 0)
		gamma.load(t, 0)
		if alpha.list.Len()+gamma.list.Len() != 0 {
			t.Fatal("still in force")
		}
	})
}

func TestWhoMayRead(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for state, want := range map[string]error{
			"SUSPENDED": nil, "TERMINATING": nil, "TERMINATED": ErrProvider, "MOA_IN_FORCE": ErrProvider,
		} {
			id := strings.ToLower(state)
			w.provider(t, id, state, contract.DNS, contract.Green)
			_, err := w.desk.Changes(t.Context(), id, 0, 0)
			if !errors.Is(err, want) {
				t.Errorf("%s: %v", state, err)
			}
		}
		_, err := w.desk.Changes(t.Context(), "nobody", 0, 0)
		if !errors.Is(err, ErrProvider) || len(w.desk.lists) != 2 {
			t.Fatalf("%v, %d lists kept", err, len(w.desk.lists))
		}
	})
}

func TestBulk(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		ids := w.many(t, 2*portion+20)
		own := w.item(t, indicator.PendingFirst, func(it *indicator.Item) { it.Submitter = "ann" })
		mixed := append(append([]contract.ID{own, contract.NewID()}, ids...), ids[0])
		var steps []int
		got, err := w.desk.FirstAll(ctx, ann, mixed, why, func(done, total int) { steps = append(steps, done) })
		must(t, err)
		if got.Done != len(ids) || got.Failed != 3 || len(got.Failures) != 3 || len(steps) != 3 || steps[2] != len(mixed) {
			t.Fatalf("%+v, steps %v", got, steps)
		}
		for i, want := range []error{ErrSamePerson, indicator.ErrNotFound, ErrState} {
			if !errors.Is(got.Failures[i].Err, want) {
				t.Errorf("failure %d: %v, want %v", i, got.Failures[i].Err, want)
			}
		}
		got, err = w.desk.SecondAll(ctx, bob, mixed, why, []Target{{"alpha", contract.AllServices}, {"beta", contract.DNS}}, nil)
		must(t, err)
		if got.Done != len(ids) || got.Failed != 3 || len(got.Refused) != 1 {
			t.Fatalf("%+v", got)
		}
		alpha := w.node("alpha")
		alpha.load(t, 100)
		if alpha.list.Len() != len(ids) {
			t.Fatalf("%d in force", alpha.list.Len())
		}
		alpha.ack(t)
		must(t, w.desk.settle(ctx))
		n, err := indicator.Count(ctx, w.db, nil)
		must(t, err)
		if n[indicator.InForce] != int64(len(ids)) {
			t.Fatalf("states: %v", n)
		}
		seen := 0
		f := Filter{Provider: "alpha", Status: Loaded, Limit: 100}
		for {
			rows, err := w.desk.Ledger(ctx, w.db, f)
			must(t, err)
			seen += len(rows)
			if len(rows) == 0 {
				break
			}
			f.After = &rows[len(rows)-1]
		}
		if seen != 2*len(ids) {
			t.Fatalf("the ledger lists %d rows", seen)
		}
		seen = 0
		for after := (contract.ID{}); ; {
			in, err := w.desk.InForce(ctx, "alpha", time.Time{}, after, 100)
			must(t, err)
			seen += len(in)
			if len(in) == 0 {
				break
			}
			after = in[len(in)-1].ID
		}
		if seen != len(ids) {
			t.Fatalf("%d items in force listed", seen)
		}
		got, err = w.desk.RecallAll(ctx, carol, ids, why, nil)
		must(t, err)
		if got.Done != len(ids) {
			t.Fatalf("%+v", got)
		}
		alpha.load(t, 100)
		if alpha.list.Len() != 0 {
			t.Fatalf("%d in force", alpha.list.Len())
		}
		_, err = w.desk.SecondAll(ctx, ann, ids, why, nil, nil)
		if !errors.Is(err, ErrRole) {
			t.Fatal(err)
		}
	})
}

// Whatever a node signs: no panic, and nothing but a receipt passes.
func FuzzParseAck(f *testing.F) {
	f.Add([]byte(`{"from":0,"sequence":1,"root":"` + strings.Repeat("0", 64) + `","at":"2026-01-01T00:00:00Z","problem":"none"}`))
	f.Add([]byte(`{"from":2,"sequence":1}`))
	f.Add([]byte(`{"from":0,"sequence":1,"client":"192.0.2.1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAck(body)
		if err == nil && (a.From > a.Sequence || a.Sequence > 1<<62) {
			t.Fatalf("%+v", a)
		}
	})
}
