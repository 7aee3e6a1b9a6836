package sighting_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/sighting"
	"ecs/provider/internal/store/storetest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait"))
}

type fixture struct {
	queue *sighting.Queue
	rec   *sighting.Recorder
	stop  func()
	id    int32
	other int32
}

func setup(t *testing.T, db *sqldb.DB) *fixture {
	t.Helper()
	ctx := t.Context()
	h := customer.NewHolder()
	s := customer.NewStore(db, h)
	op := customer.Actor{Login: "op", Roles: []string{"csp_operator"}}
	f := &fixture{queue: sighting.NewQueue(1000)}
	var err error
	f.id, err = s.Put(ctx, op, customer.Spec{Row: customer.Row{Customer: customer.Customer{Name: "A", Sector: 2}}})
	if err != nil {
		t.Fatal(err)
	}
	f.other, err = s.Put(ctx, op, customer.Spec{Row: customer.Row{Customer: customer.Customer{Name: "B"}}})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Consent(ctx, customer.Actor{Login: "a", Roles: []string{"customer_contact"}, Scope: "A"}, f.id, contract.DNS)
	if err != nil {
		t.Fatal(err)
	}
	f.rec = sighting.NewRecorder(sighting.Config{
		DB: db, Queue: f.queue, Customers: h, Secret: []byte("secret"),
		DayLength: func() time.Duration { return 24 * time.Hour }, Log: slog.New(slog.DiscardHandler),
	})
	run, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.rec.Run(run) }()
	f.stop = func() {
		cancel()
		err := <-done
		if err != nil {
			t.Error(err)
		}
	}
	return f
}

func dnsEvent(customer int32, at time.Time) sighting.Event {
	e := sighting.Event{
		At: at.UnixMicro(), Indicator: contract.ID{1}, Service: contract.DNS, Action: contract.Sinkhole,
		Customer: customer, Display: true, Notify: true, Client: netip.MustParseAddr("192.0.2.5"),
	}
	e.SetWhat([]byte("\x03a.b\x04evil\x07example\x00"))
	return e
}

func TestMergesWithinTheHourAndCountsConsentOnly(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := setup(t, db)
		at := time.Date(2026, 11, 3, 10, 5, 0, 0, time.UTC)
		for i := range 50 {
			e := dnsEvent(f.id, at.Add(time.Duration(i)*time.Second))
			f.queue.Offer(&e)
			o := dnsEvent(f.other, at)
			f.queue.Offer(&o)
		}
		next := dnsEvent(f.id, at.Add(time.Hour))
		f.queue.Offer(&next)
		f.stop()
		rows, err := sighting.List(t.Context(), db, sighting.Filter{Customer: f.id})
		if err != nil || len(rows) != 2 {
			t.Fatalf("%d rows, %v: want one for each hour", len(rows), err)
		}
		first := rows[1]
		if first.Count+rows[0].Count != 51 || first.What != `a\.b.evil.example` || first.Client != "192.0.2.5" {
			t.Errorf("%+v", rows)
		}
		var n, customers int
		err = db.QueryRowContext(t.Context(), `SELECT sum(count), count(DISTINCT customer) FROM consented`).Scan(&n, &customers)
		if err != nil || n != 51 || customers != 1 {
			t.Errorf("%d events of %d customers are counted for feedback, %v: want 51 of the one who agreed", n, customers, err)
		}
	})
}

func TestRecordIsOnDiskWhenItReturns(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := setup(t, db)
		defer f.stop()
		e := sighting.Event{At: time.Now().UnixMicro(), Indicator: contract.ID{2}, Service: contract.SMTP, Customer: f.id, Action: contract.Quarantine}
		e.SetWhat([]byte("from: bad@evil.example"))
		err := f.rec.Record(t.Context(), &e)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := sighting.List(t.Context(), db, sighting.Filter{Service: contract.SMTP})
		if err != nil || len(rows) != 1 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		if !strings.HasPrefix(rows[0].What, "withheld:") {
			t.Errorf("a value that may not be shown is in the table: %q", rows[0].What)
		}
		err = sighting.Judge(t.Context(), db, "op", rows[0].ID, "false")
		if err != nil {
			t.Fatal(err)
		}
		err = sighting.Judge(t.Context(), db, "op", 999, "false")
		if !errors.Is(err, sighting.ErrUnknown) {
			t.Errorf("verdict on nothing: %v", err)
		}
	})
}

func TestRecordFailsWhenItCannotStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		f := setup(t, db)
		defer f.stop()
		e := dnsEvent(404, time.Now()) // no such customer: the foreign key refuses it
		err := f.rec.Record(t.Context(), &e)
		if err == nil {
			t.Fatal("told stored, but it was not")
		}
		_, failed := f.rec.Counts()
		if failed == 0 {
			t.Error("the failure is not counted")
		}
		good := dnsEvent(f.id, time.Now())
		err = f.rec.Record(t.Context(), &good)
		if err != nil {
			t.Errorf("the next one fails as well: %v", err)
		}
	})
}

func TestQueueDropsAndCounts(t *testing.T) {
	q := sighting.NewQueue(2)
	e := dnsEvent(1, time.Now())
	n := testing.AllocsPerRun(100, func() { q.Offer(&e) })
	offered, dropped := q.Counts()
	if n != 0 || offered != 101 || dropped != 99 {
		t.Errorf("%v allocations, %d offered, %d dropped", n, offered, dropped)
	}
}
