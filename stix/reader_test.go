package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"ecs/stix/pattern"
)

const (
	idA = "identity--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
	idB = "identity--bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
)

func identity(id string) string {
	return `{"type":"identity","spec_version":"2.1","id":"` + id + `","name":"x \"]}"}`
}

// readAll gives a line for each object and each error.
func readAll(r *Reader) []string {
	var out []string
	for {
		o, err := r.Next()
		var one *ObjectError
		var end *StreamError
		switch {
		case err == nil:
			out = append(out, fmt.Sprintf("%d %s", o.Index, o.ID))
		case errors.As(err, &one):
			out = append(out, fmt.Sprintf("bad %d %s: %v", one.Index, one.ID, one.Err))
		case errors.As(err, &end):
			return append(out, fmt.Sprintf("end at %d: %v", end.Offset, end.Err))
		case errors.Is(err, io.EOF):
			return append(out, "EOF")
		default:
			return append(out, "untyped error "+err.Error())
		}
	}
}

func TestReader(t *testing.T) {
	a, b := identity(idA), identity(idB)
	for _, c := range []struct {
		name, in string
		want     []string
	}{
		{"bundle", `{"type":"bundle","id":"bundle--cccccccc-cccc-4ccc-8ccc-cccccccccccc","objects":[` + a + ",\n" + b + `]}`, []string{"0 " + idA, "1 " + idB, "EOF"}},
		{"byte order mark", "\ufeff" + `{"objects":[` + a + `]}`, []string{"0 " + idA, "EOF"}},
		{"objects first", ` {"objects" : [ ` + a + ` ] , "type":"bundle" } ` + "\n", []string{"0 " + idA, "EOF"}},
		{"array", `[` + a + `,` + b + `]`, []string{"0 " + idA, "1 " + idB, "EOF"}},
		{"lone object", " " + a + "\n", []string{"0 " + idA, "EOF"}},
		{"lone broken object", `{"type":"identity","id":"identity--5"}`, []string{`bad 0 identity--5: "identity--5" is not a STIX identifier: want type--UUID`, "EOF"}},
		{"empty bundle", `{"type":"bundle","id":"x"}`, []string{"EOF"}},
		{"empty envelope", `{}`, []string{"EOF"}},
		{"empty list", `{"objects":[]}`, []string{"EOF"}},
		{"envelope", `{"more":true,"next":"abc","objects":[` + a + `]}`, []string{"0 " + idA, "EOF"}},
		{"broken object between", `{"objects":[` + a + `,{"type":"identity","id":"` + idB + `","x":},` + b + `]}`, []string{"0 " + idA, "bad 1 " + idB + ": byte 77: not a JSON value", "2 " + idB, "EOF"}},
		{"open quote", "{\"objects\":[{\n\"id\": \"x\",\n\"y\": \"open,\n\"z\": \"back\\\n},\n" + b + `]}`, []string{"bad 0 x: byte 25: control character in a string", "1 " + idB, "EOF"}},
		{"name twice", `{"objects":[{"id":"a","id":"b"},` + b + `]}`, []string{`bad 0 a: byte 14: name "id" twice in one object`, "1 " + idB, "EOF"}},
		{"not objects", `{"objects":[5,"x\"]",null,[1],true,` + b + `]}`, []string{
			"bad 0 : not a JSON object", "bad 1 : not a JSON object", "bad 2 : not a JSON object", "bad 3 : not a JSON object", "bad 4 : not a JSON object", "5 " + idB, "EOF",
		}},
		{"bad UTF-8", `{"objects":[{"type":"identity","id":"` + idA + `","name":"` + "\xff" + `"},` + b + `]}`, []string{"bad 0 " + idA + ": not valid UTF-8", "1 " + idB, "EOF"}},
		{"deep object", `{"objects":[{"id":"x","y":` + strings.Repeat("[", 70) + strings.Repeat("]", 70) + `},` + b + `]}`, []string{"bad 0 x: byte 77: nested too deeply", "1 " + idB, "EOF"}},
		{"big object", `{"objects":[{"id":"big","y":"` + strings.Repeat("y", 3000) + `"},` + b + `]}`, []string{"bad 0 big: object above the budget of bytes", "1 " + idB, "EOF"}},
		{"big lone object", `{"type":"x","id":"big","y":"` + strings.Repeat("y", 3000) + `"}`, []string{"bad 0 big: object above the budget of bytes", "EOF"}},
		{"truncated in a list", `{"objects":[` + a + `,`, []string{"0 " + idA, "end at 123: unexpected EOF"}},
		{"truncated in an object", `{"objects":[` + a + `,{"type":"ide`, []string{"0 " + idA, "end at 135: unexpected EOF"}},
		{"truncated after the list", `{"objects":[` + a + `]`, []string{"0 " + idA, "end at 123: unexpected EOF"}},
		{"truncated head", `{"type":"bun`, []string{"end at 12: unexpected EOF"}},
		{"empty", "", []string{"end at 0: the input is empty: unexpected EOF"}},
		{"blank", " \n", []string{"end at 2: the input is empty: unexpected EOF"}},
		{"XML", "<stix/>", []string{"end at 1: not a STIX bundle in JSON: it begins with '<'"}},
		{"UTF-16", "\xff\xfe{\x00", []string{"end at 0: not UTF-8 but UTF-16; convert the file"}},
		{"brackets", `{"objects":[{"a":[}]]}`, []string{"bad 0 : byte 6: not a JSON value", "EOF"}},
		{"a bracket too many", `{"objects":[` + a + `,}]}`, []string{"0 " + idA, "end at 124: brackets do not match: '}'"}},
		{"no comma", `{"objects":[` + a + b + `]}`, []string{"0 " + idA, "end at 123: want a comma or the end of the list of objects, got '{'"}},
		{"trailing comma", `{"objects":[` + a + `,]}`, []string{"0 " + idA, "end at 124: want an object, got ']'"}},
		{"data after", `{"objects":[` + a + `]}{}`, []string{"0 " + idA, "end at 125: data after the end: '{'"}},
		{"data after a lone object", a + "x", []string{"end at 111: data after the end: 'x'"}},
		{"two lists", `{"objects":[` + a + `],"objects":[]}`, []string{"0 " + idA, "end at 135: a second list of objects"}},
		{"very deep", `{"objects":[` + strings.Repeat("[", maxNesting+1), []string{"end at 10013: values nested deeper than 10000"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := readAll(NewReader(strings.NewReader(c.in), Limits{Object: 2000}))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			again := readAll(NewReader(iotest.OneByteReader(strings.NewReader(c.in)), Limits{Object: 2000}))
			if diff := cmp.Diff(got, again); diff != "" {
				t.Errorf("read byte by byte: %s", diff)
			}
		})
	}
}

