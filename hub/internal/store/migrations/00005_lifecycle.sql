-- The further life of an item: decisions taken back, items made of others, shadow
-- runs, purges with the attestations of providers, and clocks. See docs/program.md.

-- +goose Up

-- What a decision did to the state, so that it can be taken back; which bulk act it
-- was part of; and when it was taken back. The decision itself stays for ever.
ALTER TABLE decision ADD COLUMN was text NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN became text NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN bulk text NOT NULL DEFAULT '';
ALTER TABLE decision ADD COLUMN undone bigint NOT NULL DEFAULT 0;
CREATE INDEX decision_bulk ON decision (bulk, item) WHERE bulk <> '';
CREATE INDEX decision_person ON decision (person, at);
CREATE INDEX decision_no ON decision (at) WHERE kind IN ('return', 'reject', 'recall');

-- An item that was made of another one: to replace it, to carry its lower part, or
-- to be watched for before it is approved. It does not own its pattern while its
-- origin does.
CREATE TABLE derivation (
    item        text PRIMARY KEY REFERENCES item (id),
    origin      text NOT NULL REFERENCES item (id),
    kind        text NOT NULL,            -- supersedes, tear-line, shadow
    lowered     text NOT NULL DEFAULT '', -- tear-line: fields of the origin that its source marked lower by consenting, one a line
    at          bigint NOT NULL
);
CREATE INDEX derivation_origin ON derivation (origin, kind);

-- A clock that runs for somebody. It never changes a state by itself: past its end
-- it is raised, with its owner, until it is closed.
CREATE TABLE clock (
    subject     text NOT NULL,            -- identifier of an item, or a provider's short name
    kind        text NOT NULL,            -- tear-line, purge-live, purge-backups
    owner       text NOT NULL,            -- role that has to act, with its scope: csp_security_officer/alpha
    started     bigint NOT NULL,
    due         bigint NOT NULL,
    raised      bigint NOT NULL DEFAULT 0,
    closed      bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (subject, kind, owner)
);
CREATE INDEX clock_due ON clock (due) WHERE closed = 0;

-- Shadow runs: what is counted at providers that agreed, without blocking.
CREATE TABLE shadow_provider (
    provider    text PRIMARY KEY REFERENCES provider (id),
    login       text NOT NULL,            -- who wrote the agreement down
    at          bigint NOT NULL
);
CREATE TABLE shadow_run (
    item        text PRIMARY KEY REFERENCES item (id), -- the derived item that providers count
    hours       integer NOT NULL,
    started     bigint NOT NULL DEFAULT 0,
    ends        bigint NOT NULL DEFAULT 0,
    closed      bigint NOT NULL DEFAULT 0, -- when the result became a finding of the origin
    events      bigint NOT NULL DEFAULT 0, -- bucket, 0 for nothing told
    told        integer NOT NULL DEFAULT 0 -- providers that told a count
);
CREATE INDEX shadow_open ON shadow_run (ends) WHERE closed = 0;

-- Purge: what has to go, which provider had it, and who attested that it is gone.
CREATE TABLE purge (
    item        text PRIMARY KEY REFERENCES item (id),
    cause       text NOT NULL,            -- disposition, order
    login       text NOT NULL,
    reason      text NOT NULL,
    ordered     bigint NOT NULL,
    done        bigint NOT NULL DEFAULT 0  -- when only the tombstone was left here
);
CREATE INDEX purge_open ON purge (ordered) WHERE done = 0;
CREATE TABLE attestation (
    id          text PRIMARY KEY,
    provider    text NOT NULL REFERENCES provider (id),
    login       text NOT NULL,            -- who entered it, or the serial of the node's certificate that signed it
    body        text NOT NULL,            -- exact JSON, see docs/formats/purge.md
    signature   text NOT NULL DEFAULT '', -- base64; '' when entered by hand
    at          bigint NOT NULL
);
CREATE INDEX attestation_provider ON attestation (provider, at);
CREATE TABLE purge_task (
    provider    text NOT NULL REFERENCES provider (id),
    item        text NOT NULL REFERENCES item (id),
    tlp         integer NOT NULL,         -- as it was delivered
    due         bigint NOT NULL,          -- of live systems
    attestation text NOT NULL DEFAULT '', -- which one covers it on live systems
    backups     text NOT NULL DEFAULT '', -- and which one in backups
    exception   text NOT NULL DEFAULT '', -- what the attestation says is left of it
    PRIMARY KEY (provider, item)
);
CREATE INDEX purge_task_item ON purge_task (item);
CREATE INDEX purge_task_open ON purge_task (provider, due) WHERE attestation = '';
CREATE TABLE purge_finding (
    provider    text NOT NULL REFERENCES provider (id),
    attestation text NOT NULL,            -- '' for a task that nobody attested in time
    code        text NOT NULL,            -- see hub/internal/release
    detail      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (provider, attestation, code, detail)
);

-- +goose Down
