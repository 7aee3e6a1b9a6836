package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	parquetSuffix = ".parquet"
	sumSuffix     = ".sum"
	walSuffix     = ".wal"
	tmpSuffix     = ".tmp"
	lockName      = "lock"
	stamp         = "20060102T150405Z"
)

// name gives a Parquet file's name: when its first flow began, and its number.
func name(number uint64, first int64) string {
	return fmt.Sprintf("flows-%s-%012d%s", time.UnixMilli(first).UTC().Format(stamp), number, parquetSuffix)
}

func walName(number uint64) string { return fmt.Sprintf("open-%012d%s", number, walSuffix) }

// numberOf reads the number from a file's name.
func numberOf(file string) (uint64, bool) {
	base := filepath.Base(file)
	base = strings.TrimSuffix(strings.TrimSuffix(base, parquetSuffix), walSuffix)
	i := strings.LastIndexByte(base, '-')
	n, err := strconv.ParseUint(base[i+1:], 10, 64)
	return n, err == nil
}

// Listing is what is in a folder of flows.
type Listing struct {
	Files []Info   // sorted by number
	Open  []string // write-ahead files of flows that are in no Parquet file yet
	Bad   []error  // files that are not read, and why
}

// List looks at a folder, without changing it. It may run while another process
// writes there; look at write-ahead files with [ReadWAL] and, where one has gone
// meanwhile, list again.
func List(dir string, key []byte) (Listing, error) {
	// Write-ahead files first: one that becomes a Parquet file between the two
	// looks is seen twice and sorted out by number, never missed.
	open, err := filepath.Glob(filepath.Join(dir, "open-*"+walSuffix))
	if err != nil {
		return Listing{}, err
	}
	_, err = os.Stat(dir)
	if err != nil {
		return Listing{}, fmt.Errorf("folder of flows: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "flows-*"+parquetSuffix))
	if err != nil {
		return Listing{}, err
	}
	var l Listing
	have := map[uint64]bool{}
	for _, f := range files {
		i, err := ReadInfo(f, key)
		if errors.Is(err, os.ErrNotExist) {
			continue // removed by retention between the two looks
		}
		if err != nil {
			l.Bad = append(l.Bad, err)
			continue
		}
		have[i.Number] = true
		l.Files = append(l.Files, i)
	}
	slices.SortFunc(l.Files, func(a, b Info) int { return int(int64(a.Number) - int64(b.Number)) })
	for _, f := range open {
		n, ok := numberOf(f)
		if ok && !have[n] {
			l.Open = append(l.Open, f)
		}
	}
	return l, nil
}

// writeFile makes one Parquet file with its sidecar, so that it appears whole or
// not at all: both are written and synced under other names, the sidecar takes
// its name first, the Parquet file last.
func writeFile(dir string, key []byte, number uint64, rows []Row) (Info, error) {
	slices.SortFunc(rows, func(a, b Row) int { return order(&a, &b) })
	i := Info{Number: number, Rows: int64(len(rows)), First: rows[0].First, Last: rows[0].Last()}
	for k := range rows {
		i.First, i.Last = min(i.First, rows[k].First), max(i.Last, rows[k].Last())
	}
	i.Path = filepath.Join(dir, name(number, i.First))
	f, err := os.OpenFile(i.Path+tmpSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return Info{}, err
	}
	h := newBlockHash(f)
	err = writeParquet(h, rows)
	i.Size, i.blocks = h.size, h.finish()
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = writeSynced(i.Path+sumSuffix+tmpSuffix, i.encode(key))
	}
	if err == nil {
		err = os.Rename(i.Path+sumSuffix+tmpSuffix, i.Path+sumSuffix)
	}
	if err == nil {
		err = os.Rename(i.Path+tmpSuffix, i.Path)
	}
	if err != nil {
		_ = os.Remove(i.Path + tmpSuffix)
		_ = os.Remove(i.Path + sumSuffix + tmpSuffix)
		return Info{}, err
	}
	return i, syncDir(dir)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sweep removes what a crash left half made: temporary files, and sidecars whose
// Parquet file never came.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	for n := range have {
		orphan := strings.HasSuffix(n, sumSuffix) && !have[strings.TrimSuffix(n, sumSuffix)]
		if strings.HasSuffix(n, tmpSuffix) || orphan {
			err = errors.Join(err, os.Remove(filepath.Join(dir, n)))
		}
	}
	return err
}

// SameNumber reports whether two files, write-ahead or Parquet, hold the same
// flows.
func SameNumber(a, b string) bool {
	x, okX := numberOf(a)
	y, okY := numberOf(b)
	return okX && okY && x == y
}
