package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
)

// Indicator holds the commands of the desk: everything that a person at the hub does
// with indicators. docs/operations/cli.md is their manual.
type Indicator struct {
	Import   importCmd   `cmd:"" help:"Deliver files of indicators to a hub."`
	Search   searchCmd   `cmd:"" help:"Find indicators."`
	Show     findCmd     `cmd:"" help:"Show whole stories of indicators, by identifier or value."`
	Score    scoreCmd    `cmd:"" help:"Show what an indicator is worth now, and why."`
	Why      whyCmd      `cmd:"" help:"Tell what a provider may do with an indicator, and why not the rest."`
	Privacy  privacyCmd  `cmd:"" help:"Determine whether personal data stays, as a privacy officer."`
	Approve  approveCmd  `cmd:"" help:"Approve indicators: the first time, or the second time for providers."`
	Release  releaseCmd  `cmd:"" help:"Release to providers: second approval, more providers, or an emergency."`
	Ratify   ratifyCmd   `cmd:"" help:"Give the second person's word on an emergency release."`
	Override overrideCmd `cmd:"" help:"Let indicators go on in spite of findings; takes two persons."`
	Return   returnCmd   `cmd:"" help:"Send indicators back to their source."`
	Reject   rejectCmd   `cmd:"" help:"End indicators that are not released yet."`
	Hold     holdCmd     `cmd:"" help:"Take indicators back to the privacy gate."`
	Recall   recallCmd   `cmd:"" help:"Take released indicators out of force everywhere."`
	Undo     undoCmd     `cmd:"" help:"Take back what you decided last, shortly after."`
	Export   exportCmd   `cmd:"" help:"Write a selection as STIX, MISP, CSV or a plain list."`
}

// Exit codes of the indicator commands; 1 is an error.
const exitSome = 3 // done in part: the rest was refused, and is told

// codedError is an error with an exit code of its own.
type codedError struct {
	code int
	text string
}

// Error implements error.
func (e *codedError) Error() string { return e.text }

// selection says which indicators are meant. Conditions that are given all hold.
type selection struct {
	Query    string   `short:"q" placeholder:"QUERY" help:"What to search for; docs/formats/search.md has the language."`
	State    []string `help:"Only these states, such as PENDING_FIRST."`
	Kind     string   `help:"Only this kind: domain, address, url, sha256, …"`
	Source   string   `help:"Only what this source named."`
	Batch    string   `help:"Only what came in this delivery."`
	Provider string   `help:"Only what is in force at this provider now."`
}

func (s *selection) empty() bool {
	return s.Query == "" && len(s.State) == 0 && s.Kind == "" && s.Source == "" && s.Batch == "" && s.Provider == ""
}

func (s *selection) values() url.Values {
	q := url.Values{}
	for name, v := range map[string]string{"q": s.Query, "kind": s.Kind, "source": s.Source, "batch": s.Batch, "provider": s.Provider} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if len(s.State) > 0 {
		q["state"] = s.states()
	}
	return q
}

func (s *selection) states() []string {
	var out []string
	for _, x := range s.State {
		out = append(out, strings.ToUpper(x))
	}
	return out
}

// query is the selection in the language of docs/formats/search.md.
func (s *selection) query() (string, error) {
	if s.Provider != "" {
		return "", errors.New("--provider cannot be joined with a search or an export: leave one of them away, or see «ecs ledger»")
	}
	words := []string{s.Query}
	for _, f := range []struct{ name, value string }{
		{"state", strings.Join(s.states(), ",")}, {"kind", s.Kind}, {"source", s.Source}, {"batch", s.Batch},
	} {
		if f.value != "" {
			words = append(words, f.name+":"+f.value)
		}
	}
	return strings.TrimSpace(strings.Join(words, " ")), nil
}

// filter is the selection as bulk acts take it.
func (s *selection) filter() *filter {
	return &filter{Query: s.Query, States: s.states(), Provider: s.Provider, Source: s.Source, Batch: s.Batch, Kind: s.Kind}
}

// chosen are the indicators that an act is for: named one by one, read from the
// standard input, or selected.
type chosen struct {
	selection `embed:"" group:"Instead of identifiers"`
	IDs       []string `arg:"" optional:"" name:"id" help:"Identifiers; - reads them from the standard input, one a line or as JSON of «ecs indicator search»."`
}

var errNothingChosen = errors.New("no indicators: give identifiers, - to read them from the standard input, or a selection such as --state PENDING_FIRST --source NAME")

