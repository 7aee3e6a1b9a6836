package intake

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

// TestAtomAsPattern shows that a bare value and its own pattern become the same
// indicator: else the two formats would not find each other's duplicates.
func TestAtomAsPattern(t *testing.T) {
	for _, v := range []string{
		"Evil.Example", "192.0.2.1", "198.51.100.0/24", "192.0.2.1:443", "4444/tcp", "hxxp://a[.]example/x?y='z'", "x@a.example",
		"d41d8cd98f00b204e9800998ecf8427e", "2001:db8::1",
	} {
		a, err := observable.FromValue(v)
		if err != nil {
			t.Fatal(err)
		}
		want, err := observable.Compile(observable.Pattern(a))
		if err != nil {
			t.Fatal(err)
		}
		got, _, bad := compile(&format.Record{Value: v})
		if bad != nil {
			t.Fatal(bad)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", v, diff)
		}
	}
}

// checker is read once: it takes longer than what is fuzzed.
var checker = sync.OnceValues(func() (*policy.Checker, error) { return policy.New(policy.Config{Demonstration: true}) })

// fuzzed reads a whole delivery the way intake does, and checks what must hold
// for every input.
func fuzzed(t *testing.T, name string, data []byte, slow bool) (ready, refused int) {
	t.Helper()
	check, err := checker()
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{
		in: New(Config{Ceiling: contract.Red, MaxItem: 2048}), src: source{id: "one", ceiling: contract.Amber},
		batch: Batch{ID: "b", Format: name, Submitter: "gfi"}, checker: check, now: time.Now().UTC().Truncate(time.Microsecond),
	}
	p.begin()
	var r io.Reader = bytes.NewReader(data)
	if slow {
		r = iotest.OneByteReader(r)
	}
	records, err := p.open(r)
	if err != nil {
		return 0, 0
	}
	for number := int64(1); ; number++ {
		if number > int64(len(data))+2 {
			t.Fatal("more items than bytes: the reader does not move on")
		}
		o, err := p.next(records, number)
		var whole *Refused
		if errors.Is(err, io.EOF) || errors.As(err, &whole) {
			return ready, refused
		}
		if err != nil {
			t.Fatalf("a reader without errors gave %v", err)
		}
		switch {
		case o.refusal != nil:
			refused++
			for _, s := range []string{o.refusal.Place, o.refusal.Code, o.refusal.Reason, o.refusal.Excerpt} {
				if !utf8.ValidString(s) || bytes.ContainsAny([]byte(s), "\x00\n\x1b") || s == "" && o.refusal.Excerpt != "" {
					t.Fatalf("refusal %+v cannot be stored or shown", o.refusal)
				}
			}
		case o.ready != nil:
			ready++
			it := o.ready.item
			if it.Pattern == "" || it.TLP > contract.Amber || !it.ValidUntil.After(p.now) {
				t.Fatalf("item %+v must not pass", it)
			}
			if it.State == indicator.PendingFirst && it.Privacy != indicator.NotPresent {
				t.Fatalf("item passed the gate without a determination: %+v", it)
			}
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte("value,tlp\na.example,green\n\"b.example\",\n"))
	f.Add([]byte("\xef\xbb\xbfpattern;summary\r\n\"[domain-name:value = 'x.example']\";\"a\nb\"\"c\"\r\n"))
	f.Add([]byte("value\n\"open\nb.example\n"))
	f.Add([]byte("value\ttype\n192.0.2.1\taddress\n5\"x\ty\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := fuzzed(t, CSV, data, false)
		c, d := fuzzed(t, CSV, data, true)
		if a != c || b != d {
			t.Errorf("read at once: %d and %d refused; byte by byte: %d and %d", a, b, c, d)
		}
	})
}

func FuzzBundle(f *testing.F) {
	good := `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","pattern":"[domain-name:value = 'a.example']"}`
	f.Add([]byte(`{"type":"bundle","objects":[` + good + `,` + good + `]}`))
	f.Add([]byte(`{"objects":[1,"x",[],{},}]` + good))
	f.Add([]byte(`{"objects":[{"a":"b` + "\n" + `},` + good + `],"type":7}`))
	f.Add([]byte(`{"more":true,"objects":[` + good[:50]))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := fuzzed(t, STIX, data, false)
		c, d := fuzzed(t, STIX, data, true)
		if a != c || b != d {
			t.Errorf("read at once: %d and %d refused; byte by byte: %d and %d", a, b, c, d)
		}
	})
}
