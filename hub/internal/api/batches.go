package api

import (
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/program"
	"ecs/internal/signin"
	"ecs/web"
)

type reportJSON struct {
	intake.Batch
	Same     bool                      `json:"same"` // delivered before: nothing changed
	States   map[indicator.State]int64 `json:"states,omitempty"`
	Cut      int64                     `json:"validity_cut"`
	Default  int64                     `json:"validity_default"`
	Refusals []intake.Refusal          `json:"refusals"` // the first hundred
}

// submit takes in a delivery: the body is the file, read as it arrives.
func (a *api) submit(w http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q := r.URL.Query()
	d := intake.Delivery{
		Source: q.Get("source"), Name: path.Base(strings.ReplaceAll(q.Get("name"), `\`, "/")), Format: q.Get("format"), Mapping: q.Get("mapping"), Submitter: who.Login,
	}
	if d.Format == "" {
		d.Format = intake.Auto
	}
	if d.Source == "" || q.Get("name") == "" || !slices.Contains(intake.Formats(), d.Format) {
		return nil, &badRequest{
			"A delivery needs source and name; format is one of " + strings.Join(intake.Formats(), ", ") + ".",
			"Write them into the address: ?source=…&name=…&format=auto",
		}
	}
	err := access.MayDeliver(who, d.Source)
	if err != nil {
		return nil, err
	}
	long := web.NewPatience(w)
	rep, err := a.Intake.Submit(r.Context(), d, long.Reader(r.Body), func(intake.Progress) { long.Progress() })
	if err != nil {
		return nil, err
	}
	if rep.Refusals == nil {
		rep.Refusals = []intake.Refusal{}
	}
	return reportJSON{rep.Batch, rep.Same, rep.States, rep.Cut, rep.Default, rep.Refusals}, nil
}

type batchList struct {
	Batches []access.Batch `json:"batches"`
}

func (a *api) batches(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	before, err := momentOf(r, "before", time.Time{})
	if err != nil {
		return nil, err
	}
	rows, err := access.Batches(r.Context(), a.DB, who, r.URL.Query().Get("source"), before, limit)
	if rows == nil {
		rows = []access.Batch{}
	}
	return batchList{rows}, err
}

func (a *api) batch(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return access.Delivery(r.Context(), a.DB, who, r.PathValue("id"))
}

type refusalList struct {
	Refusals []intake.Refusal `json:"refusals"`
}

func (a *api) refusals(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	b, err := access.Delivery(r.Context(), a.DB, who, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	var after int64
	if r.URL.Query().Get("after") != "" {
		after, err = strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
		if err != nil {
			return nil, &badRequest{"after is not a number.", "Send the number of the last refusal that you have."}
		}
	}
	rows, err := access.Refusals(r.Context(), a.DB, b, after, limit)
	if rows == nil {
		rows = []intake.Refusal{}
	}
	return refusalList{rows}, err
}

type partyJSON struct {
	ID             string     `json:"id"`
	Name           string     `json:"name"`
	Agency         string     `json:"agency"`
	Authority      string     `json:"authority"`
	AuthorityUntil *time.Time `json:"authority_until"`
	Purpose        string     `json:"purpose"`
	Ceiling        string     `json:"ceiling"`
	Reliability    string     `json:"reliability"`
}

type partyList struct {
	Sources []partyJSON `json:"sources"`
}

func (a *api) sources(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	all, err := program.Sources(r.Context(), a.DB)
	if err != nil {
		return nil, err
	}
	only, limited := access.Source(who, access.Deliveries)
	out := []partyJSON{}
	for _, s := range all {
		if !limited || s.ID == only {
			out = append(out, partyJSON{s.ID, s.Name, s.Agency, s.Authority, stamp(s.AuthorityUntil), s.Purpose, s.Ceiling.String(), s.Reliability})
		}
	}
	return partyList{out}, nil
}

func (a *api) putSource(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in partyJSON
	err := read(r, &in)
	if err != nil {
		return nil, err
	}
	if in.ID != "" && in.ID != r.PathValue("id") {
		return nil, &badRequest{"The identifier in the body is not that of the address.", "Leave it away."}
	}
	s := program.Source{ID: r.PathValue("id"), Name: in.Name, Agency: in.Agency, Authority: in.Authority, Purpose: in.Purpose, Reliability: in.Reliability}
	if in.AuthorityUntil != nil {
		s.AuthorityUntil = in.AuthorityUntil.UTC()
	}
	err = s.Ceiling.UnmarshalText([]byte(in.Ceiling))
	if err != nil {
		return nil, &badRequest{err.Error() + ".", "Send the highest marking that the source may submit."}
	}
	err = a.Program.PutSource(r.Context(), who, s)
	if err != nil {
		return nil, err
	}
	got, err := program.GetSource(r.Context(), a.DB, s.ID)
	return partyJSON{got.ID, got.Name, got.Agency, got.Authority, stamp(got.AuthorityUntil), got.Purpose, got.Ceiling.String(), got.Reliability}, err
}
