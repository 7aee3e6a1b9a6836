package console

import (
	"log/slog"
	"testing"

	"ecs/hub/internal/indicator"
	"ecs/web/webtest"

	"github.com/chromedp/chromedp/kb"
)

var discard = slog.New(slog.DiscardHandler)

func TestInABrowser(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	webtest.SignIn(t, ctx, s.url, "ann", s.Passwords["ann"])
	for name, p := range s.pages(t) {
		webtest.Open(t, ctx, s.url+p)
		webtest.Accessible(t, ctx, name)
		webtest.Shot(t, ctx, "hub-"+name)
	}
	webtest.Open(t, ctx, s.url+"/deliveries")
	webtest.Accessible(t, ctx, "deliveries")
	webtest.Shot(t, ctx, "hub-deliveries")
}

// A release authority without a mouse: the queue, one indicator chosen, a target,
// a reason, and the button; nothing but keys.
func TestApprovalByKeyboard(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	webtest.SignIn(t, ctx, s.url, "rita", s.Passwords["rita"])
	webtest.Open(t, ctx, s.url+"/queue?step=second")
	webtest.Accessible(t, ctx, "queue of a release authority")
	webtest.Shot(t, ctx, "hub-queue-second-rita")
	id := s.Find(t, "second.example").ID.String()
	tab := func(to string) {
		t.Helper()
		for range 60 {
			if webtest.Focused(t, ctx) == to {
				return
			}
			webtest.Keys(t, ctx, kb.Tab)
		}
		t.Fatalf("%q is not reached by the tab key", to)
	}
	webtest.Keys(t, ctx, kb.Tab)
	if got := webtest.Focused(t, ctx); got != "Skip to main content" {
		t.Fatalf("the first stop is %q", got)
	}
	webtest.Keys(t, ctx, kb.Enter)
	tab(id)
	webtest.Keys(t, ctx, " ")
	tab("target-alder-dns")
	webtest.Keys(t, ctx, " ")
	tab("reason")
	webtest.Keys(t, ctx, "Checked again, it is a phishing page.")
	tab("act") // the first of the buttons: approve and release
	webtest.Keys(t, ctx, kb.Enter)
	webtest.Wait(t, ctx, "Done for 1 indicators")
	if got := s.Find(t, "second.example").State; got != indicator.Released {
		t.Errorf("the indicator is %s, want RELEASED", got)
	}
}
