package web

import "net/http"

// policy forbids everything but our own style sheets, images, fonts and script files,
// and forms that post to us. Script in a page is forbidden, and it may fetch nothing.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func setCommon(h http.Header) {
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", policy)
}

// Secure wraps the pages of a console: it sets the headers that every page needs
// and refuses requests that change something and come from another site
// (Sec-Fetch-Site or Origin, see [http.CrossOriginProtection]).
func Secure(next http.Handler) http.Handler {
	guard := http.NewCrossOriginProtection()
	return guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		setCommon(h)
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store") // pages may hold what the next user may not see
		next.ServeHTTP(w, r)
	}))
}
