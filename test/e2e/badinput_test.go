package e2e

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sum gives a made-up SHA-256: something that may be delivered to a hub which is
// no demonstration, and belongs to nobody.
func sum(n string) string { return strings.Repeat("0123456789abcdef", 4)[:64-len(n)] + n }

// report is the account of one delivery.
type report struct {
	Batch                               string
	Items, Accepted, Duplicate, Refused int64
	Skipped                             int64
	Error                               string
	Same                                bool
	States                              map[string]int64
	Refusals                            []refusal
}

type refusal struct{ Place, Code, Reason, Excerpt string }

func object(id, more string) string {
	return `{"type":"indicator","spec_version":"2.1","id":"indicator--` + id + `","created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z","valid_from":"2026-01-01T00:00:00Z","pattern_type":"stix",` + more + `}`
}

func hash(n string) string { return `"pattern":"[file:hashes.'SHA-256' = '` + sum(n) + `']"` }

const (
	uuid  = "00000000-0000-4000-8000-0000000000"
	green = `"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]`
	red   = `"object_marking_refs":["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]`
)

// bundle is a STIX bundle with every kind of bad object between good ones, cut
// off in the middle of the last.
func bundle() string {
	objects := []string{
		object(uuid+"01", hash("a1")+","+green),
		object(uuid+"02", `"pattern":["not a text"]`),
		object(uuid+"03", hash("a3")+`,"confidence":"high"`),
		object(uuid+"04", `"pattern":"[process:pid = 4]"`),
		object(uuid+"05", `"pattern":"[file:hashes.'SHA-256' = "`),
		object(uuid+"06", "\"pattern\":\"[domain-name:value = 'bad\xff\xfe.example']\""),
		object(uuid+"07", hash("a7")+","+red),
		object(uuid+"08", hash("a8")+`,"valid_until":"2026-01-02T00:00:00Z"`),
		object(uuid+"09", hash("a9")+`,"revoked":true`),
		`{"type":"malware","spec_version":"2.1","id":"malware--` + uuid + `10","name":"a family","is_family":true}`,
		`"just a text"`,
		object(uuid+"12", hash("ac")+","+green),
	}
	text := `{"type":"bundle","id":"bundle--` + uuid + `00","objects":[` + "\n" + strings.Join(objects, ",\n") + ",\n"
	return text + object(uuid+"13", hash("ad"))[:120]
}

// TestBadInput delivers broken files by every way in.
func TestBadInput(t *testing.T) {
	h := startHub(t, "")
	h.must(t, "alice", "PUT", "/sources/national-cert", map[string]any{
		"name": "National CERT", "agency": "Example Agency", "authority": "Agreement 1", "authority_until": time.Now().AddDate(1, 0, 0).UTC(),
		"purpose": "network defense", "ceiling": "amber+strict", "reliability": "A",
	}, nil)
	t.Run("command line", func(t *testing.T) { badBundle(t, h) })
	t.Run("http", func(t *testing.T) { badCSV(t, h) })
	t.Run("watched folder", func(t *testing.T) { badFolder(t, h) })
	t.Run("stopped for a person", func(t *testing.T) { suspicious(t, h) })
	t.Run("unreadable as a whole", func(t *testing.T) { unreadable(t, h) })
}

