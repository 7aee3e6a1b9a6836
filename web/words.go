package web

import (
	"errors"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
)

// funcs are what templates may call.
var funcs = template.FuncMap{
	"asset": assetURL,
	"icon":  icon,
	"num":   Number,
	"when":  when,
	"ago":   Ago,
	"span":  Span,
	"day":   day,
	"stamp": stamp,
	"tlp":   tlp,
	"words": Words,
	"each":  func(s contract.Services) []contract.Services { return s.Each() },
	"named": ServiceName,
	"names": ServiceNames,
	"dict":  dict,
	"add":   func(a, b int) int { return a + b },
	"pct":   percent,
	"role":  Role,
	"short": Short, "category": CategoryName,
	"zero":  func(t time.Time) bool { return t.IsZero() },
	"bytes": Bytes,
}

// dict makes a map of arguments for a component.
func dict(kv ...any) (map[string]any, error) {
	if len(kv)%2 != 0 {
		return nil, errors.New("dict wants names and values in pairs")
	}
	m := make(map[string]any, len(kv)/2)
	for i := 0; i < len(kv); i += 2 {
		k, ok := kv[i].(string)
		if !ok {
			return nil, errors.New("dict wants names that are text")
		}
		m[k] = kv[i+1]
	}
	return m, nil
}

// icon draws one icon of the design system's sprite. It is decoration: the
// meaning stands beside it in words.
func icon(name string) (template.HTML, error) {
	u, err := assetURL("uswds/img/sprite.svg")
	if err != nil {
		return "", err
	}
	return template.HTML(`<svg class="usa-icon" aria-hidden="true" focusable="false"><use href="` + //nolint:gosec // G203: only our own address, and an escaped name
		template.HTMLEscapeString(u) + "#" + template.HTMLEscapeString(name) + `"></use></svg>`), nil
}

// Number writes an integer with commas, as Americans do.
func Number(v any) (string, error) {
	var s string
	switch n := v.(type) {
	case int:
		s = strconv.Itoa(n)
	case int32:
		s = strconv.FormatInt(int64(n), 10)
	case int64:
		s = strconv.FormatInt(n, 10)
	case uint64:
		s = strconv.FormatUint(n, 10)
	case uint32:
		s = strconv.FormatUint(uint64(n), 10)
	case contract.Bucket:
		return n.String(), nil
	default:
		return "", fmt.Errorf("num of a %T", v)
	}
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		s = "−" + s
	}
	return s, nil
}

// Span writes a duration in its two biggest units: "3 d 4 h".
func Span(d time.Duration) string {
	if d < 0 {
		d = -d
	}
	switch {
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 24*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min")
	case d < 10*24*time.Hour:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h")
	default:
		return fmt.Sprintf("%d d", int(d.Hours())/24)
	}
}

func two(a int, unit string, b int, small string) string {
	if b == 0 {
		return strconv.Itoa(a) + " " + unit
	}
	return strconv.Itoa(a) + " " + unit + " " + strconv.Itoa(b) + " " + small
}

// Ago writes how long t is from now: "3 min ago", "in 2 d 1 h", "never".
func Ago(now, t time.Time) string {
	switch {
	case t.IsZero():
		return "never"
	case t.After(now.Add(time.Second)):
		return "in " + Span(t.Sub(now))
	case now.Sub(t) < time.Second:
		return "just now"
	default:
		return Span(now.Sub(t)) + " ago"
	}
}

// stamp writes a moment to the second. All consoles speak UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("Jan 2, 2006, 15:04:05")
}

// when is a <time> element with the moment in words that people read and a form
// that machines do.
func when(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="ecs-quiet">never</span>`
	}
	t = t.UTC()
	return template.HTML(`<time class="ecs-time" datetime="` + t.Format(time.RFC3339Nano) + `">` + stamp(t) + `</time>`) //nolint:gosec // G203: digits and month names only
}

func day(t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="ecs-quiet">never</span>`
	}
	t = t.UTC()
	return template.HTML(`<time class="ecs-time" datetime="` + t.Format(time.DateOnly) + `">` + t.Format("Jan 2, 2006") + `</time>`) //nolint:gosec // G203: digits and month names only
}

