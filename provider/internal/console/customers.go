package console

import (
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/provider/internal/customer"
	"ecs/web"
)

func (c *console) customers(w http.ResponseWriter, r *http.Request) {
	a, _ := signin.From(r.Context())
	all, err := c.Customers.Customers(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	if !may(a, seeCustomers) {
		c.onlyMine(w, r, a, all)
		return
	}
	p := c.page(r, "/customers")
	p.Title, p.Wide = "Customers", true
	p.Lead = "Whose traffic is protected, how it is known, and what each of them wants done."
	p.Data = struct {
		Rows    []Customer
		MayEdit bool
	}{all, may(a, editCustomer)}
	c.pages.Render(w, http.StatusOK, "customers", p)
}

// onlyMine sends a contact to its customer. Nothing tells it of any other.
func (c *console) onlyMine(w http.ResponseWriter, r *http.Request, a signin.Account, all []Customer) {
	for i := range all {
		if contactOf(a, &all[i]) {
			http.Redirect(w, r, "/customers/"+strconv.Itoa(int(all[i].ID)), http.StatusSeeOther)
			return
		}
	}
	c.forbid(w, r, seeCustomers)
}

// mine reads the customer of the path, if the account may know of it. To all
// others the answer is the same as for a customer that does not exist.
func (c *console) mine(r *http.Request) (signin.Account, Customer, error) {
	a, _ := signin.From(r.Context())
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 32)
	if err != nil {
		return a, Customer{}, ErrNotFound
	}
	x, err := c.Customers.Customer(r.Context(), int32(id))
	if err != nil {
		return a, x, err
	}
	if !may(a, seeCustomers) && !contactOf(a, &x) {
		return a, Customer{}, ErrNotFound
	}
	return a, x, nil
}

type customerData struct {
	Customer
	Form                           form
	MayEdit, MayConsent, MayExcept bool
	Sectors                        []option
	Policies, Answers, MailActions []option
	Reason, Indicator              string
}

// form is what the form of a customer holds, as text.
type form struct {
	Name, Sector, DNS, Answer, Mail, MailAction, Flow string
	Prefixes, Domains, Exporters                      string
	NoticeMail, NoticeHook, NoticeSyslog              string
}

var (
	policyNames = []string{"Off", "Alert only", "Block"}
	answerNames = []string{"Sinkhole address", "No such name (NXDOMAIN)", "No data"}
	mailNames   = []string{"Reject", "Quarantine", "Tag"}
)

func choices(names []string) []option {
	out := make([]option, len(names))
	for i, n := range names {
		out[i] = option{strconv.Itoa(i), n}
	}
	return out
}

func sectorChoices() []option {
	var out []option
	for i := 1; i < len(web.Sectors); i++ {
		out = append(out, option{strconv.Itoa(i), web.Sectors[i]})
	}
	return out
}

func formOf(x *Customer) form {
	f := form{
		Name: x.Name, Sector: strconv.Itoa(int(x.Sector)), DNS: strconv.Itoa(int(x.DNS)), Answer: strconv.Itoa(int(x.Answer)),
		Mail: strconv.Itoa(int(x.Mail)), MailAction: strconv.Itoa(int(x.MailAction)), Flow: strconv.Itoa(int(x.Flow)),
		Domains: strings.Join(x.Domains, "\n"), NoticeMail: x.NoticeMail, NoticeHook: x.NoticeHook, NoticeSyslog: x.NoticeSyslog,
	}
	var lines []string
	for _, p := range x.Prefixes {
		lines = append(lines, p.String())
	}
	f.Prefixes = strings.Join(lines, "\n")
	lines = lines[:0]
	for _, a := range x.Exporters {
		lines = append(lines, a.String())
	}
	f.Exporters = strings.Join(lines, "\n")
	return f
}

func (c *console) customerPage(r *http.Request, a signin.Account, x Customer) *web.Page {
	p := c.page(r, "/customers")
	p.Title = x.Name
	if may(a, seeCustomers) {
		p.Crumbs = []web.Link{{Text: "Customers", Href: "/customers"}}
	}
	p.Data = &customerData{
		Customer: x, Form: formOf(&x),
		MayEdit: may(a, editCustomer), MayConsent: mayOf(a, consent, &x), MayExcept: mayOf(a, except, &x),
		Sectors: sectorChoices(), Policies: choices(policyNames), Answers: choices(answerNames), MailActions: choices(mailNames),
	}
	return p
}

