package intake

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"ecs/hub/internal/format"
	"ecs/hub/internal/format/bundle"
	"ecs/hub/internal/format/list"
	"ecs/hub/internal/format/misp"
	"ecs/hub/internal/format/sheet"
)

// Formats of a delivery. Those of package list are the names of its kinds.
const (
	Auto       = "auto"   // whichever of the others it looks like
	STIX       = "stix"   // STIX 2.1 or 2.0 objects: a bundle, a TAXII 2.1 envelope
	CSV        = "csv"    // a table of our columns, or of mapped ones
	XLSX       = "xlsx"   // the same in a workbook
	MISP       = "misp"   // MISP events
	ReportText = "report" // text that people write, with defanged values
)

// Formats lists all formats that [Intake.Submit] takes, for help and forms.
func Formats() []string {
	out := []string{Auto, STIX, CSV, XLSX, MISP, ReportText}
	for _, k := range list.Kinds {
		out = append(out, string(k))
	}
	return out
}

// opener gives the reader's opener for a batch. A demonstration has reports of
// names and addresses that documentation uses.
func opener(b *Batch, demonstration bool) (format.Open, error) {
	switch b.Format {
	case STIX:
		return bundle.Open, nil
	case MISP:
		return misp.Open, nil
	case ReportText:
		o, err := ReportOption(b.Mapping, demonstration)
		return o.Open, err
	case CSV, XLSX:
		if b.Mapping == "" {
			return sheet.Open, nil
		}
		m, err := sheet.ParseMapping([]byte(b.Mapping))
		if err != nil {
			return nil, &Refused{Code: CodeFormat, Reason: "the mapping of columns cannot be used: " + err.Error()}
		}
		return m.Open, nil
	}
	if slices.Contains(list.Kinds, list.Kind(b.Format)) {
		return list.Open(list.Options{Kind: list.Kind(b.Format), Name: b.Name}), nil
	}
	return nil, unknownFormat(b.Format)
}

func unknownFormat(name string) *Refused {
	return &Refused{Code: CodeFormat, Reason: fmt.Sprintf("unknown format %q: want one of %s", clip(name), strings.Join(Formats(), ", "))}
}

// maxHead is how much of a delivery is looked at to tell its format.
const maxHead = 16 << 10

// Detect tells the format of what begins with head, from its bytes and, where these
// leave it open, from the file's name. It is empty when nothing fits.
func Detect(head []byte, name string) string {
	low := strings.ToLower(name)
	text := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimLeft(text, " \t\r\n")
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return XLSX
	case len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '['):
		return detectJSON(trimmed)
	case strings.HasSuffix(low, ".csv"), strings.HasSuffix(low, ".tsv"):
		return CSV
	case strings.HasSuffix(low, ".md"), strings.HasSuffix(low, ".eml"), strings.HasSuffix(low, ".html"):
		return ReportText
	case header(text):
		return CSV
	}
	kind, sure := list.Detect(head, name)
	if kind != "" && sure >= 50 {
		return string(kind)
	}
	if utf8.Valid(bytes.ToValidUTF8(text, nil)) && bytes.ContainsAny(text, " \n") {
		return ReportText
	}
	return string(kind)
}

// detectJSON tells MISP from STIX by the names that stand first.
func detectJSON(head []byte) string {
	for _, word := range []string{`"Event"`, `"response"`, `"Attribute"`, `"orgc"`, `"Orgc"`} {
		if bytes.Contains(head, []byte(word)) && !bytes.Contains(head, []byte(`"spec_version"`)) {
			return MISP
		}
	}
	return STIX
}

// header reports whether the first line names our own columns.
func header(text []byte) bool {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	for _, sep := range []string{",", ";", "\t"} {
		fields := strings.Split(strings.ToLower(strings.TrimSpace(string(line))), sep)
		if slices.Contains(fields, "value") || slices.Contains(fields, "pattern") {
			return true
		}
	}
	return false
}

// detect fills in the format of a delivery that leaves it open.
func (c *content) detect(d *Delivery) error {
	_, err := c.r.Seek(c.start, io.SeekStart)
	if err != nil {
		return fmt.Errorf("intake: read: %w", err)
	}
	head := make([]byte, min(maxHead, c.size))
	_, err = io.ReadFull(c.r, head)
	if err != nil {
		return fmt.Errorf("intake: read: %w", err)
	}
	d.Format = Detect(head, d.Name)
	if d.Format == "" {
		return &Refused{Code: CodeFormat, Reason: "it looks like none of the known formats: name one of " + strings.Join(Formats()[1:], ", ")}
	}
	return nil
}
