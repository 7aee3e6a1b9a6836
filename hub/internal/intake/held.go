package intake

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/hub/internal/policy"
)

// Held is an upload that has come and is not a delivery yet: whoever sent it looks
// at it first, and says how it is to be read. It lies in a folder beside the spool,
// is nobody else's, survives a restart, and is removed after [HeldFor].
type Held struct {
	ID        string    `json:"id"`
	Source    string    `json:"source"`
	Name      string    `json:"name"`
	Format    string    `json:"format"`
	Detected  bool      `json:"detected"` // the format was told by the bytes, not by a person
	Mapping   string    `json:"mapping"`  // see [Delivery.Mapping]
	Saved     string    `json:"saved"`    // name of the saved mapping that it is, empty: none
	Submitter string    `json:"submitter"`
	Error     string    `json:"error"`  // why it was not taken in when that was tried, empty: it was not tried
	Digest    string    `json:"digest"` // SHA-256 of what will be read
	Bytes     int64     `json:"bytes"`
	At        time.Time `json:"at"`
}

// How long an upload is held, and how many are.
const (
	HeldFor = 24 * time.Hour
	maxHeld = 16 // of one login
)

// ErrNoHeld says that there is no such upload, or that it is somebody else's.
var ErrNoHeld = errors.New("no such upload: it was taken in, dropped, or waited for too long; send it again")

// ErrManyHeld says that a login holds too many uploads.
var ErrManyHeld = errors.New("too many uploads wait for you: take them in or drop them first")

// heldFolder is the folder of uploads that wait.
func (in *Intake) heldFolder() string {
	return filepath.Join(filepath.Dir(in.cfg.Spool), filepath.Base(in.cfg.Spool)+"-held")
}

func (in *Intake) heldFile(id, ending string) (string, error) {
	_, err := uuid.Parse(id)
	if err != nil {
		return "", ErrNoHeld
	}
	return filepath.Join(in.heldFolder(), id+ending), nil
}

// Hold keeps an upload until its submitter has looked at it. Of d, Format may be
// [Auto], and Mapping empty: a mapping that was saved for the source and fits is
// found. The error is a *[Refused] when the source may not deliver or no format
// fits.
func (in *Intake) Hold(ctx context.Context, d Delivery, r io.Reader) (Held, error) {
	if !slices.Contains(Formats(), d.Format) {
		return Held{}, unknownFormat(d.Format)
	}
	if d.Submitter == "" {
		return Held{}, errors.New("intake: an upload needs a submitter")
	}
	_, err := readSource(ctx, in.cfg.DB, d.Source)
	if err != nil {
		return Held{}, err
	}
	mine, err := in.HeldBy(d.Submitter)
	if err == nil && len(mine) >= maxHeld {
		err = ErrManyHeld
	}
	if err != nil {
		return Held{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Held{}, err
	}
	h := Held{
		ID: id.String(), Source: d.Source, Name: policy.Printable(d.Name, 255), Format: d.Format, Mapping: d.Mapping,
		Submitter: d.Submitter, At: time.Now().UTC().Truncate(time.Second),
	}
	err = in.receive(ctx, &h, r)
	if err == nil {
		err = in.KeepHeld(h)
	}
	if err != nil {
		in.remove(h.ID)
		return Held{}, err
	}
	return h, nil
}

// receive writes the bytes, and finds out what they are.
func (in *Intake) receive(ctx context.Context, h *Held, r io.Reader) error {
	err := os.MkdirAll(in.heldFolder(), 0o700)
	if err != nil {
		return fmt.Errorf("intake: hold: %w", err)
	}
	path, err := in.heldFile(h.ID, ".data")
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("intake: hold: %w", err)
	}
	defer func() { _ = f.Close() }()
	sum := sha256.New()
	h.Bytes, err = io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, in.cfg.MaxBytes))
	if err == nil {
		_, err = io.CopyN(f, r, 1) // one byte too many says that there are more
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return fmt.Errorf("intake: hold: %w", err)
	}
	h.Digest = hexsum(sum)
	if h.Format == Auto {
		d := Delivery{Name: h.Name}
		err = (&content{r: f, size: h.Bytes}).detect(&d)
		if err != nil {
			return err
		}
		h.Format, h.Detected = d.Format, true
	}
	if h.Mapping != "" {
		return nil
	}
	saved, err := in.fitting(ctx, h.Source, h.Format, f)
	if saved != nil {
		h.Mapping, h.Saved = saved.Body, saved.Name
	}
	return err
}

// KeepHeld writes what a person has changed: Format, Mapping, Saved. All else must
// be as it was.
func (in *Intake) KeepHeld(h Held) error {
	path, err := in.heldFile(h.ID, ".json")
	if err != nil {
		return err
	}
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	err = writeFile(path, body)
	if err != nil {
		return fmt.Errorf("intake: hold: %w", err)
	}
	return nil
}

// GetHeld reads an upload of a login. The error wraps [ErrNoHeld] when there is none.
func (in *Intake) GetHeld(login, id string) (Held, error) {
	path, err := in.heldFile(id, ".json")
	if err != nil {
		return Held{}, err
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return Held{}, ErrNoHeld
	}
	if err != nil {
		return Held{}, fmt.Errorf("intake: hold: %w", err)
	}
	var h Held
	err = json.Unmarshal(body, &h)
	if err != nil {
		return Held{}, fmt.Errorf("intake: hold: %w", err)
	}
	if h.Submitter != login || time.Since(h.At) > HeldFor {
		return Held{}, ErrNoHeld
	}
	return h, nil
}

// HeldBy lists the uploads of a login, oldest first, and removes what anybody has
// left for too long.
func (in *Intake) HeldBy(login string) ([]Held, error) {
	entries, err := os.ReadDir(in.heldFolder())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("intake: hold: %w", err)
	}
	var out []Held
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue // removed meanwhile
		}
		id, ending, _ := strings.Cut(e.Name(), ".")
		if time.Since(info.ModTime()) > HeldFor+time.Hour && in.takingOf(id) == nil {
			in.remove(id)
			continue
		}
		if ending != "json" {
			continue
		}
		h, err := in.GetHeld(login, id)
		if err == nil {
			out = append(out, h)
		}
	}
	return out, nil
}

// OpenHeld opens the bytes of an upload; the caller closes it.
func (in *Intake) OpenHeld(h Held) (*os.File, error) {
	path, err := in.heldFile(h.ID, ".data")
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ErrNoHeld
	}
	return f, err
}

// DropHeld removes an upload without taking it in.
func (in *Intake) DropHeld(h Held) error {
	if in.takingOf(h.ID) != nil {
		return ErrBusy
	}
	in.remove(h.ID)
	return nil
}

func (in *Intake) remove(id string) {
	for _, ending := range []string{".json", ".data"} {
		path, err := in.heldFile(id, ending)
		if err == nil {
			_ = os.Remove(path)
		}
	}
}
