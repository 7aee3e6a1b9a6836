package console

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/web/webtest"
)

// deliver adds a delivery of n clean names: one question.
func (s served) deliver(t *testing.T, n int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("value,type,category,confidence,tlp\n")
	for i := range n {
		fmt.Fprintf(&b, "many%04d.example,domain,scanning,70,green\n", i)
	}
	s.Deliver(t, "dogwood", "many.csv", b.String())
}

var questionValue = regexp.MustCompile(`name="question" value="([^"]*)"`)

func TestADeliveryIsDecidedAtOnceAndTakenBack(t *testing.T) {
	s := serve(t)
	s.deliver(t, 40)
	ann := s.client(t, "ann")
	_, page := get(t, ann, s.url+"/queue?step=first")
	webtest.Structure(t, "queue of questions", page)
	m := questionValue.FindStringSubmatch(page)
	if m == nil || !strings.Contains(page, "40 indicators: Scanning, from dogwood") || strings.Contains(page, "many0039.example") {
		t.Fatalf("the delivery is no question, or shows more than its riskiest:\n%s", page)
	}
	value := strings.NewReplacer("&amp;", "&", "&#43;", "+").Replace(m[1])
	key, last, _ := strings.Cut(value, " ")
	_, all := get(t, ann, s.url+"/queue?"+url.Values{"step": {"first"}, "question": {key}, "last": {last}}.Encode())
	if got := strings.Count(all, "data-entry"); got != perQueue {
		t.Errorf("the first page of the question has %d of its indicators, want %d", got, perQueue)
	}
	webtest.Structure(t, "one question", all)
	form := url.Values{"step": {"first"}, "act": {"first"}, "question": {value}, "code": {"checks-clear"}}
	status, page := post(t, ann, s.url+"/queue", form)
	if status != http.StatusOK || !strings.Contains(page, "Done for 40 indicators") {
		t.Fatalf("status %d\n%s", status, page)
	}
	ds, err := indicator.Decisions(t.Context(), s.DB, s.Find(t, "many0007.example").ID)
	if err != nil || len(ds) != 1 || !strings.HasPrefix(ds[0].Reason, "checks-clear: ") || ds[0].Bulk == "" {
		t.Fatalf("decisions %+v, %v", ds, err)
	}
	status, page = get(t, ann, s.url+"/decisions")
	if status != http.StatusOK || !strings.Contains(page, "and 39 more at once") {
		t.Fatalf("my decisions: status %d\n%s", status, page)
	}
	webtest.Structure(t, "my decisions", page)
	status, page = post(t, ann, s.url+"/decisions/undo", url.Values{"bulk": {ds[0].Bulk}})
	if status != http.StatusOK || !strings.Contains(page, "Taken back: 40") || !strings.Contains(page, "taken back just now") {
		t.Fatalf("undo: status %d\n%s", status, page)
	}
	if got := s.Find(t, "many0007.example").State; got != indicator.PendingFirst {
		t.Errorf("after the undo the indicator is %s", got)
	}
	// Somebody else's bulk act is not mine to take back.
	status, _ = post(t, s.client(t, "abe"), s.url+"/decisions/undo", url.Values{"bulk": {ds[0].Bulk}})
	if status != http.StatusConflict {
		t.Errorf("undo of what is undone: status %d, want 409", status)
	}
}

