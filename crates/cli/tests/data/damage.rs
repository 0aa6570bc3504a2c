//! Objects of the blob store that are not what they were.

use std::fs;
use std::path::{Path, PathBuf};

use outrider_model::Outcome;
use serde_json::json;

use crate::common::{World, wait_for};
use crate::support::*;

/// What happens to an object.
#[derive(Clone, Copy, Debug)]
enum Harm {
    WrongByte,
    Shorter,
    Gone,
}

impl Harm {
    fn befalls(self, object: &Path) {
        let mut bytes = fs::read(object).unwrap();
        let middle = bytes.len() / 2;
        match self {
            Self::WrongByte => bytes[middle] ^= 1,
            Self::Shorter => bytes.truncate(middle),
            Self::Gone => return fs::remove_file(object).unwrap(),
        }
        fs::write(object, bytes).unwrap();
    }
}

/// One object of a cache is harmed: a miss, and the next job has the cache again.
async fn a_miss(world: &World, key: &str, harm: Harm, object: &Path) {
    harm.befalls(object);
    let log = passes(world, &restoring(key)).await;
    says(&log, &["No cache is restored, as after a miss"]);
    let log = passes(world, &restoring(key)).await;
    says(&log, &["No cache is found", "found: nothing"]);
    passes(world, &saving(key, key)).await;
    let log = passes(world, &restoring(key)).await;
    says(&log, &[&format!("found: {key}")]);
}

#[tokio::test]
async fn a_damaged_cache_is_a_miss_and_is_dropped() {
    let (world, _processes) = start().await;
    for (key, harm) in [
        ("byte", Harm::WrongByte),
        ("short", Harm::Shorter),
        ("gone", Harm::Gone),
    ] {
        passes(&world, &saving(key, key)).await;
        for manifest in [true, false] {
            a_miss(&world, key, harm, &newest(&world, manifest)).await;
        }
    }
}

/// The newest manifest or pack. What was dropped may still lie there.
fn newest(world: &World, manifest: bool) -> PathBuf {
    let objects = stored(world).into_iter();
    let of_kind = objects.filter(|it| fs::read(it).unwrap().starts_with(b"ORarch") == manifest);
    of_kind.max_by_key(|path| row(path)).unwrap()
}

/// The number in an object's name: later ones have greater ones.
fn row(object: &Path) -> u64 {
    let name = object.file_name().unwrap().to_str().unwrap();
    name.split_once('-').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn what_is_restored_before_the_damage_shows_is_whole() {
    let (world, _processes) = start().await;
    let make = "mkdir kept; for n in $(seq 40); do head -c 500000 /dev/urandom > kept/$n; done
                (cd kept; sha256sum *) > sums; cp sums SUMS";
    let make = make.replace("SUMS", world.path("sums").to_str().unwrap());
    passes(&world, &one(json!([run(&make), save("k", "kept")]))).await;
    let packs = stored(&world);
    let largest = packs
        .iter()
        .max_by_key(|it| fs::metadata(it).unwrap().len());
    Harm::WrongByte.befalls(largest.unwrap());
    let check = format!(
        "cd kept && sha256sum --ignore-missing --quiet -c {}",
        world.path("sums").display()
    );
    let log = passes(
        &world,
        &one(json!([
            restore("k"),
            run("ls -A kept | wc -l"),
            run(&check)
        ])),
    )
    .await;
    says(
        &log,
        &["No cache is restored, as after a miss", "is damaged"],
    );
}

#[tokio::test]
async fn a_damaged_workspace_is_no_fault_of_the_job_and_no_job_goes_on_without_it() {
    let (world, _processes) = start().await;
    let gate = world.path("gate");
    let wait = format!("until [ -e {} ]; do sleep 0.02; done", gate.display());
    // The server drops what is damaged: the third job must not take that for nothing to attach.
    let jobs = json!({
        "one": job(json!([run("echo x > handed"), persist("handed")])),
        "two": job(json!([run(&wait), attach()])),
        "three": job(json!([run(&wait), attach()])),
    });
    let order = json!(["one", {"two": {"requires": ["one"]}}, {"three": {"requires": ["one"]}}]);
    let id = world.submit(&config(jobs, order)).await;
    wait_for("the end of the first job", async || {
        let jobs = world.jobs(id).await;
        (jobs[0].status.outcome() == Some(Outcome::Passed)).then_some(())
    })
    .await;
    Harm::WrongByte.befalls(&newest(&world, false));
    fs::write(&gate, "").unwrap();
    world.outcome(id).await;
    let jobs = world.jobs(id).await;
    let mut reasons = Vec::new();
    for job in &jobs[1..] {
        assert_ne!(job.status.outcome(), Some(Outcome::Passed), "{}", job.name);
        assert_ne!(job.status.outcome(), Some(Outcome::Failed), "{}", job.name);
        let task = world.admin().job(job.id).await.unwrap().tasks[0].id;
        let attempt = world.attempts(task).await.unwrap().attempts.remove(0);
        reasons.push(attempt.reason.unwrap().to_string());
    }
    says(
        &reasons.join("\n"),
        &["cannot attach what \"one\" has persisted", "is damaged"],
    );
    assert!(
        reasons
            .iter()
            .all(|reason| reason.contains("cannot attach")),
        "{reasons:?}"
    );
    // The same files once more: they are sent again.
    let again = one(json!([
        run("echo x > handed"),
        persist("handed"),
        save("k", "handed")
    ]));
    passes(&world, &again).await;
    passes(&world, &one(json!([restore("k"), run("test -e handed")]))).await;
}
