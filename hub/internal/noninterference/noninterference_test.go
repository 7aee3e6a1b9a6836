package noninterference

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"ecs/hub/internal/access"
	"ecs/hub/internal/api"
	"ecs/hub/internal/console"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/people"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
	"ecs/web"
)

// TestNobodyReadsUp compares two hubs of which one holds more above the readers'
// clearance: more indicators, objects, deliveries, refusals, releases, recalls,
// receipts and feedback.
func TestNobodyReadsUp(t *testing.T) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": sqldbtest.SQLite, "postgres": sqldbtest.PostgreSQL} {
		t.Run(name, func(t *testing.T) { compare(t, open(t, dsn(t)), open(t, dsn(t))) })
	}
}

func open(t *testing.T, dsn string) *sqldb.DB {
	t.Helper()
	db, err := store.Open(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func compare(t *testing.T, dbA, dbB *sqldb.DB) {
	a := common(t, dbA)
	twin(t, dbA, dbB)
	b := a.Twin(t, dbB, signin.Config{Cookie: "h"})
	secretItems, secretBatches := above(t, b)
	held, err := b.Intake.Hold(t.Context(), intake.Delivery{Source: "cedar", Name: "held.csv", Format: intake.CSV, Submitter: hugo.Login}, strings.NewReader(table("amber", "held.example")))
	must(t, err)
	late := after(t, a)
	rename(t, dbB, after(t, b), late)
	index(t, dbA)
	index(t, dbB)
	now := time.Now().UTC().Add(time.Second).Truncate(time.Second)
	less, more := serve(t, a, now), serve(t, b, now)
	talk(t, more.as(t, hugo.Login), "item:"+secretItems[1], "object:"+malware("ff"), "batch:"+secretBatches[0])

	words := map[string][]string{
		"{provider}": {"alder", "birch", "nobody"}, "{source}": {"cedar", "dogwood", "nobody"},
		"{object}": {malware("00"), malware("ff"), malware("77")},
		"{upload}": {held.ID, "00000000-0000-0000-0000-000000000000"},
		"{item}":   append([]string{late[1], late[2], "indicator--00000000-0000-4000-8000-000000000000", "x"}, secretItems[:3]...),
		"{batch}":  append([]string{late[0], "00000000-0000-0000-0000-000000000000"}, secretBatches...),
	}
	for _, v := range []string{"other-source.example", "force.example", "second.example", "recalled.example", "jane.doe@mail.example", "hidden.example"} {
		words["{item}"] = append(words["{item}"], a.Find(t, v).ID.String())
	}
	batches, err := access.Batches(t.Context(), dbA, everything, "", time.Time{}, 10)
	must(t, err)
	for _, x := range batches {
		if x.ID != late[0] {
			words["{batch}"] = append(words["{batch}"], x.ID)
		}
	}
	for _, h := range []*hubtest.Hub{a, b} {
		rows, err := h.Desk.Ledger(t.Context(), h.DB, release.Filter{Provider: "alder"})
		must(t, err)
		for i := range rows {
			words["{place}"] = append(words["{place}"], access.Place(&rows[i]))
		}
	}
	all := addresses(t, words)
	t.Logf("%d addresses, %d readers", len(all), len(hubtest.People))
	for _, who := range hubtest.People {
		t.Run(who.Login, func(t *testing.T) {
			less, more := less.as(t, who.Login), more.as(t, who.Login)
			differing := 0
			for _, address := range all {
				same(t, less, more, http.MethodGet, address, "", &differing)
			}
			acts(t, less, more, secretItems, &differing)
		})
	}
	changed(t, b, secretItems)
}

// talk comments on what the readers may not know of, and gives some of them tasks there.
func talk(t *testing.T, who reader, subjects ...string) {
	t.Helper()
	for _, s := range subjects {
		for address, body := range map[string]string{
			"/api/v1/comments": `{"subject":"` + s + `","text":"Seen in the memory of two machines."}`,
			"/api/v1/tasks":    `{"subject":"` + s + `","title":"Look into the sinkhole logs","assignee":"ann"}`,
		} {
			got, err := who.ask(t.Context(), http.MethodPost, address, body)
			must(t, err)
			if !strings.HasPrefix(got, "200") {
				t.Errorf("%s on %s: %.900s", address, s, got)
			}
		}
	}
}

// everything is an account that may know of all there is.
var everything = signin.Account{Login: "all", Roles: []string{"pmo_analyst"}, Clearance: hubtest.Cleared}

// acts tries to act on what is hidden: that has to fail as on what never was.
func acts(t *testing.T, less, more reader, secret []string, differing *int) {
	t.Helper()
	reason := url.QueryEscape(hubtest.Why)
	for _, id := range append(secret[:2:2], "indicator--00000000-0000-4000-8000-000000000000") {
		for _, act := range []string{"privacy", "override", "first", "second", "emergency", "ratify", "return", "reject", "recall", "hold", "none"} {
			same(t, less, more, http.MethodPost, "/indicators/"+id+"/"+act, "version=1&reason="+reason, differing)
			same(t, less, more, http.MethodPost, "/api/v1/items/"+id+"/"+act, `{"reason":"`+hubtest.Why+`"}`, differing)
			same(t, less, more, http.MethodPost, "/api/v1/bulk/"+act, `{"ids":["`+id+`"],"reason":"`+hubtest.Why+`"}`, differing)
		}
		same(t, less, more, http.MethodPost, "/queue", "step=first&which=checked&act=first&reason="+reason+"&id="+id, differing)
	}
	same(t, less, more, http.MethodPost, "/api/v1/bulk/recall", `{"filter":{"q":"high"},"reason":"`+hubtest.Why+`"}`, differing)
}

// changed fails when a reader has changed something of which nobody may know.
func changed(t *testing.T, h *hubtest.Hub, secret []string) {
	t.Helper()
	for _, id := range secret {
		var n int
		err := h.DB.QueryRowContext(t.Context(), `SELECT count(*) FROM decision WHERE item = $1 AND login NOT IN ('hugo', 'hope', 'rosa')`, id).Scan(&n)
		must(t, err)
		if n != 0 {
			t.Errorf("%s has %d decisions of readers who may not know of it", id, n)
		}
	}
}

// served is one hub as it answers.
type served struct {
	hub *hubtest.Hub
	url string
}

func serve(t *testing.T, h *hubtest.Hub, now time.Time) served {
	t.Helper()
	clock := func() time.Time { return now }
	staff := people.New(people.Config{DB: h.DB, Log: h.Log})
	calls := api.New(api.Config{People: staff, DB: h.DB, Desk: h.Desk, Program: h.Program, Intake: h.Intake, Feedback: h.Feedback, Log: h.Log, Now: clock})
	pages, err := console.New(console.Config{
		Site: web.Site{House: "hub", Name: "ECS Hub", Owner: "Sample Program", Version: "test"}, Accounts: h.Accounts, People: staff, Review: review.New(review.Config{DB: h.DB, Now: clock}),
		DB: h.DB, Desk: h.Desk, Program: h.Program, Intake: h.Intake, Feedback: h.Feedback, API: calls, Log: h.Log, Now: clock,
	})
	must(t, err)
	s := httptest.NewServer(pages)
	t.Cleanup(s.Close)
	return served{h, s.URL}
}

type reader struct {
	served
	client *http.Client
}

func (s served) as(t *testing.T, login string) reader {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	c := &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.PostForm(s.url+"/sign-in", url.Values{"login": {login}, "password": {s.hub.Passwords[login]}})
	must(t, err)
	must(t, resp.Body.Close())
	if resp.StatusCode != http.StatusSeeOther {
		t.Fatalf("sign-in of %s: %d", login, resp.StatusCode)
	}
	return reader{s, c}
}

// ask gives the whole answer but for the date: status, headers, bytes.
func (r reader) ask(ctx context.Context, method, address, body string) (string, error) {
	q, err := http.NewRequestWithContext(ctx, method, r.url+address, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	if method != http.MethodGet && !strings.HasPrefix(address, "/api/") {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := r.client.Do(q)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	resp.Header.Del("Date")
	resp.Header.Del("Set-Cookie")
	out := fmt.Sprintf("%s\n%v\n%s", resp.Status, resp.Header, text)
	return actNumber.ReplaceAllString(out, `"bulk":"an act"`), nil
}

// actNumber is the identifier that a bulk act gets when it is done.
var actNumber = regexp.MustCompile(`"bulk":"[0-9a-f-]{36}"`)

func same(t *testing.T, less, more reader, method, address, body string, differing *int) {
	t.Helper()
	one, err := less.ask(t.Context(), method, address, body)
	must(t, err)
	two, err := more.ask(t.Context(), method, address, body)
	must(t, err)
	if strings.HasPrefix(one, "5") {
		t.Errorf("%s %s: %.200s", method, address, one)
	}
	if one == two {
		return
	}
	*differing++
	if *differing > 5 {
		return
	}
	t.Errorf("%s %s tells of what is above the clearance (-less +more):\n%s", method, address, cmp.Diff(strings.Split(one, "\n"), strings.Split(two, "\n")))
}

// TestTheReadersSeeSomething holds the comparison to its meaning: the hub that holds
// more does answer more to whoever is cleared, and the readers are shown what is
// theirs.
func TestTheReadersSeeSomething(t *testing.T) {
	db := open(t, sqldbtest.SQLite(t))
	h := common(t, db)
	reader := everything
	reader.Clearance = low
	before, err := access.Count(t.Context(), db, reader)
	must(t, err)
	beforeAll, err := access.Count(t.Context(), db, everything)
	must(t, err)
	above(t, h)
	now, err := access.Count(t.Context(), db, reader)
	must(t, err)
	nowAll, err := access.Count(t.Context(), db, everything)
	must(t, err)
	if diff := cmp.Diff(before, now); diff != "" {
		t.Errorf("low: %s", diff)
	}
	if cmp.Equal(beforeAll, nowAll) || before[indicator.InForce] == 0 {
		t.Errorf("nothing was added above, or nothing is below: %v, %v", before, nowAll)
	}
}
