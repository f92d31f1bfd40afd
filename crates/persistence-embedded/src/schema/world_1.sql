-- One world. Ids are 12 bytes, whose order is the order of creation by the second; instants are milliseconds since
-- 1970; states, causes, reasons and steps are the domain's stable numbers.

CREATE TABLE world (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    record TEXT NOT NULL
) STRICT;

-- The latest instant that the world is known to have reached. Apart from the record, which is long and seldom changes.
CREATE TABLE high_water (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    instant INTEGER NOT NULL
) STRICT;

CREATE TABLE clusters (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    region_code TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX clusters_name ON clusters (name);
CREATE INDEX clusters_region ON clusters (region_code);
CREATE INDEX clusters_created ON clusters (created_at, id);

-- Every id a cluster ever had, so that none is used twice.
CREATE TABLE cluster_ids (
    id BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;

CREATE TABLE machines (
    id                BLOB PRIMARY KEY,
    cluster_id        BLOB NOT NULL,
    name              TEXT NOT NULL,
    machine_type      TEXT NOT NULL,
    tags              TEXT,
    protect_stop      INTEGER NOT NULL,
    protect_terminate INTEGER NOT NULL,
    state             INTEGER NOT NULL,
    state_changed_at  INTEGER NOT NULL,
    change_cause      INTEGER,
    change_from       INTEGER,
    change_to         INTEGER,
    change_type       TEXT,
    next_at           INTEGER,
    next_kind         INTEGER,
    reason            INTEGER,
    deleted           INTEGER NOT NULL,
    ordinal           INTEGER NOT NULL,
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL,
    -- 1 until it is TERMINATED. It follows from the state, but stands apart so that a change of state leaves the
    -- indexes of live machines alone.
    live              INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX machines_created ON machines (created_at, id) WHERE live = 1;
CREATE INDEX machines_name ON machines (name, id) WHERE live = 1;
CREATE INDEX machines_cluster_created ON machines (cluster_id, created_at, id) WHERE live = 1;
CREATE UNIQUE INDEX machines_cluster_name ON machines (cluster_id, name) WHERE live = 1;
CREATE INDEX machines_type_created ON machines (machine_type, created_at, id) WHERE live = 1;
CREATE INDEX machines_type_name ON machines (machine_type, name, id) WHERE live = 1;
CREATE INDEX machines_state_created ON machines (state, created_at, id);
CREATE INDEX machines_state_name ON machines (state, name, id);
CREATE INDEX machines_due ON machines (next_at, id) WHERE next_at IS NOT NULL;

-- The tags of live machines.
CREATE TABLE machine_tags (
    tag        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    id         BLOB NOT NULL,
    name       TEXT NOT NULL,
    PRIMARY KEY (tag, created_at, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX machine_tags_name ON machine_tags (tag, name, id);

-- The history, in the order of commits. The index of a rowid table ends in the rowid, so events_machine is in the
-- order of (machine, seq), which is that of (machine, version).
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    machine_id BLOB NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    change     BLOB NOT NULL
) STRICT;

CREATE INDEX events_machine ON events (machine_id);

CREATE TABLE answers (
    key         TEXT PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer      BLOB NOT NULL,
    expires_at  INTEGER NOT NULL
) STRICT;

CREATE INDEX answers_expiry ON answers (expires_at);
