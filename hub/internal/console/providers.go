package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/web"
)

func (c *console) providers(w http.ResponseWriter, r *http.Request) {
	c.showProviders(w, r, http.StatusOK, nil)
}

func (c *console) showProviders(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	rows, err := c.providerRows(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/providers")
	p.Title, p.Wide, p.Problems = "Providers", true, problems
	p.Lead = "Who receives indicators, for which services, and where each of them stands with its list."
	p.Data = struct {
		Rows     []providerRow
		May      bool
		ID, Name string
	}{rows, account(r).Has("pmo_analyst"), r.PostFormValue("id"), r.PostFormValue("name")}
	c.pages.Render(w, status, "providers", p)
}

func (c *console) register(w http.ResponseWriter, r *http.Request) {
	id := strings.TrimSpace(r.PostFormValue("id"))
	err := c.Program.Register(r.Context(), account(r), id, strings.TrimSpace(r.PostFormValue("name")))
	if err != nil {
		x := c.explain(r, err)
		if x.Status == http.StatusForbidden || x.Status >= 500 {
			c.fail(w, r, err)
			return
		}
		c.showProviders(w, r, x.Status, []web.Problem{{Field: "id", Text: x.Detail + " " + x.Next}})
		return
	}
	http.Redirect(w, r, "/providers/"+url.PathEscape(id)+"?done=register", http.StatusSeeOther)
}

type providerData struct {
	providerRow
	Nodes     []program.Node
	Steps     []program.Step
	Next      []option
	MayToken  bool
	MayGrant  bool
	MayEmpty  bool   // may withdraw everything
	Sure      bool   // the confirmation of a refused withdrawal
	Emptying  string // the reason of a refused withdrawal
	StateHint string // what the choice of a new state means
	Ceilings  []option
	Beyond    string // the clearance without its TLP marking, which is the ceiling
	Token     *program.Token
	Balance   release.Balance
	Holds     bool
	Receipts  []release.Receipt
	Reason    string
	NowField  string
}

func (c *console) provider(w http.ResponseWriter, r *http.Request) {
	c.showProvider(w, r, http.StatusOK, nil, nil)
}

func (c *console) showProvider(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem, token *program.Token) {
	id, a := r.PathValue("id"), account(r)
	rows, err := c.providerRows(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := providerData{Token: token, NowField: c.moments(), Reason: r.PostFormValue("reason"), Sure: r.PostFormValue("sure") != ""}
	if strings.HasSuffix(r.URL.Path, "/withdraw") {
		d.Reason, d.Emptying = "", d.Reason
	}
	for _, x := range rows {
		if x.ID == id {
			d.providerRow = x
		}
	}
	if d.ID == "" {
		c.fail(w, r, program.ErrNotFound)
		return
	}
	d.Nodes, err = program.Nodes(r.Context(), c.DB, id)
	if err == nil {
		d.Steps, err = program.Steps(r.Context(), c.DB, "provider", id)
	}
	var may access.Ledgers
	if err == nil {
		may, err = access.Ledger(r.Context(), c.DB, a)
	}
	if err == nil {
		d.Balance, err = may.Balance(r.Context(), c.Desk, id, c.Now().UTC())
	}
	if err == nil {
		d.Receipts, err = may.Receipts(r.Context(), c.Desk, id, 20)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d.Holds = d.Balance.Holds()
	for _, s := range program.Next(a, d.State) {
		if s != program.Accredited {
			d.Next = append(d.Next, option{string(s), web.Words(s)})
			if s == program.Suspended {
				d.StateHint = "Suspended: what is new is withheld; what is in force there stays, and recalls go through."
			}
		}
	}
	d.MayToken = d.State.Active() && a.Any("pmo_analyst", "accrediting_official", "system_admin")
	d.MayGrant = a.Has("accrediting_official") && (d.State == program.Validated || d.State.Active())
	d.MayEmpty = a.Has("accrediting_official") && d.State == program.Suspended
	d.Beyond, _, _ = strings.Cut(d.Clearance, " TLP:")
	for t := contract.Clear; t <= contract.Red; t++ {
		d.Ceilings = append(d.Ceilings, option{t.String(), "TLP:" + strings.ToUpper(t.String())})
	}
	p := c.page(r, "/providers")
	p.Title, p.Problems = d.Name, problems
	p.Crumbs = []web.Link{{Text: "Providers", Href: "/providers"}}
	if d.Problem != "" {
		p.Notes = append(p.Notes, web.Note{Kind: "error", Title: "The list before it stays in force at this provider", Text: d.Problem})
	}
	switch d.State {
	case program.Suspended:
		p.Notes = append(p.Notes, web.Note{Kind: "warning", Title: "Suspended: nothing new goes to this provider", Text: "What it was not handed yet is withheld. What it has loaded stays in force unless everything is withdrawn. Its nodes go on reading their list, and recalls go through."})
	case program.Terminating:
		p.Notes = append(p.Notes, web.Note{Kind: "warning", Title: "Terminating: everything is withdrawn from this provider", Text: "The hub does that by itself, and nothing new goes there. Its nodes go on reading their list, so that the removals reach them."})
	}
	p.Data = d
	c.pages.Render(w, status, "provider", p)
}

// settle answers the forms of a provider's page.
func (c *console) settle(w http.ResponseWriter, r *http.Request, err error, done string) {
	if err == nil {
		http.Redirect(w, r, "/providers/"+url.PathEscape(r.PathValue("id"))+"?done="+done, http.StatusSeeOther)
		return
	}
	x := c.explain(r, err)
	if x.Status == http.StatusForbidden || x.Status >= 500 || x.Status == http.StatusNotFound {
		c.fail(w, r, err)
		return
	}
	c.showProvider(w, r, x.Status, []web.Problem{{Text: x.Detail + " " + x.Next}}, nil)
}

// token makes a one-time token and shows it in the answer, which is never stored:
// it cannot be seen again.
func (c *console) token(w http.ResponseWriter, r *http.Request) {
	t, err := c.Program.NewToken(r.Context(), account(r), r.PathValue("id"))
	if err != nil {
		c.settle(w, r, err, "")
		return
	}
	c.showProvider(w, r, http.StatusOK, nil, &t)
}

func (c *console) move(w http.ResponseWriter, r *http.Request) {
	err := c.Program.Move(r.Context(), account(r), r.PathValue("id"), program.State(r.PostFormValue("state")), strings.TrimSpace(r.PostFormValue("reason")))
	c.settle(w, r, err, "state")
}

// withdraw takes everything out of force at a suspended provider, once the
// official has said to be sure.
func (c *console) withdraw(w http.ResponseWriter, r *http.Request) {
	a, reason := account(r), strings.TrimSpace(r.PostFormValue("reason"))
	noReason := web.Problem{Field: "withdraw-reason", Text: "Write a reason: at least one short sentence"}
	if r.PostFormValue("sure") != "yes" && a.Has("accrediting_official") { // others are told that it is not theirs to do
		problems := []web.Problem{{Field: "withdraw-sure", Text: "Confirm that everything shall be taken out of force at this provider"}}
		if reason == "" {
			problems = append([]web.Problem{noReason}, problems...)
		}
		c.showProvider(w, r, http.StatusUnprocessableEntity, problems, nil)
		return
	}
	web.NewPatience(w).Progress() // a long list takes its time
	n, err := c.Desk.Withdraw(r.Context(), a, r.PathValue("id"), reason)
	if errors.Is(err, release.ErrReason) {
		c.showProvider(w, r, http.StatusUnprocessableEntity, []web.Problem{noReason}, nil)
		return
	}
	may, whole := access.Whole(r.Context(), c.DB, a)
	if err == nil && (whole != nil || !may) { // how many there were is not for everybody
		c.settle(w, r, whole, "withdrawn")
		return
	}
	c.settle(w, r, err, "withdraw&n="+strconv.Itoa(n))
}

func (c *console) revoke(w http.ResponseWriter, r *http.Request) {
	n, err := program.GetNode(r.Context(), c.DB, r.PostFormValue("serial"))
	if err == nil && n.Provider != r.PathValue("id") {
		err = program.ErrNotFound
	}
	if err == nil {
		err = c.Program.Revoke(r.Context(), account(r), n.Serial, strings.TrimSpace(r.PostFormValue("reason")))
	}
	c.settle(w, r, err, "revoke")
}

func (c *console) accredit(w http.ResponseWriter, r *http.Request) {
	err := r.ParseForm()
	if err != nil {
		c.fail(w, r, err)
		return
	}
	g := program.Accreditation{Clearance: r.PostForm.Get("clearance")}
	for _, v := range r.PostForm["service"] {
		s, err := contract.ParseServices(v)
		if err != nil {
			c.settle(w, r, errors.Join(program.ErrInput, err), "")
			return
		}
		g.Services |= s
	}
	err = g.Ceiling.UnmarshalText([]byte(r.PostForm.Get("ceiling")))
	if err == nil && r.PostForm.Get("until") != "" {
		g.NotAfter, err = time.Parse(time.DateOnly, r.PostForm.Get("until"))
	}
	if err != nil {
		c.settle(w, r, errors.Join(program.ErrInput, err), "")
		return
	}
	c.settle(w, r, c.Program.Accredit(r.Context(), account(r), r.PathValue("id"), g, strings.TrimSpace(r.PostForm.Get("reason"))), "accredit")
}

// second is how datetime-local fields of forms write a moment.
const second = "2006-01-02T15:04:05"

// moments writes the present for a form, rounded up: what has just come into force
// is in force then.
func (c *console) moments() string { return c.Now().UTC().Add(time.Second).Format(second) }

// moment reads the field "at" of an address; the present when it is absent.
func (c *console) moment(r *http.Request) (time.Time, string, error) {
	text := r.URL.Query().Get("at")
	now := c.Now().UTC()
	if text == "" {
		return now, c.moments(), nil
	}
	for _, layout := range []string{second, "2006-01-02T15:04", time.RFC3339Nano, time.DateOnly} {
		t, err := time.Parse(layout, text)
		if err == nil {
			return t.UTC(), text, nil
		}
	}
	return now, text, errors.New("not a moment")
}

func mayIndicators(r *http.Request) bool {
	_, limited := access.Source(account(r), access.Indicators)
	return access.May(account(r), access.Indicators) && !limited
}
