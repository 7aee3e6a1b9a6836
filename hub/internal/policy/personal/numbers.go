package personal

import "strings"

// numbers finds telephone numbers and those of states and banks. Each begins
// where a word begins, and is judged in a bounded window.
func (f *finder) numbers() {
	s := f.s
	for i := 0; i < len(s); {
		c := s[i]
		if !alnum(c) && c != '+' && c != '(' {
			i++
			continue
		}
		end := 0
		if begins(s, i) {
			end = f.number(i)
		}
		if end > i {
			i = end
			continue
		}
		if !alnum(c) {
			i++
			continue
		}
		for i < len(s) && alnum(s[i]) {
			i++
		}
	}
}

func (f *finder) number(i int) int {
	s := f.s
	c := s[i]
	if letter(c) {
		end := ibanAt(s, i)
		if end > 0 && ends(s, end) {
			f.add(i, end, Account, "an account number (IBAN, ISO 13616 check digits)")
			return end
		}
	}
	if alnum(c) {
		for _, k := range national[run(s, i)] {
			n := &numbersOfPersons[k.number]
			if fits(s, i, k.mask) && n.holds(s, i, i+len(k.mask)) {
				f.add(i, i+len(k.mask), n.kind, n.why)
				return i + len(k.mask)
			}
		}
	}
	if letter(c) {
		return 0
	}
	end, why := phoneAt(s, i)
	if end > 0 {
		f.add(i, end, Phone, why)
	}
	return end
}

// begins reports that what starts at i is not the rest of a longer token: a
// version, an address, a hash or a UUID.
func begins(s string, i int) bool {
	if i == 0 {
		return true
	}
	b := s[i-1]
	return !alnum(b) && b < 0x80 && strings.IndexByte("-_./+#&", b) < 0
}

// ends reports that what ended before i does not go on.
func ends(s string, i int) bool {
	if i >= len(s) {
		return true
	}
	c := s[i]
	if alnum(c) || strings.IndexByte("-_/+=", c) >= 0 {
		return false
	}
	if c == '.' || c == ',' || c == ':' { // the end of a sentence is not the middle of an address
		return i+1 >= len(s) || !digit(s[i+1])
	}
	return true
}

// cued reports that one of the words stands before i, at most 40 bytes away and in
// the same line.
func cued(s string, i int, words []string) bool {
	before := s[max(0, i-40):i]
	if n := strings.LastIndexByte(before, '\n'); n >= 0 {
		before = before[n+1:]
	}
	before = strings.ToLower(before)
	for _, w := range words {
		at := strings.LastIndex(before, w)
		if at >= 0 && (at == 0 || !alnum(before[at-1])) {
			rest := before[at+len(w):]
			if rest == "" || !letter(rest[0]) {
				return true
			}
		}
	}
	return false
}

// groups are the runs of digits from i on, with what separates them.
type groups struct {
	n      int
	start  [12]int
	end    [12]int
	sep    [12]string // before the group
	digits [12]int    // in this and all groups before
}

// read takes groups that are separated by one or two of the bytes in seps.
func (g *groups) read(s string, i int, seps string) {
	from := i
	for g.n < len(g.start) {
		j := i
		for j < len(s) && j-i < 2 && strings.IndexByte(seps, s[j]) >= 0 {
			j++
		}
		if j >= len(s) || !digit(s[j]) || g.n > 0 && j == i {
			return
		}
		k := j
		for k < len(s) && digit(s[k]) {
			k++
		}
		total := k - j
		if g.n > 0 {
			total += g.digits[g.n-1]
		}
		g.start[g.n], g.end[g.n], g.sep[g.n], g.digits[g.n] = j, k, s[i:j], total
		g.n++
		if total > 24 || k-from > 40 {
			return
		}
		i = k
	}
}

func (g *groups) size(i int) int { return g.end[i] - g.start[i] }

var phoneWords = []string{
	"tel", "tel.", "telephone", "phone", "phone number", "mobile", "mobil", "cell", "fax", "whatsapp", "sms", "telefon", "handy",
	"tél", "tel no", "phone no",
}

// phoneAt gives where a telephone number that begins at i ends, or 0, and the rule.
func phoneAt(s string, i int) (int, string) {
	plus, open := s[i] == '+', s[i] == '('
	j := i
	if plus || open {
		j++
	}
	if open && j < len(s) && s[j] == '+' {
		plus = true
		j++
	}
	if j >= len(s) || !digit(s[j]) {
		return 0, ""
	}
	var g groups
	g.read(s, j, " -.()/")
	if g.n == 0 || g.start[0] != j || dateLike(s, &g) {
		return 0, ""
	}
	if plus {
		return international(s, &g, 0), "a telephone number in international form (E.164)"
	}
	if s[j] == '0' && j+1 < len(s) && s[j+1] == '0' && g.n > 1 && !open {
		return international(s, &g, 2), "a telephone number in international form (00)"
	}
	end := northAmerican(s, &g, open)
	if end > 0 {
		return end, "a telephone number of the North American plan"
	}
	long := lastGroup(s, &g, 7, 15)
	if long == 0 {
		return 0, ""
	}
	named := cued(s, i, phoneWords)
	end = domestic(s, &g, open, named)
	if end > 0 {
		return end, "a telephone number in national form"
	}
	if !named {
		return 0, ""
	}
	return long, "a number that is named a telephone number"
}