func badBundle(t *testing.T, h *hub) {
	file := filepath.Join(t.TempDir(), "broken.json")
	write(t, file, bundle())
	args := []string{ecs, "submit", "-s", "national-cert", "--json", file}
	got := run(t, h.as("grace"), args...)
	if got.code != 1 || !strings.Contains(got.err, "something was refused") {
		t.Errorf("submit ended with %d: %s", got.code, got.err)
	}
	var r report
	decode(t, got.out, &r)
	want := map[string]string{
		"indicator--" + uuid + "02": "WRONG-TYPE", "indicator--" + uuid + "03": "BAD-VALUE",
		"indicator--" + uuid + "05": "PATTERN-SYNTAX",
		"indicator--" + uuid + "06": "BAD-UTF8", "indicator--" + uuid + "07": "MARKING-ABOVE-CEILING",
		"indicator--" + uuid + "08": "EXPIRED", "indicator--" + uuid + "09": "REVOKED-BY-SOURCE",
		"object 11, line 12": "WRONG-TYPE", "object 13, line 14": "TRUNCATED",
	}
	same(t, want, r)
	if r.Items != 13 || r.Accepted != 3 || r.Refused != 9 {
		t.Errorf("account %+v, want 13 items: 3 accepted, 9 refused, 1 kept beside them", r)
	}
	h.find(t, sum("a1"))
	h.find(t, sum("ac")) // behind all the broken ones

	listed := run(t, h.as("grace"), ecs, "refused", "--json", r.Batch)
	if listed.code != 0 || strings.Count(listed.out, "\n") != 9 {
		t.Errorf("refused ended with %d and %d lines, want 9:\n%s%s", listed.code, strings.Count(listed.out, "\n"), listed.out, listed.err)
	}
	page := h.page(t, "grace", "/deliveries/"+r.Batch)
	for place, code := range want {
		if !strings.Contains(page, place) || !strings.Contains(page, code) || !strings.Contains(listed.out, place) {
			t.Errorf("%s (%s) is not on the console's page and in «ecs refused»", place, code)
		}
	}
	before := len(h.items(t, url.Values{}))
	again := run(t, h.as("grace"), args...)
	var second report
	decode(t, again.out, &second)
	if !second.Same || second.Batch != r.Batch || len(h.items(t, url.Values{})) != before {
		t.Errorf("the same file again: %+v", second)
	}
}

// same compares places and codes, and asks for a reason of each.
func same(t *testing.T, want map[string]string, r report) {
	t.Helper()
	got := map[string]string{}
	for _, x := range r.Refusals {
		got[x.Place] = x.Code
		if len(x.Reason) < 10 {
			t.Errorf("%s: the reason is %q", x.Place, x.Reason)
		}
	}
	diff := cmp.Diff(want, got)
	if diff != "" {
		t.Errorf("refused (-want +got):\n%s\n%+v", diff, r.Refusals)
	}
}

const badLines = "value,type,category,confidence,tlp,valid_until,summary\n" +
	"@1,,delivery,80,green,,good\n" +
	"@2,,delivery,eighty,green,,confidence in words\n" +
	"@3,,nonsense,80,green,,no such category\n" +
	"@4,,delivery,80,ultraviolet,,no such marking\n" +
	"@5,,delivery,80,red,,above the ceiling\n" +
	"@6,,delivery,80,green,2020-01-01,past\n" +
	"@7,,delivery,80,green,soon,no moment\n" +
	"@8,,delivery,80,green,,\xff\xfe is no text\n" +
	"what is this,,delivery,80,green,,no value\n" +
	"@9,,delivery,80\n" +
	"\"@b\",,delivery,80,green,,\"quoted\nover lines\"\n" +
	"@c,,delivery,80,green,,good\n" +
	"@c,,delivery,80,green,,known already\n"

func lines() string {
	text := badLines
	for _, n := range "123456789bc" {
		text = strings.ReplaceAll(text, "@"+string(n), sum("c"+string(n)))
	}
	return text
}

func badCSV(t *testing.T, h *hub) {
	path := "/batches?source=national-cert&name=broken.csv&format=csv"
	var r report
	h.must(t, "grace", "POST", path, []byte(lines()), &r)
	same(t, map[string]string{
		"line 3": "BAD-VALUE", "line 4": "BAD-VALUE", "line 5": "BAD-VALUE", "line 6": "MARKING-ABOVE-CEILING", "line 7": "EXPIRED",
		"line 8": "BAD-VALUE", "line 9": "BAD-UTF8", "line 10": "BAD-VALUE", "line 11": "SYNTAX",
	}, r)
	if r.Items != 13 || r.Accepted != 3 || r.Duplicate != 1 || r.Refused != 9 {
		t.Errorf("account %+v, want 13 items: 3 accepted, 1 known, 9 refused", r)
	}
	for _, good := range []string{"c1", "cb", "cc"} {
		h.find(t, sum(good))
	}
	var again report
	h.must(t, "grace", "POST", path, []byte(lines()), &again)
	if !again.Same || again.Batch != r.Batch {
		t.Errorf("the same bytes again: %+v", again)
	}
	var kept struct{ Refusals []refusal }
	h.must(t, "grace", "GET", "/batches/"+r.Batch+"/refusals", nil, &kept)
	if len(kept.Refusals) != 9 {
		t.Errorf("%d refusals are kept, want 9", len(kept.Refusals))
	}
}

