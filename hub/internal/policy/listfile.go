package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/gaissmai/bart"

	"ecs/hub/internal/indicator"
	"ecs/observable"
)

// Limits of the files of warning lists. The largest public one is 2.5 MB.
const (
	maxListFile  = 64 << 20
	maxLists     = 4096
	maxEntry     = 4096 // bytes of one entry
	maxRegex     = 512  // bytes of one expression
	maxRegexes   = 256  // in all lists: each is tried on each value of its kinds
	maxSubstring = 64 << 10
)

// kindsOf tells which kinds of value the attribute types of the MISP data model
// speak of.
var kindsOf = map[string][]observable.Kind{
	"domain": {observable.Domain}, "hostname": {observable.Domain}, "domain|ip": {observable.Domain, observable.Addr, observable.Prefix},
	"hostname|port": {observable.Domain},
	"ip-src":        {observable.Addr, observable.Prefix}, "ip-dst": {observable.Addr, observable.Prefix},
	"ip-src|port": {observable.Addr, observable.Prefix}, "ip-dst|port": {observable.Addr, observable.Prefix},
	"url": {observable.URL}, "uri": {observable.URL}, "link": {observable.URL},
	"email": {observable.Mail}, "email-src": {observable.Mail}, "email-dst": {observable.Mail}, "target-email": {observable.Mail},
	"email-subject": {observable.Subject}, "filename": {observable.FileName}, "email-attachment": {observable.FileName},
	"md5": {observable.MD5}, "sha1": {observable.SHA1}, "sha256": {observable.SHA256}, "sha512": {observable.SHA512},
}

// ListProblem is an entry or file that could not be used. The rest of the lists
// is; an operator should see the problems.
type ListProblem struct {
	List   string
	Entry  string // empty: the whole file
	Reason string
}

// LoadLists reads warning lists: each file NAME.json, or NAME/list.json, is one
// list. Severities sets the severity of lists by name, or of a whole [Category] by
// "category:" and its name, before the built-in table. The error is for what makes all of it useless; bad files and entries
// are in the problems.
func LoadLists(dir fs.FS, severities map[string]indicator.Severity) (*Lists, []ListProblem, error) {
	b := builder{
		l: &Lists{
			exact: map[string][]uint16{}, above: map[string]uint16{},
			prefixes: new(bart.Table[[]uint16]), texts: newTexts(),
		},
		severities: severities,
	}
	err := fs.WalkDir(dir, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || path.Ext(p) != ".json" {
			return nil
		}
		name := strings.TrimSuffix(path.Base(p), ".json")
		if name == "list" {
			name = path.Base(path.Dir(p))
		}
		if len(b.l.meta) >= maxLists {
			return fmt.Errorf("policy: more than %d warning lists", maxLists)
		}
		err = b.file(dir, p, name)
		if err != nil {
			b.problem(name, "", err.Error())
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("policy: warning lists: %w", err)
	}
	return b.l, b.problems, nil
}

type builder struct {
	l          *Lists
	severities map[string]indicator.Severity
	problems   []ListProblem
	substrings int
}

func (b *builder) problem(list, entry, reason string) {
	b.problems = append(b.problems, ListProblem{List: list, Entry: Printable(entry, 100), Reason: Printable(reason, maxDetail)})
}

// listFile is the format of the MISP project; fields that we do not use are
// left out.
type listFile struct {
	Name        string          `json:"name"`
	Description string          `json:"description"`
	Version     json.RawMessage `json:"version"`
	Type        string          `json:"type"`
	Kinds       []string        `json:"matching_attributes"`
	List        []string        `json:"list"`
}

func (b *builder) file(dir fs.FS, p, name string) error {
	f, err := dir.Open(p)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.LimitReader(f, maxListFile+1))
	if err != nil {
		return err
	}
	if len(raw) > maxListFile {
		return fmt.Errorf("the file is larger than %d bytes", maxListFile)
	}
	var in listFile
	err = json.Unmarshal(raw, &in)
	if err != nil {
		return fmt.Errorf("not a warning list: %w", err)
	}
	add := map[string]func(uint16, string) error{
		"string": b.exact, "hostname": b.exact, "cidr": b.cidr, "substring": b.substring, "regex": b.regex,
	}[in.Type]
	if add == nil {
		return fmt.Errorf("unknown type of list %q: want cidr, string, hostname, substring or regex", Printable(in.Type, 40))
	}
	var kinds uint32
	for _, k := range in.Kinds {
		for _, kind := range kindsOf[k] {
			kinds |= 1 << kind
		}
	}
	if kinds == 0 {
		return nil // speaks of nothing that a service can match, such as telephone numbers
	}
	cat, sev := classify(name, b.severities)
	b.l.meta = append(b.l.meta, listMeta{
		name: name, kinds: kinds, zone: in.Type == "hostname", severity: sev, category: cat, rank: rankOf(name, cat),
		title: Printable(in.Name, 200), date: dateOf(string(in.Version)),
	})
	i := uint16(len(b.l.meta) - 1)
	before := b.l.entries
	defer func() { b.l.meta[i].entries = b.l.entries - before }()
	for _, e := range in.List {
		if len(e) > maxEntry {
			b.problem(name, e, "longer than 4096 bytes")
			continue
		}
		err = add(i, e)
		if err != nil {
			b.problem(name, e, err.Error())
			continue
		}
		b.l.entries++
	}
	return nil
}

