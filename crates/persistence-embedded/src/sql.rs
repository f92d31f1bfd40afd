//! Every statement there is. They stand in one place so that a test can ask SQLite how it finds the rows of each.

macro_rules! statements {
    ($($name:ident = $($part:expr),+;)*) => {
        $(pub(crate) const $name: &str = concat!($($part),+);)*
        /// All of them but those that [`stream`] makes, with their names.
        #[cfg(test)]
        pub(crate) const OF_A_WORLD: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

macro_rules! cluster_columns {
    () => {
        "c.id, c.name, c.region_code, c.version, c.created_at, c.updated_at"
    };
}

/// The first runs of machines that were made by an instant.
macro_rules! created {
    ($table:literal, $of:literal) => {
        concat!("SELECT created_at, id, first_run FROM ", $table, " WHERE ", $of, " created_at <= ?1 AND ")
    };
}

macro_rules! created_ascending {
    () => {
        "(created_at, id) > (?2, ?3) ORDER BY created_at, id LIMIT ?4"
    };
}

macro_rules! created_descending {
    () => {
        "(created_at, id) < (?2, ?3) ORDER BY created_at DESC, id DESC LIMIT ?4"
    };
}

statements! {
    BEGIN = "BEGIN IMMEDIATE";
    COMMIT = "COMMIT";
    SAVEPOINT = "SAVEPOINT job";
    RELEASE_SAVEPOINT = "RELEASE job";
    ROLLBACK_TO_SAVEPOINT = "ROLLBACK TO job";
    LOG = "PRAGMA wal_checkpoint(NOOP)";
    CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)";
    // Waits for readers, which are short; new ones read the file, and not the log, from then on.
    CHECKPOINT_ALL = "PRAGMA wal_checkpoint(TRUNCATE)";

    WORLD_GET = "SELECT record FROM world WHERE one = 1";
    WORLD_SET = "INSERT OR REPLACE INTO world (one, record) VALUES (1, ?)";
    HIGH_WATER_GET = "SELECT instant FROM high_water WHERE one = 1";
    HIGH_WATER_FIRST = "INSERT INTO high_water (one, instant) VALUES (1, ?)";
    HIGH_WATER_SET = "UPDATE high_water SET instant = ? WHERE one = 1";
    COPY = "VACUUM INTO ?";
    // Of a copy, before it is used: all of them, by no index.
    ANSWERS_CLEAR = "DELETE FROM answers";
    OPERATIONS_CLEAR = "DELETE FROM operations";
    RESULTS_CLEAR = "DELETE FROM operation_results";
    REFUSALS_CLEAR = "DELETE FROM operation_refusals";
    REQUESTS_CLEAR = "DELETE FROM fault_requests";
    // All that a world holds.
    ALL_GONE_CLUSTERS = "SELECT ", cluster_columns!(), ", c.deleted_at FROM gone_clusters c ORDER BY c.id";
    ALL_MACHINES = "SELECT m.record FROM machines m \
        WHERE EXISTS (SELECT 1 FROM clusters c WHERE c.id = m.cluster_id) ORDER BY m.id";
    ALL_EVENTS = "SELECT seq, machine_id, version, at, change FROM events ORDER BY seq";

    CLUSTER_GET = "SELECT ", cluster_columns!(), " FROM clusters c WHERE c.id = ?";
    CLUSTER_FIND = "SELECT ", cluster_columns!(), " FROM clusters c WHERE c.name = ?";
    CLUSTER_IN_REGION = "SELECT ", cluster_columns!(), " FROM clusters c WHERE c.region_code = ?";
    CLUSTER_ALL = "SELECT ", cluster_columns!(), " FROM clusters c ORDER BY c.created_at, c.id";
    CLUSTER_COUNT = "SELECT COUNT(*) FROM clusters";
    CLUSTER_VERSION = "SELECT version FROM clusters WHERE id = ?";
    CLUSTER_ID_USED = "SELECT EXISTS (SELECT 1 FROM cluster_ids WHERE id = ?)";
    CLUSTER_HAS_MACHINES = "SELECT EXISTS (SELECT 1 FROM machines WHERE live = 1 AND cluster_id = ?)";
    CLUSTER_ID_INSERT = "INSERT INTO cluster_ids (id) VALUES (?)";
    CLUSTER_INSERT = "INSERT INTO clusters (id, name, region_code, version, created_at, updated_at) \
        VALUES (?, ?, ?, ?, ?, ?)";
    CLUSTER_UPDATE = "UPDATE clusters SET name = ?2, region_code = ?3, version = ?4, created_at = ?5, updated_at = ?6 \
        WHERE id = ?1";
    CLUSTER_DELETE = "DELETE FROM clusters WHERE id = ?";
    CLUSTER_GONE_INSERT = "INSERT INTO gone_clusters (id, name, region_code, version, created_at, updated_at, deleted_at) \
        SELECT ", cluster_columns!(), ", ?2 FROM clusters c WHERE c.id = ?1";
    CLUSTER_GONE_SET = "INSERT INTO gone_clusters (id, name, region_code, version, created_at, updated_at, deleted_at) \
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    CLUSTER_GONE = "SELECT ", cluster_columns!(), ", c.deleted_at FROM gone_clusters c WHERE c.id = ?";

    MACHINE_GET = "SELECT record, number FROM machines WHERE id = ?";
    MACHINE_GET_AT = "SELECT record, number FROM machines NOT INDEXED WHERE number = ? AND id = ?";
    MACHINE_HOLDER = "SELECT record FROM machines WHERE live = 1 AND cluster_id = ? AND name = ?";
    MACHINE_DUE = "SELECT record FROM machines WHERE next_at <= ? ORDER BY next_at, id LIMIT ?";
    MACHINE_NEXT_DUE = "SELECT next_at FROM machines WHERE next_at >= 0 ORDER BY next_at LIMIT 1";
    MACHINE_STORED = "SELECT number, version, first_run, last_run FROM machines WHERE id = ?";
    MACHINE_STORED_AT =
        "SELECT number, version, first_run, last_run FROM machines NOT INDEXED WHERE number = ? AND id = ?";
    MACHINE_ID_USED = "SELECT EXISTS (SELECT 1 FROM machines WHERE id = ?1) \
        OR EXISTS (SELECT 1 FROM former_machines WHERE id = ?1)";
    MACHINE_RUNS = "SELECT first_run, last_run FROM machines WHERE id = ?1 \
        UNION ALL SELECT first_run, last_run FROM former_machines WHERE id = ?1";
    MACHINE_NAME_HELD = "SELECT id FROM machines WHERE live = 1 AND cluster_id = ? AND name = ?";
    MACHINE_NAMED = "SELECT record FROM machines WHERE live = 1 AND name = ?";
    MACHINE_INSERT = "INSERT INTO machines (id, cluster_id, name, machine_type, state, created_at, next_at, live, version, \
        record, first_run, last_run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    // Each leaves alone the columns that it does not change, and with them their indexes.
    MACHINE_UPDATE = "UPDATE machines SET version = ?2, record = ?3, last_run = ?4 WHERE number = ?1";
    MACHINE_MOVE = "UPDATE machines SET version = ?2, record = ?3, last_run = ?4, state = ?5, next_at = ?6 WHERE number = ?1";
    MACHINE_PLACE = "UPDATE machines SET name = ?2, machine_type = ?3, live = ?4 WHERE number = ?1";
    MACHINE_RUNS_SET = "UPDATE machines SET first_run = ?2, last_run = ?3 WHERE number = ?1";
    MACHINE_DELETE = "DELETE FROM machines WHERE number = ?";
    FORMER_EXISTS = "SELECT EXISTS (SELECT 1 FROM former_machines WHERE id = ?)";
    FORMER_SET = "INSERT INTO former_machines (id, created_at, first_run, last_run) VALUES (?, ?, ?, ?) \
        ON CONFLICT DO UPDATE SET last_run = excluded.last_run";
    TAG_INSERT = "INSERT INTO machine_tags (tag, created_at, id) VALUES (?, ?, ?)";
    TAG_DELETE = "DELETE FROM machine_tags WHERE tag = ? AND created_at = ? AND id = ?";

    EVENT_INSERT = "INSERT INTO events (seq, machine_id, version, at, change, previous, mile) VALUES (?, ?, ?, ?, ?, ?, ?)";
    EVENT_LAST = "SELECT MAX(seq) FROM events";
    EVENT_GET = "SELECT seq, machine_id, version, at, change, previous FROM events WHERE seq = ?";
    EVENT_MILE = "SELECT seq FROM events WHERE mile = 1 AND machine_id = ? AND seq > ? ORDER BY seq LIMIT 1";
    EVENT_PAGE = "SELECT seq, machine_id, version, at, change FROM events WHERE seq > ? ORDER BY seq LIMIT ?";
    CREATED_LIVE = created!("machines", "live = 1 AND"), created_ascending!();
    CREATED_LIVE_DESCENDING = created!("machines", "live = 1 AND"), created_descending!();
    CREATED_TERMINATED = created!("machines INDEXED BY machines_state_created", "state = 15 AND"), created_ascending!();
    CREATED_TERMINATED_DESCENDING =
        created!("machines INDEXED BY machines_state_created", "state = 15 AND"), created_descending!();
    CREATED_FORMER = created!("former_machines", ""), created_ascending!();
    CREATED_FORMER_DESCENDING = created!("former_machines", ""), created_descending!();

    ANSWER_GET = "SELECT fingerprint, answer, expires_at FROM answers WHERE key = ?";
    ANSWER_EXPIRY = "SELECT expires_at FROM answers WHERE key = ?";
    ANSWER_SET = "INSERT OR REPLACE INTO answers (key, fingerprint, answer, expires_at) VALUES (?, ?, ?, ?)";
    ANSWER_PURGE = "DELETE FROM answers WHERE key IN \
        (SELECT key FROM answers WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)";

    COUNT_ALL = "SELECT n.machine_type, n.state, n.machines, ", cluster_columns!(),
        " FROM counts n CROSS JOIN clusters c ON c.id = n.cluster_id";
    COUNT_OF_POOL = "SELECT n.state, n.machines FROM clusters c CROSS JOIN counts n \
        ON n.cluster_id = c.id AND n.machine_type = ?2 WHERE c.region_code = ?1";
    COUNT_OF_CLUSTER = "SELECT state, machines FROM counts WHERE cluster_id = ? AND machine_type = ?";
    COUNT_ADD = "INSERT INTO counts (cluster_id, machine_type, state, machines) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT DO UPDATE SET machines = machines + ?4";
    COUNT_TAKE = "UPDATE counts SET machines = machines - ?4 \
        WHERE cluster_id = ?1 AND machine_type = ?2 AND state = ?3 AND machines > ?4";
    COUNT_DROP = "DELETE FROM counts WHERE cluster_id = ?1 AND machine_type = ?2 AND state = ?3 AND machines = ?4";

    FAULT_MATCHES = "SELECT fault, matches, struck FROM fault_matches";
    FAULT_MATCHES_OF = "SELECT matches FROM fault_matches WHERE fault = ?";
    FAULT_MATCHES_ADD = "INSERT INTO fault_matches (fault, matches, struck) VALUES (?1, ?2, ?3) \
        ON CONFLICT DO UPDATE SET matches = matches + ?2, struck = struck + ?3";
    FAULT_REQUESTS = "SELECT fault, matched FROM fault_requests";
    FAULT_REQUEST_DRAWN = "INSERT INTO fault_requests (fault, drawn, matched) VALUES (?, 1, 0) \
        ON CONFLICT DO UPDATE SET drawn = drawn + 1 RETURNING drawn";
    FAULT_REQUEST_MATCHED = "INSERT INTO fault_requests (fault, drawn, matched) VALUES (?, 0, 1) \
        ON CONFLICT DO UPDATE SET matched = matched + 1 RETURNING matched";

    OPERATION_GET = "SELECT record FROM operations WHERE id = ?";
    OPERATION_PAGE = "SELECT record FROM operations WHERE number < ? ORDER BY number DESC LIMIT ?";
    OPERATION_UNENDED = "SELECT record FROM operations WHERE expires_at IS NULL ORDER BY number LIMIT ?";
    OPERATION_UNENDED_COUNT = "SELECT COUNT(*) FROM operations WHERE expires_at IS NULL";
    OPERATION_EXPIRED = "SELECT number FROM operations WHERE expires_at <= ? ORDER BY expires_at LIMIT 1";
    OPERATION_INSERT = "INSERT INTO operations (id, record) VALUES (?, '')";
    OPERATION_SET = "UPDATE operations SET record = ?2, expires_at = ?3 WHERE number = ?1";
    OPERATION_DROP = "DELETE FROM operations WHERE number = ?";
    RESULT_KNOWN = "SELECT EXISTS (SELECT 1 FROM operation_results WHERE operation = ?1 AND machine_id = ?2) \
        OR EXISTS (SELECT 1 FROM operation_refusals WHERE operation = ?1 AND machine_id = ?2)";
    RESULT_ANY = "SELECT EXISTS (SELECT 1 FROM operation_results WHERE operation = ?1 AND machine_id BETWEEN ?2 AND ?3) \
        OR EXISTS (SELECT 1 FROM operation_refusals WHERE operation = ?1 AND machine_id BETWEEN ?2 AND ?3)";
    RESULT_INSERT = "INSERT INTO operation_results (operation, machine_id, outcome) VALUES (?, ?, ?)";
    REFUSAL_INSERT = "INSERT INTO operation_refusals (operation, machine_id, outcome) VALUES (?, ?, ?)";
    RESULT_PAGE = "SELECT machine_id, outcome FROM operation_results WHERE operation = ? AND machine_id > ? \
        ORDER BY machine_id LIMIT ?";
    REFUSAL_PAGE = "SELECT machine_id, outcome FROM operation_refusals WHERE operation = ? AND machine_id > ? \
        ORDER BY machine_id LIMIT ?";
    RESULT_DROP = "DELETE FROM operation_results WHERE operation = ?1 AND machine_id IN \
        (SELECT machine_id FROM operation_results WHERE operation = ?1 LIMIT ?2)";
    REFUSAL_DROP = "DELETE FROM operation_refusals WHERE operation = ?1 AND machine_id IN \
        (SELECT machine_id FROM operation_refusals WHERE operation = ?1 LIMIT ?2)";
}

/// The statements of the catalogue.
pub(crate) mod catalogue {
    pub(crate) const SETTING_GET: &str = "SELECT value FROM settings WHERE name = ?";
    pub(crate) const SETTING_SET: &str = "INSERT INTO settings (name, value) VALUES (?, ?)";
    pub(crate) const WORLD_GET: &str = "SELECT incarnation FROM worlds WHERE name = ?";
    pub(crate) const WORLD_ALL: &str = "SELECT incarnation FROM worlds";
    pub(crate) const WORLD_INSERT: &str = "INSERT INTO worlds (name, incarnation) VALUES (?, ?)";
    pub(crate) const WORLD_NAME: &str = "SELECT name FROM worlds WHERE incarnation = ?";
    pub(crate) const WORLD_NAMES: &str = "SELECT name FROM worlds WHERE name > ? ORDER BY name LIMIT ?";
    pub(crate) const WORLD_COUNT: &str = "SELECT COUNT(*) FROM worlds";
    pub(crate) const WORLD_REPLACE: &str = "UPDATE worlds SET incarnation = ?2 WHERE name = ?1";
    pub(crate) const WORLD_DELETE: &str = "DELETE FROM worlds WHERE name = ?";
}

#[cfg(test)]
mod tests {
    use cloudm_domain::{ClusterId, MachineState, Order, OrderKey};

    use super::*;
    use crate::file::{self, Durability};
    use crate::stream::Source;

    /// What SQLite does for a statement, a line a step.
    fn plan(db: &rusqlite::Connection, sql: &str) -> Vec<String> {
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let values = vec![rusqlite::types::Null; statement.parameter_count()];
        let rows = statement.query_map(rusqlite::params_from_iter(values), |row| row.get(3)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    /// All clusters, or their number, of which there are at most a thousand, as of faults; counts, of which there are a few for each
    /// cluster; and what a world is read whole by.
    const MAY_SCAN: [&str; 8] = [
        CLUSTER_ALL,
        CLUSTER_COUNT,
        COUNT_ALL,
        FAULT_MATCHES,
        FAULT_REQUESTS,
        ALL_GONE_CLUSTERS,
        ALL_MACHINES,
        ALL_EVENTS,
    ];

    fn check(db: &rusqlite::Connection, name: &str, sql: &str) {
        for step in plan(db, sql) {
            let scans = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW" && !MAY_SCAN.contains(&sql);
            assert!(!scans && !step.contains("TEMP B-TREE"), "{name}: {step}");
        }
    }

    #[test]
    fn every_statement_of_a_world_finds_its_rows_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        for (name, sql) in OF_A_WORLD {
            check(&db, name, sql);
        }
    }

    #[test]
    fn those_that_are_terminated_are_found_by_their_state() {
        let number = format!(" state = {} ", MachineState::Terminated.number());
        assert!([CREATED_TERMINATED, CREATED_TERMINATED_DESCENDING].iter().all(|sql| sql.contains(&number)));
    }

    #[test]
    fn every_list_finds_its_machines_by_an_index_in_their_order() {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::WORLD, Durability::None).unwrap();
        let sources = [
            Source::Live,
            Source::Cluster(ClusterId::from_bytes([0; 12])),
            Source::State(MachineState::Running),
            Source::State(MachineState::Terminated),
            Source::Type("small".parse().unwrap()),
            Source::Tag("a".parse().unwrap()),
        ];
        for source in sources {
            let counted = plan(&db, &source.count_sql());
            let counted = counted.iter().any(|step| step.starts_with("SEARCH"));
            assert!(counted || !source.is_sorted_for(OrderKey::Name), "{source:?}");
            for key in [OrderKey::CreatedAt, OrderKey::Name] {
                for descending in [false, true] {
                    let sql = source.sql(Order { key, descending });
                    let mut steps = plan(&db, &sql);
                    let sorts = steps.pop_if(|step| step == "USE TEMP B-TREE FOR ORDER BY").is_some();
                    assert_eq!(sorts, source.is_sorted_for(key), "{sql}");
                    let tables = if matches!(source, Source::Tag(_)) { 2 } else { 1 };
                    let searched = steps.iter().all(|step| step.starts_with("SEARCH"));
                    assert!(steps.len() == tables && searched, "{sql}: {steps:?}");
                    // It begins after the key, and reads no machine before it. In a cluster a name is of one machine.
                    let one_a_name = matches!((&source, key), (Source::Cluster(_), OrderKey::Name));
                    let beyond = match (one_a_name, descending) {
                        (false, false) => "id)>(",
                        (false, true) => "id)<(",
                        (true, false) => "name>?",
                        (true, true) => "name<?",
                    };
                    assert!(sorts || steps[0].contains(beyond), "{sql}: {steps:?}");
                }
            }
        }
    }

    #[test]
    fn every_statement_of_the_catalogue_finds_its_rows_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let db = file::create(&directory.path().join("a.db"), file::CATALOGUE, Durability::None).unwrap();
        use catalogue::*;
        let all =
            [SETTING_GET, SETTING_SET, WORLD_GET, WORLD_INSERT, WORLD_NAME, WORLD_NAMES, WORLD_REPLACE, WORLD_DELETE];
        all.iter().for_each(|sql| check(&db, sql, sql));
    }
}
