package contract

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBuckets(t *testing.T) {
	for n, want := range map[int]Bucket{-1: 0, 0: 0, 4: 0, 5: 5, 9: 5, 10: 10, 19: 10, 20: 20, 99: 50, 100: 100, 999_999: 500_000, 1_000_000: 1_000_000, 1 << 30: 1_000_000} {
		if got := BucketOf(n); got != want {
			t.Errorf("%d is in %d, want %d", n, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 3_000_000).Draw(t, "n")
		b := BucketOf(n)
		if int(b) > n || BucketOf(int(b)) != b || (n > 0 && BucketOf(n-1) > b) {
			t.Fatalf("%d is in %d", n, b)
		}
	})
	if Bucket(20).String() != "20-49" || Bucket(0).String() != "0" || Bucket(1_000_000).String() != "1000000 or more" {
		t.Error("names of buckets")
	}
}

func TestDays(t *testing.T) {
	day := 24 * time.Hour
	if DayOf(time.Date(1970, 1, 2, 23, 59, 59, 0, time.UTC), day) != 1 || !Day(1).Start(day).Equal(time.Date(1970, 1, 2, 0, 0, 0, 0, time.UTC)) {
		t.Fatal("days count from 1970-01-01 UTC")
	}
	rapid.Check(t, func(t *rapid.T) {
		length := time.Duration(rapid.IntRange(1, 86400).Draw(t, "seconds")) * time.Second
		at := time.Unix(rapid.Int64Range(0, 2_000_000_000).Draw(t, "at"), 0)
		d := Day(at.Unix() / int64(length/time.Second))
		if DayOf(at, length) != d || d.Start(length).After(at) || !(d + 1).Start(length).After(at) {
			t.Fatalf("%v is in day %d of %v", at, DayOf(at, length), length)
		}
	})
}

func genWindow(t *rapid.T) *Window {
	bucket := func(label string, from int) Bucket { return steps[rapid.IntRange(from, len(steps)-1).Draw(t, label)] }
	w := &Window{
		Day: Day(rapid.Int32().Draw(t, "day")), Service: rapid.SampledFrom([]Services{DNS, SMTP, NetFlow}).Draw(t, "service"), Rules: rapid.Uint64().Draw(t, "rules"),
	}
	for range rapid.IntRange(0, 5).Draw(t, "cells") {
		var id ID
		if rapid.Bool().Draw(t, "named") {
			id = genID(t)
		}
		first := Day(rapid.Int32Range(0, 30000).Draw(t, "first"))
		wrong := Bucket(0)
		if rapid.Bool().Draw(t, "some wrong") {
			wrong = bucket("wrong", 0)
		}
		f, err := NewFeedback(id, Category(rapid.IntRange(0, 5).Draw(t, "category")), Sector(rapid.IntRange(0, 16).Draw(t, "sector")),
			Action(rapid.IntRange(0, 3).Draw(t, "action")), bucket("events", 1), bucket("customers", 0), wrong, first, first+Day(rapid.Int32Range(0, 9).Draw(t, "days")))
		if err != nil {
			t.Fatal(err)
		}
		w.Cells = append(w.Cells, f)
	}
	return w
}

func TestWindowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := genWindow(t)
		body, err := w.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(body) || bytes.Count(body, []byte("\n")) != len(w.Cells)+2 {
			t.Fatalf("one cell a line: %s", body)
		}
		got, err := ParseWindow(body)
		if err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		if got.Day != w.Day || got.Service != w.Service || got.Rules != w.Rules || len(got.Cells) != len(w.Cells) {
			t.Fatalf("%+v\n%+v", w, got)
		}
		for i := range w.Cells {
			if got.Cells[i] != w.Cells[i] {
				t.Fatalf("%+v\n%+v", w.Cells[i], got.Cells[i])
			}
		}
	})
}

