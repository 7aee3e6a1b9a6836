package mime

import (
	"bytes"

	"ecs/observable"
)

// maxLine is how much of a line is held while its end has not come. What is
// longer is handed on in pieces, of which only the first can be a boundary or
// the beginning of a header.
const maxLine = 16 << 10

// run is what a message's walker shares with those of the messages within it.
type run struct {
	budget  Budget
	digests Digests
	visitor Visitor
	res     Result
	member  int // archives that we are in
	headers int // bytes of header blocks so far
}

func (r *run) find(p Place, k observable.Kind, v []byte) {
	if len(v) == 0 {
		return
	}
	if r.res.Finds >= r.budget.Finds {
		r.res.Over |= OverFinds
		return
	}
	r.res.Finds++
	r.visitor.Find(p, k, v)
}

// Walker takes a message's bytes by [Walker.Write], in pieces of any size, and
// ends with [Walker.Close]. It is for one goroutine and one message.
type Walker struct {
	*run
	depth   int
	line    []byte // a line whose end has not come
	partial bool   // the beginning of this line was handed on already
	reading bool   // in a header block
	first   bool   // no line of this header block was read yet
	top     bool   // this header block is the message's own
	head    []byte // header block at hand
	stack   []*container
	leaf    *leaf
}

// container is a multipart whose end has not come.
type container struct {
	bounds [][]byte // without the leading dashes and trailing space
	guess  bool     // no boundary was named: the first line that looks like one is it
	seen   bool
	tap    *leaf // reading of the whole as one part, where another header says so
}

// NewWalker makes a walker that tells v.
func NewWalker(b Budget, d Digests, v Visitor) *Walker {
	return newWalker(&run{budget: b.filled(), digests: d, visitor: v}, 0)
}

func newWalker(r *run, depth int) *Walker {
	return &Walker{run: r, depth: depth, reading: true, first: true, top: true}
}

// Write takes the next bytes of the message. It never fails.
func (w *Walker) Write(p []byte) (int, error) {
	n := len(p)
	if w.depth == 0 {
		left := w.budget.Bytes - w.res.Bytes
		w.res.Bytes += int64(n)
		if int64(n) > left {
			w.res.Over |= OverBytes
			p = p[:max(left, 0)]
		}
	}
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			w.keep(p)
			break
		}
		if len(w.line) == 0 {
			w.whole(p[:i+1])
		} else {
			w.line = append(w.line, p[:i+1]...)
			w.whole(w.line)
			w.line = w.line[:0]
		}
		w.partial = false
		p = p[i+1:]
	}
	return n, nil
}

// keep holds the beginning of a line, or hands it on when it is too long.
func (w *Walker) keep(p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxLine-len(w.line))
		w.line = append(w.line, p[:n]...)
		p = p[n:]
		if len(w.line) < maxLine {
			return
		}
		w.handle(w.line[:maxLine-1], nil) // one byte stays: it could be the CR of a CRLF
		w.line[0] = w.line[maxLine-1]
		w.line = w.line[:1]
		w.partial = true
	}
}

// whole splits a line from its end.
func (w *Walker) whole(b []byte) {
	n := len(b) - 1
	if n > 0 && b[n-1] == '\r' {
		n--
	}
	w.handle(b[:n], b[n:])
}

// Close ends the message and says how the walk went.
func (w *Walker) Close() Result {
	if len(w.line) > 0 {
		w.handle(w.line, nil)
		w.line = nil
	}
	if w.reading {
		w.part()
	}
	w.endLeaf()
	w.pop(0)
	return w.res
}

func (w *Walker) handle(line, end []byte) {
	if !w.partial && len(line) > 2 && line[0] == '-' && line[1] == '-' && w.boundary(line) {
		return
	}
	for _, c := range w.stack {
		if c.tap != nil {
			c.tap.line(line, end)
		}
	}
	if !w.reading {
		if w.leaf != nil {
			w.leaf.line(line, end)
		}
		return
	}
	w.headerLine(line, end)
}

