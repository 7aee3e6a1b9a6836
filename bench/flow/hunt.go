package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"ecs/bench/flow/gen"
)

type answer struct {
	Flows   uint64
	Seconds float64
	Bytes   uint64
	Files   int
	Skipped int
}

func ask(bin string, args ...string) (answer, error) {
	var a answer
	out, err := exec.Command(bin, args...).Output()
	if err != nil {
		return a, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return a, json.Unmarshal(out, &a)
}

// hunt stores the same flows with both and looks for the same addresses.
func hunt(bin, tmp string, flows uint64) error {
	ours, theirs := filepath.Join(tmp, "ours"), filepath.Join(tmp, "theirs")
	filled, err := ask(bin, "-dir", ours, "-fill", fmt.Sprint(flows))
	if err != nil {
		return err
	}
	err = os.Mkdir(theirs, 0o700)
	if err != nil {
		return err
	}
	n := &nfcapd{}
	to, err := n.start(theirs)
	if err != nil {
		return err
	}
	defer n.stop()
	x, err := dial(to, 9)
	if err != nil {
		return err
	}
	defer x.close()
	err = x.template()
	if err != nil {
		return err
	}
	err = x.fresh(flows, 350_000)
	if err != nil {
		return err
	}
	time.Sleep(time.Second)
	took, _, err := n.count()
	if err != nil {
		return err
	}
	size, err := folder(theirs)
	if err != nil {
		return err
	}
	fmt.Printf("| hunt in %s flows, both cores | bytes a flow | in, flows/s | 1 address, absent | 1 address, present | 100 addresses | 100,000 addresses |\n| --- | --- | --- | --- | --- | --- | --- |\n", thousands(float64(flows)))
	row := fmt.Sprintf("| nfdump %s flows (LZO) | %.1f | | ", thousands(float64(took)), float64(size)/float64(took))
	absent, present := gen.V4(gen.Listed(999_999)).String(), gen.V4(gen.At(gen.HitEvery-1).Dst).String()
	for _, a := range []string{absent, present} {
		s, k, err := nfdump(theirs, "ip "+a)
		if err != nil {
			return err
		}
		row += fmt.Sprintf("%.3f s (%d flows) | ", s, k)
	}
	for _, m := range []int{100, 100_000} {
		var list strings.Builder
		for i := range m {
			list.WriteString(" " + gen.V4(gen.Listed(i)).String())
		}
		path := filepath.Join(tmp, "filter")
		err = os.WriteFile(path, []byte("ip in ["+list.String()+" ]"), 0o600)
		if err != nil {
			return err
		}
		s, k, err := nfdump(theirs, "", "-f", path)
		if err != nil {
			return err
		}
		row += fmt.Sprintf("%.3f s (%d flows) | ", s, k)
	}
	fmt.Println(strings.TrimSpace(row))

	row = fmt.Sprintf("| ecs | %.1f | %s | ", float64(filled.Bytes)/float64(flows), thousands(float64(flows)/filled.Seconds))
	for _, args := range [][]string{{"-hunt", absent}, {"-hunt", present}, {"-many", "100"}, {"-many", "100000"}} {
		begin := time.Now()
		a, err := ask(bin, append([]string{"-dir", ours}, args...)...)
		if err != nil {
			return err
		}
		row += fmt.Sprintf("%.3f s (%d flows) | ", time.Since(begin).Seconds(), a.Flows)
	}
	fmt.Println(strings.TrimSpace(row))
	return nil
}

// nfdump times one question, start of the program included, as for ours.
func nfdump(dir, filter string, args ...string) (float64, int, error) {
	args = append([]string{"-R", dir, "-q", "-o", "fmt:%sa"}, args...)
	if filter != "" {
		args = append(args, filter)
	}
	begin := time.Now()
	out, err := exec.Command("nfdump", args...).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("nfdump: %w", err)
	}
	took := time.Since(begin).Seconds()
	lines := 0
	for l := range strings.Lines(string(out)) {
		if strings.Contains(l, ".") {
			lines++
		}
	}
	return took, lines, nil
}

func folder(dir string) (int64, error) {
	var n int64
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		i, err := e.Info()
		if err != nil {
			return 0, err
		}
		n += i.Size()
	}
	return n, err
}
