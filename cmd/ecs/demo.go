package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ecs/cmd/ecs/internal/demo"
	"ecs/hub"
	"ecs/internal/config"
	"ecs/internal/lifecycle"
	"ecs/provider"
)

// where says which demonstration a command means.
type where struct {
	Dir  string `default:".demo" help:"Folder that keeps everything."`
	Port int    `help:"First of the ports that are used, all on 127.0.0.1; the folder remembers it (8600)."`
}

func (w where) layout() (demo.Layout, error) {
	dir, err := filepath.Abs(w.Dir)
	if err != nil {
		return demo.Layout{}, err
	}
	return demo.Find(dir, w.Port)
}

type demoCmd struct {
	where
	Traffic bool `help:"Send sample traffic all the time, a little each second."`
}

// Run runs a hub, a provider and a neighborhood until it is told to stop.
func (c *demoCmd) Run(ctx context.Context) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	err = l.Free()
	if err != nil {
		return err
	}
	err = l.Write()
	if err != nil {
		return err
	}
	var hubCfg hub.Config
	var nodeCfg provider.Config
	err = errors.Join(config.Load(l.HubConfig(), &hubCfg), config.Load(l.ProviderConfig(), &nodeCfg))
	if err != nil {
		return err
	}
	known := passwords{path: l.Passwords()}
	err = known.load()
	if err != nil {
		return err
	}
	// What the parts log goes to a file: the terminal is for the person.
	file, err := os.OpenFile(filepath.Join(l.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	log := slog.New(slog.NewTextHandler(file, nil))
	slog.SetDefault(log)

	fmt.Println("Starting the whole program on this machine. Everything is made up and stays in " + l.Dir + ".")
	began := time.Now()
	step := func(what string) { fmt.Printf("  %5.1f s  %s\n", time.Since(began).Seconds(), what) }

	var g lifecycle.Group
	g.Add("upstream resolver", func(ctx context.Context) error { return demo.Upstream(ctx, l.Upstream()) })
	g.Add("mail box", func(ctx context.Context) error { return demo.MailBox(ctx, l.MailBox(), l.Mails()) })
	g.AddReady("hub", func(ctx context.Context, ready func()) error {
		return hub.Run(ctx, hubCfg, log.With(slog.String("house", "hub")), func(up hub.Up) {
			for _, p := range up.Passwords {
				known.add("hub", p.Login, p.Person, p.Password, p.Roles)
			}
			step("the hub is up")
			known.Pin = up.Pin
			ready()
		})
	})
	g.AddReady("provider", func(ctx context.Context, ready func()) error {
		err := known.save()
		if err == nil {
			err = enrolled(ctx, l, nodeCfg, &known)
		}
		if err != nil {
			return err
		}
		return provider.Run(ctx, nodeCfg, log.With(slog.String("house", "provider")), func(up provider.Up) {
			for _, p := range up.Passwords {
				known.add("provider", p.Login, p.Person, p.Password, p.Roles)
			}
			step("the provider is up: DNS, mail and flow rooms listen")
			ready()
		})
	})
	g.Add("mail server", func(ctx context.Context) error {
		return demo.MailServer(ctx, l.MailServer(), l.Milter(), l.MailBox(), log)
	})
	g.Add("greeting", func(ctx context.Context) error {
		err := known.save()
		if err == nil {
			err = firstSample(ctx, l, &known)
		}
		if err != nil {
			return err
		}
		step("ready")
		c.greet(l, &known)
		if c.Traffic {
			return trickle(ctx, l)
		}
		<-ctx.Done()
		return nil
	})
	err = g.Run(ctx)
	fmt.Println("\nStopped. Everything is kept in " + l.Dir + "; start again to go on from here.")
	return err
}

// enrolled gets the provider's node its certificate, the first time.
func enrolled(ctx context.Context, l demo.Layout, cfg provider.Config, known *passwords) error {
	done, err := provider.Enrolled(cfg)
	if err != nil || done {
		return err
	}
	t, err := known.client(l, "carl").token(ctx, "northnet")
	if err != nil {
		return err
	}
	return provider.Enroll(ctx, cfg, "https://"+l.Door(), "node-1", t.Token, t.Pin)
}

// firstSample delivers the sample indicators; the second time nothing changes.
func firstSample(ctx context.Context, l demo.Layout, known *passwords) error {
	_, err := known.client(l, "grace").submit(ctx, delivered{Source: "national-cert", Name: "sample.csv", Format: "csv"}, strings.NewReader(string(demo.SampleCSV())), nil)
	return err
}

func (c *demoCmd) greet(l demo.Layout, known *passwords) {
	self := "bin/ecs"
	if len(os.Args) > 0 && filepath.Base(os.Args[0]) == "ecs" {
		self = os.Args[0]
	}
	flags := ""
	if c.Dir != ".demo" {
		flags += " --dir " + c.Dir
	}
	fmt.Printf(`
  Hub console       http://%s
  Provider console  http://%s
  DNS               %s (UDP and TCP)
  Mail server       %s (SMTP, with the milter at %s)
  NetFlow, IPFIX    %s (UDP)

  Sign in as                                             password
`, l.HubConsole(), l.ProviderConsole(), l.DNS(), l.MailServer(), l.Milter(), l.NetFlow())
	for _, p := range known.Accounts {
		fmt.Printf("  %-8s  %-8s  %-18s %-15s %s\n", p.House, p.Login, p.Person, strings.Join(p.Roles, ","), p.Password)
	}
	fmt.Printf(`
  Try, in another terminal:
    %[1]s journey%[2]s                      one indicator, from file to recall, in two minutes
    %[1]s traffic%[2]s                      names, mails and flows of seven customers
    dig @127.0.0.1 -p %[3]s -b 127.0.11.1 bad-update.example

  Logs: %[4]s    Stop: Ctrl-C
`, self, flags, l.DNS()[len("127.0.0.1:"):], filepath.Join(l.Dir, "log"))
}

// passwords is the file in which the demonstration, and only it, keeps what the
// first start printed.
type passwords struct {
	path     string
	Pin      string
	Accounts []demoAccount
}

type demoAccount struct {
	House, Login, Person, Password string
	Roles                          []string
}

func (p *passwords) load() error {
	data, err := os.ReadFile(p.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(data, p)
}

func (p *passwords) save() error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	err = os.WriteFile(p.path+".new", data, 0o600)
	if err != nil {
		return err
	}
	return os.Rename(p.path+".new", p.path)
}

func (p *passwords) add(house, login, person, password string, roles []string) {
	p.Accounts = append(p.Accounts, demoAccount{House: house, Login: login, Person: person, Password: password, Roles: roles})
}

func (p *passwords) client(l demo.Layout, login string) *client {
	for _, a := range p.Accounts {
		if a.Login != login {
			continue
		}
		base := l.HubConsole()
		if a.House == "provider" {
			base = l.ProviderConsole()
		}
		return newClient("http://"+base, login, a.Password)
	}
	return newClient("http://"+l.HubConsole(), login, "")
}
