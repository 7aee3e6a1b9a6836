package door

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/contract"
	"ecs/hub/internal/decision"
	"ecs/internal/sqldb"
	"ecs/taxii"
)

// taxii answers below /taxii2/: discovery, and the API root of the caller, which
// is /taxii2/PROVIDER/. Another provider's root is answered like one that does
// not exist.
func (d *Door) taxii(w http.ResponseWriter, r *http.Request) {
	c, err := d.who(r)
	if err != nil {
		d.taxiiFail(w, r, err)
		return
	}
	root := "/taxii2/" + c.provider.ID + "/"
	if strings.TrimSuffix(r.URL.Path, "/") == root+"checkpoint" {
		d.getCheckpoint(w, r, c)
		return
	}
	s, err := taxii.NewServer(taxii.Config{
		Backend: &library{db: d.cfg.DB}, Title: "Indicators in force for " + c.provider.Name,
		Description: "Indicators that the program released to this provider. See " + root + "checkpoint for the signed statement of what is in force.",
		Path:        root, Key: d.cfg.NextKey, Log: d.cfg.Log,
	})
	if err != nil {
		d.taxiiFail(w, r, err)
		return
	}
	seen := &status{ResponseWriter: w, code: http.StatusOK}
	s.ServeHTTP(seen, r.WithContext(taxii.WithClient(r.Context(), c.provider.ID)))
	d.count.answer(r.URL.Path, seen.code)
}

// status notes the status of an answer.
type status struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements [http.ResponseWriter].
func (s *status) WriteHeader(code int) {
	s.code = code
	s.ResponseWriter.WriteHeader(code)
}

