package api

import (
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/hub/internal/review"
	"ecs/internal/signin"
)

// waits are the states at which people are waited for.
var waits = []string{string(indicator.PrivacyGate), string(indicator.TechValidation), string(indicator.PendingFirst), string(indicator.PendingSecond)}

func (a *api) reviewRoutes() []route {
	const g = "Review"
	state := param{Name: "state", Enum: waits, Need: true, About: "The step of the queue."}
	return []route{
		{
			Method: "GET", Path: "/items/{id}/review", ID: "reviewItem", Group: g, Title: "Tell what a decision on an indicator needs",
			About: "Checks with what they did, whom a block would hit, precedents, clock. Nothing is decided by a suggestion.",
			Sees:  access.Indicators, Out: sheetJSON{}, do: a.sheet,
		},
		{
			Method: "GET", Path: "/questions", ID: "listQuestions", Group: g, Title: "List what waits, the same questions together",
			About: "Indicators of one delivery with the same category, marking and findings. The oldest thousand are looked at.",
			Sees:  access.Indicators, Out: questionsJSON{}, do: a.questions, Query: []param{state, afterParam},
		},
		{
			Method: "GET", Path: "/questions/members", ID: "listMembers", Group: g, Title: "List the indicators of a question",
			About: "Up to the last that was seen with it: what is sent to a bulk act is what was looked at.",
			Sees:  access.Indicators, Out: membersJSON{}, do: a.members,
			Query: []param{state, {Name: "key", Need: true, About: "Of the question."}, {Name: "last", Need: true, About: "Of the question."}},
		},
	}
}

type checkJSON struct {
	Code  string `json:"code"`
	Title string `json:"title"`
	Did   string `json:"did"`
	Found int    `json:"found"`
}

type precedentJSON struct {
	Item    contract.ID `json:"item"`
	Kind    string      `json:"kind"`
	Verdict string      `json:"verdict"`
	Person  string      `json:"person"`
	Reason  string      `json:"reason"`
	At      *time.Time  `json:"at"`
	Alike   []string    `json:"alike"` // in what
}

type sheetJSON struct {
	ID         contract.ID     `json:"id"`
	Hidden     bool            `json:"hidden"` // the value, and with it all but codes, sources and clock
	Impact     policy.Level    `json:"impact,omitempty"`
	Sentence   string          `json:"sentence"`
	Lists      []string        `json:"lists"`
	Covers     []contract.ID   `json:"covers"`
	CoveredBy  []contract.ID   `json:"covered_by"`
	Asks       []string        `json:"asks"`
	Findings   []findingJSON   `json:"findings"`
	Checks     []checkJSON     `json:"checks"`
	Score      float64         `json:"score"`
	Precedents []precedentJSON `json:"precedents"`
	Suggestion string          `json:"suggestion,omitempty"` // approve, return or reject
	Why        string          `json:"why,omitempty"`        // of the suggestion
	Due        *time.Time      `json:"due"`
	Overdue    bool            `json:"overdue"`
}

func (a *api) sheet(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(ctx, a.DB, who, id)
	if err == nil {
		err = access.Read(ctx, a.DB, who, access.ForReview, "api", it)
	}
	if err != nil {
		return nil, err
	}
	sheets, err := a.Review.Sheets(ctx, who, []indicator.Item{it})
	if err != nil {
		return nil, err
	}
	x := &sheets[0]
	out := sheetJSON{
		ID: id, Hidden: access.Hidden(who, &it), Impact: x.Impact.Level, Sentence: x.Impact.Sentence, Lists: []string{},
		Covers: append([]contract.ID{}, x.Impact.Covers...), CoveredBy: append([]contract.ID{}, x.Impact.CoveredBy...),
		Asks: []string{}, Findings: []findingJSON{}, Checks: []checkJSON{}, Score: x.Score.Value, Precedents: []precedentJSON{},
		Suggestion: x.Suggestion.Act, Why: x.Suggestion.Why, Due: stamp(x.Clock.Due), Overdue: x.Clock.Overdue,
	}
	for _, l := range x.Impact.Lists {
		out.Lists = append(out.Lists, l.List)
	}
	for _, q := range x.Asks {
		out.Asks = append(out.Asks, q.Text)
	}
	for _, f := range x.Findings {
		out.Findings = append(out.Findings, findingJSON{f.Code, f.Severity, f.Detail, stamp(f.At)})
	}
	for _, c := range x.Checks {
		out.Checks = append(out.Checks, checkJSON{c.Code, c.Title, c.Did, c.Found})
	}
	for _, p := range x.Precedents {
		out.Precedents = append(out.Precedents, precedentJSON{p.Item, p.Kind, p.Verdict, p.Person, p.Reason, stamp(p.At), p.Alike})
	}
	return out, nil
}

