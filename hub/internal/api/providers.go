package api

import (
	"net/http"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

// standing tells where a provider stands with its list.
type standing struct {
	Head       uint64     `json:"head"`
	Loaded     uint64     `json:"loaded"`
	LoadedAt   *time.Time `json:"loaded_at"`
	LastAck    *time.Time `json:"last_ack"`
	Problem    string     `json:"problem"`
	Checkpoint *time.Time `json:"checkpoint"`
	Expires    *time.Time `json:"checkpoint_expires"`
	Pending    int64      `json:"pending"`
	Overdue    int64      `json:"overdue"`
	NotRemoved int64      `json:"not_removed"`
}

type providerJSON struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	State     program.State     `json:"state"`
	Services  contract.Services `json:"services"`
	Ceiling   contract.TLP      `json:"ceiling"`
	Clearance string            `json:"clearance"` // "": unclassified, up to the ceiling
	NotBefore *time.Time        `json:"not_before"`
	NotAfter  *time.Time        `json:"not_after"`
	List      *standing         `json:"list,omitempty"` // to those who may see totals over everything
}

func (a *api) all(r *http.Request, who signin.Account) ([]providerJSON, error) {
	list, err := program.Providers(r.Context(), a.DB)
	if err != nil {
		return nil, err
	}
	nodes, err := a.Desk.Nodes(r.Context())
	if err != nil {
		return nil, err
	}
	may, err := access.Ledger(r.Context(), a.DB, who)
	if err != nil {
		return nil, err
	}
	by := map[string]release.Node{}
	for _, n := range nodes {
		by[n.Provider] = n
	}
	out := []providerJSON{}
	for _, x := range list {
		one := providerJSON{
			ID: x.ID, Name: x.Name, State: x.State, Services: x.Services, Ceiling: x.Ceiling, Clearance: x.Clearance, NotBefore: stamp(x.NotBefore), NotAfter: stamp(x.NotAfter),
		}
		if may.Whole {
			n := by[x.ID]
			one.List = &standing{n.Head, n.Loaded, stamp(n.LoadedAt), stamp(n.LastAck), n.Problem, stamp(n.Checkpoint), stamp(n.Expires), n.Pending, n.Overdue, n.NotRemoved}
		}
		out = append(out, one)
	}
	return out, nil
}

type providerList struct {
	Providers []providerJSON `json:"providers"`
}

func (a *api) providers(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	all, err := a.all(r, who)
	return providerList{all}, err
}

// one gives the provider of the address as it is now.
func (a *api) one(r *http.Request, who signin.Account, id string) (any, error) {
	all, err := a.all(r, who)
	if err != nil {
		return nil, err
	}
	for _, x := range all {
		if x.ID == id {
			return x, nil
		}
	}
	return nil, program.ErrNotFound
}

func (a *api) provider(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	return a.one(r, who, r.PathValue("id"))
}

type registration struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (a *api) register(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in registration
	err := read(r, &in)
	if err == nil {
		err = a.Program.Register(r.Context(), who, in.ID, in.Name)
	}
	if err != nil {
		return nil, err
	}
	return a.one(r, who, in.ID)
}

type moveOrder struct {
	State  program.State `json:"state"`
	Reason string        `json:"reason"`
}

func (a *api) move(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in moveOrder
	err := read(r, &in)
	if err == nil {
		err = a.Program.Move(r.Context(), who, r.PathValue("id"), in.State, in.Reason)
	}
	if err != nil {
		return nil, err
	}
	return a.one(r, who, r.PathValue("id"))
}

// reasonOnly is the body of an act that needs nothing but a reason.
type reasonOnly struct {
	Reason string `json:"reason"`
}

type withdrawn struct {
	Withdrawn *int `json:"withdrawn,omitempty"` // to those who may see totals over everything
}

// withdraw takes everything out of force at a provider that is suspended or leaving.
func (a *api) withdraw(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in reasonOnly
	err := read(r, &in)
	if err != nil {
		return nil, err
	}
	n, err := a.Desk.Withdraw(r.Context(), who, r.PathValue("id"), in.Reason)
	if err != nil {
		return nil, err
	}
	whole, err := access.Whole(r.Context(), a.DB, who)
	if !whole {
		return withdrawn{}, err
	}
	return withdrawn{&n}, err
}

type accreditation struct {
	Services  contract.Services `json:"services"`
	Ceiling   contract.TLP      `json:"ceiling"`
	Clearance string            `json:"clearance,omitempty"` // such as S//SI REL USA
	NotBefore time.Time         `json:"not_before"`
	NotAfter  time.Time         `json:"not_after"`
	Reason    string            `json:"reason"`
}

func (a *api) accredit(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in accreditation
	err := read(r, &in)
	if err == nil {
		err = a.Program.Accredit(r.Context(), who, r.PathValue("id"), program.Accreditation{Services: in.Services, Ceiling: in.Ceiling, Clearance: in.Clearance, NotBefore: in.NotBefore, NotAfter: in.NotAfter}, in.Reason)
	}
	if err != nil {
		return nil, err
	}
	return a.one(r, who, r.PathValue("id"))
}

type tokenJSON struct {
	Token   string     `json:"token"` // shown this once
	Pin     string     `json:"pin"`
	Expires *time.Time `json:"expires"`
}

func (a *api) token(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	t, err := a.Program.NewToken(r.Context(), who, r.PathValue("id"))
	return tokenJSON{t.Text, t.Pin, stamp(t.Expires)}, err
}

type nodeJSON struct {
	Serial   string     `json:"serial"`
	Name     string     `json:"name"`
	Issued   *time.Time `json:"issued"`
	NotAfter *time.Time `json:"not_after"`
	Revoked  *time.Time `json:"revoked"`
}

type nodeList struct {
	Nodes []nodeJSON `json:"nodes"`
}

func (a *api) nodes(_ http.ResponseWriter, r *http.Request, _ signin.Account) (any, error) {
	_, err := program.GetProvider(r.Context(), a.DB, r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	all, err := program.Nodes(r.Context(), a.DB, r.PathValue("id"))
	out := []nodeJSON{}
	for _, n := range all {
		out = append(out, nodeJSON{n.Serial, n.Name, stamp(n.Issued), stamp(n.NotAfter), stamp(n.Revoked)})
	}
	return nodeList{out}, err
}

func (a *api) revoke(_ http.ResponseWriter, r *http.Request, who signin.Account) (any, error) {
	var in reasonOnly
	err := read(r, &in)
	if err != nil {
		return nil, err
	}
	n, err := program.GetNode(r.Context(), a.DB, r.PathValue("serial"))
	if err == nil && n.Provider != r.PathValue("id") {
		err = program.ErrNotFound
	}
	if err == nil {
		err = a.Program.Revoke(r.Context(), who, n.Serial, in.Reason)
	}
	if err != nil {
		return nil, err
	}
	n, err = program.GetNode(r.Context(), a.DB, n.Serial)
	return nodeJSON{n.Serial, n.Name, stamp(n.Issued), stamp(n.NotAfter), stamp(n.Revoked)}, err
}
