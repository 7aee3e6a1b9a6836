package hunt

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"ecs/provider/internal/flow/store"
)

// fewAddresses is up to how many addresses Bloom filters are asked for each
// row group; for more, reading the column is faster.
const fewAddresses = 256

// nearby is how many rows apart two hits may be and still be read as one range.
const nearby = 256

// Run hunts. progress (may be nil) is called after each file, from one goroutine
// at a time. When ctx ends, Run gives what it has found so far and ctx's error.
func Run(ctx context.Context, q Query, progress func(done, total int)) (Result, error) {
	t, err := prepare(&q)
	if err != nil {
		return Result{}, err
	}
	l, err := store.List(q.Dir, q.Key)
	if err != nil {
		return Result{}, err
	}
	h := &hunter{t: t, sums: map[sumKey]*Hit{}, progress: progress, total: len(l.Files) + len(l.Open)}
	h.res.Files, h.res.Bad = h.total, l.Bad
	work := make(chan func(*reader))
	var wg sync.WaitGroup
	for range min(cmp.Or(max(q.Workers, 0), runtime.NumCPU()), max(h.total, 1)) {
		wg.Go(func() {
			r := &reader{t: t}
			for f := range work {
				f(r)
			}
		})
	}
	send := func(f func(*reader)) bool {
		select {
		case work <- f:
			return true
		case <-ctx.Done():
			return false
		}
	}
	going := true
	for _, p := range l.Open {
		going = going && send(func(r *reader) { h.open(ctx, r, p) })
	}
	for _, i := range l.Files {
		going = going && send(func(r *reader) { h.file(ctx, r, i) })
	}
	close(work)
	wg.Wait()
	return h.result(), ctx.Err()
}

type sumKey struct {
	target   int
	customer int32
}

// hunter gathers what the readers find.
type hunter struct {
	t        *targets
	mu       sync.Mutex
	sums     map[sumKey]*Hit
	res      Result
	progress func(done, total int)
	done     int
	total    int
}

// reader is what one goroutine needs to read one file after the other.
type reader struct {
	t     *targets
	addrs [][16]byte
	ports []uint16
	hits  []int
	sums  map[sumKey]*Hit
	read  int64
}

func (h *hunter) finish(r *reader, rows int64, skipped bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done++
	h.res.Rows += rows
	h.res.Read += r.read
	if skipped {
		h.res.Skipped++
	}
	if err != nil { // what was found before the error stays: it was verified
		h.res.Bad = append(h.res.Bad, err)
	}
	for k, s := range r.sums {
		have := h.sums[k]
		if have == nil {
			h.sums[k] = s
			continue
		}
		have.First, have.Last = min(have.First, s.First), max(have.Last, s.Last)
		have.Flows += s.Flows
		have.Packets += s.Packets
		have.Bytes += s.Bytes
		have.Samples = earliest(append(have.Samples, s.Samples...), h.t.q.Samples)
	}
	if h.progress != nil {
		h.progress(h.done, h.total)
	}
}

// earliest keeps the first n rows by time.
func earliest(rows []store.Row, n int) []store.Row {
	slices.SortStableFunc(rows, func(a, b store.Row) int { return cmp.Compare(a.First, b.First) })
	return rows[:min(n, len(rows))]
}

func (h *hunter) result() Result {
	for _, s := range h.sums {
		h.res.Hits = append(h.res.Hits, *s)
	}
	slices.SortFunc(h.res.Hits, func(a, b Hit) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Customer, b.Customer))
	})
	return h.res
}

// open searches a write-ahead file: the flows of the last minutes.
func (h *hunter) open(ctx context.Context, r *reader, path string) {
	r.sums, r.read = map[sumKey]*Hit{}, 0
	rows, err := store.ReadWAL(path)
	if errors.Is(err, fs.ErrNotExist) { // it became a Parquet file since we looked
		h.became(ctx, r, path)
		return
	}
	for i := range rows {
		r.add(&rows[i])
	}
	h.finish(r, int64(len(rows)), false, err)
}

// became searches the Parquet file that a write-ahead file has turned into.
func (h *hunter) became(ctx context.Context, r *reader, path string) {
	l, err := store.List(h.t.q.Dir, h.t.q.Key)
	if err == nil {
		for _, i := range l.Files {
			if store.SameNumber(path, i.Path) {
				h.file(ctx, r, i)
				return
			}
		}
	}
	h.finish(r, 0, true, err) // it was empty, or retention has taken it
}

