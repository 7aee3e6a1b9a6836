package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"ecs/contract"
	"ecs/observable"
	"ecs/stix/pattern"
	"ecs/stix/pattern/match"
)

// Stix holds the commands about STIX patterns. They need no hub and no provider.
// What they find is their exit code: 0 yes, 1 no, 2 cannot tell.
type Stix struct {
	Match stixMatchCmd `cmd:"" help:"Tell whether a STIX pattern holds on observed data."`
	Check stixCheckCmd `cmd:"" help:"Tell whether a text is a STIX pattern, and what each service can do with it."`
}

type stixMatchCmd struct {
	Pattern string `arg:"" help:"The pattern, such as \"[domain-name:value = 'bad.example']\"."`
	Bundle  string `arg:"" help:"File with observed data in JSON; - reads the standard input."`
	Steps   int64  `default:"50000000" help:"Give up after so many steps of evaluation."`
	JSON    bool   `help:"Print JSON."`
}

// Help teaches the command.
func (*stixMatchCmd) Help() string {
	return `The pattern is judged as STIX 2.1 section 9 says, on every observed-data object
of the file: a bundle, a TAXII envelope, a list, or one object; STIX 2.1 with
object_refs or STIX 2.0 with the objects inside.

Put the pattern in double quotes, since it has single ones:

  ecs stix match "[ipv4-addr:value ISSUBSET '192.0.2.0/24']" bundle.json
  ecs stix match "[file:name = 'a.exe'] FOLLOWEDBY [url:value LIKE 'http://%'] WITHIN 300 SECONDS" - <bundle.json

Printed are the observed-data objects by which the pattern holds, and for each
bracket the objects that satisfy it, also when the whole does not hold.

Exit code: 0 the pattern holds, 1 it does not, 2 an error or no answer within the
budget.`
}

// Run matches and ends the program with the exit code.
func (c *stixMatchCmd) Run() error {
	code, err := c.match(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ecs: "+err.Error())
	}
	os.Exit(code)
	return nil
}

