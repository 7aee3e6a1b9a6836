package contract

import "time"

// Problem says why a provider kept its old list.
type Problem uint8

// The problems. None means that the list was loaded.
const (
	None       Problem = iota
	BadNote            // the checkpoint's signature or form is wrong
	WrongList          // count or Merkle root do not fit the entries
	Older              // sequence or issue time below what was loaded before
	Expired            // the checkpoint was past its end
	FutureTime         // issued in this node's future: one of the two clocks is wrong
	Unreadable         // the page could not be read
	NoStorage          // the vault could not be written; the new list is not in force
)

var problemNames = [...]string{"none", "bad-note", "wrong-list", "older", "expired", "future-time", "unreadable", "no-storage"}

// String gives the problem's name.
func (p Problem) String() string { return enumName(problemNames[:], int(p)) }

// MarshalText implements [encoding.TextMarshaler].
func (p Problem) MarshalText() ([]byte, error) { return enumText(problemNames[:], int(p)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Problem) UnmarshalText(b []byte) error {
	v, err := parseEnum("problem", problemNames[:], string(b))
	*p = Problem(v)
	return err
}

// Reason says, by a code and never in words, why an indicator was refused.
type Reason uint8

// The reasons.
const (
	BadObject     Reason = iota // not a canonical indicator
	NotObservable               // no service of this node can observe the pattern
	NotAccredited               // the node does not run this service
	TooMany                     // the node's budget of indicators is spent
)

var reasonNames = [...]string{"bad-object", "not-observable", "not-accredited", "too-many"}

// String gives the reason's name.
func (r Reason) String() string { return enumName(reasonNames[:], int(r)) }

// MarshalText implements [encoding.TextMarshaler].
func (r Reason) MarshalText() ([]byte, error) { return enumText(reasonNames[:], int(r)) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (r *Reason) UnmarshalText(b []byte) error {
	v, err := parseEnum("reason", reasonNames[:], string(b))
	*r = Reason(v)
	return err
}

// Refusal names an indicator that a node did not load for some services.
type Refusal struct {
	ID       ID       `json:"id"`
	Services Services `json:"services"`
	Reason   Reason   `json:"reason"`
}

// Ack is a node's receipt. With Problem None it says: of the log entries after
// From, up to and including Sequence, all that add are loaded and all that
// remove are removed, but for those in Refused; and the list in force has this
// root. With any other problem it says that nothing changed, and why.
//
// Acks are idempotent: the hub may see one twice.
type Ack struct {
	From     uint64    `json:"from"`
	Sequence uint64    `json:"sequence"`
	Root     Digest    `json:"root"`
	At       time.Time `json:"at"` // by the node's clock, microseconds
	Problem  Problem   `json:"problem"`
	Refused  []Refusal `json:"refused,omitempty"`
}

// SignedAck is the exact bytes of an [Ack] in JSON and an ECDSA signature
// (ASN.1, SHA-256) over "ecs ack v1\n" and these bytes, made with the key of the
// node's certificate. The hub keeps both as evidence.
type SignedAck struct {
	Body      []byte `json:"body"`
	Signature []byte `json:"signature"`
}

// AckContext is what is signed before the body of a [SignedAck], so that the
// signature cannot pass for one of another kind.
const AckContext = "ecs ack v1\n"

// Enrolment asks for a certificate: with a one-time token at first, without
// one, over mutual TLS, to renew. The key never leaves the node.
type Enrolment struct {
	Token string `json:"token,omitempty"`
	CSR   []byte `json:"csr"` // PKCS #10, DER
}

// Enrolled answers an [Enrolment].
type Enrolled struct {
	Provider    string   `json:"provider"`    // the provider's short name
	Certificate [][]byte `json:"certificate"` // DER, leaf first
	Authority   []byte   `json:"authority"`   // DER, the program's certificate authority
	Verifier    string   `json:"verifier"`    // signed-note verifier key of the program
	Services    Services `json:"services"`    // what the provider is accredited for
}
