package taxii

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Add posts objects to a collection in one envelope (section 5.5) and gives the
// status of the request, which may be pending: see [Client.Await]. An error leaves
// open whether the server took them; to add them again does no harm.
func (c *Client) Add(ctx context.Context, root, collection string, objects []json.RawMessage) (Status, error) {
	var out Status
	if len(objects) == 0 {
		return out, errors.New("taxii: there are no objects to add")
	}
	u, err := join(root, "collections", collection, "objects")
	if err != nil {
		return out, err
	}
	_, err = c.call(ctx, "POST", u, Envelope(objects), &out)
	if err != nil {
		return out, err
	}
	return out, out.check()
}

// Envelope writes objects as one envelope (section 3.7), each as it is.
func Envelope(objects []json.RawMessage) []byte {
	var b bytes.Buffer
	b.WriteString(`{"objects":[`)
	for i, o := range objects {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(o)
	}
	b.WriteString("]}")
	return b.Bytes()
}

// Status reads a status resource (section 4.3).
func (c *Client) Status(ctx context.Context, root, id string) (Status, error) {
	var out Status
	u, err := join(root, "status", id)
	if err != nil {
		return out, err
	}
	_, err = c.get(ctx, u, &out)
	if err != nil {
		return out, err
	}
	return out, out.check()
}

// Await asks for a status with growing pauses, five seconds at most, until it is
// complete or ctx ends. Then the error is that of ctx, beside the last status.
func (c *Client) Await(ctx context.Context, root string, st Status) (Status, error) {
	for pause := 50 * time.Millisecond; st.State != Complete; pause = min(2*pause, 5*time.Second) {
		err := sleep(ctx, pause)
		if err != nil {
			return st, err
		}
		next, err := c.Status(ctx, root, st.ID)
		if err != nil {
			return st, err
		}
		st = next
	}
	return st, nil
}

// check refuses a status that nobody could wait for.
func (s *Status) check() error {
	switch {
	case s.State == Complete:
		return nil
	case s.State == Pending && s.ID != "":
		return nil
	case s.State == Pending:
		return errors.New("taxii: the server gives a pending status without id; whether the objects were taken cannot be known")
	}
	return fmt.Errorf("taxii: the server gives a status of state %q; want complete or pending", clip(s.State))
}