func (c *stixMatchCmd) match(in io.Reader, out io.Writer) (int, error) {
	p, err := pattern.Parse(c.Pattern)
	if err != nil {
		return 2, pointed(c.Pattern, err)
	}
	m, err := match.New(p, norm.NFC.String)
	if err != nil {
		return 2, pointed(c.Pattern, err)
	}
	if c.Bundle != "-" {
		f, err := os.Open(c.Bundle)
		if err != nil {
			return 2, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	d, err := match.Read(in)
	if err != nil {
		return 2, err
	}
	r, err := m.Match(d, c.Steps)
	if err != nil {
		return 2, err
	}
	code := 1
	if r.Matched {
		code = 0
	}
	if c.JSON {
		err = json.NewEncoder(out).Encode(matchReport(p, d, r))
	} else {
		err = printMatch(out, p, d, r)
	}
	if err != nil {
		return 2, err
	}
	return code, nil
}

type matchedObject struct {
	ObservedData string `json:"observed_data"`
	Object       string `json:"object"`
}

type matchedBracket struct {
	Pattern string          `json:"pattern"`
	Objects []matchedObject `json:"objects"`
}

type matchJSON struct {
	Match    bool             `json:"match"`
	Pattern  string           `json:"pattern"`
	By       []string         `json:"observed_data"`
	Brackets []matchedBracket `json:"brackets"`
	Steps    int64            `json:"steps"`
}

func matchReport(p *pattern.Pattern, d *match.Data, r match.Result) matchJSON {
	out := matchJSON{Match: r.Matched, Pattern: p.String(), By: []string{}, Steps: r.Steps}
	for _, i := range r.Binding {
		out.By = append(out.By, d.Observations[i].ID)
	}
	for i, o := range match.Brackets(p.Root) {
		b := matchedBracket{Pattern: "[" + pattern.Write(o.Expr) + "]", Objects: []matchedObject{}}
		for _, h := range r.Brackets[i] {
			b.Objects = append(b.Objects, matchedObject{d.Observations[h.Observation].ID, h.Object})
		}
		out.Brackets = append(out.Brackets, b)
	}
	return out
}

func printMatch(out io.Writer, p *pattern.Pattern, d *match.Data, r match.Result) error {
	var b strings.Builder
	if r.Matched {
		fmt.Fprintf(&b, "match, by %d of %d observed-data objects\n", len(r.Binding), len(d.Observations))
	} else {
		fmt.Fprintf(&b, "no match on %d observed-data objects\n", len(d.Observations))
	}
	for _, i := range r.Binding {
		o := d.Observations[i]
		fmt.Fprintf(&b, "  %s  %s to %s, %d times\n", o.ID, o.First.Format(time.RFC3339Nano), o.Last.Format(time.RFC3339Nano), o.Number)
	}
	for _, bracket := range matchReport(p, d, r).Brackets {
		fmt.Fprintf(&b, "%s is satisfied by %d objects\n", bracket.Pattern, len(bracket.Objects))
		for _, o := range bracket.Objects {
			fmt.Fprintf(&b, "  %s  in %s\n", o.Object, o.ObservedData)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

type stixCheckCmd struct {
	Pattern string `arg:"" help:"The pattern; - reads it from the standard input."`
	JSON    bool   `help:"Print JSON."`
}

// Help teaches the command.
func (*stixCheckCmd) Help() string {
	return `Printed are the canonical form, the values by which candidates are found, and for
each service what it can and cannot observe of the pattern, and why:

  ecs stix check "[domain-name:value = 'Bad.Example' AND domain-name:value LIKE 'b%']"

Exit code: 0 at least one service can honor the pattern, 1 none can, 2 the text is
not a pattern.`
}

// Run checks and ends the program with the exit code.
func (c *stixCheckCmd) Run() error {
	code, err := c.check(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "ecs: "+err.Error())
	}
	os.Exit(code)
	return nil
}

type checkedPart struct {
	Part     string `json:"part"`
	Observed bool   `json:"observed"`
	Why      string `json:"why,omitempty"`
}

type checkedService struct {
	Service string        `json:"service"`
	Honors  string        `json:"honors"` // all, some, none
	Parts   []checkedPart `json:"parts"`
}

type checkJSON struct {
	Pattern  string           `json:"pattern"`
	Atoms    []string         `json:"atoms"`
	Exact    bool             `json:"atoms_suffice"`
	Scans    []string         `json:"brackets_without_atoms"`
	Services []checkedService `json:"services"`
}

func (c *stixCheckCmd) check(in io.Reader, out io.Writer) (int, error) {
	text := c.Pattern
	if text == "-" {
		all, err := io.ReadAll(io.LimitReader(in, int64(pattern.DefaultLimits.Bytes)+1))
		if err != nil {
			return 2, err
		}
		text = strings.TrimRight(string(all), "\r\n")
	}
	a, err := observable.Analyze(text)
	if err != nil {
		return 2, pointed(text, err)
	}
	report := checkJSON{Pattern: a.Pattern, Exact: a.Residual == nil, Atoms: []string{}, Scans: []string{}}
	if a.Residual != nil {
		for _, g := range a.Residual.Groups {
			if len(g.Atoms) == 0 {
				report.Scans = append(report.Scans, "["+pattern.Write(g.Rest)+"]")
			}
		}
	}
	for _, atom := range a.Atoms {
		report.Atoms = append(report.Atoms, atom.Kind.String()+" "+atom.String())
	}
	for _, s := range contract.AllServices.Each() {
		one := checkedService{Service: s.String(), Honors: "none"}
		if a.Services.Has(s) {
			one.Honors = "some"
		}
		if a.Unobservable(s) == nil {
			one.Honors = "all"
		}
		for _, p := range a.Parts(s) {
			one.Parts = append(one.Parts, checkedPart{p.Text, p.Why == "", p.Why})
		}
		report.Services = append(report.Services, one)
	}
	if c.JSON {
		err = json.NewEncoder(out).Encode(report)
	} else {
		_, err = io.WriteString(out, report.String())
	}
	if err != nil {
		return 2, err
	}
	if a.Services == 0 {
		return 1, nil
	}
	return 0, nil
}

// String gives the report for people.
func (r checkJSON) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, r.Pattern)
	if r.Exact {
		fmt.Fprintln(&b, "holds wherever one of these is seen:")
	} else if len(r.Atoms) > 0 {
		fmt.Fprintln(&b, "candidates are found by these, and the rest must hold as well:")
	}
	for _, a := range r.Atoms {
		fmt.Fprintln(&b, "  "+a)
	}
	if len(r.Scans) > 0 {
		fmt.Fprintln(&b, "no value finds candidates for these, so every object would have to be looked at:")
	}
	for _, s := range r.Scans {
		fmt.Fprintln(&b, "  "+s)
	}
	for _, s := range r.Services {
		fmt.Fprintf(&b, "%s honors %s of it\n", s.Service, s.Honors)
		for _, p := range s.Parts {
			if p.Observed {
				fmt.Fprintf(&b, "  yes  %s\n", p.Part)
			} else {
				fmt.Fprintf(&b, "  no   %s: %s\n", p.Part, p.Why)
			}
		}
	}
	return b.String()
}

// pointed shows where in a pattern an error is.
func pointed(text string, err error) error {
	var e *pattern.Error
	if !errors.As(err, &e) || e.Pos > len(text) || !utf8.ValidString(text) {
		return err
	}
	const around = 60
	from := strings.LastIndexByte(text[:e.Pos], '\n') + 1
	to := len(text)
	if i := strings.IndexByte(text[e.Pos:], '\n'); i >= 0 {
		to = e.Pos + i
	}
	for from < e.Pos-around || from < e.Pos && !utf8.RuneStart(text[from]) {
		from++
	}
	for to > e.Pos+around || to > e.Pos && to < len(text) && !utf8.RuneStart(text[to]) {
		to--
	}
	line := strings.ReplaceAll(text[from:to], "\t", " ")
	return fmt.Errorf("%w\n  %s\n  %s^", err, line, strings.Repeat(" ", utf8.RuneCountInString(text[from:e.Pos])))
}
