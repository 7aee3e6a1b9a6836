package export_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/export"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

// prose is a text as intake keeps it: UTF-8, trimmed, no control characters but
// line feed and tab, nothing that reorders; often one that a spreadsheet or a CSV
// reader could take for something else.
func prose(name string, limit int) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		s := rapid.SampledFrom([]string{"", "", "=", "+", "-", "@", "#", "'", "\"", "＝", " ", "\t", ",", ";"}).Draw(t, "begins") +
			rapid.StringOfN(rapid.RuneFrom([]rune("ab=,;|#'\"\t\n é＠\u00a0"), unicode.Letter), 0, 20, limit).Draw(t, name)
		return strings.TrimSpace(s)
	})
}

// anyRow is any row that intake can make.
var anyRow = rapid.Custom(func(t *rapid.T) export.Row {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{
			"[domain-name:value = 'bad.example']", "[ipv4-addr:value = '192.0.2.1']", "[ipv6-addr:value = '2001:db8::/32']",
			"[url:value = 'https://bad.example/a?b=c,d;e#f']", "[file:hashes.MD5 = 'd41d8cd98f00b204e9800998ecf8427e']",
			"[network-traffic:dst_port = 53 AND network-traffic:protocols[*] = 'udp']", "[network-traffic:dst_port = 53]",
			"[network-traffic:dst_ref.value = '192.0.2.1' AND network-traffic:dst_port = 443 AND network-traffic:protocols[*] = 'tcp']",
			"[domain-name:value IN ('a.example', 'b.example')]", "[email-addr:value = '=x@mail.example']", "[domain-name:value = '-a.example']",
		}),
		rapid.Custom(func(t *rapid.T) string {
			a, err := observable.Make(rapid.SampledFrom([]observable.Kind{observable.Subject, observable.FileName}).Draw(t, "kind"), "x"+prose("text", 40).Draw(t, "text"))
			if err != nil {
				t.Skip()
			}
			return observable.Pattern(a)
		}),
		rapid.Custom(func(t *rapid.T) string {
			a, err := observable.Make(observable.Subject, rapid.SampledFrom([]string{"=1+1", "+1", "-1", "@x", "#x", "＝1", "'x", "a,b", "\"a"}).Draw(t, "subject"))
			if err != nil {
				t.Skip()
			}
			return observable.Pattern(a)
		}),
	).Draw(t, "pattern")
	r := of(rapid.IntRange(0, 1<<30).Draw(t, "n"), value)
	it := &r.Item
	it.Category = contract.Category(rapid.IntRange(0, 5).Draw(t, "category"))
	it.Action = contract.Action(rapid.IntRange(0, 3).Draw(t, "action"))
	it.Confidence = rapid.IntRange(0, 100).Draw(t, "confidence")
	it.TLP = contract.TLP(rapid.IntRange(0, 4).Draw(t, "tlp"))
	r.Handling = marking.OfTLP(it.TLP).Handling()
	if rapid.Bool().Draw(t, "limited") {
		r.Handling = r.Handling.Join(marking.OfPAP(marking.PAP(rapid.IntRange(0, 3).Draw(t, "pap"))).Handling())
	}
	it.Enforce, it.Notify = rapid.Bool().Draw(t, "enforce"), rapid.Bool().Draw(t, "notify")
	it.Disclosure = uint8(rapid.IntRange(0, 3).Draw(t, "disclosure"))
	it.Summary, it.Context = prose("summary", 60).Draw(t, "summary"), prose("context", 60).Draw(t, "context")
	it.Labels = strings.Join(rapid.SliceOfN(rapid.StringMatching(`[=+@a-z:"'-][a-z "]{0,6}[a-z]`), 0, 3).Draw(t, "labels"), "\n")
	it.Observed = it.Observed.Add(time.Duration(rapid.Int64Range(0, 1e12).Draw(t, "observed")) * time.Microsecond)
	it.ValidUntil = it.ValidFrom.Add(time.Duration(rapid.Int64Range(2000, 1e13).Draw(t, "until")) * time.Microsecond)
	return r
})

