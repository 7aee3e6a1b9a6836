-- The hub's schema, the same text for SQLite and PostgreSQL. Times are
-- microseconds since 1970 UTC, 0 for never; identifiers and digests are text.
--
-- No column here can hold a client address, a query name outside an indicator,
-- a mail address of a customer's user, or the content of a message; test/arch
-- compares this file with its own list of every column and the reason for it.

-- +goose Up

-- People and sign-in. Two accounts of one person count as one person.
CREATE TABLE account (
    login       text PRIMARY KEY,
    person      text NOT NULL,            -- the human being behind the account
    roles       text NOT NULL,            -- names joined by commas
    scope       text NOT NULL DEFAULT '', -- provider or source that the roles are limited to
    password    text NOT NULL,            -- salted hash, see internal/signin
    disabled    boolean NOT NULL DEFAULT false,
    created     bigint NOT NULL
);
CREATE TABLE session (
    token       text PRIMARY KEY,         -- SHA-256 of the cookie's value
    login       text NOT NULL REFERENCES account (login) ON DELETE CASCADE,
    created     bigint NOT NULL,          -- ends 12 hours after, however busy
    expires     bigint NOT NULL           -- ends when nothing was asked until then
);

-- Append-only, hash-chained. See internal/audit.
CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          bigint NOT NULL,
    actor       text NOT NULL,            -- login, provider's short name, or 'system'
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      text NOT NULL,            -- JSON
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

-- Who gives indicators.
CREATE TABLE source (
    id              text PRIMARY KEY,     -- short name
    name            text NOT NULL,
    agency          text NOT NULL,
    authority       text NOT NULL,        -- under which agreement or law
    authority_until bigint NOT NULL,      -- a lapsed authority stops intake and release
    purpose         text NOT NULL,
    ceiling         integer NOT NULL,     -- contract.TLP
    reliability     text NOT NULL,        -- Admiralty scale, A to F
    created         bigint NOT NULL
);

-- Who receives them.
CREATE TABLE provider (
    id          text PRIMARY KEY,         -- short name
    name        text NOT NULL,
    state       text NOT NULL,            -- docs/program.md; ACCREDITED, OPERATIONAL, SUSPENDED ...
    services    integer NOT NULL,         -- accredited services, contract.Services
    ceiling     integer NOT NULL,         -- marking ceiling, contract.TLP
    not_before  bigint NOT NULL,
    not_after   bigint NOT NULL,
    head        bigint NOT NULL DEFAULT 0,-- highest sequence number of its log
    withdrawn   bigint NOT NULL DEFAULT 0,-- since when nothing may be in force there
    created     bigint NOT NULL
);
-- Each change of a provider's or an entity's state, never changed.
CREATE TABLE step (
    subject     text NOT NULL,            -- 'provider' or 'entity'
    id          text NOT NULL,
    number      bigint NOT NULL,          -- running number for this id
    state       text NOT NULL,            -- reached by it
    login       text NOT NULL,
    person      text NOT NULL,
    reason      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (subject, id, number)
);
CREATE TABLE token (
    hash        text PRIMARY KEY,         -- SHA-256 of the one-time token
    provider    text NOT NULL REFERENCES provider (id),
    expires     bigint NOT NULL,
    used        bigint NOT NULL DEFAULT 0,
    key         text NOT NULL DEFAULT ''  -- SHA-256 of the public key that used it: a lost answer may be asked for again
);
CREATE TABLE node (
    serial      text PRIMARY KEY,         -- of the certificate, hexadecimal
    provider    text NOT NULL REFERENCES provider (id),
    name        text NOT NULL,            -- of the node
    certificate text NOT NULL,            -- DER, base64
    not_after   bigint NOT NULL,
    issued      bigint NOT NULL,
    revoked     bigint NOT NULL DEFAULT 0
);
CREATE INDEX node_provider ON node (provider, name, issued);

