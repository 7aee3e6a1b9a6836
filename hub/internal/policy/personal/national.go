package personal

import "strings"

// number is one kind of number of a person: how it is written, and what tells it
// from any other number of that form.
type number struct {
	masks []string          // 9 a digit, A a letter, X either, anything else itself
	check func(string) bool // of the digits and letters alone, in upper case
	words []string          // one of them has to stand before it; nil: the check is enough
	kind  Kind
	why   string
}

// numbersOfPersons is the closed table of what is known. Where a check is weak,
// words are needed. docs/formats/checks.md lists it.
var numbersOfPersons = []number{
	{[]string{
		"9999 9999 9999 9999", "9999-9999-9999-9999", "9999999999999999", "9999 999999 99999", "9999-999999-99999", "999999999999999",
	}, card, nil, Account, "a payment card number (Luhn)"},
	{[]string{"999-99-9999", "999 99 9999"}, ssn, nil, NationalID, "a number of the form of a US social security number"},
	{[]string{"999999999"}, ssn, []string{"ssn", "social security", "social-security", "social security number", "ssn is"}, NationalID, "a US social security number, named as one"},
	{[]string{"999-99-9999", "999 99 9999"}, itin, nil, NationalID, "a number of the form of a US taxpayer number (ITIN)"},
	{[]string{"AA999999A", "AA 99 99 99 A", "AA-99-99-99-A"}, nino, nil, NationalID, "a number of the form of a UK national insurance number"},
	{[]string{"999 999 9999", "9999999999"}, nhs, []string{"nhs", "nhs number", "nhs no"}, NationalID, "a UK health service number"},
	{[]string{"999-999-999", "999 999 999"}, luhn, []string{"sin", "social insurance", "social insurance number"}, NationalID, "a Canadian social insurance number"},
	{[]string{"99999999A", "99999999-A"}, dni, nil, NationalID, "a Spanish identity number (DNI)"},
	{[]string{"A9999999A", "A-9999999-A"}, nie, nil, NationalID, "a Spanish foreigner's number (NIE)"},
	{[]string{"A9999999A"}, nric, nil, NationalID, "a Singapore identity number"},
	{[]string{"999999999999999", "9 99 99 99 999 999 99"}, nir, nil, NationalID, "a French social security number (NIR)"},
	{[]string{"99999999999", "99 999 999 999"}, steuerID, nil, NationalID, "a German tax number (IdNr)"},
	{[]string{"AAAAAA99A99A999A"}, codiceFiscale, nil, NationalID, "an Italian tax code"},
	{[]string{"999999999", "9999.99.999", "9999 99 999"}, bsn, []string{"bsn", "burgerservicenummer", "sofinummer"}, NationalID, "a Dutch citizen number (BSN)"},
	{[]string{"99.99.99-999.99", "99999999999"}, rijksregister, nil, NationalID, "a Belgian national number"},
	{[]string{"99999999999"}, pesel, nil, NationalID, "a Polish identity number (PESEL)"},
	{[]string{"999999-9999", "99999999-9999", "999999+9999", "999999999999"}, personnummer, nil, NationalID, "a Swedish identity number"},
	{[]string{"999999-999X", "999999+999X", "999999A999X"}, hetu, nil, NationalID, "a Finnish identity number"},
	{[]string{"999999-9999", "9999999999"}, cpr, []string{"cpr", "cpr-nr", "cpr-nummer"}, NationalID, "a Danish identity number (CPR)"},
	{[]string{"99999999999", "999999 99999"}, fodselsnummer, nil, NationalID, "a Norwegian identity number"},
	{[]string{"756.9999.9999.99"}, ean, nil, NationalID, "a Swiss social security number (AHV)"},
	{[]string{"9999 999999", "9999999999"}, svnr, []string{"svnr", "sv-nr", "sozialversicherungsnummer", "versicherungsnummer"}, NationalID, "an Austrian social security number"},
	{[]string{"999999/9999"}, rodneCislo, nil, NationalID, "a Czech or Slovak birth number"},
	{[]string{"99999999999"}, mod1110, []string{"oib"}, NationalID, "a Croatian identity number (OIB)"},
	{[]string{"9999999999999"}, cnp, []string{"cnp"}, NationalID, "a Romanian identity number (CNP)"},
	{[]string{"9999999999"}, egn, []string{"egn", "егн"}, NationalID, "a Bulgarian identity number (EGN)"},
	{[]string{"999999999", "999 999 999"}, nif, []string{"nif", "contribuinte"}, NationalID, "a Portuguese tax number (NIF)"},
	{[]string{"99999999999"}, tckn, nil, NationalID, "a Turkish identity number"},
	{[]string{"999.999.999-99"}, cpf, nil, NationalID, "a Brazilian taxpayer number (CPF)"},
	{[]string{"99999999999"}, cpf, []string{"cpf"}, NationalID, "a Brazilian taxpayer number (CPF)"},
	{[]string{"AAAA999999AAAAAAX9"}, curp, nil, NationalID, "a Mexican population number (CURP)"},
	{[]string{"99.999.999-X", "9.999.999-X"}, rut, nil, NationalID, "a Chilean identity number (RUT)"},
	{[]string{"99999999999999999X"}, chinese, nil, NationalID, "a Chinese identity number"},
	{[]string{"9999 9999 9999", "9999-9999-9999"}, aadhaar, nil, NationalID, "an Indian identity number (Aadhaar)"},
	{[]string{"999999-9999999"}, korean, nil, NationalID, "a Korean registration number"},
	{[]string{"9999999999999"}, southAfrican, []string{"id number", "id no", "identity number"}, NationalID, "a South African identity number"},
	{[]string{"999 999 999", "999999999"}, tfn, []string{"tfn", "tax file number"}, NationalID, "an Australian tax file number"},
	{[]string{"999999999", "A99999999", "AA9999999", "AA999999", "X99999999"}, nil, []string{"passport", "passport no", "passport number", "reisepass", "passeport", "pasaporte"}, NationalID, "a passport number, named as one"},
	{[]string{"999999999999999", "99-999999-999999-9"}, luhn, []string{"imei"}, Device, "the number of a mobile telephone (IMEI)"},
}

