package taxii

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Config of a [Server].
type Config struct {
	// Backend holds the objects. Needed.
	Backend Backend
	// Title, Description and Contact are for people.
	Title, Description, Contact string
	// Path of the API root, with a slash at both ends; "/taxii2/api/" if empty.
	// Discovery is at "/taxii2/" in any case.
	Path string
	// Identify says who asks, "" if unknown, which is answered with 401. If nil,
	// the name that [WithClient] put into the request's context counts.
	Identify func(*http.Request) string
	// Challenge is the WWW-Authenticate header of a 401; `Basic realm="TAXII"` if
	// empty.
	Challenge string
	// Key authenticates next. Replicas share it. If empty, a random one is made,
	// and next is good for this server alone. At least 16 bytes.
	Key []byte
	// PageLimit is the most records of one page, also when a client names no
	// limit; 1000 if zero.
	PageLimit int
	// MaxContent is the most bytes of one POST, told as max_content_length, when
	// Backend is an [Inbox]; 16 MiB if zero. The whole is held in memory.
	MaxContent int64
	// MaxObjects is the most objects of one POST; 10,000 if zero.
	MaxObjects int
	// Log receives what the backend fails with; nil for none.
	Log *slog.Logger
}

// discoveryPath is fixed by TAXII 2.1 section 4.1.
const discoveryPath = "/taxii2/"

// Server answers TAXII 2.1 requests. It starts no goroutine and keeps no state.
type Server struct {
	cfg   Config
	inbox Inbox // nil when nothing is taken
}

// NewServer checks the configuration.
func NewServer(cfg Config) (*Server, error) {
	if cfg.Backend == nil {
		return nil, errors.New("taxii: Config.Backend is needed")
	}
	if cfg.Path == "" {
		cfg.Path = discoveryPath + "api/"
	}
	if len(cfg.Path) < 3 || cfg.Path[0] != '/' || !strings.HasSuffix(cfg.Path, "/") || cfg.Path == discoveryPath {
		return nil, fmt.Errorf("taxii: Config.Path is %q; want a path of its own with a slash at both ends", cfg.Path)
	}
	if cfg.Title == "" {
		cfg.Title = "TAXII 2.1 server"
	}
	if cfg.Identify == nil {
		cfg.Identify = func(r *http.Request) string { return client(r.Context()) }
	}
	if cfg.Challenge == "" {
		cfg.Challenge = `Basic realm="TAXII"`
	}
	if len(cfg.Key) == 0 {
		cfg.Key = make([]byte, 32)
		_, _ = rand.Read(cfg.Key) // never fails: crypto/rand aborts the process instead
	}
	if len(cfg.Key) < 16 {
		return nil, errors.New("taxii: Config.Key is shorter than 16 bytes")
	}
	if cfg.PageLimit <= 0 {
		cfg.PageLimit = 1000
	}
	if cfg.MaxContent <= 0 {
		cfg.MaxContent = 16 << 20
	}
	if cfg.MaxObjects <= 0 {
		cfg.MaxObjects = 10_000
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	inbox, ok := cfg.Backend.(Inbox)
	if !ok {
		cfg.MaxContent = 1 // the standard wants it above zero; nothing is taken
	}
	return &Server{cfg: cfg, inbox: inbox}, nil
}

type clientKey struct{}

// WithClient notes in a request's context who asks, see [Config.Identify].
func WithClient(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, clientKey{}, name)
}

func client(ctx context.Context) string {
	name, _ := ctx.Value(clientKey{}).(string)
	return name
}

// ServeHTTP implements [http.Handler]. Paths are taken with and without the
// trailing slash: clients forget it, and a redirect would lose credentials.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := s.route(w, r)
	if err != nil {
		s.fail(w, r, err)
	}
}

