package decision

import (
	"math/bits"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/marking"
	"ecs/hub/internal/program"
)

// Object is what of an item counts. The zero Object permits nothing.
type Object struct {
	State    indicator.State
	Handling marking.Handling
	Services contract.Services // that can observe its pattern
	// Enforce, Display and Notify are what the source permitted beside its markings.
	Enforce, Display, Notify bool
	From, Until              time.Time               // validity
	Authority                bool                    // a source under a living authority named it
	Privacy                  indicator.Determination // undetermined goes nowhere
}

// Provider is what of a provider counts. The zero Provider is none.
type Provider struct {
	ID        string
	State     program.State
	Services  contract.Services // accredited for
	Ceiling   contract.TLP      // as the clearance's TLP; the lower of both counts
	Clearance marking.Clearance
	From, To  time.Time // of the accreditation; zero To: open
	Withdrawn bool      // an official took everything back
}

// Of gives the object that an item is under its handling. Authority is not known
// from the item: see [Authorized].
func Of(it *indicator.Item, h marking.Handling, authority bool) Object {
	return Object{
		State: it.State, Handling: h, Services: it.Services, Enforce: it.Enforce, Display: it.Display, Notify: it.Notify,
		From: it.ValidFrom, Until: it.ValidUntil, Authority: authority, Privacy: it.Privacy,
	}
}

// Decide answers for one service. It is pure.
func Decide(o Object, p Provider, service contract.Services, a Action, now time.Time) Decision {
	var d Decision
	switch {
	case a >= actions:
		d.no(CodeAction, "there is no such action")
	case p.ID == "":
		d.no(CodeProvider, "there is no such provider")
	case service&^contract.AllServices != 0 || bits.OnesCount8(uint8(service)) != 1:
		d.no(CodeService, "no service of the program is named")
	default:
		d.provider(&p, service, a, now)
		d.object(&o, service, a, now)
		d.markings(&o, &p, a, now)
	}
	d.Allowed = len(d.Reasons) == 0
	return d
}

// hands tells whether something new leaves the hub by it.
func (a Action) hands() bool { return a == Receive || a == Export }

// provider asks whether the provider may take part at all.
func (d *Decision) provider(p *Provider, service contract.Services, a Action, now time.Time) {
	switch {
	case a.hands() && !p.State.Active():
		d.no(CodeStanding, "the provider is %s, not accredited and operational", p.State)
	case !p.State.Follows() || p.State == program.Terminating:
		d.no(CodeStanding, "the provider is %s and keeps nothing", p.State)
	case p.Withdrawn:
		d.no(CodeStanding, "everything was withdrawn from the provider")
	}
	if a.hands() && now.Before(p.From) {
		d.no(CodeBegins, "the accreditation begins on %s", p.From.Format(time.DateOnly))
	}
	if a.hands() && !p.To.IsZero() && !now.Before(p.To) {
		d.no(CodeEnded, "the accreditation ended on %s", p.To.Format(time.DateOnly))
	}
	if service&^p.Services != 0 {
		d.no(CodeNotAccredited, "the provider is not accredited for the service")
	}
}

// object asks for what stands in the item.
func (d *Decision) object(o *Object, service contract.Services, a Action, now time.Time) {
	switch o.State {
	case indicator.Approved, indicator.Released, indicator.InForce:
	case indicator.Expired:
		d.no(CodeExpired, "its validity is over")
	default:
		d.no(CodeState, "it is %s, not approved and in force", stateWord(o.State))
	}
	if o.State != indicator.Expired && !now.Before(o.Until) {
		d.no(CodeExpired, "its validity is over")
	}
	if (a == Detect || a == Enforce) && now.Before(o.From) {
		d.no(CodeEarly, "its validity has not begun")
	}
	if service&^o.Services != 0 {
		d.no(CodeUnobservable, "the service cannot observe this pattern")
	}
	if a.hands() && !o.Authority {
		d.no(CodeAuthority, "no source that named the item has an authority in force")
	}
	if a.hands() && o.Privacy == indicator.Undetermined {
		d.no(CodePrivacy, "no privacy determination was made")
	}
	switch {
	case a == Enforce && !o.Enforce, (a == Show || a == Export) && !o.Display, a == Notify && !o.Notify:
		d.no(CodeSource, "%s", refusals[a])
	}
}

func stateWord(s indicator.State) string {
	if s == "" {
		return "in no state"
	}
	return string(s)
}

// refusals are the words for what a source permitted in no case.
var refusals = map[Action]string{
	Enforce: "it is for detection alone", Show: "its value may not be displayed",
	Export: "its value may not be displayed", Notify: "customers may not be notified of it",
}

// uses are what the markings have to permit for each action.
var uses = [actions][]marking.Use{
	Receive:    {marking.Hold, marking.PassOn, marking.Detect},
	Hold:       {marking.Hold, marking.PassOn},
	Detect:     {marking.Hold, marking.PassOn, marking.Detect},
	Enforce:    {marking.Hold, marking.PassOn, marking.Detect, marking.Enforce},
	Show:       {marking.Hold, marking.PassOn, marking.Show},
	Notify:     {marking.Hold, marking.PassOn, marking.Notify},
	NameSource: {marking.Hold, marking.PassOn, marking.NameSource},
	Export:     {marking.Hold, marking.PassOn, marking.Detect, marking.Show},
}

// markings asks the handling, for this provider.
func (d *Decision) markings(o *Object, p *Provider, a Action, now time.Time) {
	ceiling := min(p.Ceiling, p.Clearance.TLP())
	above := o.Handling.TLP() > ceiling
	if above {
		d.no(CodeCeiling, "the marking TLP:%s is above the provider's ceiling TLP:%s", upper(o.Handling.TLP()), upper(ceiling))
	}
	holds, why := o.Handling.Holds(p.Clearance)
	if !holds && (!above || o.Handling.TLP() <= p.Clearance.TLP()) {
		d.no(CodeClearance, "the provider's clearance %s %s", p.Clearance, why)
	}
	seen := map[marking.Reason]bool{}
	for _, u := range uses[a] {
		for _, r := range o.Handling.MayFor(u, p.Clearance, now).Reasons {
			if r.Mark == p.Clearance.String() || seen[r] { // said above
				continue
			}
			seen[r] = true
			d.no(CodeMarking, "%s", r)
		}
	}
}

// Terms are what a release object says may be done with it, and how much of it a
// customer may be told (contract.Indicator). They are the same for all providers,
// because STIX 2.1 section 3.6 demands the same bytes: a permission that a marking
// limits to some is not given.
type Terms struct {
	Enforce, Display, Notify bool
	Disclosure               uint8
}

// Terms gives what a release object may say now.
func (o Object) Terms(disclosure uint8, now time.Time) Terms {
	limit, _ := o.Handling.Disclosure()
	may := func(u marking.Use) bool { return o.Handling.May(u, now).Yes }
	return Terms{
		Enforce: o.Enforce && may(marking.Detect) && may(marking.Enforce), Display: o.Display && may(marking.Show),
		Notify: o.Notify && may(marking.Notify), Disclosure: min(disclosure, limit),
	}
}
