package observable

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"ecs/contract"
	"ecs/stix/pattern"
	"ecs/stix/pattern/match"
)

func TestAnalyze(t *testing.T) {
	hash := "file:hashes.MD5 = '" + md5Hex + "'"
	for _, c := range []struct {
		name, in, pattern, reason string
		atoms                     []Atom
		rest                      []string // of each bracket, "" if none
		temporal                  bool
		why                       map[contract.Services]string // first cause
	}{
		{
			"a name that must also look so", "[domain-name:value = 'A.example' AND domain-name:value LIKE 'a%']",
			"[domain-name:value = 'a.example' AND domain-name:value LIKE 'a%']", "only address, port and protocol",
			[]Atom{{Kind: Domain, Value: "a.example"}},
			[]string{"domain-name:value = 'a.example' AND domain-name:value LIKE 'a%'"},
			false,
			map[contract.Services]string{contract.DNS: "LIKE is not done", contract.NetFlow: "netflow does not see domain-name:value"},
		},
		{
			"the rarer one selects", "[file:name = 'A.EXE' AND " + hash + " AND file:size > 5]",
			"[file:name = 'a.exe' AND " + hash + " AND file:size > 5]", "only address",
			[]Atom{{Kind: MD5, Value: md5Hex}},
			[]string{"file:name = 'a.exe' AND " + hash + " AND file:size > 5"},
			false,
			map[contract.Services]string{contract.SMTP: "smtp does not see file:size", contract.DNS: "dns does not see file:name"},
		},
		{
			"alternatives select together", "[(url:value = 'http://a.example' OR url:value = 'http://b.example') AND url:value MATCHES 'x']",
			"[(url:value = 'http://a.example/' OR url:value = 'http://b.example/') AND url:value MATCHES 'x']", "joined by AND",
			[]Atom{{Kind: URL, Value: "http://a.example/"}, {Kind: URL, Value: "http://b.example/"}},
			[]string{"(url:value = 'http://a.example/' OR url:value = 'http://b.example/') AND url:value MATCHES 'x'"},
			false, nil,
		},
		{
			"nothing selects", "[url:value MATCHES 'evil']", "[url:value MATCHES 'evil']", "MATCHES is not done",
			nil,
			[]string{"url:value MATCHES 'evil'"},
			false, nil,
		},
		{
			"one alternative does not select", "[url:value = 'http://a.example/' OR url:value LIKE '%x']", "[url:value = 'http://a.example/' OR url:value LIKE '%x']", "LIKE",
			nil,
			[]string{"url:value = 'http://a.example/' OR url:value LIKE '%x'"},
			false, nil,
		},
		{
			"brackets over time", "[domain-name:value = 'b.example' OR domain-name:value = 'a.example'] FOLLOWEDBY [" + hash + "] WITHIN 5 SECONDS",
			"[domain-name:value IN ('a.example', 'b.example')] FOLLOWEDBY [" + hash + "] WITHIN 5 SECONDS", "no memory",
			[]Atom{{Kind: Domain, Value: "a.example"}, {Kind: Domain, Value: "b.example"}, {Kind: MD5, Value: md5Hex}},
			[]string{"", ""},
			true,
			map[contract.Services]string{contract.DNS: "dns does not see file:hashes.MD5", contract.SMTP: "no memory", contract.NetFlow: "netflow does not see domain-name:value"},
		},
		{
			"or of brackets", "[domain-name:value = 'a.example'] OR [url:value LIKE '%x']", "[domain-name:value = 'a.example'] OR [url:value LIKE '%x']", "LIKE",
			[]Atom{{Kind: Domain, Value: "a.example"}},
			[]string{"", "url:value LIKE '%x'"},
			false, nil,
		},
		{
			"ends of a flow", "[network-traffic:src_ref.value = '192.0.2.1' AND network-traffic:dst_ref.value = '198.51.100.1/32']",
			"[network-traffic:src_ref.value = '192.0.2.1' AND network-traffic:dst_ref.value = '198.51.100.1']", "one end",
			[]Atom{{Kind: Addr, Value: "192.0.2.1"}},
			[]string{"network-traffic:src_ref.value = '192.0.2.1' AND network-traffic:dst_ref.value = '198.51.100.1'"},
			false,
			map[contract.Services]string{contract.NetFlow: "one end of a flow"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := Analyze(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if a.Services != 0 || a.Residual == nil || a.Reason == nil {
				t.Fatalf("services %s, residual %v, reason %v", a.Services, a.Residual, a.Reason)
			}
			if diff := cmp.Diff(Compiled{Pattern: c.pattern, Atoms: c.atoms}, a.Compiled); diff != "" {
				t.Error(diff)
			}
			if !strings.Contains(a.Reason.Error(), c.reason) {
				t.Errorf("reason %v", a.Reason)
			}
			var rest []string
			for _, g := range a.Residual.Groups {
				if g.Rest == nil {
					rest = append(rest, "")
				} else {
					rest = append(rest, pattern.Write(g.Rest))
				}
			}
			if diff := cmp.Diff(c.rest, rest); diff != "" || a.Residual.Temporal != c.temporal {
				t.Errorf("temporal %v; %s", a.Residual.Temporal, diff)
			}
			for s, why := range c.why {
				u := a.Unobservable(s)
				if u == nil || !strings.Contains(u.Why, why) {
					t.Errorf("%s: got %v, want %q", s, u, why)
				}
			}
			_, err = Compile(c.in)
			var cannot *Unobservable
			if !errors.As(err, &cannot) || *cannot != *a.Reason {
				t.Errorf("Compile says %v, Analyze %v", err, a.Reason)
			}
		})
	}
}

func TestAnalyzeExact(t *testing.T) {
	a, err := Analyze("[url:value = 'http://a.example' OR ipv4-addr:value = '192.0.2.1']")
	if err != nil {
		t.Fatal(err)
	}
	if a.Residual != nil || a.Reason != nil || a.Services != contract.SMTP|contract.NetFlow {
		t.Errorf("got %+v", a)
	}
	u := a.Unobservable(contract.SMTP)
	if u == nil || u.Part != "ipv4-addr:value = '192.0.2.1'" {
		t.Errorf("of the address smtp says %v", u)
	}
	a, err = Analyze("[domain-name:value = 'a.example']")
	if err != nil {
		t.Fatal(err)
	}
	if u := a.Unobservable(contract.DNS); u != nil {
		t.Error(u)
	}
	if u := a.Unobservable(contract.NetFlow); u == nil {
		t.Error("netflow sees names")
	}
}

// What passes no door for its length, or has too many values, is said so.
func TestAnalyzeTooMuch(t *testing.T) {
	long := "[url:value IN ('http://a.example/" + strings.Repeat("a", 4000) + "', 'http://b.example/" + strings.Repeat("a", 4000) + "', 'http://c.example/" + strings.Repeat("a", 4000) + "')]"
	many := "[network-traffic:dst_port IN (1" + strings.Repeat(",1", MaxAtoms) + ")]"
	for in, want := range map[string]struct {
		why   string
		exact bool
	}{long: {"split it", true}, many: {"more than 1000", false}} {
		a, err := Analyze(in)
		if err != nil {
			t.Fatal(err)
		}
		if (a.Residual == nil) != want.exact || a.Services != 0 || a.Reason == nil || !strings.Contains(a.Reason.Why, want.why) {
			t.Errorf("%.30s: %v, %v", in, a.Services, a.Reason)
		}
		for _, s := range contract.AllServices.Each() {
			if a.Unobservable(s) == nil {
				t.Errorf("%.30s: %s can honor it", in, s)
			}
		}
	}
}

// What selects nothing is evaluated within a budget, or not at all.
func TestResidualBudget(t *testing.T) {
	scan := "[url:value LIKE '%x']"
	a, err := Analyze(strings.TrimSuffix(strings.Repeat(scan+" OR ", MaxScans+1), " OR "))
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range a.Residual.Groups {
		if (g.Why != nil) != (i >= MaxScans) {
			t.Errorf("bracket %d: %v", i, g.Why)
		}
	}
	page := &thing{members: map[string]any{"type": "url", "value": "http://a.example/" + strings.Repeat("a", 4000) + "x"}}
	g := &a.Residual.Groups[0]
	_, err = g.Holds(page, 10)
	var over *match.BudgetError
	if !errors.As(err, &over) {
		t.Errorf("10 steps: got %v, want a BudgetError", err)
	}
	ok, err := g.Holds(page, enough)
	if err != nil || !ok {
		t.Errorf("got %v, %v", ok, err)
	}
	g = &a.Residual.Groups[MaxScans]
	ok, err = g.Holds(page, enough)
	if err != nil || ok {
		t.Errorf("a group that is not evaluated: got %v, %v", ok, err)
	}
	a, err = Analyze(`[url:value = 'http://a.example/' AND url:value MATCHES '(a)\\1']`)
	if err != nil {
		t.Fatal(err)
	}
	if why := a.Residual.Groups[0].Why; why == nil || !strings.Contains(why.Why, "back references") {
		t.Errorf("got %v", why)
	}
}

// Names below a name, and other spellings, are covered as by atoms.
func TestResidualSpelling(t *testing.T) {
	a, err := Analyze("[domain-name:value = 'A.Example.' AND domain-name:value NOT IN ('www.a.example') AND domain-name:value LIKE '%e']")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"a.example": true, "X.a.example": true, "www.a.example": false, "y.www.a.example": false, "ba.example": false} {
		got, err := a.Residual.Groups[0].Holds(&thing{members: map[string]any{"type": "domain-name", "value": name}}, enough)
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func FuzzAnalyze(f *testing.F) {
	for _, s := range []string{
		"[domain-name:value = 'a.example']",
		"[domain-name:value = 'A.example' AND domain-name:value LIKE 'a%']",
		"[url:value MATCHES 'a+'] AND [ipv4-addr:value ISSUBSET '192.0.2.9/24'] REPEATS 3 TIMES",
		"([file:hashes.'SHA-256' = '" + sha256Hex + "' AND file:size > 1.5] FOLLOWEDBY [network-traffic:src_ref.value IN ('192.0.2.1/24', 'x')]) WITHIN 5 SECONDS",
		"[email-message:from_ref.value = 'A@B.example' OR EXISTS email-message:subject]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		a, err := Analyze(in)
		strict, serr := Compile(in)
		if err != nil {
			if serr == nil {
				t.Fatalf("%q: Compile takes it, Analyze says %v", in, err)
			}
			return
		}
		var cannot *Unobservable
		if (serr == nil) != (a.Reason == nil) || serr != nil && !errors.As(serr, &cannot) {
			t.Fatalf("%q: Compile says %v, Analyze %v", in, serr, a.Reason)
		}
		if a.Reason == nil {
			if diff := cmp.Diff(strict, a.Compiled); diff != "" {
				t.Fatal(diff)
			}
			return
		}
		if a.Services != 0 {
			t.Fatalf("%q: services %s", in, a.Services)
		}
		for _, s := range contract.AllServices.Each() {
			if a.Unobservable(s) == nil {
				t.Fatalf("%q: %s can honor what nobody can", in, s)
			}
		}
		p, err := pattern.Limits{Bytes: 64 << 20, Nodes: 10_000_000}.Parse(a.Pattern)
		if err != nil {
			t.Fatalf("%q became %q: %v", in, a.Pattern, err)
		}
		if p.String() != a.Pattern {
			t.Fatalf("%q became %q, printed as %q", in, a.Pattern, p)
		}
		again, err := Analyze(a.Pattern)
		if err == nil && again.Pattern != a.Pattern {
			t.Fatalf("%q became %q and then %q", in, a.Pattern, again.Pattern)
		}
		page := &thing{members: map[string]any{"type": "url", "value": "http://a.example/"}}
		for i := range groups(a.Residual) {
			_, _ = a.Residual.Groups[i].Holds(page, 1000)
		}
	})
}

func groups(r *Residual) []Group {
	if r == nil {
		return nil
	}
	return r.Groups
}

func BenchmarkAnalyze(b *testing.B) {
	for name, in := range map[string]string{
		"exact":    "[domain-name:value = 'evil.example']",
		"residual": "[domain-name:value = 'evil.example' AND domain-name:value LIKE 'e%']",
		"temporal": "[domain-name:value = 'evil.example'] FOLLOWEDBY [url:value = 'http://evil.example/'] WITHIN 300 SECONDS",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := Analyze(in)
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHolds(b *testing.B) {
	page := &thing{members: map[string]any{"type": "url", "value": "http://evil.example/gate.php?id=1"}}
	for name, in := range map[string]string{
		"like":    "[url:value = 'http://evil.example/gate.php?id=1' AND url:value LIKE '%.php%']",
		"matches": "[url:value = 'http://evil.example/gate.php?id=1' AND url:value MATCHES 'gate[.]php.id=[0-9]+$']",
	} {
		b.Run(name, func(b *testing.B) {
			a, err := Analyze(in)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				ok, err := a.Residual.Groups[0].Holds(page, enough)
				if err != nil || !ok {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
