package collect

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/taxii"
)

// Objects arrive while pages are read, and intake fails now and then: each object is
// delivered; without failures each exactly once.
func TestArrivals(t *testing.T) {
	db := sqldbtest.Lite(t, openStore)
	feeds := 0
	rapid.Check(t, func(rt *rapid.T) {
		l, d := &library{}, newDesk()
		n := 0
		arrive := func(most int) {
			for range rapid.IntRange(0, most).Draw(rt, "arrivals") {
				l.add(n)
				n++
			}
		}
		arrive(20)
		total := n + 20
		f := serveLibrary(t, l, rapid.IntRange(1, 7).Draw(rt, "page"), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if n < total {
					arrive(3)
				}
				if rapid.IntRange(0, 9).Draw(rt, "cut") == 0 {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				next.ServeHTTP(w, r)
			})
		})
		feeds++
		f.Name = fmt.Sprintf("feed-%d", feeds)
		failing := rapid.Bool().Draw(rt, "failing")
		failed := false
		d.fails = func(intake.Delivery, []byte) error {
			if failing && rapid.IntRange(0, 4).Draw(rt, "fails") == 0 {
				failed = true
				return errors.New("disk full")
			}
			return nil
		}
		c := newCollector(t, db, d, f)
		for polls := 0; ; polls++ {
			if polls > 200 {
				rt.Fatal("it does not end")
			}
			got, err := c.Poll(t.Context(), "one", f.Name)
			failed = failed || err != nil
			if err == nil && got.Deliveries == 0 && n >= total {
				break
			}
		}
		ids := d.ids(t)
		for i := range n {
			if times := ids[indicator(i)]; times == 0 || times > 1 && !failed {
				rt.Fatalf("object %d of %d came %d times", i, n, times)
			}
		}
	})
}

// Two hubs on one database read one feed at the same time: what counts is that
// nothing is lost, and that one of the two steps back.
func TestTwoHubs(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l, d := &library{}, newDesk()
		for n := range 60 {
			l.add(n)
		}
		f := serveLibrary(t, l, 5, nil)
		var all sync.WaitGroup
		var errs [4]error
		for i := range errs {
			c := newCollector(t, db, d, f)
			all.Go(func() { _, errs[i] = c.Poll(t.Context(), "one", "main") })
		}
		all.Wait()
		good := 0
		for _, err := range errs {
			switch {
			case err == nil:
				good++
			case !errors.Is(err, errMoved):
				t.Error(err)
			}
		}
		c := newCollector(t, db, d, f)
		_, err := c.Poll(t.Context(), "one", "main")
		must(t, err)
		if len(d.ids(t)) != 60 || stateOf(t, c).ReadUpTo != epoch.Add(60*time.Microsecond).Format(stamp) {
			t.Errorf("%d objects, %+v", len(d.ids(t)), stateOf(t, c))
		}
		t.Logf("%d of 4 came to the end at once", good)

		// What a hub that was overtaken has in hand does not move the position back.
		feed := &c.feeds[0].Feed
		late, err := load(t.Context(), db, feed)
		must(t, err)
		ahead := late
		must(t, advance(t.Context(), db, feed, &ahead, progress{deliveries: 1, position: "2026-01-03T00:00:00.000000Z"}, now()))
		err = advance(t.Context(), db, feed, &late, progress{deliveries: 1, position: "2026-01-02T00:00:00.000000Z"}, now())
		if !errors.Is(err, errMoved) || stateOf(t, c).ReadUpTo != "2026-01-03T00:00:00.000000Z" {
			t.Errorf("%v, %+v", err, stateOf(t, c))
		}

		// Not forced: one claims what is due, the others leave it.
		must(t, db.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), "UPDATE feed SET next_try = 0")
			return err
		}))
		claimed := 0
		for range 4 {
			_, ok, err := claim(t.Context(), db, &newCollector(t, db, d, f).feeds[0].Feed, now(), false)
			must(t, err)
			if ok {
				claimed++
			}
		}
		if claimed != 1 {
			t.Errorf("claimed by %d hubs", claimed)
		}
	})
}

// Run polls what is due, once; Poll of a feed that is being read says so.
func TestRun(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	var asked atomic.Int32
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			close(begun)
			<-goOn
		}
		_, _ = io.WriteString(w, "value\na.example\n")
	})
	d := newDesk()
	c := newCollector(t, sqldbtest.Lite(t, openStore), d,
		Feed{Source: "one", Name: "x", Kind: HTTP, URL: serve(t, h) + "/l", Format: "csv"},
		Feed{Source: "one", Name: "y", Kind: HTTP, URL: serve(t, h) + "/m", Format: "csv"})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	<-begun
	states, err := c.List(t.Context())
	must(t, err)
	running := slices.IndexFunc(states, func(s State) bool { return s.Running })
	if running < 0 {
		t.Fatalf("none is running: %+v", states)
	}
	for _, s := range states {
		if s.Running && asked.Load() == 1 {
			_, err = c.Poll(t.Context(), "one", states[running].Name)
			if !errors.Is(err, ErrBusy) {
				t.Errorf("a second poll: %v", err)
			}
			break
		}
	}
	close(goOn)
	for range 500 {
		if len(d.names()) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	cancel()
	must(t, <-done)
	if asked.Load() != 2 || len(d.names()) != 2 {
		t.Errorf("asked %d times, %q", asked.Load(), d.names())
	}
	_, err = c.Poll(t.Context(), "one", "z")
	if !errors.Is(err, ErrUnknown) {
		t.Errorf("of a feed that is not there: %v", err)
	}
	all := prometheus.NewRegistry()
	all.MustRegister(c.Collector())
	families, err := all.Gather()
	must(t, err)
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values[f.GetName()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	ok := values["ecs_collect_last_success_seconds"]
	delete(values, "ecs_collect_last_success_seconds")
	want := map[string]float64{
		"ecs_collect_polls_total": 2, "ecs_collect_failures_total": 0, "ecs_collect_deliveries_total": 2, "ecs_collect_items_total": 0, "ecs_collect_unchanged_total": 0,
	}
	if diff := cmp.Diff(want, values); diff != "" || ok < float64(time.Now().Unix()) {
		t.Errorf("%s, last success %f", diff, ok)
	}
}

// A poll that is stopped is no failure, and leaves no trace of one.
func TestStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	h := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := newCollector(t, sqldbtest.Lite(t, openStore), newDesk(), Feed{Source: "one", Name: "x", Kind: HTTP, URL: serve(t, h) + "/l", Format: "csv"})
	_, err := c.Poll(ctx, "one", "x")
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if st := stateOf(t, c); st.Failures != 0 || st.LastError != "" || st.LastTry.IsZero() {
		t.Errorf("%+v", st)
	}
}

