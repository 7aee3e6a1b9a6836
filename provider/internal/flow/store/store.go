package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config of a store. Zero fields mean the defaults in brackets.
type Config struct {
	Dir         string        // folder, made if missing; no two stores at once in one
	Key         []byte        // seals the sidecars; empty: they are checksums only
	SegmentRows int           // flows in one file at most [1,000,000]; each takes 104 bytes of memory, twice
	SegmentAge  time.Duration // how long a file stays open at most [5 minutes]
	Keep        time.Duration // flows older than this are removed [30 days]
	MaxBytes    int64         // all files together; the oldest go first [0: no limit]
	MinFree     uint64        // bytes left free on the disk; below it nothing is written [256 MiB]
	Batches     int           // batches of 4,096 flows that may wait in memory [64, 27 MB]
	Log         *slog.Logger  // [slog.Default]

	open func(string) (file, error)   // tests put a failing disk here
	free func(string) (uint64, error) // bytes free on the disk
	now  func() time.Time
}

func (c Config) defaults() Config {
	c.SegmentRows = cmp.Or(max(c.SegmentRows, 0), 1_000_000)
	c.SegmentAge = cmp.Or(max(c.SegmentAge, 0), 5*time.Minute)
	c.Keep = cmp.Or(max(c.Keep, 0), 30*24*time.Hour)
	c.MinFree = cmp.Or(c.MinFree, 256<<20)
	c.Batches = cmp.Or(max(c.Batches, 0), 64)
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.open == nil {
		c.open = func(p string) (file, error) { return os.OpenFile(p, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600) }
	}
	if c.free == nil {
		c.free = func(dir string) (uint64, error) {
			var s unix.Statfs_t
			err := unix.Statfs(dir, &s)
			return s.Bavail * uint64(s.Bsize), err
		}
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c
}

// BatchRows is how many rows a batch holds.
const BatchRows = 4096

// Batch carries rows from a room's hot path to the store.
type Batch struct {
	N    int // Rows[:N] are valid
	Rows [BatchRows]Row
}

// Counters say what became of the flows. All only grow but Full, Files, Bytes.
type Counters struct {
	Rows       atomic.Uint64 // in a write-ahead file
	Files      atomic.Int64  // Parquet files there are
	Bytes      atomic.Int64  // in them
	Written    atomic.Uint64 // Parquet files written
	Recovered  atomic.Uint64 // rows found in write-ahead files at start
	LostBehind atomic.Uint64 // rows dropped because the store was behind
	LostFull   atomic.Uint64 // rows dropped because nothing could be written
	Expired    atomic.Uint64 // files removed for their age
	Evicted    atomic.Uint64 // files removed for the size of all
	Failed     atomic.Uint64 // attempts to write that failed
	Bad        atomic.Int64  // files in the folder that are not ours or torn
	Full       atomic.Bool   // nothing is written at the moment: the alarm
}

// Store writes flows. Make it with [New].
type Store struct {
	Counters Counters
	cfg      Config
	in       chan *Batch
	free     chan *Batch
}

// New makes a store that has not touched the disk yet.
func New(cfg Config) *Store {
	cfg = cfg.defaults()
	s := &Store{cfg: cfg, in: make(chan *Batch, cfg.Batches), free: make(chan *Batch, cfg.Batches)}
	for range cfg.Batches {
		s.free <- &Batch{}
	}
	return s
}

// Batch gives an empty batch, or nil when the store is behind: then drop the
// rows and say so with [Store.Drop]. It never waits.
func (s *Store) Batch() *Batch {
	select {
	case b := <-s.free:
		b.N = 0
		return b
	default:
		return nil
	}
}

// Put hands over a batch that Batch gave. It never waits.
func (s *Store) Put(b *Batch) { s.in <- b } // there are no more batches than places

// Drop counts rows that found no batch.
func (s *Store) Drop(n int) { s.Counters.LostBehind.Add(uint64(n)) }

// segment is a part of the flows on its way to a Parquet file.
type segment struct {
	number uint64
	rows   []Row
	wal    *wal
	begun  time.Time
}

// writer is the state of Run.
type writer struct {
	*Store
	open     *segment
	spare    []Row
	next     uint64
	busy     bool // a segment is with the flusher
	flush    chan *segment
	flushed  chan flushResult
	files    []Info
	retry    *segment // could not be written yet
	probe    time.Time
	syncing  chan error
	last     time.Time // of the previous tick
	hold     time.Time // until then nothing is removed for its age
	needSync bool
}

type flushResult struct {
	seg  *segment
	info Info
	err  error
}

// Run recovers what an earlier process left, then writes until ctx ends, and
// ends with everything in Parquet files or at least in a write-ahead file.
func (s *Store) Run(ctx context.Context) error {
	err := os.MkdirAll(s.cfg.Dir, 0o700)
	if err != nil {
		return fmt.Errorf("folder of flows: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(s.cfg.Dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("folder of flows: %w", err)
	}
	defer lock.Close()
	err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err != nil {
		return fmt.Errorf("folder of flows %s is in use by another process; give each its own: %w", s.cfg.Dir, err)
	}
	w := &writer{Store: s, flush: make(chan *segment), flushed: make(chan flushResult, 1), syncing: make(chan error, 1)}
	err = w.recover()
	if err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seg := range w.flush {
			i, err := writeFile(s.cfg.Dir, s.cfg.Key, seg.number, seg.rows)
			w.flushed <- flushResult{seg, i, err}
		}
	}()
	w.loop(ctx)
	close(w.flush)
	<-done
	return nil
}

func (w *writer) loop(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case b := <-w.in:
			w.take(b)
		case <-tick.C:
			w.tick()
		case r := <-w.flushed:
			w.settle(r)
		case err := <-w.syncing:
			w.needSync = false
			if err != nil {
				w.fail(err)
			}
		case <-ctx.Done():
			w.finish()
			return
		}
	}
}

