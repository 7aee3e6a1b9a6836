package web

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"
)

// Site says whose console a page belongs to.
type Site struct {
	House         string // "hub" or "provider"
	Name          string // "ECS Hub", in every title
	Owner         string // name of the program or the provider, beside the site's name
	Demonstration bool   // says on every page that the data is made up
	Version       string // of the program
}

// Link is a link with its text.
type Link struct{ Text, Href string }

// NavItem is one entry of the main navigation.
type NavItem struct {
	Text, Href, Icon string
	Waiting          int64 // how many things wait here, 0 for none
}

// Person is who is signed in, as the header shows it.
type Person struct {
	Login, Name string
	Roles       []string
}

// Problem is one thing that was wrong with what a person sent. Field is the id
// of the input, or empty for the whole form.
type Problem struct{ Field, Text string }

// Page is everything that a template gets.
type Page struct {
	Site     Site
	Title    string // also the one first-level heading, unless Heading is set
	Heading  string
	Lead     string // one sentence below the heading
	Section  string // Href of the entry of the navigation that this page belongs to
	Nav      []NavItem
	Person   *Person
	Crumbs   []Link // from the section down to the parent of this page
	Done     string // what the person's last action did
	Notes    []Note // what everybody on this page has to know
	Problems []Problem
	Marking  string // TLP name of the strictest thing on the page
	Now      time.Time
	Wide     bool // uses the whole width, for big tables
	Data     any
}

// Note is a message above a page's content: info, warning, error or success.
type Note struct{ Kind, Title, Text string }

// Problem gives what was wrong with one field.
func (p *Page) Problem(field string) string {
	for _, x := range p.Problems {
		if x.Field == field {
			return x.Text
		}
	}
	return ""
}

// Renderer makes the pages of one house.
type Renderer struct {
	pages map[string]*template.Template
	log   *slog.Logger
}

// New reads the templates of a house. It fails when any of them is broken, so
// that a page cannot fail later for its form. log must not be nil.
func New(house string, log *slog.Logger) (*Renderer, error) {
	base, err := template.New("base").Funcs(funcs).ParseFS(files, "templates/common/*.html")
	if err != nil {
		return nil, fmt.Errorf("web: templates: %w", err)
	}
	names, err := fs.Glob(files, "templates/"+house+"/*.html")
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("web: no templates for house %q", house)
	}
	names = append(names, "templates/sign-in.html", "templates/error.html")
	r := &Renderer{pages: map[string]*template.Template{}, log: log}
	for _, n := range names {
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(files, n)
		}
		if err != nil {
			return nil, fmt.Errorf("web: template %s: %w", n, err)
		}
		r.pages[strings.TrimSuffix(path.Base(n), ".html")] = t
	}
	return r, nil
}

// Render sends one page. A page is made completely before its first byte is
// sent, so that no half page is ever seen.
func (r *Renderer) Render(w http.ResponseWriter, status int, name string, p *Page) {
	var b bytes.Buffer
	t, ok := r.pages[name]
	err := fmt.Errorf("web: no page %q", name)
	if ok {
		err = t.ExecuteTemplate(&b, "layout", p)
	}
	if err != nil {
		r.log.Error("page cannot be made", slog.Any("page", name), slog.Any("error", err))
		http.Error(w, "This page cannot be shown because of a fault of the program. The operator's log says more.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser went away: nothing to be done
}

// Names lists the pages of the house, for tests that want to see them all.
func (r *Renderer) Names() []string {
	out := make([]string, 0, len(r.pages))
	for n := range r.pages {
		out = append(out, n)
	}
	return out
}
