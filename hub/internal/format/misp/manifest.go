package misp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// ManifestEntry is one event as the manifest of a feed announces it.
type ManifestEntry struct {
	UUID      string    // the event is in UUID.json beside the manifest
	Timestamp time.Time // of its last change
	Info      string
	Date      string
	Org       string
	Tags      []string
}

// Bounds of a manifest. The largest public one has some 2,000 events in 2 MB.
const (
	maxManifest = 1_000_000 // events
	maxEvent    = 64 << 10  // bytes of one
)

// ParseManifest reads the manifest.json of a feed: one object with a member for
// each event, named by its UUID. Entries come in the order of the file. A UUID
// that is none is an error, since a file name is made of it.
func ParseManifest(r io.Reader) ([]ManifestEntry, error) {
	s := newScanner(r)
	c, err := s.peek()
	if err == nil && c != '{' {
		err = errShape
	}
	if err != nil {
		return nil, manifestError(err)
	}
	s.pos++
	var out []ManifestEntry
	seen := map[string]bool{}
	for first := true; ; {
		more, err := s.more('}', &first)
		if err != nil {
			return nil, manifestError(err)
		}
		if !more {
			break
		}
		key, err := s.key(maxKey)
		if err != nil {
			return nil, manifestError(err)
		}
		raw, long, err := s.value(maxEvent)
		key = strings.ToLower(key)
		switch {
		case err != nil:
			return nil, manifestError(err)
		case long:
			return nil, fmt.Errorf("misp: the manifest's entry in line %d is longer than %d bytes", s.line, maxEvent)
		case !uuid(key):
			return nil, fmt.Errorf("misp: the manifest names an event in line %d by something that is no UUID", s.line)
		case seen[key]:
			return nil, fmt.Errorf("misp: the manifest names event %s twice", key)
		case len(out) == maxManifest:
			return nil, fmt.Errorf("misp: the manifest names more than %d events", maxManifest)
		}
		seen[key] = true
		e, err := manifestEntry(key, raw)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	_, err = s.peek()
	if !errors.Is(err, io.EOF) {
		if err == nil {
			err = errShape
		}
		return nil, manifestError(err)
	}
	return out, nil
}

func manifestError(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("misp: not the manifest of a feed: %w", err)
}

func manifestEntry(key string, raw []byte) (ManifestEntry, error) {
	e := ManifestEntry{UUID: key}
	if !json.Valid(raw) || raw[0] != '{' {
		return e, fmt.Errorf("misp: the manifest's entry of %s is not a JSON object", key)
	}
	c := cursor{b: raw}
	c.open('{')
	ok := true
	for first := true; c.more('}', &first); {
		switch string(c.key()) {
		case "timestamp":
			e.Timestamp, ok = parseTime(string(c.text()))
		case "info":
			e.Info = clip(string(c.text()), maxInfo)
		case "date":
			e.Date = clip(string(c.text()), 40)
		case "Orgc":
			e.Org = clip(c.named(), maxLabel)
		case "Tag":
			e.Tags = slices.Clip(c.tags(nil))
		default:
			c.skip()
		}
	}
	switch {
	case c.err != nil:
		return e, fmt.Errorf("misp: the manifest's entry of %s cannot be read: %w", key, c.err)
	case !ok:
		return e, fmt.Errorf("misp: the manifest's timestamp of %s is no time", key)
	}
	return e, nil
}