func (s *Server) route(w http.ResponseWriter, r *http.Request) *Error {
	if !accepts(r.Header.Values("Accept")) {
		return problem(http.StatusNotAcceptable, "not-acceptable", "This server speaks "+MediaType+" alone.")
	}
	path := strings.TrimSuffix(r.URL.Path, "/") + "/"
	who := s.cfg.Identify(r)
	if who == "" {
		w.Header().Set("WWW-Authenticate", s.cfg.Challenge)
		return problem(http.StatusUnauthorized, "unauthorized", "Say who you are, by certificate or password.")
	}
	if path == discoveryPath {
		return s.resource(w, r, Discovery{
			Title: s.cfg.Title, Description: s.cfg.Description, Contact: s.cfg.Contact,
			Default: s.cfg.Path, Roots: []string{s.cfg.Path},
		})
	}
	rest, ok := strings.CutPrefix(path, s.cfg.Path)
	if !ok {
		return notFound()
	}
	parts := strings.Split(strings.TrimSuffix(rest, "/"), "/")
	switch {
	case rest == "":
		return s.resource(w, r, Root{
			Title: s.cfg.Title, Description: s.cfg.Description, Versions: []string{MediaType},
			MaxContentLength: s.cfg.MaxContent,
		})
	case parts[0] == "collections" && len(parts) == 1:
		return s.collections(w, r, who)
	case parts[0] == "collections":
		return s.collection(w, r, who, parts[1], parts[2:])
	case parts[0] == "status" && len(parts) == 2 && s.inbox != nil:
		return s.status(w, r, who, parts[1])
	default:
		return notFound()
	}
}

func notFound() *Error {
	return problem(http.StatusNotFound, "not-found", "There is nothing here, or nothing for you.")
}

// reads lets only GET and HEAD pass.
func reads(w http.ResponseWriter, r *http.Request) *Error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	w.Header().Set("Allow", "GET, HEAD")
	return problem(http.StatusMethodNotAllowed, "method-not-allowed", "Use GET.")
}

// resource answers with a small resource.
func (s *Server) resource(w http.ResponseWriter, r *http.Request, v any) *Error {
	err := reads(w, r)
	if err != nil {
		return err
	}
	s.write(w, r, http.StatusOK, v)
	return nil
}

func (s *Server) collections(w http.ResponseWriter, r *http.Request, who string) *Error {
	list, err := s.cfg.Backend.Collections(r.Context(), who)
	if err != nil {
		return s.backend(r, err)
	}
	var out struct {
		Collections []Collection `json:"collections,omitempty"`
	}
	out.Collections = list
	return s.resource(w, r, out)
}

// collection answers everything at and below one collection.
func (s *Server) collection(w http.ResponseWriter, r *http.Request, who, id string, below []string) *Error {
	list, err := s.cfg.Backend.Collections(r.Context(), who)
	if err != nil {
		return s.backend(r, err)
	}
	var c *Collection
	for i := range list {
		if list[i].ID == id || list[i].Alias == id && id != "" {
			c = &list[i]
			break
		}
	}
	switch {
	case c == nil:
		return notFound()
	case len(below) == 0:
		return s.resource(w, r, c)
	case len(below) == 1 && below[0] == "manifest":
		return s.page(w, r, who, c, "", manifestPage, matchAll)
	case len(below) == 1 && below[0] == "objects":
		return s.page(w, r, who, c, "", objectPage, matchAll)
	case len(below) == 2 && below[0] == "objects":
		return s.page(w, r, who, c, below[1], objectPage, matchOne)
	case len(below) == 3 && below[0] == "objects" && below[2] == "versions":
		return s.page(w, r, who, c, below[1], versionPage, matchVersion)
	default:
		return notFound()
	}
}

// form says what a page is made of.
type form uint8

const (
	objectPage form = iota
	manifestPage
	versionPage
)

// page answers with a page of a collection, or of one object in it.
func (s *Server) page(w http.ResponseWriter, r *http.Request, who string, c *Collection, object string, f form, match []string) *Error {
	if r.Method == http.MethodPost && f == objectPage && object == "" {
		return s.post(w, r, who, c)
	}
	if r.Method == http.MethodDelete && f == objectPage && object != "" {
		return s.refuseDelete(c)
	}
	problem := reads(w, r)
	if problem != nil {
		return problem
	}
	if !c.CanRead {
		return unreadable()
	}
	scope := fmt.Sprintf("%q %q %q %d", who, c.ID, object, f)
	q, filter, problem := s.query(r, scope, match)
	if problem != nil {
		return problem
	}
	q.Bodies = f == objectPage
	if f == versionPage {
		q.Version = Versions{All: true}
	}
	if object != "" {
		q.IDs = []string{object}
	}
	p, err := s.cfg.Backend.Objects(r.Context(), who, c.ID, q)
	if err != nil {
		return s.backend(r, err)
	}
	if object != "" && len(p.Records) == 0 {
		any, err := s.cfg.Backend.Objects(r.Context(), who, c.ID, Query{IDs: q.IDs, Limit: 1, Version: Versions{All: true}})
		if err != nil {
			return s.backend(r, err)
		}
		if len(any.Records) == 0 {
			return notFound()
		}
	}
	next := ""
	if n := len(p.Records); n > 0 {
		w.Header().Set("X-TAXII-Date-Added-First", formatTime(p.Records[0].Added))
		w.Header().Set("X-TAXII-Date-Added-Last", formatTime(p.Records[n-1].Added))
		if p.More {
			next = s.next(scope, filter, p.Records[n-1].Added)
		}
	}
	s.write(w, r, http.StatusOK, fill(p, next, f))
	return nil
}

