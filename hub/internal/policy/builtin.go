package policy

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"ecs/observable"
)

// The built-in lists are in the format of the MISP project, with two fields more:
// code, the finding of a hit, and notes, the source of each entry. They always
// stop, and hold in every program.
//
//go:embed builtin/*.json
var builtinFiles embed.FS

// builtinList is one of the built-in lists.
type builtinList struct {
	listFile
	id    string            // the file's name
	Code  string            `json:"code"`
	Notes map[string]string `json:"notes"`
}

// builtins is what the built-in lists hold, ready to be looked up. It is made
// once, when the program starts.
var builtins = mustBuiltins()

type builtin struct {
	lists    []builtinList
	special  map[string]string // special-use names, with all below: the RFC
	prefixes []reserved        // special-purpose addresses
	base     *protection       // protected names and addresses
	shared   map[string]string // names under which anybody gets a name: what they are
	above    map[string]string // each name above one of them, and one of them
}

func mustBuiltins() *builtin {
	b, err := readBuiltins(builtinFiles)
	if err != nil {
		panic(err) // a part of this program is broken; a test reads it too
	}
	return b
}

func readBuiltins(files fs.FS) (*builtin, error) {
	b := &builtin{special: map[string]string{}, base: emptyProtection(), shared: map[string]string{}, above: map[string]string{}}
	names, err := fs.Glob(files, "builtin/*.json")
	if err != nil {
		return nil, err
	}
	for _, p := range names {
		raw, err := fs.ReadFile(files, p)
		if err != nil {
			return nil, err
		}
		l := builtinList{id: strings.TrimSuffix(path.Base(p), ".json")}
		err = json.Unmarshal(raw, &l)
		if err != nil {
			return nil, fmt.Errorf("policy: %s: %w", p, err)
		}
		for _, e := range l.List {
			err = b.take(&l, e, l.Notes[e])
			if err != nil {
				return nil, fmt.Errorf("policy: %s: %w", p, err)
			}
		}
		b.lists = append(b.lists, l)
	}
	return b, nil
}

func (b *builtin) take(l *builtinList, entry, note string) error {
	if note == "" {
		return fmt.Errorf("entry %s has no note of its source", entry)
	}
	if l.Type == "cidr" {
		p, ok := parsePrefix(entry)
		if !ok {
			return fmt.Errorf("entry %s is neither an address nor a prefix", entry)
		}
		if l.Code == CodeSpecialAddr {
			b.prefixes = append(b.prefixes, reserved{p, note})
			return nil
		}
		b.base.addPrefix(p, Protected{entry, note})
		return nil
	}
	n, err := observable.Canonical(observable.Domain, entry)
	if err != nil || n != entry {
		return fmt.Errorf("entry %s is not a name in canonical form", entry)
	}
	switch l.Code {
	case CodeSpecialName:
		b.special[n] = note
	case CodeShared:
		b.shared[n] = note
		for z := parent(n); strings.Contains(z, "."); z = parent(z) {
			b.above[z] = n
		}
	case CodeProtected:
		b.base.add(Protected{n, l.Description + ": " + note}, l.Type == "string")
	default:
		return fmt.Errorf("code %s is none of a built-in list", l.Code)
	}
	return nil
}

type reserved struct {
	prefix netip.Prefix
	what   string
}

// Builtin describes the built-in lists.
func Builtin() []ListInfo {
	out := make([]ListInfo, 0, len(builtins.lists))
	for _, l := range builtins.lists {
		out = append(out, ListInfo{Name: l.id, Title: l.Name, Code: l.Code, Category: OwnList, Severity: "stop", Entries: len(l.List), Date: dateOf(string(l.Version))})
	}
	return out
}

// dateOf reads the version of a list as a date: 20261121, or 26112110 as some
// write year, month, day and hour. The zero time when it is none.
func dateOf(version string) time.Time {
	version = strings.Trim(version, `"`)
	if len(version) != 8 {
		return time.Time{}
	}
	t, err := time.Parse("20060102", version)
	if err != nil || t.Year() < 2000 || t.Year() > 2100 {
		t, err = time.Parse("06010215", version)
	}
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// sortedInfo orders lists by name.
func sortedInfo(in []ListInfo) []ListInfo {
	slices.SortFunc(in, func(a, b ListInfo) int { return strings.Compare(a.Name, b.Name) })
	return in
}
