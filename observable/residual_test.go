package observable

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ecs/stix/pattern"
	"ecs/stix/pattern/match"
)

// thing is an object in the tests: what encoding/json would give, and what its
// references lead to.
type thing struct {
	members map[string]any
	refs    map[string]*thing
}

func (o *thing) Type() string { return o.members["type"].(string) }

func (o *thing) Values(p pattern.Path, yield func(any) bool) {
	values := []any{o.members}
	for _, s := range p.Steps {
		var next []any
		for _, v := range values {
			switch v := v.(type) {
			case map[string]any:
				x, ok := v[s.Key]
				if !ok || s.Kind != pattern.Key {
					continue
				}
				if id, isID := x.(string); isID && strings.HasSuffix(s.Key, "_ref") {
					x = o.refs[id].members
				}
				next = append(next, x)
			case []any:
				if s.Kind == pattern.Any {
					next = append(next, v...)
				} else if s.Kind == pattern.Index && s.Index < len(v) {
					next = append(next, v[s.Index])
				}
			}
		}
		values = next
	}
	for _, v := range values {
		if !yield(v) {
			return
		}
	}
}

// seen tells whether a service would see an atom on an object, as rooms do.
func seen(a Atom, o *thing) bool {
	str := func(x *thing, path string) string {
		s, _ := x.members[path].(string)
		return s
	}
	covers := func(v string) bool {
		if a.Kind == Addr {
			return a.Value == v
		}
		addr, err := netip.ParseAddr(v)
		return a.Kind == Prefix && err == nil && netip.MustParsePrefix(a.Value).Contains(addr)
	}
	switch typ := o.Type(); {
	case typ == "domain-name" && a.Kind == Domain, typ == "url" && a.Kind == URL:
		return str(o, "value") == a.Value
	case typ == "ipv4-addr" && a.Port == 0 && a.Proto == 0:
		return covers(str(o, "value"))
	case typ == "email-message" && a.Kind == Mail:
		return str(o.refs[str(o, "from_ref")], "value") == a.Value
	case typ == "email-message" && a.Kind == Subject:
		return str(o, "subject") == a.Value
	case typ == "file" && a.Kind == FileName:
		return str(o, "name") == a.Value
	case typ == "file" && a.Kind == MD5:
		return o.members["hashes"].(map[string]any)["MD5"] == a.Value
	case typ == "network-traffic":
		for _, end := range []string{"src", "dst"} {
			addr := a.Kind == Port || covers(str(o.refs[str(o, end+"_ref")], "value"))
			port := a.Port == 0 || float64(a.Port) == o.members[end+"_port"]
			proto := a.Proto == 0 || slices.Contains(o.members["protocols"].([]any), any(protocolName(a.Proto)))
			if addr && port && proto {
				return true
			}
		}
	}
	return false
}

// Values of the tests are canonical; those of the two ends of a flow differ, and
// no name is below another, since there atoms mean more than the standard says.
var (
	sources      = []string{"192.0.2.1", "192.0.2.2"}
	destinations = []string{"198.51.100.1", "198.51.100.200"}
	others       = []string{"203.0.113.1", "203.0.113.2"}
	domains      = []string{"a.example", "b.example"}
	urls         = []string{"http://a.example/", "http://a.example/x"}
	mails        = []string{"a@a.example", "b@a.example"}
	subjects     = []string{"one", "two three"}
	files        = []string{"a.exe", "b.exe"}
	hashes       = []string{strings.Repeat("a", 32), strings.Repeat("b", 32)}
)

// scene is observed data, for the oracle and for residuals.
type scene struct {
	text   string
	things [][]*thing // of each observation, in the order of data
	data   *match.Data
}

