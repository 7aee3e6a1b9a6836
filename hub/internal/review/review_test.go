package review_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/hubtest"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/hub/internal/store"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/internal/sqldb/sqldbtest"
)

func desk(t testing.TB, h *hubtest.Hub) *review.Desk {
	t.Helper()
	check, err := policy.New(policy.Config{Demonstration: true, SamplePercent: -1})
	if err != nil {
		t.Fatal(err)
	}
	return review.New(review.Config{DB: h.DB, Checker: func() *policy.Checker { return check }})
}

// each runs a test on a hub with SQLite, and on one with PostgreSQL.
func each(t *testing.T, run func(t *testing.T, h *hubtest.Hub)) {
	t.Helper()
	open := func(dsn string) (*sqldb.DB, error) { return store.Open(t.Context(), dsn) }
	sqldbtest.Each(t, open, func(t *testing.T, db *sqldb.DB) { run(t, hubtest.On(t, db, signin.Config{})) })
}

// deliver gives an analyst's hub a delivery of clean names and some others.
func deliver(t testing.TB, h *hubtest.Hub, clean int) {
	t.Helper()
	var b strings.Builder
	b.WriteString("value,type,category,confidence,tlp\n")
	for i := range clean {
		fmt.Fprintf(&b, "n%03d.example,domain,c2,70,green\n", i)
	}
	b.WriteString("phish.example,domain,phishing,70,green\n198.51.0.0/12,prefix,c2,60,green\njane.doe@mail.example,mail-address,c2,70,green\n")
	h.Deliver(t, "cedar", "bulk.csv", b.String())
}

func TestADeliveryIsOneQuestion(t *testing.T) { each(t, aDeliveryIsOneQuestion) }

