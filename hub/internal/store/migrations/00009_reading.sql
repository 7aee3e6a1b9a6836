-- One file may be read in several ways: a sheet by another mapping of its columns, a
-- report with other values taken from it. The same bytes read in the same way change
-- nothing the second time.

-- +goose Up
ALTER TABLE batch ADD COLUMN reading text NOT NULL DEFAULT ''; -- SHA-256 of format and mapping
DROP INDEX batch_same;
CREATE UNIQUE INDEX batch_same ON batch (source, digest, reading);

-- What a delivery brought beside its indicators.
CREATE INDEX source_object_batch ON source_object (batch, number);

-- +goose Down
