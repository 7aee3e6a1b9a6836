package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names of the folders within a source's folder, and the ending of reports.
const (
	doneFolder    = "done"
	refusedFolder = "refused"
	reportEnding  = ".report.json"
)

// Periods of the watched folder.
const (
	lookEvery   = 500 * time.Millisecond
	stableFor   = 2 * time.Second
	retryBehind = 30 * time.Second // after an error of ours, such as a database that is away
)

// seen is how a file was found at the first look since it last changed.
type seen struct {
	size    int64
	changed time.Time
	since   time.Time
	retry   time.Time // not to be tried before
}

// Watch takes files DIR/SOURCE/NAME until ctx ends: those with an ending of
// [endings] whose size and time have not changed for two seconds, so that a file may
// be renamed into place or written slowly. Names that begin with a dot, links and
// other endings are left alone. What a file is, is told by its bytes. A taken file
// moves to DIR/SOURCE/done, or, when
// it was refused as a whole, to DIR/SOURCE/refused, with a report beside it.
//
// A hub killed at any moment finds the file where it was: its bytes are known
// then, so that it is continued, or only moved.
func (in *Intake) Watch(ctx context.Context, dir string) error {
	err := os.MkdirAll(dir, 0o750)
	if err != nil {
		return fmt.Errorf("intake: watched folder: %w", err)
	}
	files := map[string]seen{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		in.look(ctx, dir, files)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// look goes once over all folders and takes what is complete.
func (in *Intake) look(ctx context.Context, dir string, files map[string]seen) {
	sources, err := os.ReadDir(dir)
	if err != nil {
		in.metrics.foldersSkipped.Add(1)
		in.cfg.Log.Error("watched folder cannot be read", slog.Any("error", err))
		return
	}
	present := map[string]bool{}
	for _, s := range sources {
		if !s.IsDir() || strings.HasPrefix(s.Name(), ".") {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, s.Name()))
		if err != nil {
			in.metrics.foldersSkipped.Add(1)
			in.cfg.Log.Error("a source's folder cannot be read", slog.Any("source", s.Name()), slog.Any("error", err))
			continue
		}
		for _, e := range entries {
			if ctx.Err() != nil {
				return
			}
			path := filepath.Join(dir, s.Name(), e.Name())
			if !watched(e.Name()) || !e.Type().IsRegular() {
				continue
			}
			present[path] = true
			in.consider(ctx, s.Name(), path, e, files)
		}
	}
	for path := range files {
		if !present[path] {
			delete(files, path)
		}
	}
}

// endings of names that are taken from a watched folder: those of what sources
// deliver, so that what somebody leaves there for a moment (.part, .tmp, .swp) stays.
var endings = []string{
	".json", ".csv", ".tsv", ".xlsx", ".txt", ".list", ".lst", ".hosts", ".zone", ".rpz", ".rules", ".dat", ".intel", ".md", ".eml", ".html",
}

// watched reports whether a file is one to be taken.
func watched(name string) bool {
	low := strings.ToLower(name)
	return !strings.HasPrefix(low, ".") && !strings.HasSuffix(low, reportEnding) && slices.Contains(endings, filepath.Ext(low))
}

// consider takes a file once it has been the same for long enough.
func (in *Intake) consider(ctx context.Context, source, path string, e fs.DirEntry, files map[string]seen) {
	info, err := e.Info()
	if err != nil {
		return // it has been moved away meanwhile
	}
	now := time.Now()
	was, ok := files[path]
	if !ok || was.size != info.Size() || !was.changed.Equal(info.ModTime()) {
		files[path] = seen{size: info.Size(), changed: info.ModTime(), since: now}
		return
	}
	if now.Sub(was.since) < stableFor || now.Before(was.retry) {
		return
	}
	err = in.takeFile(ctx, source, path)
	if err != nil {
		was.retry = now.Add(retryBehind)
		files[path] = was
		if ctx.Err() == nil {
			in.cfg.Log.Error("a file of the watched folder could not be taken; it will be tried again",
				slog.Any("source", source), slog.Any("file", filepath.Base(path)), slog.Any("error", err))
		}
		return
	}
	delete(files, path)
}

// fileReport is what is left beside a file.
type fileReport struct {
	File    string `json:"file"`
	Verdict string `json:"verdict"` // done, refused
	Code    string `json:"code,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Same    bool   `json:"same,omitempty"` // delivered before: nothing changed
	*Batch
	Refusals []Refusal `json:"refusals,omitempty"`
}

func (in *Intake) takeFile(ctx context.Context, source, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	rep, err := in.Submit(ctx, Delivery{Source: source, Name: name, Format: Auto, Submitter: in.cfg.FolderSubmitter}, f, nil)
	err = errors.Join(err, f.Close())
	out := fileReport{File: name, Verdict: doneFolder, Same: rep.Same, Refusals: rep.Refusals}
	if rep.ID != "" {
		out.Batch = &rep.Batch
	}
	var whole *Refused
	if errors.As(err, &whole) {
		out.Verdict, out.Code, out.Reason = refusedFolder, whole.Code, whole.Reason
	} else if err != nil {
		return err
	}
	if rep.Error != "" && rep.Accepted+rep.Duplicate == 0 {
		out.Verdict = refusedFolder
	}
	return putAway(path, out)
}

// putAway writes the report and then moves the file: a hub killed between the
// two finds the file again and writes the same report again.
func putAway(path string, rep fileReport) error {
	dir := filepath.Join(filepath.Dir(path), rep.Verdict)
	err := os.MkdirAll(dir, 0o750)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, rep.File)
	_, err = os.Lstat(to)
	if err == nil { // another delivery had this name
		ext := filepath.Ext(rep.File)
		to = filepath.Join(dir, fmt.Sprintf("%s.%d%s", strings.TrimSuffix(rep.File, ext), time.Now().UnixMicro(), ext))
	}
	body, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return err
	}
	err = writeFile(to+reportEnding, append(body, '\n'))
	if err != nil {
		return err
	}
	err = os.Rename(path, to)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(dir), syncDir(filepath.Dir(path)))
}

// writeFile puts a whole file into place at once.
func writeFile(path string, body []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*.part")
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
