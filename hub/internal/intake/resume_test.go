package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func csvOf(n int) string {
	var b strings.Builder
	b.WriteString("value,category\n")
	for i := range n {
		fmt.Fprintf(&b, "host%d.example,c2\n", i)
		if i%10 == 3 {
			b.WriteString("not a value,c2\n")
		}
	}
	return b.String()
}

// onlyReader hides Seek, as a request's body does.
type onlyReader struct{ r io.Reader }

func (o onlyReader) Read(p []byte) (int, error) { return o.r.Read(p) }

// TestStoppedAndResumed stops a delivery after each of its portions in turn, as
// a killed hub does, and lets the next hub go on, from the spool and by a second
// submission: nothing is lost and nothing is there twice.
func TestStoppedAndResumed(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		const n = 100
		file := csvOf(n)
		for i, resume := range []bool{true, false} {
			source := []string{"one", "two"}[i]
			for stop := 1; stop <= 3; stop++ {
				spool := filepath.Join(t.TempDir(), "spool")
				body := file + strings.Repeat("#\n", stop) // other bytes each time
				small := func(c *intake.Config) { c.Portion, c.Spool = 30, spool }
				ctx, cancel := context.WithCancel(t.Context())
				portions := 0
				d := intake.Delivery{Source: source, Name: "x.csv", Format: intake.CSV, Submitter: "gfi"}
				_, err := newIntake(t, db, small).Submit(ctx, d, onlyReader{strings.NewReader(body)}, func(intake.Progress) {
					portions++
					if portions == stop {
						cancel()
					}
				})
				cancel()
				if !errors.Is(err, context.Canceled) {
					t.Fatalf("stopped delivery: %v", err)
				}
				next := newIntake(t, db, small)
				if resume {
					err = next.Resume(t.Context())
					if err != nil {
						t.Fatal(err)
					}
				}
				rep, err := next.Submit(t.Context(), d, onlyReader{strings.NewReader(body)}, nil)
				if err != nil || rep.Same != resume {
					t.Fatalf("resumed: %+v, %v", rep, err)
				}
				if rep.Position != n+n/10 || rep.Refused != n/10 || rep.Accepted+rep.Duplicate != n {
					t.Errorf("after a stop at portion %d: %+v", stop, rep.Batch)
				}
				left, err := os.ReadDir(spool)
				if err != nil {
					t.Fatal(err)
				}
				if len(left) != 0 && !resume {
					t.Errorf("the spool still holds %v", left)
				}
			}
		}
		got := items(t, db)
		if len(got) != n {
			t.Errorf("%d items, want %d", len(got), n)
		}
		src, err := indicator.Sources(t.Context(), db, got[0].ID)
		if err != nil || len(src) != 6 {
			t.Errorf("%d sources of one item, want 6 deliveries (%v)", len(src), err)
		}
	})
}

// endless gives n bytes of a file that begins with head and goes on with
// whatever line gives.
type endless struct {
	n, at int64
	rest  []byte
	i     int
	line  func(i int) []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if e.at >= e.n {
		return 0, io.EOF
	}
	if len(e.rest) == 0 {
		e.rest = e.line(e.i)
		e.i++
	}
	n := copy(p[:min(int64(len(p)), e.n-e.at)], e.rest)
	e.rest, e.at = e.rest[n:], e.at+int64(n)
	return n, nil
}

// Seek knows only the way back to the start.
func (e *endless) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart && offset == 0 {
		e.at, e.i, e.rest = 0, 0, nil
	}
	return e.at, nil
}

// TestHugeFile reads 2 GiB: a bundle whose one object never ends between good
// ones, cut at MaxBytes. Memory must not grow with it.
func TestHugeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("2 GiB take some seconds; left out by -short")
	}
	db := sqldbtest.Lite(t, open)
	addSources(t, db)
	filler := bytes.Repeat([]byte("x"), 1<<20)
	one, two := ind(1, `,"pattern":"[domain-name:value = 'a.example']"`), ind(2, `,"pattern":"[domain-name:value = 'b.example']"`)
	r := &endless{n: 2 << 30, line: func(i int) []byte {
		switch i {
		case 0:
			return []byte(stixHead + one + `,{"type":"indicator","description":"`)
		case 700:
			return []byte(`"},` + two + `,{"type":"x","name":"`)
		default:
			return filler
		}
	}}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	peak := uint64(0)
	rep, err := newIntake(t, db).Submit(t.Context(), intake.Delivery{Source: "one", Name: "huge", Format: intake.STIX, Submitter: "gfi"}, r, func(intake.Progress) {
		runtime.ReadMemStats(&after)
		peak = max(peak, after.HeapAlloc)
	})
	if err != nil {
		t.Fatal(err)
	}
	if rep.Accepted != 2 || rep.Refused != 1 || !strings.Contains(rep.Error, "longer than 1073741824 bytes") {
		t.Errorf("report: %+v", rep)
	}
	if peak > before.HeapAlloc+32<<20 {
		t.Errorf("heap grew from %d to %d bytes", before.HeapAlloc, peak)
	}
}

