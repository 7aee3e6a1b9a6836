package api

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/score"
	"ecs/internal/signin"
	"ecs/observable"
)

// named gives the indicators of exactly one value, in whatever spelling it is asked
// for: the canonical one of every kind that it could be of, at most a page of each.
func (a *api) named(ctx context.Context, who signin.Account, f indicator.Filter, value string) (any, error) {
	if !access.May(who, access.Values) {
		return nil, &badRequest{"Your roles permit a search by a whole identifier only.", "Send the identifier in q, or leave value away."}
	}
	out := itemPage{Items: []itemJSON{}}
	var found []indicator.Item
	for _, v := range spellings(f.Kind, value) {
		f.Value = v
		list, err := indicator.List(ctx, a.DB, f)
		if err != nil {
			return nil, err
		}
		for i := range list {
			if !slices.ContainsFunc(found, func(x indicator.Item) bool { return x.ID == list[i].ID }) {
				found = append(found, list[i])
			}
		}
	}
	err := access.Read(ctx, a.DB, who, access.ForList, "api", found...)
	if err != nil {
		return nil, err
	}
	for i := range found {
		out.Items = append(out.Items, itemOf(who, &found[i]))
	}
	out.Total = int64(len(found))
	return out, nil
}

// spellings gives the canonical spellings of a value: of one kind, or of all.
func spellings(only observable.Kind, value string) []string {
	var out []string
	for _, name := range kinds() {
		k, err := observable.ParseKind(name)
		if err != nil || only != observable.None && k != only {
			continue
		}
		v, err := observable.Canonical(k, value)
		if err == nil && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

type scoreJSON struct {
	Item contract.ID `json:"item"`
	score.Score
}

// worth tells what an indicator is worth now. The score counts every source that named
// the indicator: it is for those who may know of all.
func (a *api) worth(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(ctx, a.DB, who, id)
	if err != nil {
		return nil, err
	}
	_, limited := access.Source(who, access.Indicators)
	whole, err := access.Whole(ctx, a.DB, who)
	if err != nil {
		return nil, err
	}
	if limited || !whole {
		return nil, &toldError{access.Explanation{
			Status: http.StatusForbidden, Code: "clearance", Title: "The score is for those who may know of all its sources",
			Detail: "A score counts every source that named the indicator, also those that you may not know of.",
			Next:   "Ask a colleague who is cleared for all that this hub holds.",
		}}
	}
	evidence, err := score.Gather(ctx, a.DB, []indicator.Item{it})
	if err != nil {
		return nil, err
	}
	if len(evidence) != 1 {
		return nil, errors.New("api: no evidence for one indicator")
	}
	s := score.DefaultModel().Score(&evidence[0], a.Now().UTC())
	if s.Parts == nil {
		s.Parts = []score.Part{}
	}
	return scoreJSON{id, s}, nil
}
