package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"ecs/contract"
	"ecs/hub"
)

// asHub makes this program a hub, with the configuration in the named file.
const asHub = "ECS_BENCH_DESK_HUB"

// be is the measured process: a hub as cmd/ecs starts it.
func be(file string) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	data, err := os.ReadFile(file)
	var s struct {
		Hub     hub.Config
		Profile string
	}
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err == nil && s.Profile != "" {
		var f *os.File
		f, err = os.Create(s.Profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
			defer pprof.StopCPUProfile()
		}
	}
	if err == nil {
		err = hub.Run(ctx, s.Hub, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(up hub.Up) { _ = json.NewEncoder(os.Stdout).Encode(up) })
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		pprof.StopCPUProfile()
		os.Exit(1) //nolint:gocritic // the profile is closed above
	}
}

type hubSetup struct{ dir, database, dsn, lists, profile string }

// process is a running hub.
type process struct {
	hubSetup
	cmd       *exec.Cmd
	url       string
	passwords map[string]string
	pages     *http.Client
}

// people are who acts: one for each step that two persons have to share.
var people = []hub.Account{
	{Login: "grace", Person: "Grace", Roles: []string{"gfi_officer"}, Scope: "one"},
	{Login: "alice", Person: "Alice", Roles: []string{"pmo_analyst"}},
	{Login: "rosa", Person: "Rosa", Roles: []string{"release_authority"}},
}

func startHub(ctx context.Context, s hubSetup) (*process, error) {
	p := &process{hubSetup: s, passwords: map[string]string{}}
	err := os.MkdirAll(filepath.Join(s.dir, "data"), 0o700)
	if err == nil {
		err = p.start(ctx)
	}
	return p, err
}

func (p *process) start(ctx context.Context) error {
	cfg := hub.Config{
		Program: "Measured Program", Key: "program.example", Identity: "identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a",
		Data: filepath.Join(p.dir, "data"), Console: "127.0.0.1:0", Door: "127.0.0.1:0", DoorNames: []string{"127.0.0.1"},
		WarningLists: p.lists, Ceiling: contract.AmberStrict, MaxDelivery: 64 << 30, Demonstration: true, Accounts: people,
		Sources: []hub.Source{{
			ID: "one", Name: "Measured source", Agency: "Example Agency", Authority: "Agreement 1", Purpose: "network defense",
			Ceiling: contract.AmberStrict, Reliability: "B",
		}},
	}
	if p.database != "sqlite" {
		cfg.Database = p.dsn
	}
	body, err := json.Marshal(map[string]any{"Hub": cfg, "Profile": p.profile})
	if err != nil {
		return err
	}
	file := filepath.Join(p.dir, "hub.json")
	err = os.WriteFile(file, body, 0o600)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p.cmd = exec.CommandContext(ctx, self) //nolint:gosec // this program itself
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.Env = append(os.Environ(), asHub+"="+file)
	log, err := os.OpenFile(filepath.Join(p.dir, "hub.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	p.cmd.Stderr = log
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return err
	}
	var up hub.Up
	err = json.NewDecoder(out).Decode(&up)
	if err != nil {
		said, _ := os.ReadFile(filepath.Join(p.dir, "hub.log"))
		return fmt.Errorf("the hub did not start: %w\n%s", err, tail(said))
	}
	p.url = up.Console
	for _, a := range up.Passwords {
		p.passwords[a.Login] = a.Password
	}
	for _, a := range people { // in a folder of an earlier run the accounts are there
		if p.passwords[a.Login] == "" {
			p.passwords[a.Login], err = hub.ChangeAccount(ctx, cfg, a.Login, "reset")
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func tail(b []byte) []byte { return b[max(0, len(b)-2000):] }

func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Process.Signal(syscall.SIGTERM)
	err = errors.Join(err, p.cmd.Wait())
	p.cmd, p.pages = nil, nil
	return err
}

// cost is what the process has used so far.
type cost struct {
	cpu  time.Duration // user and system
	peak int64         // bytes of resident memory, at most
}

func (p *process) cost() (cost, error) {
	at := "/proc/" + strconv.Itoa(p.cmd.Process.Pid)
	stat, err := os.ReadFile(at + "/stat")
	if err != nil {
		return cost{}, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		return cost{}, errors.New("the process's stat is short")
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	status, err3 := os.ReadFile(at + "/status")
	err = errors.Join(err1, err2, err3)
	if err != nil {
		return cost{}, err
	}
	c := cost{cpu: time.Duration(user+system) * 10 * time.Millisecond} // ticks of 1/100 s
	for l := range strings.Lines(string(status)) {
		kib, ok := strings.CutPrefix(l, "VmHWM:")
		if ok {
			n, err := strconv.ParseInt(strings.Fields(kib)[0], 10, 64)
			if err != nil {
				return c, err
			}
			c.peak = n << 10
		}
	}
	return c, nil
}

// call makes a request of the API.
func (p *process) call(ctx context.Context, user, method, path string, in io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, in)
	if err != nil {
		return err
	}
	req.SetBasicAuth(user, p.passwords[user])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// order sends a small JSON body.
func (p *process) order(ctx context.Context, user, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return p.call(ctx, user, http.MethodPost, path, bytes.NewReader(body), out)
}

// page gets a page of the console, signed in as an analyst.
func (p *process) page(ctx context.Context, path string) error {
	if p.pages == nil {
		jar, err := cookiejar.New(nil)
		if err != nil {
			return err
		}
		p.pages = &http.Client{Jar: jar}
		form := url.Values{"login": {"alice"}, "password": {p.passwords["alice"]}}
		_, err = p.get(ctx, http.MethodPost, "/sign-in", strings.NewReader(form.Encode()))
		if err != nil {
			return fmt.Errorf("sign in: %w", err)
		}
	}
	body, err := p.get(ctx, http.MethodGet, path, nil)
	if err == nil && !bytes.Contains(body, []byte("Sign out")) {
		err = fmt.Errorf("%s is not the page that it should be", path)
	}
	return err
}

func (p *process) get(ctx context.Context, method, path string, in io.Reader) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, in)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", p.url)
	resp, err := p.pages.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, path, resp.Status)
	}
	return body, err
}
