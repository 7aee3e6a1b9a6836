-- What the decision function (hub/internal/decision) and release objects need.

-- +goose Up

-- What a provider is cleared for beyond its ceiling: level, compartments, audiences.
ALTER TABLE provider ADD COLUMN clearance text NOT NULL DEFAULT ''; -- marking.Clearance, canonical, with the ceiling as its TLP; '' is unclassified
-- How often that, the ceiling or the services were changed.
ALTER TABLE provider ADD COLUMN terms bigint NOT NULL DEFAULT 0;

-- A blank version tells a provider that it may not have the object any more, and
-- nothing else.
ALTER TABLE object ADD COLUMN blank boolean NOT NULL DEFAULT false;

-- What stands beside release objects in a provider's TAXII collections: definitions
-- of markings, and relationships that say from which object of its source one was
-- derived. The same identifier has the same bytes for every provider; when each
-- provider got it differs.
CREATE TABLE companion (
    provider    text NOT NULL REFERENCES provider (id),
    id          text NOT NULL,            -- STIX identifier
    type        text NOT NULL,            -- marking-definition, relationship
    item        text NOT NULL,            -- of a relationship: the release object that it begins at
    modified    bigint NOT NULL,
    body        text NOT NULL,
    added       bigint NOT NULL UNIQUE,   -- TAXII date_added, in one order with object.added
    PRIMARY KEY (provider, id)
);
CREATE INDEX companion_added ON companion (provider, added);

-- +goose Down