// keyed is a mask with the number that it belongs to.
type keyed struct {
	mask   string
	number int // in numbersOfPersons
}

// longest is the longest run of digits and letters that begins a mask, plus one.
const longest = 20

// national holds the masks by the length of the run of digits and letters that
// they begin with, in the order of the table.
var national = func() (t [longest][]keyed) {
	for i, n := range numbersOfPersons {
		for _, m := range n.masks {
			r := run(m, 0)
			t[r] = append(t[r], keyed{m, i})
		}
	}
	return t
}()

// run gives how many digits and letters follow each other from i on, at most
// longest-1; 0 for more, since no mask has them.
func run(s string, i int) int {
	n := 0
	for i+n < len(s) && alnum(s[i+n]) {
		n++
		if n == longest {
			return 0
		}
	}
	return n
}

// holds judges what a mask fits from start to end.
func (n *number) holds(s string, start, end int) bool {
	return ends(s, end) && (n.check == nil || n.check(bare(s[start:end]))) && (n.words == nil || cued(s, start, n.words))
}

func fits(s string, i int, mask string) bool {
	if len(s)-i < len(mask) {
		return false
	}
	for j := range len(mask) {
		c := s[i+j]
		ok := c == mask[j]
		switch mask[j] {
		case '9':
			ok = digit(c)
		case 'A':
			ok = letter(c)
		case 'X':
			ok = alnum(c)
		}
		if !ok {
			return false
		}
	}
	return true
}

// bare gives the digits and letters of s, in upper case.
func bare(s string) string {
	var b [40]byte
	n := 0
	for i := range len(s) {
		c := s[i]
		if !alnum(c) || n == len(b) {
			continue
		}
		if c >= 'a' {
			c -= 'a' - 'A'
		}
		b[n] = c
		n++
	}
	return string(b[:n])
}

// ibanLength is the length of account numbers by country (SWIFT IBAN registry).
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28,
	"CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18,
	"FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
	"IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
	"NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
	"SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26,
	"UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

// ibanAt gives where an account number that begins at i ends, or 0: as many digits
// and letters as the country has, with single spaces or hyphens between, and
// right check digits.
func ibanAt(s string, i int) int {
	if i+15 > len(s) || !letter(s[i+1]) || !digit(s[i+2]) || !digit(s[i+3]) {
		return 0
	}
	want := ibanLength[strings.ToUpper(s[i:i+2])]
	n, j := 0, i
	for ; j < len(s) && n < want; j++ {
		switch {
		case alnum(s[j]):
			n++
		case (s[j] == ' ' || s[j] == '-') && j+1 < len(s) && alnum(s[j+1]):
		default:
			return 0
		}
	}
	if want == 0 || n < want || !mod97(bare(s[i:j])) {
		return 0
	}
	return j
}
