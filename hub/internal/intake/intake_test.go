package intake_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/stix"
)

func TestMain(m *testing.M) {
	if os.Getenv("ECS_TEST_WATCH") != "" {
		watchForEver(os.Getenv("ECS_TEST_WATCH"))
	}
	if os.Getenv("ECS_TEST_IMPORT") != "" {
		importForEver(os.Getenv("ECS_TEST_IMPORT"))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

func open(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }

// addSource registers a source with ceiling amber; "late" has lapsed, "bare" has
// no purpose, "weak" is of reliability E.
func addSources(t testing.TB, db *sqldb.DB) {
	t.Helper()
	execute(t, db, `INSERT INTO source (id, name, agency, authority, authority_until, purpose, ceiling, reliability, created) VALUES
		('one', 'Source one', 'A', 'agreement 1', $1, 'protect', 2, 'B', 1),
		('two', 'Source two', 'B', 'agreement 2', $1, 'protect', 3, 'B', 1),
		('late', 'Lapsed', 'B', 'agreement 3', $2, 'protect', 2, 'B', 1),
		('bare', 'No purpose', 'B', 'agreement 4', $1, '', 2, 'B', 1),
		('weak', 'Weak', 'B', 'agreement 5', $1, 'protect', 2, 'E', 1)`,
		sqldb.Time(time.Now().AddDate(1, 0, 0)), sqldb.Time(time.Now().AddDate(0, 0, -1)))
}

func execute(t testing.TB, db *sqldb.DB, query string, args ...any) {
	t.Helper()
	err := db.Write(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(t.Context(), query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newIntake(t testing.TB, db *sqldb.DB, change ...func(*intake.Config)) *intake.Intake {
	t.Helper()
	check, err := policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := intake.Config{
		DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(t.TempDir(), "spool"), Ceiling: contract.Red,
	}
	for _, c := range change {
		c(&cfg)
	}
	return intake.New(cfg)
}

func submit(t testing.TB, in *intake.Intake, source, format, content string) intake.Report {
	t.Helper()
	rep, err := in.Submit(t.Context(), intake.Delivery{Source: source, Name: "test." + format, Format: format, Submitter: "gfi"},
		strings.NewReader(content), nil)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return rep
}

func counts(r intake.Report) [4]int64 { return [4]int64{r.Accepted, r.Duplicate, r.Refused, r.Skipped} }

func codes(r intake.Report) []string {
	var out []string
	for _, f := range r.Refusals {
		out = append(out, f.Place+" "+f.Code)
	}
	return out
}

func items(t testing.TB, db *sqldb.DB) []indicator.Item {
	t.Helper()
	out, err := indicator.List(t.Context(), db, indicator.Filter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCSV(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db)
		const file = "\xef\xbb\xbfvalue;type;category;confidence;tlp;valid_until;summary;context;reference;action;notify\r\n" +
			"# a comment\r\n" +
			"Bad.Example.COM.;;c2;80;TLP:GREEN;;\"C2 of \"\"X\"\";\nsecond line\";seen in a case;REF-1;sinkhole;no\r\n" + // 3, 4
			"198.51.100.7;address;scanning;;;;;;;;\r\n" + // 5
			"hxxps://evil[.]example/login;;phishing;;;;;;;;\r\n" + // 6
			"bad.example.com;;c2;;amber;;;;REF-2;;\r\n" + // 7: the same again
			"x.example;;c2;;red;;;;;;\r\n" + // 8: above the ceiling
			"y.example;;malware;;;;;;;;\r\n" + // 9: no such category
			"z.example;;c2;900;;;;;;;\r\n" + // 10
			"w.example;c2\r\n" + // 11: too few fields
			"u.exam\xffple;;;;;;;;;;\r\n" + // 12
			"t.example;;;;;2001-01-01;;;;;\r\n" + // 13: over already
			"s.example;;;;;;\"never closed;;;;\r\n" + // 14
			"bob@mail.example;;phishing;;;;;;;;\r\n" + // 15: personal data by nature
			";;c2;;;;;;;;\r\n" + // 16: nothing
			"q.example;;;;;;a\u202eb;;;;\r\n" + // 17: turns the text around
			"last.example;;;;;;;;;;" // 18
		rep := submit(t, in, "one", intake.CSV, file)
		if diff := cmp.Diff([4]int64{5, 1, 9, 0}, counts(rep)); diff != "" {
			t.Errorf("accepted, duplicate, refused, skipped:\n%s", diff)
		}
		want := []string{
			"line 8 MARKING-ABOVE-CEILING", "line 9 BAD-VALUE", "line 10 BAD-VALUE", "line 11 SYNTAX", "line 12 BAD-UTF8",
			"line 13 EXPIRED", "line 14 TRUNCATED", "line 16 MISSING-FIELD", "line 17 BAD-VALUE",
		}
		if diff := cmp.Diff(want, codes(rep)); diff != "" {
			t.Errorf("refusals:\n%s", diff)
		}
		got := map[string]indicator.Item{}
		for _, it := range items(t, db) {
			got[it.Value] = it
		}
		first := got["bad.example.com"]
		if first.TLP != contract.Amber || first.Notify || first.Summary != "C2 of \"X\";\nsecond line" || first.Category != contract.CommandAndControl ||
			first.Confidence != 80 || first.Action != contract.Sinkhole || first.State != indicator.PendingFirst {
			t.Errorf("merged item: %+v", first)
		}
		if first.ValidUntil.IsZero() || first.ValidUntil.After(time.Now().AddDate(0, 0, 91)) {
			t.Errorf("default validity: %v", first.ValidUntil)
		}
		src, err := indicator.Sources(t.Context(), db, first.ID)
		if err != nil || len(src) != 2 || src[0].Reference != "REF-1" || src[1].Place != "line 7" {
			t.Errorf("sources: %+v, %v", src, err)
		}
		if got["bob@mail.example"].State != indicator.PrivacyGate {
			t.Errorf("a mail address passed the gate: %+v", got["bob@mail.example"])
		}
		if rep.States[indicator.PendingFirst] != 4 || rep.States[indicator.PrivacyGate] != 1 {
			t.Errorf("states: %v", rep.States)
		}
		again := submit(t, in, "one", intake.CSV, file)
		if !again.Same || again.ID != rep.ID || len(items(t, db)) != 5 {
			t.Errorf("the same file again: %+v", again)
		}
		for _, r := range rep.Refusals {
			if strings.ContainsFunc(r.Excerpt, func(c rune) bool { return c < ' ' || c == '\u202e' || c == '\ufffd' }) {
				t.Errorf("excerpt %q holds what it must not", r.Excerpt)
			}
		}
	})
}

const stixHead = `{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[`

func ind(n int, more string) string {
	return fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-%012d","created":"2026-01-01T00:00:00.000Z",`+
		`"modified":"%s","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"%s}`, n, time.Now().UTC().Format(time.RFC3339), more)
}

func place(n int) string { return fmt.Sprintf("indicator--00000000-0000-4000-8000-%012d", n) }

func TestBundle(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		in := newIntake(t, db)
		objects := []string{
			`{"type":"identity","spec_version":"2.1","id":"identity--00000000-0000-4000-8000-000000000001","name":"x"}`,
			`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-000000000002","definition_type":"statement","definition":{"statement":"(c)"}}`,
			ind(1, `,"pattern":"[domain-name:value = 'A.Example.']","object_marking_refs":["`+contract.Green.Ref()+`","marking-definition--00000000-0000-4000-8000-000000000002"],"name":"n","description":"d","kill_chain_phases":[{"kill_chain_name":"k","phase_name":"command-and-control"}]`),
			ind(2, `,"pattern":"[ipv4-addr:value = '192.0.2.55' OR ipv4-addr:value = '192.0.2.54']","confidence":70`),
			ind(3, `,"pattern":"[process:pid = 4]"`),
			ind(4, `,"pattern":"[domain-name:value = "`),
			ind(5, `,"pattern":7`),
			ind(6, `,"pattern":"[domain-name:value = 'b.example']","object_marking_refs":["`+contract.Red.Ref()+`"]`),
			`{"type":"indicator","id":"indicator--00000000-0000-4000-8000-000000000007", "pattern": tru}`,
			ind(8, `,"pattern":"[domain-name:value = 'c.example']","revoked":true`),
			ind(9, `,"pattern":"[domain-name:value = '`+"\xff"+`.example']"`),
			ind(10, `,"pattern":"[domain-name:value = 'a.example']"`),
			`12`, `"text"`, `[1,2]`, `{"id":"x"}`,
			ind(11, `,"pattern":"[file:name = 'evil.exe']","extensions":{"`+contract.ExtensionID+`":{"extension_type":"property-extension","action":"alert","category":"delivery","disclosure":2,"notify":false,"enforce":true,"display":true}},"description":"for customers"`),
			ind(12, `,"pattern":"[domain-name:value = 'd.example']","object_marking_refs":["marking-definition--00000000-0000-4000-8000-00000000dead"]`),
			strings.Replace(ind(13, `,"pattern":"alert tcp any any"`), `"pattern_type":"stix"`, `"pattern_type":"snort"`, 1),
			ind(14, `,"pattern":"[domain-name:value = 'e.example']","pattern":"[domain-name:value = 'f.example']"`),
			ind(15, `,"Pattern":"[domain-name:value = 'g.example']"`),
			`{"type":"relationship","spec_version":"2.1","id":"relationship--00000000-0000-4000-8000-000000000001","confidence":"high"}`,
			acs("a1", "U", `{"privilege_action":"DSPLY","rule_effect":"permit"}`), acs("a2", "S", ""),
			`{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-0000000000a3","definition_type":"tlp","definition":{"tlp":"purple"}}`,
			ind(16, `,"pattern":"[domain-name:value = 'h.example']","object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000a1"]`),
			ind(17, `,"pattern":"[domain-name:value = 'i.example']","object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000a2"]`),
			ind(18, `,"pattern":"[domain-name:value = 'j.example']","object_marking_refs":["marking-definition--00000000-0000-4000-8000-0000000000a3"]`),
			ind(19, `,"pattern":"[domain-name:value = 'k.example']","granular_markings":[{"selectors":["name"],"marking_ref":"`+contract.Red.Ref()+`"}]`),
			ind(20, `,"pattern":"[domain-name:value = 'l.example']","extensions":{"`+contract.ExtensionID+`":{"Enforce":false,"display":false}}`),
			ind(21, `,"x":[1,2},"pattern":"[domain-name:value = 'm.example']"`),
			ind(22, `,"pattern":"[domain-name:value = 'n.example']"`),
		}
		rep := submit(t, in, "one", intake.STIX, stixHead+strings.Join(objects, ",\n")+"]}")
		if diff := cmp.Diff([4]int64{10, 1, 16, 1}, counts(rep)); diff != "" {
			t.Errorf("accepted, duplicate, refused, skipped:\n%s", diff)
		}
		want := []string{
			place(4) + " PATTERN-SYNTAX", place(5) + " WRONG-TYPE", place(6) + " MARKING-ABOVE-CEILING",
			place(7) + " SYNTAX", place(8) + " REVOKED-BY-SOURCE", place(9) + " BAD-UTF8",
			"object 13, line 13 WRONG-TYPE", "object 14, line 14 WRONG-TYPE", "object 15, line 15 WRONG-TYPE", "object 16, line 16 MISSING-FIELD",
			place(13) + " PATTERN-TYPE", place(14) + " SYNTAX", place(15) + " MISSING-FIELD",
			"marking-definition--00000000-0000-4000-8000-0000000000a3 BAD-VALUE", place(17) + " MARKING-ABOVE-CEILING", place(21) + " SYNTAX",
		}
		if diff := cmp.Diff(want, codes(rep)); diff != "" {
			t.Errorf("refusals:\n%s", diff)
		}
		if rep.Objects != 4 {
			t.Errorf("%d objects kept beside the indicators, want 4", rep.Objects)
		}
		got := map[string]indicator.Item{}
		for _, it := range items(t, db) {
			got[it.Value] = it
		}
		a := got["a.example"]
		if a.TLP != contract.Amber || a.Category != contract.CommandAndControl || a.Context != "n\nd" || a.Summary != "" {
			t.Errorf("a.example: %+v", a)
		}
		f := got["evil.exe"]
		if f.Action != contract.Alert || f.Category != contract.Delivery || f.Notify || f.Disclosure != 2 || f.Summary != "for customers" {
			t.Errorf("evil.exe: %+v", f)
		}
		if d := got["d.example"]; d.Enforce || d.Display || d.Notify {
			t.Errorf("an unknown marking has to permit nothing: %+v", got["d.example"])
		}
		for _, v := range []string{"d.example", "j.example", "k.example"} {
			fs, err := indicator.Findings(t.Context(), db, got[v].ID)
			if err != nil || len(fs) == 0 || fs[0].Code != intake.CodeMarking {
				t.Errorf("findings of %s: %+v, %v", v, fs, err)
			}
		}
		h := got["h.example"]
		if h.Enforce || !h.Display || h.Notify {
			t.Errorf("an ACS marking that permits display only: %+v", h)
		}
		if l := got["l.example"]; !l.Enforce || l.Display {
			t.Errorf("names of the extension in another case: %+v", l)
		}
	})
}

// acs gives a marking definition by the ACS 3.0 extension that denies what is not listed.
func acs(end, classification, privileges string) string {
	return `{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--00000000-0000-4000-8000-0000000000` + end +
		`","created":"2026-01-01T00:00:00Z","extensions":{"` + stix.ACSExtension + `":{"identifier":"isa:guide.19001.ACS3-00000000-0000-4000-8000-000000000001",` +
		`"create_date_time":"2026-01-01T00:00:00Z","responsible_entity_custodian":"USA.DHS.US-CERT","policy_reference":"urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny",` +
		`"control_set":{"classification":"` + classification + `"},"access_privilege":[` + privileges + `]}}}`
}

// A warning that only a weak source names an item goes when a better one does; a
// further delivery with personal data leaves none beside an item without.
func TestSecondSource(t *testing.T) {
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		addSources(t, db)
		execute(t, db, `UPDATE source SET reliability = 'D' WHERE id = 'two'`)
		in := newIntake(t, db)
		weak := func() bool {
			t.Helper()
			fs, err := indicator.Findings(t.Context(), db, items(t, db)[0].ID)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(fs, func(f indicator.Finding) bool { return f.Code == policy.CodeUncorrobated })
		}
		submit(t, in, "weak", intake.CSV, "value\na.example\n")
		submit(t, in, "two", intake.CSV, "value\na.example\n#\n")
		if !weak() {
			t.Error("two weak sources do not back each other")
		}
		submit(t, in, "one", intake.CSV, "value,context\na.example,\"call (703) 555-0123\"\n")
		if weak() {
			t.Error("a better source named it and the warning stays")
		}
		src, err := indicator.Sources(t.Context(), db, items(t, db)[0].ID)
		if err != nil || len(src) != 3 || src[0].Original == "" || src[2].Original != "" {
			t.Errorf("sources: %+v, %v", src, err)
		}
	})
}

