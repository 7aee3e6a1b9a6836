package stix

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// TestNumbers holds vectors of RFC 8785 appendix B.
func TestNumbers(t *testing.T) {
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0",
		0x8000000000000000: "0",
		0x0000000000000001: "5e-324",
		0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308",
		0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992",
		0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22",
		0x44b52d02c7e14af6: "1e+23",
		0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000",
		0x444b1ae4d6e2ef4f: "999999999999999900000",
		0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7",
		0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332",
		0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333",
		0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		got := string(appendNumber(nil, math.Float64frombits(bits)))
		if got != want {
			t.Errorf("%016x: got %s, want %s", bits, got, want)
		}
	}
}

func TestCanonicalJSON(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", " { } ", "{}"},
		{"RFC 8785 section 3.2.2", "{\n\"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n\"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n\"literals\": [null, true, false]\n}", "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"},
		{
			"RFC 8785 section 3.2.3", "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\",\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}",
		},
		{"escapes", `"\b\f\n\r\t\/\u001f\ud83d\ude00"`, `"\b\f\n\r\t/\u001f😀"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := CanonicalJSON([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestStrictJSON(t *testing.T) {
	for _, c := range []struct{ name, in string }{
		{"empty", ""},
		{"name twice", `{"a":1,"\u0061":2}`},
		{"lone high surrogate", `"\ud800"`},
		{"lone low surrogate", `"\udc00x"`},
		{"two high surrogates", `"\ud800\ud800"`},
		{"bad UTF-8", "\"\xff\""},
		{"control character", "\"\n\""},
		{"trailing comma", `[1,]`},
		{"trailing comma in object", `{"a":1,}`},
		{"leading zero", `01`},
		{"plus", `+1`},
		{"point without digits", `1.`},
		{"huge number", `1e999`},
		{"unknown escape", `"\x41"`},
		{"short escape", `"\u12"`},
		{"two values", `1 2`},
		{"word", `nul`},
		{"name without quotes", `{a:1}`},
		{"no colon", `{"a" 1}`},
		{"open string", `"abc`},
		{"open array", `[1`},
		{"deep", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1)},
	} {
		got, err := CanonicalJSON([]byte(c.in))
		if err == nil {
			t.Errorf("%s: got %s, want an error", c.name, got)
		}
	}
	_, err := CanonicalJSON([]byte(strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)))
	if err != nil {
		t.Error("depth at the limit:", err)
	}
}

// FuzzCanonicalJSON compares with encoding/json, which accepts more.
func FuzzCanonicalJSON(f *testing.F) {
	for _, s := range []string{`{"b":[1,2.5e3,"x\u00e9"],"a":null}`, `"\ud83d\ude00"`, `-0.0`, `[[[]]]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := CanonicalJSON(in)
		if err != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("%q accepted, but is not JSON", in)
		}
		twice, err := CanonicalJSON(once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q became %q and then %q, %v", in, once, twice, err)
		}
		var a, b any
		err = json.Unmarshal(in, &a)
		if err != nil {
			t.Fatal(err)
		}
		err = json.Unmarshal(once, &b)
		if err != nil {
			t.Fatal(err)
		}
		x, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		y, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(x, y) && !bytes.Contains(x, []byte("-0")) {
			t.Fatalf("%q means %s, canonical form means %s", in, x, y)
		}
	})
}
