-- Fewer indexes, for each write of a machine pays for all of them. By name, machines of a state, a type or a tag are found among all that
-- have a name, or sorted where they are few.

DROP INDEX machines_type_name;
DROP INDEX machines_state_name;
CREATE INDEX machines_terminated_name ON machines (name, id) WHERE live = 0;

DROP INDEX machine_tags_name;
ALTER TABLE machine_tags DROP COLUMN name;
