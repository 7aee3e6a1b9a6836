package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/decision"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/hub/internal/review"
	"ecs/web"
)

// event is one step of an indicator's story.
type event struct {
	At               time.Time
	Tone, Icon       string
	What, Who, Where string
	Say              string
}

// leg is one step of the journey, for the step indicator.
type leg struct {
	Text string
	Mode string // "complete", "current" or ""
}

type deliveryRow struct {
	release.Delivery
	Sign sign
}

type offer = decision.Offer

type storyData struct {
	row
	Journey    []leg
	Events     []event
	Findings   []indicator.Finding
	Stops      int
	Deliveries []deliveryRow
	Lives      []web.Life
	From, To   time.Time
	LifeText   string
	Offers     []offer
	Fired      []itemFeedback
	Sheet      *review.Sheet   // checks, impact, score, precedents
	Audit      bool            // the reader may see the audit log
	Undo       bool            // the reader gave the last decision and may try to take it back
	Codes      []reasonGroup   // why it may be returned, rejected, recalled
	Able       map[string]bool // act: whether the state and the reader's roles allow to try
	Unratified *unratified
	Reason     map[string]string // act: what a refused form held
	Chosen     map[string]bool   // targets
	Determined string            // what a refused form of the privacy gate held
	New        release.Redaction // what stands in the form: the present texts, or what was refused
	Minutes    string            // of an emergency release
	MaxMinutes int
}

func (c *console) story(w http.ResponseWriter, r *http.Request) {
	c.showStory(w, r, http.StatusOK, nil, nil)
}

// showStory shows one indicator; form, when not nil, is what was sent and refused
// for the reasons in problems.
func (c *console) showStory(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem, form map[string][]string) {
	a := account(r)
	id, err := contract.ParseID(r.PathValue("id"))
	if err != nil {
		c.fail(w, r, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PathValue("id")))
		return
	}
	it, err := access.Item(r.Context(), c.DB, a, id)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/indicators")
	d, err := c.tell(r, it)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	err = access.Read(r.Context(), c.DB, a, access.ForStory, "console", it)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if form != nil {
		act := r.PathValue("act")
		d.Reason[act] = strings.Join(form["reason"], "")
		switch act {
		case "privacy":
			d.New, d.Determined = redactionOf(form), strings.Join(form["determination"], "")
		case "emergency":
			d.Minutes = strings.Join(form["minutes"], "")
		}
		for _, t := range form["target"] {
			d.Chosen[t] = true
		}
	}
	p.Title = "Indicator " + web.Short(it.ID)
	p.Heading = d.Value
	if d.Hidden {
		p.Heading = "Hidden value"
	}
	p.Crumbs = []web.Link{{Text: "Indicators", Href: "/indicators"}}
	p.Marking = it.TLP.String()
	p.Problems = problems
	p.Data = d
	c.pages.Render(w, status, "story", p)
}

