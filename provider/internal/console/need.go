package console

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"ecs/contract"
	"ecs/internal/signin"
	"ecs/provider/internal/customer"
)

// Errors that the interfaces below return, wrapped or not, and that the pages
// answer in words. Any other error is a fault of the program: it is logged, and
// the page says only that something failed.
var (
	ErrNotFound = errors.New("console: there is no such thing")
	ErrInvalid  = errors.New("console: refused") // wrapped with a sentence for the person who asked
)

// Overview tells how the house is doing.
type Overview interface {
	// Status must be cheap: it is asked for by most pages.
	Status(ctx context.Context) (Status, error)
}

// Status is the state of the three services and of the list that they use.
type Status struct {
	Provider string // short name; empty until this provider is enrolled
	List     List
	Rooms    []Room // in the order of the services

	Offered uint64 // events that the rooms reported since the start
	Lost    uint64 // of these, lost because the queue was full

	NoticesWaiting   int64 // queued, or sent and not acknowledged
	NoticesEscalated int64
	FeedbackWaiting  int64 // windows that an operator has to look at
	MailHeld         int64 // messages in quarantine
}

// List says which list of indicators is in force.
type List struct {
	Sequence  uint64 // of the program's log
	Count     int    // indicators in force
	Loaded    time.Time
	Confirmed time.Time // when the hub last answered, with changes or without
	Issued    time.Time // of the checkpoint of the list in force
	Expires   time.Time
	Unsent    int64 // receipts that the hub has not taken yet

	Problem   contract.Problem // of the newest list, None when it was loaded
	ProblemAt time.Time
	HubError  string // why the hub could not be asked, in words; empty when it could

	CertificateEnds time.Time
	CertificateLate bool // it should have been renewed by now
}

// Room is one of the three services.
type Room struct {
	Service   contract.Services
	Running   bool
	Address   string    // where it listens
	Fault     string    // why it does not run, in words
	Counters  []Counter // since the start, in the order to be shown
	Customers int       // whose policy for the service is not off
}

// Counter is one number of a room. Loss marks what should be zero: drops.
type Counter struct {
	Name  string
	Value uint64
	Loss  bool
}

// Sightings are the matches in customers' traffic.
type Sightings interface {
	Sightings(ctx context.Context, f SightingFilter) ([]Sighting, error) // newest first
	// SetVerdict records what a person found: "true", "false", or "" for undecided.
	SetVerdict(ctx context.Context, by signin.Account, id int64, verdict string) error
}

// SightingFilter narrows a listing of sightings; zero fields do not narrow.
type SightingFilter struct {
	Service   contract.Services
	Customer  int32
	Indicator contract.ID
	Unjudged  bool
	Before    int64 // only with a lower ID
	Limit     int
}

// Sighting is one merged match.
type Sighting struct {
	ID          int64
	Service     contract.Services
	Indicator   contract.ID
	Category    contract.Category
	Summary     string // releasable summary of the indicator, while it is in force
	Customer    int32
	Name        string // of the customer
	Action      contract.Action
	Client      string // the customer's end
	Peer        string // the other end; flows only
	What        string // empty when Hidden
	Hidden      bool   // the marking forbids showing what matched
	Count       int64
	First, Last time.Time
	Verdict     string // "", "true", "false"
	Notice      string // state of the notice that tells of it, or empty
}

// Customers are the entities that the provider serves.
type Customers interface {
	Customers(ctx context.Context) ([]Customer, error)
	Customer(ctx context.Context, id int32) (Customer, error)
	// Save creates (ID 0) or changes a customer: all fields but Consent, ConsentBy,
	// ConsentAt and Exceptions, which it leaves alone.
	Save(ctx context.Context, by signin.Account, c Customer) (int32, error)
	SetConsent(ctx context.Context, by signin.Account, id int32, services contract.Services) error
	AddException(ctx context.Context, by signin.Account, id int32, indicator contract.ID, reason string) error
	RemoveException(ctx context.Context, by signin.Account, id int32, indicator contract.ID) error
}

