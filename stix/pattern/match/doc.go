// Package match tells whether a STIX pattern holds on observed data (STIX 2.1
// section 9): the slow, obvious evaluator that faster ones are compared with, and
// what «ecs stix match» runs.
//
// It is for one pattern and one bundle at a time; nothing on a path of traffic
// uses it. It compares values as the standard does, which is not as services do:
// spellings are not made canonical and a name does not cover the names below it.
//
// Invariants: the same data gives the same answer; nothing is evaluated without
// being counted against a budget of steps, and a search that would not end within
// it ends in a [*BudgetError] and never in a wrong answer. What the standard
// leaves open, and where this differs from the matcher of OASIS, is written in
// docs/formats/pattern.md. The package depends on the standard library alone.
package match
