-- Search, correlation, comments and tasks of analysts. See hub/internal/search and
-- hub/internal/casework.

-- +goose Up

-- How far the index is: of items, of their mentions, and of the audit log, which
-- says whose texts were changed. One indexer works at a time.
CREATE TABLE search_state (
    one         integer PRIMARY KEY,      -- always 1: the table has one row
    position    bigint NOT NULL,          -- items up to this number are indexed
    mention     bigint NOT NULL,          -- mentions up to this one are
    seq         bigint NOT NULL,          -- audit entries up to this one were looked at
    owner       text NOT NULL,            -- random name of the indexer at work
    until       bigint NOT NULL           -- until when nobody else takes over
);
INSERT INTO search_state (one, position, mention, seq, owner, until)
    SELECT 1, 0, 0, audit_head.seq, '', 0 FROM audit_head;

-- A part of the index: items of a range of numbers within one base, which is
-- 65,536 numbers wide. Parts are written once; a base is indexed anew as a whole.
CREATE TABLE search_part (
    part        integer PRIMARY KEY,
    base        bigint NOT NULL,          -- number of an item, without its low 16 bits
    low         bigint NOT NULL,          -- first number
    high        bigint NOT NULL,          -- last number
    mention     bigint NOT NULL,          -- newest mention when it was begun
    stage       integer NOT NULL          -- 0 being written, 1 in use, 2 to be removed
);
-- Which items have a term: the low 16 bits of their numbers. Terms are bytes, so
-- that both databases order them alike.
CREATE TABLE search_posting (
    part        integer NOT NULL,
    term        bytea NOT NULL,
    items       bytea NOT NULL,           -- see docs/formats/search.md
    PRIMARY KEY (part, term)
) /* sqlite: WITHOUT ROWID */;
-- Terms of items that came or changed after their part was written.
CREATE TABLE search_late (
    term        bytea NOT NULL,
    number      bigint NOT NULL,          -- item.number
    PRIMARY KEY (term, number)
) /* sqlite: WITHOUT ROWID */;
CREATE INDEX search_late_number ON search_late (number);
-- Bases with a text that was taken back: they are indexed anew, so that no term of
-- it stays.
CREATE TABLE search_erase (
    base        bigint PRIMARY KEY,
    at          bigint NOT NULL           -- since when
);

-- Searches that somebody keeps, and when they were last looked at.
CREATE TABLE saved_search (
    id          text PRIMARY KEY,
    login       text NOT NULL REFERENCES account (login) ON DELETE CASCADE,
    name        text NOT NULL,
    query       text NOT NULL,            -- see docs/formats/search.md
    shared      boolean NOT NULL,         -- whoever may search sees it
    created     bigint NOT NULL
);
CREATE UNIQUE INDEX saved_search_name ON saved_search (login, name);
CREATE TABLE saved_look (
    search      text NOT NULL REFERENCES saved_search (id) ON DELETE CASCADE,
    login       text NOT NULL REFERENCES account (login) ON DELETE CASCADE,
    number      bigint NOT NULL,          -- newest item at that moment
    at          bigint NOT NULL,
    PRIMARY KEY (search, login)
);

-- What colleagues say to each other about an indicator, an object, a delivery or a
-- source, and who shall do what about it until when.
CREATE TABLE comment (
    id          text PRIMARY KEY,
    subject     text NOT NULL,            -- 'item', 'object', 'batch' or 'source', a colon, its identifier
    login       text NOT NULL,
    person      text NOT NULL,
    text        text NOT NULL,            -- passed the privacy screen
    at          bigint NOT NULL
);
CREATE INDEX comment_subject ON comment (subject, at);
CREATE TABLE task (
    id          text PRIMARY KEY,
    subject     text NOT NULL,            -- as of a comment
    title       text NOT NULL,            -- passed the privacy screen
    assignee    text NOT NULL,            -- login
    due         bigint NOT NULL,          -- 0: no day
    state       text NOT NULL,            -- open, doing, done, dropped
    version     bigint NOT NULL,          -- optimistic lock
    login       text NOT NULL,            -- who gave it
    created     bigint NOT NULL
);
CREATE INDEX task_assignee ON task (assignee, due) WHERE state IN ('open', 'doing');
CREATE INDEX task_subject ON task (subject, created);
-- Each change of a task, never changed.
CREATE TABLE task_step (
    task        text NOT NULL REFERENCES task (id),
    version     bigint NOT NULL,          -- that it led to
    what        text NOT NULL,            -- open, doing, done, dropped, assigned, due
    note        text NOT NULL,            -- passed the privacy screen
    login       text NOT NULL,
    person      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (task, version)
);

-- +goose Down
