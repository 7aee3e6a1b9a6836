package intake

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/policy"
	"ecs/observable"
	"ecs/stix/pattern"
)

// Limits of the fields of one item, in bytes.
const (
	maxContext   = 16 << 10
	maxReference = 512
	maxLabels    = 2 << 10
	maxLabel     = 120
)

// Findings that intake itself makes.
const (
	CodeMarking   = "S1-RESTRICTED-MARKING" // what its markings forbid, and why
	CodeStricter  = "S1-STRICTER-SOURCE"    // a further source marked it stricter after its release was approved
	CodeReplaced  = "S2-REPLACED-BY-SOURCE" // its source has a newer version of it, with another pattern
	CodeTakenBack = "S2-REVOKED-BY-SOURCE"  // its source has taken it back
	CodeUnseen    = "V1-NOT-OBSERVABLE"     // a pattern that no service of the program can honor
	CodeVouched   = "S3-CALLED-BENIGN"      // a source says that it is benign
)

// ready is an item that may be written: canonical, screened, checked.
type ready struct {
	key       string // indicator.PatternKey
	item      indicator.Item
	handling  *handled
	findings  []indicator.Finding
	source    indicator.Source
	subject   policy.Subject
	refkey    int64
	version   int64
	private   bool // personal data was found in it
	cut       bool // valid_until was cut
	defaulted bool // valid_until was missing
	respelled bool // the value was changed into its canonical spelling
}

// outcome is what became of one record: exactly one of ready, taken, object,
// refusal and skipped.
type outcome struct {
	number  int64
	ready   *ready
	taken   *taken
	object  *object
	refusal *Refusal
	skipped bool
}

// taken is a record by which a source takes back or vouches for something.
type taken struct {
	key       string // of the pattern it vouches for, "" when it takes back
	refkey    int64
	reference string
	place     string
	raw       string
	version   int64
	handling  *handled
}

// referenceKey gives a short digest of a source's own identifier, 0 for none. Two
// that share it by chance are told apart by comparing what they stand for.
func referenceKey(ref string) int64 {
	if ref == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(ref))
	return int64(binary.BigEndian.Uint64(sum[:8]) | 1) //nolint:gosec // any 64 bits will do
}

// judge takes a record through I1 to I6 of the program's life cycle: ceilings,
// privacy screen, marking, technical checks.
func (p *producer) judge(r *format.Record) outcome {
	o := outcome{}
	var bad *Refusal
	switch {
	case r.Problem != nil:
		bad = &Refusal{Code: r.Problem.Code, Reason: policy.Printable(r.Problem.Reason, maxReason)}
	case r.Skip:
		o.skipped = true
	case r.Object:
		o.object, bad = p.keep(r)
	case r.Revoked || r.Benign:
		o.taken, bad = p.taken(r)
	default:
		o.ready, bad = p.item(r)
	}
	if bad != nil {
		return outcome{refusal: bad}
	}
	return o
}

// handled is a handling with its answers worked out: a delivery has few, and
// millions of records under each.
type handled struct {
	marking.Handling
	text                  string
	enforce, show, notify bool
	disclosure            uint8
	reasons               []string
	refusal               *Refusal // why source or instance may not hold it
}

// maxHandled bounds how many handlings of one delivery are remembered.
const maxHandled = 1024

// handlingOf combines the record's marks; a record without any gets the source's
// default. What source or instance may not hold is refused.
func (p *producer) handlingOf(r *format.Record) (*handled, *Refusal) {
	h := marking.CombineOr(p.byDefault, r.Marks...)
	text := h.String()
	out, ok := p.handled[text]
	if ok {
		return out, out.copy()
	}
	out = &handled{
		Handling: h, text: text, enforce: h.May(marking.Enforce, p.now).Yes, show: h.May(marking.Show, p.now).Yes,
		notify: h.May(marking.Notify, p.now).Yes, reasons: h.Reasons(),
	}
	out.disclosure, _ = h.Disclosure()
	out.refusal = p.mayHold(h)
	if len(p.handled) < maxHandled {
		p.handled[text] = out
	}
	return out, out.copy()
}

