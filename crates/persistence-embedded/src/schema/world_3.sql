-- Fleet operations, what came of them for each machine, and how many machines there are.

-- The numbers of operations are in the order in which they were accepted, and none is given twice. An operation that has not
-- ended does not expire, and is found by that.
CREATE TABLE operations (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB NOT NULL UNIQUE,
    record     TEXT NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE INDEX operations_expiry ON operations (expires_at);

-- The machines that did not refuse, and those that did: apart, because each are read in the order of their ids.
CREATE TABLE operation_results (
    operation  INTEGER NOT NULL,
    machine_id BLOB NOT NULL,
    outcome    INTEGER NOT NULL,
    PRIMARY KEY (operation, machine_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE operation_refusals (
    operation  INTEGER NOT NULL,
    machine_id BLOB NOT NULL,
    outcome    INTEGER NOT NULL,
    PRIMARY KEY (operation, machine_id)
) STRICT, WITHOUT ROWID;

-- How many rows of machines there are of each kind; none of a kind of which there is none.
CREATE TABLE counts (
    cluster_id   BLOB NOT NULL,
    machine_type TEXT NOT NULL,
    state        INTEGER NOT NULL,
    machines     INTEGER NOT NULL,
    PRIMARY KEY (cluster_id, machine_type, state)
) STRICT, WITHOUT ROWID;

INSERT INTO counts (cluster_id, machine_type, state, machines)
    SELECT cluster_id, machine_type, state, COUNT(*) FROM machines GROUP BY cluster_id, machine_type, state;
