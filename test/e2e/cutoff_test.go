package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestCutOff takes the hub away from a running node.
func TestCutOff(t *testing.T) {
	h := startHub(t, "demonstration: true\n")
	none := "127.0.0.1:9"
	n := startNode(t, h, resolver(t), none, none)
	got := h.deliver(t, "sample.csv", "value,category,confidence,tlp\nstays.example,c2,90,green\nlater.example,c2,90,green\n")
	if got.code != 0 {
		t.Fatalf("submit: %s%s", got.out, got.err)
	}
	stays := h.release(t, "stays.example")
	ends := time.Now().Add(15 * time.Second).Truncate(time.Second).UTC()
	got = h.deliver(t, "short.csv", "value,category,confidence,tlp,valid_until\nshort.example,c2,90,green,"+ends.Format(time.RFC3339)+"\n")
	if got.code != 0 {
		t.Fatalf("submit: %s%s", got.out, got.err)
	}
	short := h.release(t, "short.example")
	h.ledger(t, stays, "loaded")
	h.ledger(t, short, "loaded")
	if strings.Contains(n.page(t, "olga", "/"), "The hub cannot be reached") {
		t.Error("the console says that the hub cannot be reached; it can")
	}

	h.kill()
	if !n.blocked(t, "www.stays.example") || !n.blocked(t, "short.example") {
		t.Fatal("without the hub the list is not in force")
	}
	until(t, "the console to say that the hub is away", 20*time.Second, func() bool {
		return strings.Contains(n.page(t, "olga", "/"), "The hub cannot be reached")
	})

	// The end of validity, to the second, with nobody to say so.
	if left := time.Until(ends); left < 500*time.Millisecond {
		t.Fatalf("this machine is too slow for this test: %v left", left)
	}
	time.Sleep(time.Until(ends.Add(-400 * time.Millisecond)))
	if !n.blocked(t, "short.example") && time.Now().Before(ends) {
		t.Error("short.example is not blocked any more, before the end of its validity")
	}
	late := until(t, "short.example to lapse", 10*time.Second, func() bool { return !n.blocked(t, "short.example") })
	after := time.Since(ends)
	if after < 0 || after > time.Second {
		t.Errorf("short.example stopped %v after the end of its validity (waited %v)", after, late)
	}
	if !n.blocked(t, "stays.example") {
		t.Error("stays.example stopped too")
	}

	// A restart without the hub: the vault has the list.
	for _, end := range []func(){n.kill, func() {
		code := n.interrupt(t)
		if code != 0 {
			t.Errorf("the node ended with %d", code)
		}
	}} {
		end()
		n.start(t)
		n.ready(t)
		if !n.blocked(t, "stays.example") || n.blocked(t, "short.example") || n.blocked(t, "later.example") {
			t.Fatal("after a restart without the hub the list is another one")
		}
	}
	until(t, "the console to say that the hub is away", 20*time.Second, func() bool {
		return strings.Contains(n.page(t, "olga", "/"), "The hub cannot be reached")
	})

	// The hub comes back, and a release of that moment arrives by itself.
	h.start(t)
	h.ready(t)
	later := h.release(t, "later.example")
	took := h.ledger(t, later, "loaded")
	t.Logf("after the hub's return a release was loaded %v after it was approved", took)
	if !n.blocked(t, "later.example") || !n.blocked(t, "stays.example") || n.blocked(t, "short.example") {
		t.Error("after the hub's return the list is another one")
	}
	until(t, "the console to say that the hub is back", 40*time.Second, func() bool {
		return !strings.Contains(n.page(t, "olga", "/"), "The hub cannot be reached")
	})
	h.decide(t, "rosa", "recall", stays)
	h.ledger(t, stays, "removed")
	if n.blocked(t, "stays.example") {
		t.Error("stays.example is blocked after its recall")
	}
	b := h.balance(t)
	if !b.Holds || b.Overdue != 0 || b.Pending != 0 || b.Released != 6 || b.Removed != 4 || b.InForce != 2 {
		t.Errorf("the ledger does not reconcile: %+v", b)
	}
}
