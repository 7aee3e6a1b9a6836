package intake

import (
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
	"ecs/stix/pattern"
)

// Limits of the fields of one item, in bytes.
const (
	maxContext   = 16 << 10
	maxReference = 512
	maxOriginal  = 16 << 10
)

// entry is one item as read, in the terms of its source.
type entry struct {
	place      string
	compiled   observable.Compiled
	reference  string // the source's own identifier
	category   contract.Category
	action     contract.Action
	actionSet  bool
	confidence int
	tlp        contract.TLP
	tlpSet     bool
	unknown    string // a marking that we do not know, or empty
	enforce    bool
	display    bool
	notify     bool
	disclosure uint8
	summary    string
	context    string
	from       time.Time
	until      time.Time
	observed   time.Time
}

// newEntry has the defaults of every format: all uses permitted, occurrence and
// category may be told, even odds.
func newEntry() entry {
	return entry{enforce: true, display: true, notify: true, disclosure: 1, confidence: 50}
}

// ready is an item that may be written: canonical, screened, checked.
type ready struct {
	key       string // indicator.PatternKey
	item      indicator.Item
	findings  []indicator.Finding
	source    indicator.Source
	private   bool // personal data was found in it
	cut       bool // valid_until was cut
	defaulted bool // valid_until was missing
}

// outcome is what became of one element: exactly one of ready, refusal and
// skipped.
type outcome struct {
	number  int64
	ready   *ready
	refusal *Refusal
	skipped bool
}

// CodeMarking is the finding of an item whose marking we could not read.
const CodeMarking = "S1-UNKNOWN-MARKING"

