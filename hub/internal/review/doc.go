// Package review gathers what a person needs to decide about an indicator, and puts
// what is the same question together, so that a delivery of five hundred clean
// indicators is one decision and not five hundred.
//
// A [Sheet] holds every check with what it did, a preview of whom a block would hit,
// the findings by what they ask of the person, sources, score, clock, and what was
// decided in similar cases. A [Question] is a set of waiting indicators that differ
// in nothing that matters to the decision, with the riskiest of them first.
//
// It is NOT for deciding: nothing here writes, and a suggestion is never more than
// the choice that a form begins with. Whether a decision is permitted is the matter
// of hub/internal/release, what is found wrong that of hub/internal/policy.
//
// Invariants:
//   - Whatever is given to a reader is limited by hub/internal/access: neighbors,
//     precedents, mentions and the scores made of them too.
//   - The work for one answer is bounded whatever the size of the hub: nothing is
//     counted over table item, and every query goes by an index and has a limit.
//   - Two indicators are the same question only if delivery, category, markings and
//     finding codes are the same, and neither would hit many.
package review
