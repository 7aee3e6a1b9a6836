package intake

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// content is a delivery that can be read a second time: the caller's own file,
// or a copy in the spool.
type content struct {
	r       io.ReadSeeker
	start   int64  // where in r it begins
	size    int64  // bytes that will be read
	over    bool   // there is more behind them
	digest  string // SHA-256 of these bytes
	file    *os.File
	path    string // of the copy, empty for the caller's own file
	dir     string
	done    bool // the copy is not needed any more
	changes bool // somebody else may write to it meanwhile
}

// take reads the whole once, to know its digest and, if need be, to keep it.
func (in *Intake) take(r io.Reader) (*content, error) {
	h := sha256.New()
	limit := io.LimitReader(r, in.cfg.MaxBytes)
	seeker, ok := r.(io.ReadSeeker)
	if ok {
		start, err := seeker.Seek(0, io.SeekCurrent)
		if err == nil {
			n, err := io.Copy(h, limit)
			if err != nil {
				return nil, fmt.Errorf("intake: read: %w", err)
			}
			c := &content{r: seeker, start: start, size: n, digest: hexsum(h), changes: true}
			c.over, err = more(r)
			return c, err
		}
	}
	err := os.MkdirAll(in.cfg.Spool, 0o700)
	if err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	f, err := os.CreateTemp(in.cfg.Spool, "incoming-*.part")
	if err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	c := &content{r: f, file: f, path: f.Name(), dir: in.cfg.Spool, done: true}
	c.size, err = io.Copy(io.MultiWriter(f, h), limit)
	if err == nil {
		c.over, err = more(r)
	}
	if err == nil && c.over {
		_, err = f.WriteAt([]byte{0}, c.size) // remembered for a resume: one byte too many
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		c.release()
		return nil, fmt.Errorf("intake: receive: %w", err)
	}
	c.digest = hexsum(h)
	return c, nil
}

func more(r io.Reader) (bool, error) {
	var b [1]byte
	n, err := io.ReadFull(r, b[:])
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n == 1, err
}

func hexsum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// keep makes the copy one that a restarted hub finds.
func (c *content) keep(batch string) error {
	if c.path == "" {
		return nil
	}
	to := filepath.Join(c.dir, batch)
	err := os.Rename(c.path, to)
	if err != nil {
		return fmt.Errorf("intake: spool: %w", err)
	}
	c.path, c.done = to, false
	return syncDir(c.dir)
}

// release closes the content, and removes the copy when it has been used up.
func (c *content) release() {
	if c.file == nil {
		return
	}
	_ = c.file.Close()
	if c.done {
		_ = os.Remove(c.path)
	}
}

// reader begins to read again from the start. Its error behind the last byte is
// a *[Refused] when the delivery was cut or has changed, else io.EOF.
func (c *content) reader(maxBytes int64) (*contentReader, error) {
	_, err := c.r.Seek(c.start, io.SeekStart)
	if err != nil {
		return nil, fmt.Errorf("intake: read again: %w", err)
	}
	return &contentReader{c: c, left: c.size, hash: sha256.New(), limit: maxBytes}, nil
}

type contentReader struct {
	c      *content
	left   int64
	limit  int64
	hash   hash.Hash
	hashed int64 // bytes from the beginning that went into hash
}

// Read implements io.Reader.
func (r *contentReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		switch {
		case r.c.changes && hexsum(r.hash) != r.c.digest:
			return 0, &Refused{Code: CodeChanged, Reason: "the file was changed while it was read: deliver it again when it is complete"}
		case r.c.over:
			return 0, &Refused{Code: CodeTooLong, Reason: fmt.Sprintf(
				"the delivery is longer than %d bytes; the items within them stay, the rest was not read: split it", r.limit)}
		}
		return 0, io.EOF
	}
	at := r.c.size - r.left
	n, err := r.c.r.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.c.changes && at <= r.hashed && at+int64(n) > r.hashed { // what was read before is not counted again
		r.hash.Write(p[r.hashed-at : n])
		r.hashed = at + int64(n)
	}
	if errors.Is(err, io.EOF) && r.left > 0 {
		return n, &Refused{Code: CodeChanged, Reason: "the file became shorter while it was read: deliver it again when it is complete"}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// Seek goes back, for readers that look at the whole, or at a part, twice.
func (r *contentReader) Seek(offset int64, whence int) (int64, error) {
	at := r.c.size - r.left
	to := offset
	if whence == io.SeekCurrent {
		to += at
	}
	if whence == io.SeekEnd || to < 0 || to > at {
		return at, errors.New("intake: only the way back is known")
	}
	if to == at {
		return at, nil
	}
	_, err := r.c.r.Seek(r.c.start+to, io.SeekStart)
	if err != nil {
		return at, fmt.Errorf("intake: read again: %w", err)
	}
	r.left = r.c.size - to
	if to == 0 { // the second look is compared as a whole
		r.hash.Reset()
		r.hashed = 0
	}
	return to, nil
}

// spooled lists the batches in the spool, and removes what was never received
// in full: whoever sent it got no answer and sends it again.
func (in *Intake) spooled() ([]string, error) {
	entries, err := os.ReadDir(in.cfg.Spool)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".part") {
			err = os.Remove(filepath.Join(in.cfg.Spool, e.Name()))
			if err != nil {
				return nil, fmt.Errorf("intake: spool: %w", err)
			}
			continue
		}
		out = append(out, e.Name())
	}
	return out, nil
}

func (in *Intake) unspool(batch string) error {
	return os.Remove(filepath.Join(in.cfg.Spool, filepath.Base(batch)))
}

func (in *Intake) reopen(batch string) (*content, error) {
	f, err := os.Open(filepath.Join(in.cfg.Spool, filepath.Base(batch)))
	if err != nil {
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("intake: spool: %w", err)
	}
	c := &content{r: f, file: f, path: f.Name(), dir: in.cfg.Spool, size: info.Size()}
	if c.size > in.cfg.MaxBytes {
		c.size, c.over = in.cfg.MaxBytes, true
	}
	return c, nil
}

// syncDir makes a rename in a folder last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
