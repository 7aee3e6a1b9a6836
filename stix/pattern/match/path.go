package match

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"ecs/stix/pattern"
)

// unreadable stands for a property whose value is not of the form that its name
// promises, such as one in _hex without hexadecimal digits. It compares with
// nothing.
type unreadable struct{}

// walk gives every value that the steps lead to from v, until yield says no. A
// reference is followed when a further key is asked of it, and is its identifier
// otherwise. It reports whether it came to its end.
func (e *evaluator) walk(v any, steps []pattern.Step, reference bool, yield func(any) bool) bool {
	if !e.spend(1) {
		return false
	}
	if len(steps) == 0 {
		return yield(v)
	}
	step, rest := steps[0], steps[1:]
	switch step.Kind {
	case pattern.Index:
		list, ok := v.([]any)
		if ok && step.Index < len(list) {
			return e.walk(list[step.Index], rest, reference, yield)
		}
	case pattern.Any:
		list, _ := v.([]any)
		for _, item := range list {
			if !e.walk(item, rest, reference, yield) {
				return false
			}
		}
	default:
		if id, ok := v.(string); ok && reference {
			target := e.scope[id]
			if target == nil {
				return true
			}
			v = target.members
		}
		m, _ := v.(map[string]any)
		next, ok := m[step.Key]
		if ok {
			if !e.spend(size(next)) {
				return false
			}
			return e.walk(decoded(step.Key, next), rest, isReference(step.Key), yield)
		}
	}
	return true
}

func isReference(key string) bool {
	return strings.HasSuffix(key, "_ref") || strings.HasSuffix(key, "_refs")
}

// decoded gives octets for properties whose name says that they hold some
// (STIX 2.1 section 3.1: _bin and _hex).
func decoded(key string, v any) any {
	s, ok := v.(string)
	if !ok {
		return v
	}
	var b []byte
	var err error
	switch {
	case strings.HasSuffix(key, "_hex"):
		b, err = hex.DecodeString(s)
	case strings.HasSuffix(key, "_bin"):
		b, err = base64.StdEncoding.DecodeString(s)
	default:
		return v
	}
	if err != nil {
		return unreadable{}
	}
	return b
}
