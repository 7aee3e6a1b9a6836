package review

import (
	"time"

	"ecs/hub/internal/indicator"
)

// Clock says until when somebody should have decided, see docs/program.md.
type Clock struct {
	Due     time.Time // zero: no clock runs
	Overdue bool
}

// The clocks of the steps. Business hours are 9 to 17 UTC, Monday to Friday.
const (
	PrivacyHours  = 4              // business hours, of the determination
	FirstHours    = 8              // business hours, of the first approval
	SecondWithin  = 24 * time.Hour // of the second approval, from receipt
	OverrideHours = FirstHours     // a stop has to be answered in the time of the first approval
)

const (
	opens  = 9
	closes = 17
)

// Due gives when an item that came at this moment should be decided at a step; zero
// for states at which nobody is waited for.
func Due(s indicator.State, came time.Time) time.Time {
	switch s {
	case indicator.PrivacyGate:
		return Business(came, PrivacyHours)
	case indicator.TechValidation:
		return Business(came, OverrideHours)
	case indicator.PendingFirst:
		return Business(came, FirstHours)
	case indicator.PendingSecond:
		return came.Add(SecondWithin)
	}
	return time.Time{}
}

func clockOf(it *indicator.Item, now time.Time) Clock {
	c := Clock{Due: Due(it.State, it.Created)}
	c.Overdue = !c.Due.IsZero() && now.After(c.Due)
	return c
}

// Business adds hours of business time to a moment, in UTC.
func Business(from time.Time, hours int) time.Time {
	t, left := from.UTC(), time.Duration(hours)*time.Hour
	for {
		day := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		from, to := day.Add(opens*time.Hour), day.Add(closes*time.Hour)
		weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
		if t.Before(from) {
			t = from
		}
		if !weekend && t.Before(to) {
			if to.Sub(t) >= left {
				return t.Add(left)
			}
			left -= to.Sub(t)
		}
		t = day.AddDate(0, 0, 1)
	}
}

// Since gives the latest moment of receipt that is overdue now at a step: what came
// before it should have been decided. Zero where no clock runs.
func Since(s indicator.State, now time.Time) time.Time {
	if Due(s, now).IsZero() {
		return time.Time{}
	}
	// Due rises with the moment of receipt: halve until it is known to the second.
	low, high := now.Add(-14*24*time.Hour), now
	for high.Sub(low) > time.Second {
		mid := low.Add(high.Sub(low) / 2)
		if now.After(Due(s, mid)) {
			low = mid
		} else {
			high = mid
		}
	}
	return low
}
