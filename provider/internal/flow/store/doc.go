// Package store keeps the flows of customers on disk so that hunts can look
// back: Parquet files of at most a million flows or five minutes, written once,
// never changed, removed whole when they are too old or too many. The files are
// described in docs/formats/flows.md.
//
// It is not a database: there is no query language (hunts are next door), no
// update, and flows of nobody's addresses are not its business, they do not come
// here.
//
// Invariants:
//   - A Parquet file has its final name only when it is whole, on the disk, and
//     has a sidecar with digests of each block of it. Nothing is read from it
//     that does not verify.
//   - What [Store.Put] took is in the write-ahead file before the next batch is
//     looked at, and on the disk within a second: kill -9 of the process loses
//     only batches that wait in memory (bounded, see [Config.Batches]), loss of
//     power at most one second more.
//   - A flow is in a write-ahead file or in a Parquet file, and for the moment
//     that it is in both, their common number tells.
//   - When the disk is full, writing stops and is counted; whoever puts batches
//     is never made to wait.
package store
