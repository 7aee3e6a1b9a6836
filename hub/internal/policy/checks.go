package policy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Codes of the technical findings.
const (
	CodeActionFit    = "V1-ACTION-FIT"         // the recommended action is none of the services that can see it
	CodeListed       = "V2-WARNING-LIST"       // on a warning list
	CodeSpecialName  = "V3-SPECIAL-USE-NAME"   // RFC 6761 and its successors
	CodeSuffix       = "V3-PUBLIC-SUFFIX"      // a root, top-level domain or public suffix
	CodeUnknownTLD   = "V3-UNKNOWN-TLD"        // no such top-level domain: nobody can resolve it
	CodeProtected    = "V3-PROTECTED-NAME"     // built in, or of table protected_name, or of a customer or provider
	CodeSpecialAddr  = "V3-SPECIAL-ADDRESS"    // IANA special-purpose registries, multicast, not global
	CodeProtectedIP  = "V3-PROTECTED-ADDRESS"  // root servers, large public resolvers, and configured ones
	CodeBroad        = "V4-BROAD-PREFIX"       // shorter than /24 or /48
	CodeShared       = "V4-SHARED-HOSTING"     // a name under which anybody gets a name, or one below it
	CodePort         = "V4-PORT-ALONE"         // a port without an address
	CodeStale        = "V5-STALE"              // seen too long ago
	CodeFuture       = "V5-OBSERVED-IN-FUTURE" // seen after it was received
	CodeCut          = "V5-VALIDITY-CUT"       // valid_until was past the ceiling of its kind
	CodeUncorrobated = "V6-ONE-WEAK-SOURCE"    // one source, of reliability D, E or F
)

// Config of a [Checker].
type Config struct {
	// Demonstration permits exactly the documentation names and addresses (RFC
	// 2606, 5737, 3849, 9637), so that a demonstration can run. Never in production.
	Demonstration bool
	// Lists are the warning lists, see [LoadLists]. Nil: none.
	Lists *Lists
	// Protected are names and prefixes that may not be blocked, besides the built-in
	// ones, see [LoadProtected].
	Protected []Protected
	// SamplePercent of the clean items stop for a person, chosen by a digest of
	// the pattern; 0 means 5, below 0 none.
	SamplePercent int
	// Lifetimes replace the default ages and validities of kinds.
	Lifetimes map[observable.Kind]Lifetime
}

// Subject is what the checks look at.
type Subject struct {
	Pattern     string // canonical
	Atoms       []observable.Atom
	Services    contract.Services
	Action      contract.Action
	Summary     string
	Context     string
	Labels      []string
	References  []string  // of the source: URLs and identifiers of reports
	Observed    time.Time // zero: the source did not say
	Reliability string    // of the source, Admiralty scale A to F; empty: not judged
}

// Checker runs the checks. It is immutable and safe for concurrent use; make a
// new one when lists or protected names change.
type Checker struct {
	demo      bool
	lists     *Lists
	protected *protection
	percent   int
	life      map[observable.Kind]Lifetime
}

// New makes a checker. It refuses protected names that are none.
func New(cfg Config) (*Checker, error) {
	p, err := newProtection(cfg.Protected)
	if err != nil {
		return nil, err
	}
	c := &Checker{demo: cfg.Demonstration, lists: cfg.Lists, protected: p, percent: cfg.SamplePercent, life: lifetimes(cfg.Lifetimes)}
	if c.percent == 0 {
		c.percent = 5
	}
	return c, nil
}

// Technical runs the checks V1 to V6 and gives what they found, without item
// identifiers; empty for a clean item.
func (c *Checker) Technical(s *Subject, now time.Time) []indicator.Finding {
	r := report{at: now}
	c.fit(&r, s)
	for _, a := range s.Atoms {
		c.atom(&r, a)
	}
	c.fresh(&r, s, now)
	switch s.Reliability {
	case "D", "E", "F":
		r.warn(CodeUncorrobated, "named only by a source of reliability "+s.Reliability)
	}
	return r.found
}

// Sampled reports whether a clean item stops for a person nonetheless. The
// choice depends on the pattern alone, so that the same file gives the same
// sample on every run.
func (c *Checker) Sampled(pattern string) bool {
	sum := sha256.Sum256([]byte("ecs privacy sample v1\n" + pattern))
	return int(binary.BigEndian.Uint32(sum[:])%100) < c.percent
}

