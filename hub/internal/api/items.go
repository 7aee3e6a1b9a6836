package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
	"ecs/observable"
)

// itemJSON is an indicator as a caller may see it. Pattern, value and context are
// absent when the marking forbids display and the caller's roles do not permit it.
type itemJSON struct {
	ID         contract.ID       `json:"id"`
	State      indicator.State   `json:"state"`
	Version    int64             `json:"version"`
	Hidden     bool              `json:"hidden,omitempty"`
	Kind       string            `json:"kind"`
	Value      string            `json:"value,omitempty"`
	Pattern    string            `json:"pattern,omitempty"`
	Services   contract.Services `json:"services"`
	Category   contract.Category `json:"category"`
	Action     contract.Action   `json:"action"`
	Confidence int               `json:"confidence"`
	TLP        contract.TLP      `json:"tlp"`
	Enforce    bool              `json:"enforce"`
	Display    bool              `json:"display"`
	Notify     bool              `json:"notify"`
	Disclosure uint8             `json:"disclosure"`
	Summary    string            `json:"summary"`
	Context    string            `json:"context,omitempty"`
	Privacy    string            `json:"privacy"`
	Submitter  string            `json:"submitter"`
	ValidFrom  *time.Time        `json:"valid_from"`
	ValidUntil *time.Time        `json:"valid_until"`
	Observed   *time.Time        `json:"observed"`
	Created    *time.Time        `json:"created"`
	Modified   *time.Time        `json:"modified"`
	Released   *time.Time        `json:"released"`
	Ended      *time.Time        `json:"ended"`
}

func itemOf(who signin.Account, it *indicator.Item) itemJSON {
	x := itemJSON{
		ID: it.ID, State: it.State, Version: it.Version, Hidden: access.Hidden(who, it), Kind: it.Kind.String(), Value: it.Value, Pattern: it.Pattern,
		Services: it.Services, Category: it.Category, Action: it.Action, Confidence: it.Confidence, TLP: it.TLP, Enforce: it.Enforce, Display: it.Display,
		Notify: it.Notify, Disclosure: it.Disclosure, Summary: it.Summary, Context: it.Context, Privacy: string(it.Privacy), Submitter: it.Submitter,
		ValidFrom: stamp(it.ValidFrom), ValidUntil: stamp(it.ValidUntil), Observed: stamp(it.Observed), Created: stamp(it.Created),
		Modified: stamp(it.Modified), Released: stamp(it.Released), Ended: stamp(it.Ended),
	}
	if x.Hidden {
		x.Value, x.Pattern, x.Context = "", "", ""
	}
	return x
}

// narrowing is how a caller narrows a set of indicators, in an address or in the
// body of a bulk act.
type narrowing struct {
	Text     string   `json:"q,omitempty"`
	States   []string `json:"states,omitempty"`
	Provider string   `json:"provider,omitempty"`
	Source   string   `json:"source,omitempty"`
	Batch    string   `json:"batch,omitempty"`
	Kind     string   `json:"kind,omitempty"`
}

func (n *narrowing) filter(ctx context.Context, q sqldb.Querier, who signin.Account) (indicator.Filter, error) {
	f := indicator.Filter{Text: strings.TrimSpace(n.Text), Provider: n.Provider, Source: n.Source, Batch: n.Batch}
	for _, s := range n.States {
		v, err := indicator.ParseState(s)
		if err != nil {
			return f, &badRequest{fmt.Sprintf("There is no state %q.", s), "Use the names that docs/formats/api.md lists."}
		}
		f.States = append(f.States, v)
	}
	if n.Kind != "" {
		var err error
		f.Kind, err = observable.ParseKind(n.Kind)
		if err != nil {
			return f, &badRequest{err.Error() + ".", "Use the names that docs/formats/api.md lists."}
		}
	}
	_, err := contract.ParseID(f.Text)
	if f.Text != "" && err != nil && !access.May(who, access.Values) {
		return f, &badRequest{"Your roles permit a search by a whole identifier only.", "Send the identifier in q, or leave q away."}
	}
	err = access.Narrow(ctx, q, who, &f)
	return f, err
}

type itemPage struct {
	Total int64      `json:"total"`
	More  bool       `json:"more,omitempty"` // there are more than total: no further is counted
	Items []itemJSON `json:"items"`
	Next  string     `json:"next,omitempty"` // for "after"
}

