package api

import (
	"context"
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

// lifecycleRoutes are what becomes of an indicator besides approvals and recall.
func (a *api) lifecycleRoutes() []route {
	const g, p = "Life of an indicator", "Purges and retention"
	see := access.Indicators
	return []route{
		{Method: "GET", Path: "/items/{id}/life", ID: "readLife", Group: g, Title: "Tell of which indicator one was made, which were made of it, and which came before and after", Sees: see, Out: lifeJSON{}, do: a.life},
		{Method: "POST", Path: "/items/{id}/replace", ID: "replaceItem", Group: g, Title: "Draft a new version of what is released", About: "It takes the place of the old one when it is released by supersede.", Sees: see, By: "pmo_analyst", In: editOrder{}, Out: draftJSON{}, do: a.replace},
		{Method: "POST", Path: "/items/{id}/supersede", ID: "supersedeItem", Group: g, Title: "Release a new version and take the old one out in one step", About: "Without targets it goes where the old one is.", Sees: see, By: "release_authority", In: order{}, Out: actAnswer{}, do: a.supersede},
		{Method: "POST", Path: "/items/{id}/tear", ID: "tearItem", Group: g, Title: "Draft the part below the tear line as an indicator of its own", Sees: see, By: "pmo_analyst", In: tearOrder{}, Out: draftJSON{}, do: a.tear},
		{Method: "GET", Path: "/items/{id}/tear-line", ID: "readTearLine", Group: g, Title: "Compare both sides of the tear line above an indicator", Sees: see, By: "those who are cleared for the original", Out: tearView{}, do: a.tearLine},
		{Method: "POST", Path: "/items/{id}/consent", ID: "consentItem", Group: g, Title: "Consent to a tear line for the source", Sees: see, By: "gfi_officer of the source", In: consentOrder{}, Out: draftJSON{}, do: a.consent},
		{Method: "POST", Path: "/items/{id}/second-reading", ID: "secondReading", Group: g, Title: "Say as second reader that nothing above the line is below it", Sees: see, By: "anybody who decides, but the one who drew the line", In: reasonOnly{}, Out: draftJSON{}, do: a.reading},
		{Method: "POST", Path: "/items/{id}/shadow", ID: "shadowItem", Group: g, Title: "Ask for a shadow run", About: "Providers that agreed count for 1 to 24 hours and block nothing.", Sees: see, By: "pmo_analyst", In: shadowOrder{}, Out: draftJSON{}, do: a.shadow},
		{Method: "POST", Path: "/items/{id}/shadow-start", ID: "startShadow", Group: g, Title: "Begin a shadow run as the second person", Sees: see, By: "release_authority", In: reasonOnly{}, Out: draftJSON{}, do: a.shadowStart},
		{Method: "POST", Path: "/items/{id}/shadow-stop", ID: "stopShadow", Group: g, Title: "End a shadow run, or call it off", Sees: see, By: "pmo_analyst or release_authority", In: reasonOnly{}, Out: draftJSON{}, do: a.shadowStop},
		{Method: "POST", Path: "/items/{id}/determination", ID: "determineItem", Group: g, Title: "Determine personal data element by element", Sees: see, By: "privacy_officer", In: determineOrder{}, Out: determinedJSON{}, do: a.determine},
		{Method: "POST", Path: "/items/{id}/purge", ID: "purgeItem", Group: p, Title: "Order that only the tombstone is left", Sees: see, By: "privacy_officer", In: codedOrder{}, Out: draftJSON{}, do: a.purge},
		{Method: "POST", Path: "/persons", ID: "findPerson", Group: p, Title: "Find where a person is named", About: "Audited, without whom it was for. In portions: go on with next.", Sees: see, By: "privacy_officer", In: personOrder{}, Out: personPage{}, do: a.persons},
		{Method: "GET", Path: "/retention", ID: "readRetention", Group: p, Title: "Tell what has reached its disposition date, and do nothing", Sees: see, By: "those who are cleared for all that the hub holds", Out: retentionJSON{}, do: a.retention},
		{Method: "GET", Path: "/purges", ID: "readPurges", Group: p, Title: "Tell how far the purges are at each provider, and what does not match", Sees: access.Providers, By: "those who are cleared for all that the hub holds", Out: purgesJSON{}, do: a.purges},
		{Method: "GET", Path: "/providers/{id}/purge", ID: "readPurgeManifest", Group: p, Title: "List what a provider has to attest", By: "csp_security_officer of the provider; those who see providers and are cleared for all", Out: release.Attestation{}, do: a.purgeManifest},
		{Method: "POST", Path: "/providers/{id}/attestations", ID: "attestPurge", Group: p, Title: "Attest that indicators are gone at a provider", About: "Matched with the delivery ledger to the item; what does not match is a finding.", By: "csp_security_officer of the provider", In: release.Attestation{}, Out: attestedJSON{}, do: a.attestation},
		{Method: "POST", Path: "/providers/{id}/attestations/signed", ID: "attestPurgeSigned", Group: p, Title: "Hand in an attestation that a provider's node signed", By: "csp_security_officer of the provider, or pmo_analyst", In: signedStatement{}, Out: attestedJSON{}, do: a.signedAttestation},
		{Method: "POST", Path: "/providers/{id}/shadow", ID: "agreeShadow", Group: p, Title: "Write down whether a provider agrees to shadow runs", By: "csp_security_officer of the provider or accrediting_official", In: agreement{}, Out: agreement{}, do: a.agreeShadow},
	}
}

type draftJSON struct {
	ID    contract.ID     `json:"id"`
	State indicator.State `json:"state"`
}

func (a *api) draftOf(ctx context.Context, id contract.ID) (any, error) {
	it, err := indicator.Get(ctx, a.DB, id)
	return draftJSON{id, it.State}, err
}

// subject reads the indicator of the address, as far as the caller may know of it,
// and the body.
func (a *api) subject(r *http.Request, who signin.Account, body any) (contract.ID, error) {
	id, err := idOf(r)
	if err == nil {
		_, err = access.Item(r.Context(), a.DB, who, id)
	}
	if err == nil && body != nil {
		err = read(r, body)
	}
	return id, err
}

type linkJSON struct {
	ID     contract.ID     `json:"id"`
	Kind   string          `json:"kind"` // supersedes, tear-line, shadow; of earlier and later ones return, reject, recall or empty
	State  indicator.State `json:"state"`
	Code   release.Code    `json:"code,omitempty"`
	Reason string          `json:"reason,omitempty"`
	Same   bool            `json:"same_source,omitempty"`
	At     *time.Time      `json:"at"`
}

type shadowJSON struct {
	Run     contract.ID     `json:"run"`
	State   indicator.State `json:"state"`
	Hours   int             `json:"hours"`
	Started *time.Time      `json:"started"`
	Ends    *time.Time      `json:"ends"`
	Closed  *time.Time      `json:"closed"`
	Matches string          `json:"matches"` // a step, such as 100-249; 0 when none was told
	Told    int             `json:"told"`
}

type lifeJSON struct {
	Origin  []linkJSON   `json:"origin"`
	Made    []linkJSON   `json:"made"`
	Earlier []linkJSON   `json:"earlier"`
	Later   []linkJSON   `json:"later"`
	Shadows []shadowJSON `json:"shadows"`
}

func (a *api) life(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	id, err := a.subject(r, who, nil)
	if err != nil {
		return nil, err
	}
	it, err := access.Item(ctx, a.DB, who, id)
	if err != nil {
		return nil, err
	}
	l, err := release.LifeOf(ctx, a.DB, &it, func(other contract.ID) bool {
		_, err := access.Item(ctx, a.DB, who, other)
		return err == nil
	})
	if err != nil {
		return nil, err
	}
	out := lifeJSON{Origin: []linkJSON{}, Made: []linkJSON{}, Earlier: []linkJSON{}, Later: []linkJSON{}, Shadows: []shadowJSON{}}
	for _, x := range l.Origin {
		out.Origin = append(out.Origin, linkJSON{ID: x.ID, Kind: x.Kind, State: x.State, At: stamp(x.At)})
	}
	for _, x := range l.Made {
		out.Made = append(out.Made, linkJSON{ID: x.ID, Kind: x.Kind, State: x.State, At: stamp(x.At)})
	}
	for to, from := range map[*[]linkJSON][]release.Earlier{&out.Earlier: l.Earlier, &out.Later: l.Later} {
		for _, x := range from {
			*to = append(*to, linkJSON{ID: x.ID, Kind: x.Kind, State: x.State, Code: x.Code, Reason: x.Reason, Same: x.Same, At: stamp(x.At)})
		}
	}
	for _, s := range l.Shadows {
		out.Shadows = append(out.Shadows, shadowJSON{s.Run, s.State, s.Hours, stamp(s.Started), stamp(s.Ends), stamp(s.Closed), s.Events.String(), s.Told})
	}
	return out, nil
}

// editOrder is how a new version differs; what is absent stays as it is.
type editOrder struct {
	Reason     string             `json:"reason"`
	Version    int64              `json:"version,omitempty"`
	Pattern    string             `json:"pattern,omitempty"`
	Category   *contract.Category `json:"category,omitempty"`
	Action     *contract.Action   `json:"action,omitempty"`
	Confidence *int               `json:"confidence,omitempty"`
	ValidUntil time.Time          `json:"valid_until,omitzero"`
	Summary    *string            `json:"summary,omitempty"`
	Context    *string            `json:"context,omitempty"`
	Labels     *string            `json:"labels,omitempty"` // one a line
	Disclosure *uint8             `json:"disclosure,omitempty"`
}

func (a *api) replace(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o editOrder
	id, err := a.subject(r, who, &o)
	if err != nil {
		return nil, err
	}
	next, err := a.Desk.Replace(r.Context(), who, release.Ref{ID: id, Version: o.Version}, release.Edit{
		Pattern: o.Pattern, Category: o.Category, Action: o.Action, Confidence: o.Confidence, ValidUntil: o.ValidUntil,
		Summary: o.Summary, Context: o.Context, Labels: o.Labels, Disclosure: o.Disclosure,
	}, o.Reason)
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), next)
}