-- Who is protected, and in which of the sectors.
CREATE TABLE sector (
    number      integer PRIMARY KEY,      -- contract.Sector
    name        text NOT NULL
);
CREATE TABLE sector_agency (
    sector      integer NOT NULL REFERENCES sector (number),
    agency      text NOT NULL,            -- sector-specific agency; some sectors have two
    PRIMARY KEY (sector, agency)
);
CREATE TABLE entity (
    id          text PRIMARY KEY,
    name        text NOT NULL,
    state       text NOT NULL,            -- see docs/program.md
    criterion   text NOT NULL,            -- which criterion of eligibility it claims
    created     bigint NOT NULL
);
CREATE TABLE entity_sector (
    entity      text NOT NULL REFERENCES entity (id),
    sector      integer NOT NULL REFERENCES sector (number),
    PRIMARY KEY (entity, sector)
);

-- Where numbering stands: of batches, items, mentions, handlings and objects.
-- Integers of our own keep ten million rows small and in the order of arrival.
CREATE TABLE counter (
    name        text PRIMARY KEY,
    value       bigint NOT NULL           -- the highest that was given
);
INSERT INTO counter (name, value) VALUES ('batch', 0), ('item', 0), ('mention', 0), ('handling', 0), ('object', 0);

-- Each different handling once: what the markings of an item or object combine to,
-- see hub/internal/marking. There are few, however many items there are, so that
-- who may see what is decided once for each and asked of the database as a set.
CREATE TABLE handling (
    number      integer PRIMARY KEY,
    digest      text NOT NULL UNIQUE,     -- SHA-256 of the text, which may be longer than an index takes
    text        text NOT NULL             -- marking.Handling, canonical
);

-- A delivery from a source, and what was refused of it.
CREATE TABLE batch (
    number      integer PRIMARY KEY,
    id          text NOT NULL UNIQUE,
    source      text NOT NULL REFERENCES source (id),
    name        text NOT NULL,            -- the file's name
    format      text NOT NULL,            -- stix, csv, misp ...
    mapping     text NOT NULL DEFAULT '', -- columns of a sheet, as they were mapped when it was read
    digest      text NOT NULL,            -- SHA-256 of the whole
    bytes       bigint NOT NULL,
    submitter   text NOT NULL,            -- login
    received    bigint NOT NULL,
    finished    bigint NOT NULL DEFAULT 0,
    position    bigint NOT NULL DEFAULT 0,-- records committed so far; a restart goes on from here
    accepted    bigint NOT NULL DEFAULT 0,
    duplicate   bigint NOT NULL DEFAULT 0,
    refused     bigint NOT NULL DEFAULT 0,
    skipped     bigint NOT NULL DEFAULT 0,-- records that carry nothing for us
    objects     bigint NOT NULL DEFAULT 0,-- STIX objects kept beside the indicators
    canonical   bigint NOT NULL DEFAULT 0,-- indicators whose value was changed into its canonical spelling
    error       text NOT NULL DEFAULT ''  -- why the whole was refused or cut short
);
CREATE INDEX batch_received ON batch (received);
CREATE UNIQUE INDEX batch_same ON batch (source, digest);
CREATE TABLE refusal (
    batch       integer NOT NULL REFERENCES batch (number),
    number      bigint NOT NULL,          -- running number in the batch
    place       text NOT NULL,            -- line, or id of the object
    code        text NOT NULL,
    reason      text NOT NULL,
    excerpt     text NOT NULL,            -- the beginning of what was refused
    PRIMARY KEY (batch, number)
);

