package personal

import "strings"

func hexDigit(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }

// devices finds hardware addresses: six pairs with colons or hyphens, or three
// quads with dots. Broadcast, multicast and empty ones belong to nobody.
func (f *finder) devices() {
	s := f.s
	for i := 0; i+14 <= len(s); i++ {
		if !hexDigit(s[i]) || !hexDigit(s[i+1]) {
			continue
		}
		end := 0
		switch c := s[i+2]; {
		case c == ':' || c == '-':
			end = pairs(s, i, c)
		case hexDigit(c) && hexDigit(s[i+3]) && s[i+4] == '.' && s[i+9] == '.':
			end = quads(s, i)
		}
		if end == 0 {
			continue
		}
		if i > 0 && (alnum(s[i-1]) || strings.IndexByte(":-.", s[i-1]) >= 0) ||
			end < len(s) && (alnum(s[end]) || s[end] == '-' || s[end] == ':' && end+1 < len(s) && hexDigit(s[end+1])) {
			continue
		}
		if ofOne(bare(s[i:end])) {
			f.add(i, end, Device, "a hardware address (MAC)")
		}
		i = end - 1
	}
}

func pairs(s string, i int, sep byte) int {
	if i+17 > len(s) {
		return 0
	}
	for j := range 17 {
		if j%3 == 2 && s[i+j] != sep || j%3 != 2 && !hexDigit(s[i+j]) {
			return 0
		}
	}
	return i + 17
}

func quads(s string, i int) int {
	if !fits(s, i, "XXXX.XXXX.XXXX") {
		return 0
	}
	for j := range 14 {
		if s[i+j] != '.' && !hexDigit(s[i+j]) {
			return 0
		}
	}
	return i + 14
}

// ofOne reports a unicast address (IEEE 802, the lowest bit of the first byte)
// that is not empty, of a protocol (RFC 9542 section 2) or made up to show the form.
func ofOne(mac string) bool {
	if strings.IndexByte("13579BDF", mac[1]) >= 0 || same(mac) {
		return false
	}
	return mac[:6] != "00005E" && mac != "001122334455" && mac != "AABBCCDDEEFF"
}

// positions finds latitude and longitude: two decimal numbers with at least four
// places, with letters of the compass or not, and degrees with minutes.
func (f *finder) positions() {
	s := f.s
	for i := 0; i < len(s); i++ {
		if !digit(s[i]) {
			continue
		}
		start := i
		if start > 0 && s[start-1] == '-' {
			start--
		}
		end := 0
		if begins(s, start) {
			end = positionAt(s, start)
		}
		if end > 0 {
			f.add(start, end, Location, "a position (latitude and longitude)")
			i = end - 1
			continue
		}
		for i+1 < len(s) && (digit(s[i+1]) || s[i+1] == '.') {
			i++
		}
	}
}

func positionAt(s string, i int) int {
	lat, precise, i := angle(s, i, 90)
	if i == 0 {
		return 0
	}
	j := i
	for j < len(s) && j-i < 3 && strings.IndexByte(", ;/", s[j]) >= 0 {
		j++
	}
	lon, alsoPrecise, end := angle(s, j, 180)
	if end == 0 || j == i || !precise || !alsoPrecise || lat == 0 && lon == 0 || !ends(s, end) {
		return 0
	}
	return end
}

// angle reads 48.8588, -2.2943, 48.8588 N, 48°51'30.1"N. It gives its whole
// degrees, whether it is precise enough to say where somebody is, and the end.
func angle(s string, i, most int) (degrees int, precise bool, end int) {
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	j := i
	for j < len(s) && digit(s[j]) && j-i < 4 {
		j++
	}
	degrees = num(s[i:j])
	if j == i || j-i > 3 || degrees > most {
		return 0, false, 0
	}
	if strings.HasPrefix(s[j:], "°") {
		j += len("°")
		for k := 0; j < len(s) && k < 16; k++ {
			if !digit(s[j]) && strings.IndexByte("'\". ", s[j]) < 0 && !strings.HasPrefix(s[j:], "′") && !strings.HasPrefix(s[j:], "″") {
				break
			}
			if s[j] >= 0x80 {
				j += len("′") - 1
			}
			precise = precise || digit(s[j])
			j++
		}
		if j < len(s) && strings.IndexByte("NSEWnsew", s[j]) >= 0 {
			return degrees, precise, j + 1
		}
		return 0, false, 0
	}
	if j >= len(s) || s[j] != '.' {
		return 0, false, 0
	}
	k := j + 1
	for k < len(s) && digit(s[k]) && k-j < 16 {
		k++
	}
	precise = k-j > 4
	if k < len(s) && strings.HasPrefix(s[k:], "°") {
		k += len("°")
	}
	if k+1 < len(s) && s[k] == ' ' && strings.IndexByte("NSEW", s[k+1]) >= 0 {
		k += 2
	} else if k < len(s) && strings.IndexByte("NSEW", s[k]) >= 0 {
		k++
	}
	return degrees, precise, k
}
