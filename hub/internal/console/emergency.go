package console

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/internal/signin"
)

// unratified is an emergency release that still waits for its second person.
type unratified struct {
	By    string    // the person who released it
	Until time.Time // when it is recalled by itself
	Over  bool      // that moment has passed
}

// unratifiedOf gives nil when there is nothing to ratify on the item.
func unratifiedOf(it *indicator.Item, decisions []indicator.Decision, now time.Time) *unratified {
	if it.State != indicator.Released && it.State != indicator.InForce {
		return nil
	}
	var out *unratified
	for _, x := range decisions {
		switch x.Kind {
		case indicator.KindEmergency:
			until := x.At.Add(release.RatifyWithin)
			out = &unratified{By: x.Person, Until: until, Over: !now.Before(until)}
		case indicator.KindRatify:
			return nil
		}
	}
	return out
}

// may says whether the page offers the account to ratify.
func (u *unratified) may(a signin.Account) bool {
	return u != nil && !u.Over && a.Person != u.By && a.Any("pmo_analyst", "release_authority")
}

// lifeOf reads for how many minutes an emergency release shall be in force.
func lifeOf(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%w: write a whole number of minutes, 1 to %d", release.ErrLife, maxMinutes)
	}
	return time.Duration(n) * time.Minute, nil
}

const maxMinutes = int(release.EmergencyLife / time.Minute)

// redactionOf reads the texts that shall stand in the place of the old ones.
// Forms send line ends as CR LF; they are stored as LF.
func redactionOf(form map[string][]string) release.Redaction {
	text := func(field string) string {
		return strings.TrimSpace(strings.ReplaceAll(strings.Join(form[field], ""), "\r\n", "\n"))
	}
	return release.Redaction{Summary: text("summary"), Context: text("context")}
}
