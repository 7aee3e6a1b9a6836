package export

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/format/misp"
	"ecs/hub/internal/marking"
)

// MISP writes one event (MISP core format): an attribute for each value of each
// row, with tags for TLP, PAP, the Admiralty scale and what MISP has no field for.
// The last attribute is a comment with the report. The event has no marking of its
// own: each attribute has.
func MISP(w io.Writer, rows iter.Seq2[Row, error], opt Options) (Report, error) {
	err := opt.check()
	if err != nil {
		return Report{}, err
	}
	e := &event{out: newOut(io.Discard, false)}
	title := oneLine(opt.Title)
	if title == "" {
		title = "Selection of indicators"
	}
	seed := sha256.Sum256([]byte(title + "\n" + opt.Program.ID + "\n" + opt.At.UTC().Format(time.RFC3339Nano)))
	err = misp.Write(w, misp.Event{
		UUID: uuidOf(seed[:], "event"), Info: title, Date: opt.At, Org: opt.Program.Name, OrgUUID: strings.TrimPrefix(opt.Program.ID, "identity--"),
	}, func(yield func(misp.Attribute, error) bool) {
		err := e.each(rows, &opt, func(r *Row) error { return e.row(r, yield) })
		switch {
		case errors.Is(err, errStopped):
		case err != nil:
			yield(misp.Attribute{}, err)
		default:
			yield(misp.Attribute{
				UUID: uuidOf(seed[:], "report"), Type: "comment", Category: "Internal reference",
				Comment: "What this export holds", Value: e.report.String(),
			}, nil)
		}
	})
	if err != nil {
		return e.report, fmt.Errorf("export: %w", err)
	}
	return e.report, nil
}

// errStopped says that nobody wants any more attributes.
var errStopped = errors.New("stopped")

// event is an event on its way.
type event struct{ *out }

func (e *event) row(r *Row, yield func(misp.Attribute, error) bool) error {
	if !e.short(r) {
		e.report.Withheld[WhyMarkings]++
		return nil
	}
	atoms, err := atomsOf(r)
	if err != nil || len(atoms) == 0 {
		e.report.Withheld[WhyPattern]++
		return nil
	}
	it := &r.Item
	tags := e.tags(r)
	for i, a := range atoms {
		x := misp.Attribute{
			UUID: attributeID(it.ID, i), ToIDS: it.Enforce && !it.State.Ended(), Comment: it.Summary, Tags: tags, Timestamp: it.Modified, LastSeen: it.Observed,
		}
		x.Type, x.Value = misp.TypeOf(a)
		if !yield(x, nil) {
			return errStopped
		}
	}
	if it.Context != "" {
		e.left("context for analysts")
	}
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

// isReserved reports whether a tag says something about handling or weight: a
// label of a source must not pass for one.
func isReserved(label string) bool {
	l := strings.ToLower(strings.TrimSpace(label))
	return marking.IsTag(l) || marking.IsTag(label) || slices.ContainsFunc([]string{"tlp:", "pap:", "admiralty-scale:", "misp:confidence", "ecs:"},
		func(p string) bool { return strings.HasPrefix(l, p) })
}

// levels are the values of MISP's confidence-level, from 0 to 100 by 25.
var levels = [...]string{"unconfident", "rarely-confident", "fairly-confident", "usually-confident", "completely-confident"}

// tags gives the tags of a row: taxonomies tlp, PAP and admiralty-scale, the row's
// own labels, and machine tags of ours for what MISP has no field for.
func (e *event) tags(r *Row) []string {
	it := &r.Item
	pap := r.Handling.PAP()
	switch {
	case !it.Enforce:
		pap = max(pap, marking.PAPAmber) // passive actions only: a block is seen by the adversary
	default:
		pap = max(pap, marking.PAPGreen)
	}
	out := []string{"tlp:" + it.TLP.String(), "PAP:" + strings.TrimPrefix(pap.String(), "PAP:")}
	reliability, credibility := best(r.Sources)
	if reliability != "" {
		out = append(out, `admiralty-scale:source-reliability="`+strings.ToLower(reliability)+`"`)
	}
	if credibility != 0 {
		out = append(out, `admiralty-scale:information-credibility="`+strconv.Itoa(credibility)+`"`)
	}
	out = append(out,
		`ecs:category="`+it.Category.String()+`"`,
		`misp:confidence-level="`+levels[(min(max(it.Confidence, 0), 100)+12)/25]+`"`,
		`ecs:confidence="`+strconv.Itoa(it.Confidence)+`"`,
		`ecs:action="`+it.Action.String()+`"`,
		`ecs:disclosure="`+strconv.Itoa(int(it.Disclosure))+`"`,
		`ecs:notify="`+strconv.FormatBool(it.Notify)+`"`,
	)
	if !it.ValidFrom.IsZero() {
		out = append(out, `ecs:valid-from="`+it.ValidFrom.UTC().Format(time.RFC3339Nano)+`"`)
	}
	if !it.ValidUntil.IsZero() {
		out = append(out, `ecs:valid-until="`+it.ValidUntil.UTC().Format(time.RFC3339Nano)+`"`)
	}
	for l := range strings.SplitSeq(it.Labels, "\n") {
		if isReserved(l) {
			e.left("labels that look like markings")
		} else if l != "" {
			out = append(out, l)
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
