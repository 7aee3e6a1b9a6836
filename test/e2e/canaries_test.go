package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// canaries are what people did, and the hub and the logs must never learn: names
// looked up, mail, and addresses of clients. None is a substring of anything
// that the program itself says.
var canaries = []string{
	"zqcanary-lookup", "zqcanary-below", "zqcanary-subject", "zqcanary-body", "zqcanary-sender", "zqcanary-recipient", "zqcanary-path",
	"zqcanary-file", "zqcanary-helo",
	"127.0.11.237", "127.0.12.237", "127.0.13.237", "127.0.14.237", "127.0.16.237",
	"192.0.2.29", "192.0.2.45", "192.0.2.61", "192.0.2.77", "203.0.113.221",
}

// forms are the spellings in which something may be hidden in a file.
func forms(canary string) map[string][]byte {
	out := map[string][]byte{
		"as it is":  []byte(canary),
		"hex":       []byte(hex.EncodeToString([]byte(canary))),
		"base64":    []byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(canary[:len(canary)/3*3])), "=")),
		"url":       []byte(url.QueryEscape(canary)),
		"backwards": backwards(canary),
	}
	addr, err := netip.ParseAddr(canary)
	if err == nil {
		mapped := addr.As16()
		out["16 bytes"] = mapped[:] // 4 bytes alone are found by chance in any file
	}
	return out
}

func backwards(s string) []byte {
	b := []byte(s)
	for i := range len(b) / 2 {
		b[i], b[len(b)-1-i] = b[len(b)-1-i], b[i]
	}
	return b
}

func search(t *testing.T, where string, text []byte) {
	t.Helper()
	text = bytes.ToLower(text)
	for _, c := range canaries {
		for how, form := range forms(c) {
			if bytes.Contains(text, bytes.ToLower(form)) {
				t.Errorf("%s has %s (%s)", where, c, how)
			}
		}
	}
}

// TestCanaries runs traffic with canaries through all three services and the
// whole way of the counts, and then looks for them in everything that the hub
// has or says, and in the logs of both houses, which log all they can.
func TestCanaries(t *testing.T) {
	need(t, "postfix", "swaks", "softflowd")
	mailed, told := startSink(t), startSink(t)
	h := startHub(t, fmt.Sprintf("demonstration: true\nfeedback: {day_length: %v}\n", day))
	// Five customers have to agree and meet in one cell, or nothing is told at all.
	five := strings.NewReplacer("127.0.15.0/24", "127.0.16.0/24", `dns: "off"`, "dns: block", "dns: watch", "dns: block").Replace(customers)
	n := newNode(t, resolver(t), mailed.addr, told.addr, five+"sample_consent: [Reject Power, Hold Water, Tag College, Watch Rail, Off Clinic]\n")
	n.enroll(t, h)
	n.run(t)
	p := &peers{hub: h, node: n, post: startPostfix(t, n.milter, mailed.addr)}
	got := h.deliver(t, "sample.csv", "value,type,category,confidence,tlp,disclosure\nlisted.example,,c2,90,green,3\n198.51.100.77,,c2,90,green,3\nsender@phish.example,,phishing,90,green,3\n")
	if got.code != 0 {
		t.Fatalf("submit: %s%s", got.out, got.err)
	}
	id := h.release(t, "listed.example")
	h.ledger(t, id, "loaded")
	for _, v := range []string{"198.51.100.77", "sender@phish.example"} {
		h.ledger(t, h.release(t, v), "loaded")
	}
	p.plant(t)
	p.count(t, id)

	// The sightings did see them, so that the search below is not of nothing.
	page := n.page(t, "olga", "/sightings")
	for _, c := range []string{"127.0.11.237", "zqcanary-below", "192.0.2.29"} {
		if !strings.Contains(page, c) {
			t.Errorf("the provider's sightings do not have %s: nothing was planted", c)
		}
	}
	if strings.Contains(page, "zqcanary-lookup") || strings.Contains(page, "203.0.113.221") {
		t.Error("the provider recorded traffic that matches nothing")
	}
	h.looked(t)
	if h.interrupt(t) != 0 || n.interrupt(t) != 0 { // writes what is in memory
		t.Error("a house did not end well")
	}
	files := 0
	err := filepath.WalkDir(h.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		search(t, path, b)
		files++
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files of the hub were searched, %v", files, err)
	}
	search(t, "the provider's log", []byte(n.all()))
}

