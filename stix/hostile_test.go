package stix

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostile asks everything of objects of one megabyte that are made to cost
// squares. The bound is wide, for slow machines; a square takes minutes.
func TestHostile(t *testing.T) {
	const size = 1 << 20
	some := func(format string, bytes int) string {
		var b strings.Builder
		for i := 0; b.Len() < bytes; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	many := func(format string) string { return some(format, size-1000) }
	long := strings.Repeat("n", size/2)
	head := `{"type":"x-a","id":"x-a--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",`
	odd := `{"type":"observed-data","id":"observed-data--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa",`
	for _, c := range []struct{ name, text string }{
		{"many names", head + many(`"%d":1`) + "}"},
		{"many names with escapes", head + many(`"\u0061%d":1`) + "}"},
		{"many unknown extensions", head + `"extensions":{` + many(`"%d":{}`) + "}}"},
		{"many values", head + `"a":[` + many(`%d`) + "]}"},
		{"many references under a long name", head + `"` + long + `":{"x_refs":[` + some(`"tool--aaaaaaaa-aaaa-4aaa-8aaa-%012x"`, size/3) + "]}}"},
		{"many labels", strings.Replace(head, "x-a", "tool", 2) + `"labels":[` + many(`"l%d"`) + "]}"},
		{"many selectors", head + `"a":[` + some("%d", size/2) + `],"granular_markings":[{"lang":"en","selectors":[` + some(`"a.[%d]"`, 3000) + "]}]}"},
		{"many hashes", strings.Replace(head, "x-a", "file", 2) + `"hashes":{` + many(`"%d":"x"`) + "}}"},
		{"many embedded objects", odd + `"objects":{` + many(`"%d":{"type":"url","value":"x"}`) + "}}"},
		{"embedded objects that refer to one another", odd + `"objects":{` + many(`"%d":{"type":"network-traffic","src_ref":"0","dst_ref":"0"}`) + "}}"},
		{"many references to nothing", odd + `"objects":{"0":{"type":"file","name":"n","contains_refs":[` + many(`"%d"`) + "]}}}"},
		{"brackets", head + `"a":` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2-100) + "}"},
	} {
		begin := time.Now()
		o, err := ParseObject([]byte(c.text))
		if err == nil {
			_ = o.Check()
			_ = o.Refs()
			_ = o.Name()
			_ = o.Canonical()
			_, _ = o.GranularMarkings()
			_, _ = o.Marking()
			_, _ = ObservableID(o.Raw)
			o.SpecVersion = "2.0"
			_, _ = Upgrade(o)
		}
		took := time.Since(begin)
		t.Logf("%s: %v, %v", c.name, took.Round(time.Millisecond), err)
		if took > 20*time.Second {
			t.Errorf("%s took %v", c.name, took)
		}
	}
	// A chain of objects whose identifiers need one another, each of the next twice.
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, `"%d":{"type":"network-traffic","src_ref":"%d","dst_ref":"%d","protocols":["x"]},`, i, i+1, i+1)
	}
	u, err := Upgrade(parse(t, odd+`"objects":{`+b.String()+`"2000":{"type":"url","value":"x"}}}`))
	if err != nil || len(u.Observables) != 2001 {
		t.Error(err)
	}
}