// take writes a batch ahead and adds it to the open segment.
func (w *writer) take(b *Batch) {
	defer func() { w.free <- b }()
	if b.N == 0 {
		return
	}
	if w.Counters.Full.Load() || !w.room() {
		w.Counters.LostFull.Add(uint64(b.N))
		return
	}
	err := w.open.wal.add(b.Rows[:b.N])
	if err != nil {
		w.Counters.LostFull.Add(uint64(b.N))
		w.fail(err)
		return
	}
	w.open.rows = append(w.open.rows, b.Rows[:b.N]...)
	w.Counters.Rows.Add(uint64(b.N))
	if len(w.open.rows) >= w.cfg.SegmentRows {
		w.close()
	}
}

// room makes sure that there is an open segment with a place for a batch.
func (w *writer) room() bool {
	if w.open != nil && len(w.open.rows) >= w.cfg.SegmentRows {
		if w.busy { // waiting here lets batches run out, and the rooms count what they drop
			w.settle(<-w.flushed)
		}
		w.close()
	}
	if w.open != nil {
		return len(w.open.rows) < w.cfg.SegmentRows
	}
	l, err := createWAL(filepath.Join(w.cfg.Dir, walName(w.next)), w.cfg.open)
	if err != nil {
		w.fail(err)
		return false
	}
	rows := w.spare
	w.spare = nil
	w.open = &segment{number: w.next, wal: l, begun: w.cfg.now(), rows: rows[:0]}
	w.next++
	return true
}

// close hands the open segment to the flusher, if that is free.
func (w *writer) close() {
	if w.busy || w.retry != nil || w.open == nil || len(w.open.rows) == 0 {
		return
	}
	seg := w.open
	w.open, w.busy = nil, true
	w.flush <- seg
}

func (w *writer) settle(r flushResult) {
	w.busy = false
	if r.err != nil {
		w.retry = r.seg
		w.fail(r.err)
		return
	}
	w.spare = r.seg.rows[:0]
	w.Counters.Written.Add(1)
	w.files = append(w.files, r.info)
	w.account()
	err := errors.Join(r.seg.wal.f.Close(), os.Remove(r.seg.wal.path))
	if err != nil {
		w.cfg.Log.Warn("write-ahead file of flows was not removed; the next start will", slog.Any("error", err))
	}
	w.retain()
}

// fail says that nothing can be written for now.
func (w *writer) fail(err error) {
	w.Counters.Failed.Add(1)
	w.probe = w.cfg.now().Add(5 * time.Second)
	if w.Counters.Full.Swap(true) {
		return
	}
	w.cfg.Log.Error("flows are not stored: free space on the disk or lower the retention; matching goes on", slog.Any("folder", w.cfg.Dir), slog.Any("error", err))
}

var errSpace = errors.New("free space is below the configured minimum")

// tick does what is due every second.
func (w *writer) tick() {
	now := w.cfg.now()
	// A wall clock that leaps forward must not age everything at once: nothing
	// is removed for its age until it has stayed there for an hour.
	if !w.last.IsZero() && now.UnixMilli()-w.last.UnixMilli() > now.Sub(w.last).Milliseconds()+time.Hour.Milliseconds() {
		w.cfg.Log.Warn("the clock leapt forward; flows are not removed for their age for an hour")
		w.hold = now.Add(time.Hour)
	}
	w.last = now
	w.retain()
	n, err := w.cfg.free(w.cfg.Dir)
	if err == nil && n < w.cfg.MinFree {
		w.fail(errSpace)
	}
	if w.Counters.Full.Load() {
		if now.Before(w.probe) || n < w.cfg.MinFree {
			return
		}
		w.Counters.Full.Store(false)
		w.cfg.Log.Info("flows are stored again", slog.Any("folder", w.cfg.Dir))
	}
	if w.retry != nil && !w.busy {
		seg := w.retry
		w.retry, w.busy = nil, true
		w.flush <- seg
		return
	}
	if w.open == nil {
		return
	}
	if now.Sub(w.open.begun) >= w.cfg.SegmentAge || now.Before(w.open.begun) { // or the clock went back
		w.close()
	}
	if w.open != nil && !w.needSync {
		w.needSync = true
		f := w.open.wal.f
		// The disk may take its time; batches must not wait for it. Owned by
		// loop and finish, which take its answer.
		go func() { w.syncing <- ignoreClosed(f.Sync()) }()
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) { // the segment became a Parquet file meanwhile
		return nil
	}
	return err
}

