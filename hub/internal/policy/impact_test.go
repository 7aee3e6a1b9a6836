package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

// fewLists are warning lists of several categories.
func fewLists(t testing.TB) *policy.Lists {
	t.Helper()
	list := func(typ, kinds, entries string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(`{"name":"a list","version":20260811,"type":"` + typ + `","matching_attributes":["` + kinds + `"],"list":["` + strings.ReplaceAll(entries, " ", `","`) + `"]}`)}
	}
	l, problems, err := policy.LoadLists(fstest.MapFS{
		"cloudflare-top200.json":  list("string", "domain", "visited.com"),
		"cloudflare-top100k.json": list("string", "domain", "visited.com seldom.com"),
		"dynamic-dns.json":        list("hostname", "domain", ".anybody.net"),
		"vpn-ipv4.json":           list("cidr", "ip-dst", "45.1.0.0/16"),
		"cloudflare.json":         list("cidr", "ip-dst", "45.2.0.0/24"),
		"of-our-own.json":         list("string", "domain", "ours.com"),
	}, map[string]indicator.Severity{"of-our-own": indicator.Warn})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	return l
}

func TestImpact(t *testing.T) {
	c := checker(t, policy.Config{Lists: fewLists(t), Protected: []policy.Protected{{"portal.near.gov", "an entity"}, {"46.1.2.8/29", "an entity's range"}}})
	tests := []struct {
		value    string
		level    policy.Level
		sentence string // a part of it
		codes    string // of the technical findings
	}{
		{"quiet-name.com", policy.NoImpact, "Nothing known", ""},
		{"visited.com", policy.HighImpact, "among the 200 most visited", "stop V2-WARNING-LIST"},
		{"seldom.com", policy.LowImpact, "among the 100,000 most visited", "warn V2-WARNING-LIST"},
		{"x.seldom.com", policy.NoImpact, "Nothing known", ""},
		{"anybody.net", policy.HighImpact, "Unrelated parties would be hit", "stop V2-WARNING-LIST"},
		{"x.anybody.net", policy.LowImpact, "Some unrelated parties", "warn V2-WARNING-LIST"},
		{"ours.com", policy.LowImpact, "Some unrelated parties", "warn V2-WARNING-LIST"},
		{"f3322.net", policy.HighImpact, "shared by strangers", "stop V4-SHARED-HOSTING"},
		{"x.f3322.net", policy.LowImpact, "only this one is blocked", "warn V4-SHARED-HOSTING"},
		{"x.github.io", policy.LowImpact, "may change hands", ""},
		{"45.1.2.3", policy.LowImpact, "Some unrelated parties", "warn V2-WARNING-LIST"},
		{"45.2.0.9", policy.HighImpact, "Unrelated parties would be hit", "stop V2-WARNING-LIST"},
		{"46.1.3.0/24", policy.LowImpact, "hits 256 addresses", ""},
		{"8.8.8.8", policy.HighImpact, "protected Google", "stop V3-PROTECTED-ADDRESS"},
		{"captive.apple.com", policy.HighImpact, "protected", "stop V3-PROTECTED-NAME"},
		{"apple.com", policy.HighImpact, "protected", "stop V3-PROTECTED-NAME"},
		{"cloudflare-dns.com", policy.HighImpact, "protected", "stop V3-PROTECTED-NAME"},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			s := subject(t, tt.value)
			fs := c.Technical(s, now)
			im := c.Impact(s, fs, nil)
			if got := strings.Join(codes(fs), " "); got != tt.codes {
				t.Errorf("findings %q, want %q: %v", got, tt.codes, fs)
			}
			if im.Level != tt.level || !strings.Contains(im.Sentence, strings.TrimPrefix(tt.sentence, "protected Google")) {
				t.Errorf("%s: %s, want %s: %s", im.Level, im.Sentence, tt.level, tt.sentence)
			}
		})
	}
}

