package console

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/web/webtest"
)

// multi posts a form with a file, or with a text in its place.
func (s served) multi(t *testing.T, c *http.Client, path string, fields [][2]string, name string, body []byte) (int, string, *url.URL) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	for _, f := range fields {
		must(t, m.WriteField(f[0], f[1]))
	}
	if name != "" {
		f, err := m.CreateFormFile("file", name)
		must(t, err)
		_, _ = f.Write(body)
	}
	must(t, m.Close())
	r, err := c.Post(s.url+path, m.FormDataContentType(), &b)
	status, page := answer(t, r, err)
	return status, page, r.Request.URL
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// fields gives what a browser would send of a page's form.
func fields(t *testing.T, page, action string) url.Values {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	must(t, err)
	out := url.Values{}
	for _, form := range webtest.Find(doc, "form") {
		if webtest.Attr(form, "action") != action {
			continue
		}
		for _, n := range webtest.Find(form, "input") {
			kind := webtest.Attr(n, "type")
			_, checked := attr(n, "checked")
			if name := webtest.Attr(n, "name"); name != "" && (kind != "checkbox" && kind != "radio" || checked) {
				out.Add(name, webtest.Attr(n, "value"))
			}
		}
		for _, n := range webtest.Find(form, "textarea") {
			out.Add(webtest.Attr(n, "name"), webtest.Text(n))
		}
		for _, n := range webtest.Find(form, "select") {
			options := webtest.Find(n, "option")
			value := ""
			for i, o := range options {
				_, selected := attr(o, "selected")
				if selected || i == 0 {
					value = webtest.Attr(o, "value")
				}
			}
			out.Add(webtest.Attr(n, "name"), value)
		}
		return out
	}
	t.Fatalf("no form that goes to %s", action)
	return nil
}

func attr(n *html.Node, key string) (string, bool) {
	i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
	if i < 0 {
		return "", false
	}
	return n.Attr[i].Val, true
}

// messy is a workbook as an analyst gets it: a title, a marking and an empty row above
// the header, columns with names of their own, several values in a cell, defanged
// values, dates of three kinds, a value that is none.
func messy(t *testing.T) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer func() { _ = f.Close() }()
	for i, row := range [][]any{
		{"Incident 2026-044, working list"},
		{"Handling: TLP:GREEN"},
		{},
		{"IOC", "What", "Threat Type", "First seen", "Analyst notes", "Sev"},
		{"hxxp://Update-Check[.]example/load?x=1", "URL", "C2", "2026-11-02", "from proxy logs", 3},
		{"192.0.2[.]14, 192.0.2[.]15", "IP", "C2", "2026-11-03", "same operator", 3},
		{"Mail-Login.EXAMPLE.", "domain", "phishing", "2026-11-05", "", 2},
		{"275A021BBFB6489E54D471899F7DB9D1663FC695EC2FE2A2C4538AABF651FD0F", "hash", "delivery", "2026-11-05", "", 1},
		{"to be checked with Bob", "?", "", "", "", ""},
	} {
		must(t, f.SetSheetRow("Sheet1", "A"+strconv.Itoa(i+1), &row))
	}
	var b bytes.Buffer
	must(t, f.Write(&b))
	return b.Bytes()
}

