package release

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// The roles that act here, see docs/program.md.
const (
	roleAnalyst   = "pmo_analyst"
	roleAuthority = "release_authority"
	rolePrivacy   = "privacy_officer"
	roleOfficer   = "gfi_officer"
)

func needRole(acct signin.Account, roles ...string) error {
	if acct.Login == "" || acct.Person == "" {
		return fmt.Errorf("%w: nobody is signed in", ErrRole)
	}
	if slices.ContainsFunc(roles, acct.Has) {
		return nil
	}
	return fmt.Errorf("%w: it takes %s", ErrRole, strings.Join(roles, " or "))
}

// mayStart refuses to let a privacy officer start a release, under whichever of
// the person's accounts (SOD-2, SOD-6).
func mayStart(ctx context.Context, q sqldb.Querier, acct signin.Account) error {
	roles, err := rolesOf(ctx, q, acct)
	if err != nil {
		return err
	}
	if slices.Contains(roles, rolePrivacy) {
		return fmt.Errorf("%w: a privacy officer can stop a release but not start one", ErrRole)
	}
	return nil
}

// rolesOf gives all roles of the person behind the account.
func rolesOf(ctx context.Context, q sqldb.Querier, acct signin.Account) ([]string, error) {
	out := slices.Clone(acct.Roles)
	rows, err := q.QueryContext(ctx, `SELECT roles FROM account WHERE person = $1`, acct.Person)
	if err != nil {
		return nil, fmt.Errorf("release: roles: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var roles string
		err = rows.Scan(&roles)
		if err != nil {
			return nil, err
		}
		for _, r := range strings.Split(roles, ",") {
			out = append(out, strings.TrimSpace(r))
		}
	}
	return out, rows.Err()
}

// duties refuses the act when its person already had another part in the item:
// submitter (of any delivery that named it), editor, privacy reviewer, first or
// second approver (SOD-1).
func duties(ctx context.Context, q sqldb.Querier, it *indicator.Item, acct signin.Account, kind string) (indicator.Evidence, error) {
	ev, err := indicator.People(ctx, q, it)
	if err != nil {
		return ev, err
	}
	then := ev
	then.Decisions = append(slices.Clip(ev.Decisions), indicator.Decision{
		Item: it.ID, Kind: kind, Verdict: indicator.Approve, Login: acct.Login, Person: acct.Person,
	})
	err = indicator.Duties(then)
	if err != nil {
		return ev, fmt.Errorf("%w: %w", ErrSamePerson, err)
	}
	if acct.Person == ev.Submitter || acct.Person == ev.Editor {
		return ev, fmt.Errorf("%w: %s submitted or edited it", ErrSamePerson, acct.Person)
	}
	var n int
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM item_source s JOIN batch b ON b.number = s.batch
		LEFT JOIN account a ON a.login = b.submitter
		WHERE s.number = $1 AND coalesce(a.person, b.submitter) = $2`, it.Number, acct.Person).Scan(&n)
	if err != nil {
		return ev, fmt.Errorf("release: submitters: %w", err)
	}
	if n > 0 {
		return ev, fmt.Errorf("%w: %s submitted it", ErrSamePerson, acct.Person)
	}
	return ev, nil
}

// owns reports whether the officer's source named the item.
func owns(ctx context.Context, q sqldb.Querier, acct signin.Account, id contract.ID) (bool, error) {
	if acct.Scope == "" {
		return false, nil
	}
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM item_source s JOIN item i ON i.number = s.number
		WHERE i.id = $1 AND s.source = $2`,
		id.String(), acct.Scope).Scan(&n)
	return n > 0, err
}

// open reads the item and refuses a stale view of it or a state other than
// those named.
func open(ctx context.Context, q sqldb.Querier, ref Ref, states ...indicator.State) (indicator.Item, error) {
	it, err := indicator.Get(ctx, q, ref.ID)
	if err != nil {
		return it, err
	}
	if ref.Version != 0 && ref.Version != it.Version {
		return it, fmt.Errorf("%w (%s)", ErrVersion, ref.ID)
	}
	if !slices.Contains(states, it.State) {
		return it, fmt.Errorf("%w: %s is %s", ErrState, ref.ID, it.State)
	}
	return it, nil
}

// stopped refuses an item with technical stops that two persons have not
// overridden since they were found.
func stopped(ctx context.Context, q sqldb.Querier, id contract.ID, ds []indicator.Decision) error {
	fs, err := indicator.Findings(ctx, q, id)
	if err != nil {
		return err
	}
	for _, f := range indicator.Stops(fs) {
		since := slices.DeleteFunc(slices.Clone(ds), func(d indicator.Decision) bool { return d.At.Before(f.At) })
		if !indicator.Overridden(since) {
			return fmt.Errorf("%w: %s", ErrFindings, f.Code)
		}
	}
	return nil
}
