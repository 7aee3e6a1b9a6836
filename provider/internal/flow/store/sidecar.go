package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

// A sidecar says what a Parquet file must be, block by block, so that a hunt
// which reads a hundredth of a file checks a hundredth of it. Big-endian:
//
//	"ECSFLOW1" | keyed 1 | number 8 | rows 8 | first 8 | last 8 | size 8 | blocks 4
//	| blocks x the first 16 bytes of the block's SHA-256 | seal 32
//
// The seal is over all before it: SHA-256, or HMAC-SHA-256 where the store has a
// key, and then nobody without the key can make a file that we would read.
const (
	sideMagic  = "ECSFLOW1"
	sideHeader = 8 + 1 + 5*8 + 4
	blockSize  = 64 << 10
	digestSize = 16
	maxFile    = 1 << 34
)

// Errors of files that are not read.
var (
	ErrNotOurs = errors.New("flow file is not ours: its sidecar is missing, torn or sealed with another key; move it away")
	ErrTorn    = errors.New("flow file does not match its sidecar: the disk damaged it or somebody changed it")
)

// Info describes one Parquet file.
type Info struct {
	Path   string
	Number uint64 // rising; the write-ahead file it was made from had the same
	Rows   int64
	First  int64 // least First of its flows, milliseconds since 1970
	Last   int64 // greatest Last
	Size   int64 // bytes, without sidecar
	blocks []byte
}

// blockHash digests what is written, block by block.
type blockHash struct {
	out   io.Writer
	h     hash.Hash
	fill  int
	size  int64
	sums  []byte
	sum32 [sha256.Size]byte
}

func newBlockHash(out io.Writer) *blockHash { return &blockHash{out: out, h: sha256.New()} }

func (b *blockHash) Write(p []byte) (int, error) {
	n, err := b.out.Write(p)
	rest := p[:n]
	b.size += int64(n)
	for len(rest) > 0 {
		k := min(blockSize-b.fill, len(rest))
		b.h.Write(rest[:k])
		rest = rest[k:]
		b.fill += k
		if b.fill == blockSize {
			b.cut()
		}
	}
	return n, err
}

func (b *blockHash) cut() {
	b.sums = append(b.sums, b.h.Sum(b.sum32[:0])[:digestSize]...)
	b.h.Reset()
	b.fill = 0
}

func (b *blockHash) finish() []byte {
	if b.fill > 0 {
		b.cut()
	}
	return b.sums
}

func seal(key, b []byte) []byte {
	if len(key) == 0 {
		s := sha256.Sum256(b)
		return s[:]
	}
	m := hmac.New(sha256.New, key)
	m.Write(b)
	return m.Sum(nil)
}

func (i *Info) encode(key []byte) []byte {
	b := []byte(sideMagic)
	keyed := byte(0)
	if len(key) > 0 {
		keyed = 1
	}
	b = append(b, keyed)
	for _, v := range []uint64{i.Number, uint64(i.Rows), uint64(i.First), uint64(i.Last), uint64(i.Size)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(i.blocks)/digestSize))
	b = append(b, i.blocks...)
	return append(b, seal(key, b)...)
}

func decodeSidecar(b, key []byte) (Info, error) {
	if len(b) < sideHeader+sha256.Size || string(b[:8]) != sideMagic || b[8] > 1 || (b[8] == 1) != (len(key) > 0) {
		return Info{}, ErrNotOurs
	}
	body := b[:len(b)-sha256.Size]
	if !hmac.Equal(seal(key, body), b[len(body):]) {
		return Info{}, ErrNotOurs
	}
	u := func(n int) uint64 { return binary.BigEndian.Uint64(b[9+8*n:]) }
	i := Info{Number: u(0), Rows: int64(u(1)), First: int64(u(2)), Last: int64(u(3)), Size: int64(u(4)), blocks: body[sideHeader:]}
	blocks := int64(binary.BigEndian.Uint32(b[sideHeader-4:]))
	if i.Size < 0 || i.Size > maxFile || blocks != (i.Size+blockSize-1)/blockSize || int64(len(i.blocks)) != blocks*digestSize {
		return Info{}, ErrNotOurs
	}
	return i, nil
}

// ReadInfo reads the sidecar of a Parquet file.
func ReadInfo(path string, key []byte) (Info, error) {
	b, err := os.ReadFile(path + sumSuffix)
	if errors.Is(err, os.ErrNotExist) {
		return Info{}, fmt.Errorf("%s: %w", path, ErrNotOurs)
	}
	if err != nil {
		return Info{}, err
	}
	i, err := decodeSidecar(b, key)
	if err != nil {
		return Info{}, fmt.Errorf("%s: %w", path, err)
	}
	st, err := os.Stat(path)
	if err != nil {
		return Info{}, err
	}
	if st.Size() != i.Size {
		return Info{}, fmt.Errorf("%s: %w", path, ErrTorn)
	}
	i.Path = path
	return i, nil
}

// verified is a file of which nothing is handed out that does not verify. Each
// block is read and digested once. Safe for concurrent use.
type verified struct {
	f    io.ReaderAt
	info *Info
	mu   sync.Mutex
	ok   []bool
	buf  []byte
}

func newVerified(f io.ReaderAt, info *Info) *verified {
	return &verified{f: f, info: info, ok: make([]bool, len(info.blocks)/digestSize), buf: make([]byte, blockSize)}
}

// ReadAt implements [io.ReaderAt].
func (v *verified) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= v.info.Size {
		return 0, io.EOF
	}
	end := min(off+int64(len(p)), v.info.Size)
	err := v.verify(off, end)
	if err != nil {
		return 0, err
	}
	n, err := v.f.ReadAt(p[:end-off], off)
	if err == nil && n < len(p) {
		err = io.EOF
	}
	return n, err
}

func (v *verified) verify(off, end int64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i := off / blockSize; i*blockSize < end; i++ {
		if v.ok[i] {
			continue
		}
		b := v.buf[:min(blockSize, v.info.Size-i*blockSize)]
		_, err := v.f.ReadAt(b, i*blockSize)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		s := sha256.Sum256(b)
		if !bytes.Equal(s[:digestSize], v.info.blocks[i*digestSize:(i+1)*digestSize]) {
			return ErrTorn
		}
		v.ok[i] = true
	}
	return nil
}
