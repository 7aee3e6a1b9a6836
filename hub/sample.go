package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ecs/contract"
	"ecs/hub/internal/program"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// People of the demonstration. Their accounts are in the demonstration's
// configuration; here they act before anyone has signed in.
var (
	sampleAnalyst    = signin.Account{Login: "alice", Person: "Alice Rivera", Roles: []string{"pmo_analyst"}}
	sampleAssessor   = signin.Account{Login: "asha", Person: "Asha Nair", Roles: []string{"assessor"}}
	sampleAccreditor = signin.Account{Login: "carl", Person: "Carl Weber", Roles: []string{"accrediting_official"}}
	sampleSSA        = signin.Account{Login: "sam", Person: "Sam Okafor", Roles: []string{"ssa_officer"}}
)

// sample fills an empty hub with a made-up program: three sources, two
// providers, and entities in several sectors. It goes the same way as people
// would, step by step, and does nothing that is done already.
func sample(ctx context.Context, db *sqldb.DB, registry *program.Program) error {
	until := time.Now().AddDate(1, 0, 0)
	for _, s := range []program.Source{
		{ID: "national-cert", Name: "National CERT (sample)", Agency: "Example Agency for Cyber Security", Authority: "Sharing agreement 2026-01 (sample)", AuthorityUntil: until, Purpose: "network defense", Ceiling: contract.AmberStrict, Reliability: "A"},
		{ID: "research-network", Name: "Research Network SOC (sample)", Agency: "Example Research Council", Authority: "Memorandum 2025-14 (sample)", AuthorityUntil: until, Purpose: "network defense", Ceiling: contract.Amber, Reliability: "B"},
		{ID: "sector-isac", Name: "Energy ISAC (sample)", Agency: "Example Department of Energy", Authority: "Sharing agreement 2026-07 (sample)", AuthorityUntil: until, Purpose: "network defense", Ceiling: contract.Green, Reliability: "C"},
	} {
		_, err := program.GetSource(ctx, db, s.ID)
		if errors.Is(err, program.ErrNotFound) {
			err = registry.PutSource(ctx, sampleAnalyst, s)
		}
		if err != nil {
			return fmt.Errorf("hub: sample source: %w", err)
		}
	}
	for _, p := range []struct{ id, name string }{
		{"northnet", "Northnet Communications (sample)"},
		{"southlink", "Southlink Internet (sample)"},
	} {
		err := sampleProvider(ctx, db, registry, p.id, p.name)
		if err != nil {
			return fmt.Errorf("hub: sample provider: %w", err)
		}
	}
	for _, e := range []program.Entity{
		{ID: "valley-power", Name: "Valley Power Cooperative (sample)", Sectors: []contract.Sector{8}},
		{ID: "city-water", Name: "City Water Works (sample)", Sectors: []contract.Sector{16}},
		{ID: "first-bank", Name: "First Example Bank (sample)", Sectors: []contract.Sector{9}},
		{ID: "county-clinic", Name: "County Clinic (sample)", Sectors: []contract.Sector{12}},
		{ID: "harbor-rail", Name: "Harbor Rail (sample)", Sectors: []contract.Sector{15}},
		{ID: "state-college", Name: "State College (sample)", Sectors: []contract.Sector{11}},
		{ID: "river-chemical", Name: "River Chemical (sample)", Sectors: []contract.Sector{1, 6}},
	} {
		err := sampleEntity(ctx, registry, e)
		if err != nil {
			return fmt.Errorf("hub: sample entity: %w", err)
		}
	}
	return nil
}

// sampleProvider walks a provider to ACCREDITED; it becomes operational with its
// first node.
func sampleProvider(ctx context.Context, db *sqldb.DB, registry *program.Program, id, name string) error {
	const reason = "sample data of the demonstration"
	x, err := program.GetProvider(ctx, db, id)
	if errors.Is(err, program.ErrNotFound) {
		err = registry.Register(ctx, sampleAnalyst, id, name)
		x.State = program.Interested
	}
	if err != nil {
		return err
	}
	for _, step := range []struct {
		from, to program.State
		by       signin.Account
	}{
		{program.Interested, program.EligibilityReview, sampleAnalyst},
		{program.EligibilityReview, program.Eligible, sampleAccreditor},
		{program.Eligible, program.MOANegotiation, sampleAnalyst},
		{program.MOANegotiation, program.MOAInForce, sampleAnalyst},
		{program.MOAInForce, program.SecurityValidation, sampleAssessor},
		{program.SecurityValidation, program.Validated, sampleAssessor},
	} {
		if x.State != step.from {
			continue
		}
		err = registry.Move(ctx, step.by, id, step.to, reason)
		if err != nil {
			return err
		}
		x.State = step.to
	}
	if x.State != program.Validated {
		return nil
	}
	official := signin.Account{Login: "dana", Person: "Dana Lind", Roles: []string{"accrediting_official"}} // not the one who found it eligible
	return registry.Accredit(ctx, official, id, program.Accreditation{Services: contract.AllServices, Ceiling: contract.AmberStrict}, reason)
}

func sampleEntity(ctx context.Context, registry *program.Program, e program.Entity) error {
	e.Criterion = "critical infrastructure (sample)"
	err := registry.Nominate(ctx, sampleAnalyst, e)
	if errors.Is(err, program.ErrExists) {
		return nil
	}
	for _, to := range []program.EntityState{program.Submitted, program.Determination, program.EntityValidated} {
		by := sampleAnalyst
		if to == program.EntityValidated {
			by = sampleSSA
		}
		if err == nil {
			err = registry.MoveEntity(ctx, by, e.ID, to, "sample data of the demonstration")
		}
	}
	return err
}
