package release

import (
	"database/sql"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// Words that stand nowhere but above the line.
const (
	canaryContext   = "SNOWGLOBE"
	canarySummary   = "kestrelvale"
	canaryLabel     = "apt-ivory-lantern"
	canaryReference = "report-77-zulu"
	canaryOriginal  = "originatorword"
)

// upper gives a released item that is TLP:AMBER, with canaries in every text.
func (w *world) upper(t *testing.T) contract.ID {
	t.Helper()
	id := w.item(t, indicator.PendingFirst, func(it *indicator.Item) {
		it.TLP = contract.Amber
		it.Summary, it.Context, it.Labels = "phishing kit of "+canarySummary, "operation "+canaryContext+" seen at a ministry", canaryLabel
	})
	must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
		w.exec(t, tx, `UPDATE item_source SET reference = $2, original = $3 WHERE number = (SELECT number FROM item WHERE id = $1)`,
			id.String(), canaryReference, "a,line,with,"+canaryOriginal)
		return nil
	}))
	must(t, w.desk.First(t.Context(), ann, Ref{ID: id}, why))
	_, err := w.desk.Second(t.Context(), bob, Ref{ID: id}, why, []Target{{"alpha", contract.DNS}})
	must(t, err)
	return id
}

var (
	hal    = signin.Account{Login: "hal", Person: "Hal", Roles: []string{"gfi_officer"}, Scope: "other"}
	gilPMO = signin.Account{Login: "gil.pmo", Person: "Gil", Roles: []string{"pmo_analyst", "release_authority"}}
	eve    = signin.Account{Login: "eve", Person: "Eve", Roles: []string{"pmo_analyst"}}
)

