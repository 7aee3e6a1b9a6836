//go:build peer

package taxii

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// TestPeer is run by hand, with -tags peer, because no such server can be had from
// packages: it adds objects to a server of others and reads them back. It wants the
// address of an API root and a collection that can be read and written, such as
// ECS_TEST_TAXII_PEER="http://user:pass@127.0.0.1:5000/root/ UUID".
func TestPeer(t *testing.T) {
	at, collection, ok := strings.Cut(os.Getenv("ECS_TEST_TAXII_PEER"), " ")
	if !ok {
		t.Fatal("name a server and a collection in ECS_TEST_TAXII_PEER")
	}
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	c := NewClient(ClientConfig{User: u.User.Username(), Password: password, PageLimit: 7})
	u.User = nil
	root := u.String()
	info, err := c.Root(t.Context(), root)
	if err != nil || len(info.Versions) == 0 {
		t.Fatalf("%+v, %v", info, err)
	}
	want := map[string]int{}
	run := time.Now().Unix()
	for post := range 3 {
		var objects []json.RawMessage
		for n := range 20*post + 1 {
			id := fmt.Sprintf("indicator--%08x-0000-4000-8000-%012d", uint32(run), 100*post+n)
			want[id] = 0
			objects = append(objects, json.RawMessage(fmt.Sprintf(`{"type":"indicator","spec_version":"2.1","id":"%s","created":"2026-01-01T00:00:00.000Z",`+
				`"modified":"2026-01-01T00:00:00.000Z","pattern":"[domain-name:value = 'a.example']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}`, id)))
		}
		st, err := c.Add(t.Context(), root, collection, objects)
		if err != nil {
			t.Fatal(err)
		}
		st, err = c.Await(t.Context(), root, st)
		if err != nil || st.Success != len(objects) || st.Failure != 0 {
			t.Fatalf("%+v, %v", st, err)
		}
	}
	for _, mode := range []string{"one walk", "a walk for each page"} {
		var last time.Time
		for again := true; again; {
			again = false
			for p, err := range c.Pages(t.Context(), root, collection, Filter{AddedAfter: last}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, o := range p.Objects {
					var x struct{ ID string }
					err := json.Unmarshal(o, &x)
					if err != nil {
						t.Fatal(err)
					}
					_, ours := want[x.ID]
					if ours {
						want[x.ID]++
					}
				}
				moved := p.Last.After(last)
				last = p.Last
				if mode != "one walk" && p.More && moved {
					again = true
					break
				}
			}
		}
		for id, n := range want {
			if n == 0 {
				t.Errorf("%s: %s is missing", mode, id)
			}
			want[id] = 0
		}
	}
	st, err := c.Add(t.Context(), root, collection, []json.RawMessage{json.RawMessage(`{"type":"indicator","id":"x"}`)})
	t.Logf("of an object that is none it says %+v, %v", st, err)
}