func TestMessyWorkbookIsTakenInWithThreeRequests(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	file := messy(t)
	// 1: upload. The page that comes back proposes what the columns mean.
	status, page, at := s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, "Incident 044.xlsx", file)
	if status != http.StatusOK || !strings.HasPrefix(at.Path, "/uploads/") {
		t.Fatalf("upload: status %d at %s\n%s", status, at, page)
	}
	webtest.Structure(t, "mapping", page)
	for _, want := range []string{"What the columns mean", "Excel workbook", "Threat Type", "from proxy logs", "the header says", "http://update-check.example/load?x=1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the mapping page lacks %q\n%s", want, page)
		}
	}
	// 2: look again with a change.
	form := fields(t, page, at.Path+"/look")
	form.Set("save", "working list")
	form.Set("words-categories", "c2 = c2")
	status, page = post(t, ann, s.url+at.Path+"/look", form)
	if status != http.StatusOK {
		t.Fatalf("look again: status %d\n%s", status, page)
	}
	webtest.Structure(t, "mapping again", page)
	// 3: take it in.
	form = fields(t, page, at.Path+"/look")
	form.Set("save", "working list")
	status, page = post(t, ann, s.url+at.Path+"/take", form)
	if status != http.StatusOK || !strings.Contains(page, "The delivery is taken in") {
		t.Fatalf("take: status %d\n%s", status, page)
	}
	webtest.Structure(t, "report", page)
	for value, note := range map[string]string{
		"http://update-check.example/load?x=1": "from proxy logs", "192.0.2.14": "same operator", "192.0.2.15": "same operator", "mail-login.example": "",
		"275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f": "",
	} {
		it := s.Find(t, value)
		if it.TLP.String() != "green" || !strings.Contains(it.Context, note) {
			t.Errorf("%s: TLP %s, context %q", value, it.TLP, it.Context)
		}
	}
	if !strings.Contains(page, "to be checked with Bob") {
		t.Error("the report does not show the row that was refused")
	}

	// The next file of the source is read by the mapping by itself, also without the
	// console.
	next := bytes.ReplaceAll([]byte("IOC;What;Threat Type;First seen;Analyst notes;Sev\nnext.example;domain;C2;2026-11-06;;1\n"), []byte("\n"), []byte("\r\n"))
	maps, err := intake.Mappings(t.Context(), s.DB, "cedar")
	if err != nil || len(maps) != 1 || maps[0].Name != "working list" || maps[0].Login != "ann" {
		t.Fatalf("saved mappings: %+v, %v", maps, err)
	}
	rep, err := s.Intake.Submit(t.Context(), intake.Delivery{Source: "cedar", Name: "Incident 045.xlsx", Format: intake.Auto, Submitter: "gil"}, bytes.NewReader(other(t)), nil)
	if err != nil || rep.Accepted != 1 || rep.Mapping == "" {
		t.Errorf("the next workbook: %+v, %v", rep, err)
	}
	_, err = s.Intake.Submit(t.Context(), intake.Delivery{Source: "dogwood", Name: "x.csv", Format: intake.CSV, Submitter: "gil"}, bytes.NewReader(next), nil)
	if err == nil {
		t.Error("another source's file was read by the mapping")
	}
	// The same file again changes nothing, and says so.
	_, page, at = s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, "again.xlsx", file)
	if !strings.Contains(page, "delivered before") || !strings.Contains(page, "working list") {
		t.Errorf("the same file is not recognized\n%s", page)
	}
	_, page = post(t, ann, s.url+at.Path+"/take", fields(t, page, at.Path+"/look"))
	if !strings.Contains(page, "nothing changed") {
		t.Errorf("the same file again\n%s", page)
	}
}

// other is a workbook with the same columns.
func other(t *testing.T) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer func() { _ = f.Close() }()
	for i, row := range [][]any{{"Next incident"}, {}, {}, {"IOC", "What", "Threat Type", "First seen", "Analyst notes", "Sev"}, {"another[.]example", "domain", "C2", "2026-11-06", "", 1}} {
		must(t, f.SetSheetRow("Sheet1", "A"+strconv.Itoa(i+1), &row))
	}
	var b bytes.Buffer
	must(t, f.Write(&b))
	return b.Bytes()
}

const pastedReport = `# Quiet Heron: loaders in November

TLP:GREEN. Our blog is at https://research.example-vendor.example/quiet-heron.

The loader calls hxxps://cdn-sync[.]example/a.bin and then waits.

## Indicators of compromise

- cdn-sync[.]example
- 198.51.100[.]23
- billing(at)overdue-invoice[.]example

## References

- https://www.cisa.gov/news
`

