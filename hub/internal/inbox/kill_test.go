package inbox

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/taxii"
)

// killed is the process that TestKilled kills: an inbox that says where it is.
func killed() {
	dir := os.Getenv("ECS_TEST_INBOX")
	if dir == "" {
		return
	}
	ctx := context.Background()
	db, err := openStore(filepath.Join(dir, "hub.db"))
	var check *policy.Checker
	if err == nil {
		check, err = policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	}
	var in *Inbox
	if err == nil {
		take := intake.New(intake.Config{DB: db, Checker: func() *policy.Checker { return check }, Spool: filepath.Join(dir, "spool"), Ceiling: contract.Red})
		in, err = New(Config{DB: db, Intake: take, Authenticate: officer, Spool: filepath.Join(dir, "pushed")})
	}
	if err == nil {
		fmt.Println(httptest.NewServer(in).URL)
		err = in.Run(ctx)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled pushes while the inbox is killed by SIGKILL again and again: whatever
// was answered with 202 is an indicator in the end.
func TestKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("each kill takes a part of a second; left out by -short")
	}
	dir := t.TempDir()
	db, err := openStore(filepath.Join(dir, "hub.db"))
	must(t, err)
	defer func() { _ = db.Close() }()
	w := newWorld(t, db)
	w.spool = filepath.Join(dir, "pushed")
	var promised []taxii.Status
	n, broken := 0, 0
	for range 10 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ECS_TEST_INBOX="+dir)
		var said strings.Builder
		cmd.Stderr = &said
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			_ = cmd.Wait()
			t.Fatalf("%v: %s", err, said.String())
		}
		at, enough := strings.TrimSpace(line)+Root, n+5*(1+rand.IntN(8))
		stop := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		for {
			var objects []json.RawMessage
			for range 5 {
				n++
				objects = append(objects, indicator(n, fmt.Sprintf("n%d.example", n)))
			}
			if n > enough {
				time.AfterFunc(rand.N(20*time.Millisecond), func() { _ = cmd.Process.Kill() }) // in the middle of what follows
			}
			web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			st, err := taxii.NewClient(taxii.ClientConfig{HTTP: web, User: "one-officer", Password: "pw", Retries: -1}).Add(t.Context(), at, "deliveries", objects)
			if err != nil {
				broken++
				break
			}
			promised = append(promised, st)
		}
		stop.Stop()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	in := w.inbox(t)
	again, err := in.drain(t.Context())
	must(t, err)
	lost := 0
	for _, p := range promised {
		st, err := in.status(t.Context(), "one", p.ID)
		if err != nil || st.State != taxii.Complete || st.Success != 5 {
			lost++
			t.Logf("%+v, %v", st, err)
		}
	}
	t.Logf("%d pushes were answered, %d broke off; something stays in the spool: %t", len(promised), broken, again)
	if lost > 0 || len(promised) == 0 {
		t.Errorf("%d of %d pushes that were answered are lost", lost, len(promised))
	}
}

// A push whose file was lost with a disk stays pending, and goes after a month.
func TestAbandoned(t *testing.T) {
	sqldbtest.Each(t, openStore, func(t *testing.T, db *sqldb.DB) {
		w := newWorld(t, db)
		in := w.inbox(t)
		for id, days := range map[string]int{"young": 29, "old": 31} {
			execute(t, db, "INSERT INTO push (id, source, submitter, received, objects) VALUES ($1, 'one', 'x', $2, '[]')", id, time.Now().AddDate(0, 0, -days).UnixMicro())
		}
		_, err := in.drain(t.Context())
		must(t, err)
		st, err := in.status(t.Context(), "one", "young")
		if err != nil || st.State != taxii.Pending {
			t.Errorf("%+v, %v", st, err)
		}
		_, err = in.status(t.Context(), "one", "old")
		if err == nil {
			t.Error("the old one is still there")
		}
	})
}
