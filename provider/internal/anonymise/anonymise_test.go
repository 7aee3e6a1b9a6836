package anonymise

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/provider/internal/store/storetest"

	"pgregory.net/rapid"
)

// TestCellsObeyTheRules draws random days and checks each cell and the day as a
// whole against the rules, computed the slow way from the counts themselves.
func TestCellsObeyTheRules(t *testing.T) {
	r := contract.DefaultRules
	rapid.Check(t, func(t *rapid.T) {
		var counts []count
		sectors := map[int32]contract.Sector{}
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			c := count{
				indicator: contract.ID{rapid.ByteRange(1, 4).Draw(t, "indicator")},
				action:    contract.Action(rapid.IntRange(0, 1).Draw(t, "action")),
				customer:  rapid.Int32Range(1, 14).Draw(t, "customer"),
				events:    rapid.Int64Range(1, 8).Draw(t, "events"),
			}
			c.category = contract.Category(c.indicator[0] % 2)
			if _, ok := sectors[c.customer]; !ok {
				sectors[c.customer] = contract.Sector(rapid.IntRange(0, 2).Draw(t, "sector"))
			}
			c.sector = sectors[c.customer]
			counts = append(counts, c)
		}
		out, withheld, err := cells(counts, 100, r)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range out {
			events := map[int32]int64{}
			var total, top int64
			for _, c := range counts {
				if c.action == f.Action() && c.category == f.Category() &&
					(f.Indicator().IsZero() && isWithheld(withheld, c) || c.indicator == f.Indicator()) &&
					(f.Sector() == contract.AllSectors || c.sector == f.Sector()) {
					events[c.customer] += c.events
					total += c.events
					top = max(top, events[c.customer])
				}
			}
			if len(events) < r.MinCustomers || total < int64(r.MinEvents) || top*100 > total*int64(r.MaxShare) {
				t.Fatalf("cell of %d customers, %d events, top %d", len(events), total, top)
			}
			if f.Events() != contract.BucketOf(int(total)) || f.Customers() != contract.BucketOf(len(events)) {
				t.Fatalf("cell tells %v events of %v customers, truth %d of %d", f.Events(), f.Customers(), total, len(events))
			}
		}
		// Nothing is found by subtraction: an indicator is told whole or not at all.
		for id := byte(1); id <= 4; id++ {
			for a := range contract.Action(2) {
				bySector, whole := 0, 0
				for _, f := range out {
					if f.Indicator() != (contract.ID{id}) || f.Action() != a {
						continue
					}
					if f.Sector() == contract.AllSectors {
						whole++
					} else {
						bySector++
					}
				}
				if whole > 1 || whole > 0 && bySector > 0 {
					t.Fatalf("indicator %d is told %d times as a whole and %d times by sector", id, whole, bySector)
				}
			}
		}
		w := contract.Window{Day: 100, Service: contract.DNS, Rules: 1, Cells: out}
		body, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		_, err = contract.ParseWindow(body)
		if err != nil {
			t.Fatal(err)
		}
	})
}

func isWithheld(list []Withheld, c count) bool {
	for _, w := range list {
		if w.Indicator == c.indicator.String() && w.Action == c.action && w.Instead == "the category, with others" {
			return true
		}
	}
	return false
}

const day = 20_000

func insert(t *testing.T, db *sqldb.DB, customer, sector, events int, indicator contract.ID) {
	t.Helper()
	ctx := t.Context()
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO customer (id, name, sector, dns_policy, dns_answer, mail_policy, mail_action, flow_policy, created)
			VALUES ($1, $2, $3, 0, 0, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING`, customer, fmt.Sprint("customer ", customer), sector)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO consented (day, service, indicator, category, action, customer, sector, count)
			VALUES ($1, 1, $2, 1, 1, $3, $4, $5)`, day, indicator.String(), customer, sector, events)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func service(db *sqldb.DB, at time.Time) *Service {
	return New(Config{DB: db, Rules: contract.DefaultRules, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return at }})
}

