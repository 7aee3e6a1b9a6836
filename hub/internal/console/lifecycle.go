package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/hub/internal/release"
	"ecs/web"
)

type lifeData struct {
	row
	Life       release.Life
	Line       *release.View // of the tear line above it
	Agreed     bool          // the source has consented
	ReadBy     string
	Able       map[string]bool
	Offers     []offer
	Chosen     map[string]bool
	Categories []option
	Actions    []option
	Codes      []option
	Form       url.Values
}

// life shows what became of an indicator, of which it was made, and what else can be
// done with it than on its own page.
func (c *console) life(w http.ResponseWriter, r *http.Request) {
	c.showLife(w, r, http.StatusOK, nil)
}

func (c *console) showLife(w http.ResponseWriter, r *http.Request, status int, problems []web.Problem) {
	ctx, a := r.Context(), account(r)
	it, err := c.itemOf(r)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	d := &lifeData{row: c.rows(r, []indicator.Item{it})[0], Able: map[string]bool{}, Chosen: map[string]bool{}, Form: r.PostForm}
	d.Life, err = release.LifeOf(ctx, c.DB, &it, func(id contract.ID) bool {
		_, err := access.Item(ctx, c.DB, a, id)
		return err == nil
	})
	if err == nil {
		err = c.line(r, &it, d)
	}
	if err == nil {
		err = c.lifeForms(r, &it, d)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	for _, v := range d.Form["target"] {
		d.Chosen[v] = true
	}
	p := c.page(r, "/indicators")
	p.Title, p.Lead, p.Wide, p.Problems = "Life of an indicator", "What it was made of, what was made of it, and what else can be done with it.", true, problems
	p.Crumbs = []web.Link{{Text: "Indicators", Href: "/indicators"}, {Text: d.Show(), Href: "/indicators/" + it.ID.String()}}
	p.Marking = it.TLP.String()
	p.Data = d
	c.pages.Render(w, status, "life", p)
}

// Show is how the page names the indicator.
func (d *lifeData) Show() string {
	if d.Value == "" {
		return web.Short(d.ID.String())
	}
	return d.Value
}

func (c *console) itemOf(r *http.Request) (indicator.Item, error) {
	id, err := contract.ParseID(r.PathValue("id"))
	if err != nil {
		return indicator.Item{}, fmt.Errorf("%w: %s", indicator.ErrNotFound, r.PathValue("id"))
	}
	return access.Item(r.Context(), c.DB, account(r), id)
}

// line reads both sides of the tear line above an indicator, for those who may know of
// the original.
func (c *console) line(r *http.Request, it *indicator.Item, d *lifeData) error {
	ctx, a := r.Context(), account(r)
	o, err := indicator.OriginOf(ctx, c.DB, it.ID)
	if err != nil || o.Kind != indicator.TearLine {
		return err
	}
	origin, err := access.Item(ctx, c.DB, a, o.Of)
	if errors.Is(err, indicator.ErrNotFound) {
		return nil
	}
	if err != nil || access.Hidden(a, &origin) {
		return err
	}
	err = access.Read(ctx, c.DB, a, access.ForReview, "console", origin)
	if err != nil {
		return err
	}
	v, err := c.Desk.View(ctx, c.DB, it.ID)
	if err != nil {
		return err
	}
	only, _ := access.Source(a, access.Indicators)
	v = v.For(only)
	d.Line = &v
	ds, err := indicator.Decisions(ctx, c.DB, it.ID)
	for _, x := range indicator.Standing(ds) {
		d.Agreed = d.Agreed || x.Kind == indicator.KindConsent && x.Verdict == indicator.Approve
		if x.Kind == indicator.KindRead {
			d.ReadBy = x.Person
		}
	}
	return err
}

// lifeForms says what the page offers. The desk decides whether it is permitted.
func (c *console) lifeForms(r *http.Request, it *indicator.Item, d *lifeData) error {
	a := account(r)
	in := func(states ...indicator.State) bool {
		for _, s := range states {
			if it.State == s {
				return true
			}
		}
		return false
	}
	kind := ""
	if len(d.Life.Origin) > 0 {
		kind = d.Life.Origin[0].Kind
	}
	shadow := kind == indicator.Shadow
	waits := in(indicator.TechValidation, indicator.PendingFirst, indicator.PendingSecond)
	d.Able["replace"] = a.Has("pmo_analyst") && in(indicator.Released, indicator.InForce) && kind != indicator.TearLine && !shadow
	d.Able["supersede"] = a.Has("release_authority") && it.State == indicator.PendingSecond && kind == indicator.Supersedes
	d.Able["tear"] = a.Has("pmo_analyst") && !it.State.Ended() && !shadow
	d.Able["consent"] = a.Has("gfi_officer") && it.State == indicator.PendingFirst && d.Line != nil && !d.Agreed
	d.Able["reading"] = a.Any("pmo_analyst", "release_authority", "privacy_officer") && it.State == indicator.PendingFirst && d.Line != nil && d.Agreed && d.ReadBy == ""
	d.Able["shadow"] = a.Has("pmo_analyst") && waits && !shadow
	d.Able["shadow-start"] = a.Has("release_authority") && it.State == indicator.PendingSecond && shadow
	d.Able["shadow-stop"] = a.Any("pmo_analyst", "release_authority") && shadow && !it.State.Ended()
	d.Able["purge"] = a.Has("privacy_officer") && it.State != indicator.Purged
	for i := contract.Other; i <= contract.Scanning; i++ {
		d.Categories = append(d.Categories, option{i.String(), web.CategoryName(i)})
	}
	for i := contract.Alert; i < contract.Shadow; i++ {
		d.Actions = append(d.Actions, option{i.String(), web.Words(i.String())})
	}
	for _, code := range release.Codes(indicator.KindRecall) {
		d.Codes = append(d.Codes, option{string(code), code.Text()})
	}
	var err error
	if d.Able["shadow"] || d.Able["supersede"] {
		d.Offers, err = c.offers(r.Context(), it)
	}
	return err
}

// lifeAct does one of the acts of the page.
func (c *console) lifeAct(w http.ResponseWriter, r *http.Request) {
	it, err := c.itemOf(r)
	if err == nil {
		err = r.ParseForm()
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	version, err := strconv.ParseInt(r.PostForm.Get("version"), 10, 64)
	if err != nil {
		version = 0
	}
	what := r.PathValue("act")
	to, err := c.live(r, what, release.Ref{ID: it.ID, Version: version})
	if errors.Is(err, errNoAct) {
		c.missing(w, r)
		return
	}
	if err == nil {
		http.Redirect(w, r, "/indicators/"+to.String()+"/life?done="+what, http.StatusSeeOther)
		return
	}
	x := c.explain(r, err)
	if x.Status == http.StatusForbidden || x.Status == http.StatusNotFound || x.Status >= 500 {
		c.fail(w, r, err)
		return
	}
	problem := web.Problem{Text: x.Detail + " " + x.Next}
	if errors.Is(err, release.ErrReason) {
		problem = web.Problem{Field: what + "-reason", Text: "Write a reason: at least one short sentence"}
	}
	c.showLife(w, r, x.Status, []web.Problem{problem})
}

// live hands one act to the desk and says of which indicator the next page is.
func (c *console) live(r *http.Request, what string, ref release.Ref) (contract.ID, error) {
	ctx, a, f := r.Context(), account(r), r.PostForm
	reason := strings.TrimSpace(f.Get("reason"))
	var err error
	switch what {
	case "replace":
		var e release.Edit
		e, err = editOf(f)
		if err != nil {
			return ref.ID, err
		}
		return c.Desk.Replace(ctx, a, ref, e, reason)
	case "supersede":
		var targets []release.Target
		if len(f["target"]) > 0 {
			targets, err = targetsOf(f["target"])
		}
		if err == nil {
			_, err = c.Desk.Supersede(ctx, a, ref, reason, targets)
		}
	case "tear":
		var t release.TearLine
		t, err = tearOf(f)
		if err != nil {
			return ref.ID, err
		}
		return c.Desk.Tear(ctx, a, ref, t, reason)
	case "consent":
		err = c.Desk.Consent(ctx, a, ref, f["field"], reason)
	case "reading":
		err = c.mayReadLine(ctx, r, ref.ID)
		if err == nil {
			err = c.Desk.Read(ctx, a, ref, reason)
		}
	case "shadow":
		var targets []release.Target
		targets, err = targetsOf(f["target"])
		if err != nil {
			return ref.ID, err
		}
		hours, _ := strconv.ParseUint(f.Get("hours"), 10, 8) // 0 is refused by the desk
		return c.Desk.ShadowRun(ctx, a, ref, time.Duration(hours)*time.Hour, targets, reason)
	case "shadow-start":
		_, err = c.Desk.ShadowStart(ctx, a, ref, reason)
	case "shadow-stop":
		err = c.Desk.ShadowStop(ctx, a, ref, reason)
	case "purge":
		err = c.Desk.Purge(ctx, a, ref, release.Why{Code: release.Code(f.Get("code")), Text: reason})
	default:
		err = errNoAct
	}
	return ref.ID, err
}

// mayReadLine refuses a second reading by somebody who cannot see the upper side.
func (c *console) mayReadLine(ctx context.Context, r *http.Request, id contract.ID) error {
	o, err := indicator.OriginOf(ctx, c.DB, id)
	if err == nil && o.Kind == indicator.TearLine {
		_, err = access.Item(ctx, c.DB, account(r), o.Of)
	}
	return err
}

// editOf reads how a new version differs: what a form leaves empty stays as it is.
func editOf(f url.Values) (release.Edit, error) {
	var e release.Edit
	text := func(name string) *string {
		s := strings.ReplaceAll(strings.TrimSpace(f.Get(name)), "\r\n", "\n")
		if s == "" {
			return nil
		}
		return &s
	}
	e.Summary, e.Context = text("summary"), text("context")
	e.Pattern = strings.TrimSpace(f.Get("pattern"))
	if s := f.Get("category"); s != "" {
		var x contract.Category
		err := x.UnmarshalText([]byte(s))
		if err != nil {
			return e, fmt.Errorf("%w: %w", release.ErrText, err)
		}
		e.Category = &x
	}
	if s := f.Get("act-on"); s != "" {
		var x contract.Action
		err := x.UnmarshalText([]byte(s))
		if err != nil {
			return e, fmt.Errorf("%w: %w", release.ErrText, err)
		}
		e.Action = &x
	}
	if s := f.Get("until"); s != "" {
		t, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return e, fmt.Errorf("%w: write the last day like 2026-12-31", release.ErrText)
		}
		e.ValidUntil = t
	}
	return e, nil
}

func tearOf(f url.Values) (release.TearLine, error) {
	t := release.TearLine{
		Pattern: strings.TrimSpace(f.Get("pattern")), Summary: strings.ReplaceAll(strings.TrimSpace(f.Get("summary")), "\r\n", "\n"),
		Labels: strings.ReplaceAll(strings.TrimSpace(f.Get("labels")), "\r\n", "\n"), Confidence: 50, Disclosure: 1, Urgent: f.Get("urgent") == "yes",
	}
	for m := range strings.SplitSeq(f.Get("markings"), ",") {
		m = strings.TrimSpace(m)
		if m != "" {
			t.Markings = append(t.Markings, m)
		}
	}
	err := t.Category.UnmarshalText([]byte(f.Get("category")))
	if err == nil {
		err = t.Action.UnmarshalText([]byte(f.Get("act-on")))
	}
	if err != nil {
		return t, fmt.Errorf("%w: %w", release.ErrText, err)
	}
	return t, nil
}
