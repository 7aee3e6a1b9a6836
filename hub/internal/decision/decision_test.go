package decision

import (
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"

	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, words string) marking.Handling {
	t.Helper()
	h, err := marking.ParseHandling(words)
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return h
}

func cleared(t testing.TB, words string) marking.Clearance {
	t.Helper()
	c, err := marking.ParseClearance(words)
	if err != nil {
		t.Fatalf("%s: %v", words, err)
	}
	return c
}

func good(t testing.TB) (Object, Provider) {
	return Object{
		State: indicator.Released, Handling: parse(t, "U TLP:GREEN"), Services: contract.DNS, Enforce: true, Display: true, Notify: true,
		From: now.Add(-time.Hour), Until: now.Add(time.Hour), Authority: true, Privacy: indicator.NotPresent,
	}, Provider{
		ID: "alder", State: program.Operational, Services: contract.AllServices, Ceiling: contract.AmberStrict,
		Clearance: cleared(t, "S//SI REL USA TLP:AMBER+STRICT"),
	}
}

func TestDecide(t *testing.T) {
	all := Actions()
	hands := []Action{Receive, Export}
	handling := func(words string) func(*Object, *Provider) {
		return func(o *Object, _ *Provider) { o.Handling = parse(t, words) }
	}
	tests := []struct {
		name   string
		change func(*Object, *Provider)
		denied []Action
		code   Code
		text   string // in the reasons of the first that is denied
	}{
		{"all is well", func(*Object, *Provider) {}, nil, "", ""},
		{"no provider", func(_ *Object, p *Provider) { *p = Provider{} }, all, CodeProvider, "no such provider"},
		{"suspended keeps", func(_ *Object, p *Provider) { p.State = program.Suspended }, hands, CodeStanding, "SUSPENDED, not accredited"},
		{"terminating keeps nothing", func(_ *Object, p *Provider) { p.State = program.Terminating }, all, CodeStanding, "TERMINATING"},
		{"validated has nothing yet", func(_ *Object, p *Provider) { p.State = program.Validated }, all, CodeStanding, "VALIDATED"},
		{"withdrawn", func(_ *Object, p *Provider) { p.State, p.Withdrawn = program.Suspended, true }, all, CodeStanding, "SUSPENDED"},
		{"accredited tomorrow", func(_ *Object, p *Provider) { p.From = now.Add(time.Hour) }, hands, CodeBegins, "begins on 2026-11-22"},
		{"accredited until now", func(_ *Object, p *Provider) { p.To = now }, hands, CodeEnded, "ended on 2026-11-22"},
		{"another service", func(_ *Object, p *Provider) { p.Services = contract.SMTP }, all, CodeNotAccredited, "not accredited for the service"},
		{"cannot be observed", func(o *Object, _ *Provider) { o.Services = contract.NetFlow }, all, CodeUnobservable, "cannot observe"},
		{"above the ceiling", handling("U TLP:RED"), all, CodeCeiling, "TLP:RED is above the provider's ceiling TLP:AMBER+STRICT"},
		{"ceiling below the clearance", func(_ *Object, p *Provider) { p.Ceiling = contract.Clear }, all, CodeCeiling, "ceiling TLP:CLEAR"},
		{"top secret", handling("TS TLP:GREEN"), all, CodeClearance, "is below the level TS"},
		{"another compartment", handling("S//TK TLP:GREEN"), all, CodeClearance, "not read into TK"},
		{"secret", handling("S//SI TLP:GREEN"), nil, "", ""},
		{"another nation", handling("S TLP:GREEN REL GBR"), all, CodeClearance, "REL GBR"},
		{"never marked", func(o *Object, _ *Provider) { o.Handling = marking.Handling{} }, all, CodeMarking, "no marking"},
		{"alerts alone", handling("U TLP:GREEN PAP:AMBER"), []Action{Enforce}, CodeMarking, "PAP:AMBER forbids actions"},
		{"no use on the network", handling("U TLP:GREEN PAP:RED"), []Action{Receive, Detect, Enforce, Export}, CodeMarking, "PAP:RED forbids any use"},
		{"sealed", handling("U TLP:GREEN acs-dsply"), []Action{Show, Export}, CodeMarking, "ACS DSPLY"},
		{"nobody is told", handling("U TLP:GREEN acs-tenot"), []Action{Notify}, CodeMarking, "ACS TENOT"},
		{"by an unnamed source", handling("U TLP:GREEN acs-idsrc"), []Action{NameSource}, CodeMarking, "ACS IDSRC"},
		{"named to some", handling(`U TLP:GREEN acs-idsrc="only REL USA"`), nil, "", ""},
		{"not passed on", handling("U TLP:GREEN acs-les"), all, CodeMarking, "law enforcement"},
		{"its source says detect", func(o *Object, _ *Provider) { o.Enforce = false }, []Action{Enforce}, CodeSource, "for detection alone"},
		{"its source says seal", func(o *Object, _ *Provider) { o.Display = false }, []Action{Show, Export}, CodeSource, "displayed"},
		{"waits", func(o *Object, _ *Provider) { o.State = indicator.PendingFirst }, all, CodeState, "PENDING_FIRST"},
		{"recalled", func(o *Object, _ *Provider) { o.State = indicator.Revoked }, all, CodeState, "REVOKED"},
		{"expired", func(o *Object, _ *Provider) { o.State, o.Until = indicator.Expired, now }, all, CodeExpired, "over"},
		{"over", func(o *Object, _ *Provider) { o.Until = now }, all, CodeExpired, "over"},
		{"not begun", func(o *Object, _ *Provider) { o.From = now.Add(time.Minute) }, []Action{Detect, Enforce}, CodeEarly, "not begun"},
		{"no authority", func(o *Object, _ *Provider) { o.Authority = false }, hands, CodeAuthority, "authority"},
		{"undetermined", func(o *Object, _ *Provider) { o.Privacy = "" }, hands, CodePrivacy, "determination"},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			o, p := good(t)
			c.change(&o, &p)
			for _, a := range all {
				d := Decide(o, p, contract.DNS, a, now)
				if want := !slices.Contains(c.denied, a); d.Allowed != want {
					t.Errorf("%s: allowed %t: %s", a, d.Allowed, d.Text())
				}
			}
			if len(c.denied) == 0 {
				return
			}
			d := Decide(o, p, contract.DNS, c.denied[0], now)
			if !strings.Contains(d.Text(), c.text) || !slices.ContainsFunc(d.Reasons, func(r Reason) bool { return r.Code == c.code }) {
				t.Errorf("want %s with %q, got %+v", c.code, c.text, d.Reasons)
			}
		})
	}
}