func TestPastedReport(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	status, page := get(t, ann, s.url+"/deliveries/paste")
	if status != http.StatusOK {
		t.Fatalf("paste: status %d", status)
	}
	webtest.Structure(t, "paste", page)
	status, page, _ = s.multi(t, ann, "/deliveries/paste", [][2]string{{"source", "cedar"}, {"format", "auto"}, {"text", " "}}, "", nil)
	if status != http.StatusUnprocessableEntity || !strings.Contains(page, `href="#text"`) {
		t.Errorf("an empty text: status %d", status)
	}
	status, page, at := s.multi(t, ann, "/deliveries/paste", [][2]string{{"source", "cedar"}, {"format", "report"}, {"name", "Quiet Heron"}, {"text", pastedReport}}, "", nil)
	if status != http.StatusOK || !strings.HasPrefix(at.Path, "/uploads/") {
		t.Fatalf("pasted: status %d\n%s", status, page)
	}
	webtest.Structure(t, "candidates", page)
	for _, want := range []string{"cdn-sync.example", "198.51.100.23", "billing@overdue-invoice.example", "TLP:GREEN", "references", "To the privacy gate"} {
		if !strings.Contains(page, want) {
			t.Errorf("the candidates lack %q", want)
		}
	}
	form := fields(t, page, at.Path+"/look")
	taken := form["take"]
	if !slices.Contains(taken, "cdn-sync.example") || slices.Contains(taken, "https://www.cisa.gov/news") {
		t.Errorf("proposed: %q", taken)
	}
	// The analyst leaves one, takes another, and looks again: the choice is kept.
	form["take"] = append(slices.DeleteFunc(taken, func(v string) bool { return v == "198.51.100.23" }), "https://www.cisa.gov/news")
	_, page = post(t, ann, s.url+at.Path+"/look", form)
	form = fields(t, page, at.Path+"/look")
	if slices.Contains(form["take"], "198.51.100.23") || !slices.Contains(form["take"], "https://www.cisa.gov/news") {
		t.Errorf("after looking again: %q", form["take"])
	}
	status, page = post(t, ann, s.url+at.Path+"/take", form)
	if status != http.StatusOK || !strings.Contains(page, "The delivery is taken in") {
		t.Fatalf("take: status %d\n%s", status, page)
	}
	webtest.Structure(t, "report of a report", page)
	if it := s.Find(t, "cdn-sync.example"); it.TLP.String() != "green" || it.State != indicator.PendingFirst {
		t.Errorf("cdn-sync.example: %s, %s", it.TLP, it.State)
	}
	_, page = get(t, ann, s.url+"/indicators?q=198.51.100.23")
	if strings.Contains(page, `href="/indicators/indicator--`) {
		t.Error("a value that was left out was taken in")
	}
	// The same text with another choice is another reading.
	_, page, at = s.multi(t, ann, "/deliveries/paste", [][2]string{{"source", "cedar"}, {"format", "report"}, {"name", "again"}, {"text", pastedReport}}, "", nil)
	_, _ = post(t, ann, s.url+at.Path+"/take", fields(t, page, at.Path+"/look"))
	s.Find(t, "198.51.100.23")
}

func TestUploadsOfEachFormat(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	const id = "--00000000-0000-4000-8000-00000000000"
	for _, tt := range []struct{ name, file, body, format, value string }{
		{"stix", "b.json", `{"type":"bundle","id":"bundle` + id + `1","objects":[{"type":"malware","spec_version":"2.1","id":"malware` + id + `2","created":"2026-11-01T00:00:00Z","modified":"2026-11-01T00:00:00Z","name":"Quiet Heron","is_family":true},{"type":"indicator","spec_version":"2.1","id":"indicator` + id + `3","created":"2026-11-01T00:00:00Z","modified":"2026-11-01T00:00:00Z","pattern":"[domain-name:value = 'From-STIX.example']","pattern_type":"stix","valid_from":"2026-11-01T00:00:00Z"}]}`, "STIX 2.1 or 2.0", "from-stix.example"},
		{"misp", "event.json", `{"Event":{"uuid":"5f0c1e2a-1111-4222-8333-444455556666","info":"Heron","date":"2026-11-01","timestamp":"1793836800","Attribute":[{"uuid":"5f0c1e2a-1111-4222-8333-444455556667","type":"domain","category":"Network activity","value":"from-misp.example","to_ids":true,"timestamp":"1793836800"}]}}`, "MISP event", "from-misp.example"},
		{"list", "bad.txt", "# names\nfrom-list.example\nfrom-list-2[.]example\nfrom-list-3.example\n", "Plain list", "from-list-2.example"},
		{"hosts", "hosts", "# block\n0.0.0.0 from-hosts.example\n0.0.0.0 more-hosts.example\n", "Hosts file", "from-hosts.example"},
		{"zeek", "intel.dat", "#fields\tindicator\tindicator_type\tmeta.source\nfrom-zeek.example\tIntel::DOMAIN\tlab\n", "Zeek", "from-zeek.example"},
		{"suricata", "x.rules", "alert dns any any -> any any (msg:\"x\"; dns.query; content:\"from-rules.example\"; endswith; sid:1;)\n", "Suricata", "from-rules.example"},
		{"rpz", "db.rpz", "$TTL 60\n@ SOA ns.example. h.example. 1 60 60 60 60\n@ NS ns.example.\nfrom-rpz.example CNAME .\n", "Response policy zone", "from-rpz.example"},
		{"csv", "own.csv", "value,category\nfrom-csv.example,c2\n", "Table: CSV", "from-csv.example"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, page, at := s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, tt.file, []byte(tt.body))
			if status != http.StatusOK || !strings.HasPrefix(at.Path, "/uploads/") || !strings.Contains(page, tt.format) || !strings.Contains(page, tt.value) {
				t.Fatalf("upload: status %d at %s\n%s", status, at, page)
			}
			webtest.Structure(t, tt.name, page)
			status, page = post(t, ann, s.url+at.Path+"/take", fields(t, page, at.Path+"/look"))
			if status != http.StatusOK || !strings.Contains(page, "The delivery is taken in") {
				t.Fatalf("take: status %d\n%s", status, page)
			}
			s.Find(t, tt.value)
		})
	}
	all, err := intake.BatchesOf(t.Context(), s.DB, intake.BatchFilter{Source: "cedar", Limit: 50})
	must(t, err)
	for _, b := range all {
		if b.Name != "b.json" {
			continue
		}
		_, page := get(t, ann, s.url+"/deliveries/"+b.ID+"/objects")
		webtest.Structure(t, "objects", page)
		if !strings.Contains(page, "Quiet Heron") {
			t.Error("the malware of the bundle is not shown")
		}
		_, page = get(t, ann, s.url+"/deliveries/"+b.ID+"/changes")
		webtest.Structure(t, "changes", page)
		if !strings.Contains(page, "From-STIX.example") || !strings.Contains(page, "from-stix.example") {
			t.Errorf("the changed spelling is not shown\n%s", page)
		}
	}
}

