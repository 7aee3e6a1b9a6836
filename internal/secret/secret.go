// Package secret keeps keys in files: made once, readable by their owner alone,
// on disk before anything depends on them. A key given by systemd
// (LoadCredential=, $CREDENTIALS_DIRECTORY) goes before a file.
//
// It is not a vault: what the keys protect, and how, is their users' matter.
//
// Invariants: an existing file is never overwritten; a file that others could
// read is refused; a crash leaves either no file or the whole file.
package secret

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
)

// Bytes is secret: it prints as a redaction.
type Bytes []byte

// String implements [fmt.Stringer].
func (Bytes) String() string { return "(secret)" }

// GoString implements [fmt.GoStringer].
func (Bytes) GoString() string { return "(secret)" }

// Format implements [fmt.Formatter]: no verb shows the content.
func (b Bytes) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(b.String())) }

// LogValue implements [slog.LogValuer].
func (b Bytes) LogValue() slog.Value { return slog.StringValue(b.String()) }

// MaxSize bounds what is read as a secret, in bytes.
const MaxSize = 64 << 10

// Create writes data to a new file with mode 0600 and waits until it is on
// disk. It fails with [fs.ErrExist] when there is one already.
func Create(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".new-*") // mode 0600
	if err != nil {
		return fmt.Errorf("secret: create %s: %w", path, err)
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Link(f.Name(), path) // unlike rename, never replaces
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("secret: create %s: %w", path, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Read reads a secret file. It refuses one that the group or others may read.
func Read(path string) (Bytes, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("secret: %s is not a file", path)
	case info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("secret: %s may be read by others (mode %04o): check who did, then chmod 600 it", path, info.Mode().Perm())
	case info.Size() > MaxSize:
		return nil, fmt.Errorf("secret: %s has %d bytes, more than a key can have", path, info.Size())
	}
	var b bytes.Buffer
	_, err = b.ReadFrom(f)
	if err != nil {
		return nil, fmt.Errorf("secret: read %s: %w", path, err)
	}
	return b.Bytes(), nil
}

// credential reads what systemd gives under this name.
func credential(name string) (Bytes, bool, error) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return nil, false, nil
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("secret: credential %s: %w", name, err)
	}
	if len(b) > MaxSize {
		return nil, false, fmt.Errorf("secret: credential %s has %d bytes, more than a key can have", name, len(b))
	}
	return b, true, nil
}

// Load gives the secret of this name: systemd's credential, or the file in dir,
// or, the first time, what fresh makes, kept in that file. The directory is
// made with mode 0700 when it is missing.
func Load(dir, name string, fresh func() ([]byte, error)) (Bytes, error) {
	if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
		return nil, fmt.Errorf("secret: %q is not a name", name)
	}
	b, found, err := credential(name)
	if err != nil || found {
		return b, err
	}
	path := filepath.Join(dir, name)
	b, err = Read(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	made, err := fresh()
	if err != nil {
		return nil, fmt.Errorf("secret: make %s: %w", name, err)
	}
	err = os.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	err = Create(path, made)
	if errors.Is(err, fs.ErrExist) {
		return Read(path) // another process was first
	}
	if err != nil {
		return nil, err
	}
	return made, nil
}

// Key is [Load] for a key of size random bytes.
func Key(dir, name string, size int) (Bytes, error) {
	b, err := Load(dir, name, func() ([]byte, error) {
		made := make([]byte, size)
		_, err := rand.Read(made)
		return made, err
	})
	if err != nil {
		return nil, err
	}
	if len(b) != size {
		return nil, fmt.Errorf("secret: %s has %d bytes instead of %d: restore it from its backup", name, len(b), size)
	}
	return b, nil
}
