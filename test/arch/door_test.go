package arch

import (
	"go/ast"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"ecs/contract"
)

var tableName = regexp.MustCompile(`\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z_]+)`)

// crossing is every field of every type that passes from a provider to the hub,
// and why it cannot hold anything of a customer's traffic. A field that is not
// here, or no longer there, fails the test: the list is the review.
var crossing = map[string]string{
	"Ack.From":     "a number of the provider's log",
	"Ack.Sequence": "a number of the provider's log",
	"Ack.Root":     "SHA-256 over the released list, which the hub computes as well and compares",
	"Ack.At":       "when the list was loaded: the node's clock at a change of the list, not at a match",
	"Ack.Problem":  "a code of a closed list",
	"Ack.Refused":  "see Refusal; at most one for each indicator that the hub released",

	"Refusal.ID":       "an identifier that the hub gave; it refuses others",
	"Refusal.Services": "three bits",
	"Refusal.Reason":   "a code of a closed list",

	"SignedAck.Body":      "the bytes of an Ack: the hub refuses anything that is not exactly one, with no unknown field",
	"SignedAck.Signature": "an ECDSA signature, checked before anything is kept",

	"Enrolment.Token": "the one-time token that the hub itself made; kept as its SHA-256 alone",
	"Enrolment.CSR":   "a certificate request: the hub takes the public key and the node's short name (a-z, 0-9, -) from it and nothing else",

	"Window.Day":     "a number of a day",
	"Window.Service": "one of three bits",
	"Window.Rules":   "the version of the hub's own rules",
	"Window.Cells":   "see Feedback",

	"Feedback.indicator": "an identifier that the hub gave; it refuses others",
	"Feedback.category":  "a code of a closed list",
	"Feedback.sector":    "1 to 16, or 0 for all",
	"Feedback.action":    "a code of a closed list",
	"Feedback.events":    "a bucket: one of 18 values",
	"Feedback.customers": "a bucket: one of 18 values, five at least",
	"Feedback.wrong":     "a bucket: one of 18 values",
	"Feedback.first":     "a number of a day",
	"Feedback.last":      "a number of a day",
}

// fromProvider are the messages; types that they hold follow.
var fromProvider = []reflect.Type{
	reflect.TypeFor[contract.Ack](), reflect.TypeFor[contract.SignedAck](),
	reflect.TypeFor[contract.Enrolment](), reflect.TypeFor[contract.Window](),
}

// open are the only fields that are bytes or text.
var open = []string{"SignedAck.Body", "SignedAck.Signature", "Enrolment.Token", "Enrolment.CSR"}

// passes looks through the types of messages and says what could carry more
// than it should.
func passes(listed map[string]string, types ...reflect.Type) []string {
	var out []string
	seen := map[string]bool{}
	for len(types) > 0 {
		t := types[0]
		types = types[1:]
		for i := range t.NumField() {
			f := t.Field(i)
			name := t.Name() + "." + f.Name
			if seen[name] {
				continue
			}
			seen[name] = true
			if listed[name] == "" {
				out = append(out, name+" is new: say in this test why it cannot hold anything of a customer's traffic, or leave it out")
			}
			if t.Name() == "Feedback" && f.IsExported() {
				out = append(out, name+" is exported: only NewFeedback may set it, which checks")
			}
			why := carries(f.Type, t.Name() == "Feedback")
			switch {
			case slices.Contains(open, name):
			case why != "":
				out = append(out, name+" "+why)
			}
			if e := f.Type; e.Kind() == reflect.Slice && e.Elem().Kind() == reflect.Struct {
				types = append(types, e.Elem())
			}
		}
	}
	for name := range listed {
		if !seen[name] {
			out = append(out, name+" is listed in this test and no longer there")
		}
	}
	slices.Sort(out)
	return out
}

