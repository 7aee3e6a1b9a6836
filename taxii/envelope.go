package taxii

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// page is an envelope (section 3.7) as it comes from a stranger: the objects are
// parts of the bytes that were read, and nothing is copied.
type page struct {
	more    bool
	next    string
	objects []json.RawMessage
}

// errTooMany says that an envelope holds more objects than are taken.
var errTooMany = errors.New("more objects than are taken at once")

// readEnvelope splits an envelope. Names count with their case, "objects" may come
// once, and each of its members has to be an object. Unknown properties, and null
// for one that is known, have no meaning. next may be a number, as some servers
// write it.
func readEnvelope(body []byte, maxObjects int) (page, error) {
	var p page
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	err := delim(dec, '{')
	if err != nil {
		return p, err
	}
	listed := false
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return p, err
		}
		switch name {
		case "objects":
			if listed {
				return p, errors.New(`"objects" is there twice`)
			}
			listed = true
			err = p.list(dec, body, maxObjects)
		case "more":
			err = p.readMore(dec)
		case "next":
			err = p.readNext(dec)
		default:
			var ignored json.RawMessage
			err = dec.Decode(&ignored)
		}
		if err != nil {
			return p, err
		}
	}
	err = delim(dec, '}')
	if err != nil {
		return p, err
	}
	_, err = dec.Token()
	if !errors.Is(err, io.EOF) {
		return p, errors.New("something follows the envelope")
	}
	return p, nil
}

func delim(dec *json.Decoder, want json.Delim) error {
	t, err := dec.Token()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && t != want {
		err = fmt.Errorf("%q was expected at byte %d", want.String(), dec.InputOffset())
	}
	return err
}

// list reads the members of "objects".
func (p *page) list(dec *json.Decoder, body []byte, most int) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t == nil {
		return nil // null stands for a list that is left out
	}
	if t != json.Delim('[') {
		return errors.New(`"objects" is no list`)
	}
	var raw json.RawMessage // its memory is used again for each
	for dec.More() {
		if len(p.objects) == most {
			return errTooMany
		}
		err = dec.Decode(&raw)
		if err != nil {
			return err
		}
		if len(raw) == 0 || raw[0] != '{' {
			return fmt.Errorf(`member %d of "objects" is no object`, len(p.objects)+1)
		}
		end := int(dec.InputOffset())
		p.objects = append(p.objects, body[end-len(raw):end:end])
	}
	return delim(dec, ']')
}

func (p *page) readMore(dec *json.Decoder) error {
	var more *bool
	err := dec.Decode(&more)
	p.more = more != nil && *more
	return err
}

func (p *page) readNext(dec *json.Decoder) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case nil:
	case string:
		p.next = t
	case json.Number:
		p.next = t.String()
	default:
		return errors.New(`"next" is no text`)
	}
	return nil
}

// UnmarshalJSON implements [json.Unmarshaler] for answers; what it is given is
// kept.
func (p *page) UnmarshalJSON(body []byte) error {
	got, err := readEnvelope(body, maxPageObjects)
	if err != nil {
		return fmt.Errorf("envelope: %w", err)
	}
	*p = got
	return nil
}

// maxPageObjects bounds the list of one page; MaxBody bounds its bytes.
const maxPageObjects = 1 << 20

// posted reads what a POST says of one of its objects: whatever it is not sure of
// it leaves out, for whoever reads the object itself to refuse.
func posted(raw json.RawMessage) PostedObject {
	var is struct{ ID, Modified, Created any }
	out := PostedObject{Raw: raw}
	err := json.Unmarshal(raw, &is)
	if err != nil {
		return out
	}
	out.ID, _ = is.ID.(string)
	for _, v := range []any{is.Modified, is.Created} {
		s, _ := v.(string)
		t, err := time.Parse(time.RFC3339, s)
		if err == nil {
			out.Version = t.UTC()
			break
		}
	}
	return out
}