// copy gives the refusal as one of its own: it will be told where its record
// stands.
func (h *handled) copy() *Refusal {
	if h.refusal == nil {
		return nil
	}
	r := *h.refusal
	return &r
}

// mayHold refuses what the source may not give or this instance may not hold.
func (p *producer) mayHold(h marking.Handling) *Refusal {
	holds, why := h.Holds(*p.in.cfg.Clearance)
	switch {
	case h.Level() > p.in.cfg.Clearance.Level():
		return refusal(CodeCeiling, "it is classified %s, and this instance may hold at most %s", h.Level(), p.in.cfg.Clearance.Level())
	case h.Unknown(): // it could mean anything: kept, and permitted nothing until a person has marked it
		return nil
	case h.TLP() > p.src.ceiling:
		return refusal(CodeCeiling, "it is marked TLP:%s, and source %s may give at most TLP:%s",
			strings.ToUpper(h.TLP().String()), p.src.id, strings.ToUpper(p.src.ceiling.String()))
	case h.TLP() > p.in.cfg.Ceiling:
		return refusal(CodeCeiling, "it is marked TLP:%s, and this instance may hold at most TLP:%s",
			strings.ToUpper(h.TLP().String()), strings.ToUpper(p.in.cfg.Ceiling.String()))
	case !holds:
		return refusal(CodeCeiling, "this instance may not hold it: %s", why)
	}
	hold := h.May(marking.Hold, p.now)
	if !hold.Yes {
		return refusal(CodeCeiling, "it %s", hold)
	}
	return nil
}

func (p *producer) taken(r *format.Record) (*taken, *Refusal) {
	h, bad := p.handlingOf(r)
	if bad != nil {
		return nil, bad
	}
	out := &taken{
		refkey: referenceKey(r.Reference), reference: policy.Printable(r.Reference, maxReference), place: policy.Printable(r.Place, maxPlace),
		raw: original(r.Raw), version: stamp(r.Version), handling: h,
	}
	if r.Revoked {
		if out.refkey == 0 {
			return nil, refusal(CodeMissing, "it takes something back and does not say what: an identifier is missing")
		}
		return out, nil
	}
	c, _, bad := compile(r)
	if bad != nil {
		return nil, bad
	}
	out.key = indicator.PatternKey(c.Pattern)
	return out, nil
}

func (p *producer) item(r *format.Record) (*ready, *Refusal) {
	c, unseen, bad := compile(r)
	if bad != nil {
		return nil, bad
	}
	h, bad := p.handlingOf(r)
	if bad != nil {
		return nil, bad
	}
	it := indicator.Item{
		ID: p.newID(), Version: 1, Pattern: c.Pattern, Services: c.Services,
		Category: r.Category, Action: r.Action, Confidence: r.Confidence, Submitter: p.batch.Submitter,
		TLP: h.TLP(), Enforce: h.enforce && allows(r.Enforce), Display: h.show && allows(r.Display),
		Notify: h.notify && allows(r.Notify), Disclosure: 1,
		Created: p.now, Modified: p.now,
	}
	if len(c.Atoms) > 0 {
		it.Kind, it.Value = c.Atoms[0].Kind, c.Atoms[0].String()
		it.Atoms, it.Pivot = len(c.Atoms), indicator.Pivot(c.Atoms[0].Kind, c.Atoms[0].Value)
	}
	if it.Confidence < 0 {
		it.Confidence = 50 // even odds
	}
	if !r.ActionSet {
		it.Action = usualAction(c.Services)
	}
	if r.Disclosure != nil {
		if *r.Disclosure > 3 {
			return nil, refusal(CodeValue, "disclosure %d is outside of 0 to 3", *r.Disclosure)
		}
		it.Disclosure = *r.Disclosure
	}
	it.Disclosure = min(it.Disclosure, h.disclosure)
	bad = texts(&it, r)
	if bad == nil {
		bad = p.span(&it, r)
	}
	if bad != nil {
		return nil, bad
	}
	out := &ready{
		key: indicator.PatternKey(c.Pattern), item: it, handling: h, defaulted: r.Until.IsZero(),
		refkey: referenceKey(r.Reference), version: stamp(r.Version),
		respelled: r.Value != "" && len(c.Atoms) == 1 && r.Value != it.Value,
		source: indicator.Source{
			Source: p.src.id, Batch: p.batch.ID, Place: policy.Printable(r.Place, maxPlace), Reference: policy.Printable(r.Reference, maxReference),
			Credibility: r.Credibility, Confidence: r.Confidence, Observed: micro(r.Observed), Original: original(r.Raw), At: p.now,
		},
	}
	p.check(out, &c, r, unseen)
	return out, nil
}

