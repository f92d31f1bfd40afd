//! What is true of the embedded store alone: its directory, its lock and its files.

#![expect(clippy::unwrap_used, reason = "a test fails loudly")]

use std::path::Path;
use std::sync::Arc;

use cloudm_application::ports::{
    ClusterCommit, ClusterWrite, CreationQuery, EventQuery, ForkedWorld, NewWorld, Store, StoreError, WorldPorts,
};
use cloudm_application::testing::{CountingEntropy, ManualWall};
use cloudm_domain::{Cluster, ClusterId, Incarnation, Instant, Preset, Rate, Rules, Seed, WorldName};
use cloudm_persistence_embedded::{EmbeddedStore, OpenError, Options};

fn open(path: &Path) -> Result<Arc<EmbeddedStore>, OpenError> {
    let wall = Arc::new(ManualWall::new(1_900_000_000_000));
    EmbeddedStore::open(Options { path: path.to_owned(), wall, entropy: Arc::new(CountingEntropy::default()) })
}

fn new_world(incarnation: u8) -> NewWorld {
    NewWorld {
        name: WorldName::default_world(),
        incarnation: Incarnation::from_bytes([incarnation; 12]),
        seed: Seed::new(1).unwrap(),
        start: Some(Instant::DEFAULT_START),
        rate: Rate::PAUSED,
        preset: Preset::Instant,
        retention: Rules::DEFAULT_RETENTION,
        asked: None,
    }
}

async fn ports(store: &EmbeddedStore) -> WorldPorts {
    store.ensure_world(new_world(1)).await.unwrap()
}

async fn make_cluster(ports: &WorldPorts, number: u8) {
    let id = ClusterId::from_bytes([number; 12]);
    let name = format!("cluster-{number}").parse().unwrap();
    let cluster = Cluster::create(id, name, "A".parse().unwrap(), Instant::DEFAULT_START);
    ports.clusters.commit(ClusterCommit { write: ClusterWrite::Create(cluster), keep: None }).await.unwrap();
}

async fn clusters(ports: &WorldPorts) -> usize {
    ports.clusters.all().await.unwrap().len()
}

fn set_version(file: &Path, version: i64) {
    let db = rusqlite::Connection::open(file).unwrap();
    db.pragma_update(None, "user_version", version).unwrap();
}

#[tokio::test]
async fn a_second_server_on_the_directory_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let first = open(directory.path()).unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::InUse { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    assert!(error.to_string().contains("in use by another server"), "{error}");
    first.close().await;
    open(directory.path()).unwrap();
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_store_was_not_closed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let world = ports(&store).await;
    for number in 1..=20 {
        make_cluster(&world, number).await;
    }
    drop((store, world));
    assert_eq!(clusters(&ports(&open(directory.path()).unwrap()).await).await, 20);
}

#[tokio::test]
async fn what_was_acknowledged_is_in_the_files_while_the_store_is_open() {
    let (directory, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(directory.path()).unwrap();
    let world = ports(&store).await;
    for number in 1..=20 {
        make_cluster(&world, number).await;
        // As after the death of the host: the files are what they are at this moment.
        copy_all(directory.path(), copy.path());
        let survived = open(copy.path()).unwrap();
        assert_eq!(clusters(&ports(&survived).await).await, usize::from(number));
    }
}

fn copy_all(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).unwrap();
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (entry, to) = (entry.as_ref().unwrap().path(), to.join(entry.as_ref().unwrap().file_name()));
        if entry.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy_all(&entry, &to);
        } else {
            std::fs::copy(entry, to).unwrap();
        }
    }
}

#[tokio::test]
async fn a_catalogue_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().close().await;
    set_version(&directory.path().join("catalogue.db"), 99);
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("was written by a newer version"), "{error}");
}

#[tokio::test]
async fn a_world_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    ports(&store).await;
    store.close().await;
    set_version(&directory.path().join("worlds").join(format!("{}.db", new_world(1).incarnation)), 99);
    let store = open(directory.path()).unwrap();
    let error = store.open_world(&WorldName::default_world()).await.err().unwrap();
    assert!(matches!(&error, StoreError::Failed(why) if why.contains("newer version")), "{error}");
}

