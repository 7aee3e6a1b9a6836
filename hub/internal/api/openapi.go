package api

import (
	"encoding/json"
	"html/template"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/observable"
)

// Document gives the OpenAPI 3.1 document of the whole API as it is served at
// /api/v1/openapi.json: the same bytes for everybody and on every hub.
func Document() []byte {
	a := &api{}
	return document(a.routes(), newSchemas())
}

var statuses = []release.Status{
	release.Queued, release.Delivered, release.Overdue, release.Loaded, release.RefusedThere, release.RemovalQueued,
	release.RemovalSent, release.RemovalOverdue, release.Ended, release.RemovedThere, release.Lapsed,
}

// kinds lists the kinds of observables by their names.
func kinds() []string {
	var out []string
	for k := observable.None + 1; ; k++ {
		_, err := observable.ParseKind(k.String())
		if err != nil {
			return out
		}
		out = append(out, k.String())
	}
}

func words[T ~string](list []T) []string {
	var out []string
	for _, x := range list {
		out = append(out, string(x))
	}
	return out
}

// problemJSON is problem details (RFC 9457) with the member next.
type problemJSON struct {
	Type   string `json:"type" doc:"urn:ecs:problem: and a code for programs."`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Next   string `json:"next" doc:"What to do next."`
}

func document(routes []route, s *schemas) []byte {
	paths := map[string]schema{}
	tags := []schema{}
	for i := range routes {
		r := &routes[i]
		path := prefix + strings.ReplaceAll(r.Path, "...}", "}")
		if paths[path] == nil {
			paths[path] = schema{}
		}
		paths[path][strings.ToLower(r.Method)] = operation(r, s)
		if !slices.ContainsFunc(tags, func(t schema) bool { return t["name"] == r.Group }) {
			tags = append(tags, schema{"name": r.Group})
		}
	}
	problem := s.of(reflect.TypeFor[problemJSON](), false)
	doc := schema{
		"openapi": "3.1.1",
		"info": schema{
			"title": "ECS hub", "version": "1",
			"summary":     "Intake, approval, release and recall of cyber threat indicators.",
			"description": "The manual is docs/formats/api.md. Fields may be added to answers; a request with an unknown field is refused.",
			"license":     schema{"name": "See LICENSE", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
		},
		"servers":  []schema{{"url": "/"}},
		"security": []schema{{"basic": []string{}}, {"session": []string{}}},
		"tags":     tags,
		"paths":    paths,
		"components": schema{
			"schemas": s.components,
			"securitySchemes": schema{
				"basic":   schema{"type": "http", "scheme": "basic", "description": "Login and password of an account (RFC 7617)."},
				"session": schema{"type": "apiKey", "in": "cookie", "name": "ecs-hub", "description": "The console's session. Requests that change something have to come from the console's own pages."},
			},
			"responses": schema{"Problem": schema{
				"description": "Refused or failed (RFC 9457). detail says why, next what to do.",
				"content":     schema{"application/problem+json": schema{"schema": problem}},
			}},
		},
	}
	out, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		panic("api: the document is no JSON: " + err.Error()) // it has strings, numbers, lists and maps only
	}
	return append(out, '\n')
}

func operation(r *route, s *schemas) schema {
	op := schema{"operationId": r.ID, "summary": r.Title, "tags": []string{r.Group}, "responses": responses(r, s)}
	about := []string{}
	if r.About != "" {
		about = append(about, r.About)
	}
	switch {
	case r.By != "":
		about = append(about, "Who may: "+r.By+".")
	case r.Sees != "":
		about = append(about, "Who may: "+strings.Join(access.Roles(r.Sees), ", ")+".")
	default:
		about = append(about, "Who may: every account.")
	}
	op["description"] = strings.Join(about, "\n\n")
	parameters := []schema{}
	for _, name := range parts(r.Path) {
		x := schema{"type": "string"}
		if list := r.Enum[name]; list != nil {
			x["enum"] = list
		}
		parameters = append(parameters, schema{"name": name, "in": "path", "required": true, "schema": x})
	}
	for i := range r.Query {
		parameters = append(parameters, r.Query[i].schema())
	}
	if r.Again != nil {
		parameters = append(parameters,
			schema{"name": "Idempotency-Key", "in": "header", "description": "Chosen by the caller, 8 to 128 printable characters: the same request with the same key within a day is done once, and answered again from what was kept.", "schema": schema{"type": "string", "minLength": 8, "maxLength": 128}})
	}
	if r.Match {
		parameters = append(parameters,
			schema{"name": "If-Match", "in": "header", "description": "The ETag that reading the indicator gave: 412 when it has another version by now.", "schema": schema{"type": "string"}})
	}
	if len(parameters) > 0 {
		op["parameters"] = parameters
	}
	switch {
	case r.Takes != "":
		op["requestBody"] = schema{"required": true, "content": schema{r.Takes: schema{}}}
	case r.In != nil:
		op["requestBody"] = schema{"required": true, "content": schema{"application/json": schema{"schema": s.of(reflect.TypeOf(r.In), true)}}}
	}
	return op
}