func allows(b *bool) bool { return b == nil || *b }

// check runs the privacy gate and the technical checks, and says where the item
// stops.
func (p *producer) check(out *ready, c *observable.Compiled, r *format.Record, unseen *observable.Unobservable) {
	it := &out.item
	out.subject = policy.Subject{
		Pattern: c.Pattern, Atoms: c.Atoms, Services: c.Services, Action: it.Action,
		Summary: it.Summary, Context: it.Context, Labels: strings.Split(it.Labels, "\n"), Observed: r.Observed, Reliability: p.src.reliability,
	}
	if r.Reference != "" {
		out.subject.References = []string{r.Reference}
	}
	until, cut := p.checker.Validity(c.Atoms, it.ValidFrom, r.Until, p.now)
	it.ValidUntil = micro(until)
	out.findings = p.checker.Privacy(&out.subject, p.now)
	out.private = len(out.findings) > 0
	technical := p.checker.Technical(&out.subject, p.now)
	warn := func(code, detail string) {
		technical = append(technical, indicator.Finding{Code: code, Severity: indicator.Warn, Detail: policy.Printable(detail, 400), At: p.now})
	}
	if cut != "" {
		out.cut = true
		warn(policy.CodeCut, cut)
	}
	if unseen != nil {
		warn(CodeUnseen, unseen.Error()+"; it can be released to none of them")
	}
	for _, why := range out.handling.reasons {
		warn(CodeMarking, why)
	}
	switch {
	case out.private:
		it.State = indicator.PrivacyGate
	case len(indicator.Stops(technical)) > 0:
		it.State, it.Privacy = indicator.TechValidation, indicator.NotPresent
	default:
		it.State, it.Privacy = indicator.PendingFirst, indicator.NotPresent
	}
	out.findings = append(out.findings, technical...)
	for i := range out.findings {
		out.findings[i].Item = it.ID
	}
}

// texts takes what people will read.
func texts(it *indicator.Item, r *format.Record) (bad *Refusal) {
	it.Summary, bad = text("summary", r.Summary, contract.MaxSummary)
	if bad == nil {
		it.Context, bad = text("context", r.Context, maxContext)
	}
	if bad == nil && len(r.Reference) > maxReference {
		bad = refusal(CodeValue, "the source's identifier has %d bytes, limit %d", len(r.Reference), maxReference)
	}
	it.Labels = joinLabels(nil, r.Labels)
	return bad
}

