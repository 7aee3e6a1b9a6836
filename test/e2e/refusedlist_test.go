package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// keep copies files of the hub's data folder, and gives what puts them back.
func (h *hub) keep(t *testing.T, names ...string) (restore func()) {
	t.Helper()
	was := map[string][]byte{}
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(h.dir, "data", n))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		was[n] = b
	}
	return func() {
		t.Helper()
		for n, b := range was {
			path := filepath.Join(h.dir, "data", n)
			err := os.Remove(path)
			if err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if b != nil {
				write(t, path, string(b))
			}
		}
	}
}

// restart stops the hub, does something to its files, and starts it again.
func (h *hub) restart(t *testing.T, meanwhile func()) {
	t.Helper()
	if code := h.interrupt(t); code != 0 {
		t.Fatalf("the hub ended with %d", code)
	}
	meanwhile()
	clear(h.sessions) // they are in the database, which may be another one now
	h.start(t)
	h.ready(t)
}

// TestRefusedLists gives a node lists that it must not believe. It keeps the one
// that it has, and both consoles say so.
func TestRefusedLists(t *testing.T) {
	h := startHub(t, "demonstration: true\ncheckpoint_life: 10s\n")
	none := "127.0.0.1:9"
	n := startNode(t, h, resolver(t), none, none)
	got := h.deliver(t, "sample.csv", "value,category,confidence,tlp\none.example,c2,90,green\ntwo.example,c2,90,green\nthree.example,c2,90,green\n")
	if got.code != 0 {
		t.Fatalf("submit: %s%s", got.out, got.err)
	}
	h.ledger(t, h.release(t, "one.example"), "loaded")

	database := []string{"hub.db", "hub.db-wal", "hub.db-shm"}
	var old, newest, key func()
	h.restart(t, func() { old = h.keep(t, database...) })
	h.ledger(t, h.release(t, "two.example"), "loaded")
	stays := func(t *testing.T, what, title string) {
		t.Helper()
		until(t, "the provider's console to tell of "+what, 60*time.Second, func() bool {
			page := n.page(t, "olga", "/")
			return strings.Contains(page, "Newest list refused") && strings.Contains(page, title)
		})
		until(t, "the hub's console to tell of "+what, 30*time.Second, func() bool {
			return strings.Contains(h.page(t, "rosa", "/providers/northnet"), "The list before it stays in force at this provider")
		})
		if !n.blocked(t, "one.example") || !n.blocked(t, "www.two.example") {
			t.Error("the old list is not in force any more")
		}
	}

	well := func(t *testing.T) {
		t.Helper()
		until(t, "the node to believe the hub again", 60*time.Second, func() bool {
			return !strings.Contains(n.page(t, "olga", "/"), "Newest list refused")
		})
		until(t, "the hub's console to tell that all is well", 30*time.Second, func() bool {
			return !strings.Contains(h.page(t, "rosa", "/providers/northnet"), "The list before it stays in force at this provider")
		})
	}

	t.Run("older", func(t *testing.T) {
		h.restart(t, func() {
			newest = h.keep(t, database...)
			old()
		})
		stays(t, "an older list", "It is older than the list")
		h.restart(t, newest)
		well(t)
	})
	foreign := func() {
		key = h.keep(t, "keys/program.key")
		err := os.Remove(filepath.Join(h.dir, "data", "keys", "program.key"))
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("not signed by the program", func(t *testing.T) {
		h.restart(t, foreign)
		stays(t, "a foreign signature", "does not bear the program")
		h.restart(t, key)
		well(t) // although the list is the one that the node has had all the time
		h.restart(t, foreign)
		three := h.release(t, "three.example")
		stays(t, "a foreign signature", "does not bear the program")
		if n.blocked(t, "three.example") {
			t.Error("the node took an indicator of a list with a foreign signature")
		}
		h.restart(t, key)
		h.ledger(t, three, "loaded")
		well(t)
		if !n.blocked(t, "three.example") {
			t.Error("the node did not take the list, now that the hub has its key back")
		}
	})
	t.Run("expired", func(t *testing.T) {
		h.kill()
		until(t, "the provider's console to tell of the expired checkpoint", 40*time.Second, func() bool {
			return strings.Contains(n.page(t, "olga", "/"), "The checkpoint of the list in force has expired")
		})
		for _, name := range []string{"one.example", "two.example", "three.example"} {
			if !n.blocked(t, name) {
				t.Errorf("%s is not blocked any more", name)
			}
		}
	})
}
