package vault

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"ecs/contract"

	"github.com/google/go-cmp/cmp"
)

func newKey() []byte {
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	return key
}

func collect(into *[]Frame) func(Frame) error {
	return func(f Frame) error {
		*into = append(*into, f)
		return nil
	}
}

func open(t *testing.T, dir string, key []byte) (*Vault, []Frame) {
	t.Helper()
	var frames []Frame
	v, err := Open(dir, key, collect(&frames))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v, frames
}

func entry(t *testing.T, n int) contract.Entry {
	t.Helper()
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	x := contract.Indicator{
		ID: contract.ID{byte(n >> 8), byte(n), 1}, CreatedBy: "identity--1", Created: at, Modified: at, ValidFrom: at,
		ValidUntil: at.AddDate(0, 1, 0), Pattern: fmt.Sprintf("[url:value = 'http://n%d.example/?a=<1>&b=2']", n),
	}
	body, err := x.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return contract.Entry{Seq: uint64(n), Services: contract.DNS, Object: body}
}

func TestKeepsWhatWasAppended(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	v, frames := open(t, dir, key)
	if len(frames) != 0 {
		t.Fatalf("a new vault has %d frames", len(frames))
	}
	want := []Frame{
		{Entries: []contract.Entry{entry(t, 1), entry(t, 2)}, Checkpoint: "one"},
		{Entries: []contract.Entry{}, Checkpoint: "two"},
	}
	for _, f := range want {
		err := v.Append(f.Entries, f.Checkpoint)
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := Open(dir, key, func(Frame) error { return nil })
	if !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	var got, again []Frame
	err = Read(dir, key, collect(&got))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(asJSON(t, want), asJSON(t, got)); diff != "" {
		t.Error(diff)
	}
	err = v.Replay(collect(&again))
	if err != nil || cmp.Diff(asJSON(t, want), asJSON(t, again)) != "" {
		t.Errorf("Replay: %v %v", again, err)
	}
	if !bytes.Equal(got[0].Entries[0].Object, want[0].Entries[0].Object) {
		t.Errorf("the object's bytes changed: %s", got[0].Entries[0].Object)
	}
	file, err := os.ReadFile(v.path())
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(file, []byte("example")) || bytes.Contains(file, []byte("indicator")) {
		t.Error("an indicator can be read in the sealed file")
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestTornAtEveryByte cuts the file at every length, as a crash might, and
// demands that what is opened is a prefix of whole changes.
func TestTornAtEveryByte(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	v, _ := open(t, dir, key)
	var ends []int64
	for i := range 3 {
		err := v.Append([]contract.Entry{entry(t, i+1)}, fmt.Sprint("checkpoint ", i))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, v.Size())
	}
	whole, err := os.ReadFile(v.path())
	if err != nil {
		t.Fatal(err)
	}
	for cut := int64(0); cut < int64(len(whole)); cut++ {
		if cut > 20 && cut%7 != 0 && !slices.Contains(ends, cut) && !slices.Contains(ends, cut+1) {
			continue // every byte of the beginning and of each end, a sample of the rest
		}
		torn := t.TempDir()
		err = os.WriteFile(filepath.Join(torn, fileName), whole[:cut], 0o600)
		if err != nil {
			t.Fatal(err)
		}
		w, got := open(t, torn, key)
		var after []Frame
		want := 0
		for _, end := range ends {
			if cut >= end {
				want++
			}
		}
		if len(got) != want {
			t.Fatalf("cut at %d: %d changes, want %d", cut, len(got), want)
		}
		err = w.Append([]contract.Entry{entry(t, 9)}, "after")
		if err != nil {
			t.Fatal(err)
		}
		err = w.Close()
		if err != nil {
			t.Fatal(err)
		}
		err = Read(torn, key, collect(&after))
		if err != nil {
			t.Fatal(err)
		}
		got = after
		if len(got) != want+1 || got[want].Checkpoint != "after" {
			t.Fatalf("cut at %d: after another change there are %d", cut, len(got))
		}
	}
}

// TestRunWithoutCheckpoint cuts a change of several frames before its last.
func TestRunWithoutCheckpoint(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	v, _ := open(t, dir, key)
	entries := make([]contract.Entry, batchSize+5)
	for i := range entries {
		entries[i] = contract.Entry{Seq: uint64(i + 1), Object: []byte("{}")}
	}
	err := v.Append(nil, "first")
	if err != nil {
		t.Fatal(err)
	}
	first := v.Size()
	err = v.Append(entries, "second")
	if err != nil {
		t.Fatal(err)
	}
	err = os.Truncate(v.path(), v.Size()-10)
	if err != nil {
		t.Fatal(err)
	}
	err = v.Close()
	if err != nil {
		t.Fatal(err)
	}
	w, frames := open(t, dir, key)
	if len(frames) != 1 || w.Size() != first || w.Torn == 0 {
		t.Errorf("%d changes in %d bytes, %d torn: want only the first", len(frames), w.Size(), w.Torn)
	}
}

func TestDamageIsNoticed(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	v, _ := open(t, dir, key)
	for i := range 3 {
		err := v.Append([]contract.Entry{entry(t, i+1)}, "checkpoint")
		if err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(v.path())
	if err != nil {
		t.Fatal(err)
	}
	frame := (len(whole) - len(magic)) / 3
	tests := map[string][]byte{
		"byte altered":    alter(whole, len(magic)+40),
		"magic altered":   alter(whole, 2),
		"frames swapped":  append(append(append([]byte{}, whole[:len(magic)]...), whole[len(magic)+frame:len(magic)+2*frame]...), whole[len(magic):len(magic)+frame]...),
		"frame left out":  append(append([]byte{}, whole[:len(magic)]...), whole[len(magic)+frame:]...),
		"length over all": append([]byte(magic), append([]byte{0x04, 0, 0, 1}, make([]byte, maxFrame+100)...)...),
	}
	err = v.Close()
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			err := os.WriteFile(filepath.Join(dir, fileName), data, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(dir, key, func(Frame) error { return nil })
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v, want %v", err, ErrDamaged)
			}
		})
	}
	t.Run("another key", func(t *testing.T) {
		_, err := Open(dir, newKey(), func(Frame) error { return nil })
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("got %v, want %v", err, ErrDamaged)
		}
	})
}

