package marking

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxHandling is the most bytes of a text that ParseHandling reads: more than any
// handling has.
const maxHandling = 1 << 20

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// String gives the canonical text: equal handlings give equal texts and different
// ones different. Its parts are the level with compartments, the TLP marking, PAP,
// the audiences, the rules, and the dates, such as
//
//	U TLP:AMBER PAP:AMBER REL GBR,USA acs-dsply acs-idsrc="only ORG USA.DHS" dispose=2027-01-01T00:00:00Z
func (h Handling) String() string {
	h = h.known()
	var b strings.Builder
	b.WriteString(portion(h.level, h.controls))
	b.WriteByte(' ')
	b.WriteString(tlpRows[h.tlp].mark)
	if h.pap != PAPClear {
		b.WriteByte(' ')
		b.WriteString(h.pap.String())
	}
	for i, a := range h.who {
		if a.limited {
			b.WriteByte(' ')
			b.WriteString(a.phrase(i))
		}
	}
	for _, r := range h.rules {
		b.WriteByte(' ')
		b.WriteString(r.code)
		if r.arg != "" {
			b.WriteByte('=')
			b.WriteString(strconv.Quote(r.arg))
		}
	}
	for _, d := range []struct {
		name string
		at   time.Time
	}{{"from", h.from}, {"until", h.until}, {"dispose", h.dispose}} {
		if !d.at.IsZero() {
			b.WriteString(" " + d.name + "=" + stamp(d.at))
		}
	}
	for _, how := range h.how {
		b.WriteString(" how=")
		b.WriteString(strconv.Quote(how))
	}
	return b.String()
}

// errSpelling is the error of a text that String does not give.
var errSpelling = errors.New("this is not the canonical text of a handling: it has to be written by this program")

// ParseHandling reads what String gives, and nothing else: for each text that it
// takes, String gives it back byte for byte.
func ParseHandling(words string) (Handling, error) {
	if len(words) > maxHandling {
		return Handling{}, fmt.Errorf("a handling of %d bytes is longer than any", len(words))
	}
	h, err := readHandling(words)
	if err != nil {
		return Handling{}, fmt.Errorf("handling: %w", err)
	}
	if h.String() != words {
		return Handling{}, errSpelling
	}
	return h, nil
}

func readHandling(words string) (Handling, error) {
	h := Handling{read: true}
	word, rest, _ := strings.Cut(words, " ")
	var err error
	h.level, h.controls, err = readPortion(word)
	if err != nil {
		return h, err
	}
	tlp := false
	for rest != "" {
		var name, arg string
		name, arg, rest, err = nextPart(rest)
		if err != nil {
			return h, err
		}
		if m, ok := traffics[strings.ToLower(name)]; ok {
			tlp = tlp || m.kind == KindTLP
			h.tlp, h.pap = max(h.tlp, m.handling.tlp), max(h.pap, m.handling.pap)
			continue
		}
		if i := slices.Index(propertyWords[:], name); i >= 0 {
			word, rest, _ = strings.Cut(rest, " ")
			h.who[i], err = readAudience(word)
		} else {
			err = h.readPart(name, arg)
		}
		if err != nil {
			return h, err
		}
	}
	if !tlp {
		return h, errors.New("it has no TLP marking")
	}
	h.rules = normal(h.rules)
	return open.Join(h), nil // within bounds
}

// nextPart cuts name or name=argument off, the argument quoted or a word.
func nextPart(s string) (name, arg, rest string, err error) {
	end := strings.IndexAny(s, " =")
	if end < 0 {
		return s, "", "", nil
	}
	name = s[:end]
	if s[end] == ' ' {
		return name, "", s[end+1:], nil
	}
	s = s[end+1:]
	if !strings.HasPrefix(s, `"`) {
		arg, rest, _ = strings.Cut(s, " ")
		return name, arg, rest, nil
	}
	quoted, err := strconv.QuotedPrefix(s)
	if err != nil {
		return "", "", "", errSpelling
	}
	arg, err = strconv.Unquote(quoted)
	return name, arg, strings.TrimPrefix(s[len(quoted):], " "), err
}

func (h *Handling) readPart(name, arg string) error {
	dates := map[string]*time.Time{"from": &h.from, "until": &h.until, "dispose": &h.dispose}
	if at, ok := dates[name]; ok {
		t, err := time.Parse(time.RFC3339Nano, arg)
		if err != nil || t.IsZero() {
			return fmt.Errorf("%s=%q is not a time", name, arg)
		}
		*at = t.UTC()
		return nil
	}
	if name == "how" {
		if clean(arg) != arg && arg != everything {
			return errSpelling
		}
		h.how = newSet(append(h.how, arg)...)
		return nil
	}
	r, ok := ruleRows[name]
	switch {
	case !ok:
		return fmt.Errorf("%q is no rule", name)
	case arg != "" && r.arg == nothing, len(arg) > maxScope, arg != "" && r.arg == text && clean(arg) != arg:
		return fmt.Errorf("%s cannot have the argument %q", name, arg)
	case arg != "" && r.arg == scoped:
		_, _, err := readScoped(arg)
		if err != nil {
			return err
		}
	}
	h.rules = append(h.rules, rule{name, arg})
	return nil
}

// MarshalText implements [encoding.TextMarshaler].
func (h Handling) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (h *Handling) UnmarshalText(b []byte) error {
	v, err := ParseHandling(string(b))
	*h = v
	return err
}

// MarshalJSON gives the form for pages and programs: the text, its parts and what
// follows from it. Only "text" is read back.
func (h Handling) MarshalJSON() ([]byte, error) {
	h = h.known()
	limit, _ := h.Disclosure()
	answers := make(map[string]bool, uses)
	for _, u := range Uses() {
		answers[u.String()] = h.static(u).Yes
	}
	form := struct {
		Text        string          `json:"text"`
		TLP         string          `json:"tlp"`
		PAP         string          `json:"pap,omitempty"`
		Level       string          `json:"level"`
		Controls    []string        `json:"controls,omitempty"`
		Releasable  []string        `json:"releasable_to,omitempty"`
		May         map[string]bool `json:"may"`
		Disclosure  uint8           `json:"disclosure"`
		Sealed      bool            `json:"sealed"`
		Disposition *time.Time      `json:"disposition,omitempty"`
		Reasons     []string        `json:"reasons,omitempty"`
	}{
		Text: h.String(), TLP: h.tlp.String(), Level: h.level.String(), Controls: h.controls, May: answers,
		Disclosure: limit, Sealed: h.Sealed(), Reasons: h.Reasons(), Releasable: h.who[nationalities].names,
	}
	if h.pap != PAPClear {
		form.PAP = h.pap.String()
	}
	if !h.dispose.IsZero() {
		form.Disposition = &h.dispose
	}
	return json.Marshal(form)
}

// UnmarshalJSON reads the text of what MarshalJSON gives.
func (h *Handling) UnmarshalJSON(b []byte) error {
	var form struct {
		Text string `json:"text"`
	}
	err := json.Unmarshal(b, &form)
	if err != nil {
		return fmt.Errorf("handling: %w", err)
	}
	return h.UnmarshalText([]byte(form.Text))
}
