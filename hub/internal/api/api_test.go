package api

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
)

// validate, when it is there, holds an exchange against the OpenAPI document.
var validate func(t *testing.T, r *http.Request, body []byte, got *http.Response, answer []byte)

type served struct {
	*hubtest.Hub
	url string
}

func serve(t *testing.T) served {
	t.Helper()
	h := hubtest.New(t, signin.Config{})
	h.Furnish(t)
	srv := httptest.NewServer(h.Accounts.Wrap(New(Config{DB: h.DB, Desk: h.Desk, Program: h.Program, Intake: h.Intake, Feedback: h.Feedback, Log: h.Log})))
	t.Cleanup(srv.Close)
	return served{h, srv.URL}
}

// call sends a request as somebody, by HTTP Basic, and reads the JSON answer.
func (s served) call(t *testing.T, login, method, path, body string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(login, s.Passwords[login])
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		r.Header.Set("Content-Type", "application/octet-stream")
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		t.Fatal(err)
	}
	if validate != nil {
		validate(t, r, []byte(body), got, b)
	}
	want := "application/json"
	if got.StatusCode >= 400 {
		want = "application/problem+json"
		var p map[string]any
		err = json.Unmarshal(b, &p)
		for _, k := range []string{"type", "title", "status", "detail", "next"} {
			if err != nil || p[k] == nil || p[k] == "" {
				t.Errorf("%s %s: the problem has no %q: %s", method, path, k, b)
			}
		}
	}
	if got.Header.Get("Content-Type") != want {
		t.Errorf("%s %s: content type %q, want %q", method, path, got.Header.Get("Content-Type"), want)
	}
	if into != nil {
		err = json.Unmarshal(b, into)
		if err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	return got.StatusCode
}

func TestWhoMayReadWhat(t *testing.T) {
	s := serve(t)
	id := s.Find(t, "force.example").ID.String()
	other := s.Find(t, "other-source.example").ID.String()
	tests := []struct {
		path string
		want map[string]int
	}{
		{"/me", map[string]int{"ann": 200, "root": 200}},
		{"/status", map[string]int{"ann": 200, "gil": 200, "root": 200}},
		{"/items", map[string]int{"ann": 200, "gil": 200, "stella": 200, "audrey": 200, "root": 403, "otto": 403}},
		{"/items/" + id, map[string]int{"ann": 200, "gil": 200, "stella": 200, "root": 403}},
		{"/items/" + other, map[string]int{"ann": 200, "gil": 404}},
		{"/items/nonsense", map[string]int{"ann": 404}},
		{"/items?state=NONE", map[string]int{"ann": 400}},
		{"/items?limit=0", map[string]int{"ann": 400}},
		{"/items?after=x", map[string]int{"ann": 400}},
		{"/items?q=force", map[string]int{"ann": 200, "stella": 400}},
		{"/batches", map[string]int{"ann": 200, "gil": 200, "rita": 403, "root": 403}},
		{"/batches/none", map[string]int{"ann": 404}},
		{"/sources", map[string]int{"ann": 200, "gil": 200, "root": 403}},
		{"/providers", map[string]int{"ann": 200, "root": 200, "gil": 403, "stella": 403}},
		{"/providers/alder", map[string]int{"rita": 200}},
		{"/providers/none", map[string]int{"rita": 404}},
		{"/providers/alder/nodes", map[string]int{"root": 200, "gil": 403}},
		{"/providers/alder/ledger", map[string]int{"audrey": 200, "gil": 403}},
		{"/providers/alder/ledger?at=yesterday", map[string]int{"audrey": 400}},
		{"/providers/alder/reconcile", map[string]int{"audrey": 200}},
		{"/providers/alder/in-force", map[string]int{"audrey": 200}},
		{"/providers/none/in-force", map[string]int{"audrey": 404}},
		{"/sectors", map[string]int{"stella": 200, "gil": 403}},
		{"/feedback", map[string]int{"stella": 200, "gil": 403}},
		{"/feedback?by=sector&days=7&service=dns", map[string]int{"stella": 200}},
		{"/feedback?by=customer", map[string]int{"stella": 400}},
		{"/feedback/windows", map[string]int{"ann": 200}},
		{"/feedback/refusals", map[string]int{"ann": 200}},
		{"/audit", map[string]int{"audrey": 200, "ann": 403, "root": 403}},
		{"/nowhere", map[string]int{"ann": 404}},
	}
	for _, tt := range tests {
		for login, want := range tt.want {
			got := s.call(t, login, http.MethodGet, "/api/v1"+tt.path, "", nil)
			if got != want {
				t.Errorf("%s as %s: status %d, want %d", tt.path, login, got, want)
			}
		}
	}
}

