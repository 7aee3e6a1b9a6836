package export

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/observable"
)

// attributeTypes are MISP's type and category for each kind.
var attributeTypes = map[observable.Kind][2]string{
	observable.Domain:   {"domain", "Network activity"},
	observable.Addr:     {"ip-dst", "Network activity"},
	observable.Prefix:   {"ip-dst", "Network activity"},
	observable.Port:     {"port", "Network activity"},
	observable.URL:      {"url", "Network activity"},
	observable.Mail:     {"email-src", "Payload delivery"},
	observable.Subject:  {"email-subject", "Payload delivery"},
	observable.FileName: {"filename", "Payload delivery"},
	observable.MD5:      {"md5", "Payload delivery"},
	observable.SHA1:     {"sha1", "Payload delivery"},
	observable.SHA256:   {"sha256", "Payload delivery"},
	observable.SHA512:   {"sha512", "Payload delivery"},
}

// attribute is a MISP attribute, as far as it is written (MISP core format,
// section 2.4).
type attribute struct {
	UUID      string `json:"uuid"`
	Type      string `json:"type"`
	Category  string `json:"category"`
	ToIDs     bool   `json:"to_ids"`
	Timestamp string `json:"timestamp"` // seconds since 1970
	Comment   string `json:"comment"`
	Value     string `json:"value"`
	LastSeen  string `json:"last_seen,omitempty"`
	Uncorr    bool   `json:"disable_correlation,omitempty"`
	Tags      []tag  `json:"Tag,omitempty"`
}

type tag struct {
	Name string `json:"name"`
}

// MISP writes one event (MISP core format): an attribute for each value of each
// row, with tags for TLP, PAP, the Admiralty scale and what MISP has no field for.
// The last attribute is a comment with the report. The event is not published and
// for the receiving organization only. Its identifier comes last, since it is made
// from all before it.
func MISP(w io.Writer, rows iter.Seq2[Row, error], opt Options) (Report, error) {
	err := opt.check()
	if err != nil {
		return Report{}, err
	}
	e := &event{out: newOut(w, true), opt: &opt}
	at := opt.At.UTC()
	title := oneLine(opt.Title)
	if title == "" {
		title = "Selection of indicators"
	}
	e.puts(`{"Event":{"info":`)
	e.json(title)
	e.puts(`,"date":"` + at.Format(time.DateOnly) + `","timestamp":"` + strconv.FormatInt(at.Unix(), 10) +
		`","published":false,"analysis":"2","threat_level_id":"4","distribution":"0","Orgc":{"uuid":"` +
		strings.TrimPrefix(opt.Program.ID, "identity--") + `","name":`)
	e.json(opt.Program.Name)
	e.puts(`},"Attribute":[` + "\n")
	err = e.each(rows, &opt, e.row)
	if err != nil {
		return e.report, err
	}
	text := e.report.String()
	sum := e.sum.Sum(nil)
	e.attribute(&attribute{
		UUID: uuidOf(sum, "report"), Type: "comment", Category: "Internal reference", Timestamp: strconv.FormatInt(at.Unix(), 10),
		Comment: "What this export holds", Value: text, Uncorr: true,
	})
	e.puts("\n" + `],"Tag":[{"name":"tlp:` + e.tlp.String() + `"}],"uuid":"` + uuidOf(e.sum.Sum(nil), "event") + `"}}` + "\n")
	return e.end()
}

// event is an event on its way.
type event struct {
	*out
	opt  *Options
	tlp  contract.TLP // the strictest so far
	some bool
}

func (e *event) json(v any) { e.put(marshal(v)) }

func (e *event) attribute(a *attribute) {
	if e.some {
		e.puts(",\n")
	}
	e.some = true
	b, err := json.Marshal(a)
	if err != nil && e.err == nil {
		e.err = err
	}
	e.put(b)
}

