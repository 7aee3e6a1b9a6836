package export

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/stix"
)

// Reasons for which a bundle lacks something.
const (
	WhyObject = "it makes no valid STIX indicator"
	WhyBroken = "a further object is not valid STIX"
)

// STIX writes a bundle (STIX 2.1 section 8): the program's identity, each marking
// definition before the first object that needs it, an indicator for each row, the
// further objects, and a note with the report. A released indicator is written
// byte for byte as it was released, any other with all its markings. The bundle's identifier comes last, since it is
// made from all before it.
func STIX(w io.Writer, rows iter.Seq2[Row, error], opt Options) (Report, error) {
	err := opt.check()
	if err != nil {
		return Report{}, err
	}
	b := &bundle{out: newOut(w, true), opt: &opt, defined: map[string]bool{}, known: map[int64]*markings{}}
	if opt.More != nil {
		b.written = map[contract.ID]bool{}
	}
	b.puts(`{"type":"bundle","objects":[` + "\n")
	b.put(identityObject(&opt.Program))
	err = b.each(rows, &opt, b.row)
	if err != nil {
		return b.report, err
	}
	err = b.more()
	if err != nil {
		return b.report, err
	}
	sum := b.sum.Sum(nil)
	b.object(b.note(sum))
	b.puts("\n" + `],"id":"bundle--` + uuidOf(sum, "bundle") + `"}` + "\n")
	return b.end()
}

// bundle is a bundle on its way.
type bundle struct {
	*out
	opt     *Options
	defined map[string]bool
	known   map[int64]*markings
	written map[contract.ID]bool // nil when nobody will ask
}

func (b *bundle) object(raw []byte) {
	b.puts(",\n")
	b.put(raw)
}

func (b *bundle) row(r *Row) error {
	raw, tlp := r.Object, r.Item.TLP
	var more []stix.Marking
	if raw != nil {
		x, err := contract.ParseIndicator(raw)
		if err != nil || !x.Display {
			b.report.Withheld[WhyObject]++
			return nil
		}
		tlp = x.Marking
	} else {
		var err error
		raw, err = indicatorOf(&r.Item, b.opt.Program.ID)
		if err != nil {
			b.report.Withheld[WhyObject]++
			return nil
		}
		m := b.marks(r)
		raw, more = remark(raw, tlp, m), m.definitions
	}
	err := b.define(tlp, more)
	if err != nil {
		return err
	}
	b.object(raw)
	b.report.Written++
	if b.written != nil {
		b.written[r.Item.ID] = true
	}
	return nil
}

// more writes the further objects.
func (b *bundle) more() error {
	if b.opt.More == nil {
		return nil
	}
	for raw, err := range b.opt.More {
		if err != nil {
			return fmt.Errorf("export: further objects: %w", err)
		}
		_, err = stix.ParseObject(raw)
		var plain []byte
		if err == nil {
			plain, err = stix.CanonicalJSON(raw) // no identifier hides behind an escape there
		}
		if err != nil {
			b.report.Withheld[WhyBroken]++
			continue
		}
		if b.dangles(string(plain)) {
			b.report.Withheld[WhyNames]++
			continue
		}
		b.object(raw)
		b.report.Objects++
	}
	return nil
}

// dangles reports whether an object names an indicator that was not written,
// wherever in it: what is withheld must not be betrayed by its identifier.
func (b *bundle) dangles(text string) bool {
	for {
		i := strings.Index(text, "indicator--")
		if i < 0 {
			return false
		}
		text = text[i:]
		if len(text) < len("indicator--")+36 {
			return false
		}
		id, err := contract.ParseID(text[:len("indicator--")+36])
		if err == nil && !b.written[id] {
			return true
		}
		text = text[len("indicator--"):]
	}
}

// note says what this bundle holds and what not (section 4.10).
func (b *bundle) note(sum []byte) []byte {
	at := stix.FormatTime(b.opt.At.UTC())
	abstract := "What this export holds"
	if b.opt.Title != "" {
		abstract += ": " + oneLine(b.opt.Title)
	}
	return marshal(struct {
		Type     string   `json:"type"`
		Spec     string   `json:"spec_version"`
		ID       string   `json:"id"`
		By       string   `json:"created_by_ref"`
		Created  string   `json:"created"`
		Modified string   `json:"modified"`
		Abstract string   `json:"abstract"`
		Content  string   `json:"content"`
		Refs     []string `json:"object_refs"`
	}{
		"note", "2.1", "note--" + uuidOf(sum, "note"), b.opt.Program.ID, at, at, abstract, b.report.String(), []string{b.opt.Program.ID},
	})
}

func identityObject(p *Identity) []byte {
	at := stix.FormatTime(p.Created.UTC())
	return marshal(struct {
		Type     string `json:"type"`
		Spec     string `json:"spec_version"`
		ID       string `json:"id"`
		Created  string `json:"created"`
		Modified string `json:"modified"`
		Name     string `json:"name"`
		Class    string `json:"identity_class"`
	}{"identity", "2.1", p.ID, at, at, p.Name, "organization"})
}

// uuidOf makes a UUID (version 8, RFC 9562) from a digest, so that the same content
// has the same identifier.
func uuidOf(sum []byte, what string) string {
	return uuid.NewHash(sha256.New(), uuid.Nil, append([]byte(what+"\n"), sum...), 8).String()
}

// marshal gives JSON of what cannot fail to have one, without the escapes for HTML.
func marshal(v any) []byte {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	if err != nil {
		return []byte("null")
	}
	return []byte(strings.TrimSuffix(b.String(), "\n"))
}
