package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"ecs/hub"
	"ecs/internal/config"
)

type hubCmd struct {
	Run     hubRunCmd     `cmd:"" default:"withargs" help:"Run the hub (the default)."`
	Account hubAccountCmd `cmd:"" help:"Reset a password, shut an account out, or recertify its roles."`
}

type hubAccountCmd struct {
	Config string   `short:"c" required:"" type:"existingfile" help:"Configuration file, see docs/operations/hub.md."`
	Change string   `arg:"" enum:"reset,disable,enable,recertify" help:"reset, disable, enable or recertify."`
	Login  string   `arg:"" help:"The account."`
	Person []string `help:"The two people in whose name an account is recertified; give it twice. Use it when nobody is left who could review roles by the console."`
}

// Run changes an account.
func (c *hubAccountCmd) Run(ctx context.Context) error {
	var cfg hub.Config
	err := config.Load(c.Config, &cfg)
	if err != nil {
		return err
	}
	if c.Change == "recertify" {
		if len(c.Person) != 2 {
			return errors.New("name two people: --person 'Ana Silva' --person 'Rob Stone'")
		}
		err = hub.Recertify(ctx, cfg, c.Login, [2]string(c.Person))
		return changed(c.Login, "recertifie", "", err)
	}
	password, err := hub.ChangeAccount(ctx, cfg, c.Login, c.Change)
	return changed(c.Login, c.Change, password, err)
}

// changed says what became of an account.
func changed(login, change, password string, err error) error {
	if err != nil {
		return err
	}
	if change == "reset" {
		fmt.Printf("new password of %s, shown once: %s\n", login, password)
		return nil
	}
	fmt.Printf("%s: %sd\n", login, change)
	return nil
}

type hubRunCmd struct {
	Config string `short:"c" required:"" type:"existingfile" help:"Configuration file, see docs/operations/hub.md."`
	Check  bool   `help:"Build everything from the configuration, open no socket, and end."`
}

// Run runs a hub until it is told to stop.
func (c *hubRunCmd) Run(ctx context.Context, log *slog.Logger) error {
	var cfg hub.Config
	err := config.Load(c.Config, &cfg)
	if err != nil {
		return err
	}
	if c.Check {
		err = hub.Check(ctx, cfg, log)
		if err == nil {
			fmt.Println("the configuration is good")
		}
		return err
	}
	return hub.Run(ctx, cfg, log, func(up hub.Up) {
		fmt.Printf("hub: console %s\nhub: door    %s\nhub: pin     %s\n", up.Console, up.Door, up.Pin)
		for _, p := range up.Passwords {
			fmt.Printf("hub: new account %s (%s; %s), password, shown once: %s\n", p.Login, p.Person, strings.Join(p.Roles, ", "), p.Password)
		}
	})
}
