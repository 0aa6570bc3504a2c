//! Faults: of callers, of the disk, of another server.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::channel;

use outrider_model::{Outcome, Status, Tally, Timestamp};

use super::super::codec::unpack_tallies;
use super::super::fault::Fault;
use super::super::schema::{MIGRATIONS, migrate_to};
use super::super::{SqliteStore, open};
use super::options;
use crate::{PipelineFilter, RunnerContact, Store, StoreError};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

fn insert(name: &'static str) -> String {
    format!("INSERT INTO class (name) VALUES ('{name}')")
}

async fn classes(store: &SqliteStore) -> Vec<String> {
    let depths = store.queue_depths().await.unwrap();
    depths
        .into_iter()
        .map(|depth| depth.class.to_string())
        .collect()
}

#[tokio::test]
async fn one_that_fails_in_a_group_harms_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), options()).unwrap();
    // Holds the writer until all others are in the channel behind it.
    let (go, wait) = channel::<()>();
    let gate = store.writer.write("gate", NOW, move |_| {
        let closed = wait.recv();
        assert!(closed.is_err());
        Ok(())
    });
    let write = |sql: String, fails: bool| {
        store.writer.write("test", NOW, move |tx| {
            tx.db.execute_batch(&sql)?;
            if fails {
                Err(Fault::conflict("as told"))
            } else {
                Ok(())
            }
        })
    };
    // Closed for good, so that it is open too if the group is run again.
    let release = async move { drop(go) };
    let (gate, a, b, c, d, ()) = tokio::join!(
        gate,
        write(insert("a/a"), false),
        write(insert("b/b"), true),
        write("this is not SQL".to_owned(), false),
        write(insert("d/d"), false),
        release,
    );
    gate.unwrap();
    a.unwrap();
    assert!(matches!(b, Err(StoreError::Conflict(_))), "{b:?}");
    assert!(matches!(c, Err(StoreError::Backend { .. })), "{c:?}");
    d.unwrap();
    assert_eq!(classes(&store).await, ["a/a", "d/d"]);
}

#[tokio::test]
async fn a_full_disk_is_said_so_and_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), options()).unwrap();
    let limit = async |pages: u32| {
        let set = move |tx: &mut super::super::tx::Tx<'_>| {
            tx.db
                .pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
            Ok(())
        };
        store.writer.write("limit", NOW, set).await.unwrap();
    };
    limit(80).await;
    let contact = |number: u8| RunnerContact {
        id: outrider_model::RunnerId::from_bytes([number; 16]),
        class: "acme/linux".parse().unwrap(),
        name: "x".repeat(20_000),
        hostname: String::new(),
        version: String::new(),
        slots: 1,
    };
    let mut seen = 0;
    let full = loop {
        match store.see_runners(vec![contact(seen)], NOW).await {
            Ok(()) => seen += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StoreError::DiskFull), "{full:?}");
    assert!(seen > 0);
    assert_eq!(
        store.runners(None).await.unwrap().len(),
        usize::from(seen),
        "nothing is lost"
    );
    limit(10_000).await;
    store.see_runners(vec![contact(seen)], NOW).await.unwrap();
    assert_eq!(
        store.runners(None).await.unwrap().len(),
        usize::from(seen) + 1
    );
}

#[tokio::test]
async fn a_second_server_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let first = SqliteStore::open(folder.path(), options()).unwrap();
    let second = SqliteStore::open(folder.path(), options());
    assert!(matches!(second.err(), Some(StoreError::Locked { .. })));
    first.ready().await.unwrap();
    drop(first);
    SqliteStore::open(folder.path(), options())
        .unwrap()
        .ready()
        .await
        .unwrap();
}

#[test]
fn a_newer_schema_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path(), options()).unwrap());
    let db = rusqlite::Connection::open(folder.path().join("outrider.db")).unwrap();
    db.pragma_update(None, "user_version", 9_999).unwrap();
    let refused = SqliteStore::open(folder.path(), options()).err();
    assert!(
        matches!(refused, Some(StoreError::TooNew { found: 9_999, .. })),
        "{refused:?}"
    );
}

/// Stands for a folder that cannot be written too: tests may run as root, who can write all.
#[test]
fn a_path_that_cannot_be_a_folder_is_said_so() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let refused = SqliteStore::open(file.path().join("data"), options()).err();
    let Some(StoreError::Backend { source, .. }) = refused else {
        panic!("{refused:?}")
    };
    assert!(source.to_string().contains("data"), "{source}");
}

