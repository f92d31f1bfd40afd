-- The catalogue: which worlds there are, and what belongs to the store as a whole.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A world's name points to the incarnation whose file holds it.
CREATE TABLE worlds (
    name        TEXT PRIMARY KEY,
    incarnation BLOB NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