func unreadable() *Error {
	return problem(http.StatusForbidden, "not-readable", "This collection cannot be read (can_read is false).")
}

// fill makes the envelope of a page. Lists that would be empty are left out.
func fill(p Page, next string, f form) envelope {
	out := envelope{More: next != "", Next: next}
	for _, rec := range p.Records {
		switch f {
		case objectPage:
			out.Objects = append(out.Objects, rec.Body)
		case versionPage:
			out.Versions = append(out.Versions, formatVersion(rec.Version))
		case manifestPage:
			media := stixType
			if rec.SpecVersion != "" {
				media = "application/stix+json;version=" + rec.SpecVersion
			}
			m := manifestRecord{ID: rec.ID, Added: formatTime(rec.Added), Version: formatVersion(rec.Version), MediaType: media}
			b, err := json.Marshal(m)
			if err == nil { // a struct of strings always marshals
				out.Objects = append(out.Objects, b)
			}
		}
	}
	return out
}

// backend turns an error of the backend into an answer that tells nothing of it.
func (s *Server) backend(r *http.Request, err error) *Error {
	if errors.Is(err, ErrNotFound) {
		return notFound()
	}
	var own *Error
	if errors.As(err, &own) {
		return own
	}
	out := problem(http.StatusServiceUnavailable, "unavailable", "The request could not be answered now. Try again later.")
	var id [8]byte
	_, _ = rand.Read(id[:])
	out.ID = hex.EncodeToString(id[:])
	if r.Context().Err() == nil {
		s.cfg.Log.Error("taxii backend failed", slog.Any("error_id", out.ID), slog.Any("error", err))
	}
	return out
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, e *Error) {
	if e.status() == http.StatusServiceUnavailable || e.RetryAfter > 0 {
		wait := cmp.Or(e.RetryAfter, 10*time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	s.write(w, r, e.status(), e)
}

// write answers with JSON. Objects go out byte for byte, but for white space.
func (s *Server) write(w http.ResponseWriter, r *http.Request, status int, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	if err != nil { // an object of the backend is not JSON
		status = http.StatusServiceUnavailable
		b.Reset()
		_ = enc.Encode(s.backend(r, err)) // a struct of strings always marshals
		w.Header().Del("X-TAXII-Date-Added-First")
		w.Header().Del("X-TAXII-Date-Added-Last")
	}
	w.Header().Set("Content-Type", MediaType)
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, err = w.Write(b.Bytes())
	if err != nil {
		s.cfg.Log.Debug("taxii client went away", slog.Any("error", err))
	}
}

// accepts reports whether one of the media ranges in Accept headers is ours.
// Clients in use send lists, q-values, a space after the semicolon, no version,
// plain application/json, or no header; none of them needs a 406.
func accepts(headers []string) bool {
	if len(headers) == 0 {
		return true
	}
	for _, item := range strings.Split(strings.Join(headers, ","), ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		typ, params, err := mime.ParseMediaType(item)
		if err != nil {
			typ, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(item)), ";")
			params = nil
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if params["q"] != "" && err == nil && q == 0 {
			continue
		}
		switch typ {
		case "*/*", "application/*", "application/json":
			return true
		case "application/taxii+json":
			if v := params["version"]; v == "" || v == "2.1" {
				return true
			}
		}
	}
	return strings.TrimSpace(strings.Join(headers, "")) == ""
}
