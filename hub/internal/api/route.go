package api

import (
	"net/http"
	"strings"

	"ecs/hub/internal/access"
	"ecs/internal/signin"
)

// prefix stands before the path of every route.
const prefix = "/api/v1"

// route is one operation. The router, the OpenAPI document and the list of addresses
// are made from the same routes: what is not here is neither answered nor documented.
type route struct {
	Method string
	Path   string // below prefix, as [http.ServeMux] writes it: /items/{id}
	ID     string // of the operation, for programs that generate a client: readItem
	Group  string // heading in the document
	Title  string // one line, in the imperative, without a full stop
	About  string // more, when one line does not do
	// Sees is what the caller must be permitted to see; empty: any account, or the
	// package that does the act decides.
	Sees access.What
	// By names who may, in words, when Sees does not say it all.
	By    string
	Query []param
	Enum  map[string][]string // closed lists of values of parts of the path
	// In is a value of the type of the body: nil when there is none. A stream is
	// told by Takes, the media type.
	In    any
	Takes string
	// Out is a value of the type that the handler gives.
	Out any
	// Gives lists media types of an answer that the handler writes by itself, and
	// gives [written] for.
	Gives []string
	// Again lets the caller repeat the request safely by an Idempotency-Key: it makes
	// the answer to a repetition.
	Again again
	// Match lets the caller name the version that was seen, by If-Match.
	Match bool
	// Free says that the body may be longer than bodyLimit: intake bounds deliveries.
	Free bool
	do   handler
}

// param is a parameter in the address behind the question mark.
type param struct {
	Name  string
	About string
	Enum  []string
	Is    string // type in JSON schema: string (also when empty), integer or boolean
	Form  string // format in JSON schema, such as date-time
	Many  bool   // may be repeated
	Need  bool
	Min   int // of an integer; 0 and Max 0: any
	Max   int
}

// Parameters of many routes.
var (
	limitParam = param{Name: "limit", Is: "integer", Min: 1, Max: pageLimit, About: "At most so many rows; 100 when absent."}
	afterParam = param{Name: "after", About: "Where to go on: what the last answer gave as next."}
	atParam    = param{Name: "at", Form: "date-time", About: "As it was at this moment; now when absent."}
)

// written is what a handler gives that has written its answer already.
type written struct{}

// tagged is an answer with an entity tag (RFC 9110 section 8.8.3).
type tagged interface{ etag() string }

// parts gives the names of the variable parts of a path.
func parts(path string) []string {
	var out []string
	for p := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(p, "{"); ok {
			out = append(out, strings.TrimSuffix(strings.TrimSuffix(name, "}"), "..."))
		}
	}
	return out
}

// needs refuses a request that lacks a parameter of the address.
func (r *route) needs(req *http.Request) error {
	for i := range r.Query {
		p := &r.Query[i]
		if p.Need && req.URL.Query().Get(p.Name) == "" {
			return &badRequest{"The address lacks " + p.Name + ".", "Add ?" + p.Name + "=…: " + p.About}
		}
	}
	return nil
}

// Address is a route as others may know it: a test that fetches every one, say.
type Address struct {
	Method string
	Path   string // whole: /api/v1/items/{id}
	Sees   access.What
}

// Addresses lists every route of the API.
func Addresses() []Address {
	var out []Address
	a := &api{}
	for _, r := range a.routes() {
		out = append(out, Address{r.Method, prefix + r.Path, r.Sees})
	}
	return out
}

// handler answers with a value for JSON, or an error.
type handler func(w http.ResponseWriter, r *http.Request, who signin.Account) (any, error)
