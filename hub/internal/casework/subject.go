package casework

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/graph"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/program"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// Kinds of subject.
const (
	Item   = "item"
	Object = "object"
	Batch  = "batch"
	Source = "source"
)

// Subject is what comments and tasks are about.
type Subject struct {
	Kind string // Item ...
	ID   string
}

// String gives the subject as it is stored: item:indicator--UUID.
func (s Subject) String() string { return s.Kind + ":" + s.ID }

// Href gives the address of its page.
func (s Subject) Href() string {
	switch s.Kind {
	case Item:
		return "/indicators/" + s.ID
	case Object:
		return "/objects/" + s.ID
	case Batch:
		return "/deliveries/" + s.ID
	default:
		return "/search?q=source:" + s.ID
	}
}

// ParseSubject reads what [Subject.String] wrote.
func ParseSubject(text string) (Subject, error) {
	kind, id, ok := strings.Cut(text, ":")
	s := Subject{kind, id}
	switch kind {
	case Item, Object, Batch, Source:
		ok = ok && id != "" && len(id) <= 300
	default:
		ok = false
	}
	if !ok {
		return s, fmt.Errorf("%w: %q", ErrSubject, text)
	}
	return s, nil
}

// Errors. Texts say what to do next.
var (
	ErrSubject  = errors.New("casework: there is no such subject: write item:, object:, batch: or source: and its identifier")
	ErrText     = errors.New("casework: the text is refused")
	ErrPersonal = errors.New("casework: the text holds personal data")
	ErrRole     = errors.New("casework: auditors read; they neither comment nor give tasks")
	ErrPerson   = errors.New("casework: there is no such account, or it is shut out")
	ErrState    = errors.New("casework: the task is not in a state from which it can go there")
	ErrVersion  = errors.New("casework: somebody changed the task meanwhile")
	ErrNoTask   = errors.New("casework: there is no such task")
	ErrDue      = errors.New("casework: the day is past, or more than a year ahead")
)

// Explain gives the words for an error of this package.
func Explain(err error) (access.Explanation, bool) {
	for _, x := range []struct {
		err         error
		status      int
		code, title string
		next        string
	}{
		{ErrSubject, 404, "not-found", "No such subject", "Begin at the page of an indicator, an object, a delivery or a source."},
		{ErrText, 422, "text", "The text is refused", "Shorten or correct it."},
		{ErrPersonal, 422, "personal-data", "The text holds personal data", "Say it without: what is personal belongs to the privacy gate."},
		{ErrRole, 403, "role", "Not permitted", "Ask somebody who works on it."},
		{ErrPerson, 422, "person", "No such account", "Choose the login of a colleague."},
		{ErrState, 409, "state", "Not possible in this state", "Look at the task again."},
		{ErrVersion, 409, "changed", "Somebody changed it meanwhile", "Look at the task again, then decide anew."},
		{ErrNoTask, 404, "not-found", "No such task", "Look for it among your tasks."},
		{ErrLabels, 409, "labels", "No further label", "Leave it as it is, or label its successor."},
		{ErrDue, 422, "due", "The day cannot be", "Choose a day from today on, at most a year ahead."},
	} {
		if errors.Is(err, x.err) {
			detail := strings.TrimPrefix(err.Error(), "casework: ")
			return access.Explanation{
				Status: x.status, Code: x.code, Title: x.title,
				Detail: strings.ToUpper(detail[:1]) + strings.TrimSuffix(detail[1:], ".") + ".", Next: x.next,
			}, true
		}
	}
	return access.Explanation{}, false
}

// See returns nil when the account may know of the subject, and otherwise the error
// that its page would give.
func See(ctx context.Context, q sqldb.Querier, a signin.Account, s Subject) error {
	switch s.Kind {
	case Item:
		id, err := contract.ParseID(s.ID)
		if err != nil {
			return fmt.Errorf("%w: %s", indicator.ErrNotFound, s.ID)
		}
		_, err = access.Item(ctx, q, a, id)
		return err
	case Object:
		err := access.Need(a, access.Indicators)
		if err != nil {
			return err
		}
		r, err := graph.ReaderOf(ctx, q, a)
		if err == nil {
			_, err = graph.Read(ctx, q, r, s.ID)
		}
		return err
	case Batch:
		err := access.Need(a, access.Deliveries)
		if err == nil {
			_, err = access.Delivery(ctx, q, a, s.ID)
		}
		return err
	case Source:
		err := access.Need(a, access.Indicators)
		if err != nil {
			return err
		}
		only, limited := access.Source(a, access.Indicators)
		if limited && only != s.ID {
			return fmt.Errorf("%w: %s", program.ErrNotFound, s.ID)
		}
		_, err = program.GetSource(ctx, q, s.ID)
		return err
	default:
		return ErrSubject
	}
}

// unknown reports whether an error of See says that the subject does not exist for
// the account.
func unknown(err error) bool {
	var role *access.RoleError
	return errors.As(err, &role) || errors.Is(err, indicator.ErrNotFound) || errors.Is(err, graph.ErrNoObject) ||
		errors.Is(err, program.ErrNotFound) || errors.Is(err, intake.ErrNoBatch)
}

// may refuses those who only read.
func may(a signin.Account) error {
	if a.Any("pmo_analyst", "release_authority", "privacy_officer", "gfi_officer", "ssa_officer") {
		return nil
	}
	return ErrRole
}

// screen checks a text of at most some letters. Several lines are allowed when lines.
func screen(text string, most int, lines bool, now time.Time) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case text == "":
		return "", fmt.Errorf("%w: it is empty", ErrText)
	case !utf8.ValidString(text):
		return "", fmt.Errorf("%w: it is not UTF-8", ErrText)
	case utf8.RuneCountInString(text) > most:
		return "", fmt.Errorf("%w: it is longer than %d letters", ErrText, most)
	}
	for _, c := range text {
		if unicode.IsControl(c) && (c != '\n' || !lines) || unicode.Is(unicode.Bidi_Control, c) {
			return "", fmt.Errorf("%w: it holds the control character U+%04X", ErrText, c)
		}
	}
	found := policy.PrivateText("", text, now)
	if len(found) > 0 {
		return "", fmt.Errorf("%w: %s, %s", ErrPersonal, found[0].Code, strings.TrimPrefix(found[0].Detail, "context "))
	}
	return text, nil
}
