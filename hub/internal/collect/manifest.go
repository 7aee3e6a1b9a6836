package collect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/google/uuid"
)

// event is one line of a manifest.
type event struct {
	id      string // UUID
	version int64  // timestamp of its last change, seconds since 1970
}

// maxEvents bounds a manifest; the public feeds have some thousands.
const maxEvents = 200_000

// readManifest reads the manifest of a MISP feed: an object with an entry for each
// event, by its UUID. Of an entry only the timestamp counts, a number or the text of
// one. A name that is no UUID would be a path of the server's choice.
func readManifest(in io.Reader) ([]event, error) {
	dec := json.NewDecoder(in)
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	if t == json.Delim('[') && !dec.More() {
		return []event{}, nil // how PHP writes no entries
	}
	if t != json.Delim('{') {
		return nil, errors.New("is no JSON object")
	}
	out := []event{}
	seen := map[string]bool{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, err
		}
		text, _ := name.(string)
		id, err := uuid.Parse(text)
		if err != nil || len(text) != 36 {
			return nil, errors.New("names an event that is no UUID")
		}
		var entry struct{ Timestamp json.RawMessage }
		err = dec.Decode(&entry)
		if err != nil {
			return nil, err
		}
		version, err := timestamp(entry.Timestamp)
		if err != nil {
			return nil, fmt.Errorf("event %s: %w", id, err)
		}
		if seen[id.String()] {
			return nil, fmt.Errorf("names event %s twice", id)
		}
		seen[id.String()] = true
		out = append(out, event{id.String(), version})
		if len(out) > maxEvents {
			return nil, fmt.Errorf("has more than %d events", maxEvents)
		}
	}
	_, err = dec.Token()
	return out, err
}

func timestamp(raw json.RawMessage) (int64, error) {
	text := string(raw)
	if len(text) > 1 && text[0] == '"' {
		text = text[1 : len(text)-1]
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errors.New("its timestamp is not a number of seconds")
	}
	return n, nil
}
