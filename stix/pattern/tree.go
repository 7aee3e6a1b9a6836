package pattern

import "time"

// Pattern is a whole pattern.
type Pattern struct {
	Root Observation
}

// Observation is an observation expression: [*Observe], [*Combined] or
// [*Qualified].
type Observation interface{ observation() }

// Observe is one observation in brackets. Every comparison in it has to hold on
// the same cyber-observable object.
type Observe struct {
	Expr Comparison
	Pos  int // byte offset of the opening bracket
}

// Combined joins two or more observations by [And], [Or] or [FollowedBy].
// Nested ones with the same operator are merged where that does not change the
// meaning: always for And and Or, only to the left for FollowedBy.
type Combined struct {
	Op    Join
	Items []Observation
}

// Qualified is an observation with a qualifier.
type Qualified struct {
	Of   Observation
	With Qualifier
	Pos  int // byte offset of the qualifier
}

func (*Observe) observation()   {}
func (*Combined) observation()  {}
func (*Qualified) observation() {}

// Qualifier limits when or how often an observation must hold: [Within],
// [Repeats] or [StartStop].
type Qualifier interface {
	// String gives the qualifier as written in a pattern.
	String() string
	name() string
}

// Within asks that all of it happened within so many seconds.
type Within struct{ Seconds Literal } // Int or Float, above zero

// Repeats asks that it happened so many times.
type Repeats struct{ Times int64 } // at least 1

// StartStop asks that it happened between Start, included, and Stop, excluded.
type StartStop struct{ Start, Stop time.Time }

func (Within) name() string    { return "WITHIN" }
func (Repeats) name() string   { return "REPEATS" }
func (StartStop) name() string { return "START" }

// Comparison is what stands between brackets: [*Test] or [*Logic].
type Comparison interface{ comparison() }

// Logic joins two or more comparisons by [And] or [Or]; nested ones with the
// same operator are merged.
type Logic struct {
	Op    Join
	Items []Comparison
}

// Test compares what a path leads to with constants.
type Test struct {
	Path   Path
	Not    bool      // NOT before the operator
	Op     Op        // Exists has no values, In any number, the others one
	Values []Literal // in the order written
	Pos    int       // byte offset of its first character
}

func (*Logic) comparison() {}
func (*Test) comparison()  {}

// Join is an operator between expressions.
type Join uint8

// The joins. FollowedBy joins only observations.
const (
	And Join = iota
	Or
	FollowedBy
)

// String gives the join as written.
func (j Join) String() string { return [...]string{"AND", "OR", "FOLLOWEDBY"}[j] }

// Op is a comparison operator.
type Op uint8

// The comparison operators (STIX 2.1 section 9.6.1).
const (
	Equal Op = iota
	NotEqual
	Greater
	Less
	GreaterEqual
	LessEqual
	In
	Like
	Matches
	IsSubset
	IsSuperset
	Exists
)

// String gives the operator as written.
func (o Op) String() string {
	return [...]string{"=", "!=", ">", "<", ">=", "<=", "IN", "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET", "EXISTS"}[o]
}

// Path is an object path, such as file:hashes.'SHA-256'.
type Path struct {
	Type  string // object type
	Steps []Step // at least one; the first is a key
}

// Step is one step of a path: a key, or an element of a list.
type Step struct {
	Key   string // of a property or dictionary; unused for Index and Any
	Index int    // of an element from 0, if Kind is Index
	Kind  StepKind
}

// StepKind tells the kinds of steps.
type StepKind uint8

// The kinds of steps.
const (
	Key   StepKind = iota
	Index          // [3]
	Any            // [*]
)

// Literal is a constant. Which field holds it depends on Kind.
type Literal struct {
	Kind  LiteralKind
	Text  string    // String
	Int   int64     // Int
	Float float64   // Float
	Bool  bool      // Bool
	Bytes []byte    // Binary, Hex
	Time  time.Time // Timestamp, UTC
}

// LiteralKind tells the kinds of constants.
type LiteralKind uint8

// The kinds of constants (STIX 2.1 section 9.3).
const (
	String LiteralKind = iota
	Int
	Float
	Bool
	Binary // b'...', base64
	Hex    // h'...'
	Timestamp
)