// taxiiFail gives a refusal in TAXII's form (section 3.6.1).
func (d *Door) taxiiFail(w http.ResponseWriter, r *http.Request, err error) {
	p, known := d.problem(err)
	if !known {
		d.failWith(w, r, err)
		return
	}
	d.count.answer(r.URL.Path, p.Status)
	if p.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Mutual realm="ecs"`)
	}
	w.Header().Set("Content-Type", taxii.MediaType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(taxii.Error{
		Title: p.Message, Description: p.Next, Code: p.Code, Status: strconv.Itoa(p.Status),
	})
}

// noEntries is above every sequence number: the page then has only the
// checkpoint.
const noEntries = 1 << 61

// getCheckpoint serves the signed note of the list in force beside the
// collections, so that a TAXII client can check what it has.
func (d *Door) getCheckpoint(w http.ResponseWriter, r *http.Request, c caller) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		d.fail(w, r, Problem{http.StatusMethodNotAllowed, "method", "This path takes GET.", "Use GET."})
		return
	}
	page, err := d.cfg.Releases.Changes(r.Context(), c.provider.ID, noEntries, 1)
	if err != nil {
		d.taxiiFail(w, r, err)
		return
	}
	d.count.answer(r.URL.Path, http.StatusOK)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(page.Checkpoint))
}

// library is a [taxii.Backend] over the tables "object", "entry" and "companion": a
// provider sees the versions that its own log names, as far as its terms of this
// moment permit them, and what stands beside them. Of what was taken back from it
// there is only the version that says so.
type library struct {
	db  *sqldb.DB
	now func() time.Time // time.Now when nil
}

// collections of each provider: everything, and what each service may use.
var shelves = []struct {
	alias, title string
	services     contract.Services
}{
	{"indicators", "All indicators", contract.AllServices},
	{"dns", "Indicators for DNS sinkholing", contract.DNS},
	{"smtp", "Indicators for SMTP filtering", contract.SMTP},
	{"netflow", "Indicators for NetFlow analysis", contract.NetFlow},
}

// collectionID is a UUID (version 5) of the provider and the collection's alias.
func collectionID(provider, alias string) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("ecs:provider/"+provider))
	return uuid.NewSHA1(space, []byte("collection/"+alias)).String()
}

// Collections implements [taxii.Backend].
func (*library) Collections(_ context.Context, client string) ([]taxii.Collection, error) {
	var out []taxii.Collection
	for _, s := range shelves {
		out = append(out, taxii.Collection{
			ID: collectionID(client, s.alias), Alias: s.alias, Title: s.title, CanRead: true,
			MediaTypes: []string{"application/stix+json;version=2.1"},
		})
	}
	slices.SortFunc(out, func(a, b taxii.Collection) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// Objects implements [taxii.Backend]. An object's date_added is that of its
// version, which is written in one transaction with the log entries that name
// it, strictly rising (hub/internal/release).
func (l *library) Objects(ctx context.Context, client, collection string, q taxii.Query) (taxii.Page, error) {
	var services contract.Services
	for _, s := range shelves {
		if collectionID(client, s.alias) == collection {
			services = s.services
		}
	}
	if services == 0 {
		return taxii.Page{}, taxii.ErrNotFound
	}
	if len(q.SpecVersions) > 0 && !slices.Contains(q.SpecVersions, "2.1") {
		return taxii.Page{}, nil // the hub releases STIX 2.1 alone
	}
	may, err := l.may(ctx, client)
	if err != nil {
		return taxii.Page{}, err
	}
	query, args := objectsQuery(client, services, may, q)
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return taxii.Page{}, fmt.Errorf("door: objects: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out taxii.Page
	for rows.Next() {
		var r taxii.Record
		var version, added int64
		var body string
		err = rows.Scan(&r.ID, &version, &added, &body)
		if err != nil {
			return taxii.Page{}, fmt.Errorf("door: objects: %w", err)
		}
		if len(out.Records) == q.Limit {
			out.More = true
			break
		}
		r.Version, r.Added = sqldb.FromTime(version), sqldb.FromTime(added)
		if q.Bodies {
			r.Body = json.RawMessage(body)
		}
		out.Records = append(out.Records, r)
	}
	return out, rows.Err()
}

// terms are what a provider may have of its collections.
type terms struct {
	services contract.Services // that it is accredited for
	beyond   []int64           // handlings that it may not hold
}

// may asks what the provider may have now. One that has left the program never gets
// here: its certificate is not good any more.
func (l *library) may(ctx context.Context, provider string) (terms, error) {
	p, err := decision.Get(ctx, l.db, provider)
	if err != nil {
		return terms{}, fmt.Errorf("door: terms of %s: %w", provider, err)
	}
	all, err := decision.Handlings(ctx, l.db)
	if err != nil {
		return terms{}, fmt.Errorf("door: terms of %s: %w", provider, err)
	}
	now := time.Now
	if l.now != nil {
		now = l.now
	}
	t := terms{services: p.Services}
	for n, beyond := range p.Beyond(all, now()) {
		if beyond {
			t.beyond = append(t.beyond, n)
		}
	}
	slices.Sort(t.beyond)
	return t, nil
}

// statement is a query that is being written.
type statement struct{ args []any }

func (s *statement) arg(v any) string {
	s.args = append(s.args, v)
	return "$" + strconv.Itoa(len(s.args))
}

func marks[T any](s *statement, values []T) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = s.arg(v)
	}
	return strings.Join(out, ", ")
}

// objectsQuery writes the statement for what [taxii.Select] defines, over the
// versions that the provider may have.
func objectsQuery(provider string, services contract.Services, may terms, q taxii.Query) (string, []any) {
	s := &statement{}
	who := s.arg(provider)
	var parts []string
	if len(q.Types) == 0 || slices.Contains(q.Types, "indicator") {
		parts = append(parts, objectsPart(s, named(s, who, services, may), q))
	}
	if len(q.Types) != 1 || q.Types[0] != "indicator" {
		parts = append(parts, besidePart(s, who, q))
	}
	return strings.Join(parts, " UNION ALL ") + " ORDER BY 3 LIMIT " + s.arg(int64(q.Limit)+1), s.args
}

// named writes the condition under which a version is in the collection: an entry
// for its services names it, or one that takes out of force what such an entry had
// brought; and when it is not blank, the object was not taken back from the provider
// since and is within its terms.
func named(s *statement, who string, services contract.Services, may terms) func(object string) string {
	which, shelf := s.arg(int64(services&may.services)), s.arg(int64(services))
	permitted := ""
	if len(may.beyond) > 0 {
		permitted = ` AND (SELECT i.handling FROM item i WHERE i.id = %[1]s.item) NOT IN (` + marks(s, may.beyond) + `)`
	}
	return func(object string) string {
		return fmt.Sprintf(`EXISTS (SELECT 1 FROM entry e WHERE e.provider = `+who+` AND e.item = %[1]s.item AND e.modified = %[1]s.modified
			AND ((e.services & `+which+`) <> 0 OR (e.services = 0 AND EXISTS (SELECT 1 FROM entry b
				WHERE b.provider = `+who+` AND b.item = e.item AND b.seq < e.seq AND (b.services & `+shelf+`) <> 0))))
			AND (%[1]s.blank OR (NOT EXISTS (SELECT 1 FROM entry l JOIN object t ON t.item = l.item AND t.modified = l.modified
				WHERE l.provider = `+who+` AND l.item = %[1]s.item AND t.blank
				AND l.seq = (SELECT max(m.seq) FROM entry m WHERE m.provider = `+who+` AND m.item = %[1]s.item))`+permitted+`))`, object)
	}
}

// objectsPart asks for release objects.
func objectsPart(s *statement, named func(string) string, q taxii.Query) string {
	body := "''"
	if q.Bodies {
		body = "o.body"
	}
	text := "SELECT o.item, o.modified, o.added, " + body + " FROM object o WHERE o.added > " + s.arg(micro(q.After)) + " AND " + named("o")
	if len(q.IDs) > 0 {
		text += " AND o.item IN (" + marks(s, q.IDs) + ")"
	}
	v := q.Version
	if !v.All {
		var or []string
		if v.First {
			or = append(or, "NOT EXISTS (SELECT 1 FROM object x WHERE x.item = o.item AND x.modified < o.modified AND "+named("x")+")")
		}
		if v.Last || (!v.First && len(v.At) == 0) {
			or = append(or, "NOT EXISTS (SELECT 1 FROM object x WHERE x.item = o.item AND x.modified > o.modified AND "+named("x")+")")
		}
		for _, at := range v.At {
			or = append(or, "o.modified = "+s.arg(micro(at)))
		}
		text += " AND (" + strings.Join(or, " OR ") + ")"
	}
	return text
}

// besidePart asks for companions, each of which has one version: a relationship as
// long as the provider has the object that it begins at.
func besidePart(s *statement, who string, q taxii.Query) string {
	body := "''"
	if q.Bodies {
		body = "c.body"
	}
	text := "SELECT c.id, c.modified, c.added, " + body + " FROM companion c WHERE c.provider = " + who + " AND c.added > " + s.arg(micro(q.After)) +
		` AND (c.item = '' OR (SELECT e.services FROM entry e WHERE e.provider = ` + who + ` AND e.item = c.item ORDER BY e.seq DESC LIMIT 1) <> 0)`
	if len(q.Types) > 0 {
		text += " AND c.type IN (" + marks(s, q.Types) + ")"
	}
	if len(q.IDs) > 0 {
		text += " AND c.id IN (" + marks(s, q.IDs) + ")"
	}
	v := q.Version
	if len(v.At) > 0 && !v.All && !v.First && !v.Last {
		var at []int64
		for _, t := range v.At {
			at = append(at, micro(t))
		}
		text += " AND c.modified IN (" + marks(s, at) + ")"
	}
	return text
}

// micro gives a time as the columns have it, with the beginning of time for the
// zero time. A time between two microseconds is no version of anything.
func micro(t time.Time) int64 {
	switch {
	case t.IsZero():
		return -1
	case t.Nanosecond()%1000 != 0:
		return -1
	}
	return t.UnixMicro()
}
