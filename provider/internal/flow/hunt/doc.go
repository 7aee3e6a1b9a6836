// Package hunt answers whether anybody talked to an address, a prefix or a port
// in the past, from the flows that store keeps. It reads only; it may run in
// another process than the room that writes.
//
// Files are searched in parallel. In each, Bloom filters and the least and
// greatest address of each row group say what need not be read; of the rest the
// address (or port) columns are read, and only around their hits whole rows.
// What matches is decided in one place (targets.match), by the whole row.
//
// It is not a query language: for other questions point any SQL engine at the
// Parquet files.
package hunt