// Customer is one customer with everything about it.
type Customer struct {
	ID         int32
	Name       string
	Sector     contract.Sector
	DNS        customer.Policy
	Answer     customer.Answer
	Mail       customer.Policy
	MailAction customer.MailAction
	Flow       customer.Policy

	Prefixes  []netip.Prefix
	Domains   []string
	Exporters []netip.Addr

	NoticeMail, NoticeHook, NoticeSyslog string

	Consent    contract.Services
	ConsentBy  string
	ConsentAt  time.Time
	Exceptions []Exception
}

// Exception is an indicator that is not applied to one customer.
type Exception struct {
	Indicator contract.ID
	Reason    string
	By        string // login
	At        time.Time
}

// Quarantine is the mail that is held.
type Quarantine interface {
	Quarantine(ctx context.Context, f HeldFilter) ([]Held, error) // newest first
	Release(ctx context.Context, by signin.Account, id string) error
	Delete(ctx context.Context, by signin.Account, id string) error
}

// HeldFilter narrows a listing of the quarantine.
type HeldFilter struct {
	State    string // HELD, RELEASED, DELETED or empty
	Customer int32
	Before   time.Time // only received earlier
	Limit    int
}

// Held is one message. The message itself is not shown.
type Held struct {
	ID         string
	Customer   int32
	Name       string
	Indicator  contract.ID
	Sender     string
	Recipients []string
	Bytes      int64
	State      string
	Received   time.Time
	Settled    time.Time
	SettledBy  string
}

// Notices are what customers are told.
type Notices interface {
	Notices(ctx context.Context, f NoticeFilter) ([]Notice, error) // newest first
	// ByToken finds a notice by the secret that only the customer was sent.
	ByToken(ctx context.Context, token string) (Notice, error)
	// Acknowledge records that the customer has seen it. rating is 1 to 5 for how
	// useful it was, 0 for no answer. A second acknowledgement changes nothing.
	Acknowledge(ctx context.Context, token string, rating int) error
	// Settle records that an operator reached the customer by other means.
	Settle(ctx context.Context, by signin.Account, id int64) error
}

// NoticeFilter narrows a listing of notices.
type NoticeFilter struct {
	State    string // QUEUED, DISPATCHED, ACKNOWLEDGED, ESCALATED or empty
	Customer int32
	Before   int64 // only with a lower ID
	Limit    int
}

// Notice is one message to a customer.
type Notice struct {
	ID         int64
	Customer   int32
	Name       string
	Indicator  contract.ID
	Service    contract.Services
	Channel    string
	State      string
	Body       string // exactly what the customer is told
	Attempts   int
	Error      string
	Created    time.Time
	Dispatched time.Time
	Settled    time.Time
	SettledBy  string
	Rating     int
}

// Feedback is what leaves for the hub once an operator has looked at it.
type Feedback interface {
	Windows(ctx context.Context, limit int) ([]Window, error) // newest first
	Window(ctx context.Context, d contract.Day, s contract.Services) (Window, error)
	// Approve lets the window be sent. Seen is the SHA-256, in hexadecimal, of the
	// bytes that the operator was shown: if they have changed since, it fails.
	Approve(ctx context.Context, by signin.Account, d contract.Day, s contract.Services, seen string) error
}

// Window is one day of one service.
type Window struct {
	Day        contract.Day
	Start      time.Time
	Length     time.Duration
	Service    contract.Services
	State      string // READY, REVIEWED, SUBMITTED, ACCEPTED, REFUSED, EMPTY
	Body       []byte // the exact bytes
	Cells      int
	Withheld   []Withheld
	Made       time.Time
	ReviewedBy string
	Answered   time.Time
	Error      string
}

// Withheld is a count that does not leave, or leaves only merged with others.
type Withheld struct {
	What   string // what was counted, in words: never a customer's name
	Reason string // which rule, in words
	Merged bool   // told in a coarser cell instead
}
