-- +goose Up

-- Requests of the API that are done once, however often they are sent
-- (Idempotency-Key): rows live for a day.
CREATE TABLE once (
    login  text   NOT NULL,
    key    text   NOT NULL,            -- SHA-256 of what the caller chose
    digest text   NOT NULL,            -- SHA-256 of the request
    begun  bigint NOT NULL,
    answer text   NOT NULL DEFAULT '', -- JSON, without any value of an indicator; empty until the end
    PRIMARY KEY (login, key)
);
CREATE INDEX once_begun ON once (begun);
