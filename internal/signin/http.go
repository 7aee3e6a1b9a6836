package signin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Wrap lets only signed-in requests through to next, with the account in the
// context. It answers /sign-in and POST /sign-out itself. Pages without a
// session are sent to /sign-in; paths under /api/ take HTTP Basic or a session,
// and answer 401 otherwise. Requests that change something and come from
// another origin are refused (403).
func (s *Service) Wrap(next http.Handler) http.Handler {
	return s.origin.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, p := range s.cfg.Public {
			if strings.HasPrefix(r.URL.Path, p) {
				next.ServeHTTP(w, r)
				return
			}
		}
		w.Header().Set("Cache-Control", "no-store")
		api := strings.HasPrefix(r.URL.Path, "/api/")
		switch {
		case r.URL.Path == "/sign-in":
			s.signIn(w, r)
			return
		case r.URL.Path == "/sign-out":
			s.signOut(w, r)
			return
		}
		a, err := s.who(r, api)
		switch {
		case err == nil:
			next.ServeHTTP(w, r.WithContext(With(r.Context(), a)))
		case !errors.Is(err, errNoSession) && !isCredential(err):
			slog.ErrorContext(r.Context(), "sign-in failed", slog.Any("error", err))
			refuse(w, api, http.StatusServiceUnavailable, "unavailable", "The sign-in could not be checked. Try again in a minute.")
		case api:
			status, text := statusOf(err)
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="ecs", charset="UTF-8"`)
			}
			refuse(w, true, status, "sign-in", text)
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			http.Redirect(w, r, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		}
	}))
}

func isCredential(err error) bool {
	return errors.Is(err, ErrCredentials) || errors.Is(err, ErrLimited) || errors.Is(err, ErrBusy)
}

// statusOf gives the HTTP status and the words for a failed sign-in.
func statusOf(err error) (int, string) {
	switch {
	case errors.Is(err, ErrLimited):
		return http.StatusTooManyRequests, "Too many wrong passwords. Wait five minutes and try again."
	case errors.Is(err, ErrBusy):
		return http.StatusTooManyRequests, "Too many sign-ins at a time. Try again in a moment."
	case errors.Is(err, ErrCredentials):
		return http.StatusUnauthorized, "Login or password is wrong."
	}
	return http.StatusUnauthorized, "Sign in first."
}

func (s *Service) who(r *http.Request, api bool) (Account, error) {
	a, err := s.recorded(r, api)
	if err != nil || s.cfg.Effective == nil {
		return a, err
	}
	return s.cfg.Effective(r.Context(), a)
}

// Basic gives the account that a request signs in by HTTP Basic, for what has no
// pages, with the limits on wrong passwords of [Service.Wrap]. The error is one of
// [ErrCredentials], [ErrLimited] and [ErrBusy], or what failed.
func (s *Service) Basic(r *http.Request) (Account, error) {
	_, _, ok := r.BasicAuth()
	if !ok {
		return Account{}, ErrCredentials
	}
	return s.who(r, true)
}

func (s *Service) recorded(r *http.Request, api bool) (Account, error) {
	if api {
		login, password, ok := r.BasicAuth()
		if ok {
			return s.basic(r, login, password)
		}
	}
	c, err := r.Cookie(s.cfg.Cookie)
	if err != nil {
		return Account{}, errNoSession
	}
	return s.resume(r.Context(), c.Value)
}

// proof says that a password was computed and fitted.
type proof struct {
	stored string // what it fitted to
	until  time.Time
}

const (
	proofLife = time.Minute
	proofs    = 1000
)

// basic checks HTTP Basic. PBKDF2 costs a good part of a second, so a right
// password is remembered for a minute by a keyed digest, together with the
// stored form that it fitted: when that changes, the proof is void.
func (s *Service) basic(r *http.Request, login, password string) (Account, error) {
	m := hmac.New(sha256.New, s.secret[:])
	m.Write([]byte(login + "\x00" + password))
	var key [32]byte
	m.Sum(key[:0])
	now := s.cfg.Now()
	s.mu.Lock()
	p, known := s.verified[key]
	s.mu.Unlock()
	if known && now.Before(p.until) {
		a, stored, err := s.load(r.Context(), login)
		if err != nil && !errors.Is(err, ErrUnknown) {
			return Account{}, err
		}
		if err == nil && stored == p.stored {
			return a, nil
		}
	}
	a, err := s.checkFrom(r.Context(), login, password, address(r))
	if err != nil {
		return Account{}, err
	}
	_, stored, err := s.load(r.Context(), login)
	if err != nil {
		return Account{}, ErrCredentials
	}
	s.mu.Lock()
	if len(s.verified) >= proofs {
		clear(s.verified)
	}
	s.verified[key] = proof{stored: stored, until: now.Add(proofLife)}
	s.mu.Unlock()
	return a, nil
}

// address gives what tries are counted by: an IPv4 address, or the /64 that one
// IPv6 site has.
func address(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
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

func (s *Service) signIn(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		s.cfg.Page(w, r, http.StatusOK, Page{Next: local(r.URL.Query().Get("next"))})
		return
	case http.MethodPost:
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Open this page or send its form.", http.StatusMethodNotAllowed)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	err := r.ParseForm()
	if err != nil {
		s.cfg.Page(w, r, http.StatusBadRequest, Page{Error: "The form could not be read. Send it again."})
		return
	}
	login := strings.ToLower(strings.TrimSpace(r.PostForm.Get("login")))
	to := local(r.PostForm.Get("next"))
	a, err := s.checkFrom(r.Context(), login, strings.TrimSpace(r.PostForm.Get("password")), address(r))
	if err == nil {
		var value string
		value, err = s.begin(r.Context(), a.Login)
		if err == nil {
			s.setCookie(w, value)
			http.Redirect(w, r, to, http.StatusSeeOther)
			return
		}
	}
	if !isCredential(err) {
		slog.ErrorContext(r.Context(), "sign-in failed", slog.Any("error", err))
		s.cfg.Page(w, r, http.StatusServiceUnavailable, Page{Error: "The sign-in could not be checked. Try again in a minute.", Login: login, Next: to})
		return
	}
	status, text := statusOf(err)
	s.cfg.Page(w, r, status, Page{Error: text, Login: login, Next: to})
}

func (s *Service) signOut(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "Use the button to sign out.", http.StatusMethodNotAllowed)
		return
	}
	c, err := r.Cookie(s.cfg.Cookie)
	if err == nil {
		err = s.end(r.Context(), c.Value)
		if err != nil {
			slog.ErrorContext(r.Context(), "sign-out failed", slog.Any("error", err))
			http.Error(w, "The sign-out could not be recorded. Try again.", http.StatusServiceUnavailable)
			return
		}
	}
	s.setCookie(w, "")
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

// local keeps only a path of this site: anything else could send a user who
// has just signed in to a stranger.
func local(next string) string {
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") ||
		strings.HasPrefix(next, "/sign-") {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Host != "" || u.Scheme != "" {
		return "/"
	}
	return next
}

func refuse(w http.ResponseWriter, api bool, status int, code, text string) {
	if !api {
		http.Error(w, text, status)
		return
	}
	// Problem details (RFC 9457), in the form of docs/formats/api.md.
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"type": "urn:ecs:problem:" + code, "title": http.StatusText(status), "status": status,
		"detail": text, "next": "Send login and password by HTTP Basic.",
	})
}

var plain = template.Must(template.New("sign-in").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in</title></head><body><main>
<h1>Sign in</h1>{{with .Error}}<p role="alert">{{.}}</p>{{end}}
<form method="post" action="/sign-in"><input type="hidden" name="next" value="{{.Next}}">
<p><label>Login <input name="login" value="{{.Login}}" autocomplete="username" required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button>Sign in</button></p></form></main></body></html>
`))

func plainPage(w http.ResponseWriter, _ *http.Request, status int, p Page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = plain.Execute(w, p)
}
