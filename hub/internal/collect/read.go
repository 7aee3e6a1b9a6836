package collect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"slices"
	"time"

	"ecs/hub/internal/format/misp"
	"ecs/hub/internal/intake"
	"ecs/taxii"
)

// submit hands one delivery to intake. What intake did not commit whole is an
// error: then the position stays.
func (r *run) submit(ctx context.Context, name string, body io.Reader) (intake.Report, error) {
	d := intake.Delivery{Source: r.feed.Source, Name: r.feed.Name + " " + name, Format: r.feed.Format, Submitter: r.c.cfg.Submitter}
	rep, err := r.c.cfg.Intake.Submit(ctx, d, body, nil)
	if err != nil {
		return rep, err
	}
	if rep.Error != "" {
		return rep, fmt.Errorf("%s was not taken to its end: %s", name, rep.Error)
	}
	r.delivered(rep)
	return rep, nil
}

// What a TAXII server is asked for at once, and in one poll.
const (
	pageLimit = 1000
	maxPages  = 20_000
)

// readCollection reads a TAXII collection from where it was left.
func (r *run) readCollection(ctx context.Context) error {
	var from time.Time
	if r.row.position != "" {
		var err error
		from, err = time.Parse(time.RFC3339, r.row.position)
		if err != nil {
			return fmt.Errorf("stored position: %w", err)
		}
	}
	server := taxii.NewClient(taxii.ClientConfig{
		HTTP: r.reach.web, User: r.feed.User, Password: r.reach.password, Token: r.reach.token,
		Timeout: pageTime, MaxBody: r.feed.MaxBytes, PageLimit: pageLimit, MaxPages: maxPages,
	})
	known := definitions{}
	for page, err := range server.Pages(ctx, r.feed.URL, r.feed.Collection, taxii.Filter{AddedAfter: from}) {
		if err == nil {
			page.Objects, err = known.complete(ctx, server, &r.feed.Feed, page.Objects)
		}
		if err != nil {
			return err
		}
		err = r.takePage(ctx, page)
		if err != nil {
			return err
		}
	}
	return nil
}

// takePage makes one page a delivery, and stores how far it came.
func (r *run) takePage(ctx context.Context, page taxii.Objects) error {
	p := progress{}
	name := "page without a date"
	if !page.Last.IsZero() {
		p.position = page.Last.UTC().Format(stamp)
		name = "up to " + p.position
	}
	if len(page.Objects) > 0 {
		// Only read once, so that intake keeps a copy: after a kill it finishes this very
		// delivery, while the server may cut its pages otherwise the next time.
		rep, err := r.submit(ctx, name, struct{ io.Reader }{bytes.NewReader(taxii.Envelope(page.Objects))})
		if err != nil {
			return err
		}
		p.deliveries, p.items = 1, rep.Position
	}
	if p.deliveries == 0 && (p.position == "" || p.position == r.row.position) {
		return nil
	}
	return advance(ctx, r.c.cfg.DB, &r.feed.Feed, &r.row, p, now())
}

const stamp = "2006-01-02T15:04:05.000000Z"

// readFile fetches one file, if it has changed.
func (r *run) readFile(ctx context.Context) error {
	u, err := url.Parse(r.feed.URL)
	if err != nil {
		return err
	}
	a, err := r.reach.get(ctx, u, r.row.etag, r.row.changed, whole)
	if err != nil {
		return err
	}
	defer a.stop()
	if a.same {
		r.feed.count.unchanged.Add(1)
		return nil
	}
	rep, err := r.submit(ctx, path.Base(u.Path), a.body)
	if err != nil {
		return err
	}
	return advance(ctx, r.c.cfg.DB, &r.feed.Feed, &r.row, progress{deliveries: 1, items: rep.Position, valid: true, etag: a.etag, changed: a.changed}, now())
}

// readEvents fetches the events of a MISP feed that are new or changed, the oldest
// first. One that cannot be had or read does not stop the others.
func (r *run) readEvents(ctx context.Context) error {
	base, err := url.Parse(r.feed.URL)
	if err != nil {
		return err
	}
	list, etag, changed, err := r.manifest(ctx, base.JoinPath("manifest.json"))
	if err != nil {
		return err
	}
	if list == nil {
		r.feed.count.unchanged.Add(1)
		return nil
	}
	have, err := events(ctx, r.c.cfg.DB, &r.feed.Feed)
	if err != nil {
		return err
	}
	var failed []error
	wanted := 0
	for _, e := range list {
		version, known := have[e.id]
		delete(have, e.id)
		if known && version == e.version {
			continue
		}
		wanted++
		err = r.takeEvent(ctx, base.JoinPath(e.id+".json"), e)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && fatal(err) {
			return err
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("event %s: %w", e.id, err))
		}
		if len(failed) > maxFailedEvents {
			return fmt.Errorf("%d of %d new events could not be taken, the first: %w", len(failed), wanted, failed[0])
		}
	}
	var gone []string
	for id := range have {
		gone = append(gone, id)
	}
	err = dropEvents(ctx, r.c.cfg.DB, &r.feed.Feed, gone)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		return &partial{fmt.Errorf("%d of %d new events could not be taken, the first: %w", len(failed), wanted, failed[0])}
	}
	r.row.etag, r.row.changed = etag, changed
	return nil
}

// maxFailedEvents is after how many failed events of one poll the rest is left for
// the next.
const maxFailedEvents = 20

// fatal reports whether an error would meet every other event, too.
func fatal(err error) bool {
	var f *fetchError
	if errors.As(err, &f) {
		return f.status != 404 && f.status != 410
	}
	var whole *intake.Refused
	if errors.As(err, &whole) {
		return slices.Contains([]string{intake.CodeSource, intake.CodeAuthority, intake.CodeLapsed}, whole.Code)
	}
	return errors.Is(err, errMoved)
}

// takeEvent makes one event a delivery.
func (r *run) takeEvent(ctx context.Context, u *url.URL, e event) error {
	a, err := r.reach.get(ctx, u, "", "", whole)
	if err != nil {
		return err
	}
	defer a.stop()
	rep, err := r.submit(ctx, "event "+e.id, a.body)
	if err != nil {
		return err
	}
	return advance(ctx, r.c.cfg.DB, &r.feed.Feed, &r.row, progress{deliveries: 1, items: rep.Position, event: e.id, version: e.version}, now())
}

// event is one line of a manifest.
type event struct {
	id      string // UUID
	version int64  // of its last change, seconds since 1970
}

// manifest reads which events there are; none at all when it has not changed.
func (r *run) manifest(ctx context.Context, u *url.URL) (list []event, etag, changed string, err error) {
	a, err := r.reach.get(ctx, u, r.row.etag, r.row.changed, pageTime)
	if err != nil {
		return nil, "", "", err
	}
	defer a.stop()
	if a.same {
		return nil, "", "", nil
	}
	entries, err := misp.ParseManifest(a.body)
	if err != nil {
		return nil, "", "", fmt.Errorf("manifest.json of %s: %w", u.Host, err)
	}
	list = make([]event, 0, len(entries))
	for _, e := range entries {
		list = append(list, event{e.UUID, e.Timestamp.Unix()})
	}
	slices.SortFunc(list, func(a, b event) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.id, b.id))
	})
	return list, a.etag, a.changed, nil
}
