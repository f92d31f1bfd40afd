-- How often the world refused what was asked of a machine since it entered its state.

ALTER TABLE machines ADD COLUMN attempt INTEGER NOT NULL DEFAULT 0;
