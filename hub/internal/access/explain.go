package access

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	"ecs/hub/internal/indicator"
	"ecs/hub/internal/intake"
	"ecs/hub/internal/program"
	"ecs/hub/internal/release"
	"ecs/internal/sqldb"
)

// Explanation is an error as it is told to the person who caused it.
type Explanation struct {
	Status int    // of HTTP
	Code   string // stable, for programs
	Title  string
	Detail string
	Next   string // what to do next
}

// known maps what the packages that decide refuse with.
var known = []struct {
	err         error
	status      int
	code, title string
	next        string
}{
	{indicator.ErrNotFound, http.StatusNotFound, "not-found", "No such indicator", "Look for it in the list of indicators."},
	{program.ErrNotFound, http.StatusNotFound, "not-found", "No such party", "Look for it in the list of providers or sources."},
	{intake.ErrNoBatch, http.StatusNotFound, "not-found", "No such delivery", "Look for it in the list of deliveries."},
	{intake.ErrNoHeld, http.StatusNotFound, "not-found", "No such upload", "Send the file again."},
	{intake.ErrNoMapping, http.StatusNotFound, "not-found", "No such mapping", "Look for it on the page of the source."},
	{intake.ErrMapping, http.StatusUnprocessableEntity, "mapping", "The mapping is refused", "Correct it and save it again."},
	{intake.ErrManyHeld, http.StatusConflict, "uploads", "Too many uploads wait for you", "Take them in or drop them first."},
	{release.ErrProvider, http.StatusNotFound, "not-found", "No such provider", "Look for it in the list of providers."},
	{release.ErrRole, http.StatusForbidden, "role", "Not permitted", "Ask somebody who has the role."},
	{program.ErrRole, http.StatusForbidden, "role", "Not permitted", "Ask somebody who has the role."},
	{ErrCursor, http.StatusBadRequest, "place", "No such place in the listing", "Begin with the first page."},
	{ErrScope, http.StatusForbidden, "scope", "Not your source", "Deliver for your own source, or ask an analyst."},
	{release.ErrSamePerson, http.StatusConflict, "same-person", "Another person has to do this", "Ask a colleague who had no part in this indicator yet."},
	{program.ErrPerson, http.StatusConflict, "same-person", "Another person has to do this", "Ask a colleague who had no part in this yet."},
	{release.ErrVersion, http.StatusConflict, "changed", "Somebody changed it meanwhile", "Look at it again, then decide anew."},
	{indicator.ErrVersion, http.StatusConflict, "changed", "Somebody changed it meanwhile", "Look at it again, then decide anew."},
	{release.ErrUndo, http.StatusConflict, "undo", "This cannot be taken back", "Decide anew; recall what was released."},
	{release.ErrTear, http.StatusConflict, "tear-line", "The tear line does not hold", "Take out what stands above the line, or have the source mark it lower."},
	{release.ErrAttest, http.StatusUnprocessableEntity, "attestation", "The attestation is refused", "Correct the statement and send it again."},
	{indicator.ErrTaken, http.StatusConflict, "pattern", "Another indicator has this pattern", "Look for it in the list of indicators."},
	{release.ErrReason, http.StatusUnprocessableEntity, "reason", "A reason is needed", "Write at least one short sentence that says why."},
	{release.ErrFindings, http.StatusConflict, "findings", "Findings forbid this", "Have two persons override them with reasons, or return the indicator to its source."},
	{release.ErrPersonal, http.StatusConflict, "personal-data", "Personal data would stay", "Determine NECESSARY and say why, or return or reject the indicator."},
	{release.ErrText, http.StatusUnprocessableEntity, "text", "The text is refused", "Shorten or correct it."},
	{release.ErrLife, http.StatusUnprocessableEntity, "life", "Not an emergency's length", "Choose between one minute and four hours."},
	{release.ErrNoTarget, http.StatusUnprocessableEntity, "no-target", "No provider may receive it", "Choose other providers or services."},
	{release.ErrState, http.StatusConflict, "state", "Not possible in this state", "Look at the indicator again: it may have been decided meanwhile."},
	{indicator.ErrPurged, http.StatusGone, "purged", "The indicator was purged", "Only its tombstone is left."},
	{program.ErrState, http.StatusConflict, "state", "Not possible in this state", "Look at the present state again."},
	{program.ErrGuard, http.StatusConflict, "condition", "A condition is not met", "Meet the condition first."},
	{program.ErrInput, http.StatusUnprocessableEntity, "input", "The input is refused", "Correct it and send it again."},
	{program.ErrExists, http.StatusConflict, "exists", "The name is taken", "Choose another."},
	{program.ErrInactive, http.StatusConflict, "inactive", "The provider is not active", "Accredit it first."},
	{program.ErrSuspended, http.StatusConflict, "suspended", "The provider is suspended", "Reinstate it first."},
	{intake.ErrBusy, http.StatusConflict, "busy", "The same delivery is being read", "Wait until it is finished."},
}

// Explain gives the words for an error. ok is false for an error that is none of
// the person's business: a fault of the program, to be logged.
func Explain(err error) (x Explanation, ok bool) {
	var role *RoleError
	var clearance *ClearanceError
	var refused *intake.Refused
	var guard *indicator.GuardError
	var way *indicator.TransitionError
	var same *indicator.SamePersonError
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &role):
		return Explanation{http.StatusForbidden, "role", "Not permitted", say(role), "Ask somebody with one of these roles: " + strings.Join(Roles(role.What), ", ") + "."}, true
	case errors.As(err, &clearance):
		return Explanation{http.StatusForbidden, "clearance", "Your clearance does not reach this", say(clearance), "Ask a colleague who has the clearance, or those who grant it."}, true
	case errors.As(err, &refused):
		return Explanation{http.StatusUnprocessableEntity, strings.ToLower(refused.Code), "The delivery is refused", say(errors.New(refused.Reason)), "Correct it and deliver it again."}, true
	case sqldb.IsFull(err), errors.Is(err, syscall.ENOSPC):
		return Explanation{http.StatusInsufficientStorage, "disk-full", "The disk is full", "The hub has no room left on its disk. What was confirmed before stays; nothing of this was kept but the part of a delivery that was taken already.", "Have the operator make room, then do the same again: a delivery goes on where it stopped."}, false
	case errors.As(err, &big):
		return Explanation{http.StatusRequestEntityTooLarge, "too-large", "Too much at once", "What was sent is longer than this address takes.", "Send less at once."}, true
	}
	for _, k := range known {
		if errors.Is(err, k.err) {
			if k.status == http.StatusNotFound { // the same words whether it is absent or may not be known
				return Explanation{k.status, k.code, k.title, k.title + ", or none that you may know of.", k.next}, true
			}
			return Explanation{k.status, k.code, k.title, say(err), k.next}, true
		}
	}
	switch {
	case errors.As(err, &same):
		return Explanation{http.StatusConflict, "same-person", "Another person has to do this", say(err), "Ask a colleague who had no part in this indicator yet."}, true
	case errors.As(err, &guard), errors.As(err, &way):
		return Explanation{http.StatusConflict, "state", "Not possible in this state", say(err), "Look at the indicator again."}, true
	}
	return Explanation{http.StatusInternalServerError, "failed", "Something failed", "The program could not do this. Nothing was changed.", "Try again; if it fails again, the operator's log says why."}, false
}

// say turns an error into a sentence: the packages' names in it are for us.
func say(err error) string {
	s := err.Error()
	for _, p := range []string{"release: ", "program: ", "indicator: ", "intake: "} {
		s = strings.ReplaceAll(s, p, "")
	}
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}
