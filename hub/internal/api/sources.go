package api

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/format/sheet"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/program"
	"ecs/hub/internal/score"
	"ecs/internal/signin"
	"ecs/observable"
)

// sourceRoutes are about what sources are worth, and how their files are read.
func (a *api) sourceRoutes() []route {
	const g = "Sources"
	name := []param{{Name: "name", Need: true, About: "The mapping's name."}}
	return []route{
		{
			Method: "GET", Path: "/sources/{id}/scorecard", ID: "readScorecard", Group: g, Title: "Tell what a source has been worth",
			About: "By the results of what it delivered. The suggested reliability is for a person to look at; nothing changes by it.", Sees: access.Deliveries, By: "with a clearance for all that the hub may hold",
			Query: []param{{Name: "days", Is: "integer", Min: 1, Max: 730, About: "How far back; 90 when absent."}}, Out: score.Scorecard{}, do: a.scorecard,
		},
		{Method: "GET", Path: "/sources/{id}/mappings", ID: "listMappings", Group: g, Title: "List how the columns of a source's files are read", Sees: access.Deliveries, Out: mappingList{}, do: a.mappings},
		{Method: "PUT", Path: "/sources/{id}/mappings", ID: "putMapping", Group: g, Title: "Save how the columns of a source's files are read", About: "The next file whose header fits is read by it.", Sees: access.Deliver, Query: name, In: sheet.Mapping{}, Out: mappingJSON{}, do: a.putMapping},
		{Method: "DELETE", Path: "/sources/{id}/mappings", ID: "removeMapping", Group: g, Title: "Remove a saved mapping", Sees: access.Deliver, Query: name, Out: mappingJSON{}, do: a.removeMapping},
		{Method: "GET", Path: "/feeds", ID: "listFeeds", Group: g, Title: "List the feeds that the hub polls, and how they are doing", Sees: access.Deliveries, Out: feedList{}, do: a.feeds},
		{Method: "POST", Path: "/feeds/{source}/{feed}/poll", ID: "pollFeed", Group: g, Title: "Read a feed now", Sees: access.Deliver, Out: pollJSON{}, do: a.poll},
	}
}

// ownSource reads the source that the address names, if the caller may know of it.
func (a *api) ownSource(r *http.Request, who signin.Account) (program.Source, error) {
	only, limited := access.Source(who, access.Deliveries)
	if limited && r.PathValue("id") != only {
		return program.Source{}, program.ErrNotFound
	}
	return program.GetSource(r.Context(), a.DB, r.PathValue("id"))
}

func (a *api) scorecard(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	s, err := a.ownSource(r, who)
	if err != nil {
		return nil, err
	}
	err = access.Enter(r.Context(), a.DB, who, access.Totals)
	if err != nil {
		return nil, err
	}
	days := 90
	if r.URL.Query().Get("days") != "" {
		days, err = strconv.Atoi(r.URL.Query().Get("days"))
		if err != nil || days < 1 || days > 730 {
			return nil, &badRequest{"days is not a number from 1 to 730.", "Send how far back the scorecard shall reach."}
		}
	}
	now := a.Now().UTC()
	return score.Load(r.Context(), a.DB, score.Query{
		Source: s.ID, From: now.AddDate(0, 0, -days), To: now,
		Stale: func(k observable.Kind) time.Duration {
			l, ok := policy.DefaultLifetimes[k]
			if !ok {
				return 365 * 24 * time.Hour
			}
			return l.Age
		},
	})
}

type mappingJSON struct {
	intake.Mapping
	Columns sheet.Mapping `json:"mapping"`
}

func mappingOf(m intake.Mapping, err error) (mappingJSON, error) {
	if err != nil {
		return mappingJSON{}, err
	}
	parsed, err := sheet.ParseMapping([]byte(m.Body))
	if err != nil {
		return mappingJSON{}, err
	}
	return mappingJSON{m, *parsed}, nil
}

type mappingList struct {
	Mappings []mappingJSON `json:"mappings"`
}

func (a *api) mappings(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	s, err := a.ownSource(r, who)
	if err != nil {
		return nil, err
	}
	all, err := intake.Mappings(r.Context(), a.DB, s.ID)
	out := mappingList{Mappings: []mappingJSON{}}
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		x, err := mappingOf(m, nil)
		if err != nil {
			return nil, err
		}
		out.Mappings = append(out.Mappings, x)
	}
	return out, nil
}

func (a *api) putMapping(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	err := access.MayDeliver(who, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var in sheet.Mapping
	err = read(r, &in)
	if err != nil {
		return nil, err
	}
	body, err := in.JSON()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", intake.ErrMapping, err)
	}
	name := r.URL.Query().Get("name")
	err = a.Intake.SaveMapping(r.Context(), intake.Mapping{Source: r.PathValue("id"), Name: name, Body: string(body), Login: who.Login})
	if err != nil {
		return nil, err
	}
	return mappingOf(intake.GetMapping(r.Context(), a.DB, r.PathValue("id"), name))
}

func (a *api) removeMapping(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	err := access.MayDeliver(who, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	m, err := intake.GetMapping(r.Context(), a.DB, r.PathValue("id"), r.URL.Query().Get("name"))
	if err != nil {
		return nil, err
	}
	err = a.Intake.RemoveMapping(r.Context(), m.Source, m.Name, who.Login)
	if err != nil {
		return nil, err
	}
	return mappingOf(m, nil)
}
