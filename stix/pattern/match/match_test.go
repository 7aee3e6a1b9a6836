package match

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"ecs/stix/pattern"
)

type vectors struct {
	Data  map[string]json.RawMessage
	Cases []struct{ Data, Pattern, Want string }
}

func readVectors(tb testing.TB) vectors {
	tb.Helper()
	b, err := os.ReadFile("../../../test/vectors/pattern-match.json")
	if err != nil {
		tb.Fatal(err)
	}
	var v vectors
	err = json.Unmarshal(b, &v)
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func read(tb testing.TB, text string) *Data {
	tb.Helper()
	d, err := Read(strings.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func parse(tb testing.TB, text string) *pattern.Pattern {
	tb.Helper()
	p, err := pattern.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func run(tb testing.TB, text string, d *Data) Result {
	tb.Helper()
	m, err := New(parse(tb, text), norm.NFC.String)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := m.Match(d, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestVectors(t *testing.T) {
	v := readVectors(t)
	data := map[string]*Data{}
	for name, raw := range v.Data {
		d, err := Read(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		data[name] = d
	}
	if len(v.Cases) < 400 {
		t.Fatalf("only %d vectors", len(v.Cases))
	}
	for _, c := range v.Cases {
		got := "match"
		p, err := pattern.Parse(c.Pattern)
		if err == nil {
			var m *Matcher
			m, err = New(p, norm.NFC.String)
			if err == nil {
				var r Result
				r, err = m.Match(data[c.Data], 0)
				if !r.Matched {
					got = "no match"
				}
			}
		}
		var e *pattern.Error
		if errors.As(err, &e) {
			got = "error"
		} else if err != nil {
			t.Fatal(err)
		}
		if got != c.Want {
			t.Errorf("%s: %s: got %s, want %s (%v)", c.Data, c.Pattern, got, c.Want, err)
		}
	}
}

// people is observed data with one person each; a number after the name says how
// often, two more the seconds of beginning and end.
func people(tb testing.TB, who ...string) *Data {
	tb.Helper()
	var out []string
	for i, w := range who {
		var name string
		number, first, last := 1, i, i
		n, _ := fmt.Sscanf(w, "%s %d %d %d", &name, &number, &first, &last)
		if n == 2 {
			first, last = i, i
		}
		out = append(out, fmt.Sprintf(`{"type":"observed-data","id":"observed-data--%d","first_observed":"2026-01-01T00:%02d:%02dZ","last_observed":"2026-01-01T00:%02d:%02dZ","number_observed":%d,"objects":{"0":{"type":"person","name":%q}}}`,
			i, first/60, first%60, last/60, last%60, number, name))
	}
	return read(tb, "["+strings.Join(out, ",")+"]")
}

func TestObservations(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		who           []string
		binding       []int
	}{
		{"each bracket needs its own", "[person:name = 'a'] AND [person:name LIKE '%']", []string{"a"}, nil},
		{"observed twice", "[person:name = 'a'] AND [person:name LIKE '%']", []string{"a 2"}, []int{0}},
		{"repeats of one object", "[person:name = 'a'] REPEATS 1000000 TIMES", []string{"a 999999", "b", "a"}, []int{0, 2}},
		{"repeats too often", "[person:name = 'a'] REPEATS 1000001 TIMES", []string{"a 999999", "b", "a"}, nil},
		{"order", "[person:name = 'b'] FOLLOWEDBY [person:name = 'a']", []string{"a", "b"}, nil},
		{"order within the same second", "[person:name = 'b'] FOLLOWEDBY [person:name = 'a']", []string{"a 1 5 5", "b 1 5 5"}, []int{0, 1}},
		{"order of what lasted", "[person:name = 'b'] FOLLOWEDBY [person:name = 'a']", []string{"a 1 0 9", "b 1 5 12"}, []int{0, 1}},
		{"three in order", "[person:name = 'a'] FOLLOWEDBY [person:name = 'b'] FOLLOWEDBY [person:name = 'a']", []string{"a", "b", "b", "a"}, []int{0, 1, 3}},
		{"a wrong first choice is taken back", "([person:name LIKE '%'] AND [person:name = 'a']) WITHIN 1 SECONDS", []string{"b 1 0 0", "b 1 9 9", "a 1 10 10"}, []int{1, 2}},
		{"within binds to its own bracket only", "[person:name = 'a'] AND [person:name = 'b'] WITHIN 1 SECONDS", []string{"a 1 0 0", "b 1 50 50"}, []int{0, 1}},
		{"within touches", "([person:name = 'a'] AND [person:name = 'b']) WITHIN 0.5 SECONDS", []string{"a 1 0 9", "b 1 9 12"}, []int{0, 1}},
		{"stop is outside", "[person:name = 'a'] START t'2026-01-01T00:00:00Z' STOP t'2026-01-01T00:00:05Z'", []string{"a 1 5 5"}, nil},
		{"start is inside", "[person:name = 'a'] START t'2026-01-01T00:00:05Z' STOP t'2026-01-01T00:00:06Z'", []string{"a 1 5 5"}, []int{0}},
		{"or of a repetition", "([person:name = 'a'] OR [person:name = 'b']) REPEATS 3 TIMES", []string{"a", "b", "c", "a"}, []int{0, 1, 3}},
		{"or of a repetition, too few", "([person:name = 'a'] OR [person:name = 'b']) REPEATS 3 TIMES", []string{"a", "b", "c"}, nil},
		{"repeated pairs", "([person:name = 'a'] FOLLOWEDBY [person:name = 'b']) REPEATS 2 TIMES", []string{"a", "a", "b", "b"}, []int{0, 1, 2, 3}},
		{"repeated pairs within", "([person:name = 'a'] FOLLOWEDBY [person:name = 'b']) WITHIN 1 SECONDS REPEATS 2 TIMES", []string{"a", "b", "a", "b"}, []int{0, 1, 2, 3}},
		{"pairs overlap in time only", "(([person:name = 'a'] FOLLOWEDBY [person:name = 'b']) WITHIN 1 SECONDS) REPEATS 2 TIMES", []string{"a", "a", "b", "b"}, nil},
		{"and before or", "[person:name = 'x'] AND [person:name = 'y'] OR [person:name = 'a']", []string{"a"}, []int{0}},
		{"or before followedby", "[person:name = 'a'] OR [person:name = 'b'] FOLLOWEDBY [person:name = 'c']", []string{"a"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, c.pattern, people(t, c.who...))
			if diff := cmp.Diff(c.binding, r.Binding); diff != "" || r.Matched != (c.binding != nil) {
				t.Error(diff)
			}
		})
	}
}

func TestBrackets(t *testing.T) {
	r := run(t, "[person:name = 'a'] FOLLOWEDBY [person:name = 'b' OR person:name = 'x']", people(t, "b", "a", "a"))
	want := Result{Brackets: [][]Hit{{{1, "0"}, {2, "0"}}, {{0, "0"}}}, Steps: r.Steps}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Error(diff)
	}
}

// A long list of what happens now and then is searched window by window.
func TestManyObservations(t *testing.T) {
	var spans []Span
	var all []int
	for i := range 20_000 {
		at := time.Unix(int64(i)*60, 0)
		spans = append(spans, Span{at, at.Add(time.Second), 1})
		all = append(all, i)
	}
	root := parse(t, "[a:b = 1] REPEATS 5 TIMES WITHIN 200 SECONDS").Root
	binding, err := Combine(root, spans, [][]int{all}, 2_000_000)
	if err != nil || binding != nil {
		t.Errorf("got %v, %v", binding, err)
	}
	spans[19_000] = Span{spans[18_999].First, spans[18_999].Last, 1}
	binding, err = Combine(root, spans, [][]int{all}, 2_000_000)
	if diff := cmp.Diff([]int{18_996, 18_997, 18_998, 18_999, 19_000}, binding); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// Hostile patterns and data end in an answer or in a BudgetError, by steps and
// not by time.
func TestBudget(t *testing.T) {
	var same []string
	for range 40 {
		same = append(same, "a 2")
	}
	loop := `{"type":"observed-data","id":"observed-data--1","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z","number_observed":1,"objects":{
		"0":{"type":"x","l_refs":["0","1"],"n":1},"1":{"type":"x","l_refs":["0","1"],"n":2}}}`
	long := fmt.Sprintf(`{"type":"observed-data","id":"observed-data--1","first_observed":"2026-01-01T00:00:00Z","last_observed":"2026-01-01T00:00:00Z","number_observed":1,"objects":{"0":{"type":"x","s":%q}}}`, strings.Repeat("a", 1<<16))
	every := strings.TrimSuffix(strings.Repeat("[person:name = 'a'] AND ", 60), " AND ")
	for _, c := range []struct {
		name, pattern string
		data          *Data
		over          bool
	}{
		{"permutations", "(" + every + ") AND [person:name = 'b']", people(t, append(same, "b")...), false},
		{"permutations without end", "(" + every + ") AND [person:name = 'b']", people(t, same...), true},
		{"repetitions without end", "([person:name = 'a'] REPEATS 20 TIMES) WITHIN 1 SECONDS FOLLOWEDBY [person:name = 'b']", people(t, same...), false},
		{"repeated repetitions", "((([person:name = 'a'] AND [person:name = 'a']) REPEATS 5 TIMES) REPEATS 4 TIMES) AND [person:name = 'b']", people(t, same...), true},
		{"repetitions deeper than the stack", "([person:name = 'a'] AND [person:name = 'a']) REPEATS 900000000 TIMES", people(t, "a 999999999", "a 999999999"), true},
		{"references in a circle", "[x:" + strings.Repeat("l_refs[*].", 60) + "n = 3]", read(t, loop), true},
		{"a backtracking expression", "[x:s MATCHES '^(a+)+$' AND x:s MATCHES '^(a|aa)+b']", read(t, long), false},
		{"a large expression", "[x:s MATCHES '(.{1,30}){1,30}b']", read(t, long), true},
		{"many looks at a long value", "[x:s IN (" + strings.TrimSuffix(strings.Repeat("h'00',", 9000), ",") + ")]", read(t, long), true},
		{"many long decodings", "[" + strings.TrimSuffix(strings.Repeat("x:s_bin = h'00' OR ", 2000), " OR ") + "]", read(t, strings.Replace(long, `"s":`, `"s_bin":`, 1)), true},
		{"many wildcards", "[x:s LIKE '" + "%" + strings.Repeat("a", 1000) + "b']", read(t, long), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := New(parse(t, c.pattern), norm.NFC.String)
			if err != nil {
				t.Fatal(err)
			}
			r, err := m.Match(c.data, 5_000_000)
			var b *BudgetError
			if errors.As(err, &b) != c.over || err != nil && b == nil {
				t.Fatalf("got %+v, %v", r, err)
			}
			t.Log(r.Steps)
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, in, why string
		pos           int
	}{
		{"lookahead", "[a:b = 1 AND a:b MATCHES '(?=x)']", "lookaround", 13},
		{"back reference", `[a:b MATCHES '(a)\\1']`, "back references", 1},
		{"possessive", "[a:b MATCHES 'a++']", "no bound", 1},
		{"atomic", "[a:b MATCHES '(?>a)']", "no bound", 1},
		{"no expression", "[a:b MATCHES '(']", "missing closing", 1},
		{"unbalanced inside a group", "[a:b MATCHES 'a)(b']", "unexpected )", 1},
		{"long", "[a:b MATCHES '" + strings.Repeat("a", 1025) + "']", "limit 1024", 1},
		{"wide", "[a:b MATCHES '(.{1,100}){1,100}']", "invalid repeat count", 1},
		{"subset of nothing", "[a:b ISSUBSET '192.0.2.0/33']", "address or prefix", 1},
		{"two types", "[a:b IN (1, 'x')]", "one type", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(parse(t, c.in), norm.NFC.String)
			var e *pattern.Error
			if !errors.As(err, &e) || e.Pos != c.pos || !strings.Contains(e.Msg, c.why) {
				t.Errorf("got %v, want position %d and %q", err, c.pos, c.why)
			}
		})
	}
	_, err := New(parse(t, "[a:b LIKE 'x']"), nil)
	if err == nil {
		t.Error("LIKE without normalization is taken")
	}
}
