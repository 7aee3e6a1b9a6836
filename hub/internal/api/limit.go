package api

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"

	"ecs/hub/internal/access"
)

// Bounds of what one account may ask, so that a program in a loop does not take the
// hub from everybody else.
const (
	perSecond = 100  // requests, on the average
	burst     = 1000 // requests at once
	together  = 16   // requests under way
)

// limits counts the requests of each account. It uses the clock of the machine: it is
// about work, not about what is recorded.
type limits struct {
	mu  sync.Mutex
	by  map[string]*taken // by login: as many as there are accounts
	now func() time.Time
}

type taken struct {
	left  float64
	at    time.Time
	under int // way
}

func newLimits() *limits { return &limits{by: map[string]*taken{}, now: time.Now} }

// take lets a request begin, or says how long to wait. Whoever may begin calls give
// at the end.
func (l *limits) take(login string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	t := l.by[login]
	if t == nil {
		t = &taken{left: burst, at: now}
		l.by[login] = t
	}
	t.left = min(burst, t.left+max(0, now.Sub(t.at).Seconds())*perSecond)
	t.at = now
	if t.under >= together {
		return time.Second, false
	}
	if t.left < 1 {
		return time.Duration((1 - t.left) / perSecond * float64(time.Second)), false
	}
	t.left--
	t.under++
	return 0, true
}

func (l *limits) give(login string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by[login].under--
}

func tooMany(w http.ResponseWriter, wait time.Duration) {
	seconds := max(1, int(math.Ceil(wait.Seconds())))
	w.Header().Set("Retry-After", fmt.Sprint(seconds))
	problem(w, access.Explanation{
		Status: http.StatusTooManyRequests, Code: "too-many", Title: "Too many requests",
		Detail: fmt.Sprintf("One account may send %d requests a second, and have %d under way.", perSecond, together),
		Next:   fmt.Sprintf("Wait %d s and send it again.", seconds),
	})
}