func (a *api) supersede(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o order
	id, err := a.subject(r, who, &o)
	if err != nil {
		return nil, err
	}
	out, err := a.Desk.Supersede(r.Context(), who, release.Ref{ID: id, Version: o.Version}, o.Reason, targetsOf(o.Targets))
	if err != nil {
		return nil, err
	}
	it, err := access.Item(r.Context(), a.DB, who, id)
	if err != nil {
		return nil, err
	}
	answer := actAnswer{Item: itemOf(who, &it)}
	for _, t := range out.Released {
		answer.Released = append(answer.Released, targetJSON{Provider: t.Provider, Services: t.Services})
	}
	for _, t := range out.Refused {
		answer.Refused = append(answer.Refused, targetJSON{Provider: t.Provider, Services: t.Services, Reason: t.Reason})
	}
	return answer, nil
}

type tearOrder struct {
	Reason     string            `json:"reason"`
	Version    int64             `json:"version,omitempty"`
	Markings   []string          `json:"markings"` // of the lower part: TLP:GREEN
	Pattern    string            `json:"pattern,omitempty"`
	Category   contract.Category `json:"category"`
	Action     contract.Action   `json:"action"`
	Confidence int               `json:"confidence"`
	Disclosure uint8             `json:"disclosure"`
	Summary    string            `json:"summary"`
	Labels     string            `json:"labels,omitempty"`
	ValidUntil time.Time         `json:"valid_until,omitzero"`
	Urgent     bool              `json:"urgent,omitempty"` // 4 hours instead of 5 business days
}

