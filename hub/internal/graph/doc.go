// Package graph shows what sources say about their indicators as a graph that can
// be walked: indicator, relationship, malware, campaign, actor, technique, report, in
// both directions; and what an indicator has in common with others ([Pivots]).
//
// It is NOT a store: it reads source objects and mentions as intake has kept them,
// and keeps no pairs. A correlation that is stored for each pair grows with the
// square of what is common, which is what ends other systems at a million values.
//
// Invariants:
//   - Every walk has a bound of depth, nodes and neighbors, and says what was cut.
//   - A reader sees objects of handlings within the clearance only, an officer of a
//     source that source's only; what holds personal data only a privacy officer. To
//     everybody else they look as if they had never come: their identifiers, where a
//     visible object names them, stand there as of unknown objects.
package graph
