package door

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"

	"ecs/hub/internal/feedback"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
)

// Problem is every answer that is no success: a status, a code that programs
// may compare, what happened, and what to do next. It never shows a cause from
// inside the hub.
type Problem struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Next    string `json:"next"`
}

var (
	errNoCertificate = errors.New("door: no client certificate")
	errTooBusy       = errors.New("door: too many enrolments")
	errMedia         = errors.New("door: not JSON")
)

// problems maps errors to answers, in this one place.
var problems = []struct {
	err error
	p   Problem
}{
	{errNoCertificate, Problem{401, "certificate-required", "This endpoint needs a client certificate.", "Enrol with a one-time token, then use the certificate."}},
	{errTooBusy, Problem{429, "too-many-enrolments", "Too many enrolments from this address or at a time.", "Wait a minute and try again."}},
	{errMedia, Problem{415, "media-type", "The body has to be application/json.", "Set the header Content-Type."}},
	{program.ErrToken, Problem{403, "token-refused", "The token is wrong, used or too old.", "Ask the hub's operator for a new one."}},
	{program.ErrRevoked, Problem{403, "certificate-revoked", "The certificate was revoked.", "Ask the hub's operator for a new token and enrol again."}},
	{program.ErrUnknown, Problem{403, "certificate-unknown", "The certificate is not in the hub's books.", "Enrol again."}},
	{program.ErrTooLate, Problem{403, "certificate-too-old", "The certificate ended too long ago to renew.", "Ask the hub's operator for a new token and enrol again."}},
	{program.ErrExpired, Problem{403, "certificate-expired", "The certificate has ended.", "Renew it at /v1/renew."}},
	{program.ErrSuspended, Problem{403, "suspended", "The provider is suspended: nothing new is delivered.", "Ask the hub's operator. Go on reading /v1/changes: recalls and checkpoints still come there."}},
	{program.ErrInactive, Problem{403, "not-in-program", "The provider is not accredited, or has left the program.", "Ask the hub's operator."}},
	{release.ErrProvider, Problem{403, "not-in-program", "The provider is not accredited, or has left the program.", "Ask the hub's operator."}},
	{release.ErrAck, Problem{422, "ack-refused", "The receipt cannot be believed and changed nothing.", "Do not send it again: load the list anew and acknowledge that."}},
	{feedback.ErrProvider, Problem{403, "not-in-program", "The provider is not accredited, or has left the program.", "Ask the hub's operator."}},
	{program.ErrInput, Problem{400, "request-refused", "The certificate request cannot be honored.", "Send a PKCS #10 request with an ECDSA P-256 key and the node's name (a-z, 0-9, dash) as common name."}},
}

func (d *Door) problem(err error) (Problem, bool) {
	p, known := d.cfg.Refused(err)
	if known {
		return p, true
	}
	for _, x := range problems {
		if errors.Is(err, x.err) {
			return x.p, true
		}
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return Problem{http.StatusRequestEntityTooLarge, "too-large", "The body is larger than this endpoint takes.", "Send less at a time."}, true
	}
	var window *feedback.Refused
	if errors.As(err, &window) {
		message := "The window is refused: " + string(window.Code) + "."
		if window.Cell > 0 {
			message = "The window is refused for its cell " + strconv.Itoa(window.Cell) + ": " + string(window.Code) + "."
		}
		return Problem{http.StatusUnprocessableEntity, "feedback-" + string(window.Code), message, "Do not send it again. docs/formats/door.md explains the code."}, true
	}
	return Problem{}, false
}

// failWith answers for an error.
func (d *Door) failWith(w http.ResponseWriter, r *http.Request, err error) {
	p, known := d.problem(err)
	if known {
		d.fail(w, r, p)
		return
	}
	if r.Context().Err() != nil || errors.Is(err, context.Canceled) {
		d.count.gone.Add(1)
		p = Problem{http.StatusServiceUnavailable, "interrupted", "The request was interrupted.", "Try again."}
		write(w, p)
		return
	}
	d.cfg.Log.LogAttrs(r.Context(), slog.LevelError, "door: request failed", slog.String("path", r.URL.Path), slog.Any("error", err))
	d.fail(w, r, Problem{http.StatusServiceUnavailable, "unavailable", "The hub could not do it now.", "Try again in a minute."})
}

func (d *Door) fail(w http.ResponseWriter, r *http.Request, p Problem) {
	d.count.answer(r.URL.Path, p.Status)
	write(w, p)
}

func write(w http.ResponseWriter, p Problem) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}
