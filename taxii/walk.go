package taxii

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Filter says which objects of a collection to read.
type Filter struct {
	AddedAfter time.Time // zero for the beginning
	IDs        []string
	Types      []string
	Versions   []string // "all", "first", "last", timestamps; the last if empty
}

// Objects is one page as the client got it.
type Objects struct {
	Objects []json.RawMessage
	// Last is what to give as [Filter.AddedAfter] to go on from here at another
	// time. At the end of a collection it is the date of its newest object. Before
	// that it is a microsecond earlier, since servers that give one date to many
	// objects may have more of them on the next page: some then come twice, none is
	// missed. Zero if the server has not told.
	Last time.Time
	// More says that another page follows.
	More bool
}

// ErrStuck says that a server promises more and does not get further: it repeats
// pages, or gives neither next nor a later date.
var ErrStuck = errors.New("taxii: the server says that there is more, but does not get further")

// ErrFuture says that a server's objects are of a later date than today. Whoever
// went on from there would miss what is added until then.
var ErrFuture = errors.New("taxii: the server says that objects were added in the future; set its clock, or ours")

// Bounds of a walk.
const (
	maxEmpty  = 3              // pages without anything new, one behind the other
	maxAhead  = 24 * time.Hour // how far a server's clock may be ahead
	mostAsked = 1 << 16        // largest limit that is asked for
)

// Pages reads a collection page by page: by next if the server gives it, by
// X-TAXII-Date-Added-Last otherwise. An error ends it; what came before is good,
// and reading can go on from its Last.
//
// Each page moves forward: pages that bring nothing new, though more is promised, end
// in [ErrStuck] after a few tries, and so do more pages than MaxPages.
func (c *Client) Pages(ctx context.Context, root, collection string, f Filter) iter.Seq2[Objects, error] {
	return func(yield func(Objects, error) bool) {
		u, err := join(root, "collections", collection, "objects")
		if err != nil {
			yield(Objects{}, err)
			return
		}
		w := &walk{client: c, url: u, query: f.values(), start: f.AddedAfter, last: f.AddedAfter, limit: c.cfg.PageLimit, pages: map[digest]bool{}}
		w.ask()
		for range c.cfg.MaxPages {
			page, err := w.page(ctx)
			if err != nil {
				yield(Objects{Last: w.resume(true)}, err)
				return
			}
			more := w.more(page)
			out := Objects{Objects: page.objects, Last: w.resume(more), More: more}
			if !yield(out, nil) || !more {
				return
			}
			err = w.forward(page)
			if err != nil {
				yield(Objects{Last: out.Last}, err)
				return
			}
		}
		yield(Objects{Last: w.resume(true)}, fmt.Errorf("%w: %d pages were read", ErrStuck, c.cfg.MaxPages))
	}
}

type digest [16]byte

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(sum[:16])
}

// walk is the way through one collection.
type walk struct {
	client *Client
	url    *url.URL
	query  url.Values
	limit  int // that is asked for, 0 for none

	start  time.Time // where it began
	last   time.Time // date of the newest object so far
	before time.Time // last of the page before
	got    int       // objects of the last page as they came
	empty  int       // pages without anything new in a row
	had    map[digest]bool
	pages  map[digest]bool // that came before
}

func (w *walk) ask() {
	if w.limit > 0 {
		w.query.Set("limit", strconv.Itoa(w.limit))
	}
}

// page asks for the next page, and leaves out what the page before held, too.
func (w *walk) page(ctx context.Context) (page, error) {
	p, header, err := w.get(ctx)
	var e *Error
	if errors.As(err, &e) && (e.status() == http.StatusBadRequest || e.status() == http.StatusNotFound) && w.byDate() {
		p, header, err = w.get(ctx) // next has expired, as it does on servers that keep it in memory
	}
	if err != nil {
		return p, err
	}
	w.before = w.last
	t, err := time.Parse(time.RFC3339, strings.TrimSpace(header.Get("X-TAXII-Date-Added-Last")))
	if err == nil && t.After(time.Now().Add(maxAhead)) {
		return p, fmt.Errorf("%w: %s", ErrFuture, formatTime(t))
	}
	if err == nil && t.After(w.last) {
		w.last = t
	}
	w.got = len(p.objects)
	p.objects = w.fresh(p.objects)
	return p, nil
}

// fresh leaves out what the page before held, too, and all of a page that is one of
// those before.
func (w *walk) fresh(objects []json.RawMessage) []json.RawMessage {
	now := make(map[digest]bool, len(objects))
	out := objects[:0]
	whole := sha256.New()
	for _, o := range objects {
		d := digestOf(o)
		whole.Write(d[:])
		if !w.had[d] {
			out = append(out, o)
		}
		now[d] = true
	}
	page := digest(whole.Sum(nil)[:16])
	if w.pages[page] {
		out = nil
	}
	w.had, w.pages[page] = now, true
	return out
}

func (w *walk) get(ctx context.Context) (p page, header http.Header, err error) {
	w.url.RawQuery = w.query.Encode()
	header, err = w.client.get(ctx, w.url, &p)
	return p, header, err
}

// byDate goes on by date instead of by next, if there is a next and a date.
func (w *walk) byDate() bool {
	if !w.query.Has("next") || !w.last.After(w.start) {
		return false
	}
	w.query.Del("next")
	w.query.Set("added_after", formatTime(w.last.Add(-time.Microsecond)))
	return true
}

// more says whether to ask for another page: when the server says so, and when a
// page is as full as was asked for, which servers in use call the last by mistake.
func (w *walk) more(p page) bool {
	if p.more || p.next != "" {
		return true
	}
	return w.limit > 0 && w.got >= w.limit && len(p.objects) > 0 && w.last.After(w.before)
}

// resume gives the moment from which another walk can go on.
func (w *walk) resume(more bool) time.Time {
	if more && w.last.After(w.start) {
		return w.last.Add(-time.Microsecond)
	}
	return w.last
}

// forward makes the query for the page after p.
func (w *walk) forward(p page) error {
	w.empty++
	if len(p.objects) > 0 {
		w.empty = 0
	}
	if w.empty > maxEmpty {
		return fmt.Errorf("%w: %d pages brought nothing new", ErrStuck, w.empty)
	}
	if p.next != "" {
		w.query.Set("next", p.next) // the same next may lead on: medallion names a session by it
		return nil
	}
	w.query.Del("next")
	if len(p.objects) == 0 || !w.last.After(w.before) {
		return w.wider()
	}
	// Strictly after a microsecond before: objects of the same date as the last one
	// may not have fitted on the page. What comes again is left out.
	w.query.Set("added_after", formatTime(w.last.Add(-time.Microsecond)))
	return nil
}

// wider asks for more objects at once, when a page is full of one date and the
// server gives no next to get behind it.
func (w *walk) wider() error {
	if w.got == 0 || w.last.IsZero() || w.got < w.limit/2 || w.limit >= mostAsked {
		return fmt.Errorf("%w: it gives neither next nor a later X-TAXII-Date-Added-Last", ErrStuck)
	}
	w.limit = min(max(2*w.got, 2*w.limit), mostAsked)
	w.query.Set("added_after", formatTime(w.last.Add(-time.Microsecond)))
	w.ask()
	return nil
}

func (f Filter) values() url.Values {
	q := url.Values{}
	if !f.AddedAfter.IsZero() {
		q.Set("added_after", formatTime(f.AddedAfter))
	}
	for name, v := range map[string][]string{"id": f.IDs, "type": f.Types, "version": f.Versions} {
		if len(v) > 0 {
			q.Set("match["+name+"]", strings.Join(v, ","))
		}
	}
	return q
}