func TestUploadIsItsSendersAlone(t *testing.T) {
	s := serve(t)
	ann, abe := s.client(t, "ann"), s.client(t, "abe")
	_, page, at := s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, "x.csv", []byte("value\nmine.example\n"))
	if !strings.Contains(page, "mine.example") {
		t.Fatal("no preview")
	}
	status, page := get(t, abe, s.url+at.Path)
	if status != http.StatusNotFound || strings.Contains(page, "mine.example") {
		t.Errorf("somebody else's upload: status %d", status)
	}
	for _, act := range []string{"look", "take", "drop"} {
		status, _ = post(t, abe, s.url+at.Path+"/"+act, nil)
		if status != http.StatusNotFound {
			t.Errorf("%s of somebody else's upload: status %d", act, status)
		}
	}
	_, page = get(t, ann, s.url+"/deliveries")
	if !strings.Contains(page, at.Path) {
		t.Error("an upload that waits is not on the page of deliveries")
	}
	_, page = post(t, ann, s.url+at.Path+"/drop", nil)
	if !strings.Contains(page, "The upload is dropped") || strings.Contains(page, at.Path) {
		t.Error("the upload is not dropped")
	}
}

func TestRefusalsAsFiles(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	rep := s.Deliver(t, "cedar", "bad.csv", "value,type\n=cmd|x,domain\nfine.example,domain\n;;;,domain\n")
	r, err := ann.Get(s.url + "/deliveries/" + rep.ID + "/refusals?as=csv")
	_, text := answer(t, r, err)
	if !strings.HasPrefix(text, "item,place,code,reason,excerpt\n") || strings.Contains(text, ",=cmd") || !strings.Contains(text, "'=cmd") || strings.Count(text, "\n") != 3 {
		t.Errorf("CSV:\n%s", text)
	}
	r, err = ann.Get(s.url + "/deliveries/" + rep.ID + "/refusals?as=json")
	_, text = answer(t, r, err)
	if !strings.HasPrefix(text, "[") || strings.Count(text, `"code"`) != 2 {
		t.Errorf("JSON:\n%s", text)
	}
	status, _ := get(t, s.client(t, "rita"), s.url+"/deliveries/"+rep.ID+"/refusals?as=json")
	if status != http.StatusForbidden {
		t.Errorf("to a release authority: status %d", status)
	}
}

// What the demonstration gives people to try is read as they are told.
func TestDeliveriesOfTheDemonstration(t *testing.T) {
	s := serve(t)
	ann := s.client(t, "ann")
	for name, values := range map[string][]string{
		"messy.csv":  {"http://update-service.example/get.php?id=7", "192.0.2.41", "192.0.2.42", "mail-gateway.example", "198.51.100.64/27", "invoices@overdue-payments.example"},
		"report.txt": {"cdn-parcel.example", "203.0.113.77", "billing@invoice-desk.example", "https://cdn-parcel.example/label.iso"},
	} {
		body, err := os.ReadFile("../../../cmd/ecs/internal/demo/" + name)
		must(t, err)
		_, page, at := s.multi(t, ann, "/deliveries", [][2]string{{"source", "cedar"}, {"format", "auto"}}, name, body)
		status, page := post(t, ann, s.url+at.Path+"/take", fields(t, page, at.Path+"/look"))
		if status != http.StatusOK || !strings.Contains(page, "The delivery is taken in") {
			t.Fatalf("%s: status %d\n%s", name, status, page)
		}
		for _, v := range values {
			if it := s.Find(t, v); it.TLP.String() != "green" {
				t.Errorf("%s: %s is TLP:%s", name, v, it.TLP)
			}
		}
		_, page = get(t, ann, s.url+"/indicators?q=www.microsoft.com")
		if strings.Contains(page, `href="/indicators/indicator--`) {
			t.Error("a harmless name of the report was taken in")
		}
	}
}
