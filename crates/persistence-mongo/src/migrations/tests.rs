use std::sync::Arc;

use cloudm_application::testing::CountingEntropy;
use futures_util::future::join_all;
use mongodb::bson::DateTime;

use super::*;

#[test]
fn the_files_are_those_of_the_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).collect();
    found.sort();
    let known: Vec<_> = FILES.iter().map(|file| file.name.to_owned()).collect();
    assert_eq!(found, known);
    for (number, file) in (1..).zip(FILES) {
        assert!(file.name.starts_with(&format!("{number:04}_")), "{}", file.name);
        assert!(!file.commands().unwrap().is_empty());
    }
}

/// What is in people's databases: a released file is never edited.
#[test]
fn checksums_are_as_ever() {
    let checksums: Vec<_> = FILES.iter().map(File::checksum).collect();
    assert_eq!(checksums, [CHECKSUM_1, CHECKSUM_2, CHECKSUM_3, CHECKSUM_4]);
    let windows = File { name: "a", text: "{\r\n}" };
    assert_eq!(windows.checksum(), File { name: "a", text: "{\n}" }.checksum());
}

const CHECKSUM_1: &str = "61e42b65107d5c51812c98470a7a0f45a19da43d6a6f373889eac3dc16e2e4a0";
const CHECKSUM_2: &str = "b2a4fdffd45f114bbb8af39dbac9f589558196acf65bd1121a75efa0fc84b6d7";
const CHECKSUM_3: &str = "dcf60d5b68181d67a8dab7896001c178678b8f390c290327c959043f366e5434";
const CHECKSUM_4: &str = "79024a1c137cd28bf206f31a51b3ec02fb3a7090f24d04f44731c6b5ebc7f68d";

#[test]
fn a_file_that_is_none_is_refused() {
    for text in
        ["", "[]", r#"{"about": "a"}"#, r#"{"about": "", "commands": []}"#, r#"{"about": "a", "commands": [{}]}"#]
    {
        let refused = File { name: "a", text }.commands();
        assert!(matches!(refused, Err(MigrationError::BadFile { .. })), "{text}");
    }
}

const FIRST: File = File {
    name: "0001_a",
    text: r#"{"about": "a", "commands": [{"create": "a"}, {"insert": "a", "documents": [{"x": 1}]}]}"#,
};
const SECOND: File =
    File { name: "0002_b", text: r#"{"about": "b", "commands": [{"insert": "a", "documents": [{"x": 2}]}]}"# };
const THIRD: File = File {
    name: "0003_c",
    text: r#"{"about": "c", "commands": [{"insert": "a", "documents": [{"x": 3}]}, {"noSuchCommand": 1}]}"#,
};

/// A database of its own, dropped in the end.
async fn in_database(test: impl AsyncFn(Database)) {
    let database = crate::testing::fresh_database().await;
    test(database.clone()).await;
    database.drop().await.unwrap();
}

async fn migrate(database: &Database, files: &[File]) -> Result<(), MigrationError> {
    run(database, files, &CountingEntropy::default()).await
}

/// What the files' commands did, in order.
async fn done(database: &Database) -> Vec<i32> {
    let found: Vec<Document> = database.collection("a").find(doc! {}).await.unwrap().try_collect().await.unwrap();
    found.iter().map(|one| one.get_i32("x").unwrap()).collect()
}

#[tokio::test]
async fn files_are_applied_once_and_in_order() {
    in_database(async |database| {
        migrate(&database, &[FIRST]).await.unwrap();
        migrate(&database, &[FIRST, SECOND]).await.unwrap();
        migrate(&database, &[FIRST, SECOND]).await.unwrap();
        assert_eq!(done(&database).await, [1, 2]);
        let recorded = applied(&database).await.unwrap();
        assert_eq!(recorded[&2].get_str("name").unwrap(), "0002_b");
        assert!(recorded[&2].get_datetime("applied_at").unwrap() > &DateTime::from_millis(1_700_000_000_000));
        let leases = database.collection::<Document>("leases");
        assert_eq!(leases.find_one(doc! {}).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn of_servers_that_start_together_one_applies() {
    in_database(async |database| {
        let entropy = Arc::new(CountingEntropy::default());
        let starts = (0..8).map(|_| run(&database, &[FIRST, SECOND], entropy.as_ref()));
        for started in join_all(starts).await {
            started.unwrap();
        }
        assert_eq!(done(&database).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_lease_is_waited_for_until_it_runs_out() {
    in_database(async |database| {
        let leases = database.collection::<Document>("leases");
        let until = DateTime::from_millis(DateTime::now().timestamp_millis() + 300);
        leases.insert_one(doc! { "_id": "migrations", "holder": "dead", "until": until }).await.unwrap();
        migrate(&database, &[FIRST]).await.unwrap();
        assert!(DateTime::now() >= until);
        assert_eq!(done(&database).await, [1]);
    })
    .await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused_before_anything_is_applied() {
    in_database(async |database| {
        migrate(&database, &[FIRST, SECOND]).await.unwrap();
        let changed = File { name: "0001_a", text: r#"{"about": "other", "commands": []}"# };
        let refused = migrate(&database, &[changed, SECOND, THIRD]).await;
        assert!(matches!(refused, Err(MigrationError::Changed { number: 1, .. })), "{refused:?}");
        let refused = migrate(&database, &[FIRST]).await;
        assert!(matches!(refused, Err(MigrationError::Newer { number: 2, known: 1, .. })), "{refused:?}");
        let records = database.collection::<Document>(APPLIED);
        records.delete_one(doc! { "_id": 1 }).await.unwrap();
        let refused = migrate(&database, &[FIRST, SECOND, THIRD]).await;
        assert!(matches!(refused, Err(MigrationError::Missing { number: 1, .. })), "{refused:?}");
        assert_eq!(done(&database).await, [1, 2]);
    })
    .await;
}

#[tokio::test]
async fn a_file_that_was_left_in_the_middle_is_run_again() {
    in_database(async |database| {
        let refused = migrate(&database, &[FIRST, SECOND, THIRD]).await;
        assert!(matches!(refused, Err(MigrationError::Refused { number: 3, command: 2, .. })), "{refused:?}");
        let mended = File { name: "0003_c", text: SECOND.text };
        migrate(&database, &[FIRST, SECOND, mended]).await.unwrap();
        assert_eq!(done(&database).await, [1, 2, 3, 2]);
    })
    .await;
}