-- One indicator on its way, see docs/program.md. Numbers rise with intake and are
-- the order of every listing; the identifier is what the world sees.
CREATE TABLE item (
    number        integer PRIMARY KEY,
    id            text NOT NULL UNIQUE,   -- indicator--UUID
    state         text NOT NULL,
    version       bigint NOT NULL,        -- optimistic lock
    pattern       text NOT NULL,          -- canonical STIX pattern
    pattern_key   text NOT NULL UNIQUE,   -- digest of it while the item lives; its id afterwards
    kind          text NOT NULL,          -- observable kind of the (first) atom
    value         text NOT NULL,          -- its canonical value
    atoms         integer NOT NULL DEFAULT 1, -- how many values the pattern has
    pivot         text NOT NULL,          -- what its neighbors share: registrable domain, /24, /48
    services      integer NOT NULL,       -- services that can observe it
    category      integer NOT NULL,
    action        integer NOT NULL,
    confidence    integer NOT NULL,
    handling      integer NOT NULL,       -- handling.number
    tlp           integer NOT NULL,       -- of the handling, as the next three are
    enforce       boolean NOT NULL,       -- may be used to block (ACS NETDEF and its like)
    display       boolean NOT NULL,       -- the value may be shown (ACS DSPLY)
    notify        boolean NOT NULL,       -- the customer may be notified (ACS TENOT)
    disclosure    integer NOT NULL,
    labels        text NOT NULL,          -- families, campaigns and tags, one a line
    summary       text NOT NULL,          -- releasable
    context       text NOT NULL,          -- for analysts, never released
    privacy       text NOT NULL,          -- '', PII-NOT-PRESENT, REMOVED, NECESSARY
    privacy_note  text NOT NULL DEFAULT '',
    submitter     text NOT NULL,          -- login
    editor        text NOT NULL DEFAULT '',-- login of the last editor
    valid_from    bigint NOT NULL,
    valid_until   bigint NOT NULL,
    observed      bigint NOT NULL,        -- last seen by the source
    created       bigint NOT NULL,
    modified      bigint NOT NULL,
    released      bigint NOT NULL DEFAULT 0,
    ended         bigint NOT NULL DEFAULT 0
);
CREATE INDEX item_state ON item (state, number);
CREATE INDEX item_kind ON item (kind, number);
-- Both at once: without it a page of one kind in one state reads millions of rows
-- where another state is frequent. With the handling, counts read no item.
CREATE INDEX item_state_kind ON item (state, kind, number, handling);
-- A living item of one value is found by the key of its pattern; this index is for
-- all others, so that an import writes one random page less for each item.
CREATE INDEX item_value ON item (value) WHERE ended > 0 OR atoms <> 1;
CREATE INDEX item_pivot ON item (pivot, number) WHERE pivot <> '';
CREATE INDEX item_until ON item (valid_until) WHERE ended = 0;

-- How many items there are in each state under each handling: counting ten million
-- for every page would take seconds. Whatever writes item.state writes this too.
CREATE TABLE item_count (
    state       text NOT NULL,
    handling    integer NOT NULL REFERENCES handling (number),
    n           bigint NOT NULL,
    PRIMARY KEY (state, handling)
);

-- Each time a source named it: merged, never lost.
CREATE TABLE item_source (
    mention     integer PRIMARY KEY,
    number      integer NOT NULL,         -- item.number; no reference, as batch, source and handling have none:
    batch       integer NOT NULL,         -- intake checks them once for a portion, not for each of ten million rows
    source      text NOT NULL,
    place       text NOT NULL,
    reference   text NOT NULL,            -- the source's own identifier
    reference_key bigint NOT NULL DEFAULT 0,        -- short digest of it for look-ups, 0 without one
    version     bigint NOT NULL DEFAULT 0, -- of what the source calls by it: STIX modified; 0 unknown
    revoked     boolean NOT NULL DEFAULT false, -- the source took it back by this mention
    credibility integer NOT NULL,         -- of the information, Admiralty scale, 1 to 6; 0 unknown
    confidence  integer NOT NULL,         -- as this source gave it, 0 to 100; -1 unknown
    handling    integer NOT NULL,
    observed    bigint NOT NULL,          -- last seen, as this source said; 0 unknown
    original    text NOT NULL,            -- byte for byte as the source gave it
    at          bigint NOT NULL
);
CREATE INDEX item_source_item ON item_source (number);
CREATE INDEX item_source_source ON item_source (source, number);
CREATE INDEX item_source_batch ON item_source (batch, number);
CREATE INDEX item_source_reference ON item_source (reference_key) WHERE reference_key <> 0;

-- How the columns of a source's sheets are to be read, as an analyst has saved it.
CREATE TABLE mapping (
    source      text NOT NULL REFERENCES source (id),
    name        text NOT NULL,
    body        text NOT NULL,            -- JSON, see hub/internal/format/sheet
    login       text NOT NULL,            -- who saved it
    at          bigint NOT NULL,
    PRIMARY KEY (source, name)
);

