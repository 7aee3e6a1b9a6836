package wire

import "encoding/binary"

// MaxName is the length of the longest name, root label included (RFC 1035
// section 3.1).
const MaxName = 255

// nameEnd walks an uncompressed name that begins at msg[at] and gives the
// offset behind its root label, or -1 when it is cut off, too long, compressed
// or holds a label of a kind that RFC 1035 does not know.
func nameEnd(msg []byte, at int) int {
	start := at
	for at < len(msg) {
		n := int(msg[at])
		if n == 0 {
			at++
			if at-start > MaxName {
				return -1
			}
			return at
		}
		if n > 63 {
			return -1
		}
		at += n + 1
	}
	return -1
}

// skipName walks a name that may end in a compression pointer without
// following it: where the name ends does not depend on where it points.
func skipName(msg []byte, at int) int {
	start := at
	for at < len(msg) {
		n := int(msg[at])
		switch {
		case n == 0:
			return at + 1
		case n&0xc0 == 0xc0:
			if at+2 > len(msg) {
				return -1
			}
			return at + 2
		case n > 63 || at-start > MaxName:
			return -1
		}
		at += n + 1
	}
	return -1
}

// lower copies a wire name into dst in lower case, eight bytes at a time. The
// length bytes of labels are below 'A' and so stay as they are. Bytes of dst
// behind the name are overwritten up to the next multiple of eight.
func lower(dst *[MaxName + 1]byte, name []byte) {
	const (
		ones = 0x0101010101010101
		high = 0x8080808080808080
	)
	i := 0
	for ; i+8 <= len(name); i += 8 {
		v := binary.LittleEndian.Uint64(name[i:])
		low := v &^ high
		// The high bit of each byte of up is set when that byte is 'A' to 'Z'.
		up := (low + (0x80-'A')*ones) &^ (low + (0x80-'Z'-1)*ones) & high &^ v
		binary.LittleEndian.PutUint64(dst[i:], v|up>>2)
	}
	for ; i < len(name); i++ {
		c := name[i]
		if c-'A' < 26 {
			c |= 0x20
		}
		dst[i] = c
	}
}

// ParseName turns a host name in text, without escapes, into wire form in lower
// case. It is for configuration, not for traffic. It reports false when the
// text is no name.
func ParseName(text string) ([]byte, bool) {
	if text == "." {
		return []byte{0}, true
	}
	if n := len(text); n > 0 && text[n-1] == '.' {
		text = text[:n-1]
	}
	out := make([]byte, 0, len(text)+2)
	for text != "" {
		label := text
		text = ""
		for i := 0; i < len(label); i++ {
			if label[i] == '.' {
				label, text = label[:i], label[i+1:]
				if text == "" {
					return nil, false
				}
				break
			}
		}
		if label == "" || len(label) > 63 {
			return nil, false
		}
		out = append(out, byte(len(label)))
		for i := 0; i < len(label); i++ {
			c := label[i]
			if c <= ' ' || c == '\\' || c > '~' {
				return nil, false
			}
			if c-'A' < 26 {
				c |= 0x20
			}
			out = append(out, c)
		}
	}
	if len(out) == 0 || len(out)+1 > MaxName {
		return nil, false
	}
	return append(out, 0), true
}
