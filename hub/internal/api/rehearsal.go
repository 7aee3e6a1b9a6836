package api

import (
	"net/http"

	"ecs/hub/internal/access"
	"ecs/hub/internal/decision/rehearsal"
	"ecs/internal/signin"
)

func (a *api) rehearsalRoutes() []route {
	return []route{{
		Method: "GET", Path: "/providers/{id}/rehearsal", ID: "rehearse", Group: "Providers", Title: "Tell what a provider may have, and why not the rest",
		About: "Counts by marking and state of what the caller may know of; nothing is released. With q, the whole decision on one indicator, for each service and action.",
		Sees:  access.Providers, By: "those of these who may also see indicators", Out: rehearsal.View{}, do: a.rehearse,
		Query: []param{{Name: "q", About: "Identifier or value of one indicator."}},
	}}
}

func (a *api) rehearse(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return rehearsal.Look(r.Context(), a.DB, who, r.PathValue("id"), r.URL.Query().Get("q"), a.Now().UTC())
}
