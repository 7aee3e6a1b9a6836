package e2e

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ecs/web/webtest"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestConsoles has four people do in a browser what the other tests do by API:
// an indicator goes from a file to its recall, and an operator sees it work.
func TestConsoles(t *testing.T) {
	ctx := webtest.Browser(t)
	h := startHub(t, "demonstration: true\n")
	none := "127.0.0.1:9"
	n := startNode(t, h, resolver(t), none, none)
	as := func(login string) {
		t.Helper()
		webtest.SignIn(t, ctx, h.url, login, h.passwords[login])
	}
	out := func() {
		t.Helper()
		webtest.SignOut(t, ctx, h.url)
	}

	// Grace delivers a file.
	file := filepath.Join(t.TempDir(), "sample.csv")
	write(t, file, "value,category,confidence,tlp,summary\nwww.seen.example,c2,90,green,Control server of a sample\n")
	as("grace")
	webtest.Open(t, ctx, h.url+"/deliveries")
	webtest.Do(t, ctx, "upload", chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}),
		chromedp.SendKeys(chromedp.CSS("#format"), "CSV"), chromedp.Click(chromedp.CSS("main form[enctype] button[type=submit]")))
	webtest.Wait(t, ctx, "What would become of it")
	webtest.Do(t, ctx, "take in", chromedp.Click(chromedp.CSS(`button[formaction$="/take"]`)))
	webtest.Wait(t, ctx, "The delivery is taken in.")
	it := h.find(t, "www.seen.example")
	out()
	if it.State == "PRIVACY_GATE" { // one in twenty is looked at by chance
		h.decide(t, "priya", "privacy", "--determination", "PII-NOT-PRESENT", it.ID)
	}

	// Bruno approves first, in the queue, with nothing but keys.
	as("bruno")
	webtest.Open(t, ctx, h.url+"/queue?step=first")
	decide(t, ctx, it.ID)
	webtest.Wait(t, ctx, "Done for 1 indicators")
	// The second approval is not his: he is told so, and nothing happens.
	webtest.Open(t, ctx, h.url+"/queue?step=second")
	decide(t, ctx, it.ID, "target-northnet-dns")
	webtest.Wait(t, ctx, "1 of 1 indicators were left as they were")
	webtest.Accessible(t, ctx, "refused second approval")
	if got := h.find(t, "www.seen.example").State; got != "PENDING_SECOND" {
		t.Fatalf("after Bruno's second try the indicator is %s", got)
	}
	out()

	// Rosa does, and releases it for two services.
	as("rosa")
	webtest.Open(t, ctx, h.url+"/queue?step=second")
	decide(t, ctx, it.ID, "target-northnet-dns", "target-northnet-smtp")
	webtest.Wait(t, ctx, "Done for 1 indicators")
	says(t, ctx, h.url+"/providers/northnet/ledger", "Adds up", "2 released", "2 in force")
	webtest.Accessible(t, ctx, "ledger")
	says(t, ctx, h.url+"/indicators/"+it.ID, "Where it is in force", "Bruno Costa", "Rosa Haddad", "source national-cert")
	webtest.Accessible(t, ctx, "story")

	// Olga of the provider sees it work, and says what she thinks of it.
	if !n.blocked(t, "www.seen.example") {
		t.Error("what was released in the console is not blocked")
	}
	webtest.SignIn(t, ctx, n.url, "olga", n.passwords["olga"])
	says(t, ctx, n.url+"/", "In force")
	webtest.Accessible(t, ctx, "overview")
	says(t, ctx, n.url+"/sightings", "Reject Power", "127.0.11.1", "www.seen.example")
	webtest.Do(t, ctx, "verdict", chromedp.Click(chromedp.CSS(`button[name=verdict][value="true"]`)))
	webtest.Wait(t, ctx, "The verdict is recorded.")
	webtest.Accessible(t, ctx, "sightings")

	// Rosa takes it back, on its own page.
	webtest.Open(t, ctx, h.url+"/indicators/"+it.ID)
	webtest.Do(t, ctx, "recall", chromedp.SendKeys(chromedp.CSS("#recall-reason"), "It turned out to be harmless."), chromedp.Click(chromedp.CSS(".usa-button--secondary")))
	webtest.Wait(t, ctx, "Recalled.")
	says(t, ctx, h.url+"/providers/northnet/ledger", "Adds up", "0 in force", "2 removed")
	if n.blocked(t, "www.seen.example") {
		t.Error("what was recalled in the console is blocked")
	}
	out()
	webtest.Open(t, ctx, h.url+"/sign-in")
	webtest.Do(t, ctx, "look at a page after signing out", chromedp.Navigate(h.url+"/providers/northnet/ledger"), chromedp.WaitReady(chromedp.CSS("#password")))
}

// decide chooses one indicator in the queue, and boxes further on, gives a
// reason, and presses the first button: all by keys.
func decide(t *testing.T, ctx context.Context, id string, boxes ...string) {
	t.Helper()
	tab := func(to string) {
		t.Helper()
		for range 80 {
			if webtest.Focused(t, ctx) == to {
				return
			}
			webtest.Keys(t, ctx, kb.Tab)
		}
		t.Fatalf("%q is not reached by the tab key", to)
	}
	for _, box := range append([]string{id}, boxes...) {
		tab(box)
		webtest.Keys(t, ctx, " ")
	}
	tab("reason")
	webtest.Keys(t, ctx, "Looked at it, and compared it with what is known.")
	tab("act")
	webtest.Keys(t, ctx, kb.Enter)
}

// says opens a page again and again until it says all of this.
func says(t *testing.T, ctx context.Context, at string, texts ...string) {
	t.Helper()
	var page string
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		webtest.Open(t, ctx, at)
		page = webtest.Says(t, ctx)
		all := true
		for _, s := range texts {
			all = all && strings.Contains(page, s)
		}
		if all {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatalf("%s does not say all of %q:\n%s", at, texts, page)
}
