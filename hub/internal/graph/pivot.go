package graph

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/search"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// TooCommon is how many may share something before it means nothing.
const TooCommon = 1000

// Pivot is something that an indicator has in common with others.
type Pivot struct {
	What  string `json:"what"`  // in words: same campaign or tag ...
	Value string `json:"value"` // what they share
	Query string `json:"query"` // the search that gives them, see hub/internal/search
	Count int    `json:"count"` // how many others there are, up to TooCommon
	More  bool   `json:"more"`  // more than TooCommon
	// Rarity is 100 for what one other shares, falling with the logarithm of their
	// number to 0 at TooCommon: what few share says more.
	Rarity int `json:"rarity"`
}

const maxLabels = 20 // of an indicator that are asked for

// Pivots gives what an indicator shares with others, the rarest first. What it
// shares with none is left out. Hidden: the reader may not see its value.
func Pivots(ctx context.Context, q sqldb.Querier, r search.Reader, it *indicator.Item, sources []indicator.Source, hidden bool) ([]Pivot, error) {
	var out []Pivot
	for _, p := range ask(it, sources, hidden) {
		query, err := search.Parse(p.Query)
		if err != nil {
			continue // a label that the language cannot write
		}
		n, more, err := search.Count(ctx, q, r, query, TooCommon)
		if err != nil {
			return nil, fmt.Errorf("graph: pivots: %w", err)
		}
		p.Count, p.More = n, more
		if !more {
			p.Count-- // itself
		}
		if p.Count > 0 {
			p.Rarity = rarity(p.Count, more)
			out = append(out, p)
		}
	}
	slices.SortStableFunc(out, func(a, b Pivot) int { return b.Rarity - a.Rarity })
	return out, nil
}

func rarity(n int, more bool) int {
	if more || n >= TooCommon {
		return 0
	}
	return int(math.Round(100 * (1 - math.Log(float64(n))/math.Log(TooCommon))))
}

// ask lists what can be shared, each once.
func ask(it *indicator.Item, sources []indicator.Source, hidden bool) []Pivot {
	var out []Pivot
	add := func(what, value, query string) {
		if value != "" && !strings.ContainsAny(value, "\"\n*") && !slices.ContainsFunc(out, func(p Pivot) bool { return p.Query == query }) {
			out = append(out, Pivot{What: what, Value: value, Query: query})
		}
	}
	if !hidden {
		_, err := netip.ParsePrefix(it.Pivot)
		switch {
		case it.Pivot == "":
		case err == nil:
			add("in the same network", it.Pivot, "net:"+it.Pivot)
		default:
			add("below the same registered name", it.Pivot, "under:"+it.Pivot)
		}
		if it.Kind == observable.URL || it.Kind == observable.Mail {
			host := search.HostOf(it.Kind, it.Value)
			add("at the same host", host, "host:"+host)
		}
	}
	labels := strings.Split(it.Labels, "\n")
	for _, l := range labels[:min(len(labels), maxLabels)] {
		add("with the same label", l, `label:"`+l+`"`)
	}
	for _, s := range sources {
		if !hidden && strings.Contains(s.Reference, "--") {
			add("called the same by a source", s.Reference, `object:"`+s.Reference+`"`)
		}
		add("in the same delivery", s.Batch, `batch:"`+s.Batch+`"`)
		add("named by the same source", s.Source, `source:"`+s.Source+`"`)
	}
	return out
}
