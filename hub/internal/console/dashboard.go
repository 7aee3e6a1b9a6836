package console

import (
	"net/http"
	"time"

	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
)

type waiting struct {
	step
	Count int64
	Mine  bool
	review.Overdue
	Past bool // the oldest is past its clock
}

type providerRow struct {
	program.Provider
	release.Node
	Sign    sign
	Problem string
	Behind  uint64
	Told    bool // the reader may know where the list stands
}

type dashboardData struct {
	Urgent                     urgent
	Waiting                    []waiting
	InForce, Released, Expired int64
	Recalled, All              int64
	ShowItems                  bool
	Providers                  []providerRow
	ShowProviders              bool
	Coverage                   []program.Coverage
	Most                       int64
	Covered                    int
	ShowCoverage               bool
	Batches                    []access.Batch
	ShowBatches                bool
}

func (c *console) dashboard(w http.ResponseWriter, r *http.Request) {
	a := account(r)
	p := c.page(r, "/")
	p.Title, p.Lead, p.Wide = "Dashboard", "What waits for whom, and what is in force where.", true
	d := dashboardData{
		ShowItems: access.May(a, access.Indicators), ShowProviders: access.May(a, access.Providers),
		ShowCoverage: access.May(a, access.Coverage), ShowBatches: access.May(a, access.Deliveries),
	}
	var err error
	if d.ShowItems {
		err = c.waiting(r, &d)
	}
	if err == nil {
		d.Urgent, err = c.urgent(r)
	}
	if err == nil && d.ShowProviders {
		d.Providers, err = c.providerRows(r)
	}
	if err == nil && d.ShowCoverage {
		d.Coverage, err = program.CoverageBySector(r.Context(), c.DB)
	}
	if err == nil && d.ShowBatches {
		d.Batches, err = access.Batches(r.Context(), c.DB, a, "", time.Time{}, 5)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, x := range d.Coverage {
		d.Most = max(d.Most, int64(x.Validated))
		if x.Validated > 0 {
			d.Covered++
		}
	}
	p.Data = d
	c.pages.Render(w, http.StatusOK, "dashboard", p)
}

func (c *console) waiting(r *http.Request, d *dashboardData) error {
	a := account(r)
	count, err := access.Count(r.Context(), c.DB, a)
	if err != nil {
		return err
	}
	for _, s := range steps {
		x := waiting{step: s, Count: count[s.State], Mine: a.Any(s.Roles...)}
		if x.Count > 0 {
			x.Overdue, err = c.review.Overdue(r.Context(), a, s.State)
			if err != nil {
				return err
			}
			x.Past = x.Late > 0
		}
		d.Waiting = append(d.Waiting, x)
	}
	d.InForce, d.Released = count[indicator.InForce], count[indicator.Released]
	d.Expired, d.Recalled = count[indicator.Expired], count[indicator.Revoked]
	for _, n := range count {
		d.All += n
	}
	return nil
}

func (c *console) providerRows(r *http.Request) ([]providerRow, error) {
	all, err := program.Providers(r.Context(), c.DB)
	if err != nil {
		return nil, err
	}
	nodes, err := c.Desk.Nodes(r.Context())
	if err != nil {
		return nil, err
	}
	may, err := access.Ledger(r.Context(), c.DB, account(r))
	if err != nil {
		return nil, err
	}
	byID := map[string]release.Node{}
	for _, n := range nodes {
		byID[n.Provider] = n
	}
	out := make([]providerRow, 0, len(all))
	for _, x := range all {
		n := may.Node(byID[x.ID])
		row := providerRow{Provider: x, Node: n, Sign: providerSign(x.State), Problem: problemText(n.Problem), Told: may.Whole}
		if n.Head > n.Loaded {
			row.Behind = n.Head - n.Loaded
		}
		out = append(out, row)
	}
	return out, nil
}
