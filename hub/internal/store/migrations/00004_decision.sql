-- What the decision function (hub/internal/decision) and release objects need.

-- +goose Up

-- What a provider is cleared for beyond its ceiling: level, compartments, audiences.
ALTER TABLE provider ADD COLUMN clearance text NOT NULL DEFAULT ''; -- marking.Clearance, canonical, with the ceiling as its TLP; '' is unclassified
-- How often that, the ceiling or the services were changed.
ALTER TABLE provider ADD COLUMN terms bigint NOT NULL DEFAULT 0;

-- A blank version tells a provider that it may not have the object any more, and
-- nothing else.
ALTER TABLE object ADD COLUMN blank boolean NOT NULL DEFAULT false;

-- +goose Down
