package people

import (
	"errors"
	"net/http"
	"strings"
)

// Explanation is an error as it is told to the person who caused it.
type Explanation struct {
	Status int    // of HTTP
	Code   string // stable, for programs
	Text   string // one sentence: what is wrong
	Next   string // what to do
}

var explanations = []struct {
	err        error
	status     int
	code, next string
}{
	{ErrRole, http.StatusForbidden, "role", "Ask somebody who has the role."},
	{ErrPerson, http.StatusConflict, "same-person", "Ask a colleague who had no part in this yet."},
	{ErrTogether, http.StatusConflict, "together", "Give it to somebody else, or revoke the other role first."},
	{ErrInput, http.StatusUnprocessableEntity, "input", "Correct it and send it again."},
	{ErrState, http.StatusConflict, "state", "Look at it again: it may have been decided meanwhile."},
	{ErrNotFound, http.StatusNotFound, "not-found", "Look for it in the list of people."},
}

// Explain gives the words for an error of this package; known is false for one
// that is none of the person's business.
func Explain(err error) (x Explanation, known bool) {
	for _, e := range explanations {
		if errors.Is(err, e.err) {
			text := strings.ReplaceAll(err.Error(), "people: ", "")
			text = strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
			return Explanation{Status: e.status, Code: e.code, Text: text, Next: e.next}, true
		}
	}
	return Explanation{}, false
}
