package console

import (
	"errors"
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/casework"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
)

// urgent is what somebody has to look at that is not in the queue.
type urgent struct {
	Emergencies []emergencyRow
	Feeds       []review.Feed
	Endings     []review.Ending
	Tasks       []taskRow
	Clocks      []clockRow
}

// Any reports whether there is anything.
func (u urgent) Any() bool {
	return len(u.Emergencies)+len(u.Feeds)+len(u.Endings)+len(u.Tasks)+len(u.Clocks) > 0
}

type emergencyRow struct {
	review.Emergency
	May bool // the reader may ratify it
}

type taskRow struct {
	casework.Task
	Overdue bool
	Href    string
}

type clockRow struct {
	release.Clock
	Late bool
	Href string
}

// urgent asks small tables and indexes only.
func (c *console) urgent(r *http.Request) (urgent, error) {
	var u urgent
	ctx, a := r.Context(), account(r)
	if access.May(a, access.Indicators) {
		all, err := c.review.Unratified(ctx, a)
		if err != nil {
			return u, err
		}
		for _, x := range all {
			u.Emergencies = append(u.Emergencies, emergencyRow{x, a.Person != x.By && a.Any("pmo_analyst", "release_authority")})
		}
		tasks, err := casework.Mine(ctx, c.DB, a)
		if err != nil {
			return u, err
		}
		for _, x := range tasks[:min(len(tasks), 20)] {
			s, err := casework.ParseSubject(x.Subject)
			if err != nil {
				return u, err
			}
			u.Tasks = append(u.Tasks, taskRow{x, x.Late(c.now()), s.Href()})
		}
		u.Clocks, err = c.clocks(r, a)
		if err != nil {
			return u, err
		}
	}
	var err error
	u.Feeds, err = c.review.Failed(ctx, a)
	if err == nil {
		u.Endings, err = c.review.Endings(ctx, a)
	}
	return u, err
}

// clocks lists those that run for a role of the reader, about what the reader may
// know of.
func (c *console) clocks(r *http.Request, a signinAccount) ([]clockRow, error) {
	var owners []string
	for _, role := range a.Roles {
		owners = append(owners, role)
		if a.Scope != "" {
			owners = append(owners, role+"/"+a.Scope)
		}
	}
	if len(owners) == 0 {
		return nil, nil
	}
	all, err := release.Clocks(r.Context(), c.DB, owners...)
	if err != nil {
		return nil, err
	}
	var out []clockRow
	for _, x := range all[:min(len(all), 50)] {
		row := clockRow{Clock: x, Late: c.now().After(x.Due), Href: "/providers/" + x.Subject}
		id, notItem := contract.ParseID(x.Subject)
		if notItem == nil {
			_, err = access.Item(r.Context(), c.DB, a, id)
			if errors.Is(err, indicator.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			row.Href = "/indicators/" + x.Subject
		}
		out = append(out, row)
	}
	return out, nil
}

func (c *console) now() time.Time { return c.Now().UTC() }
