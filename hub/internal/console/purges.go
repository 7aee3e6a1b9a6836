package console

import (
	"net/http"
	"strconv"
	"strings"

	"ecs/hub/internal/access"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/web"
)

type purgesData struct {
	Whole     bool // may see numbers over everything
	Standings []release.PurgeStanding
	Findings  []release.PurgeFinding
	Retention release.Retained
	Own       *release.Attestation // what the reader's own provider has to attest
	Statement string
	Finds     bool // may search by person
	Asked     string
	Reason    string
	Found     *release.PersonSearch
	Next      int64
}

// purges shows what has to go and how far that is: to those who may see everything,
// and to a provider's security officer what the provider has to attest.
func (c *console) purges(w http.ResponseWriter, r *http.Request) {
	c.showPurges(w, r, http.StatusOK, &purgesData{}, nil)
}

func securityOf(a signin.Account) string {
	if !a.Has("csp_security_officer") {
		return ""
	}
	return a.Scope
}

func (c *console) showPurges(w http.ResponseWriter, r *http.Request, status int, d *purgesData, problems []web.Problem) {
	ctx, a := r.Context(), account(r)
	var err error
	d.Whole, err = access.Whole(ctx, c.DB, a)
	d.Whole = d.Whole && access.May(a, access.Providers)
	d.Finds = d.Whole && a.Has("privacy_officer")
	own := securityOf(a)
	if err == nil && !d.Whole && own == "" {
		err = access.Need(a, access.Providers)
		if err == nil {
			err = &access.ClearanceError{What: access.Providers}
		}
	}
	if err == nil && d.Whole {
		d.Standings, err = release.PurgeStandings(ctx, c.DB)
		if err == nil {
			d.Findings, err = release.PurgeFindings(ctx, c.DB, "", 200)
		}
		if err == nil {
			d.Retention, err = c.Desk.Retention(ctx, true)
		}
	}
	if err == nil && own != "" {
		var m release.Attestation
		m, err = release.PurgeManifest(ctx, c.DB, own)
		d.Own = &m
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/purges")
	p.Title, p.Lead, p.Wide, p.Problems = "Purges", "What has to be gone, where it still is, and who has attested that it is gone.", true, problems
	p.Data = d
	c.pages.Render(w, status, "purges", p)
}

// person looks for somebody in all texts.
func (c *console) person(w http.ResponseWriter, r *http.Request) {
	ctx, a := r.Context(), account(r)
	err := access.Need(a, access.Indicators)
	if err == nil {
		var whole bool
		whole, err = access.Whole(ctx, c.DB, a)
		if err == nil && !whole {
			err = &access.ClearanceError{What: access.Indicators}
		}
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := &purgesData{Asked: r.PostFormValue("text"), Reason: r.PostFormValue("reason")}
	after, err := strconv.ParseInt(r.PostFormValue("after"), 10, 64)
	if err != nil || after < 0 {
		after = 0 // from the beginning
	}
	found, err := c.Desk.FindPerson(ctx, a, d.Asked, d.Reason, nil, after)
	if err != nil {
		c.purgeProblem(w, r, d, "person", err)
		return
	}
	d.Found, d.Next = &found, found.Next
	c.showPurges(w, r, http.StatusOK, d, nil)
}

// attest takes the statement of a provider's security officer.
func (c *console) attest(w http.ResponseWriter, r *http.Request) {
	d := &purgesData{Statement: r.PostFormValue("statement")}
	x, err := release.ParseAttestation([]byte(strings.TrimSpace(d.Statement)))
	if err == nil {
		_, _, err = c.Desk.Attest(r.Context(), account(r), *x)
	}
	if err != nil {
		c.purgeProblem(w, r, d, "statement", err)
		return
	}
	http.Redirect(w, r, "/purges?done=attested", http.StatusSeeOther)
}

func (c *console) purgeProblem(w http.ResponseWriter, r *http.Request, d *purgesData, field string, err error) {
	x := c.explain(r, err)
	if x.Status == http.StatusForbidden || x.Status >= 500 {
		c.fail(w, r, err)
		return
	}
	c.showPurges(w, r, x.Status, d, []web.Problem{{Field: field, Text: x.Detail + " " + x.Next}})
}