func TestImpactNeighbors(t *testing.T) {
	c := checker(t, policy.Config{Protected: []policy.Protected{{"portal.near.gov", "an entity"}, {"46.1.2.8/29", "an entity's range"}}})
	below, above := contract.NewID(), contract.NewID()
	s := subject(t, "a.near.gov")
	im := c.Impact(s, nil, []policy.Neighbor{
		{ID: below, Atom: atom(t, "b.a.near.gov"), Standing: policy.Living},
		{ID: above, Atom: atom(t, "near.gov"), Standing: policy.Living},
		{ID: contract.NewID(), Atom: atom(t, "other.gov"), Standing: policy.Living},
		{ID: contract.NewID(), Atom: atom(t, "b.a.near.gov"), Standing: policy.Rejected},
	})
	if diff := cmp.Diff([]contract.ID{below}, im.Covers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]contract.ID{above}, im.CoveredBy); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]policy.Protected{{"portal.near.gov", "an entity"}}, im.Near); diff != "" {
		t.Error(diff)
	}
	if im.Services != contract.DNS|contract.SMTP {
		t.Errorf("services %v", im.Services)
	}
	near := c.Impact(subject(t, "46.1.2.77"), nil, nil).Near
	if len(near) != 1 || near[0].Name != "46.1.2.8/29" {
		t.Errorf("near an address: %v", near)
	}
}

func TestChecked(t *testing.T) {
	c := checker(t, policy.Config{Lists: fewLists(t)})
	s := subject(t, "visited.com")
	checks := c.Checked(s, append(c.Technical(s, now), c.Privacy(s, now)...))
	var all []string
	for _, k := range checks {
		all = append(all, k.Code)
		if k.Did == "" || k.Title == "" {
			t.Errorf("%s does not say what it did", k.Code)
		}
	}
	if diff := cmp.Diff([]string{"PII", "V1", "V2", "V3", "V4", "V5", "V6", "V8", "V9"}, all); diff != "" {
		t.Error(diff)
	}
	day := time.Date(2026, 8, 11, 0, 0, 0, 0, time.UTC)
	if k := checks[2]; k.Lists != 4 || k.Entries != 5 || k.Found != 1 || !k.Oldest.Equal(day) || !k.Newest.Equal(day) {
		t.Errorf("warning lists: %+v", k)
	}
	if k := checks[3]; k.Lists < 10 || k.Entries < 200 || k.Newest.IsZero() {
		t.Errorf("built-in lists: %+v", k)
	}
	if k := checker(t, policy.Config{}).Checked(s, nil)[2]; k.Lists != 0 || !strings.Contains(k.Did, "no warning lists") {
		t.Errorf("without lists: %+v", k)
	}
}

// TestBuiltin: every entry of a built-in list stops a name or address of its own.
func TestBuiltin(t *testing.T) {
	c := checker(t, policy.Config{})
	lists := policy.Builtin()
	if len(lists) < 12 {
		t.Fatalf("%d lists", len(lists))
	}
	for _, l := range lists {
		if l.Entries == 0 || l.Date.IsZero() || l.Title == "" || l.Category != policy.OwnList || l.Severity != indicator.Stop {
			t.Errorf("%+v", l)
		}
	}
	for value, code := range map[string]string{
		"1.1.1.1": policy.CodeProtectedIP, "198.41.0.4": policy.CodeProtectedIP, "dns.google": policy.CodeProtected, "x.ocsp.digicert.com": policy.CodeProtected,
		"ntp.org": policy.CodeProtected, "detectportal.firefox.com": policy.CodeProtected, "security.debian.org": policy.CodeProtected, "google.com": policy.CodeProtected,
		"a.gtld-servers.net": policy.CodeProtected, "10.0.0.1": policy.CodeSpecialAddr, "x.onion": policy.CodeSpecialName, "tv.home.arpa": policy.CodeSpecialName,
		"f3322.net": policy.CodeShared,
	} {
		fs := c.Technical(subject(t, value), now)
		if len(fs) == 0 || fs[0].Code != code || fs[0].Severity != indicator.Stop {
			t.Errorf("%s: %v, want a stop by %s", value, fs, code)
		}
	}
	if fs := c.Technical(subject(t, "evil.google.com"), now); len(fs) > 0 {
		t.Errorf("a name below an apex of the short list: %v", fs)
	}
}

