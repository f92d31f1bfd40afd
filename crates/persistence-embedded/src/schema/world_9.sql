-- The history of a machine is a chain: its row says where that ends and begins, and each row of events leads to the one before. So no index
-- has an entry for each event. A row of events is a run: those of one machine that are written together, up to the number `seq`, with the
-- version and the instant of the first.

ALTER TABLE machines ADD COLUMN first_run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE machines ADD COLUMN last_run INTEGER NOT NULL DEFAULT 0;
UPDATE machines SET (first_run, last_run) =
    (SELECT ifnull(MIN(seq), 0), ifnull(MAX(seq), 0) FROM events WHERE machine_id = machines.id);

-- The machines that have a history and no row: those that have gone, and those that were refused.
CREATE TABLE former_machines (
    id         BLOB PRIMARY KEY,
    created_at INTEGER NOT NULL,
    first_run  INTEGER NOT NULL,
    last_run   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO former_machines (id, created_at, first_run, last_run)
    SELECT machine_id, MIN(at), MIN(seq), MAX(seq) FROM events
    WHERE machine_id NOT IN (SELECT id FROM machines) GROUP BY machine_id ORDER BY machine_id;

CREATE INDEX former_machines_created ON former_machines (created_at, id);

CREATE TABLE events_9 (
    seq        INTEGER PRIMARY KEY,
    machine_id BLOB NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    change     BLOB NOT NULL,
    -- The run before it of the same machine.
    previous   INTEGER,
    -- 1 where a version of it can be divided by 64: from there a history is entered in its middle.
    mile       INTEGER
) STRICT;

INSERT INTO events_9 (seq, machine_id, version, at, change, previous, mile)
    SELECT seq, machine_id, version, at, change,
        (SELECT MAX(b.seq) FROM events b WHERE b.machine_id = a.machine_id AND b.seq < a.seq),
        CASE WHEN version % 64 = 0 THEN 1 END
    FROM events a ORDER BY seq;

DROP TABLE events;
ALTER TABLE events_9 RENAME TO events;
CREATE INDEX events_miles ON events (machine_id) WHERE mile = 1;
