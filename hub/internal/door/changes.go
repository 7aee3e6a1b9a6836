package door

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"ecs/contract"
)

// getChanges answers with a page of the provider's log. With wait it holds the
// request until the log grows; whether the certificate is still good is asked
// again each second, so that a revocation is told at once.
func (d *Door) getChanges(w http.ResponseWriter, r *http.Request, c caller) {
	after, limit, wait, err := changesQuery(r.URL.Query())
	if err != nil {
		d.fail(w, r, Problem{http.StatusBadRequest, "bad-query", err.Error(), "See docs/formats/door.md for after, limit and wait."})
		return
	}
	if wait > 0 {
		err = d.await(r, c.provider.ID, after, wait)
		if err != nil {
			d.failWith(w, r, err)
			return
		}
	}
	page, err := d.cfg.Releases.Changes(r.Context(), c.provider.ID, after, limit)
	if err != nil {
		d.failWith(w, r, err)
		return
	}
	d.count.entries.Add(uint64(len(page.Entries)))
	d.page(w, r, &page)
}

// changesQuery reads after, limit and wait; each may be given once.
func changesQuery(q url.Values) (after uint64, limit int, wait time.Duration, err error) {
	for k, v := range q {
		if len(v) != 1 {
			return 0, 0, 0, fmt.Errorf("the parameter %q is given %d times", k, len(v))
		}
		switch k {
		case "after":
			after, err = strconv.ParseUint(v[0], 10, 62)
		case "limit":
			limit, err = strconv.Atoi(v[0])
			if err == nil && (limit < 1 || limit > MaxLimit) {
				err = errors.New("out of range")
			}
		case "wait":
			var n int
			n, err = strconv.Atoi(v[0])
			wait = time.Duration(n) * time.Second
			if err == nil && (n < 0 || wait > MaxWait) {
				err = errors.New("out of range")
			}
		default:
			return 0, 0, 0, fmt.Errorf("there is no parameter %q", k)
		}
		if err != nil {
			return 0, 0, 0, fmt.Errorf("the parameter %q is not a number in its range", k)
		}
	}
	return after, limit, wait, nil
}

// look is how often a waiting request asks whether its certificate is still good.
const look = time.Second

// await returns nil when the log has grown or the time is over, and an error when
// the caller may no longer have it.
func (d *Door) await(r *http.Request, provider string, after uint64, wait time.Duration) error {
	select {
	case d.waiting <- struct{}{}:
		defer func() { <-d.waiting }()
	default:
		d.count.unwaited.Add(1)
		return nil
	}
	end := time.Now().Add(wait)
	for {
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		step, cancel := context.WithTimeout(r.Context(), min(left, look))
		err := d.cfg.Releases.Wait(step, provider, after)
		cancel()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
		_, whoErr := d.whoEvenSuspended(r)
		if whoErr != nil {
			return whoErr
		}
		if err == nil {
			return nil
		}
	}
}

var zippers = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed)
	if err != nil {
		panic(err) // a level that the package itself names
	}
	return z
}}

// page sends a page, compressed when the client takes it. The objects must go
// out byte for byte as they are signed for: no HTML escaping.
func (d *Door) page(w http.ResponseWriter, r *http.Request, p *contract.Page) {
	d.count.answer(r.URL.Path, http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Vary", "Accept-Encoding")
	var out io.Writer = w
	if takesGzip(r.Header.Get("Accept-Encoding")) {
		w.Header().Set("Content-Encoding", "gzip")
		z := zippers.Get().(*gzip.Writer)
		z.Reset(w)
		defer func() {
			_ = z.Close()
			zippers.Put(z)
		}()
		out = z
	}
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(p)
}

// takesGzip reads Accept-Encoding (RFC 9110 section 12.5.3) as far as gzip goes.
func takesGzip(header string) bool {
	for _, part := range strings.Split(header, ",") {
		name, params, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		weight, found := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		v, err := strconv.ParseFloat(weight, 64)
		return !found || (err == nil && v > 0)
	}
	return false
}
