// Command review measures what deciding costs at the approval queue: keys and the
// time of pages, with a real browser that is worked by single keys as an analyst
// would. It takes 500 lines of the Maltrail corpus through privacy gate, technical
// stops and first approval, once with the same questions put together and once
// indicator by indicator.
//
// Nothing here is a person's time to think: that is not measured and not claimed.
// The rule by which it decides is simple and the same in both ways: what stops is
// returned, what would hit many is rejected, all else is approved.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub"
)

func main() {
	data := flag.String("data", "../shared/data", "folder of the public data: maltrail-trails.tar.xz, misp-warninglists.tar.xz")
	size := flag.Int("items", 500, "lines of the corpus")
	flag.Parse()
	err := run(context.Background(), *data, *size)
	if err != nil {
		fmt.Fprintln(os.Stderr, "review:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, data string, size int) error {
	dir, err := os.MkdirTemp("", "ecs-review-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	lists, err := unpack(ctx, filepath.Join(data, "misp-warninglists.tar.xz"), filepath.Join(dir, "lists"))
	if err != nil {
		return err
	}
	corpus, err := unpack(ctx, filepath.Join(data, "maltrail-trails.tar.xz"), filepath.Join(dir, "corpus"))
	if err != nil {
		return err
	}
	lines, err := sample(corpus, size)
	if err != nil {
		return err
	}
	var all []result
	for _, w := range []struct {
		name, view string
	}{{"same questions together", ""}, {"one by one", "&view=each"}} {
		r, err := way(ctx, filepath.Join(dir, fmt.Sprint(len(all))), lists, lines, w.view)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		r.name = w.name
		all = append(all, r)
	}
	fmt.Println("| | indicators | decisions | keys | keys an indicator | page time | for an indicator | decision to next page, median | p99 |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range all {
		slices.Sort(r.pages)
		var sum time.Duration
		for _, d := range r.pages {
			sum += d
		}
		fmt.Printf("| %s | %d | %d | %d | %.2f | %.1f s | %.0f ms | %d ms | %d ms |\n", r.name, r.items, r.decisions, r.keys, float64(r.keys)/float64(r.items),
			sum.Seconds(), sum.Seconds()*1000/float64(r.items), quantile(r.pages, 50).Milliseconds(), quantile(r.pages, 99).Milliseconds())
	}
	for _, r := range all {
		fmt.Printf("%s: %s\n", r.name, r.ends)
	}
	return nil
}

func quantile(sorted []time.Duration, percent int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*percent/100)]
}

// result is what one way cost.
type result struct {
	name                   string
	items, decisions, keys int
	pages                  []time.Duration // from the last key of a decision to the next page, ready for keys
	ends                   string          // where the indicators are afterwards
}

var people = []hub.Account{
	{Login: "grace", Person: "Grace", Roles: []string{"gfi_officer"}, Scope: "one"},
	{Login: "paula", Person: "Paula", Roles: []string{"privacy_officer"}},
	{Login: "alice", Person: "Alice", Roles: []string{"pmo_analyst"}},
}

// way runs a hub with the sample and decides everything.
func way(ctx context.Context, dir, lists string, lines []line, view string) (result, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	cfg := hub.Config{
		Program: "Measured Program", Key: "program.example", Identity: "identity--8a5b2e0c-6f43-4a0d-9c8e-3f1f6c1d2b7a",
		Data: dir, Console: "127.0.0.1:0", Door: "127.0.0.1:0", DoorNames: []string{"127.0.0.1"},
		WarningLists: lists, Ceiling: contract.AmberStrict, Demonstration: true, Accounts: people,
		Sources: []hub.Source{{
			ID: "one", Name: "Measured source", Agency: "Example Agency", Authority: "Agreement 1", Purpose: "network defense",
			Ceiling: contract.AmberStrict, Reliability: "B",
		}},
	}
	ready := make(chan hub.Up, 1)
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(ctx, cfg, slog.New(slog.DiscardHandler), func(up hub.Up) { ready <- up }) }()
	var up hub.Up
	select {
	case up = <-ready:
	case err := <-ended:
		return result{}, err
	}
	d := &desk{url: up.Console, passwords: map[string]string{}, view: view}
	for _, p := range up.Passwords {
		d.passwords[p.Login] = p.Password
	}
	err := deliver(ctx, d, lines)
	if err == nil {
		d.before, err = d.states(ctx)
	}
	if err == nil {
		err = d.work(ctx, len(lines))
	}
	if err == nil {
		var after map[string]int
		after, err = d.states(ctx)
		d.ends = fmt.Sprint(after)
	}
	stop()
	return d.result, errors.Join(err, <-ended)
}

// deliver hands in a delivery for each of the corpus's folders.
func deliver(ctx context.Context, d *desk, lines []line) error {
	by := map[string]*strings.Builder{}
	for _, l := range lines {
		b := by[l.folder]
		if b == nil {
			b = &strings.Builder{}
			b.WriteString("value,category,confidence,tlp,labels\n")
			by[l.folder] = b
		}
		fmt.Fprintf(b, "\"%s\",%s,60,green,%s\n", strings.ReplaceAll(l.value, `"`, `""`), categories[l.folder], l.family)
	}
	for folder, b := range by {
		body := strings.NewReader(b.String())
		err := d.call(ctx, "grace", http.MethodPost, "/api/v1/batches?source=one&format=csv&name="+folder+".csv", body, nil)
		if err != nil {
			return fmt.Errorf("deliver %s: %w", folder, err)
		}
	}
	return nil
}

var categories = map[string]string{"malware": "c2", "malicious": "delivery", "suspicious": "other"}

// call makes a request of the API.
func (d *desk) call(ctx context.Context, login, method, path string, in io.Reader, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.url+path, in)
	if err != nil {
		return err
	}
	req.SetBasicAuth(login, d.passwords[login])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 2000))
		return fmt.Errorf("%s: %s: %s", path, resp.Status, text)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}

// states counts the indicators by state.
func (d *desk) states(ctx context.Context) (map[string]int, error) {
	var out struct {
		Items map[string]int `json:"items"`
	}
	err := d.call(ctx, "alice", http.MethodGet, "/api/v1/status", nil, &out)
	for s, n := range out.Items {
		if n == 0 {
			delete(out.Items, s)
		}
	}
	return out.Items, err
}
