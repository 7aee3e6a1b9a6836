package mime

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/flate"
)

// archive keeps a zip archive until its end, because its directory is there,
// and then looks at each member as at an attachment.
type archive struct {
	*run
	depth int
	buf   []byte
	held  int64
	over  bool
}

func (a *archive) write(b []byte) {
	if a.over {
		return
	}
	need := int64(len(a.buf) + len(b))
	if need > a.budget.ArchiveBytes {
		a.tooMuch()
		return
	}
	if need > int64(cap(a.buf)) {
		size := max(int64(64<<10), min(2*int64(cap(a.buf)), a.budget.ArchiveBytes), need)
		if !a.budget.Shared.take(size - a.held) {
			a.tooMuch()
			return
		}
		a.held = size
		grown := make([]byte, len(a.buf), size)
		copy(grown, a.buf)
		a.buf = grown
	}
	a.buf = append(a.buf, b...)
}

func (a *archive) tooMuch() {
	a.res.Over |= OverArchive
	a.over = true
	a.buf = nil
	a.release()
}

func (a *archive) release() {
	a.budget.Shared.give(a.held)
	a.held = 0
}

func (a *archive) close() {
	defer a.release()
	if a.over {
		return
	}
	a.member++
	defer func() { a.member-- }()
	seen := map[int64]bool{}
	if bytes.Count(a.buf, []byte("PK\x01\x02")) > 2*a.budget.Members {
		// Reading such a directory would cost many times its size.
		a.res.Over |= OverMembers
		a.local(seen)
		return
	}
	z, err := zip.NewReader(bytes.NewReader(a.buf), int64(len(a.buf)))
	if z == nil || err != nil && len(z.File) == 0 {
		a.res.Signs |= BadArchive
	} else {
		for _, f := range z.File {
			at, err := f.DataOffset()
			if err != nil {
				a.res.Signs |= BadArchive
				at = -1
			}
			if at >= 0 {
				seen[at] = true
			}
			if !a.one(f.Name) {
				return
			}
			if f.Flags&1 != 0 {
				a.res.Signs |= Encrypted
				continue
			}
			if at < 0 || f.FileInfo().IsDir() {
				continue
			}
			raw, err := f.OpenRaw()
			if err != nil {
				a.res.Signs |= BadArchive
				continue
			}
			a.inflate(f.Name, f.Method, raw)
		}
	}
	a.local(seen)
}

// one counts a member and hands over its name.
func (a *archive) one(name string) bool {
	a.res.Parts++
	a.budget.Members--
	if a.budget.Members < 0 {
		a.res.Over |= OverMembers
		return false
	}
	a.name(MemberName, []byte(name))
	return true
}

// local looks for members that the directory does not name: some unpackers go
// by the headers before each member.
func (a *archive) local(seen map[int64]bool) {
	for at := 0; ; {
		i := bytes.Index(a.buf[at:], []byte("PK\x03\x04"))
		if i < 0 || at+i+30 > len(a.buf) {
			return
		}
		h := a.buf[at+i:]
		data := 30 + int(binary.LittleEndian.Uint16(h[26:])) + int(binary.LittleEndian.Uint16(h[28:]))
		start := at + i
		at += i + 4
		if data > len(h) || seen[int64(start+data)] {
			continue
		}
		method := binary.LittleEndian.Uint16(h[8:])
		if method != zip.Store && method != zip.Deflate {
			continue // these bytes were not a header
		}
		a.res.Signs |= BadArchive
		name := string(h[30 : 30+int(binary.LittleEndian.Uint16(h[26:]))])
		if !a.one(name) {
			return
		}
		if h[6]&1 != 0 {
			a.res.Signs |= Encrypted
			continue
		}
		body := h[data:]
		size := int(binary.LittleEndian.Uint32(h[18:]))
		if method == zip.Store && size <= len(body) {
			body = body[:size]
		}
		a.inflate(name, method, bytes.NewReader(body))
	}
}

// inflate unpacks one member, within the budget, into a pipe of its own.
func (a *archive) inflate(name string, method uint16, raw io.Reader) {
	src := raw
	switch method {
	case zip.Store:
	case zip.Deflate:
		f := flate.NewReader(raw)
		defer func() { _ = f.Close() }()
		src = f
	default:
		a.res.Signs |= BadArchive
		return
	}
	s := shape{hash: true, place: MemberDigest, depth: a.depth + 1}
	s.named([]byte(name))
	w := Walker{run: a.run}
	p := w.newPipe(s, identity)
	var buf [chunkSize]byte
	for {
		n, err := src.Read(buf[:])
		a.budget.Inflated -= int64(n)
		if a.budget.Inflated < 0 {
			a.res.Over |= OverInflated
			p.over = true
			break
		}
		if n > 0 {
			p.take(buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			a.res.Signs |= BadArchive
			break
		}
	}
	p.close()
}