func (a *api) items(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	q := r.URL.Query()
	n := narrowing{Text: q.Get("q"), States: q["state"], Provider: q.Get("provider"), Source: q.Get("source"), Batch: q.Get("batch"), Kind: q.Get("kind")}
	f, err := n.filter(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r)
	if err != nil {
		return nil, err
	}
	f.Newest = q.Get("order") == "newest"
	f.After, err = access.After(r.Context(), a.DB, who, q.Get("after"))
	if err != nil {
		return nil, err
	}
	if q.Get("value") != "" {
		f.Limit = limit
		return a.named(r.Context(), who, f, q.Get("value"))
	}
	total, more, err := indicator.CountMatching(r.Context(), a.DB, f)
	if err != nil {
		return nil, err
	}
	f.Limit = limit
	list, err := indicator.List(r.Context(), a.DB, f)
	if err == nil {
		err = access.Read(r.Context(), a.DB, who, access.ForList, "api", list...)
	}
	if err != nil {
		return nil, err
	}
	out := itemPage{Total: total, More: more, Items: []itemJSON{}}
	for i := range list {
		out.Items = append(out.Items, itemOf(who, &list[i]))
	}
	if len(list) == limit {
		out.Next = list[limit-1].ID.String()
	}
	return out, nil
}

type sourceJSON struct {
	Source      string     `json:"source"`
	Batch       string     `json:"batch"`
	Place       string     `json:"place"`
	Reference   string     `json:"reference"`
	Marking     string     `json:"marking"`               // as this source marked it, docs/formats/marking.md
	Credibility int        `json:"credibility,omitempty"` // Admiralty scale, 1 to 6
	At          *time.Time `json:"at"`
}

type findingJSON struct {
	Code     string             `json:"code"`
	Severity indicator.Severity `json:"severity"`
	Detail   string             `json:"detail,omitempty"`
	At       *time.Time         `json:"at"`
}

type decisionJSON struct {
	Kind    string     `json:"kind"`
	Verdict string     `json:"verdict"`
	Login   string     `json:"login"`
	Person  string     `json:"person"`
	Reason  string     `json:"reason"`
	At      *time.Time `json:"at"`
}

type itemStory struct {
	itemJSON
	Sources    []sourceJSON   `json:"sources"`
	Findings   []findingJSON  `json:"findings"`
	Decisions  []decisionJSON `json:"decisions"`
	Deliveries []deliveryJSON `json:"deliveries"`
}

func idOf(r *http.Request) (contract.ID, error) {
	id, err := contract.ParseID(r.PathValue("id"))
	if err != nil {
		return id, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PathValue("id"))
	}
	return id, nil
}

func (a *api) item(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(ctx, a.DB, who, id)
	if err != nil {
		return nil, err
	}
	out := itemStory{itemJSON: itemOf(who, &it), Sources: []sourceJSON{}, Findings: []findingJSON{}, Decisions: []decisionJSON{}, Deliveries: []deliveryJSON{}}
	sources, err := access.Sources(ctx, a.DB, who, id)
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		out.Sources = append(out.Sources, sourceJSON{s.Source, s.Batch, s.Place, s.Reference, s.Marking, s.Credibility, stamp(s.At)})
	}
	findings, err := access.Findings(ctx, a.DB, who, id)
	if err != nil {
		return nil, err
	}
	for _, f := range findings {
		if out.Hidden { // it quotes the value
			f.Detail = ""
		}
		out.Findings = append(out.Findings, findingJSON{f.Code, f.Severity, f.Detail, stamp(f.At)})
	}
	decisions, err := indicator.Decisions(ctx, a.DB, id)
	if err != nil {
		return nil, err
	}
	for _, d := range decisions {
		out.Decisions = append(out.Decisions, decisionJSON{d.Kind, d.Verdict, d.Login, d.Person, d.Reason, stamp(d.At)})
	}
	may, err := access.Ledger(ctx, a.DB, who)
	if err != nil {
		return nil, err
	}
	rows, err := may.Rows(ctx, a.DB, a.Desk, release.Filter{Item: id, Limit: pageLimit})
	if err != nil {
		return nil, err
	}
	for i := range rows {
		out.Deliveries = append(out.Deliveries, deliveryOf(&rows[i]))
	}
	return out, access.Read(ctx, a.DB, who, access.ForStory, "api", it)
}
