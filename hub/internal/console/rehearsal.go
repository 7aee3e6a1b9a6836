package console

import (
	"net/http"
	"net/url"
	"strings"

	"ecs/hub/internal/decision/rehearsal"
	"ecs/hub/internal/program"
	"ecs/web"
)

type rehearsalData struct {
	rehearsal.View
	Provider program.Provider
	Titles   map[string]string // of the stages
	Nothing  bool              // something was asked for and not found
}

// rehearsal shows what a provider may have and why not the rest, without releasing
// anything.
func (c *console) rehearsal(w http.ResponseWriter, r *http.Request) {
	x, err := program.GetProvider(r.Context(), c.DB, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	v, err := rehearsal.Look(r.Context(), c.DB, account(r), x.ID, r.URL.Query().Get("q"), c.Now().UTC())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/providers")
	p.Title, p.Wide = "Rehearsal for "+x.Name, true
	p.Lead = "What this provider may have of what you may know of, and why not the rest. Looking here releases nothing."
	p.Crumbs = []web.Link{{Text: "Providers", Href: "/providers"}, {Text: x.Name, Href: "/providers/" + url.PathEscape(x.ID)}}
	if len(v.Standing) > 0 {
		p.Notes = append(p.Notes, web.Note{
			Kind: "warning", Title: "Nothing new goes to this provider now",
			Text: strings.Join(v.Standing, "; ") + ". What follows is as it would be without that.",
		})
	}
	p.Data = rehearsalData{View: v, Provider: x, Titles: stageTitles, Nothing: v.Asked != "" && len(v.Found) == 0}
	c.pages.Render(w, http.StatusOK, "rehearsal", p)
}

var stageTitles = map[string]string{
	"current": "Released or in force", "waiting": "Waiting: as if it were approved", "over": "Over: recalled, expired, returned or rejected",
}
