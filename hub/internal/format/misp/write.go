package misp

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"ecs/observable"
)

// Event is an event to be written.
type Event struct {
	UUID      string // of the event: the same for what is the same
	Info      string
	Date      time.Time // its day counts
	Timestamp time.Time // of the last change; the zero time: Date
	Org       string    // name of the organization that created it
	OrgUUID   string    // its UUID, without which MISP cannot tell organizations apart
	Tags      []string
}

// Attribute is an attribute to be written.
type Attribute struct {
	UUID      string
	Type      string // see [TypeOf]
	Value     string
	Category  string // empty: that which MISP has by default for the type
	ToIDS     bool
	Comment   string
	Tags      []string
	Timestamp time.Time // of the last change; the zero time: the event's
	FirstSeen time.Time // zero: unknown
	LastSeen  time.Time
}

// categories are MISP's default categories of the types that we write.
var categories = map[string]string{
	"domain": "Network activity", "ip-dst": "Network activity", "ip-dst|port": "Network activity", "url": "Network activity",
	"email-src": "Payload delivery", "email-subject": "Payload delivery", "filename": "Payload delivery",
	"md5": "Payload delivery", "sha1": "Payload delivery", "sha256": "Payload delivery", "sha512": "Payload delivery",
	"stix2-pattern": "Payload installation",
}

// TypeOf gives the type and value by which MISP knows an atom. An atom that it has
// no type for (a port of any address, an address narrowed by protocol) becomes a
// stix2-pattern.
func TypeOf(a observable.Atom) (sort, value string) {
	switch {
	case a.Kind == observable.Port, a.Proto != 0, a.Kind == observable.Prefix && a.Port != 0:
		return "stix2-pattern", observable.Pattern(a)
	case a.Port != 0:
		return "ip-dst|port", a.Value + "|" + strconv.Itoa(int(a.Port))
	}
	switch a.Kind {
	case observable.Domain:
		return "domain", a.Value
	case observable.Addr, observable.Prefix:
		return "ip-dst", a.Value
	case observable.URL:
		return "url", a.Value
	case observable.Mail:
		return "email-src", a.Value
	case observable.Subject:
		return "email-subject", a.Value
	case observable.FileName:
		return "filename", a.Value
	case observable.MD5:
		return "md5", a.Value
	case observable.SHA1:
		return "sha1", a.Value
	case observable.SHA256:
		return "sha256", a.Value
	case observable.SHA512:
		return "sha512", a.Value
	}
	return "stix2-pattern", observable.Pattern(a)
}

// Write writes an event as MISP exports it, one attribute after the other, and
// holds one. The event's tags stand before its attributes. An error of the
// sequence ends the writing and is given back; what was written then is no JSON,
// so that nobody takes it for the whole. The same event gives the same bytes.
func Write(w io.Writer, e Event, attributes iter.Seq2[Attribute, error]) error {
	if !uuid(e.UUID) {
		return errors.New("misp: an event needs a UUID")
	}
	if e.Timestamp.IsZero() {
		e.Timestamp = e.Date
	}
	out := bufio.NewWriter(w)
	stamp := strconv.FormatInt(e.Timestamp.Unix(), 10)
	head := struct {
		UUID      string            `json:"uuid"`
		Info      string            `json:"info"`
		Date      string            `json:"date"`
		Timestamp string            `json:"timestamp"`
		Publish   string            `json:"publish_timestamp"`
		Published bool              `json:"published"`
		Analysis  string            `json:"analysis"`
		Threat    string            `json:"threat_level_id"`
		Orgc      map[string]string `json:"Orgc"`
		Tag       []tag             `json:"Tag"`
	}{
		UUID: e.UUID, Info: e.Info, Date: e.Date.UTC().Format(time.DateOnly), Timestamp: stamp, Publish: stamp, Published: true,
		Analysis: "2", Threat: "4", Orgc: map[string]string{"name": e.Org, "uuid": e.OrgUUID}, Tag: named(e.Tags),
	}
	if e.OrgUUID == "" {
		delete(head.Orgc, "uuid")
	}
	text, err := encode(head)
	if err != nil {
		return err
	}
	_, _ = out.WriteString(`{"Event":` + strings.TrimSuffix(text, "}") + `,"Attribute":[`)
	first := true
	for a, err := range attributes {
		if err != nil {
			return err
		}
		line, err := a.encode(e.Timestamp)
		if err != nil {
			return err
		}
		if !first {
			_ = out.WriteByte(',')
		}
		first = false
		_, _ = out.WriteString("\n")
		_, err = out.WriteString(line)
		if err != nil {
			return err
		}
	}
	_, _ = out.WriteString("\n]}}\n")
	return out.Flush()
}

type tag struct {
	Name string `json:"name"`
}

func named(names []string) []tag {
	out := make([]tag, len(names))
	for i, n := range names {
		out[i].Name = n
	}
	return out
}

func (a *Attribute) encode(event time.Time) (string, error) {
	category := a.Category
	if category == "" {
		category = categories[a.Type]
	}
	switch {
	case !uuid(a.UUID):
		return "", errors.New("misp: an attribute needs a UUID")
	case a.Type == "" || a.Value == "" || category == "":
		return "", fmt.Errorf("misp: attribute %s needs type, value and category", a.UUID)
	}
	at := a.Timestamp
	if at.IsZero() {
		at = event
	}
	return encode(struct {
		UUID      string `json:"uuid"`
		Type      string `json:"type"`
		Category  string `json:"category"`
		Value     string `json:"value"`
		ToIDS     bool   `json:"to_ids"`
		Timestamp string `json:"timestamp"`
		Comment   string `json:"comment"`
		Deleted   bool   `json:"deleted"`
		Correlate bool   `json:"disable_correlation"`
		First     string `json:"first_seen,omitempty"`
		Last      string `json:"last_seen,omitempty"`
		Tag       []tag  `json:"Tag,omitempty"`
	}{
		UUID: a.UUID, Type: a.Type, Category: category, Value: a.Value, ToIDS: a.ToIDS, Timestamp: strconv.FormatInt(at.Unix(), 10),
		Comment: a.Comment, First: moment(a.FirstSeen), Last: moment(a.LastSeen), Tag: named(a.Tags),
	})
}

// moment writes a time as MISP does.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000000-07:00")
}

func encode(v any) (string, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