func exampleWindow(t testing.TB) []byte {
	f, err := NewFeedback(example().ID, Phishing, 8, Sinkhole, 20, 5, 0, 100, 100)
	if err != nil {
		t.Fatal(err)
	}
	g, err := NewFeedback(ID{}, Phishing, AllSectors, Sinkhole, 50, 10, 5, 99, 100)
	if err != nil {
		t.Fatal(err)
	}
	body, err := (&Window{Day: 100, Service: DNS, Rules: 1, Cells: []Feedback{f, g}}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// Whatever could carry more than the closed schema is refused, the window whole.
func TestParseWindowRefuses(t *testing.T) {
	good := string(exampleWindow(t))
	for name, r := range map[string][2]string{
		"unknown field":         {`"rules":1`, `"rules":1,"note":"192.0.2.1"`},
		"unknown field in cell": {`"sector":8`, `"sector":8,"client":"192.0.2.1"`},
		"blank":                 {`"rules":1`, `"rules": 1`},
		"exact count":           {`"events":20`, `"events":23`},
		"count in words":        {`"events":20`, `"events":"20"`},
		"no customers":          {`"customers":5`, `"customers":0`},
		"sector 17":             {`"sector":8`, `"sector":17`},
		"action":                {`"action":"sinkhole"`, `"action":"victim@example.com"`},
		"category":              {`"category":"phishing"`, `"category":"politics"`},
		"other identifier":      {`"indicator":"indicator--`, `"indicator":"malware--`},
		"name as identifier":    {`"indicator":"indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f"`, `"indicator":"www.example.com"`},
		"null identifier":       {`"indicator":"indicator--5b010203-0405-4607-8809-0a0b0c0d0e0f"`, `"indicator":null`},
		"days reversed":         {`"first":99,"last":100`, `"first":100,"last":99`},
		"fraction of a day":     {`"day":100`, `"day":100.5`},
		"two services":          {`"service":"dns"`, `"service":"dns,smtp"`},
		"no service":            {`"service":"dns"`, `"service":"none"`},
		"key twice":             {`"rules":1`, `"rules":1,"rules":1`},
		"other case":            {`"rules"`, `"Rules"`},
		"trailing":              {"]}\n", "]}\n\n"},
		"second value":          {"]}\n", "]}\n{}"},
		"cut":                   {"]}\n", ""},
		"comment":               {"[\n", "[ /* x */\n"},
	} {
		text := strings.Replace(good, r[0], r[1], 1)
		if text == good {
			t.Fatalf("%s: nothing replaced", name)
		}
		_, err := ParseWindow([]byte(text))
		if err == nil {
			t.Errorf("%s: accepted %s", name, text)
		}
	}
}

func TestNewFeedbackRefuses(t *testing.T) {
	id := example().ID
	for name, err := range map[string]error{
		"no bucket":      second(NewFeedback(id, Other, 0, Alert, 11, 5, 0, 1, 1)),
		"no events":      second(NewFeedback(id, Other, 0, Alert, 0, 5, 0, 1, 1)),
		"no customers":   second(NewFeedback(id, Other, 0, Alert, 10, 0, 0, 1, 1)),
		"wrong, exact":   second(NewFeedback(id, Other, 0, Alert, 10, 5, 1, 1, 1)),
		"days":           second(NewFeedback(id, Other, 0, Alert, 10, 5, 0, 2, 1)),
		"sector":         second(NewFeedback(id, Other, 17, Alert, 10, 5, 0, 1, 1)),
		"category":       second(NewFeedback(id, Scanning+1, 0, Alert, 10, 5, 0, 1, 1)),
		"unknown action": second(NewFeedback(id, Other, 0, Shadow+1, 10, 5, 0, 1, 1)),
	} {
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := (&Window{Service: DNS | SMTP}).Bytes()
	if err == nil {
		t.Error("a window of two services")
	}
	_, err = (&Window{Service: DNS, Cells: make([]Feedback, MaxCells+1)}).Bytes()
	if err == nil {
		t.Error("a window without bound")
	}
}

func second(_ Feedback, err error) error { return err }

func FuzzParseWindow(f *testing.F) {
	f.Add(exampleWindow(f))
	f.Add([]byte("{\"day\":1,\"service\":\"dns\",\"rules\":1,\"cells\":[\n]}\n"))
	f.Add([]byte(`{"cells":[[[[[[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := ParseWindow(body)
		if err != nil {
			return
		}
		again, err := w.Bytes()
		if err != nil || !bytes.Equal(again, body) {
			t.Fatalf("accepted what it would not write: %q", body)
		}
	})
}
