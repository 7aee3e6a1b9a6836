package indicator

import "time"

// Business time is Monday to Friday, 9 to 17 o'clock UTC.
const (
	dayBegins = 9 * time.Hour
	dayEnds   = 17 * time.Hour
)

func midnight(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

func workday(t time.Time) bool { return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday }

// BusinessHours gives the moment when so much business time has passed since from.
func BusinessHours(from time.Time, d time.Duration) time.Time {
	t := from.UTC()
	for {
		day := midnight(t)
		begin, end := day.Add(dayBegins), day.Add(dayEnds)
		if t.Before(begin) {
			t = begin
		}
		if workday(day) && t.Before(end) {
			left := end.Sub(t)
			if d <= left {
				return t.Add(d)
			}
			d -= left
		}
		t = day.Add(24 * time.Hour)
	}
}

// BusinessDays gives the same time of day so many working days later.
func BusinessDays(from time.Time, n int) time.Time {
	t := from.UTC()
	for n > 0 {
		t = t.Add(24 * time.Hour)
		if workday(t) {
			n--
		}
	}
	return t
}

// The default clocks of docs/program.md, 4c.
const (
	PrivacyClock   = 4 * time.Hour    // business time, from entering the gate
	FirstClock     = 8 * time.Hour    // business time, from when the checks passed
	SecondClock    = 24 * time.Hour   // from receipt
	EmergencyClock = 30 * time.Minute // of a privacy determination or an approval in an emergency
	TearLineDays   = 5                // business days from the draft
	TearLineUrgent = 4 * time.Hour    // from the draft, in an emergency
)

// Due says by when people should have answered what an item waits for, and which
// role; ok is false when it waits for nobody. A passed moment never changes the
// state.
func Due(it *Item) (by time.Time, role string, ok bool) {
	switch it.State {
	case PrivacyGate:
		return BusinessHours(it.Modified, PrivacyClock), "privacy_officer", true
	case TechValidation, PendingFirst:
		return BusinessHours(it.Modified, FirstClock), "pmo_analyst", true
	case PendingSecond:
		return it.Created.Add(SecondClock), "release_authority", true
	}
	return time.Time{}, "", false
}
