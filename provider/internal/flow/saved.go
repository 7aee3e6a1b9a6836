package flow

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// saved keeps the exporters' templates in one file, so that after a restart the
// first data set can be decoded. The file:
//
//	"ECSFTPL1" | count 4 | count x (address 16, length 4, state) | SHA-256 of all before
//
// A file that does not check is not used; the cost is what it was without it.
type saved struct {
	path  string
	mu    sync.Mutex
	of    map[[16]byte][]byte
	dirty bool
}

const (
	savedMagic = "ECSFTPL1"
	savedLimit = 256 << 20 // bytes of a file
)

var errSaved = errors.New("file of saved templates is torn or not ours")

// take gives what is saved of an exporter, nil if nothing.
func (s *saved) take(a [16]byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of[a]
}

func (s *saved) put(a [16]byte, b []byte) {
	if s.path == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[a] = b
	s.dirty = true
}

// drop forgets an exporter.
func (s *saved) drop(a [16]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.of, a)
}

func (s *saved) load() error {
	if s.path == "" {
		return nil
	}
	st, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.Size() > savedLimit {
		return fmt.Errorf("%s: %w", s.path, errSaved)
	}
	b, err := os.ReadFile(s.path)
	if err != nil {
		return err
	}
	of, err := decodeSaved(b)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.of = of
	return nil
}

// store writes the file if anything changed: whole under another name, then
// renamed.
func (s *saved) store() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.dirty {
		return nil
	}
	err := writeWhole(s.path, encodeSaved(s.of))
	if err != nil {
		return err
	}
	s.dirty = false
	return nil
}

func writeWhole(path string, b []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

func encodeSaved(of map[[16]byte][]byte) []byte {
	b := binary.BigEndian.AppendUint32([]byte(savedMagic), uint32(len(of)))
	keys := slices.SortedFunc(maps.Keys(of), func(x, y [16]byte) int { return slices.Compare(x[:], y[:]) })
	for _, a := range keys {
		b = append(b, a[:]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(of[a])))
		b = append(b, of[a]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decodeSaved(b []byte) (map[[16]byte][]byte, error) {
	if len(b) < len(savedMagic)+4+sha256.Size || string(b[:len(savedMagic)]) != savedMagic {
		return nil, errSaved
	}
	body := b[:len(b)-sha256.Size]
	if sha256.Sum256(body) != [sha256.Size]byte(b[len(body):]) {
		return nil, errSaved
	}
	body = body[len(savedMagic):]
	n := int(binary.BigEndian.Uint32(body))
	body = body[4:]
	of := map[[16]byte][]byte{}
	for range n {
		if len(body) < 20 {
			return nil, errSaved
		}
		a, length := [16]byte(body), int(binary.BigEndian.Uint32(body[16:]))
		body = body[20:]
		if length > len(body) {
			return nil, errSaved
		}
		of[a] = slices.Clone(body[:length])
		body = body[length:]
	}
	if len(body) != 0 {
		return nil, errSaved
	}
	return of, nil
}