#[tokio::test]
async fn a_world_of_the_first_format_is_upgraded() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    make_cluster(&ports(&store).await, 1).await;
    store.close().await;
    let file = directory.path().join("worlds").join(format!("{}.db", new_world(1).incarnation));
    let newer = directory.path().join("newer");
    std::fs::rename(&file, &newer).unwrap();
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch(include_str!("../src/schema/world_1.sql")).unwrap();
    db.execute("ATTACH ? AS newer", [newer.to_str().unwrap()]).unwrap();
    db.execute_batch(
        "INSERT INTO world SELECT * FROM newer.world; INSERT INTO high_water SELECT * FROM newer.high_water; \
        INSERT INTO clusters SELECT * FROM newer.clusters; INSERT INTO cluster_ids SELECT * FROM newer.cluster_ids",
    )
    .unwrap();
    let application_id: i64 = db.query_row("PRAGMA newer.application_id", [], |row| row.get(0)).unwrap();
    db.pragma_update(None, "application_id", application_id).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    drop(db);
    let store = open(directory.path()).unwrap();
    let world = ports(&store).await;
    assert_eq!(clusters(&world).await, 1);
    let all = CreationQuery { until: Instant::MAX, after: None, descending: false, limit: 1 };
    assert_eq!(world.events.created(&all).await.unwrap(), []);
    assert_eq!(world.clusters.gone(ClusterId::from_bytes([1; 12])).await.unwrap(), None);
    assert!(world.operations.unended().await.unwrap().is_empty());
    assert_eq!(world.machines.counts().await.unwrap(), []);
}

#[tokio::test]
async fn a_fork_keeps_no_row_of_what_stays_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let world = ports(&store).await;
    store.close().await;
    drop(world);
    let file = |number| directory.path().join("worlds").join(format!("{}.db", new_world(number).incarnation));
    let db = rusqlite::Connection::open(file(1)).unwrap();
    db.execute_batch(
        "INSERT INTO operations (number, id, record) VALUES (1, x'01', '{}');
         INSERT INTO operation_results VALUES (1, x'01', 1);
         INSERT INTO operation_refusals VALUES (1, x'02', 12);
         INSERT INTO answers VALUES ('key', x'01', x'01', 1)",
    )
    .unwrap();
    drop(db);
    let store = open(directory.path()).unwrap();
    let NewWorld { incarnation, .. } = new_world(2);
    let fork = ForkedWorld { name: "copy".parse().unwrap(), incarnation, seed: None, asked: None };
    store.fork_world(new_world(1).incarnation, fork).await.unwrap();
    let db = rusqlite::Connection::open(file(2)).unwrap();
    for table in ["operations", "operation_results", "operation_refusals", "answers"] {
        let rows: i64 = db.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn what_is_not_a_store_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "text").unwrap();
    assert!(matches!(open(&file), Err(OpenError::NotAStore { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "text");

    let catalogue = directory.path().join("catalogue.db");
    std::fs::write(&catalogue, "this is not a database, but it is long enough to be taken for one").unwrap();
    let error = open(directory.path()).err().unwrap();
    assert!(matches!(error, OpenError::NotAStore { .. }), "{error}");
    assert!(std::fs::read_to_string(&catalogue).unwrap().starts_with("this is not"));
}

#[tokio::test]
async fn what_a_death_left_of_a_creation_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    ports(&store).await;
    store.close().await;
    let worlds = directory.path().join("worlds");
    let (left, theirs) = (worlds.join("0123456789abcdef01234567.db-wal"), worlds.join("notes.txt"));
    std::fs::write(&left, "").unwrap();
    std::fs::write(&theirs, "").unwrap();
    let store = open(directory.path()).unwrap();
    assert!(!left.exists() && theirs.exists());
    assert!(store.open_world(&WorldName::default_world()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_row_that_no_machine_can_be_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let world = ports(&store).await;
    make_cluster(&world, 1).await;
    let file = directory.path().join("worlds").join(format!("{}.db", new_world(1).incarnation));
    let db = rusqlite::Connection::open(file).unwrap();
    db.execute("UPDATE clusters SET name = 'no name'", []).unwrap();
    let error = world.clusters.get(ClusterId::from_bytes([1; 12])).await.unwrap_err();
    assert!(matches!(&error, StoreError::Damaged(why) if why.contains("name")), "{error}");
}

#[tokio::test]
async fn memory_leaves_nothing_behind() {
    let wall = Arc::new(ManualWall::new(0));
    let store = EmbeddedStore::memory(wall, Arc::new(CountingEntropy::default())).unwrap();
    let world = ports(&store).await;
    make_cluster(&world, 1).await;
    let directory = store.directory().to_owned();
    assert!(directory.exists());
    store.close().await;
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_position_of_another_world_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).unwrap();
    let mine = ports(&store).await;
    let other = NewWorld { name: "other".parse().unwrap(), ..new_world(2) };
    let other = store.ensure_world(other).await.unwrap();
    let position = other.events.position().await.unwrap();
    let query = |position| EventQuery { machine: None, until: None, after: Some(position), limit: 1 };
    assert!(other.events.page(&query(position.clone())).await.is_ok());
    let refused = mine.events.page(&query(position)).await;
    assert!(matches!(refused, Err(StoreError::PositionGone)));
    // Nor is one that is ahead of all events.
    let mut ahead = mine.events.position().await.unwrap();
    *ahead.0.last_mut().unwrap() += 1;
    assert!(matches!(mine.events.page(&query(ahead)).await, Err(StoreError::PositionGone)));
}
