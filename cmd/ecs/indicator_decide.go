package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
)

// reasoned is the reason of an act.
type reasoned struct {
	Reason string `short:"r" required:"" placeholder:"TEXT" help:"Why; it is kept for good."`
}

// targeted is to whom something is released.
type targeted struct {
	To []string `placeholder:"PROVIDER:SERVICES" sep:"none" help:"To whom and for which services, such as northnet:dns,smtp or northnet:all. Several times for several."`
}

func (t *targeted) targets() ([]target, error) {
	var out []target
	for _, text := range t.To {
		i := strings.IndexAny(text, ":=")
		if i < 1 || i == len(text)-1 {
			return nil, fmt.Errorf("--to %s: want PROVIDER:SERVICES, such as northnet:dns,smtp or northnet:all", text)
		}
		out = append(out, target{Provider: text[:i], Services: text[i+1:]})
	}
	return out, nil
}

type approveCmd struct {
	atHub
	chosen
	reasoned
	targeted
}

// Help teaches the command.
func (*approveCmd) Help() string {
	return `Without --to it is the first approval, by an analyst; with --to it is the second,
by a release authority, and releases at once. Nobody approves an indicator twice,
nor one that they submitted.

  ecs indicator approve -u alice -r "Seen in two incidents." INDICATOR
  ecs indicator approve -u rosa -r "Checked again." --to northnet:dns,smtp INDICATOR
  ecs indicator approve -u alice -r "Same campaign." --state PENDING_FIRST --batch BATCH
  ecs indicator search -u alice --state PENDING_FIRST --json | ecs indicator approve -u alice -r "Read them all." -

Exit code: 0 all done, 3 some (the others are listed with reasons), 1 nothing.`
}

// Run approves.
func (c *approveCmd) Run(ctx context.Context) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	act := "first"
	if len(targets) > 0 {
		act = "second"
	} else {
		err = c.mayBeFirst(ctx)
		if err != nil {
			return err
		}
	}
	return c.decide(ctx, &c.atHub, act, order{Reason: c.Reason, Targets: targets})
}

// mayBeFirst tells a release authority what is missing, instead of what a first
// approval would be refused for.
func (c *approveCmd) mayBeFirst(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	me, err := cl.me(ctx)
	if err == nil && slices.Contains(me.Roles, "release_authority") && !slices.Contains(me.Roles, "pmo_analyst") {
		return errors.New("as a release authority you give the second approval: say to whom it goes, --to PROVIDER:SERVICES")
	}
	return err
}

type releaseCmd struct {
	atHub
	chosen
	reasoned
	targeted
	Extend    bool    `xor:"how" help:"They are released already: to more providers or services."`
	Emergency bool    `xor:"how" help:"Release at once by one person, without the first approval; a second one has an hour to ratify."`
	Hours     float64 `default:"4" help:"With --emergency: in force for so many hours at most, up to 4."`
}

// Help teaches the command.
func (*releaseCmd) Help() string {
	return `Gives the second approval. One indicator that is released already goes to the
further providers instead; for many say --extend.

  ecs indicator release -u rosa -r "Checked again." --to northnet:all INDICATOR
  ecs indicator release -u rosa -r "Same agreement." --extend --to southnet:dns --source cedar --state IN_FORCE
  ecs indicator release -u rosa -r "Ransomware under way." --emergency --hours 2 --to northnet:all INDICATOR

Exit code: 0 all done, 3 some (the rest with reasons), 1 nothing.`
}

