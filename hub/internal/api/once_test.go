package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/store"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

// keyed sends an act with an Idempotency-Key.
func (s served) keyed(t *testing.T, login, key, path, body string) (status int, replayed bool, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(login, s.Passwords[login])
	r.Header.Set("Idempotency-Key", key)
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	text, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	return got.StatusCode, got.Header.Get("Idempotent-Replayed") == "true", string(text)
}

func TestIdempotencyKey(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "first.example")
	first := "/api/v1/items/" + it.ID.String() + "/first"
	body := `{"reason":"` + hubtest.Why + `"}`
	for _, x := range []struct {
		name, login, key, path, body string
		status                       int
		replayed                     bool
	}{
		{"a key too short", "ann", "short", first, body, 400, false},
		{"a key with a space", "ann", "1234 5678", first, body, 400, false},
		{"refused", "ann", "key-00000001", first, `{"reason":"no"}`, 422, false},
		{"corrected, under the same key", "ann", "key-00000001", first, body, 200, false},
		{"the same again", "ann", "key-00000001", first, body, 200, true},
		{"without the key it is a second approval by the same person", "ann", "key-00000002", first, body, 409, false},
		{"another request under the key", "ann", "key-00000001", first, `{"reason":"` + hubtest.Why + ` "}`, 422, false},
		{"another address under the key", "ann", "key-00000001", strings.Replace(first, "/first", "/return", 1), body, 422, false},
		{"somebody else's key is another one", "abe", "key-00000001", first, body, 409, false},
	} {
		status, replayed, answer := s.keyed(t, x.login, x.key, x.path, x.body)
		if status != x.status || replayed != x.replayed {
			t.Errorf("%s: status %d, replayed %v; want %d, %v: %s", x.name, status, replayed, x.status, x.replayed, answer)
		}
	}
	var rows, values int
	err := s.DB.QueryRowContext(t.Context(), `SELECT count(*), count(CASE WHEN answer LIKE '%first.example%' THEN 1 END) FROM once`).Scan(&rows, &values)
	if err != nil || rows != 1 || values != 0 {
		t.Errorf("%d rows are kept, %d with a value: %v", rows, values, err)
	}
	_, _, one := s.keyed(t, "ann", "key-00000001", first, body)
	var a actAnswer
	err = json.Unmarshal([]byte(one), &a)
	if err != nil || a.Item.ID != it.ID || a.Item.Value != "first.example" || a.Item.State != "PENDING_SECOND" {
		t.Errorf("the answer again: %s, %v", one, err)
	}
}

// Many send the same bulk act at once: one does it, the others are told that it is
// under way, or get its answer.
func TestIdempotencyKeyTogether(t *testing.T) {
	s := serve(t)
	body := `{"filter":{"states":["PENDING_FIRST"]},"reason":"` + hubtest.Why + `"}`
	var all sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]int{}
	done := map[int]bool{}
	for range 8 {
		all.Go(func() {
			status, replayed, answer := s.keyed(t, "ann", "key-together", "/api/v1/bulk/first", body)
			mu.Lock()
			defer mu.Unlock()
			seen[fmt.Sprint(status, replayed)]++
			if status == http.StatusOK {
				var b bulkAnswer
				_ = json.Unmarshal([]byte(answer), &b)
				done[b.Done] = true
			}
		})
	}
	all.Wait()
	if seen["200 false"] != 1 || seen["200 false"]+seen["200 true"]+seen["409 false"] != 8 || len(done) != 1 || done[0] {
		t.Errorf("answers %v, counts %v", seen, done)
	}
}

// The table of keys, on both databases: a key is taken once, kept for a day, forgotten
// when its request was refused, and another account's is another.
func TestKeysInTheDatabase(t *testing.T) {
	open := func(dsn string) (*sqldb.DB, error) { return store.Open(context.Background(), dsn) }
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) {
		ctx, now := t.Context(), time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
		begin := func(x row, at time.Time) begun {
			t.Helper()
			b, err := x.begin(ctx, db, at)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		x, other := row{"ann", digest("k"), digest("a")}, row{"abe", digest("k"), digest("a")}
		if !begin(x, now).mine || !begin(other, now).mine {
			t.Error("a new key is not taken")
		}
		if got := begin(x, now.Add(time.Second)); got != (begun{digest: x.digest}) {
			t.Errorf("under way: %+v", got)
		}
		for _, step := range []error{x.end(ctx, db, `{"done":1}`), x.forget(ctx, db), other.forget(ctx, db)} {
			if step != nil {
				t.Fatal(step)
			}
		}
		if got := begin(x, now.Add(onceFor)); got != (begun{digest: x.digest, answer: `{"done":1}`}) {
			t.Errorf("done: %+v", got)
		}
		if !begin(other, now).mine {
			t.Error("a refused request is remembered")
		}
		if !begin(x, now.Add(onceFor+time.Second)).mine {
			t.Error("a key is remembered for longer than a day")
		}
	})
	if digest("ab", "c") == digest("a", "bc") {
		t.Error("parts of a request run together")
	}
}
