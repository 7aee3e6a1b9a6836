package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const attachment = "This is what the sample loader looks like.\n"

// peers is a hub, a node, and the real programs around it.
type peers struct {
	hub      *hub
	node     *node
	post     *postfix
	mailed   *sink // what Postfix delivered
	released *sink // what the node released from quarantine
	told     *sink // notices
	ids      map[string]string
}

// TestRealPeers has real clients meet indicators in all three services.
func TestRealPeers(t *testing.T) {
	need(t, "dig", "unbound", "postfix", "swaks", "softflowd")
	p := &peers{mailed: startSink(t), released: startSink(t), told: startSink(t), ids: map[string]string{}}
	p.hub = startHub(t, "demonstration: true\n")
	p.node = startNode(t, p.hub, startUnbound(t), p.released.addr, p.told.addr)
	p.post = startPostfix(t, p.node.milter, p.mailed.addr)

	sum := sha256.Sum256([]byte(attachment))
	digest := hex.EncodeToString(sum[:])
	got := p.hub.deliver(t, "sample.csv", `value,type,category,confidence,tlp,action,disclosure,summary
c2.example,,c2,90,clear,sinkhole,2,Control server of a sample
198.51.100.77,,c2,80,green,alert,3,Control server of a sample
http://files.example/loader.iso,,delivery,80,green,quarantine,1,Download of a sample
sender@phish.example,,phishing,75,green,quarantine,1,Sender of a sample
Overdue invoice 8841,subject,phishing,75,green,quarantine,1,Subject of a sample
`+digest+`,,delivery,95,green,quarantine,1,Attachment of a sample
`)
	if got.code != 0 {
		t.Fatalf("submit: %s%s", got.out, got.err)
	}
	for name, value := range map[string]string{
		"name": "c2.example", "address": "198.51.100.77", "url": "http://files.example/loader.iso",
		"sender": "sender@phish.example", "subject": "Overdue invoice 8841", "hash": digest,
	} {
		p.ids[name] = p.hub.release(t, value)
	}
	for _, id := range p.ids {
		p.hub.ledger(t, id, "loaded")
	}
	// In this order: each recall ends what the steps before it looked at.
	t.Run("names", p.names)
	t.Run("mail", p.mail)
	t.Run("flows", p.flows)
	t.Run("recall", p.recall)
}