func (a *api) tear(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o tearOrder
	id, err := a.subject(r, who, &o)
	if err != nil {
		return nil, err
	}
	next, err := a.Desk.Tear(r.Context(), who, release.Ref{ID: id, Version: o.Version}, release.TearLine{
		Markings: o.Markings, Pattern: o.Pattern, Category: o.Category, Action: o.Action, Confidence: o.Confidence, Disclosure: o.Disclosure,
		Summary: o.Summary, Labels: o.Labels, ValidUntil: o.ValidUntil, Urgent: o.Urgent,
	}, o.Reason)
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), next)
}

type partJSON struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

type leakJSON struct {
	Field string `json:"field"` // below
	From  string `json:"from"`  // above
	Text  string `json:"text"`
}

type tearView struct {
	Origin  contract.ID `json:"origin"`
	Upper   string      `json:"upper"`
	Lower   string      `json:"lower"`
	Above   []partJSON  `json:"above"`
	Below   []partJSON  `json:"below"`
	Lowered []string    `json:"lowered"`
	Sources []string    `json:"sources"`
	Leaks   []leakJSON  `json:"leaks"`
}

func (a *api) tearLine(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	id, err := a.subject(r, who, nil)
	if err != nil {
		return nil, err
	}
	o, err := indicator.OriginOf(ctx, a.DB, id)
	if err == nil && o.Kind == indicator.TearLine {
		_, err = access.Item(ctx, a.DB, who, o.Of) // who is not cleared for it, to them it does not exist
	}
	if err != nil {
		return nil, err
	}
	v, err := a.Desk.View(ctx, a.DB, id)
	if err != nil {
		return nil, err
	}
	v = v.For(sourceOf(who))
	out := tearView{
		Origin: v.Origin, Upper: v.Upper.String(), Lower: v.Lower.String(), Above: []partJSON{}, Below: []partJSON{},
		Lowered: append([]string{}, v.Lowered...), Sources: append([]string{}, v.Sources...), Leaks: []leakJSON{},
	}
	for _, x := range v.Above {
		out.Above = append(out.Above, partJSON{x.Field, x.Text})
	}
	for _, x := range v.Below {
		out.Below = append(out.Below, partJSON{x.Field, x.Text})
	}
	for _, x := range v.Leaks {
		out.Leaks = append(out.Leaks, leakJSON{x.Field, x.From, x.Text})
	}
	return out, nil
}