// finish takes what is waiting and writes the last file.
func (w *writer) finish() {
	for {
		select {
		case b := <-w.in:
			w.take(b)
			continue
		default:
		}
		break
	}
	if w.needSync {
		<-w.syncing
	}
	if w.busy {
		w.settle(<-w.flushed)
	}
	w.close()
	if w.busy {
		w.settle(<-w.flushed)
	}
	for _, seg := range []*segment{w.open, w.retry} {
		if seg == nil {
			continue
		}
		err := errors.Join(seg.wal.f.Sync(), seg.wal.f.Close())
		if err != nil {
			w.cfg.Log.Error("the last flows are not on the disk", slog.Any("error", err))
		}
	}
}

func (w *writer) account() {
	var n int64
	for i := range w.files {
		n += w.files[i].Size
	}
	w.Counters.Files.Store(int64(len(w.files)))
	w.Counters.Bytes.Store(n)
}

// retain removes whole files: those whose flows are all too old, and the oldest
// while all together are too big.
func (w *writer) retain() {
	now := w.cfg.now()
	oldest := now.Add(-w.cfg.Keep).UnixMilli()
	if now.Before(w.hold) {
		oldest = 0
	}
	size := w.Counters.Bytes.Load()
	keep := w.files[:0]
	changed := false
	for k := range w.files {
		i := w.files[k]
		old, big := i.Last < oldest, w.cfg.MaxBytes > 0 && size > w.cfg.MaxBytes
		if !old && !big {
			keep = append(keep, i)
			continue
		}
		// The Parquet file goes first: a sidecar alone is swept at the next start.
		err := errors.Join(os.Remove(i.Path), os.Remove(i.Path+sumSuffix))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			w.cfg.Log.Error("flow file was not removed", slog.Any("error", err))
			keep = append(keep, i)
			continue
		}
		changed = true
		size -= i.Size
		if old {
			w.Counters.Expired.Add(1)
		} else {
			w.Counters.Evicted.Add(1)
		}
	}
	w.files = keep
	if changed {
		w.account()
	}
}

// recover makes Parquet files of what an earlier process wrote ahead.
func (w *writer) recover() error {
	err := sweep(w.cfg.Dir)
	if err != nil {
		return fmt.Errorf("folder of flows: %w", err)
	}
	l, err := List(w.cfg.Dir, w.cfg.Key)
	if err != nil {
		return err
	}
	for _, bad := range l.Bad {
		w.cfg.Log.Warn("flow file is left alone", slog.Any("error", bad))
	}
	w.Counters.Bad.Store(int64(len(l.Bad)))
	w.files = l.Files
	all, err := filepath.Glob(filepath.Join(w.cfg.Dir, "*-*"))
	if err != nil {
		return err
	}
	for _, f := range all {
		n, ok := numberOf(f)
		if ok {
			w.next = max(w.next, n+1)
		}
	}
	for _, f := range all {
		if filepath.Ext(f) != walSuffix {
			continue
		}
		err = w.recoverFile(f, slices.Contains(l.Open, f))
		if err != nil {
			return err
		}
	}
	slices.SortFunc(w.files, func(a, b Info) int { return cmp.Compare(a.Number, b.Number) })
	w.account()
	w.retain()
	return nil
}

func (w *writer) recoverFile(path string, needed bool) error {
	if !needed { // its Parquet file is whole
		return os.Remove(path)
	}
	rows, err := ReadWAL(path)
	if errors.Is(err, errForeignWAL) {
		w.cfg.Log.Warn("flow file is left alone", slog.Any("error", err))
		w.Counters.Bad.Add(1)
		return nil
	}
	if err != nil {
		return err
	}
	if len(rows) > 0 {
		n, _ := numberOf(path)
		i, err := writeFile(w.cfg.Dir, w.cfg.Key, n, rows)
		if err != nil { // a full disk, say: the rows stay where they are
			w.cfg.Log.Error("flows of an earlier run stay in their write-ahead file until the next start", slog.Any("error", err))
			w.Counters.Failed.Add(1)
			return nil
		}
		w.files = append(w.files, i)
		w.Counters.Recovered.Add(uint64(len(rows)))
	}
	return os.Remove(path)
}
