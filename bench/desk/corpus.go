package main

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// What the description of the corpus counts: lines, and those of them that say
// again what another family's file said.
const (
	corpusLines      = 1_852_460
	corpusDuplicates = 220_388
	corpusFiles      = 3113
)

// unpack unpacks a public data file; "" when it is absent.
func unpack(ctx context.Context, data, name, to string) (string, error) {
	file := filepath.Join(data, name)
	_, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Printf("left out: %s is not there\n", file)
		return "", nil
	}
	err = errors.Join(err, os.MkdirAll(to, 0o700))
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

// corpus takes in Maltrail's trails, a delivery for each family as its maintainers
// publish them, and looks that every line is accounted for and every source kept.
func (p *process) corpus(ctx context.Context, data, dir string) error {
	at, err := unpack(ctx, data, "maltrail-trails.tar.xz", filepath.Join(dir, "maltrail"))
	if err != nil || at == "" {
		return err
	}
	defer func() { _ = os.RemoveAll(filepath.Join(dir, "maltrail")) }()
	var files []string
	lines := 0
	err = filepath.WalkDir(at, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".txt") {
			return err
		}
		files = append(files, file)
		n, err := trails(file)
		lines += n
		return err
	})
	if err != nil {
		return err
	}
	if len(files) != corpusFiles || lines != corpusLines {
		return fmt.Errorf("the corpus has %d files with %d trails, want %d with %d", len(files), lines, corpusFiles, corpusLines)
	}
	before, err := p.cost()
	if err != nil {
		return err
	}
	var sum batch
	why := map[string]int64{}
	began := time.Now()
	for _, file := range files {
		b, _, _, err := p.send(ctx, "one", "maltrail", file)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(file), err)
		}
		sum.Accepted += b.Accepted
		sum.Duplicate += b.Duplicate
		sum.Refused += b.Refused
		sum.Canonical += b.Canonical
		for _, r := range b.Refusals {
			why[r.Code]++
		}
	}
	took := time.Since(began)
	after, err := p.cost()
	if err != nil {
		return err
	}
	bounded(fmt.Sprintf("Maltrail: %d trails of %d families in, checked", lines, len(files)), took.Seconds(), 180, "s")
	bounded("  by the hub's processor time on two cores", (after.cpu-before.cpu).Seconds()/2, 180, "s")
	line("  new", number(float64(sum.Accepted)), "")
	line("  said by several families, merged", number(float64(sum.Duplicate)), fmt.Sprintf("described: %s", number(corpusDuplicates)))
	line("  brought into canonical form", number(float64(sum.Canonical)), "described: 40,000 by case or dot")
	line("  refused", number(float64(sum.Refused)), fmt.Sprint(why))
	line("  most memory of the hub (RSS)", number(float64(after.peak)/(1<<20))+" MiB", "")
	if sum.Accepted+sum.Duplicate+sum.Refused < corpusLines {
		return fmt.Errorf("%d new, %d merged and %d refused are fewer than the %d trails", sum.Accepted, sum.Duplicate, sum.Refused, corpusLines)
	}
	return p.provenance(ctx, sum)
}

// provenance looks into the database: each mention is there.
func (p *process) provenance(ctx context.Context, sum batch) error {
	db, err := raw(p.database, p.dsn)
	if err != nil {
		return err
	}
	var mentions int64
	err = db.QueryRowContext(ctx, `SELECT count(*) FROM item_source s JOIN batch b ON b.number = s.batch WHERE b.format = 'maltrail'`).Scan(&mentions)
	err = errors.Join(err, db.Close())
	if err == nil && mentions != sum.Accepted+sum.Duplicate {
		err = fmt.Errorf("%d mentions are kept of %d", mentions, sum.Accepted+sum.Duplicate)
	}
	if err == nil {
		line("  mentions kept, each with its family", number(float64(mentions)), "all")
	}
	return err
}

// trails counts the lines of a file that are no comments.
func trails(file string) (n int, err error) {
	f, err := os.Open(file) //nolint:gosec // of the unpacked corpus
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := bufio.NewScanner(f)
	for s.Scan() {
		said, _, _ := strings.Cut(s.Text(), "#")
		if strings.TrimSpace(said) != "" {
			n++
		}
	}
	return n, s.Err()
}

// raw opens the hub's database beside it.
func raw(database, dsn string) (*sql.DB, error) {
	if database == "sqlite" {
		return sql.Open("sqlite", "file:"+dsn+"?_pragma=busy_timeout(60000)")
	}
	return sql.Open("pgx", dsn)
}
