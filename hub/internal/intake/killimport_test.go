package intake_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// A release is preceded by -intake.rows 1000000 -intake.kills 20.
var (
	killedRows = flag.Int("intake.rows", 50_000, "records of the delivery that TestKilledImport interrupts, each of four times")
	kills      = flag.Int("intake.kills", 5, "how often it is interrupted each time")
)

// imported says what the process that TestKilledImport kills does.
type imported struct{ DSN, Dir, File string }

// importForEver is that process: it does what a starting hub does, goes on with
// what is in the spool, and then is delivered File, or watches the folder.
func importForEver(order string) {
	var o imported
	err := json.Unmarshal([]byte(order), &o)
	var db *sqldb.DB
	if err == nil {
		db, err = open(o.DSN)
	}
	var check *policy.Checker
	if err == nil {
		check, err = policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	}
	if err == nil {
		in := intake.New(intake.Config{
			DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(o.Dir, "spool"), Ceiling: contract.Red,
			Portion: 500, FolderSubmitter: "gfi",
		})
		err = in.Resume(context.Background())
		if err == nil && o.File == "" {
			err = in.Watch(context.Background(), filepath.Join(o.Dir, "in"))
		}
		var f *os.File
		if err == nil {
			f, err = os.Open(o.File)
		}
		if err == nil {
			d := intake.Delivery{Source: "one", Name: filepath.Base(o.File), Format: intake.STIX, Submitter: "gfi"}
			_, err = in.Submit(context.Background(), d, onlyReader{f}, nil)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// bigBundle writes a delivery with everything that intake treats in a way of its
// own: markings, objects beside the indicators, duplicates, new versions, names
// below names, addresses in prefixes, personal data, and what is refused.
func bigBundle(t *testing.T, file string, n int) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(file), 0o750)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, _ = w.WriteString(stixHead + `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-0000000000aa","created":"2026-01-01T00:00:00Z","definition_type":"statement","definition":{"statement":"(c) Example"}}`)
	for i := range n {
		_, _ = w.WriteString(",\n")
		id, pattern, more := i, fmt.Sprintf("[domain-name:value = 'host%d.evil%d.example']", i, i%997), `,"labels":["family-`+fmt.Sprint(i%50)+`"]`
		modified := "2026-01-02T00:00:00Z"
		switch {
		case i%37 == 1:
			_, _ = fmt.Fprintf(w, `{"type":"malware","spec_version":"2.1","id":"malware--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","name":"family %d","is_family":true,"object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000aa"]}`, i, i)
			continue
		case i%37 == 2:
			_, _ = fmt.Fprintf(w, `{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","relationship_type":"indicates","source_ref":"%s","target_ref":"malware--00000000-0000-4000-8000-%012d"}`, i, place(i-2), i-1)
			continue
		case i%101 == 3: // refused
			_, _ = fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"%s","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = "}`, place(i))
			continue
		case i%23 == 4 && i > 100: // said before, by another identifier
			pattern = fmt.Sprintf("[domain-name:value = 'host%d.evil%d.example']", i-90, (i-90)%997)
			more += `,"object_marking_refs":["` + contract.Green.Ref() + `"]`
		case i%53 == 5 && i > 300: // a newer version of an earlier one
			id, modified = i-265, "2026-01-03T00:00:00Z"
		case i%211 == 6 && i > 500: // taken back
			id, more = i-422, `,"revoked":true`
		case i%19 == 7:
			pattern = fmt.Sprintf("[ipv6-addr:value = '2001:db8:%x:%x::1']", i%499+1, i%65000+1)
		case i%997 == 8:
			pattern = fmt.Sprintf("[ipv6-addr:value = '2001:db8:%x::/48']", i%499+1)
		case i%997 == 9:
			pattern = fmt.Sprintf("[domain-name:value = 'evil%d.example']", i%97)
		case i%31 == 10:
			more += `,"description":"Reported by jane.doe` + fmt.Sprint(i%10) + `@mail.example"`
		case i%29 == 11:
			more += `,"object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000aa","` + contract.Clear.Ref() + `"]`
		}
		_, _ = fmt.Fprintf(w, `{"type":"indicator","spec_version":"2.1","id":"%s","created":"2026-01-01T00:00:00Z","modified":"%s","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":"%s"%s}`,
			place(id), modified, pattern, more)
	}
	_, _ = w.WriteString("]}\n")
	err = errors.Join(w.Flush(), f.Close())
	if err != nil {
		t.Fatal(err)
	}
}

// TestKilledImport kills a process by SIGKILL in the middle of a delivery, again and
// again, and lets the next one go on. In the end every table says what it says
// after a delivery that nothing has interrupted.
func TestKilledImport(t *testing.T) {
	if testing.Short() {
		t.Skip("a big delivery is interrupted twenty times; left out by -short")
	}
	for engine, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		t.Run(engine, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "big.json")
			bigBundle(t, file, *killedRows)
			want := func() state {
				db := sourced(t, dsn(t))
				f, err := os.Open(file)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = f.Close() }()
				in := newIntake(t, db, func(c *intake.Config) { c.Portion = 500 })
				rep, err := in.Submit(t.Context(), intake.Delivery{Source: "one", Name: "big.json", Format: intake.STIX, Submitter: "gfi"}, f, nil)
				if err != nil || rep.Accepted == 0 || rep.Duplicate == 0 || rep.Refused == 0 || rep.Objects == 0 || rep.Position != int64(*killedRows+1) {
					t.Fatalf("uninterrupted: %+v, %v", rep.Batch, err)
				}
				return stateOf(t, db)
			}()
			for _, way := range []string{"spool", "folder"} {
				t.Run(way, func(t *testing.T) {
					at := dsn(t)
					db := sourced(t, at)
					o := imported{DSN: at, Dir: t.TempDir(), File: file}
					if way == "folder" {
						o.File = ""
						bigBundle(t, filepath.Join(o.Dir, "in", "one", "big.json"), *killedRows)
					}
					interrupt(t, db, o)
					want.compare(t, db)
				})
			}
		})
	}
}

// sourced opens a database and registers the sources.
func sourced(t *testing.T, dsn string) *sqldb.DB {
	t.Helper()
	db, err := open(dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	addSources(t, db)
	return db
}

// interrupt runs and kills the process, the first time wherever it is, then behind
// one share of the delivery after the other, and lets the last one end.
func interrupt(t *testing.T, db *sqldb.DB, o imported) {
	t.Helper()
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	position := func() (at int64, finished bool) {
		all, err := intake.Batches(t.Context(), db, "one", time.Time{}, 10)
		if err != nil || len(all) > 1 {
			t.Fatalf("%d deliveries of one file, %v", len(all), err)
		}
		if len(all) == 0 {
			return 0, false
		}
		return all[0].Position, !all[0].Finished.IsZero()
	}
	between := 0
	for kill := 0; ; kill++ {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ECS_TEST_IMPORT="+string(order))
		cmd.Stderr = os.Stderr
		err = cmd.Start()
		if err != nil {
			t.Fatal(err)
		}
		until := int64(*killedRows) * int64(kill) / int64(*kills+1)
		if kill >= *kills {
			until = int64(*killedRows) + 1
		}
		end := time.Now().Add(5 * time.Minute)
		at, finished := position()
		for !finished && (at < until || until > int64(*killedRows)) && time.Now().Before(end) {
			time.Sleep(5 * time.Millisecond)
			at, finished = position()
		}
		if !finished {
			time.Sleep(rand.N(60 * time.Millisecond)) // anywhere in a portion
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		after, finished := position()
		switch {
		case finished:
			t.Logf("killed %d times, %d of them between the first and the last portion", kill, between)
			if between < *kills-2 {
				t.Errorf("only %d of %d kills met the delivery under way", between, kill)
			}
			return
		case time.Now().After(end):
			t.Fatalf("stuck at %d", after)
		case after > 0:
			between++
		}
	}
}

// TestKilledImport's last process may end before what follows the last portion; the
// chain of the audit log is looked at as well.
func chained(t *testing.T, db *sqldb.DB) {
	t.Helper()
	n, err := audit.Verify(t.Context(), db)
	if err != nil || n == 0 {
		t.Errorf("audit chain of %d entries: %v", n, err)
	}
}
