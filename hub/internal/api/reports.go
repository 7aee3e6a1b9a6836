package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/feedback"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/internal/audit"
	"ecs/internal/signin"
)

type meJSON struct {
	Login  string   `json:"login"`
	Person string   `json:"person"`
	Roles  []string `json:"roles"`
	Scope  string   `json:"scope"`
	// Clearance is the canonical text of docs/formats/access.md.
	Clearance string `json:"clearance"`
}

func (a *api) me(_ http.ResponseWriter, _ *http.Request, who signin.Account) (any, error) {
	roles := who.Roles
	if roles == nil {
		roles = []string{}
	}
	c, err := access.ParseClearance(who.Clearance)
	return meJSON{who.Login, who.Person, roles, who.Scope, c.String()}, err
}

type statusJSON struct {
	Items     map[indicator.State]int64 `json:"items,omitempty"`
	Providers []providerJSON            `json:"providers,omitempty"`
}

// status is the dashboard: what waits, as far as the caller may see it.
func (a *api) status(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	out := statusJSON{}
	var err error
	if access.May(who, access.Indicators) {
		out.Items, err = access.Count(r.Context(), a.DB, who)
	}
	if err == nil && access.May(who, access.Providers) {
		out.Providers, err = a.all(r, who)
	}
	return out, err
}

type sectorJSON struct {
	program.Sector
	Candidates   int `json:"candidates"`
	Validated    int `json:"validated"`
	NotValidated int `json:"not_validated"`
}

type sectorList struct {
	Sectors []sectorJSON `json:"sectors"`
}

func (a *api) sectors(_ http.ResponseWriter, r *http.Request, _ signin.Account) (any, error) {
	all, err := program.CoverageBySector(r.Context(), a.DB)
	out := []sectorJSON{}
	for _, c := range all {
		out = append(out, sectorJSON{c.Sector, c.Candidates, c.Validated, c.NotValidated})
	}
	return sectorList{out}, err
}

type lineJSON struct {
	Indicator *contract.ID       `json:"indicator,omitempty"`
	Category  *contract.Category `json:"category,omitempty"`
	Service   *contract.Services `json:"service,omitempty"`
	Sector    *contract.Sector   `json:"sector,omitempty"`
	Events    string             `json:"events"` // a step, such as 100-249
	Customers string             `json:"customers"`
	Wrong     string             `json:"wrong"`
	Providers int                `json:"providers"`
	First     *time.Time         `json:"first_day"`
	Last      *time.Time         `json:"last_day"`
}

type feedbackTable struct {
	By       feedback.By `json:"by"`
	Lines    []lineJSON  `json:"lines"`
	More     bool        `json:"more"`
	Withheld int         `json:"withheld_percent"`
	Cells    int64       `json:"cells"`
}