// sourceOf gives the only source whose words the caller may read; empty: all.
func sourceOf(who signin.Account) string {
	only, limited := access.Source(who, access.Indicators)
	if !limited {
		return ""
	}
	return only
}

type consentOrder struct {
	Reason  string   `json:"reason"`
	Version int64    `json:"version,omitempty"`
	Fields  []string `json:"fields"` // of the original that the source marks lower by it: pattern, summary, context, labels
}

func (a *api) consent(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o consentOrder
	id, err := a.subject(r, who, &o)
	if err == nil {
		err = a.Desk.Consent(r.Context(), who, release.Ref{ID: id, Version: o.Version}, o.Fields, o.Reason)
	}
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), id)
}

// simply does an act that takes a reason and gives where the indicator is then.
func (a *api) simply(r *http.Request, who signin.Account, do func(context.Context, release.Ref, string) error) (any, error) {
	var o reasonOnly
	id, err := a.subject(r, who, &o)
	if err == nil {
		err = do(r.Context(), release.Ref{ID: id}, o.Reason)
	}
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), id)
}

func (a *api) reading(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return a.simply(r, who, func(ctx context.Context, ref release.Ref, reason string) error {
		o, err := indicator.OriginOf(ctx, a.DB, ref.ID)
		if err == nil && o.Kind == indicator.TearLine {
			_, err = access.Item(ctx, a.DB, who, o.Of)
		}
		if err != nil {
			return err
		}
		return a.Desk.Read(ctx, who, ref, reason)
	})
}

type shadowOrder struct {
	Reason  string       `json:"reason"`
	Version int64        `json:"version,omitempty"`
	Hours   int          `json:"hours"` // 1 to 24
	Targets []targetJSON `json:"targets"`
}

func (a *api) shadow(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o shadowOrder
	id, err := a.subject(r, who, &o)
	if err != nil {
		return nil, err
	}
	run, err := a.Desk.ShadowRun(r.Context(), who, release.Ref{ID: id, Version: o.Version}, time.Duration(min(max(o.Hours, 0), 1000))*time.Hour, targetsOf(o.Targets), o.Reason)
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), run)
}

func (a *api) shadowStart(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return a.simply(r, who, func(ctx context.Context, ref release.Ref, reason string) error {
		_, err := a.Desk.ShadowStart(ctx, who, ref, reason)
		return err
	})
}

func (a *api) shadowStop(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return a.simply(r, who, func(ctx context.Context, ref release.Ref, reason string) error {
		return a.Desk.ShadowStop(ctx, who, ref, reason)
	})
}

type judgedJSON struct {
	Field string `json:"field"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	Keep  bool   `json:"keep,omitempty"`
	Why   string `json:"why,omitempty"` // of what stays
}

type determineOrder struct {
	Reason   string       `json:"reason"`
	Version  int64        `json:"version,omitempty"`
	Elements []judgedJSON `json:"elements"`
}

type determinedJSON struct {
	ID            contract.ID     `json:"id"`
	State         indicator.State `json:"state"`
	Determination string          `json:"determination"`
}

func (a *api) determine(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o determineOrder
	id, err := a.subject(r, who, &o)
	if err != nil {
		return nil, err
	}
	var js []release.Judged
	for _, e := range o.Elements {
		js = append(js, release.Judged{Field: e.Field, Start: e.Start, End: e.End, Keep: e.Keep, Why: e.Why})
	}
	what, err := a.Desk.Determine(r.Context(), who, release.Ref{ID: id, Version: o.Version}, js, o.Reason)
	if err != nil {
		return nil, err
	}
	it, err := indicator.Get(r.Context(), a.DB, id)
	return determinedJSON{id, it.State, string(what)}, err
}
