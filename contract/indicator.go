package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ExtensionID names the STIX extension (a property-extension, STIX 2.1 section
// 7.3) that carries what the program adds to an indicator. It is documented in
// docs/formats/indicator.md.
const ExtensionID = "extension-definition--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a4"

// Limits of one released indicator. They bound what a provider must accept.
const (
	MaxPattern = 8 << 10  // bytes of a pattern
	MaxSummary = 2 << 10  // bytes of a releasable summary
	MaxObject  = 32 << 10 // bytes of the canonical object
	MaxMarks   = 16       // further markings
)

// Indicator is one released indicator as it passes the door: a STIX 2.1
// indicator (section 4.7) and the program's handling of it. Every provider gets
// the same bytes for one (ID, Modified), as STIX 2.1 section 3.6 demands; which
// services a provider may use it for stands beside it, in [Entry].
type Indicator struct {
	ID         ID
	CreatedBy  string    // identity--UUID of the program
	Created    time.Time // UTC, millisecond precision
	Modified   time.Time // UTC, millisecond precision
	Pattern    string    // STIX pattern, canonical form
	ValidFrom  time.Time
	ValidUntil time.Time // always set: nothing is in force for ever
	Confidence int       // 0 to 100
	Marking    TLP
	Markings   []string // further markings, marking-definition--UUID, in order; a provider keeps them with it
	Revoked    bool

	Category   Category
	Action     Action // recommended action
	Summary    string // releasable summary, fit for a customer's eyes
	Disclosure uint8  // what a customer may be told: 0 occurrence, 1 and category, 2 and summary, 3 and pattern
	Enforce    bool   // ACS NETDEF: may be used to block
	Display    bool   // ACS DSPLY: operators may be shown the value
	Notify     bool   // ACS TENOT: the customer may be notified
}

// stixTime is the form that STIX 2.1 best practice asks for: three digits.
const stixTime = "2006-01-02T15:04:05.000Z"

// Canonical gives the object's bytes: JSON in the form of RFC 8785 (keys in
// order, no space), the same for the same values whoever makes it.
func (x *Indicator) Canonical() ([]byte, error) {
	if x.ID.IsZero() || x.Pattern == "" || x.ValidUntil.IsZero() {
		return nil, errors.New("contract: an indicator needs an identifier, a pattern and an end of validity")
	}
	if !x.ValidUntil.After(x.ValidFrom) {
		return nil, errors.New("contract: valid_until must be after valid_from (STIX 2.1 section 4.7)")
	}
	if len(x.Pattern) > MaxPattern || len(x.Summary) > MaxSummary {
		return nil, fmt.Errorf("contract: pattern over %d or summary over %d bytes", MaxPattern, MaxSummary)
	}
	if !utf8.ValidString(x.Pattern) || !utf8.ValidString(x.Summary) || !utf8.ValidString(x.CreatedBy) {
		return nil, errors.New("contract: text is not UTF-8")
	}
	if x.Confidence < 0 || x.Confidence > 100 || x.Disclosure > 3 || int(x.Marking) >= len(tlpRefs) ||
		int(x.Category) >= len(categoryNames) || int(x.Action) >= len(actionNames) {
		return nil, errors.New("contract: an indicator's numbers are outside their closed lists")
	}
	err := checkMarks(x.Markings)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`{"confidence":`)
	b.WriteString(strconv.Itoa(x.Confidence))
	b.WriteString(`,"created":`)
	writeTime(&b, x.Created)
	b.WriteString(`,"created_by_ref":`)
	writeString(&b, x.CreatedBy)
	if x.Summary != "" {
		b.WriteString(`,"description":`)
		writeString(&b, x.Summary)
	}
	fmt.Fprintf(&b, `,"extensions":{"%s":{"action":"%s","category":"%s","disclosure":%d,"display":%t,"enforce":%t,"extension_type":"property-extension","notify":%t}}`,
		ExtensionID, x.Action, x.Category, x.Disclosure, x.Display, x.Enforce, x.Notify)
	b.WriteString(`,"id":`)
	writeString(&b, x.ID.String())
	b.WriteString(`,"indicator_types":["malicious-activity"],"modified":`)
	writeTime(&b, x.Modified)
	b.WriteString(`,"object_marking_refs":["` + x.Marking.Ref() + `"`)
	for _, ref := range x.Markings {
		b.WriteString(`,"` + ref + `"`)
	}
	b.WriteString(`],"pattern":`)
	writeString(&b, x.Pattern)
	b.WriteString(`,"pattern_type":"stix"`)
	if x.Revoked {
		b.WriteString(`,"revoked":true`)
	}
	b.WriteString(`,"spec_version":"2.1","type":"indicator","valid_from":`)
	writeTime(&b, x.ValidFrom)
	b.WriteString(`,"valid_until":`)
	writeTime(&b, x.ValidUntil)
	b.WriteByte('}')
	if b.Len() > MaxObject { // escapes can make the object much longer than its text
		return nil, fmt.Errorf("contract: object of %d bytes, limit %d", b.Len(), MaxObject)
	}
	return b.Bytes(), nil
}

