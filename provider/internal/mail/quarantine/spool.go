package quarantine

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"os"
)

// spoolMemory is what a message may hold in memory before it goes to disk.
const spoolMemory = 256 << 10

// Spool takes a message while it is judged, so that the whole of it can be
// held. Small ones stay in memory; larger ones go to a file of the
// quarantine's folder, sealed with a key that only this process has.
type Spool struct {
	dir    string
	open   func(name string) (file, error)
	mem    []byte
	size   int64
	key    []byte
	name   string
	f      file
	sealer *sealer
	err    error
}

// spoolName begins the names of spool files; what a crash leaves of them is
// unreadable and removed.
const spoolName = "spool-"

// NewSpool makes a spool. It must be closed.
func (s *Store) NewSpool() *Spool { return &Spool{dir: s.cfg.Dir, open: s.create} }

// Write implements [io.Writer]. After an error the message cannot be held any
// more; the error is kept and given by [Store.Hold] too.
func (p *Spool) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	if p.f == nil && len(p.mem)+len(b) <= spoolMemory {
		p.mem = append(p.mem, b...)
		p.size += int64(len(b))
		return len(b), nil
	}
	if p.f == nil {
		p.err = p.spill()
	}
	if p.err == nil {
		_, p.err = p.sealer.Write(b)
		p.size += int64(len(b))
	}
	return len(b), p.err
}

func (p *Spool) spill() error {
	p.key = make([]byte, 32)
	_, _ = rand.Read(p.key)
	p.name = p.dir + string(os.PathSeparator) + spoolName + rand.Text() + partSuffix
	f, err := p.open(p.name)
	if err != nil {
		return err
	}
	p.f = f
	p.sealer, err = newSealer(f, p.key, p.name)
	if err == nil {
		_, err = p.sealer.Write(p.mem)
	}
	p.mem = nil
	return err
}

// Size gives the bytes taken.
func (p *Spool) Size() int64 { return p.size }

// reader gives the whole message from its beginning. The spool takes no more.
func (p *Spool) reader() (io.Reader, func(), error) {
	if p.err != nil {
		return nil, nil, p.err
	}
	if p.f == nil {
		return bytes.NewReader(p.mem), func() {}, nil
	}
	if p.sealer != nil {
		err := p.sealer.end()
		p.sealer = nil
		if err != nil {
			p.err = err
			return nil, nil, err
		}
	}
	f, err := os.Open(p.name)
	if err != nil {
		return nil, nil, err
	}
	r, err := newOpener(f, p.key, p.name)
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return r, func() { _ = f.Close() }, nil
}

// Close drops what was spooled.
func (p *Spool) Close() {
	if p.f != nil {
		_ = p.f.Close()
		_ = os.Remove(p.name)
		p.f = nil
	}
	p.mem = nil
}
