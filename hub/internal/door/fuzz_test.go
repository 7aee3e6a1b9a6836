package door

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"ecs/contract"
)

// Whatever a node asks for, the numbers stay within their ranges.
func FuzzChangesQuery(f *testing.F) {
	f.Add("after=1&limit=2&wait=3")
	f.Add("after=4611686018427387904&limit=10000&wait=55")
	f.Add("limit=%00&after=1;wait=2")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		after, limit, wait, err := changesQuery(q)
		if err == nil && (after >= 1<<62 || limit < 0 || limit > MaxLimit || wait < 0 || wait > MaxWait) {
			t.Fatalf("%q: %d %d %v", raw, after, limit, wait)
		}
	})
}

// A body is one value of the closed form, or refused.
func FuzzReadJSON(f *testing.F) {
	f.Add(`{"token":"a","csr":"AAAA"}`)
	f.Add(`{"body":"AAAA","signature":""}`)
	f.Add(`{"token":"a"}{}`)
	f.Add(strings.Repeat("[", 10_000))
	f.Fuzz(func(t *testing.T, body string) {
		for _, into := range []any{&contract.Enrolment{}, &contract.SignedAck{}} {
			r := httptest.NewRequest(http.MethodPost, "/v1/enrol", strings.NewReader(body))
			err := readJSON(r, into)
			if err == nil && !json.Valid([]byte(body)) {
				t.Fatalf("accepted %q", body)
			}
		}
	})
}
