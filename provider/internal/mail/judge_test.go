package mail

import (
	"strings"
	"testing"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/match"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// entry makes an indicator that blocks, on the given values.
func entry(change func(*match.Entry), values ...observable.Atom) match.Item {
	e := &match.Entry{
		ID: contract.NewID(), Services: contract.SMTP, Category: contract.Phishing, Action: contract.Quarantine,
		Enforce: true, Display: true, Notify: true, Disclosure: 3, Summary: "known lure", From: 0, Until: 1 << 60,
	}
	if change != nil {
		change(e)
	}
	return match.Item{Entry: e, Atoms: values}
}

func atom(t testing.TB, k observable.Kind, v string) observable.Atom {
	t.Helper()
	a, err := observable.Make(k, v)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func scanned(t testing.TB, set *match.Set, raw string) Verdict {
	t.Helper()
	v, err := Scan(t.Context(), strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")), ScanConfig{Set: set, Sender: "bounce@list.example"})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScan(t *testing.T) {
	pdf := "From: a@b.example\nContent-Type: application/pdf; name=Invoice.PDF\nContent-Transfer-Encoding: base64\n\nTVo=\n"
	for _, c := range []struct {
		name  string
		kind  observable.Kind
		value string
		raw   string
		place mime.Place
		miss  bool
	}{
		{"envelope sender", observable.Mail, "bounce@list.example", "\n", mime.Envelope, false},
		{"envelope sender's domain", observable.Domain, "list.example", "\n", mime.Envelope, false},
		{"sender", observable.Mail, "bad@evil.example", "From: x <BAD@Evil.Example>\n\n", mime.From, false},
		{"sender's parent domain", observable.Domain, "evil.example", "Reply-To: x@mail.evil.example\n\n", mime.ReplyTo, false},
		{"sender's sibling", observable.Domain, "evil.example", "From: x@notevil.example\n\n", mime.From, true},
		{"sender in Unicode", observable.Domain, "bücher.example", "From: x@BÜCHER.example\n\n", mime.From, false},
		{"subject", observable.Subject, "Your invoice 1", "Subject:  Your\n  invoice\t1 \n\n", mime.Subject, false},
		{"encoded subject", observable.Subject, "Grüße", "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\n\n", mime.Subject, false},
		{"subject, more words", observable.Subject, "Your invoice", "Subject: Your invoice 1\n\n", mime.Subject, true},
		{"URL", observable.URL, "http://evil.example/a", "\nhttp://EVIL.example:80/./%61#x\n", mime.BodyURL, false},
		{"URL without scheme", observable.URL, "https://evil.example/a", "\nevil.example/a\n", mime.BodyURL, false},
		{"URL, other path", observable.URL, "http://evil.example/a", "\nhttp://evil.example/b\n", mime.BodyURL, true},
		{"URL's host", observable.Domain, "evil.example", "\nhttp://user:pw@www.evil.example:8080/?q\n", mime.BodyURL, false},
		{"URL of an address", observable.URL, "http://192.0.2.1/x", "\nhttp://3221225985/x\n", mime.BodyURL, false},
		{"host in text", observable.Domain, "evil.example", "\nwww.evil.example.\n", mime.BodyHost, false},
		{"file name", observable.FileName, "invoice.pdf", pdf, mime.AttachmentName, false},
		{"MD5", observable.MD5, "ac6ad5d9b99757c3a878f2d275ace198", pdf, mime.AttachmentDigest, false},
		{"SHA-1", observable.SHA1, "439baa1b33514fb81632aaf44d16a9378c5664fc", pdf, mime.AttachmentDigest, false},
		{"SHA-256", observable.SHA256, "9b8db510ef42b8ed54a3712636fda55a4f8cfcd5493e20b74ab00cd4f3979f2d", pdf, mime.AttachmentDigest, false},
		{"SHA-512", observable.SHA512, "bfcdcb26b6f0c288838da7b0d338c2af63798a2ece9dcd6bc07b7cadf44477e3d5cfbba5b72446c61a1ecf74a0bccc62894ea87a40730cd1d4c2a3e15a7bb55b", pdf, mime.AttachmentDigest, false},
		{"digest of something else", observable.SHA256, strings.Repeat("a", 64), pdf, mime.AttachmentDigest, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := match.Build([]match.Item{entry(nil, atom(t, c.kind, c.value))})
			v := scanned(t, set, c.raw)
			if c.miss {
				if v.Action != Passed {
					t.Errorf("false hit: %+v", v)
				}
				return
			}
			if v.Action != Rejected || len(v.Hits) != 1 {
				t.Fatalf("%s with %+v", v.Action, v.Hits)
			}
			if v.Hits[0].Place != c.place {
				t.Errorf("at %s, want %s", v.Hits[0].Place, c.place)
			}
			if strings.Contains(v.Reply, c.value) || !strings.Contains(v.Reply, v.Hits[0].Indicator.String()) {
				t.Errorf("reply %q", v.Reply)
			}
		})
	}
}

func TestReplyTellsOnlyWhatItMay(t *testing.T) {
	for _, c := range []struct {
		name       string
		marking    contract.TLP
		disclosure uint8
		category   bool
		summary    bool
	}{
		{"occurrence only", contract.Clear, 0, false, false},
		{"category", contract.Clear, 1, true, false},
		{"summary", contract.Clear, 2, true, true},
		{"marked green", contract.Green, 3, false, false},
		{"marked red", contract.Red, 3, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := entry(func(e *match.Entry) { e.Marking, e.Disclosure = c.marking, c.disclosure }).Entry
			r := refusal(e)
			if strings.Contains(r, "phishing") != c.category || strings.Contains(r, "known lure") != c.summary {
				t.Errorf("%q", r)
			}
		})
	}
}

// TestPlainFormsAgree compares the fast spellings with the general ones.
func TestPlainFormsAgree(t *testing.T) {
	for _, c := range []struct {
		name  string
		kind  observable.Kind
		plain func(dst, v []byte) ([]byte, bool)
		gen   *rapid.Generator[string]
	}{
		{"host", observable.Domain, plainHost, rapid.StringMatching(`[a-zA-Z0-9._-]{0,20}\.?[a-zA-Z.-]{0,8}`)},
		{"mail", observable.Mail, plainMail, rapid.StringMatching(`[a-zA-Z0-9._+=%-]{0,10}@?[a-zA-Z0-9.-]{0,12}\.(com|Example|1)?`)},
		{"url", observable.URL, plainURL, rapid.StringMatching(`(http|HTTPS|ftp)://[a-zA-Z0-9.@:-]{0,12}\.(com|Example|1|0x1|)(:[0-9]{0,3})?(/[a-z.%?#&=A-F0-9\\\[\]^_/-]{0,12})?`)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var fast int
			rapid.Check(t, func(t *rapid.T) {
				v := c.gen.Draw(t, "v")
				got, ok := c.plain(nil, []byte(v))
				if !ok {
					return
				}
				want, err := observable.Canonical(c.kind, v)
				if err != nil {
					// Looking up what cannot be an indicator finds nothing.
					return
				}
				fast++
				if string(got) != want {
					t.Fatalf("%q: %q, want %q", v, got, want)
				}
			})
			if fast == 0 {
				t.Error("never on the fast way")
			}
		})
	}
}

