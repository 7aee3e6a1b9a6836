package door

import (
	"io"
	"net/http"

	"ecs/contract"
)

// postAck takes a node's receipt. The same receipt may come twice.
func (d *Door) postAck(w http.ResponseWriter, r *http.Request, c caller) {
	var a contract.SignedAck
	err := readJSON(r, &a)
	if err != nil {
		d.refuseBody(w, r, err)
		return
	}
	err = d.cfg.Releases.Acknowledge(r.Context(), c.provider.ID, c.node.Serial, a)
	if err != nil {
		d.failWith(w, r, err)
		return
	}
	d.done(w, r)
}

// postFeedback takes the exact bytes of a window. The same window may come
// twice.
func (d *Door) postFeedback(w http.ResponseWriter, r *http.Request, c caller) {
	if !isJSON(r) {
		d.failWith(w, r, errMedia)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.refuseBody(w, r, err)
		return
	}
	err = d.cfg.Feedback.Accept(r.Context(), c.provider.ID, body)
	if err != nil {
		d.failWith(w, r, err)
		return
	}
	d.done(w, r)
}

func (d *Door) done(w http.ResponseWriter, r *http.Request) {
	d.count.answer(r.URL.Path, http.StatusNoContent)
	w.WriteHeader(http.StatusNoContent)
}
