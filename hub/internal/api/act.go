package api

import (
	"context"
	"encoding/json"
	"net/http"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/web"
)

type targetJSON struct {
	Provider string            `json:"provider"`
	Services contract.Services `json:"services"`
	Reason   string            `json:"reason,omitempty"` // of a refusal, in answers only
}

// order is what an act on one indicator takes.
type order struct {
	Reason        string       `json:"reason"`
	Code          release.Code `json:"code,omitempty"`          // return, reject and recall only; other when absent
	Version       int64        `json:"version,omitempty"`       // as it was seen; absent: whatever is there
	Determination string       `json:"determination,omitempty"` // privacy only
	Summary       string       `json:"summary,omitempty"`       // privacy, REMOVED only: in the place of what was there
	Context       string       `json:"context,omitempty"`       // as Summary
	Targets       []targetJSON `json:"targets,omitempty"`       // second, extend and emergency only
	Minutes       int          `json:"minutes,omitempty"`       // emergency only: 1 to 240
}

func targetsOf(in []targetJSON) []release.Target {
	var out []release.Target
	for _, t := range in {
		out = append(out, release.Target{Provider: t.Provider, Services: t.Services})
	}
	return out
}

type actAnswer struct {
	Item     itemJSON     `json:"item"`
	Released []targetJSON `json:"released,omitempty"`
	Refused  []targetJSON `json:"refused,omitempty"`
}

func (a *api) act(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	_, err = access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	x, err := actNamed(r.PathValue("act"))
	if err != nil {
		return nil, err
	}
	var o order
	err = read(r, &o)
	if err != nil {
		return nil, err
	}
	seen, err := matched(r, o.Version)
	if err != nil {
		return nil, err
	}
	out, err := x.one(a, r.Context(), who, release.Ref{ID: id, Version: seen}, &o)
	if err != nil {
		return nil, precondition(r, err)
	}
	it, err := access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	answer := actAnswer{Item: itemOf(who, &it)}
	for _, t := range out.Released {
		answer.Released = append(answer.Released, targetJSON{Provider: t.Provider, Services: t.Services})
	}
	for _, t := range out.Refused {
		answer.Refused = append(answer.Refused, targetJSON{Provider: t.Provider, Services: t.Services, Reason: t.Reason})
	}
	return answer, nil
}

// keep leaves the indicator out: it is read anew.
func (x actAnswer) keep() any { return actAnswer{Released: x.Released, Refused: x.Refused} }

func (a *api) actAgain(r *http.Request, who signin.Account, kept []byte) (any, error) {
	var out actAnswer
	err := json.Unmarshal(kept, &out)
	if err != nil {
		return nil, err
	}
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	out.Item = itemOf(who, &it)
	return out, nil
}

func bulkAgain(_ *http.Request, _ signin.Account, kept []byte) (any, error) {
	var out bulkAnswer
	err := json.Unmarshal(kept, &out)
	return out, err
}

// bulkOrder is an act on many indicators: those of ids, or those that a filter
// finds now. Exactly one of the two has to be there.
type bulkOrder struct {
	order
	IDs    []contract.ID `json:"ids,omitempty"`
	Filter *narrowing    `json:"filter,omitempty"`
	Bulk   string        `json:"bulk,omitempty"` // undo only, in the place of both: what this bulk act decided
}

// MaxBulk is the most indicators that one bulk act takes.
const MaxBulk = 100_000

type failureJSON struct {
	ID     contract.ID `json:"id"`
	Code   string      `json:"code"`
	Detail string      `json:"detail"`
}

type bulkAnswer struct {
	Done     int            `json:"done"`
	Failed   int            `json:"failed"`
	Failures []failureJSON  `json:"failures"`          // the first thousand
	Refused  map[string]int `json:"refused,omitempty"` // refused targets, and how often
	Bulk     string         `json:"bulk,omitempty"`    // of this act, for undo
}

func (a *api) bulk(w http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	x, err := actNamed(r.PathValue("act"))
	if err != nil {
		return nil, err
	}
	var o bulkOrder
	err = read(r, &o)
	if err != nil {
		return nil, err
	}
	var ids []contract.ID
	if o.Bulk == "" {
		ids, err = a.many(r.Context(), who, &o)
	} else if x.name != "undo" || len(o.IDs) > 0 || o.Filter != nil {
		err = &badRequest{"bulk names what undo takes back, in the place of ids and filter.", "Send it to /api/v1/bulk/undo, alone with a reason."}
	}
	if err != nil {
		return nil, err
	}
	// Many thousand indicators take longer than an ordinary answer may.
	long := web.NewPatience(w)
	progress := func(int, int) { long.Progress() }
	progress(0, len(ids))
	var b release.Bulk
	if o.Bulk != "" {
		b, err = a.Desk.UndoAll(r.Context(), who, o.Bulk, o.Reason, progress)
	} else {
		b, err = x.all(a, r.Context(), who, ids, &o.order, progress)
	}
	if err != nil {
		return nil, err
	}
	out := bulkAnswer{Done: b.Done, Failed: b.Failed, Failures: []failureJSON{}, Refused: b.Refused, Bulk: b.ID}
	for _, f := range b.Failures {
		x, _ := explain(f.Err) // of an unknown error it says nothing but that it failed
		out.Failures = append(out.Failures, failureJSON{f.ID, x.Code, x.Detail})
	}
	return out, nil
}

// many gives the indicators that a bulk order means, as far as the caller may
// know of them.
func (a *api) many(ctx context.Context, who signin.Account, o *bulkOrder) ([]contract.ID, error) {
	if (len(o.IDs) == 0) == (o.Filter == nil) {
		return nil, &badRequest{"A bulk act takes either ids or a filter.", "Send one of the two."}
	}
	if len(o.IDs) > MaxBulk {
		return nil, &badRequest{"There are more identifiers than one bulk act takes.", "Send at most 100,000 at once."}
	}
	if o.Filter == nil {
		_, limited := access.Source(who, access.Indicators)
		whole, err := access.Whole(ctx, a.DB, who)
		if err != nil || whole && !limited { // whoever may know of all is told of each that is not there
			return o.IDs, err
		}
		for _, id := range o.IDs {
			_, err := access.Item(ctx, a.DB, who, id)
			if err != nil {
				return nil, err
			}
		}
		return o.IDs, nil
	}
	f, err := o.Filter.filter(ctx, a.DB, who)
	if err != nil {
		return nil, err
	}
	f.Limit = indicator.MaxLimit
	var out []contract.ID
	for len(out) < MaxBulk {
		page, err := indicator.List(ctx, a.DB, f)
		if err != nil {
			return nil, err
		}
		for i := range page {
			out = append(out, page[i].ID)
			f.After = page[i].Number
		}
		if len(page) < indicator.MaxLimit {
			break
		}
	}
	return out[:min(len(out), MaxBulk)], nil
}