// joinLabels brings labels into the form of the column: each once, in order, one a
// line, within a bound.
func joinLabels(have []string, more []string) string {
	out := slices.Clone(have)
	for _, l := range more {
		l = strings.TrimSpace(policy.Printable(l, maxLabel))
		if l != "" {
			out = append(out, l)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	size := 0
	for i, l := range out {
		size += len(l) + 1
		if size > maxLabels {
			out = out[:i]
			break
		}
	}
	return strings.Join(out, "\n")
}

// span takes the times of a record and refuses what cannot be meant.
func (p *producer) span(it *indicator.Item, r *format.Record) *Refusal {
	for i, t := range []time.Time{r.From, r.Until, r.Observed, r.Version} {
		bad := plausible([]string{"valid_from", "valid_until", "observed", "modified"}[i], t)
		if bad != nil {
			return bad
		}
	}
	if !r.Until.IsZero() && !r.From.IsZero() && !r.Until.After(r.From) {
		return refusal(CodeValue, "valid_until is not after valid_from")
	}
	if !r.Until.IsZero() && !r.Until.After(p.now) {
		return refusal(CodeExpired, "it was valid until %s", r.Until.UTC().Format(time.RFC3339))
	}
	it.ValidFrom, it.Observed = micro(r.From), micro(r.Observed)
	if r.From.IsZero() {
		it.ValidFrom = p.now
	}
	if r.Observed.IsZero() || r.Observed.After(p.now) {
		it.Observed = p.now
	}
	return nil
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// stamp gives a version as it is stored.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// original gives the bytes of a record as they are kept: exactly, unless they are
// no text that a database can hold.
func original(raw []byte) string {
	if utf8.Valid(raw) && !slices.Contains(raw, 0) {
		return string(raw)
	}
	return policy.Printable(string(raw), 4*len(raw))
}

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

// compile brings a record's value or pattern into the form that services match. A
// pattern that no service can honor as a whole is kept with the reason: it can be
// approved, shared and released to whoever will be able to.
func compile(r *format.Record) (observable.Compiled, *observable.Unobservable, *Refusal) {
	if r.Pattern != "" {
		a, err := observable.Analyze(r.Pattern)
		if err != nil {
			return observable.Compiled{}, nil, refuseCompile(err)
		}
		if len(a.Pattern) > contract.MaxPattern {
			return a.Compiled, nil, refusal(CodeValue, "the pattern has %d bytes in canonical form, limit %d; split it into several indicators",
				len(a.Pattern), contract.MaxPattern)
		}
		return a.Compiled, a.Reason, nil
	}
	if r.Value == "" {
		return observable.Compiled{}, nil, refusal(CodeMissing, "neither a value nor a pattern")
	}
	a, err := ofKind(r.Kind, r.Value)
	if err != nil {
		return observable.Compiled{}, nil, refusal(CodeValue, "%s", err)
	}
	c := observable.Compiled{Pattern: observable.Pattern(a), Atoms: []observable.Atom{a}, Services: a.Kind.Services()}
	if len(c.Pattern) > contract.MaxPattern {
		return c, nil, refusal(CodeValue, "the value gives a pattern of %d bytes, limit %d", len(c.Pattern), contract.MaxPattern)
	}
	return c, nil, nil
}

// refuseCompile gives the refusal for an error of package observable.
func refuseCompile(err error) *Refusal {
	var syntax *pattern.Error
	switch {
	case errors.As(err, &syntax):
		return refusal(CodePattern, "%s", err)
	default:
		return refusal(CodeValue, "%s", err)
	}
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

// plausible refuses a time outside of 1990 to 2200; the zero time means none.
func plausible(field string, t time.Time) *Refusal {
	if !t.IsZero() && (t.Year() < 1990 || t.Year() > 2200) {
		return refusal(CodeValue, "%s %s is outside of 1990 to 2200", field, t.Format(time.RFC3339))
	}
	return nil
}

// ofKind reads a value of a stated kind, or of the kind that it looks like. Kinds
// that can be guessed may be defanged and narrowed, such as 192.0.2.1:443.
func ofKind(k observable.Kind, value string) (observable.Atom, error) {
	switch k {
	case observable.None:
		return observable.FromValue(value)
	case observable.Subject, observable.FileName:
		return observable.Make(k, value)
	}
	a, err := observable.FromValue(value)
	if k == observable.Port && err != nil {
		n, perr := strconv.ParseUint(value, 10, 16)
		if perr == nil && n > 0 {
			return observable.Atom{Kind: observable.Port, Port: uint16(n)}, nil
		}
	}
	same := a.Kind == k || a.Kind == observable.Addr && k == observable.Prefix
	if err == nil && same {
		return a, nil
	}
	if err == nil {
		return a, fmt.Errorf("type is %s, but the value is of type %s", k, a.Kind)
	}
	return observable.Make(k, value)
}

func clip(s string) string { return policy.Printable(s, 60) }
