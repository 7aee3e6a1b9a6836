package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/web/webtest"
)

// personal takes in an indicator whose texts, not its value, hold personal data.
func (s served) personal(t *testing.T) indicator.Item {
	t.Helper()
	until, seen := time.Now().AddDate(0, 1, 0).UTC().Format(time.RFC3339), time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	s.Deliver(t, "cedar", "personal.csv", "value,type,category,confidence,tlp,valid_until,observed,summary,context\n"+
		"personal.example,domain,c2,80,green,"+until+","+seen+",Reported by john.roe@mail.example,Ask john.roe@mail.example\n")
	it := s.Find(t, "personal.example")
	if it.State != indicator.PrivacyGate {
		t.Fatalf("the indicator is %s, want PRIVACY_GATE", it.State)
	}
	return it
}

func TestPersonalDataIsRemovedByForm(t *testing.T) {
	s := serve(t)
	it := s.personal(t)
	path, paul := s.url+"/indicators/"+it.ID.String(), s.client(t, "paul")
	_, page := get(t, paul, path)
	webtest.Structure(t, "privacy gate", page)
	for _, want := range []string{`name="summary"`, `name="context"`, "Reported by john.roe@mail.example</textarea>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the form does not hold %q", want)
		}
	}
	form := url.Values{"determination": {"REMOVED"}, "summary": {"Reported by a person"}, "context": {"Ask john.roe@mail.example"}, "reason": {hubtest.Why}, "version": {fmt.Sprint(it.Version)}}
	status, page := post(t, paul, path+"/privacy", form)
	if status != http.StatusConflict || !strings.Contains(page, "ersonal data would stay") || !strings.Contains(page, "Reported by a person</textarea>") {
		t.Fatalf("a text that is still personal: status %d\n%s", status, page)
	}
	webtest.Structure(t, "refused redaction", page)
	form.Set("context", "Ask the source.\r\nBy its own reference.") // as browsers send line ends
	status, page = post(t, paul, path+"/privacy", form)
	if status != http.StatusOK || !strings.Contains(page, "The determination is recorded") || strings.Contains(page, "john.roe") {
		t.Fatalf("removed: status %d\n%s", status, page)
	}
	got := s.Find(t, "personal.example")
	if got.Summary != "Reported by a person" || got.Context != "Ask the source.\nBy its own reference." || got.Privacy != indicator.Removed {
		t.Errorf("the indicator has %q, %q, %s", got.Summary, got.Context, got.Privacy)
	}
}

