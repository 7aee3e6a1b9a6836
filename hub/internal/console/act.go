package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/web"
)

type signinAccount = signin.Account

// act does one thing to one indicator.
func (c *console) act(w http.ResponseWriter, r *http.Request) {
	a := account(r)
	id, err := contract.ParseID(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PathValue("id")))
		return
	}
	_, err = access.Item(r.Context(), c.DB, a, id) // who may not know of it shall not learn of it here
	if err == nil {
		err = r.ParseForm()
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil {
		version = 0
	}
	ref := release.Ref{ID: id, Version: version}
	what := r.PathValue("act")
	outcome, err := c.do(r.Context(), a, what, ref, r.PostForm)
	if err == nil {
		done := what
		if len(outcome.Refused) > 0 {
			c.partly(w, r, id, outcome)
			return
		}
		http.Redirect(w, r, "/indicators/"+id.String()+"?done="+done, http.StatusSeeOther)
		return
	}
	if errors.Is(err, errNoAct) {
		c.missing(w, r)
		return
	}
	x := c.explain(r, err)
	problem := web.Problem{Text: x.Detail + " " + x.Next}
	switch {
	case errors.Is(err, release.ErrReason):
		problem = web.Problem{Field: reasonField(what), Text: "Write a reason: at least one short sentence"}
	case errors.Is(err, release.ErrLife):
		problem.Field = "minutes"
	}
	problems := []web.Problem{problem}
	for _, f := range outcome.Refused {
		problems = append(problems, web.Problem{Text: f.Provider + " (" + web.ServiceNames(f.Services) + "): " + f.Reason})
	}
	if x.Status == http.StatusForbidden || x.Status >= 500 {
		c.fail(w, r, err)
		return
	}
	c.showStory(w, r, x.Status, problems, r.PostForm)
}

// reasonField is the id of the field for the reason in the form of an act.
func reasonField(act string) string {
	switch act {
	case "override", "emergency", "ratify", "recall", "extend":
		return act + "-reason"
	case "return", "reject":
		return "stop-reason"
	}
	return "reason"
}

var errNoAct = errors.New("console: no such act")

// do hands one act to the desk.
func (c *console) do(ctx context.Context, a signin.Account, what string, ref release.Ref, form map[string][]string) (release.Outcome, error) {
	reason := strings.TrimSpace(strings.Join(form["reason"], ""))
	var none release.Outcome
	switch what {
	case "privacy":
		determination := indicator.Determination(strings.Join(form["determination"], ""))
		if determination == indicator.Removed {
			return none, c.Desk.Redact(ctx, a, ref, redactionOf(form), reason)
		}
		return none, c.Desk.Privacy(ctx, a, ref, determination, reason)
	case "first":
		return none, c.Desk.First(ctx, a, ref, reason)
	case "second":
		targets, err := targetsOf(form["target"])
		if err != nil {
			return none, err
		}
		return c.Desk.Second(ctx, a, ref, reason, targets)
	case "emergency":
		life, err := lifeOf(strings.Join(form["minutes"], ""))
		if err != nil {
			return none, err
		}
		targets, err := targetsOf(form["target"])
		if err != nil {
			return none, err
		}
		return c.Desk.Emergency(ctx, a, ref, reason, targets, life)
	case "ratify":
		return none, c.Desk.Ratify(ctx, a, ref, reason)
	case "override":
		return none, c.Desk.Override(ctx, a, ref, reason)
	case "extend":
		targets, err := targetsOf(form["target"])
		if err != nil {
			return none, err
		}
		return c.Desk.Extend(ctx, a, ref, reason, targets)
	case "return":
		return none, c.Desk.ReturnFor(ctx, a, ref, whyOf(form))
	case "reject":
		return none, c.Desk.RejectFor(ctx, a, ref, whyOf(form))
	case "recall":
		return none, c.Desk.RecallFor(ctx, a, ref, whyOf(form))
	case "hold":
		return none, c.Desk.Hold(ctx, a, ref, reason)
	}
	return none, errNoAct
}

// whyOf reads a code of the closed list and words; words alone are for another reason.
func whyOf(form map[string][]string) release.Why {
	w := release.Why{Code: release.Code(strings.Join(form["code"], "")), Text: strings.TrimSpace(strings.Join(form["reason"], ""))}
	if w.Code == "" {
		w.Code = release.Other
	}
	return w
}

// targetsOf reads what a form sends for the chosen targets: "provider/service".
func targetsOf(values []string) ([]release.Target, error) {
	at := map[string]int{}
	var out []release.Target
	for _, v := range values {
		provider, service, ok := strings.Cut(v, "/")
		s, err := contract.ParseServices(service)
		if !ok || err != nil || provider == "" {
			return nil, fmt.Errorf("%w: %q is not a provider and a service", release.ErrNoTarget, v)
		}
		i, seen := at[provider]
		if !seen {
			i = len(out)
			at[provider] = i
			out = append(out, release.Target{Provider: provider})
		}
		out[i].Services |= s
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no provider was chosen", release.ErrNoTarget)
	}
	return out, nil
}

// partly tells of a release that went to some of the chosen targets only.
func (c *console) partly(w http.ResponseWriter, r *http.Request, id contract.ID, out release.Outcome) {
	p := c.page(r, "/indicators")
	p.Title = "Released to some of the chosen providers"
	p.Crumbs = []web.Link{{Text: "Indicators", Href: "/indicators"}}
	p.Data = struct {
		ID       contract.ID
		Released []release.Target
		Refused  []release.Refused
	}{id, out.Released, out.Refused}
	c.pages.Render(w, http.StatusOK, "partly", p)
}
