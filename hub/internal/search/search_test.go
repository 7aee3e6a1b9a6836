package search

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/observable"
)

var (
	someWords  = []string{"evil", "login", "emotet", "emo", "bank", "a1", "x", "müller", "été", "2026"}
	someLabels = []string{"Emotet", "loader", "APT 99", "emo-kit", "AS64500"}
	sources    = []string{"cedar", "dogwood"}
)

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

func phrase(r *rand.Rand, n int) string {
	var out []string
	for range r.IntN(n + 1) {
		out = append(out, pick(r, someWords))
	}
	return strings.Join(out, pick(r, []string{" ", "-", ", "}))
}

func someItem(r *rand.Rand, n int) (indicator.Item, []mention) {
	it := indicator.Item{
		Kind: observable.Domain, Value: fmt.Sprintf("%s-%s.%s.n%d.example", pick(r, someWords[:6]), pick(r, someWords[:6]), pick(r, someWords[:6]), n),
		State: pick(r, []indicator.State{indicator.PendingFirst, indicator.PendingSecond, indicator.Rejected}), Category: contract.Category(r.IntN(6)), TLP: contract.TLP(r.IntN(5)),
		Handling: int64(1 + r.IntN(3)), Summary: phrase(r, 4), Context: phrase(r, 6), Created: time.Date(2026, 3, 1+n/8, 0, 0, 0, 0, time.UTC),
	}
	switch r.IntN(4) {
	case 0:
		it.Kind, it.Value = observable.URL, fmt.Sprintf("http://%s.n%d.example/%s/%s", pick(r, someWords[:6]), n, pick(r, someWords[:6]), pick(r, someWords[:6]))
	case 1:
		it.Kind, it.Value = observable.Addr, fmt.Sprintf("192.0.%d.%d", n%10, n/10)
	}
	var labels []string
	for _, l := range someLabels {
		if r.IntN(4) == 0 {
			labels = append(labels, l)
		}
	}
	it.Labels = strings.Join(labels, "\n")
	var ms []mention
	for _, s := range sources {
		if r.IntN(2) == 0 || s == "dogwood" && ms == nil {
			ms = append(ms, mention{s, pick(r, []string{"", "C-" + fmt.Sprint(n), "indicator--emo"})})
		}
	}
	return it, ms
}

func someQuery(r *rand.Rand, w *world) string {
	var out []string
	for range r.IntN(3) + 1 {
		not := ""
		if r.IntN(6) == 0 {
			not = "-"
		}
		word := pick(r, someWords)
		out = append(out, not+pick(r, []string{
			word, word, word[:min(2, len(word))] + "*", `"` + word + " " + pick(r, someWords) + `"`, word + "." + pick(r, someWords), `"` + word + ` em"*`,
			"state:pending_first", "state:rejected,pending-second", "kind:domain", "kind:url,address", "category:c2", "tlp:red,amber+strict",
			"source:cedar", `label:"apt 99"`, "label:emo*", "asn:64500", "host:evil.n3.example", "under:example", "under:n7.example", "net:192.0.1.0/24", "net:192.0.0.0/16",
			"batch:batch-dogwood", "since:2026-03-03", "until:2026-03-04", "object:indicator--emo", fmt.Sprintf("value:192.0.1.%d", r.IntN(20)),
		}))
	}
	text := strings.Join(out, " ")
	_, err := Parse(text)
	if err != nil { // such as a beginning of one letter
		return someQuery(r, w)
	}
	return text
}

func pages(t *testing.T, w *world, r Reader, q *Query, limit int) []int64 {
	t.Helper()
	var out []int64
	var after int64
	for range 1000 {
		res, err := Find(t.Context(), w.db, r, q, Options{After: after, Limit: limit})
		must(t, err)
		for i := range res.Items {
			out = append(out, res.Items[i].Number)
		}
		if res.Next == 0 {
			return out
		}
		after = res.Next
	}
	t.Fatal("the pages do not come to an end")
	return nil
}