func aDeliveryIsOneQuestion(t *testing.T, h *hubtest.Hub) {
	deliver(t, h, 40)
	d := desk(t, h)
	page, err := d.Questions(t.Context(), hubtest.Account("ann"), indicator.PendingFirst, contract.ID{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, q := range page.Questions {
		got[q.Category.String()+" "+strings.Join(q.Codes, ",")] = q.Count
		if q.Batch == "" || q.Source != "cedar" || q.Name != "bulk.csv" || len(q.Sample) != min(q.Count, review.SampleSize) {
			t.Errorf("question %+v", q)
		}
	}
	want := map[string]int{contract.CommandAndControl.String() + " ": 40, contract.Phishing.String() + " ": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("questions (-want +got):\n%s", diff)
	}
	q := page.Questions[slices.IndexFunc(page.Questions, func(q review.Question) bool { return q.Count == 40 })]
	members, err := d.Members(t.Context(), hubtest.Account("ann"), indicator.PendingFirst, q.Key, q.Last, 0)
	if err != nil || len(members) != 40 {
		t.Fatalf("%d members, %v", len(members), err)
	}
	// What is decided meanwhile is no member any more, nor is what came behind the
	// last that was seen.
	err = h.Desk.First(t.Context(), hubtest.Account("ann"), release.Ref{ID: members[3].ID}, hubtest.Why)
	if err != nil {
		t.Fatal(err)
	}
	members, err = d.Members(t.Context(), hubtest.Account("ann"), indicator.PendingFirst, q.Key, members[9].ID, 0)
	if err != nil || len(members) != 9 {
		t.Errorf("%d members up to the tenth, without one, %v", len(members), err)
	}
	for _, bad := range []string{"", "a|b", "x|999|y|-|", q.Key + "|", strings.Replace(q.Key, "|-|", "|indicator--x|", 1)} {
		_, err = d.Members(t.Context(), hubtest.Account("ann"), indicator.PendingFirst, bad, q.Last, 0)
		if err == nil {
			t.Errorf("%q was read as a question", bad)
		}
	}
}

// Whatever an officer of another source asks, there is nothing.
func TestAnotherSourceLearnsNothing(t *testing.T) { each(t, anotherSourceLearnsNothing) }

func anotherSourceLearnsNothing(t *testing.T, h *hubtest.Hub) {
	deliver(t, h, 3)
	d := desk(t, h)
	page, err := d.Questions(t.Context(), hubtest.Account("ann"), indicator.PendingFirst, contract.ID{})
	if err != nil || len(page.Questions) == 0 {
		t.Fatalf("%+v, %v", page, err)
	}
	dan := signin.Account{Login: "dan", Person: "Dan Other", Roles: []string{"gfi_officer"}, Scope: "dogwood", Clearance: hubtest.Cleared}
	none, err := d.Questions(t.Context(), dan, indicator.PendingFirst, contract.ID{})
	if err != nil || len(none.Questions) != 0 {
		t.Errorf("%+v, %v", none, err)
	}
	q := page.Questions[0]
	_, err = d.Members(t.Context(), dan, indicator.PendingFirst, q.Key, q.Last, 0)
	if err == nil {
		t.Error("members of a question about another source's indicators")
	}
	o, err := d.Overdue(t.Context(), dan, indicator.PendingFirst)
	if err != nil || !o.Oldest.IsZero() {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestSheet(t *testing.T) { each(t, sheet) }

func sheet(t *testing.T, h *hubtest.Hub) {
	h.Deliver(t, "cedar", "one.csv", "value,type,category,confidence,tlp\nbad.one.example,domain,c2,70,green\n")
	h.Deliver(t, "dogwood", "two.csv", "value,type,category,confidence,tlp\nbad.one.example,domain,c2,60,green\nworse.one.example,domain,c2,60,green\n")
	d := desk(t, h)
	err := h.Desk.Reject(t.Context(), hubtest.Account("abe"), release.Ref{ID: h.Find(t, "worse.one.example").ID}, "It belongs to a school and was cleaned.")
	if err != nil {
		t.Fatal(err)
	}
	h.Deliver(t, "cedar", "three.csv", "value,type,category,confidence,tlp\none.example,domain,c2,70,green\n")
	bad, top := h.Find(t, "bad.one.example"), h.Find(t, "one.example")
	sheets, err := d.Sheets(t.Context(), hubtest.Account("ann"), []indicator.Item{bad, top})
	if err != nil {
		t.Fatal(err)
	}
	x := sheets[0]
	if len(x.Mentions) != 2 || x.Mentions[0].Source != "cedar" || x.Mentions[0].Reliability != "A" || x.Mentions[1].BatchName != "two.csv" {
		t.Errorf("mentions %+v", x.Mentions)
	}
	if len(x.Checks) < 8 || x.Score.Value <= 0 || x.Impact.Sentence == "" {
		t.Errorf("sheet %+v", x)
	}
	if len(x.Impact.CoveredBy) != 1 || x.Impact.CoveredBy[0] != top.ID {
		t.Errorf("covered by %v, want %s", x.Impact.CoveredBy, top.ID)
	}
	if len(sheets[1].Impact.Covers) != 1 || sheets[1].Impact.Covers[0] != bad.ID {
		t.Errorf("covers %v, want %s: the rejected one is none", sheets[1].Impact.Covers, bad.ID)
	}
	if len(x.Precedents) != 1 || x.Precedents[0].Person != "Abe Analyst" || x.Precedents[0].Kind != indicator.KindReject || x.Suggestion.Act != review.Reject {
		t.Errorf("precedents %+v, suggestion %+v", x.Precedents, x.Suggestion)
	}
	// An officer learns of the own source's word alone, also in the score.
	sheets, err = d.Sheets(t.Context(), hubtest.Account("gil"), []indicator.Item{bad})
	if err != nil {
		t.Fatal(err)
	}
	x = sheets[0]
	if len(x.Mentions) != 1 || len(x.Precedents) != 0 {
		t.Errorf("an officer of cedar sees %+v, %+v", x.Mentions, x.Precedents)
	}
	for _, p := range x.Score.Parts {
		if strings.Contains(p.Why, "dogwood") || strings.Contains(p.Why, "1 more") {
			t.Errorf("the score tells an officer of cedar: %s", p.Why)
		}
	}
}

func TestBusiness(t *testing.T) {
	at := func(s string) time.Time {
		x, err := time.Parse("Mon 2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, tt := range []struct {
		name, from string
		hours      int
		want       string
	}{
		{"within a day", "Tue 2026-11-24 09:30", 4, "Tue 2026-11-24 13:30"},
		{"a whole day", "Tue 2026-11-24 09:00", 8, "Tue 2026-11-24 17:00"},
		{"over night", "Tue 2026-11-24 15:00", 4, "Wed 2026-11-25 11:00"},
		{"before opening", "Tue 2026-11-24 03:00", 4, "Tue 2026-11-24 13:00"},
		{"over the weekend", "Fri 2026-11-20 16:00", 8, "Mon 2026-11-23 16:00"},
		{"on a Sunday", "Sun 2026-11-22 12:00", 4, "Mon 2026-11-23 13:00"},
	} {
		got := review.Business(at(tt.from), tt.hours)
		if !got.Equal(at(tt.want)) {
			t.Errorf("%s: %s, want %s", tt.name, got.Format("Mon 2006-01-02 15:04"), tt.want)
		}
	}
}

// TestBusinessAgainstMinutes counts minute by minute.
func TestBusinessAgainstMinutes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 60*24*40).Draw(t, "minute")) * time.Minute)
		hours := rapid.IntRange(1, 30).Draw(t, "hours")
		at, left := from, hours*60
		for left > 0 {
			open := at.Hour() >= 9 && at.Hour() < 17 && at.Weekday() != time.Saturday && at.Weekday() != time.Sunday
			if open {
				left--
			}
			at = at.Add(time.Minute)
		}
		if got := review.Business(from, hours); !got.Equal(at) {
			t.Fatalf("%d h from %s: %s, want %s", hours, from, got, at)
		}
		// What is overdue now is what came before Since, to the second.
		for _, s := range []indicator.State{indicator.PrivacyGate, indicator.PendingFirst, indicator.PendingSecond} {
			since := review.Since(s, from)
			if !from.After(review.Due(s, since.Add(-2*time.Second))) || from.After(review.Due(s, since.Add(2*time.Second))) && review.Business(since, 1) != review.Business(since.Add(2*time.Second), 1) {
				t.Fatalf("%s at %s: since %s", s, from, since)
			}
		}
	})
}

