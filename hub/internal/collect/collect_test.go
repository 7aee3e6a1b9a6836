package collect

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// A collection is read once, then what was added, into a real intake.
func TestCollection(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l := &library{}
		for n := range 25 {
			l.add(n)
		}
		c := newCollector(t, db, realIntake(t, db), serveLibrary(t, l, 10, nil))
		got, err := c.Poll(t.Context(), "one", "main")
		must(t, err)
		if diff := cmp.Diff(Result{Deliveries: 3, Items: 25, Accepted: 25}, got); diff != "" {
			t.Error(diff)
		}
		if n := count(t, db, "SELECT count(*) FROM item"); n != 25 {
			t.Errorf("%d indicators", n)
		}
		st := stateOf(t, c)
		if st.ReadUpTo != "2026-01-01T00:00:00.000025Z" || st.LastError != "" || st.LastOK.IsZero() || st.Items != 25 || st.Deliveries != 3 ||
			st.NextTry.Before(time.Now().Add(50*time.Minute)) || st.NextTry.After(time.Now().Add(70*time.Minute)) {
			t.Errorf("%+v", st)
		}
		got, err = c.Poll(t.Context(), "one", "main")
		if err != nil || got != (Result{}) {
			t.Errorf("nothing new: %+v, %v", got, err)
		}
		l.add(25)
		got, err = newCollector(t, db, c.cfg.Intake, c.cfg.Feeds...).Poll(t.Context(), "one", "main") // as after a restart
		if err != nil || got.Accepted != 1 || got.Items != 1 {
			t.Errorf("one new: %+v, %v", got, err)
		}
	})
}

// A file is fetched again only when it has changed.
func TestFile(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		text, asked := "value,type\na.example,domain\nb.example,domain\n", 0
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			w.Header().Set("Etag", fmt.Sprintf(`"%d"`, len(text)))
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
		})
		c := newCollector(t, db, realIntake(t, db), Feed{Source: "one", Name: "list", Kind: HTTP, URL: serve(t, h) + "/list.csv", Format: intake.CSV})
		for i, want := range []int64{2, 0, 1} {
			if i == 2 {
				text += "c.example,domain\n"
			}
			got, err := c.Poll(t.Context(), "one", "list")
			if err != nil || got.Accepted != want {
				t.Errorf("poll %d: %+v, %v", i, got, err)
			}
		}
		if asked != 3 || count(t, db, "SELECT count(*) FROM batch") != 2 {
			t.Errorf("asked %d times, %d deliveries", asked, count(t, db, "SELECT count(*) FROM batch"))
		}
	})
}

const (
	eventA = "aaaaaaaa-0000-4000-8000-000000000001"
	eventB = "bbbbbbbb-0000-4000-8000-000000000002"
)

// Of a MISP feed events are fetched that are new or changed, and again those that
// could not be taken.
func TestEvents(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		versions := map[string]int{eventA: 30, eventB: 20}
		var asked []string
		missing := ""
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, strings.TrimPrefix(r.URL.Path, "/feed/"))
			switch {
			case r.URL.Path == "/feed/manifest.json":
				var parts []string
				for id, v := range versions {
					parts = append(parts, fmt.Sprintf(`"%s":{"info":"x","timestamp":"17000000%02d","Orgc":{"name":"y"}}`, id, v))
				}
				_, _ = io.WriteString(w, "{"+strings.Join(parts, ",")+"}")
			case missing != "" && strings.Contains(r.URL.Path, missing):
				http.NotFound(w, r)
			default:
				_, _ = io.WriteString(w, `{"Event":"`+r.URL.Path+fmt.Sprint(versions)+`"}`)
			}
		})
		d := newDesk()
		c := newCollector(t, db, d, Feed{Source: "one", Name: "osint", Kind: MISP, URL: serve(t, h) + "/feed"})
		want := func(polled string, fail string, paths ...string) {
			t.Helper()
			asked = nil
			_, err := c.Poll(t.Context(), "one", "osint")
			if fail == "" {
				must(t, err)
			} else {
				has(t, err, fail)
			}
			if diff := cmp.Diff(append([]string{"manifest.json"}, paths...), asked); diff != "" {
				t.Errorf("%s: %s", polled, diff)
			}
		}
		want("first", "", eventB+".json", eventA+".json")
		if diff := cmp.Diff([]string{"osint event " + eventB, "osint event " + eventA}, d.names()); diff != "" {
			t.Error(diff)
		}
		want("again", "")
		versions[eventB] = 25 // older than what is here of another event
		want("one changed", "", eventB+".json")
		versions[eventA], versions[eventB], missing = 40, 41, eventA
		want("one missing", "1 of 2 new events could not be taken", eventA+".json", eventB+".json")
		st := stateOf(t, c)
		if !strings.Contains(st.LastError, "HTTP 404") || st.Failures != 0 {
			t.Errorf("%+v", st)
		}
		missing = ""
		want("it comes back", "", eventA+".json")
		delete(versions, eventA)
		want("gone", "")
		if n := count(t, db, "SELECT count(*) FROM feed_event"); n != 1 {
			t.Errorf("%d events are known", n)
		}
	})
}

