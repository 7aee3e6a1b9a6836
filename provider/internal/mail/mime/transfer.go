package mime

import (
	"bytes"
	"encoding/base64"
)

// transfer is a Content-Transfer-Encoding (RFC 2045 section 6).
type transfer uint8

const (
	identity transfer = iota
	base64Encoding
	quotedPrintable
)

const (
	chunkSize  = 8 << 10 // decoded bytes are handed on in pieces of about this size
	base64Room = 8 << 10 // encoded bytes that are decoded at once
)

const base64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// base64Value gives the value of a base64 digit, 64 for padding, 255 for all
// else. The URL alphabet is read as well, as many readers do.
var base64Value = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range []byte(base64Digits) {
		t[c] = byte(i)
	}
	t['-'], t['_'], t['='] = 62, 63, 64
	return t
}()

// lineEnds are the ends that a decoder may hold back until it knows that the
// line was not the last one: that end belongs to the boundary after it.
var lineEnds = [...][]byte{nil, []byte("\n"), []byte("\r\n")}

// decoder undoes one transfer encoding, line by line, and hands on pieces.
type decoder struct {
	run  *run
	enc  transfer
	held uint8 // index into lineEnds
	in   []byte
	out  []byte
	next func([]byte)
}

func (d *decoder) line(line, end []byte) {
	switch d.enc {
	case base64Encoding:
		d.in = append(d.in, line...)
		if len(d.in) >= base64Room {
			d.base64()
		}
		return
	case quotedPrintable:
		d.quoted(line, end)
	default:
		d.out = append(d.out, lineEnds[d.held]...)
		d.out = append(d.out, line...)
		d.held = uint8(len(end))
	}
	if len(d.out) >= chunkSize {
		d.flush()
	}
}

func (d *decoder) flush() {
	if len(d.out) > 0 {
		d.next(d.out)
		d.out = d.out[:0]
	}
}

// close hands on the rest.
func (d *decoder) close() {
	if d.enc == base64Encoding {
		d.base64()
		if len(d.in) >= 2 { // no padding
			d.group(d.in)
		}
		d.in = d.in[:0]
	}
	d.flush()
}

// base64 decodes whole groups of what has come; up to three characters stay.
func (d *decoder) base64() {
	n := len(d.in) &^ 3
	if n == 0 {
		return
	}
	need := n / 4 * 3
	if cap(d.out)-len(d.out) < need {
		d.flush()
		if cap(d.out) < need {
			d.out = make([]byte, 0, base64Room)
		}
		if cap(d.out) < need {
			d.out = make([]byte, 0, need)
		}
	}
	at := len(d.out)
	m, err := base64.StdEncoding.Decode(d.out[at:at+need], d.in[:n])
	if err == nil && (m == need || d.in[n-1] == '=') && bytes.IndexByte(d.in[:n], '\r') < 0 {
		d.out = d.out[:at+m]
		d.in = append(d.in[:0], d.in[n:]...)
	} else {
		d.loose()
	}
	d.flush()
}

// loose decodes what is not clean: characters outside of the alphabet are
// skipped, padding ends a group and what follows begins a new one.
func (d *decoder) loose() {
	var group [4]byte
	n := 0
	for _, c := range d.in {
		v := base64Value[c]
		switch {
		case v < 64:
			group[n] = c
			n++
			if n == 4 {
				d.group(group[:4])
				n = 0
			}
		case v == 64:
			if n > 1 {
				d.group(group[:n])
			}
			n = 0
		case c != ' ' && c != '\t' && c != '\r':
			d.run.res.Signs |= BadEncoding
		}
	}
	d.in = append(d.in[:0], group[:n]...)
}

func (d *decoder) group(g []byte) {
	var v uint32
	n := 0
	for _, c := range g {
		if x := base64Value[c]; x < 64 {
			v = v<<6 | uint32(x)
			n++
		}
	}
	v <<= uint(6 * (4 - n))
	for i := 0; i < n-1; i++ {
		d.out = append(d.out, byte(v>>16))
		v <<= 8
	}
}

func (d *decoder) quoted(line, end []byte) {
	line = bytes.TrimRight(line, " \t")
	soft := false
	if len(line) > 0 && line[len(line)-1] == '=' {
		line, soft = line[:len(line)-1], true
	}
	d.out = append(d.out, lineEnds[d.held]...)
	for {
		i := bytes.IndexByte(line, '=')
		if i < 0 {
			d.out = append(d.out, line...)
			break
		}
		d.out = append(d.out, line[:i]...)
		h, l := byte(255), byte(255)
		if i+2 < len(line) {
			h, l = unhex(line[i+1]), unhex(line[i+2])
		}
		if h > 15 || l > 15 {
			d.run.res.Signs |= BadEncoding
			d.out = append(d.out, '=')
			line = line[i+1:]
			continue
		}
		d.out = append(d.out, h<<4|l)
		line = line[i+3:]
	}
	d.held = uint8(len(end))
	if soft {
		d.held = 0
	}
}