func TestTerms(t *testing.T) {
	for _, c := range []struct {
		handling string
		want     Terms
	}{
		{"U TLP:GREEN", Terms{true, true, true, 3}},
		{"U TLP:GREEN PAP:AMBER", Terms{false, true, true, 2}},
		{"U TLP:GREEN PAP:RED", Terms{false, true, true, 2}},
		{"U TLP:GREEN acs-dsply acs-tenot", Terms{true, false, false, 2}},
		{`U TLP:GREEN acs-dsply="only REL USA"`, Terms{true, false, true, 2}},
		{"U TLP:RED", Terms{true, true, false, 0}},
	} {
		o, _ := good(t)
		o.Handling = parse(t, c.handling)
		if got := o.Terms(3, now); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.handling, got, c.want)
		}
	}
}

// pools of what counts, small enough that everything meets everything.
var (
	handlings  = []string{"U TLP:CLEAR", "U TLP:GREEN", "U TLP:AMBER PAP:AMBER", "U TLP:RED", "C TLP:AMBER", "S//SI TLP:GREEN", "TS TLP:RED", "U TLP:GREEN PAP:RED", "U TLP:GREEN REL GBR,USA", "U TLP:GREEN acs-dsply", `U TLP:GREEN acs-idsrc="only REL USA"`, "U TLP:AMBER acs-netdef", "U TLP:AMBER acs-tenot", "U TLP:AMBER acs-les", `U TLP:AMBER unknown="x"`, ""}
	clearances = []string{"U TLP:CLEAR", "U TLP:AMBER", "C TLP:RED", "S//SI TLP:RED", "TS//SI/TK REL USA TLP:RED", "U REL USA TLP:GREEN"}
)

