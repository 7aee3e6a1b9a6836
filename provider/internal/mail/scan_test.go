package mail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/match"
)

// TestScanPath judges a folder with a message, an mbox, a Maildir and a file
// that cannot be read.
func TestScanPath(t *testing.T) {
	item := entry(nil, atom(t, observable.Domain, "evil.example"))
	set := match.Build([]match.Item{item})
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write("a.eml", bad)
	write("box", "From x Sat Nov 21\n"+clean+"\n>From evil.example\n\nFrom y Sat Nov 21\n"+bad+"\nFrom z Sat Nov 21\n"+clean)
	write("md/cur/1:2,S", bad)
	write("md/new/2", clean)
	err := os.Symlink("/nonexistent", filepath.Join(dir, "zz"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Action{}
	var last Scanned
	err = ScanPath(t.Context(), dir, ScanConfig{Set: set}, func(s Scanned) bool {
		rel, _ := filepath.Rel(dir, s.Path)
		got[rel+strings.Repeat("#", s.Message)] = s.Verdict.Action
		if s.Err != nil {
			t.Errorf("%s: %v", rel, s.Err)
		}
		if s.Read < last.Read || s.Total != last.Total && last.Total != 0 {
			t.Errorf("progress from %d to %d of %d", last.Read, s.Read, s.Total)
		}
		last = s
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Action{"a.eml": Rejected, "box#": Rejected, "box##": Rejected, "box###": Passed, "md/cur/1:2,S": Rejected, "md/new/2": Passed}
	if len(got) != len(want) {
		t.Errorf("%v", got)
	}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s: %s, want %s", k, got[k], v)
		}
	}
	if last.Read != last.Total {
		t.Errorf("ended at %d of %d bytes", last.Read, last.Total)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = ScanPath(ctx, dir, ScanConfig{Set: set}, func(Scanned) bool { return true })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	err = ScanPath(t.Context(), filepath.Join(dir, "none"), ScanConfig{Set: set}, func(Scanned) bool { return true })
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestScanForCustomer checks that a customer's policy and exceptions decide,
// and that a value that may not be shown is not.
func TestScanForCustomer(t *testing.T) {
	item := entry(func(e *match.Entry) { e.Display = false }, atom(t, observable.Domain, "evil.example"))
	set := match.Build([]match.Item{item})
	for _, c := range []struct {
		name string
		row  customer.Row
		want Action
	}{
		{"holds", customer.Row{Customer: customer.Customer{ID: 1, Mail: customer.Block, MailAction: customer.Quarantine}}, Quarantined},
		{"tags", customer.Row{Customer: customer.Customer{ID: 1, Mail: customer.Block, MailAction: customer.Tag}}, Tagged},
		{"watches", customer.Row{Customer: customer.Customer{ID: 1, Mail: customer.Watch}}, Alerted},
		{"off", customer.Row{Customer: customer.Customer{ID: 1}}, Passed},
		{"excepted", customer.Row{Customer: customer.Customer{ID: 1, Mail: customer.Block}, Exceptions: []contract.ID{item.Entry.ID}}, Passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			v, err := Scan(t.Context(), strings.NewReader(bad), ScanConfig{Set: set, Customer: customer.NewBook([]customer.Row{c.row}).ByID(1)})
			if err != nil {
				t.Fatal(err)
			}
			if v.Action != c.want || len(v.Hits) != 1 || v.Hits[0].What != "" {
				t.Errorf("%+v", v)
			}
		})
	}
}
