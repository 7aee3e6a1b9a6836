package indicator

import (
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"time"

	"ecs/contract"
	"ecs/observable"
)

// Determination is what the privacy gate found about an item.
type Determination string

// The determinations. Undetermined items do not leave the gate.
const (
	Undetermined Determination = ""
	NotPresent   Determination = "PII-NOT-PRESENT" // no personal data
	Removed      Determination = "REMOVED"         // personal data was taken out
	Necessary    Determination = "NECESSARY"       // personal data stays, justified in PrivacyNote
)

// Item is one indicator on its way, a row of table item. All times are UTC, to
// the microsecond; the zero time means never.
type Item struct {
	Number      int64 // of its row: rises with intake, the order of listings
	ID          contract.ID
	State       State
	Version     int64             // optimistic lock: rises by one with each write
	Pattern     string            // canonical STIX pattern
	Kind        observable.Kind   // of the first atom
	Value       string            // canonical value of the first atom
	Atoms       int               // how many values the pattern has
	Pivot       string            // what its neighbors share, see [Pivot]
	Services    contract.Services // services that can observe the pattern
	Category    contract.Category
	Action      contract.Action // recommended action
	Confidence  int             // 0 to 100
	Handling    int64           // what all its markings combine to, see [Intern]
	TLP         contract.TLP    // of the handling, as the next three are: the strictest that any source gave
	Enforce     bool            // may be used to block: ACS NETDEF, PAP, IEP
	Display     bool            // operators may be shown the value: ACS DSPLY
	Notify      bool            // the customer may be notified: ACS TENOT, IEP
	Disclosure  uint8           // 0 occurrence, 1 and category, 2 and summary, 3 and pattern
	Labels      string          // families, campaigns and tags, one a line, in order
	Summary     string          // releasable
	Context     string          // for analysts, never released
	Privacy     Determination
	PrivacyNote string    // which element stays and why, for Necessary
	Submitter   string    // login
	Editor      string    // login of the last editor, or empty
	ValidFrom   time.Time // STIX valid_from
	ValidUntil  time.Time // STIX valid_until, always set
	Observed    time.Time // last seen by any source
	Created     time.Time
	Modified    time.Time // of this row; not the STIX modified of a released object
	Released    time.Time // when it was first released
	Ended       time.Time // when it left for good
}

// LogValue implements [slog.LogValuer]: logs name an item, never its value.
func (it Item) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", it.ID.String()), slog.String("state", string(it.State)))
}

// PatternKey gives the key under which a living item owns its pattern: half of
// the SHA-256 of the canonical pattern, base64url. Half is enough to tell ten
// million apart and keeps the index of them small; whoever merges by it compares
// the patterns themselves as well.
func PatternKey(pattern string) string {
	sum := sha256.Sum256([]byte(pattern))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// ValueKeys gives the keys under which living items of one value are found: that
// of the value as it looks, canonical or as people write it, and those that it has
// as a subject and as the name of a file. The first is the likeliest; there is at
// least one.
func ValueKeys(value string) []string {
	var out []string
	a, err := observable.FromValue(value)
	if err == nil {
		out = append(out, PatternKey(observable.Pattern(a)))
	}
	for _, k := range []observable.Kind{observable.Subject, observable.FileName} {
		a, err = observable.Make(k, value)
		if err == nil {
			out = append(out, PatternKey(observable.Pattern(a)))
		}
	}
	if len(out) == 0 {
		out = append(out, PatternKey(value))
	}
	return out
}

// Severity says what a finding does to an item.
type Severity string

// The severities.
const (
	Stop Severity = "stop" // the item waits for people: a determination, or two overrides
	Warn Severity = "warn" // shown to the approvers
)

// Finding is what the privacy gate or a technical check found, a row of table
// finding. Codes that begin with "PII-" belong to the privacy gate and are
// answered by a determination; all others belong to the technical checks and
// are answered by overrides.
type Finding struct {
	Item     contract.ID
	Code     string // PII-..., V2-...: see hub/internal/policy
	Severity Severity
	Detail   string // which element, and which list or rule; for analysts
	At       time.Time
}

// Kinds of decision.
const (
	KindPrivacy  = "privacy"  // verdict: a [Determination]
	KindFirst    = "first"    // first approval; verdict: Approve
	KindSecond   = "second"   // second approval; verdict: Approve
	KindOverride = "override" // of the technical stops; verdict: Approve
	KindRecall   = "recall"
	// KindEmergency releases alone, for some hours; KindRatify is the second person
	// who has to follow within the hour.
	KindEmergency = "emergency"
	KindRatify    = "ratify"
	KindReturn    = "return" // verdict: the code of the reason, as of KindReject and KindRecall
	KindReject    = "reject"
	// KindUndo takes the decision whose ID is its verdict back, which stays as a record.
	KindUndo = "undo"
	// KindDraft makes the item of another one; verdict: the kind of derivation.
	KindDraft = "draft"
	// KindConsent is the source's consent to a tear line, KindRead the word of the
	// second reader of what is below it.
	KindConsent = "consent"
	KindRead    = "read"
)

// Approve is the verdict of an approval and of an override.
const Approve = "approve"

// Decision is what a person decided about an item, a row of table decision.
type Decision struct {
	ID      string // chosen by [AddDecision] when empty
	Item    contract.ID
	Kind    string // see the Kind constants
	Verdict string
	Login   string
	Person  string // the human being behind the account, as of that moment
	Reason  string
	At      time.Time // set by [AddDecision] when zero

	Was, Became State     // what it did to the item's state; empty when it did nothing
	Bulk        string    // the bulk act that it was part of
	Undone      time.Time // when it was taken back
}

// Source is one time that a source named an item, a row of table item_source.
type Source struct {
	Mention   int64  // number of its row
	Source    string // short name
	Batch     string // identifier
	Place     string // line, or identifier of the object, in the batch
	Reference string // the source's own identifier
	// Credibility of the information on the Admiralty scale, 1 to 6; 0 when the
	// source did not say.
	Credibility int
	Confidence  int       // as this source gave it, 0 to 100; -1 when it did not say
	Handling    int64     // as this source marked it, see [Intern]
	Marking     string    // the text of that handling
	Observed    time.Time // last seen, as this source said; zero when it did not
	Original    string    // byte for byte as the source gave it
	At          time.Time
}
