package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/format"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
)

// Preview is what would become of the beginning of a delivery.
type Preview struct {
	Rows    []PreviewRow
	Ends    bool   // the rows are all that there is
	Refused string // why what follows the rows, or the whole, would be refused
}

// PreviewRow is what would become of one record, short of what is known already:
// duplicates are found when it is taken in.
type PreviewRow struct {
	Number   int64
	Place    string
	Was      string // the value or pattern as it was given, printable
	Kind     string // of a value
	Value    string // canonical, empty when it is not taken as an indicator
	Object   string // type of a STIX object that would be kept
	Summary  string
	Context  string
	Labels   string
	TLP      contract.TLP
	Category string
	State    indicator.State // where it would stop, empty when it is not taken as an indicator
	Findings []indicator.Finding
	Refusal  *Refusal
	Skipped  bool
	Takes    bool // it takes something back, or calls it benign
}

// Changed reports whether the value would be brought into another spelling.
func (r *PreviewRow) Changed() bool { return r.Value != "" && r.Was != "" && r.Was != r.Value }

const maxShown = 300 // bytes of a text of a preview

// Preview judges the first records of a delivery, at most most, as they would be
// judged if it were taken in now, and writes nothing. Of d, Format must be known. The
// error is a *[Refused] when the source may not deliver.
func (in *Intake) Preview(ctx context.Context, d Delivery, r io.ReadSeeker, most int) (Preview, error) {
	src, err := readSource(ctx, in.cfg.DB, d.Source)
	if err != nil {
		return Preview{}, err
	}
	p := producer{
		in: in, src: src, checker: in.cfg.Checker(), now: time.Now().UTC().Truncate(time.Microsecond),
		batch: Batch{Source: d.Source, Name: d.Name, Format: d.Format, Mapping: d.Mapping, Submitter: d.Submitter},
	}
	p.begin()
	_, err = r.Seek(0, io.SeekStart)
	if err != nil {
		return Preview{}, fmt.Errorf("intake: read again: %w", err)
	}
	var out Preview
	reader, err := p.open(r)
	if err != nil {
		return out.refused(err)
	}
	closer, ok := reader.(io.Closer)
	if ok {
		defer func() { _ = closer.Close() }()
	}
	for int64(most) > int64(len(out.Rows)) {
		record, err := reader.Next()
		if errors.Is(err, io.EOF) {
			out.Ends = true
			return out, nil
		}
		if err != nil {
			return out.refused(err)
		}
		out.Rows = append(out.Rows, p.row(record, int64(len(out.Rows))+1))
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	return out, nil
}

// refused ends a preview where the file ends to be readable.
func (v *Preview) refused(err error) (Preview, error) {
	var whole *format.Refused
	var own *Refused
	switch {
	case errors.As(err, &whole):
		v.Refused = policy.Printable(whole.Reason, maxReason)
	case errors.As(err, &own):
		v.Refused = policy.Printable(own.Reason, maxReason)
	default:
		return *v, err
	}
	return *v, nil
}

func (p *producer) row(r *format.Record, number int64) PreviewRow {
	was := r.Value
	if was == "" {
		was = r.Pattern
	}
	o := p.judge(r)
	out := PreviewRow{Number: number, Place: policy.Printable(r.Place, maxPlace), Was: policy.Printable(was, maxShown), Skipped: o.skipped, Takes: o.taken != nil}
	if o.refusal != nil {
		out.Refusal = o.refusal.at(number, r.Place, r.Raw)
	}
	if o.object != nil {
		out.Object, out.Value, out.Was = o.object.kind, "", policy.Printable(o.object.name, maxShown)
	}
	if o.ready == nil {
		return out
	}
	it := &o.ready.item
	out.Value, out.Kind = policy.Printable(it.Value, maxShown), it.Kind.String()
	if r.Value == "" {
		out.Value = policy.Printable(it.Pattern, maxShown)
	}
	out.Summary, out.Context, out.Labels = oneLine(it.Summary), oneLine(it.Context), oneLine(it.Labels)
	out.State, out.Findings, out.Category = it.State, o.ready.findings, it.Category.String()
	out.TLP = it.TLP
	return out
}

// oneLine makes a text fit for a row.
func oneLine(s string) string {
	return policy.Printable(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), "; "), maxShown)
}