func TestEmergencyReleaseByForm(t *testing.T) {
	s := serve(t)
	it := s.Find(t, "first.example")
	path := s.url + "/indicators/" + it.ID.String()
	ann, rita := s.client(t, "ann"), s.client(t, "rita")
	_, page := get(t, ann, path)
	if strings.Contains(page, "Emergency release") {
		t.Error("an analyst is offered an emergency release")
	}
	_, page = get(t, rita, path)
	webtest.Structure(t, "emergency", page)
	form := func(minutes, target, reason string) url.Values {
		return url.Values{"minutes": {minutes}, "target": {target}, "reason": {reason}, "version": {fmt.Sprint(it.Version)}}
	}
	for _, tt := range []struct {
		name, say string
		form      url.Values
		status    int
	}{
		{"no number", `href="#minutes"`, form("an hour", "alder/dns", hubtest.Why), http.StatusUnprocessableEntity},
		{"nothing", `href="#minutes"`, form("0", "alder/dns", hubtest.Why), http.StatusUnprocessableEntity},
		{"too long", `href="#minutes"`, form("241", "alder/dns", hubtest.Why), http.StatusUnprocessableEntity},
		{"far too long", `href="#minutes"`, form("99999999999999999999", "alder/dns", hubtest.Why), http.StatusUnprocessableEntity},
		{"no target", "is not a provider and a service", form("30", "", hubtest.Why), http.StatusUnprocessableEntity},
		{"no reason", `href="#emergency-reason"`, form("30", "alder/dns", "no"), http.StatusUnprocessableEntity},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, page := post(t, rita, path+"/emergency", tt.form)
			if status != tt.status || !strings.Contains(page, tt.say) {
				t.Errorf("status %d, want %d and %q\n%s", status, tt.status, tt.say, page)
			}
			webtest.Structure(t, tt.name, page)
		})
	}
	status, _ := post(t, ann, path+"/emergency", form("30", "alder/dns", hubtest.Why))
	if status != http.StatusForbidden {
		t.Errorf("emergency release by an analyst: status %d, want 403", status)
	}
	status, page = post(t, rita, path+"/emergency", form("30", "alder/dns", hubtest.Why))
	if status != http.StatusOK || !strings.Contains(page, "Released in an emergency") {
		t.Fatalf("emergency release: status %d\n%s", status, page)
	}
	webtest.Structure(t, "not ratified", page)
	if !strings.Contains(page, "Rita Release released it alone") || strings.Contains(page, "Ratify the emergency release") {
		t.Error("who released it is not told, or she is offered to ratify it herself")
	}
	if strings.Contains(page, `First approval <span class="usa-sr-only">passed`) {
		t.Error("the page says that it passed the first approval")
	}
	got := s.Find(t, "first.example")
	if left := time.Until(got.ValidUntil); left > 30*time.Minute || left < 25*time.Minute {
		t.Errorf("it is in force for %s, want 30 minutes", left)
	}
	status, page = post(t, rita, path+"/ratify", url.Values{"reason": {hubtest.Why}})
	if status != http.StatusConflict || !strings.Contains(page, "Ask a colleague") {
		t.Errorf("ratified by the same person: status %d\n%s", status, page)
	}
	_, page = get(t, ann, path)
	webtest.Structure(t, "ratify", page)
	decisions, err := indicator.Decisions(t.Context(), s.DB, it.ID)
	if err != nil {
		t.Fatal(err)
	}
	until := decisions[len(decisions)-1].At.Add(release.RatifyWithin).UTC().Format("Jan 2, 2006, 15:04:05")
	if strings.Count(page, until) < 2 || !strings.Contains(page, "Ratify the emergency release") {
		t.Errorf("the form does not tell that it ends at %s\n%s", until, page)
	}
	status, page = post(t, ann, path+"/ratify", url.Values{"reason": {"no"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#ratify-reason"`) {
		t.Errorf("a short reason: status %d\n%s", status, page)
	}
	webtest.Structure(t, "refused ratification", page)
	status, page = post(t, ann, path+"/ratify", url.Values{"reason": {hubtest.Why}, "version": {fmt.Sprint(got.Version)}})
	if status != http.StatusOK || !strings.Contains(page, "Emergency release ratified") || strings.Contains(page, "not ratified") {
		t.Fatalf("ratify: status %d\n%s", status, page)
	}
}

func TestUnratified(t *testing.T) {
	given := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	emergency := indicator.Decision{Kind: indicator.KindEmergency, Person: "Rita Release", At: given}
	for _, tt := range []struct {
		name      string
		state     indicator.State
		decisions []indicator.Decision
		after     time.Duration
		want      *unratified
	}{
		{"usual release", indicator.InForce, []indicator.Decision{{Kind: indicator.KindSecond}}, 0, nil},
		{"waits", indicator.Released, []indicator.Decision{emergency}, 59 * time.Minute, &unratified{"Rita Release", given.Add(time.Hour), false}},
		{"too late", indicator.InForce, []indicator.Decision{emergency}, time.Hour, &unratified{"Rita Release", given.Add(time.Hour), true}},
		{"ratified", indicator.InForce, []indicator.Decision{emergency, {Kind: indicator.KindRatify}}, time.Minute, nil},
		{"recalled", indicator.Revoked, []indicator.Decision{emergency}, time.Minute, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := unratifiedOf(&indicator.Item{State: tt.state}, tt.decisions, given.Add(tt.after))
			if (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if got.may(hubtest.Account("ann")) != (tt.want != nil && !tt.want.Over) {
				t.Error("what an analyst is offered is wrong")
			}
		})
	}
}
