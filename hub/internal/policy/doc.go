// Package policy judges indicators before people do: does one carry personal
// data (the privacy gate, PII-... findings), and would blocking it hit the wrong
// ones (the technical checks V1 to V6)? It compares an item with what the store
// found beside it (V8, V9), previews the impact of a block, says what was checked,
// and knows how long an indicator of each kind may live.
//
// Everything here is a pure function of the item, the configuration and the
// moment, so that the same bad file gives the same list of reasons on every run.
// It is NOT for deciding: a finding of severity stop waits for people, who
// determine (privacy) or override, two of them (technical). It keeps no item and
// knows no source.
//
// Invariants:
//   - A finding's detail names the element and the rule in words for analysts; it
//     is bounded ([maxDetail]) and carries no control characters.
//   - Built-in rules cannot be switched off by configuration, only overridden by
//     two persons for one item. The one exception, [Config.Demonstration],
//     permits exactly the documentation names and addresses of RFC 2606, RFC
//     5737, RFC 3849 and RFC 9637, and nothing else.
package policy
