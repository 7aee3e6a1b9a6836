package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"ecs/internal/config"
	"ecs/provider"
)

type providerCmd struct {
	Run     providerRunCmd     `cmd:"" default:"withargs" help:"Run the node (the default)."`
	Enroll  providerEnrollCmd  `cmd:"" help:"Get this node's certificate, once, with a one-time token."`
	Account providerAccountCmd `cmd:"" help:"Reset a password, or shut an account out."`
}

type providerConfig struct {
	Config string `short:"c" required:"" type:"existingfile" help:"Configuration file, see docs/operations/provider.md."`
}

func (c providerConfig) load() (provider.Config, error) {
	var cfg provider.Config
	err := config.Load(c.Config, &cfg)
	return cfg, err
}

type providerRunCmd struct {
	providerConfig
	Check bool `help:"Build everything from the configuration, open no socket, and end."`
}

// Run runs a node until it is told to stop.
func (c *providerRunCmd) Run(ctx context.Context, log *slog.Logger) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	if c.Check {
		err = provider.Check(ctx, cfg, log)
		if err == nil {
			fmt.Println("the configuration is good")
		}
		return err
	}
	return provider.Run(ctx, cfg, log, func(up provider.Up) {
		fmt.Printf("provider: console %s\n", up.Console)
		for what, at := range map[string][]string{"dns": up.DNS, "milter": up.Mail, "netflow": up.Flow} {
			if len(at) > 0 {
				fmt.Printf("provider: %s on %s\n", what, strings.Join(at, ", "))
			}
		}
		for _, p := range up.Passwords {
			fmt.Printf("provider: new account %s (%s; %s), password, shown once: %s\n", p.Login, p.Person, strings.Join(p.Roles, ", "), p.Password)
		}
		fmt.Println("provider: ready")
	})
}

type providerEnrollCmd struct {
	providerConfig
	Hub  string `required:"" help:"The hub's door, such as https://hub.example.org:8643."`
	Node string `default:"node-1" help:"A name for this node: a-z, 0-9 and dash."`
	Pin  string `required:"" help:"The pin of the program's authority, from the program office."`
	// The token is a secret: it is read from the environment or standard input,
	// never from an argument that others can see in the list of processes.
}

// Run enrolls the node.
func (c *providerEnrollCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	token := os.Getenv("ECS_TOKEN")
	if token == "" {
		fmt.Fprint(os.Stderr, "one-time token: ")
		_, err = fmt.Fscanln(os.Stdin, &token)
		if err != nil {
			return errors.New("no token: give it on standard input or in ECS_TOKEN")
		}
	}
	err = provider.Enroll(ctx, cfg, c.Hub, c.Node, token, c.Pin)
	if err != nil {
		return err
	}
	fmt.Println("enrolled; start the node with «ecs provider -c " + c.Config + "»")
	return nil
}

type providerAccountCmd struct {
	providerConfig
	Change string `arg:"" enum:"reset,disable,enable" help:"reset, disable or enable."`
	Login  string `arg:"" help:"The account."`
}

// Run changes an account.
func (c *providerAccountCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	password, err := provider.ChangeAccount(ctx, cfg, c.Login, c.Change)
	return changed(c.Login, c.Change, password, err)
}

type mailCmd struct {
	Scan mailScanCmd `cmd:"" help:"Say what the mail room would do with a message, an mbox, or all files below a folder."`
}

type mailScanCmd struct {
	providerConfig
	JSON  bool     `help:"Print one JSON object for each message."`
	Paths []string `arg:"" help:"Files or folders."`
}

// Run judges files. It ends with an error when any message would be stopped.
func (c *mailScanCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	bar := progress{what: "scanned", unit: "bytes"}
	stopped, seen := 0, 0
	out := json.NewEncoder(os.Stdout)
	for _, path := range c.Paths {
		err = provider.ScanMail(ctx, cfg, path, func(v provider.MailVerdict) bool {
			seen++
			if v.Action == "rejected" || v.Action == "quarantined" {
				stopped++
			}
			bar.at(v.Read, v.Total)
			if c.JSON {
				return out.Encode(v) == nil
			}
			bar.clear()
			fmt.Printf("%-11s %s\n", v.Action, v.Path)
			if v.Error != "" {
				fmt.Printf("            %s\n", v.Error)
			}
			for _, h := range v.Hits {
				fmt.Printf("            %s  %s  %s  %s\n", h.Indicator, h.Category, h.Place, h.What)
			}
			return true
		})
		if err != nil {
			return err
		}
	}
	bar.clear()
	if stopped > 0 {
		return fmt.Errorf("%d of %d messages would be stopped", stopped, seen)
	}
	return nil
}

type huntCmd struct {
	providerConfig
	Days int      `default:"30" help:"How far to look back."`
	JSON bool     `help:"Print JSON."`
	What []string `arg:"" help:"Indicator identifiers, addresses, prefixes, or \"port N\"."`
}

// Run hunts through the stored flows.
func (c *huntCmd) Run(ctx context.Context) error {
	cfg, err := c.load()
	if err != nil {
		return err
	}
	bar := progress{what: "searched", unit: "files"}
	r, err := provider.Hunt(ctx, cfg, c.What, time.Now().AddDate(0, 0, -c.Days), func(done, total int) { bar.at(int64(done), int64(total)) })
	bar.clear()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	if len(r.Hits) > 0 {
		_, _ = fmt.Fprintln(w, "WHAT\tCUSTOMER\tFIRST\tLAST\tFLOWS\tPACKETS\tBYTES")
	}
	for _, h := range r.Hits {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", h.Target, h.Customer, h.First.Format(time.RFC3339), h.Last.Format(time.RFC3339), h.Flows, h.Packets, h.Bytes)
	}
	_ = w.Flush()
	fmt.Printf("%d hits in %d flows of %d files (%d of them not read: nothing in them could match)\n", len(r.Hits), r.Rows, r.Files, r.Skipped)
	for _, b := range r.Bad {
		fmt.Println("not used: " + b)
	}
	if len(r.Bad) > 0 {
		return errors.New("the answer is incomplete: some files could not be used")
	}
	return nil
}
