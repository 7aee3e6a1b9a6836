package taxii

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"ecs/stix"
)

// maxFilter bounds the filter of a query, which next carries along.
const maxFilter = 4096

// filters that each endpoint takes (sections 5.3, 5.4, 5.6, 5.8).
var (
	matchAll     = []string{"id", "type", "version", "spec_version"}
	matchOne     = []string{"version", "spec_version"}
	matchVersion = []string{"spec_version"}
)

func bad(description string) *Error { return problem(http.StatusBadRequest, "bad-query", description) }

// query reads the parameters of a request for a page. scope names what the page
// is of, so that next is good for nothing else. It gives the filter, too, for the
// next page.
func (s *Server) query(r *http.Request, scope string, match []string) (q Query, text string, problem *Error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Query{}, "", bad("The query cannot be read: check its percent-encoding.")
	}
	filter := url.Values{}
	for name, v := range values {
		field, isMatch := strings.CutPrefix(name, "match[")
		field, closed := strings.CutSuffix(field, "]")
		isMatch = isMatch && closed
		if isMatch && !slices.Contains(match, field) {
			return Query{}, "", bad("This endpoint does not filter by " + clip(name) + ".")
		}
		if !isMatch && name != "added_after" && name != "limit" && name != "next" {
			continue // unknown parameters have no meaning here
		}
		if len(v) != 1 {
			return Query{}, "", bad(name + " is given more than once; join values by commas.")
		}
		if isMatch || name == "added_after" {
			filter.Set(name, v[0])
		}
	}
	text = filter.Encode()
	if len(text) > maxFilter {
		return Query{}, "", bad("The filter is too long; ask in several requests.")
	}
	var after time.Time
	if values.Has("next") {
		carried, position, ok := s.openNext(values.Get("next"), scope)
		if !ok || text != "" && text != carried {
			return Query{}, "", bad("next belongs to another query; repeat the query that gave it, or begin anew without next.")
		}
		text = carried
		filter, err = url.ParseQuery(carried)
		if err != nil {
			return Query{}, "", bad("next cannot be read; begin anew without it.")
		}
		after = position
	}
	q, problem = filterQuery(filter)
	if problem != nil {
		return Query{}, "", problem
	}
	if after.After(q.After) {
		q.After = after
	}
	q.Limit = s.cfg.PageLimit
	if values.Has("limit") {
		n, err := strconv.ParseUint(values.Get("limit"), 10, 63)
		if err != nil || n == 0 {
			return Query{}, "", bad("limit must be an integer above zero.")
		}
		q.Limit = int(min(n, uint64(s.cfg.PageLimit)))
	}
	return q, text, nil
}

// filterQuery reads added_after and match.
func filterQuery(filter url.Values) (Query, *Error) {
	var q Query
	for name, v := range filter {
		items := strings.Split(v[0], ",")
		if name != "added_after" && slices.Contains(items, "") {
			return q, bad(name + " has an empty value.")
		}
		switch name {
		case "added_after":
			t, err := stix.ParseTime(v[0])
			if err != nil {
				return q, bad("added_after must be one timestamp such as 2024-01-31T12:00:00.000000Z.")
			}
			q.After = t.Truncate(time.Microsecond)
		case "match[id]":
			q.IDs = items
		case "match[type]":
			q.Types = items
		case "match[spec_version]":
			q.SpecVersions = items
		case "match[version]":
			err := q.Version.read(items)
			if err != nil {
				return q, err
			}
		}
	}
	return q, nil
}

func (v *Versions) read(items []string) *Error {
	for _, x := range items {
		switch x {
		case "all":
			v.All = true
		case "first":
			v.First = true
		case "last":
			v.Last = true
		default:
			t, err := stix.ParseTime(x)
			if err != nil {
				return bad("match[version] takes first, last, all and timestamps.")
			}
			v.At = append(v.At, t)
		}
	}
	if v.All && len(items) > 1 {
		return bad("match[version]=all stands alone.")
	}
	return nil
}

// next gives the token for the page after a position: position and filter, and
// a MAC over them and the scope. It holds nothing that its owner did not send or
// get; who may read is asked anew when it comes back (appendix B).
func (s *Server) next(scope, filter string, position time.Time) string {
	body := binary.BigEndian.AppendUint64(nil, uint64(position.UnixMicro()))
	body = append(body, filter...)
	return base64.RawURLEncoding.EncodeToString(append(s.mac(scope, body), body...))
}

const macSize = 16

func (s *Server) mac(scope string, body []byte) []byte {
	h := hmac.New(sha256.New, s.cfg.Key)
	h.Write([]byte("taxii next v1\n" + strconv.Itoa(len(scope)) + "\n" + scope))
	h.Write(body)
	return h.Sum(nil)[:macSize]
}

func (s *Server) openNext(token, scope string) (filter string, position time.Time, ok bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < macSize+8 || !hmac.Equal(b[:macSize], s.mac(scope, b[macSize:])) {
		return "", time.Time{}, false
	}
	b = b[macSize:]
	return string(b[8:]), time.UnixMicro(int64(binary.BigEndian.Uint64(b))).UTC(), true
}

func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