// readCSV reads an export as docs/formats/intake.md says, with nothing of the
// writer's code.
func readCSV(t *rapid.T, text string) []indicator.Item {
	var lines []string // comments go first: a line that begins with # outside of a quoted field
	quoted := false
	for _, l := range strings.SplitAfter(text, "\n") {
		if !quoted && strings.HasPrefix(l, "#") {
			continue
		}
		if strings.Count(l, `"`)%2 == 1 {
			quoted = !quoted
		}
		lines = append(lines, l)
	}
	r := csv.NewReader(strings.NewReader(strings.Join(lines, "")))
	records, err := r.ReadAll()
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	var out []indicator.Item
	for _, rec := range records[1:] {
		f := map[string]string{}
		for i, v := range rec {
			if v != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(v)[0]) {
				t.Fatalf("a spreadsheet takes %q for a formula", v)
			}
			f[records[0][i]] = strings.TrimSpace(v)
		}
		pattern := f["pattern"]
		if pattern == "" {
			k, err := observable.ParseKind(f["type"])
			if err != nil {
				t.Fatal(err)
			}
			a, err := observable.FromValue(f["value"])
			if k == observable.Subject || k == observable.FileName {
				a, err = observable.Make(k, f["value"])
			}
			if err != nil || a.Kind != k {
				t.Fatalf("%q of type %s: %v, %v", f["value"], k, a, err)
			}
			pattern = observable.Pattern(a)
		}
		c, err := observable.Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		it := indicator.Item{
			Pattern: c.Pattern, Kind: c.Atoms[0].Kind, Value: c.Atoms[0].String(), Services: c.Services, Summary: f["summary"], Context: f["context"],
			Enforce: f["enforce"] == "true", Display: f["display"] == "true", Notify: f["notify"] == "true",
		}
		it.ID, err = contract.ParseID(f["reference"])
		if err != nil {
			t.Fatal(err)
		}
		for column, to := range map[string]interface{ UnmarshalText([]byte) error }{"category": &it.Category, "action": &it.Action, "tlp": &it.TLP} {
			err = to.UnmarshalText([]byte(f[column]))
			if err != nil {
				t.Fatal(err)
			}
		}
		for column, to := range map[string]*time.Time{"valid_from": &it.ValidFrom, "valid_until": &it.ValidUntil, "observed": &it.Observed} {
			*to, err = time.Parse(time.RFC3339Nano, f[column])
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range f["disclosure"] {
			it.Disclosure = it.Disclosure*10 + uint8(d-'0')
		}
		for _, d := range f["confidence"] {
			it.Confidence = it.Confidence*10 + int(d-'0')
		}
		var labels []string
		for _, l := range strings.FieldsFunc(f["labels"], func(r rune) bool { return strings.ContainsRune(",;\n", r) }) {
			labels = append(labels, strings.TrimSpace(l))
		}
		it.Labels = strings.Join(labels, "\n")
		out = append(out, it)
	}
	return out
}

// told is what an export says of an item.
func told(it indicator.Item) indicator.Item {
	it.State, it.Version, it.Created, it.Modified = "", 0, time.Time{}, time.Time{}
	return it
}

func TestCSVRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(anyRow, 0, 6).Draw(t, "rows")
		var b bytes.Buffer
		_, err := export.CSV(&b, rowsOf(rows), options())
		if err != nil {
			t.Fatal(err)
		}
		got := readCSV(t, b.String())
		if len(got) != len(rows) {
			t.Fatalf("%d rows became %d:\n%s", len(rows), len(got), b.String())
		}
		for i := range rows {
			if diff := cmp.Diff(told(rows[i].Item), told(got[i])); diff != "" {
				t.Fatalf("%s\nin\n%s", diff, b.String())
			}
		}
	})
}

func TestCSV(t *testing.T) {
	formula := value(1, "192.0.2.1:443")
	formula.Item.Summary, formula.Item.Labels = "=cmd|' /C calc'!A0", "a, b\nc"
	o := options()
	o.Context = false
	text, r := write(t, "csv", []export.Row{value(0, "one.example"), formula, of(2, "[email-message:subject = '@SUM(1)']")}, o)
	want := `value,pattern,type,category,confidence,tlp,marking,valid_from,valid_until,observed,summary,labels,reference,action,disclosure,notify,enforce,display
one.example,,domain,c2,80,amber,,2026-11-21T12:00:00.123456Z,2026-12-21T12:00:00.123456Z,2026-11-21T11:00:00.123456Z,Control server,"Family A; botnet",indicator--30303030-3030-4030-8030-303030303030,sinkhole,2,true,true,true
192.0.2.1 443/any,,address,c2,80,amber,,2026-11-21T12:00:00.123456Z,2026-12-21T12:00:00.123456Z,2026-11-21T11:00:00.123456Z," =cmd|' /C calc'!A0",c,indicator--30303030-3030-4030-8030-303030303031,sinkhole,2,true,true,true
,[email-message:subject = '@SUM(1)'],,c2,80,amber,,2026-11-21T12:00:00.123456Z,2026-12-21T12:00:00.123456Z,2026-11-21T11:00:00.123456Z,Control server,"Family A; botnet",indicator--30303030-3030-4030-8030-303030303032,sinkhole,2,true,true,true
# 3 written, 0 withheld; not in this format: context for analysts 3, labels with a comma or semicolon 1
`
	if diff := cmp.Diff(want, text); diff != "" || r.Left["context for analysts"] != 3 {
		t.Error(diff)
	}
}