// mostly draws the first value, so that not everything is denied for several reasons.
func mostly[T any](r *rapid.T, name string, values ...T) T {
	if rapid.IntRange(0, 7).Draw(r, name+"?") > 0 {
		return values[0]
	}
	return rapid.SampledFrom(values).Draw(r, name)
}

func objects(t testing.TB) *rapid.Generator[Object] {
	return rapid.Custom(func(r *rapid.T) Object {
		words := rapid.SampledFrom(handlings).Draw(r, "handling")
		var h marking.Handling
		if words != "" {
			h = parse(t, words)
		}
		return Object{
			State: mostly(r, "state", append([]indicator.State{indicator.Released, indicator.Approved, ""}, indicator.States...)...), Handling: h,
			Services: mostly(r, "observable", contract.AllServices, 0, 1, 2, 3, 4, 5, 6),
			Enforce:  mostly(r, "enforce", true, false), Display: mostly(r, "display", true, false), Notify: mostly(r, "notify", true, false),
			From: mostly(r, "from", now, now.Add(1)), Until: mostly(r, "until", now.Add(1), now),
			Authority: mostly(r, "authority", true, false),
			Privacy:   mostly(r, "privacy", indicator.NotPresent, indicator.Necessary, indicator.Removed, ""),
		}
	})
}

func providers(t testing.TB) *rapid.Generator[Provider] {
	return rapid.Custom(func(r *rapid.T) Provider {
		p := Provider{
			ID: mostly(r, "id", "alder", ""), State: mostly(r, "standing", append([]program.State{program.Operational, ""}, program.States...)...),
			Services: mostly(r, "accredited", contract.AllServices, 0, 1, 2, 3, 4, 5, 6), Ceiling: contract.TLP(rapid.IntRange(0, 4).Draw(r, "ceiling")),
			Clearance: cleared(t, rapid.SampledFrom(clearances).Draw(r, "clearance")), Withdrawn: mostly(r, "withdrawn", false, true),
		}
		if rapid.Bool().Draw(r, "dated") {
			p.From = now.Add(time.Duration(rapid.IntRange(-2, 1).Draw(r, "begins")) * time.Hour)
			p.To = now.Add(time.Duration(rapid.IntRange(-1, 2).Draw(r, "ends")) * time.Hour)
		}
		return p
	})
}

// oracle is the table of docs/formats/release.md, read line by line: slow and
// without a thought.
func oracle(o Object, p Provider, svc contract.Services, a Action, now time.Time) bool {
	if p.ID == "" || svc != 1 && svc != 2 && svc != 4 {
		return false
	}
	table := []struct {
		when []Action // nil: always
		ok   bool
	}{
		{[]Action{Receive, Export}, p.State == "ACCREDITED" || p.State == "OPERATIONAL"},
		{nil, p.State == "ACCREDITED" || p.State == "OPERATIONAL" || p.State == "SUSPENDED"},
		{nil, !p.Withdrawn},
		{[]Action{Receive, Export}, !now.Before(p.From) && (p.To.IsZero() || now.Before(p.To))},
		{nil, p.Services.Has(svc) && o.Services.Has(svc)},
		{nil, o.Handling.TLP() <= p.Ceiling},
		{nil, yes(o.Handling.Holds(p.Clearance))},
		{nil, o.State == "APPROVED" || o.State == "RELEASED" || o.State == "IN_FORCE"},
		{nil, o.Until.After(now)},
		{[]Action{Detect, Enforce}, !o.From.After(now)},
		{[]Action{Receive, Export}, o.Authority},
		{[]Action{Receive, Export}, o.Privacy != ""},
		{[]Action{Enforce}, o.Enforce},
		{[]Action{Show, Export}, o.Display},
		{[]Action{Notify}, o.Notify},
		{nil, o.Handling.MayFor(marking.Hold, p.Clearance, now).Yes},
		{nil, o.Handling.MayFor(marking.PassOn, p.Clearance, now).Yes},
		{[]Action{Receive, Detect, Enforce, Export}, o.Handling.MayFor(marking.Detect, p.Clearance, now).Yes},
		{[]Action{Enforce}, o.Handling.MayFor(marking.Enforce, p.Clearance, now).Yes},
		{[]Action{Show, Export}, o.Handling.MayFor(marking.Show, p.Clearance, now).Yes},
		{[]Action{Notify}, o.Handling.MayFor(marking.Notify, p.Clearance, now).Yes},
		{[]Action{NameSource}, o.Handling.MayFor(marking.NameSource, p.Clearance, now).Yes},
	}
	for _, line := range table {
		if (line.when == nil || slices.Contains(line.when, a)) && !line.ok {
			return false
		}
	}
	return a <= Export
}

