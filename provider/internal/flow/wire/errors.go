package wire

import "fmt"

// Reason says why bytes were refused.
type Reason uint8

// The reasons.
const (
	Short            Reason = iota + 1 // the datagram ends inside a structure
	Version                            // not NetFlow 5, 9 or IPFIX (10)
	Count                              // NetFlow v5: more records announced than there are bytes
	Length                             // a length field that cannot be
	BadTemplate                        // no fields, a number below 256, lengths that make no record
	TooManyDomains                     // more observation domains than Limits allows
	TooManyTemplates                   // more templates than Limits allows
	TooManyFields                      // a template with more fields than Limits allows
	TooManyRecords                     // more than MaxRecords in one datagram
	BadState                           // saved templates that are not ours or torn
)

var reasons = [...]string{
	"", "ends inside a structure", "version is not 5, 9 or 10", "record count exceeds the datagram",
	"impossible length", "degenerate template", "too many observation domains", "too many templates",
	"too many fields in a template", "too many records in one datagram", "saved templates are torn or not ours",
}

// Error is a refusal of a datagram or of part of it. Values are shared and must
// not be changed; they carry nothing of the traffic.
type Error struct{ Reason Reason }

// Error gives the reason.
func (e *Error) Error() string {
	if int(e.Reason) < len(reasons) {
		return "flow export refused: " + reasons[e.Reason]
	}
	return fmt.Sprintf("flow export refused: reason %d", e.Reason)
}

// The errors that [Exporter.Decode] and [Exporter.Restore] return; compare with
// errors.Is. They are values made once, so that refusing allocates nothing.
var (
	ErrShort     error = &Error{Short}
	ErrVersion   error = &Error{Version}
	ErrCount     error = &Error{Count}
	ErrLength    error = &Error{Length}
	ErrTemplate  error = &Error{BadTemplate}
	ErrDomains   error = &Error{TooManyDomains}
	ErrTemplates error = &Error{TooManyTemplates}
	ErrFields    error = &Error{TooManyFields}
	ErrRecords   error = &Error{TooManyRecords}
	ErrState     error = &Error{BadState}
)