// An event becomes indicators; a second version of it adds what is new.
func TestEventIntoIntake(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		stamp, names := 1700000000, []string{"a.example"}
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/manifest.json") {
				_, _ = fmt.Fprintf(w, `{"%s":{"info":"x","timestamp":"%d","Orgc":{"name":"y"}}}`, eventA, stamp)
				return
			}
			var list []string
			for i, n := range names {
				list = append(list, fmt.Sprintf(`{"uuid":"cccccccc-0000-4000-8000-%012d","type":"domain","category":"Network activity","to_ids":true,"timestamp":"%d","value":"%s"}`, i, stamp, n))
			}
			_, _ = fmt.Fprintf(w, `{"Event":{"uuid":"%s","info":"x","date":"2023-11-14","timestamp":"%d","Tag":[{"name":"tlp:green"}],"Attribute":[%s]}}`, eventA, stamp, strings.Join(list, ","))
		})
		c := newCollector(t, db, realIntake(t, db), Feed{Source: "one", Name: "osint", Kind: MISP, URL: serve(t, h)})
		got, err := c.Poll(t.Context(), "one", "osint")
		if err != nil || got.Accepted != 1 || got.Refused != 0 {
			t.Fatalf("%+v, %v", got, err)
		}
		stamp, names = stamp+1, append(names, "b.example")
		got, err = c.Poll(t.Context(), "one", "osint")
		if err != nil || got.Accepted != 1 || got.Duplicate != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// What was not committed is asked for again, from the same place.
func TestPositionWaitsForIntake(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l, d := &library{}, newDesk()
		for n := range 9 {
			l.add(n)
		}
		c := newCollector(t, db, d, serveLibrary(t, l, 3, nil))
		n := 0
		d.fails = func(intake.Delivery, []byte) error {
			n++
			if n == 2 {
				return errors.New("no space left on device")
			}
			return nil
		}
		_, err := c.Poll(t.Context(), "one", "main")
		has(t, err, "no space left")
		st := stateOf(t, c)
		if st.Deliveries != 1 || st.Failures != 1 || !strings.Contains(st.LastError, "no space left") || st.NextTry.After(time.Now().Add(time.Minute)) {
			t.Errorf("%+v", st)
		}
		d.cut = "the authority of source one ended"
		_, err = c.Poll(t.Context(), "one", "main")
		has(t, err, "not taken to its end: the authority")
		d.cut = ""
		_, err = c.Poll(t.Context(), "one", "main")
		must(t, err)
		for n := range 9 {
			if d.ids(t)[indicator(n)] == 0 {
				t.Errorf("object %d was lost", n)
			}
		}
		if st := stateOf(t, c); st.Failures != 0 || st.LastError != "" {
			t.Errorf("%+v", st)
		}
	})
}

// Another address or collection is another feed.
func TestTargetChanged(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		l, d := &library{}, newDesk()
		l.add(1)
		f := serveLibrary(t, l, 3, nil)
		_, err := newCollector(t, db, d, f).Poll(t.Context(), "one", "main")
		must(t, err)
		f.Collection = "shelf"
		c := newCollector(t, db, d, f)
		if st := stateOf(t, c); !st.LastOK.IsZero() || st.ReadUpTo != "" {
			t.Errorf("it is said of the new one: %+v", st)
		}
		got, err := c.Poll(t.Context(), "one", "main")
		if err != nil || got.Deliveries != 1 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