func alter(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

func TestCompact(t *testing.T) {
	dir, key := t.TempDir(), newKey()
	v, _ := open(t, dir, key)
	for i := range 50 {
		e := entry(t, i%5+1)
		e.Seq = uint64(i + 1)
		err := v.Append([]contract.Entry{e}, fmt.Sprint("checkpoint ", i))
		if err != nil {
			t.Fatal(err)
		}
	}
	before := v.Size()
	gone := contract.ID{0, 3, 1}
	err := v.Compact("last", func(id contract.ID) bool { return id != gone })
	if err != nil {
		t.Fatal(err)
	}
	if v.Size() >= before/5 {
		t.Errorf("compacted from %d to %d bytes only", before, v.Size())
	}
	err = v.Append(nil, "later")
	if err != nil {
		t.Fatal(err)
	}
	err = v.Close()
	if err != nil {
		t.Fatal(err)
	}
	_, frames := open(t, dir, key)
	seqs := map[uint64]bool{}
	for _, e := range frames[0].Entries {
		seqs[e.Seq] = true
	}
	want := map[uint64]bool{46: true, 47: true, 49: true, 50: true}
	if diff := cmp.Diff(want, seqs); diff != "" || len(frames) != 2 || frames[0].Checkpoint != "last" || frames[1].Checkpoint != "later" {
		t.Errorf("%d frames, entries: %s", len(frames), diff)
	}
}

// TestFullDisk fills a small file system: the change that does not fit is
// refused and leaves no trace, and the list goes on once there is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("a small file system is needed: %v", err)
		}
		t.Skipf("needs root to mount a small file system: %v", err)
	}
	key := newKey()
	var frames []Frame
	v, err := Open(dir, key, collect(&frames))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = v.Close()
		_ = syscall.Unmount(dir, 0)
	})
	stored := 0
	for ; err == nil && stored < 1000; stored++ {
		err = v.Append([]contract.Entry{entry(t, stored+1)}, "checkpoint")
	}
	stored--
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("after %d changes: %v, want a full disk", stored, err)
	}
	err = Read(dir, key, collect(&frames))
	if err != nil || len(frames) != stored {
		t.Errorf("%d changes of %d, %v", len(frames), stored, err)
	}
}