func TestListInfo(t *testing.T) {
	about := fewLists(t).About()
	var got []string
	for _, l := range about {
		got = append(got, l.Name+" "+string(l.Category)+" "+string(l.Severity))
	}
	want := []string{
		"cloudflare cdn stop", "cloudflare-top100k popular warn", "cloudflare-top200 popular stop", "dynamic-dns shared stop",
		"of-our-own uncategorized warn", "vpn-ipv4 vpn warn",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if about[1].Rank != 100_000 || about[2].Rank != 200 || about[0].Rank != 0 || about[0].Title != "a list" {
		t.Errorf("ranks and titles: %+v", about)
	}
	l, _, err := policy.LoadLists(fstest.MapFS{"vpn-x.json": {Data: []byte(`{"version":"x","type":"cidr","matching_attributes":["ip-dst"],"list":["45.1.0.0/16"]}`)}},
		map[string]indicator.Severity{"category:vpn": indicator.Stop})
	if err != nil {
		t.Fatal(err)
	}
	if i := l.About()[0]; i.Severity != indicator.Stop || !i.Date.IsZero() {
		t.Errorf("%+v", i)
	}
}

func TestScreen(t *testing.T) {
	s := subject(t, "https://evil-a.com/x?email=jane.doe@mail.example")
	s.Summary, s.Context = "sent to jane.doe@mail.example", "see below"
	s.Labels, s.References = []string{"apt", "victim +1 202 555 0143"}, []string{"https://vendor.example/report", "mail of Dr. Jane Doe"}
	es := policy.Screen(s)
	var fields []string
	for _, e := range es {
		fields = append(fields, e.Field+" "+e.Kind.String())
	}
	want := []string{"value query value", "summary mail address", "summary name", "label 2 telephone number", "reference 2 name"}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
	if got := policy.Redact(s.Summary, policy.InField(es, "summary")); got != "sent to [mail address removed]" {
		t.Errorf("redacted: %q", got)
	}
	n, ok := policy.Narrow(s.Atoms[0], policy.InField(es, "value"))
	if !ok || n.Value != "https://evil-a.com/x" {
		t.Errorf("narrowed: %+v", n)
	}
	if _, ok := policy.Narrow(observable.Atom{Kind: observable.Domain, Value: "evil-a.com"}, es); ok {
		t.Error("a name was narrowed")
	}
	c := checker(t, policy.Config{SamplePercent: -1})
	fs := c.Privacy(s, now)
	for i, f := range fs {
		e, ok := policy.ElementOf(f)
		if !ok || e != es[i] {
			t.Errorf("finding %+v gives %+v, want %+v", f, e, es[i])
		}
		if policy.InValue(f) != (e.Field == "value") {
			t.Errorf("%+v is in the value: %t", f, policy.InValue(f))
		}
	}
	two := subject(t, "evil-a.com")
	two.Atoms = append(two.Atoms, atom(t, "x17@evil-a.com"))
	if fs := c.Privacy(two, now); len(fs) != 1 || !policy.InValue(fs[0]) || !strings.HasPrefix(fs[0].Detail, "value 2: ") {
		t.Errorf("the second value: %+v", fs)
	}
}

// FuzzLoadLists: whatever a list's file holds, the other lists stay in force.
func FuzzLoadLists(f *testing.F) {
	f.Add([]byte(`{"name":"x","version":20260811,"type":"cidr","matching_attributes":["ip-dst"],"list":["45.1.2.0/24","::ffff:1.2.3.4/96"]}`))
	f.Add([]byte(`{"type":"regex","matching_attributes":["domain","url"],"list":["/(a+)+$/i","/[/","x"]}`))
	f.Add([]byte(`{"type":"substring","matching_attributes":["domain"],"list":["ab","abcdefgh",""]}`))
	f.Add([]byte(`{"version":{},"type":"hostname","matching_attributes":["domain"],"list":[".","..a","é.com"]}`))
	value, err := observable.FromValue("http://x.abcdefgh.com/ab")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, _, err := policy.LoadLists(fstest.MapFS{
			"a.json": {Data: body},
			"b.json": {Data: []byte(`{"type":"cidr","matching_attributes":["ip-dst"],"list":["46.1.2.0/24"]}`)},
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Check(observable.Atom{Kind: observable.Addr, Value: "46.1.2.3"})) == 0 {
			t.Fatal("the other list is lost")
		}
		l.Check(value)
		l.Check(observable.Atom{Kind: observable.Domain, Value: "x.abcdefgh.com"})
		l.About()
	})
}
