package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

type submitCmd struct {
	atHub
	Source string   `short:"s" required:"" help:"Short name of the source that delivers."`
	Format string   `default:"auto" help:"The files' format, as docs/formats/intake.md names them; auto finds it out."`
	Files  []string `arg:"" type:"existingfile" help:"Files to deliver."`
}

// Run delivers files and prints what became of them.
func (c *submitCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	bad := false
	for _, path := range c.Files {
		rep, err := c.one(ctx, cl, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		bad = bad || rep.Refused > 0 || rep.Error != ""
		if c.JSON {
			_ = json.NewEncoder(os.Stdout).Encode(rep)
			continue
		}
		rep.print()
	}
	if bad {
		return errors.New("something was refused: correct it at the source and deliver it again; what was taken changes nothing")
	}
	return nil
}

func (c *submitCmd) one(ctx context.Context, cl *client, path string) (batchReport, error) {
	f, err := os.Open(path)
	if err != nil {
		return batchReport{}, err
	}
	defer func() { _ = f.Close() }()
	var size int64
	info, err := f.Stat()
	if err == nil {
		size = info.Size()
	}
	bar := progress{what: "sent", unit: "bytes"}
	defer bar.clear()
	return cl.submit(ctx, delivered{Source: c.Source, Name: filepath.Base(path), Format: c.Format}, f, func(n int64) { bar.at(n, size) })
}

func (r *batchReport) print() {
	if r.Same {
		fmt.Printf("%s: delivered before, nothing changed (%s)\n", r.Name, r.Batch)
		return
	}
	fmt.Printf("%s: %d accepted, %d known already, %d refused, %d of other kinds (%s)\n", r.Name, r.Accepted, r.Duplicate, r.Refused, r.Skipped, r.Batch)
	for state, n := range r.States {
		fmt.Printf("  %6d  %s\n", n, state)
	}
	for _, x := range r.Refusals {
		fmt.Printf("  refused: %s: %s (%s)\n", x.Place, x.Reason, x.Code)
	}
	if int64(len(r.Refusals)) < r.Refused {
		fmt.Printf("  and %d more: ecs refused %s\n", r.Refused-int64(len(r.Refusals)), r.Batch)
	}
	if r.Error != "" {
		fmt.Printf("  %s\n", r.Error)
	}
}

type refusedCmd struct {
	atHub
	Batch string `arg:"" help:"The delivery's identifier."`
}

// Run prints all that was refused of a delivery.
func (c *refusedCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	after := int64(0)
	for {
		var page struct{ Refusals []refusal }
		q := url.Values{"limit": {"1000"}, "after": {fmt.Sprint(after)}}
		err = cl.get(ctx, "/api/v1/batches/"+url.PathEscape(c.Batch)+"/refusals", q, &page)
		if err != nil || len(page.Refusals) == 0 {
			return err
		}
		for _, x := range page.Refusals {
			if c.JSON {
				_ = json.NewEncoder(os.Stdout).Encode(x)
			} else {
				fmt.Printf("%s: %s (%s)\n    %s\n", x.Place, x.Reason, x.Code, x.Excerpt)
			}
			after = x.Number
		}
	}
}

type itemsCmd struct {
	atHub
	State  []string `help:"Only these states, such as PENDING_FIRST."`
	Search string   `short:"q" help:"Part of a value, or an identifier."`
	Limit  int      `default:"100" help:"At most so many, newest first."`
}

// Run lists indicators.
func (c *itemsCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	q := url.Values{"state": c.State, "q": {c.Search}, "limit": {fmt.Sprint(c.Limit)}, "order": {"newest"}}
	items, total, err := cl.items(ctx, q)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(items)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for i := range items {
		it := &items[i]
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", it.ID, it.State, it.Kind, it.Services, it.shown())
	}
	_ = w.Flush()
	fmt.Printf("%d of %d\n", len(items), total)
	return nil
}

type showCmd struct {
	atHub
	ID string `arg:"" help:"The indicator's identifier."`
}

// Run shows one indicator's story.
func (c *showCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	it, err := cl.item(ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(it)
	}
	it.print()
	return nil
}

// print tells the story.
func (it *item) print() {
	fmt.Printf("%s  %s\npattern   %s\nservices  %s   category %s   TLP:%s   confidence %d\nsummary   %s\nvalid     until %s\n",
		it.ID, it.State, it.Pattern, it.Services, it.Category, strings.ToUpper(it.TLP), it.Confidence, it.Summary, when(it.ValidUntil))
	for _, s := range it.Sources {
		fmt.Printf("named     %s  by %s, %s\n", when(s.At), s.Source, s.Place)
	}
	for _, f := range it.Findings {
		fmt.Printf("finding   %s  %s (%s) %s\n", when(f.At), f.Code, f.Severity, f.Detail)
	}
	for _, d := range it.Decisions {
		fmt.Printf("decision  %s  %s %s by %s: %s\n", when(d.At), d.Kind, d.Verdict, d.Person, d.Reason)
	}
	for _, d := range it.Deliveries {
		fmt.Printf("ledger    %s %s: %s\n", d.Provider, d.Service, d.State)
	}
}

func when(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

type decideCmd struct {
	atHub
	Act           string   `arg:"" enum:"privacy,first,second,override,return,reject,recall,hold,emergency,ratify,extend,undo" help:"privacy, first, second, override, return, reject, recall, hold, emergency, ratify, extend or undo."`
	Reason        string   `short:"r" required:"" help:"Why; it is kept for good."`
	To            []string `placeholder:"PROVIDER=SERVICES" sep:"none" help:"For second and emergency: to whom and for which services, such as northnet=dns,smtp or northnet=all. Several times for several."`
	Determination string   `enum:",PII-NOT-PRESENT,REMOVED,NECESSARY" default:"" help:"For privacy: PII-NOT-PRESENT, REMOVED or NECESSARY."`
	Summary       string   `help:"For privacy REMOVED: the releasable summary in place of the old one."`
	Context       string   `help:"For privacy REMOVED: the analysts' context in place of the old one."`
	Minutes       int      `default:"240" help:"For emergency: how long it is in force at most, 1 to 240."`
	IDs           []string `arg:"" name:"id" help:"Indicators."`
}

// Run decides on indicators.
func (c *decideCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	o := order{Reason: c.Reason, Determination: c.Determination, Summary: c.Summary, Context: c.Context}
	if c.Act == "emergency" {
		o.Minutes = c.Minutes
	}
	for _, t := range c.To {
		p, s, ok := strings.Cut(t, "=")
		if !ok {
			return fmt.Errorf("--to %s: want PROVIDER=SERVICES, such as northnet=all", t)
		}
		o.Targets = append(o.Targets, target{Provider: p, Services: s})
	}
	if len(c.IDs) > 1 {
		b, err := cl.bulk(ctx, c.Act, c.IDs, o)
		if err != nil {
			return err
		}
		fmt.Printf("%d done, %d not\n", b.Done, b.Failed)
		for _, f := range b.Failures {
			fmt.Printf("  %s: %s\n", f.ID, f.Detail)
		}
		if b.Failed > 0 {
			return errors.New("some were not done, for the reasons above")
		}
		return nil
	}
	a, err := cl.act(ctx, c.IDs[0], c.Act, o)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(a)
	}
	fmt.Printf("%s is now %s\n", a.Item.ID, a.Item.State)
	for _, t := range a.Released {
		fmt.Printf("  released to %s for %s\n", t.Provider, t.Services)
	}
	for _, t := range a.Refused {
		fmt.Printf("  not released to %s for %s: %s\n", t.Provider, t.Services, t.Reason)
	}
	return nil
}

type tokenCmd struct {
	atHub
	Provider string `arg:"" help:"Short name of the provider."`
}

// Run makes a one-time token.
func (c *tokenCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	t, err := cl.token(ctx, c.Provider)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(t)
	}
	fmt.Printf("token    %s   (once, until %s)\npin      %s\nGive them to the provider by two different ways; the node is enrolled with «ecs provider enroll».\n", t.Token, t.Expires.UTC().Format(time.RFC3339), t.Pin)
	return nil
}