func (p *peers) names(t *testing.T) {
	const blocked = "15 (Blocked)"
	for _, x := range []struct {
		client, name, kind string
		more               []string
		want               dug
	}{
		{"127.0.11.1", "c2.example", "A", nil, dug{"NOERROR", "A 192.0.2.253", blocked}},
		{"127.0.11.1", "WWW.c2.Example", "A", nil, dug{"NOERROR", "A 192.0.2.253", blocked}},
		{"127.0.11.1", "a.b.c2.example", "AAAA", nil, dug{"NOERROR", "AAAA 2001:db8::253", blocked}},
		{"127.0.11.1", "c2.example", "MX", nil, dug{"NOERROR", "", blocked}},
		{"127.0.11.1", "c2.example", "TXT", nil, dug{"NOERROR", "", blocked}},
		{"127.0.11.1", "c2.example", "HTTPS", nil, dug{"NOERROR", "", blocked}},
		{"127.0.11.1", "c2.example", "A", []string{"+tcp"}, dug{"NOERROR", "A 192.0.2.253", blocked}},
		{"127.0.11.1", "c2.example", "A", []string{"+noedns"}, dug{"NOERROR", "A 192.0.2.253", ""}},
		{"127.0.11.1", "c2.example", "A", []string{"+dnssec"}, dug{"NOERROR", "A 192.0.2.253", blocked}},
		{"127.0.12.1", "www.c2.example", "A", nil, dug{"NXDOMAIN", "", blocked}},
		{"127.0.12.1", "c2.example", "HTTPS", []string{"+tcp"}, dug{"NXDOMAIN", "", blocked}},
		{"127.0.13.1", "c2.example", "A", nil, dug{"NOERROR", "", blocked}},
		{"127.0.14.1", "c2.example", "A", nil, dug{"NOERROR", "A 203.0.113.80", ""}},
		{"127.0.15.1", "c2.example", "A", nil, dug{"NOERROR", "A 203.0.113.80", ""}},
		{"127.0.11.1", "clean.example", "A", nil, dug{"NOERROR", "A 203.0.113.81", ""}},
		{"127.0.11.1", "clean.example", "AAAA", nil, dug{"NOERROR", "AAAA 2001:db8::81", ""}},
		{"127.0.11.1", "clean.example", "MX", nil, dug{"NOERROR", "MX 10 mail.clean.example.", ""}},
		{"127.0.11.1", "clean.example", "TXT", []string{"+tcp"}, dug{"NOERROR", `TXT "hello"`, ""}},
		{"127.0.11.1", "clean.example", "HTTPS", nil, dug{"NOERROR", `HTTPS 1 . alpn="h2"`, ""}},
		{"127.0.11.1", "notc2.example", "A", nil, dug{"NXDOMAIN", "", ""}},
	} {
		got := p.node.dig(t, x.client, x.name, x.kind, x.more...)
		if x.want.ede != "" && strings.HasPrefix(got.ede, x.want.ede) {
			got.ede = x.want.ede
		}
		diff := cmp.Diff(x.want, got, cmp.AllowUnexported(dug{}))
		if diff != "" {
			t.Errorf("dig -b %s %s %s %v (-want +got):\n%s", x.client, x.name, x.kind, x.more, diff)
		}
	}
	for _, transport := range []string{"+notcp", "+tcp"} {
		got := p.node.dig(t, "127.0.11.1", "c2.example", "ANY", transport)
		if got.status != "NOERROR" || !strings.HasPrefix(got.ede, "15 ") || strings.Contains(got.answer, "203.0.113") {
			t.Errorf("dig ANY %s: %+v, want no word of the real address, and the extended error", transport, got)
		}
	}
	host, port, _ := strings.Cut(p.node.dns, ":")
	out := run(t, nil, "dig", "@"+host, "-p", port, "-b", "127.0.99.1", "+time=1", "+tries=1", "clean.example", "A")
	if !strings.Contains(out.out, "status: REFUSED") {
		t.Errorf("a stranger's query is not refused:\n%s", out.out)
	}
	until(t, "the sighting of the name", 20*time.Second, func() bool {
		page := p.node.page(t, "olga", "/sightings?indicator="+p.ids["name"])
		return strings.Contains(page, "127.0.11.1") && strings.Contains(page, "127.0.12.1") && strings.Contains(page, "127.0.14.1")
	})
	if strings.Contains(p.node.page(t, "olga", "/sightings"), "127.0.15.1") {
		t.Error("there is a sighting of a customer whose DNS policy is off")
	}
}

// message writes a mail with a mark that is found again wherever it ends.
func message(t *testing.T, mark, from, to, subject, text string, files ...string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "From: <%s>\r\nTo: <%s>\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <%s@sender.example>\r\nMIME-Version: 1.0\r\n",
		from, to, subject, time.Now().Format(time.RFC1123Z), mark)
	b.WriteString("Content-Type: multipart/mixed; boundary=part\r\n\r\n--part\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text + "\r\n")
	for _, f := range files {
		b.WriteString("--part\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=loader.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n")
		b.WriteString(base64.StdEncoding.EncodeToString([]byte(f)) + "\r\n")
	}
	b.WriteString("--part--\r\n")
	path := filepath.Join(t.TempDir(), mark+".eml")
	write(t, path, b.String())
	return path
}

