package api

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/people"
	"ecs/internal/signin"
)

// The acts on roles, see docs/formats/people.md.
var peopleActs = []string{"request", "delegate", "emergency", "approve", "revoke", "review", "train"}

type peopleJSON struct {
	People []people.Person `json:"people"` // all for those who give roles and for the auditor, else only oneself
}

type peopleOrder struct {
	Login  string    `json:"login,omitempty"`  // request, delegate, emergency: for whom
	Role   string    `json:"role,omitempty"`   // request, delegate, emergency
	Grant  string    `json:"grant,omitempty"`  // approve, revoke, review: identifier of the grant
	Person string    `json:"person,omitempty"` // train: whose training
	Until  time.Time `json:"until,omitzero"`   // request: its end, never when absent; delegate, emergency, train: needed
	Reason string    `json:"reason"`
}

type peopleAnswer struct {
	Grant string `json:"grant,omitempty"` // of what was asked for: approve it by this
}

func (a *api) peopleRoutes() []route {
	const g = "People"
	return []route{
		{Method: "GET", Path: "/people", ID: "listPeople", Group: g, Title: "List people and their roles", About: "Everybody sees their own.", Out: peopleJSON{}, do: a.people},
		{
			Method: "POST", Path: "/people/{act}", ID: "changeRoles", Group: g, Title: "Ask for, approve, delegate, review or revoke a role",
			By:   "system_admin or accrediting_official; the holder of a role to delegate it; anybody with a role in an emergency; an auditor to review an emergency",
			Enum: map[string][]string{"act": peopleActs}, In: peopleOrder{}, Out: peopleAnswer{}, do: a.changeRoles,
		},
	}
}

func (a *api) people(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	out := peopleJSON{People: []people.Person{}}
	if a.People == nil {
		return out, nil
	}
	all, err := a.People.List(r.Context())
	if err != nil {
		return nil, err
	}
	whole := who.Any("system_admin", "accrediting_official", "auditor")
	for _, p := range all {
		if whole || p.Name == who.Person {
			out.People = append(out.People, p)
		}
	}
	return out, nil
}

func (a *api) changeRoles(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o peopleOrder
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	if a.People == nil {
		return nil, &badRequest{"Roles are not kept by this hub.", "Change them in its configuration."}
	}
	ctx, want := r.Context(), people.Wanted{Login: o.Login, Role: o.Role, Until: o.Until, Reason: o.Reason}
	var out peopleAnswer
	switch act := r.PathValue("act"); act {
	case "request":
		out.Grant, err = a.People.Request(ctx, who, want)
	case "delegate":
		out.Grant, err = a.People.Delegate(ctx, who, want, a.Now())
	case "emergency":
		out.Grant, err = a.People.Emergency(ctx, who, want)
	case "approve":
		err = a.People.Approve(ctx, who, o.Grant, o.Reason)
	case "revoke":
		err = a.People.Revoke(ctx, who, o.Grant, o.Reason)
	case "review":
		err = a.People.Review(ctx, who, o.Grant, o.Reason)
	case "train":
		err = a.People.Train(ctx, who, o.Person, o.Until)
	default:
		return nil, &badRequest{fmt.Sprintf("There is no act %q.", act), "Choose one of " + strings.Join(peopleActs, ", ") + "."}
	}
	x, known := people.Explain(err)
	if err != nil && known {
		return nil, &toldError{access.Explanation{Status: x.Status, Code: x.Code, Title: "Not done", Detail: x.Text, Next: x.Next}}
	}
	return out, err
}
