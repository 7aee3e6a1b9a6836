package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestJourney is what a new user does: start everything, watch one indicator
// travel, stop, and start again.
func TestJourney(t *testing.T) {
	dir := t.TempDir()
	base := ports(t, 0, 43, 100, 125, 126, 153, 154, 155, 191)
	where := []string{"--dir", dir} // the folder remembers the ports
	demo := start(t, filepath.Join(t.TempDir(), "demo.log"), ecs, "demo", "--dir", dir, "--port", strconv.Itoa(base))
	demo.wait(t, "Stop: Ctrl-C")
	first, err := os.ReadFile(filepath.Join(dir, "passwords.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Hub console       http://127.0.0.1:" + strconv.Itoa(base), "grace", "olga", "journey --dir " + dir, "dig @127.0.0.1"} {
		if !strings.Contains(demo.printed(), want) {
			t.Errorf("the greeting does not have %q:\n%s", want, demo.printed())
		}
	}

	t.Run("ports in use", func(t *testing.T) {
		began := time.Now()
		second := run(t, nil, ecs, "demo", "--dir", t.TempDir(), "--port", strconv.Itoa(base))
		if second.code != 1 || strings.Count(second.err, "\n") != 1 || second.out != "" {
			t.Errorf("a second demonstration ended with %d, want 1 and one line:\n%s%s", second.code, second.out, second.err)
		}
		if !strings.Contains(second.err, "127.0.0.1:"+strconv.Itoa(base)+", ") {
			t.Errorf("the line does not name the first port in use, %d: %s", base, second.err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to say so", took)
		}
	})

	var story string
	t.Run("journey", func(t *testing.T) {
		began := time.Now()
		out := good(t, nil, append([]string{ecs, "journey"}, where...)...)
		for _, want := range []string{"privacy gate", "was refused", "signed receipt", "got a notice", "The hub now knows", "confirmed its removal"} {
			if !strings.Contains(out, want) {
				t.Errorf("the journey does not say %q:\n%s", want, out)
			}
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("the journey took %v; a new user is promised two minutes", took)
		}
		_, story, _ = strings.Cut(out, "/indicators/")
		story = strings.TrimSpace(story)
	})
	t.Run("traffic", func(t *testing.T) {
		out := good(t, nil, append([]string{ecs, "traffic", "--rounds", "1"}, where...)...)
		if !strings.Contains(out, "1 rounds") {
			t.Errorf("traffic says %q", out)
		}
	})

	code := demo.interrupt(t)
	if code != 0 {
		t.Errorf("Ctrl-C ended the demonstration with %d, want 0:\n%s", code, demo.printed())
	}
	if !strings.Contains(demo.printed(), "Everything is kept in "+dir) {
		t.Errorf("the end does not say where everything is kept:\n%s", demo.printed())
	}
	moved := run(t, nil, ecs, "demo", "--dir", dir, "--port", strconv.Itoa(base+1))
	if moved.code != 1 || !strings.Contains(moved.err, "--port "+strconv.Itoa(base)) || strings.Count(moved.err, "\n") != 1 {
		t.Errorf("a start with other ports ended with %d: %s", moved.code, moved.err)
	}
	stopped := run(t, nil, append([]string{ecs, "traffic", "--rounds", "1"}, where...)...)
	if stopped.code == 0 || !strings.Contains(stopped.err, "no demonstration runs") {
		t.Errorf("without a demonstration, traffic ended with %d: %s", stopped.code, stopped.err)
	}

	demo.start(t)
	demo.wait(t, "Stop: Ctrl-C")
	second, err := os.ReadFile(filepath.Join(dir, "passwords.json"))
	if err != nil || string(second) != string(first) {
		t.Errorf("the second start changed the passwords (%v):\n%s\n%s", err, first, second)
	}
	var known struct {
		Accounts []struct{ House, Login, Password string }
	}
	decode(t, string(second), &known)
	h := &hub{url: fmt.Sprintf("http://127.0.0.1:%d", base), passwords: map[string]string{}}
	for _, a := range known.Accounts {
		if a.House == "hub" {
			h.passwords[a.Login] = a.Password
		}
	}
	var it item
	h.must(t, "bruno", "GET", "/items/"+story, nil, &it)
	if it.State != "REVOKED" || len(it.Deliveries) != 3 {
		t.Errorf("after the second start the journey's indicator is %+v", it)
	}
	got := good(t, h.as("omar"), ecs, "ledger", "northnet")
	if !strings.Contains(got, "overdue 0") || !strings.Contains(got, story) {
		t.Errorf("after the second start the ledger is\n%s", got)
	}
	if code = demo.interrupt(t); code != 0 {
		t.Errorf("the second Ctrl-C ended with %d", code)
	}
}
