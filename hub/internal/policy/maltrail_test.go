package policy_test

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

// trails calls f with every line of Maltrail's trails, without comments.
func trails(t *testing.T, f func(line string)) {
	t.Helper()
	dir := os.Getenv("ECS_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	file := filepath.Join(dir, "maltrail-trails.tar.xz")
	_, err := os.Stat(file)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("Maltrail's trails are required in CI: %v", err)
		}
		t.Skipf("no Maltrail trails (set ECS_DATA to the folder that holds maltrail-trails.tar.xz): %v", err)
	}
	cmd := exec.Command("xz", "-dc", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewReader(out)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, ".txt") {
			continue
		}
		s := bufio.NewScanner(archive)
		for s.Scan() {
			line, _, _ := strings.Cut(s.Text(), "#")
			line = strings.TrimSpace(line)
			if line != "" {
				f(line)
			}
		}
		if s.Err() != nil {
			t.Fatal(s.Err())
		}
	}
	err = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMaltrail finds what is known of Maltrail's trails: 47 % of the distinct
// addresses lie in some list's range, 885 names are whole dynamic-DNS suffixes,
// 635 are among the 100,000 most visited. None of the three may pass unseen.
func TestMaltrail(t *testing.T) {
	var before, after runtime.MemStats
	lists := publicLists(t)
	runtime.GC()
	runtime.ReadMemStats(&before)
	begin := time.Now()
	l, problems, err := policy.LoadLists(lists, nil)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	runtime.GC()
	runtime.ReadMemStats(&after)
	n, entries := l.Len()
	memory := int64(after.HeapAlloc-before.HeapAlloc) >> 20
	t.Logf("%d lists, %d entries, %d problems, %v, %d MiB", n, entries, len(problems), took, memory)
	if memory > 200 {
		t.Errorf("the lists take %d MiB, limit 200", memory)
	}
	addrs, names, urls := map[string]bool{}, map[string]bool{}, map[string]bool{}
	trails(t, func(line string) {
		host, _, _ := strings.Cut(line, ":") // an address or address:port
		addr, err := netip.ParseAddr(host)
		switch {
		case err == nil && addr.Is4():
			addrs[host] = true
		case !strings.ContainsAny(line, "/:") && strings.Contains(line, "."):
			names[strings.ToLower(strings.TrimSuffix(line, "."))] = true
		case strings.Contains(line, "/"):
			urls[line] = true
		}
	})
	c := checker(t, policy.Config{Lists: l, SamplePercent: -1})
	begin = time.Now()
	inRange := 0
	for v := range addrs {
		a := observable.Atom{Kind: observable.Addr, Value: v}
		if len(l.Check(a)) > 0 {
			inRange++
		}
	}
	suffixes, popular, missed := 0, 0, 0
	for v := range names {
		hits := l.Check(observable.Atom{Kind: observable.Domain, Value: v})
		suffix := slices.ContainsFunc(hits, func(h policy.Hit) bool { return h.List == "dynamic-dns" && h.Entry == v })
		top := slices.ContainsFunc(hits, func(h policy.Hit) bool { return h.List == "cloudflare-top100k" && h.Entry == v })
		if suffix {
			suffixes++
			fs := c.Technical(&policy.Subject{Atoms: []observable.Atom{{Kind: observable.Domain, Value: v}}}, now)
			if !slices.ContainsFunc(fs, func(f indicator.Finding) bool { return f.Severity == indicator.Stop }) {
				missed++
			}
		}
		if top {
			popular++
			if l.Rank(v) == 0 {
				missed++
			}
		}
	}
	t.Logf("%d addresses, %d in a range (%.1f %%); %d names, %d dynamic-DNS suffixes, %d popular; %v",
		len(addrs), inRange, 100*float64(inRange)/float64(len(addrs)), len(names), suffixes, popular, time.Since(begin))
	share := float64(inRange) / float64(len(addrs))
	if share < 0.469 || share > 0.473 || suffixes != 885 || popular != 635 || missed > 0 {
		t.Errorf("%.3f of the addresses in a range, %d suffixes, %d popular, %d passed unseen", share, suffixes, popular, missed)
	}
	private, reasons := 0, map[string]int{}
	screened := 0
	for v := range urls {
		a, err := observable.FromValue(v)
		if err != nil || a.Kind != observable.URL {
			continue
		}
		screened++
		es := policy.Screen(&policy.Subject{Atoms: []observable.Atom{a}})
		if len(es) > 0 {
			private++
			reasons[es[0].Why]++
		}
	}
	t.Logf("%d of %d URLs stop in the privacy gate: %v", private, screened, reasons)
	if private*20 > screened {
		t.Errorf("%d of %d URLs stop in the privacy gate: more than a person can look at", private, screened)
	}
}
