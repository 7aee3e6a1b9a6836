package policy_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/contract"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

func atom(t testing.TB, v string) observable.Atom {
	t.Helper()
	a, err := observable.FromValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCovers(t *testing.T) {
	tests := []struct {
		value string
		want  []string
	}{
		{"evil-a.com", nil},
		{"a.b.evil-a.com", []string{"b.evil-a.com", "evil-a.com"}},
		{"a.evil-a.co.uk", []string{"evil-a.co.uk"}},
		{"a.evil.github.io", []string{"evil.github.io", "github.io"}},
		{"http://a.evil-a.com/x?y", []string{"a.evil-a.com", "evil-a.com"}},
		{"http://45.1.2.3/x", nil},
		{"x@evil-a.com", []string{"evil-a.com"}},
		{"45.1.2.0/24", []string{
			"45.1.2.0/23", "45.1.0.0/22", "45.1.0.0/21", "45.1.0.0/20", "45.1.0.0/19", "45.1.0.0/18", "45.1.0.0/17", "45.1.0.0/16", "45.0.0.0/8",
		}},
		{strings.Repeat("a", 64), nil},
		{"4444/tcp", nil},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			var got []string
			for _, a := range policy.Covers(atom(t, tt.value)) {
				got = append(got, a.Value)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := policy.Covers(atom(t, "45.1.2.3 443/tcp")); len(got) != 17 || got[0].Value != "45.1.2.3" || got[0].Port != 0 {
		t.Errorf("a narrowed address gives %v", got)
	}
	deep := policy.Covers(atom(t, strings.Repeat("a.", 100)+"evil-a.com"))
	if len(deep) != 17 || deep[16].Value != "evil-a.com" || deep[0].Value != strings.Repeat("a.", 99)+"evil-a.com" {
		t.Errorf("a deep name gives %d keys: %v", len(deep), deep)
	}
}

// TestCoversIsWhatCovers compares the keys, the order and the relation with each
// other on names and addresses that collide.
func TestCoversIsWhatCovers(t *testing.T) {
	c := checker(t, policy.Config{})
	label := rapid.SampledFrom([]string{"a", "b", "a-b", "c0"})
	value := rapid.Custom(func(t *rapid.T) string {
		name := strings.Join(append(rapid.SliceOfN(label, 0, 4).Draw(t, "labels"), rapid.SampledFrom([]string{"evil-a.com", "evil-a-b.com", "x.evil-a.com"}).Draw(t, "base")), ".")
		switch rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0:
			return "http://" + name + "/p"
		case 1:
			return "x@" + name
		case 2:
			bits := rapid.SampledFrom([]int{8, 16, 19, 24, 25, 30, 31, 32}).Draw(t, "bits")
			return netip.PrefixFrom(netip.AddrFrom4([4]byte{45, byte(rapid.IntRange(0, 1).Draw(t, "b")), 0, byte(rapid.IntRange(0, 3).Draw(t, "d"))}), bits).Masked().String()
		default:
			return name
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		x, err := observable.FromValue(value.Draw(t, "x"))
		if err != nil {
			t.Fatal(err)
		}
		y, err := observable.FromValue(value.Draw(t, "y"))
		if err != nil {
			t.Fatal(err)
		}
		key := false
		for _, k := range policy.Covers(y) {
			key = key || k == x
		}
		s := &policy.Subject{Atoms: []observable.Atom{y}}
		fs := c.Against(s, []policy.Neighbor{{ID: contract.NewID(), Atom: x, Standing: policy.Living}}, now)
		subsumed := len(fs) == 1 && fs[0].Code == policy.CodeSubsumed
		if subsumed != (key || x == y) {
			t.Fatalf("%v covers %v: by its keys %t, by comparison %t", x, y, key, subsumed)
		}
		from, to, ok := policy.Below(x)
		order := policy.Order(y)
		if key && ok && (order < from || order >= to) {
			t.Fatalf("%v is below %v, and its key %q is not in %q to %q", y, x, order, from, to)
		}
		if x.Kind == observable.Domain && order != "" && order >= from && order < to && !key {
			t.Fatalf("%v is not below %v, and its key %q is in %q to %q", y, x, order, from, to)
		}
	})
}

func TestAgainst(t *testing.T) {
	c := checker(t, policy.Config{})
	tests := []struct {
		subject, neighbor string
		standing          policy.Standing
		want              []string
	}{
		{"a.evil-a.com", "evil-a.com", policy.Living, []string{"warn V8-SUBSUMED"}},
		{"evil-a.com", "a.evil-a.com", policy.Living, []string{"warn V8-SUBSUMES"}},
		{"evil-a.com", "xevil-a.com", policy.Living, nil},
		{"http://a.evil-a.com/x", "evil-a.com", policy.Living, []string{"warn V8-SUBSUMED"}},
		{"45.1.2.3", "45.1.2.0/24", policy.Living, []string{"warn V8-SUBSUMED"}},
		{"45.1.2.0/24", "45.1.2.3 443/tcp", policy.Living, []string{"warn V8-SUBSUMES"}},
		{"45.1.2.3", "45.1.2.3 443/tcp", policy.Living, []string{"warn V8-SUBSUMES"}},
		{"45.1.2.3 443/tcp", "45.1.2.3", policy.Living, []string{"warn V8-SUBSUMED"}},
		{"45.1.2.3 443/tcp", "45.1.2.3 444/tcp", policy.Living, nil},
		{"evil-a.com", "evil-a.com", policy.FalsePositive, []string{"stop V9-CONTRADICTED"}},
		{"evil-a.com", "a.evil-a.com", policy.Benign, []string{"stop V9-CONTRADICTED"}},
		{"a.evil-a.com", "evil-a.com", policy.Benign, []string{"warn V9-CONTRADICTED"}},
		{"evil-a.com", "evil-a.com", policy.Rejected, []string{"warn V9-CONTRADICTED"}},
		{"evil-a.com", "evil-a.com", policy.Recalled, []string{"warn V9-CONTRADICTED"}},
		{"evil-a.com", "other.com", policy.Benign, nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %s %s", tt.subject, tt.standing, tt.neighbor), func(t *testing.T) {
			n := policy.Neighbor{ID: contract.NewID(), Atom: atom(t, tt.neighbor), Standing: tt.standing, Who: "a-source", At: now}
			if diff := cmp.Diff(tt.want, codes(c.Against(subject(t, tt.subject), []policy.Neighbor{n}, now))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
