package console

import (
	"log/slog"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/release"
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
		webtest.Reflows(t, ctx, "hub-"+name)
	}
	webtest.Open(t, ctx, s.url+"/deliveries")
	webtest.Accessible(t, ctx, "deliveries")
	webtest.Shot(t, ctx, "hub-deliveries")
	delivery := deliveryOf(t, s)
	stopped, second := "/indicators/"+s.Find(t, "jane.doe@mail.example").ID.String(), "/indicators/"+s.Find(t, "second.example").ID.String()
	urgent := s.Find(t, "192.0.2.66").ID
	_, err := s.Desk.Emergency(t.Context(), hubtest.Account("rita"), release.Ref{ID: urgent}, hubtest.Why, []release.Target{{Provider: "alder", Services: contract.NetFlow}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct{ login, name, path string }{
		{"paul", "queue-privacy-paul", "/queue?step=privacy"},
		{"paul", "story-paul", stopped},
		{"paul", "audit", "/audit"},
		{"rita", "story-rita", second},
		{"rita", "story-emergency", "/indicators/" + s.Find(t, "first.example").ID.String()},
		{"ann", "story-ratify", "/indicators/" + urgent.String()},
		{"otto", "provider-otto", "/providers/alder"},
		{"otto", "provider-suspended", "/providers/alder"},
		{"gil", "delivery", delivery},
		{"stella", "dashboard-stella", "/"},
	} {
		if x.name == "provider-suspended" {
			s.suspend(t)
		}
		webtest.SignOut(t, ctx, s.url)
		webtest.SignIn(t, ctx, s.url, x.login, s.Passwords[x.login])
		webtest.Open(t, ctx, s.url+x.path)
		webtest.Accessible(t, ctx, x.name)
		webtest.Shot(t, ctx, "hub-"+x.name)
	}
}

func deliveryOf(t *testing.T, s served) string {
	t.Helper()
	all, err := intake.Batches(t.Context(), s.DB, "cedar", time.Time{}, 1)
	if err != nil || len(all) != 1 {
		t.Fatalf("deliveries: %v, %v", all, err)
	}
	return "/deliveries/" + all[0].ID
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
	// Sent without a choice: the page comes back with the problems in focus, what
	// was typed still there.
	tab("reason")
	webtest.Keys(t, ctx, "Checked again, it is a phishing page.")
	tab("act")
	webtest.Keys(t, ctx, kb.Enter)
	webtest.Wait(t, ctx, "Choose at least one indicator")
	got := webtest.Focused(t, ctx)
	for range 40 { // the browser moves the focus a moment after it shows the text
		if got == "problems" {
			break
		}
		time.Sleep(50 * time.Millisecond)
		got = webtest.Focused(t, ctx)
	}
	if got != "problems" {
		t.Errorf("after a refused form the focus is on %q, want the list of problems", got)
	}
	webtest.Accessible(t, ctx, "refused form")
	webtest.Shot(t, ctx, "hub-refused-form")
	tab(id)
	webtest.Keys(t, ctx, " ")
	tab("target-alder-dns")
	webtest.Keys(t, ctx, " ")
	tab("act") // the first of the buttons: approve and release
	webtest.Keys(t, ctx, kb.Enter)
	webtest.Wait(t, ctx, "Done for 1 indicators")
	if got := s.Find(t, "second.example").State; got != indicator.Released {
		t.Errorf("the indicator is %s, want RELEASED", got)
	}
}

// The pages on which a messy delivery is looked at: the mapping of a workbook, and the
// candidates of a pasted report.
func TestUploadsInABrowser(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	ann := s.client(t, "ann")
	_, _, workbook := s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, "Incident 044.xlsx", messy(t))
	_, _, text := s.multi(t, ann, "/deliveries/paste", [][2]string{{"source", "cedar"}, {"format", "report"}, {"text", pastedReport}}, "", nil)
	err := s.Intake.SaveMapping(t.Context(), intake.Mapping{Source: "cedar", Name: "weekly", Body: `{"columns":[{"header":"IOC","field":"value"}],"constants":{"tlp":"green"}}`, Login: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	delivery := deliveryOf(t, s)
	webtest.SignIn(t, ctx, s.url, "ann", s.Passwords["ann"])
	for _, x := range []struct{ name, path string }{
		{"upload-workbook", workbook.Path},
		{"upload-report", text.Path},
		{"paste", "/deliveries/paste"},
		{"deliveries-held", "/deliveries"},
		{"delivery-report", delivery},
		{"delivery-changes", delivery + "/changes"},
		{"delivery-objects", delivery + "/objects"},
		{"sources", "/sources"},
		{"source", "/sources/cedar"},
		{"mapping", "/sources/cedar/mapping?name=weekly"},
		{"feeds", "/feeds"},
	} {
		webtest.Open(t, ctx, s.url+x.path)
		webtest.Accessible(t, ctx, x.name)
		webtest.Shot(t, ctx, "hub-"+x.name)
		webtest.Reflows(t, ctx, "hub-"+x.name)
	}
}