// Whatever is added, named again, changed, redacted and purged, and wherever the
// indexer stands: the index gives what looking at every item gives.
func TestFindsWhatLookingAtEverythingFinds(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		x := w.indexer(16)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
			for range r.IntN(12) {
				it, ms := someItem(r, n)
				n++
				w.add(t, it, ms...)
			}
			for range r.IntN(4) {
				number := 1 + r.Int64N(int64(max(1, len(w.docs))))
				d := w.docs[number]
				if d == nil || d.State == indicator.Purged {
					continue
				}
				switch r.IntN(4) {
				case 0:
					w.mention(t, number, mention{pick(r, sources), fmt.Sprintf("D-%d %s", n, pick(r, someWords))})
				case 1:
					w.update(t, number, Added, func(it *indicator.Item) { it.Labels = "Emotet\nadded" })
				case 2:
					w.update(t, number, "redacted", func(it *indicator.Item) { it.Summary, it.Context = phrase(r, 2), "" })
				case 3:
					w.purge(t, number)
				}
			}
			if r.IntN(3) > 0 {
				settle(t, x)
			} else {
				for range r.IntN(4) {
					_, err := x.Step(t.Context())
					must(t, err)
				}
			}
			settled, err := State(t.Context(), db)
			must(t, err)
			readers := []Reader{{Values: true}, {}, {Handlings: []int64{1, 2}, Values: true}, {Handlings: []int64{3}}, {Limited: true, Source: "cedar", Values: true}}
			for range 6 {
				text := someQuery(r, w)
				q, err := Parse(text)
				must(t, err)
				reader := readers[r.IntN(len(readers))]
				got, want := pages(t, w, reader, q, 1+r.IntN(30)), w.naive(&reader, q)
				if settled.Changes > 0 { // then it may show less, and nothing wrong
					for _, g := range got {
						if !contains(want, g) {
							rt.Fatalf("%q for %+v gives %d, which does not fit", text, reader, g)
						}
					}
					continue
				}
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("%q for %+v, %+v: want -, got +\n%s", text, reader, settled, diff)
				}
			}
		})
	})
}

func contains(of []int64, n int64) bool {
	for _, x := range of {
		if x == n {
			return true
		}
	}
	return false
}

func TestSyntaxErrorsSayWhere(t *testing.T) {
	for _, tt := range []struct {
		text string
		pos  int
		says string
	}{
		{`evil "not closed`, 5, "not closed"},
		{`state:nowhere`, 6, "no state"},
		{`kind:domain,nothing`, 12, "no kind"},
		{`tlp:purple`, 4, "no TLP"},
		{`category:war`, 9, "no category"},
		{`label:`, 6, "has to follow label:"},
		{`a*`, 0, "at least 2 letters"},
		{`e*il`, 0, "end of a word"},
		{`*`, 0, "before the star"},
		{`...`, 0, "neither letter nor digit"},
		{`net:10.0.0.0/8`, 4, "too broad"},
		{`net:here`, 4, "no network"},
		{`since:yesterday`, 6, "no day"},
		{`id:7`, 3, "no identifier"},
		{`asn:x`, 4, "autonomous"},
		{`host:..`, 5, "no name"},
		{`- evil`, 0, "minus"},
		{`"a"b`, 3, "space"},
		{`value:evi*`, 6, "whole value"},
		{strings.Repeat("ab ", 33), 96, "more than 32 conditions"},
		{strings.Repeat("x", MaxQuery+1), MaxQuery, "longer"},
	} {
		_, err := Parse(tt.text)
		var bad *SyntaxError
		if !errors.As(err, &bad) {
			t.Errorf("%.30q: %v, want a syntax error", tt.text, err)
			continue
		}
		if bad.Pos != tt.pos || !strings.Contains(bad.What, tt.says) {
			t.Errorf("%.30q: at %d: %s; want %d: … %s …", tt.text, bad.Pos, bad.What, tt.pos, tt.says)
		}
	}
}

func TestExactValues(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		a := w.add(t, indicator.Item{Kind: observable.Domain, Value: "evil.example"})
		b := w.add(t, indicator.Item{Kind: observable.Domain, Value: "www.evil.example"})
		settle(t, w.indexer(2048))
		for _, tt := range []struct {
			text  string
			want  []int64
			exact bool
		}{
			{"evil.example", []int64{a}, true},
			{"EVIL[.]example", []int64{a}, true},
			{`"evil.example"`, []int64{b, a}, false},
			{"www.evil.example", []int64{b}, true},
			{w.docs[b].ID.String(), []int64{b}, true},
			{"value:evil.example", []int64{a}, false},
			{"under:evil.example", []int64{b, a}, false},
			{"other.example", nil, false},
			{"vil.example", nil, false},
		} {
			q, err := Parse(tt.text)
			must(t, err)
			res, err := Find(t.Context(), db, Reader{}, q, Options{})
			must(t, err)
			var got []int64
			for i := range res.Items {
				got = append(got, res.Items[i].Number)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || res.Exact != tt.exact {
				t.Errorf("%s: exact %t, want -, got +\n%s", tt.text, res.Exact, diff)
			}
		}
	})
}

