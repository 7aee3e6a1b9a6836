package intake_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/format/report"
	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

const (
	foreign = "IOC;Kind of thing\nheld.example;domain\nHELD-2.example.;domain\n"
	columns = `{"columns":[{"header":"IOC","field":"value"},{"header":"Kind of thing","field":"ignore"}]}`
)

func hold(t *testing.T, in *intake.Intake, login, format, body string) intake.Held {
	t.Helper()
	h, err := in.Hold(t.Context(), intake.Delivery{Source: "one", Name: "x", Format: format, Submitter: login}, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestSavedMapping(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db)
		ctx := t.Context()
		deliver := func(source, body string) (intake.Report, error) {
			return in.Submit(ctx, intake.Delivery{Source: source, Name: "x.csv", Format: intake.Auto, Submitter: "gfi"}, strings.NewReader(body), nil)
		}
		var whole *intake.Refused
		_, err := deliver("one", foreign)
		if !errors.As(err, &whole) || whole.Code != intake.CodeFormat {
			t.Fatalf("without a mapping: %v", err)
		}
		for name, m := range map[string]intake.Mapping{
			"no name":      {Source: "one", Body: columns},
			"slash":        {Source: "one", Name: "a/b", Body: columns},
			"no mapping":   {Source: "one", Name: "a", Body: `{"columns":[]}`},
			"more than it": {Source: "one", Name: "a", Body: columns + columns},
		} {
			err = in.SaveMapping(ctx, m)
			if !errors.Is(err, intake.ErrMapping) {
				t.Errorf("%s: %v", name, err)
			}
		}
		err = in.SaveMapping(ctx, intake.Mapping{Source: "nobody", Name: "a", Body: columns, Login: "ann"})
		if !errors.As(err, &whole) || whole.Code != intake.CodeSource {
			t.Errorf("of no source: %v", err)
		}
		err = in.SaveMapping(ctx, intake.Mapping{Source: "one", Name: " weekly  list ", Body: columns, Login: "ann"})
		if err != nil {
			t.Fatal(err)
		}
		// The header decides: another column, or another source, is not read by it.
		_, err = deliver("one", strings.Replace(foreign, "Kind of thing", "TLP of thing", 1))
		if !errors.As(err, &whole) {
			t.Errorf("another header: %v", err)
		}
		_, err = deliver("two", foreign)
		if !errors.As(err, &whole) {
			t.Errorf("another source: %v", err)
		}
		rep, err := deliver("one", foreign)
		if err != nil || rep.Accepted != 2 || rep.Mapping == "" || rep.Canonical != 1 {
			t.Fatalf("by the mapping: %+v, %v", rep, err)
		}
		again, err := deliver("one", foreign)
		if err != nil || !again.Same || again.ID != rep.ID {
			t.Errorf("the same again: %+v, %v", again, err)
		}
		// Read in another way, the same bytes are another delivery, and no other items.
		err = in.SaveMapping(ctx, intake.Mapping{Source: "one", Name: "weekly list", Body: strings.Replace(columns, "ignore", "type", 1), Login: "abe"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := deliver("one", foreign)
		if err != nil || other.Same || other.ID == rep.ID || other.Duplicate != 2 {
			t.Errorf("read in another way: %+v, %v", other, err)
		}
		all, err := intake.Mappings(ctx, db, "one")
		if err != nil || len(all) != 1 || all[0].Name != "weekly list" || all[0].Login != "abe" {
			t.Errorf("mappings: %+v, %v", all, err)
		}
		err = in.RemoveMapping(ctx, "one", "weekly list", "abe")
		if err != nil {
			t.Fatal(err)
		}
		err = in.RemoveMapping(ctx, "one", "weekly list", "abe")
		if !errors.Is(err, intake.ErrNoMapping) {
			t.Errorf("removed twice: %v", err)
		}
	})
}

func TestHeldUpload(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db)
		ctx := t.Context()
		h := hold(t, in, "ann", intake.Auto, "value\nheld.example\nnot a value\n")
		if h.Format != intake.CSV || !h.Detected {
			t.Errorf("held: %+v", h)
		}
		for _, id := range []string{h.ID, "..", "x", "../../etc/passwd", ""} {
			_, err := in.GetHeld("abe", id)
			if !errors.Is(err, intake.ErrNoHeld) {
				t.Errorf("upload %q of another login: %v", id, err)
			}
		}
		f, err := in.OpenHeld(h)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		d := intake.Delivery{Source: h.Source, Name: h.Name, Format: h.Format, Submitter: "ann"}
		v, err := in.Preview(ctx, d, f, 10)
		if err != nil || !v.Ends || len(v.Rows) != 2 || v.Rows[0].Value != "held.example" || v.Rows[1].Refusal == nil {
			t.Errorf("preview: %+v, %v", v, err)
		}
		if n := len(items(t, db)); n != 0 {
			t.Errorf("a preview wrote %d items", n)
		}
		rep, finished, err := in.Take(ctx, h, time.Minute)
		if err != nil || !finished || rep.Accepted != 1 || rep.Refused != 1 || in.Became(h.ID) != rep.ID {
			t.Errorf("taken: %+v, %v, %v", rep, finished, err)
		}
		_, err = in.GetHeld("ann", h.ID)
		if !errors.Is(err, intake.ErrNoHeld) {
			t.Errorf("after it was taken in: %v", err)
		}
		// One that is refused as a whole stays, with the reason.
		h = hold(t, in, "ann", intake.MISP, "{}")
		_, finished, err = in.Take(ctx, h, time.Minute)
		var whole *intake.Refused
		if !finished || !errors.As(err, &whole) {
			t.Errorf("not this format: %v, %v", finished, err)
		}
		kept, err := in.GetHeld("ann", h.ID)
		if err != nil || kept.Error == "" {
			t.Errorf("after a refusal: %+v, %v", kept, err)
		}
		err = in.DropHeld(kept)
		if err != nil {
			t.Error(err)
		}
		_, err = in.Hold(ctx, intake.Delivery{Source: "late", Name: "x", Format: intake.Auto, Submitter: "ann"}, strings.NewReader("value\n"))
		if !errors.As(err, &whole) || whole.Code != intake.CodeLapsed {
			t.Errorf("of a lapsed source: %v", err)
		}
		for range 16 {
			hold(t, in, "ann", intake.CSV, "value\n")
		}
		_, err = in.Hold(ctx, d, strings.NewReader("value\n"))
		if !errors.Is(err, intake.ErrManyHeld) {
			t.Errorf("one too many: %v", err)
		}
	})
}