-- What sources say about their indicators: malware, campaigns, actors, techniques,
-- reports, relationships ... kept whole, for analysts, never released as it is.
CREATE TABLE source_object (
    number      integer PRIMARY KEY,
    source      text NOT NULL REFERENCES source (id),
    batch       integer NOT NULL REFERENCES batch (number),
    id          text NOT NULL,            -- the source's STIX identifier
    type        text NOT NULL,
    name        text NOT NULL,            -- to show it by; of a relationship, its type
    modified    bigint NOT NULL,          -- 0 for objects without versions
    revoked     boolean NOT NULL,
    handling    integer NOT NULL REFERENCES handling (number),
    held        text NOT NULL,            -- personal data found in it: only a privacy officer sees it; '' not held
    digest      text NOT NULL,            -- SHA-256 of the body: one version in two wordings is kept twice
    body        text NOT NULL,            -- byte for byte
    at          bigint NOT NULL
);
CREATE UNIQUE INDEX source_object_same ON source_object (source, id, modified, digest);
CREATE INDEX source_object_id ON source_object (id);
CREATE INDEX source_object_type ON source_object (type, number);
-- Which objects it names, so that relations are found from either end.
CREATE TABLE object_ref (
    object      integer NOT NULL REFERENCES source_object (number),
    property    text NOT NULL,            -- source_ref, object_refs ...
    target      text NOT NULL,            -- STIX identifier
    PRIMARY KEY (object, property, target)
);
CREATE INDEX object_ref_target ON object_ref (target, object);

-- What the privacy gate and the technical checks found.
CREATE TABLE finding (
    number      integer NOT NULL REFERENCES item (number),
    code        text NOT NULL,            -- PII-..., V2-..., see hub/internal/policy
    severity    text NOT NULL,            -- stop, warn
    detail      text NOT NULL,
    at          bigint NOT NULL,
    PRIMARY KEY (number, code, detail)
) /* sqlite: WITHOUT ROWID */;

-- What people decided: privacy, first, second, override, recall, return, reject,
-- emergency, ratify.
CREATE TABLE decision (
    id          text PRIMARY KEY,
    item        text NOT NULL REFERENCES item (id),
    kind        text NOT NULL,
    verdict     text NOT NULL,
    login       text NOT NULL,
    person      text NOT NULL,            -- as it was at that moment
    reason      text NOT NULL,
    at          bigint NOT NULL
);
CREATE INDEX decision_item ON decision (item, at);
CREATE INDEX decision_emergency ON decision (at) WHERE kind = 'emergency';

-- To whom, for which services: fixed by the second approval.
CREATE TABLE target (
    item        text NOT NULL REFERENCES item (id),
    provider    text NOT NULL REFERENCES provider (id),
    services    integer NOT NULL,
    PRIMARY KEY (item, provider)
);

-- The exact bytes of each version of a released indicator.
CREATE TABLE object (
    item        text NOT NULL REFERENCES item (id),
    modified    bigint NOT NULL,
    body        text NOT NULL,
    added       bigint NOT NULL UNIQUE,   -- TAXII date_added, strictly rising
    PRIMARY KEY (item, modified)
);

-- The log of each provider, see contract.Entry. Rows are never changed.
CREATE TABLE entry (
    provider    text NOT NULL REFERENCES provider (id),
    seq         bigint NOT NULL,
    item        text NOT NULL,
    modified    bigint NOT NULL,
    services    integer NOT NULL,         -- 0: out of force from here on
    leaf        text NOT NULL,            -- contract.Entry.Leaf, '' when it takes out of force
    until       bigint NOT NULL,          -- valid_until of the object, in whole milliseconds as the object has it
    at          bigint NOT NULL,
    PRIMARY KEY (provider, seq),
    FOREIGN KEY (item, modified) REFERENCES object (item, modified)
);
CREATE INDEX entry_item ON entry (provider, item, seq);

