package review

import (
	"testing"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/marking"
)

// TestPointless shows that nobody is advised to approve what no provider could have.
func TestPointless(t *testing.T) {
	found := func(h marking.Handling) (out []indicator.Finding) {
		for _, why := range h.Reasons() {
			out = append(out, indicator.Finding{Code: intake.CodeMarking, Severity: indicator.Warn, Detail: why})
		}
		return out
	}
	tests := []struct {
		name string
		fs   []indicator.Finding
		code string
	}{
		{"nothing", nil, ""},
		{"TLP:AMBER", found(marking.OfTLP(contract.Amber).Handling()), ""},
		{"TLP:RED", found(marking.OfTLP(contract.Red).Handling()), "marking"},
		{"unknown", found(marking.Unknown("EYES ONLY").Handling()), "marking"},
		{"not observable", []indicator.Finding{{Code: intake.CodeUnseen, Severity: indicator.Warn}}, "unobservable"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := pointless(tt.fs)
			if got.Code != tt.code || (got.Act == Return) != (tt.code != "") {
				t.Errorf("suggested %+v", got)
			}
		})
	}
}
