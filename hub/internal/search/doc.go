// Package search finds indicators by words, phrases, beginnings of words and
// filters, among ten million and more: a small query language ([Parse]), an
// inverted index that a background indexer fills ([Index]), and [Find], which
// gives the newest first, a page at a time. docs/formats/search.md describes the
// language and the index.
//
// It is NOT where access is decided: whoever asks passes a [Reader], which
// hub/internal/access makes of an account. It keeps no copy of texts, and stores no
// pairs of related items: correlation is a query, see hub/internal/graph.
//
// Invariants:
//   - The index only proposes. Every item is read and compared with the query as the
//     reader sees it before it is given: an index that is behind shows less, never
//     something wrong, and nobody finds a thing by a text that the thing no longer
//     has or that the reader may not see.
//   - Every query has a budget of rows that it looks at, and says when it stopped.
//   - The indexer's transactions are small, so that intake and approvals get in
//     between. Where it is stands in the database: killed at any moment, it goes on.
//   - What is purged or redacted leaves the index: its base is written anew.
package search
