package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ecs/hub/internal/intake"
)

// killed is the process that TestKilled kills: it polls the feeds that it is given
// again and again.
func killed() {
	dir := os.Getenv("ECS_TEST_COLLECT")
	if dir == "" {
		return
	}
	var feeds []Feed
	err := json.Unmarshal([]byte(os.Getenv("ECS_TEST_FEEDS")), &feeds)
	if err == nil {
		err = pollForEver(dir, feeds)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func pollForEver(dir string, feeds []Feed) error {
	ctx := context.Background()
	db, err := openStore(filepath.Join(dir, "hub.db"))
	if err != nil {
		return err
	}
	in, err := newIntake(db, filepath.Join(dir, "spool"))
	if err != nil {
		return err
	}
	err = in.Resume(ctx)
	if err != nil {
		return err
	}
	c, err := New(Config{DB: db, Intake: in, Feeds: feeds})
	if err != nil {
		return err
	}
	for {
		for _, f := range feeds {
			_, err = c.Poll(ctx, f.Source, f.Name)
			if err != nil {
				return err
			}
		}
		err = os.WriteFile(filepath.Join(dir, "finished"), nil, 0o600)
		if err != nil {
			return err
		}
	}
}

// TestKilled kills the process that polls, by SIGKILL at random moments, and looks
// that nothing is lost and nothing there twice.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("each kill takes a part of a second; left out by -short")
	}
	const objects, lines = 600, 2000
	l := &library{}
	for n := range objects {
		l.add(n)
	}
	var pages, files atomic.Int64
	feeds := []Feed{serveLibrary(t, l, 20, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pages.Add(1)
			time.Sleep(15 * time.Millisecond)
			next.ServeHTTP(w, r)
		})
	})}
	var list strings.Builder
	list.WriteString("value,type\n")
	for n := range lines {
		fmt.Fprintf(&list, "l%d.example,domain\n", n)
	}
	file := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		files.Add(1)
		w.Header().Set("Etag", `"1"`)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(list.String()))
	})
	feeds = append(feeds, Feed{Source: "one", Name: "list", Kind: HTTP, URL: serve(t, file) + "/list.csv", Format: "csv"})
	told, err := json.Marshal(feeds)
	must(t, err)
	dir := t.TempDir()
	db, err := openStore(filepath.Join(dir, "hub.db"))
	must(t, err)
	defer func() { _ = db.Close() }()
	addSource(t, db)
	kills := 0
	for deadline := time.Now().Add(4 * time.Minute); ; kills++ {
		_, err = os.Stat(filepath.Join(dir, "finished"))
		if err == nil && kills >= 12 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not finished after %d kills and %d pages", kills, pages.Load())
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ECS_TEST_COLLECT="+dir, "ECS_TEST_FEEDS="+string(told))
		var said strings.Builder
		cmd.Stderr = &said
		must(t, cmd.Start())
		// After some more requests, however slow the machine is.
		target := pages.Load() + files.Load() + 1 + rand.Int64N(6)
		for end := time.Now().Add(20 * time.Second); pages.Load()+files.Load() < target && time.Now().Before(end); {
			time.Sleep(2 * time.Millisecond)
		}
		time.Sleep(rand.N(40 * time.Millisecond))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if said.Len() > 0 {
			t.Fatal(said.String())
		}
	}
	t.Logf("killed %d times; %d requests for pages, %d for the file", kills, pages.Load(), files.Load())
	if n := count(t, db, "SELECT count(*) FROM item"); n != objects+lines {
		t.Errorf("%d indicators, want %d", n, objects+lines)
	}
	c := newCollector(t, db, newDesk(), feeds...)
	states, err := c.List(t.Context())
	must(t, err)
	if states[0].ReadUpTo != epoch.Add(objects*time.Microsecond).Format(stamp) || states[0].LastError+states[1].LastError != "" {
		t.Errorf("%+v", states)
	}
	all, err := intake.Batches(t.Context(), db, "one", time.Time{}, 1000)
	must(t, err)
	accepted := int64(0)
	for _, b := range all {
		accepted += b.Accepted
		// One that was killed before its first item, with its copy not kept yet, stays as
		// it is: what it held came by another.
		if b.Finished.IsZero() && b.Position > 0 || b.Error != "" || b.Refused != 0 {
			t.Errorf("a delivery was left half read: %+v", b)
		}
	}
	if accepted != objects+lines {
		t.Errorf("%d were new, want %d", accepted, objects+lines)
	}
}
