-- A machine is one record, beside the columns by which it is searched. Rows are in the order in which they were made: a page of machines,
-- or a batch of fleet work, finds them side by side, and the upper pages of the table hold numbers instead of rows.

ALTER TABLE machines RENAME TO machines_6;
DROP INDEX machines_created;
DROP INDEX machines_name;
DROP INDEX machines_cluster_created;
DROP INDEX machines_cluster_name;
DROP INDEX machines_type_created;
DROP INDEX machines_type_name;
DROP INDEX machines_state_created;
DROP INDEX machines_state_name;
DROP INDEX machines_due;

CREATE TABLE machines (
    number       INTEGER PRIMARY KEY,
    id           BLOB NOT NULL UNIQUE,
    cluster_id   BLOB NOT NULL,
    name         TEXT NOT NULL,
    machine_type TEXT NOT NULL,
    state        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    -- When something happens to it next.
    next_at      INTEGER,
    -- 1 until it is TERMINATED. It follows from the state, but stands apart so that a change of state leaves the
    -- indexes of live machines alone.
    live         INTEGER NOT NULL,
    version      INTEGER NOT NULL,
    record       BLOB NOT NULL
) STRICT;

INSERT INTO machines (id, cluster_id, name, machine_type, state, created_at, next_at, live, version, record)
    SELECT id, cluster_id, name, machine_type, state, created_at, next_at, live, version,
        machine_record(id, cluster_id, name, machine_type, tags, protect_stop, protect_terminate, state, state_changed_at,
            change_cause, change_from, change_to, change_type, next_at, next_kind, reason, deleted, ordinal, version,
            created_at, updated_at, attempt, faults, scheduled)
    FROM machines_6 ORDER BY id;
DROP TABLE machines_6;

CREATE INDEX machines_created ON machines (created_at, id) WHERE live = 1;
CREATE INDEX machines_name ON machines (name, id) WHERE live = 1;
CREATE INDEX machines_cluster_created ON machines (cluster_id, created_at, id) WHERE live = 1;
CREATE UNIQUE INDEX machines_cluster_name ON machines (cluster_id, name) WHERE live = 1;
CREATE INDEX machines_type_created ON machines (machine_type, created_at, id) WHERE live = 1;
CREATE INDEX machines_type_name ON machines (machine_type, name, id) WHERE live = 1;
CREATE INDEX machines_state_created ON machines (state, created_at, id);
CREATE INDEX machines_state_name ON machines (state, name, id);
CREATE INDEX machines_due ON machines (next_at, id) WHERE next_at IS NOT NULL;
