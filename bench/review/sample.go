package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// line is one trail of the corpus.
type line struct {
	value, folder, family string
	digest                [32]byte
}

// sample picks the lines with the smallest SHA-256: the same ones on every machine,
// and of every folder and family by its size.
func sample(corpus string, size int) ([]line, error) {
	var all []line
	err := filepath.WalkDir(corpus, func(file string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(file, ".txt") {
			return err
		}
		folder := filepath.Base(filepath.Dir(file))
		if categories[folder] == "" {
			return nil
		}
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		s := bufio.NewScanner(bytes.NewReader(body))
		for s.Scan() {
			v, _, _ := strings.Cut(s.Text(), "#")
			v = strings.TrimSpace(v)
			if v != "" {
				all = append(all, line{v, folder, strings.TrimSuffix(filepath.Base(file), ".txt"), sha256.Sum256([]byte(v))})
			}
		}
		return s.Err()
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b line) int { return bytes.Compare(a.digest[:], b.digest[:]) })
	all = slices.CompactFunc(all, func(a, b line) bool { return a.value == b.value })
	if len(all) < size {
		return nil, fmt.Errorf("the corpus has only %d lines", len(all))
	}
	return all[:size], nil
}

// unpack unpacks a public data file and gives the folder.
func unpack(ctx context.Context, file, to string) (string, error) {
	err := os.MkdirAll(to, 0o700)
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, "tar", "-xJf", file, "-C", to).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("unpack %s: %w: %s", file, err, out)
	}
	inside, err := os.ReadDir(to)
	if err == nil && len(inside) == 1 && inside[0].IsDir() {
		to = filepath.Join(to, inside[0].Name())
	}
	return to, err
}