// Run releases.
func (c *releaseCmd) Run(ctx context.Context) error {
	targets, err := c.targets()
	if err != nil {
		return err
	}
	if len(targets) == 0 {
		return errors.New("say to whom: --to PROVIDER:SERVICES, such as --to northnet:all")
	}
	o := order{Reason: c.Reason, Targets: targets}
	act := "second"
	switch {
	case c.Extend:
		act = "extend"
	case c.Emergency:
		if c.Hours <= 0 || c.Hours > 4 {
			return fmt.Errorf("--hours %v: an emergency is in force for four hours at most", c.Hours)
		}
		act, o.Minutes = "emergency", max(1, int(math.Round(c.Hours*60)))
	case len(c.IDs) == 1 && c.IDs[0] != "-":
		cl, err := c.client()
		if err != nil {
			return err
		}
		it, err := cl.item(ctx, c.IDs[0])
		if err != nil {
			return err
		}
		if it.State == "RELEASED" || it.State == "IN_FORCE" {
			act = "extend"
		}
	}
	return c.decide(ctx, &c.atHub, act, o)
}

type privacyCmd struct {
	atHub
	chosen
	reasoned
	Determination string `short:"d" required:"" enum:"PII-NOT-PRESENT,REMOVED,NECESSARY" help:"PII-NOT-PRESENT, REMOVED or NECESSARY."`
	Summary       string `help:"With REMOVED: the releasable summary in place of the old one."`
	Context       string `help:"With REMOVED: the analysts' context in place of the old one."`
}

// Run records the determination.
func (c *privacyCmd) Run(ctx context.Context) error {
	return c.decide(ctx, &c.atHub, "privacy", order{Reason: c.Reason, Determination: c.Determination, Summary: c.Summary, Context: c.Context})
}

type ratifyCmd struct {
	atHub
	chosen
	reasoned
}

// Run ratifies.
func (c *ratifyCmd) Run(ctx context.Context) error {
	return c.decide(ctx, &c.atHub, "ratify", order{Reason: c.Reason})
}

type overrideCmd struct {
	atHub
	chosen
	reasoned
}

// Help teaches the command.
func (*overrideCmd) Help() string {
	return `The first person asks, an analyst or a release authority; the second, a release
authority, agrees by the same command. What stops it is shown by
«ecs indicator show».`
}

// Run asks for an override, or gives it.
func (c *overrideCmd) Run(ctx context.Context) error {
	return c.decide(ctx, &c.atHub, "override", order{Reason: c.Reason})
}

// coded is a reason with a code of a closed list, by which sources are judged.
type coded struct {
	Reason string `short:"r" placeholder:"TEXT" help:"Why, in words; it is kept for good. Needed unless --code says it."`
	Code   string `short:"k" placeholder:"CODE" enum:",false-positive,expired-intelligence,personal-data,source-request,duplicate,collateral,incomplete,marking,unobservable,other" default:"" help:"Why: false-positive, expired-intelligence, personal-data, source-request, duplicate, collateral, incomplete, marking, unobservable or other."`
}

func (c *coded) order() (order, error) {
	if c.Reason == "" && (c.Code == "" || c.Code == "other") {
		return order{}, errors.New("say why: -r TEXT, or --code with one of the codes of --help")
	}
	return order{Reason: c.Reason, Code: c.Code}, nil
}

type returnCmd struct {
	atHub
	chosen
	coded
}

// Run returns.
func (c *returnCmd) Run(ctx context.Context) error {
	o, err := c.order()
	if err != nil {
		return err
	}
	return c.decide(ctx, &c.atHub, "return", o)
}

type rejectCmd struct {
	atHub
	chosen
	coded
}

// Run rejects.
func (c *rejectCmd) Run(ctx context.Context) error {
	o, err := c.order()
	if err != nil {
		return err
	}
	return c.decide(ctx, &c.atHub, "reject", o)
}

type recallCmd struct {
	atHub
	chosen
	coded
}

// Help teaches the command.
func (*recallCmd) Help() string {
	return `A recall outranks everything else that waits. Nodes take the indicator out of force
when they hear of it; «ecs ledger PROVIDER» shows when each did.

  ecs indicator recall -u rosa -k false-positive INDICATOR
  ecs indicator recall -u rosa -k source-request -r "Asked by the source." --source cedar --state IN_FORCE

Exit code: 0 all done, 3 some (the rest with reasons), 1 nothing.`
}

// Run recalls.
func (c *recallCmd) Run(ctx context.Context) error {
	o, err := c.order()
	if err != nil {
		return err
	}
	return c.decide(ctx, &c.atHub, "recall", o)
}