// tell collects everything that is known about an item.
func (c *console) tell(r *http.Request, it indicator.Item) (*storyData, error) {
	ctx := r.Context()
	d := &storyData{row: c.rows(r, []indicator.Item{it})[0], Chosen: map[string]bool{}, Reason: map[string]string{}, Minutes: "60", MaxMinutes: maxMinutes}
	d.New = release.Redaction{Summary: d.Summary, Context: d.Context}
	sources, err := access.Sources(ctx, c.DB, account(r), it.ID)
	if err != nil {
		return nil, err
	}
	d.Findings, err = access.Findings(ctx, c.DB, account(r), it.ID)
	if err != nil {
		return nil, err
	}
	d.Stops = len(indicator.Stops(d.Findings))
	decisions, err := indicator.Decisions(ctx, c.DB, it.ID)
	if err != nil {
		return nil, err
	}
	ledger, err := c.Desk.Ledger(ctx, c.DB, release.Filter{Item: it.ID, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, x := range ledger {
		d.Deliveries = append(d.Deliveries, deliveryRow{x, deliverySign(x.Status)})
	}
	d.Journey = journey(&it, slices.ContainsFunc(decisions, func(x indicator.Decision) bool { return x.Kind == indicator.KindEmergency }))
	d.Events = events(&it, sources, d.Findings, decisions, ledger, d.Hidden)
	if d.Hidden { // findings quote the value
		for i := range d.Findings {
			d.Findings[i].Detail = "hidden"
		}
	}
	d.lifelines(&it, c.Now().UTC())
	d.Unratified = unratifiedOf(&it, decisions, c.Now())
	d.able(account(r))
	d.Audit = access.May(account(r), access.Audit)
	last, ok := indicator.Last(decisions)
	d.Undo = ok && last.Person == account(r).Person && last.Became == it.State &&
		indicator.CanTakeBack(last.Kind, last.Was, last.Became) && c.Now().Sub(last.At) < release.DefaultUndoWithin
	sheets, err := c.review.Sheets(ctx, account(r), []indicator.Item{it})
	if err != nil {
		return nil, err
	}
	d.Sheet = &sheets[0]
	d.Codes = []reasonGroup{{indicator.KindReturn, "To return or reject", codesFor(indicator.KindReturn)}, {indicator.KindRecall, "To recall", codesFor(indicator.KindRecall)}}
	if d.Able["second"] || d.Able["emergency"] || d.Able["extend"] {
		d.Offers, err = c.offers(ctx, &it)
		if err != nil {
			return nil, err
		}
	}
	if access.May(account(r), access.Feedback) {
		d.Fired, err = c.feedbackOf(ctx, account(r), it.ID)
	}
	return d, err
}

// able says which acts the page offers: those that the state permits and for
// which the reader has a role. Whether the act succeeds is decided when it is done.
func (d *storyData) able(a signinAccount) {
	s := d.State
	before := s == indicator.PrivacyGate || s == indicator.TechValidation || s == indicator.PendingFirst || s == indicator.PendingSecond
	d.Able = map[string]bool{
		"privacy":   s == indicator.PrivacyGate && a.Has("privacy_officer"),
		"override":  d.Stops > 0 && (s == indicator.TechValidation || s == indicator.PendingFirst || s == indicator.PendingSecond) && a.Any("pmo_analyst", "release_authority"),
		"first":     s == indicator.PendingFirst && a.Has("pmo_analyst"),
		"emergency": s == indicator.PendingFirst && a.Has("release_authority"),
		"ratify":    d.Unratified.may(a),
		"second":    s == indicator.PendingSecond && a.Has("release_authority"),
		"extend":    (s == indicator.Released || s == indicator.InForce) && d.Unratified == nil && a.Has("release_authority"),
		"stop":      before && a.Any("pmo_analyst", "release_authority", "privacy_officer"),
		"recall":    (s == indicator.Released || s == indicator.InForce || s == indicator.Approved) && a.Any("release_authority", "privacy_officer", "pmo_analyst", "gfi_officer"),
	}
	for _, ok := range d.Able {
		d.Able["any"] = d.Able["any"] || ok
	}
}

// offers lists the providers for a release, with what each may get.
func (c *console) offers(ctx context.Context, it *indicator.Item) ([]offer, error) {
	return decision.Offers(ctx, c.DB, it, c.Now())
}

var way = []struct {
	text   string
	states []indicator.State
}{
	{"Received", []indicator.State{indicator.Received}},
	{"Privacy gate", []indicator.State{indicator.PrivacyGate, indicator.Marked}},
	{"Checks", []indicator.State{indicator.TechValidation}},
	{"First approval", []indicator.State{indicator.PendingFirst}},
	{"Second approval", []indicator.State{indicator.PendingSecond, indicator.Approved}},
	{"Released", []indicator.State{indicator.Released}},
	{"In force", []indicator.State{indicator.InForce}},
	{"Ended", []indicator.State{indicator.Expired, indicator.Revoked, indicator.Superseded, indicator.Returned, indicator.Rejected, indicator.Purged}},
}

// journey tells where an item is. An emergency release passes neither approval.
func journey(it *indicator.Item, emergency bool) []leg {
	at := 0
	for i, w := range way {
		if slices.Contains(w.states, it.State) {
			at = i
		}
	}
	out := make([]leg, len(way))
	for i, w := range way {
		out[i].Text = w.text
		switch {
		case i < at && (it.Released.IsZero() && at == len(way)-1): // ended on its way: what it passed is in the story
		case i < at && emergency && (w.states[0] == indicator.PendingFirst || w.states[0] == indicator.PendingSecond):
		case i < at:
			out[i].Mode = "complete"
		case i == at:
			out[i].Mode = "current"
			if i == len(way)-1 {
				out[i].Text = signOf(it.State).Text
			}
		}
	}
	return out
}

var decisionWords = map[string]struct{ what, tone, icon string }{
	indicator.KindPrivacy:   {"Privacy determination", "good", "lock"},
	indicator.KindFirst:     {"First approval", "good", "check_circle"},
	indicator.KindSecond:    {"Second approval", "good", "verified"},
	indicator.KindOverride:  {"Override of technical stops", "wait", "warning"},
	indicator.KindEmergency: {"Emergency release", "wait", "warning"},
	indicator.KindRatify:    {"Emergency release ratified", "good", "verified"},
	indicator.KindRecall:    {"Recall", "bad", "undo"},
	indicator.KindReturn:    {"Returned to the source", "bad", "arrow_back"},
	indicator.KindReject:    {"Rejected", "bad", "cancel"},
	indicator.KindUndo:      {"A decision taken back", "wait", "undo"},
	indicator.KindDraft:     {"Drafted from another indicator", "", "edit"},
	indicator.KindConsent:   {"Consent of the source", "good", "check_circle"},
	indicator.KindRead:      {"Read by a second reader", "good", "visibility"},
}

func events(it *indicator.Item, sources []indicator.Source, findings []indicator.Finding, decisions []indicator.Decision, ledger []release.Delivery, hidden bool) []event {
	var out []event
	for i, s := range sources {
		what := "Received"
		if i > 0 {
			what = "Named again"
		}
		say := "Delivery " + s.Batch + ", " + s.Place
		if s.Reference != "" {
			say += "; the source's own reference: " + s.Reference
		}
		out = append(out, event{At: s.At, Icon: "file_download", What: what, Who: "source " + s.Source, Say: say})
	}
	for _, f := range findings {
		e := event{At: f.At, Tone: "wait", Icon: "warning", What: "Warning " + f.Code, Who: "automatic check", Say: f.Detail}
		if f.Severity == indicator.Stop {
			e.Tone, e.Icon, e.What = "bad", "error", "Stop "+f.Code
		}
		if hidden {
			e.Say = ""
		}
		out = append(out, e)
	}
	for _, x := range decisions {
		k := decisionWords[x.Kind]
		e := event{At: x.At, Tone: k.tone, Icon: k.icon, What: k.what, Who: x.Person + " (" + x.Login + ")", Say: x.Reason}
		if x.Kind == indicator.KindPrivacy {
			e.What += ": " + strings.ToLower(web.Words(x.Verdict))
		}
		if x.Kind == indicator.KindReturn || x.Kind == indicator.KindReject || x.Kind == indicator.KindRecall {
			e.What += ": " + strings.ToLower(web.Words(x.Verdict))
		}
		if x.Was != "" && x.Was != x.Became {
			e.Where = signOf(x.Was).Text + " → " + signOf(x.Became).Text
		}
		if !x.Undone.IsZero() {
			e.What, e.Tone = e.What+", taken back", ""
		}
		if e.Icon == "" {
			e.Icon, e.What = "info_outline", web.Words(x.Kind)
		}
		out = append(out, e)
	}
	for _, x := range ledger {
		where := web.ServiceName(x.Service)
		add := func(at time.Time, tone, icon, what, say string) {
			if !at.IsZero() {
				out = append(out, event{At: at, Tone: tone, Icon: icon, What: what, Who: x.Provider, Where: where, Say: say})
			}
		}
		add(x.Loaded, "good", "check_circle", "In force", "")
		add(x.Refused, "bad", "error", "Refused by the provider", x.Reason)
		add(x.Removed, "", "remove_circle", "Removed", "")
	}
	if !it.Released.IsZero() {
		out = append(out, event{At: it.Released, Tone: "good", Icon: "send", What: "Released", Who: "the hub"})
	}
	if it.State == indicator.Expired {
		out = append(out, event{At: it.Ended, Icon: "schedule", What: "Expired", Who: "the hub, and each node by its own clock"})
	}
	slices.SortStableFunc(out, func(a, b event) int { return cmp.Compare(a.At.UnixMicro(), b.At.UnixMicro()) })
	return out
}

// lifelines prepares the chart of where the item was in force.
func (d *storyData) lifelines(it *indicator.Item, now time.Time) {
	if len(d.Deliveries) == 0 {
		return
	}
	d.From, d.To = d.Deliveries[0].Queued, now
	inForce := 0
	for _, x := range d.Deliveries {
		if x.Queued.Before(d.From) {
			d.From = x.Queued
		}
		end := now
		for _, t := range []time.Time{x.Removed, it.ValidUntil} {
			if !t.IsZero() && t.Before(end) {
				end = t
			}
		}
		l := web.Life{Label: x.Provider + ", " + web.ServiceNames(x.Service)}
		switch {
		case !x.Loaded.IsZero():
			l.Spans = []web.LifeSpan{{From: x.Queued, To: x.Loaded, Kind: "wait"}, {From: x.Loaded, To: end, Kind: "force"}}
		case !x.Refused.IsZero():
			l.Spans = []web.LifeSpan{{From: x.Queued, To: x.Refused, Kind: "refused"}}
		default:
			l.Spans = []web.LifeSpan{{From: x.Queued, To: end, Kind: "wait"}}
		}
		if x.Status == release.Loaded || x.Status == release.RemovalQueued || x.Status == release.RemovalSent || x.Status == release.RemovalOverdue {
			inForce++
		}
		d.Lives = append(d.Lives, l)
	}
	d.LifeText = fmt.Sprintf("%d deliveries to providers and services, %d of them in force now. The table below has the same facts.", len(d.Deliveries), inForce)
}