func (p *peers) mail(t *testing.T) {
	type sent struct {
		indicator, mark, from, subject, text string
		files                                []string
	}
	n := 0
	kinds := []sent{
		{"", "", "news@sender.example", "Minutes", "See http://clean.example/minutes", []string{"nothing special\n"}},
		{"sender", "", "sender@phish.example", "Minutes", "Good morning", nil},
		{"url", "", "news@sender.example", "Minutes", "Get it at http://files.example/loader.iso today", nil},
		{"name", "", "news@sender.example", "Minutes", "Get it at https://www.c2.example/x?y=z", nil},
		{"subject", "", "news@sender.example", "Overdue invoice 8841", "Good morning", nil},
		{"hash", "", "news@sender.example", "Minutes", "Attached", []string{attachment}},
	}
	for _, domain := range []string{"reject", "hold", "tag", "watch", "off"} {
		for _, k := range kinds {
			n++
			mark := fmt.Sprintf("mark%04d.%s", n, domain)
			file := message(t, mark, k.from, "desk@"+domain+".example", k.subject, k.text, k.files...)
			answer := p.post.swaks(t, k.from, "desk@"+domain+".example", file)
			listed := k.indicator != ""
			want, arrives := "250", true
			switch {
			case listed && domain == "reject":
				want, arrives = "550", false
			case listed && domain == "hold":
				arrives = false
			}
			if !strings.HasPrefix(answer, want) {
				t.Errorf("%s to %s: Postfix said %q, want %s", k.indicator, domain, answer, want)
			}
			if want == "550" && !strings.Contains(answer, p.ids[k.indicator]) {
				t.Errorf("%s to %s: the answer does not name the indicator: %q", k.indicator, domain, answer)
			}
			if arrives {
				until(t, mark+" to arrive", 20*time.Second, func() bool { return len(p.mailed.with(mark)) == 1 })
				tagged := strings.Contains(p.mailed.with(mark)[0].data, "X-ECS")
				if tagged != (listed && domain == "tag") {
					t.Errorf("%s to %s: tagged is %v", k.indicator, domain, tagged)
				}
			} else if len(p.mailed.with(mark)) != 0 {
				t.Errorf("%s to %s was delivered", k.indicator, domain)
			}
			// The same message scanned as a file, with the list of the running node.
			if domain == "reject" {
				p.scanned(t, file, answer)
			}
		}
	}
	p.quarantined(t, len(kinds)-1)
}

// scanned compares what the command line says of a file with what Postfix was
// told of the same message.
func (p *peers) scanned(t *testing.T, file, answer string) {
	t.Helper()
	r := run(t, nil, ecs, "mail", "scan", "-c", p.node.config, "--json", file)
	var v struct {
		Action, Reply string
		Hits          []struct{ Indicator string }
	}
	decode(t, r.out, &v)
	want := "passed"
	if strings.HasPrefix(answer, "550") {
		want = "rejected"
	}
	if v.Action != want || (r.code != 0) != (want == "rejected") {
		t.Errorf("mail scan of %s: %q, exit %d, but Postfix was told %q", filepath.Base(file), v.Action, r.code, answer)
	}
	if want == "rejected" && (len(v.Hits) == 0 || !strings.Contains(answer, v.Hits[0].Indicator)) {
		t.Errorf("mail scan of %s names %v, but Postfix was told %q", filepath.Base(file), v.Hits, answer)
	}
}

var releaseForm = regexp.MustCompile(`action="(/quarantine/[^"/]+/release)"`)

// quarantined releases one of the held messages in the console, twice, and
// deletes none.
func (p *peers) quarantined(t *testing.T, held int) {
	forms := releaseForm.FindAllStringSubmatch(p.node.page(t, "olga", "/quarantine"), -1)
	if len(forms) != held {
		t.Fatalf("%d messages are held, want %d", len(forms), held)
	}
	for range 2 { // the second time is too late, and must do nothing
		p.node.press(t, "olga", forms[0][1], nil)
	}
	until(t, "the released message", 20*time.Second, func() bool { return len(p.released.with("mark")) > 0 })
	time.Sleep(300 * time.Millisecond)
	got := p.released.with("mark")
	if len(got) != 1 || len(got[0].to) != 1 || got[0].to[0] != "desk@hold.example" {
		t.Errorf("the released message arrived %d times: %+v", len(got), got)
	}
	left := releaseForm.FindAllString(p.node.page(t, "olga", "/quarantine"), -1)
	if len(left) != held-1 {
		t.Errorf("%d messages are held after one release, want %d", len(left), held-1)
	}
}

// exported are the conversations of the flow tests, one for each version and
// customer.
var exported = []struct{ version, local, customer string }{
	{"5", "192.0.2.17", "Reject Power"},
	{"9", "192.0.2.33", "Hold Water"},
	{"10", "192.0.2.49", "Tag College"},
}