func TestHotPathAllocatesNothing(t *testing.T) {
	set := match.Build([]match.Item{entry(nil, atom(t, observable.Domain, "evil.example"))})
	j := &judge{set: set, now: time.Now().Unix()}
	for _, c := range []struct {
		k observable.Kind
		v string
	}{
		{observable.Domain, "WWW.Example.COM"},
		{observable.Mail, "Some.Body+x@example.com"},
		{observable.URL, "https://www.example.com/a/b?c=d&e=f#g"},
		{observable.URL, "www.example.com/a"},
		{observable.SHA256, strings.Repeat("0123456789abcdef", 4)},
	} {
		v := []byte(c.v)
		n := testing.AllocsPerRun(100, func() { j.Find(mime.BodyURL, c.k, v) })
		if n != 0 {
			t.Errorf("%s %s: %v allocations", c.k, c.v, n)
		}
	}
}

func BenchmarkFind(b *testing.B) {
	set := match.Build([]match.Item{entry(nil, atom(b, observable.Domain, "evil.example"))})
	j := &judge{set: set, now: time.Now().Unix()}
	for _, c := range []struct {
		k observable.Kind
		v string
	}{
		{observable.Domain, "www.example.com"}, {observable.Mail, "somebody@example.com"}, {observable.URL, "https://www.example.com/a/b?c=d"},
	} {
		v := []byte(c.v)
		b.Run(c.k.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				j.Find(mime.BodyURL, c.k, v)
			}
		})
	}
}

