package main

import (
	"fmt"
	"os"
	"time"
)

// progress is one line on a terminal that says how far long work is. It prints
// nothing where standard error is not a terminal.
type progress struct {
	what, unit string
	last       time.Time
	shown      bool
	terminal   *bool
}

func (p *progress) at(done, total int64) {
	if p.terminal == nil {
		info, err := os.Stderr.Stat()
		is := err == nil && info.Mode()&os.ModeCharDevice != 0
		p.terminal = &is
	}
	if !*p.terminal || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last, p.shown = time.Now(), true
	if total > 0 {
		fmt.Fprintf(os.Stderr, "\r\x1b[K%s %d of %d %s (%d %%)", p.what, done, total, p.unit, done*100/total)
		return
	}
	fmt.Fprintf(os.Stderr, "\r\x1b[K%s %d %s", p.what, done, p.unit)
}

func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
		p.shown = false
	}
}
