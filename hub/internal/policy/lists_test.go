package policy_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/policy"
	"ecs/observable"
)

// oracleList is a list as its file has it; hits walks all entries.
type oracleList struct {
	Name    string   `json:"-"`
	Type    string   `json:"type"`
	Kinds   []string `json:"matching_attributes"`
	Entries []string `json:"list"`
}

// hits is the slow and obvious way: what the format's rules say, entry by entry.
func (o *oracleList) hits(a observable.Atom) bool {
	types := map[observable.Kind][]string{
		observable.Domain: {"domain", "hostname", "domain|ip", "hostname|port"},
		observable.Addr:   {"ip-src", "ip-dst", "domain|ip", "ip-src|port", "ip-dst|port"},
		observable.SHA256: {"sha256"}, observable.MD5: {"md5"},
	}[a.Kind]
	if !slices.ContainsFunc(o.Kinds, func(k string) bool { return slices.Contains(types, k) }) {
		return false
	}
	for _, e := range o.Entries {
		n := strings.Trim(strings.ToLower(strings.TrimSpace(e)), ".")
		hit := false
		switch o.Type {
		case "string":
			hit = n == a.Value || a.Kind == observable.Domain && strings.HasSuffix(n, "."+a.Value) && strings.Contains(a.Value, ".")
		case "hostname":
			hit = n == a.Value || strings.HasSuffix(a.Value, "."+n) ||
				a.Kind == observable.Domain && strings.HasSuffix(n, "."+a.Value) && strings.Contains(a.Value, ".")
		case "substring":
			hit = strings.Contains(a.Value, strings.ToLower(e))
		case "cidr":
			addr, err := netip.ParseAddr(a.Value)
			p, perr := netip.ParsePrefix(e)
			if perr != nil {
				q, qerr := netip.ParseAddr(strings.TrimSpace(e))
				p, perr = netip.PrefixFrom(q, q.BitLen()), qerr
			}
			hit = err == nil && perr == nil && p.Masked().Contains(addr)
		case "regex":
			hit = regexp.MustCompile("(?i)" + strings.TrimSuffix(strings.TrimPrefix(e, "/"), "/i")).MatchString(a.Value)
		}
		if hit {
			return true
		}
	}
	return false
}

func load(t interface {
	Helper()
	Fatal(...any)
}, lists []oracleList,
) (*policy.Lists, []policy.ListProblem) {
	t.Helper()
	dir := fstest.MapFS{}
	for i, l := range lists {
		body, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		name := l.Name + ".json"
		if i%2 == 1 {
			name = l.Name + "/list.json"
		}
		dir[name] = &fstest.MapFile{Data: body}
	}
	out, problems, err := policy.LoadLists(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out, problems
}

// TestListsAgainstOracle compares hits with the slow way on small alphabets,
// where collisions are frequent. Which of several names above an entry is
// reported is not compared, only whether any list of stops or warnings is.
func TestListsAgainstOracle(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "b", "cc", "evil", "com", "net", "co"})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 2, 4).Draw(t, "labels"), ".")
	})
	addr := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("45.%d.%d.%d", rapid.IntRange(0, 1).Draw(t, "b"), rapid.IntRange(0, 2).Draw(t, "c"), rapid.IntRange(0, 7).Draw(t, "d"))
	})
	rapid.Check(t, func(t *rapid.T) {
		dotted := rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "."}).Draw(t, "dot") + name.Draw(t, "name")
		})
		cidr := rapid.Custom(func(t *rapid.T) string {
			s := addr.Draw(t, "addr")
			bits := rapid.IntRange(14, 33).Draw(t, "bits")
			if bits == 33 {
				return s
			}
			return netip.MustParsePrefix(fmt.Sprintf("%s/%d", s, bits)).String()
		})
		lists := []oracleList{
			{"alexa", "string", []string{"domain"}, rapid.SliceOfN(name, 0, 4).Draw(t, "strings")},
			{"banks", "hostname", []string{"hostname", "url"}, rapid.SliceOfN(dotted, 0, 4).Draw(t, "hosts")},
			{"ranges", "cidr", []string{"ip-dst"}, rapid.SliceOfN(cidr, 0, 5).Draw(t, "cidrs")},
			{"parts", "substring", []string{"domain"}, rapid.SliceOfN(rapid.SampledFrom([]string{"evil", "b.c", "cc.evil", "a.co", "x"}), 0, 2).Draw(t, "parts")},
			{"exprs", "regex", []string{"domain|ip"}, rapid.SliceOfN(rapid.SampledFrom([]string{"/^a\\.b/i", "/net$/i", "/\\.7$/i"}), 0, 2).Draw(t, "exprs")},
		}
		l, problems := load(t, lists)
		if len(problems) != 0 {
			t.Fatal(problems)
		}
		for range 20 {
			a := observable.Atom{Kind: observable.Domain, Value: name.Draw(t, "value")}
			if rapid.Bool().Draw(t, "address") {
				a = observable.Atom{Kind: observable.Addr, Value: addr.Draw(t, "address value")}
			}
			got := map[string]bool{}
			for _, h := range l.Check(a) {
				got[h.List] = true
			}
			for i := range lists {
				want := lists[i].hits(a)
				above := lists[i].Type == "string" || lists[i].Type == "hostname"
				if got[lists[i].Name] && !want {
					t.Fatalf("%s hits %+v, and has no entry for it", lists[i].Name, a)
				}
				if want && !got[lists[i].Name] && (!above || len(got) == 0) {
					t.Fatalf("%s misses %+v", lists[i].Name, a)
				}
			}
		}
	})
}

