package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

// strict is the document with answers that may hold nothing but what it says: so that
// a field which is not documented is found.
func strict(t *testing.T) routers.Router {
	t.Helper()
	s := newSchemas()
	s.closed = true
	d, err := openapi3.NewLoader().LoadFromData(document((&api{}).routes(), s))
	if err != nil {
		t.Fatal(err)
	}
	r, err := legacy.NewRouter(d)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheDocumentIsOpenAPI(t *testing.T) {
	d, err := openapi3.NewLoader().LoadFromData(Document())
	if err != nil {
		t.Fatal(err)
	}
	err = d.Validate(context.Background())
	if err != nil {
		t.Error(err)
	}
}

func init() {
	// Every exchange of the other tests is held against the document.
	var router routers.Router
	validate = func(t *testing.T, r *http.Request, body []byte, got *http.Response, answer []byte) {
		t.Helper()
		if router == nil {
			router = strict(t)
		}
		c := r.Clone(t.Context())
		c.Body = io.NopCloser(bytes.NewReader(body))
		c.URL.Scheme, c.URL.Host, c.Host = "", "", ""
		route, parts, err := router.FindRoute(c)
		if err != nil {
			if got.StatusCode == http.StatusNotFound {
				return // it is not part of the API, as it should not be
			}
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
			return
		}
		in := &openapi3filter.RequestValidationInput{
			Request: c, PathParams: parts, Route: route,
			Options: &openapi3filter.Options{MultiError: true, IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc},
		}
		if got.StatusCode < 300 {
			err = openapi3filter.ValidateRequest(t.Context(), in)
			if err != nil {
				t.Errorf("%s %s was answered, and is not what the document permits: %v", r.Method, r.URL, err)
			}
		}
		out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: got.StatusCode, Header: got.Header, Options: in.Options}
		out.SetBodyBytes(answer)
		err = openapi3filter.ValidateResponse(t.Context(), out)
		if err != nil {
			t.Errorf("%s %s, status %d: the answer is not what the document says: %v", r.Method, r.URL, got.StatusCode, err)
		}
	}
}

// The judge of all exchanges does refuse.
func TestTheDocumentRefuses(t *testing.T) {
	for name, c := range map[string]struct{ path, answer string }{
		"an unknown field":   {"/api/v1/me", `{"login":"a","person":"b","roles":[],"scope":"","more":1}`},
		"a field is missing": {"/api/v1/me", `{"login":"a","person":"b","roles":[]}`},
		"another type":       {"/api/v1/me", `{"login":1,"person":"b","roles":[],"scope":""}`},
		"an unknown state":   {"/api/v1/status", `{"items":[]}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		route, parts, err := strict(t).FindRoute(r)
		if err != nil {
			t.Fatal(err)
		}
		opt := &openapi3filter.Options{IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}
		out := &openapi3filter.ResponseValidationInput{
			RequestValidationInput: &openapi3filter.RequestValidationInput{Request: r, PathParams: parts, Route: route, Options: opt},
			Status:                 http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Options: opt,
		}
		out.SetBodyBytes([]byte(c.answer))
		if openapi3filter.ValidateResponse(t.Context(), out) == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