// TestMissesAreRememberedRightly looks hosts up again and again, in random
// order, listed and not, and compares with a judge that remembers nothing.
func TestMissesAreRememberedRightly(t *testing.T) {
	set := match.Build([]match.Item{entry(nil, atom(t, observable.Domain, "evil.example")), entry(nil, atom(t, observable.Domain, "a.bad.example"))})
	names := []string{"evil.example", "x.evil.example", "a.bad.example", "bad.example", "b.bad.example", "one.example", "two.example", "tow.example", strings.Repeat("long.", 13) + "example", ""}
	rapid.Check(t, func(t *rapid.T) {
		j := &judge{set: set, now: 1}
		want := 0
		seen := map[string]bool{}
		for _, n := range rapid.SliceOf(rapid.SampledFrom(names)).Draw(t, "names") {
			j.Find(mime.BodyHost, observable.Domain, []byte(n))
			e := set.Host(contract.SMTP, 1, []byte(n))
			if e != nil && !seen[e.ID.String()] {
				seen[e.ID.String()] = true
				want++
			}
		}
		if len(j.hits) != want {
			t.Fatalf("%d hits, want %d", len(j.hits), want)
		}
	})
}

func TestDecide(t *testing.T) {
	item := entry(nil)
	hits := []hit{{entry: item.Entry}}
	weak := []hit{{entry: entry(func(e *match.Entry) { e.Enforce = false }).Entry}}
	shadowed := []hit{{entry: entry(func(e *match.Entry) { e.Action = contract.Shadow }).Entry}}
	book := customer.NewBook([]customer.Row{
		{Customer: customer.Customer{ID: 1, Mail: customer.Block, MailAction: customer.Reject}},
		{Customer: customer.Customer{ID: 2, Mail: customer.Block, MailAction: customer.Reject}},
		{Customer: customer.Customer{ID: 3, Mail: customer.Block, MailAction: customer.Quarantine}},
		{Customer: customer.Customer{ID: 4, Mail: customer.Block, MailAction: customer.Tag}},
		{Customer: customer.Customer{ID: 5, Mail: customer.Watch}},
		{Customer: customer.Customer{ID: 6, Mail: customer.Off}},
		{Customer: customer.Customer{ID: 7, Mail: customer.Block, MailAction: customer.Reject}, Exceptions: []contract.ID{item.Entry.ID}},
	})
	const reject, reject2, hold, tag, watch, off, excepted, nobody = 1, 2, 3, 4, 5, 6, 7, 0
	type want struct {
		refuse, drop, tag bool
		hold              []int32
		told              int
	}
	for _, c := range []struct {
		name               string
		hits               []hit
		to                 []int32
		canRemove, canHold bool
		want               want
	}{
		{"one rejects", hits, []int32{reject}, true, true, want{refuse: true, told: 1}},
		{"two customers reject", hits, []int32{reject, reject2, reject}, true, true, want{refuse: true, told: 2}},
		{"one holds", hits, []int32{hold, hold}, true, true, want{drop: true, hold: []int32{hold}, told: 1}},
		{"reject and hold", hits, []int32{reject, hold}, true, true, want{drop: true, hold: []int32{reject, hold}, told: 2}},
		{"reject and nobody", hits, []int32{reject, nobody}, true, true, want{hold: []int32{reject}, told: 1}},
		{"reject and watch", hits, []int32{reject, watch}, true, true, want{hold: []int32{reject}, told: 2}},
		{"hold and tag", hits, []int32{hold, tag}, true, true, want{hold: []int32{hold}, tag: true, told: 2}},
		{"reject and excepted", hits, []int32{reject, excepted}, true, true, want{hold: []int32{reject}, told: 1}},
		{"only excepted", hits, []int32{excepted}, true, true, want{}},
		{"watch", hits, []int32{watch}, true, true, want{told: 1}},
		{"off", hits, []int32{off}, true, true, want{}},
		{"tag", hits, []int32{tag, nobody}, true, true, want{tag: true, told: 1}},
		{"recipients cannot be removed", hits, []int32{hold, nobody}, false, true, want{refuse: true, told: 1}},
		{"cannot be removed, but all hold", hits, []int32{hold, hold}, false, true, want{drop: true, hold: []int32{hold}, told: 1}},
		{"no quarantine", hits, []int32{hold}, true, false, want{refuse: true, told: 1}},
		{"may not enforce", weak, []int32{reject, hold, tag}, true, true, want{told: 3}},
		{"shadow", shadowed, []int32{reject}, true, true, want{told: 1}},
		{"nothing found", nil, []int32{reject, hold}, true, true, want{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var to []recipient
			for _, id := range c.to {
				to = append(to, recipient{owner: book.ByID(id)})
			}
			p := decide(c.hits, to, c.canRemove, c.canHold)
			got := want{refuse: p.refuse, drop: p.drop, tag: p.tag != nil}
			for _, i := range p.hold {
				got.hold = append(got.hold, p.shares[i].owner.ID)
			}
			for _, s := range p.shares {
				got.told += len(s.told)
				for _, x := range s.told {
					if c.name == "shadow" && x.action != contract.Shadow || c.name == "watch" && x.action != contract.Alert {
						t.Errorf("action %s", x.action)
					}
				}
			}
			if d := cmp.Diff(c.want, got, cmp.AllowUnexported(want{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestNobodyIsForgotten checks on random recipients that each of them is either
// delivered to, refused, or held: never dropped, and never delivered to when its
// customer stops the message.
func TestNobodyIsForgotten(t *testing.T) {
	item := entry(nil)
	hits := []hit{{entry: item.Entry}}
	var rows []customer.Row
	for i := range 12 {
		r := customer.Row{Customer: customer.Customer{ID: int32(i + 1), Mail: customer.Policy(i % 3), MailAction: customer.MailAction(i / 3 % 3)}}
		if i >= 9 {
			r.Exceptions = []contract.ID{item.Entry.ID}
		}
		rows = append(rows, r)
	}
	book := customer.NewBook(rows)
	rapid.Check(t, func(t *rapid.T) {
		var to []recipient
		for _, id := range rapid.SliceOfN(rapid.Int32Range(0, 12), 1, 8).Draw(t, "to") {
			to = append(to, recipient{owner: book.ByID(id)})
		}
		remove, hold := rapid.Bool().Draw(t, "remove"), rapid.Bool().Draw(t, "hold")
		p := decide(hits, to, remove, hold)
		if p.refuse {
			if len(p.hold) > 0 {
				t.Fatal("refused and held")
			}
			return
		}
		held := map[*customer.Customer]bool{}
		for _, i := range p.hold {
			held[p.shares[i].owner] = true
		}
		if p.drop != (len(held) > 0 && len(held) == len(p.shares)) {
			t.Fatalf("drop %t with %d of %d held", p.drop, len(held), len(p.shares))
		}
		if len(held) > 0 && !p.drop && !remove {
			t.Fatal("recipients have to be removed and cannot")
		}
		for _, r := range to {
			c := r.owner
			stops := c != nil && c.Mail == customer.Block && c.MailAction != customer.Tag && !c.Excepted(item.Entry.ID)
			if stops != held[c] {
				t.Fatalf("customer %v: stops %t, held %t", c, stops, held[c])
			}
		}
	})
}

// TestHoldable checks that whatever decide holds was spooled.
func TestHoldable(t *testing.T) {
	item := entry(nil)
	other := entry(nil)
	var rows []customer.Row
	for i := range 18 {
		r := customer.Row{Customer: customer.Customer{ID: int32(i + 1), Mail: customer.Policy(i % 3), MailAction: customer.MailAction(i / 3 % 3)}}
		if i >= 9 {
			r.Exceptions = []contract.ID{item.Entry.ID}
		}
		rows = append(rows, r)
	}
	book := customer.NewBook(rows)
	rapid.Check(t, func(t *rapid.T) {
		m := &message{}
		for _, id := range rapid.SliceOfN(rapid.Int32Range(0, 18), 1, 6).Draw(t, "to") {
			m.to = append(m.to, recipient{owner: book.ByID(id)})
		}
		hits := []hit{{entry: item.Entry}, {entry: other.Entry}}[rapid.IntRange(0, 1).Draw(t, "from"):]
		p := decide(hits[:1], m.to, rapid.Bool().Draw(t, "remove"), true)
		if len(p.hold) > 0 && !m.holdable() {
			t.Fatal("has to be held and was not spooled")
		}
	})
}
