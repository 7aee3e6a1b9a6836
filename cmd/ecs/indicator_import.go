package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

type importCmd struct {
	atHub
	Source  string   `short:"s" required:"" help:"Short name of the source that delivers."`
	Format  string   `short:"f" default:"auto" placeholder:"FORMAT" help:"The files' format, as docs/formats/intake.md names them; auto finds it out."`
	Mapping string   `type:"existingfile" placeholder:"FILE" help:"What the columns of a sheet mean, as docs/formats/intake.md describes."`
	Name    string   `help:"With -: the name under which the delivery is kept."`
	Quiet   bool     `short:"q" help:"Print only what was refused."`
	Files   []string `arg:"" name:"file" help:"Files to deliver; - reads the standard input."`
}

// Help teaches the command.
func (*importCmd) Help() string {
	return `Each file is one delivery: its good items are taken, whatever is wrong with others, and
the same file twice changes nothing.

  ecs indicator import -u gil -s cedar week-47.csv bundle.json
  ecs indicator import -u gil -s cedar --mapping columns.json watch-list.xlsx
  zcat feed.json.gz | ecs indicator import -u gil -s cedar --name feed.json -

Exit code: 0 all taken or known already, 3 something of it was refused, 1 a file was
not taken.`
}

// Run delivers files.
func (c *importCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	mapping := ""
	if c.Mapping != "" {
		text, err := os.ReadFile(c.Mapping)
		if err != nil {
			return err
		}
		mapping = string(text)
	}
	var reports []batchReport
	var failed []error
	refused := false
	for _, path := range c.Files {
		rep, err := c.one(ctx, cl, path, mapping)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", path, err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		refused = refused || rep.Refused > 0
		if rep.Error != "" {
			failed = append(failed, fmt.Errorf("%s: %s", path, rep.Error))
		}
		if c.JSON {
			err = line(rep)
			if err != nil {
				return err
			}
		}
		reports = append(reports, rep)
	}
	if !c.JSON {
		table(reports, c.Quiet)
	}
	switch {
	case len(failed) > 0:
		return errors.Join(failed...)
	case refused:
		return &codedError{exitSome, "something was refused: correct it at the source and deliver it again; what was taken changes nothing"}
	}
	return nil
}

func (c *importCmd) one(ctx context.Context, cl *client, path, mapping string) (batchReport, error) {
	in, name, size := io.Reader(os.Stdin), c.Name, int64(0)
	if path == "-" {
		if name == "" {
			return batchReport{}, errors.New("say by --name what the standard input is called: the delivery is kept under it")
		}
	} else {
		f, err := os.Open(path)
		if err != nil {
			return batchReport{}, err
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return batchReport{}, err
		}
		if info.IsDir() {
			return batchReport{}, errors.New("is a folder: name the files in it")
		}
		in, name, size = f, filepath.Base(path), info.Size()
	}
	bar := progress{what: name + ": sent", unit: "bytes"}
	defer bar.clear()
	return cl.submit(ctx, delivered{Source: c.Source, Name: name, Format: c.Format, Mapping: mapping}, in, func(n int64) { bar.at(n, size) })
}

// table prints the reports of all files, and what was refused.
func table(reports []batchReport, quiet bool) {
	if !quiet && len(reports) > 0 {
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		_, _ = fmt.Fprintln(w, "FILE\tFORMAT\tACCEPTED\tKNOWN\tREFUSED\tOTHER\tDELIVERY")
		for i := range reports {
			r := &reports[i]
			note := ""
			if r.Same {
				note = "  delivered before: nothing changed"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%s%s\n", r.Name, r.Format, r.Accepted, r.Duplicate, r.Refused, r.Skipped, r.Batch, note)
		}
		_ = w.Flush()
	}
	for i := range reports {
		r := &reports[i]
		if r.Same {
			continue
		}
		for _, x := range r.Refusals {
			fmt.Printf("%s: %s: %s (%s)\n", r.Name, x.Place, strings.TrimSuffix(x.Reason, "."), x.Code)
		}
		if more := r.Refused - int64(len(r.Refusals)); more > 0 {
			fmt.Printf("%s: and %d more: ecs refused %s\n", r.Name, more, r.Batch)
		}
	}
}
