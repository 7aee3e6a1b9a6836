package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/match"
)

// ScanConfig says against what messages in files are judged.
type ScanConfig struct {
	Set     *match.Set   // required
	Now     time.Time    // zero: the present
	Budget  mime.Budget  // of one message
	Digests mime.Digests // 0: all
	// Customer's policy and exceptions decide; nil: one that refuses all mail that
	// an indicator matches.
	Customer *customer.Customer
	// Sender of the envelope, if it is known.
	Sender string
}

// strict is the customer in whose name files are judged when none is named.
var strict = &customer.Customer{Mail: customer.Block, MailAction: customer.Reject}

// Scan judges one message as the milter would. Nothing is recorded, held or
// sent. The error is the reader's or ctx's.
func Scan(ctx context.Context, r io.Reader, cfg ScanConfig) (Verdict, error) {
	m := cfg.message()
	var buf [32 << 10]byte
	for {
		n, err := r.Read(buf[:])
		_, _ = m.walker.Write(buf[:n])
		if errors.Is(err, io.EOF) {
			return m.verdict(), nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return Verdict{}, err
		}
	}
}

func (cfg *ScanConfig) message() *message {
	now := cfg.Now
	if now.IsZero() {
		now = time.Now()
	}
	if cfg.Digests == 0 {
		cfg.Digests = mime.AllDigests
	}
	c := cfg.Customer
	if c == nil {
		c = strict
	}
	m := newMessage(cfg.Set, now, []byte(cfg.Sender))
	m.to = []recipient{{owner: c}}
	m.begin(cfg.Budget, cfg.Digests, nil)
	return m
}

// verdict ends the walk of a message that is judged and not handled.
func (m *message) verdict() Verdict {
	v := Verdict{Result: m.walker.Close()}
	v.Hits = hitsOf(m.judge.hits)
	p := decide(m.judge.hits, m.to, true, true)
	switch {
	case p.refuse:
		v.Action, v.Reply = Rejected, "550 5.7.1 "+refusal(p.lead.entry)
	case len(p.hold) > 0:
		v.Action = Quarantined
	case p.tag != nil:
		v.Action = Tagged
	case len(p.shares) > 0 && len(p.shares[0].told) > 0:
		v.Action = Alerted
	}
	return v
}

// Scanned is told after each message of [ScanPath].
type Scanned struct {
	Path    string
	Message int   // number within an mbox, from 1; 0 for a file that is one message
	Read    int64 // bytes of all files so far
	Total   int64 // bytes of all files
	Verdict Verdict
	Err     error // this file or message could not be read; the others go on
}

// ScanPath judges a file, an mbox, or every file below a folder (Maildir
// included), and tells each verdict with the progress made. It ends early when
// tell returns false, ctx ends, or the path cannot be read at all.
func ScanPath(ctx context.Context, path string, cfg ScanConfig, tell func(Scanned) bool) error {
	var files []string
	var total int64
	err := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			if p == path {
				return err
			}
			tell(Scanned{Path: p, Err: err})
			return nil
		}
		st, err := d.Info()
		if err == nil && (st.Mode().IsRegular() || p == path && !st.IsDir()) {
			files = append(files, p)
			total += st.Size()
		}
		return ctx.Err()
	})
	if err != nil {
		return fmt.Errorf("mail: scan: %w", err)
	}
	at := Scanned{Total: total}
	for _, p := range files {
		at.Path, at.Message = p, 0
		more, err := at.file(ctx, cfg, tell)
		if err != nil {
			at.Err, at.Verdict = err, Verdict{}
			more = tell(at)
			at.Err = nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !more {
			return nil
		}
	}
	return nil
}

// file judges one file, which may be an mbox (RFC 4155).
func (at *Scanned) file(ctx context.Context, cfg ScanConfig, tell func(Scanned) bool) (bool, error) {
	f, err := os.Open(at.Path)
	if err != nil {
		return true, err
	}
	defer func() { _ = f.Close() }()
	r := bufio.NewReaderSize(counted{f, &at.Read}, 64<<10)
	head, _ := r.Peek(5)
	if string(head) != "From " {
		at.Verdict, err = Scan(ctx, r, cfg)
		if err != nil {
			return true, err
		}
		return tell(*at), nil
	}
	return at.mbox(ctx, r, cfg, tell)
}

func (at *Scanned) mbox(ctx context.Context, r *bufio.Reader, cfg ScanConfig, tell func(Scanned) bool) (bool, error) {
	var m *message
	blank, start := true, true // after an empty line; at the beginning of a line
	for {
		line, err := r.ReadSlice('\n')
		if start && blank && bytes.HasPrefix(line, []byte("From ")) {
			if m != nil {
				at.Verdict = m.verdict()
				if !tell(*at) {
					return false, nil
				}
			}
			at.Message++
			m = cfg.message()
		} else if m != nil {
			if start && bytes.HasPrefix(line, []byte(">From ")) {
				line = line[1:]
			}
			_, _ = m.walker.Write(line)
		}
		blank = start && len(bytes.TrimRight(line, "\r\n")) == 0
		start = err == nil
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if m != nil {
				at.Verdict = m.verdict()
				if !tell(*at) {
					return false, nil
				}
			}
			if errors.Is(err, io.EOF) {
				return true, nil
			}
			return true, err
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
	}
}

// counted counts what was read.
type counted struct {
	r io.Reader
	n *int64
}

// Read implements [io.Reader].
func (c counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}