func TestSignInIsNeeded(t *testing.T) {
	s := serve(t)
	r, err := http.Get(s.url + "/api/v1/items")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("status %d, WWW-Authenticate %q", r.StatusCode, r.Header.Get("WWW-Authenticate"))
	}
}

func TestPagingGivesEveryItemOnce(t *testing.T) {
	s := serve(t)
	seen := map[contract.ID]int{}
	after := ""
	var total int64
	for range 20 {
		var page struct {
			Total int64
			Items []itemJSON
			Next  string
		}
		s.call(t, "ann", http.MethodGet, "/api/v1/items?limit=2&after="+url.QueryEscape(after), "", &page)
		total = page.Total
		for _, it := range page.Items {
			seen[it.ID]++
		}
		after = page.Next
		if after == "" {
			break
		}
	}
	if int64(len(seen)) != total || total < 8 {
		t.Errorf("%d items on all pages, total %d", len(seen), total)
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
}

func TestHiddenValuesStayHidden(t *testing.T) {
	s := serve(t)
	id := s.Find(t, "hidden.example").ID.String()
	for login, shown := range map[string]bool{"ann": true, "stella": false} {
		var raw json.RawMessage
		s.call(t, login, http.MethodGet, "/api/v1/items/"+id, "", &raw)
		if strings.Contains(string(raw), "hidden.example") != shown || strings.Contains(string(raw), "Sensitive origin") != shown {
			t.Errorf("%s: shown must be %v: %s", login, shown, raw)
		}
		s.call(t, login, http.MethodGet, "/api/v1/items", "", &raw)
		if strings.Contains(string(raw), "hidden.example") != shown {
			t.Errorf("%s: in the listing, shown must be %v", login, shown)
		}
	}
}

func TestDelivery(t *testing.T) {
	s := serve(t)
	var rep reportJSON
	status := s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=api.csv&format=csv", "value,type\nfresh.example,domain\n;;;,domain\n", &rep)
	if status != http.StatusOK || rep.Accepted != 1 || rep.Refused != 1 || len(rep.Refusals) != 1 || rep.Refusals[0].Place == "" {
		t.Fatalf("status %d, report %+v", status, rep)
	}
	var again reportJSON
	s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=api.csv&format=csv", "value,type\nfresh.example,domain\n;;;,domain\n", &again)
	if !again.Same || again.ID != rep.ID {
		t.Errorf("the same bytes again: %+v", again)
	}
	var kept struct {
		Refusals []struct{ Place, Reason string }
	}
	s.call(t, "gil", http.MethodGet, "/api/v1/batches/"+rep.ID+"/refusals", "", &kept)
	if len(kept.Refusals) != 1 || kept.Refusals[0].Reason == "" {
		t.Errorf("kept refusals: %+v", kept)
	}
	for query, want := range map[string]int{
		"source=dogwood&name=a.csv&format=csv": 403, "source=cedar&name=a.csv&format=xls": 400, "source=cedar&format=csv": 400,
	} {
		if got := s.call(t, "gil", http.MethodPost, "/api/v1/batches?"+query, "value,type\nx.example,domain\n", nil); got != want {
			t.Errorf("%s: status %d, want %d", query, got, want)
		}
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/batches?source=none&name=a.csv&format=csv", "value,type\nx.example,domain\n", nil); got != http.StatusUnprocessableEntity {
		t.Errorf("an unknown source: status %d, want 422", got)
	}
	if got := s.call(t, "rita", http.MethodPost, "/api/v1/batches?source=cedar&name=a.csv&format=csv", "value\nx.example\n", nil); got != http.StatusForbidden {
		t.Errorf("a release authority delivers: status %d, want 403", got)
	}
}

func TestWayOfAnIndicator(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "first.example")
	path := "/api/v1/items/" + it.ID.String()
	reason := `"reason":"` + hubtest.Why + `"`
	steps := []struct {
		login, act, body string
		want             int
	}{
		{"rita", "first", "{" + reason + "}", 403},
		{"ann", "first", `{"reason":"no"}`, 422},
		{"ann", "first", `{"raeson":"x"}`, 400},
		{"ann", "first", `[]`, 400},
		{"ann", "approve", "{" + reason + "}", 400},
		{"ann", "first", fmt.Sprintf(`{%s,"version":%d}`, reason, it.Version), 200},
		{"abe", "first", fmt.Sprintf(`{%s,"version":%d}`, reason, it.Version), 409},
		{"rita", "second", "{" + reason + `,"targets":[{"provider":"birch","services":"dns"}]}`, 422},
		{"rita", "second", "{" + reason + `,"targets":[{"provider":"alder","services":"dns,smtp"},{"provider":"birch","services":"dns"}]}`, 200},
		{"rita", "second", "{" + reason + `,"targets":[{"provider":"alder","services":"dns"}]}`, 409},
		{"rita", "recall", "{" + reason + "}", 200},
	}
	for _, x := range steps {
		var raw json.RawMessage
		got := s.call(t, x.login, http.MethodPost, path+"/"+x.act, x.body, &raw)
		if got != x.want {
			t.Fatalf("%s by %s with %s: status %d, want %d: %s", x.act, x.login, x.body, got, x.want, raw)
		}
	}
	var story itemStory
	s.call(t, "audrey", http.MethodGet, path, "", &story)
	if story.State != indicator.Revoked || len(story.Decisions) != 3 || len(story.Deliveries) != 2 || len(story.Sources) != 1 {
		t.Errorf("story: state %s, %d decisions, %d deliveries, %d sources", story.State, len(story.Decisions), len(story.Deliveries), len(story.Sources))
	}
}

