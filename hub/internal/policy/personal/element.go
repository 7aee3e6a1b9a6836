package personal

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is a kind of personal data.
type Kind uint8

// The kinds.
const (
	Mail       Kind = iota + 1 // a mail address
	Name                       // what looks like a person's name, also in a local part
	Phone                      // a telephone number
	NationalID                 // a number that a state gave a person
	Account                    // a bank account or payment card
	UserPath                   // the user's part of a path
	URLUser                    // user information in a URL
	URLQuery                   // a query value that tells who somebody is
	Device                     // a hardware address (MAC)
	Location                   // a position on Earth
	Unread                     // text past [Limit], which nobody searched
)

var kindNames = [...]string{
	"", "mail address", "name", "telephone number", "national id", "account number", "user name", "user information",
	"query value", "hardware address", "position", "unread text",
}

// String gives the kind in words.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

// Element is one piece of personal data: where it is, and by which rule.
type Element struct {
	Field string // of the item, such as "summary"; chosen by the caller of [Find]
	Start int    // in bytes
	End   int    // in bytes, exclusive
	Kind  Kind
	Why   string // the rule in words; holds nothing of the data
}

// Detail writes an element as the detail of a finding, which [ParseDetail] reads.
func (e Element) Detail() string {
	return fmt.Sprintf("%s: %s (bytes %d to %d)", e.Field, e.Why, e.Start, e.End)
}

// ParseDetail reads what [Element.Detail] wrote. The kind is not in it: a
// finding's code has that. ok is false for details without a place.
func ParseDetail(s string) (e Element, ok bool) {
	field, rest, ok := strings.Cut(s, ": ")
	at := strings.LastIndex(rest, " (bytes ")
	if !ok || at < 0 || !strings.HasSuffix(rest, ")") {
		return e, false
	}
	from, to, ok := strings.Cut(rest[at+len(" (bytes "):len(rest)-1], " to ")
	start, err := strconv.Atoi(from)
	end, endErr := strconv.Atoi(to)
	if !ok || err != nil || endErr != nil || start < 0 || end < start {
		return e, false
	}
	return Element{Field: field, Start: start, End: end, Why: rest[:at]}, true
}

// sorted puts elements in the order of the text, the longer first where two
// begin together, each place and kind once.
func sorted(es []Element) []Element {
	slices.SortStableFunc(es, func(a, b Element) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End), cmp.Compare(a.Kind, b.Kind))
	})
	return slices.CompactFunc(es, func(a, b Element) bool { return a.Start == b.Start && a.End == b.End && a.Kind == b.Kind })
}

// Redact replaces elements of one text by words in brackets such as "[mail
// address removed]". Elements that overlap are replaced as one, by the first of
// them. Places outside of the text are cut to it.
func Redact(text string, elements []Element) string {
	es := sorted(slices.Clone(elements))
	var b strings.Builder
	done := 0
	for i := 0; i < len(es); {
		e := es[i]
		e.Start, e.End = min(max(e.Start, done), len(text)), min(e.End, len(text))
		for i++; i < len(es) && es[i].Start < e.End; i++ {
			e.End = max(e.End, min(es[i].End, len(text)))
		}
		if e.Start >= e.End {
			continue
		}
		b.WriteString(text[done:e.Start])
		b.WriteString("[" + e.Kind.String() + " removed]")
		done = e.End
	}
	b.WriteString(text[done:])
	return b.String()
}

// Clean replaces everything that [Find] finds, and what comes to light when that
// is gone. It gives the elements of the first pass.
func Clean(text string) (string, []Element) {
	first := Find("", text)
	es := first
	for range maxPasses {
		if len(es) == 0 {
			return text, first
		}
		text = Redact(text, es)
		es = Find("", text)
	}
	if len(es) > 0 {
		text = "[text removed]" // what hides behind what is taken away is not worth keeping
	}
	return text, first
}

// maxPasses of [Clean]. One is enough for all but texts that were made to defy it.
const maxPasses = 4

// removed reports that s begins with what [Redact] writes.
func removed(s string) bool { return strings.HasPrefix(s, "[") && strings.Contains(s, " removed]") }