// tlp draws a Traffic Light Protocol label in the colors that FIRST prescribes.
// The name is always written: the color is never the only sign.
func tlp(v any) (template.HTML, error) {
	var name string
	switch x := v.(type) {
	case contract.TLP:
		name = x.String()
	case string:
		name = x
	default:
		return "", fmt.Errorf("tlp of a %T", v)
	}
	class := strings.ReplaceAll(name, "+", "-")
	return template.HTML(`<span class="ecs-tlp ecs-tlp--` + template.HTMLEscapeString(class) + `">TLP:` + //nolint:gosec // G203: escaped
		template.HTMLEscapeString(strings.ToUpper(name)) + `</span>`), nil
}

// special are codes whose words are not the code's own.
var special = map[string]string{
	"PII-NOT-PRESENT": "No personal data", "REMOVED": "Removed", "NECESSARY": "Personal data stays: necessary",
	"MOA_NEGOTIATION": "Agreement in negotiation", "MOA_IN_FORCE": "Agreement in force",
}

// Words turns a code such as PENDING_FIRST into words: "Pending first".
func Words(v any) string {
	known, ok := special[fmt.Sprint(v)]
	if ok {
		return known
	}
	s := strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(fmt.Sprint(v)))
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// ServiceName gives a service's name for people.
func ServiceName(s contract.Services) string {
	switch s {
	case contract.DNS:
		return "DNS sinkholing"
	case contract.SMTP:
		return "Mail filtering"
	case contract.NetFlow:
		return "Flow analysis"
	default:
		return s.String()
	}
}

// ServiceNames gives the names of a set for people: "DNS, mail".
func ServiceNames(s contract.Services) string {
	if s == 0 {
		return "none"
	}
	var out []string
	for _, x := range s.Each() {
		switch x {
		case contract.DNS:
			out = append(out, "DNS")
		case contract.SMTP:
			out = append(out, "mail")
		case contract.NetFlow:
			out = append(out, "flow")
		}
	}
	return strings.Join(out, ", ")
}

var roles = map[string]string{
	"pmo_analyst": "Program analyst", "release_authority": "Release authority", "ssa_officer": "Sector officer",
	"gfi_officer": "Source officer", "privacy_officer": "Privacy officer", "auditor": "Auditor",
	"assessor": "Assessor", "accrediting_official": "Accrediting official", "system_admin": "System administrator",
	"csp_security_officer": "Security officer", "csp_operator": "Operator", "customer_contact": "Customer contact",
}

// Role gives a role's name for people.
func Role(code string) string {
	n, ok := roles[code]
	if !ok {
		return Words(code)
	}
	return n
}

// Short shortens an identifier for a narrow column; the whole of it is in the
// link or the title beside it.
func Short(v any) string {
	s := fmt.Sprint(v)
	i := strings.Index(s, "--")
	if i >= 0 {
		s = s[i+2:]
	}
	if len(s) > 8 {
		s = s[:8]
	}
	return s
}

func percent(part, whole int64) string {
	if whole == 0 {
		return "0%"
	}
	return strconv.FormatInt((part*200+whole)/(2*whole), 10) + "%"
}

// Bytes writes a size: "12.3 kB".
func Bytes(n int64) string {
	switch {
	case n < 1000:
		return strconv.FormatInt(n, 10) + " B"
	case n < 1_000_000:
		return strconv.FormatFloat(float64(n)/1e3, 'f', 1, 64) + " kB"
	case n < 1_000_000_000:
		return strconv.FormatFloat(float64(n)/1e6, 'f', 1, 64) + " MB"
	default:
		return strconv.FormatFloat(float64(n)/1e9, 'f', 1, 64) + " GB"
	}
}

var categories = [...]string{"Other", "Command and control", "Phishing", "Delivery of malware", "Exfiltration", "Scanning"}

// CategoryName gives a category's name for people.
func CategoryName(c contract.Category) string {
	if int(c) < len(categories) {
		return categories[c]
	}
	return c.String()
}
