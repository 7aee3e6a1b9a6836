package collect

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"ecs/stix"
	"ecs/taxii"
)

// Bounds of marking definitions that are asked for.
const (
	maxDefinitions = 1024 // in one poll
	askedAtOnce    = 25   // so that the query stays short
)

// definitions are the marking definitions of a collection, by identifier: a page
// holds what was added in its time, and the definition of a marking may be years
// older. Nil stands for one that the server has not.
type definitions map[string]json.RawMessage

// marked is what an object says of markings.
type marked struct {
	Type     string
	ID       string
	Refs     []string `json:"object_marking_refs"`
	Granular []struct {
		Ref string `json:"marking_ref"`
	} `json:"granular_markings"`
}

// complete puts the marking definitions that objects refer to before them: those of
// the page, those of pages before, and those that it asks the server for. What cannot
// be had stays unknown, which intake takes for the strictest.
func (d definitions) complete(ctx context.Context, server *taxii.Client, f *Feed, objects []json.RawMessage) ([]json.RawMessage, error) {
	var first, rest []json.RawMessage
	var wanted []string
	here := map[string]bool{}
	for _, o := range objects {
		var m marked
		err := json.Unmarshal(o, &m)
		if err != nil {
			rest = append(rest, o) // intake says what is wrong with it
			continue
		}
		if m.Type == "marking-definition" {
			first = append(first, o)
			here[m.ID] = true
			d.remember(m.ID, o)
		} else {
			rest = append(rest, o)
		}
		for _, g := range m.Granular {
			m.Refs = append(m.Refs, g.Ref)
		}
		for _, ref := range m.Refs {
			_, tlp := stix.TLP(ref)
			if !tlp && !here[ref] && strings.HasPrefix(ref, "marking-definition--") && stix.CheckID(ref) == nil {
				here[ref] = true
				wanted = append(wanted, ref)
			}
		}
	}
	err := d.ask(ctx, server, f, wanted)
	if err != nil {
		return nil, err
	}
	var before []json.RawMessage
	for _, ref := range wanted {
		body := d[ref]
		if body != nil && !slices.ContainsFunc(first, func(o json.RawMessage) bool { return string(o) == string(body) }) {
			before = append(before, body)
		}
	}
	return slices.Concat(before, first, rest), nil
}

func (d definitions) remember(id string, body json.RawMessage) {
	if len(d) < maxDefinitions {
		d[id] = slices.Clone(body)
	}
}

// ask asks for definitions that were not asked for yet.
func (d definitions) ask(ctx context.Context, server *taxii.Client, f *Feed, wanted []string) error {
	wanted = slices.DeleteFunc(slices.Clone(wanted), func(ref string) bool { _, known := d[ref]; return known })
	for some := range slices.Chunk(wanted, askedAtOnce) {
		if len(d)+len(some) > maxDefinitions {
			return nil
		}
		for _, ref := range some {
			d[ref] = nil
		}
		for page, err := range server.Pages(ctx, f.URL, f.Collection, taxii.Filter{IDs: some}) {
			if err != nil && passing(err) {
				return err
			}
			if err != nil {
				break // it cannot filter, or has none of them
			}
			found := 0
			for _, o := range page.Objects {
				var m marked
				err := json.Unmarshal(o, &m)
				if err == nil && m.Type == "marking-definition" && slices.Contains(some, m.ID) {
					d[m.ID] = slices.Clone(o)
					found++
				}
			}
			if found == 0 {
				break // it gives something else
			}
		}
	}
	return nil
}

// passing says whether the same question may have an answer later.
func passing(err error) bool {
	var e *taxii.Error
	if !errors.As(err, &e) {
		return !errors.Is(err, taxii.ErrStuck) && !errors.Is(err, taxii.ErrFuture)
	}
	n, err := strconv.Atoi(e.Status)
	return err != nil || n >= 500 || n == http.StatusTooManyRequests || n == http.StatusUnauthorized
}
