package main

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ecs/contract"
	"ecs/hub"
)

// started is a hub of the tests.
type started struct {
	url       string
	passwords map[string]string // by login
}

// start runs a real hub in this process until the test ends: SQLite in a folder of
// the test, listeners on free ports.
func start(t *testing.T, dir string) started {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ready, done := make(chan hub.Up, 1), make(chan error, 1)
	go func() {
		done <- hub.Run(ctx, hub.Config{
			Program: "Test Program", Key: "program.example", Identity: "identity--4f1d9c3e-8a57-4c1b-9d57-6f0c7d1f2a10",
			Data: filepath.Join(dir, "hub"), Console: "127.0.0.1:0", Door: "127.0.0.1:0", DoorNames: []string{"127.0.0.1"},
			Ceiling: contract.Amber, Demonstration: true,
			Sources: []hub.Source{{ID: "cedar", Name: "Cedar Team", Agency: "Cedar", Authority: "Agreement 12", AuthorityUntil: time.Now().AddDate(1, 0, 0), Purpose: "cyber defense", Ceiling: contract.Amber, Reliability: "B"}},
			Accounts: []hub.Account{
				{Login: "gil", Person: "Gil Source", Roles: []string{"gfi_officer"}, Scope: "cedar"},
				{Login: "ann", Person: "Ann Analyst", Roles: []string{"pmo_analyst"}},
				{Login: "rita", Person: "Rita Release", Roles: []string{"release_authority"}},
				{Login: "paul", Person: "Paul Privacy", Roles: []string{"privacy_officer"}},
				{Login: "omar", Person: "Omar Auditor", Roles: []string{"auditor"}},
			},
		}, slog.New(slog.DiscardHandler), func(up hub.Up) { ready <- up })
	}()
	var once sync.Once
	end := func() {
		once.Do(func() {
			stop()
			err := <-done
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the hub ended: %v", err)
			}
		})
	}
	t.Cleanup(end)
	select {
	case up := <-ready:
		s := started{up.Console, map[string]string{}}
		for _, p := range up.Passwords {
			s.passwords[p.Login] = p.Password
		}
		return s
	case err := <-done:
		done <- err
		t.Fatalf("the hub did not start: %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the hub did not start within a minute")
	}
	return started{}
}

// TestIndicatorCommands runs the sessions in testdata/desk against a hub. The
// passwords are in $WORK/LOGIN, where ECS_PASSWORD_FILE expects them.
func TestIndicatorCommands(t *testing.T) {
	h := start(t, t.TempDir())
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "desk"),
		Setup: func(e *testscript.Env) error {
			e.Setenv("ECS_HUB", h.url)
			for login, p := range h.passwords {
				e.Setenv("PW_"+login, p)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"as": as},
	})
}

// as LOGIN makes the following commands those of an account.
func as(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: as LOGIN")
	}
	ts.Setenv("ECS_USER", args[0])
	ts.Setenv("ECS_PASSWORD", ts.Getenv("PW_"+args[0]))
}