// judge takes an entry through I1 to I6 of the program's life cycle: ceilings,
// privacy screen, marking, technical checks.
func (p *producer) judge(e *entry, raw []byte) (*ready, *Refusal) {
	if !e.tlpSet {
		e.tlp = min(contract.Amber, p.src.ceiling, p.in.cfg.Ceiling)
	}
	if e.unknown != "" {
		e.tlp = max(e.tlp, min(p.src.ceiling, p.in.cfg.Ceiling)) // it could mean anything: the strictest that may come
	}
	if e.tlp > p.src.ceiling {
		return nil, refusal(CodeCeiling, "it is marked TLP:%s, and source %s may give at most TLP:%s",
			strings.ToUpper(e.tlp.String()), p.src.id, strings.ToUpper(p.src.ceiling.String()))
	}
	if e.tlp > p.in.cfg.Ceiling {
		return nil, refusal(CodeCeiling, "it is marked TLP:%s, and this instance may hold at most TLP:%s",
			strings.ToUpper(e.tlp.String()), strings.ToUpper(p.in.cfg.Ceiling.String()))
	}
	if !e.until.IsZero() && !e.from.IsZero() && !e.until.After(e.from) {
		return nil, refusal(CodeValue, "valid_until is not after valid_from")
	}
	if !e.until.IsZero() && !e.until.After(p.now) {
		return nil, refusal(CodeExpired, "it was valid until %s", e.until.UTC().Format(time.RFC3339))
	}
	if e.from.IsZero() {
		e.from = p.now
	}
	first := e.compiled.Atoms[0]
	if !e.actionSet {
		e.action = usualAction(e.compiled.Services)
	}
	subject := policy.Subject{
		Pattern: e.compiled.Pattern, Atoms: e.compiled.Atoms, Services: e.compiled.Services, Action: e.action,
		Summary: e.summary, Context: e.context, Observed: e.observed, Reliability: p.src.reliability,
	}
	r := &ready{key: indicator.PatternKey(e.compiled.Pattern), defaulted: e.until.IsZero()}
	until, cut := p.check.Validity(e.compiled.Atoms, e.from, e.until, p.now)
	if e.observed.IsZero() || e.observed.After(p.now) {
		e.observed = p.now
	}
	r.item = indicator.Item{
		ID: contract.NewID(), Version: 1, Pattern: e.compiled.Pattern, Kind: first.Kind, Value: first.String(),
		Services: e.compiled.Services, Category: e.category, Action: e.action, Confidence: e.confidence, TLP: e.tlp,
		Enforce: e.enforce, Display: e.display, Notify: e.notify, Disclosure: e.disclosure,
		Summary: e.summary, Context: e.context, Submitter: p.batch.Submitter,
		ValidFrom: micro(e.from), ValidUntil: micro(until), Observed: micro(e.observed), Created: p.now, Modified: p.now,
	}
	r.findings = p.check.Privacy(&subject, p.now)
	r.private = len(r.findings) > 0
	technical := p.check.Technical(&subject, p.now)
	if cut != "" {
		r.cut = true
		technical = append(technical, indicator.Finding{Code: policy.CodeCut, Severity: indicator.Warn, Detail: cut, At: p.now})
	}
	if e.unknown != "" {
		technical = append(technical, indicator.Finding{
			Code: CodeMarking, Severity: indicator.Warn, At: p.now,
			Detail: policy.Printable("the source marked it "+e.unknown+", which is not known here; it was taken as the strictest that the source may give", 400),
		})
	}
	switch {
	case r.private:
		r.item.State = indicator.PrivacyGate
	case len(indicator.Stops(technical)) > 0:
		r.item.State, r.item.Privacy = indicator.TechValidation, indicator.NotPresent
	default:
		r.item.State, r.item.Privacy = indicator.PendingFirst, indicator.NotPresent
	}
	r.findings = append(r.findings, technical...)
	for i := range r.findings {
		r.findings[i].Item = r.item.ID
	}
	r.source = indicator.Source{
		Source: p.src.id, Batch: p.batch.ID, Place: policy.Printable(e.place, maxPlace), Reference: e.reference,
		TLP: e.tlp, Original: policy.Printable(string(raw), maxOriginal), At: p.now,
	}
	return r, nil
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// usualAction is what is recommended when the source recommends nothing: the
// strongest that a service which can see it knows.
func usualAction(s contract.Services) contract.Action {
	switch {
	case s.Has(contract.DNS):
		return contract.Sinkhole
	case s.Has(contract.SMTP):
		return contract.Quarantine
	default:
		return contract.Alert
	}
}

// refuseCompile gives the refusal for an error of package observable.
func refuseCompile(err error) *Refusal {
	var syntax *pattern.Error
	var cannot *observable.Unobservable
	switch {
	case errors.As(err, &syntax):
		return refusal(CodePattern, "%s", err)
	case errors.As(err, &cannot):
		return refusal(CodeUnobservable, "%s", err)
	default:
		return refusal(CodeValue, "%s", err)
	}
}

// compileAtom gives what [observable.Compile] gives for the atom's own pattern.
func compileAtom(a observable.Atom) observable.Compiled {
	return observable.Compiled{Pattern: observable.Pattern(a), Atoms: []observable.Atom{a}, Services: a.Kind.Services()}
}

// text checks a field that people will read, perhaps at a customer: bounded,
// UTF-8, no characters that hide or reorder others. Line ends become line feeds.
func text(field, s string, limit int) (string, *Refusal) {
	s = strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	if len(s) > limit {
		return "", refusal(CodeValue, "%s has %d bytes, limit %d", field, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return "", refusal(CodeUTF8, "%s is not UTF-8", field)
	}
	for _, r := range s {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
			return "", refusal(CodeValue, "%s holds the control character U+%04X", field, r)
		}
	}
	return s, nil
}

// moment reads a time by RFC 3339, or a date, which means its first moment in
// UTC. Times outside of 1990 to 2200 are mistakes.
func moment(field, s string) (time.Time, *Refusal) {
	s = strings.TrimSpace(s)
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil {
		return t, refusal(CodeValue, "%s %q is no time: want 2026-01-31T12:00:00Z or 2026-01-31", field, clip(s))
	}
	return t.UTC(), plausible(field, t)
}

// plausible refuses a time outside of 1990 to 2200; the zero time means none.
func plausible(field string, t time.Time) *Refusal {
	if !t.IsZero() && (t.Year() < 1990 || t.Year() > 2200) {
		return refusal(CodeValue, "%s %s is outside of 1990 to 2200", field, t.Format(time.RFC3339))
	}
	return nil
}

func clip(s string) string { return policy.Printable(s, 60) }
