package policy

import (
	"fmt"
	"maps"
	"time"

	"ecs/observable"
)

// Lifetime says how long an indicator of one kind is worth believing.
type Lifetime struct {
	Default time.Duration // validity when the source gives none
	Ceiling time.Duration // longest validity from receipt on
	Age     time.Duration // a last sighting before this is stale
}

const day = 24 * time.Hour

// DefaultLifetimes are those of the program's design: addresses 30 and at most
// 90 days, names 90 and 180, what mail carries 14 and 60, hashes 365. A URL is
// as short-lived as the host behind it.
var DefaultLifetimes = map[observable.Kind]Lifetime{
	observable.Addr:     {30 * day, 90 * day, 90 * day},
	observable.Prefix:   {30 * day, 90 * day, 90 * day},
	observable.Port:     {30 * day, 90 * day, 90 * day},
	observable.Domain:   {90 * day, 180 * day, 180 * day},
	observable.URL:      {30 * day, 90 * day, 90 * day},
	observable.Mail:     {14 * day, 60 * day, 60 * day},
	observable.Subject:  {14 * day, 60 * day, 60 * day},
	observable.FileName: {14 * day, 60 * day, 60 * day},
	observable.MD5:      {365 * day, 365 * day, 730 * day},
	observable.SHA1:     {365 * day, 365 * day, 730 * day},
	observable.SHA256:   {365 * day, 365 * day, 730 * day},
	observable.SHA512:   {365 * day, 365 * day, 730 * day},
}

func lifetimes(own map[observable.Kind]Lifetime) map[observable.Kind]Lifetime {
	out := maps.Clone(DefaultLifetimes)
	maps.Copy(out, own)
	return out
}

// of gives the shortest of each term over the atoms: a pattern is only as good
// as its most perishable part.
func (c *Checker) of(atoms []observable.Atom) Lifetime {
	l := Lifetime{365 * day, 365 * day, 730 * day}
	for _, a := range atoms {
		k, ok := c.life[a.Kind]
		if !ok {
			continue
		}
		l.Default, l.Ceiling, l.Age = min(l.Default, k.Default), min(l.Ceiling, k.Ceiling), min(l.Age, k.Age)
	}
	return l
}

// Validity gives the valid_until that an indicator gets: the source's, the
// default of its kind when until is zero, or the ceiling. A non-empty cut is the
// detail of a [CodeCut] finding: what was changed, and why. Ceilings count from
// now, or from valid_from when that is later.
func (c *Checker) Validity(atoms []observable.Atom, from, until, now time.Time) (end time.Time, cut string) {
	l := c.of(atoms)
	begin := now
	if from.After(now) {
		begin = from
	}
	if until.IsZero() {
		return begin.Add(l.Default), ""
	}
	ceiling := begin.Add(l.Ceiling)
	if until.After(ceiling) {
		return ceiling, fmt.Sprintf("valid_until %s was cut to %s: at most %d days for this kind",
			until.UTC().Format(time.DateOnly), ceiling.UTC().Format(time.DateOnly), int(l.Ceiling/day))
	}
	return until, ""
}

func (c *Checker) fresh(r *report, s *Subject, now time.Time) {
	if s.Observed.IsZero() {
		return
	}
	age := now.Sub(s.Observed)
	limit := c.of(s.Atoms).Age
	switch {
	case age > limit:
		r.stop(CodeStale, fmt.Sprintf("last seen %s, %d days ago: the limit for this kind is %d days",
			s.Observed.UTC().Format(time.DateOnly), int(age/day), int(limit/day)))
	case age < -time.Hour: // clocks differ a little
		r.warn(CodeFuture, "last seen "+s.Observed.UTC().Format(time.RFC3339)+", which is after its receipt: one of the two clocks is wrong")
	}
}
