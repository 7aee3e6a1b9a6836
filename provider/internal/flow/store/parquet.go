package store

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

// column is a row as the Parquet file has it: signed types that every reader
// knows. Names and order are the format; see docs/formats/flows.md.
type column struct {
	Customer   int32    `parquet:"customer,dict"`
	Remote     [16]byte `parquet:"remote"`
	Local      [16]byte `parquet:"local"`
	RemotePort int32    `parquet:"remote_port"`
	LocalPort  int32    `parquet:"local_port"`
	Proto      int32    `parquet:"proto,dict"`
	Direction  int32    `parquet:"direction,dict"`
	First      int64    `parquet:"first,timestamp(millisecond)"`
	Duration   int64    `parquet:"duration_ms"`
	Bytes      int64    `parquet:"bytes"`
	Packets    int64    `parquet:"packets"`
	Flags      int32    `parquet:"tcp_flags,dict"`
	TOS        int32    `parquet:"tos,dict"`
	Exporter   [16]byte `parquet:"exporter,dict"`
	In         int64    `parquet:"in_if,dict"`
	Out        int64    `parquet:"out_if,dict"`
	Sampling   int64    `parquet:"sampling,dict"`
}

func (c *column) of(r *Row) {
	*c = column{
		Customer: r.Customer, Remote: r.Remote, Local: r.Local, RemotePort: int32(r.RemotePort), LocalPort: int32(r.LocalPort),
		Proto: int32(r.Proto), Direction: int32(r.Direction), First: r.First, Duration: int64(r.Duration), Bytes: int64(r.Bytes),
		Packets: int64(r.Packets), Flags: int32(r.Flags), TOS: int32(r.TOS), Exporter: r.Exporter, In: int64(r.In), Out: int64(r.Out),
		Sampling: int64(r.Sampling),
	}
}

func (c *column) row() Row {
	return Row{
		Customer: c.Customer, Remote: c.Remote, Local: c.Local, RemotePort: uint16(c.RemotePort), LocalPort: uint16(c.LocalPort),
		Proto: uint8(c.Proto), Direction: Direction(c.Direction), First: c.First, Duration: uint32(c.Duration), Bytes: uint64(c.Bytes),
		Packets: uint64(c.Packets), Flags: uint8(c.Flags), TOS: uint8(c.TOS), Exporter: c.Exporter, In: uint32(c.In), Out: uint32(c.Out),
		Sampling: uint32(c.Sampling),
	}
}

// Column numbers of what hunts look at, in the order of the file.
const (
	ColRemote     = 1
	ColLocal      = 2
	ColRemotePort = 3
	ColLocalPort  = 4
)

// groupRows is how many rows a row group has: the grain of skipping.
const groupRows = 1 << 17

func newWriter(w io.Writer) *parquet.GenericWriter[column] {
	return parquet.NewGenericWriter[column](w,
		parquet.CreatedBy("ecs", "1", "flow"),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.MaxRowsPerRowGroup(groupRows),
		parquet.BloomFilters(parquet.SplitBlockFilter(10, "remote"), parquet.SplitBlockFilter(10, "local")),
		parquet.SortingWriterConfig(parquet.SortingColumns(parquet.Ascending("remote"), parquet.Ascending("local"), parquet.Ascending("first"))),
	)
}

// errParquet wraps what the Parquet library could not do, a panic included:
// malformed files make it panic, and so it is only ever called through guard.
var errParquet = errors.New("flow store: the Parquet library failed")

// guard calls f and turns a panic into an error.
func guard(f func() error) (err error) {
	defer func() {
		p := recover()
		if p != nil {
			err = fmt.Errorf("%w: %v", errParquet, p)
		}
	}()
	return f()
}

// writeParquet writes sorted rows as one file.
func writeParquet(out io.Writer, rows []Row) error {
	return guard(func() error {
		w := newWriter(out)
		buf := make([]column, 4096)
		for len(rows) > 0 {
			n := min(len(buf), len(rows))
			for i := range n {
				buf[i].of(&rows[i])
			}
			_, err := w.Write(buf[:n])
			if err != nil {
				return err
			}
			rows = rows[n:]
		}
		return w.Close()
	})
}