// What is taken in while nobody waits ends with the hub, and goes on afterwards.
func TestTakenInTheBackground(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db, func(c *intake.Config) { c.Portion = 50 })
		var b strings.Builder
		b.WriteString("value\n")
		for i := range 3000 {
			b.WriteString("n" + strings.Repeat("x", i%7) + "-" + time.Duration(i).String() + ".example\n")
		}
		h := hold(t, in, "ann", intake.Auto, b.String())
		_, finished, err := in.Take(t.Context(), h, time.Nanosecond)
		if err != nil || finished {
			t.Skipf("it was over at once: %v", err)
		}
		_, running := in.Taking(h)
		if !running {
			t.Skip("it was over before it could be looked at")
		}
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err = in.Run(ctx)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = in.Take(t.Context(), h, time.Minute)
		if err == nil {
			t.Fatal("a hub that is being stopped takes an upload in")
		}
		next := newIntake(t, db)
		rep, err := next.Submit(t.Context(), intake.Delivery{Source: "one", Name: "x", Format: intake.CSV, Submitter: "ann"}, strings.NewReader(b.String()), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([4]int64{3000, 0, 0, 0}, counts(rep)); diff != "" {
			t.Errorf("accepted, duplicate, refused, skipped:\n%s", diff)
		}
	})
}

func TestReportReading(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db, func(c *intake.Config) { c.Demonstration = true })
		const text = "The loader calls bad-one[.]example and bad-two[.]example today.\n"
		take := func(o report.Option) intake.Report {
			rep, err := in.Submit(t.Context(), intake.Delivery{Source: "one", Name: "r", Format: intake.ReportText, Mapping: intake.ReportMapping(o), Submitter: "ann"}, strings.NewReader(text), nil)
			if err != nil {
				t.Fatal(err)
			}
			return rep
		}
		first := take(report.Option{Leave: []string{"bad-two.example"}})
		if first.Accepted != 1 || first.Skipped != 1 {
			t.Errorf("one left out: %+v", first)
		}
		second := take(report.Option{})
		if second.Same || second.Accepted != 1 || second.Duplicate != 1 {
			t.Errorf("all: %+v", second)
		}
		_, err := in.Submit(t.Context(), intake.Delivery{Source: "one", Name: "r", Format: intake.ReportText, Mapping: `{"unknown":1}`, Submitter: "ann"}, strings.NewReader(text), nil)
		var whole *intake.Refused
		if !errors.As(err, &whole) || whole.Code != intake.CodeFormat {
			t.Errorf("options that nobody knows: %v", err)
		}
	})
}

func TestRespellings(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db)
		rep := submit(t, in, "one", intake.CSV, "value,context\nplain.example,a\nUPPER.example,b\ndot.example.,c\nhxxp://url[.]example/x,d\nsub.plain.example,about plain.example\n")
		got := map[string]string{}
		after := int64(0)
		for {
			rows, next, err := intake.Respellings(t.Context(), db, intake.Brought{Batch: rep.Number, After: after, Limit: 2})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rows {
				got[r.Canonical] = r.Was
			}
			if next == "" {
				break
			}
			for _, it := range items(t, db) {
				if it.ID.String() == next {
					after = it.Number
				}
			}
		}
		want := map[string]string{"upper.example": "UPPER.example,b", "dot.example": "dot.example.,c", "http://url.example/x": "hxxp://url[.]example/x,d"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if rep.Canonical != int64(len(want)) {
			t.Errorf("the report counts %d, the page finds %d", rep.Canonical, len(want))
		}
	})
}
