package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// balance is the hub's own account of what a provider has.
type balance struct {
	Holds                                       bool
	Released, Loaded, Refused, Overdue, Pending int64
	Lapsed, Removed, Removing                   int64
	InForce                                     int64 `json:"in_force"`
}

func (h *hub) balance(t *testing.T) balance {
	t.Helper()
	var b balance
	h.must(t, "omar", "GET", "/providers/northnet/reconcile", nil, &b)
	return b
}

// said is what the API confirmed about one name, and whether the answer to the
// recall was lost.
type said struct{ released, recalled, doubt bool }

// desk is a person at work while houses fall: it delivers, approves, releases and
// recalls, remembers what was confirmed, and goes on where there was no answer.
type desk struct {
	hub  *hub
	stop chan struct{}

	mu    sync.Mutex
	said  map[string]*said // by name
	lines int64            // delivered, in deliveries that were confirmed
	acts  int
	wrong []error // answers that nobody should get
}

func (d *desk) stopped() bool {
	select {
	case <-d.stop:
		return true
	default:
		return false
	}
}

// insist calls until there is an answer, and gives its status.
func (d *desk) insist(login, method, path string, in, out any) int {
	for {
		status, err := d.hub.ask(login, method, path, in, out)
		switch {
		case status == 200:
			d.mu.Lock()
			d.acts++
			d.mu.Unlock()
			return status
		case status == 429 || status == 503 || status == 0:
			time.Sleep(30 * time.Millisecond)
		case status == 409 && strings.Contains(fmt.Sprint(err), "busy"):
			time.Sleep(30 * time.Millisecond) // the delivery is being finished
		default:
			if status != 409 && status != 403 { // done already, without our having heard
				d.mu.Lock()
				d.wrong = append(d.wrong, err)
				d.mu.Unlock()
			}
			return status
		}
	}
}

// work takes round after round of names from file to release, and every other
// round from there to recall.
func (d *desk) work(round int) {
	names := []string{}
	file := "value,category,confidence,tlp\n"
	for i := range 4 {
		names = append(names, fmt.Sprintf("r%03d-%d-%06x.example", round, i, rand.IntN(1<<24)))
		file += names[i] + ",c2,90,green\n"
	}
	file += names[0] + ",c2,90,green\n" // known already
	file += "no such thing,c2,90,green\n"
	path := fmt.Sprintf("/batches?source=national-cert&name=round%d.csv&format=csv", round)
	if d.insist("grace", "POST", path, []byte(file), nil) != 200 {
		return
	}
	d.mu.Lock()
	d.lines += 6
	for _, n := range names {
		d.said[n] = &said{}
	}
	d.mu.Unlock()
	for i, n := range names {
		var page struct{ Items []item }
		if d.insist("bruno", "GET", "/items?q="+n, nil, &page) != 200 || len(page.Items) != 1 {
			d.mu.Lock()
			d.wrong = append(d.wrong, fmt.Errorf("%d items for %s, whose delivery was confirmed", len(page.Items), n))
			d.mu.Unlock()
			continue
		}
		it := "/items/" + page.Items[0].ID
		why := "Looked at it, and compared it with what is known."
		if page.Items[0].State == "PRIVACY_GATE" {
			d.insist("priya", "POST", it+"/privacy", map[string]any{"reason": why, "determination": "PII-NOT-PRESENT"}, nil)
		}
		d.insist("bruno", "POST", it+"/first", map[string]any{"reason": why}, nil)
		target := []map[string]string{{"provider": "northnet", "services": "all"}}
		if i == 3 {
			continue // one of each round stays in the queue
		}
		ok := d.insist("rosa", "POST", it+"/second", map[string]any{"reason": why, "targets": target}, nil) == 200
		d.mu.Lock()
		d.said[n].released = ok
		d.mu.Unlock()
		if i == round%3 {
			ok = d.insist("rosa", "POST", it+"/recall", map[string]any{"reason": why}, nil) == 200
			d.mu.Lock()
			d.said[n].recalled, d.said[n].doubt = ok, !ok // done without our having heard, or not
			d.mu.Unlock()
		}
	}
}

// TestKilled kills the hub, the node, or both, twenty times at random moments of
// their work (and five times more while they start), and compares afterwards what was confirmed with what is there.
func TestKilled(t *testing.T) {
	h := startHub(t, "demonstration: true\n")
	none := "127.0.0.1:9"
	n := startNode(t, h, resolver(t), none, none)
	d := &desk{hub: h, stop: make(chan struct{}), said: map[string]*said{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for round := 0; !d.stopped(); round++ {
			d.work(round)
			time.Sleep(25 * time.Millisecond) // leaves the two cores to the houses
		}
	}()
	for kill := range 20 {
		time.Sleep(time.Duration(100+rand.IntN(900)) * time.Millisecond)
		houses := []*process{h.process, n.process}
		switch {
		case kill%5 == 4: // both
		case kill%2 == 0:
			houses = houses[:1]
		default:
			houses = houses[1:]
		}
		for _, p := range houses {
			p.kill()
		}
		time.Sleep(time.Duration(rand.IntN(300)) * time.Millisecond)
		for _, p := range houses {
			p.start(t)
			if kill%4 == 3 { // once more, while it starts
				time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
				p.kill()
				p.start(t)
			}
		}
		if slices.Contains(houses, h.process) {
			h.ready(t)
		}
		if slices.Contains(houses, n.process) {
			n.ready(t)
		}
	}
	close(d.stop)
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatal("the desk's last round does not end")
	}
	for _, err := range d.wrong {
		t.Error(err)
	}
	d.compare(t, h, n)
}