// Nobody finds a hidden value by looking for it.
func TestHiddenValuesAreNotFoundByTheirText(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	n := w.add(t, indicator.Item{Kind: observable.Domain, Value: "hidden.example", Handling: 3, Summary: "a loader", Context: "origin unknown"}, mention{"cedar", "C-7"})
	settle(t, w.indexer(1))
	for text, found := range map[string]bool{
		"hidden": false, "hidden.example": false, "value:hidden.example": false, "host:hidden.example": false, "under:example": false, "origin": false,
		`"C-7"`: false, "loader": true, "kind:domain": true, w.docs[n].ID.String(): true,
	} {
		q, err := Parse(text)
		must(t, err)
		for _, values := range []bool{false, true} {
			res, err := Find(t.Context(), db, Reader{Values: values}, q, Options{})
			must(t, err)
			if got := len(res.Items) == 1; got != (found || values) {
				t.Errorf("%s, may see values %t: found %t", text, values, got)
			}
		}
	}
}

// What was purged is in no row of the index.
func TestPurgedTermsLeaveTheIndex(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		for _, many := range []int64{1, 2048} {
			w := &world{db: db, docs: map[int64]*doc{}}
			if many == 1 {
				w = newWorld(t, db)
			}
			x := w.indexer(many)
			n := w.add(t, indicator.Item{Kind: observable.Domain, Value: "secretword.example", Context: "janedoe"})
			settle(t, x)
			w.purge(t, n)
			settle(t, x)
			x.release()
			for _, table := range []string{"search_posting", "search_late"} {
				var left int
				must(t, db.QueryRowContext(t.Context(), `SELECT count(*) FROM `+table+` WHERE term IN ($1, $2)`, []byte("secretword"), []byte("janedoe")).Scan(&left))
				if left != 0 {
					t.Errorf("parts of %d items: %d rows of %s still have it", many, left, table)
				}
			}
		}
	})
}

func TestSpentBudgetIsSaid(t *testing.T) {
	db := sqldbtest.Lite(t, open)
	w := newWorld(t, db)
	for i := range 300 {
		w.add(t, indicator.Item{Kind: observable.Domain, Value: fmt.Sprintf("n%d.example", i), Summary: "evil bank"})
	}
	settle(t, w.indexer(64))
	q, err := Parse(`"bank evil"`)
	must(t, err)
	res, err := Find(t.Context(), db, Reader{}, q, Options{Budget: 50})
	must(t, err)
	if !res.Stopped || res.Next == 0 || len(res.Items) != 0 {
		t.Errorf("stopped %t, next %d, %d items; want a search that stopped", res.Stopped, res.Next, len(res.Items))
	}
	rest, err := Find(t.Context(), db, Reader{}, q, Options{After: res.Next})
	must(t, err)
	if rest.Stopped || rest.Next != 0 {
		t.Errorf("the rest stopped %t, next %d; want its end", rest.Stopped, rest.Next)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"evil", `"two words"`, "emo*", "-label:x kind:url,domain", `net:192.0.2.0/24`, "a\x00b", "état:x", `""`, "value:http://a.example/,b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		q, err := Parse(text)
		if err != nil {
			var bad *SyntaxError
			if !errors.As(err, &bad) || bad.Pos < 0 || bad.Pos > len(text) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := Parse(q.String())
		if err != nil || len(again.clauses) != len(q.clauses) {
			t.Fatalf("%q is read otherwise the second time: %v", text, err)
		}
		q.match(&doc{Item: indicator.Item{Value: text, Summary: text}})
	})
}

func FuzzUnpack(f *testing.F) {
	f.Add(pack([]uint16{0, 1, 7, 65535}))
	f.Add([]byte{asList, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s set
		err := unpack(b, &s)
		if err != nil {
			return
		}
		var lows []uint16
		s.down(func(n uint16) bool { lows = append([]uint16{n}, lows...); return true })
		var again set
		err = unpack(pack(lows), &again)
		if err != nil || again != s {
			t.Fatalf("what was packed anew differs: %v", err)
		}
	})
}