func TestRefusedAsAWhole(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	addSources(t, db)
	in := newIntake(t, db)
	const good = "value\na.example\n"
	tests := []struct{ name, source, format, file, code string }{
		{"unknown source", "none", intake.CSV, good, intake.CodeSource},
		{"no purpose", "bare", intake.CSV, good, intake.CodeAuthority},
		{"lapsed authority", "late", intake.CSV, good, intake.CodeLapsed},
		{"unknown format", "one", "docx", good, intake.CodeFormat},
		{"misspelled column", "one", intake.CSV, "value,tpl\na.example,red\n", intake.CodeFormat},
		{"column twice", "one", intake.CSV, "value,value\n", intake.CodeFormat},
		{"no value", "one", intake.CSV, "tlp\n", intake.CodeFormat},
		{"UTF-16", "one", intake.CSV, "\xff\xfev\x00\n\x00", intake.CodeUTF8},
		{"empty", "one", intake.CSV, "", intake.CodeFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := in.Submit(t.Context(), intake.Delivery{Source: tt.source, Name: "x", Format: tt.format, Submitter: "gfi"}, strings.NewReader(tt.file), nil)
			var whole *intake.Refused
			if !errors.As(err, &whole) || whole.Code != tt.code {
				t.Errorf("got %v, want %s", err, tt.code)
			}
		})
	}
	// What was refused as the wrong format is taken as the right one.
	_, err := in.Submit(t.Context(), intake.Delivery{Source: "one", Name: "x", Format: intake.STIX, Submitter: "gfi"}, strings.NewReader(good), nil)
	if err == nil {
		t.Fatal("a CSV file passed for a bundle")
	}
	rep := submit(t, in, "one", intake.CSV, good)
	if rep.Accepted != 1 || rep.Format != intake.CSV {
		t.Errorf("after a wrong format: %+v", rep)
	}
}

func TestWatch(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	addSources(t, db)
	dir := t.TempDir()
	put := func(source, name, content string) {
		t.Helper()
		err := os.MkdirAll(filepath.Join(dir, source), 0o750)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, source, name), []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	put("one", "a.csv", csvOf(5))
	put("one", "b.json", stixHead+ind(1, `,"pattern":"[domain-name:value = 'host1.example']"`)+`]}`)
	put("one", "c.csv", "nonsense\n")
	put("one", ".hidden.csv", csvOf(1))
	put("one", "notes.part", "x")
	put("one", "names.txt", "# names\nwatched-1.example\nwatched-2[.]example\n")
	put("late", "d.csv", csvOf(1))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- newIntake(t, db).Watch(ctx, dir) }()
	defer func() {
		cancel()
		err := <-ended
		if err != nil {
			t.Error(err)
		}
	}()
	grow, err := os.OpenFile(filepath.Join(dir, "one", "slow.csv"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"one/done/a.csv", "one/done/b.json", "one/refused/c.csv", "one/done/names.txt", "late/refused/d.csv"}
	deadline := time.Now().Add(20 * time.Second)
	for i := 0; ; i++ {
		if i < 20 { // a slow writer: never two seconds without a change
			_, err = fmt.Fprintf(grow, "%s\n", []string{"value", "slow.example"}[min(i, 1)])
			if err != nil {
				t.Fatal(err)
			}
		} else if i == 20 {
			_ = grow.Close()
			wanted = append(wanted, "one/done/slow.csv")
		}
		missing := ""
		for _, w := range wanted {
			_, err = os.Stat(filepath.Join(dir, w+".report.json"))
			_, err2 := os.Stat(filepath.Join(dir, w))
			if err != nil || err2 != nil {
				missing = w
			}
		}
		_, err = os.Stat(filepath.Join(dir, "one", "slow.csv"))
		if i < 20 && err != nil {
			t.Fatal("an incomplete file was taken")
		}
		if missing == "" && i > 20 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not come", missing)
		}
		time.Sleep(200 * time.Millisecond)
	}
	for _, kept := range []string{"one/.hidden.csv", "one/notes.part"} {
		_, err = os.Stat(filepath.Join(dir, kept))
		if err != nil {
			t.Errorf("%s was touched: %v", kept, err)
		}
	}
	if n := len(items(t, db)); n != 8 {
		t.Errorf("%d items, want 8", n)
	}
}
