package signin

import (
	"sync"
	"time"
)

// limiter counts tries by name (a login or an address) within a window. A try
// counts before its outcome is known, so that many at once do not slip through.
type limiter struct {
	mu    sync.Mutex
	most  int           // tries in a window
	span  time.Duration // the window
	size  int           // names at a time
	now   func() time.Time
	tries map[string]*tried
}

type tried struct {
	count int
	since time.Time
}

func newLimiter(most int, span time.Duration, size int, now func() time.Time) *limiter {
	return &limiter{most: most, span: span, size: size, now: now, tries: map[string]*tried{}}
}

// allow counts one try and reports whether it may go on. When there is no room
// for another name it refuses names that it does not know.
func (l *limiter) allow(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	t := l.tries[name]
	if t == nil {
		if len(l.tries) >= l.size {
			l.sweep(now)
		}
		if len(l.tries) >= l.size {
			return false
		}
		t = &tried{since: now}
		l.tries[name] = t
	}
	if now.Sub(t.since) >= l.span {
		*t = tried{since: now}
	}
	if t.count >= l.most {
		return false
	}
	t.count++
	return true
}

// forget clears a name's count after a right password.
func (l *limiter) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.tries, name)
}

// back takes one try off: a right password from an address says nothing about
// the wrong ones that came from it.
func (l *limiter) back(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.tries[name]
	if t != nil && t.count > 0 {
		t.count--
	}
}

func (l *limiter) sweep(now time.Time) {
	for name, t := range l.tries {
		if now.Sub(t.since) >= l.span {
			delete(l.tries, name)
		}
	}
}