func (c *console) customer(w http.ResponseWriter, r *http.Request) {
	a, x, err := c.mine(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.customerPage(r, a, x)
	p.Data.(*customerData).Indicator = r.URL.Query().Get("indicator")
	c.pages.Render(w, http.StatusOK, "customer", p)
}

func (c *console) newCustomer(w http.ResponseWriter, r *http.Request) {
	a, _ := signin.From(r.Context())
	p := c.customerPage(r, a, Customer{Name: "New customer", Sector: 1, DNS: customer.Watch, Mail: customer.Watch, Flow: customer.Watch})
	p.Data.(*customerData).Form.Name = ""
	c.pages.Render(w, http.StatusOK, "customer", p)
}

func (c *console) saveCustomer(w http.ResponseWriter, r *http.Request) {
	a, _ := signin.From(r.Context())
	x := Customer{Name: "New customer"}
	if r.PathValue("id") != "" {
		var err error
		a, x, err = c.mine(r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
	}
	p := c.customerPage(r, a, x)
	f := form{
		Name: strings.TrimSpace(r.PostFormValue("name")), Sector: r.PostFormValue("sector"),
		DNS: r.PostFormValue("dns"), Answer: r.PostFormValue("answer"), Mail: r.PostFormValue("mail"),
		MailAction: r.PostFormValue("mail-action"), Flow: r.PostFormValue("flow"),
		Prefixes: r.PostFormValue("prefixes"), Domains: r.PostFormValue("domains"), Exporters: r.PostFormValue("exporters"),
		NoticeMail: strings.TrimSpace(r.PostFormValue("notice-mail")), NoticeHook: strings.TrimSpace(r.PostFormValue("notice-hook")),
		NoticeSyslog: strings.TrimSpace(r.PostFormValue("notice-syslog")),
	}
	p.Problems = f.into(&x)
	if len(p.Problems) == 0 {
		id, err := c.Customers.Save(r.Context(), a, x)
		if err == nil {
			http.Redirect(w, r, fmt.Sprintf("/customers/%d?done=customer", id), http.StatusSeeOther)
			return
		}
		if !refused(err) {
			c.fail(w, r, err)
			return
		}
		p.Problems = []web.Problem{{Text: sentence(err)}}
	}
	p.Data.(*customerData).Form = f
	c.pages.Render(w, http.StatusUnprocessableEntity, "customer", p)
}

// into reads the form into the customer and says what is wrong with it.
func (f *form) into(x *Customer) []web.Problem {
	var out []web.Problem
	bad := func(field, format string, args ...any) {
		out = append(out, web.Problem{Field: field, Text: fmt.Sprintf(format, args...)})
	}
	x.Name = f.Name
	if f.Name == "" || len(f.Name) > 200 {
		bad("name", "Enter the customer’s name, at most 200 letters")
	}
	pick := func(field, value string, below int) uint8 {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n >= below {
			bad(field, "Choose one from the list")
			return 0
		}
		return uint8(n)
	}
	x.Sector = contract.Sector(pick("sector", f.Sector, len(web.Sectors)))
	x.DNS, x.Answer = customer.Policy(pick("dns", f.DNS, 3)), customer.Answer(pick("answer", f.Answer, 3))
	x.Mail, x.MailAction = customer.Policy(pick("mail", f.Mail, 3)), customer.MailAction(pick("mail-action", f.MailAction, 3))
	x.Flow = customer.Policy(pick("flow", f.Flow, 2))
	x.Prefixes, x.Domains, x.Exporters = nil, nil, nil
	for i, l := range strings.Fields(f.Prefixes) {
		v, err := netip.ParsePrefix(l)
		if err != nil {
			bad("prefixes", "Source prefix %d is not a prefix such as 192.0.2.0/24 or 2001:db8::/32: %s", i+1, l)
			break
		}
		x.Prefixes = append(x.Prefixes, v.Masked())
	}
	for i, l := range strings.Fields(f.Domains) {
		l = strings.TrimSuffix(strings.ToLower(l), ".")
		if strings.ContainsAny(l, "@/: ") || len(l) > 253 {
			bad("domains", "Mail domain %d is not a domain such as example.com: %s", i+1, l)
			break
		}
		x.Domains = append(x.Domains, l)
	}
	for i, l := range strings.Fields(f.Exporters) {
		v, err := netip.ParseAddr(l)
		if err != nil {
			bad("exporters", "Exporter %d is not an address such as 192.0.2.1: %s", i+1, l)
			break
		}
		x.Exporters = append(x.Exporters, v.Unmap())
	}
	x.NoticeMail, x.NoticeHook, x.NoticeSyslog = f.NoticeMail, f.NoticeHook, f.NoticeSyslog
	if f.NoticeMail != "" && !strings.Contains(f.NoticeMail, "@") {
		bad("notice-mail", "Enter a mail address such as soc@example.com, or leave it empty")
	}
	if f.NoticeHook != "" && !strings.HasPrefix(f.NoticeHook, "https://") && !strings.HasPrefix(f.NoticeHook, "http://127.") {
		bad("notice-hook", "Enter an address that begins with https://, or leave it empty")
	}
	return out
}
