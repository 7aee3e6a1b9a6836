package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

// do posts an order and says when the status is not the wanted one.
func (s served) do(t *testing.T, login, path, body string, want int, into any) {
	t.Helper()
	var raw json.RawMessage
	got := s.call(t, login, http.MethodPost, "/api/v1"+path, body, &raw)
	if got != want {
		t.Fatalf("%s %s with %s: status %d, want %d: %s", login, path, body, got, want, raw)
	}
	if into != nil && got < 300 {
		err := json.Unmarshal(raw, into)
		if err != nil {
			t.Fatal(err)
		}
	}
}

const reasonField = `"reason":"` + hubtest.Why + `"`

func TestReplaceAndPurge(t *testing.T) {
	s := serve(t)
	sue := signin.Account{Login: "sue", Person: "Sue Security", Roles: []string{"csp_security_officer"}, Scope: "alder"}
	password, err := s.Accounts.Create(t.Context(), sue)
	if err != nil {
		t.Fatal(err)
	}
	s.Passwords["sue"] = password
	old := s.Find(t, "force.example")
	item := "/items/" + old.ID.String()
	var d draftJSON
	s.do(t, "rita", item+"/replace", "{"+reasonField+`,"summary":"a new summary"}`, 403, nil)
	s.do(t, "ann", item+"/replace", "{"+reasonField+`,"summary":"a new summary"}`, 200, &d)
	next := "/items/" + d.ID.String()
	if d.State != indicator.PendingFirst {
		t.Fatalf("%+v", d)
	}
	s.do(t, "ann", next+"/first", "{"+reasonField+"}", 409, nil)
	s.do(t, "abe", next+"/first", "{"+reasonField+"}", 200, nil)
	var out actAnswer
	s.do(t, "rita", next+"/supersede", "{"+reasonField+"}", 200, &out)
	if out.Item.State != indicator.Released || len(out.Released) == 0 {
		t.Fatalf("%+v", out)
	}
	var l lifeJSON
	s.call(t, "audrey", http.MethodGet, "/api/v1"+item+"/life", "", &l)
	if len(l.Made) != 1 || l.Made[0].ID != d.ID || l.Made[0].Kind != indicator.Supersedes {
		t.Fatalf("%+v", l)
	}
	s.call(t, "audrey", http.MethodGet, "/api/v1"+next+"/life", "", &l)
	if len(l.Origin) != 1 || l.Origin[0].State != indicator.Superseded {
		t.Fatalf("%+v", l)
	}

	s.do(t, "ann", item+"/purge", `{"code":"personal-data"}`, 403, nil)
	s.do(t, "paul", item+"/purge", `{"code":"because"}`, 422, nil)
	s.do(t, "paul", item+"/purge", `{"code":"personal-data"}`, 200, &d)
	var m release.Attestation
	if got := s.call(t, "sue", http.MethodGet, "/api/v1/providers/alder/purge", "", &m); got != 200 || len(m.Items) != 1 || m.Items[0] != old.ID {
		t.Fatalf("status %d: %+v", got, m)
	}
	if got := s.call(t, "sue", http.MethodGet, "/api/v1/providers/birch/purge", "", nil); got != 403 {
		t.Errorf("another provider's manifest: %d", got)
	}
	m.Systems, m.Method, m.Date, m.Backups = []string{"resolver"}, "overwritten", time.Now().UTC(), true
	body, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, "otto", "/providers/alder/attestations", string(body), 403, nil)
	s.do(t, "sue", "/providers/birch/attestations", string(body), 400, nil)
	var a attestedJSON
	s.do(t, "sue", "/providers/alder/attestations", string(body), 200, &a)
	if a.Attestation == "" || len(a.Findings) != 0 {
		t.Fatalf("%+v", a)
	}
	signed := `{"serial":"none","statement":"{}","signature":"AA=="}`
	s.do(t, "gil", "/providers/alder/attestations/signed", signed, 403, nil)
	s.do(t, "sue", "/providers/alder/attestations/signed", signed, 422, nil)
	var p purgesJSON
	if got := s.call(t, "audrey", http.MethodGet, "/api/v1/purges", "", &p); got != 200 || len(p.Providers) != 1 || p.Providers[0].Done != 1 {
		t.Fatalf("status %d: %+v", got, p)
	}
	var r retentionJSON
	if got := s.call(t, "paul", http.MethodGet, "/api/v1/retention", "", &r); got != 200 || len(r.Due) != 0 {
		t.Fatalf("status %d: %+v", got, r)
	}
	var found personPage
	s.do(t, "ann", "/persons", `{"text":"jane.doe",`+reasonField+`}`, 403, nil)
	s.do(t, "paul", "/persons", `{"text":"Jane.Doe",`+reasonField+`}`, 200, &found)
	if len(found.Hits) == 0 || found.Next != 0 {
		t.Fatalf("%+v", found)
	}
}

