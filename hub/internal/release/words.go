package release

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"ecs/contract"
)

// Why an act was refused. Test with errors.Is; the text says what to do next.
var (
	// ErrSamePerson means that the person already had a hand in this item (SOD-1,
	// SOD-2, SOD-4): somebody else has to do it.
	ErrSamePerson = errors.New("release: this person already acted on the item; another person has to do this")
	// ErrRole means that the account lacks the role for the act, or holds one that
	// forbids it (SOD-6).
	ErrRole = errors.New("release: the account's roles do not permit this")
	// ErrReason means that the act needs a reason of at least one short sentence.
	ErrReason = errors.New("release: a reason is needed, at least one short sentence")
	// ErrVersion means that the item changed since it was looked at: look again.
	ErrVersion = errors.New("release: the item changed since you looked at it; look again and decide anew")
	// ErrState means that the item is not in a state that permits the act.
	ErrState = errors.New("release: the item's state does not permit this")
	// ErrFindings means that findings of severity stop are not overridden by two
	// persons yet.
	ErrFindings = errors.New("release: findings forbid this; two persons have to override them with reasons, or the item has to go back")
	// ErrPersonal means that a determination REMOVED would leave personal data.
	ErrPersonal = errors.New("release: personal data would stay; determine NECESSARY and say why, or return or reject the item")
	// ErrNoTarget means that every target was refused; the reasons stand in the
	// [Outcome].
	ErrNoTarget = errors.New("release: no provider may receive the item; see the reason at each target")
	// ErrLife means that an emergency release was to last too long, or no time.
	ErrLife = errors.New("release: an emergency release lasts from one minute to four hours")
	// ErrText means that a text cannot be stored or shown.
	ErrText   = errors.New("release: the text is refused")
	errObject = errors.New("release: the item cannot be written as an object for providers")
	// ErrProvider means that there is no such provider, or that it left the program.
	ErrProvider = errors.New("release: no such provider in the program")
	// ErrUndo means that the decision cannot be taken back any more, or not by this
	// person.
	ErrUndo = errors.New("release: this cannot be taken back")
	// ErrTear means that something above the tear line would be below it, or that the
	// markings permit none.
	ErrTear = errors.New("release: the tear line does not hold")
	// ErrAttest means that an attestation contradicts itself or cannot be believed.
	ErrAttest = errors.New("release: the attestation is refused")
	// ErrAck means that a receipt cannot be believed and changed nothing.
	ErrAck = errors.New("release: the receipt is refused")
)

// Ref names an item as somebody saw it. Version is the version that was seen;
// zero means whatever is there (for commands and bulk acts that show no page).
type Ref struct {
	ID      contract.ID
	Version int64
}

// Target is a provider and the services for which it may use an item.
type Target struct {
	Provider string
	Services contract.Services
}

// Refused is a target that may not receive the item, and why, in words for the
// person who asked.
type Refused struct {
	Target
	Reason string
}

// Redaction is what a privacy officer puts in the place of an item's texts.
type Redaction struct {
	Summary string // releasable, at most [contract.MaxSummary] bytes
	Context string // for analysts, at most 16 KiB
}

// Outcome tells what a second approval did. Released lists what went out, with
// the services that were left after Refused.
type Outcome struct {
	ID       contract.ID
	At       time.Time
	Released []Target
	Refused  []Refused
}

// Failure is an item that a bulk act left as it was.
type Failure struct {
	ID  contract.ID
	Err error
}

// Bulk tells what a bulk act did. Failures and Refused are cut at
// [MaxReported] each; the counts are complete.
type Bulk struct {
	ID       string // for [Desk.UndoAll]
	Done     int
	Failed   int
	Failures []Failure
	Refused  map[string]int // refused targets: provider and reason, and how often
}

// MaxReported bounds the failures that a [Bulk] names one by one.
const MaxReported = 1000

// Status is where one delivery stands.
type Status string

