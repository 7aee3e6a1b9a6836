package console

import (
	"strings"
	"testing"

	"ecs/contract"
	"ecs/web/webtest"

	"github.com/chromedp/chromedp/kb"
)

func TestInABrowser(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	webtest.Open(t, ctx, s.url+"/sign-in")
	webtest.Accessible(t, ctx, "sign-in")
	webtest.Shot(t, ctx, "provider-sign-in")
	webtest.SignIn(t, ctx, s.url, "oscar", s.passwords["oscar"])
	for _, p := range s.pages() {
		webtest.Open(t, ctx, s.url+p)
		webtest.Accessible(t, ctx, p)
		webtest.Reflows(t, ctx, "provider"+strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(p))
		webtest.Shot(t, ctx, "provider"+strings.NewReplacer("/", "-", "?", "-", "&", "-", "=", "-").Replace(p))
	}
}

// A bad day, and the pages of those who are not operators.
func TestOtherReadersInABrowser(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	s.status.List.Problem, s.status.List.HubError, s.status.Lost = contract.WrongList, "The connection was refused.", 12
	s.status.Rooms[1].Running, s.status.Rooms[1].Fault = false, "Port 8891 is in use by another program."
	for _, x := range []struct{ login, path string }{{"oscar", "/"}, {"dana", "/customers/1"}, {"audrey", "/audit"}, {"sam", "/customers/2"}, {"root", "/"}} {
		webtest.SignIn(t, ctx, s.url, x.login, s.passwords[x.login])
		webtest.Open(t, ctx, s.url+x.path)
		webtest.Accessible(t, ctx, x.path+" for "+x.login)
		webtest.Shot(t, ctx, "provider-"+x.login)
		webtest.SignOut(t, ctx, s.url)
	}
}

// Somebody without a mouse: to the navigation by the skip link and back, then
// through the feedback preview to its button.
func TestFeedbackByKeyboard(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	webtest.SignIn(t, ctx, s.url, "oscar", s.passwords["oscar"])
	webtest.Open(t, ctx, s.url+"/feedback/"+itoa(int64(s.windows[0].Day))+"/dns")
	webtest.Keys(t, ctx, kb.Tab)
	if got := webtest.Focused(t, ctx); got != "Skip to main content" {
		t.Fatalf("the first stop is %q, want the skip link", got)
	}
	webtest.Keys(t, ctx, kb.Enter)
	const button = "I have seen these bytes: send them"
	for range 20 {
		webtest.Keys(t, ctx, kb.Tab)
		if webtest.Focused(t, ctx) == button {
			break
		}
	}
	if got := webtest.Focused(t, ctx); got != button {
		t.Fatalf("the button is not reached, the focus is on %q", got)
	}
	webtest.Keys(t, ctx, kb.Enter)
	webtest.Wait(t, ctx, "Exactly these bytes leave")
	if s.windows[0].State != "REVIEWED" {
		t.Errorf("the window is %s", s.windows[0].State)
	}
}
