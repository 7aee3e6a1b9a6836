package taxii

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// post takes the objects of one envelope (section 5.5).
func (s *Server) post(w http.ResponseWriter, r *http.Request, who string, c *Collection) *Error {
	if s.inbox == nil || !c.CanWrite {
		return problem(http.StatusForbidden, "read-only", "This collection is read-only (can_write is false).")
	}
	bad := mediaTyped(r.Header)
	if bad != nil {
		return bad
	}
	body, bad := s.body(r)
	if bad != nil {
		return bad
	}
	p, err := readEnvelope(body, s.cfg.MaxObjects)
	switch {
	case errors.Is(err, errTooMany):
		return problem(http.StatusRequestEntityTooLarge, "too-many-objects", fmt.Sprintf("At most %d objects are taken at once; send several envelopes.", s.cfg.MaxObjects))
	case err != nil:
		return problem(http.StatusUnprocessableEntity, "not-an-envelope", "The body is no TAXII envelope: "+clip(err.Error())+".")
	case len(p.objects) == 0:
		return problem(http.StatusUnprocessableEntity, "no-objects", "The envelope holds no objects.")
	}
	in := Posted{Body: body, Objects: make([]PostedObject, len(p.objects))}
	for i, raw := range p.objects {
		in.Objects[i] = posted(raw)
	}
	st, err := s.inbox.Add(r.Context(), who, c.ID, in)
	if err != nil {
		return s.backend(r, err)
	}
	s.write(w, r, http.StatusAccepted, st)
	return nil
}

// mediaTyped refuses what is no TAXII 2.1 (section 1.6.8). Clients in use leave
// the version out, or say application/json.
func mediaTyped(h http.Header) *Error {
	typ, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	version := params["version"]
	ours := typ == "application/taxii+json" && (version == "" || version == "2.1") || typ == "application/json"
	if err != nil || !ours {
		return problem(http.StatusUnsupportedMediaType, "media-type", "Send "+MediaType+".")
	}
	coding := strings.ToLower(h.Get("Content-Encoding"))
	if coding != "" && coding != "identity" {
		return problem(http.StatusUnsupportedMediaType, "content-coding", "Send the envelope uncompressed.")
	}
	return nil
}

// body reads the whole request, which may have to be thrown away: better before
// than after something was stored.
func (s *Server) body(r *http.Request) ([]byte, *Error) {
	tooLarge := problem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("The envelope is larger than max_content_length, %d bytes; send several.", s.cfg.MaxContent))
	if r.ContentLength > s.cfg.MaxContent {
		return nil, tooLarge
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, s.cfg.MaxContent+1))
	var most *http.MaxBytesError
	switch {
	case n > s.cfg.MaxContent || errors.As(err, &most):
		return nil, tooLarge
	case err != nil:
		return nil, problem(http.StatusBadRequest, "torn", "The body could not be read to its end. Send it again.")
	}
	return b.Bytes(), nil
}

// refuseDelete answers DELETE, which is not offered (section 5.7).
func (s *Server) refuseDelete(c *Collection) *Error {
	if !c.CanRead && !c.CanWrite {
		return notFound()
	}
	return problem(http.StatusForbidden, "no-delete", "Objects cannot be deleted here.")
}

// status answers with a status resource (section 4.3).
func (s *Server) status(w http.ResponseWriter, r *http.Request, who, id string) *Error {
	bad := reads(w, r)
	if bad != nil {
		return bad
	}
	st, err := s.inbox.Status(r.Context(), who, id)
	if err != nil {
		return s.backend(r, err)
	}
	s.write(w, r, http.StatusOK, st)
	return nil
}
