package indicator

import (
	"crypto/sha256"
	"encoding/hex"
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
	ID          contract.ID
	State       State
	Version     int64             // optimistic lock: rises by one with each write
	Pattern     string            // canonical STIX pattern
	Kind        observable.Kind   // of the first atom
	Value       string            // canonical value of the first atom
	Services    contract.Services // services that can observe the pattern
	Category    contract.Category
	Action      contract.Action // recommended action
	Confidence  int             // 0 to 100
	TLP         contract.TLP    // the strictest that any source gave
	Enforce     bool            // ACS NETDEF: may be used to block
	Display     bool            // ACS DSPLY: operators may be shown the value
	Notify      bool            // ACS TENOT: the customer may be notified
	Disclosure  uint8           // 0 occurrence, 1 and category, 2 and summary, 3 and pattern
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

// PatternKey gives the key under which a living item owns its pattern: the
// SHA-256 of the canonical pattern in hexadecimal.
func PatternKey(pattern string) string {
	sum := sha256.Sum256([]byte(pattern))
	return hex.EncodeToString(sum[:])
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
	KindReturn    = "return"
	KindReject    = "reject"
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
}

// Source is one time that a source named an item, a row of table item_source.
type Source struct {
	Source    string // short name
	Batch     string
	Place     string // line, or identifier of the object, in the batch
	Reference string // the source's own identifier
	TLP       contract.TLP
	Original  string // as the source gave it
	At        time.Time
}
