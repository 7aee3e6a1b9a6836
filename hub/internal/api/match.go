package api

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
)

// The entity tag of an indicator is its version in quotes (RFC 9110 section 8.8.3). It
// is for If-Match only: what stands beside the indicator, such as receipts, changes
// without it.

func etagOf(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

func (x itemStory) etag() string { return etagOf(x.Version) }
func (x actAnswer) etag() string { return etagOf(x.Item.Version) }

// matched gives the version that the caller saw: from If-Match, or as the body says.
// 0 is whatever is there.
func matched(r *http.Request, body int64) (int64, error) {
	tag := strings.TrimSpace(r.Header.Get("If-Match"))
	if tag == "" || tag == "*" {
		return body, nil
	}
	text, ok := strings.CutPrefix(tag, `"`)
	text, ok2 := strings.CutSuffix(text, `"`)
	n, err := strconv.ParseInt(text, 10, 64)
	if !ok || !ok2 || err != nil || n < 1 {
		return 0, &badRequest{fmt.Sprintf("If-Match %s is not an entity tag of an indicator.", tag), "Send the ETag that reading the indicator gave, quotes included."}
	}
	if body != 0 && body != n {
		return 0, &badRequest{"If-Match and version name two versions.", "Send one of the two."}
	}
	return n, nil
}

// failed412 is a precondition that does not hold (RFC 9110 section 15.5.13).
type failed412 struct{ err error }

func (f *failed412) Error() string { return f.err.Error() }
func (f *failed412) Unwrap() error { return f.err }

// precondition turns a conflict of versions into 412 for a caller who sent If-Match.
func precondition(r *http.Request, err error) error {
	if r.Header.Get("If-Match") != "" && (errors.Is(err, release.ErrVersion) || errors.Is(err, indicator.ErrVersion)) {
		return &failed412{err}
	}
	return err
}

// explain is [access.Explain] with what only the API says.
func explain(err error) (access.Explanation, bool) {
	x, ok := access.Explain(err)
	var failed *failed412
	switch {
	case errors.As(err, &failed):
		x.Status = http.StatusPreconditionFailed
	case !ok && errors.Is(err, release.ErrUndo):
		return access.Explanation{
			Status: http.StatusConflict, Code: "undo", Title: "This cannot be taken back", Detail: strings.TrimPrefix(err.Error(), "release: ") + ".",
			Next: "Decide anew, or recall what is released.",
		}, true
	}
	return x, ok
}