func yes(ok bool, _ string) bool { return ok }

func TestEqualsTheTable(t *testing.T) {
	allowed := 0
	rapid.Check(t, func(r *rapid.T) {
		o, p := objects(t).Draw(r, "object"), providers(t).Draw(r, "provider")
		for svc := contract.Services(0); svc < 9; svc++ {
			for a := Receive; a <= actions; a++ {
				d := Decide(o, p, svc, a, now)
				if d.Allowed != oracle(o, p, svc, a, now) {
					r.Fatalf("%s for %s: %+v", a, svc, d)
				}
				if d.Allowed == (len(d.Reasons) > 0) || slices.ContainsFunc(d.Reasons, func(x Reason) bool { return x.Code == "" || x.Text == "" }) {
					r.Fatalf("%s for %s: allowed %t with reasons %q", a, svc, d.Allowed, d.Reasons)
				}
				if d.Allowed {
					allowed++
				}
				if a != Hold && a < actions && d.Allowed && !Decide(o, p, svc, Hold, now).Allowed {
					r.Fatalf("%s without hold", a)
				}
			}
		}
	})
	if allowed == 0 {
		t.Error("nothing was ever allowed")
	}
}

// TestMonotone: whatever is made stricter, nothing more is allowed.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o, p := objects(t).Draw(r, "object"), providers(t).Draw(r, "provider")
		stricter, lower := o, p
		stricter.Handling = o.Handling.Join(objects(t).Draw(r, "more").Handling)
		lower.Services &= contract.Services(rapid.IntRange(0, 7).Draw(r, "fewer"))
		lower.Ceiling = min(p.Ceiling, contract.TLP(rapid.IntRange(0, 4).Draw(r, "lower")))
		if c := cleared(t, rapid.SampledFrom(clearances).Draw(r, "other")); p.Clearance.Covers(c) {
			lower.Clearance = c
		}
		for _, svc := range contract.AllServices.Each() {
			for _, a := range Actions() {
				if Decide(stricter, lower, svc, a, now).Allowed && !Decide(o, p, svc, a, now).Allowed {
					r.Fatalf("%s for %s only when stricter: %s → %s", a, svc, o.Handling, stricter.Handling)
				}
			}
		}
		a, b := o.Terms(3, now), stricter.Terms(3, now)
		if b.Enforce && !a.Enforce || b.Display && !a.Display || b.Notify && !a.Notify || b.Disclosure > a.Disclosure {
			r.Fatalf("%+v when stricter than %+v", b, a)
		}
	})
}

// TestTermsPromiseNoMore: what an object says to every provider is allowed to each
// that may hold it.
func TestTermsPromiseNoMore(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		o, p := objects(t).Draw(r, "object"), providers(t).Draw(r, "provider")
		if !Decide(o, p, contract.DNS, Detect, now).Allowed {
			return
		}
		says := o.Terms(3, now)
		for a, said := range map[Action]bool{Enforce: says.Enforce, Show: says.Display, Notify: says.Notify} {
			if d := Decide(o, p, contract.DNS, a, now); said && !d.Allowed {
				r.Fatalf("the object says %s: %s", a, d.Text())
			}
		}
	})
}

func BenchmarkDecide(b *testing.B) {
	o, p := good(b)
	o.Handling = parse(b, "U TLP:AMBER PAP:AMBER REL GBR,USA acs-dsply")
	b.ReportAllocs()
	for b.Loop() {
		Decide(o, p, contract.DNS, Receive, now)
	}
}
