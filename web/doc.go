// Package web is what both consoles look like: the layout, the components, the
// charts and the U.S. Web Design System that their pages share, all embedded in
// the program. The pages of each house are here too, as templates, so that the
// whole of what a person can see is in one folder; what they show and who may
// see it is decided by the console of the house.
//
// It is not for decisions, queries or roles, and knows neither house.
//
// Invariants: every page works without script, and the only one
// moves the focus in the approval queue; nothing is
// loaded from another origin; no page needs an inline style, so that the
// Content-Security-Policy of [Secure] can forbid everything that is not ours;
// all text is escaped by html/template, charts included.
package web
