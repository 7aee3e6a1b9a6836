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
)

type codedOrder struct {
	Reason  string       `json:"reason,omitempty"` // may be left out with a code other than "other"
	Code    release.Code `json:"code"`
	Version int64        `json:"version,omitempty"`
}

func (a *api) purge(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o codedOrder
	id, err := a.subject(r, who, &o)
	if err == nil {
		err = a.Desk.Purge(r.Context(), who, release.Ref{ID: id, Version: o.Version}, release.Why{Code: o.Code, Text: o.Reason})
	}
	if err != nil {
		return nil, err
	}
	return a.draftOf(r.Context(), id)
}

// whole lets only those on who may see numbers over everything.
func (a *api) whole(ctx context.Context, who signin.Account, what access.What) error {
	err := access.Need(who, what)
	if err != nil {
		return err
	}
	all, err := access.Whole(ctx, a.DB, who)
	if err == nil && !all {
		err = &access.ClearanceError{What: what}
	}
	return err
}

type personOrder struct {
	Text   string `json:"text"` // a name, a mail address, a telephone number
	Reason string `json:"reason"`
	After  int64  `json:"after,omitempty"` // next of the portion before
}

type personHit struct {
	Item   *contract.ID `json:"item"`   // null: an object of a source
	Object int64        `json:"object"` // 0: an indicator
	Name   string       `json:"name"`
	Fields []string     `json:"fields"`
}

type personPage struct {
	Hits []personHit `json:"hits"`
	Next int64       `json:"next"` // 0: all was looked through
}

func (a *api) persons(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o personOrder
	err := a.whole(r.Context(), who, access.Indicators)
	if err == nil {
		err = read(r, &o)
	}
	if err != nil {
		return nil, err
	}
	found, err := a.Desk.FindPerson(r.Context(), who, o.Text, o.Reason, nil, o.After)
	if err != nil {
		return nil, err
	}
	out := personPage{Hits: []personHit{}, Next: found.Next}
	for _, h := range found.Hits {
		x := personHit{Object: h.Object, Name: h.Name, Fields: h.Fields}
		if !h.Item.IsZero() {
			id := h.Item
			x.Item = &id
		}
		out.Hits = append(out.Hits, x)
	}
	return out, nil
}

type retentionLine struct {
	Handling    string          `json:"handling"`
	Disposition time.Time       `json:"disposition"`
	How         []string        `json:"how"`
	State       indicator.State `json:"state,omitempty"` // absent: objects of sources
	Count       int64           `json:"count"`
}

type retentionJSON struct {
	At  time.Time       `json:"at"`
	Due []retentionLine `json:"due"`
}

func (a *api) retention(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	err := a.whole(r.Context(), who, access.Indicators)
	if err != nil {
		return nil, err
	}
	got, err := a.Desk.Retention(r.Context(), true)
	if err != nil {
		return nil, err
	}
	out := retentionJSON{At: got.At, Due: []retentionLine{}}
	for _, x := range got.Due {
		out.Due = append(out.Due, retentionLine{x.Handling, x.Disposition, append([]string{}, x.How...), x.State, x.N})
	}
	return out, nil
}

type purgeJSON struct {
	Provider string     `json:"provider"`
	Open     int64      `json:"open"`    // without attestation for live systems
	Backups  int64      `json:"backups"` // without one for backups
	Done     int64      `json:"done"`
	Due      *time.Time `json:"due"` // of the oldest open one
	Findings int64      `json:"findings"`
}

type purgeFindingJSON struct {
	Provider    string    `json:"provider"`
	Attestation string    `json:"attestation"` // empty: nobody attested in time
	Code        string    `json:"code"`
	Detail      string    `json:"detail"`
	At          time.Time `json:"at"`
}

type purgesJSON struct {
	Providers []purgeJSON        `json:"providers"`
	Findings  []purgeFindingJSON `json:"findings"` // the newest thousand
}

func findingsOf(in []release.PurgeFinding) []purgeFindingJSON {
	out := []purgeFindingJSON{}
	for _, f := range in {
		out = append(out, purgeFindingJSON{f.Provider, f.Attestation, f.Code, f.Detail, f.At})
	}
	return out
}

func (a *api) purges(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	ctx := r.Context()
	err := a.whole(ctx, who, access.Providers)
	if err != nil {
		return nil, err
	}
	all, err := release.PurgeStandings(ctx, a.DB)
	if err != nil {
		return nil, err
	}
	fs, err := release.PurgeFindings(ctx, a.DB, "", pageLimit)
	if err != nil {
		return nil, err
	}
	out := purgesJSON{Providers: []purgeJSON{}, Findings: findingsOf(fs)}
	for _, s := range all {
		out.Providers = append(out.Providers, purgeJSON{s.Provider, s.Open, s.Backups, s.Done, stamp(s.Oldest), s.Findings})
	}
	return out, nil
}

// securityOf tells whether the account is the security officer of a provider, who has
// had everything that is to be purged there.
func securityOf(who signin.Account, provider string) bool {
	return who.Has("csp_security_officer") && who.Scope == provider && provider != ""
}

func (a *api) purgeManifest(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	provider := r.PathValue("id")
	if !securityOf(who, provider) {
		err := a.whole(r.Context(), who, access.Providers)
		if err != nil {
			return nil, err
		}
	}
	return release.PurgeManifest(r.Context(), a.DB, provider)
}

type attestedJSON struct {
	Attestation string             `json:"attestation"`
	Findings    []purgeFindingJSON `json:"findings"`
}

func (a *api) attestation(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var x release.Attestation
	err := read(r, &x)
	if err != nil {
		return nil, err
	}
	if x.Provider != r.PathValue("id") {
		return nil, &badRequest{"The attestation is for " + strings.TrimSpace(x.Provider) + ", the address for another provider.", "Send it to the address of its provider."}
	}
	id, fs, err := a.Desk.Attest(r.Context(), who, x)
	if err != nil {
		return nil, err
	}
	return attestedJSON{id, findingsOf(fs)}, nil
}

// signedStatement is an attestation as a node signed it, see docs/formats/purge.md.
type signedStatement struct {
	Serial    string `json:"serial"`    // of the node's certificate
	Statement string `json:"statement"` // exact JSON
	Signature []byte `json:"signature"`
}

func (a *api) signedAttestation(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	provider := r.PathValue("id")
	if !securityOf(who, provider) && !who.Has("pmo_analyst") {
		return nil, fmt.Errorf("%w: it takes the security officer of %s, or an analyst", release.ErrRole, provider)
	}
	var o signedStatement
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	id, fs, err := a.Desk.AttestSigned(r.Context(), provider, o.Serial, contract.SignedAck{Body: []byte(o.Statement), Signature: o.Signature})
	if err != nil {
		return nil, err
	}
	return attestedJSON{id, findingsOf(fs)}, nil
}

type agreement struct {
	Agreed bool   `json:"agreed"`
	Reason string `json:"reason"`
}

func (a *api) agreeShadow(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var o agreement
	err := read(r, &o)
	if err != nil {
		return nil, err
	}
	err = a.Desk.AgreeShadow(r.Context(), who, r.PathValue("id"), o.Agreed, o.Reason)
	return o, err
}