func (p *peers) flows(t *testing.T) {
	for _, x := range exported {
		p.node.export(t, x.version, capture(t, x.local, "198.51.100.77"))
	}
	p.node.export(t, "9", capture(t, "192.0.2.81", "198.51.100.77")) // a customer whose policy is off
	until(t, "sightings of the flows", 20*time.Second, func() bool {
		page := p.node.page(t, "olga", "/sightings?service=netflow&indicator="+p.ids["address"])
		n := 0
		for _, x := range exported {
			if strings.Contains(page, x.customer) && strings.Contains(page, x.local) {
				n++
			}
		}
		return n == len(exported)
	})
	page := p.node.page(t, "olga", "/sightings?service=netflow")
	if strings.Contains(page, "192.0.2.81") || strings.Contains(page, "203.0.113.200") {
		t.Error("there is a sighting of what is not listed, or of a customer whose policy is off")
	}
	until(t, "the notice of a flow", 30*time.Second, func() bool {
		for _, l := range p.told.with(p.ids["address"]) {
			if len(l.to) == 1 && l.to[0] == "security@reject.example" {
				return true
			}
		}
		return false
	})
	var found struct {
		Hits []struct {
			Customer string
			Flows    int
		}
	}
	until(t, "the hunt to find the flows", 30*time.Second, func() bool {
		found.Hits = nil
		decode(t, good(t, nil, ecs, "hunt", "-c", p.node.config, "--json", p.ids["address"]), &found)
		return len(found.Hits) == len(exported)
	})
	for i, x := range exported {
		if !strings.Contains(fmt.Sprint(found.Hits), x.customer) || found.Hits[i].Flows == 0 {
			t.Errorf("the hunt does not name %s: %+v", x.customer, found.Hits)
		}
	}
	out := good(t, nil, ecs, "hunt", "-c", p.node.config, "198.51.100.78")
	if !strings.Contains(out, "0 hits") {
		t.Errorf("a hunt for an address that nobody talked to says:\n%s", out)
	}
}

func (p *peers) recall(t *testing.T) {
	// The address is met by another host after its recall: no new sighting.
	p.hub.decide(t, "rosa", "recall", p.ids["address"])
	p.hub.decide(t, "rosa", "recall", p.ids["url"])
	began := time.Now()
	p.hub.decide(t, "rosa", "recall", p.ids["name"])
	took := until(t, "the name to resolve again", 10*time.Second, func() bool {
		got, err := p.node.lookup("127.0.11.1", "www.c2.example")
		return err == nil && got == "NOERROR 203.0.113.80"
	})
	t.Logf("recall: no longer in force %v after the command ended, %v after it began", took, time.Since(began))
	if took > time.Second {
		t.Errorf("the name was still blocked %v after its recall", took)
	}
	for i, x := range []struct{ text string }{{"http://files.example/loader.iso"}, {"https://www.c2.example/x?y=z"}} {
		mark := fmt.Sprintf("after%d", i)
		answer := p.post.swaks(t, "news@sender.example", "desk@reject.example", message(t, mark, "news@sender.example", "desk@reject.example", "Minutes", x.text))
		if !strings.HasPrefix(answer, "250") {
			t.Errorf("after the recall a mail with %s is answered %q", x.text, answer)
		}
	}
	p.node.export(t, "9", capture(t, "192.0.2.18", "198.51.100.77"))
	for _, name := range []string{"name", "url", "address"} {
		p.hub.ledger(t, p.ids[name], "removed")
	}
	time.Sleep(500 * time.Millisecond)
	if strings.Contains(p.node.page(t, "olga", "/sightings?service=netflow"), "192.0.2.18") {
		t.Error("a flow was reported after the recall")
	}
	if got := p.hub.find(t, "c2.example").State; got != "REVOKED" {
		t.Errorf("the recalled name is %s", got)
	}
	out := good(t, p.hub.as("omar"), ecs, "ledger", "northnet")
	if !strings.Contains(out, "overdue 0") {
		t.Errorf("the ledger says\n%s", out)
	}
}
