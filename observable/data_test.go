package observable

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMaltrail takes every 20th line of Maltrail's trails, when the data of the
// project is at hand: what FromValue takes must come back from String, Canonical
// and Compile, and hardly anything but bare paths may be refused.
func TestMaltrail(t *testing.T) {
	dir := os.Getenv("ECS_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "data")
	}
	file := filepath.Join(dir, "maltrail-trails.tar.xz")
	_, err := os.Stat(file)
	if err != nil {
		skip(t, "Maltrail's trails are not there: "+err.Error()+"; set ECS_DATA")
	}
	cmd := exec.Command("xz", "-dc", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Start()
	if err != nil {
		skip(t, "xz cannot run: "+err.Error())
	}
	lines, refused, paths := 0, 0, 0
	kinds := map[Kind]int{}
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
			if line == "" {
				continue
			}
			lines++
			if lines%20 != 0 {
				continue
			}
			a, err := FromValue(line)
			switch {
			case err != nil && line[0] == '/':
				paths++
			case err != nil:
				refused++
			default:
				kinds[a.Kind]++
				checkAtom(t, line, a)
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
	t.Logf("of %d lines every 20th: %v, %d bare paths and %d others refused", lines, kinds, paths, refused)
	if lines < 1_800_000 || refused > 50 || kinds[Domain] < 60_000 || kinds[Addr] < 14_000 || kinds[URL] < 3000 || kinds[Prefix] < 40 {
		t.Errorf("of %d lines every 20th: %v, %d refused", lines, kinds, refused)
	}
}

func checkAtom(t *testing.T, line string, a Atom) {
	t.Helper()
	again, err := FromValue(a.String())
	if err != nil || again != a {
		t.Errorf("%q gave %+v, whose String gives %+v, %v", line, a, again, err)
	}
	v, err := Canonical(a.Kind, a.Value)
	if err != nil || v != a.Value {
		t.Errorf("%q gave %q, whose canonical form is %q, %v", line, a.Value, v, err)
	}
	c, err := Compile(Pattern(a))
	if err != nil || len(c.Atoms) != 1 || c.Atoms[0] != a {
		t.Errorf("%q gave %+v, whose pattern gives %+v, %v", line, a, c.Atoms, err)
	}
}

// skip skips a test for want of something, which is a failure in CI.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
