package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// desk is an analyst's browser.
type desk struct {
	url       string
	passwords map[string]string
	view      string
	before    map[string]int
	who       string // is signed in
	result
}

// work decides everything that waits, each step by somebody with its role.
func (d *desk) work(ctx context.Context, lines int) error {
	for _, n := range d.before {
		d.items += n
	}
	if d.items < lines*8/10 {
		return fmt.Errorf("only %d of %d lines were taken: %v", d.items, lines, d.before)
	}
	bin, err := exec.LookPath("chromium")
	if err != nil {
		return errors.New("chromium is not installed: apt-get install chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.WindowSize(1280, 900), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-background-networking", true))
	alloc, stop := chromedp.NewExecAllocator(ctx, opts...)
	defer stop()
	tab, closeTab := chromedp.NewContext(alloc)
	defer closeTab()
	for _, s := range []struct{ login, step string }{{"paula", "privacy"}, {"alice", "override"}, {"alice", "first"}} {
		err = d.signIn(tab, s.login)
		if err == nil {
			err = d.step(tab, s.step)
		}
		if err != nil {
			return fmt.Errorf("%s at %s: %w", s.login, s.step, err)
		}
	}
	return nil
}

func (d *desk) signIn(tab context.Context, login string) error {
	if d.who == login {
		return nil
	}
	if d.who != "" {
		err := chromedp.Do(tab, chromedp.Navigate(d.url+"/"), chromedp.Click(chromedp.CSS(".ecs-account__out")), chromedp.WaitReady(chromedp.CSS("#password")))
		if err != nil {
			return err
		}
	}
	d.who = login
	return chromedp.Do(tab, chromedp.Navigate(d.url+"/sign-in"), chromedp.WaitReady(chromedp.CSS("#login")),
		chromedp.SendKeys(chromedp.CSS("#login"), login), chromedp.SendKeys(chromedp.CSS("#password"), d.passwords[login]),
		chromedp.Click(chromedp.CSS("main button[type=submit]")), chromedp.WaitReady(chromedp.CSS(".ecs-account")))
}

// look is what an analyst sees of the page.
type look struct {
	Page    float64 // which document it is
	Ready   bool    // it takes keys, or nothing waits
	Waits   bool
	Focused bool // an entry has the focus
	High    bool // it would hit many
	Problem string
}

const see = `JSON.stringify((() => {
	const q = document.getElementById("queue"), e = document.activeElement, entry = e && e.closest("[data-entry]");
	return {Page: performance.timeOrigin, Ready: document.readyState === "complete" && (!!q && q.dataset.keys === "ready" || !q && !!document.querySelector(".ecs-empty")),
		Waits: !!q, Focused: !!entry, High: !!entry && (entry.classList.contains("ecs-ask--high") || entry.textContent.includes("Hits many")),
		Problem: (document.getElementById("problems") || {textContent: ""}).textContent};
})())`

func (d *desk) look(tab context.Context) (look, error) {
	var out look
	raw, err := chromedp.Run(tab, chromedp.Evaluate[string](see))
	if err != nil {
		return out, err
	}
	return out, json.Unmarshal([]byte(raw), &out)
}

// wait waits for another document than the one before that takes keys.
func (d *desk) wait(tab context.Context, before float64) (look, error) {
	end := time.Now().Add(2 * time.Minute)
	for time.Now().Before(end) {
		l, err := d.look(tab)
		if err == nil && l.Ready && l.Page != before {
			if l.Problem != "" {
				return l, errors.New(l.Problem)
			}
			return l, nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return look{}, errors.New("no page came")
}

func (d *desk) press(tab context.Context, keys ...string) error {
	for _, k := range keys {
		err := chromedp.Do(tab, chromedp.KeyEvent(k))
		if err != nil {
			return err
		}
		d.keys++
	}
	return nil
}

// step decides everything that waits at a step.
func (d *desk) step(tab context.Context, step string) error {
	err := chromedp.Do(tab, chromedp.Navigate(d.url+"/queue?step="+step+d.view))
	if err != nil {
		return err
	}
	l, err := d.wait(tab, 0)
	for err == nil && l.Waits {
		if !l.Focused {
			err = d.press(tab, "j")
			if err == nil {
				l, err = d.look(tab)
			}
			if err != nil || !l.Focused {
				return errors.Join(err, errors.New("no entry takes the focus"))
			}
		}
		switch {
		case step == "privacy": // the choice has to be made, and sends nothing by itself
			err = d.press(tab, "a", " ")
		case step == "override":
			err = d.press(tab, "r")
		case l.High:
			err = d.press(tab, "d")
		default:
			err = d.press(tab, "a")
		}
		if err != nil {
			return err
		}
		began := time.Now()
		err = d.press(tab, kb.Enter)
		if err != nil {
			return err
		}
		l, err = d.wait(tab, l.Page)
		d.decisions++
		d.pages = append(d.pages, time.Since(began))
	}
	return err
}
