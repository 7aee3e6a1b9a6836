package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func checker(t testing.TB, cfg policy.Config) *policy.Checker {
	t.Helper()
	c, err := policy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func subject(t testing.TB, value string) *policy.Subject {
	t.Helper()
	a, err := observable.FromValue(value)
	if err != nil {
		t.Fatal(err)
	}
	return &policy.Subject{Pattern: observable.Pattern(a), Atoms: []observable.Atom{a}, Services: a.Kind.Services()}
}

func codes(fs []indicator.Finding) []string {
	var out []string
	for _, f := range fs {
		out = append(out, string(f.Severity)+" "+f.Code)
	}
	return out
}

func TestTechnical(t *testing.T) {
	own := []policy.Protected{{"hospital.gov", "customer"}, {"9.8.7.0/24", "customer's range"}}
	tests := []struct {
		value      string
		want, demo []string // nil: clean
	}{
		{"evil-example-name.com", nil, nil},
		{"a.b.example", []string{"stop V3-SPECIAL-USE-NAME"}, nil},
		{"example.com", []string{"stop V3-SPECIAL-USE-NAME"}, nil},
		{"www.test", []string{"stop V3-SPECIAL-USE-NAME"}, nil},
		{"x.localhost", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"x.invalid", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"abc.onion", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"abc.alt", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"tv.home.arpa", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"srv.internal", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"1.2.0.192.in-addr.arpa", []string{"stop V3-SPECIAL-USE-NAME"}, []string{"stop V3-SPECIAL-USE-NAME"}},
		{"co.uk", []string{"stop V3-PUBLIC-SUFFIX"}, []string{"stop V3-PUBLIC-SUFFIX"}},
		{"github.io", []string{"stop V3-PUBLIC-SUFFIX"}, []string{"stop V3-PUBLIC-SUFFIX"}},
		{"evil.github.io", nil, nil},
		{"host.nosuchtld", []string{"warn V3-UNKNOWN-TLD"}, []string{"warn V3-UNKNOWN-TLD"}},
		{"hospital.gov", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"mail.hospital.gov", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"nothospital.gov", nil, nil},
		{"pki.goog", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"digicert.com", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}}, // above ocsp.digicert.com
		{"2.pool.ntp.org", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"a.root-servers.net", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"45.1.2.3", nil, nil},
		{"10.1.2.3", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"192.0.2.1", []string{"stop V3-SPECIAL-ADDRESS"}, nil},
		{"198.51.100.0/24", []string{"stop V3-SPECIAL-ADDRESS"}, nil},
		{"198.51.100.0/23", []string{"stop V4-BROAD-PREFIX", "stop V3-SPECIAL-ADDRESS"}, []string{"stop V4-BROAD-PREFIX", "stop V3-SPECIAL-ADDRESS"}},
		{"224.0.0.251", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"255.255.255.255", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"2001:db8::1", []string{"stop V3-SPECIAL-ADDRESS"}, nil},
		{"2a00:1450::1", nil, nil},
		{"fe80::1", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"64:ff9b::1", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"45.0.0.0/16", []string{"stop V4-BROAD-PREFIX"}, []string{"stop V4-BROAD-PREFIX"}},
		{"2a00:1450::/32", []string{"stop V4-BROAD-PREFIX"}, []string{"stop V4-BROAD-PREFIX"}},
		{"2a00:1450::/48", nil, nil},
		{"198.41.0.4", []string{"stop V3-PROTECTED-ADDRESS"}, []string{"stop V3-PROTECTED-ADDRESS"}},
		{"8.8.8.0/24", []string{"stop V3-PROTECTED-ADDRESS"}, []string{"stop V3-PROTECTED-ADDRESS"}},
		{"9.8.7.200", []string{"stop V3-PROTECTED-ADDRESS"}, []string{"stop V3-PROTECTED-ADDRESS"}},
		{"443/tcp", []string{"stop V4-PORT-ALONE"}, []string{"stop V4-PORT-ALONE"}},
		{"8080/tcp", []string{"stop V4-PORT-ALONE"}, []string{"stop V4-PORT-ALONE"}},
		{"50000/udp", []string{"stop V4-PORT-ALONE"}, []string{"stop V4-PORT-ALONE"}},
		{"4444/tcp", []string{"warn V4-PORT-ALONE"}, []string{"warn V4-PORT-ALONE"}},
		{"http://10.0.0.1/x", []string{"stop V3-SPECIAL-ADDRESS"}, []string{"stop V3-SPECIAL-ADDRESS"}},
		{"http://a.example/x", []string{"stop V3-SPECIAL-USE-NAME"}, nil},
		{"https://www.hospital.gov/", []string{"stop V3-PROTECTED-NAME"}, []string{"stop V3-PROTECTED-NAME"}},
		{"https://www.hospital.gov/wp-content/x.exe", []string{"warn V3-PROTECTED-NAME"}, []string{"warn V3-PROTECTED-NAME"}},
		{"a@hospital.gov", []string{"warn V3-PROTECTED-NAME"}, []string{"warn V3-PROTECTED-NAME"}},
		{"a@x.example", []string{"stop V3-SPECIAL-USE-NAME"}, nil},
	}
	for _, demo := range []bool{false, true} {
		c := checker(t, policy.Config{Demonstration: demo, Protected: own})
		for _, tt := range tests {
			t.Run(fmt.Sprintf("%s/demonstration=%t", tt.value, demo), func(t *testing.T) {
				want := tt.want
				if demo {
					want = tt.demo
				}
				if diff := cmp.Diff(want, codes(c.Technical(subject(t, tt.value), now))); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

func TestFitFreshnessCorroboration(t *testing.T) {
	c := checker(t, policy.Config{})
	s := subject(t, "45.1.2.3")
	s.Action, s.Observed, s.Reliability = contract.Sinkhole, now.AddDate(0, 0, -91), "E"
	want := []string{"warn V1-ACTION-FIT", "stop V5-STALE", "warn V6-ONE-WEAK-SOURCE"}
	if diff := cmp.Diff(want, codes(c.Technical(s, now))); diff != "" {
		t.Error(diff)
	}
	s.Action, s.Observed, s.Reliability = contract.Alert, now.Add(2*time.Hour), "B"
	if diff := cmp.Diff([]string{"warn V5-OBSERVED-IN-FUTURE"}, codes(c.Technical(s, now))); diff != "" {
		t.Error(diff)
	}
}

func TestValidity(t *testing.T) {
	c := checker(t, policy.Config{})
	days := func(n int) time.Time { return now.Add(time.Duration(n) * 24 * time.Hour) }
	tests := []struct {
		value       string
		from, until time.Time
		want        time.Time
		cut         bool
	}{
		{"45.1.2.3", now, time.Time{}, days(30), false},
		{"45.1.2.3", now, days(91), days(90), true},
		{"45.1.2.3", days(-300), days(60), days(60), false},
		{"45.1.2.3", days(10), days(120), days(100), true},
		{"evil.com", now, time.Time{}, days(90), false},
		{"evil.com", now, days(365), days(180), true},
		{"a@evil.com", now, time.Time{}, days(14), false},
		{"a@evil.com", now, days(365), days(60), true},
		{strings.Repeat("a", 64), now, time.Time{}, days(365), false},
		{strings.Repeat("a", 64), now, days(3650), days(365), true},
	}
	for _, tt := range tests {
		t.Run(tt.value+" "+tt.until.Format(time.DateOnly), func(t *testing.T) {
			got, cut := c.Validity(subject(t, tt.value).Atoms, tt.from, tt.until, now)
			if !got.Equal(tt.want) || (cut != "") != tt.cut {
				t.Errorf("got %v (%q), want %v", got, cut, tt.want)
			}
		})
	}
}

func TestPrivacyText(t *testing.T) {
	c := checker(t, policy.Config{SamplePercent: -1})
	tests := []struct {
		text string
		want []string
	}{
		{"C2 server of the family, seen on 2024-03-15 12:30:45 by two sensors", nil},
		{"version 10.0.19045.4046, build 123-45-6789a", nil},
		{"sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", nil},
		{"id 7f3b0c1e-1234-4567-8901-123456789012", nil},
		{"addresses 192.0.2.1, 198.51.100.200 and 2001:db8::2021", nil},
		{"ports 1000-2000 and 1024, 4444; 555-12-3456-7890", nil},
		{"AS64496 CVE-2024-123456 MS17-010 T1059.001", nil},
		{"C:\\Users\\Public\\evil.exe and /home/user/x and C:\\Users\\%USERNAME%\\a", nil},
		{"path /usr/lib/x, C:\\Windows\\Temp\\x.dll", nil},
		{"price 1,234,567,890 bytes 1718236800", nil},
		{"sent by jane.doe@mail.example", []string{"PII-MAIL-ADDRESS", "PII-NAME"}},
		{"sent by x17[at]mail[.]example", []string{"PII-MAIL-ADDRESS"}},
		{"contact noreply@mail.example", []string{"PII-MAIL-ADDRESS"}},
		{"call +1 202 555 0143 now", []string{"PII-PHONE"}},
		{"call (202) 555-0143.", []string{"PII-PHONE"}},
		{"Tel. +49 30 1234567", []string{"PII-PHONE"}},
		{"SSN 536-90-4399 in the lure", []string{"PII-NATIONAL-ID"}},
		{"social security 536904399", []string{"PII-NATIONAL-ID"}},
		{"000-12-3456 666-12-3456 900-12-3456 123-00-3456 123-45-0000 078-05-1120", nil},
		{"NI number QQ 12 34 56 C is an example; AB 12 34 56 C is not", []string{"PII-NATIONAL-ID"}},
		{"IBAN GB82 WEST 1234 5698 7654 32", []string{"PII-NATIONAL-ID"}},
		{"IBAN GB82 WEST 1234 5698 7654 33", nil},
		{`drops C:\Users\jdoe\AppData\x.exe`, []string{"PII-USER-PATH"}},
		{`drops "/home/jdoe/.ssh/id" there`, []string{"PII-USER-PATH"}},
		{`/Users/jdoe/Library`, []string{"PII-USER-PATH"}},
		{"link hxxps://evil[.]example/?email=victim", nil},
		{"link hxxps://evil[.]example/?email=j.doe", []string{"PII-URL-QUERY"}},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			for _, where := range []string{"summary", "context"} {
				s := subject(t, "evil.com")
				if where == "summary" {
					s.Summary = tt.text
				} else {
					s.Context = tt.text
				}
				var got []string
				for _, f := range c.Privacy(s, now) {
					if f.Severity != indicator.Stop || !indicator.IsPrivacy(f.Code) || strings.Contains(f.Detail, "doe") {
						t.Errorf("finding %+v", f)
					}
					got = append(got, f.Code)
				}
				slices.Sort(got)
				if diff := cmp.Diff(tt.want, slices.Compact(got)); diff != "" {
					t.Errorf("in %s:\n%s", where, diff)
				}
			}
		})
	}
}

func TestPrivacyValue(t *testing.T) {
	c := checker(t, policy.Config{SamplePercent: -1})
	tests := []struct {
		value string
		want  []string
	}{
		{"evil.com", nil},
		{"45.1.2.3", nil},
		{"x17@evil.com", []string{"PII-MAIL-ADDRESS"}},
		{"jane.doe@evil.com", []string{"PII-MAIL-ADDRESS", "PII-NAME"}},
		{"https://evil.com/a?b=c&t=1718236800&v=1.2.3", nil},
		{"https://evil.com/a?e=jane%40mail.com", []string{"PII-URL-QUERY"}},
		{"https://evil.com/a?e=amFuZS5kb2VAbWFpbC5jb20", []string{"PII-URL-QUERY"}},
		{"https://evil.com/a?customer_id=4711", []string{"PII-URL-QUERY"}},
		{"https://evil.com/a?x=4711081500", []string{"PII-URL-QUERY"}},
		{"https://evil.com/a?x=536-90-4399", []string{"PII-URL-QUERY"}},
		{"https://evil.com/u/jane@mail.com/x", []string{"PII-MAIL-ADDRESS"}},
		{"https://evil.com/@handle/x", nil},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			var got []string
			for _, f := range c.Privacy(subject(t, tt.value), now) {
				got = append(got, f.Code)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSample(t *testing.T) {
	c := checker(t, policy.Config{})
	n := 0
	for i := range 10_000 {
		s := subject(t, fmt.Sprintf("host%d.evil.com", i))
		fs := c.Privacy(s, now)
		if len(fs) == 1 && fs[0].Code == policy.CodeSample {
			n++
		}
		if c.Sampled(s.Pattern) != (len(fs) == 1) {
			t.Fatal("the sample is not the same on every run")
		}
	}
	if n < 400 || n > 600 {
		t.Errorf("%d of 10,000 sampled, want about 500", n)
	}
}

func TestPrintable(t *testing.T) {
	tests := []struct {
		in, want string
		limit    int
	}{
		{"plain é", "plain é", 100},
		{"a\x00b\x1b[31m\nc\u202ed\xff", `a\u{0}b\u{1b}[31m\nc\u{202e}d\xff`, 100},
		{strings.Repeat("x", 20), "xxxxxxx…", 10},
		{"ééééé", "ééé…", 9},
	}
	for _, tt := range tests {
		got := policy.Printable(tt.in, tt.limit)
		if got != tt.want || len(got) > tt.limit {
			t.Errorf("Printable(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzPrivacy(f *testing.F) {
	f.Add("https://evil.com/?e=a%40b.com", "call +1 202 555 0143 or j.doe@x.example", `C:\Users\x\`)
	f.Add("a.example", "536-90-4399", "GB82 WEST 1234 5698 7654 32")
	c := checker(f, policy.Config{})
	f.Fuzz(func(t *testing.T, value, summary, context string) {
		a, err := observable.FromValue(value)
		if err != nil {
			return
		}
		s := &policy.Subject{Pattern: observable.Pattern(a), Atoms: []observable.Atom{a}, Services: a.Kind.Services(), Summary: summary, Context: context}
		first := c.Privacy(s, now)
		if diff := cmp.Diff(first, c.Privacy(s, now)); diff != "" {
			t.Error("the same item gives other reasons:", diff)
		}
		for _, fi := range append(first, c.Technical(s, now)...) {
			if len(fi.Detail) > 400 || strings.ContainsAny(fi.Detail, "\x00\n") {
				t.Errorf("finding %q cannot be shown", fi.Detail)
			}
		}
	})
}
