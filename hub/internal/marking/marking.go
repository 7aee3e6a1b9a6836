// Package marking turns what a source wrote about handling into the few answers
// that the program needs: may we hold it, detect with it, enforce it, show it,
// notify customers of it, name its source, pass it on. It reads TLP 1 and 2.0, PAP,
// ACS 3.0, CUI, FIRST IEP 2.0, classification banners and statements, combines
// several to the most restrictive, and prints the reason of each answer.
//
// It is NOT for deciding on a release: that also needs accreditations, checks and
// approvals. It does no I/O and knows neither the clock nor the database.
//
// Invariants:
//   - Combining never permits what one of the parts denies. Handlings form a
//     lattice: [Handling.Join] is the least upper bound under [Handling.Dominates].
//   - What we do not know denies. So does the zero [Handling] and the zero [Mark].
//   - Equal handlings have equal texts, and [ParseHandling] gives them back, so that
//     a database keeps each only once.
//
// docs/formats/marking.md has the whole mapping as tables.
package marking
