package policy

import (
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy/personal"
	"ecs/observable"
)

// Codes of the privacy findings. All of them stop.
const (
	CodeMail     = "PII-MAIL-ADDRESS" // a mail address
	CodeName     = "PII-NAME"         // what looks like a person's name
	CodePhone    = "PII-PHONE"        // a telephone number
	CodeNational = "PII-NATIONAL-ID"  // a number that a state or bank gave a person
	CodeUserPath = "PII-USER-PATH"    // a path in a user's directory
	CodeURLUser  = "PII-URL-USER"     // user information in a URL
	CodeURLQuery = "PII-URL-QUERY"    // a query value that looks like a person's
	CodeDevice   = "PII-DEVICE"       // a hardware address
	CodeLocation = "PII-LOCATION"     // a position on Earth
	CodeUnread   = "PII-UNREAD"       // a text too long to be searched
	CodeSample   = "PII-SAMPLE"       // nothing found; chosen for a person's look
)

// codeOf gives the code under which a kind of element is stored.
var codeOf = map[personal.Kind]string{
	personal.Mail: CodeMail, personal.Name: CodeName, personal.Phone: CodePhone, personal.NationalID: CodeNational,
	personal.Account: CodeNational, personal.UserPath: CodeUserPath, personal.URLUser: CodeURLUser,
	personal.URLQuery: CodeURLQuery, personal.Device: CodeDevice, personal.Location: CodeLocation, personal.Unread: CodeUnread,
}

// Element is one piece of personal data in an item: the field and bytes where it
// is, its kind and the rule. Fields are "value" ("value 2" and so on for further
// atoms of a pattern), "summary", "context", "label 1", "reference 1" and so on.
type Element = personal.Element

// Redact replaces elements of one field by words in brackets; see
// [personal.Redact]. Give it the elements of that field alone.
func Redact(text string, elements []Element) string { return personal.Redact(text, elements) }

// Narrow suggests a value without the elements found in it, and says what is lost;
// see [personal.Narrow]. Only URLs can be narrowed.
func Narrow(a observable.Atom, elements []Element) (personal.Narrowed, bool) {
	if a.Kind != observable.URL {
		return personal.Narrowed{}, false
	}
	return personal.Narrow(a.Value, elements)
}

// InField gives the elements of one field.
func InField(elements []Element, field string) []Element {
	var out []Element
	for _, e := range elements {
		if e.Field == field {
			out = append(out, e)
		}
	}
	return out
}

// Screen looks for personal data in the value, the texts, the labels and the
// references of an item, and gives every element in this order.
func Screen(s *Subject) []Element {
	var out []Element
	for i, a := range s.Atoms {
		out = append(out, screenValue(numbered("value", i, i > 0), a)...)
	}
	out = append(out, personal.Find("summary", s.Summary)...)
	out = append(out, personal.Find("context", s.Context)...)
	for i, l := range s.Labels {
		out = append(out, personal.Find(numbered("label", i, true), l)...)
	}
	for i, l := range s.References {
		out = append(out, personal.Find(numbered("reference", i, true), l)...)
	}
	return out
}

func numbered(field string, i int, always bool) string {
	if !always {
		return field
	}
	return field + " " + strconv.Itoa(i+1)
}

func screenValue(field string, a observable.Atom) []Element {
	switch a.Kind {
	case observable.Mail:
		out := []Element{{Field: field, Start: 0, End: len(a.Value), Kind: personal.Mail, Why: "a mail address is personal data by nature"}}
		local, _, _ := strings.Cut(a.Value, "@")
		switch {
		case personal.Role(local):
			out[0].Why = "a mail address, of a role by its local part"
		case personal.PersonLike(local):
			out = append(out, Element{Field: field, Start: 0, End: len(local), Kind: personal.Name, Why: "the local part looks like a person's name"})
		}
		return out
	case observable.URL:
		return personal.FindURL(field, a.Value)
	case observable.Subject, observable.FileName:
		return personal.Find(field, a.Value)
	case observable.Domain:
		// A name is public by nature; only a mail address written into it counts.
		if strings.Contains(a.Value, "-at-") && mailInName(a.Value) {
			return []Element{{Field: field, Start: 0, End: len(a.Value), Kind: personal.Mail, Why: "the name spells out a mail address"}}
		}
	}
	return nil
}

// mailInName reports names such as jane-doe-at-mail-example-com.evil.example.
func mailInName(n string) bool {
	first, _, _ := strings.Cut(n, ".")
	before, after, _ := strings.Cut(first, "-at-")
	if !personal.PersonLike(before) {
		return false
	}
	for _, top := range []string{"-com", "-net", "-org", "-gov", "-edu"} {
		if strings.HasSuffix(after, top) || strings.Contains(after, top+"-") {
			return true
		}
	}
	return strings.Contains(after, "-dot-")
}

// Privacy gives what [Screen] finds as findings. An item with a finding stops in
// the gate; one without passes by itself as PII-NOT-PRESENT, but for a sample that
// gets a [CodeSample] finding.
func (c *Checker) Privacy(s *Subject, now time.Time) []indicator.Finding {
	r := report{at: now}
	r.elements(Screen(s))
	if len(r.found) == 0 && c.Sampled(s.Pattern) {
		r.stop(CodeSample, "nothing found; chosen by the sample for a person's look")
	}
	return r.found
}

func (r *report) elements(es []Element) {
	for _, e := range es {
		r.stop(codeOf[e.Kind], e.Detail())
	}
}

// InValue reports whether a privacy finding is about the indicator itself: no
// redaction of its texts answers it.
func InValue(f indicator.Finding) bool {
	if !indicator.IsPrivacy(f.Code) || !strings.HasPrefix(f.Detail, "value") {
		return false
	}
	rest := strings.TrimLeft(f.Detail[len("value"):], " 0123456789")
	return strings.HasPrefix(rest, ":")
}

// PrivateText looks for personal data in texts alone.
func PrivateText(summary, context string, now time.Time) []indicator.Finding {
	r := report{at: now}
	r.elements(personal.Find("summary", summary))
	r.elements(personal.Find("context", context))
	return r.found
}

// ElementOf reads the element that a stored finding names. ok is false for
// findings that name no place, such as those of the sample.
func ElementOf(f indicator.Finding) (e Element, ok bool) {
	if !indicator.IsPrivacy(f.Code) {
		return e, false
	}
	e, ok = personal.ParseDetail(f.Detail)
	if !ok {
		return e, false
	}
	for k := personal.Mail; k <= personal.Unread; k++ {
		if codeOf[k] == f.Code {
			e.Kind = k
			break
		}
	}
	return e, true
}
