package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/format/sheet"
	"ecs/hub/internal/intake"
	"ecs/observable"
	"ecs/web"
)

// table is a table whose columns are given a meaning: the one form for an upload and
// for a saved mapping.
type table struct {
	Sheets   []option
	Sheet    string
	Header   int
	Above    []sheet.Line // rows above the header
	Columns  []column
	Fields   []option
	Kinds    []option
	Dates    string
	DateWays []option
	Zone     string
	Scale    string
	Scales   []option
	Constant map[string]string // by field, for rows that say nothing
	TLPs     []option
	Groups   []option
	Words    map[string]string // translations, one "theirs = ours" a line
	Saved    string            // name under which it is or will be saved
	File     bool              // there is a file: sheet and header can be chosen
}

// column is one column of the form.
type column struct {
	sheet.Column
	Name    string // what to call it
	Samples []string
	Why     string
	Sure    bool
}

var (
	fieldWords = map[sheet.Field]string{
		sheet.Value: "Value: name, address, URL, hash …", sheet.Pattern: "STIX pattern", sheet.Type: "Kind of the value", sheet.Port: "Port",
		sheet.Protocol: "Protocol", sheet.Category: "Category", sheet.Confidence: "Confidence", sheet.Credibility: "Credibility (Admiralty)",
		sheet.TLP: "TLP", sheet.Marking: "Marking", sheet.ValidFrom: "Valid from", sheet.ValidUntil: "Valid until", sheet.Observed: "Last seen",
		sheet.Summary: "Summary: customers may read it", sheet.Context: "Context: for analysts only", sheet.Labels: "Labels: families, campaigns",
		sheet.Reference: "The source’s identifier", sheet.Action: "Action", sheet.Disclosure: "Disclosure", sheet.Notify: "May customers be notified",
		sheet.Enforce: "May it be blocked", sheet.Display: "May it be displayed", sheet.Benign: "It is benign", sheet.Revoked: "It is taken back",
		sheet.Ignore: "Ignore",
	}
	dateWays = []option{{"", "2026-01-31"}, {"dmy", "31.01.2026"}, {"mdy", "01/31/2026"}, {"unix", "seconds since 1970"}, {"unix-ms", "milliseconds since 1970"}}
	scales   = []option{{"", "0 to 100"}, {"0-10", "0 to 10"}, {"0-1", "0 to 1"}, {"words", "low, medium, high"}, {"probability", "likely, unlikely …"}, {"admiralty", "B2"}}
)

// newTable makes the form of a mapping.
func newTable(m *sheet.Mapping) *table {
	t := &table{
		Sheet: m.Sheet, Header: m.Header, Dates: m.Dates, DateWays: dateWays, Zone: m.Zone, Scale: m.Scale, Scales: scales,
		Constant: map[string]string{}, Words: map[string]string{"markings": lines(m.Markings), "categories": lines(m.Categories), "kinds": lines(m.Kinds)},
		TLPs: []option{{"", "as the source may give"}}, Groups: []option{{"", "other"}},
	}
	for _, f := range sheet.Fields {
		t.Fields = append(t.Fields, option{string(f), fieldWords[f]})
	}
	t.Kinds = append(t.Kinds, option{"", "found out"})
	for k := observable.None + 1; k <= observable.SHA512; k++ {
		t.Kinds = append(t.Kinds, option{k.String(), k.String()})
	}
	for x := contract.Clear; x <= contract.Red; x++ {
		t.TLPs = append(t.TLPs, option{x.String(), "TLP:" + strings.ToUpper(x.String())})
	}
	for x := contract.CommandAndControl; x <= contract.Scanning; x++ {
		t.Groups = append(t.Groups, option{x.String(), web.CategoryName(x)})
	}
	for f, v := range m.Constants {
		t.Constant[string(f)] = v
	}
	for i := range m.Columns {
		x := column{Column: m.Columns[i], Name: m.Columns[i].Header}
		if x.Name == "" {
			x.Name = "Column " + strconv.Itoa(x.Number)
		}
		t.Columns = append(t.Columns, x)
	}
	return t
}