func (e *event) row(r *Row) error {
	atoms, err := atomsOf(r)
	if err != nil || len(atoms) == 0 {
		e.report.Withheld[WhyPattern]++
		return nil
	}
	it := &r.Item
	tags := e.tags(r)
	for i, a := range atoms {
		kind, ok := attributeTypes[a.Kind]
		if !ok {
			e.left("values of a kind that MISP does not have")
			continue
		}
		out := attribute{
			UUID: attributeID(it.ID, i), Type: kind[0], Category: kind[1], ToIDs: it.Enforce && !it.State.Ended(),
			Timestamp: strconv.FormatInt(it.Modified.Unix(), 10), Comment: it.Summary, Value: a.Value, Tags: tags,
			LastSeen: seen(it.Observed),
		}
		switch {
		case a.Kind == observable.Port:
			out.Value = strconv.Itoa(int(a.Port))
		case a.Port != 0:
			out.Type, out.Value = out.Type+"|port", a.Value+"|"+strconv.Itoa(int(a.Port))
		}
		if a.Proto != 0 {
			e.left("transport protocols")
		}
		e.attribute(&out)
	}
	if it.Context != "" {
		e.left("context for analysts")
	}
	e.tlp = max(e.tlp, it.TLP)
	e.report.Written++
	return nil
}

// attributeID gives the identifier of a value of an indicator, always the same:
// that of the indicator for its first value.
func attributeID(id contract.ID, i int) string {
	if i == 0 {
		return uuid.UUID(id).String()
	}
	return uuid.NewHash(sha256.New(), uuid.UUID(id), []byte(strconv.Itoa(i)), 8).String()
}

func seen(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000Z07:00")
}

// reserved are the name spaces of tags that say something about handling: a label
// of a source must not pass for one.
var reserved = []string{"tlp:", "pap:", "admiralty-scale:", "ecs:"}

// tags gives the tags of a row: taxonomies tlp, PAP and admiralty-scale, the row's
// own labels, and machine tags of ours for what MISP has no field for.
func (e *event) tags(r *Row) []tag {
	it := &r.Item
	pap := "PAP:AMBER" // passive actions only: a block is seen by the adversary
	if it.Enforce {
		pap = "PAP:GREEN"
	}
	out := []tag{{"tlp:" + it.TLP.String()}, {pap}}
	reliability, credibility := best(r.Sources)
	if reliability != "" {
		out = append(out, tag{`admiralty-scale:source-reliability="` + strings.ToLower(reliability) + `"`})
	}
	if credibility != 0 {
		out = append(out, tag{`admiralty-scale:information-credibility="` + strconv.Itoa(credibility) + `"`})
	}
	out = append(out,
		tag{`ecs:category="` + it.Category.String() + `"`},
		tag{`ecs:confidence="` + strconv.Itoa(it.Confidence) + `"`},
		tag{`ecs:action="` + it.Action.String() + `"`},
		tag{`ecs:disclosure="` + strconv.Itoa(int(it.Disclosure)) + `"`},
		tag{`ecs:notify="` + strconv.FormatBool(it.Notify) + `"`},
	)
	if !it.ValidFrom.IsZero() {
		out = append(out, tag{`ecs:valid-from="` + it.ValidFrom.UTC().Format(time.RFC3339Nano) + `"`})
	}
	if !it.ValidUntil.IsZero() {
		out = append(out, tag{`ecs:valid-until="` + it.ValidUntil.UTC().Format(time.RFC3339Nano) + `"`})
	}
	for l := range strings.SplitSeq(it.Labels, "\n") {
		if slices.ContainsFunc(reserved, func(p string) bool { return strings.HasPrefix(strings.ToLower(strings.TrimSpace(l)), p) }) {
			e.left("labels that look like markings")
		} else if l != "" {
			out = append(out, tag{l})
		}
	}
	return out
}

// best gives the best grade of a source and of the information; F and 6, which
// judge nothing, come last.
func best(sources []Grade) (reliability string, credibility int) {
	for _, s := range sources {
		if s.Reliability != "" && (reliability == "" || s.Reliability < reliability) {
			reliability = s.Reliability
		}
		if s.Credibility != 0 && (credibility == 0 || s.Credibility < credibility) {
			credibility = s.Credibility
		}
	}
	return reliability, credibility
}