func (p *param) schema() schema {
	x := schema{"type": "string"}
	if p.Is != "" {
		x["type"] = p.Is
	}
	if p.Form != "" {
		x["format"] = p.Form
	}
	if p.Enum != nil {
		x["enum"] = p.Enum
	}
	if p.Max > 0 {
		x["minimum"], x["maximum"] = p.Min, p.Max
	}
	if p.Many {
		x = schema{"type": "array", "items": x}
	}
	out := schema{"name": p.Name, "in": "query", "schema": x}
	if p.About != "" {
		out["description"] = p.About
	}
	if p.Need {
		out["required"] = true
	} else if p.Enum != nil || p.Form != "" || p.Is != "" {
		out["allowEmptyValue"] = true
	}
	return out
}

func responses(r *route, s *schemas) schema {
	ok := schema{"description": "Done."}
	content := schema{}
	if r.Out != nil && r.Out != any(written{}) {
		content["application/json"] = schema{"schema": s.of(reflect.TypeOf(r.Out), false)}
	}
	for _, media := range r.Gives {
		content[media] = schema{}
	}
	if len(content) > 0 {
		ok["content"] = content
	}
	if _, has := r.Out.(tagged); has {
		ok["headers"] = schema{"ETag": schema{"description": "The version, for If-Match.", "schema": schema{"type": "string"}}}
	}
	return schema{"200": ok, "default": schema{"$ref": "#/components/responses/Problem"}}
}

// document is served to every account: it holds nothing of what a hub holds.
func serveDocument(text []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
		_, _ = w.Write(text)
	}
}

var overview = template.Must(template.New("overview").Funcs(template.FuncMap{
	"who": func(r route) string {
		switch {
		case r.By != "":
			return r.By
		case r.Sees != "":
			return strings.Join(access.Roles(r.Sees), ", ")
		}
		return "every account"
	},
	"below": func(path string) string { return prefix + path },
}).Parse(`<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>API of the ECS hub</title></head>
<body>
<main>
<h1>API of the ECS hub</h1>
<p>Every operation, as the program answers it. <a href="/api/v1/openapi.json">openapi.json</a> is the same for
programs (OpenAPI 3.1): parameters, bodies and answers. Sign in by HTTP Basic, or be signed in to the console.
Errors are problem+json (RFC 9457) and say what to do next.</p>
{{range .}}<h2>{{.Name}}</h2>
<table>
<caption>Operations: {{.Name}}</caption>
<thead><tr><th scope="col">Operation</th><th scope="col">Method and address</th><th scope="col">Who may</th></tr></thead>
<tbody>
{{range .Routes}}<tr><th scope="row">{{.Title}}{{with .About}}<br><small>{{.}}</small>{{end}}</th><td><code>{{.Method}} {{below .Path}}</code></td><td>{{who .}}</td></tr>
{{end}}</tbody>
</table>
{{end}}</main>
</body>
</html>
`))

type group struct {
	Name   string
	Routes []route
}

// serveOverview answers with the list of operations for people.
func serveOverview(routes []route) http.HandlerFunc {
	var groups []group
	for _, r := range routes {
		i := slices.IndexFunc(groups, func(g group) bool { return g.Name == r.Group })
		if i < 0 {
			i = len(groups)
			groups = append(groups, group{Name: r.Group})
		}
		groups[i].Routes = append(groups[i].Routes, r)
	}
	var page strings.Builder
	err := overview.Execute(&page, groups)
	if err != nil {
		panic("api: the overview: " + err.Error()) // strings only
	}
	text := page.String()
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(text))
	}
}

// stateNames lists the states of an indicator.
func stateNames() []string { return words(indicator.States) }