#[test]
fn a_file_that_is_no_database_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("outrider.db"), [7; 9_000]).unwrap();
    let refused = SqliteStore::open(folder.path(), options()).err();
    assert!(
        matches!(refused, Some(StoreError::Backend { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn only_the_owner_can_read() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let store = SqliteStore::open(&folder, options()).unwrap();
    store.ready().await.unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

/// What a store of each version held, written when that version was new.
const SAMPLES: &[&str] = &[
    include_str!("../migrations/0001_sample.sql"),
    include_str!("../migrations/0002_sample.sql"),
    include_str!("../migrations/0003_sample.sql"),
];

#[tokio::test]
async fn a_store_of_every_version_can_be_opened() {
    assert_eq!(
        SAMPLES.len(),
        MIGRATIONS.len(),
        "each migration has sample data"
    );
    for (sample, version) in SAMPLES.iter().zip(1..) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("outrider.db");
        let mut db = rusqlite::Connection::open(&file).unwrap();
        migrate_to(&mut db, &file, version).unwrap();
        db.execute_batch(sample).unwrap();
        drop(db);

        let store = SqliteStore::open(folder.path(), options()).unwrap();
        let filter = PipelineFilter {
            project: None,
            before: None,
            limit: 9,
        };
        let summary = store.pipelines(filter).await.unwrap().remove(0);
        assert_eq!((summary.status, summary.number), (Status::Running, 1));
        let detail = store.pipeline(summary.id).await.unwrap();
        let job = store.job(detail.workflows[0].jobs[0].id).await.unwrap();
        let statuses: Vec<_> = job.tasks.iter().map(|task| task.status).collect();
        assert_eq!(
            statuses,
            [Status::Finished(Outcome::Passed), Status::Queued]
        );
        let task = store.task(job.tasks[0].id).await.unwrap();
        let log = store.read_log(task.attempts[0].id, 0, 99).await.unwrap();
        assert_eq!(log.bytes, b"hello\n");
        // It goes on from there.
        let claim = crate::Claim {
            class: "acme/linux".parse().unwrap(),
            runner: outrider_model::RunnerId::from_bytes([1; 16]),
            runner_name: "runner-1".to_owned(),
            slots: 9,
            lease: std::time::Duration::from_secs(20),
        };
        let claimed = store.claim(claim, NOW).await.unwrap();
        assert_eq!(
            claimed.iter().map(|task| task.task).collect::<Vec<_>>(),
            [job.tasks[1].id]
        );
        let canceled = crate::CancelTarget::Pipeline(summary.id);
        store.cancel(canceled, "ann".to_owned(), NOW).await.unwrap();
        let ended = store.pipeline(summary.id).await.unwrap().summary.status;
        assert_eq!(ended, Status::Finished(Outcome::Canceled));
    }
}

/// Tallies of nine numbers get a tenth, each for itself, however many bytes a number has.
#[test]
fn old_tallies_get_room_for_what_is_on_hold() {
    let mut db = rusqlite::Connection::open_in_memory().unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    let path = Path::new(":memory:");
    migrate_to(&mut db, path, 1).unwrap();
    db.execute_batch(SAMPLES[0]).unwrap();
    // 300 queued, 2 failed; nothing; 1 blocked, 16384 failed.
    let old = "00ac02000000000000020000000000000000000100000000000000808001";
    db.execute(&format!("UPDATE pipeline SET tallies = x'{old}'"), [])
        .unwrap();
    migrate_to(&mut db, path, 2).unwrap();
    let wide: Vec<u8> = db
        .query_row("SELECT tallies FROM pipeline", [], |row| row.get(0))
        .unwrap();
    let tallies = unpack_tallies(&wide).unwrap();
    let of = |counts: &[(Status, u32)]| {
        let parts = counts
            .iter()
            .map(|(status, count)| vec![*status; *count as usize]);
        Tally::of(parts.flatten())
    };
    let failed = Status::Finished(Outcome::Failed);
    let expected = [
        of(&[(Status::Queued, 300), (failed, 2)]),
        of(&[]),
        of(&[(Status::Blocked, 1), (failed, 16_384)]),
    ];
    assert_eq!(tallies, expected);
}

#[test]
fn a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let _store = SqliteStore::open(folder.path(), options()).unwrap();
    let db = open::reader(&folder.path().join("outrider.db")).unwrap();
    assert!(db.execute("DELETE FROM task", []).is_err());
}