func TestEmergencyAndWithdrawal(t *testing.T) {
	s := serve(t)
	page := struct {
		Items []struct {
			ID string `json:"id"`
		} `json:"items"`
	}{}
	s.call(t, "rita", http.MethodGet, "/api/v1/items?state=PENDING_FIRST", "", &page)
	if len(page.Items) == 0 {
		t.Fatal("nothing waits for its first approval")
	}
	path := "/api/v1/items/" + page.Items[0].ID
	body := `{"reason":"` + hubtest.Why + `","minutes":%d,"targets":[{"provider":"alder","services":"dns,smtp,netflow"}]}`
	for _, x := range []struct {
		login, act, body string
		want             int
	}{
		{"ann", "emergency", fmt.Sprintf(body, 60), http.StatusForbidden},
		{"rita", "emergency", fmt.Sprintf(body, 0), http.StatusUnprocessableEntity},
		{"rita", "emergency", fmt.Sprintf(body, 241), http.StatusUnprocessableEntity},
		{"rita", "ratify", fmt.Sprintf(body, 0), http.StatusConflict},
		{"rita", "emergency", fmt.Sprintf(body, 240), http.StatusOK},
		{"rita", "ratify", fmt.Sprintf(body, 0), http.StatusConflict},
		{"ann", "ratify", `{"reason":"` + hubtest.Why + `"}`, http.StatusOK},
	} {
		if got := s.call(t, x.login, http.MethodPost, path+"/"+x.act, x.body, nil); got != x.want {
			t.Errorf("%s by %s: %d, want %d", x.act, x.login, got, x.want)
		}
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/alder/withdraw", `{"reason":"`+hubtest.Why+`"}`, nil); got != http.StatusForbidden {
		t.Errorf("withdrawn by an analyst: %d", got)
	}
	if got := s.call(t, "otto", http.MethodPost, "/api/v1/providers/alder/withdraw", `{"reason":"`+hubtest.Why+`"}`, nil); got != http.StatusConflict {
		t.Errorf("withdrawn from a provider that is not suspended: %d", got)
	}
}