func (a *api) feedback(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q := r.URL.Query()
	length := a.Desk.Rules().DayLength
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	days := 30
	if q.Get("days") != "" {
		days, err = strconv.Atoi(q.Get("days"))
		if err != nil || days < 1 || days > 400 {
			return nil, &badRequest{"days is not a number from 1 to 400.", "Send how many windows back the table shall reach."}
		}
	}
	in := feedback.Query{By: feedback.By(q.Get("by")), Limit: limit, To: contract.DayOf(a.Now(), length)}
	in.From = in.To - contract.Day(days)
	switch in.By {
	case "":
		in.By = feedback.ByIndicator
	case feedback.ByIndicator, feedback.ByCategory, feedback.ByService, feedback.BySector:
	default:
		return nil, &badRequest{"There is no table by " + q.Get("by") + ".", "Ask by indicator, category, service, or sector."}
	}
	if q.Get("service") != "" {
		in.Service, err = contract.ParseServices(q.Get("service"))
		if err != nil {
			return nil, &badRequest{err.Error() + ".", "Send dns, smtp, or netflow."}
		}
	}
	may, err := access.Ledger(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	t, err := a.Feedback.Tabulate(r.Context(), a.DB, may.Feedback(in))
	if err != nil {
		return nil, err
	}
	out := feedbackTable{By: in.By, Lines: []lineJSON{}, More: t.More, Withheld: t.Withheld, Cells: t.Cells}
	for _, l := range t.Lines {
		x := lineJSON{Events: l.Events.String(), Customers: l.Customers.String(), Wrong: l.Wrong.String(), Providers: l.Providers, First: stamp(l.First.Start(length)), Last: stamp(l.Last.Start(length))}
		switch in.By {
		case feedback.ByIndicator:
			x.Indicator = &l.Indicator
		case feedback.ByCategory:
			x.Category = &l.Category
		case feedback.ByService:
			x.Service = &l.Service
		default:
			x.Sector = &l.Sector
		}
		out.Lines = append(out.Lines, x)
	}
	return out, nil
}

type windowJSON struct {
	Provider string            `json:"provider"`
	Day      contract.Day      `json:"day"`
	Start    *time.Time        `json:"start"`
	Service  contract.Services `json:"service"`
	Rules    uint64            `json:"rules"`
	Cells    int64             `json:"cells"`
	Received *time.Time        `json:"received"`
}

type windowList struct {
	Windows []windowJSON `json:"windows"`
}

func (a *api) windows(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	limit, err := limitOf(r)
	if err == nil {
		err = access.Enter(r.Context(), a.DB, who, access.Totals)
	}
	if err != nil {
		return nil, err
	}
	all, err := a.Feedback.Windows(r.Context(), a.DB, r.URL.Query().Get("provider"), limit)
	out := []windowJSON{}
	for _, w := range all {
		out = append(out, windowJSON{w.Provider, w.Day, stamp(w.Day.Start(a.Desk.Rules().DayLength)), w.Service, w.Rules, w.Cells, stamp(w.Received)})
	}
	return windowList{out}, err
}

type feedbackRefusal struct {
	Provider string     `json:"provider"`
	Digest   string     `json:"digest"`
	Reason   string     `json:"reason"`
	Received *time.Time `json:"received"`
}

type feedbackRefusalList struct {
	Refusals []feedbackRefusal `json:"refusals"`
}

func (a *api) feedbackRefusals(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	limit, err := limitOf(r)
	if err == nil {
		err = access.Enter(r.Context(), a.DB, who, access.Totals)
	}
	if err != nil {
		return nil, err
	}
	all, err := a.Feedback.Refusals(r.Context(), a.DB, r.URL.Query().Get("provider"), limit)
	out := []feedbackRefusal{}
	for _, x := range all {
		out = append(out, feedbackRefusal{x.Provider, x.Digest, x.Reason, stamp(x.Received)})
	}
	return feedbackRefusalList{out}, err
}

type entryJSON struct {
	Seq      int64      `json:"seq"`
	At       *time.Time `json:"at"`
	Actor    string     `json:"actor"`
	Action   string     `json:"action"`
	Subject  string     `json:"subject"`
	Detail   any        `json:"detail"`
	Previous string     `json:"previous"`
	Hash     string     `json:"hash"`
}

type entryList struct {
	Entries []entryJSON `json:"entries"`
}

func (a *api) audit(_ http.ResponseWriter, r *http.Request, _ signin.Account) (any, error) {
	q := r.URL.Query()
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	f := audit.Filter{Subject: q.Get("subject"), Limit: limit}
	if q.Get("before") != "" {
		f.Before, err = strconv.ParseInt(q.Get("before"), 10, 64)
		if err != nil || f.Before < 1 {
			return nil, &badRequest{"before is not a number of an entry.", "Send the lowest number that you have."}
		}
	}
	rows, err := audit.List(r.Context(), a.DB, f)
	out := []entryJSON{}
	for _, e := range rows {
		out = append(out, entryJSON{e.Seq, stamp(e.At), e.Actor, e.Action, e.Subject, e.Detail, e.Previous, e.Hash})
	}
	return entryList{out}, err
}

type verdictJSON struct {
	Holds   bool   `json:"holds"`
	Entries int64  `json:"entries"`
	Broken  int64  `json:"broken,omitempty"` // number of the first entry that cannot be trusted
	Why     string `json:"why,omitempty"`
}

// verify reads the whole chain. A chain that does not hold is an answer, not an
// error.
func (a *api) verify(_ http.ResponseWriter, r *http.Request, _ signin.Account) (any, error) {
	n, err := audit.Verify(r.Context(), a.DB)
	out := verdictJSON{Holds: err == nil, Entries: n}
	var broken *audit.Broken
	if errors.As(err, &broken) {
		out.Broken, out.Why = broken.Seq, broken.Why
		return out, nil
	}
	return out, err
}