func (h *hunter) file(ctx context.Context, r *reader, i store.Info) {
	r.sums, r.read = map[sumKey]*Hit{}, 0
	if i.Last < h.t.since || i.First > h.t.until {
		h.finish(r, i.Rows, true, nil)
		return
	}
	f, err := store.OpenFile(i)
	if errors.Is(err, fs.ErrNotExist) { // retention has taken it
		h.finish(r, 0, true, nil)
		return
	}
	if err != nil {
		h.finish(r, i.Rows, true, err)
		return
	}
	touched := false
	for g := range f.Groups() {
		if ctx.Err() != nil {
			break
		}
		var any bool
		any, err = r.group(f, g)
		touched = touched || any
		if err != nil {
			break
		}
	}
	h.finish(r, i.Rows, !touched, errors.Join(err, f.Close()))
}

// group searches one row group. It reports whether a column had to be read.
func (r *reader) group(f *store.File, g int) (touched bool, err error) {
	r.hits = r.hits[:0]
	for _, col := range []int{store.ColRemote, store.ColLocal} {
		may, err := r.may(f, g, col)
		if err != nil {
			return touched, err
		}
		if !may {
			continue
		}
		touched = true
		r.addrs, err = f.Addresses(g, col, r.addrs[:0])
		if err != nil {
			return touched, err
		}
		r.scan()
	}
	if len(r.t.byPort) > 0 {
		touched = true
		for _, col := range []int{store.ColRemotePort, store.ColLocalPort} {
			r.ports, err = f.Ports(g, col, r.ports[:0])
			if err != nil {
				return touched, err
			}
			for k, p := range r.ports {
				_, ok := r.t.byPort[p]
				if ok {
					r.hits = append(r.hits, k)
				}
			}
		}
	}
	slices.Sort(r.hits)
	return touched, r.rows(f, g)
}

// scan notes the rows whose address in r.addrs is named. Neighbors are often
// equal: the file is sorted.
func (r *reader) scan() {
	var last [16]byte
	known, named := false, false
	for k := range r.addrs {
		a := &r.addrs[k]
		if !known || *a != last {
			last, known = *a, true
			named = r.t.named(a)
		}
		if named {
			r.hits = append(r.hits, k)
		}
	}
}

// may reports whether a column of a row group can hold any target's address.
func (r *reader) may(f *store.File, g, col int) (bool, error) {
	if len(r.t.lengths) == 0 {
		return false, nil
	}
	low, high, ok := f.Bounds(g, col)
	if ok && !r.t.between(&low, &high) {
		return false, nil
	}
	if len(r.t.lengths) > 1 || r.t.lengths[0] != 128 || len(r.t.singles) > fewAddresses {
		return true, nil
	}
	for k := range r.t.singles {
		may, err := f.May(g, col, &r.t.singles[k])
		if may || err != nil {
			return may, err
		}
	}
	return false, nil
}

// rows reads the rows around r.hits whole and adds those that match.
func (r *reader) rows(f *store.File, g int) error {
	for i := 0; i < len(r.hits); {
		from, to := r.hits[i], r.hits[i]+1
		for i < len(r.hits) && r.hits[i] < to+nearby {
			to = max(to, r.hits[i]+1)
			i++
		}
		r.read += int64(to - from)
		err := f.Rows(g, from, to, func(row *store.Row) bool {
			r.add(row)
			return true
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// add counts a row for each target that it meets.
func (r *reader) add(row *store.Row) {
	r.t.match(row, func(target int) {
		k := sumKey{target, row.Customer}
		s := r.sums[k]
		if s == nil {
			s = &Hit{Target: target, Customer: row.Customer, First: row.First, Last: row.Last()}
			r.sums[k] = s
		}
		s.First, s.Last = min(s.First, row.First), max(s.Last, row.Last())
		s.Flows++
		s.Packets += row.Packets
		s.Bytes += row.Bytes
		n := r.t.q.Samples
		if n > 0 && (len(s.Samples) < n || row.First < s.Samples[len(s.Samples)-1].First) {
			s.Samples = earliest(append(s.Samples, *row), n)
		}
	})
}
