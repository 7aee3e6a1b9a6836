package intake_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
)

// watchForEver is the process that TestKilled kills.
func watchForEver(dir string) {
	db, err := open(filepath.Join(dir, "hub.db"))
	if err == nil {
		var check *policy.Checker
		check, err = policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
		if err == nil {
			err = intake.New(intake.Config{
				DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(dir, "spool"), Ceiling: contract.Red, Portion: 20,
			}).Watch(context.Background(), filepath.Join(dir, "in"))
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled kills the process that watches a folder, by SIGKILL at random
// moments of its work, and looks that nothing is lost and nothing there twice.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("each kill takes some seconds; left out by -short")
	}
	const n = 4000
	dir := t.TempDir()
	db, err := open(filepath.Join(dir, "hub.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	addSources(t, db)
	file := filepath.Join(dir, "in", "one", "big.csv")
	err = os.MkdirAll(filepath.Dir(file), 0o750)
	if err == nil {
		err = os.WriteFile(file, []byte(csvOf(n)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	done := filepath.Join(dir, "in", "one", "done", "big.csv")
	between := 0
	for range 20 {
		_, err = os.Stat(done)
		if err == nil {
			break
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ECS_TEST_WATCH="+dir)
		err = cmd.Start()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2200*time.Millisecond + rand.N(700*time.Millisecond))
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		all, err := intake.Batches(t.Context(), db, "one", time.Time{}, 10)
		if err != nil || len(all) > 1 {
			t.Fatalf("%d deliveries of one file, %v", len(all), err)
		}
		if len(all) == 1 && all[0].Finished.IsZero() {
			between++
		}
	}
	_, err = os.Stat(done)
	if err != nil {
		t.Fatalf("the file was never finished: %v", err)
	}
	t.Logf("killed %d times in the middle of the file", between)
	all, err := intake.Batches(t.Context(), db, "", time.Time{}, 10)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d deliveries, %v", len(all), err)
	}
	b := all[0]
	if b.Position != n+n/10 || b.Accepted != n || b.Duplicate != 0 || b.Refused != n/10 || b.Finished.IsZero() || b.Error != "" {
		t.Errorf("delivery: %+v", b)
	}
	count, err := indicator.Count(t.Context(), db, nil)
	if err != nil || count[indicator.PendingFirst] != n {
		t.Errorf("%v, %v, want %d in PENDING_FIRST", count, err, n)
	}
	refused := 0
	for after := int64(0); ; {
		page, err := intake.Refusals(t.Context(), db, b.ID, after, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		refused, after = refused+len(page), page[len(page)-1].Number
	}
	if refused != n/10 {
		t.Errorf("%d refusals kept, want %d", refused, n/10)
	}
}
