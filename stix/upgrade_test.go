package stix

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// old makes an object of STIX 2.0.
func old(typ, members string) string {
	return strings.Replace(sample(typ, members), `,"spec_version":"2.1"`, "", 1)
}

// members gives the properties of an object but those of all in these tests.
func membersOf(o *Object) string {
	d := &Draft{}
	for name, v := range o.Value().Members() {
		switch name {
		case "type", "id", "spec_version", "created", "modified":
		default:
			d.set(name, v.Canonical())
		}
	}
	out, err := d.Append(nil)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

func TestUpgrade(t *testing.T) {
	const red, green = `"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"`, `"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"`
	for _, c := range []struct{ name, typ, in, want string }{
		{
			"indicator", "indicator", `"labels":["malicious-activity","mine"],"pattern":"[file:hashes.ssdeep = 'x']","valid_from":"2020-01-01T00:00:00Z","x_own":{"b":1,"a":2}`,
			`{"indicator_types":["malicious-activity"],"labels":["mine"],"pattern":"[file:hashes.SSDEEP = 'x']","pattern_type":"stix","pattern_version":"2.1","valid_from":"2020-01-01T00:00:00Z","x_own":{"a":2,"b":1}}`,
		},
		{
			"indicator with a bad pattern", "indicator", `"labels":["benign"],"pattern":"[file:name = 'x","valid_from":"2020-01-01T00:00:00Z"`,
			`{"indicator_types":["benign"],"pattern":"[file:name = 'x","pattern_type":"stix","pattern_version":"2.0","valid_from":"2020-01-01T00:00:00Z"}`,
		},
		{
			"indicator in another language", "indicator", `"pattern":"alert [","pattern_type":"snort","valid_from":"2020-01-01T00:00:00Z"`,
			`{"pattern":"alert [","pattern_type":"snort","valid_from":"2020-01-01T00:00:00Z"}`,
		},
		{"malware", "malware", `"name":"n","labels":["trojan"]`, `{"is_family":false,"malware_types":["trojan"],"name":"n"}`},
		{"malware family", "malware", `"name":"n","is_family":true`, `{"is_family":true,"name":"n"}`},
		{"tool", "tool", `"name":"n","labels":["remote-access"]`, `{"name":"n","tool_types":["remote-access"]}`},
		{"threat actor", "threat-actor", `"name":"n","labels":["spy"],"roles":["agent"]`, `{"name":"n","roles":["agent"],"threat_actor_types":["spy"]}`},
		{
			"report", "report", `"name":"n","labels":["campaign"],"published":"2020-01-01T00:00:00Z","object_refs":["` + idA + `"]`,
			`{"name":"n","object_refs":["` + idA + `"],"published":"2020-01-01T00:00:00Z","report_types":["campaign"]}`,
		},
		{"identity", "identity", `"name":"n","identity_class":"group","labels":["retailer"],"sectors":["defence"]`, //nolint:misspell // the word of STIX 2.0
			`{"identity_class":"group","name":"n","roles":["retailer"],"sectors":["defense"]}`},
		{"labels without types", "campaign", `"name":"n","labels":["a"]`, `{"labels":["a"],"name":"n"}`},
		{
			"selectors", "tool", `"name":"n","labels":["mine","remote-access"],"granular_markings":[{"marking_ref":` + red + `,"selectors":["labels.[1]","name"]},{"marking_ref":` + green + `,"selectors":["labels"]}]`,
			`{"granular_markings":[{"marking_ref":` + red + `,"selectors":["tool_types.[0]","name"]},{"marking_ref":` + green + `,"selectors":["tool_types","labels"]}],"labels":["mine"],"name":"n","tool_types":["remote-access"]}`,
		},
		{"marking", "marking-definition", `"definition_type":"statement","definition":{"statement":"s"}`, `{"definition":{"statement":"s"},"definition_type":"statement"}`},
		{"another type", "x-other", `"x_a":[1.0]`, `{"x_a":[1]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := parse(t, old(c.typ, c.in))
			u, err := Upgrade(o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, membersOf(u.Object)); diff != "" {
				t.Error(diff)
			}
			if u.Object.SpecVersion != "2.1" || u.Object.ID != o.ID || !u.Object.Created.Equal(o.Created) {
				t.Errorf("%s", u.Object.Raw)
			}
			for _, f := range u.Object.Check() {
				if f.Name != "x_a" {
					t.Error(f)
				}
			}
			again, err := Upgrade(u.Object)
			if err != nil || again.Object != u.Object {
				t.Error("an object of 2.1 changed", err)
			}
		})
	}
}

func TestUpgradeObserved(t *testing.T) {
	const red = `"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"`
	o := parse(t, old("observed-data", `"first_observed":"2020-01-01T00:00:00Z","last_observed":"2020-01-01T00:00:00Z","number_observed":2,"x_own":1,
"granular_markings":[{"marking_ref":`+red+`,"selectors":["objects.3"]}],"objects":{
"0":{"type":"domain-name","value":"example.com","resolves_to_refs":["1"]},
"1":{"type":"ipv4-addr","value":"198.51.100.3"},
"2":{"type":"network-traffic","src_ref":"1","dst_ref":"0","protocols":["tcp"],"src_port":5},
"3":{"type":"process","pid":5,"created":"2020-01-01T00:00:00Z","binary_ref":"4","x_more":true},
"4":{"type":"file","name":"foo.exe","hashes":{"ssdeep":"x","MD5":"8d98a25e9d0662b1f4ca3bf22d6f53e9"},"created":"2020-01-01T00:00:00Z","parent_directory_ref":"5","contains_refs":["1","gone"]},
"5":{"type":"directory","path":"/tmp","accessed":"2020-01-01T00:00:00Z"},
"6":{"type":"user-account","user_id":"u","password_last_changed":"2020-01-01T00:00:00Z"},
"7":{"type":"windows-registry-key","key":"HKLM","modified":"2020-01-01T00:00:00Z"},
"8":{"type":"x-own","value":"v"},
"9":{"type":"ipv4-addr","value":"198.51.100.3"},
"10":{"type":"ipv4-addr","value":"198.51.100.3","x_more":1}}`))
	u, err := Upgrade(o)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, s := range u.Observables {
		for _, f := range s.Check() {
			if s.Type != "x-own" && !strings.Contains(f.Error(), "gone") {
				t.Errorf("%s: %v", s.Raw, f)
			}
		}
		got[s.ID] += membersOf(s)
		want, err := ObservableID(s.Raw)
		if err == nil && want != s.ID {
			t.Errorf("%s has the identifier %s", want, s.ID)
		}
	}
	const marked = `"object_marking_refs":[` + red + `]`
	const ip, domain = "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4", "domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7"
	ids := map[string]string{}
	for id := range got {
		ids[TypeOf(id)] = id
	}
	want := map[string]string{
		domain:                 `{` + marked + `,"resolves_to_refs":["` + ip + `"],"value":"example.com"}`,
		ip:                     `{` + marked + `,"value":"198.51.100.3"}{` + marked + `,"value":"198.51.100.3","x_more":1}`,
		ids["network-traffic"]: `{"dst_ref":"` + domain + `",` + marked + `,"protocols":["tcp"],"src_port":5,"src_ref":"` + ip + `"}`,
		ids["process"]:         `{"created_time":"2020-01-01T00:00:00Z","image_ref":"` + ids["file"] + `",` + marked + `,"pid":5,"x_more":true}`,
		ids["file"]: `{"contains_refs":["` + ip + `","gone"],"ctime":"2020-01-01T00:00:00Z","hashes":{"MD5":"8d98a25e9d0662b1f4ca3bf22d6f53e9","SSDEEP":"x"},"name":"foo.exe",` + marked +
			`,"parent_directory_ref":"` + ids["directory"] + `"}`,
		ids["directory"]:            `{"atime":"2020-01-01T00:00:00Z",` + marked + `,"path":"/tmp"}`,
		ids["user-account"]:         `{"credential_last_changed":"2020-01-01T00:00:00Z",` + marked + `,"user_id":"u"}`,
		ids["windows-registry-key"]: `{"key":"HKLM","modified_time":"2020-01-01T00:00:00Z",` + marked + `}`,
		ids["x-own"]:                `{` + marked + `,"value":"v"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	refs, _ := u.Object.Get("object_refs").Strings()
	if len(refs) != 9 || refs[0] != domain || u.Object.Get("objects").Ok() || u.Object.Get("x_own").Kind() != Number || u.Object.Markings[0] != strings.Trim(red, `"`) {
		t.Errorf("%s", u.Object.Raw)
	}
	if len(u.Notes) != 3 { // the marking, what is gone, and the address twice
		t.Errorf("notes: %q", u.Notes)
	}
	for _, f := range u.Object.Check() {
		t.Error(f)
	}
	again, err := Upgrade(parse(t, string(o.Raw)))
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range again.Observables {
		if string(s.Raw) != string(u.Observables[i].Raw) {
			t.Errorf("not the same again: %s", s.Raw)
		}
	}
}

func TestUpgradeRefused(t *testing.T) {
	for name, objects := range map[string]string{
		"circle":        `{"0":{"type":"network-traffic","src_ref":"1","protocols":["tcp"]},"1":{"type":"network-traffic","src_ref":"0","protocols":["tcp"]}}`,
		"itself":        `{"0":{"type":"network-traffic","src_ref":"0","protocols":["tcp"]}}`,
		"no type":       `{"0":{"value":"x"}}`,
		"no object":     `{"0":5}`,
		"type of dots":  `{"0":{"type":"..","value":"x"}}`,
		"twice renamed": `{"0":{"type":"file","name":"n","created":1,"ctime":2},"1":{"type":5}}`,
	} {
		u, err := Upgrade(parse(t, old("observed-data", `"objects":`+objects)))
		if err == nil {
			t.Errorf("%s: %s", name, u.Object.Raw)
		}
	}
	// What refers to each other by other properties is no circle.
	u, err := Upgrade(parse(t, old("observed-data", `"objects":{"0":{"type":"process","parent_ref":"1"},"1":{"type":"process","child_refs":["0"]}}`)))
	if err != nil || len(u.Observables) != 2 {
		t.Error(err)
	}
}

func TestUpgradePattern(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"[file:name = 'a']", "[file:name = 'a']"},
		{"[file:created > t'2020-01-01T00:00:00Z']", "[file:ctime > t'2020-01-01T00:00:00Z']"},
		{"[file:hashes.'ssdeep' = 'ssdeep' OR file:hashes.MD5 = 'created']", "[file:hashes.'SSDEEP' = 'ssdeep' OR file:hashes.MD5 = 'created']"},
		{"[process:binary_ref.created = 'x' AND process:created = 'y']", "[process:image_ref.ctime = 'x' AND process:created_time = 'y']"},
		{"[file:contains_refs[*].modified = 'x']", "[file:contains_refs[*].mtime = 'x']"},
		{"[file:extensions.'windows-pebinary-ext'.sections[*].hashes.ssdeep = 'x']", "[file:extensions.'windows-pebinary-ext'.sections[*].hashes.SSDEEP = 'x']"},
		{"[file:created_by = 'x']", "[file:created_by = 'x']"},
		{"[x-own:created = 'x']", "[x-own:created = 'x']"},
		{"[user-account:password_last_changed = 'it\\'s [']", "[user-account:credential_last_changed = 'it\\'s [']"},
		{"([url:value='x']) START '2020-01-01T00:00:00Z' STOP '2020-01-02T00:00:00Z'", "([url:value='x']) START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'"},
		{"[url:value='x'] START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'", "[url:value='x'] START t'2020-01-01T00:00:00Z' STOP t'2020-01-02T00:00:00Z'"},
	} {
		got, err := UpgradePattern(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{"[file:name = 'x", "[file:name = 'x'", "[url:value='x'] START 'noon' STOP 'one'", "[file:hashes[0 = 'x'", "[file:hashes.'x"} {
		got, err := UpgradePattern(bad)
		if err == nil {
			t.Errorf("%s: %s", bad, got)
		}
	}
}

func FuzzUpgrade(f *testing.F) {
	f.Add([]byte(old("indicator", `"labels":["benign","x"],"pattern":"[file:hashes.ssdeep = 'x'] START '2020-01-01T00:00:00Z' STOP 't'","valid_from":"2020-01-01T00:00:00Z","granular_markings":[{"lang":"en","selectors":["labels.[1]"]}]`)))
	f.Add([]byte(old("observed-data", `"objects":{"0":{"type":"process","binary_ref":"1","child_refs":["0"]},"1":{"type":"file","hashes":{"ssdeep":"x"},"name":"n"},"2":{"type":"network-traffic","src_ref":"2"}}`)))
	f.Add([]byte(old("malware", `"name":"n","labels":["trojan"],"created_by_ref":"`+idA+`"`)))
	f.Fuzz(func(t *testing.T, in []byte) {
		o, err := ParseObject(in)
		if err != nil {
			return
		}
		u, err := Upgrade(o)
		if err != nil {
			return
		}
		if u.Object.SpecVersion != "2.1" || u.Object.ID != o.ID || o.SpecVersion == "2.1" && u.Object != o {
			t.Fatalf("%s became %s", in, u.Object.Raw)
		}
		for _, x := range append(u.Observables, u.Object) {
			_ = x.Check()
			_ = x.Name()
			for _, r := range x.Refs() {
				if r.Path != "" && x.Select(r.Path).Str() != r.ID && !strings.ContainsAny(r.Path, ".[") {
					t.Fatalf("%s is not at %s of %s", r.ID, r.Path, x.Raw)
				}
			}
		}
	})
}
