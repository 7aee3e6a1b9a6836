package intake

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"ecs/hub/internal/format"
	"ecs/hub/internal/format/report"
	"ecs/hub/internal/format/sheet"
	"ecs/internal/audit"
	"ecs/internal/sqldb"
)

// Mapping is how the columns of a source's sheets are to be read, as somebody has
// saved it: a row of table mapping. A delivery of the source whose header fits is
// read by it, whichever way it comes.
type Mapping struct {
	Source string    `json:"source"`
	Name   string    `json:"name"`
	Body   string    `json:"-"` // JSON of sheet.Mapping, canonical
	Login  string    `json:"saved_by"`
	At     time.Time `json:"saved"`
}

// Bounds of saved mappings.
const (
	maxMappings    = 200 // of one source
	maxMappingName = 80  // bytes
)

// Errors of saved mappings.
var (
	ErrNoMapping = errors.New("no such mapping: look for it among those of the source")
	ErrMapping   = errors.New("the mapping is refused")
)

// Mappings reads the saved mappings of a source, those saved last first.
func Mappings(ctx context.Context, q sqldb.Querier, source string) ([]Mapping, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, body, login, at FROM mapping WHERE source = $1 ORDER BY at DESC, name`, source)
	if err != nil {
		return nil, fmt.Errorf("intake: mappings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Mapping
	for rows.Next() {
		m := Mapping{Source: source}
		var at int64
		err = rows.Scan(&m.Name, &m.Body, &m.Login, &at)
		if err != nil {
			return nil, err
		}
		m.At = sqldb.FromTime(at)
		out = append(out, m)
	}
	return out, rows.Err()
}

// GetMapping reads one saved mapping; the error wraps [ErrNoMapping] when there is
// none.
func GetMapping(ctx context.Context, q sqldb.Querier, source, name string) (Mapping, error) {
	m := Mapping{Source: source, Name: name}
	var at int64
	err := q.QueryRowContext(ctx, `SELECT body, login, at FROM mapping WHERE source = $1 AND name = $2`, source, name).Scan(&m.Body, &m.Login, &at)
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoMapping
	}
	if err != nil {
		return Mapping{}, fmt.Errorf("intake: mapping: %w", err)
	}
	m.At = sqldb.FromTime(at)
	return m, nil
}

// SaveMapping saves a mapping, in the place of one of the same source and name. The
// error wraps [ErrMapping] when it is none.
func (in *Intake) SaveMapping(ctx context.Context, m Mapping) error {
	m.Name = strings.Join(strings.Fields(m.Name), " ")
	if m.Name == "" || len(m.Name) > maxMappingName || strings.ContainsAny(m.Name, "\x00/") {
		return fmt.Errorf("%w: its name has 1 to %d bytes and no slash", ErrMapping, maxMappingName)
	}
	parsed, err := sheet.ParseMapping([]byte(m.Body))
	var body []byte
	if err == nil {
		body, err = parsed.JSON()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMapping, err)
	}
	err = in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		_, err := readSource(ctx, tx, m.Source)
		if err != nil {
			return err
		}
		var others int64
		err = tx.QueryRowContext(ctx, `SELECT count(*) FROM mapping WHERE source = $1 AND name <> $2`, m.Source, m.Name).Scan(&others)
		if err == nil && others >= maxMappings {
			err = fmt.Errorf("%w: the source has %d already: remove some", ErrMapping, others)
		}
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO mapping (source, name, body, login, at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (source, name) DO UPDATE SET body = excluded.body, login = excluded.login, at = excluded.at`,
			m.Source, m.Name, string(body), m.Login, sqldb.Time(time.Now()))
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, m.Login, "mapping.save", m.Source, map[string]string{"name": m.Name, "mapping": string(body)})
	})
	if err != nil {
		return fmt.Errorf("intake: mapping: %w", err)
	}
	return nil
}

// RemoveMapping removes a saved mapping. What was read by it stays as it is.
func (in *Intake) RemoveMapping(ctx context.Context, source, name, login string) error {
	err := in.cfg.DB.Write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `DELETE FROM mapping WHERE source = $1 AND name = $2`, source, name)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err == nil && n == 0 {
			err = ErrNoMapping
		}
		if err != nil {
			return err
		}
		return audit.Append(ctx, tx, login, "mapping.remove", source, map[string]string{"name": name})
	})
	if err != nil {
		return fmt.Errorf("intake: mapping: %w", err)
	}
	return nil
}

// Sheet reports whether a format is a table, which a mapping may be needed for.
func Sheet(format string) bool { return format == CSV || format == XLSX }

// readBy fills in the saved mapping of a delivery that says nothing itself.
func (in *Intake) readBy(ctx context.Context, d *Delivery, c *content) error {
	if d.Mapping != "" || !Sheet(d.Format) {
		return nil
	}
	r, err := c.reader(in.cfg.MaxBytes)
	if err != nil {
		return err
	}
	saved, err := in.fitting(ctx, d.Source, d.Format, r)
	if saved != nil {
		d.Mapping = saved.Body
	}
	return err
}

// fitting finds the saved mapping by which a table is to be read: the newest whose
// columns are those of the header. It is nil for a table with our own names, and
// when none fits. A mapping names every column of its file, so that a source that
// changes its files is not read by an old one.
func (in *Intake) fitting(ctx context.Context, source, name string, r io.ReadSeeker) (*Mapping, error) {
	if !Sheet(name) {
		return nil, nil //nolint:nilnil // none is needed
	}
	ok, err := in.opens(r, sheet.Open)
	if ok || err != nil {
		return nil, err
	}
	all, err := Mappings(ctx, in.cfg.DB, source)
	if err != nil {
		return nil, err
	}
	for i := range all {
		m, err := sheet.ParseMapping([]byte(all[i].Body))
		if err != nil || m.Header == sheet.NoHeader {
			continue // without a header any file would fit
		}
		ok, err = in.opens(r, m.Open)
		if err != nil {
			return nil, err
		}
		if ok {
			return &all[i], nil
		}
	}
	return nil, nil //nolint:nilnil // none fits
}

// opens reports whether a reader finds its beginning. The error is of the machine,
// not of the file.
func (in *Intake) opens(r io.ReadSeeker, open format.Open) (bool, error) {
	_, err := r.Seek(0, io.SeekStart)
	if err != nil {
		return false, fmt.Errorf("intake: read again: %w", err)
	}
	reader, err := open(r, in.limits())
	var whole *format.Refused
	var cut *Refused
	if errors.As(err, &whole) || errors.As(err, &cut) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	closer, ok := reader.(io.Closer)
	if ok {
		err = closer.Close()
	}
	return true, err
}

func (in *Intake) limits() format.Limits {
	return format.Limits{Record: in.cfg.MaxItem, Total: in.cfg.MaxBytes}
}

// ReportOption reads how a report is to be read, JSON of report.Option; empty is the
// usual way. The error is a *[Refused].
func ReportOption(text string, demonstration bool) (report.Option, error) {
	var o report.Option
	if text != "" {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		err := d.Decode(&o)
		if err != nil {
			return o, &Refused{Code: CodeFormat, Reason: "the options of the report cannot be used: " + err.Error()}
		}
	}
	o.Demonstration = demonstration
	return o, nil
}

// ReportMapping writes how a report is to be read for [Delivery]. Whether this is a
// demonstration is the hub's own matter and left out.
func ReportMapping(o report.Option) string {
	o.Demonstration = false
	body, err := json.Marshal(o)
	if err != nil || string(body) == "{}" { // texts and switches always have a JSON form
		return ""
	}
	return string(body)
}
