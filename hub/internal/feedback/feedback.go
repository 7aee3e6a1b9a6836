// Package feedback receives the anonymous counts that providers hand in, checks
// them again, keeps them, and makes the tables that the console shows.
//
// It is not where counts are made anonymous: that is the provider's anonymise
// package. It never sees an event, only cells.
//
// Invariants: the first window for a (provider, day, service) stands and is
// never replaced; a window is accepted whole or refused whole; of a refused one
// only its digest and the reason are kept; every table applies the thresholds
// again and says which share it withholds.
package feedback
