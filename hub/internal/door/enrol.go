package door

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"ecs/contract"
)

// postEnrol is the only endpoint without a certificate: what it takes is small,
// and tries are counted by address.
func (d *Door) postEnrol(w http.ResponseWriter, r *http.Request) {
	if !d.enrol.allow(site(r.RemoteAddr), time.Now()) {
		d.failWith(w, r, errTooBusy)
		return
	}
	var e contract.Enrolment
	err := readJSON(r, &e)
	if err != nil {
		d.refuseBody(w, r, err)
		return
	}
	out, err := d.cfg.Program.Enrol(r.Context(), e)
	if err != nil {
		d.failWith(w, r, err)
		return
	}
	d.answer(w, r, out)
}

// postRenew also takes a certificate that has ended, see program.Renew.
func (d *Door) postRenew(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		d.failWith(w, r, errNoCertificate)
		return
	}
	var e contract.Enrolment
	err := readJSON(r, &e)
	if err != nil {
		d.refuseBody(w, r, err)
		return
	}
	if e.Token != "" {
		d.fail(w, r, Problem{http.StatusBadRequest, "token-not-wanted", "A renewal is proved by the certificate, not by a token.", "Send the token to /v1/enrol, or leave it out."})
		return
	}
	out, err := d.cfg.Program.Renew(r.Context(), r.TLS.PeerCertificates[0], e.CSR)
	if err != nil {
		d.failWith(w, r, err)
		return
	}
	d.answer(w, r, out)
}

// errBody wraps what is wrong with a body in the sender's words.
var errBody = errors.New("door: body")

// readJSON reads exactly one value, with no unknown field.
func readJSON(r *http.Request, into any) error {
	if !isJSON(r) {
		return errMedia
	}
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err != nil {
		return fmt.Errorf("%w: %w", errBody, err)
	}
	_, err = dec.Token()
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: something follows the value", errBody)
	}
	return nil
}

// refuseBody answers 413, 415 or 400 for what readJSON said.
func (d *Door) refuseBody(w http.ResponseWriter, r *http.Request, err error) {
	_, known := d.problem(err)
	if known {
		d.failWith(w, r, err)
		return
	}
	d.fail(w, r, Problem{http.StatusBadRequest, "bad-json", "The body is not the JSON that this endpoint takes.", "See docs/formats/door.md."})
}

// answer sends a success as JSON.
func (d *Door) answer(w http.ResponseWriter, r *http.Request, v any) {
	d.count.answer(r.URL.Path, http.StatusOK)
	w.Header().Set("Content-Type", "application/json")
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

// site gives what enrolments are counted by: an IPv4 address, or an IPv6 /64.
func site(remote string) string {
	a, err := netip.ParseAddrPort(remote)
	if err != nil {
		return remote
	}
	ip := a.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return p.String()
}

// throttle counts by name within a window and has room for so many names; when
// it is full, names that it does not know are refused.
type throttle struct {
	mu    sync.Mutex
	most  int
	span  time.Duration
	size  int
	begun time.Time
	tries map[string]int
}

func newThrottle(most int, span time.Duration, size int) *throttle {
	return &throttle{most: most, span: span, size: size, tries: map[string]int{}}
}

func (t *throttle) allow(name string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Sub(t.begun) >= t.span {
		clear(t.tries)
		t.begun = now
	}
	n, known := t.tries[name]
	if n >= t.most || (!known && len(t.tries) >= t.size) {
		return false
	}
	t.tries[name] = n + 1
	return true
}
