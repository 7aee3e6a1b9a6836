package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// header says what the table's columns are.
func header() {
	fmt.Printf("%s, %d processors\n", runtime.Version(), runtime.NumCPU())
	fmt.Printf("%-58s %14s  %-34s %s\n", "what", "measured", "beside", "load")
}

// load is the machine's load average over one minute: other work on it makes every
// figure by the clock worse.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// line prints one figure.
func line(what, measured, beside string) {
	fmt.Printf("%-58s %14s  %-34s %s\n", what, measured, beside, load())
}

// rate prints items a second and the ratio to others, or to what is wanted.
func rate(what string, perSecond float64, unit string, others ...other) {
	var beside []string
	for _, o := range others {
		beside = append(beside, fmt.Sprintf("%s %s = %.1fx", o.name, number(o.value), perSecond/o.value))
	}
	line(what, number(perSecond)+" "+unit, strings.Join(beside, "; "))
}

type other struct {
	name  string
	value float64
}

// bounded prints a figure beside the limit that it has to keep.
func bounded(what string, v, limit float64, unit string) {
	word := "within"
	if v > limit {
		word = "OVER"
	}
	line(what, number(v)+" "+unit, fmt.Sprintf("%s %s (%.2fx)", word, number(limit), v/limit))
}

func number(v float64) string {
	switch {
	case v >= 1000:
		s := fmt.Sprintf("%.0f", v)
		var b strings.Builder
		for i, c := range s {
			if i > 0 && (len(s)-i)%3 == 0 {
				b.WriteByte(',')
			}
			b.WriteRune(c)
		}
		return b.String()
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}

// spread prints the median and the 99th percentile in milliseconds.
func spread(what string, took []time.Duration, limit float64) {
	slices.Sort(took)
	at := func(p int) float64 { return float64(took[(len(took)-1)*p/100].Microseconds()) / 1000 }
	line(what+", p50", number(at(50))+" ms", "")
	bounded(what+", p99", at(99), limit, "ms")
}