// carries says what of a field's type could carry text or an address. A cell of
// feedback may hold numbers and an identifier alone.
func carries(t reflect.Type, cell bool) string {
	if t == reflect.TypeFor[time.Time]() {
		if cell {
			return "is a moment: feedback knows days"
		}
		return ""
	}
	if strings.HasPrefix(t.PkgPath(), "net") {
		return "is an address (" + t.String() + ")"
	}
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ""
	case reflect.Array:
		if t == reflect.TypeFor[contract.ID]() || t == reflect.TypeFor[contract.Digest]() {
			return ""
		}
		return "is an array (" + t.String() + ") that is neither an identifier nor a digest"
	case reflect.Slice:
		if !cell && t.Elem().Kind() == reflect.Struct && t.Elem().PkgPath() == reflect.TypeFor[contract.Ack]().PkgPath() {
			return ""
		}
		return "is a list (" + t.String() + ") that could carry anything"
	case reflect.String:
		return "is free text"
	default:
		return "is a " + t.Kind().String() + ", which could carry anything"
	}
}

const doorWhy = "nothing of a customer passes the door: no address, name, message, moment of a match or free text, by the types themselves and not by good behavior"

func TestWhatPassesTheDoor(t *testing.T) {
	for _, f := range passes(crossing, fromProvider...) {
		t.Errorf("%s\n    why: %s", f, doorWhy)
	}
}

// Each way in which a message could learn to carry more is found.
func TestWhatPassesTheDoorFindsBreaches(t *testing.T) {
	type Feedback struct { // looked at by reflection
		Client  string
		address contract.ID    //nolint:unused // by reflection
		at      time.Time      //nolint:unused // by reflection
		note    any            //nolint:unused // by reflection
		more    map[string]int //nolint:unused // by reflection
		key     [32]byte       //nolint:unused // by reflection
	}
	type Ack struct {
		Detail string
		Names  []string
		Raw    []byte
		More   *contract.Ack
	}
	found := strings.Join(passes(nil, reflect.TypeFor[Feedback](), reflect.TypeFor[Ack]()), "\n")
	for _, want := range []string{
		"Feedback.Client is exported", "Feedback.Client is free text", "Feedback.address is new", "Feedback.at is a moment",
		"Feedback.note is a interface", "Feedback.more is a map", "Feedback.key is an array", "Ack.Detail is free text",
		"Ack.Names is a list", "Ack.Raw is a list", "Ack.More is a ptr",
	} {
		if !strings.Contains(found, want) {
			t.Errorf("not found: %s, in\n%s", want, found)
		}
	}
	if f := passes(map[string]string{"Gone.Field": "x"}, reflect.TypeFor[contract.SignedAck]()); !slices.Contains(f, "Gone.Field is listed in this test and no longer there") {
		t.Errorf("a field that is gone was not found: %q", f)
	}
}

// doorRules: the door has no other way through.
var doorRules = []rule{
	{
		name:  "link sends the types of the door",
		why:   "the types of contract/ are reviewed field by field; a type of link's own on its way out would not be",
		check: linkSends,
		broken: []breach{{
			"provider/internal/link/breach.go",
			"package link\n\nimport \"encoding/json\"\n\ntype hello struct{ Name string }\n\nfunc breach() { _, _ = json.Marshal(hello{}) }\n", "breach.go:7",
		}},
	},
}

// linkSends finds what link encodes: a parameter whose type is of the door, or
// the identity that it writes to its own disk.
func linkSends(t *tree) []string {
	var out []string
	sent := 0
	for _, f := range t.source("provider/internal/link") {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			doors := map[string]bool{} // parameters of types of the door
			for _, p := range fn.Type.Params.List {
				s, ok := p.Type.(*ast.SelectorExpr)
				if !ok {
					continue
				}
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "contract" {
					for _, n := range p.Names {
						doors[n.Name] = true
					}
				}
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				c, ok := n.(*ast.CallExpr)
				if !ok || len(c.Args) == 0 {
					return true
				}
				s, ok := c.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Marshal", "MarshalIndent", "Encode"}, s.Sel.Name) {
					return true
				}
				x, ok := c.Args[0].(*ast.Ident)
				if ok && doors[x.Name] {
					sent++
					return true
				}
				l, ok := c.Args[0].(*ast.CompositeLit)
				if ok {
					x, ok = l.Type.(*ast.Ident)
					if ok && x.Name == "savedIdentity" { // to the node's own disk
						return true
					}
				}
				out = append(out, f.at(c.Pos())+" encodes something else than a type of contract/")
				return true
			})
		}
	}
	if sent == 0 {
		out = append(out, "provider/internal/link sends nothing: when it moved, this rule moves with it")
	}
	return out
}