func TestListSeverities(t *testing.T) {
	l, _ := load(t, []oracleList{
		{"bank-website", "hostname", []string{"domain", "url"}, []string{".bank.com"}},
		{"tranco10k", "hostname", []string{"domain"}, []string{"github.io"}},
		{"vpn-ipv4", "cidr", []string{"ip-dst"}, []string{"45.1.0.0/16"}},
		{"akamai", "cidr", []string{"ip-dst"}, []string{"45.2.2.0/24"}},
		{"empty-hashes", "string", []string{"md5"}, []string{"D41D8CD98F00B204E9800998ECF8427E"}},
		{"phones", "regex", []string{"phone-number"}, []string{"/x/"}},
	})
	tests := []struct {
		value string
		want  []policy.Hit
	}{
		{"bank.com", []policy.Hit{{"bank-website", "bank.com", indicator.Stop, policy.Institution, 0}}},
		{"www.bank.com", []policy.Hit{{"bank-website", "bank.com", indicator.Stop, policy.Institution, 0}}},
		{"notbank.com", nil},
		{"github.io", []policy.Hit{{"tranco10k", "github.io", indicator.Stop, policy.Popular, 10000}}},
		{"evil.github.io", []policy.Hit{{"tranco10k", "github.io", indicator.Warn, policy.Popular, 10000}}},
		{"https://www.bank.com/x", []policy.Hit{{"bank-website", "bank.com", indicator.Warn, policy.Institution, 0}}},
		{"45.1.2.3", []policy.Hit{{"vpn-ipv4", "45.1.0.0/16", indicator.Warn, policy.VPN, 0}}},
		{"45.2.2.2", []policy.Hit{{"akamai", "45.2.2.0/24", indicator.Stop, policy.CDN, 0}}},
		{"45.2.0.0/16", []policy.Hit{{"akamai", "45.2.2.0/24", indicator.Stop, policy.CDN, 0}}},
		{"d41d8cd98f00b204e9800998ecf8427e", []policy.Hit{{"empty-hashes", "d41d8cd98f00b204e9800998ecf8427e", indicator.Stop, policy.HashOfAll, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.value, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, l.Check(subject(t, tt.value).Atoms[0])); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBadLists(t *testing.T) {
	dir := fstest.MapFS{
		"torn.json":  {Data: []byte(`{"type":"cidr","list":["10.`)},
		"kind.json":  {Data: []byte(`{"type":"magic","matching_attributes":["domain"],"list":["x"]}`)},
		"mixed.json": {Data: []byte(`{"type":"cidr","matching_attributes":["ip-dst"],"list":["45.1.2.0/24","45.1.2.0/99","x"]}`)},
		"regex.json": {Data: []byte(`{"type":"regex","matching_attributes":["domain"],"list":["/(a/i","/a/e","/^ok$/i"]}`)},
		"README.md":  {Data: []byte("no list")},
	}
	l, problems, err := policy.LoadLists(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.List+" "+p.Entry)
	}
	want := []string{"kind ", "mixed 45.1.2.0/99", "mixed x", "regex /(a/i", "regex /a/e", "torn "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(l.Check(subject(t, "45.1.2.3").Atoms[0])) != 1 {
		t.Error("the good entry of a list with bad ones was lost")
	}
}

// TestPublicLists loads the real lists of the MISP project.
func TestPublicLists(t *testing.T) {
	dir := publicLists(t)
	begin := time.Now()
	l, problems, err := policy.LoadLists(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	lists, entries := l.Len()
	t.Logf("%d lists, %d entries, %d problems in %v", lists, entries, len(problems), time.Since(begin))
	if lists < 100 || entries < 400_000 || len(problems) > entries/100 {
		t.Errorf("%d lists, %d entries, %d problems: %v", lists, entries, len(problems), problems[:min(len(problems), 5)])
	}
	for value, list := range map[string]string{
		"google.com": "", "17.1.2.3": "apple", "d41d8cd98f00b204e9800998ecf8427e": "empty-hashes", "162.142.125.9": "censys-scanning",
	} {
		hits := l.Check(subject(t, value).Atoms[0])
		if !slices.ContainsFunc(hits, func(h policy.Hit) bool { return list == "" || h.List == list }) {
			t.Errorf("%s: %v, want %s", value, hits, list)
		}
	}
	begin = time.Now()
	const n = 20_000
	for i := range n {
		l.Check(observable.Atom{Kind: observable.Domain, Value: fmt.Sprintf("host%d.evil-domain%d.com", i, i)})
	}
	t.Logf("%v for each name", time.Since(begin)/n)
}

// publicLists unpacks the public data, which is optional but in CI.
func publicLists(t testing.TB) fs.FS {
	t.Helper()
	data := os.Getenv("ECS_DATA")
	if data == "" {
		data = filepath.Join("..", "..", "..", "..", "shared", "data")
	}
	archive := filepath.Join(data, "misp-warninglists.tar.xz")
	_, err := os.Stat(archive)
	dir := t.TempDir()
	if err == nil {
		err = exec.Command("tar", "-xJf", archive, "-C", dir).Run()
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("the public warning lists are required in CI: %v", err)
		}
		t.Skipf("no public warning lists (set ECS_DATA to the folder that holds misp-warninglists.tar.xz): %v", err)
	}
	return os.DirFS(dir)
}