type questionJSON struct {
	Key      string            `json:"key"`
	Last     contract.ID       `json:"last"` // the newest that was looked at
	Count    int               `json:"count"`
	More     bool              `json:"more"` // the delivery may have more of it
	Source   string            `json:"source"`
	Batch    string            `json:"batch"`
	Category contract.Category `json:"category"`
	TLP      contract.TLP      `json:"tlp"`
	Codes    []string          `json:"codes"`
	High     bool              `json:"high"`   // it would hit many
	Sample   []contract.ID     `json:"sample"` // the riskiest first
	Due      *time.Time        `json:"due"`
	Overdue  bool              `json:"overdue"`
}

type questionsJSON struct {
	Questions []questionJSON `json:"questions"`
	Looked    int            `json:"looked"`
	Next      string         `json:"next,omitempty"`
}

func stateOf(r *http.Request) (indicator.State, error) {
	text := r.URL.Query().Get("state")
	for _, s := range waits {
		if s == text {
			return indicator.State(s), nil
		}
	}
	return "", &badRequest{"Nobody is waited for in the state that you name.", "Send state as PRIVACY_GATE, TECH_VALIDATION, PENDING_FIRST or PENDING_SECOND."}
}

func (a *api) questions(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	s, err := stateOf(r)
	if err != nil {
		return nil, err
	}
	var after contract.ID
	if text := r.URL.Query().Get("after"); text != "" {
		after, err = contract.ParseID(text)
		if err != nil {
			return nil, access.ErrCursor
		}
	}
	page, err := a.Review.Questions(r.Context(), who, s, after)
	if err != nil {
		return nil, err
	}
	out := questionsJSON{Questions: []questionJSON{}, Looked: page.Looked}
	if !page.Next.IsZero() {
		out.Next = page.Next.String()
	}
	for i := range page.Questions {
		q := &page.Questions[i]
		x := questionJSON{
			Key: q.Key, Last: q.Last, Count: q.Count, More: q.More, Source: q.Source, Batch: q.Batch, Category: q.Category, TLP: q.TLP,
			Codes: append([]string{}, q.Codes...), High: q.High, Sample: []contract.ID{}, Due: stamp(q.Clock.Due), Overdue: q.Clock.Overdue,
		}
		for j := range q.Sample {
			x.Sample = append(x.Sample, q.Sample[j].ID)
		}
		out.Questions = append(out.Questions, x)
	}
	return out, nil
}

type membersJSON struct {
	IDs []contract.ID `json:"ids"`
}

func (a *api) members(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	s, err := stateOf(r)
	if err != nil {
		return nil, err
	}
	last, err := contract.ParseID(r.URL.Query().Get("last"))
	if err != nil {
		return nil, access.ErrCursor
	}
	items, err := a.Review.Members(r.Context(), who, s, r.URL.Query().Get("key"), last, review.MaxMembers)
	if err != nil {
		return nil, err
	}
	out := membersJSON{IDs: []contract.ID{}}
	for i := range items {
		out.IDs = append(out.IDs, items[i].ID)
	}
	return out, nil
}
