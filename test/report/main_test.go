package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const run = `{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"--- PASS: TestGood (0.00s)\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestNeeds","Output":"    x_test.go:7: dig is not installed\n"}
{"Action":"output","Package":"p","Test":"TestNeeds","Output":"--- SKIP: TestNeeds (0.00s)\n"}
{"Action":"skip","Package":"p","Test":"TestNeeds"}
{"Action":"output","Package":"p","Output":"ok  \tp\t0.01s\n"}
{"Action":"pass","Package":"p"}
`

const bad = `{"ImportPath":"q","Action":"build-output","Output":"q/q.go:1: oops\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    x_test.go:9: got 1, want 2\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
not JSON
{"Action":"fail","Package":"p"}
`

func TestReport(t *testing.T) {
	for _, c := range []struct {
		name   string
		strict bool
		in     string
		good   bool
		want   string
	}{
		{"for a person", false, run, true, "ok  \tp\t0.01s\n\n1 tests passed, 0 failed, 1 skipped\nskipped: p TestNeeds: dig is not installed\n"},
		{
			"in CI", true, run, false,
			"--- PASS: TestGood (0.00s)\n    x_test.go:7: dig is not installed\n--- SKIP: TestNeeds (0.00s)\nok  \tp\t0.01s\n" +
				"\n1 tests passed, 0 failed, 1 skipped\nskipped: p TestNeeds: dig is not installed\nwith CI=true nothing may be skipped\n",
		},
		{
			"failures", false, bad, false,
			"q/q.go:1: oops\n    x_test.go:9: got 1, want 2\n--- FAIL: TestBad (0.00s)\nnot JSON\n" +
				"\n0 tests passed, 2 failed, 0 skipped\nfailed: p TestBad\nfailed: p\n",
		},
		{"failures in CI", true, bad, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			r := report{out: &out, strict: c.strict}
			r.read(strings.NewReader(c.in))
			good := r.end()
			if good != c.good {
				t.Errorf("good is %t; printed:\n%s", good, &out)
			}
			if d := cmp.Diff(c.want, out.String()); c.want != "" && d != "" {
				t.Error(d)
			}
		})
	}
}