// The states of a delivery.
const (
	Queued         Status = "QUEUED"          // in the provider's log
	Delivered      Status = "DELIVERED"       // handed to the provider's node
	Overdue        Status = "OVERDUE"         // no receipt within the limit
	Loaded         Status = "LOADED"          // in force, by the provider's receipt
	RefusedThere   Status = "REFUSED"         // the provider could not load it
	RemovalQueued  Status = "REMOVAL_QUEUED"  // recalled, removal in the log
	RemovalSent    Status = "REMOVAL_SENT"    // removal handed to the provider's node
	RemovalOverdue Status = "REMOVAL_OVERDUE" // no receipt for the removal within the limit
	Ended          Status = "ENDED"           // past valid_until: the node dropped it by its own clock
	RemovedThere   Status = "REMOVED"         // gone, by the provider's receipt
	Lapsed         Status = "LAPSED"          // recalled or past valid_until before it was loaded
)

// Delivery is one row of the ledger. Times are zero for "not yet".
type Delivery struct {
	Item     contract.ID
	Provider string
	Service  contract.Services
	Status   Status
	Reason   string // why the provider refused it
	Until    time.Time

	AddSeq, RemoveSeq                   uint64
	Queued, Delivered, Loaded, Refused  time.Time
	RemovalQueued, RemovalSent, Removed time.Time
}

// Filter selects ledger rows.
type Filter struct {
	Provider string
	Item     contract.ID // zero: all
	Service  contract.Services
	Status   Status    // '' : all
	At       time.Time // as of; zero: now
	// Handlings are those that whoever asks is cleared for; nil: all. See
	// hub/internal/access.
	Handlings []int64
	// After continues a listing: the row after this one, in order of provider,
	// add_seq, service.
	After *Delivery
	Limit int // 100 when zero, at most 10,000
}

// Balance reconciles what was released to a provider at one instant: Released =
// Loaded + Refused + Overdue + Pending + Lapsed, in (item, service) pairs.
type Balance struct {
	Provider string
	At       time.Time
	Released int64 // everything ever released to it until then
	Loaded   int64 // receipt came, in force or since removed
	Refused  int64 // the provider refused it, with a code
	Overdue  int64 // no receipt within the limit
	Pending  int64 // no receipt, but within the limit
	Lapsed   int64 // recalled or past its end before it was loaded

	// Of Loaded:
	InForce  int64 // still in force there
	Removing int64 // recalled, no receipt for the removal yet: still in force there
	Ended    int64 // past valid_until, dropped by the node's own clock
	Removed  int64 // receipt for the removal came
}

// Holds reports whether the balance adds up, within and without.
func (b *Balance) Holds() bool {
	return b.Released == b.Loaded+b.Refused+b.Overdue+b.Pending+b.Lapsed &&
		b.Loaded == b.InForce+b.Removing+b.Ended+b.Removed
}

// String gives the balance as one line for a report.
func (b *Balance) String() string {
	return fmt.Sprintf("%s at %s: released %d = loaded %d + refused %d + overdue %d + pending %d + lapsed %d",
		b.Provider, b.At.UTC().Format(time.RFC3339), b.Released, b.Loaded, b.Refused, b.Overdue, b.Pending, b.Lapsed)
}

// Approval is one decision as it stands beside an item in force.
type Approval struct {
	Kind   string
	Login  string
	Person string
	Reason string
	At     time.Time
}

// InForce is one item that was in force at a provider, and who answers for it.
type InForce struct {
	ID        contract.ID
	Services  contract.Services
	Loaded    time.Time // of the earliest service
	Until     time.Time
	Recalled  time.Time // removal queued but no receipt yet; else zero
	Approvals []Approval
}

// Node tells where a provider stands with its log.
type Node struct {
	Provider   string
	Head       uint64    // highest sequence number of its log
	Loaded     uint64    // highest sequence number it gave a receipt for
	LoadedAt   time.Time // when that receipt came
	LastAck    time.Time // newest receipt of any kind
	Problem    string    // of the newest receipt; 'none' when it loaded
	Checkpoint time.Time // newest checkpoint handed out: issued
	Expires    time.Time // and its end
	Pending    int64     // ledger rows without receipt, not overdue
	Overdue    int64     // ledger rows without receipt, overdue
	NotRemoved int64     // recalled rows without receipt
}

// Receipt is one stored acknowledgement.
type Receipt struct {
	Provider string
	Serial   string // of the certificate whose key signed it
	Ack      contract.Ack
	Received time.Time
}

func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	if len(reason) < 8 || len(reason) > 4096 {
		return "", fmt.Errorf("%w (8 to 4096 bytes)", ErrReason)
	}
	return reason, nil
}
