package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// onceFor is how long a request is remembered by its Idempotency-Key.
const onceFor = 24 * time.Hour

// again makes the answer to a request that was done before, from what was kept of its
// answer. It is made anew for the reader of now: nothing kept is shown that the
// account may not know of any more.
type again func(r *http.Request, who signin.Account, kept []byte) (any, error)

// kept is an answer of which only a part is kept: no value of an indicator is.
type kept interface{ keep() any }

// once does a request that carries an Idempotency-Key at most once. A request that
// was refused is forgotten: it changed nothing, and may be sent again. One whose end
// is not known, because the program died meanwhile, is not done again.
func (a *api) once(w http.ResponseWriter, r *http.Request, who signin.Account, to *route) (any, error) {
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return to.do(w, r, who)
	}
	if len(key) < 8 || len(key) > 128 || strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return nil, &badRequest{"Idempotency-Key is not 8 to 128 printable characters.", "Send a random one, such as a UUID, and the same one when you send the request again."}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	mine := row{who.Login, digest(key), digest(r.Method, r.URL.Path, r.Header.Get("If-Match"), string(body))}
	state, err := mine.begin(r.Context(), a.DB, a.Now().UTC())
	if err != nil {
		return nil, err
	}
	switch {
	case state.mine:
	case state.digest != mine.digest:
		return nil, &toldError{access.Explanation{
			Status: http.StatusUnprocessableEntity, Code: "key-reused", Title: "The key belongs to another request",
			Detail: "This Idempotency-Key came with another request before.", Next: "Send a new key with each new request.",
		}}
	case state.answer == "":
		return nil, &toldError{access.Explanation{
			Status: http.StatusConflict, Code: "under-way", Title: "The request has been begun",
			Detail: "The same request is being done, or its end is not known.", Next: "Wait, and look at what it was about: then send what is missing with a new key.",
		}}
	default:
		w.Header().Set("Idempotent-Replayed", "true")
		return to.Again(r, who, []byte(state.answer))
	}
	// The end is written down even when the caller has gone away meanwhile.
	ctx := context.WithoutCancel(r.Context())
	out, err := to.do(w, r, who)
	if err != nil {
		forgotten := mine.forget(ctx, a.DB)
		if forgotten != nil {
			a.Log.ErrorContext(ctx, "a refused request is still remembered", slog.Any("error", forgotten))
		}
		return nil, err
	}
	keep := out
	if k, some := out.(kept); some {
		keep = k.keep()
	}
	text, err := json.Marshal(keep)
	if err == nil {
		err = mine.end(ctx, a.DB, string(text))
	}
	if err != nil { // it is done: the answer is true, only a repetition will not get it
		a.Log.ErrorContext(ctx, "the answer of a request is not kept", slog.Any("error", err))
	}
	return out, nil
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_ = json.NewEncoder(h).Encode(p) // quotes it, so that parts cannot run together
	}
	return hex.EncodeToString(h.Sum(nil))
}

// row is a request in table once.
type row struct{ login, key, digest string }

type begun struct {
	mine           bool // it is new: this request is the one that does it
	digest, answer string
}

func (x row) begin(ctx context.Context, db *sqldb.DB, now time.Time) (begun, error) {
	var out begun
	err := db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM once WHERE begun < $1`, sqldb.Time(now.Add(-onceFor)))
		if err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `INSERT INTO once (login, key, digest, begun) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, x.login, x.key, x.digest, sqldb.Time(now))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err != nil || n == 1 {
			out = begun{mine: true}
			return err
		}
		out = begun{}
		return tx.QueryRowContext(ctx, `SELECT digest, answer FROM once WHERE login = $1 AND key = $2`, x.login, x.key).Scan(&out.digest, &out.answer)
	})
	return out, err
}

func (x row) end(ctx context.Context, db *sqldb.DB, answer string) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE once SET answer = $3 WHERE login = $1 AND key = $2`, x.login, x.key, answer)
		return err
	})
}

func (x row) forget(ctx context.Context, db *sqldb.DB) error {
	return db.Write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM once WHERE login = $1 AND key = $2 AND answer = ''`, x.login, x.key)
		return err
	})
}