func TestReaderKeepsBytes(t *testing.T) {
	in := `{"type":"bundle","id":"bundle--x","objects":[ ` + indicator + ` , ` + identity(idA) + `]}`
	r := NewReader(strings.NewReader(in), Limits{})
	first, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Next()
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Raw) != indicator || in[first.Offset:][:len(indicator)] != indicator {
		t.Errorf("object changed: %s", first.Raw)
	}
	if r.BundleID() != "bundle--x" {
		t.Errorf("bundle %q", r.BundleID())
	}
}

func TestBundleVersion(t *testing.T) {
	for in, want := range map[string]string{
		`{"type":"bundle","spec_version":"2.0","objects":[` + identity(idA) + `]}`: "2.0",
		`{"objects":[` + identity(idA) + `],"spec_version":"2.0"}`:                 "2.0",
		`{"objects":[` + identity(idA) + `]}`:                                      "",
		`{"objects":[` + identity(idA) + `],"spec_version":5}`:                     "",
	} {
		r := NewReader(strings.NewReader(in), Limits{})
		_ = readAll(r)
		if r.BundleVersion() != want {
			t.Errorf("%s: got %q", in, r.BundleVersion())
		}
	}
}

func TestReaderObjects(t *testing.T) {
	in := `[` + identity(idA) + `,` + identity(idB) + `]`
	got := readAll(NewReader(strings.NewReader(in), Limits{Objects: 1}))
	if diff := cmp.Diff([]string{"0 " + idA, "end at 113: more than 1 objects"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestReaderPassesOnErrors(t *testing.T) {
	cause := errors.New("disk on fire")
	r := NewReader(io.MultiReader(strings.NewReader(`{"objects":[`), iotest.ErrReader(cause)), Limits{})
	for range 2 {
		_, err := r.Next()
		if !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
	}
}

// endless gives one text again and again until so many bytes are out.
type endless struct {
	text string
	left int
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	e.left -= n
	return n, nil
}

func TestReaderMemory(t *testing.T) {
	const size = 16 << 20
	for _, c := range []struct{ name, head, text string }{
		{"many objects", `{"objects":[` + identity(idA), `,` + identity(idB)},
		{"one huge object", `{"objects":[{"x":"`, strings.Repeat("y", 1000)},
		{"huge lone object", `{"x":"`, strings.Repeat("y", 1000)},
		{"huge name", `{"`, strings.Repeat("y", 1000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, now runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			r := NewReader(io.MultiReader(strings.NewReader(c.head), &endless{text: c.text, left: size}), Limits{})
			var peak uint64
			n := 0
			for {
				_, err := r.Next()
				if err != nil && !errors.As(err, new(*ObjectError)) {
					break
				}
				n++
				if n%100000 == 0 {
					runtime.ReadMemStats(&now)
					peak = max(peak, now.HeapAlloc)
				}
			}
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			if peak > before.HeapAlloc+12<<20 {
				t.Errorf("heap grew from %d to %d bytes over %d bytes of input", before.HeapAlloc, peak, size)
			}
			if r.Offset() < size {
				t.Errorf("stopped at %d", r.Offset())
			}
		})
	}
}

// attack gives ATT&CK for ICS, when the data of the project is at hand.
func attack(t testing.TB) []byte {
	t.Helper()
	dir := os.Getenv("ECS_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	file := filepath.Join(dir, "attack-ics-18.1.stix.json.xz")
	_, err := os.Stat(file)
	if err != nil {
		skip(t, "ATT&CK for ICS is not there: "+err.Error()+"; set ECS_DATA")
	}
	text, err := exec.Command("xz", "-dc", file).Output()
	if err != nil {
		skip(t, "xz cannot unpack: "+err.Error())
	}
	return text
}

// TestAttack reads ATT&CK for ICS, when the data of the project is at hand.
func TestAttack(t *testing.T) {
	text := attack(t)
	r := NewReader(bytes.NewReader(text), Limits{})
	types := map[string]int{}
	for {
		o, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types[o.Type]++
		if o.SpecVersion != "2.1" || o.Created.IsZero() {
			t.Errorf("%s: version %q, created %v", o.ID, o.SpecVersion, o.Created)
		}
		if o.Type == "marking-definition" {
			m, err := o.Marking()
			if err != nil || !strings.Contains(m.Statement, "MITRE") {
				t.Errorf("marking %+v, %v", m, err)
			}
		}
	}
	want := map[string]int{
		"relationship": 1373, "attack-pattern": 95, "x-mitre-detection-strategy": 83, "x-mitre-analytic": 82,
		"course-of-action": 52, "x-mitre-data-component": 36, "malware": 30, "x-mitre-asset": 18,
		"x-mitre-data-source": 17, "intrusion-set": 16, "x-mitre-tactic": 12, "campaign": 8, "x-mitre-collection": 1,
		"x-mitre-matrix": 1, "identity": 1, "marking-definition": 1,
	}
	if diff := cmp.Diff(want, types); diff != "" {
		t.Error(diff)
	}
	if r.BundleID() != "bundle--e4f0febd-b8cf-4272-b892-71049d272c40" {
		t.Error(r.BundleID())
	}
}

// skip skips a test for want of something, which is a failure in CI.
func skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func FuzzReader(f *testing.F) {
	a := identity(idA)
	for _, s := range []string{
		`{"type":"bundle","id":"b","objects":[` + a + `,{"x":}]}`, `[` + a + `]`, a, `{}`, `{"objects":[1,"]"]}`, indicator, acs,
		`{"objects":[` + indicator + `]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		lim := Limits{Object: 4000, Depth: 10}
		readBoth(t, in, lim)
		r := NewReader(bytes.NewReader(in), lim)
		for n := 0; ; n++ {
			if n > len(in)+1 {
				t.Fatal("no end")
			}
			o, err := r.Next()
			if err != nil {
				if !errors.As(err, new(*ObjectError)) {
					if !errors.Is(err, io.EOF) && !errors.As(err, new(*StreamError)) {
						t.Fatalf("untyped error %v", err)
					}
					break
				}
				continue
			}
			if len(o.Raw) > lim.Object {
				t.Fatalf("object of %d bytes", len(o.Raw))
			}
			again, err := ParseObject(o.Raw)
			if err != nil || again.ID != o.ID {
				t.Fatalf("%s: %v", o.Raw, err)
			}
			x, err := o.Indicator()
			if err == nil {
				_, _ = pattern.Parse(x.Pattern)
			}
			_, _ = o.Marking()
			_, _ = ObservableID(o.Raw)
		}
		if r.Offset() > int64(len(in)) {
			t.Fatalf("offset %d of %d", r.Offset(), len(in))
		}
	})
}