func TestConfiguration(t *testing.T) {
	db := sqldbtest.Lite(t, openStore)
	good := Feed{Source: "one", Name: "x", Kind: TAXII, URL: "https://taxii.example/api/", Collection: "c"}
	for want, change := range map[string]func(*Feed){
		"":                              func(*Feed) {},
		"short names":                   func(f *Feed) { f.Name = "../x" },
		"source and name are":           func(f *Feed) { f.Source = "" },
		"want an absolute address":      func(f *Feed) { f.URL = "taxii.example" },
		"only https is fetched":         func(f *Feed) { f.URL = "http://taxii.example/" },
		"http from this machine alone":  func(f *Feed) { f.URL = "file://taxii.example/" },
		"leave user and password out":   func(f *Feed) { f.URL = "https://u:p@taxii.example/" },
		`kind "ftp": want`:              func(f *Feed) { f.Kind = "ftp" },
		"collection is needed":          func(f *Feed) { f.Collection = "" },
		"collection is for taxii":       func(f *Feed) { f.Kind = MISP },
		"format is needed":              func(f *Feed) { f.Kind, f.Collection = HTTP, "" },
		"is always stix":                func(f *Feed) { f.Format = "csv" },
		"max_bytes is below zero":       func(f *Feed) { f.MaxBytes = -1 },
		"user and password_file belong": func(f *Feed) { f.User = "u" },
		"either user and password_file": func(f *Feed) { f.User, f.PasswordFile, f.TokenFile = "u", "p", "t" },
		"cert_file and key_file belong": func(f *Feed) { f.KeyFile = "k" },
		"is below 1m0s":                 func(f *Feed) { f.Interval = time.Second },
	} {
		f := good
		change(&f)
		_, err := New(Config{DB: db, Intake: newDesk(), Feeds: []Feed{f}})
		if want == "" {
			must(t, err)
			continue
		}
		has(t, err, want)
	}
	_, err := New(Config{DB: db, Intake: newDesk(), Feeds: []Feed{good, good}})
	has(t, err, "two feeds named x")
	_, err = New(Config{})
	has(t, err, "are needed")
}

// A marking that is defined on another page, or was long ago, comes with what carries
// it.
func TestMarkings(t *testing.T) {
	marking := func(n int) string { return fmt.Sprintf("marking-definition--00000000-0000-4000-8000-%012d", n) }
	definition := func(n int) taxii.Record {
		return taxii.Record{ID: marking(n), Version: epoch, Body: json.RawMessage(`{"type":"marking-definition","spec_version":"2.1","id":"` + marking(n) + `","definition_type":"statement","definition":{"statement":"x"}}`)}
	}
	carrier := func(n int, refs ...string) taxii.Record {
		return taxii.Record{ID: indicator(n), Version: epoch, Body: json.RawMessage(strings.Replace(object(n), "{", `{"object_marking_refs":["`+strings.Join(refs, `","`)+`"],`, 1))}
	}
	const green = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"
	l := &library{all: []taxii.Record{
		definition(1), carrier(1, green), // page 1
		carrier(2, marking(1), marking(2)), definition(2), // page 2: one of the page before, one behind
		carrier(3, marking(2), marking(3), marking(9)), carrier(4, marking(3), "nonsense"), // page 3: one of page 4, one that is nowhere
		definition(3), carrier(5),
	}}
	for i := range l.all {
		l.all[i].Added = epoch.Add(time.Duration(i) * time.Second)
	}
	var asked []string
	d := newDesk()
	c := newCollector(t, sqldbtest.Lite(t, openStore), d, serveLibrary(t, l, 2, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if v := r.URL.Query().Get("match[id]"); v != "" {
				asked = append(asked, v)
			}
			next.ServeHTTP(w, r)
		})
	}))
	_, err := c.Poll(t.Context(), "one", "main")
	must(t, err)
	var got [][]string
	for _, name := range d.names() {
		var e struct{ Objects []struct{ ID string } }
		must(t, json.Unmarshal([]byte(d.body[name]), &e))
		var ids []string
		for _, o := range e.Objects {
			typ, _, _ := strings.Cut(o.ID, "-")
			ids = append(ids, typ+" "+o.ID[len(o.ID)-1:])
		}
		got = append(got, ids)
	}
	want := [][]string{
		{"marking 1", "indicator 1"},
		{"marking 1", "marking 2", "indicator 2"},
		{"marking 2", "marking 3", "indicator 3", "indicator 4"},
		{"marking 3", "indicator 5"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{marking(3) + "," + marking(9)}, asked); diff != "" {
		t.Error(diff)
	}
}
