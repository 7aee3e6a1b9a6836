package web

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
)

// progressMark stands in a page where its progress will be written. A template puts
// it there with {{progress}}.
const progressMark = "ecs-progress-is-written-here"

func init() {
	funcs["progress"] = func() template.HTML { return progressMark }
}

// Long is a page that is sent while what it tells of is being done: it needs no
// script, and whoever closes it stops what is being done.
type Long struct {
	w    http.ResponseWriter
	c    *http.ResponseController
	rest []byte
}

// Begin makes a page completely, and sends it up to where its progress belongs.
func (r *Renderer) Begin(w http.ResponseWriter, name string, p *Page) (*Long, error) {
	var b bytes.Buffer
	t, ok := r.pages[name]
	if !ok {
		return nil, fmt.Errorf("web: no page %q", name)
	}
	err := t.ExecuteTemplate(&b, "layout", p)
	if err != nil {
		return nil, fmt.Errorf("web: page %s: %w", name, err)
	}
	head, rest, ok := bytes.Cut(b.Bytes(), []byte(progressMark))
	if !ok {
		return nil, fmt.Errorf("web: page %s has no place for its progress", name)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	l := &Long{w: w, c: http.NewResponseController(w), rest: rest}
	return l, l.send(head)
}

// Say sends one line of progress. The error says that nobody reads any more.
func (l *Long) Say(text string) error {
	return l.send([]byte("<li>" + template.HTMLEscapeString(text) + "</li>\n"))
}

// End sends the end: a part of the same page's templates, and the rest.
func (l *Long) End(r *Renderer, page, part string, data any) error {
	var b bytes.Buffer
	err := r.pages[page].ExecuteTemplate(&b, part, data)
	if err != nil {
		return fmt.Errorf("web: part %s: %w", part, err)
	}
	return l.send(append(b.Bytes(), l.rest...))
}

func (l *Long) send(b []byte) error {
	_, err := l.w.Write(b)
	if err != nil {
		return err
	}
	return l.c.Flush()
}
