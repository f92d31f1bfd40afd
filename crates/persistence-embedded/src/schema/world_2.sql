-- What it takes to see a world as it was: the machines in the order of their creation, also those that exist no more, and the
-- clusters that were deleted, as they were then.

CREATE INDEX events_created ON events (at, machine_id) WHERE version = 1;

CREATE TABLE gone_clusters (
    id          BLOB PRIMARY KEY,
    name        TEXT NOT NULL,
    region_code TEXT NOT NULL,
    version     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    deleted_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