func TestOverdueAndMine(t *testing.T) { each(t, overdueAndMine) }

func overdueAndMine(t *testing.T, h *hubtest.Hub) {
	deliver(t, h, 5)
	check := func() *policy.Checker { c, _ := policy.New(policy.Config{Demonstration: true}); return c }
	later := review.New(review.Config{DB: h.DB, Checker: check, Now: func() time.Time { return time.Now().AddDate(0, 0, 7) }})
	for _, tt := range []struct {
		name string
		desk *review.Desk
		late int
	}{{"at once", desk(t, h), 0}, {"a week later", later, 6}} {
		o, err := tt.desk.Overdue(t.Context(), hubtest.Account("ann"), indicator.PendingFirst)
		if err != nil || o.Late != tt.late || o.Oldest.IsZero() || o.More {
			t.Errorf("%s: %+v, %v; want %d late", tt.name, o, err, tt.late)
		}
	}
	ids := []contract.ID{h.Find(t, "n000.example").ID, h.Find(t, "n001.example").ID}
	_, err := h.Desk.FirstAll(t.Context(), hubtest.Account("ann"), ids, hubtest.Why, nil)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := desk(t, h).Mine(t.Context(), hubtest.Account("ann"), 7, 50)
	if err != nil || len(mine) == 0 || mine[0].Kind != indicator.KindFirst || mine[0].State != indicator.PendingSecond {
		t.Errorf("%+v, %v", mine, err)
	}
	others, err := desk(t, h).Mine(t.Context(), hubtest.Account("abe"), 7, 50)
	if err != nil || len(others) != 0 {
		t.Errorf("decisions of somebody else: %+v, %v", others, err)
	}
}
