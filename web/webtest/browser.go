package webtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

//go:embed testdata/axe-core-4.14.1/axe.min.js
var axe string

//go:embed testdata/axe-core-4.14.1/SHA256SUMS
var axeSums string

// Browser starts Debian's chromium for one test and gives a tab in it. Without
// chromium the test is skipped, or fails when CI=true.
func Browser(t *testing.T) context.Context {
	t.Helper()
	bin, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("chromium is not installed: apt-get install chromium")
		}
		t.Skip("skipped: chromium is not installed (apt-get install chromium)")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.WindowSize(1280, 900), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	tab, closeTab := chromedp.NewContext(alloc)
	ctx, cancel := context.WithTimeout(tab, 4*time.Minute)
	t.Cleanup(func() {
		cancel()
		_ = chromedp.Cancel(tab) // waits for the browser to end, so that its folder can be removed
		closeTab()
		stop()
	})
	err = chromedp.Do(ctx)
	if err != nil {
		t.Fatalf("chromium does not start: %v", err)
	}
	return ctx
}

// Do runs browser actions and fails the test when one of them does.
func Do(t *testing.T, ctx context.Context, what string, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, actions...)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Ask runs one browser action and gives its answer.
func Ask[T any](t *testing.T, ctx context.Context, what string, action chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return v
}

// Open goes to an address and waits for the page.
func Open(t *testing.T, ctx context.Context, url string) {
	t.Helper()
	Do(t, ctx, "open "+url, chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("#main-content")))
}

// SignIn fills the sign-in form of a console at base.
func SignIn(t *testing.T, ctx context.Context, base, login, password string) {
	t.Helper()
	Open(t, ctx, base+"/sign-in")
	Do(t, ctx, "sign in as "+login, chromedp.SendKeys(chromedp.CSS("#login"), login), chromedp.SendKeys(chromedp.CSS("#password"), password),
		chromedp.Click(chromedp.CSS("main button[type=submit]")), chromedp.WaitReady(chromedp.CSS(".ecs-account")))
}

// SignOut presses the button in the header.
func SignOut(t *testing.T, ctx context.Context, base string) {
	t.Helper()
	Open(t, ctx, base+"/")
	Do(t, ctx, "sign out", chromedp.Click(chromedp.CSS(".ecs-account__out")), chromedp.WaitReady(chromedp.CSS("#password")))
}

// Says gives the visible text of the page's main part.
func Says(t *testing.T, ctx context.Context) string {
	t.Helper()
	return Ask(t, ctx, "read the page", chromedp.Text(chromedp.CSS("main")))
}

// Shot keeps a picture of the whole page as name.png in the folder that
// ECS_SHOTS names, and does nothing without it. It is for people.
func Shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	dir := os.Getenv("ECS_SHOTS")
	if dir == "" {
		return
	}
	png := Ask(t, ctx, "picture of "+name, chromedp.FullScreenshot(100))
	err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o600)
	if err != nil {
		t.Fatal(err)
	}
}

// Accessible runs axe-core on the page and fails the test for each violation of
// WCAG 2.0, 2.1 or 2.2, levels A and AA, or of axe's best practices.
func Accessible(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	sum := sha256.Sum256([]byte(axe))
	if !strings.Contains(axeSums, hex.EncodeToString(sum[:])+"  axe.min.js") {
		t.Fatal("axe.min.js is not the file that SHA256SUMS names")
	}
	// The page's own policy forbids all script; what the debugger evaluates is not
	// bound by it.
	Do(t, ctx, name+": load axe-core", chromedp.Evaluate[chromedp.Void](axe))
	const run = `axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations.map(v =>
		({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => n.html + ' :: ' + n.failureSummary)}))))`
	raw := Ask(t, ctx, name+": run axe-core", chromedp.Evaluate[string](run, chromedp.EvalAwaitPromise))
	var found []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	err := json.NewDecoder(bytes.NewReader([]byte(raw))).Decode(&found)
	if err != nil {
		t.Fatalf("%s: axe-core answered %q: %v", name, raw, err)
	}
	for _, v := range found {
		t.Errorf("%s: %s (%s): %s\n%s", name, v.ID, v.Impact, v.Help, strings.Join(v.Nodes[:min(3, len(v.Nodes))], "\n"))
	}
}

// Reflows fails the test when the page has to be scrolled sideways in a window
// 320 pixels wide (WCAG 2.2, 1.4.10), which is also 400 percent zoom on a laptop.
// Tables scroll within their own region.
func Reflows(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	Do(t, ctx, name+": narrow window", chromedp.EmulateViewport(320, 800))
	wide := Ask(t, ctx, name+": width", chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
	if wide > 320 {
		who := Ask(t, ctx, name+": what is wide", chromedp.Evaluate[string](`[...document.querySelectorAll("main *, header *, nav *")].filter(e => !e.closest(".ecs-scroll") && e.getBoundingClientRect().right > 321).slice(0, 3).map(e => e.outerHTML.slice(0, 120)).join("\n")`))
		t.Errorf("%s: %d pixels wide in a window of 320:\n%s", name, wide, who)
	}
	Shot(t, ctx, name+"-narrow")
	Do(t, ctx, name+": wide window", chromedp.EmulateViewport(1280, 900))
}

// Keys presses keys one after the other, as a person without a mouse does.
func Keys(t *testing.T, ctx context.Context, keys ...string) {
	t.Helper()
	for _, k := range keys {
		Do(t, ctx, fmt.Sprintf("press %q", k), chromedp.KeyEvent(k))
	}
}

// Focused tells what has the keyboard's focus: the element's id, name or text.
func Focused(t *testing.T, ctx context.Context) string {
	t.Helper()
	return Ask(t, ctx, "ask for the focus", chromedp.Evaluate[string](`(e => e.id || e.name || e.textContent.trim())(document.activeElement)`))
}

// Wait waits until the page's main part says something. The page may change
// meanwhile.
func Wait(t *testing.T, ctx context.Context, text string) {
	t.Helper()
	var says string
	for range 200 {
		got, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(document.querySelector("main") || document.body).innerText`))
		if err == nil {
			says = got
		}
		if strings.Contains(says, text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the page never says %q; it says:\n%s", text, says)
}