// checkMarks refuses what is no list of marking definitions beside that of TLP: each
// once, in order, so that the same markings have the same bytes.
func checkMarks(refs []string) error {
	if len(refs) > MaxMarks {
		return fmt.Errorf("contract: more than %d further markings", MaxMarks)
	}
	for i, ref := range refs {
		u, ok := strings.CutPrefix(ref, "marking-definition--")
		id, err := ParseID(idPrefix + u)
		_, tlp := TLPByRef(ref)
		if !ok || err != nil || id.String() != idPrefix+u || tlp || i > 0 && refs[i-1] >= ref {
			return errors.New("contract: further markings are marking-definition--UUID in order, each once, and none of TLP")
		}
	}
	return nil
}

// ParseIndicator reads the canonical bytes. It refuses anything that
// [Indicator.Canonical] would not write again byte for byte, so that two
// readers can never understand one object differently.
func ParseIndicator(object []byte) (*Indicator, error) {
	if len(object) > MaxObject {
		return nil, fmt.Errorf("contract: object of %d bytes, limit %d", len(object), MaxObject)
	}
	var in struct {
		Type       string                     `json:"type"`
		ID         ID                         `json:"id"`
		CreatedBy  string                     `json:"created_by_ref"`
		Created    time.Time                  `json:"created"`
		Modified   time.Time                  `json:"modified"`
		Summary    string                     `json:"description"`
		Pattern    string                     `json:"pattern"`
		ValidFrom  time.Time                  `json:"valid_from"`
		ValidUntil time.Time                  `json:"valid_until"`
		Confidence int                        `json:"confidence"`
		Revoked    bool                       `json:"revoked"`
		Markings   []string                   `json:"object_marking_refs"`
		Extensions map[string]json.RawMessage `json:"extensions"`
	}
	err := json.Unmarshal(object, &in)
	if err != nil {
		return nil, fmt.Errorf("contract: indicator: %w", err)
	}
	var ext struct {
		Action     Action   `json:"action"`
		Category   Category `json:"category"`
		Disclosure uint8    `json:"disclosure"`
		Display    bool     `json:"display"`
		Enforce    bool     `json:"enforce"`
		Notify     bool     `json:"notify"`
	}
	raw, ok := in.Extensions[ExtensionID]
	if !ok || len(in.Markings) == 0 {
		return nil, errors.New("contract: indicator without the program's extension or its marking")
	}
	err = json.Unmarshal(raw, &ext)
	if err != nil {
		return nil, fmt.Errorf("contract: indicator extension: %w", err)
	}
	tlp, ok := TLPByRef(in.Markings[0])
	if !ok {
		return nil, errors.New("contract: indicator with an unknown marking")
	}
	x := &Indicator{
		ID: in.ID, CreatedBy: in.CreatedBy, Created: in.Created, Modified: in.Modified,
		Pattern: in.Pattern, ValidFrom: in.ValidFrom, ValidUntil: in.ValidUntil,
		Confidence: in.Confidence, Marking: tlp, Revoked: in.Revoked, Summary: in.Summary,
		Category: ext.Category, Action: ext.Action, Disclosure: ext.Disclosure,
		Enforce: ext.Enforce, Display: ext.Display, Notify: ext.Notify,
	}
	if len(in.Markings) > 1 {
		x.Markings = in.Markings[1:]
	}
	again, err := x.Canonical()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, object) {
		return nil, errors.New("contract: indicator is not in canonical form")
	}
	return x, nil
}

func writeTime(b *bytes.Buffer, t time.Time) {
	b.WriteByte('"')
	b.WriteString(t.UTC().Format(stixTime))
	b.WriteByte('"')
}

// writeString writes a JSON string as RFC 8785 section 3.2.2.2 has it: only
// what must be escaped is.
func writeString(b *bytes.Buffer, s string) {
	const hexDigits = "0123456789abcdef"
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\b':
			b.WriteString(`\b`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x20:
			b.WriteString(`\u00`)
			b.WriteByte(hexDigits[r>>4])
			b.WriteByte(hexDigits[r&15])
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
}
