// Package format is what every reader of a delivered format gives: records, one
// at a time, in the terms of their source. The readers are below it, one package
// for each family of formats: bundle (STIX), sheet (CSV, XLSX), misp, list (names,
// addresses, hosts files, RPZ, Suricata, Zeek) and report (text that people
// write).
//
// It is NOT for judging: no reader knows ceilings, warning lists, personal data or
// the database; hub/internal/intake takes records from there.
//
// Invariants of every reader:
//   - Memory does not grow with the input: it holds one record.
//   - The same bytes give the same records in the same order, so that a delivery
//     that was broken off goes on by counting them.
//   - A bad record is one with a Problem, and the next follows; only what leaves no
//     record readable ends the whole with a [*Refused].
//   - Hostile bytes end in a Problem or a Refused, never in a panic, within
//     [Limits].
package format

import (
	"io"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/marking"
	"ecs/observable"
)

// Record is one item of a delivery as its source gave it. Its slices are the
// reader's and hold until the next call.
type Record struct {
	// Place is where it stands: "line 12", or the identifier of an object or
	// attribute. Line counts from 1, 0 when lines mean nothing.
	Place string
	Line  int64
	// Raw is the record as it came, bounded by Limits.Record.
	Raw []byte
	// Problem says why the record cannot be taken; all below is empty then.
	Problem *Problem
	// Skip says that the record is well formed and of no concern, such as an object
	// that carries nothing; all below is empty then. It counts, for the report.
	Skip bool
	// Object says that the record is no indicator but a STIX object that says
	// something about others, to be kept whole: Raw is it.
	Object bool

	// Value is a bare value, defanged or not, of Kind, or of the kind that it looks
	// like when Kind is None. Pattern is a STIX pattern. One of them is empty.
	Value   string
	Kind    observable.Kind
	Pattern string

	Reference   string            // the source's own identifier
	Version     time.Time         // of what it calls by that, STIX modified; zero when it has none
	Summary     string            // releasable: a customer may read it
	Context     string            // for analysts
	Labels      []string          // families, campaigns, tags, as the source writes them
	Category    contract.Category // Other when the source does not say
	Action      contract.Action   // if ActionSet
	ActionSet   bool
	Confidence  int    // 0 to 100, -1 when the source does not say
	Credibility int    // of the information on the Admiralty scale, 1 to 6; 0 when the source does not say
	Disclosure  *uint8 // what a customer may be told, 0 to 3; nil when the source does not say
	// Marks are all markings it carries. None: the source's default.
	Marks []marking.Mark
	// Enforce, Display, Notify are the source's own words on the uses, beside its
	// marks; nil when it says nothing. The strictest wins.
	Enforce, Display, Notify *bool
	// Benign says that the source vouches for the value. Revoked says that the source
	// takes back what it gave under Reference. Neither becomes an indicator.
	Benign, Revoked bool
	// From and Until bound its validity, Observed is when the source last saw it;
	// zero when the source does not say.
	From, Until, Observed time.Time
}

// Problem is why one record cannot be taken. The codes are those of
// hub/internal/intake: SYNTAX, TRUNCATED, ITEM-TOO-LARGE, BAD-UTF8, WRONG-TYPE,
// MISSING-FIELD, BAD-VALUE and the like; docs/formats/intake.md lists them.
type Problem struct {
	Code   string
	Reason string // what is wrong, for people
}

// Error implements error.
func (p *Problem) Error() string { return p.Reason }

// Refused is the error of an input in which no record can be told: not this
// format at all.
type Refused struct {
	Code   string // FORMAT, BAD-UTF8
	Reason string // what is wrong, and what to do
}

// Error implements error.
func (e *Refused) Error() string { return e.Reason }

// Limits bound what a reader takes.
type Limits struct {
	// Record is the most bytes of one record; a longer one is a Problem
	// (ITEM-TOO-LARGE) and is passed over.
	Record int
	// Total is the most bytes of an input that has to be unpacked (XLSX), unpacked.
	Total int64
}

// Reader gives record after record. At the end the error is io.EOF; a [*Refused]
// when there was nothing of this format; an error of the input comes as it is.
type Reader interface {
	Next() (*Record, error)
}

// Open makes a reader of one format on an input.
type Open func(r io.Reader, limits Limits) (Reader, error)

var dashes = strings.NewReplacer(" ", "-", "_", "-")

// CategoryOf finds a category in one word of a source: a phase of a kill chain, a
// label, a tag. Other when it is none of those.
func CategoryOf(word string) contract.Category {
	switch strings.ToLower(dashes.Replace(word)) {
	case "c2", "command-and-control", "c&c", "cnc":
		return contract.CommandAndControl
	case "phishing", "spearphishing", "spear-phishing":
		return contract.Phishing
	case "delivery", "initial-access", "malware-delivery":
		return contract.Delivery
	case "exfiltration":
		return contract.Exfiltration
	case "scanning", "scanner", "reconnaissance":
		return contract.Scanning
	default:
		return contract.Other
	}
}