func (c *Checker) fit(r *report, s *Subject) {
	need := contract.Services(0)
	switch s.Action {
	case contract.Sinkhole:
		need = contract.DNS
	case contract.Quarantine:
		need = contract.SMTP
	}
	if need != 0 && !s.Services.Has(need) {
		r.warn(CodeActionFit, fmt.Sprintf("%s is recommended, but only these services can see it: %s", s.Action, s.Services))
	}
}

func (c *Checker) atom(r *report, a observable.Atom) {
	switch a.Kind {
	case observable.Domain:
		c.name(r, a.Value)
	case observable.Addr, observable.Prefix:
		c.address(r, a)
	case observable.Port:
		port(r, a)
	case observable.URL:
		c.hostOfURL(r, a.Value)
	case observable.Mail:
		c.domainOfMail(r, a.Value)
	}
	if c.lists == nil || c.demo && documentation(a) {
		return // a list of reserved ranges would undo the one thing a demonstration permits
	}
	c.listed(r, a)
}

// listed makes one finding of each list that names an atom, but one of all lists
// of popular names: of the best rank.
func (c *Checker) listed(r *report, a observable.Atom) {
	var best *Hit
	hits := c.lists.Check(a)
	more := -1
	for i := range hits {
		h := &hits[i]
		if h.Rank == 0 {
			r.add(CodeListed, h.Severity, fmt.Sprintf("%s %s is on warning list %s (%s) by entry %s", a.Kind, a, h.List, h.Category, h.Entry))
			continue
		}
		more++
		if best == nil || h.Severity == indicator.Stop && best.Severity == indicator.Warn || h.Severity == best.Severity && h.Rank < best.Rank {
			best = h
		}
	}
	if best == nil {
		return
	}
	detail := fmt.Sprintf("%s %s: %s is among the %s most visited names (warning list %s", a.Kind, a, best.Entry, count(uint64(best.Rank)), best.List)
	if more > 0 {
		detail += fmt.Sprintf(" and %d more of that sort", more)
	}
	r.add(CodeListed, best.Severity, detail+")")
}

// maxDetail bounds a finding's detail, in bytes.
const maxDetail = 400

// maxFindings bounds the findings of one item: a pattern of a thousand atoms
// needs no thousand reasons.
const maxFindings = 32

type report struct {
	at    time.Time
	found []indicator.Finding
}

func (r *report) stop(code, detail string) { r.add(code, indicator.Stop, detail) }
func (r *report) warn(code, detail string) { r.add(code, indicator.Warn, detail) }

func (r *report) add(code string, sev indicator.Severity, detail string) {
	detail = Printable(detail, maxDetail)
	for i, f := range r.found {
		if f.Code == code && f.Detail == detail {
			return
		}
		if len(r.found) >= maxFindings && sev == indicator.Stop && f.Severity == indicator.Warn {
			r.found[i] = indicator.Finding{Code: code, Severity: sev, Detail: detail, At: r.at} // a stop is never lost to warnings
			return
		}
	}
	if len(r.found) < maxFindings {
		r.found = append(r.found, indicator.Finding{Code: code, Severity: sev, Detail: detail, At: r.at})
	}
}

// Printable makes foreign text fit to be stored and shown: control characters,
// line and direction marks and bytes that are not UTF-8 become visible escapes,
// and what is longer than limit bytes is cut.
func Printable(s string, limit int) string {
	clean := len(s) <= limit
	for _, r := range s {
		if r == utf8.RuneError || !plain(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		switch {
		case r == utf8.RuneError && n == 1:
			piece = fmt.Sprintf(`\x%02x`, s[i])
		case r == '\n':
			piece = `\n`
		case r == '\r':
			piece = `\r`
		case r == '\t':
			piece = `\t`
		case !plain(r):
			piece = fmt.Sprintf(`\u{%x}`, r)
		}
		if b.Len()+len(piece) > limit-len("…") && (b.Len()+len(piece) > limit || i+n < len(s)) {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
		i += n
	}
	return b.String()
}

// plain reports whether a character shows as itself and moves nothing around it.
func plain(r rune) bool {
	return r == ' ' || unicode.IsPrint(r) && !unicode.Is(unicode.Bidi_Control, r)
}