func TestTearLineAndShadow(t *testing.T) {
	s := serve(t)
	origin := s.Find(t, "force.example")
	item := "/items/" + origin.ID.String()
	var d draftJSON
	s.do(t, "ann", item+"/tear", "{"+reasonField+`,"markings":["TLP:RED"],"category":"phishing","action":"alert","confidence":50,"disclosure":0,"summary":"x"}`, 409, nil)
	s.do(t, "ann", item+"/tear", "{"+reasonField+`,"markings":["TLP:CLEAR"],"category":"phishing","action":"alert","confidence":50,"disclosure":0,"summary":"a site"}`, 200, &d)
	low := "/items/" + d.ID.String()
	var v tearView
	if got := s.call(t, "ann", http.MethodGet, "/api/v1"+low+"/tear-line", "", &v); got != 200 || v.Origin != origin.ID || len(v.Leaks) == 0 || len(v.Sources) != 1 {
		t.Fatalf("status %d: %+v", got, v)
	}
	if got := s.call(t, "ann", http.MethodGet, "/api/v1"+item+"/tear-line", "", nil); got != 409 {
		t.Errorf("below no line: %d", got)
	}
	s.do(t, "ann", low+"/consent", "{"+reasonField+`,"fields":["pattern"]}`, 403, nil)
	s.do(t, "gil", low+"/consent", "{"+reasonField+`,"fields":["pattern"]}`, 200, nil)
	s.do(t, "ann", low+"/second-reading", "{"+reasonField+"}", 409, nil)
	s.do(t, "abe", low+"/second-reading", "{"+reasonField+"}", 200, nil)

	first := "/items/" + s.Find(t, "first.example").ID.String()
	run := fmt.Sprintf(`{%s,"hours":2,"targets":[{"provider":"alder","services":"dns"}]}`, reasonField)
	s.do(t, "ann", first+"/shadow", run, 422, nil)
	s.do(t, "ann", "/providers/alder/shadow", `{"agreed":true,`+reasonField+`}`, 403, nil)
	s.do(t, "otto", "/providers/alder/shadow", `{"agreed":true,`+reasonField+`}`, 200, nil)
	s.do(t, "ann", first+"/shadow", run, 200, &d)
	s.do(t, "abe", first+"/first", "{"+reasonField+"}", 409, nil)
	s.do(t, "rita", "/items/"+d.ID.String()+"/shadow-start", "{"+reasonField+"}", 200, nil)
	var l lifeJSON
	s.call(t, "audrey", http.MethodGet, "/api/v1"+first+"/life", "", &l)
	if len(l.Shadows) != 1 || l.Shadows[0].Hours != 2 || l.Shadows[0].Started == nil || l.Shadows[0].Closed != nil {
		t.Fatalf("%+v", l.Shadows)
	}
	s.do(t, "ann", "/items/"+d.ID.String()+"/shadow-stop", "{"+reasonField+"}", 200, nil)
	s.do(t, "abe", first+"/first", "{"+reasonField+"}", 200, nil)

	gate := s.Find(t, "jane.doe@mail.example")
	var x determinedJSON
	s.do(t, "paul", "/items/"+gate.ID.String()+"/determination", "{"+reasonField+`,"elements":[]}`, 409, nil)
	whole := fmt.Sprintf(`{"field":"value","start":0,"end":%d,"keep":true,"why":"The sender is what victims see and have to look for."}`, len(gate.Value))
	s.do(t, "paul", "/items/"+gate.ID.String()+"/determination", "{"+reasonField+`,"elements":[`+whole+`]}`, 200, &x)
	if x.Determination != string(indicator.Necessary) || x.State == indicator.PrivacyGate {
		t.Fatalf("%+v", x)
	}
}
