-- What the hub fetches from sources by itself, and what sources push to it.

-- +goose Up

-- How far a feed of the configuration has been read, see hub/internal/collect.
-- No address and no password: these stay in the configuration and its files.
CREATE TABLE feed (
    source      text NOT NULL,            -- short name of the source
    name        text NOT NULL,            -- of the feed
    target      text NOT NULL,            -- SHA-256 of kind, address, collection, format: when one changes, reading begins anew
    position    text NOT NULL DEFAULT '', -- taxii: the date_added up to which everything is in the hub
    etag        text NOT NULL DEFAULT '', -- misp: of the manifest; http: of the file
    changed     text NOT NULL DEFAULT '', -- Last-Modified of the same
    last_try    bigint NOT NULL DEFAULT 0,
    last_ok     bigint NOT NULL DEFAULT 0,
    last_error  text NOT NULL DEFAULT '', -- of the last try, '' when it went well
    next_try    bigint NOT NULL DEFAULT 0,
    failures    integer NOT NULL DEFAULT 0, -- in a row
    deliveries  bigint NOT NULL DEFAULT 0,
    items       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (source, name)
);
-- The events of a MISP feed that are in the hub, and in which version.
CREATE TABLE feed_event (
    source      text NOT NULL,
    name        text NOT NULL,
    event       text NOT NULL,            -- UUID
    version     bigint NOT NULL,          -- the manifest's timestamp, seconds since 1970
    PRIMARY KEY (source, name, event)
);

-- What sources pushed by TAXII 2.1: the status resource of each request, kept for
-- two days. See hub/internal/inbox.
CREATE TABLE push (
    id          text PRIMARY KEY,         -- UUID of the status
    source      text NOT NULL,
    submitter   text NOT NULL,            -- login
    received    bigint NOT NULL,
    finished    bigint NOT NULL DEFAULT 0,
    objects     text NOT NULL,            -- JSON: identifier and version of each object
    batch       text NOT NULL DEFAULT '', -- the delivery that it became
    error       text NOT NULL DEFAULT ''  -- why none of it was taken
);
CREATE INDEX push_received ON push (received);

-- +goose Down
