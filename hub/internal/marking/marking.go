// Package marking turns what a source wrote about handling into the few answers
// that the program needs: may we hold it, enforce it, show it, notify customers of
// it, name its source, pass it on. It reads TLP 1 and 2.0, ACS 3.0, CUI, FIRST IEP
// 2.0, PAP and statements, combines several to the most restrictive, and prints
// the reason of each answer.
package marking

// Mark is one marking as it was read.
type Mark struct{}
