package list

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/observable"
)

// tell writes a record as one line, so that tables can be read by people.
func tell(r *format.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d", r.Line)
	switch {
	case r.Problem != nil:
		return b.String() + " " + r.Problem.Code + ": " + r.Problem.Reason
	case r.Skip:
		return b.String() + " skip"
	case r.Benign:
		b.WriteString(" benign")
	}
	if r.Kind != observable.None {
		b.WriteString(" " + r.Kind.String())
	}
	b.WriteString(" <" + r.Value + ">")
	if r.ActionSet {
		b.WriteString(" " + r.Action.String())
	}
	if r.Category != contract.Other {
		b.WriteString(" " + r.Category.String())
	}
	if r.Confidence >= 0 {
		fmt.Fprintf(&b, " %d%%", r.Confidence)
	}
	if r.Reference != "" {
		b.WriteString(" " + r.Reference)
	}
	if len(r.Labels) > 0 {
		fmt.Fprintf(&b, " %q", r.Labels)
	}
	if r.Context != "" {
		fmt.Fprintf(&b, " (%s)", strings.ReplaceAll(r.Context, "\n", " / "))
	}
	if !r.Observed.IsZero() {
		b.WriteString(" at " + r.Observed.Format("2006-01-02T15:04:05Z"))
	}
	return b.String()
}

// all reads an input to its end; the last line is the error when it is not io.EOF.
func all(t testing.TB, r io.Reader, o Options, limit int) []string {
	t.Helper()
	var out []string
	l, err := New(r, format.Limits{Record: limit}, o)
	for err == nil {
		var rec *format.Record
		rec, err = l.Next()
		if err == nil {
			out = append(out, tell(rec))
		}
	}
	var refused *format.Refused
	switch {
	case errors.Is(err, io.EOF):
	case errors.As(err, &refused):
		out = append(out, "refused "+refused.Code+": "+refused.Reason)
	default:
		t.Fatalf("a reader without errors gave %v", err)
	}
	return out
}

var update = flag.Bool("update", false, "write testdata/*.want")

// TestSamples reads each testdata/NAME.KIND and compares with NAME.KIND.want.
func TestSamples(t *testing.T) {
	for _, k := range Kinds {
		files, err := filepath.Glob("testdata/*." + string(k))
		if err != nil || len(files) != 1 {
			t.Fatalf("samples of %s: %v, %v", k, files, err)
		}
		file := files[0]
		want := file + ".want"
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Kind: Kind(strings.TrimPrefix(filepath.Ext(file), ".")), Name: strings.TrimSuffix(file, filepath.Ext(file)) + ".txt"}
			got := all(t, bytes.NewReader(data), o, 4096)
			if *update {
				err = os.WriteFile(want, []byte(strings.Join(got, "\n")+"\n"), 0o644)
				if err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(strings.TrimSpace(string(text)), "\n"), got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(got, all(t, iotest.OneByteReader(bytes.NewReader(data)), o, 4096)); diff != "" {
				t.Errorf("byte by byte it reads otherwise: %s", diff)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"UTF-16", "\xff\xfea\x00", "refused BAD-UTF8: it is UTF-16: save it as UTF-8"},
		{"gzip", "\x1f\x8b\x08\x00", "refused FORMAT: it is packed with gzip: unpack it first"},
		{"web page", "\n<!DOCTYPE html><p>429</p>", "refused FORMAT: it is a web page, perhaps the error page of a feed, not a list"},
		{"JSON", `{"Event":{}}`, "refused FORMAT: it looks like JSON: read it as STIX or MISP"},
		{"bytes", "a\x00b", "refused FORMAT: it is not text: it holds zero bytes"},
	} {
		for _, k := range Kinds {
			got := all(t, strings.NewReader(tt.in), Options{Kind: k}, 100)
			if diff := cmp.Diff([]string{tt.want}, got); diff != "" {
				t.Errorf("%s as %s: %s", tt.name, k, diff)
			}
		}
	}
	got := all(t, strings.NewReader("a.example\n"), Options{Kind: "nonsense"}, 100)
	if diff := cmp.Diff([]string{`refused FORMAT: no list format is called "nonsense"`}, got); diff != "" {
		t.Error(diff)
	}
	got = all(t, strings.NewReader("a.example\tIntel::DOMAIN\n"), Options{Kind: Zeek}, 100)
	if len(got) != 2 || !strings.HasPrefix(got[1], "refused FORMAT: not a Zeek") {
		t.Error(got)
	}
}

// TestValues shows that what is cut out of lines is what observable reads: a value
// of the kind that it is said to have, or one whose kind can be guessed.
func TestValues(t *testing.T) {
	odd := map[string]bool{"free": true} // a single label, which says nothing
	for _, k := range Kinds {
		files, err := filepath.Glob("testdata/*." + string(k))
		if err != nil || len(files) != 1 {
			t.Fatal(files, err)
		}
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		l, err := New(bytes.NewReader(data), format.Limits{}, Options{Kind: k})
		for err == nil {
			var r *format.Record
			r, err = l.Next()
			if err != nil || r.Problem != nil || r.Skip || odd[r.Value] {
				continue
			}
			_, bad := observable.FromValue(r.Value)
			if r.Kind != observable.None {
				_, bad = observable.Make(r.Kind, r.Value)
			}
			if bad != nil {
				t.Errorf("%s line %d: %s %q: %v", files[0], r.Line, r.Kind, r.Value, bad)
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}

// TestBudget shows that a line beyond the limit spoils itself only.
func TestBudget(t *testing.T) {
	in := "a.example\n" + strings.Repeat("x", 300_000) + "\nb.example\n" + strings.Repeat("y", 101) + "\r\n" + strings.Repeat("z", 100)
	got := all(t, strings.NewReader(in), Options{Kind: Plain}, 100)
	want := []string{
		"1 <a.example>", "2 ITEM-TOO-LARGE: the line is longer than 100 bytes", "3 <b.example>",
		"4 ITEM-TOO-LARGE: the line is longer than 100 bytes", "5 <" + strings.Repeat("z", 100) + ">",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestBroken shows that an error of the input comes as it is.
func TestBroken(t *testing.T) {
	broken := errors.New("the disk is gone")
	l, err := New(io.MultiReader(strings.NewReader("a.example\nb.exa"), iotest.ErrReader(broken)), format.Limits{}, Options{Kind: Plain})
	for err == nil {
		_, err = l.Next()
	}
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}