func lines(words map[string]string) string {
	var out []string
	for k, v := range words {
		out = append(out, k+" = "+v)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// lookTable looks at a table: with our own names as it is, else by the mapping that
// is on record for the upload, or by the one that is proposed.
func (c *console) lookTable(ctx context.Context, u *upload, d *intake.Delivery, f *os.File, rows int) error {
	var err error
	if d.Mapping == "" {
		u.Preview, err = c.Intake.Preview(ctx, *d, f, rows)
		if err != nil || u.Preview.Refused == "" || len(u.Preview.Rows) > 0 {
			return err
		}
	}
	m, s, p, err := proposed(f, d.Mapping)
	var whole *format.Refused
	if errors.As(err, &whole) {
		u.Preview.Refused = whole.Reason
		return nil
	}
	if err != nil {
		return err
	}
	u.Table = newTable(m)
	u.Table.File, u.Table.Saved = true, u.Saved
	u.Table.sample(s, p)
	for _, name := range s.Sheets {
		u.Table.Sheets = append(u.Table.Sheets, option{name, name})
	}
	u.Table.Sheet = s.Sheet
	u.Preview = intake.Preview{}
	err = m.Check()
	if err != nil {
		u.Preview.Refused = err.Error()
		return nil
	}
	body, err := m.JSON()
	if err != nil {
		return err
	}
	d.Mapping = string(body)
	u.Preview, err = c.Intake.Preview(ctx, *d, f, rows)
	return err
}

// proposed gives the mapping on record, or the one that is proposed when there is
// none, with the beginning of the file and the reasons.
func proposed(f *os.File, recorded string) (*sheet.Mapping, *sheet.Sample, sheet.Proposal, error) {
	m := &sheet.Mapping{}
	if recorded != "" {
		err := json.Unmarshal([]byte(recorded), m)
		if err != nil {
			return nil, nil, sheet.Proposal{}, fmt.Errorf("console: mapping of an upload: %w", err)
		}
	}
	_, err := f.Seek(0, io.SeekStart)
	if err != nil {
		return nil, nil, sheet.Proposal{}, err
	}
	s, err := sheet.Look(f, limits(), m.Sheet, sampleRows)
	if err != nil {
		return nil, nil, sheet.Proposal{}, err
	}
	if len(s.Rows) == 0 {
		return nil, nil, sheet.Proposal{}, &format.Refused{Code: intake.CodeFormat, Reason: "the table is empty: choose another sheet or file"}
	}
	p := propose(s, m.Header)
	if len(m.Columns) == 0 {
		m = &p.Mapping
	}
	return m, s, p, nil
}

// propose proposes a mapping with the header in a line; 0 leaves it to the guess.
func propose(s *sheet.Sample, line int) sheet.Proposal {
	if line == sheet.NoHeader {
		widest := 0
		var cells [][]string
		for _, l := range s.Rows {
			widest = max(widest, len(l.Cells))
			cells = append(cells, l.Cells)
		}
		p := sheet.Suggest(make([]string, widest), cells)
		p.Mapping.Sheet, p.Mapping.Header = s.Sheet, sheet.NoHeader
		return p
	}
	for i, l := range s.Rows {
		if int(l.Line) == line {
			s.Header = i
		}
	}
	p := s.Suggest()
	byHeader(&p.Mapping)
	return p
}

// byHeader finds columns by their headers alone where these are unique, so that the
// next file may have them in another order.
func byHeader(m *sheet.Mapping) {
	count := map[string]int{}
	for i := range m.Columns {
		count[strings.ToLower(m.Columns[i].Header)]++
	}
	for i := range m.Columns {
		x := &m.Columns[i]
		if x.Header != "" && count[strings.ToLower(x.Header)] == 1 {
			x.Number = 0
		}
	}
}

// sample puts values and reasons beside the columns.
func (t *table) sample(s *sheet.Sample, p sheet.Proposal) {
	first := s.Header + 1
	var header []string
	if t.Header == sheet.NoHeader {
		first = 0
	} else {
		header = s.Rows[s.Header].Cells
		t.Above = s.Rows[:s.Header]
	}
	for i := range t.Columns {
		x := &t.Columns[i]
		at := x.Number - 1
		if x.Number == 0 {
			at = slices.IndexFunc(header, func(h string) bool { return strings.EqualFold(strings.Join(strings.Fields(h), " "), x.Header) })
		}
		for _, why := range p.Reasons {
			if why.Number == at+1 && why.Field == x.Field {
				x.Why, x.Sure = why.Why, why.Sure
			}
		}
		for _, l := range s.Rows[first:] {
			if at >= 0 && at < len(l.Cells) && strings.TrimSpace(l.Cells[at]) != "" && len(x.Samples) < 3 {
				x.Samples = append(x.Samples, clip(l.Cells[at]))
			}
		}
	}
}

// clip keeps a cell narrow.
func clip(s string) string {
	const most = 80
	s = strings.Join(strings.Fields(s), " ")
	r := []rune(s)
	if len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// saidTable takes over what the form says of the columns of an upload.
func (c *console) saidTable(r *http.Request, h *intake.Held) ([]web.Problem, error) {
	f, err := c.Intake.OpenHeld(*h)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	m, s, _, err := proposed(f, h.Mapping)
	var whole *format.Refused
	if errors.As(err, &whole) {
		return []web.Problem{{Field: "sheet", Text: whole.Reason}}, nil
	}
	if err != nil {
		return nil, err
	}
	header, err := strconv.Atoi(r.PostFormValue("header"))
	if err != nil {
		return []web.Problem{{Field: "header", Text: "The line of the header is a number, -1 when there is none"}}, nil
	}
	chosen := r.PostFormValue("sheet")
	if chosen != "" && chosen != s.Sheet || header != m.Header {
		return nil, c.another(h, f, chosen, header)
	}
	problems := mapped(r, m)
	body, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	h.Mapping = string(body)
	if len(problems) > 0 || r.PathValue("act") == "look" {
		return problems, nil
	}
	canonical, err := m.JSON()
	if err != nil {
		return []web.Problem{{Field: "columns", Text: err.Error()}}, nil
	}
	h.Mapping = string(canonical)
	name := strings.TrimSpace(r.PostFormValue("save"))
	if name == "" {
		return nil, nil
	}
	err = c.Intake.SaveMapping(r.Context(), intake.Mapping{Source: h.Source, Name: name, Body: h.Mapping, Login: account(r).Login})
	if errors.Is(err, intake.ErrMapping) {
		return []web.Problem{{Field: "save", Text: err.Error()}}, nil
	}
	h.Saved = name
	return nil, err
}

// another begins anew with another sheet or line of the header.
func (c *console) another(h *intake.Held, f *os.File, name string, header int) error {
	_, err := f.Seek(0, io.SeekStart)
	if err != nil {
		return err
	}
	s, err := sheet.Look(f, limits(), name, sampleRows)
	var whole *format.Refused
	if errors.As(err, &whole) || err == nil && len(s.Rows) == 0 {
		s, err = &sheet.Sample{Sheet: name}, nil
	}
	if err != nil {
		return err
	}
	m := sheet.Mapping{Sheet: name, Header: header}
	if len(s.Rows) > 0 {
		m = propose(s, header).Mapping
	}
	body, err := json.Marshal(m)
	h.Mapping, h.Saved = string(body), ""
	return err
}

// mapped takes over the fields of the form into a mapping.
func mapped(r *http.Request, m *sheet.Mapping) []web.Problem {
	var problems []web.Problem
	for i := range m.Columns {
		x, n := &m.Columns[i], strconv.Itoa(i)
		if r.PostFormValue("field-"+n) == "" {
			continue
		}
		x.Field = sheet.Field(r.PostFormValue("field-" + n))
		x.Kind, x.Split, x.Optional = "", "", r.PostFormValue("optional-"+n) != ""
		if x.Field == sheet.Value {
			x.Kind = r.PostFormValue("kind-" + n)
		}
		if x.Field == sheet.Value || x.Field == sheet.Labels {
			x.Split = r.PostFormValue("split-" + n)
		}
	}
	m.Dates, m.Zone, m.Scale = r.PostFormValue("dates"), strings.TrimSpace(r.PostFormValue("zone")), r.PostFormValue("scale")
	m.Constants = map[sheet.Field]string{}
	for _, f := range []sheet.Field{sheet.TLP, sheet.Category, sheet.Labels, sheet.Confidence} {
		v := strings.TrimSpace(r.PostFormValue("constant-" + string(f)))
		if v != "" {
			m.Constants[f] = v
		}
	}
	for _, w := range []struct {
		id   string
		into *map[string]string
	}{{"markings", &m.Markings}, {"categories", &m.Categories}, {"kinds", &m.Kinds}} {
		words, bad := pairs(r.PostFormValue("words-" + w.id))
		if bad != "" {
			problems = append(problems, web.Problem{Field: "words-" + w.id, Text: fmt.Sprintf("%q is not «theirs = ours»", bad)})
		}
		*w.into = words
	}
	return problems
}

// pairs reads lines of "theirs = ours".
func pairs(text string) (out map[string]string, bad string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		i := strings.LastIndex(line, "=")
		if i < 1 {
			return out, clip(line)
		}
		if out == nil {
			out = map[string]string{}
		}
		out[strings.TrimSpace(line[:i])] = strings.TrimSpace(line[i+1:])
	}
	return out, ""
}
