package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/parquet-go/parquet-go"
)

// File is an open Parquet file of which every byte read is verified. It belongs
// to one goroutine at a time.
type File struct {
	Info Info
	f    *os.File
	p    *parquet.File
	vals []parquet.Value
	cols []column
}

// OpenFile opens a file from a [Listing].
func OpenFile(i Info) (*File, error) {
	f, err := os.Open(i.Path)
	if err != nil {
		return nil, err
	}
	x := &File{Info: i, f: f}
	err = guard(func() error {
		var err error
		x.p, err = parquet.OpenFile(newVerified(f, &x.Info), i.Size, parquet.SkipPageIndex(true), parquet.ReadBufferSize(256<<10))
		return err
	})
	if err == nil && !parquet.EqualNodes(x.p.Schema(), schema) {
		err = errors.New("columns differ from ours")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i.Path, errors.Join(err, f.Close()))
	}
	return x, nil
}

var schema = parquet.SchemaOf(column{})

// Close closes the file.
func (x *File) Close() error { return x.f.Close() }

// Groups is the number of row groups.
func (x *File) Groups() int { return len(x.p.RowGroups()) }

// GroupRows is the number of rows of one row group.
func (x *File) GroupRows(g int) int { return int(x.p.RowGroups()[g].NumRows()) }

// Bounds gives the least and greatest address in a row group's column, which is
// ColRemote or ColLocal. ok is false when the file does not say.
func (x *File) Bounds(g, col int) (low, high [16]byte, ok bool) {
	err := guard(func() error {
		c, is := x.p.RowGroups()[g].ColumnChunks()[col].(*parquet.FileColumnChunk)
		if !is {
			return errParquet
		}
		a, b, has := c.Bounds()
		if !has || len(a.ByteArray()) != 16 || len(b.ByteArray()) != 16 {
			return errParquet
		}
		low, high, ok = [16]byte(a.ByteArray()), [16]byte(b.ByteArray()), true
		return nil
	})
	return low, high, ok && err == nil
}

// May reports whether a row group's column can hold an address, by its Bloom
// filter: false is certain.
func (x *File) May(g, col int, a *[16]byte) (may bool, err error) {
	err = guard(func() error {
		b := x.p.RowGroups()[g].ColumnChunks()[col].BloomFilter()
		if b == nil {
			may = true
			return nil
		}
		var err error
		may, err = b.Check(parquet.ValueOf(*a))
		return err
	})
	return may, err
}

// Addresses reads ColRemote or ColLocal of a row group, appended to buf.
func (x *File) Addresses(g, col int, buf [][16]byte) ([][16]byte, error) {
	err := x.pages(g, col, func(v []parquet.Value) error {
		for i := range v {
			b := v[i].ByteArray()
			if len(b) != 16 {
				return errParquet
			}
			buf = append(buf, [16]byte(b))
		}
		return nil
	}, func(data []byte) {
		for len(data) >= 16 {
			buf = append(buf, [16]byte(data))
			data = data[16:]
		}
	})
	return buf, err
}

// Ports reads ColRemotePort or ColLocalPort of a row group, appended to buf.
func (x *File) Ports(g, col int, buf []uint16) ([]uint16, error) {
	err := x.pages(g, col, func(v []parquet.Value) error {
		for i := range v {
			buf = append(buf, uint16(v[i].Int32()))
		}
		return nil
	}, nil)
	return buf, err
}

// pages hands the values of a column chunk to raw (the bytes of plain fixed-length
// pages, many times faster) or to values.
func (x *File) pages(g, col int, values func([]parquet.Value) error, raw func([]byte)) error {
	if x.vals == nil {
		x.vals = make([]parquet.Value, 8192)
	}
	return guard(func() error {
		pages := x.p.RowGroups()[g].ColumnChunks()[col].Pages()
		defer pages.Close()
		for {
			p, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			if raw != nil && p.Dictionary() == nil && p.Type().Length() == 16 {
				data, size := dataOf(p)
				if size == 16 {
					raw(data)
					parquet.Release(p)
					continue
				}
			}
			r := p.Values()
			for {
				n, err := r.ReadValues(x.vals)
				bad := values(x.vals[:n])
				if bad != nil {
					return bad
				}
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					return err
				}
			}
			parquet.Release(p)
		}
	})
}

func dataOf(p parquet.Page) ([]byte, int) {
	d := p.Data()
	return d.FixedLenByteArray()
}

// Rows calls f for each row from number from to before number to of a row group,
// until it gives false. The row is only valid during the call.
func (x *File) Rows(g, from, to int, f func(*Row) bool) error {
	if x.cols == nil {
		x.cols = make([]column, 1024)
	}
	return guard(func() error {
		r := parquet.NewGenericRowGroupReader[column](x.p.RowGroups()[g])
		defer r.Close()
		err := r.SeekToRow(int64(from))
		if err != nil {
			return err
		}
		for from < to {
			n, err := r.Read(x.cols[:min(len(x.cols), to-from)])
			for i := range n {
				row := x.cols[i].row()
				if !f(&row) {
					return nil
				}
			}
			from += n
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			if n == 0 || err != nil && from < to {
				return io.ErrUnexpectedEOF
			}
		}
		return nil
	})
}
