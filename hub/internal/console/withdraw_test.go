package console

import (
	"database/sql"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/web/webtest"
)

func TestWithdrawFromASuspendedProvider(t *testing.T) {
	s := serve(t)
	otto, path := s.client(t, "otto"), s.url+"/providers/alder"
	_, page := get(t, otto, path)
	if strings.Contains(page, "Withdraw everything") || !strings.Contains(page, "recalls go through") {
		t.Error("a withdrawal is offered before the suspension, or the form does not say what a suspension does")
	}
	form := url.Values{"sure": {"yes"}, "reason": {hubtest.Why}}
	status, page := post(t, otto, path+"/withdraw", form)
	if status != http.StatusConflict || !strings.Contains(page, "uspend it first") {
		t.Errorf("not suspended: status %d\n%s", status, page)
	}
	s.suspend(t)
	_, page = get(t, otto, path)
	webtest.Structure(t, "suspended", page)
	if !strings.Contains(page, "nothing new goes to this provider") {
		t.Error("the page does not say what the suspension does")
	}
	_, page = get(t, s.client(t, "ann"), path)
	if strings.Contains(page, "Withdraw everything") {
		t.Error("an analyst is offered a withdrawal")
	}
	status, page = post(t, otto, path+"/withdraw", url.Values{"reason": {"Because of the breach."}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#withdraw-sure"`) || !strings.Contains(page, "Because of the breach.</textarea>") {
		t.Errorf("not confirmed: status %d\n%s", status, page)
	}
	webtest.Structure(t, "withdrawal not confirmed", page)
	status, page = post(t, otto, path+"/withdraw", url.Values{"sure": {"yes"}, "reason": {"no"}})
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#withdraw-reason"`) {
		t.Errorf("a short reason: status %d\n%s", status, page)
	}
	webtest.Structure(t, "withdrawal without a reason", page)
	status, _ = post(t, s.client(t, "ann"), path+"/withdraw", form)
	if status != http.StatusForbidden {
		t.Errorf("withdrawal by an analyst: status %d, want 403", status)
	}
	status, page = post(t, otto, path+"/withdraw", form)
	if status != http.StatusOK || !strings.Contains(page, "Everything is withdrawn: 1 ") {
		t.Fatalf("withdraw: status %d\n%s", status, page)
	}
	rows, err := s.Desk.Ledger(t.Context(), s.DB, release.Filter{Provider: "alder", Item: s.Find(t, "force.example").ID})
	if err != nil || len(rows) == 0 {
		t.Fatalf("the ledger has %+v, %v", rows, err)
	}
	for _, x := range rows {
		if x.Status != release.RemovalQueued {
			t.Errorf("%s is %s, want %s", x.Service, x.Status, release.RemovalQueued)
		}
	}
}

// suspend suspends provider alder.
func (s served) suspend(t *testing.T) {
	t.Helper()
	x, err := program.GetProvider(t.Context(), s.DB, "alder")
	if err == nil && x.State != program.Operational {
		err = s.DB.Write(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE provider SET state = 'OPERATIONAL' WHERE id = 'alder'`)
			return err
		})
	}
	if err == nil {
		err = s.Program.Move(t.Context(), hubtest.Account("otto"), "alder", program.Suspended, hubtest.Why)
	}
	if err != nil {
		t.Fatal(err)
	}
}
