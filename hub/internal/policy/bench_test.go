package policy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ecs/hub/internal/policy"
	"ecs/observable"
)

// listsForBench loads the public lists from the folder ECS_WARNINGLISTS, or
// unpacks them.
func listsForBench(b *testing.B) *policy.Lists {
	b.Helper()
	dir := os.Getenv("ECS_WARNINGLISTS")
	fsys := os.DirFS(filepath.Clean(dir))
	if dir == "" {
		fsys = publicLists(b)
	}
	l, _, err := policy.LoadLists(fsys, nil)
	if err != nil {
		b.Fatal(err)
	}
	return l
}

func typical(b *testing.B, n int, format string) []*policy.Subject {
	b.Helper()
	out := make([]*policy.Subject, n)
	for i := range out {
		a, err := observable.FromValue(fmt.Sprintf(format, i*7919%65536%250, i%250))
		if err != nil {
			b.Fatal(err)
		}
		out[i] = &policy.Subject{
			Pattern: observable.Pattern(a), Atoms: []observable.Atom{a}, Services: a.Kind.Services(),
			Summary: "Emotet C2 server", Context: "seen by two sensors in the wild, epoch 5", Observed: now,
		}
	}
	return out
}

// BenchmarkItem measures both screens for one item with all public lists loaded.
// AMD EPYC, 2 cores of a shared machine at load 13:
//
//	privacy   domain 364 ns, address 460 ns, url 371 ns, mail 822 ns
//	technical domain 938 ns, address 581 ns, url 724 ns, mail 767 ns
func BenchmarkItem(b *testing.B) {
	c := checker(b, policy.Config{Lists: listsForBench(b)})
	for name, format := range map[string]string{
		"domain": "cdn-%d.evil-site-%d.com", "address": "45.83.%d.%d", "url": "http://host%d.evil-%d.com/gate.php?id=4711",
		"mail": "x17%d@evil-%d.com",
	} {
		subjects := typical(b, 4096, format)
		b.Run("privacy/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Privacy(subjects[i%len(subjects)], now)
			}
		})
		b.Run("technical/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c.Technical(subjects[i%len(subjects)], now)
			}
		})
	}
}

// BenchmarkLoadLists measures the load of all public lists.
func BenchmarkLoadLists(b *testing.B) {
	dir := os.Getenv("ECS_WARNINGLISTS")
	fsys := os.DirFS(filepath.Clean(dir))
	if dir == "" {
		fsys = publicLists(b)
	}
	for b.Loop() {
		_, _, err := policy.LoadLists(fsys, nil)
		if err != nil {
			b.Fatal(err)
		}
	}
}
