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

// library is a [taxii.Backend] over the tables "object" and "entry": a provider
// sees the versions that its own log names, and nothing else.
type library struct{ db *sqldb.DB }

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
	if (len(q.Types) > 0 && !slices.Contains(q.Types, "indicator")) || (len(q.SpecVersions) > 0 && !slices.Contains(q.SpecVersions, "2.1")) {
		return taxii.Page{}, nil // the hub releases STIX 2.1 indicators alone
	}
	query, args := objectsQuery(client, services, q)
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

// objectsQuery writes the statement for what [taxii.Select] defines.
func objectsQuery(provider string, services contract.Services, q taxii.Query) (string, []any) {
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	who, which := arg(provider), arg(int64(services))
	// A version is in the collection when an entry for its services names it, or
	// one that takes out of force what such an entry had brought.
	named := func(object string) string {
		return `EXISTS (SELECT 1 FROM entry e WHERE e.provider = ` + who + ` AND e.item = ` + object + `.item AND e.modified = ` + object + `.modified
			AND ((e.services & ` + which + `) <> 0 OR (e.services = 0 AND EXISTS (SELECT 1 FROM entry b
				WHERE b.provider = ` + who + ` AND b.item = e.item AND b.seq < e.seq AND (b.services & ` + which + `) <> 0))))`
	}
	body := "''"
	if q.Bodies {
		body = "o.body"
	}
	text := "SELECT o.item, o.modified, o.added, " + body + " FROM object o WHERE o.added > " + arg(micro(q.After)) + " AND " + named("o")
	if len(q.IDs) > 0 {
		var in []string
		for _, id := range q.IDs {
			in = append(in, arg(id))
		}
		text += " AND o.item IN (" + strings.Join(in, ", ") + ")"
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
			or = append(or, "o.modified = "+arg(micro(at)))
		}
		text += " AND (" + strings.Join(or, " OR ") + ")"
	}
	return text + " ORDER BY o.added LIMIT " + arg(int64(q.Limit)+1), args
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
