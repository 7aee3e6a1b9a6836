package export

import (
	"io"
	"iter"

	"ecs/hub/internal/marking"
	"ecs/observable"
)

// List writes one value a line: those of opt.Kind, or of all kinds, each run of one
// kind behind a comment that names it. All values of a pattern are written. The
// last lines are comments: what the markings of all combine to, and the report.
func List(w io.Writer, rows iter.Seq2[Row, error], opt Options) (Report, error) {
	o := newOut(w, false)
	last := observable.None
	joined := marking.Open()
	err := o.each(rows, &opt, func(r *Row) error {
		atoms, err := atomsOf(r)
		if err != nil {
			o.report.Withheld[WhyPattern]++
			return nil
		}
		written := false
		for _, a := range atoms {
			if opt.Kind != observable.None && a.Kind != opt.Kind {
				o.left("values of another kind")
				continue
			}
			if opt.Kind == observable.None && a.Kind != last {
				o.puts("# " + a.Kind.String() + "\n")
				last = a.Kind
			}
			text := oneLine(a.String())
			if text != "" && text[0] == '#' {
				o.left("values that begin as a comment")
				continue
			}
			o.puts(text + "\n")
			written = true
		}
		if written {
			joined = joined.Join(r.Handling)
			o.report.Written++
		}
		return nil
	})
	if err != nil {
		return o.report, err
	}
	if o.report.Written > 0 {
		o.puts("# handling of the whole: " + oneLine(joined.String()) + "\n")
	}
	o.puts("# " + o.report.String() + "\n")
	return o.end()
}

// atomsOf gives the values of a row's pattern.
func atomsOf(r *Row) ([]observable.Atom, error) {
	it := &r.Item
	if bare(it.Kind, it.Value, it.Pattern) {
		var a observable.Atom
		var err error
		if it.Kind == observable.Subject || it.Kind == observable.FileName {
			a, err = observable.Make(it.Kind, it.Value)
		} else {
			a, err = observable.FromValue(it.Value)
		}
		return []observable.Atom{a}, err
	}
	c, err := observable.Compile(it.Pattern)
	return c.Atoms, err
}
