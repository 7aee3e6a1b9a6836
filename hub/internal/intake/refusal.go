package intake

import (
	"fmt"

	"ecs/hub/internal/policy"
)

// Codes of refusals, of items and of whole deliveries.
const (
	CodeFormat       = "FORMAT"                // neither STIX nor CSV, or no readable beginning
	CodeSource       = "UNKNOWN-SOURCE"        // no such source
	CodeAuthority    = "NO-AUTHORITY"          // the source has no authority or no purpose on record
	CodeLapsed       = "AUTHORITY-LAPSED"      // its authority has ended
	CodeTooLong      = "DELIVERY-TOO-LONG"     // more bytes than one delivery may have
	CodeChanged      = "CHANGED-WHILE-READ"    // the file was written to while it was read
	CodeSyntax       = "SYNTAX"                // not JSON, not CSV
	CodeTruncated    = "TRUNCATED"             // the end is missing
	CodeTooLarge     = "ITEM-TOO-LARGE"        // more bytes than one item may have
	CodeUTF8         = "BAD-UTF8"              // bytes that are not UTF-8
	CodeType         = "WRONG-TYPE"            // a field of another type than it must have
	CodeMissing      = "MISSING-FIELD"         // a field that must be there is not
	CodeValue        = "BAD-VALUE"             // a field whose value cannot be
	CodePattern      = "PATTERN-SYNTAX"        // not a STIX pattern
	CodeUnobservable = "PATTERN-UNOBSERVABLE"  // a pattern that no service can observe
	CodeLanguage     = "PATTERN-TYPE"          // a pattern of another language than STIX
	CodeVersion      = "SPEC-VERSION"          // not STIX 2.1
	CodeCeiling      = "MARKING-ABOVE-CEILING" // marked stricter than source or instance may handle
	CodeExpired      = "EXPIRED"               // its validity is over already
	CodeRevoked      = "REVOKED-BY-SOURCE"     // the source itself has taken it back
	CodeBenign       = "NOT-MALICIOUS"         // the source says that it is benign
	CodeOlder        = "OLDER-VERSION"         // the source itself has given a newer version
)

// Limits of what is kept of a refused item.
const (
	maxExcerpt = 200
	maxReason  = 500
	maxPlace   = 200
)

// Refusal is one item that was not taken, a row of table refusal.
type Refusal struct {
	Number  int64  `json:"number"` // of the item in the delivery, from 1
	Place   string `json:"place"`  // line, or identifier of the object
	Code    string `json:"code"`
	Reason  string `json:"reason"`
	Excerpt string `json:"excerpt"` // its beginning, control characters escaped
}

// refusal makes a refusal fit to be stored and shown, whatever the item held.
func refusal(code, format string, args ...any) *Refusal {
	return &Refusal{Code: code, Reason: policy.Printable(fmt.Sprintf(format, args...), maxReason)}
}

func (r *Refusal) at(number int64, place string, raw []byte) *Refusal {
	r.Number, r.Place = number, policy.Printable(place, maxPlace)
	r.Excerpt = policy.Printable(string(raw[:min(len(raw), maxExcerpt)]), maxExcerpt)
	return r
}
