package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ecs is the program under test, built once for a run.
var ecs string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() { // the race detector, which «make race» runs, does not reach other processes
		fmt.Println("e2e: skipped with -short: it runs the program as separate processes")
		return
	}
	dir, err := os.MkdirTemp("", "ecs-e2e-")
	if err == nil {
		ecs = filepath.Join(dir, "ecs")
		build := exec.Command("go", "build", "-o", ecs, "./cmd/ecs")
		build.Dir = filepath.Join("..", "..")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		build.Stderr = os.Stderr
		err = build.Run()
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e: the program does not build:", err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// need finds programs, or skips the test; with CI=true it fails instead.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		_, err := exec.LookPath(p)
		if err != nil {
			_, err = os.Stat(filepath.Join("/usr/sbin", p))
		}
		if err != nil {
			missing(t, p+" is not installed")
		}
	}
}

func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why + ", and CI may not skip")
	}
	t.Skip(why)
}
