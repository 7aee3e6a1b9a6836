-- The provider's schema, the same text for SQLite and PostgreSQL. Everything in
-- here stays with the provider. Times are microseconds since 1970 UTC, 0 for
-- never. Indicators themselves are not here but sealed in the vault: these
-- tables know them by identifier.

-- +goose Up

CREATE TABLE account (
    login       text PRIMARY KEY,
    person      text NOT NULL,
    roles       text NOT NULL,
    scope       text NOT NULL DEFAULT '',
    password    text NOT NULL,
    disabled    boolean NOT NULL DEFAULT false,
    created     bigint NOT NULL
);
CREATE TABLE session (
    token       text PRIMARY KEY,         -- SHA-256 of the cookie's value
    login       text NOT NULL REFERENCES account (login) ON DELETE CASCADE,
    created     bigint NOT NULL,          -- ends 12 hours after, however busy
    expires     bigint NOT NULL           -- ends when nothing was asked until then
);
CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          bigint NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      text NOT NULL,
    previous    text NOT NULL,
    hash        text NOT NULL
);
CREATE INDEX audit_subject ON audit (subject, seq);
CREATE TABLE audit_head (
    one         integer PRIMARY KEY,      -- always 1: the table has one row
    seq         bigint NOT NULL,          -- of the newest entry
    hash        text NOT NULL             -- of the newest entry
);
INSERT INTO audit_head (one, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000');

-- An entity as this provider serves it.
CREATE TABLE customer (
    id            integer PRIMARY KEY,    -- small number, also in sightings
    name          text NOT NULL UNIQUE,
    sector        integer NOT NULL,       -- contract.Sector
    dns_policy    integer NOT NULL,       -- customer.Policy
    dns_answer    integer NOT NULL,       -- customer.Answer
    mail_policy   integer NOT NULL,
    mail_action   integer NOT NULL,       -- customer.MailAction
    flow_policy   integer NOT NULL,
    consent       integer NOT NULL DEFAULT 0, -- services for which feedback is agreed, contract.Services
    consent_by    text NOT NULL DEFAULT '',   -- the customer's contact who said so
    consent_at    bigint NOT NULL DEFAULT 0,
    notice_mail   text NOT NULL DEFAULT '',
    notice_hook   text NOT NULL DEFAULT '',   -- https URL
    notice_syslog text NOT NULL DEFAULT '',   -- host:port
    created       bigint NOT NULL
);
-- How its traffic is known: kind is 'prefix' (DNS clients and both ends of
-- flows), 'domain' (recipients of mail) or 'exporter' (address of a NetFlow
-- exporter whose flows are all the customer's).
CREATE TABLE customer_match (
    kind        text NOT NULL,
    value       text NOT NULL,
    customer    integer NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, value)
);
-- The fast way back: one indicator, one customer, at once.
CREATE TABLE exception (
    customer    integer NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    indicator   text NOT NULL,
    reason      text NOT NULL,
    login       text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (customer, indicator)
);

-- Matches, merged: one row for the same indicator, customer, service, action
-- and ends of the conversation within one hour.
CREATE TABLE sighting (
    id          bigint PRIMARY KEY,
    service     integer NOT NULL,
    indicator   text NOT NULL,
    category    integer NOT NULL,
    customer    integer NOT NULL REFERENCES customer (id),
    action      integer NOT NULL,         -- contract.Action, what was done
    client      text NOT NULL,            -- the customer's end
    peer        text NOT NULL,            -- the other end, flows only
    what        text NOT NULL,            -- query name, header that matched, ports; sealed when the marking forbids display
    hour        bigint NOT NULL,          -- hours since 1970
    count       bigint NOT NULL,
    first       bigint NOT NULL,
    last        bigint NOT NULL,
    verdict     text NOT NULL DEFAULT '', -- '', 'true', 'false' (confirmed false positive)
    notify      boolean NOT NULL,         -- whether the marking lets the customer be told
    notice      bigint NOT NULL DEFAULT 0 -- the notice that tells of it
);
CREATE UNIQUE INDEX sighting_same ON sighting (indicator, customer, service, action, client, peer, what, hour);
CREATE INDEX sighting_last ON sighting (last);
CREATE INDEX sighting_notice ON sighting (notice, customer);

-- Notices to customers: QUEUED -> DISPATCHED -> ACKNOWLEDGED | ESCALATED.
CREATE TABLE notice (
    id          bigint PRIMARY KEY,
    customer    integer NOT NULL REFERENCES customer (id),
    indicator   text NOT NULL,
    service     integer NOT NULL,
    channel     text NOT NULL,            -- mail, webhook, syslog, operator
    state       text NOT NULL,
    body        text NOT NULL,            -- exactly what is told
    token       text NOT NULL UNIQUE,     -- with which the customer acknowledges
    attempts    integer NOT NULL DEFAULT 0,
    next        bigint NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    created     bigint NOT NULL,
    dispatched  bigint NOT NULL DEFAULT 0,
    settled     bigint NOT NULL DEFAULT 0,
    settled_by  text NOT NULL DEFAULT '',
    rating      integer NOT NULL DEFAULT 0 -- usefulness, 1 to 5
);
CREATE INDEX notice_state ON notice (state, next);

-- Feedback on its way: READY -> REVIEWED -> SUBMITTED -> ACCEPTED | REFUSED, or EMPTY.
CREATE TABLE feedback_window (
    day         bigint NOT NULL,
    service     integer NOT NULL,
    state       text NOT NULL,
    body        text NOT NULL,            -- exact bytes, also the preview
    withheld    text NOT NULL,            -- JSON: what was suppressed and why; stays here
    made        bigint NOT NULL,
    reviewed_by text NOT NULL DEFAULT '',
    answered    bigint NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    PRIMARY KEY (day, service)
);

-- Counts from which feedback is made: only of customers who had agreed when it
-- happened.
CREATE TABLE consented (
    day         bigint NOT NULL,
    service     integer NOT NULL,
    indicator   text NOT NULL,
    category    integer NOT NULL,
    action      integer NOT NULL,
    customer    integer NOT NULL REFERENCES customer (id),
    sector      integer NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (day, service, indicator, action, customer)
);

-- What link has to remember besides the vault: the last receipt that the hub
-- confirmed. Receipts themselves are made anew from the list in force until one
-- is confirmed, so none can be lost.
CREATE TABLE link_state (
    name        text PRIMARY KEY,
    value       text NOT NULL
);

-- Mail in quarantine; the message itself is an encrypted file named by id.
CREATE TABLE quarantine (
    id          text PRIMARY KEY,
    customer    integer NOT NULL REFERENCES customer (id),
    indicator   text NOT NULL,
    sender      text NOT NULL,
    recipients  text NOT NULL,            -- JSON
    bytes       bigint NOT NULL,
    state       text NOT NULL,            -- HELD, RELEASING, RELEASED, DELETED
    received    bigint NOT NULL,
    settled     bigint NOT NULL DEFAULT 0,
    settled_by  text NOT NULL DEFAULT ''
);
CREATE INDEX quarantine_state ON quarantine (state, received);

-- +goose Down
