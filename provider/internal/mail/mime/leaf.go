package mime

import (
	"bytes"
	"strings"
	"sync"
)

// leaf is a part that is not a multipart. It has one pipe for each reading of
// its transfer encoding.
type leaf struct {
	pipes   []*pipe
	outside bool // text outside of the parts
	some    bool
}

// newLeaf makes the readers of a part.
func (w *Walker) newLeaf(h header, types []contentType) *leaf {
	names, attachment := h.fileNames(w.run, types)
	for _, n := range names {
		w.name(AttachmentName, n)
	}
	s := shape{place: AttachmentDigest, depth: w.depth + len(w.stack)}
	textual := true
	for _, t := range types {
		s.add(t)
		textual = textual && t.major == "text"
	}
	for _, n := range names {
		s.named(n)
	}
	s.hash = attachment || len(names) > 0 || !textual
	l := &leaf{}
	for _, e := range h.encodings(w.run) {
		l.pipes = append(l.pipes, w.newPipe(s, e))
	}
	return l
}

func (l *leaf) line(line, end []byte) {
	l.some = l.some || len(line) > 0
	for _, p := range l.pipes {
		p.dec.line(line, end)
	}
}

func (l *leaf) close() {
	for _, p := range l.pipes {
		if l.outside && l.some {
			p.run.res.Signs |= OutsideParts
		}
		p.close()
	}
}

// shape is what is known of a part before its first byte.
type shape struct {
	text, html, message, zip, hash bool
	charset                        string
	place                          Place
	depth                          int
}

// add takes in one reading of the part's type.
func (s *shape) add(t contentType) {
	if s.charset == "" {
		s.charset = t.charset
	}
	switch t.major {
	case "text":
		s.text = true
	case "message":
		s.message = s.message || t.minor == "rfc822" || t.minor == "global" || t.minor == "news"
		s.text = s.text || !s.message
	case "application", "image":
		s.text = s.text || strings.HasSuffix(t.minor, "xml") || t.minor == "json" || t.minor == "rtf" || t.minor == "javascript"
	case "":
		s.text = true
	}
	if strings.Contains(t.minor, "html") || strings.HasSuffix(t.minor, "xml") {
		s.html, s.text = true, true
	}
	if t.major == "message" && t.minor == "partial" {
		s.text = true
	}
}

// named takes in a file name of the part.
func (s *shape) named(name []byte) {
	i := bytes.LastIndexByte(name, '.')
	if i < 0 {
		return
	}
	switch strings.ToLower(string(bytes.TrimRight(name[i+1:], " ."))) {
	case "html", "htm", "xhtml", "shtml", "svg", "hta", "mht", "mhtml":
		s.html, s.text = true, true
	case "txt", "csv", "js", "vbs", "ps1", "bat", "cmd", "url", "ics", "vcf", "rtf", "xml", "json", "md":
		s.text = true
	case "eml":
		s.message = true
	case "zip", "jar", "docx", "docm", "xlsx", "xlsm", "pptx", "pptm", "odt", "ods", "odp", "apk", "xpi":
		s.zip = true
	}
}

// pipe takes a part's bytes through its transfer encoding to all who want them.
type pipe struct {
	*run
	shape
	dec     decoder
	begun   bool
	over    bool
	sums    *sums
	text    *textReader
	child   *Walker
	archive *archive
}

var pipes = sync.Pool{New: func() any { return &pipe{} }}

func (w *Walker) newPipe(s shape, e transfer) *pipe {
	p := pipes.Get().(*pipe)
	in, out := p.dec.in[:0], p.dec.out[:0]
	*p = pipe{run: w.run, shape: s}
	p.dec = decoder{run: w.run, enc: e, in: in, out: out, next: p.take}
	return p
}

// take gets decoded bytes.
func (p *pipe) take(b []byte) {
	if p.over {
		return
	}
	p.res.Decoded += int64(len(b))
	if p.res.Decoded > p.budget.Decoded {
		p.res.Over |= OverDecoded
		p.over = true
		return
	}
	if !p.begun {
		p.begun = true
		p.begin(b)
	}
	if p.sums != nil {
		p.sums.write(b)
	}
	if p.text != nil {
		p.text.write(b)
	}
	if p.child != nil {
		_, _ = p.child.Write(b)
	}
	if p.archive != nil {
		p.archive.write(b)
	}
}

// begin looks at the first bytes and decides who wants the part.
func (p *pipe) begin(b []byte) {
	start := bytes.TrimLeft(b[:min(len(b), 512)], " \t\r\n\xef\xbb\xbf")
	if bytes.HasPrefix(b, []byte("PK\x03\x04")) || bytes.HasPrefix(b, []byte("PK\x05\x06")) {
		p.zip, p.hash = true, true
		p.shape.text = false
	}
	if len(start) > 1 && start[0] == '<' && (start[1] == '!' || start[1] == '?' || start[1] == '/' || start[1]|0x20 >= 'a' && start[1]|0x20 <= 'z') {
		p.html, p.shape.text = true, true
	}
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		p.charset, p.shape.text = "utf-16", true
	}
	if p.hash && p.digests != 0 {
		p.sums = newSums(p.digests)
	}
	if p.message {
		if p.depth+1 >= p.budget.Depth {
			p.res.Over |= OverDepth
		} else {
			p.child = newWalker(p.run, p.depth+1)
		}
	}
	if p.shape.text && !p.message {
		p.text = newTextReader(p.run, p.charset, p.html)
	}
	if p.zip {
		if p.member >= p.budget.ArchiveDepth {
			p.res.Over |= OverArchiveDepth
		} else {
			p.archive = &archive{run: p.run, depth: p.depth}
		}
	}
}

// close ends the part.
func (p *pipe) close() {
	p.dec.close()
	if p.sums != nil {
		if !p.over {
			p.sums.tell(p.run, p.place)
		}
		p.sums.free()
	}
	if p.text != nil {
		p.text.close()
	}
	if p.child != nil {
		p.child.Close()
	}
	if p.archive != nil {
		p.archive.close()
	}
	if cap(p.dec.out) <= 4*chunkSize && cap(p.dec.in) <= 4*base64Room {
		in, out := p.dec.in[:0], p.dec.out[:0]
		*p = pipe{}
		p.dec.in, p.dec.out = in, out
		pipes.Put(p)
	}
}
