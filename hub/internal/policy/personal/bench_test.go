package personal_test

import (
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/policy/personal"
)

// Texts of one indicator, as feeds have them.
var benchTexts = map[string]string{
	"short":   "Emotet C2 server, seen by two sensors",
	"numbers": "C2 of Emotet epoch 5, seen 2024-03-15 12:30:45 from 192.0.2.7 port 8080, sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"report": "The loader was sent to staff of a hospital by jane.doe@mail.example on 2024-03-15. It drops C:\\Users\\Public\\x.exe and " +
		"beacons to https://evil.example/gate.php?id=4711 every 60 seconds. Dear Customer, please open the invoice.",
}

// BenchmarkFind, AMD EPYC, 2 cores of a shared machine:
//
//	short 135 ns, numbers 1.3 µs, report 3.1 µs
func BenchmarkFind(b *testing.B) {
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				personal.Find("summary", text)
			}
		})
	}
}

// TestLinear holds the longest texts, made to defy each rule, to a time that
// anything quadratic would miss by far.
func TestLinear(t *testing.T) {
	for _, unit := range []string{
		"@", "a@", "a@b.", "a@b.c", "[at]", "a.b.c.d.", "+1", "1 ", "01 ", "(0", "00", "12-", "1.1", "a1", "GB82 ", "://", "a://", "a://?", "a://?a=%25",
		"\\", "\\\\a", "/home/", "c:\\users\\a ", "Mr ", "Dear A, ", "A. ", "user: ", "From:", "regards,\n", "Jane ", "van ", "aa:", "1.23456, ", "1°", "é", "\xff",
		"a://?x=http%3A%2F%2Fa%3Fx%3D", "%40", "x=eyJh&", "-", "tel ",
	} {
		text := strings.Repeat(unit, personal.Limit/len(unit))
		begin := time.Now()
		personal.Find("f", text)
		personal.FindURL("f", "http://a/"+text[:4096])
		if took := time.Since(begin); took > 500*time.Millisecond {
			t.Errorf("%d bytes of %q took %v", len(text), unit, took)
		}
	}
}