// day is how long a window of feedback lasts here.
const day = 6 * time.Second

// ask has all customers look up names, soon after the beginning of a day, so that
// they meet in one window.
func (p *peers) ask(t *testing.T) {
	t.Helper()
	time.Sleep(day - time.Duration(time.Now().UnixNano())%day)
	for _, c := range []string{"127.0.11.237", "127.0.12.237", "127.0.13.237", "127.0.14.237", "127.0.16.237"} {
		for range 4 {
			for _, name := range []string{"zqcanary-lookup.example", "zqcanary-below.listed.example"} {
				_, err := p.node.lookup(c, name)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// plant is the traffic.
func (p *peers) plant(t *testing.T) {
	t.Helper()
	p.ask(t)
	for i, domain := range []string{"reject", "hold", "tag", "watch"} {
		for j, x := range []struct{ from, text string }{
			{"zqcanary-sender@sender.example", "zqcanary-body see http://clean.example/zqcanary-path"},
			{"zqcanary-sender@sender.example", "zqcanary-body see http://zqcanary-below.listed.example/zqcanary-path"},
			{"sender@phish.example", "zqcanary-body"},
		} {
			file := message(t, fmt.Sprintf("zqcanary-file%d%d", i, j), x.from, "zqcanary-recipient@"+domain+".example", "zqcanary-subject", x.text, "zqcanary-body")
			p.post.swaks(t, x.from, "zqcanary-recipient@"+domain+".example", file)
		}
	}
	for _, local := range []string{"192.0.2.29", "192.0.2.45", "192.0.2.61", "192.0.2.77"} {
		p.node.export(t, "9", capture(t, local, "198.51.100.77"))
		p.node.export(t, "5", capture(t, local, "203.0.113.221"))
	}
}

var (
	windowLink = regexp.MustCompile(`href="(/feedback/\d+/[a-z]+)"`)
	seenValue  = regexp.MustCompile(`name="seen" value="([0-9a-f]{64})"`)
)

// count has the operator let every window go, and waits for the count at the hub.
func (p *peers) count(t *testing.T, id string) {
	t.Helper()
	gone, tries := map[string]bool{}, 0
	until(t, "the count at the hub", 60*time.Second, func() bool {
		for _, m := range windowLink.FindAllStringSubmatch(p.node.page(t, "olga", "/feedback"), -1) {
			if gone[m[1]] {
				continue
			}
			window := p.node.page(t, "olga", m[1])
			search(t, "the window of feedback "+m[1], []byte(window))
			seen := seenValue.FindStringSubmatch(window)
			if seen != nil {
				gone[m[1]] = p.node.press(t, "olga", m[1]+"/approve", url.Values{"seen": {seen[1]}}) == 200
			}
		}
		var table struct{ Lines []struct{ Indicator string } }
		p.hub.must(t, "omar", "GET", "/feedback?by=indicator", nil, &table)
		for _, l := range table.Lines {
			if l.Indicator == id {
				return true
			}
		}
		tries++
		if tries%200 == 0 { // a busy machine may have spread the customers over two days
			p.ask(t)
		}
		return false
	})
}

// looked reads everything that the hub says, in the API and on its pages.
func (h *hub) looked(t *testing.T) {
	t.Helper()
	var items struct{ Items []item }
	h.must(t, "omar", "GET", "/items", nil, &items)
	api := []string{
		"/status", "/items", "/batches", "/sources", "/providers", "/providers/northnet", "/providers/northnet/nodes",
		"/providers/northnet/ledger", "/providers/northnet/in-force", "/sectors", "/feedback?by=indicator", "/feedback?by=sector",
		"/feedback?by=service", "/feedback?by=category", "/feedback/windows", "/feedback/refusals", "/audit?limit=1000",
	}
	pages := []string{"/", "/indicators", "/queue", "/deliveries", "/providers", "/providers/northnet", "/feedback", "/audit"}
	for _, it := range items.Items {
		api = append(api, "/items/"+it.ID)
		pages = append(pages, "/indicators/"+it.ID)
	}
	for _, path := range api {
		var raw rawJSON
		h.must(t, "omar", "GET", path, nil, &raw)
		search(t, "the hub's API at "+path, raw)
	}
	for _, path := range pages {
		search(t, "the hub's page "+path, []byte(h.page(t, "omar", path)))
	}
}

// rawJSON keeps an answer as it came.
type rawJSON []byte

func (r *rawJSON) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
