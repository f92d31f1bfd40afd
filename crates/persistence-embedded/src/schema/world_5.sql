-- Faults: how often they matched a machine, in all and each machine, and how often a request.

ALTER TABLE machines ADD COLUMN faults TEXT;

CREATE TABLE fault_matches (
    fault BLOB NOT NULL PRIMARY KEY,
    matches INTEGER NOT NULL,
    struck INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE fault_requests (
    fault BLOB NOT NULL PRIMARY KEY,
    drawn INTEGER NOT NULL,
    matched INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