type holdCmd struct {
	atHub
	chosen
	reasoned
}

// Run takes back to the gate.
func (c *holdCmd) Run(ctx context.Context) error {
	return c.decide(ctx, &c.atHub, "hold", order{Reason: c.Reason})
}

type undoCmd struct {
	atHub
	chosen
	reasoned
	Bulk string `placeholder:"ID" help:"All that this bulk act decided; the act's answer had the ID."`
}

// Help teaches the command.
func (*undoCmd) Help() string {
	return `Only the person who decided can take the decision back, within ten minutes unless the
hub says otherwise, and only while nobody has built on it. What is released is
recalled instead. Nothing is erased: the undo is a decision of its own.

  ecs indicator undo -u alice -r "Wrong line." INDICATOR
  ecs indicator undo -u alice -r "Wrong delivery." --bulk ID`
}

// Run takes back.
func (c *undoCmd) Run(ctx context.Context) error {
	if c.Bulk == "" {
		return c.decide(ctx, &c.atHub, "undo", order{Reason: c.Reason})
	}
	if len(c.IDs) > 0 || !c.empty() {
		return errors.New("--bulk says which: give no identifiers and no selection beside it")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	b, err := cl.undoBulk(ctx, c.Bulk, order{Reason: c.Reason})
	if err != nil {
		return err
	}
	return b.print(c.JSON)
}

type whyCmd struct {
	atHub
	Provider string `arg:"" help:"Short name of the provider."`
	What     string `arg:"" name:"id" help:"Identifier or value of the indicator."`
}

// Help teaches the command.
func (*whyCmd) Help() string {
	return `Nothing is released by asking. For each service and each thing that could be done with
the indicator there it says whether it may be, with every reason.

  ecs indicator why -u rosa northnet bad.example`
}

type rehearsed struct {
	Provider string   `json:"provider"`
	Standing []string `json:"standing"`
	Found    []struct {
		ID       string `json:"id"`
		Value    string `json:"value"`
		State    string `json:"state"`
		InList   string `json:"in_list"`
		Rehearse bool   `json:"rehearse"`
		Services []struct {
			Service string `json:"service"`
			Actions []struct {
				Action  string `json:"action"`
				Allowed bool   `json:"allowed"`
				Reasons []struct {
					Text string `json:"text"`
				} `json:"reasons"`
			} `json:"actions"`
		} `json:"services"`
	} `json:"found"`
}

// Run asks.
func (c *whyCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	err = cl.get(ctx, "/api/v1/providers"+escaped(c.Provider, "rehearsal"), url.Values{"q": {refanged(c.What)}}, &raw)
	if err != nil {
		return err
	}
	var r rehearsed
	err = json.Unmarshal(raw, &r)
	if err != nil {
		return err
	}
	if c.JSON {
		fmt.Println(strings.TrimSpace(string(raw)))
	} else {
		r.print()
	}
	if len(r.Found) == 0 {
		return fmt.Errorf("no indicator is %s, or none that you may know of", c.What)
	}
	return nil
}

func (r *rehearsed) print() {
	for _, s := range r.Standing {
		fmt.Printf("%s gets nothing: %s\n", r.Provider, s)
	}
	for _, f := range r.Found {
		fmt.Printf("%s  %s  %s", f.ID, f.State, f.Value)
		if f.Rehearse {
			fmt.Print("  (as if it were approved)")
		}
		fmt.Printf("\nin the list now for %s\n", cmp.Or(f.InList, "none"))
		for _, s := range f.Services {
			for _, a := range s.Actions {
				answer := "yes"
				if !a.Allowed {
					answer = "no"
				}
				fmt.Printf("  %-8s %-12s %s\n", s.Service, a.Action, answer)
				for _, x := range a.Reasons {
					fmt.Printf("           %s\n", x.Text)
				}
			}
		}
	}
}

func escaped(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString("/" + url.PathEscape(p))
	}
	return b.String()
}