func drawScene(t *rapid.T) scene {
	var objects []any
	byID := map[string][]*thing{}
	one := func(name string, of []string) string { return rapid.SampledFrom(of).Draw(t, name) }
	n := rapid.IntRange(1, 5).Draw(t, "observations")
	for i := range n {
		refs := map[string]*thing{}
		var all []*thing
		add := func(typ string, members map[string]any) string {
			id := fmt.Sprintf("%s--%d-%d", typ, i, len(all))
			members["type"], members["id"] = typ, id
			x := &thing{members, refs}
			refs[id] = x
			all = append(all, x)
			objects = append(objects, members)
			return id
		}
		switch one("type", []string{"name", "address", "url", "mail", "file", "flow"}) {
		case "name":
			add("domain-name", map[string]any{"value": one("value", domains)})
		case "address":
			add("ipv4-addr", map[string]any{"value": one("value", others)})
		case "url":
			add("url", map[string]any{"value": one("value", urls)})
		case "mail":
			from := add("email-addr", map[string]any{"value": one("from", mails)})
			add("email-message", map[string]any{"from_ref": from, "sender_ref": from, "subject": one("subject", subjects), "is_multipart": rapid.Bool().Draw(t, "multipart")})
		case "file":
			add("file", map[string]any{"name": one("name", files), "size": float64(rapid.IntRange(1, 3).Draw(t, "size")), "hashes": map[string]any{"MD5": one("md5", hashes)}})
		case "flow":
			src := add("ipv4-addr", map[string]any{"value": one("src", sources)})
			dst := add("ipv4-addr", map[string]any{"value": one("dst", destinations)})
			add("network-traffic", map[string]any{
				"src_ref": src, "dst_ref": dst,
				"src_port": rapid.SampledFrom([]float64{50001, 50002}).Draw(t, "src port"), "dst_port": rapid.SampledFrom([]float64{80, 443}).Draw(t, "dst port"),
				"protocols": []any{"ipv4", one("protocol", []string{"tcp", "udp"})}, "src_byte_count": float64(rapid.IntRange(1, 3).Draw(t, "bytes")),
			})
		}
		var ids []any
		for _, x := range all {
			ids = append(ids, x.members["id"])
		}
		first := rapid.IntRange(0, 9).Draw(t, "first")
		last := rapid.IntRange(first, 9).Draw(t, "last")
		id := fmt.Sprintf("observed-data--%d", i)
		objects = append(objects, map[string]any{
			"type": "observed-data", "id": id, "number_observed": rapid.IntRange(1, 2).Draw(t, "number"), "object_refs": ids,
			"first_observed": fmt.Sprintf("2026-01-01T00:00:0%dZ", first), "last_observed": fmt.Sprintf("2026-01-01T00:00:0%dZ", last),
		})
		byID[id] = all
	}
	b, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	s := scene{text: string(b)}
	s.data, err = match.Read(strings.NewReader(s.text))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.data.Observations {
		s.things = append(s.things, byID[o.ID])
	}
	return s
}

// drawTest draws a comparison on one type of object.
func drawTest(t *rapid.T, typ string) string {
	q := func(s []string) string { return pattern.Quote(rapid.SampledFrom(s).Draw(t, "value")) }
	text := func(path string, of []string) string {
		switch rapid.SampledFrom([]string{"=", "=", "=", "IN", "!=", "NOT =", "LIKE", "MATCHES", "EXISTS", "NOT IN", ">="}).Draw(t, "op") {
		case "=":
			return path + " = " + q(of)
		case "IN":
			return path + " IN (" + q(of) + ", " + q(of) + ")"
		case "!=":
			return path + " != " + q(of)
		case "NOT =":
			return path + " NOT = " + q(of)
		case "LIKE":
			return path + " LIKE '%" + rapid.SampledFrom([]string{"1", "a.example", "%", "two_%", "exe"}).Draw(t, "like") + "'"
		case "MATCHES":
			return path + " MATCHES '" + rapid.SampledFrom([]string{"1$", "^a", "b.ex", "[02]0", "t.*e"}).Draw(t, "expression") + "'"
		case "EXISTS":
			return "EXISTS " + path
		case "NOT IN":
			return path + " NOT IN (" + q(of) + ")"
		default:
			return path + " >= " + q(of)
		}
	}
	number := func(path string, of ...int) string {
		op := rapid.SampledFrom([]string{"=", "=", ">", "!=", "NOT <="}).Draw(t, "op")
		return fmt.Sprintf("%s %s %d", path, op, rapid.SampledFrom(of).Draw(t, "number"))
	}
	pick := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "path") }
	switch typ {
	case "domain-name":
		return text("domain-name:value", domains)
	case "ipv4-addr":
		if pick(3) == 0 {
			return "ipv4-addr:value ISSUBSET '203.0.113.0/31'"
		}
		return text("ipv4-addr:value", slices.Concat(sources, destinations, others))
	case "url":
		return text("url:value", urls)
	case "email-message":
		switch pick(4) {
		case 0:
			return text("email-message:from_ref.value", mails)
		case 1:
			return text("email-message:sender_ref.value", mails)
		case 2:
			return "email-message:is_multipart = true"
		default:
			return text("email-message:subject", subjects)
		}
	case "file":
		switch pick(3) {
		case 0:
			return text("file:name", files)
		case 1:
			return number("file:size", 1, 2, 3)
		default:
			return text("file:hashes.MD5", hashes)
		}
	default:
		switch pick(8) {
		case 0:
			return text("network-traffic:src_ref.value", sources)
		case 1:
			return text("network-traffic:dst_ref.value", destinations)
		case 2:
			return "network-traffic:dst_ref.value ISSUBSET '198.51.100.0/25'"
		case 3:
			return number("network-traffic:dst_port", 80, 443)
		case 4:
			return number("network-traffic:src_port", 50001, 50002)
		case 5:
			return "network-traffic:protocols[*] = " + q([]string{"tcp", "udp", "ipv4"})
		case 6:
			return "network-traffic:dst_ref.type = 'ipv4-addr'"
		default:
			return number("network-traffic:src_byte_count", 1, 2, 3)
		}
	}
}

var drawnTypes = []string{"domain-name", "ipv4-addr", "url", "email-message", "file", "network-traffic"}