func TestBulk(t *testing.T) {
	s := serve(t)
	var first bulkAnswer
	status := s.call(t, "ann", http.MethodPost, "/api/v1/bulk/first", `{"filter":{"states":["PENDING_FIRST"],"source":"cedar"},"reason":"`+hubtest.Why+`"}`, &first)
	if status != http.StatusOK || first.Done == 0 || first.Failed != 0 {
		t.Fatalf("status %d, %+v", status, first)
	}
	id, gone := s.Find(t, "192.0.2.66").ID, contract.NewID()
	var second bulkAnswer
	status = s.call(t, "rita", http.MethodPost, "/api/v1/bulk/second", fmt.Sprintf(`{"ids":["%s","%s"],"reason":"%s","targets":[{"provider":"alder","services":"netflow"}]}`, id, gone, hubtest.Why), &second)
	if status != http.StatusOK || second.Done != 1 || second.Failed != 1 || len(second.Failures) != 1 || second.Failures[0].Code != "not-found" {
		t.Fatalf("status %d, %+v", status, second)
	}
	var privacy bulkAnswer
	status = s.call(t, "paul", http.MethodPost, "/api/v1/bulk/privacy", `{"filter":{"states":["PRIVACY_GATE"]},"determination":"NECESSARY","reason":"The address is the sender that has to be blocked."}`, &privacy)
	if status != http.StatusOK || privacy.Done != 1 {
		t.Errorf("privacy: status %d, %+v", status, privacy)
	}
	for body, want := range map[string]int{
		`{"reason":"` + hubtest.Why + `"}`:                                           400,
		`{"ids":["` + id.String() + `"],"filter":{},"reason":"` + hubtest.Why + `"}`: 400,
		`{"ids":["x"],"reason":"` + hubtest.Why + `"}`:                               400,
	} {
		if got := s.call(t, "rita", http.MethodPost, "/api/v1/bulk/recall", body, nil); got != want {
			t.Errorf("%s: status %d, want %d", body, got, want)
		}
	}
}

func TestProvidersAndTokens(t *testing.T) {
	s := serve(t)
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers", `{"id":"oak","name":"Oak Fiber"}`, nil); got != http.StatusOK {
		t.Fatalf("register: status %d", got)
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers", `{"id":"oak","name":"Oak Fiber"}`, nil); got != http.StatusConflict {
		t.Errorf("register again: status %d, want 409", got)
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/oak/tokens", "", nil); got != http.StatusConflict {
		t.Errorf("a token for a provider that is not accredited: status %d, want 409", got)
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/oak/state", `{"state":"ELIGIBILITY_REVIEW","reason":"`+hubtest.Why+`"}`, nil); got != http.StatusOK {
		t.Errorf("state: status %d", got)
	}
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/alder/accreditation", `{"services":"dns","ceiling":"green","reason":"`+hubtest.Why+`"}`, nil); got != http.StatusForbidden {
		t.Errorf("accreditation by an analyst: status %d, want 403", got)
	}
	var p providerJSON
	if got := s.call(t, "otto", http.MethodPost, "/api/v1/providers/birch/accreditation", `{"services":"dns,smtp","ceiling":"amber","reason":"`+hubtest.Why+`"}`, &p); got != http.StatusOK || p.Services != contract.DNS|contract.SMTP || p.Ceiling != contract.Amber {
		t.Errorf("accreditation: status %d, %+v", got, p)
	}
	var token struct{ Token, Pin string }
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/alder/tokens", "", &token); got != http.StatusOK || token.Token == "" || !strings.HasPrefix(token.Pin, "sha256:") {
		t.Errorf("token: status %d, %+v", got, token)
	}
	var nodes struct{ Nodes []nodeJSON }
	s.call(t, "ann", http.MethodGet, "/api/v1/providers/alder/nodes", "", &nodes)
	if len(nodes.Nodes) != 1 {
		t.Fatalf("nodes: %+v", nodes)
	}
	revoke := "/nodes/" + nodes.Nodes[0].Serial + "/revoke"
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/birch"+revoke, `{"reason":"`+hubtest.Why+`"}`, nil); got != http.StatusNotFound {
		t.Errorf("revoke at another provider: status %d, want 404", got)
	}
	var n nodeJSON
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/providers/alder"+revoke, `{"reason":"`+hubtest.Why+`"}`, &n); got != http.StatusOK || n.Revoked == nil {
		t.Errorf("revoke: status %d, %+v", got, n)
	}
}

