package release

import (
	"context"
	"database/sql"
	"fmt"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

const maxContext = 16 << 10

// clean takes personal data out of an item: out of its texts, and out of what its
// sources had delivered. The audit entry names fields and never what stood there.
func (d *Desk) clean(ctx context.Context, tx *sql.Tx, acct signin.Account, it *indicator.Item, text Redaction) error {
	fs, err := indicator.Findings(ctx, tx, it.ID)
	if err != nil {
		return err
	}
	for _, f := range fs {
		if policy.InValue(f) {
			return fmt.Errorf("%w: %s is about the indicator itself", ErrPersonal, f.Code)
		}
	}
	err = text.check()
	if err != nil {
		return err
	}
	for _, f := range policy.PrivateText(text.Summary, text.Context, d.clock.now()) {
		return fmt.Errorf("%w: %s in the new text", ErrPersonal, f.Code)
	}
	var fields []string
	if it.Summary != text.Summary {
		fields = append(fields, "summary")
	}
	if it.Context != text.Context {
		fields = append(fields, "context")
	}
	it.Summary, it.Context = text.Summary, text.Context
	res, err := tx.ExecContext(ctx, `UPDATE item_source SET original = '' WHERE number = $1 AND original <> ''`, it.Number)
	if err != nil {
		return fmt.Errorf("release: clean %s: %w", it.ID, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	return audit.Append(ctx, tx, acct.Login, "item.redact", it.ID.String(), map[string]any{"fields": fields, "originals": n})
}

func (r *Redaction) check() error {
	if len(r.Summary) > contract.MaxSummary || len(r.Context) > maxContext {
		return fmt.Errorf("%w: a summary has at most %d bytes, a context %d", ErrText, contract.MaxSummary, maxContext)
	}
	for _, s := range []string{r.Summary, r.Context} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: not UTF-8", ErrText)
		}
		for _, c := range s {
			if c != '\n' && c != '\t' && (unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c)) {
				return fmt.Errorf("%w: it holds the control character U+%04X", ErrText, c)
			}
		}
	}
	return nil
}
