package web

import (
	"io"
	"net/http"
	"time"
)

// Standstill is how long a long request may make no progress before the server
// gives it up.
const Standstill = 2 * time.Minute

// Patience prolongs the deadlines of one request as long as it makes progress:
// an upload of a big file, an act on many thousand indicators.
type Patience struct{ c *http.ResponseController }

// NewPatience makes it for the request that w answers.
func NewPatience(w http.ResponseWriter) Patience {
	return Patience{http.NewResponseController(w)}
}

// Progress gives the request more time. A server without deadlines needs none.
func (p Patience) Progress() {
	t := time.Now().Add(Standstill)
	_ = p.c.SetReadDeadline(t)
	_ = p.c.SetWriteDeadline(t)
}

// Reader gives the request more time with each piece that is read of r.
func (p Patience) Reader(r io.Reader) io.Reader { return &patient{r, p} }

type patient struct {
	io.Reader
	p Patience
}

func (r *patient) Read(b []byte) (int, error) {
	r.p.Progress()
	return r.Reader.Read(b)
}