func one(t *testing.T, s *Service) Window {
	t.Helper()
	ws, err := s.Windows(t.Context(), 10)
	if err != nil || len(ws) != 1 {
		t.Fatalf("%d windows, %v", len(ws), err)
	}
	return ws[0]
}

func TestWindowFromReviewToAnswer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		id := contract.ID{1}
		for c := 1; c <= 6; c++ {
			insert(t, db, c, 3, 2, id)
		}
		insert(t, db, 9, 3, 500, contract.ID{2}) // alone with its indicator
		now := contract.Day(day + 1).Start(24 * time.Hour)
		s := service(db, now)
		err := s.Once(ctx)
		if err != nil {
			t.Fatal(err)
		}
		ws, err := s.Windows(ctx, 10)
		if err != nil || len(ws) != 0 {
			t.Fatalf("a window was made before the grace had passed: %v %v", ws, err)
		}
		s = service(db, now.Add(time.Hour))
		err = s.Once(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w := one(t, s)
		if w.State != Ready || !strings.Contains(w.Body, id.String()) || strings.Contains(w.Body, contract.ID{2}.String()) {
			t.Fatalf("window %+v", w)
		}
		if len(w.Withheld) != 1 || w.Withheld[0].Why != "too few customers" {
			t.Errorf("withheld: %+v", w.Withheld)
		}
		bodies, err := s.Reviewed(ctx)
		if err != nil || len(bodies) != 0 {
			t.Fatalf("%d windows would be sent without review, %v", len(bodies), err)
		}
		err = s.Review(ctx, "eve", []string{"csp_security_officer"}, w.Day, w.Service, w.Body, true)
		if !errors.Is(err, ErrNotOperator) {
			t.Errorf("review without the role: %v", err)
		}
		err = s.Review(ctx, "op", []string{"csp_operator"}, w.Day, w.Service, w.Body+" ", true)
		if !errors.Is(err, ErrChanged) {
			t.Errorf("review of other bytes: %v", err)
		}
		err = s.Review(ctx, "op", []string{"csp_operator"}, w.Day, w.Service, w.Body, true)
		if err != nil {
			t.Fatal(err)
		}
		bodies, err = s.Reviewed(ctx)
		if err != nil || len(bodies) != 1 || string(bodies[0]) != w.Body {
			t.Fatalf("to send: %q, %v", bodies, err)
		}
		err = s.Answered(ctx, bodies[0], "")
		if err != nil {
			t.Fatal(err)
		}
		if w = one(t, s); w.State != Accepted || w.ReviewedBy != "op" {
			t.Errorf("after the answer: %+v", w)
		}
		insert(t, db, 20, 3, 50, id) // late: counted with no window
		err = s.Once(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if again := one(t, s); again.Body != w.Body || again.State != Accepted {
			t.Error("a late match changed a window that was sent")
		}
	})
}

func TestWithdrawnConsentLeavesNothingUnsent(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		for c := 1; c <= 5; c++ {
			insert(t, db, c, 3, 4, contract.ID{1})
		}
		s := service(db, contract.Day(day+2).Start(24*time.Hour))
		err := s.Once(ctx)
		if err != nil {
			t.Fatal(err)
		}
		w := one(t, s)
		err = s.Review(ctx, "op", []string{"csp_operator"}, w.Day, w.Service, w.Body, true)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Withdraw(ctx, 5, contract.DNS)
		if err != nil {
			t.Fatal(err)
		}
		// Four customers are too few: the reviewed window must not leave any more.
		bodies, err := s.Reviewed(ctx)
		if err != nil || len(bodies) != 0 {
			t.Fatalf("%d windows would still be sent, %v", len(bodies), err)
		}
		if w = one(t, s); w.State != Empty {
			t.Errorf("window %+v", w)
		}
	})
}

func TestRunEnds(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := service(db, time.Now()).Run(ctx)
		if err != nil {
			t.Error(err)
		}
	})
}