func (w *Walker) headerLine(line, end []byte) {
	first := w.first
	w.first = false
	switch {
	case w.partial:
	case len(line) == 0:
		w.part()
		return
	case line[0] == ' ' || line[0] == '\t':
		if first {
			w.res.Signs |= BadHeader
		}
	case first && w.top && bytes.HasPrefix(line, []byte("From ")):
		return // mbox
	case !fieldStart(line):
		w.res.Signs |= BadHeader
		w.part()
		if w.leaf != nil {
			w.leaf.line(line, end)
		}
		return
	}
	w.headers += len(line) + 1
	if w.headers > w.budget.HeaderBytes {
		w.res.Over |= OverHeader
		return
	}
	w.head = append(w.head, line...)
	if end != nil {
		w.head = append(w.head, '\n')
	}
}

// fieldStart reports whether a line begins a header field: a name of printable
// characters, perhaps space (RFC 5322 section 4.5), and a colon.
func fieldStart(line []byte) bool {
	i := bytes.IndexByte(line, ':')
	if i <= 0 {
		return false
	}
	for _, c := range bytes.TrimRight(line[:i], " \t") {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// boundary handles a line that begins with two dashes; it reports false when it
// is no boundary of an open multipart.
func (w *Walker) boundary(line []byte) bool {
	text := bytes.TrimRight(line[2:], " \t")
	for i := len(w.stack) - 1; i >= 0; i-- {
		c := w.stack[i]
		if c.guess && !c.seen && len(text) > 0 && !bytes.ContainsAny(text, " \t") {
			c.bounds = append(c.bounds, bytes.Clone(text))
			w.open(i)
			return true
		}
		for _, b := range c.bounds {
			rest, ok := bytes.CutPrefix(text, b)
			if !ok {
				continue
			}
			if len(rest) == 0 {
				w.open(i)
				return true
			}
			if bytes.HasPrefix(rest, []byte("--")) {
				w.shut(i)
				return true
			}
		}
	}
	return false
}

// open begins the next part of the ith open multipart.
func (w *Walker) open(i int) {
	w.leave(i + 1)
	w.stack[i].seen = true
	w.reading, w.first, w.top = true, true, false
	w.head = w.head[:0]
}

// shut ends the ith open multipart. It stays open for its boundary, which a
// broken or a cunning message may repeat; what follows is read as text.
func (w *Walker) shut(i int) {
	w.leave(i + 1)
	w.stack[i].seen = true
	w.leaf = w.outside()
}

// leave ends all that is within the first n open multiparts.
func (w *Walker) leave(n int) {
	if w.reading {
		w.part()
	}
	w.endLeaf()
	w.pop(n)
}

func (w *Walker) endLeaf() {
	if w.leaf != nil {
		w.leaf.close()
		w.leaf = nil
	}
}

func (w *Walker) pop(n int) {
	for len(w.stack) > n {
		c := w.stack[len(w.stack)-1]
		w.stack = w.stack[:len(w.stack)-1]
		if !c.seen {
			w.res.Signs |= NoBoundary
		}
		if c.tap != nil {
			c.tap.close()
		}
	}
}

// part ends a header block and begins what it announces.
func (w *Walker) part() {
	w.reading = false
	h := parseHeader(w.head)
	if w.top {
		w.message(h)
	}
	w.res.Parts++
	if w.res.Parts > w.budget.Parts {
		w.res.Over |= OverParts
		return
	}
	types := h.contentTypes(w.run)
	var bounds [][]byte
	multi, guess := false, false
	single := types[:0:0]
	for _, t := range types {
		if t.major != "multipart" {
			single = append(single, t)
			continue
		}
		multi = true
		if len(t.bounds) == 0 {
			guess = true
			w.res.Signs |= NoBoundary
		}
		bounds = append(bounds, t.bounds...)
	}
	if !multi {
		w.leaf = w.newLeaf(h, single)
		return
	}
	if w.depth+len(w.stack) >= w.budget.Depth {
		w.res.Over |= OverDepth
		return
	}
	c := &container{bounds: bounds, guess: guess}
	if len(single) > 0 {
		c.tap = w.newLeaf(h, single)
	}
	w.stack = append(w.stack, c)
	w.leaf = w.outside()
}

// outside reads what stands before the first or after the last part: some mail
// programs show it, all do when the boundary never comes.
func (w *Walker) outside() *leaf {
	l := w.newLeaf(header{}, []contentType{{major: "text", minor: "plain"}})
	l.outside = true
	return l
}
