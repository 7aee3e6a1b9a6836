package customer_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"ecs/contract"
	"ecs/internal/sqldb"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/store/storetest"
)

var (
	operator = customer.Actor{Login: "op", Roles: []string{"csp_operator"}}
	contact  = customer.Actor{Login: "cora", Roles: []string{"customer_contact"}, Scope: "Clinic"}
)

func clinic() customer.Spec {
	return customer.Spec{Row: customer.Row{
		Customer:  customer.Customer{Name: "Clinic", Sector: 10, DNS: customer.Block, Mail: customer.Block, Flow: customer.Watch},
		Prefixes:  []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24"), netip.MustParsePrefix("2001:db8::/32")},
		Domains:   []string{"Clinic.EXAMPLE."},
		Exporters: []netip.Addr{netip.MustParseAddr("198.51.100.1")},
	}}
}

func TestStore(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		h := customer.NewHolder()
		s := customer.NewStore(db, h)
		id, err := s.Put(ctx, operator, clinic())
		if err != nil {
			t.Fatal(err)
		}
		b := h.Get()
		for what, c := range map[string]*customer.Customer{
			"prefix":        b.ByAddr(netip.MustParseAddr("192.0.2.200")),
			"mapped prefix": b.ByAddr(netip.MustParseAddr("::ffff:192.0.2.200")),
			"v6 prefix":     b.ByAddr(netip.MustParseAddr("2001:db8:1::1")),
			"mail domain":   b.ByMailDomain("clinic.example"),
			"below it":      b.ByMailDomain("ward.clinic.example"),
			"exporter":      b.ByExporter(netip.MustParseAddr("198.51.100.1")),
			"number":        b.ByID(id),
		} {
			if c == nil || c.Name != "Clinic" || c.DNS != customer.Block {
				t.Errorf("by %s: %+v", what, c)
			}
		}
		if b.ByAddr(netip.MustParseAddr("192.0.3.1")) != nil || b.ByMailDomain("example") != nil {
			t.Error("somebody else's traffic is the clinic's")
		}
		other := clinic()
		other.Name = "Other"
		_, err = s.Put(ctx, operator, other)
		if err == nil || !strings.Contains(err.Error(), `already belongs to customer "Clinic"`) {
			t.Errorf("a prefix given twice: %v", err)
		}
		again, err := s.Put(ctx, operator, clinic())
		if err != nil || again != id {
			t.Errorf("the same customer again: %d, %v", again, err)
		}
	})
}

func TestExceptionsAreAtOnceAndForOneCustomer(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		h := customer.NewHolder()
		s := customer.NewStore(db, h)
		id, err := s.Put(ctx, operator, clinic())
		if err != nil {
			t.Fatal(err)
		}
		ind := contract.NewID()
		if err = s.Except(ctx, operator, id, ind, " "); err == nil {
			t.Error("an exception without a reason was taken")
		}
		if err = s.Except(ctx, contact, id, ind, "wrong"); !errors.Is(err, customer.ErrNotOperator) {
			t.Errorf("an exception by somebody else: %v", err)
		}
		if err = s.Except(ctx, operator, id+1, ind, "wrong"); !errors.Is(err, customer.ErrUnknown) {
			t.Errorf("for nobody: %v", err)
		}
		err = s.Except(ctx, operator, id, ind, "our own site")
		if err != nil || !h.Get().ByID(id).Excepted(ind) || h.Get().ByID(id).Excepted(contract.NewID()) {
			t.Fatalf("the exception is not in force: %v", err)
		}
		err = customer.NewStore(db, h).Load(ctx) // as after a restart
		if err != nil || !h.Get().ByID(id).Excepted(ind) {
			t.Fatalf("the exception was lost: %v", err)
		}
		err = s.Unexcept(ctx, operator, id, ind)
		if err != nil || h.Get().ByID(id).Excepted(ind) {
			t.Fatalf("the exception is still there: %v", err)
		}
	})
}

func TestConsentIsTheContactsAlone(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		h := customer.NewHolder()
		s := customer.NewStore(db, h)
		var withdrawn contract.Services
		s.Revoked = func(_ context.Context, _ int32, services contract.Services) error {
			withdrawn = services
			return nil
		}
		id, err := s.Put(ctx, operator, clinic())
		if err != nil {
			t.Fatal(err)
		}
		if h.Get().ByID(id).Consent != 0 {
			t.Error("consent is not off by default")
		}
		for name, by := range map[string]customer.Actor{
			"operator":                 operator,
			"security officer":         {Login: "so", Roles: []string{"csp_security_officer"}},
			"other customer's contact": {Login: "x", Roles: []string{"customer_contact"}, Scope: "Other"},
		} {
			err = s.Consent(ctx, by, id, contract.AllServices)
			if !errors.Is(err, customer.ErrNotContact) {
				t.Errorf("%s: %v", name, err)
			}
		}
		err = s.Consent(ctx, contact, id, contract.AllServices)
		if err != nil || h.Get().ByID(id).Consent != contract.AllServices || withdrawn != 0 {
			t.Fatalf("consent: %v", err)
		}
		_, err = s.Put(ctx, operator, clinic())
		if err != nil || h.Get().ByID(id).Consent != contract.AllServices {
			t.Fatalf("an operator's change touched consent: %v", err)
		}
		err = s.Consent(ctx, contact, id, contract.SMTP)
		if err != nil || withdrawn != contract.DNS|contract.NetFlow {
			t.Fatalf("withdrawn %v, %v", withdrawn, err)
		}
	})
}