func badFolder(t *testing.T, h *hub) {
	dir := filepath.Join(h.dir, "inbox", "national-cert")
	text := strings.ReplaceAll(bundle(), sum("a1"), sum("b1"))
	write(t, filepath.Join(dir, ".broken.json"), text)
	err := os.Rename(filepath.Join(dir, ".broken.json"), filepath.Join(dir, "broken.json"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "nothing.json"), "this is not JSON at all")
	until(t, "the watched folder", 30*time.Second, func() bool {
		_, err := os.Stat(filepath.Join(dir, "done", "broken.json.report.json"))
		_, err2 := os.Stat(filepath.Join(dir, "refused", "nothing.json.report.json"))
		return err == nil && err2 == nil
	})
	h.find(t, sum("b1"))
	b, err := os.ReadFile(filepath.Join(dir, "done", "broken.json.report.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PATTERN-SYNTAX", "BAD-UTF8", "TRUNCATED", "indicator--" + uuid + "05"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the report beside the file does not name %s:\n%s", want, b)
		}
	}
	if !strings.Contains(h.page(t, "grace", "/deliveries"), "broken.json") {
		t.Error("the console does not show the delivery of the watched folder")
	}
}

// suspicious are items that are readable, and must not be released as they are.
func suspicious(t *testing.T, h *hub) {
	got := h.deliver(t, "suspicious.csv", "value,category,confidence,tlp,summary,context\n"+
		"reserved.example,c2,90,green,a reserved name,\n"+
		"192.0.2.1,c2,90,green,a reserved address,\n"+
		"10.1.2.3,c2,90,green,a private address,\n"+
		"localhost,c2,90,green,everybody's own machine,\n"+
		sum("d1")+",delivery,90,green,Sent to jane.doe@mail.example,\n"+
		sum("d2")+",delivery,90,green,,Her number is 212-555-0143\n"+
		"jane.doe@phish.example,phishing,90,green,,\n")
	var r report
	decode(t, got.out, &r)
	for value, want := range map[string]string{
		"reserved.example": "TECH_VALIDATION", "192.0.2.1": "TECH_VALIDATION", "10.1.2.3": "TECH_VALIDATION",
		sum("d1"): "PRIVACY_GATE", sum("d2"): "PRIVACY_GATE", "jane.doe@phish.example": "PRIVACY_GATE",
	} {
		it := h.find(t, value)
		if it.State != want {
			t.Errorf("%s is %s, want %s", value, it.State, want)
		}
		status, err := h.ask("bruno", "POST", "/items/"+it.ID+"/first", map[string]string{"reason": "I want it out."}, nil)
		if status == 200 {
			t.Errorf("%s could be approved although it is %s (%v)", value, it.State, err)
		}
	}
}

func unreadable(t *testing.T, h *hub) {
	before := len(h.items(t, url.Values{}))
	for name, text := range map[string]string{
		"empty.json": "", "array.json": "[1, 2", "text.json": "hello", "page.json": "<html></html>", "nul.csv": "\x00\x00\x00\x00",
		"column.csv": "value,tlpp\n" + sum("e1") + ",red\n", "deep.json": strings.Repeat("[", 100_000),
	} {
		got := h.deliver(t, name, text)
		if got.code == 0 {
			t.Errorf("%s was taken without a word: %s", name, got.out)
		}
		if strings.Contains(got.err, "500") || strings.Contains(got.err, "Something failed") {
			t.Errorf("%s: %s", name, got.err)
		}
	}
	if after := len(h.items(t, url.Values{})); after != before {
		t.Errorf("%d indicators came out of files that cannot be read", after-before)
	}
	status, err := h.ask("grace", "POST", "/batches?source=nobody&name=x.csv&format=csv", []byte("value\n"+sum("e2")+"\n"), nil)
	if status == 200 || status >= 500 || status == 0 {
		t.Errorf("a delivery of an unknown source is answered %d, %v", status, err)
	}
}
