package list

import (
	"archive/tar"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ecs/hub/internal/format"
	"ecs/observable"
)

// TestMaltrail reads the whole of Maltrail's trails, when the data of the project
// is at hand, and finds what its README counts.
func TestMaltrail(t *testing.T) {
	dir := os.Getenv("ECS_DATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "..", "shared", "data")
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
	count := map[string]int{}
	files := 0
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
		files++
		l, err := New(archive, format.Limits{}, Options{Kind: Maltrail, Name: h.Name})
		for err == nil {
			var r *format.Record
			r, err = l.Next()
			if err == nil {
				count["all"]++
				count[looks(r)]++
			}
		}
		if !errors.Is(err, io.EOF) {
			t.Fatalf("%s: %v", h.Name, err)
		}
	}
	err = cmd.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files: %v", files, count)
	for _, want := range []struct {
		what     string
		from, to int
	}{
		{"all", 1_852_460, 1_852_460},
		{"domain", 1_370_000, 1_375_000},
		{"address and port", 285_000, 286_000},
		{"URL or path", 168_500, 170_000},
		{"address", 23_000, 23_500},
		{"prefix", 1_050, 1_150},
		{"IPv6 address", 1_900, 2_100},
		{"other", 0, 100},
	} {
		if n := count[want.what]; n < want.from || n > want.to {
			t.Errorf("%s: %d, want %d to %d", want.what, n, want.from, want.to)
		}
	}
}

// looks sorts a record as the README of the data does.
func looks(r *format.Record) string {
	v := r.Value
	a, notAddr := netip.ParseAddr(v)
	_, notPrefix := netip.ParsePrefix(v)
	_, notPort := netip.ParseAddrPort(v)
	switch {
	case r.Problem != nil && r.Problem.Code == codeUnobservable:
		return "URL or path"
	case r.Problem != nil || r.Skip:
		return "problem"
	case r.Kind == observable.Domain:
		return "domain"
	case notAddr == nil && a.Is6():
		return "IPv6 address" // which the README leaves out
	case notAddr == nil:
		return "address"
	case notPrefix == nil:
		return "prefix"
	case notPort == nil:
		return "address and port"
	case strings.Contains(v, "/"):
		return "URL or path"
	case strings.Contains(v, ".") && !strings.Contains(v, ":"):
		return "domain"
	}
	return "other"
}

// skip skips a test for want of something, which is a failure in CI.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
