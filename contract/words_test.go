package contract

import (
	"encoding"
	"encoding/json"
	"testing"
)

// Every word of a closed list reads back, and no other number has a word.
func TestWords(t *testing.T) {
	for name, c := range map[string]struct {
		n    int
		of   func(int) encoding.TextMarshaler
		read func([]byte) (int, error)
	}{
		"category": {len(categoryNames), func(i int) encoding.TextMarshaler { return Category(i) }, func(b []byte) (int, error) { var v Category; err := v.UnmarshalText(b); return int(v), err }},
		"action":   {len(actionNames), func(i int) encoding.TextMarshaler { return Action(i) }, func(b []byte) (int, error) { var v Action; err := v.UnmarshalText(b); return int(v), err }},
		"TLP":      {len(tlpNames), func(i int) encoding.TextMarshaler { return TLP(i) }, func(b []byte) (int, error) { var v TLP; err := v.UnmarshalText(b); return int(v), err }},
		"problem":  {len(problemNames), func(i int) encoding.TextMarshaler { return Problem(i) }, func(b []byte) (int, error) { var v Problem; err := v.UnmarshalText(b); return int(v), err }},
		"reason":   {len(reasonNames), func(i int) encoding.TextMarshaler { return Reason(i) }, func(b []byte) (int, error) { var v Reason; err := v.UnmarshalText(b); return int(v), err }},
		"services": {8, func(i int) encoding.TextMarshaler { return Services(i) }, func(b []byte) (int, error) { var v Services; err := v.UnmarshalText(b); return int(v), err }},
	} {
		seen := map[string]bool{}
		for i := range c.n {
			text, err := c.of(i).MarshalText()
			if err != nil || seen[string(text)] {
				t.Errorf("%s %d: %q, %v", name, i, text, err)
			}
			seen[string(text)] = true
			back, err := c.read(text)
			if err != nil || back != i {
				t.Errorf("%s %q is %d, %v", name, text, back, err)
			}
		}
		_, err := c.of(c.n).MarshalText()
		if err == nil {
			t.Errorf("%s %d has a word", name, c.n)
		}
		for _, bad := range []string{"", "x", "DNS", "unknown"} {
			_, err = c.read([]byte(bad))
			if err == nil {
				t.Errorf("%s: %q was read", name, bad)
			}
		}
	}
}

func TestServices(t *testing.T) {
	if s, err := ParseServices("netflow, dns"); err != nil || s != DNS|NetFlow || len(s.Each()) != 2 || s.Has(SMTP) || s.Has(0) || !s.Has(DNS|NetFlow) || s.Has(AllServices) {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := ParseServices("all"); err != nil || s != AllServices {
		t.Errorf("%v, %v", s, err)
	}
}

func TestMarkings(t *testing.T) {
	for m := Clear; m <= Red; m++ {
		got, ok := TLPByRef(m.Ref())
		if !ok || got != m {
			t.Errorf("%s: %v", m, got)
		}
	}
	if _, ok := TLPByRef("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"); ok {
		t.Error("a TLP 1 marking passes for TLP 2")
	}
}

// A receipt with a problem carries the word and nothing else.
func TestAckJSON(t *testing.T) {
	a := Ack{From: 1, Sequence: 9, At: moment, Problem: Expired, Refused: []Refusal{{ID: example().ID, Services: SMTP, Reason: NotObservable}}}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"from":1,"sequence":9,"root":"0000000000000000000000000000000000000000000000000000000000000000","at":"2026-11-21T12:00:00.123Z","problem":"expired","refused":[{"id":"indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f","services":"smtp","reason":"not-observable"}]}`
	if string(text) != want {
		t.Fatalf("%s", text)
	}
	var b Ack
	err = json.Unmarshal(text, &b)
	if err != nil || b.Problem != Expired || len(b.Refused) != 1 || b.Refused[0] != a.Refused[0] {
		t.Fatalf("%+v, %v", b, err)
	}
}