// international takes 8 to 15 digits behind a country code that is assigned (ITU-T
// E.164), skip digits after the beginning.
func international(s string, g *groups, skip int) int {
	first := s[g.start[0]+skip : g.end[0]]
	if len(first) == 0 {
		return 0
	}
	if first[0] == '1' {
		return lastGroup(s, g, 11+skip, 11+skip)
	}
	if !countryCode(first) {
		return 0
	}
	return lastGroup(s, g, 8+skip, 15+skip)
}

// countryCode reports digits that begin with an assigned zone; a first group of
// one or two digits must be one.
func countryCode(d string) bool {
	if d[0] == '7' {
		return true
	}
	if len(d) < 2 {
		return false
	}
	switch d[:2] {
	case "20", "27", "28", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47", "48", "49",
		"51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66",
		"81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98":
		return true
	case "21", "22", "23", "24", "25", "26", "29", "35", "37", "38", "42", "50", "59", "67", "68", "69", "80", "85", "87", "88", "96", "97", "99":
		return len(d) > 2
	}
	return false
}

// northAmerican takes 3-3-4 digits, with 1 before or not.
func northAmerican(s string, g *groups, open bool) int {
	i := 0
	if g.n > 3 && g.size(0) == 1 && s[g.start[0]] == '1' && !open {
		i = 1
	}
	if g.n < i+3 || g.size(i) != 3 || g.size(i+1) != 3 || g.size(i+2) != 4 || s[g.start[i]] < '2' || s[g.start[i+1]] < '2' {
		return 0
	}
	if open != strings.HasPrefix(g.sep[i+1], ")") || len(g.sep[i+2]) != 1 {
		return 0
	}
	return ended(s, g, i+2)
}

// domestic takes a number with a trunk zero and separators: 030 1234567, (030)
// 123 45 67, 01 23 45 67 89, 07700 900123.
func domestic(s string, g *groups, open, named bool) int {
	if s[g.start[0]] != '0' || g.n < 2 || g.size(0) < 2 || g.size(0) > 6 || s[g.start[0]+1] == '0' {
		return 0
	}
	pairs := g.n >= 5 // five pairs, as in France
	for i := range min(g.n, 5) {
		pairs = pairs && g.size(i) == 2 && (i == 0 || len(g.sep[i]) == 1 && g.sep[i] == g.sep[1])
	}
	if pairs {
		return ended(s, g, 4)
	}
	if !named && !open && (g.size(0) < 3 || g.size(1) < 3 || strings.Contains(g.sep[1], ".")) {
		return 0
	}
	if open && !strings.HasPrefix(g.sep[1], ")") {
		return 0
	}
	return lastGroup(s, g, 9, 12)
}

// lastGroup gives the end of the last group with which the digits are in number
// from least to most, and the number ends, or 0.
func lastGroup(s string, g *groups, least, most int) int {
	for i := g.n - 1; i >= 0; i-- {
		if g.digits[i] >= least && g.digits[i] <= most {
			if end := ended(s, g, i); end > 0 {
				return end
			}
		}
	}
	return 0
}

// ended gives the end of group i if the number ends there: what follows, if
// anything, is separated by a space.
func ended(s string, g *groups, i int) int {
	if i+1 < g.n && g.sep[i+1][0] != ' ' {
		return 0
	}
	if !ends(s, g.end[i]) {
		return 0
	}
	return g.end[i]
}

// dateLike reports groups that begin with a date or are an address.
func dateLike(s string, g *groups) bool {
	if g.n < 3 {
		return false
	}
	if g.n >= 4 && g.sep[1] == "." && g.sep[2] == "." && g.sep[3] == "." && g.size(0) <= 3 && g.size(1) <= 3 && g.size(2) <= 3 {
		pairs := g.size(0) == 2 && g.size(1) == 2 && g.size(2) == 2 && g.size(3) == 2 && g.n >= 5
		return !pairs
	}
	a, b, c := num(s[g.start[0]:g.end[0]]), num(s[g.start[1]:g.end[1]]), num(s[g.start[2]:g.end[2]])
	if g.sep[1] != g.sep[2] {
		return false
	}
	ymd := g.size(0) == 4 && a >= 1900 && a < 2100 && b >= 1 && b <= 12 && c >= 1 && c <= 31
	dmy := g.size(0) <= 2 && g.size(1) <= 2 && g.size(2) == 4 && c >= 1900 && c < 2100 && a <= 31 && b <= 31
	return ymd || dmy
}

// num reads digits; more than nine of them are no number that is asked for.
func num(d string) int {
	n := 0
	for i := range min(len(d), 9) {
		n = n*10 + int(d[i]-'0')
	}
	return n
}
