package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// A write-ahead file holds the rows that are not in a Parquet file yet:
//
//	"ECSFWAL1" | frames
//	frame: "FRAM" | rows 4 | CRC-32C of the rows 4 | rows x 100 bytes, little-endian
//
// A frame that is cut or does not check ends the file: it was being written when
// the machine stopped.
const (
	walMagic  = "ECSFWAL1"
	walFrame  = 12
	frameRows = BatchRows
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errForeignWAL = errors.New("write-ahead file of flows is not ours; move it away")

// file is what a write-ahead file needs of the disk; tests put failing ones in
// its place.
type file interface {
	io.Writer
	Sync() error
	Truncate(size int64) error
	Seek(offset int64, whence int) (int64, error)
	Close() error
}

// wal is the write-ahead file of the open segment.
type wal struct {
	f    file
	path string
	good int64 // bytes of whole frames
	buf  []byte
}

func createWAL(path string, open func(string) (file, error)) (*wal, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	w := &wal{f: f, path: path, good: int64(len(walMagic)), buf: make([]byte, 0, walFrame+BatchRows*rowSize)}
	_, err = f.Write([]byte(walMagic))
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return w, nil
}

// add appends one frame. After an error the file ends where it ended before.
func (w *wal) add(rows []Row) error {
	w.buf = append(w.buf[:0], "FRAM"...)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(len(rows)))
	w.buf = w.buf[:walFrame+len(rows)*rowSize]
	for i := range rows {
		rows[i].put((*[rowSize]byte)(w.buf[walFrame+i*rowSize:]))
	}
	binary.LittleEndian.PutUint32(w.buf[8:], crc32.Checksum(w.buf[walFrame:], castagnoli))
	_, err := w.f.Write(w.buf)
	if err != nil {
		_, seek := w.f.Seek(w.good, io.SeekStart)
		return errors.Join(err, w.f.Truncate(w.good), seek)
	}
	w.good += int64(len(w.buf))
	return nil
}

// ReadWAL reads the rows of a write-ahead file, as far as it is whole.
func ReadWAL(path string) ([]Row, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rows, err := decodeWAL(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return rows, nil
}

func decodeWAL(b []byte) ([]Row, error) {
	if len(b) < len(walMagic) {
		return nil, nil // cut at birth
	}
	if string(b[:len(walMagic)]) != walMagic {
		return nil, errForeignWAL
	}
	b = b[len(walMagic):]
	var rows []Row
	for len(b) >= walFrame && string(b[:4]) == "FRAM" {
		n := int(binary.LittleEndian.Uint32(b[4:]))
		sum := binary.LittleEndian.Uint32(b[8:])
		b = b[walFrame:]
		if n > frameRows || n*rowSize > len(b) || crc32.Checksum(b[:n*rowSize], castagnoli) != sum {
			break
		}
		at := len(rows)
		rows = append(rows, make([]Row, n)...)
		for i := range n {
			rows[at+i].get((*[rowSize]byte)(b[i*rowSize:]))
		}
		b = b[n*rowSize:]
	}
	return rows, nil
}