func TestLedgerAndPast(t *testing.T) {
	s := serve(t)
	var b struct {
		Holds                     bool
		Released, Loaded, Removed int64
		InForce                   int64 `json:"in_force"`
	}
	s.call(t, "audrey", http.MethodGet, "/api/v1/providers/alder/reconcile", "", &b)
	if !b.Holds || b.Released != 3 || b.Loaded != 3 || b.InForce != 2 || b.Removed != 1 {
		t.Errorf("balance: %+v", b)
	}
	past := url.QueryEscape(time.Now().Add(-time.Hour).UTC().Format(time.RFC3339))
	s.call(t, "audrey", http.MethodGet, "/api/v1/providers/alder/reconcile?at="+past, "", &b)
	if !b.Holds || b.Released != 0 {
		t.Errorf("balance an hour ago: %+v", b)
	}
	var force struct{ Items []forceJSON }
	s.call(t, "audrey", http.MethodGet, "/api/v1/providers/alder/in-force", "", &force)
	if len(force.Items) != 1 || len(force.Items[0].Approvals) != 2 || force.Items[0].Approvals[0].Person == force.Items[0].Approvals[1].Person {
		t.Errorf("in force: %+v", force)
	}
	seen := map[string]bool{}
	after := ""
	for range 10 {
		var page struct {
			Deliveries []deliveryJSON
			Next       string
		}
		s.call(t, "audrey", http.MethodGet, "/api/v1/providers/alder/ledger?limit=1&after="+after, "", &page)
		for _, d := range page.Deliveries {
			seen[d.Item.String()+d.Service.String()] = true
		}
		if after = page.Next; after == "" {
			break
		}
	}
	if len(seen) != 3 {
		t.Errorf("the pages of the ledger have %d rows, want 3", len(seen))
	}
}

func TestAudit(t *testing.T) {
	s := serve(t)
	var v struct {
		Holds   bool
		Entries int64
	}
	s.call(t, "audrey", http.MethodPost, "/api/v1/audit/verify", "", &v)
	if !v.Holds || v.Entries < 10 {
		t.Errorf("verify: %+v", v)
	}
	var list struct{ Entries []entryJSON }
	s.call(t, "audrey", http.MethodGet, "/api/v1/audit?limit=3", "", &list)
	if len(list.Entries) != 3 || list.Entries[0].Previous != list.Entries[1].Hash {
		t.Errorf("entries: %+v", list.Entries)
	}
}

func TestSourcesAreChangedByThoseWhoMay(t *testing.T) {
	s := serve(t)
	body := `{"name":"Elm Unit","agency":"Elm","authority":"Agreement 20","authority_until":"2030-01-01T00:00:00Z","purpose":"cyber defense","ceiling":"amber","reliability":"B"}`
	if got := s.call(t, "gil", http.MethodPut, "/api/v1/sources/elm", body, nil); got != http.StatusForbidden {
		t.Errorf("by a source officer: status %d, want 403", got)
	}
	if got := s.call(t, "ann", http.MethodPut, "/api/v1/sources/elm", body, nil); got != http.StatusOK {
		t.Errorf("by an analyst: status %d, want 200", got)
	}
}

