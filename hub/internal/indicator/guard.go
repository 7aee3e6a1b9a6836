package indicator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Errors that callers tell apart. Each is wrapped with what to do next.
var (
	ErrNotFound = errors.New("no such indicator")
	ErrVersion  = errors.New("the indicator was changed by somebody else meanwhile: read it again")
	ErrPurged   = errors.New("the indicator was purged: only its tombstone is left")
)

// TransitionError says that the table has no such transition.
type TransitionError struct{ From, To State }

// Error implements error.
func (e *TransitionError) Error() string {
	return fmt.Sprintf("an indicator in state %s cannot become %s", e.From, e.To)
}

// GuardError says why the guard of a state did not let an item in.
type GuardError struct {
	To  State
	Why string // what is missing, and who can supply it
}

// Error implements error.
func (e *GuardError) Error() string { return fmt.Sprintf("not yet %s: %s", e.To, e.Why) }

// SamePersonError says that one human being would act twice on an item (SOD-1,
// SOD-2): people are counted, not accounts or roles.
type SamePersonError struct {
	Person string
	Parts  [2]string // what the person did before, and would do now
}

// Error implements error.
func (e *SamePersonError) Error() string {
	return fmt.Sprintf("%s is already the %s of this indicator and cannot be its %s: another person has to act",
		e.Person, e.Parts[0], e.Parts[1])
}

// Evidence is what the guards look at besides the item itself.
type Evidence struct {
	Findings  []Finding
	Decisions []Decision
	Submitter string // person behind Item.Submitter
	Editor    string // person behind Item.Editor, or empty
	Targets   int    // rows of table target

	Origin      Origin // of which item it was made
	OriginState State  // where that one stands
	Disagreed   int    // targets of a shadow run that never agreed to one
	Counted     bool   // it is being counted in a shadow run that has no result yet
}

// MinJustification is the fewest letters in the justification of a NECESSARY
// determination: a sentence, not a word.
const MinJustification = 20

// Sentence reports whether text can pass for a sentence of reasons: at least
// four words with at least [MinJustification] letters among them.
func Sentence(text string) bool {
	letters := 0
	for _, r := range text {
		if unicode.IsLetter(r) {
			letters++
		}
	}
	return letters >= MinJustification && len(strings.Fields(text)) >= 4
}

// CheckDetermination refuses a determination that is none, and a NECESSARY
// without a justification.
func CheckDetermination(d Determination, note string) error {
	switch d {
	case NotPresent, Removed:
		return nil
	case Necessary:
		if !Sentence(note) {
			return errors.New("a NECESSARY determination needs a justification of at least one sentence: which element stays, and why")
		}
		return nil
	default:
		return fmt.Errorf("the determination has to be %s, %s or %s", NotPresent, Removed, Necessary)
	}
}

// Stops lists the technical findings that stop an item.
func Stops(fs []Finding) []Finding {
	var out []Finding
	for _, f := range fs {
		if f.Severity == Stop && !IsPrivacy(f.Code) {
			out = append(out, f)
		}
	}
	return out
}

// IsPrivacy reports whether a finding's code belongs to the privacy gate.
func IsPrivacy(code string) bool { return strings.HasPrefix(code, "PII-") }

// Overridden reports whether two different persons have overridden the stops.
func Overridden(ds []Decision) bool {
	first := ""
	for _, d := range ds {
		if d.Kind != KindOverride || d.Verdict != Approve || d.Reason == "" || d.Person == "" || !d.Undone.IsZero() {
			continue
		}
		if first != "" && d.Person != first {
			return true
		}
		first = d.Person
	}
	return false
}

// Duties finds the person who appears twice among submitter, editor, privacy
// reviewer, first and second approver (SOD-1). A submitter may edit the item.
func Duties(ev Evidence) error {
	parts := map[string]string{}
	take := func(person, part string) error {
		if person == "" {
			return nil
		}
		was, ok := parts[person]
		if ok && was != part {
			return &SamePersonError{Person: person, Parts: [2]string{was, part}}
		}
		parts[person] = part
		return nil
	}
	err := take(ev.Submitter, "submitter")
	if err != nil {
		return err
	}
	if ev.Editor != ev.Submitter {
		err = take(ev.Editor, "editor")
		if err != nil {
			return err
		}
	}
	names := map[string]string{
		KindPrivacy: "privacy reviewer", KindFirst: "first approver", KindSecond: "second approver",
		KindEmergency: "emergency approver", KindRatify: "ratifier", KindConsent: "consenting officer",
	}
	for _, d := range Standing(ev.Decisions) {
		part, ok := names[d.Kind]
		if !ok || d.Kind == KindConsent && d.Person == ev.Submitter { // the source's officer brought it
			continue
		}
		err = take(d.Person, part)
		if err != nil {
			return err
		}
	}
	return nil
}

// Guard says whether the item may enter a state, given the evidence and the
// moment. It is pure; [Move] calls it after [CanMove].
func Guard(it *Item, to State, ev Evidence, reason string, now time.Time) error {
	refuse := func(why string) error { return &GuardError{To: to, Why: why} }
	why := beside(it, to, ev, now)
	if why != "" {
		return refuse(why)
	}
	switch to {
	case Marked:
		err := CheckDetermination(it.Privacy, it.PrivacyNote)
		if err != nil {
			return refuse(err.Error())
		}
	case PendingFirst:
		stops := Stops(ev.Findings)
		if len(stops) > 0 && !Overridden(ev.Decisions) {
			return refuse(fmt.Sprintf("technical check %s stops it; two different persons have to override it, with reasons", stops[0].Code))
		}
	case PendingSecond:
		if !approved(ev.Decisions, KindFirst) && !approved(ev.Decisions, KindEmergency) {
			return refuse("the first approval is missing")
		}
		return Duties(ev)
	case Approved:
		if (!approved(ev.Decisions, KindFirst) || !approved(ev.Decisions, KindSecond)) && !approved(ev.Decisions, KindEmergency) {
			return refuse("two approvals are needed")
		}
		return Duties(ev)
	case Released:
		if ev.Targets == 0 {
			return refuse("no provider is named as its target")
		}
		if !it.ValidUntil.After(now) {
			return refuse("its validity is over")
		}
	case Expired:
		if it.ValidUntil.After(now) {
			return refuse("it is still valid")
		}
	case Revoked, Returned, Rejected, Superseded:
		if strings.TrimSpace(reason) == "" {
			return refuse("a reason is needed")
		}
	}
	return nil
}

// Standing leaves out what was taken back, and the approvals that a later privacy
// determination has made void: what they approved was then in question. The order
// is kept.
func Standing(ds []Decision) []Decision {
	var out []Decision
	for _, d := range ds {
		if !d.Undone.IsZero() || d.Kind == KindUndo {
			continue
		}
		if d.Kind == KindPrivacy { // what the source consented to holds: less of it can only have been left
			out = slices.DeleteFunc(out, func(o Decision) bool { return o.Kind == KindFirst || o.Kind == KindSecond || o.Kind == KindEmergency })
		}
		out = append(out, d)
	}
	return out
}

func approved(ds []Decision, kind string) bool {
	for _, d := range Standing(ds) {
		if d.Kind == kind && d.Verdict == Approve {
			return true
		}
	}
	return false
}
