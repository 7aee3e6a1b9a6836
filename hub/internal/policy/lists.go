package policy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gaissmai/bart"
	"golang.org/x/net/publicsuffix"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Lists are warning lists in the format of the MISP project: names, addresses
// and hashes that are often found in indicators by mistake. They are immutable
// and answer in a few lookups, however long they are. The slow, obvious way to
// the same answers is in the tests.
type Lists struct {
	meta     []listMeta
	exact    map[string][]uint16 // types string and hostname, by canonical entry
	above    map[string]uint16   // each name above an entry, and one list that names below it
	prefixes *bart.Table[[]uint16]
	texts    texts // types substring and regex
	entries  int
}

type listMeta struct {
	name     string
	kinds    uint32 // set of observable kinds, one bit each
	zone     bool   // type hostname: entries stand for themselves and all below
	severity indicator.Severity
	category Category
	rank     int
	title    string
	date     time.Time
	entries  int
}

// Hit is one list that names a value.
type Hit struct {
	List     string // short name: the file's or folder's
	Entry    string // the entry that hit
	Severity indicator.Severity
	Category Category
	Rank     int // lists of popular names: the rank of all on it, at least; 0: no such list
}

// Len gives how many lists there are, and how many entries in all of them.
func (l *Lists) Len() (lists, entries int) { return len(l.meta), l.entries }

// About describes the lists, in the order of their names.
func (l *Lists) About() []ListInfo {
	out := make([]ListInfo, 0, len(l.meta))
	for _, m := range l.meta {
		out = append(out, ListInfo{m.name, m.title, CodeListed, m.category, m.severity, m.rank, m.entries, m.date})
	}
	return sortedInfo(out)
}

// Rank gives the best rank that the lists of popular names know of a name, 0 when
// they do not know it. It is that of the name itself; of the names above and
// below it nothing is said.
func (l *Lists) Rank(name string) int {
	best := 0
	for _, i := range l.exact[name] {
		r := l.meta[i].rank
		if r > 0 && (best == 0 || r < best) {
			best = r
		}
	}
	return best
}

func (l *Lists) applies(list uint16, k observable.Kind) bool { return l.meta[list].kinds&(1<<k) != 0 }

// Check finds the lists that name an atom's value, each at most once, in the
// order of their names. Names are hit also by entries below them, because
// blocking a name blocks all below; a name below an entry is hit where the list
// means whole zones. The host of a URL is looked up too, but only warns: a URL
// is matched by itself, not by its host.
func (l *Lists) Check(a observable.Atom) []Hit {
	if a.Value == "" {
		return nil
	}
	var hits hitSet
	switch a.Kind {
	case observable.Domain:
		l.checkName(&hits, a.Kind, a.Value, false)
	case observable.Addr, observable.Prefix:
		p, ok := parsePrefix(a.Value)
		if ok {
			l.checkPrefix(&hits, a.Kind, p, false)
		}
	case observable.URL:
		l.checkExact(&hits, a.Kind, a.Value)
		l.checkHost(&hits, a.Value)
	default:
		l.checkExact(&hits, a.Kind, a.Value)
	}
	l.checkText(&hits, a.Kind, a.Value)
	slices.SortFunc(hits.found, func(x, y Hit) int { return strings.Compare(x.List, y.List) })
	return hits.found
}

func (l *Lists) checkExact(h *hitSet, k observable.Kind, v string) {
	for _, i := range l.exact[strings.ToLower(v)] {
		if l.applies(i, k) {
			h.add(l, i, v, false)
		}
	}
}

func (l *Lists) checkName(h *hitSet, k observable.Kind, n string, soft bool) {
	for z := n; z != ""; z = parent(z) {
		for _, i := range l.exact[z] {
			if !l.applies(i, k) || z != n && !l.meta[i].zone {
				continue
			}
			// Below a suffix under which strangers have names, the list speaks of the
			// suffix and not of this name.
			h.add(l, i, z, soft || z != n && (l.meta[i].category == Shared || isSuffix(z)))
		}
	}
	i, ok := l.above[n]
	if ok && l.applies(i, k) {
		h.add(l, i, "a name below "+n, soft)
	}
}

func (l *Lists) checkHost(h *hitSet, u string) {
	host := hostOf(u)
	addr, ok := parseAddr(host)
	if ok {
		l.checkPrefix(h, observable.Addr, netip.PrefixFrom(addr, addr.BitLen()), true)
		return
	}
	for z := host; z != ""; z = parent(z) {
		for _, i := range l.exact[z] {
			if l.applies(i, observable.Domain) && (z == host || l.meta[i].zone) {
				h.add(l, i, z, true)
			}
		}
	}
}

func (l *Lists) checkPrefix(h *hitSet, k observable.Kind, p netip.Prefix, soft bool) {
	for q, is := range l.prefixes.Supernets(p) {
		for _, i := range is {
			if l.applies(i, k) {
				h.add(l, i, q.String(), soft)
			}
		}
	}
	if p.IsSingleIP() {
		return
	}
	for q, is := range l.prefixes.Subnets(p) {
		for _, i := range is {
			if l.applies(i, k) {
				h.add(l, i, q.String(), soft)
			}
		}
	}
}

func isSuffix(n string) bool {
	s, _ := publicsuffix.PublicSuffix(n)
	return s == n
}

// hitSet keeps one hit for each list, the severest.
type hitSet struct{ found []Hit }

func (h *hitSet) add(l *Lists, i uint16, entry string, soft bool) {
	m := &l.meta[i]
	sev := m.severity
	if soft {
		sev = indicator.Warn
	}
	for j := range h.found {
		if h.found[j].List == m.name {
			if sev == indicator.Stop && h.found[j].Severity == indicator.Warn {
				h.found[j].Severity, h.found[j].Entry = sev, entry
			}
			return
		}
	}
	h.found = append(h.found, Hit{List: m.name, Entry: entry, Severity: sev, Category: m.category, Rank: m.rank})
}