func TestDamagedBundles(t *testing.T) {
	good := ind(1, `,"pattern":"[domain-name:value = 'a.example']"`)
	tests := []struct {
		name, file string
		counts     [4]int64
		codes      []string
		err        string // code of a refused whole
	}{
		{"cut in an object", stixHead + good + `,{"type":"indicator","id":`, [4]int64{1, 0, 1, 0}, []string{"object 2, line 1 TRUNCATED"}, ""},
		{"cut between objects", stixHead + good + `,`, [4]int64{1, 0, 1, 0}, []string{"object 2, line 1 TRUNCATED"}, ""},
		{"cut before the end", stixHead + good + `]`, [4]int64{1, 0, 1, 0}, []string{"object 2, line 1 TRUNCATED"}, ""},
		{"unclosed quote and line break", stixHead + "{\"type\":\"indicator\n},\n" + good + `]}`, [4]int64{1, 0, 1, 0}, []string{"object 1, line 1 SYNTAX"}, ""},
		{"type behind the objects", `{"objects":[` + good + `],"type":"bundle"}`, [4]int64{1, 0, 0, 0}, nil, ""},
		{"TAXII envelope", `{"more":false,"objects":[` + good + `]}`, [4]int64{1, 0, 0, 0}, nil, ""},
		{"not JSON", `<html>`, [4]int64{}, nil, intake.CodeFormat},
		{"empty", ``, [4]int64{}, nil, intake.CodeFormat},
		{"brackets do not match", `{"objects":[{"a":[}},` + good + `]}`, [4]int64{1, 0, 1, 0}, []string{"object 1, line 1 SYNTAX"}, ""},
		{"no comma", stixHead + good + "\n" + good + `]}`, [4]int64{1, 0, 1, 0}, []string{"object 2, line 2 SYNTAX"}, ""},
		{"list of objects", `[` + good + `]`, [4]int64{1, 0, 0, 0}, nil, ""},
		{"lone indicator", good, [4]int64{1, 0, 0, 0}, nil, ""},
		{"empty bundle", `{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d"}`, [4]int64{}, nil, intake.CodeFormat},
		{"UTF-16", "\xff\xfe{\x00", [4]int64{}, nil, intake.CodeFormat},
		{"another object", `{"type":"report","name":"x"}`, [4]int64{}, nil, intake.CodeFormat},
		{"too large an object", stixHead + `{"type":"indicator","description":"` + strings.Repeat("x", 300<<10) + `"},` + good + `]}`, [4]int64{1, 0, 1, 0}, []string{"object 1, line 1 ITEM-TOO-LARGE"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := sqldbtest.Lite(t, open)
			addSources(t, db)
			rep, err := newIntake(t, db).Submit(t.Context(), intake.Delivery{Source: "one", Name: "x", Format: intake.STIX, Submitter: "gfi"}, strings.NewReader(tt.file), nil)
			var whole *intake.Refused
			if tt.err != "" && (!errors.As(err, &whole) || whole.Code != tt.err) || tt.err == "" && err != nil {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.counts, counts(rep)); diff != "" {
				t.Errorf("accepted, duplicate, refused, skipped:\n%s", diff)
			}
			if diff := cmp.Diff(tt.codes, codes(rep)); diff != "" {
				t.Errorf("refusals:\n%s", diff)
			}
		})
	}
}
