package customer

import "fmt"

var (
	policyNames = []string{"off", "watch", "block"}
	answerNames = []string{"sinkhole", "nxdomain", "nodata"}
	mailNames   = []string{"reject", "quarantine", "tag"}
)

// String gives the policy's name.
func (p Policy) String() string { return name(policyNames, int(p)) }

// String gives the answer's name.
func (a Answer) String() string { return name(answerNames, int(a)) }

// String gives the action's name.
func (a MailAction) String() string { return name(mailNames, int(a)) }

// UnmarshalText reads a policy's name.
func (p *Policy) UnmarshalText(b []byte) error {
	v, err := parse("policy", policyNames, string(b))
	*p = Policy(v)
	return err
}

// UnmarshalText reads an answer's name.
func (a *Answer) UnmarshalText(b []byte) error {
	v, err := parse("answer", answerNames, string(b))
	*a = Answer(v)
	return err
}

// UnmarshalText reads an action's name.
func (a *MailAction) UnmarshalText(b []byte) error {
	v, err := parse("mail action", mailNames, string(b))
	*a = MailAction(v)
	return err
}

func name(names []string, v int) string {
	if v < len(names) {
		return names[v]
	}
	return "unknown"
}

func parse(what string, names []string, s string) (int, error) {
	for i, n := range names {
		if n == s {
			return i, nil
		}
	}
	return 0, fmt.Errorf("unknown %s %q: want one of %v", what, s, names)
}
