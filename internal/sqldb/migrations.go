package sqldb

import (
	"bytes"
	"io/fs"
	"regexp"
)

// liteFS shows migrations as SQLite shall read them: what stands in a comment of
// the form "/* sqlite: WITHOUT ROWID */" is a comment to PostgreSQL and part of the
// statement to SQLite. It is for how a table is stored, never for what it means.
// Queries may have such comments too, when they have arguments.
type liteFS struct{ fs.FS }

var onlyLite = regexp.MustCompile(`/\* sqlite: ([A-Z ]+) \*/`)

// Open implements [fs.FS].
func (l liteFS) Open(name string) (fs.File, error) {
	f, err := l.FS.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil || info.IsDir() {
		return f, err
	}
	_ = f.Close()
	body, err := fs.ReadFile(l.FS, name)
	if err != nil {
		return nil, err
	}
	body = onlyLite.ReplaceAll(body, []byte("$1"))
	return &liteFile{Reader: bytes.NewReader(body), info: liteInfo{info, int64(len(body))}}, nil
}

type liteFile struct {
	*bytes.Reader
	info fs.FileInfo
}

// Stat implements [fs.File].
func (f *liteFile) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close implements [fs.File].
func (f *liteFile) Close() error { return nil }

type liteInfo struct {
	fs.FileInfo
	size int64
}

// Size implements [fs.FileInfo].
func (i liteInfo) Size() int64 { return i.size }
