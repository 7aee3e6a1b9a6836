package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"text/tabwriter"
	"time"
)

type searchCmd struct {
	atHub
	Words []string `arg:"" optional:"" name:"query" help:"What to search for; see docs/formats/search.md."`
	Value string   `placeholder:"VALUE" help:"Exactly this value, in any spelling: bad[.]example, 192.0.2.1, hxxp://…"`
	selection
	Oldest bool `help:"Oldest first."`
	Limit  int  `short:"n" default:"100" help:"At most so many; 0 for all."`
}

// Help teaches the command.
func (*searchCmd) Help() string {
	return `  ecs indicator search -u alice bad
  ecs indicator search -u alice --value bad[.]example
  ecs indicator search -u alice --state PENDING_FIRST --source cedar -n 0 --json

With --json one object for each indicator and line, which the other commands read
from their standard input.`
}

// Run searches.
func (c *searchCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.Limit < 0 {
		return fmt.Errorf("-n %d: want a number, or 0 for all", c.Limit)
	}
	c.Query = strings.TrimSpace(c.Query + " " + strings.Join(c.Words, " "))
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	shown, of := 0, ""
	each := func(raw json.RawMessage) error {
		shown++
		return c.row(w, raw)
	}
	if c.Query != "" && c.Value == "" {
		if c.Oldest {
			return errors.New("a search gives the newest first: leave --oldest away")
		}
		var q string
		q, err = c.query()
		if err == nil {
			err = cl.search(ctx, q, c.Limit, each)
		}
	} else {
		q := c.values()
		if !c.Oldest {
			q.Set("order", "newest")
		}
		if c.Value != "" {
			q.Set("value", refanged(c.Value))
		}
		of, err = cl.list(ctx, q, c.Limit, each)
	}
	if err != nil || c.JSON {
		return err
	}
	_ = w.Flush()
	fmt.Printf("%d%s\n", shown, of)
	return nil
}

// search gives what a query finds, newest first, at most limit (0: all).
func (c *client) search(ctx context.Context, query string, limit int, each func(json.RawMessage) error) error {
	notes := map[string]bool{}
	q := url.Values{"q": {query}}
	for n := 0; limit == 0 || n < limit; {
		q.Set("limit", fmt.Sprint(pageOf(limit, n)))
		var got struct {
			Items  []json.RawMessage `json:"items"`
			Next   string            `json:"next"`
			Behind bool              `json:"behind"`
			Common bool              `json:"common"`
		}
		err := c.get(ctx, "/api/v1/search", q, &got)
		if err != nil {
			return err
		}
		for _, raw := range got.Items {
			err = each(raw)
			if err != nil {
				return err
			}
		}
		n += len(got.Items)
		if got.Behind && !notes["behind"] {
			fmt.Fprintln(os.Stderr, "ecs: the index is behind: the newest indicators may be missing; search again in a while")
		}
		if got.Common && !notes["common"] {
			fmt.Fprintln(os.Stderr, "ecs: the beginning of a word stands for too many words: some were left out; write more of it")
		}
		notes["behind"], notes["common"] = got.Behind, got.Common
		if got.Next == "" {
			return nil
		}
		q.Set("after", got.Next)
	}
	return nil
}

// list gives what conditions select, at most limit (0: all), and the words " of N".
func (c *client) list(ctx context.Context, q url.Values, limit int, each func(json.RawMessage) error) (string, error) {
	of := ""
	for n := 0; limit == 0 || n < limit; {
		q.Set("limit", fmt.Sprint(pageOf(limit, n)))
		var got struct {
			Total int64             `json:"total"`
			More  bool              `json:"more"`
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
		}
		err := c.get(ctx, "/api/v1/items", q, &got)
		if err != nil {
			return of, err
		}
		if of == "" {
			of = fmt.Sprintf(" of %d", got.Total)
			if got.More {
				of = fmt.Sprintf(" of more than %d", got.Total)
			}
		}
		for _, raw := range got.Items {
			err = each(raw)
			if err != nil {
				return of, err
			}
		}
		n += len(got.Items)
		if got.Next == "" || len(got.Items) == 0 {
			break
		}
		q.Set("after", got.Next)
	}
	return of, nil
}

func pageOf(limit, have int) int {
	if limit == 0 {
		return 1000
	}
	return min(1000, limit-have)
}

// row prints an indicator: as JSON exactly what the hub gave.
func (c *searchCmd) row(w io.Writer, raw json.RawMessage) error {
	if c.JSON {
		_, err := fmt.Println(string(raw))
		return err
	}
	var it item
	err := json.Unmarshal(raw, &it)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", it.ID, it.State, it.Kind, it.Services, it.shown())
	return err
}

func (it *item) shown() string {
	if it.Hidden {
		return "(not displayed)"
	}
	return it.Value
}

// refanged undoes the usual ways to write a value so that nobody follows it.
func refanged(v string) string {
	v = strings.NewReplacer("[.]", ".", "(.)", ".", "[:]", ":", "[@]", "@", "(at)", "@").Replace(strings.TrimSpace(v))
	for _, p := range []string{"hxxp", "hXXp", "HXXP"} {
		if rest, ok := strings.CutPrefix(v, p); ok {
			v = "http" + rest
		}
	}
	return v
}

// find gives the identifiers of what somebody names by identifier or value.
func (c *client) find(ctx context.Context, what string) ([]string, error) {
	if strings.HasPrefix(what, "indicator--") {
		return []string{what}, nil
	}
	items, _, err := c.items(ctx, url.Values{"value": {refanged(what)}, "order": {"newest"}, "limit": {"1000"}})
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return nil, fmt.Errorf("no indicator has the value %s, or none that you may know of; «ecs indicator search %s» finds parts", what, what)
	}
	var out []string
	for i := range items {
		out = append(out, items[i].ID)
	}
	return out, nil
}