// The way below a tear line: drafted, consented by the source, read by a second
// person, approved by two more; and nothing from above is in what leaves.
func TestTearLine(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
			for _, a := range []signin.Account{hal, gilPMO, eve} {
				w.exec(t, tx, `INSERT INTO account (login, person, roles, scope, password, created) VALUES ($1, $2, $3, $4, '', 0)`,
					a.Login, a.Person, strings.Join(a.Roles, ","), a.Scope)
			}
			return nil
		}))
		origin := w.upper(t)
		line := TearLine{Markings: []string{"TLP:GREEN"}, Category: contract.Phishing, Action: contract.Alert, Confidence: 60, Disclosure: 1, Summary: "a phishing site"}
		for name, c := range map[string]struct {
			change func(*TearLine)
			reason string
			want   error
		}{
			"not lower":           {func(l *TearLine) { l.Markings = []string{"TLP:AMBER"} }, why, ErrTear},
			"higher":              {func(l *TearLine) { l.Markings = []string{"TLP:RED"} }, why, ErrTear},
			"no marking":          {func(l *TearLine) { l.Markings = nil }, why, ErrTear},
			"a marking unknown":   {func(l *TearLine) { l.Markings = []string{"TLP:GREEN", "EYES-ONLY"} }, why, ErrTear},
			"a reason that tells": {func(*TearLine) {}, "the ministry was hit by " + canaryContext, ErrTear},
		} {
			l := line
			c.change(&l)
			_, err := w.desk.Tear(ctx, dave, Ref{ID: origin}, l, c.reason)
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, canary := range []string{canaryContext, canarySummary, canaryLabel, canaryReference, canaryOriginal, strings.ToLower(canaryContext), "nsa"} {
			l := line
			l.Summary = "a phishing site, see " + canary
			id, err := w.desk.Tear(ctx, dave, Ref{ID: origin}, l, why)
			must(t, err)
			err = w.desk.Consent(ctx, gil, Ref{ID: id}, []string{"pattern"}, why)
			if !errors.Is(err, ErrTear) {
				t.Errorf("the canary %s passed: %v", canary, err)
			}
			must(t, w.desk.RejectFor(ctx, ann, Ref{ID: id}, Why{Code: Unmarked}))
		}

		id, err := w.desk.Tear(ctx, dave, Ref{ID: origin}, line, why)
		must(t, err)
		steps := []struct {
			name string
			act  func() error
			want error
		}{
			{"approved without consent", func() error { return w.desk.First(ctx, ann, Ref{ID: id}, why) }, new(indicator.GuardError)},
			{"read without consent", func() error { return w.desk.Read(ctx, ann, Ref{ID: id}, why) }, ErrState},
			{"another source consents", func() error { return w.desk.Consent(ctx, hal, Ref{ID: id}, []string{"pattern"}, why) }, ErrRole},
			{"an analyst consents", func() error { return w.desk.Consent(ctx, ann, Ref{ID: id}, []string{"pattern"}, why) }, ErrRole},
			{"a field that cannot be lowered", func() error { return w.desk.Consent(ctx, gil, Ref{ID: id}, []string{"references"}, why) }, ErrText},
			{"the pattern is not lowered", func() error { return w.desk.Consent(ctx, gil, Ref{ID: id}, nil, why) }, ErrTear},
			{"consent", func() error { return w.desk.Consent(ctx, gil, Ref{ID: id}, []string{"pattern"}, why) }, nil},
			{"consent twice", func() error { return w.desk.Consent(ctx, gil, Ref{ID: id}, []string{"pattern"}, why) }, ErrState},
			{"consent taken back", func() error { return w.desk.Undo(ctx, gil, Ref{ID: id}, why) }, nil},
			{"approved after that", func() error { return w.desk.First(ctx, ann, Ref{ID: id}, why) }, new(indicator.GuardError)},
			{"consent again", func() error { return w.desk.Consent(ctx, gil, Ref{ID: id}, []string{"pattern"}, why) }, nil},
			{"approved without a second reader", func() error { return w.desk.First(ctx, ann, Ref{ID: id}, why) }, new(indicator.GuardError)},
			{"read by who drew it", func() error { return w.desk.Read(ctx, dave, Ref{ID: id}, why) }, ErrSamePerson},
			{"read by the officer", func() error { return w.desk.Read(ctx, gilPMO, Ref{ID: id}, why) }, ErrSamePerson},
			{"read", func() error { return w.desk.Read(ctx, eve, Ref{ID: id}, why) }, nil},
			{"approved by who drew it", func() error { return w.desk.First(ctx, dave, Ref{ID: id}, why) }, ErrSamePerson},
			{"approved by the officer", func() error { return w.desk.First(ctx, gilPMO, Ref{ID: id}, why) }, ErrSamePerson},
			{"approved", func() error { return w.desk.First(ctx, ann, Ref{ID: id}, why) }, nil},
		}
		for _, s := range steps {
			err := s.act()
			if errors.As(s.want, new(*indicator.GuardError)) && errors.As(err, new(*indicator.GuardError)) {
				continue
			}
			if !errors.Is(err, s.want) {
				t.Fatalf("%s: %v, want %v", s.name, err, s.want)
			}
		}
		beta := w.node("beta") // which may not have TLP:AMBER
		out, err := w.desk.Second(ctx, bob, Ref{ID: id}, why, []Target{{"beta", contract.DNS}})
		must(t, err)
		beta.load(t, 0)
		beta.ack(t)
		if len(out.Released) != 1 || beta.objects[id] == nil || beta.objects[id].Marking != contract.Green || beta.objects[origin] != nil {
			t.Fatalf("%+v: %+v", out, beta.objects)
		}
		for _, canary := range []string{canaryContext, canarySummary, canaryLabel, canaryReference, canaryOriginal} {
			found := w.everywhere(t, id, canary)
			if len(found) > 0 {
				t.Errorf("%s stands in %v below the line", canary, found)
			}
		}
		if got := w.state(t, origin); got != indicator.Released {
			t.Errorf("the original changed: %s", got)
		}
		v, err := w.desk.View(ctx, w.db, id)
		must(t, err)
		if len(v.Leaks) != 0 || v.Origin != origin || !slices.Equal(v.Lowered, []string{"pattern", "value"}) || !slices.Equal(v.Sources, []string{"nsa"}) {
			t.Errorf("%+v", v)
		}
	})
}

