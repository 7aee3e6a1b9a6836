package contract

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write test/vectors/checkpoint.json anew")

const vectorFile = "../test/vectors/checkpoint.json"

// vector is one list and what follows from it. Other implementations may use
// the file: docs/formats/checkpoint.md explains it.
type vector struct {
	Name     string        `json:"name"`
	Entries  []vectorEntry `json:"entries"`
	Provider string        `json:"provider"`
	Sequence uint64        `json:"sequence"`
	Issued   time.Time     `json:"issued"`
	Expires  time.Time     `json:"expires"`
	Count    int           `json:"count"`
	Root     Digest        `json:"root"`
	Text     string        `json:"text"`
	Note     string        `json:"note"`
}

type vectorEntry struct {
	Services Services `json:"services"`
	Object   string   `json:"object"`
	Leaf     Digest   `json:"leaf"`
}

type vectors struct {
	Comment  string   `json:"comment"`
	Verifier string   `json:"verifier"`
	Seed     string   `json:"seed"` // of the Ed25519 key, hexadecimal
	Cases    []vector `json:"cases"`
}

const signerName = "vector.example"

func signer() ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("ecs test vector"))
	return ed25519.NewKeyFromSeed(seed[:])
}

// keyHash is the four bytes with which a signed note names a key: the first of
// SHA-256(name, "\n", algorithm 1, public key).
func keyHash() []byte {
	public := signer().Public().(ed25519.PublicKey)
	h := sha256.Sum256(append([]byte(signerName+"\n\x01"), public...))
	return h[:4]
}

func signNote(text string) string {
	sig := append(bytes.Clone(keyHash()), ed25519.Sign(signer(), []byte(text))...)
	return text + "\n\u2014 " + signerName + " " + base64.StdEncoding.EncodeToString(sig) + "\n"
}

func makeVectors(t *testing.T) vectors {
	t.Helper()
	public := signer().Public().(ed25519.PublicKey)
	key := base64.StdEncoding.EncodeToString(append([]byte{1}, public...))
	out := vectors{
		Comment:  "See docs/formats/checkpoint.md. The key is for tests only.",
		Verifier: signerName + "+" + hex.EncodeToString(keyHash()) + "+" + key,
		Seed:     Digest(sha256.Sum256([]byte("ecs test vector"))).String(),
	}
	for _, c := range []struct {
		name string
		ids  []ID
	}{
		{"empty list", nil},
		{"one indicator", []ID{{0, 1, 15: 1}}},
		{"two in one bucket, one next to it, one far away", []ID{{0, 1, 15: 2}, {0, 1, 15: 1}, {0, 2, 15: 1}, {0xff, 0xff, 15: 1}}},
	} {
		v := vector{
			Name: c.name, Provider: "north", Sequence: uint64(len(c.ids)), Issued: moment, Expires: moment.Add(time.Hour + 456*time.Microsecond),
			Entries: []vectorEntry{},
		}
		l := NewList()
		for i, id := range c.ids {
			x := example()
			x.ID = id
			object, err := x.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			e := Entry{Seq: uint64(i + 1), Services: AllServices &^ Services(i), Object: object}
			l.Put(id, e.Leaf(), x.ValidUntil)
			v.Entries = append(v.Entries, vectorEntry{Services: e.Services, Object: string(object), Leaf: e.Leaf()})
		}
		v.Count, v.Root = l.Len(), l.Root()
		cp := Checkpoint{Provider: v.Provider, Sequence: v.Sequence, Issued: v.Issued, Expires: v.Expires, Count: v.Count, Root: v.Root}
		v.Text = cp.Text()
		v.Note = signNote(v.Text)
		out.Cases = append(out.Cases, v)
	}
	return out
}

// The file is what this code makes, and holds by the page's own words: leaves
// and roots by the oracle, the note by Ed25519 alone.
func TestVectors(t *testing.T) {
	made := makeVectors(t)
	if *update {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err := e.Encode(made)
		if err != nil {
			t.Fatal(err)
		}
		err = os.WriteFile(vectorFile, b.Bytes(), 0o644)
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	var file vectors
	err = json.Unmarshal(text, &file)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Cases) != len(made.Cases) {
		t.Fatalf("%d cases in the file, %d made; run with -update when the change is meant", len(file.Cases), len(made.Cases))
	}
	page, err := os.ReadFile("../docs/formats/checkpoint.md")
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range file.Cases {
		if v.Note != made.Cases[i].Note {
			t.Errorf("%s: the file's note is another; run with -update when the change is meant", v.Name)
		}
		in := map[ID]Digest{}
		for _, e := range v.Entries {
			x, err := ParseIndicator([]byte(e.Object))
			if err != nil {
				t.Fatal(err)
			}
			if sum := Digest(sha256.Sum256(append([]byte{0, byte(e.Services)}, e.Object...))); sum != e.Leaf {
				t.Errorf("%s: leaf %s", v.Name, e.Leaf)
			}
			in[x.ID] = e.Leaf
		}
		if len(in) != v.Count || oracle(in) != v.Root {
			t.Errorf("%s: %d in force, root %s", v.Name, v.Count, v.Root)
		}
		signed, line, _ := strings.Cut(v.Note, "\n\n")
		sig, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(strings.TrimPrefix(line, "\u2014 "+signerName+" "), "\n"))
		if err != nil || len(sig) != 68 || !bytes.Equal(sig[:4], keyHash()) ||
			!ed25519.Verify(signer().Public().(ed25519.PublicKey), []byte(signed+"\n"), sig[4:]) {
			t.Errorf("%s: the note's signature, %v", v.Name, err)
		}
		c, err := ParseCheckpoint(signed + "\n")
		if err != nil || c.Text() != v.Text || c.Root != v.Root || !c.Expires.Equal(v.Expires) {
			t.Errorf("%s: %+v, %v", v.Name, c, err)
		}
	}
	last := file.Cases[len(file.Cases)-1]
	for _, want := range []string{last.Text, last.Root.String(), file.Cases[0].Root.String(), file.Verifier} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("docs/formats/checkpoint.md lacks %q", want)
		}
	}
}

