package web

import (
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ecs/internal/signin"
)

// FormLimit is the biggest form that a console reads, in bytes. A page of a
// thousand chosen indicators fits twenty times.
const FormLimit = 1 << 20

// SignInPage makes the page for [signin.Config.Page]. Give [AssetPrefix] to
// [signin.Config.Public] as well: the page needs its style sheet.
func SignInPage(site Site, log *slog.Logger) (func(http.ResponseWriter, *http.Request, int, signin.Page), error) {
	r, err := New(site.House, log)
	if err != nil {
		return nil, err
	}
	return func(w http.ResponseWriter, _ *http.Request, status int, s signin.Page) {
		p := &Page{Site: site, Title: "Sign in", Now: time.Now(), Data: s}
		if s.Error != "" {
			p.Problems = []Problem{{Field: "login", Text: s.Error}}
		}
		r.Render(w, status, "sign-in", p)
	}, nil
}

// Fail sends a page that says what went wrong and what to do next. p brings the
// site, the navigation and the person; the rest is set here.
func (r *Renderer) Fail(w http.ResponseWriter, p *Page, status int, title, text, next string) {
	p.Title, p.Heading, p.Lead, p.Marking = title, "", "", ""
	p.Problems, p.Done, p.Notes, p.Crumbs = nil, "", nil, nil
	p.Data = struct{ Text, Next string }{text, next}
	r.Render(w, status, "error", p)
}

// DoneText finds the sentence for what was just done, named by the query
// parameter "done" of a redirect; %n in it stands for the parameter "n". Only
// sentences of ours can appear.
func DoneText(r *http.Request, sentences map[string]string) string {
	q := r.URL.Query()
	s := sentences[q.Get("done")]
	if s == "" {
		return ""
	}
	n, err := strconv.ParseInt(q.Get("n"), 10, 64)
	if err != nil {
		n = 0
	}
	text, _ := Number(n) // an int64 always has a text
	return strings.ReplaceAll(s, "%n", text)
}

// Back gives the address to go to after a form was obeyed: the form's field
// "back" when it is a page at or below path, path itself otherwise; with the code
// of the sentence to show.
func Back(r *http.Request, path, done string) string {
	to := r.PostFormValue("back")
	u, err := url.Parse(to)
	if err != nil || u.Host != "" || u.Scheme != "" || (u.Path != path && !strings.HasPrefix(u.Path, path+"/")) {
		u = &url.URL{Path: path}
	}
	q := u.Query()
	q.Set("done", done)
	u.RawQuery = q.Encode()
	return u.String()
}