func TestReasonOfAnotherActIsRefused(t *testing.T) {
	s := serve(t)
	ann, id := s.client(t, "ann"), s.Find(t, "first.example").ID.String()
	status, page := post(t, ann, s.url+"/queue", url.Values{"step": {"first"}, "act": {"first"}, "id": {id}, "code": {"false-positive"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#code"`) {
		t.Errorf("a reason for a rejection given for an approval: status %d\n%s", status, page)
	}
	webtest.Structure(t, "refused reason", page)
	status, page = post(t, ann, s.url+"/queue", url.Values{"step": {"first"}, "act": {"reject"}, "id": {id}, "code": {"false-positive"}})
	if status != http.StatusOK || !strings.Contains(page, "Done for 1 indicators") {
		t.Fatalf("status %d\n%s", status, page)
	}
	ds, err := indicator.Decisions(t.Context(), s.DB, s.Find(t, "first.example").ID)
	if err != nil || ds[len(ds)-1].Verdict != string(release.FalsePositive) {
		t.Errorf("decisions %+v, %v", ds, err)
	}
}

func TestALongRunTellsHowFarItIs(t *testing.T) {
	s := serve(t)
	s.deliver(t, longRun+100)
	taken := s.Find(t, "many0003.example").ID
	ann := s.client(t, "ann")
	_, page := get(t, ann, s.url+"/queue?step=first")
	value := questionValue.FindStringSubmatch(page)[1]
	// One is gone when the form comes: it is no member any more, and not approved.
	err := s.Desk.Reject(t.Context(), hubtest.Account("abe"), release.Ref{ID: taken}, hubtest.Why)
	if err != nil {
		t.Fatal(err)
	}
	status, page := post(t, ann, s.url+"/queue", url.Values{"step": {"first"}, "act": {"first"}, "question": {value}, "code": {"checks-clear"}})
	if status != http.StatusOK || !strings.Contains(page, fmt.Sprintf("Done for %d of %d indicators", longRun+99, longRun+99)) || strings.Contains(page, "progress-is-written") {
		t.Fatalf("status %d\n%s", status, page)
	}
	webtest.Structure(t, "long run", page)
}

func TestQuestionsOfOthersAreNone(t *testing.T) {
	s := serve(t)
	s.deliver(t, 5)
	ann, gil := s.client(t, "ann"), s.client(t, "gil")
	_, page := get(t, ann, s.url+"/queue?step=first")
	key, last, _ := strings.Cut(questionValue.FindStringSubmatch(page)[1], " ")
	status, page := get(t, gil, s.url+"/queue?"+url.Values{"step": {"first"}, "question": {key}, "last": {last}}.Encode())
	if status != http.StatusNotFound || strings.Contains(page, "many0") {
		t.Errorf("an officer of another source: status %d\n%s", status, page)
	}
	status, page = get(t, ann, s.url+"/queue?"+url.Values{"step": {"first"}, "question": {"x|y"}, "last": {last}}.Encode())
	if status != http.StatusBadRequest {
		t.Errorf("a question that is none: status %d\n%s", status, page)
	}
}

// An analyst with nothing but single keys: the big question and one indicator.
func TestQueueBySingleKeys(t *testing.T) {
	ctx := webtest.Browser(t)
	s := serve(t)
	s.deliver(t, 40)
	webtest.SignIn(t, ctx, s.url, "ann", s.Passwords["ann"])
	webtest.Open(t, ctx, s.url+"/queue?step=first")
	ready(t, ctx)
	webtest.Accessible(t, ctx, "queue of questions")
	webtest.Shot(t, ctx, "hub-queue-questions")
	find := func(text string) {
		t.Helper()
		for range 30 {
			webtest.Keys(t, ctx, "j")
			if strings.Contains(webtest.Ask(t, ctx, "entry", chromeText(`document.activeElement.textContent`)), text) {
				return
			}
		}
		t.Fatalf("no entry says %q", text)
	}
	find("40 indicators: Scanning")
	if got := webtest.Ask(t, ctx, "what is said", chromeText(`document.getElementById("queue-say").textContent`)); !strings.Contains(got, "40 indicators: Scanning") {
		t.Errorf("a screen reader hears %q", got)
	}
	// One key alone decides nothing, and Escape leaves everything as it was.
	webtest.Keys(t, ctx, "a")
	webtest.Accessible(t, ctx, "confirmation")
	webtest.Shot(t, ctx, "hub-queue-confirm")
	webtest.Keys(t, ctx, kb.Escape)
	if got := s.Find(t, "many0001.example").State; got != indicator.PendingFirst {
		t.Fatalf("without a confirmation it is %s", got)
	}
	webtest.Keys(t, ctx, "a", kb.Enter)
	webtest.Wait(t, ctx, "Done for 40 indicators")
	ready(t, ctx)
	for range 10 {
		webtest.Keys(t, ctx, "k")
	}
	webtest.Keys(t, ctx, "x", "x") // chosen, and not
	webtest.Keys(t, ctx, "d", kb.Enter)
	webtest.Wait(t, ctx, "Done for 1 indicators")
	if got := s.Find(t, "first.example").State; got != indicator.Rejected {
		t.Errorf("first.example is %s", got)
	}
	// What is typed into a field is text.
	ready(t, ctx)
	webtest.Keys(t, ctx, "/")
	for range 40 {
		if webtest.Focused(t, ctx) == "q" {
			break
		}
		time.Sleep(25 * time.Millisecond)
	}
	webtest.Keys(t, ctx, "d", "a")
	if got := webtest.Ask(t, ctx, "search", chromeText(`document.activeElement.value + document.querySelectorAll("dialog").length`)); got != "da0" {
		t.Errorf("typing in the search field gives %q", got)
	}
	webtest.Do(t, ctx, "leave the field", blur())
	webtest.Keys(t, ctx, "u")
	webtest.Wait(t, ctx, "and 39 more at once")
	webtest.Accessible(t, ctx, "my decisions")
	webtest.Shot(t, ctx, "hub-decisions")
	webtest.Reflows(t, ctx, "hub-decisions")
	webtest.Open(t, ctx, s.url+"/queue?step=first&view=each")
	webtest.Accessible(t, ctx, "queue one by one")
	webtest.Reflows(t, ctx, "hub-queue-each")
}

func chromeText(script string) chromedp.Action[string] { return chromedp.Evaluate[string](script) }

func blur() chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`)
}

// ready waits until the page takes single keys.
func ready(t *testing.T, ctx context.Context) {
	t.Helper()
	webtest.Do(t, ctx, "keys", chromedp.WaitReady(chromedp.CSS("#queue[data-keys=ready]")))
}
