-- What people, and the hub itself, are cleared for. See hub/internal/access.

-- +goose Up

-- An account without a row is cleared for what is unclassified, up to
-- TLP:AMBER+STRICT, without compartments, nationality or organization.
CREATE TABLE clearance (
    login       text PRIMARY KEY REFERENCES account (login) ON DELETE CASCADE,
    text        text NOT NULL,            -- marking.Clearance, canonical
    granted_by  text NOT NULL,            -- login, or 'configuration'
    granted     bigint NOT NULL
);

-- What this hub may hold at all: who is cleared for that is cleared for everything.
CREATE TABLE instance (
    one         integer PRIMARY KEY,      -- always 1: the table has one row
    mark        text NOT NULL,            -- random: tells databases apart in one process
    clearance   text NOT NULL             -- marking.Clearance, canonical
);

-- +goose Down