// compare is the reckoning.
func (d *desk) compare(t *testing.T, h *hub, n *node) {
	t.Helper()
	until(t, "the ledger to settle", 90*time.Second, func() bool {
		b := h.balance(t)
		return b.Pending == 0 && b.Removing == 0 && b.Overdue == 0
	})
	b := h.balance(t)
	if !b.Holds || b.Overdue != 0 {
		t.Errorf("the ledger does not reconcile: %+v", b)
	}
	out := good(t, h.as("omar"), ecs, "ledger", "--limit", "1", "northnet")
	if !strings.Contains(out, "overdue 0") {
		t.Errorf("the command line says of the ledger:\n%s", out)
	}

	all := h.items(t, url.Values{})
	byName := map[string]item{}
	for _, it := range all {
		if _, twice := byName[it.Value]; twice {
			t.Errorf("%s is there twice", it.Value)
		}
		byName[it.Value] = it
	}
	released, recalled := 0, 0
	for name, s := range d.said {
		it, there := byName[name]
		if !there {
			t.Errorf("%s was taken, and is not there", name)
			continue
		}
		var story item
		h.must(t, "omar", "GET", "/items/"+it.ID, nil, &story)
		want := ""
		switch {
		case s.recalled:
			want, recalled = "removed", recalled+1
		case s.released:
			want, released = "loaded", released+1
		}
		for _, x := range story.Deliveries[min(1, len(story.Deliveries)):] {
			if x.Status != story.Deliveries[0].Status {
				t.Errorf("%s: the ledger has %+v, both were released and recalled together", name, story.Deliveries)
			}
		}
		for _, x := range story.Deliveries {
			// Recalled before the node had heard of it: nothing was ever loaded.
			if strings.EqualFold(x.Status, want) || want == "removed" && strings.EqualFold(x.Status, "lapsed") {
				continue
			}
			if want != "" && !s.doubt {
				t.Errorf("%s for %s is %s, the API had confirmed what makes it %s", name, x.Service, x.Status, want)
			}
		}
		if want != "" && len(story.Deliveries) != 2 {
			t.Errorf("%s has %d deliveries, want one for each service that can see a name", name, len(story.Deliveries))
		}
		inForce := slices.ContainsFunc(story.Deliveries, func(x struct{ Provider, Service, Status string }) bool {
			return x.Service == "dns" && strings.EqualFold(x.Status, "loaded")
		})
		if n.blocked(t, "www."+name) != inForce {
			t.Errorf("%s: DNS blocks it: %v, the ledger says in force: %v", name, !inForce, inForce)
		}
	}
	d.deliveries(t, h)
	var chain struct {
		Holds   bool
		Entries int64
		Why     string
	}
	h.must(t, "omar", "POST", "/audit/verify", nil, &chain)
	if !chain.Holds || chain.Entries == 0 {
		t.Errorf("the audit chain does not hold: %+v", chain)
	}
	if len(d.said) < 12 || released == 0 || recalled == 0 {
		t.Errorf("too little happened to prove anything: %d names, %d released, %d recalled", len(d.said), released, recalled)
	}
	t.Logf("%d acts confirmed, %d indicators, %d in force, %d recalled, %d audit entries; %+v", d.acts, len(all), released, recalled, chain.Entries, b)
}

// deliveries checks that each delivery's account adds up, and that each line is
// accounted for once.
func (d *desk) deliveries(t *testing.T, h *hub) {
	t.Helper()
	var page struct {
		Batches []struct {
			Name                                string
			Items, Accepted, Duplicate, Refused int64
			Skipped                             int64
			State                               string
		}
	}
	h.must(t, "omar", "GET", "/batches?limit=1000", nil, &page)
	var lines int64
	names := map[string]bool{}
	for _, b := range page.Batches {
		if b.Accepted+b.Duplicate+b.Refused+b.Skipped != b.Items {
			t.Errorf("%s: %+v does not add up", b.Name, b)
		}
		if b.Items != 6 || b.Accepted != 4 || b.Duplicate != 1 || b.Refused != 1 {
			t.Errorf("%s: %+v, want 4 accepted, 1 known, 1 refused", b.Name, b)
		}
		if names[b.Name] {
			t.Errorf("%s was taken in twice", b.Name)
		}
		names[b.Name] = true
		lines += b.Items
	}
	if lines != d.lines {
		t.Errorf("%d lines are accounted for, %d were delivered", lines, d.lines)
	}
}