// exact takes a string or a host name. A leading dot, which some lists write,
// means the name as well.
func (b *builder) exact(i uint16, e string) error {
	e = strings.Trim(strings.ToLower(strings.TrimSpace(e)), ".")
	if e == "" {
		return errors.New("empty entry")
	}
	n, err := observable.Canonical(observable.Domain, e)
	isName := err == nil && b.l.meta[i].kinds&(1<<observable.Domain) != 0
	if isName {
		e = n // an IDN in A-labels
	}
	if slices.Contains(b.l.exact[e], i) {
		return nil
	}
	b.l.exact[e] = append(b.l.exact[e], i)
	if !isName {
		return nil
	}
	for z := parent(e); strings.Contains(z, "."); z = parent(z) {
		was, ok := b.l.above[z]
		if !ok || b.l.meta[was].severity == indicator.Warn && b.l.meta[i].severity == indicator.Stop {
			b.l.above[z] = i
		}
	}
	return nil
}

func (b *builder) cidr(i uint16, e string) error {
	p, ok := parsePrefix(strings.TrimSpace(e))
	if !ok {
		return errors.New("neither an address nor a prefix")
	}
	was, _ := b.l.prefixes.Get(p)
	if !slices.Contains(was, i) {
		b.l.prefixes.Insert(p, append(slices.Clip(was), i))
	}
	return nil
}

func (b *builder) substring(i uint16, e string) error {
	e = strings.ToLower(e)
	b.substrings++
	switch {
	case e == "":
		return errors.New("empty entry")
	case b.substrings > maxSubstring:
		return fmt.Errorf("more than %d substrings in all lists", maxSubstring)
	}
	b.l.texts.add(e, i)
	return nil
}

// regex takes an expression in delimiters, as PHP writes it: /.../i. Go's
// expressions run in linear time, whatever a list's author wrote.
func (b *builder) regex(i uint16, e string) error {
	if len(e) > maxRegex || len(b.l.texts.regexes) >= maxRegexes {
		return fmt.Errorf("longer than %d bytes, or more than %d expressions in all lists", maxRegex, maxRegexes)
	}
	text, flags := e, ""
	end := strings.LastIndexByte(e, '/')
	if strings.HasPrefix(e, "/") && end > 0 {
		text = e[1:end]
		for _, f := range e[end+1:] {
			if !strings.ContainsRune("ims", f) {
				return fmt.Errorf("unknown flag %q", f)
			}
			flags += string(f)
		}
	}
	if flags != "" {
		text = "(?" + flags + ")" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return fmt.Errorf("not an expression that can be used: %w", err)
	}
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return err
	}
	b.l.texts.regexes = append(b.l.texts.regexes, expression{re, literal(parsed), e, i})
	return nil
}