func drawComparison(t *rapid.T, typ string, depth int) string {
	if depth == 0 || rapid.IntRange(0, 2).Draw(t, "leaf") == 0 {
		if rapid.IntRange(0, 9).Draw(t, "stray") == 0 {
			typ = rapid.SampledFrom(drawnTypes).Draw(t, "type")
		}
		return drawTest(t, typ)
	}
	op := rapid.SampledFrom([]string{" AND ", " AND ", " OR "}).Draw(t, "join")
	return "(" + drawComparison(t, typ, depth-1) + op + drawComparison(t, typ, depth-1) + ")"
}

func drawPattern(t *rapid.T, depth int) string {
	if depth == 0 || rapid.IntRange(0, 1).Draw(t, "bracket") == 0 {
		return "[" + drawComparison(t, rapid.SampledFrom(drawnTypes).Draw(t, "type"), 2) + "]"
	}
	switch rapid.SampledFrom([]string{"AND", "OR", "OR", "FOLLOWEDBY", "WITHIN", "REPEATS", "START"}).Draw(t, "operator") {
	case "AND":
		return "(" + drawPattern(t, depth-1) + " AND " + drawPattern(t, depth-1) + ")"
	case "OR":
		return "(" + drawPattern(t, depth-1) + " OR " + drawPattern(t, depth-1) + ")"
	case "FOLLOWEDBY":
		return "(" + drawPattern(t, depth-1) + " FOLLOWEDBY " + drawPattern(t, depth-1) + ")"
	case "WITHIN":
		return "(" + drawPattern(t, depth-1) + ") WITHIN 2 SECONDS"
	case "REPEATS":
		return "(" + drawPattern(t, depth-1) + ") REPEATS 2 TIMES"
	default:
		return "(" + drawPattern(t, depth-1) + ") START t'2026-01-01T00:00:02Z' STOP t'2026-01-01T00:00:06Z'"
	}
}

const enough = 1_000_000

// bracketHolds is how a room would judge one observation: by an atom it saw, and
// by what must hold besides on one object.
func bracketHolds(t *rapid.T, g *Group, things []*thing) bool {
	found := len(g.Atoms) == 0
	for _, a := range g.Atoms {
		found = found || slices.ContainsFunc(things, func(o *thing) bool { return seen(a, o) })
	}
	return found && (g.Rest == nil && len(g.Atoms) > 0 || slices.ContainsFunc(things, func(o *thing) bool {
		ok, err := g.Holds(o, enough)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}))
}

// TestResidualIsExact compares atoms and residual with the evaluator of the whole
// language, on random patterns and random observed data.
func TestResidualIsExact(t *testing.T) {
	exact, residual, temporal, matched := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawScene(t)
		text := drawPattern(t, 2)
		a, err := Analyze(text)
		if err != nil {
			t.Fatal(err)
		}
		p, err := pattern.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		m, err := match.New(p, normalized)
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Match(s.data, 0)
		if err != nil {
			t.Fatal(err)
		}
		if want.Matched {
			matched++
		}
		if a.Residual == nil {
			exact++
			got := slices.ContainsFunc(s.things, func(things []*thing) bool {
				return bracketHolds(t, &Group{Atoms: a.Atoms}, things)
			})
			if got != want.Matched {
				t.Fatalf("%s\natoms %v\n%s\natoms say %v, the standard %v", text, a.Atoms, s.text, got, want.Matched)
			}
			return
		}
		residual++
		if a.Services != 0 || a.Reason == nil {
			t.Fatalf("%s has a residual, and services %s", text, a.Services)
		}
		hits := make([][]int, len(a.Residual.Groups))
		for i := range a.Residual.Groups {
			g := &a.Residual.Groups[i]
			if g.Why != nil {
				t.Skip("above the budget of scans")
			}
			var oracle []int
			for _, h := range want.Brackets[i] {
				oracle = append(oracle, h.Observation)
			}
			for n, things := range s.things {
				if bracketHolds(t, g, things) {
					hits[i] = append(hits[i], n)
				}
			}
			if !slices.Equal(hits[i], slices.Compact(oracle)) {
				t.Fatalf("%s\nbracket %d, atoms %v\n%s\natoms and residual say %v, the standard %v", text, i, g.Atoms, s.text, hits[i], oracle)
			}
		}
		got := slices.ContainsFunc(hits, func(h []int) bool { return len(h) > 0 })
		if a.Residual.Temporal {
			temporal++
			var spans []match.Span
			for _, o := range s.data.Observations {
				spans = append(spans, match.Span{First: o.First, Last: o.Last, Number: o.Number})
			}
			binding, err := match.Combine(a.Residual.Root, spans, hits, 0)
			if err != nil {
				t.Fatal(err)
			}
			got = binding != nil
		}
		if got != want.Matched {
			t.Fatalf("%s\n%s\natoms and residual say %v, the standard %v", text, s.text, got, want.Matched)
		}
	})
	t.Logf("%d by atoms alone, %d with a residual, %d of these over time; %d matched", exact, residual, temporal, matched)
	if exact == 0 || temporal == 0 || residual == temporal || matched == 0 {
		t.Error("not every kind of pattern was drawn")
	}
}