-- The delivery ledger: one row for each (item, provider, service), each state's
-- moment kept, so that it can be read as of any date. What a provider got again
-- after it was withheld or withdrawn there has a further row.
CREATE TABLE delivery (
    item          text NOT NULL REFERENCES item (id),
    provider      text NOT NULL REFERENCES provider (id),
    service       integer NOT NULL,       -- exactly one of contract.Services
    add_seq       bigint NOT NULL,
    remove_seq    bigint NOT NULL DEFAULT 0,
    until         bigint NOT NULL,        -- valid_until as the object has it: both houses drop it then
    queued        bigint NOT NULL,
    delivered     bigint NOT NULL DEFAULT 0,
    loaded        bigint NOT NULL DEFAULT 0,
    refused       bigint NOT NULL DEFAULT 0,
    reason        text NOT NULL DEFAULT '',
    removal_queued bigint NOT NULL DEFAULT 0,
    removal_sent  bigint NOT NULL DEFAULT 0,
    removed       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (item, provider, service, add_seq)
);
CREATE INDEX delivery_add ON delivery (provider, add_seq);
CREATE INDEX delivery_remove ON delivery (provider, remove_seq) WHERE remove_seq > 0 AND removed = 0;
CREATE INDEX delivery_waiting ON delivery (provider, queued) WHERE loaded = 0 AND removed = 0;
CREATE INDEX delivery_until ON delivery (provider, until) WHERE removed = 0;

-- Every checkpoint that was handed out, and every receipt.
CREATE TABLE checkpoint (
    provider    text NOT NULL REFERENCES provider (id),
    seq         bigint NOT NULL,
    issued      bigint NOT NULL,
    expires     bigint NOT NULL,
    count       bigint NOT NULL,
    root        text NOT NULL,
    note        text NOT NULL,
    PRIMARY KEY (provider, seq, issued)
);
CREATE INDEX checkpoint_newest ON checkpoint (provider, issued);
CREATE TABLE ack (
    provider    text NOT NULL REFERENCES provider (id),
    digest      text NOT NULL,            -- SHA-256 of the body: the same ack counts once
    serial      text NOT NULL,            -- of the certificate whose key signed it
    seq         bigint NOT NULL,
    root        text NOT NULL,
    problem     text NOT NULL,
    body        text NOT NULL,            -- exact JSON
    signature   text NOT NULL,            -- base64
    received    bigint NOT NULL,
    PRIMARY KEY (provider, digest)
);
CREATE INDEX ack_received ON ack (provider, received);

-- Anonymous counts. A window is kept as it came, and as cells.
CREATE TABLE feedback_window (
    provider    text NOT NULL REFERENCES provider (id),
    day         bigint NOT NULL,
    service     integer NOT NULL,
    rules       bigint NOT NULL,
    body        text NOT NULL,
    received    bigint NOT NULL,
    PRIMARY KEY (provider, day, service)
);
CREATE TABLE feedback_cell (
    provider    text NOT NULL,
    day         bigint NOT NULL,
    service     integer NOT NULL,
    number      integer NOT NULL,
    item        text NOT NULL,            -- '' when only the category is told
    category    integer NOT NULL,
    sector      integer NOT NULL,
    action      integer NOT NULL,
    events      bigint NOT NULL,
    customers   bigint NOT NULL,
    wrong       bigint NOT NULL,
    first_day   bigint NOT NULL,
    last_day    bigint NOT NULL,
    PRIMARY KEY (provider, day, service, number),
    FOREIGN KEY (provider, day, service) REFERENCES feedback_window (provider, day, service)
);
CREATE INDEX feedback_item ON feedback_cell (item, day);
CREATE TABLE feedback_refusal (
    provider    text NOT NULL,
    digest      text NOT NULL,            -- of the refused bytes, which are not kept
    reason      text NOT NULL,
    received    bigint NOT NULL,
    PRIMARY KEY (provider, digest)
);

-- Names that may never be blocked, besides those that every program protects.
CREATE TABLE protected_name (
    name        text PRIMARY KEY,
    reason      text NOT NULL,
    added       bigint NOT NULL
);

-- +goose Down