func genCheckpoint(t *rapid.T) *Checkpoint {
	at := func(label string) time.Time {
		return time.UnixMicro(rapid.Int64Range(0, 4_000_000_000_000_000).Draw(t, label)).UTC()
	}
	return &Checkpoint{
		Provider: rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?`).Draw(t, "provider"),
		Sequence: rapid.Uint64().Draw(t, "sequence"), Issued: at("issued"), Expires: at("expires"),
		Count: rapid.IntRange(0, 1<<40).Draw(t, "count"), Root: sha256.Sum256([]byte(rapid.String().Draw(t, "root"))),
	}
}

func TestCheckpointRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCheckpoint(t)
		d, err := ParseCheckpoint(c.Text())
		if err != nil || *c != *d {
			t.Fatalf("%+v %+v %v", c, d, err)
		}
	})
}

func TestParseCheckpointRefuses(t *testing.T) {
	good := (&Checkpoint{Provider: "north", Sequence: 4, Issued: moment, Expires: moment.Add(time.Hour), Count: 4}).Text()
	_, err := ParseCheckpoint(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string][2]string{
		"title": {"v1", "v2"}, "no provider": {"provider north\n", ""}, "empty provider": {"north", ""}, "order": {"sequence 4\nissued", "issued 4\nsequence"},
		"sign": {"sequence 4", "sequence +4"}, "zero in front": {"count 4", "count 04"}, "below zero": {"count 4", "count -4"},
		"milliseconds": {".123000Z", ".123Z"}, "offset": {".123000Z", ".123000+00:00"}, "upper-case root": {"root 0", "root A"},
		"short root": {"root 00", "root "}, "two blanks": {"provider north", "provider  north"}, "CR": {"north\n", "north\r\n"},
		"more": {"count 4\n", "count 4\ncount 4\n"}, "no end": {"0\n", "0"},
	} {
		text := strings.Replace(good, r[0], r[1], 1)
		if name == "no end" {
			text = strings.TrimSuffix(good, "\n")
		}
		if text == good {
			t.Fatalf("%s: nothing replaced", name)
		}
		// A text with another provider's name is for another provider, whatever
		// the name looks like.
		c, err := ParseCheckpoint(text)
		if err == nil && c.Provider == "north" {
			t.Errorf("%s: accepted %+v", name, c)
		}
	}
}

func FuzzParseCheckpoint(f *testing.F) {
	f.Add((&Checkpoint{Provider: "north", Sequence: 4, Issued: moment, Expires: moment, Count: 4}).Text())
	f.Add("ecs checkpoint v1\n\n\n\n\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCheckpoint(text)
		if err == nil && (c.Text() != text || c.Count < 0) {
			t.Fatalf("accepted %q", text)
		}
	})
}

func TestRules(t *testing.T) {
	r, err := ParseRules(DefaultRules.Text())
	if err != nil || *r != DefaultRules {
		t.Fatalf("%+v, %v", r, err)
	}
	for name, change := range map[string]func(*Rules){
		"two customers": func(r *Rules) { r.MinCustomers = 2 },
		"few events":    func(r *Rules) { r.MinEvents = r.MinCustomers - 1 },
		"one customer":  func(r *Rules) { r.MaxShare = 100 },
		"no share":      func(r *Rules) { r.MaxShare = 0 },
		"no day":        func(r *Rules) { r.DayLength = 0 },
		"week":          func(r *Rules) { r.DayLength = 7 * 24 * time.Hour },
	} {
		weak := DefaultRules
		change(&weak)
		_, err = ParseRules(weak.Text())
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	good := DefaultRules.Text()
	for _, r := range [][2]string{{"version 1", "version -1"}, {"version 1", "version +1"}, {"min-events 10", "min-events 010"}, {"day-seconds 86400", "day-seconds 18446744073709638"}, {"v1", "v2"}, {"max-share 60\n", ""}} {
		text := strings.Replace(good, r[0], r[1], 1)
		_, err = ParseRules(text)
		if err == nil || text == good {
			t.Errorf("%s: accepted", r[1])
		}
	}
}
