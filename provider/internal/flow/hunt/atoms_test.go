package hunt

import (
	"net/netip"
	"testing"

	"ecs/observable"
)

func TestFromAtom(t *testing.T) {
	tests := []struct {
		name string
		in   observable.Atom
		want Target
		bad  bool
	}{
		{"address", observable.Atom{Kind: observable.Addr, Value: "192.0.2.1"}, Target{Prefix: netip.MustParsePrefix("192.0.2.1/32")}, false},
		{"address with port", observable.Atom{Kind: observable.Addr, Value: "2001:db8::1", Port: 443, Proto: 6}, Target{Prefix: netip.MustParsePrefix("2001:db8::1/128"), Port: 443, Proto: 6}, false},
		{"prefix", observable.Atom{Kind: observable.Prefix, Value: "192.0.2.0/28"}, Target{Prefix: netip.MustParsePrefix("192.0.2.0/28")}, false},
		{"port", observable.Atom{Kind: observable.Port, Port: 4444, Proto: 6}, Target{Port: 4444, Proto: 6}, false},
		{"port without number", observable.Atom{Kind: observable.Port, Proto: 6}, Target{}, true},
		{"name", observable.Atom{Kind: observable.Domain, Value: "example.com"}, Target{}, true},
		{"no address", observable.Atom{Kind: observable.Addr, Value: "example.com"}, Target{}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := FromAtom(tt.in)
			if (err != nil) != tt.bad {
				t.Fatalf("error %v, want one: %v", err, tt.bad)
			}
			if err == nil && got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}
