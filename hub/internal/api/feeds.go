package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/collect"
	"ecs/internal/signin"
)

// Feeds are the feeds that the hub polls: a *collect.Collector.
type Feeds interface {
	List(ctx context.Context) ([]collect.State, error)
	Poll(ctx context.Context, source, name string) (collect.Result, error)
}

type feedJSON struct {
	Source     string     `json:"source"`
	Name       string     `json:"name"`
	Kind       string     `json:"kind"`
	Host       string     `json:"host"`
	Seconds    int64      `json:"interval_seconds"`
	Running    bool       `json:"running"`
	LastTry    *time.Time `json:"last_try"`
	LastOK     *time.Time `json:"last_ok"`
	LastError  string     `json:"last_error"`
	NextTry    *time.Time `json:"next_try"`
	Failures   int64      `json:"failures"`
	Deliveries *int64     `json:"deliveries"` // null for who may not know of everything
	Items      *int64     `json:"items"`      // null likewise
}

type feedList struct {
	Feeds []feedJSON `json:"feeds"`
}

func (a *api) feeds(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	out := feedList{Feeds: []feedJSON{}}
	if a.Feeds == nil {
		return out, nil
	}
	all, err := a.Feeds.List(r.Context())
	if err != nil {
		return nil, err
	}
	whole, err := access.Whole(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	only, limited := access.Source(who, access.Deliveries)
	for _, f := range all {
		if limited && f.Source != only {
			continue
		}
		x := feedJSON{
			Source: f.Source, Name: f.Name, Kind: f.Kind, Host: f.Host, Seconds: int64(f.Interval / time.Second), Running: f.Running,
			LastTry: stamp(f.LastTry), LastOK: stamp(f.LastOK), LastError: f.LastError, NextTry: stamp(f.NextTry), Failures: f.Failures,
		}
		if whole { // how much came tells of what the reader may not know
			x.Deliveries, x.Items = &f.Deliveries, &f.Items
		}
		out.Feeds = append(out.Feeds, x)
	}
	return out, nil
}

type pollJSON struct {
	collect.Result
	Error string `json:"error,omitempty"` // why it was not read to its end
}

func (a *api) poll(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	err := access.MayDeliver(who, r.PathValue("source"))
	if err != nil {
		return nil, err
	}
	var got collect.Result
	err = collect.ErrUnknown
	if a.Feeds != nil {
		got, err = a.Feeds.Poll(r.Context(), r.PathValue("source"), r.PathValue("feed"))
	}
	if errors.Is(err, collect.ErrUnknown) {
		return nil, &badRequest{"There is no such feed.", "See GET /api/v1/feeds."}
	}
	out := pollJSON{Result: got}
	if err != nil { // of the source's server: what came is here
		out.Error = err.Error()
	}
	return out, nil
}
