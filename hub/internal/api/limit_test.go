package api

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// However an account asks, in any second it gets no more than the burst and what has
// grown since; and who waits as long as was said gets in.
func TestLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		began := now
		l := newLimits()
		l.now = func() time.Time { return now }
		let, under := 0, 0
		for range rapid.IntRange(1, 3000).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "ms")) * time.Millisecond)
			case 1, 2, 3, 4:
				if under > 0 {
					l.give("ann")
					under--
				}
			default:
				wait, ok := l.take("ann")
				if ok {
					let++
					under++
				} else if under < together {
					now = now.Add(wait + time.Microsecond)
					_, ok = l.take("ann")
					if !ok {
						t.Fatalf("waited %v as told and is still refused", wait)
					}
					let++
					under++
				}
			}
			if most := burst + now.Sub(began).Seconds()*perSecond + 1; float64(let) > most {
				t.Fatalf("%d requests let in, at most %.1f may be", let, most)
			}
			if under > together {
				t.Fatalf("%d under way", under)
			}
		}
		_, ok := l.take("abe")
		if !ok {
			t.Fatal("one account is refused for another's requests")
		}
	})
}
