// Command ecs is the whole system in one program; the first argument chooses the
// role. «ecs --help» lists them, «ecs demo» runs everything on this machine with
// sample data.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"ecs/hub"
	"ecs/provider"

	"github.com/alecthomas/kong"
)

// version is set when a release is built.
var version = "development"

type cli struct {
	Verbose bool `short:"v" help:"Log more."`

	Demo    demoCmd    `cmd:"" help:"Run the whole program on this machine, with sample data."`
	Journey journeyCmd `cmd:"" help:"Walk one indicator through a running demonstration, step by step."`
	Traffic trafficCmd `cmd:"" help:"Send sample traffic to a running demonstration."`

	Hub      hubCmd      `cmd:"" help:"Run a hub: take in, check, approve, release and recall indicators."`
	Provider providerCmd `cmd:"" help:"Run a provider's node, or enroll it: protect customers with the list."`

	Indicator Indicator `cmd:"" help:"The desk: import, search, show, approve, release, recall and export indicators."`

	Submit  submitCmd  `cmd:"" help:"Deliver a file of indicators to a hub."`
	Items   itemsCmd   `cmd:"" help:"List indicators at a hub."`
	Show    showCmd    `cmd:"" help:"Show one indicator's whole story."`
	Decide  decideCmd  `cmd:"" help:"Decide on indicators: privacy, first, second, override, return, reject, recall, hold, emergency, ratify."`
	Token   tokenCmd   `cmd:"" help:"Make a one-time token with which a provider's node can enroll."`
	Ledger  ledgerCmd  `cmd:"" help:"Show what a provider has, and whether the ledger reconciles."`
	Refused refusedCmd `cmd:"" help:"Show what was refused of a delivery, and why."`

	Mail mailCmd `cmd:"" help:"Judge messages in files."`
	Hunt huntCmd `cmd:"" help:"Ask whether any customer talked to an indicator or an address."`

	Stix Stix `cmd:"" help:"Judge STIX patterns: whether one holds on observed data, what services can do with it."`

	Completion completionCmd `cmd:"" help:"Print a script that completes commands in a shell."`
	Version    versionCmd    `cmd:"" help:"Print the version."`
}

func main() {
	hub.Version, provider.Version = build(), build()
	var c cli
	k := kong.Parse(&c, kong.Name("ecs"), kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Description("Enhanced Cybersecurity Services: a hub releases threat indicators to providers, providers protect their customers with them, and what they see stays with them. The manual is in docs/operations."))
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	slog.SetDefault(log)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	k.BindTo(ctx, (*context.Context)(nil))
	err := k.Run(log)
	if err == nil || errors.Is(err, context.Canceled) {
		return
	}
	fmt.Fprintln(os.Stderr, "ecs: "+err.Error())
	stop()
	code := 1
	var coded *codedError
	if errors.As(err, &coded) {
		code = coded.code
	}
	os.Exit(code) //nolint:gocritic // stop has run
}

// build gives the version, with the commit when the program was built from one.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return version + " " + s.Value[:12]
		}
	}
	return version
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run() error {
	fmt.Println("ecs " + build())
	return nil
}
