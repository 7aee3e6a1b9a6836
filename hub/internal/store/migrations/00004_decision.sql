-- What the decision function (hub/internal/decision) and release objects need.

-- +goose Up

-- What a provider is cleared for beyond its ceiling: level, compartments, audiences.
ALTER TABLE provider ADD COLUMN clearance text NOT NULL DEFAULT ''; -- marking.Clearance, canonical, with the ceiling as its TLP; '' is unclassified

-- +goose Down