// pick gives the identifiers, or nil when the selection says which are meant.
func (c *chosen) pick(in io.Reader) ([]string, error) {
	if len(c.IDs) == 0 && c.empty() {
		return nil, errNothingChosen
	}
	if len(c.IDs) > 0 && !c.empty() {
		return nil, errors.New("give identifiers or a selection, not both")
	}
	var out []string
	for _, id := range c.IDs {
		if id != "-" {
			out = append(out, id)
			continue
		}
		ids, err := readIDs(in)
		if err != nil {
			return nil, err
		}
		out = append(out, ids...)
	}
	if len(c.IDs) > 0 && len(out) == 0 {
		return nil, errors.New("the standard input names no indicators: nothing is done")
	}
	for _, id := range out {
		if !strings.HasPrefix(id, "indicator--") {
			return nil, fmt.Errorf("%q is not an identifier: find it with «ecs indicator search --value %s»", id, id)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// readIDs reads identifiers: the first word of each line, or the member id of each
// line's JSON object.
func readIDs(in io.Reader) ([]string, error) {
	var out []string
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(text, "{") {
			var x struct {
				ID string `json:"id"`
			}
			err := json.Unmarshal([]byte(text), &x)
			if err != nil || x.ID == "" {
				return nil, fmt.Errorf("line %d of the standard input is no JSON object with an id", len(out)+1)
			}
			out = append(out, x.ID)
			continue
		}
		word, _, _ := strings.Cut(text, " ")
		word, _, _ = strings.Cut(word, "\t")
		if word != "" && !strings.HasPrefix(word, "#") {
			out = append(out, word)
		}
	}
	return out, lines.Err()
}

// line prints a value as one line of JSON.
func line(v any) error { return json.NewEncoder(os.Stdout).Encode(v) }

// decide does an act on what was chosen and prints what became of it.
func (c *chosen) decide(ctx context.Context, at *atHub, act string, o order) error {
	ids, err := c.pick(os.Stdin)
	if err != nil {
		return err
	}
	cl, err := at.client()
	if err != nil {
		return err
	}
	if len(ids) == 1 {
		a, err := cl.act(ctx, ids[0], act, o)
		if err != nil {
			return err
		}
		return a.print(at.JSON)
	}
	if ids == nil && c.Query != "" {
		ids, err = c.searched(ctx, cl)
		if err != nil {
			return err
		}
	}
	b, err := cl.bulkOf(ctx, act, ids, c.sel(ids), o)
	if err != nil {
		return err
	}
	return b.print(at.JSON)
}

// searched gives the identifiers that the query finds.
func (c *chosen) searched(ctx context.Context, cl *client) ([]string, error) {
	q, err := c.query()
	if err != nil {
		return nil, err
	}
	var out []string
	err = cl.search(ctx, q, 0, func(raw json.RawMessage) error {
		var x struct {
			ID string `json:"id"`
		}
		err := json.Unmarshal(raw, &x)
		out = append(out, x.ID)
		return err
	})
	if err == nil && len(out) == 0 {
		err = errors.New("the search finds no indicators: nothing is done")
	}
	return out, err
}

func (c *chosen) sel(ids []string) *filter {
	if ids != nil {
		return nil
	}
	return c.filter()
}

func (a *actAnswer) print(asJSON bool) error {
	if asJSON {
		err := line(a)
		if err != nil {
			return err
		}
	} else {
		fmt.Printf("%s is now %s\n", a.Item.ID, a.Item.State)
		for _, t := range a.Released {
			fmt.Printf("  released to %s for %s\n", t.Provider, t.Services)
		}
		for _, t := range a.Refused {
			fmt.Printf("  not released to %s for %s: %s\n", t.Provider, t.Services, t.Reason)
		}
	}
	if len(a.Refused) > 0 {
		return &codedError{exitSome, "not all providers may receive it, for the reasons above"}
	}
	return nil
}

func (b *bulkAnswer) print(asJSON bool) error {
	if asJSON {
		err := line(b)
		if err != nil {
			return err
		}
	} else {
		fmt.Printf("%d done, %d not\n", b.Done, b.Failed)
		for _, f := range b.Failures {
			fmt.Printf("  %s: %s\n", f.ID, f.Detail)
		}
		if more := b.Failed - len(b.Failures); more > 0 {
			fmt.Printf("  and %d more\n", more)
		}
		for what, n := range b.Refused {
			fmt.Printf("  %d not released to %s\n", n, what)
		}
		if b.Bulk != "" && b.Done > 0 {
			fmt.Printf("to take it back soon: ecs indicator undo --bulk %s -r \"…\"\n", b.Bulk)
		}
	}
	switch {
	case b.Failed > 0 && b.Done == 0:
		return errors.New("nothing was done, for the reasons above")
	case b.Failed > 0:
		return &codedError{exitSome, fmt.Sprintf("%d were not done, for the reasons above; the others were", b.Failed)}
	}
	return nil
}
