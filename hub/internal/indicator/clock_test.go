package indicator_test

import (
	"testing"
	"time"

	"ecs/hub/internal/indicator"
)

func TestBusinessTime(t *testing.T) {
	at := func(s string) time.Time {
		x, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for name, c := range map[string]struct{ got, want time.Time }{
		"within a day":          {indicator.BusinessHours(at("2026-11-16 10:00"), 4*time.Hour), at("2026-11-16 14:00")},
		"to its end":            {indicator.BusinessHours(at("2026-11-16 09:00"), 8*time.Hour), at("2026-11-16 17:00")},
		"over night":            {indicator.BusinessHours(at("2026-11-16 15:30"), 4*time.Hour), at("2026-11-17 11:30")},
		"over the weekend":      {indicator.BusinessHours(at("2026-11-20 16:00"), 4*time.Hour), at("2026-11-23 12:00")},
		"begun on Sunday":       {indicator.BusinessHours(at("2026-11-22 12:00"), 8*time.Hour), at("2026-11-23 17:00")},
		"begun at night":        {indicator.BusinessHours(at("2026-11-16 22:00"), time.Hour), at("2026-11-17 10:00")},
		"five days":             {indicator.BusinessDays(at("2026-11-18 11:00"), 5), at("2026-11-25 11:00")},
		"one day from Saturday": {indicator.BusinessDays(at("2026-11-21 11:00"), 1), at("2026-11-23 11:00")},
	} {
		if !c.got.Equal(c.want) {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
	it := indicator.Item{State: indicator.PendingSecond, Created: at("2026-11-16 10:00")}
	by, role, ok := indicator.Due(&it)
	if !ok || role != "release_authority" || !by.Equal(at("2026-11-17 10:00")) {
		t.Errorf("%s %s %v", by, role, ok)
	}
	it.State = indicator.InForce
	_, _, ok = indicator.Due(&it)
	if ok {
		t.Error("what is in force waits for nobody")
	}
}
