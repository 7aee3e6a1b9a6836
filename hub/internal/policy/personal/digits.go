package personal

import "strings"

// The check functions get digits and letters alone, of the length of their mask.

func at(s string, i int) int { return int(s[i] - '0') }

// weighted sums the digits of s times the weights.
func weighted(s string, weights ...int) int {
	sum := 0
	for i, w := range weights {
		sum += at(s, i) * w
	}
	return sum
}

func same(s string) bool { return strings.Trim(s, s[:1]) == "" }

// birth reports two digits of a month and two of a day that can be.
func birth(month, day string) bool {
	m, d := num(month), num(day)
	return m >= 1 && m <= 12 && d >= 1 && d <= 31
}

// luhn is ISO/IEC 7812-1 annex B.
func luhn(s string) bool {
	sum := 0
	for i := range len(s) {
		d := at(s, len(s)-1-i)
		if i%2 == 1 {
			d *= 2
			if d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0 && !same(s)
}

// card knows the ranges of the large schemes, by length.
func card(s string) bool {
	two, four := num(s[:2]), num(s[:4])
	ok := false
	switch len(s) {
	case 16:
		ok = s[0] == '4' || two >= 51 && two <= 55 || four >= 2221 && four <= 2720 || four == 6011 || two == 65 ||
			four >= 6440 && four <= 6499 || four >= 3528 && four <= 3589 || two == 62
	case 15:
		ok = two == 34 || two == 37
	}
	return ok && luhn(s)
}

// mod97 is ISO 7064 MOD 97-10, as ISO 13616 uses it.
func mod97(s string) bool {
	rem := 0
	for _, c := range s[4:] + s[:4] {
		if c >= 'A' {
			rem = (rem*100 + int(c-'A') + 10) % 97
		} else {
			rem = (rem*10 + int(c-'0')) % 97
		}
	}
	return rem == 1
}

// mod1110 is ISO 7064 MOD 11,10.
func mod1110(s string) bool {
	p := 10
	for i := range len(s) - 1 {
		p = (p + at(s, i)) % 10
		if p == 0 {
			p = 10
		}
		p = p * 2 % 11
	}
	return (11-p)%10 == at(s, len(s)-1)
}

// ssn applies the rules of issue (POMS RM 10201.035): no area 000, 666 or 9xx, no
// group 00, no serial 0000, and not the two that advertisements made famous.
func ssn(d string) bool {
	return d[0] != '9' && d[:3] != "000" && d[:3] != "666" && d[3:5] != "00" && d[5:] != "0000" &&
		d != "078051120" && d != "219099999" && !same(d)
}

// itin: 9xx and a group of 50 to 65, 70 to 88, 90 to 92 or 94 to 99.
func itin(d string) bool {
	g := num(d[3:5])
	return d[0] == '9' && (g >= 50 && g <= 65 || g >= 70 && g != 89 && g != 93)
}

func nino(s string) bool {
	switch s[:2] {
	case "BG", "GB", "KN", "NK", "NT", "TN", "ZZ":
		return false
	}
	return strings.IndexByte("DFIQUV", s[0]) < 0 && strings.IndexByte("DFIOQUV", s[1]) < 0 && s[8] <= 'D'
}

func nhs(s string) bool {
	c := 11 - weighted(s, 10, 9, 8, 7, 6, 5, 4, 3, 2)%11
	return c%11 == at(s, 9) && c != 10
}

const dniLetters = "TRWAGMYFPDXBNJZSQVHLCKE"

func dni(s string) bool { return s[8] == dniLetters[num(s[:8])%23] && !same(s[:8]) && !calendar(s[:8]) }

func nie(s string) bool {
	i := strings.IndexByte("XYZ", s[0])
	return i >= 0 && s[8] == dniLetters[(i*10000000+num(s[1:8]))%23]
}

func nric(s string) bool {
	sum := weighted(s[1:], 2, 7, 6, 5, 4, 3, 2)
	switch s[0] {
	case 'S':
		return s[8] == "JZIHGFEDCBA"[sum%11]
	case 'T':
		return s[8] == "JZIHGFEDCBA"[(sum+4)%11]
	case 'F':
		return s[8] == "XWUTRQPNMLK"[sum%11]
	case 'G':
		return s[8] == "XWUTRQPNMLK"[(sum+4)%11]
	}
	return false
}

// calendar reports eight digits that are a date of our time.
func calendar(s string) bool {
	return (s[:2] == "19" || s[:2] == "20") && birth(s[4:6], s[6:8])
}

func nir(s string) bool {
	m := num(s[3:5])
	if strings.IndexByte("123478", s[0]) < 0 || !(m >= 1 && m <= 12 || m >= 20 && m <= 42 || m >= 50) {
		return false
	}
	rem := 0
	for i := range 13 {
		rem = (rem*10 + at(s, i)) % 97
	}
	return 97-rem == num(s[13:])
}

// steuerID: the check digit, and of the first ten digits exactly one occurs two or
// three times.
func steuerID(s string) bool {
	if s[0] == '0' || !mod1110(s) {
		return false
	}
	var n [10]int
	for i := range 10 {
		n[at(s, i)]++
	}
	repeated := 0
	for _, c := range n {
		if c > 3 {
			return false
		}
		if c > 1 {
			repeated++
		}
	}
	return repeated == 1
}

// codiceFiscale (Italian ministerial decree of 23 December 1976).
func codiceFiscale(s string) bool {
	odd := [26]int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		v := int(s[i])
		if digit(s[i]) {
			v -= '0'
		} else {
			v -= 'A'
		}
		if i%2 == 0 {
			v = odd[v]
		}
		sum += v
	}
	return int(s[15]-'A') == sum%26 && strings.IndexByte("ABCDEHLMPRST", s[8]) >= 0
}

func bsn(s string) bool {
	return (weighted(s, 9, 8, 7, 6, 5, 4, 3, 2)-at(s, 8))%11 == 0 && !same(s)
}

func rijksregister(s string) bool {
	if !birth(s[2:4], s[4:6]) {
		return false
	}
	n, c := num(s[:9]), num(s[9:])
	return 97-n%97 == c || 97-(2_000_000_000+n)%97 == c
}

func pesel(s string) bool {
	m := num(s[2:4]) % 20
	return m >= 1 && m <= 12 && num(s[4:6]) >= 1 && num(s[4:6]) <= 31 &&
		(10-weighted(s, 1, 3, 7, 9, 1, 3, 7, 9, 1, 3)%10)%10 == at(s, 10)
}

// personnummer also takes coordination numbers, whose day is 60 more.
func personnummer(s string) bool {
	if len(s) == 12 {
		if s[:2] != "19" && s[:2] != "20" {
			return false
		}
		s = s[2:]
	}
	m, d := num(s[2:4]), num(s[4:6])
	return m >= 1 && m <= 12 && (d >= 1 && d <= 31 || d >= 61 && d <= 91) && luhn(s)
}

// hetu: the letter of the century may be part of the mask.
func hetu(s string) bool {
	if len(s) == 11 {
		if strings.IndexByte("ABCDEFUVWXY", s[6]) < 0 {
			return false
		}
		s = s[:6] + s[7:]
	}
	return birth(s[2:4], s[:2]) && s[9] == "0123456789ABCDEFHJKLMNPRSTUVWXY"[(num(s[:6])*1000+num(s[6:9]))%31]
}

func cpr(s string) bool { return birth(s[2:4], s[:2]) }

func fodselsnummer(s string) bool {
	d, m := num(s[:2]), num(s[2:4])
	if d > 40 {
		d -= 40
	}
	if m > 40 {
		m -= 40
	}
	return d >= 1 && d <= 31 && m >= 1 && m <= 12 &&
		(weighted(s, 3, 7, 6, 1, 8, 9, 4, 5, 2)+at(s, 9))%11 == 0 &&
		(weighted(s, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)+at(s, 10))%11 == 0
}

func ean(s string) bool {
	return (10-weighted(s, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3)%10)%10 == at(s, 12)
}

func svnr(s string) bool {
	return birth(s[6:8], s[4:6]) && weighted(s, 3, 7, 9, 0, 5, 8, 4, 2, 1, 6)%11 == at(s, 3)
}

func rodneCislo(s string) bool {
	m := num(s[2:4]) % 50
	if m > 20 {
		m -= 20
	}
	d, n := num(s[4:6]), num(s[:9])
	rem := (n%11*10 + at(s, 9)) % 11
	return m >= 1 && m <= 12 && d >= 1 && d <= 31 && rem == 0
}

func cnp(s string) bool {
	c := weighted(s, 2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9) % 11
	if c == 10 {
		c = 1
	}
	return s[0] != '0' && birth(s[3:5], s[5:7]) && c == at(s, 12)
}

func egn(s string) bool {
	m := num(s[2:4])
	switch {
	case m > 40:
		m -= 40
	case m > 20:
		m -= 20
	}
	return m >= 1 && m <= 12 && weighted(s, 2, 4, 8, 5, 10, 9, 7, 3, 6)%11%10 == at(s, 9)
}

func nif(s string) bool {
	c := 11 - weighted(s, 9, 8, 7, 6, 5, 4, 3, 2)%11
	if c > 9 {
		c = 0
	}
	return strings.IndexByte("1235689", s[0]) >= 0 && c == at(s, 8)
}

func tckn(s string) bool {
	odd := at(s, 0) + at(s, 2) + at(s, 4) + at(s, 6) + at(s, 8)
	even := at(s, 1) + at(s, 3) + at(s, 5) + at(s, 7)
	return s[0] != '0' && (odd*7-even+100)%10 == at(s, 9) && (odd+even+at(s, 9))%10 == at(s, 10)
}

func cpf(s string) bool {
	a := weighted(s, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	b := weighted(s, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2) * 10 % 11 % 10
	return a == at(s, 9) && b == at(s, 10) && !same(s)
}

func curp(s string) bool {
	return birth(s[6:8], s[8:10]) && (s[10] == 'H' || s[10] == 'M' || s[10] == 'X')
}

func rut(s string) bool {
	sum, w := 0, 2
	for i := len(s) - 2; i >= 0; i-- {
		if !digit(s[i]) {
			return false
		}
		sum += at(s, i) * w
		w++
		if w > 7 {
			w = 2
		}
	}
	return s[len(s)-1] == "0K987654321"[sum%11]
}

func chinese(s string) bool {
	return (s[6:8] == "19" || s[6:8] == "20") && birth(s[10:12], s[12:14]) &&
		s[17] == "10X98765432"[weighted(s, 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)%11]
}

// aadhaar is checked by the method of Verhoeff, in the dihedral group D5.
func aadhaar(s string) bool {
	if s[0] < '2' {
		return false
	}
	perm := [10]int{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	c := 0
	for i := range len(s) {
		d := at(s, len(s)-1-i)
		for range i % 8 {
			d = perm[d]
		}
		c = dihedral(c, d)
	}
	return c == 0
}

func dihedral(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return (a+b-5)%5 + 5
	case b < 5:
		return (a-5-b+5)%5 + 5
	default:
		return (a - b + 5) % 5
	}
}

func korean(s string) bool {
	return birth(s[2:4], s[4:6]) && s[6] <= '8' && (11-weighted(s, 2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)%11)%10 == at(s, 12)
}

func southAfrican(s string) bool { return birth(s[2:4], s[4:6]) && luhn(s) }

func tfn(s string) bool { return weighted(s, 1, 4, 3, 7, 5, 8, 6, 9, 10)%11 == 0 && !same(s) }
