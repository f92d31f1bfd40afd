-- The schedule: what a machine was told is going to be done to it, with the step that it does by itself. Where there is any,
-- `next_at` is when the first of all these is due.

ALTER TABLE machines ADD COLUMN scheduled TEXT;