// The entity tag is the version: an act on what somebody else changed meanwhile is
// refused, and the one that is refused learns by 412 that it was its own condition.
func TestIfMatch(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "first.example")
	path := "/api/v1/items/" + it.ID.String()
	send := func(login, method, path, tag string) (int, string) {
		t.Helper()
		body := ""
		if method == http.MethodPost {
			body = `{"reason":"` + hubtest.Why + `"}`
		}
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(login, s.Passwords[login])
		if tag != "" {
			r.Header.Set("If-Match", tag)
		}
		got, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = got.Body.Close()
		return got.StatusCode, got.Header.Get("ETag")
	}
	_, tag := send("ann", http.MethodGet, path, "")
	if tag != fmt.Sprintf("%q", fmt.Sprint(it.Version)) {
		t.Errorf("ETag %s, version %d", tag, it.Version)
	}
	for _, x := range []struct {
		act, tag string
		want     int
	}{
		{"first", `"0"`, 400},
		{"first", "7", 400},
		{"first", `W/"7"`, 400},
		{"first", `"999"`, 412},
		{"first", tag, 200},
		{"return", tag, 412},
		{"return", "*", 200},
	} {
		status, after := send("ann", http.MethodPost, path+"/"+x.act, x.tag)
		if status != x.want {
			t.Errorf("%s with If-Match %s: status %d, want %d", x.act, x.tag, status, x.want)
		}
		if status == http.StatusOK && (after == "" || after == tag) {
			t.Errorf("%s: ETag %s afterwards, before it was %s", x.act, after, tag)
		}
	}
}

// What was decided in error is taken back by the same person; reason codes are a
// closed list.
func TestUndoAndReasonCodes(t *testing.T) {
	s := serve(t)
	path := "/api/v1/items/" + s.Find(t, "first.example").ID.String()
	for _, x := range []struct {
		login, act, body string
		want             int
	}{
		{"ann", "reject", `{"reason":"` + hubtest.Why + `","code":"nonsense"}`, 422},
		{"ann", "reject", `{"reason":"","code":"false-positive"}`, 200},
		{"rita", "undo", `{"reason":"` + hubtest.Why + `"}`, 409},
		{"ann", "undo", `{"reason":"` + hubtest.Why + `"}`, 200},
		{"ann", "first", `{"reason":"` + hubtest.Why + `"}`, 200},
	} {
		var raw json.RawMessage
		if got := s.call(t, x.login, http.MethodPost, path+"/"+x.act, x.body, &raw); got != x.want {
			t.Errorf("%s by %s with %s: status %d, want %d: %s", x.act, x.login, x.body, got, x.want, raw)
		}
	}
	var bulk bulkAnswer
	body := `{"filter":{"states":["PENDING_FIRST"]},"code":"duplicate","reason":""}`
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/bulk/return", body, &bulk); got != 200 || bulk.Done == 0 {
		t.Errorf("bulk return: status %d, %+v", got, bulk)
	}
}

// What is too much is refused in the same form as all else: a body that is too long, and
// an account that asks without end.
func TestTooMuch(t *testing.T) {
	s := serve(t)
	long := `{"reason":"` + strings.Repeat("x", bodyLimit) + `"}`
	if got := s.call(t, "ann", http.MethodPost, "/api/v1/bulk/first", long, nil); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of more than %d bytes: status %d", bodyLimit, got)
	}
	a := &api{Config: Config{Log: s.Log}, limits: newLimits()}
	now := time.Unix(1_700_000_000, 0)
	a.limits.now = func() time.Time { return now }
	h := s.Accounts.Wrap(a.serve(&route{do: func(http.ResponseWriter, *http.Request, signin.Account) (any, error) { return doneJSON{true}, nil }}))
	ask := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/me", http.NoBody)
		r.SetBasicAuth("ann", s.Passwords["ann"])
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for a.limits.by["ann"] == nil || a.limits.by["ann"].left >= 1 {
		if w := ask(); w.Code != http.StatusOK {
			t.Fatalf("status %d with %v left", w.Code, a.limits.by["ann"])
		}
		a.limits.by["ann"].left -= 99 // signing in by a password is slow on purpose
	}
	w := ask()
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" || !strings.Contains(w.Body.String(), "urn:ecs:problem:too-many") || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, %v: %s", w.Code, w.Header(), w.Body)
	}
	now = now.Add(time.Second)
	if w = ask(); w.Code != http.StatusOK {
		t.Errorf("a second later: status %d", w.Code)
	}
}

func TestOverview(t *testing.T) {
	s := serve(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/api/v1/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("gil", s.Passwords["gil"])
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	page, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", got.StatusCode, err)
	}
	for _, x := range Addresses() {
		if !strings.Contains(string(page), "<code>"+x.Method+" "+x.Path+"</code>") {
			t.Errorf("the page does not list %s %s", x.Method, x.Path)
		}
	}
}