// What a source marked lower by granular markings needs no word of the officer for
// the field, but still the consent.
func TestTearLineByGranularMarkings(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		origin := w.upper(t)
		it, err := indicator.Get(ctx, w.db, origin)
		must(t, err)
		original := `{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-000000000001","created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","name":"` +
			canaryOriginal + `","description":"` + it.Summary + `","pattern":"` + it.Pattern + `","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z",` +
			`"object_marking_refs":["` + contract.Amber.Ref() + `"],"granular_markings":[{"marking_ref":"` + contract.Green.Ref() + `","selectors":["pattern","description"]}]}`
		must(t, w.db.Write(ctx, func(tx *sql.Tx) error {
			w.exec(t, tx, `UPDATE item_source SET original = $2 WHERE number = $1`, it.Number, original)
			return nil
		}))
		line := TearLine{Markings: []string{"TLP:GREEN"}, Summary: it.Summary, Confidence: 50, Urgent: true}
		id, err := w.desk.Tear(ctx, dave, Ref{ID: origin}, line, why)
		must(t, err)
		v, err := w.desk.View(ctx, w.db, id)
		must(t, err)
		if len(v.Leaks) != 0 || !slices.Equal(v.Lowered, []string{"pattern", "summary", "value"}) {
			t.Fatalf("%+v", v)
		}
		running, err := Clocks(ctx, w.db, "gfi_officer/nsa")
		must(t, err)
		if len(running) != 1 || running[0].Subject != id.String() || running[0].Due.Sub(running[0].Started) != 4*time.Hour {
			t.Fatalf("%+v", running)
		}
		w.cfg.Now = func() time.Time { return time.Now().Add(5 * time.Hour) }
		w.restart(t)
		must(t, w.desk.raise(ctx))
		must(t, w.desk.raise(ctx))
		running, err = Clocks(ctx, w.db)
		must(t, err)
		if len(running) != 2 || running[0].Raised.IsZero() || w.state(t, id) != indicator.PendingFirst {
			t.Fatalf("a passed clock: %+v, state %s", running, w.state(t, id))
		}
		must(t, w.desk.Consent(ctx, gil, Ref{ID: id}, nil, why))
		running, err = Clocks(ctx, w.db, "gfi_officer/nsa")
		must(t, err)
		if len(running) != 0 {
			t.Fatalf("it runs on: %+v", running)
		}
	})
}

func TestTearLineIsDenied(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		id := w.upper(t)
		must(t, w.db.Write(t.Context(), func(tx *sql.Tx) error {
			n, err := indicator.Intern(t.Context(), tx, "U TLP:AMBER acs-tearline")
			must(t, err)
			w.exec(t, tx, `UPDATE item SET handling = $2 WHERE id = $1`, id.String(), n)
			return nil
		}))
		_, err := w.desk.Tear(t.Context(), dave, Ref{ID: id}, TearLine{Markings: []string{"TLP:GREEN"}}, why)
		if !errors.Is(err, ErrTear) {
			t.Fatalf("the markings permit no tear line: %v", err)
		}
	})
}

// A word that is above and not plain never passes, wherever and however it stands
// below.
func TestLeaksFindEveryWord(t *testing.T) {
	word := rapid.StringMatching(`[A-Za-z]{3,10}[0-9]{0,3}`)
	rapid.Check(t, func(rt *rapid.T) {
		secret := word.Filter(func(s string) bool { return !plain[strings.ToLower(s)] }).Draw(rt, "secret")
		above := strings.Join(append(rapid.SliceOfN(word, 0, 8).Draw(rt, "above"), secret), " ")
		field := rapid.SampledFrom([]string{"summary", "context", "labels", "references", "original", "source"}).Draw(rt, "field")
		around := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "the", "site", "phishing", "of"}), 0, 5).Draw(rt, "around")
		how := rapid.SampledFrom([]func(string) string{strings.ToLower, strings.ToUpper, func(s string) string { return "(" + s + ")" }, func(s string) string { return "x-" + s + "_y" }}).Draw(rt, "how")
		below := strings.Join(append(around, how(secret)), " ")
		ls := Leaks([]Part{{field, above}}, []Part{{"summary", below}}, nil)
		if !slices.ContainsFunc(ls, func(l Leak) bool {
			return strings.Contains(strings.ToLower(l.Text), strings.ToLower(secret)) && l.From == field
		}) {
			rt.Fatalf("%q passed into %q", secret, below)
		}
		ls = Leaks([]Part{{field, above}}, []Part{{"summary", below}}, []string{field})
		if len(ls) > 0 {
			rt.Fatalf("what is marked lower is no leak: %+v", ls)
		}
	})
}