type findCmd struct {
	atHub
	What []string `arg:"" name:"id-or-value" help:"Identifiers or values; - reads identifiers from the standard input."`
}

// Help teaches the command.
func (*findCmd) Help() string {
	return `The story has the sources, what the checks found, every decision with its reason, and
where the indicator is in force. Reading one whose marking forbids display is
written to the audit log.

  ecs indicator show -u omar indicator--4f1d…
  ecs indicator show -u alice bad[.]example`
}

// Run shows stories.
func (c *findCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	for n, what := range c.What {
		var ids []string
		if what == "-" {
			ids, err = readIDs(os.Stdin)
		} else {
			ids, err = cl.find(ctx, what)
		}
		if err != nil {
			return err
		}
		for i, id := range ids {
			if !c.JSON && n+i > 0 {
				fmt.Println()
			}
			err = c.show(ctx, cl, id)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *findCmd) show(ctx context.Context, cl *client, id string) error {
	if c.JSON {
		var raw json.RawMessage
		err := cl.get(ctx, "/api/v1/items"+escaped(id), nil, &raw)
		if err != nil {
			return err
		}
		_, err = fmt.Println(strings.TrimSpace(string(raw)))
		return err
	}
	it, err := cl.item(ctx, id)
	if err != nil {
		return err
	}
	it.print()
	return nil
}

type scoreCmd struct {
	atHub
	What []string `arg:"" name:"id-or-value" help:"Identifiers or values."`
}

// Help teaches the command.
func (*scoreCmd) Help() string {
	return `The score is from 0 to 100 and its parts add up to it; docs/formats/score.md says how
it is made and how it decays.

  ecs indicator score -u alice bad.example`
}

type scored struct {
	Item       string    `json:"item"`
	Value      float64   `json:"value"`
	Suggestion string    `json:"suggestion"`
	Seen       time.Time `json:"seen"`
	Until      time.Time `json:"until"`
	Parts      []struct {
		Name  string  `json:"name"`
		Value float64 `json:"value"`
		Why   string  `json:"why"`
	} `json:"parts"`
}

// Run prints scores.
func (c *scoreCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	for _, what := range c.What {
		ids, err := cl.find(ctx, what)
		if err != nil {
			return err
		}
		for _, id := range ids {
			var raw json.RawMessage
			err = cl.get(ctx, "/api/v1/items"+escaped(id, "score"), nil, &raw)
			if err != nil {
				return err
			}
			if c.JSON {
				fmt.Println(strings.TrimSpace(string(raw)))
				continue
			}
			var s scored
			err = json.Unmarshal(raw, &s)
			if err != nil {
				return err
			}
			s.print()
		}
	}
	return nil
}

func (s *scored) print() {
	fmt.Printf("%s  score %.0f, seen %s\n", s.Item, s.Value, s.Seen.UTC().Format(time.RFC3339))
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, p := range s.Parts {
		_, _ = fmt.Fprintf(w, "%+.1f\t %s: %s\n", p.Value, p.Name, p.Why)
	}
	_ = w.Flush()
	if s.Suggestion != "" {
		fmt.Printf("suggestion: %s\n", s.Suggestion)
	}
}

type exportCmd struct {
	atHub
	Words []string `arg:"" optional:"" name:"query" help:"What to search for; see docs/formats/search.md."`
	selection
	Format string `short:"f" enum:"stix,misp,csv,list" default:"stix" help:"stix, misp, csv or list."`
	Output string `short:"o" placeholder:"FILE" help:"Write to this file, which must not exist; without it to the standard output."`
}

// Help teaches the command.
func (*exportCmd) Help() string {
	return `Only what you may see and what the marking lets out is written; what is withheld is
counted in the output itself and on the standard error. See docs/formats/export.md.

  ecs indicator export -u alice --state IN_FORCE --format stix -o in-force.json
  ecs indicator export -u alice --source cedar --format csv

Exit code: 0 written whole, 1 an error: what was written until then is incomplete.`
}

// Run exports.
func (c *exportCmd) Run(ctx context.Context) (err error) {
	cl, err := c.client()
	if err != nil {
		return err
	}
	c.Query = strings.TrimSpace(c.Query + " " + strings.Join(c.Words, " "))
	query, err := c.query()
	if err != nil {
		return err
	}
	if query == "" {
		return errors.New("say what to export: a query, or conditions such as --state IN_FORCE")
	}
	out := io.Writer(os.Stdout)
	if c.Output != "" {
		f, err := os.OpenFile(c.Output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			err = errors.Join(err, f.Close())
			if err != nil {
				_ = os.Remove(c.Output)
			}
		}()
		out = f
	}
	bar := progress{what: "written", unit: "bytes"}
	defer bar.clear()
	report, err := cl.stream(ctx, "/api/v1/export", url.Values{"q": {query}, "format": {c.Format}}, &telling{w: out, told: func(n int64) {
		if c.Output != "" {
			bar.at(n, 0)
		}
	}})
	bar.clear()
	if err == nil && report != "" {
		fmt.Fprintln(os.Stderr, report)
	}
	return err
}

type telling struct {
	w    io.Writer
	n    int64
	told func(int64)
}

// Write implements [io.Writer].
func (t *telling) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.n += int64(n)
	t.told(t.n)
	return n, err
}
