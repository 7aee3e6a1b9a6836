package console

import "ecs/internal/signin"

// What a person may do. One table, so that an auditor can read it.
type act string

const (
	seeStatus    act = "see status"
	seeTraffic   act = "see sightings, notices and quarantine"
	seeCustomers act = "see all customers"
	seeAudit     act = "see the audit log"
	judge        act = "judge sightings"
	editCustomer act = "change customers"
	except       act = "add and remove exceptions"
	settleMail   act = "release and delete held mail"
	settleNotice act = "settle notices"
	approve      act = "approve feedback"
	consent      act = "give and withdraw consent"
)

// permits lists the roles that may do each act. A customer_contact is further
// limited to the customer that its account's scope names. system_admin runs the
// machine and holds no data role.
var permits = map[act][]string{
	seeStatus:    {"csp_operator", "csp_security_officer", "auditor", "system_admin"},
	seeTraffic:   {"csp_operator", "csp_security_officer", "auditor"},
	seeCustomers: {"csp_operator", "csp_security_officer", "auditor"},
	seeAudit:     {"csp_security_officer", "auditor"},
	judge:        {"csp_operator", "csp_security_officer"},
	editCustomer: {"csp_operator"},
	except:       {"csp_operator", "customer_contact"},
	settleMail:   {"csp_operator"},
	settleNotice: {"csp_operator"},
	approve:      {"csp_operator"},
	consent:      {"customer_contact"},
}

func may(a signin.Account, what act) bool { return a.Any(permits[what]...) }

// mayOf is may for an act on one customer. Contacts act for their own only, and
// for exceptions and consent having two roles does not help: the contact's scope
// has to name the customer, unless an operator's role permits the act as well.
func mayOf(a signin.Account, what act, c *Customer) bool {
	for _, r := range permits[what] {
		if a.Has(r) && (r != "customer_contact" || contactOf(a, c)) {
			return true
		}
	}
	return false
}

// contactOf reports whether the account speaks for the customer: its scope is
// the customer's name.
func contactOf(a signin.Account, c *Customer) bool {
	return a.Has("customer_contact") && a.Scope != "" && a.Scope == c.Name
}
