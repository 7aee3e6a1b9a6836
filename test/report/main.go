// Command report runs go test and says what it did: the result line of each
// package as it ends, the whole output of what failed, and at the end every test
// that was skipped with its reason. With CI=true it prints every test's own
// lines, and a skipped test is a failure.
//
//	go run ./test/report -- -timeout 15m ./...
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	cmd := exec.Command("go", append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
	r := report{out: os.Stdout, strict: os.Getenv("CI") == "true"}
	r.read(out)
	err = cmd.Wait()
	if !r.end() || err != nil {
		os.Exit(1)
	}
}

// event is one line of go test -json (go doc test2json).
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build
	Test       string
	Output     string
}

type report struct {
	out    io.Writer
	strict bool // CI: print all, take no skip

	passed  int
	failed  []string
	skipped []string
	held    map[string][]string // output of tests under way
}

func (r *report) read(in io.Reader) {
	r.held = map[string][]string{}
	s := bufio.NewScanner(in)
	s.Buffer(nil, 64<<20)
	for s.Scan() {
		var e event
		err := json.Unmarshal(s.Bytes(), &e)
		if err != nil {
			r.print(s.Text() + "\n")
			continue
		}
		r.take(e)
	}
	err := s.Err()
	if err != nil {
		r.failed = append(r.failed, "reading the output: "+err.Error())
	}
}

func (r *report) print(s string) { _, _ = io.WriteString(r.out, s) }

func (r *report) take(e event) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		r.print(e.Output)
	case "output":
		r.output(key, e)
	case "pass":
		if e.Test != "" {
			r.passed++
		}
		delete(r.held, key)
	case "fail":
		name := e.Package
		if e.Test != "" {
			name = key
			if !r.strict { // otherwise it has been printed
				r.print(strings.Join(r.held[key], ""))
			}
		}
		r.failed = append(r.failed, name)
		delete(r.held, key)
	case "skip":
		if e.Test != "" {
			r.skipped = append(r.skipped, key+": "+reason(r.held[key]))
		}
		delete(r.held, key)
	}
}

func (r *report) output(key string, e event) {
	switch {
	case e.Test == "":
		// Of a package, its result line and what it prints when it dies.
		if r.strict || !strings.HasPrefix(e.Output, "PASS") && !strings.HasPrefix(e.Output, "?") {
			r.print(e.Output)
		}
		return
	case r.strict:
		if !strings.HasPrefix(e.Output, "===") {
			r.print(e.Output)
		}
	}
	r.held[key] = append(r.held[key], e.Output)
}

// reason finds what a skipped test said.
func reason(lines []string) string {
	var said []string
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "===") || strings.HasPrefix(l, "---") {
			continue
		}
		_, after, ok := strings.Cut(l, ".go:")
		if ok {
			_, l, _ = strings.Cut(after, ": ")
		}
		said = append(said, l)
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

// end prints the sum and says whether all is good.
func (r *report) end() bool {
	good := len(r.failed) == 0
	r.print(fmt.Sprintf("\n%d tests passed, %d failed, %d skipped\n", r.passed, len(r.failed), len(r.skipped)))
	for _, s := range r.skipped {
		r.print("skipped: " + s + "\n")
		good = good && !r.strict
	}
	for _, f := range r.failed {
		r.print("failed: " + f + "\n")
	}
	if r.strict && len(r.failed) == 0 && !good {
		r.print("with CI=true nothing may be skipped\n")
	}
	return good
}
