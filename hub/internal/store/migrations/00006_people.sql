-- Which roles people hold, who gave them, and until when. See hub/internal/people.

-- +goose Up

-- One role that one account holds or is to hold. Rows are never removed: who held
-- what on which day is asked years later.
CREATE TABLE role_grant (
    id           text PRIMARY KEY,
    login        text NOT NULL,
    role         text NOT NULL,
    kind         text NOT NULL,             -- standing, delegation, emergency
    starts       bigint NOT NULL,
    until        bigint NOT NULL,           -- 0: until it is revoked
    reason       text NOT NULL,
    giver        text NOT NULL DEFAULT '',  -- login whose role it is, for a delegation
    asked_by     text NOT NULL,             -- login
    asked_person text NOT NULL,
    asked_at     bigint NOT NULL,
    given_by     text NOT NULL DEFAULT '',  -- login of the second person
    given_person text NOT NULL DEFAULT '',
    given_at     bigint NOT NULL DEFAULT 0,
    reviewed_at  bigint NOT NULL DEFAULT 0, -- the last time that somebody confirmed that it is still needed
    reviewed_by  text NOT NULL DEFAULT '',
    ended_at     bigint NOT NULL DEFAULT 0, -- revoked or refused
    ended_by     text NOT NULL DEFAULT '',
    ended_why    text NOT NULL DEFAULT '',
    used_day     bigint NOT NULL DEFAULT 0  -- day of its last use, of those that are watched
);
CREATE INDEX role_grant_login ON role_grant (login, ended_at);

-- Until when the training of a person is good for the roles that need it.
CREATE TABLE training (
    person      text PRIMARY KEY,
    until       bigint NOT NULL,
    by          text NOT NULL,              -- login
    at          bigint NOT NULL
);

-- +goose Down
